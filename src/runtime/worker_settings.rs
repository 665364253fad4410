//! Where the worker's settings come from: a properties file, and the environment as the original's
//! images take it (`confluentinc/cp-kafka-connect`, `debezium/connect`), and our own.
//!
//! A compose file that was written for one of those images sets the same settings here. Nothing is
//! read from the environment elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::{ConfigDef, ConfigType, Props, nearest};
use crate::runtime::validation::worker_client_keys;
use crate::runtime::worker_config::definition;

/// The settings as they stand, each with its origin.
#[derive(Clone, Default)]
pub struct WorkerSettings {
    values: BTreeMap<String, Setting>,
}

/// A setting that somebody set.
#[derive(Clone)]
struct Setting {
    value: String,
    origin: Origin,
}

/// Who set a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The properties file.
    File(String),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file) => f.write_str(file),
            Self::Variable(variable) => write!(f, "${variable}"),
        }
    }
}

/// A setting as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    pub name: String,
    /// `[hidden]` for what is secret.
    pub value: String,
    pub origin: Origin,
    /// It is accepted, and changes nothing here.
    pub without_effect: bool,
}

/// A setting that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSetting {
    pub name: String,
    pub origin: Origin,
    /// The setting that was meant, perhaps.
    pub near: Option<String>,
}

// Settings hold passwords under many names.
impl fmt::Debug for WorkerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl WorkerSettings {
    /// What is set, by whom ever; later sources win: `file` with its name, then the environment as
    /// the images of the original take it, then our own variables.
    pub fn gather(file: Option<(&str, &Props)>, env: &BTreeMap<String, String>) -> Self {
        let mut settings = Self::default();
        if let Some((name, props)) = file {
            for (key, value) in props {
                settings.set(key.clone(), value.clone(), Origin::File(name.to_owned()));
            }
        }
        settings.of_debezium(env);
        for prefix in ["CONNECT_", "FERROCONNECT_"] {
            for (variable, value) in env {
                let Some(name) = variable.strip_prefix(prefix) else { continue };
                let foreign = FOREIGN_VARIABLES.iter().any(|foreign| name.starts_with(foreign));
                let own = prefix == "FERROCONNECT_" && OWN_VARIABLES.contains(&name);
                if !foreign && !own {
                    let origin = Origin::Variable(variable.clone());
                    settings.set(setting_name(name), value.clone(), origin);
                }
            }
        }
        for (short, setting) in SHORT_NAMES {
            if let Some(value) = settings.values.remove(*short) {
                settings.values.insert((*setting).to_owned(), value);
            }
        }
        if !settings.values.contains_key("state.database.url")
            && let Some(url) = env.get("DATABASE_URL")
        {
            let origin = Origin::Variable("DATABASE_URL".to_owned());
            settings.set("state.database.url".to_owned(), url.clone(), origin);
        }
        settings
    }

    /// What `debezium/connect` takes without the prefix `CONNECT_`.
    fn of_debezium(&mut self, env: &BTreeMap<String, String>) {
        let linked = linked_brokers(env);
        if !linked.is_empty() {
            let origin = Origin::Variable("..._PORT_9092_TCP".to_owned());
            self.set("bootstrap.servers".to_owned(), linked, origin);
        }
        for (variable, setting) in DEBEZIUM_VARIABLES {
            if let Some(value) = env.get(*variable).filter(|value| !value.is_empty()) {
                let origin = Origin::Variable((*variable).to_owned());
                self.set((*setting).to_owned(), value.clone(), origin);
            }
        }
    }

    fn set(&mut self, name: String, value: String, origin: Origin) {
        self.values.insert(name, Setting { value, origin });
    }

    /// The settings without their origins.
    pub fn props(&self) -> Props {
        self.values.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect()
    }

    /// Every setting that holds, defaults included, as it may be shown.
    pub fn effective(&self) -> Vec<ShownSetting> {
        let definition = definition();
        let mut shown: BTreeMap<&str, ShownSetting> = BTreeMap::new();
        for key in definition.keys() {
            let crate::config::Default::Text(text) = key.default else { continue };
            shown.insert(key.name, self.shown(&definition, key.name, text, Origin::Default));
        }
        for (name, Setting { value, origin }) in &self.values {
            shown.insert(name, self.shown(&definition, name, value, origin.clone()));
        }
        shown.into_values().collect()
    }

    fn shown(
        &self,
        definition: &ConfigDef,
        name: &str,
        value: &str,
        origin: Origin,
    ) -> ShownSetting {
        let secret = is_secret(definition, name);
        ShownSetting {
            name: name.to_owned(),
            value: if secret && !value.is_empty() { "[hidden]" } else { value }.to_owned(),
            origin,
            without_effect: definition.key(name).is_none() && is_without_effect(name),
        }
    }

