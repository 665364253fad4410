//! The typed configuration: everything parsed and resolved, every cross-property rule checked.

use std::time::Duration;

use super::compatibility::Compatibility;
use super::config_def::{self as def, config_def};
use super::format::Format;
use super::naming::Naming;
use super::partitioner::Partitioner;
use super::rotation::{Limits, Schedule};
use super::zone::Zone;
use crate::config::{ConfigError, Parsed, Props, SinkDefaults};

mod formats;
mod partitioning;
mod store;
#[cfg(test)]
mod tests;

pub(super) use self::store::{Credentials, Encryption, Place, Role, Source, StoreConfig, Tagging};

const ROTATE_IDLE_INTERVAL_MS_DEFAULT: i64 = 60_000;

/// What to do with records whose value is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NullValues {
    Fail,
    Ignore,
    /// To objects of keys.
    Write,
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
    /// `s3.max.parts.in.flight`
    pub(super) parts_in_flight: usize,
    /// `s3.max.files.in.flight`
    pub(super) files_in_flight: usize,
    /// `s3.object.tagging`, where it is on.
    pub(super) tagging: Option<Tagging>,
    /// `max.write.duration.ms`
    pub(super) write_max: Duration,
    /// What is accepted and yet not as the file says; for the log.
    pub(super) warnings: Vec<String>,
}

impl S3Config {
    /// Reads `props`; what they leave open comes from the worker.
    ///
    /// # Errors
    /// Every message about every key: those that a task starts with among them.
    pub(super) fn new(props: &Props, defaults: &SinkDefaults) -> Result<Self, Vec<ConfigError>> {
        let (config, mut reader) = Self::read(props, defaults);
        reader.errors.append(&mut reader.start_errors);
        config.filter(|_| reader.errors.is_empty()).ok_or(reader.errors)
    }

    /// What is wrong with `props` as far as the original tells before a task starts; a file that it
    /// accepts is accepted.
    pub(super) fn refusals(props: &Props, defaults: &SinkDefaults) -> Vec<ConfigError> {
        Self::read(props, defaults).1.errors
    }

    fn read(props: &Props, defaults: &SinkDefaults) -> (Option<Self>, Reader) {
        let mut reader = Reader::default();
        let props = reader.without_placeholders(props);
        let Ok(parsed) = config_def().parse(&props) else {
            reader.errors = table_errors(&props);
            return (None, reader);
        };
        let format = reader.format(&parsed, &props, def::FORMAT_CLASS);
        let keys = reader.companion(&parsed, &props, def::STORE_KEYS, def::KEYS_FORMAT_CLASS);
        let headers =
            reader.companion(&parsed, &props, def::STORE_HEADERS, def::HEADERS_FORMAT_CLASS);
        let store = reader.store(&parsed, &props, defaults);
        let tagging = reader.tagging(&parsed);
        let naming = reader.naming(&parsed, [&format, &keys, &headers]);
        let null_values = reader.null_values(&parsed);
        let partitioner = reader.partitioner(&parsed, null_values == NullValues::Write);
        let limits = reader.limits(&parsed, defaults, &partitioner);
        let part_size = usize::try_from(parsed.integer(def::PART_SIZE)).unwrap_or(usize::MAX);
        let write_max = u64::try_from(parsed.integer(def::MAX_WRITE_DURATION_MS));
        reader.warn_of_habits(&parsed);
        let config = format.map(|format| Self {
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
            parts_in_flight: at_least_one(parsed.integer(def::PARTS_IN_FLIGHT)),
            files_in_flight: at_least_one(parsed.integer(def::FILES_IN_FLIGHT)),
            tagging,
            write_max: Duration::from_millis(write_max.unwrap_or_default()),
            warnings: std::mem::take(&mut reader.warnings),
        });
        (config, reader)
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
#[derive(Default)]
struct Reader {
    errors: Vec<ConfigError>,
    /// What the original tells only when a task starts.
    start_errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Reader {
    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(ConfigError::new(key, message));
    }

    /// An error that the original tells only when a task starts.
    fn start_error(&mut self, key: &str, message: impl Into<String>) {
        self.start_errors.push(ConfigError::new(key, message));
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
                    self.start_error(def::TIMEZONE, message);
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
            file_bytes: on(parsed.integer(def::ROTATE_FILE_SIZE_BYTES))
                .and_then(|bytes| usize::try_from(bytes).ok()),
            rotate_interval_ms,
            rotate_on_path_change: parsed.boolean(def::ROTATE_ON_PATH_CHANGE),
            open_files_max: usize::try_from(parsed.integer(def::OPEN_FILES_MAX)).ok(),
            schedule,
            idle_interval_ms: on(idle),
        }
    }

    /// Values that the original takes silently for something else.
    fn warn_of_habits(&mut self, parsed: &Parsed) {
        let compatibility = parsed.string(def::SCHEMA_COMPATIBILITY);
        if !matches!(compatibility.as_str(), "NONE" | "BACKWARD" | "FORWARD" | "FULL") {
            self.warnings.push(format!(
                "schema.compatibility={compatibility} means NONE, as in the original; write BACKWARD, \
                 FORWARD or FULL"
            ));
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

fn at_least_one(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default().max(1)
}

fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    value.len() > 2 && value.starts_with('<') && value.ends_with('>')
}
