//! The worker's settings with their meaning. Where they come from: [`crate::runtime::worker_settings`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    AwsEnvironment, ConfigDef, ConfigKey, ConfigProviders, ConfigType, Egress, HostMap,
    MemoryBudget, Parsed, Props, Secret, SinkDefaults, Validator, with_prefix,
};
use crate::error::ConnectError;
use crate::runtime::listener::{self, Listeners};
use crate::runtime::security_config::{self, SecurityConfig};
use crate::runtime::worker_settings::WorkerSettings;

/// Source offsets are stored at least this often, whatever `offset.flush.interval.ms` says: what is
/// repeated after a crash stays below this much.
const OFFSET_FLUSH_INTERVAL_MS_MAX: i64 = 500;

/// The settings of a worker, everything parsed.
#[derive(Clone)]
pub struct WorkerConfig {
    /// `bootstrap.servers`
    pub bootstrap_servers: String,
    /// `group.id`
    pub group_id: String,
    /// `key.converter` and what follows `key.converter.`
    pub key_converter: ConverterConfig,
    /// `value.converter` and what follows `value.converter.`
    pub value_converter: ConverterConfig,
    /// `header.converter` and what follows `header.converter.`
    pub header_converter: ConverterConfig,
    /// The shorter of `offset.flush.interval.ms` and 500 ms.
    pub offset_flush_interval: Duration,
    /// `offset.flush.interval.ms` as it is set: the default of `transaction.boundary.interval.ms`.
    pub transaction_interval: Duration,
    /// `exactly.once.source.support=enabled`: where sources' offsets go.
    pub exactly_once: Option<OffsetsTopic>,
    /// `offset.flush.timeout.ms`
    pub offset_flush_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`
    pub task_shutdown_graceful_timeout: Duration,
    /// `task.stall.timeout.ms`
    pub task_stall_timeout: Duration,
    /// `task.restart.*`
    pub task_restart: TaskRestart,
    /// Where the REST API listens.
    pub listeners: Listeners,
    /// `rest.request.max.bytes`
    pub request_bytes_max: usize,
    /// `topic.creation.enable`
    pub topic_creation_enable: bool,
    /// `topic.tracking.enable`
    pub topic_tracking_enable: bool,
    /// `topic.tracking.allow.reset`
    pub topic_tracking_allow_reset: bool,
    /// `state.database.url`
    pub database_url: Secret,
    /// `state.database.max.connections`
    pub database_max_connections: u32,
    /// `network.resolve`, under the guard of `egress.*`
    pub hosts: Arc<HostMap>,
    /// Who may do what.
    pub security: SecurityConfig,
    /// What sinks get whose configuration does not say.
    pub sink_defaults: Arc<SinkDefaults>,
    /// `config.providers`
    pub providers: Arc<ConfigProviders>,
    /// `connectors.dir`
    pub connectors_dir: Option<String>,
    /// Every setting as it stands: client settings (`security.protocol`, `sasl.*`, `ssl.*`,
    /// `producer.*`, `consumer.*`, `admin.*`) are read from here.
    pub settings: Props,
}

// Settings hold passwords under many names.
impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group_id", &self.group_id)
            .field("settings", &self.settings.keys())
            .finish_non_exhaustive()
    }
}

/// `offset.storage.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetsTopic {
    pub name: String,
    pub partitions: i32,
    /// -1 is the brokers' default.
    pub replication_factor: i32,
}

/// A converter class with its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConverterConfig {
    pub class: String,
    pub props: Props,
}

/// How tasks that failed for an outside reason are restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRestart {
    /// `task.restart.backoff.initial.ms`
    pub backoff_initial: Duration,
    /// `task.restart.backoff.max.ms`
    pub backoff_max: Duration,
    /// `task.restart.max.attempts`; `None`: without limit.
    pub max_attempts: Option<u32>,
}

