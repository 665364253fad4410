//! The keys that every connector has, whatever its plugin (Kafka Connect, `ConnectorConfig`,
//! `SourceConnectorConfig`, `SinkConnectorConfig`). Types, defaults, groups, orders and display
//! names are the original's of 3.9.

use std::sync::LazyLock;

use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Validator, Width};
use crate::plugin::PluginKind;

pub const NAME: &str = "name";
pub const CONNECTOR_CLASS: &str = "connector.class";
pub const TASKS_MAX: &str = "tasks.max";
pub const TASKS_MAX_ENFORCE: &str = "tasks.max.enforce";
pub const KEY_CONVERTER: &str = "key.converter";
pub const VALUE_CONVERTER: &str = "value.converter";
pub const HEADER_CONVERTER: &str = "header.converter";
pub const TRANSFORMS: &str = "transforms";
pub const PREDICATES: &str = "predicates";
pub const CONFIG_ACTION_RELOAD: &str = "config.action.reload";
pub const ERRORS_RETRY_TIMEOUT: &str = "errors.retry.timeout";
pub const ERRORS_RETRY_DELAY_MAX_MS: &str = "errors.retry.delay.max.ms";
pub const ERRORS_TOLERANCE: &str = "errors.tolerance";
pub const ERRORS_LOG_ENABLE: &str = "errors.log.enable";
pub const ERRORS_LOG_INCLUDE_MESSAGES: &str = "errors.log.include.messages";
pub const TOPICS: &str = "topics";
pub const TOPICS_REGEX: &str = "topics.regex";
pub const DLQ_TOPIC_NAME: &str = "errors.deadletterqueue.topic.name";
pub const DLQ_TOPIC_REPLICATION_FACTOR: &str = "errors.deadletterqueue.topic.replication.factor";
pub const DLQ_CONTEXT_HEADERS_ENABLE: &str = "errors.deadletterqueue.context.headers.enable";
pub const TOPIC_CREATION_GROUPS: &str = "topic.creation.groups";
pub const EXACTLY_ONCE_SUPPORT: &str = "exactly.once.support";
pub const TRANSACTION_BOUNDARY: &str = "transaction.boundary";
pub const TRANSACTION_BOUNDARY_INTERVAL_MS: &str = "transaction.boundary.interval.ms";
pub const OFFSETS_STORAGE_TOPIC: &str = "offsets.storage.topic";

const COMMON: &str = "Common";
const ERRORS: &str = "Error Handling";
const EXACTLY_ONCE: &str = "Exactly Once Support";

static SOURCE: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new([common(), errors(), source()].concat()));
static SINK: LazyLock<ConfigDef> =
    LazyLock::new(|| ConfigDef::new([common(), errors(), sink()].concat()));

/// The framework's keys for a connector of this kind, in the original's order.
pub fn connector_config(kind: PluginKind) -> &'static ConfigDef {
    match kind {
        PluginKind::Sink => &SINK,
        _ => &SOURCE,
    }
}

fn common() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int, List, String};
    vec![
        ConfigKey::new(NAME, String, "The connector's name, unique in this Connect cluster.")
            .required()
            .high()
            .shown(COMMON, 1, Width::Medium, "Connector name")
            .check(Validator::Custom(name_rule)),
        ConfigKey::new(
            CONNECTOR_CLASS,
            String,
            "The plugin: its full class name, its simple name, or the simple name without \
             \"Connector\". org.apache.kafka.connect.file.FileStreamSinkConnector, for example, may \
             be written FileStreamSinkConnector or FileStreamSink.",
        )
        .required()
        .high()
        .shown(COMMON, 2, Width::Long, "Connector class"),
        ConfigKey::new(TASKS_MAX, Int, "The most tasks that the connector may be split into.")
            .default("1")
            .high()
            .shown(COMMON, 3, Width::Short, "Tasks max")
            .check(Validator::AtLeast(1)),
        ConfigKey::new(
            TASKS_MAX_ENFORCE,
            Boolean,
            "Deprecated. Whether a connector that asks for more tasks than tasks.max fails.",
        )
        .default("true")
        .shown(COMMON, 4, Width::Short, "Enforce tasks max"),
        ConfigKey::new(
            KEY_CONVERTER,
            Class,
            "How record keys are written to and read from Kafka. The worker's when absent.",
        )
        .shown(COMMON, 5, Width::Short, "Key converter class"),
        ConfigKey::new(
            VALUE_CONVERTER,
            Class,
            "How record values are written to and read from Kafka. The worker's when absent.",
        )
        .shown(COMMON, 6, Width::Short, "Value converter class"),
        ConfigKey::new(
            HEADER_CONVERTER,
            Class,
            "How header values are written to and read from Kafka. The worker's when absent, which \
             is the SimpleHeaderConverter if the worker does not say.",
        )
        .shown(COMMON, 7, Width::Short, "Header converter class"),
        ConfigKey::new(TRANSFORMS, List, "Aliases of the transforms that records pass, in order.")
            .default("")
            .shown("Transforms", 8, Width::Long, "Transforms")
            .check(Validator::Custom(unique_aliases)),
        ConfigKey::new(PREDICATES, List, "Aliases of the predicates that transforms may name.")
            .default("")
            .shown("Predicates", 9, Width::Long, "Predicates")
            .check(Validator::Custom(unique_aliases)),
        ConfigKey::new(
            CONFIG_ACTION_RELOAD,
            String,
            "What happens when a secret from a config provider expires: restart the connector, or \
             none.",
        )
        .default("restart")
        .shown(COMMON, 10, Width::Medium, "Reload Action")
        .check(Validator::OneOf(&["none", "restart"])),
    ]
}

