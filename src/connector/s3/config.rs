//! The typed configuration: everything parsed and resolved, every cross-property rule checked.

use url::Url;

use super::compatibility::Compatibility;
use super::config_def::{self as def, config_def};
use super::format::Format;
use super::naming::Naming;
use super::partitioner::Partitioner;
use super::rotation::{Limits, Schedule};
use super::zone::Zone;
use crate::config::{ConfigError, Parsed, Props, Secret, SinkDefaults};

mod formats;
mod partitioning;
#[cfg(test)]
mod tests;

const REGION_DEFAULT: &str = "us-west-2";
const ROTATE_IDLE_INTERVAL_MS_DEFAULT: i64 = 60_000;

/// What to do with records whose value is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NullValues {
    Fail,
    Ignore,
    /// To objects of keys.
    Write,
}

/// Where the bucket is and how it is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoreConfig {
    pub(super) bucket: String,
    pub(super) region: String,
    /// `None` is Amazon's of the region.
    pub(super) endpoint: Option<Url>,
    pub(super) path_style: bool,
    pub(super) credentials: Credentials,
    pub(super) encryption: Encryption,
    pub(super) retries: usize,
    pub(super) retry_backoff_ms: u64,
    pub(super) proxy: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Credentials {
    Static {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    },
    /// What the machine is entitled to (the instance metadata service).
    Machine,
    Anonymous,
}

/// Server-side encryption.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Encryption {
    Bucket,
    S3,
    Kms(String),
    Customer(Secret),
}

/// A sink's configuration.
#[derive(Debug, Clone)]
pub(super) struct S3Config {
    pub(super) store: StoreConfig,
    pub(super) format: Format,
    /// `store.kafka.keys`
    pub(super) keys: Option<Format>,
    /// `store.kafka.headers`
    pub(super) headers: Option<Format>,
    pub(super) naming: Naming,
    pub(super) partitioner: Partitioner,
    pub(super) limits: Limits,
    pub(super) compatibility: Compatibility,
    pub(super) null_values: NullValues,
    /// `report.null.values.to.dlq`: of ignored ones.
    pub(super) report_null_values: bool,
    pub(super) part_size: usize,
    /// What is accepted and yet not as the file says; for the log.
    pub(super) warnings: Vec<String>,
}

impl S3Config {
    /// Reads `props`; what they leave open comes from the worker.
    ///
    /// # Errors
    /// Every message about every key.
    pub(super) fn new(props: &Props, defaults: &SinkDefaults) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader { errors: Vec::new(), warnings: Vec::new() };
        let props = reader.without_placeholders(props);
        let Ok(parsed) = config_def().parse(&props) else { return Err(table_errors(&props)) };
        reader.check_unsupported(&parsed);
        let format = reader.format(&parsed, &props, def::FORMAT_CLASS);
        let keys = reader.companion(&parsed, &props, def::STORE_KEYS, def::KEYS_FORMAT_CLASS);
        let headers =
            reader.companion(&parsed, &props, def::STORE_HEADERS, def::HEADERS_FORMAT_CLASS);
        let store = reader.store(&parsed, &props, defaults);
        let naming = reader.naming(&parsed, [&format, &keys, &headers]);
        let null_values = reader.null_values(&parsed);
        let partitioner = reader.partitioner(&parsed, null_values == NullValues::Write);
        let limits = reader.limits(&parsed, defaults, &partitioner);
        let part_size = usize::try_from(parsed.integer(def::PART_SIZE)).unwrap_or(usize::MAX);
        match format {
            Some(format) if reader.errors.is_empty() => Ok(Self {
                store,
                format,
                keys,
                headers,
                naming,
                partitioner,
                limits,
                compatibility: Compatibility::of(&parsed.string(def::SCHEMA_COMPATIBILITY)),
                null_values,
                report_null_values: parsed.boolean(def::REPORT_NULL_VALUES),
                part_size,
                warnings: reader.warnings,
            }),
            _ => Err(reader.errors),
        }
    }
}

fn table_errors(props: &Props) -> Vec<ConfigError> {
    let def = config_def();
    let outcomes = def.validate(props).into_iter();
    outcomes
        .flat_map(|(key, outcome)| {
            outcome.errors.into_iter().map(|message| ConfigError::new(key.name, message))
        })
        .collect()
}

/// Gathers messages while the parts are read.
struct Reader {
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Reader {
    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(ConfigError::new(key, message));
    }

    /// Example files come with `<YOUR_KEY>`; such a value cannot be meant.
    fn without_placeholders(&mut self, props: &Props) -> Props {
        const KEYS: &[&str] = &[
            def::ACCESS_KEY_ID,
            def::SECRET_ACCESS_KEY,
            def::REGION,
            def::STORE_URL,
            def::SSE_CUSTOMER_KEY,
            def::SSE_KMS_KEY_ID,
        ];
        let mut props = props.clone();
        for key in KEYS {
            if props.get(*key).is_some_and(|value| is_placeholder(value)) {
                props.remove(*key);
                self.warnings.push(format!(
                    "{key} is an unfilled placeholder and counts as absent; the worker's own \
                     setting is used"
                ));
            }
        }
        props
    }