impl WorkerConfig {
    /// Reads the settings. Later sources win: `file`, then the environment as the images of the
    /// original take it, then our own variables.
    ///
    /// # Errors
    /// Every setting that is missing or cannot be read, each with the remedy.
    pub fn from_sources(
        file: Option<&Props>,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectError> {
        let gathered = WorkerSettings::gather(file.map(|file| ("file", file)), env);
        Self::new(&gathered, env)
    }

    /// Gives gathered settings their meaning.
    ///
    /// # Errors
    /// As [`WorkerConfig::from_sources`].
    pub fn new(
        gathered: &WorkerSettings,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectError> {
        let settings = gathered.props();
        let providers = ConfigProviders::from_settings(&settings, env)?;
        // The worker's own settings may refer to providers, too.
        let settings = providers.resolve(&settings)?.props;
        let parsed = definition().parse(&settings)?;
        let listeners = Listeners::of(&parsed, &settings)?;
        let hosts = HostMap::parse(&parsed.string("network.resolve")).map_err(|error| {
            ConnectError::config(format!("the setting network.resolve is wrong: {error}"))
        })?;
        let egress = Egress::parse(&parsed.list("egress.allow"), &parsed.list("egress.deny"))
            .map_err(ConnectError::config)?;
        Ok(Self {
            bootstrap_servers: parsed.list("bootstrap.servers").join(","),
            group_id: parsed.string("group.id"),
            key_converter: converter(&parsed, &settings, "key.converter"),
            value_converter: converter(&parsed, &settings, "value.converter"),
            header_converter: converter(&parsed, &settings, "header.converter"),
            offset_flush_interval: millis(
                parsed.integer("offset.flush.interval.ms").min(OFFSET_FLUSH_INTERVAL_MS_MAX),
            ),
            transaction_interval: millis(parsed.integer("offset.flush.interval.ms")),
            exactly_once: exactly_once(&parsed)?,
            offset_flush_timeout: millis(parsed.integer("offset.flush.timeout.ms")),
            task_shutdown_graceful_timeout: millis(
                parsed.integer("task.shutdown.graceful.timeout.ms"),
            ),
            task_stall_timeout: millis(parsed.integer("task.stall.timeout.ms")),
            task_restart: TaskRestart {
                backoff_initial: millis(parsed.integer("task.restart.backoff.initial.ms")),
                backoff_max: millis(parsed.integer("task.restart.backoff.max.ms")),
                max_attempts: u32::try_from(parsed.integer("task.restart.max.attempts")).ok(),
            },
            listeners,
            request_bytes_max: usize::try_from(parsed.integer("rest.request.max.bytes"))
                .unwrap_or(usize::MAX),
            topic_creation_enable: parsed.boolean("topic.creation.enable"),
            topic_tracking_enable: parsed.boolean("topic.tracking.enable"),
            topic_tracking_allow_reset: parsed.boolean("topic.tracking.allow.reset"),
            database_url: database_url(&parsed)?,
            database_max_connections: u32::try_from(
                parsed.integer("state.database.max.connections"),
            )
            .unwrap_or(u32::MAX),
            hosts: Arc::new(hosts.guarded(egress)),
            security: SecurityConfig::of(&parsed, env)?,
            sink_defaults: Arc::new(sink_defaults(&parsed, env)),
            providers: Arc::new(providers),
            connectors_dir: parsed.optional_string("connectors.dir"),
            settings,
        })
    }
}

/// The worker's keys: those of the original that have an effect here, and ours.
pub fn definition() -> ConfigDef {
    let others = [listener::keys(), security_config::keys(), Egress::keys()];
    let all = keys().into_iter().chain(exactly_once_keys()).chain(others.into_iter().flatten());
    ConfigDef::new(all.collect())
}

fn keys() -> Vec<ConfigKey> {
    let text = |name, default, doc| ConfigKey::new(name, ConfigType::String, doc).default(default);
    let optional = |name, doc| ConfigKey::new(name, ConfigType::String, doc);
    let number = |name, default, doc| {
        ConfigKey::new(name, ConfigType::Long, doc).default(default).check(Validator::AtLeast(0))
    };
    let flag = |name, default, doc| ConfigKey::new(name, ConfigType::Boolean, doc).default(default);
    const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
    const SIMPLE: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
    vec![
        ConfigKey::new("bootstrap.servers", ConfigType::List, "The Kafka cluster, host:port,...")
            .default("localhost:9092")
            .high(),
        text("group.id", "ferroconnect", "The name that workers of one cluster share").high(),
        text("key.converter", JSON, "The converter of keys for connectors that set none"),
        text("value.converter", JSON, "The converter of values for connectors that set none"),
        text("header.converter", SIMPLE, "The converter of headers for connectors that set none"),
        number("offset.flush.interval.ms", "60000", "How often offsets are stored, 500 at most"),
        number("offset.flush.timeout.ms", "5000", "How long storing offsets may take"),
        number("task.shutdown.graceful.timeout.ms", "5000", "How long a task may take to stop"),
        number(
            "task.stall.timeout.ms",
            "180000",
            "A task that runs, has work and moves nothing for this long is reported as stalled; 0: never",
        ),
        number("task.restart.backoff.initial.ms", "1000", "Before the first restart of a task"),
        number("task.restart.backoff.max.ms", "300000", "Between restarts of a task, at most"),
        ConfigKey::new(
            "task.restart.max.attempts",
            ConfigType::Int,
            "How often a task that failed for an outside reason is restarted; -1 without limit",
        )
        .default("-1")
        .check(Validator::AtLeast(-1)),
        number("rest.request.max.bytes", "2097152", "Longer bodies of requests are refused"),
        flag("topic.creation.enable", "true", "Whether connectors may say how topics are made"),
        flag("topic.tracking.enable", "true", "Whether the topics of a connector are kept"),
        flag("topic.tracking.allow.reset", "true", "Whether they may be forgotten on demand"),
        ConfigKey::new(
            "state.database.url",
            ConfigType::Password,
            "The PostgreSQL database that keeps connectors, offsets and statuses",
        )
        .high(),
        number("state.database.max.connections", "8", "Connections to it, at most")
            .check(Validator::Between(1, 1000)),
        optional("network.resolve", "host[:port]=address[:port],... as curl's --connect-to"),
        ConfigKey::new(
            "s3.rotate.idle.interval.ms",
            ConfigType::Long,
            "The default of the S3 sink's rotate.idle.interval.ms",
        ),
        ConfigKey::new(
            "s3.buffer.memory",
            ConfigType::Long,
            "What the open files of all S3 sinks together may hold in memory, in bytes",
        )
        .default("100663296")
        .check(Validator::AtLeast(16 * 1024 * 1024)),
        providers_key(),
        optional("connectors.dir", "Connector files to be created at start if absent"),
    ]
}

/// Of sources that deliver exactly once.
fn exactly_once_keys() -> [ConfigKey; 4] {
    let number = |name, default, doc| ConfigKey::new(name, ConfigType::Int, doc).default(default);
    [
        ConfigKey::new(
            "exactly.once.source.support",
            ConfigType::String,
            "enabled: sources write in transactions, together with their offsets; disabled, preparing",
        )
        .default("disabled")
        .check(Validator::OneOfAnyCase(&["disabled", "enabled", "preparing"])),
        ConfigKey::new(
            "offset.storage.topic",
            ConfigType::String,
            "With exactly.once.source.support=enabled: the topic of the sources' offsets",
        ),
        number("offset.storage.partitions", "25", "Of that topic when it is made"),
        number(
            "offset.storage.replication.factor",
            "-1",
            "Of that topic when it is made; -1 as the brokers say",
        ),
    ]
}

/// The key that names config providers.
fn providers_key() -> ConfigKey {
    ConfigKey::new(
        "config.providers",
        ConfigType::List,
        "Names of providers that configurations may refer to as ${name:path:key}; each has \
         config.providers.{name}.class (FileConfigProvider, DirectoryConfigProvider or \
         EnvVarConfigProvider of org.apache.kafka.common.config.provider) and \
         config.providers.{name}.param.allowed.paths or .allowlist.pattern",
    )
}

/// Where sources' offsets go, if they deliver exactly once.
fn exactly_once(parsed: &Parsed) -> Result<Option<OffsetsTopic>, ConnectError> {
    if !parsed.string("exactly.once.source.support").eq_ignore_ascii_case("enabled") {
        return Ok(None);
    }
    let name = parsed.optional_string("offset.storage.topic").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        ConnectError::config(
            "the setting offset.storage.topic is missing: with exactly.once.source.support=enabled \
             sources write their offsets there; set CONNECT_OFFSET_STORAGE_TOPIC",
        )
    })?;
    let number = |key: &str| i32::try_from(parsed.integer(key)).unwrap_or(-1);
    Ok(Some(OffsetsTopic {
        name,
        partitions: number("offset.storage.partitions"),
        replication_factor: number("offset.storage.replication.factor"),
    }))
}