fn errors() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Long, String};
    vec![
        ConfigKey::new(
            ERRORS_RETRY_TIMEOUT,
            Long,
            "How long, in milliseconds, a failed operation on a record is tried again; 0: not at \
             all, -1: for ever.",
        )
        .default("0")
        .medium()
        .shown(ERRORS, 1, Width::Medium, "Retry Timeout for Errors"),
        ConfigKey::new(
            ERRORS_RETRY_DELAY_MAX_MS,
            Long,
            "The longest pause between two tries in milliseconds; beyond it the pause is random.",
        )
        .default("60000")
        .medium()
        .shown(ERRORS, 2, Width::Medium, "Maximum Delay Between Retries for Errors"),
        ConfigKey::new(
            ERRORS_TOLERANCE,
            String,
            "none: the first bad record fails the task; all: bad records are skipped.",
        )
        .default("none")
        .medium()
        .shown(ERRORS, 3, Width::Short, "Error Tolerance")
        .check(Validator::OneOf(&["none", "all"])),
        ConfigKey::new(ERRORS_LOG_ENABLE, Boolean, "Whether each tolerated error is logged.")
            .default("false")
            .medium()
            .shown(ERRORS, 4, Width::Short, "Log Errors"),
        ConfigKey::new(
            ERRORS_LOG_INCLUDE_MESSAGES,
            Boolean,
            "Whether the log says which record it was: its topic, partition, offset and timestamp.",
        )
        .default("false")
        .medium()
        .shown(ERRORS, 5, Width::Short, "Log Error Details"),
    ]
}

fn sink() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, List, Short, String};
    vec![
        ConfigKey::new(TOPICS, List, "The topics to consume, separated by commas.")
            .default("")
            .high()
            .shown(COMMON, 4, Width::Long, "Topics"),
        ConfigKey::new(
            TOPICS_REGEX,
            String,
            "A regular expression; topics whose whole name matches are consumed. Either this or \
             topics.",
        )
        .default("")
        .high()
        .shown(COMMON, 4, Width::Long, "Topics regex")
        .check(Validator::Custom(regex_rule)),
        ConfigKey::new(
            DLQ_TOPIC_NAME,
            String,
            "The topic that takes the records that failed in a converter, a transform or the sink. \
             Blank: none.",
        )
        .default("")
        .medium()
        .shown(ERRORS, 6, Width::Medium, "Dead Letter Queue Topic Name"),
        ConfigKey::new(
            DLQ_TOPIC_REPLICATION_FACTOR,
            Short,
            "The replication factor with which the dead letter queue is created if it is absent.",
        )
        .default("3")
        .medium()
        .shown(ERRORS, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor"),
        ConfigKey::new(
            DLQ_CONTEXT_HEADERS_ENABLE,
            Boolean,
            "Whether records in the dead letter queue say what failed, in headers that start with \
             __connect.errors.",
        )
        .default("false")
        .medium()
        .shown(ERRORS, 8, Width::Medium, "Enable Error Context Headers"),
    ]
}

fn source() -> Vec<ConfigKey> {
    use ConfigType::{List, Long, String};
    vec![
        ConfigKey::new(
            TOPIC_CREATION_GROUPS,
            List,
            "Names of groups of topics, each with its own settings for topics that are created.",
        )
        .default("")
        .shown("Topic Creation", 1, Width::Long, "Topic Creation Groups")
        .check(Validator::Custom(unique_aliases)),
        ConfigKey::new(
            EXACTLY_ONCE_SUPPORT,
            String,
            "required: refuse the configuration unless the connector can deliver exactly once with \
             it; requested: do not ask.",
        )
        .default("requested")
        .medium()
        .shown(EXACTLY_ONCE, 2, Width::Short, "Exactly once support")
        .check(Validator::OneOfAnyCase(&["required", "requested"])),
        ConfigKey::new(
            TRANSACTION_BOUNDARY,
            String,
            "Where transactions of an exactly-once source end: after every poll, at an interval, or \
             where the connector says.",
        )
        .default("poll")
        .medium()
        .shown(EXACTLY_ONCE, 3, Width::Short, "Transaction Boundary")
        .check(Validator::OneOfAnyCase(&["interval", "poll", "connector"])),
        ConfigKey::new(
            TRANSACTION_BOUNDARY_INTERVAL_MS,
            Long,
            "The interval for transaction.boundary=interval, in milliseconds. The worker's offset \
             flush interval when absent.",
        )
        .shown(EXACTLY_ONCE, 4, Width::Short, "Transaction boundary interval")
        .check(Validator::Custom(at_least_0_when_set)),
        ConfigKey::new(
            OFFSETS_STORAGE_TOPIC,
            String,
            "A topic of the connector's own for its offsets.",
        )
        .shown("offsets.topic", 1, Width::Long, "Offsets topic")
        .check(Validator::NonEmpty),
    ]
}