    fn check_unsupported(&mut self, parsed: &Parsed) {
        for (key, remedy) in [
            (def::OBJECT_TAGGING, "set it to false"),
            (def::WAN_MODE, "set it to false, or name the accelerated endpoint in store.url"),
        ] {
            if parsed.boolean(key) {
                self.error(key, format!("{key} is not supported by this version; {remedy}"));
            }
        }
        if parsed.boolean(def::WAN_MODE) && parsed.boolean(def::PATH_STYLE) {
            for key in [def::WAN_MODE, def::PATH_STYLE] {
                self.error(
                    key,
                    "accelerated mode and path-style access exclude each other: disable one",
                );
            }
        }
        if parsed.optional_string(def::ACL_CANNED).is_some() {
            self.error(
                def::ACL_CANNED,
                "s3.acl.canned is not supported by this version; leave it out and use a bucket \
                 policy",
            );
        }
    }

    fn store(&mut self, parsed: &Parsed, props: &Props, defaults: &SinkDefaults) -> StoreConfig {
        let bucket = parsed.string(def::BUCKET);
        if bucket.is_empty() {
            self.error(def::BUCKET, "s3.bucket.name is blank; name a bucket");
        }
        let region = match props.get(def::REGION) {
            Some(region) => region.trim().to_owned(),
            None => defaults.region.clone().unwrap_or_else(|| REGION_DEFAULT.to_owned()),
        };
        StoreConfig {
            bucket,
            region,
            endpoint: self.endpoint(parsed, defaults),
            path_style: parsed.boolean(def::PATH_STYLE),
            credentials: self.credentials(parsed, defaults),
            encryption: self.encryption(parsed),
            retries: usize::try_from(parsed.integer(def::PART_RETRIES)).unwrap_or_default(),
            retry_backoff_ms: u64::try_from(parsed.integer(def::RETRY_BACKOFF_MS))
                .unwrap_or_default(),
            proxy: self.proxy(parsed),
        }
    }

