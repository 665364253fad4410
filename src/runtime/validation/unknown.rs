//! Keys that nobody reads. They are accepted, as in the original, but told: a misspelt key is the
//! one error that a configuration cannot show otherwise.

use super::client_keys::Client;
use super::{SubmittedProps, ValidationScope, plugin_keys};
use crate::config::nearest;
use crate::plugin::{Plugin, PluginKind, Plugins};
use crate::runtime::connector_config::{
    HEADER_CONVERTER, KEY_CONVERTER, PREDICATES, TRANSFORMS, VALUE_CONVERTER,
};

/// A key that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    pub key: String,
    /// The key that was meant, perhaps.
    pub near: Option<String>,
}

/// The keys of `submitted` that neither the framework nor `plugin` nor what it names reads.
pub fn unknown_keys(
    scope: &ValidationScope<'_>,
    plugin: &Plugin,
    submitted: &SubmittedProps,
) -> Vec<UnknownKey> {
    let declared = plugin_keys(plugin);
    let own = (plugin.config_def)();
    let unknown = submitted.keys().filter(|key| {
        declared.key(key).is_none()
            && !own.reads(key)
            && !is_of_others(scope.plugins, submitted, key)
    });
    let near = |key: &str| {
        let names = declared.keys().iter().map(|declared| declared.name);
        nearest(key, names).map(str::to_owned)
    };
    unknown.map(|key| UnknownKey { key: key.clone(), near: near(key) }).collect()
}

/// Whether the key is one of a client, a converter, an aliased plugin or a topic group. Which keys
/// those have is checked where their plugin is known.
fn is_of_others(plugins: &Plugins, submitted: &SubmittedProps, key: &str) -> bool {
    let clients = [Client::Producer, Client::Consumer, Client::Admin].map(Client::prefix);
    let converters = [KEY_CONVERTER, VALUE_CONVERTER, HEADER_CONVERTER];
    clients.iter().any(|prefix| key.starts_with(prefix))
        || key.starts_with("topic.creation.")
        || converters.iter().any(|converter| is_below(key, converter))
        || is_of_stage(plugins, PluginKind::Transformation, TRANSFORMS, submitted, key)
        || is_of_stage(plugins, PluginKind::Predicate, PREDICATES, submitted, key)
}

fn is_below(key: &str, parent: &str) -> bool {
    key.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether the key is `{list}.{alias}.` and a key of that alias's plugin.
fn is_of_stage(
    plugins: &Plugins,
    kind: PluginKind,
    list: &str,
    submitted: &SubmittedProps,
    key: &str,
) -> bool {
    let Some(Some(aliases)) = submitted.get(list) else { return false };
    aliases.split(',').map(str::trim).any(|alias| {
        let prefix = format!("{list}.{alias}.");
        let Some(own) = key.strip_prefix(&prefix) else { return false };
        let class = submitted.get(&format!("{prefix}type")).and_then(Option::as_deref);
        let plugin = class.and_then(|class| plugins.find(&[kind], class.trim()));
        matches!(own, "type" | "predicate" | "negate")
            || plugin.is_none_or(|plugin| (plugin.config_def)().key(own).is_some())
    })
}
