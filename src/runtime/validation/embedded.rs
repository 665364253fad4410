//! Plugins inside a connector's configuration: `transforms.ALIAS.*`, `predicates.ALIAS.*` and the
//! three converters (Kafka Connect, `ConnectorConfig.EnrichablePlugin`,
//! `AbstractHerder.validateConverterConfig`).

use super::report::{Report, info};
use super::{SubmittedProps, submitted_as};
use crate::config::{
    ConfigKey, ConfigType, ConfigValue, Default, Importance, Outcome, Submitted, Width,
};
use crate::plugin::{Plugin, PluginKind, Plugins};
use crate::runtime::config_infos::{ConfigInfo, ConfigKeyInfo};
use crate::runtime::connector_config::{
    HEADER_CONVERTER, KEY_CONVERTER, PREDICATES as PREDICATES_KEY, TRANSFORMS, VALUE_CONVERTER,
};

/// A family of aliased plugins.
#[derive(Debug)]
pub(super) struct Family {
    /// The key that lists the aliases, and the prefix of their keys.
    list: &'static str,
    kind: PluginKind,
    /// The group of alias `a` is `{group}: a`.
    group: &'static str,
    /// The display name of `type` is `{what} type for a`.
    what: &'static str,
    interface: &'static str,
    /// Keys that every plugin of the family has besides its own.
    implicit: fn() -> Vec<ConfigKey>,
}

pub(super) const TRANSFORMATIONS: Family = Family {
    list: TRANSFORMS,
    kind: PluginKind::Transformation,
    group: "Transforms",
    what: "Transformation",
    interface: "Transformation",
    implicit: condition,
};

pub(super) const PREDICATES: Family = Family {
    list: PREDICATES_KEY,
    kind: PluginKind::Predicate,
    group: "Predicates",
    what: "Predicate",
    interface: "Predicate",
    implicit: Vec::new,
};

/// When a transform runs.
fn condition() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "predicate",
            ConfigType::String,
            "The alias of a predicate: the transform runs only on records that match it.",
        )
        .medium(),
        ConfigKey::new(
            "negate",
            ConfigType::Boolean,
            "Whether the transform runs on the records that do not match, instead.",
        )
        .default("false")
        .medium(),
    ]
}

/// Adds the keys of every alias of `family`.
pub(super) fn stages(
    plugins: &Plugins,
    family: &Family,
    submitted: &SubmittedProps,
    report: &mut Report,
) {
    let Some(Some(list)) = submitted.get(family.list) else { return };
    let mut aliases: Vec<&str> = Vec::new();
    for alias in list.split(',').map(str::trim) {
        if !list.trim().is_empty() && !aliases.contains(&alias) {
            aliases.push(alias);
        }
    }
    for alias in aliases {
        stage(plugins, family, alias, submitted, report);
    }
}

fn stage(
    plugins: &Plugins,
    family: &Family,
    alias: &str,
    submitted: &SubmittedProps,
    report: &mut Report,
) {
    let prefix = format!("{}.{alias}.", family.list);
    let group = format!("{}: {alias}", family.group);
    report.group(&group);
    let name = format!("{prefix}type");
    let (plugin, value) = class_of(plugins, family.kind, family.interface, &name, submitted);
    let key = ConfigKey::new("type", ConfigType::Class, "").required().high();
    let mut entry = info(type_key(&key, family, alias, &prefix, &group), &key, value);
    entry.value.recommended_values = installed(plugins, family.kind);
    if plugin.is_some() && family.kind == PluginKind::Transformation {
        let given = |key: &str| submitted.contains_key(&format!("{prefix}{key}"));
        if given("negate") && !given("predicate") {
            entry.value.errors.push(format!(
                "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' \
                 defining a predicate to be negated."
            ));
        }
    }
    report.define_info(entry);
    let Some(plugin) = plugin else { return };
    for (order, key) in (1..).zip(in_form_order(plugin, family)) {
        let shown = format!("{prefix}{}", key.name);
        let outcome = key.outcome(&shown, submitted_as(submitted, &shown));
        let group = match key.group {
            Some(own) => format!("{group}: {own}"),
            None => group.clone(),
        };
        report.group(&group);
        let definition = ConfigKeyInfo::of(&key).under(&prefix).placed(Some(group), order);
        report.define_info(info(definition, &key, outcome));
    }
}

fn type_key(
    key: &ConfigKey,
    family: &Family,
    alias: &str,
    prefix: &str,
    group: &str,
) -> ConfigKeyInfo {
    let what = family.what;
    let mut definition = ConfigKeyInfo::of(key).under(prefix).placed(Some(group.to_owned()), 0);
    definition.width = Width::Long.name();
    definition.display_name = format!("{what} type for {alias}");
    definition.documentation =
        format!("The class of the {} with the alias '{alias}'.", what.to_lowercase());
    definition
}

