//! The table of keys, and the typed configuration.

use std::path::PathBuf;
use std::time::Duration;

use ferroconnect_analytics::{Config, S3Access, parse_tables};
use url::Url;

use crate::config::{
    ConfigDef, ConfigError, ConfigKey, ConfigType, ConfigValue, HostMap, Parsed, Props,
    SinkDefaults, Validator, Width,
};

const SOURCE: &str = "scd2.source";
const DATABASE: &str = "scd2.database";
const PUBLISH: &str = "scd2.publish";
const POLL_INTERVAL_MS: &str = "scd2.poll.interval.ms";
const ONLY: &str = "scd2.tables";
const TABLES_CONFIG: &str = "scd2.tables.config";
const SKIP_BAD: &str = "scd2.skip.bad.objects";
const STAGING_BYTES_MAX: &str = "scd2.staging.bytes.max";
const MEMORY_LIMIT: &str = "duckdb.memory.limit";
const THREADS: &str = "duckdb.threads";
const FILE_DELIM: &str = "file.delim";
const ADD_FIELDS_PREFIX: &str = "add.fields.prefix";
const PLACEHOLDER: &str = "unavailable.value.placeholder";
const STORE_URL: &str = "store.url";
const REGION: &str = "s3.region";
const PATH_STYLE: &str = "s3.path.style.access.enabled";
const ACCESS_KEY_ID: &str = "aws.access.key.id";
const SECRET_ACCESS_KEY: &str = "aws.secret.access.key";

const TABLES_GROUP: &str = "History tables";
const LIMITS_GROUP: &str = "Limits";
const FILES_GROUP: &str = "Files";
const STORE_GROUP: &str = "S3";

/// The keys, of which two are required.
pub fn config_def() -> ConfigDef {
    ConfigDef::new([places(), tables(), limits(), files(), store()].concat())
}

fn shown(key: ConfigKey, order: i32, name: &'static str) -> ConfigKey {
    key.shown(TABLES_GROUP, order, Width::Long, name)
}

fn places() -> Vec<ConfigKey> {
    use ConfigType::{Long, String};
    vec![
        shown(
            ConfigKey::new(
                SOURCE,
                String,
                "Where the change files are: s3://bucket/topics.dir of the S3 sink, file:///folder or a \
                 folder on the worker's machine.",
            )
            .required()
            .high()
            .check(Validator::NonEmpty),
            1,
            "Source",
        ),
        shown(
            ConfigKey::new(
                DATABASE,
                String,
                "The DuckDB file on the worker's machine; made if absent. It is closed between polls, so \
                 that others can open it then.",
            )
            .required()
            .high()
            .check(Validator::NonEmpty),
            2,
            "Database",
        ),
        shown(
            ConfigKey::new(
                PUBLISH,
                String,
                "Where a copy of the file is put after each poll that changed something: readers can keep \
                 it open as long as they like.",
            ),
            3,
            "Published copy",
        ),
        shown(
            ConfigKey::new(POLL_INTERVAL_MS, Long, "How often the prefix is listed, in milliseconds.")
                .default("10000")
                .check(Validator::AtLeast(100)),
            4,
            "Poll interval",
        ),
    ]
}

fn tables() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, List, String};
    vec![
        shown(
            ConfigKey::new(ONLY, List, "Only these tables or topics; all when empty.").default(""),
            5,
            "Tables",
        ),
        shown(
            ConfigKey::new(
                TABLES_CONFIG,
                String,
                "What is particular to topics, as JSON: {\"TOPIC\": {\"keys\": [\"id\"], \"deletes\": \
                 \"row\"}}. The members are those of the configuration file in docs/analytics.md.",
            )
            .check(Validator::Custom(tables_rule)),
            6,
            "Tables' settings",
        ),
        shown(
            ConfigKey::new(
                SKIP_BAD,
                Boolean,
                "Whether objects that cannot be read are set aside in cdc_rejects instead of stopping \
                 their table.",
            )
            .default("false"),
            7,
            "Skip bad objects",
        ),
    ]
}

fn limits() -> Vec<ConfigKey> {
    use ConfigType::{Int, Long, String};
    vec![
        ConfigKey::new(
            STAGING_BYTES_MAX,
            Long,
            "Bytes of objects that are staged on disk at a time, beside the database.",
        )
        .default("536870912")
        .check(Validator::AtLeast(1))
        .shown(LIMITS_GROUP, 1, Width::Medium, "Staging bytes"),
        ConfigKey::new(
            MEMORY_LIMIT,
            String,
            "DuckDB's memory_limit; what does not fit is spilled beside the database.",
        )
        .default("1500MB")
        .shown(LIMITS_GROUP, 2, Width::Short, "Memory limit"),
        ConfigKey::new(THREADS, Int, "DuckDB's threads. Default: one for each core.")
            .check(Validator::Custom(at_least_1_when_set))
            .shown(LIMITS_GROUP, 3, Width::Short, "Threads"),
    ]
}

