//! Keys that nobody reads. They are accepted, as in the original, but told: a misspelt key is the
//! one error that a configuration cannot show otherwise.

use super::client_keys::Client;
use super::{SubmittedProps, ValidationScope, plugin_keys};
use crate::config::ConfigDef;
use crate::plugin::{Plugin, PluginKind, Plugins};
use crate::runtime::connector_config::{
    HEADER_CONVERTER, KEY_CONVERTER, PREDICATES, TRANSFORMS, VALUE_CONVERTER,
};

/// Beyond this many edits two keys have nothing to do with each other.
const EDITS_MAX: usize = 3;

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
    unknown.map(|key| UnknownKey { key: key.clone(), near: near(key, &declared) }).collect()
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

fn near(key: &str, declared: &ConfigDef) -> Option<String> {
    let candidates = declared.keys().iter().map(|other| (edits(key, other.name), other.name));
    let (edits, nearest) = candidates.min()?;
    (edits <= EDITS_MAX && edits * 2 < key.len()).then(|| nearest.to_owned())
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in (1..).zip(a.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], i);
        for (j, b) in (1..).zip(&b) {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j];
            row[j] = substituted.min(diagonal + 1).min(row[j - 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("flush.size", "flush.size", 0),
            ("flsh.size", "flush.size", 1),
            ("topic.regex", "topics.regex", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }
}