/// The plugin's keys and the implicit ones in the order in which forms show them: the original sorts
/// by group, order, required first, importance, name.
fn in_form_order(plugin: &Plugin, family: &Family) -> Vec<ConfigKey> {
    let implicit = (family.implicit)();
    let own = (plugin.config_def)();
    let masked = |key: &&ConfigKey| !implicit.iter().any(|other| other.name == key.name);
    let mut keys: Vec<_> = own.keys().iter().filter(masked).cloned().collect();
    keys.extend(implicit);
    keys.sort_by_key(|key| {
        let importance = match key.importance {
            Importance::High => 0,
            Importance::Medium => 1,
            Importance::Low => 2,
        };
        (key.group, key.order, key.default != Default::Required, importance, key.name)
    });
    keys
}

fn installed(plugins: &Plugins, kind: PluginKind) -> Vec<String> {
    let mut classes: Vec<_> = plugins
        .iter()
        .filter(|plugin| plugin.kind() == kind)
        .map(|plugin| plugin.class.to_owned())
        .collect();
    classes.sort();
    classes
}

/// The plugin that a CLASS key names, and what becomes of the key.
fn class_of<'a>(
    plugins: &'a Plugins,
    kind: PluginKind,
    interface: &str,
    key: &str,
    submitted: &SubmittedProps,
) -> (Option<&'a Plugin>, Outcome) {
    let refused = |value, message| (None, Outcome { value, errors: vec![message] });
    let Submitted::Text(raw) = submitted_as(submitted, key) else {
        let message =
            format!("Missing required configuration \"{key}\" which has no default value.");
        return refused(ConfigValue::Null, message);
    };
    match resolve(plugins, kind, interface, key, raw) {
        Ok(plugin) => {
            let value = ConfigValue::String(plugin.class.to_owned());
            (Some(plugin), Outcome { value, errors: Vec::new() })
        }
        Err((class, message)) => {
            refused(class.map_or(ConfigValue::Null, ConfigValue::String), message)
        }
    }
}

/// The plugin of `kind` that `raw` names; else the class as far as it is known, and the message.
fn resolve<'a>(
    plugins: &'a Plugins,
    kind: PluginKind,
    interface: &str,
    key: &str,
    raw: &str,
) -> Result<&'a Plugin, (Option<String>, String)> {
    let name = raw.trim();
    if let Some(plugin) = plugins.find(&[kind], name) {
        return Ok(plugin);
    }
    match plugins.iter().find(|plugin| plugin.class == name) {
        Some(other) => {
            let class = other.class;
            let message =
                format!("Class class {class} does not implement the {interface} interface");
            Err((Some(class.to_owned()), message))
        }
        None => {
            let message = format!(
                "Invalid value {raw} for configuration {key}: Class {name} could not be found."
            );
            Err((None, message))
        }
    }
}

/// The converter keys in the order of the answer, with what `converter.type` is inside each.
const CONVERTERS: [(&str, PluginKind, &str, &str); 3] = [
    (HEADER_CONVERTER, PluginKind::HeaderConverter, "HeaderConverter", "header"),
    (KEY_CONVERTER, PluginKind::Converter, "Converter", "key"),
    (VALUE_CONVERTER, PluginKind::Converter, "Converter", "value"),
];

/// Puts the full class name, or what is wrong with it, on the converter keys that are set.
pub(super) fn converter_classes(plugins: &Plugins, report: &mut Report) {
    for (key, kind, interface, _) in CONVERTERS {
        let Some(entry) = report.value_mut(key) else { continue };
        let Some(raw) = entry.value.take() else { continue };
        match resolve(plugins, kind, interface, key, &raw) {
            Ok(plugin) => entry.value = Some(plugin.class.to_owned()),
            Err((class, message)) => {
                entry.value = class;
                entry.errors.push(message);
            }
        }
    }
}

/// The keys of the converters that the configuration sets and nothing is wrong with.
pub(super) fn converters(
    plugins: &Plugins,
    submitted: &SubmittedProps,
    report: &Report,
) -> Vec<ConfigInfo> {
    let mut entries = Vec::new();
    for (converter, kind, _, role) in CONVERTERS {
        let Some(entry) = report.value(converter).filter(|entry| entry.errors.is_empty()) else {
            continue;
        };
        let Some(plugin) = entry.value.as_deref().and_then(|class| plugins.find(&[kind], class))
        else {
            continue;
        };
        let prefix = format!("{converter}.");
        for key in (plugin.config_def)().keys() {
            let submitted = match submitted_as(submitted, &format!("{prefix}{}", key.name)) {
                Submitted::Absent if key.name == "converter.type" => Submitted::Text(role),
                other => other,
            };
            // The parser's messages name the key without its prefix here.
            let outcome = key.outcome(key.name, submitted);
            entries.push(info(ConfigKeyInfo::of(key).under(&prefix), key, outcome));
        }
    }
    entries
}
