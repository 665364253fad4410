//! Validation of a connector's configuration: Kafka Connect's
//! `PUT /connector-plugins/{plugin}/config/validate` and what precedes every creation and update.
//!
//! [`validate`] collects, in the original's order: keys without a definition that have something
//! wrong with them; the framework's keys, each transform's, each predicate's; the plugin's keys; the
//! client overrides; the converters' keys. When none of them is wrong, the connector itself looks at
//! its outside, within [`OWN_CHECKS_MAX`]. Message texts are the original's.

mod client_keys;
mod embedded;
mod inspection;
mod overrides;
mod report;
mod rules;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

pub use client_keys::worker_client_keys;
pub use inspection::{Inspected, Sample, inspect};
pub use overrides::OverridePolicy;
pub use unknown::{UnknownKey, unknown_keys};

pub use crate::connector::{Finding, Verdict};

use crate::config::{
    ConfigDef, ConfigError, ConfigProviders, ConfigType, Props, Resolved, Submitted,
};
use crate::connector::ConnectorContext;
use crate::error::ConnectError;
use crate::plugin::{Constructor, Plugin, PluginKind, Plugins};
use crate::runtime::config_infos::ConfigInfos;
use crate::runtime::connector_config::{CONNECTOR_CLASS, NAME, connector_config};
use crate::runtime::herder::HerderError;
use crate::runtime::resolution::resolved;
use crate::runtime::worker_config::WorkerConfig;
use report::Report;

/// How long a connector's own checks may take together. Clients wait for the answer, and a form that
/// validates while a person types has to stay usable when the database hangs.
const OWN_CHECKS_MAX: Duration = Duration::from_secs(4);

/// A configuration as a client sent it: a value may be JSON's null.
pub type SubmittedProps = BTreeMap<String, Option<String>>;

/// What a validation needs of its worker.
#[derive(Debug, Clone)]
pub struct ValidationScope<'a> {
    pub plugins: &'a Plugins,
    pub context: ConnectorContext,
    /// The worker's `group.id`.
    pub group_id: &'a str,
    /// Whether `exactly.once.source.support` is enabled.
    pub exactly_once: bool,
    /// The worker's settings, of which clients get theirs.
    pub client_settings: &'a Props,
    /// `connector.client.config.override.policy`.
    pub override_policy: OverridePolicy,
    /// What references in a configuration stand for.
    pub providers: Arc<ConfigProviders>,
}

impl<'a> ValidationScope<'a> {
    /// What `worker` with these plugins gives.
    pub fn of(plugins: &'a Plugins, worker: &'a WorkerConfig) -> Self {
        let policy = worker.settings.get("connector.client.config.override.policy");
        Self {
            plugins,
            context: ConnectorContext {
                hosts: worker.hosts.clone(),
                defaults: worker.sink_defaults.clone(),
            },
            group_id: &worker.group_id,
            exactly_once: worker.exactly_once.is_some(),
            client_settings: &worker.settings,
            override_policy: policy
                .and_then(|name| OverridePolicy::parse(name))
                .unwrap_or_default(),
            providers: worker.providers.clone(),
        }
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// No `connector.class`.
    #[error("{0}")]
    NoConnectorType(String),
    /// `connector.class` names no plugin.
    #[error("{0}")]
    UnknownClass(String),
    /// A value that keeps the rest from being judged.
    #[error("{0}")]
    Unreadable(String),
}

/// Everything that can be said about `submitted`.
///
/// # Errors
/// When the configuration does not even say which plugin is meant, or a value keeps the rest from
/// being judged; wrong values are in the answer.
pub async fn validate(
    scope: &ValidationScope<'_>,
    submitted: &SubmittedProps,
) -> Result<ConfigInfos, ValidationError> {
    let (resolved, submitted) = &resolve(scope, submitted).await?;
    let (class, plugin) = named_plugin(scope, submitted, resolved)?;
    let mut report = declared(scope, plugin, submitted)?;
    report.sub_entries(overrides::entries(scope, plugin.kind(), submitted)?);
    report.sub_entries(embedded::converters(scope.plugins, submitted, &report));
    let given = submitted.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    if let Some((key, why)) = scope.context.hosts.refused_key(&given.collect()) {
        report.error(&key, why);
    }
    if report.error_count() == 0 {
        for error in own_checks(scope, plugin, submitted).await {
            report.error(&error.key, error.message);
        }
    }
    let mut infos = report.finish(class);
    hide(&mut infos, resolved);
    Ok(infos)
}

/// The configuration with its references resolved.
async fn resolve(
    scope: &ValidationScope<'_>,
    submitted: &SubmittedProps,
) -> Result<(Resolved, SubmittedProps), ValidationError> {
    let texts = submitted.iter().filter_map(|(key, text)| Some((key.clone(), text.clone()?)));
    let resolved = resolved(&scope.providers, texts.collect()).await;
    let resolved = resolved.map_err(|error| ValidationError::Unreadable(error.trace()))?;
    let mut texts = submitted.clone();
    for (key, text) in &resolved.props {
        texts.insert(key.clone(), Some(text.clone()));
    }
    Ok((resolved, texts))
}

/// Puts references back: what they stand for is nobody's business.
fn hide(infos: &mut ConfigInfos, resolved: &Resolved) {
    for info in &mut infos.configs {
        let value = &mut info.value;
        if let Some(reference) = resolved.reference(&value.name)
            && value.value.as_deref().is_some_and(|shown| shown != HIDDEN)
        {
            value.value = Some(reference.to_owned());
        }
        for error in &mut value.errors {
            *error = resolved.hidden_at(&value.name, error);
        }
    }
}

/// How the value of a password is shown.
const HIDDEN: &str = "[hidden]";

/// The connector that a configuration is for.
fn named_plugin<'a>(
    scope: &'a ValidationScope<'_>,
    submitted: &'a SubmittedProps,
    resolved: &Resolved,
) -> Result<(&'a str, &'a Plugin), ValidationError> {
    let class = submitted.get(CONNECTOR_CLASS).and_then(Option::as_deref);
    let class = class
        .ok_or_else(|| ValidationError::NoConnectorType(no_connector_type(submitted, resolved)))?;
    let plugin = scope
        .plugins
        .find(&[PluginKind::Source, PluginKind::Sink], class)
        .ok_or_else(|| ValidationError::UnknownClass(unknown_class(scope.plugins, class)))?;
    Ok((class, plugin))
}

