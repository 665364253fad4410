//! The connector's configuration, typed: past this struct nothing looks up a key.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ConfigError, Parsed, Props, Secret};
use crate::connector::postgres::column_mapper::Mappers;
use crate::connector::postgres::config_keys;
use crate::connector::postgres::config_types::{self, TypeModes};
use crate::connector::postgres::context_headers;
use crate::connector::postgres::filter::{Filters, Patterns, Selector};
use crate::connector::postgres::generation::Generation;
use crate::connector::postgres::heartbeat::HeartbeatConfig;
use crate::connector::postgres::in_progress::InProgressConfig;
use crate::connector::postgres::incremental::IncrementalConfig;
use crate::connector::postgres::notification::NotificationConfig;
use crate::connector::postgres::signal::SignalConfig;
use crate::connector::postgres::snapshot::SnapshotConfig;
use crate::data::Header;
use crate::error::ConnectError;

/// What a person asked for.
#[derive(Debug, Clone)]
pub(super) struct PostgresConfig {
    /// Whose records these look like.
    pub(super) generation: Generation,
    pub(super) server: ServerConfig,
    pub(super) topic_prefix: String,
    pub(super) topic_delimiter: String,
    pub(super) plugin: String,
    pub(super) slot: SlotConfig,
    pub(super) publication: PublicationConfig,
    pub(super) status_interval: Duration,
    /// `None`: the server keeps transactions until they commit.
    pub(super) in_progress: Option<InProgressConfig>,
    pub(super) snapshot: SnapshotConfig,
    pub(super) incremental: IncrementalConfig,
    pub(super) signals: SignalConfig,
    pub(super) notifications: NotificationConfig,
    /// Nothing is written to the database.
    pub(super) read_only: bool,
    pub(super) filters: Filters,
    pub(super) message_prefixes: Selector,
    pub(super) mappers: Mappers,
    pub(super) skip_unchanged: bool,
    pub(super) types: TypeModes,
    pub(super) names: NameModes,
    pub(super) tombstones: bool,
    pub(super) skipped: BTreeSet<String>,
    pub(super) key_columns: Vec<(Patterns, Vec<String>)>,
    pub(super) mismatch: MismatchStrategy,
    pub(super) position_check: bool,
    pub(super) fail_on_bad_value: bool,
    /// What becomes of a change with a value that records cannot show.
    pub(super) unshowable: Unshowable,
    pub(super) acknowledge: bool,
    /// Where transactions are told, when they are.
    pub(super) transaction_topic: Option<String>,
    pub(super) heartbeat: Option<HeartbeatConfig>,
    /// How often the slot's `catalog_xmin` is read into records; `None`: never.
    pub(super) xmin_interval: Option<Duration>,
    pub(super) guardrail: Guardrail,
    pub(super) replica_identities: Vec<(Patterns, String)>,
    /// The headers that each record of a row has.
    pub(super) headers: Arc<[Header]>,
}

/// Where the server is and how to log in.
#[derive(Debug, Clone)]
pub(super) struct ServerConfig {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: String,
    pub(super) tls: TlsConfig,
    pub(super) query_timeout: Duration,
    pub(super) initial_statements: Vec<String>,
}

/// libpq's `ssl*` parameters.
#[derive(Debug, Clone)]
pub(super) struct TlsConfig {
    pub(super) mode: SslMode,
    pub(super) root_cert: Option<String>,
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
}

/// How many tables may be captured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guardrail {
    /// `None`: any number.
    pub(super) tables_max: Option<usize>,
    /// More than that stop the task.
    pub(super) fail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug, Clone)]
pub(super) struct SlotConfig {
    pub(super) name: String,
    pub(super) drop_on_stop: bool,
    pub(super) failover: bool,
    pub(super) stream_params: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct PublicationConfig {
    pub(super) name: String,
    pub(super) mode: PublicationMode,
    pub(super) via_root: bool,
    /// `skipped.operations` was given, so that the publication leaves them out too.
    pub(super) shape: bool,
    pub(super) statement_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicationMode {
    Disabled,
    AllTables,
    Filtered,
    NoTables,
}

/// How names are adjusted for Avro.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameModes {
    pub(super) schemas: Adjustment,
    pub(super) fields: Adjustment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adjustment {
    Keep,
    Avro,
    AvroUnicode,
}

/// What becomes of a change that records cannot show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unshowable {
    Fails,
    IsToldAndLeftOut,
    IsLeftOut,
}

/// Whose position is right when the slot is ahead of the stored offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MismatchStrategy {
    NoValidation,
    TrustOffset,
    TrustSlot,
    TrustGreater,
}