    /// The settings that nobody reads.
    pub fn unknown(&self) -> Vec<UnknownSetting> {
        let definition = definition();
        let own = definition.keys().iter().map(|key| key.name);
        let elsewhere = READ_ELSEWHERE.iter().chain(WITHOUT_EFFECT).copied();
        let known: BTreeSet<String> =
            own.chain(elsewhere).map(str::to_owned).chain(worker_client_keys()).collect();
        let is_known = |name: &str| {
            known.contains(name)
                || is_without_effect(name)
                || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let unknown = self.values.iter().filter(|(name, _)| !is_known(name));
        unknown
            .map(|(name, setting)| UnknownSetting {
                name: name.clone(),
                origin: setting.origin.clone(),
                near: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            })
            .collect()
    }
}

/// Names of passwords and keys, and of what holds them: a JAAS entry, a URL with a password.
fn is_secret(definition: &ConfigDef, name: &str) -> bool {
    const PARTS: [&str; 7] =
        ["password", "secret", "token", "credential", "jaas", "keystore.key", "user.info"];
    let password = |key: &crate::config::ConfigKey| key.ty == ConfigType::Password;
    definition.key(name).is_some_and(password)
        || PARTS.iter().any(|part| name.to_lowercase().contains(part))
}

fn is_without_effect(name: &str) -> bool {
    WITHOUT_EFFECT.contains(&name)
        || WITHOUT_EFFECT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What `debezium/connect` takes without the prefix `CONNECT_`.
const DEBEZIUM_VARIABLES: &[(&str, &str)] = &[
    ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
    ("GROUP_ID", "group.id"),
    ("CONFIG_STORAGE_TOPIC", "config.storage.topic"),
    ("OFFSET_STORAGE_TOPIC", "offset.storage.topic"),
    ("STATUS_STORAGE_TOPIC", "status.storage.topic"),
    ("KEY_CONVERTER", "key.converter"),
    ("VALUE_CONVERTER", "value.converter"),
    ("INTERNAL_KEY_CONVERTER", "internal.key.converter"),
    ("INTERNAL_VALUE_CONVERTER", "internal.value.converter"),
    ("OFFSET_FLUSH_INTERVAL_MS", "offset.flush.interval.ms"),
    ("OFFSET_FLUSH_TIMEOUT_MS", "offset.flush.timeout.ms"),
    ("SHUTDOWN_TIMEOUT", "task.shutdown.graceful.timeout.ms"),
    ("TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS", "task.shutdown.graceful.timeout.ms"),
    ("REST_HOST_NAME", "rest.host.name"),
    ("REST_PORT", "rest.port"),
    ("ADVERTISED_HOST_NAME", "rest.advertised.host.name"),
    ("ADVERTISED_PORT", "rest.advertised.port"),
];

/// The brokers that Docker's links tell of, as `debezium/connect` finds them:
/// `KAFKA_PORT_9092_TCP=tcp://172.17.0.3:9092`.
fn linked_brokers(env: &BTreeMap<String, String>) -> String {
    let linked = env.iter().filter(|(variable, _)| variable.ends_with("PORT_9092_TCP"));
    let mut brokers: Vec<&str> =
        linked.filter_map(|(_, value)| value.strip_prefix("tcp://")).collect();
    brokers.dedup();
    brokers.join(",")
}

/// Variables with our prefixes that are no settings: the images' logging, waiting and Java options,
/// and what tests and scripts are addressed by.
const FOREIGN_VARIABLES: &[&str] =
    &["LOG4J_", "JVM_", "CUB_", "TEST_", "DEV_", "DEMO_", "CACHE", "POSTGRES_", "KAFKA_"];

/// Variables of ours that `cli` reads.
const OWN_VARIABLES: &[&str] = &["LOG", "LOG_FORMAT", "URL", "TOKEN", "BINARY"];

/// Variables of ours whose settings have longer names.
const SHORT_NAMES: &[(&str, &str)] =
    &[("database.url", "state.database.url"), ("resolve", "network.resolve")];

/// Settings that other parts read from all settings.
const READ_ELSEWHERE: &[&str] = &[
    "access.control.allow.methods",
    "access.control.allow.origin",
    "connector.client.config.override.policy",
    "response.http.headers.config",
    "security.protocol",
];

/// What stands below a name that is read.
const PREFIXES: &[&str] = &[
    "admin.listeners.https.",
    "config.providers.",
    "header.converter.",
    "key.converter.",
    "listeners.https.",
    "sasl.",
    "ssl.",
    "value.converter.",
];

/// Settings of the original that mean nothing here, because state lies in PostgreSQL, workers share
/// leases and plugins are built in.
const WITHOUT_EFFECT: &[&str] = &[
    "auto.include.jmx.reporter",
    "client.dns.lookup",
    "client.id",
    "config.storage.topic",
    "connect.protocol",
    "connections.max.idle.ms",
    "heartbeat.interval.ms",
    "metadata.max.age.ms",
    "metadata.recovery.strategy",
    "offset.storage.file.filename",
    "plugin.discovery",
    "plugin.path",
    "rebalance.timeout.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "scheduled.rebalance.max.delay.ms",
    "send.buffer.bytes",
    "session.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "status.storage.topic",
    "task.profiling.enable",
    "worker.sync.timeout.ms",
    "worker.unsync.backoff.ms",
];

const WITHOUT_EFFECT_PREFIXES: &[&str] = &[
    "config.storage.",
    "confluent.",
    "inter.worker.",
    "internal.",
    "metric.reporters",
    "metrics.",
    "offset.storage.",
    "status.storage.",
];

/// `A_B` is `a.b`, `A__B` is `a_b`, `A___B` is `a-b`, as in the images.
fn setting_name(variable: &str) -> String {
    let lower = variable.to_lowercase();
    lower.replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn unknown_settings_are_told_with_what_was_meant() {
        let file = env(&[
            ("grup.id", "x"),
            ("offset.flush.intervall.ms", "1"),
            ("something.else.entirely", "1"),
            ("plugin.path", "/p"),
            ("producer.linger.ms", "5"),
            ("producer.lingr.ms", "5"),
            ("value.converter.schemas.enable", "true"),
            ("sasl.jaas.config", "x"),
            ("config.storage.replication.factor", "1"),
            ("listeners.https.ssl.keystore.location", "/k"),
            ("admin.listeners.https.ssl.keystore.location", "/k"),
        ]);
        let settings = WorkerSettings::gather(Some(("w.properties", &file)), &env(&[]));
        let unknown: Vec<_> =
            settings.unknown().into_iter().map(|unknown| (unknown.name, unknown.near)).collect();
        let expected = [
            ("grup.id", Some("group.id")),
            ("offset.flush.intervall.ms", Some("offset.flush.interval.ms")),
            ("producer.lingr.ms", Some("producer.linger.ms")),
            ("something.else.entirely", None),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, near)| (name.to_owned(), near.map(str::to_owned)))
            .collect();
        assert_eq!(unknown, expected);
    }

    #[test]
    fn what_holds_is_shown_with_its_origin_and_without_secrets() {
        let file = env(&[("group.id", "file"), ("producer.sasl.jaas.config", "hunter2")]);
        let env = env(&[
            ("CONNECT_GROUP_ID", "image"),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("CONNECT_PLUGIN_PATH", "/usr/share/java"),
            ("FERROCONNECT_LOG", "debug"),
            ("CONNECT_LOG4J_LOGGERS", "x"),
        ]);
        let settings = WorkerSettings::gather(Some(("w.properties", &file)), &env);
        let shown = settings.effective();
        let find = |name: &str| {
            let found = shown.iter().find(|shown| shown.name == name);
            found
                .map(|shown| (shown.value.as_str(), shown.origin.to_string(), shown.without_effect))
        };
        let row = |value: &'static str, origin: &str, effect: bool| {
            Some((value, origin.to_owned(), effect))
        };
        assert_eq!(find("group.id"), row("image", "$CONNECT_GROUP_ID", false));
        assert_eq!(find("producer.sasl.jaas.config"), row("[hidden]", "w.properties", false));
        assert_eq!(find("state.database.url"), row("[hidden]", "$DATABASE_URL", false));
        assert_eq!(find("plugin.path"), row("/usr/share/java", "$CONNECT_PLUGIN_PATH", true));
        assert_eq!(find("rest.port"), row("8083", "default", false));
        assert_eq!(find("log"), None);
        assert_eq!(find("log4j.loggers"), None);
        assert!(settings.unknown().is_empty(), "{:?}", settings.unknown());
        assert!(!format!("{settings:?}{shown:?}").contains("hunter2"));
    }

    #[test]
    fn linked_brokers_are_found() {
        let linked = |pairs: &[(&str, &str)]| {
            let settings = WorkerSettings::gather(None, &env(pairs));
            settings.props().get("bootstrap.servers").cloned()
        };
        let link = ("KAFKA_PORT_9092_TCP", "tcp://172.17.0.3:9092");
        assert_eq!(linked(&[link]).as_deref(), Some("172.17.0.3:9092"));
        assert_eq!(linked(&[link, ("BOOTSTRAP_SERVERS", "k:1")]).as_deref(), Some("k:1"));
        assert_eq!(linked(&[]), None);
    }
}