fn files() -> Vec<ConfigKey> {
    use ConfigType::String;
    vec![
        ConfigKey::new(FILE_DELIM, String, "The file.delim of the sink.")
            .default("+")
            .check(Validator::NonEmpty)
            .shown(FILES_GROUP, 1, Width::Short, "File delimiter"),
        ConfigKey::new(
            ADD_FIELDS_PREFIX,
            String,
            "The add.fields.prefix of ExtractNewRecordState at the source.",
        )
        .default("__")
        .shown(FILES_GROUP, 2, Width::Short, "Prefix of added fields"),
        ConfigKey::new(PLACEHOLDER, String, "The unavailable.value.placeholder of the source.")
            .default("__debezium_unavailable_value")
            .shown(FILES_GROUP, 3, Width::Long, "Placeholder of unchanged values"),
    ]
}

fn store() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Password, String};
    vec![
        ConfigKey::new(
            STORE_URL,
            String,
            "The endpoint, for stores that are not Amazon's. Default: the worker's AWS_ENDPOINT_URL_S3 or \
             AWS_ENDPOINT_URL, else Amazon's of the region.",
        )
        .high()
        .shown(STORE_GROUP, 1, Width::Long, "Store URL"),
        ConfigKey::new(REGION, String, "The region. Default: the worker's AWS_REGION, else us-west-2.")
            .shown(STORE_GROUP, 2, Width::Short, "Region"),
        ConfigKey::new(
            PATH_STYLE,
            Boolean,
            "Whether requests name the bucket in the path instead of in the host.",
        )
        .default("true")
        .shown(STORE_GROUP, 3, Width::Short, "Path style"),
        ConfigKey::new(
            ACCESS_KEY_ID,
            String,
            "The access key. Default: the worker's, else the machine's role.",
        )
        .high()
        .shown(STORE_GROUP, 4, Width::Long, "AWS Access Key ID"),
        ConfigKey::new(SECRET_ACCESS_KEY, Password, "The secret that belongs to the access key.")
            .high()
            .shown(STORE_GROUP, 5, Width::Long, "AWS Secret Access Key"),
    ]
}

fn at_least_1_when_set(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::Null => None,
        value => Validator::Between(1, 1_024).check(value),
    }
}

fn tables_rule(value: &ConfigValue) -> Option<String> {
    let ConfigValue::String(text) = value else { return None };
    parse_tables(text).err()
}

/// A connector's configuration.
#[derive(Debug, Clone)]
pub(super) struct Scd2Config {
    pub(super) analytics: Config,
    pub(super) interval: Duration,
    pub(super) tables: Vec<String>,
    pub(super) skip_bad: bool,
}

impl Scd2Config {
    /// Reads `props`; what they leave open comes from the worker.
    ///
    /// # Errors
    /// Every message about every key.
    pub(super) fn new(
        props: &Props,
        defaults: &SinkDefaults,
        hosts: &HostMap,
    ) -> Result<Self, Vec<ConfigError>> {
        let def = config_def();
        let Ok(parsed) = def.parse(&props.clone()) else {
            let outcomes = def.validate(props).into_iter();
            return Err(outcomes
                .flat_map(|(key, outcome)| {
                    let errors = outcome.errors.into_iter();
                    errors.map(|message| ConfigError::new(key.name, message))
                })
                .collect());
        };
        let source = parsed.string(SOURCE);
        if !source.contains("://") && !PathBuf::from(&source).is_absolute() {
            let message = format!(
                "scd2.source \"{source}\" is no absolute path; write s3://bucket/prefix, \
                 file:///folder or /folder"
            );
            return Err(vec![ConfigError::new(SOURCE, message)]);
        }
        let database = PathBuf::from(parsed.string(DATABASE));
        if !database.is_absolute() {
            let message = format!(
                "scd2.database \"{}\" is relative to nothing; write an absolute path",
                database.display()
            );
            return Err(vec![ConfigError::new(DATABASE, message)]);
        }
        let mut analytics = Config::new(source, database);
        analytics.publish = parsed.optional_string(PUBLISH).map(PathBuf::from);
        analytics.file_delim = parsed.string(FILE_DELIM);
        analytics.add_fields_prefix = parsed.optional_string(ADD_FIELDS_PREFIX).unwrap_or_default();
        analytics.unavailable_value_placeholder = parsed.string(PLACEHOLDER);
        analytics.memory_limit = parsed.string(MEMORY_LIMIT);
        analytics.batch_bytes_max =
            u64::try_from(parsed.integer(STAGING_BYTES_MAX)).unwrap_or(u64::MAX);
        analytics.threads =
            parsed.optional_integer(THREADS).and_then(|threads| u16::try_from(threads).ok());
        if let Some(tables) = parsed.optional_string(TABLES_CONFIG) {
            analytics.tables = parse_tables(&tables)
                .map_err(|reason| vec![ConfigError::new(TABLES_CONFIG, reason)])?;
        }
        analytics.s3 = access(&parsed, defaults, hosts)?;
        let interval = u64::try_from(parsed.integer(POLL_INTERVAL_MS)).unwrap_or(10_000);
        Ok(Self {
            analytics,
            interval: Duration::from_millis(interval),
            tables: parsed.list(ONLY),
            skip_bad: parsed.boolean(SKIP_BAD),
        })
    }
}