impl PostgresConfig {
    /// Reads the configuration.
    pub(super) fn new(props: &Props) -> Result<Self, ConnectError> {
        let parsed = config_keys::honoured().parse(props)?;
        if let Some(error) = cross_errors(props).into_iter().next() {
            return Err(ConnectError::config(error.message));
        }
        let text = |key: &str| props.get(key).map(String::as_str);
        let bad = |key: &'static str| {
            move |reason: String| ConnectError::config(format!("{key}: {reason}"))
        };
        let selector = |include: &'static str, exclude: &'static str| {
            Selector::new(text(include), text(exclude)).map_err(bad(include))
        };
        let filters = Filters {
            schemas: selector("schema.include.list", "schema.exclude.list")?,
            tables: selector("table.include.list", "table.exclude.list")?,
            columns: selector("column.include.list", "column.exclude.list")?,
            ignore_builtin: parsed.boolean("table.ignore.builtin"),
            signal_table: parsed.list("signal.data.collection").into_iter().next(),
        };
        let prefixes = selector("message.prefix.include.list", "message.prefix.exclude.list")?;
        let skipped = parsed.list("skipped.operations");
        let generation = generation(&parsed);
        let extended =
            parsed.boolean("extended.headers.enabled") && generation == Generation::Three;
        let headers = match extended {
            true => context_headers::of_run(&parsed.string("topic.prefix")),
            false => [].into(),
        };
        Ok(Self {
            generation,
            server: server(&parsed)?,
            topic_prefix: parsed.string("topic.prefix"),
            topic_delimiter: parsed.string("topic.delimiter"),
            plugin: parsed.string("plugin.name").to_lowercase(),
            slot: slot(&parsed),
            publication: publication(props, &parsed),
            status_interval: millis(&parsed, "status.update.interval.ms"),
            in_progress: in_progress(&parsed),
            snapshot: SnapshotConfig::new(props, &parsed)?,
            incremental: IncrementalConfig::new(&parsed),
            signals: SignalConfig::new(props, &parsed),
            notifications: NotificationConfig::new(&parsed),
            read_only: parsed.boolean("read.only"),
            filters,
            message_prefixes: prefixes,
            mappers: Mappers::new(props)?,
            skip_unchanged: parsed.boolean("skip.messages.without.change"),
            types: config_types::parse(&parsed, generation)?,
            names: names(props, &parsed),
            tombstones: parsed.boolean("tombstones.on.delete"),
            skipped: skipped.into_iter().filter(|operation| operation != "none").collect(),
            key_columns: key_columns(&parsed).map_err(bad("message.key.columns"))?,
            mismatch: mismatch(&parsed),
            position_check: parsed.boolean("internal.log.position.check.enable"),
            fail_on_bad_value: is(&parsed, "event.converting.failure.handling.mode", "fail"),
            unshowable: unshowable(&parsed),
            acknowledge: acknowledges(&parsed),
            transaction_topic: transaction_topic(&parsed),
            heartbeat: heartbeat(&parsed),
            xmin_interval: Some(millis(&parsed, "xmin.fetch.interval.ms"))
                .filter(|interval| !interval.is_zero()),
            guardrail: guardrail(&parsed),
            replica_identities: replica_identities(&parsed)
                .map_err(bad("replica.identity.autoset.values"))?,
            headers,
        })
    }
}

impl PostgresConfig {
    /// Whether `message.key.columns` gives the records of a table a key.
    pub(super) fn has_key_columns(&self, table: &str) -> bool {
        self.key_columns.iter().any(|(tables, _)| tables.matches(table))
    }
}