/// Refuses a configuration that is not valid, as creations and updates do, and tells the log which
/// keys of an accepted one nobody reads.
///
/// # Errors
/// What the client is told.
pub async fn check(
    scope: &ValidationScope<'_>,
    submitted: &SubmittedProps,
) -> Result<(), HerderError> {
    let infos = validate(scope, submitted).await?;
    if infos.error_count == 0 {
        let (resolved, submitted) = &resolve(scope, submitted).await?;
        let (_, plugin) = named_plugin(scope, submitted, resolved)?;
        let connector = submitted.get(NAME).and_then(Option::as_deref);
        for reference in &resolved.missing {
            tracing::warn!(
                connector,
                reference,
                "a reference stands for nothing and is kept as text"
            );
        }
        for UnknownKey { key, near } in unknown_keys(scope, plugin, submitted) {
            tracing::warn!(connector, key, near, "nobody reads this configuration key");
        }
        return Ok(());
    }
    Err(HerderError::InvalidConfig {
        count: infos.error_count,
        messages: infos.messages().map(str::to_owned).collect(),
    })
}

impl From<ValidationError> for HerderError {
    fn from(error: ValidationError) -> Self {
        match error {
            ValidationError::NoConnectorType(text) => Self::BadRequest(text),
            ValidationError::UnknownClass(text) | ValidationError::Unreadable(text) => {
                Self::Internal(ConnectError::config(text))
            }
        }
    }
}

/// The declared keys: of the framework, the transforms, the predicates and the plugin.
fn declared(
    scope: &ValidationScope<'_>,
    plugin: &Plugin,
    submitted: &SubmittedProps,
) -> Result<Report, ValidationError> {
    let framework = connector_config(plugin.kind());
    let mut report = Report::default();
    for key in framework.keys() {
        report.define(key, key.outcome(key.name, submitted_as(submitted, key.name)));
    }
    report.groups_of(framework);
    embedded::converter_classes(scope.plugins, &mut report);
    match plugin.kind() {
        PluginKind::Sink => rules::sink(scope.group_id, submitted, &mut report)?,
        _ => rules::source(scope, plugin, submitted, &mut report),
    }
    embedded::stages(scope.plugins, &embedded::TRANSFORMATIONS, submitted, &mut report);
    embedded::stages(scope.plugins, &embedded::PREDICATES, submitted, &mut report);
    let own = (plugin.config_def)();
    for (key, _) in submitted.iter().filter(|(_, value)| value.is_none()) {
        if own.key(key).is_none() {
            let text = "Null value can not be supplied as the configuration value.";
            report.error(key, text.to_owned());
        }
    }
    for key in own.keys() {
        report.define(key, key.outcome(key.name, submitted_as(submitted, key.name)));
    }
    for key in own.keys() {
        let Some(visibility) = key.visibility else { continue };
        let other = report.value(visibility.key).and_then(|value| value.value.as_deref());
        let is_visible = other.is_some_and(visibility.when);
        if let Some(value) = report.value_mut(key.name) {
            value.visible = is_visible;
        }
    }
    report.groups_of(&own);
    Ok(report)
}