/// The store, with the worker's settings where the connector has none.
fn access(
    parsed: &Parsed,
    defaults: &SinkDefaults,
    hosts: &HostMap,
) -> Result<S3Access, Vec<ConfigError>> {
    let own = parsed.optional_string(STORE_URL);
    let endpoint = match own.or_else(|| defaults.endpoint_url.clone()) {
        Some(text) => Some(endpoint(&text, hosts)?),
        None => None,
    };
    let written = |value: &String| {
        let value = value.trim();
        !(value.starts_with('<') && value.ends_with('>'))
    };
    let id = parsed.optional_string(ACCESS_KEY_ID).filter(written);
    let secret = parsed
        .optional_secret(SECRET_ACCESS_KEY)
        .map(|secret| secret.expose().to_owned())
        .filter(|secret| !secret.is_empty() && written(secret));
    let (access_key_id, secret_access_key, session_token) = match (id, secret) {
        (Some(id), Some(secret)) => (Some(id), Some(secret), None),
        _ => (
            defaults.access_key_id.clone(),
            defaults.secret_access_key.as_ref().map(|secret| secret.expose().to_owned()),
            defaults.session_token.as_ref().map(|token| token.expose().to_owned()),
        ),
    };
    Ok(S3Access {
        endpoint,
        region: parsed
            .optional_string(REGION)
            .filter(written)
            .or_else(|| defaults.region.clone())
            .or_else(|| Some("us-west-2".to_owned())),
        access_key_id,
        secret_access_key,
        session_token,
        virtual_hosted_style: !parsed.boolean(PATH_STYLE),
        anonymous: false,
    })
}

/// The endpoint as it is reached: `network.resolve` may know the host by another address.
fn endpoint(text: &str, hosts: &HostMap) -> Result<String, Vec<ConfigError>> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let wrong = || {
        let message = format!(
            "store.url \"{text}\" is no address of an S3 store; write http://host:port or \
             https://host"
        );
        vec![ConfigError::new(STORE_URL, message)]
    };
    let mut url = Url::parse(&full).map_err(|_| wrong())?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(wrong());
    };
    let (address, to_port) = hosts.resolve(host, port);
    // A certificate names the host: over https only the host itself can be asked.
    if url.scheme() == "http" && (address != host || to_port != port) {
        url.set_host(Some(&address)).map_err(|_| wrong())?;
        url.set_port(Some(to_port)).map_err(|()| wrong())?;
    }
    Ok(url.to_string().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn props(pairs: &[(&str, &str)]) -> Props {
        let mut props: Props = [(SOURCE, "s3://b/cdc_data"), (DATABASE, "/data/h.duckdb")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        props.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        props
    }

    #[test]
    fn what_is_left_open_comes_from_the_worker() {
        let defaults = SinkDefaults {
            endpoint_url: Some("http://minio:9000".to_owned()),
            access_key_id: Some("worker".to_owned()),
            secret_access_key: Some(Secret::new("hush")),
            ..SinkDefaults::default()
        };
        let hosts = HostMap::parse("minio:9000=127.0.0.1:19000").unwrap();
        let placeholder = props(&[(ACCESS_KEY_ID, "<YOUR_KEY>"), (SECRET_ACCESS_KEY, "<S>")]);
        let config = Scd2Config::new(&placeholder, &defaults, &hosts).unwrap();
        let s3 = &config.analytics.s3;
        assert_eq!(s3.endpoint.as_deref(), Some("http://127.0.0.1:19000"));
        assert_eq!(s3.access_key_id.as_deref(), Some("worker"));
        assert_eq!(config.interval, Duration::from_secs(10));
        let own =
            props(&[(ACCESS_KEY_ID, "own"), (SECRET_ACCESS_KEY, "s"), (STORE_URL, "s3.test")]);
        let config = Scd2Config::new(&own, &defaults, &hosts).unwrap();
        let s3 = &config.analytics.s3;
        assert_eq!(s3.endpoint.as_deref(), Some("https://s3.test"));
        assert_eq!(s3.access_key_id.as_deref(), Some("own"));
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (key, value, word) in [
            (SOURCE, "cdc_data", "absolute"),
            (DATABASE, "history.duckdb", "absolute"),
            (POLL_INTERVAL_MS, "5", "at least 100"),
            (THREADS, "0", "at least 1"),
            (TABLES_CONFIG, "{\"t\": {\"delets\": \"row\"}}", "delets"),
            (STORE_URL, "http://", "store.url"),
        ] {
            let (defaults, hosts) = (SinkDefaults::default(), HostMap::default());
            let errors = Scd2Config::new(&props(&[(key, value)]), &defaults, &hosts).unwrap_err();
            let text = format!("{errors:?}");
            assert!(text.contains(word) && text.contains(key), "{key}={value}: {text}");
        }
    }
}