/// What only several keys together can tell.
pub(super) fn cross_errors(props: &Props) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut report = |key: &str, reason: String| {
        errors.push(ConfigError::new(key, format!("The '{key}' value is invalid: {reason}")));
    };
    let get = |key: &str| props.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    for kind in ["schema", "table", "column", "message.prefix"] {
        let include = format!("{kind}.include.list");
        let exclude = format!("{kind}.exclude.list");
        if get(&include).is_some() && get(&exclude).is_some() {
            report(&exclude, format!("\"{include}\" is already specified"));
        }
    }
    let number = |key: &str, default: i64| get(key).map_or(Some(default), |text| text.parse().ok());
    if let (Some(queue), Some(batch)) =
        (number("max.queue.size", 8192), number("max.batch.size", 2048))
        && queue > 0
        && queue <= batch
    {
        report("max.queue.size", "Must be larger than the maximum batch size".to_owned());
    }
    for mode in ["snapshot.mode", "snapshot.query.mode", "snapshot.locking.mode"] {
        let name = format!("{mode}.custom.name");
        if get(mode).is_some_and(|value| value.eq_ignore_ascii_case("custom"))
            && get(&name).is_none()
        {
            report(&name, format!("{name} cannot be empty when {mode} 'custom' is defined"));
        }
    }
    // Each generation has its own word for the mode that reads no rows.
    let older = get("debezium.compatibility") == Some("2.3");
    let not_its_own = if older { "no_data" } else { "never" };
    if get("snapshot.mode").is_some_and(|mode| mode.eq_ignore_ascii_case(not_its_own)) {
        let modes = match older {
            true => "always, never, initial_only, initial, custom",
            false => {
                "always, initial_only, configuration_based, when_needed, initial, custom, no_data"
            }
        };
        report("snapshot.mode", format!("Value must be one of {modes}"));
    }
    let sink = get("notification.enabled.channels")
        .is_some_and(|channels| channels.split(',').any(|channel| channel.trim() == "sink"));
    if sink && get("notification.sink.topic.name").is_none() {
        report(
            "notification.sink.topic.name",
            "Notification topic name must be provided when kafka notification channel is enabled"
                .to_owned(),
        );
    }
    errors
}

pub(super) fn server(parsed: &Parsed) -> Result<ServerConfig, ConnectError> {
    let port = parsed.integer("database.port");
    let mode = match parsed.string("database.sslmode").to_lowercase().as_str() {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => SslMode::Prefer,
    };
    Ok(ServerConfig {
        host: parsed.string("database.hostname"),
        port: u16::try_from(port)
            .map_err(|_| ConnectError::config(format!("database.port: {port} is no port")))?,
        user: parsed.string("database.user"),
        password: parsed.optional_secret("database.password"),
        database: parsed.string("database.dbname"),
        tls: TlsConfig {
            mode,
            root_cert: parsed.optional_string("database.sslrootcert"),
            cert: parsed.optional_string("database.sslcert"),
            key: parsed.optional_string("database.sslkey"),
        },
        query_timeout: millis(parsed, "database.query.timeout.ms"),
        initial_statements: statements(&parsed.string("database.initial.statements")),
    })
}