fn millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

fn converter(parsed: &Parsed, settings: &Props, key: &str) -> ConverterConfig {
    ConverterConfig { class: parsed.string(key), props: with_prefix(settings, &format!("{key}.")) }
}

fn database_url(parsed: &Parsed) -> Result<Secret, ConnectError> {
    parsed
        .optional_secret("state.database.url")
        .filter(|url| !url.expose().trim().is_empty())
        .ok_or_else(|| {
            ConnectError::config(
                "the setting state.database.url is missing: the worker keeps its state in \
                 PostgreSQL; set FERROCONNECT_DATABASE_URL to \
                 postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            )
        })
}

/// The worker's own S3 settings, by the variables of the AWS SDKs.
fn sink_defaults(parsed: &Parsed, env: &BTreeMap<String, String>) -> SinkDefaults {
    let first = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| env.get(*name));
        values.find(|value| !value.is_empty()).cloned()
    };
    SinkDefaults {
        endpoint_url: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
        region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
        access_key_id: first(&["AWS_ACCESS_KEY_ID"]),
        secret_access_key: first(&["AWS_SECRET_ACCESS_KEY"]).map(Secret::new),
        session_token: first(&["AWS_SESSION_TOKEN"]).map(Secret::new),
        aws: AwsEnvironment::of(env),
        rotate_idle_interval_ms: parsed.optional_integer("s3.rotate.idle.interval.ms"),
        memory: Arc::new(MemoryBudget::new(
            usize::try_from(parsed.integer("s3.buffer.memory")).unwrap_or(usize::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_properties;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn with_database(pairs: &[(&str, &str)]) -> Result<WorkerConfig, ConnectError> {
        let mut env = env(pairs);
        env.insert("DATABASE_URL".to_owned(), "postgres://h/d".to_owned());
        WorkerConfig::from_sources(None, &env)
    }

    #[test]
    fn nothing_but_the_database_is_required() {
        let error = WorkerConfig::from_sources(None, &env(&[])).unwrap_err().to_string();
        assert!(
            error.contains("state.database.url") && error.contains("FERROCONNECT_DATABASE_URL")
        );

        let config = with_database(&[]).unwrap();
        assert_eq!(config.bootstrap_servers, "localhost:9092");
        assert_eq!(config.value_converter.class, "org.apache.kafka.connect.json.JsonConverter");
        assert!(config.value_converter.props.is_empty());
        assert_eq!(config.listeners.api.first().unwrap().address(), ("0.0.0.0", 8083));
        assert_eq!(config.offset_flush_interval, Duration::from_millis(500));
        assert_eq!(config.task_restart.max_attempts, None);
        assert_eq!(config.task_shutdown_graceful_timeout, Duration::from_secs(5));
    }

    #[test]
    fn later_sources_win() {
        let file = parse_properties(
            "bootstrap.servers=file:1\ngroup.id=file\nvalue.converter.schemas.enable=false\n\
             state.database.url=postgres://file/d",
        )
        .unwrap();
        let check = |pairs: &[(&str, &str)], bootstrap: &str, url: &str| {
            let config = WorkerConfig::from_sources(Some(&file), &env(pairs)).unwrap();
            assert_eq!(config.bootstrap_servers, bootstrap, "{pairs:?}");
            assert_eq!(config.database_url.expose(), url, "{pairs:?}");
            assert_eq!(config.value_converter.props["schemas.enable"], "false");
        };
        check(&[("DATABASE_URL", "postgres://generic/d")], "file:1", "postgres://file/d");
        check(&[("BOOTSTRAP_SERVERS", "debezium:1")], "debezium:1", "postgres://file/d");
        check(
            &[("BOOTSTRAP_SERVERS", "debezium:1"), ("CONNECT_BOOTSTRAP_SERVERS", "cp:1")],
            "cp:1",
            "postgres://file/d",
        );
        check(
            &[
                ("CONNECT_BOOTSTRAP_SERVERS", "cp:1"),
                ("FERROCONNECT_BOOTSTRAP_SERVERS", "ours:1"),
                ("FERROCONNECT_DATABASE_URL", "postgres://ours/d"),
            ],
            "ours:1",
            "postgres://ours/d",
        );
    }

    #[test]
    fn variables_become_settings_as_in_the_images() {
        let config = with_database(&[
            ("CONNECT_KEY_CONVERTER_SCHEMAS_ENABLE", "false"),
            ("CONNECT_PRODUCER_SASL_JAAS_CONFIG", "x"),
            ("CONNECT_A__B___C", "1"),
            ("CONNECT_LOG4J_ROOT_LOGLEVEL", "WARN"),
            ("CONNECT_REST_ADVERTISED_HOST_NAME", "connect"),
            ("FERROCONNECT_RESOLVE", "postgres=127.0.0.1"),
            ("FERROCONNECT_TASK_RESTART_MAX_ATTEMPTS", "3"),
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
        ])
        .unwrap();
        assert_eq!(config.key_converter.props["schemas.enable"], "false");
        assert_eq!(config.settings["producer.sasl.jaas.config"], "x");
        assert_eq!(config.settings["a_b-c"], "1");
        assert!(!config.settings.keys().any(|key| key.starts_with("log4j")));
        assert_eq!(config.listeners.advertised_host.as_deref(), Some("connect"));
        assert_eq!(config.hosts.resolve("postgres", 5432).0, "127.0.0.1");
        assert_eq!(config.task_restart.max_attempts, Some(3));
        assert_eq!(config.sink_defaults.region.as_deref(), Some("eu-west-1"));
        assert!(!format!("{config:?}").contains("jaas.config\": \"x"));
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let error = with_database(&[
            ("OFFSET_FLUSH_INTERVAL_MS", "soon"),
            ("CONNECT_TOPIC_CREATION_ENABLE", "maybe"),
        ])
        .unwrap_err()
        .to_string();
        assert!(error.contains("offset.flush.interval.ms"), "{error}");
        assert!(error.contains("topic.creation.enable"), "{error}");
        let error = with_database(&[("FERROCONNECT_RESOLVE", "x")]).unwrap_err().to_string();
        assert!(error.contains("network.resolve"), "{error}");
    }
}