/// The keys that a plugin shows: its own, and for a connector those of the framework that it does
/// not define itself.
pub fn plugin_keys(plugin: &Plugin) -> ConfigDef {
    let own = (plugin.config_def)();
    if !matches!(plugin.kind(), PluginKind::Source | PluginKind::Sink) {
        return own;
    }
    let framework = connector_config(plugin.kind()).keys().iter();
    let others = framework.filter(|key| own.key(key.name).is_none()).cloned();
    ConfigDef::new(own.keys().iter().cloned().chain(others).collect())
}

/// What the connector says of its outside.
async fn own_checks(
    scope: &ValidationScope<'_>,
    plugin: &Plugin,
    submitted: &SubmittedProps,
) -> Vec<ConfigError> {
    let props: Props =
        submitted.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let whole = |message: String| vec![ConfigError::new(CONNECTOR_CLASS, message)];
    let (Constructor::Source { connector, .. } | Constructor::Sink { connector, .. }) =
        plugin.constructor
    else {
        return Vec::new();
    };
    let context = scope.context.clone();
    let checks = async move {
        let connector = connector(&props, context)?;
        Ok::<_, ConnectError>(connector.validate().await)
    };
    match tokio::time::timeout(OWN_CHECKS_MAX, AssertUnwindSafe(checks).catch_unwind()).await {
        Ok(Ok(Ok(errors))) => errors,
        Ok(Ok(Err(error))) => whole(error.trace()),
        Ok(Err(_panic)) => whole(format!("The checks of {} ended in a panic", plugin.class)),
        Err(_elapsed) => whole(format!(
            "The checks of {} did not end within {} s: is what it connects to reachable from this \
             worker?",
            plugin.class,
            OWN_CHECKS_MAX.as_secs()
        )),
    }
}

fn submitted_as<'a>(submitted: &'a SubmittedProps, key: &str) -> Submitted<'a> {
    match submitted.get(key) {
        None => Submitted::Absent,
        Some(None) => Submitted::Null,
        Some(Some(text)) => Submitted::Text(text),
    }
}

/// The text shows the configuration, as the original's does, but no secret: without a class nobody
/// knows which keys are passwords, so names decide.
fn no_connector_type(submitted: &SubmittedProps, resolved: &Resolved) -> String {
    let shown: Vec<_> = submitted
        .iter()
        .map(|(key, value)| {
            let value = match resolved.reference(key) {
                Some(reference) => reference,
                None if names_a_secret(key) => HIDDEN,
                None => value.as_deref().unwrap_or("null"),
            };
            format!("{key}={value}")
        })
        .collect();
    format!("Connector config {{{}}} contains no connector type", shown.join(", "))
}

/// Whether a key's name says that its value is secret.
fn names_a_secret(key: &str) -> bool {
    const PARTS: [&str; 11] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "jaas",
        "key.id",
        "private.key",
        "api.key",
        "user.info",
    ];
    let lower = key.to_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
}

/// The keys of a connector's configuration whose values are secret: those that its plugin declares
/// as such, and those whose names say so.
pub fn secret_keys(plugins: &Plugins, config: &Props) -> BTreeSet<String> {
    let class = config.get(CONNECTOR_CLASS).map_or("", String::as_str);
    let plugin = plugins.find(&[PluginKind::Source, PluginKind::Sink], class);
    let table = plugin.map(|plugin| plugin_keys(plugin));
    let declared = |key: &str| {
        let key = table.as_ref().and_then(|table| table.key(key));
        key.is_some_and(|key| key.ty == ConfigType::Password)
    };
    config.keys().filter(|key| names_a_secret(key) || declared(key)).cloned().collect()
}

fn unknown_class(plugins: &Plugins, class: &str) -> String {
    let mut available: Vec<_> = plugins
        .iter()
        .filter(|plugin| matches!(plugin.kind(), PluginKind::Source | PluginKind::Sink))
        .collect();
    available.sort_by_key(|plugin| (plugin.kind() == PluginKind::Source, plugin.class));
    let available: Vec<_> = available
        .into_iter()
        .map(|plugin| {
            let Plugin { class, version, .. } = **plugin;
            let kind = plugin.kind().name();
            format!(
                "PluginDesc{{klass=class {class}, name='{class}', version='{version}', \
                 encodedVersion={version}, type={kind}, typeName='{kind}', location='classpath'}}"
            )
        })
        .collect();
    format!(
        "Failed to find any class that implements Connector and which name matches {class}, \
         available connectors are: {}",
        available.join(", ")
    )
}

#[cfg(test)]
mod tests;