fn name_rule(value: &ConfigValue) -> Option<String> {
    let ConfigValue::String(name) = value else { return None };
    if name.is_empty() {
        return Some("String may not be empty".to_owned());
    }
    let controls: Vec<_> = name
        .chars()
        .map(u32::from)
        .filter(|&code| code < 0x20 || code == 0x7f)
        .map(|code| code.to_string())
        .collect();
    (!controls.is_empty()).then(|| {
        let codes = controls.join(", ");
        format!(
            "String may not contain control sequences but had the following ASCII chars: {codes}"
        )
    })
}

fn unique_aliases(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::List(aliases) => {
            let repeated =
                aliases.iter().enumerate().any(|(i, a)| aliases.iter().take(i).any(|b| a == b));
            repeated.then(|| "Duplicate alias provided.".to_owned())
        }
        _ => Some("entry must be non null".to_owned()),
    }
}

fn regex_rule(value: &ConfigValue) -> Option<String> {
    let ConfigValue::String(pattern) = value else { return None };
    match fancy_regex::Regex::new(pattern) {
        Ok(_) => None,
        Err(error) => Some(format!("Invalid regex: {error}")),
    }
}

fn at_least_0_when_set(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::Null => None,
        value => Validator::AtLeast(0).check(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Submitted;

    #[track_caller]
    fn messages(kind: PluginKind, key: &str, text: &str) -> Vec<String> {
        let key = connector_config(kind).key(key).unwrap();
        key.outcome(key.name, Submitted::Text(text)).errors
    }

    #[test]
    fn defaults_parse() {
        for kind in [PluginKind::Source, PluginKind::Sink] {
            for key in connector_config(kind).keys() {
                let errors = key.outcome(key.name, Submitted::Absent).errors;
                assert_eq!(errors.is_empty(), !matches!(key.name, NAME | CONNECTOR_CLASS));
            }
        }
    }

    #[test]
    fn texts_are_the_originals() {
        use PluginKind::{Sink, Source};
        for (kind, key, text, expected) in [
            (Sink, NAME, "  ", "Invalid value  for configuration name: String may not be empty"),
            (
                Sink,
                NAME,
                "a\tb\u{1}",
                "Invalid value a\tb\u{1} for configuration name: String may not contain control \
                 sequences but had the following ASCII chars: 9, 1",
            ),
            (
                Sink,
                TRANSFORMS,
                "a, a",
                "Invalid value [a, a] for configuration transforms: Duplicate alias provided.",
            ),
            (
                Sink,
                ERRORS_TOLERANCE,
                "ALL",
                "Invalid value ALL for configuration errors.tolerance: String must be one of: none, \
                 all",
            ),
            (
                Source,
                EXACTLY_ONCE_SUPPORT,
                "foo",
                "Invalid value foo for configuration exactly.once.support: String must be one of \
                 (case insensitive): REQUIRED, REQUESTED",
            ),
            (
                Source,
                TRANSACTION_BOUNDARY,
                "foo",
                "Invalid value foo for configuration transaction.boundary: String must be one of \
                 (case insensitive): INTERVAL, POLL, CONNECTOR",
            ),
            (
                Source,
                TRANSACTION_BOUNDARY_INTERVAL_MS,
                "-1",
                "Invalid value -1 for configuration transaction.boundary.interval.ms: Value must be \
                 at least 0",
            ),
            (
                Source,
                OFFSETS_STORAGE_TOPIC,
                "",
                "Invalid value  for configuration offsets.storage.topic: String must be non-empty",
            ),
        ] {
            assert_eq!(messages(kind, key, text), [expected], "{key}={text}");
        }
        assert!(messages(Source, ERRORS_RETRY_TIMEOUT, "-5").is_empty());
        assert!(messages(Source, EXACTLY_ONCE_SUPPORT, "ReQuired").is_empty());
        assert!(messages(Sink, TOPICS_REGEX, "[").first().unwrap().contains("Invalid regex: "));
    }
}