    fn endpoint(&mut self, parsed: &Parsed, defaults: &SinkDefaults) -> Option<Url> {
        let own = parsed.optional_string(def::STORE_URL);
        let text = own.or_else(|| defaults.endpoint_url.clone())?;
        let full = if text.contains("://") { text.clone() } else { format!("https://{text}") };
        match Url::parse(&full) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {
                Some(url)
            }
            _ => {
                let message = format!(
                    "store.url \"{text}\" is no address of an S3 store; write http://host:port or \
                     https://host"
                );
                self.error(def::STORE_URL, message);
                None
            }
        }
    }

    fn credentials(&mut self, parsed: &Parsed, defaults: &SinkDefaults) -> Credentials {
        let id = parsed.optional_string(def::ACCESS_KEY_ID);
        let secret = secret(parsed, def::SECRET_ACCESS_KEY);
        let provider = parsed.string(def::CREDENTIALS_PROVIDER);
        let is = |class: &'static str| def::full_class(&provider, &[class]).is_some();
        if is(def::ASSUME_ROLE_PROVIDER) {
            let message = "assuming a role is not supported by this version; give the worker \
                           credentials of the role, or set aws.access.key.id";
            self.error(def::CREDENTIALS_PROVIDER, message);
        }
        match (id, secret) {
            (Some(access_key_id), Some(secret_access_key)) => {
                return Credentials::Static {
                    access_key_id,
                    secret_access_key,
                    session_token: None,
                };
            }
            (None, None) => {}
            (id, _) => {
                let (given, missing) = match id {
                    Some(_) => (def::ACCESS_KEY_ID, def::SECRET_ACCESS_KEY),
                    None => (def::SECRET_ACCESS_KEY, def::ACCESS_KEY_ID),
                };
                self.warnings.push(format!("{given} is ignored because {missing} is not set"));
            }
        }
        if is(def::ANONYMOUS_PROVIDER) {
            return Credentials::Anonymous;
        }
        match (&defaults.access_key_id, &defaults.secret_access_key) {
            (Some(id), Some(secret)) => Credentials::Static {
                access_key_id: id.clone(),
                secret_access_key: secret.clone(),
                session_token: defaults.session_token.clone(),
            },
            _ => Credentials::Machine,
        }
    }

    fn encryption(&mut self, parsed: &Parsed) -> Encryption {
        let customer_key = secret(parsed, def::SSE_CUSTOMER_KEY);
        let kms_key = parsed.optional_string(def::SSE_KMS_KEY_ID);
        match (parsed.string(def::SSEA_NAME).as_str(), customer_key, kms_key) {
            ("AES256", None, _) => Encryption::S3,
            ("AES256", Some(key), _) => {
                if !is_sse_key(&key) {
                    self.error(def::SSE_CUSTOMER_KEY, "the key is not 32 bytes in base64");
                }
                Encryption::Customer(key)
            }
            ("aws:kms", _, Some(key)) => Encryption::Kms(key),
            _ => Encryption::Bucket,
        }
    }

    fn proxy(&mut self, parsed: &Parsed) -> Option<String> {
        let text = parsed.optional_string(def::PROXY_URL)?;
        let Ok(mut url) = Url::parse(&text) else {
            self.error(def::PROXY_URL, "s3.proxy.url is no URL; write http://host:port");
            return None;
        };
        if let Some(user) = parsed.optional_string(def::PROXY_USER) {
            let password = secret(parsed, def::PROXY_PASSWORD);
            let password = password.as_ref().map(Secret::expose);
            if url.set_username(&user).and_then(|()| url.set_password(password)).is_err() {
                self.error(def::PROXY_URL, "s3.proxy.url cannot carry a user");
            }
        }
        Some(url.into())
    }

    fn naming(&mut self, parsed: &Parsed, formats: [&Option<Format>; 3]) -> Naming {
        let [values, keys, headers] =
            formats.map(|format| format.as_ref().map(Format::extension).unwrap_or_default());
        let naming = Naming {
            topics_dir: parsed.string(def::TOPICS_DIR),
            directory_delim: parsed.string(def::DIRECTORY_DELIM),
            file_delim: parsed.string(def::FILE_DELIM),
            offset_width: usize::try_from(parsed.integer(def::OFFSET_PAD_WIDTH))
                .unwrap_or_default(),
            extension: values,
            keys_extension: format!(".keys{keys}"),
            headers_extension: format!(".headers{headers}"),
        };
        if let Some(reason) = naming.refusal() {
            self.error(def::TOPICS_DIR, reason);
        }
        naming
    }

    fn limits(
        &mut self,
        parsed: &Parsed,
        defaults: &SinkDefaults,
        partitioner: &Partitioner,
    ) -> Limits {
        let on = |interval: i64| (0 < interval).then_some(interval);
        let schedule =
            on(parsed.integer(def::ROTATE_SCHEDULE_INTERVAL_MS)).and_then(|interval_ms| {
                let Some(zone) = Zone::parse(&parsed.string(def::TIMEZONE)) else {
                    let message =
                        "timezone configuration must be set when using rotate.schedule.interval.ms";
                    self.error(def::TIMEZONE, message);
                    return None;
                };
                Some(Schedule { interval_ms, zone })
            });
        let rotate_interval_ms = on(parsed.integer(def::ROTATE_INTERVAL_MS));
        if rotate_interval_ms.is_some() && !partitioner.is_by_time() {
            self.warnings.push(
                "rotate.interval.ms goes by the records' Kafka timestamps; the original ignores it \
                 with this partitioner"
                    .to_owned(),
            );
        }
        let idle = parsed.optional_integer(def::ROTATE_IDLE_INTERVAL_MS);
        let idle =
            idle.or(defaults.rotate_idle_interval_ms).unwrap_or(ROTATE_IDLE_INTERVAL_MS_DEFAULT);
        Limits {
            flush_size: u64::try_from(parsed.integer(def::FLUSH_SIZE)).unwrap_or_default().max(1),
            rotate_interval_ms,
            rotate_on_path_change: parsed.boolean(def::ROTATE_ON_PATH_CHANGE),
            open_files_max: usize::try_from(parsed.integer(def::OPEN_FILES_MAX)).ok(),
            schedule,
            idle_interval_ms: on(idle),
        }
    }

    fn null_values(&mut self, parsed: &Parsed) -> NullValues {
        match parsed.string(def::BEHAVIOR_ON_NULL_VALUES).to_lowercase().as_str() {
            "ignore" => NullValues::Ignore,
            "write" => {
                if !parsed.boolean(def::STORE_KEYS) {
                    let message = "Writing Kafka record keys to storage is mandatory when \
                                   tombstone writing is enabled.";
                    self.error(def::STORE_KEYS, message);
                    self.error(def::BEHAVIOR_ON_NULL_VALUES, message);
                }
                NullValues::Write
            }
            _ => NullValues::Fail,
        }
    }
}

fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    value.len() > 2 && value.starts_with('<') && value.ends_with('>')
}

fn secret(parsed: &Parsed, key: &str) -> Option<Secret> {
    parsed.optional_secret(key).filter(|secret| !secret.expose().is_empty())
}

fn is_sse_key(key: &Secret) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(key.expose())
        .is_ok_and(|bytes| bytes.len() == 32)
}