fn slot(parsed: &Parsed) -> SlotConfig {
    let params = parsed.string("slot.stream.params");
    let pair = |item: &str| {
        let (key, value) = item.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    SlotConfig {
        name: parsed.string("slot.name"),
        drop_on_stop: parsed.boolean("slot.drop.on.stop"),
        failover: parsed.boolean("slot.failover"),
        stream_params: params.split(';').filter_map(pair).collect(),
    }
}

fn in_progress(parsed: &Parsed) -> Option<InProgressConfig> {
    let folder = parsed.optional_string("streaming.spill.directory");
    parsed.boolean("streaming.in.progress").then(|| InProgressConfig {
        folder: folder.map_or_else(std::env::temp_dir, PathBuf::from),
        disk_max: u64::try_from(parsed.integer("streaming.spill.max.bytes")).unwrap_or(0),
    })
}

fn publication(props: &Props, parsed: &Parsed) -> PublicationConfig {
    let mode = match parsed.string("publication.autocreate.mode").to_lowercase().as_str() {
        "disabled" => PublicationMode::Disabled,
        "filtered" => PublicationMode::Filtered,
        "no_tables" => PublicationMode::NoTables,
        _ => PublicationMode::AllTables,
    };
    let seconds = parsed.integer("internal.create.slot.command.timeout");
    PublicationConfig {
        name: parsed.string("publication.name"),
        mode,
        via_root: parsed.boolean("publish.via.partition.root"),
        shape: props.get("skipped.operations").is_some_and(|text| text.trim() != "none"),
        statement_timeout: Duration::from_secs(u64::try_from(seconds).unwrap_or(90)),
    }
}

fn generation(parsed: &Parsed) -> Generation {
    match parsed.string("debezium.compatibility").trim() {
        "2.3" => Generation::Two,
        _ => Generation::Three,
    }
}

fn transaction_topic(parsed: &Parsed) -> Option<String> {
    let topic = || {
        let parts = ["topic.prefix", "topic.delimiter", "topic.transaction"];
        parts.map(|key| parsed.string(key)).concat()
    };
    parsed.boolean("provide.transaction.metadata").then(topic)
}

fn heartbeat(parsed: &Parsed) -> Option<HeartbeatConfig> {
    let interval = millis(parsed, "heartbeat.interval.ms");
    let topic = || {
        let parts = ["topic.heartbeat.prefix", "topic.delimiter", "topic.prefix"];
        parts.map(|key| parsed.string(key)).concat()
    };
    (!interval.is_zero()).then(|| HeartbeatConfig {
        interval,
        topic: parsed.optional_string("topic.heartbeat.name").unwrap_or_else(topic),
        action: parsed.optional_string("heartbeat.action.query"),
    })
}

fn guardrail(parsed: &Parsed) -> Guardrail {
    let tables = usize::try_from(parsed.integer("guardrail.collections.max")).unwrap_or(0);
    Guardrail {
        tables_max: Some(tables).filter(|tables| *tables > 0),
        fail: is(parsed, "guardrail.collections.limit.action", "fail"),
    }
}

/// `table-regex:IDENTITY`, where the identity is what ALTER TABLE understands.
fn replica_identities(parsed: &Parsed) -> Result<Vec<(Patterns, String)>, String> {
    let entry = |part: &str| {
        let (table, identity) = part.trim().split_once(':')?;
        let identity = match identity.trim().split_once(char::is_whitespace) {
            Some((_, index)) => format!("USING INDEX {}", index.trim()),
            None => identity.trim().to_uppercase(),
        };
        Some(Patterns::parse(table).map(|table| (table, identity)))
    };
    parsed.string("replica.identity.autoset.values").split(',').filter_map(entry).collect()
}

fn names(props: &Props, parsed: &Parsed) -> NameModes {
    let adjustment = |key: &str| match parsed.string(key).to_lowercase().as_str() {
        "avro" => Adjustment::Avro,
        "avro_unicode" => Adjustment::AvroUnicode,
        _ => Adjustment::Keep,
    };
    let avro = |key: &str| props.get(key).is_some_and(|class| class.ends_with(".AvroConverter"));
    let fields = match adjustment("field.name.adjustment.mode") {
        Adjustment::Keep if avro("key.converter") || avro("value.converter") => Adjustment::Avro,
        other => other,
    };
    NameModes { schemas: adjustment("schema.name.adjustment.mode"), fields }
}

fn key_columns(parsed: &Parsed) -> Result<Vec<(Patterns, Vec<String>)>, String> {
    let entry = |part: &str| {
        let (table, columns) = part.split_once(':')?;
        let columns = columns.split(',').map(|column| column.trim().to_owned()).collect();
        Some(Patterns::parse(table).map(|table| (table, columns)))
    };
    parsed.string("message.key.columns").split(';').filter_map(entry).collect()
}

fn unshowable(parsed: &Parsed) -> Unshowable {
    match parsed.string("event.processing.failure.handling.mode").to_lowercase().as_str() {
        "warn" => Unshowable::IsToldAndLeftOut,
        "skip" | "ignore" => Unshowable::IsLeftOut,
        _ => Unshowable::Fails,
    }
}

fn mismatch(parsed: &Parsed) -> MismatchStrategy {
    match parsed.string("offset.mismatch.strategy").to_lowercase().as_str() {
        "trust_offset" => MismatchStrategy::TrustOffset,
        "trust_slot" => MismatchStrategy::TrustSlot,
        "trust_greater_lsn" => MismatchStrategy::TrustGreater,
        _ => MismatchStrategy::NoValidation,
    }
}

/// Whether the server is told what it may forget (`lsn.flush.mode`, `flush.lsn.source`).
fn acknowledges(parsed: &Parsed) -> bool {
    match parsed.optional_string("lsn.flush.mode") {
        Some(mode) => !mode.eq_ignore_ascii_case("manual"),
        None => parsed.boolean("flush.lsn.source"),
    }
}

/// SQL statements separated by `;`, where `;;` is a semicolon.
fn statements(text: &str) -> Vec<String> {
    let separated = text.replace(";;", "\u{0}");
    let statement = |part: &str| part.replace('\u{0}', ";").trim().to_owned();
    separated.split(';').map(statement).filter(|statement| !statement.is_empty()).collect()
}

fn is(parsed: &Parsed, key: &str, value: &str) -> bool {
    parsed.string(key).eq_ignore_ascii_case(value)
}

fn millis(parsed: &Parsed, key: &str) -> Duration {
    Duration::from_millis(u64::try_from(parsed.integer(key)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::postgres::snapshot::SnapshotMode;

    fn props(more: &[(&str, &str)]) -> Props {
        let base = [
            ("topic.prefix", "cdc"),
            ("database.hostname", "postgres"),
            ("database.user", "cdc_user"),
            ("database.password", "secret"),
            ("database.dbname", "commerce_db"),
            ("plugin.name", "pgoutput"),
        ];
        let pairs = base.iter().chain(more);
        pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_original() {
        let config = PostgresConfig::new(&props(&[])).unwrap();
        assert_eq!(config.server.port, 5432);
        assert_eq!(config.server.tls.mode, SslMode::Prefer);
        assert_eq!(config.slot.name, "debezium");
        assert_eq!(config.publication.mode, PublicationMode::AllTables);
        assert_eq!(config.snapshot.mode, SnapshotMode::Initial);
        assert_eq!(config.types.placeholder, b"__debezium_unavailable_value");
        assert!(config.tombstones && config.skipped.contains("t") && config.acknowledge);
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn values_in_any_case_and_other_forms() {
        let config = PostgresConfig::new(&props(&[
            ("snapshot.mode", " NO_DATA "),
            ("skipped.operations", "none"),
            ("unavailable.value.placeholder", "hex:4142"),
            ("database.initial.statements", "select 1; select ';;'"),
            ("message.key.columns", "inv.a:x,y;inv.b:z"),
            ("flush.lsn.source", "false"),
        ]))
        .unwrap();
        assert_eq!(config.snapshot.mode, SnapshotMode::NoData);
        assert!(config.skipped.is_empty());
        assert_eq!(config.types.placeholder, b"AB");
        assert_eq!(config.server.initial_statements, ["select 1", "select ';'"]);
        assert_eq!(config.key_columns.len(), 2);
        assert!(!config.acknowledge);
    }

    #[test]
    fn keys_that_contradict_each_other_are_reported() {
        let errors = |more: &[(&str, &str)]| {
            let errors = cross_errors(&props(more));
            errors.into_iter().map(|error| error.message).collect::<Vec<_>>()
        };
        let include = ("table.include.list", "a.b");
        assert_eq!(
            errors(&[include, ("table.exclude.list", "c.d")]),
            [
                "The 'table.exclude.list' value is invalid: \"table.include.list\" is already specified"
            ]
        );
        assert_eq!(
            errors(&[("max.queue.size", "2048")]),
            ["The 'max.queue.size' value is invalid: Must be larger than the maximum batch size"]
        );
        assert_eq!(errors(&[("snapshot.mode", "custom")]).len(), 1);
        assert_eq!(errors(&[("notification.enabled.channels", "log,sink")]).len(), 1);
        assert!(errors(&[include]).is_empty());
    }
}
