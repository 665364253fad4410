//! The table of the connector's keys (Debezium 3.6, `PostgresConnectorConfig`), in the original's
//! groups and order. A row: order in the group, importance, type, name, default; width, display name;
//! rule (of `config_rules`) with its values; documentation.

use crate::config::{ConfigDef, ConfigKey, ConfigType, Importance, Validator, Width, Wording};
use crate::connector::postgres::config_rules as rules;

/// The keys that the original declares.
pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new(declared()).worded(Wording::Debezium).reading(is_undeclared)
}

/// Whether a key is read although the table does not have it.
fn is_undeclared(name: &str) -> bool {
    const WITH_PARAMETERS: [&str; 7] = [
        "column.mask.hash.",
        "column.mask.with.",
        "column.truncate.to.",
        "snapshot.select.statement.overrides.",
        "snapshot.max.threads.multiplier.",
        "signal.kafka.",
        "signal.consumer.",
    ];
    WITH_PARAMETERS.iter().any(|prefix| name.starts_with(prefix))
        || name == "signal.file"
        || undeclared().iter().any(|key| key.name == name)
}

/// The declared keys, and those that the original honours without declaring them.
pub(super) fn honoured() -> ConfigDef {
    let mut keys = declared();
    keys.extend(undeclared());
    ConfigDef::new(keys).worded(Wording::Debezium)
}

macro_rules! rule {
    (any) => {
        None
    };
    (one_of $($allowed:literal)*) => {
        Some(Validator::Custom(|value| rules::one_of(&[$($allowed),*], value)))
    };
    // The older generation's word for no_data; which of the two a connector may use depends on
    // another key.
    (snapshot_mode $($allowed:literal)*) => {
        Some(Validator::Custom(|value| match rules::one_of(&["never"], value) {
            None => None,
            Some(_) => rules::one_of(&[$($allowed),*], value),
        }))
    };
    ($rule:ident) => {
        Some(Validator::Custom(rules::$rule))
    };
}

macro_rules! default {
    ($key:expr, null) => {
        $key
    };
    ($key:expr, $text:literal) => {
        $key.default($text)
    };
}

/// Turns rows into keys. Rustfmt leaves the rows alone, so that each stays on its two lines.
macro_rules! keys {
    ($($group:ident { $($order:literal $importance:ident $ty:ident $name:literal = $default:tt;
        $width:ident $display:literal; $rule:ident $([$($allowed:literal)*])?;
        $documentation:literal,)* })*) => {
        vec![$($(ConfigKey {
            importance: Importance::$importance,
            group: Some(stringify!($group)),
            order: $order,
            width: Width::$width,
            display_name: $display,
            recommended: &[$($($allowed),*)?],
            dependents: rules::dependents($name),
            validator: rule!($rule $($($allowed)*)?),
            ..default!(ConfigKey::new($name, ConfigType::$ty, $documentation), $default)
        },)*)*]
    };
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn declared() -> Vec<ConfigKey> {
    keys! {
    Postgres {
        1 High String "topic.prefix" = null; Medium "Topic prefix"; topic_required;
            "Logical server name: topic prefix, `source.name`, offset partition value, metric tag",
        2 High String "database.hostname" = null; Medium "Hostname"; host;
            "Server name or address",
        3 High Int "database.port" = "5432"; Short "Port"; any;
            "Server port",
        4 High String "database.user" = null; Short "User"; required;
            "Login role; needs LOGIN and REPLICATION",
        5 High Password "database.password" = null; Short "Password"; any;
            "Password (masked in logs)",
        6 High String "database.dbname" = null; Medium "Database"; required;
            "Database to capture; one per connector",
        7 Low Int "database.query.timeout.ms" = "600000"; None "Query timeout"; any;
            "Statement timeout of ordinary queries; 0 = none",
        8 Medium String "plugin.name" = "decoderbufs"; Medium "Plugin"; one_of["decoderbufs" "pgoutput"];
            "Output plugin; pgoutput is the one that is supported",
        9 Medium String "slot.name" = "debezium"; Medium "Slot"; slot;
            "Replication slot",
        10 Medium String "publication.name" = "dbz_publication"; Medium "Publication"; any;
            "Publication; used without quotes in SQL",
        11 Medium String "publication.autocreate.mode" = "all_tables"; Medium "Publication Auto Create Mode"; one_of["no_tables" "filtered" "disabled" "all_tables"];
            "What is done when the publication does not exist",
        12 Medium String "replica.identity.autoset.values" = null; Long "Replica Identity Auto Set Values"; replica_identity;
            "`table-regex:IDENTITY,...`",
        13 Medium Boolean "slot.drop.on.stop" = "false"; None "Drop slot on stop"; any;
            "Drop slot at orderly stop",
        14 Medium Boolean "slot.failover" = "false"; None "Create failover slot"; any;
            "PG17+ primary: create slot with FAILOVER",
        15 Low String "slot.stream.params" = null; Long "Optional parameters to pass to the logical decoder when the stream is started."; any;
            "`k=v;k=v` extra START_REPLICATION options",
        16 Low String "database.initial.statements" = null; Long "Initial statements"; any;
            "SQL run on each new ordinary connection; `;` separates, `;;` is a literal semicolon; not run on the replication or validation connection",
        17 Medium String "database.sslmode" = "prefer"; Medium "SSL mode"; one_of["allow" "prefer" "disable" "verify-ca" "require" "verify-full"];
            "libpq sslmode",
        18 Medium String "database.sslcert" = null; Long "SSL Client Certificate"; any;
            "client certificate file",
        19 Medium Password "database.sslpassword" = null; Medium "SSL Client Key Password"; any;
            "key password",
        20 Medium String "database.sslrootcert" = null; Long "SSL Root Certificate"; any;
            "CA file",
        21 Medium String "database.sslkey" = null; Long "SSL Client Key"; any;
            "client key file",
        22 Low Int "slot.max.retries" = "6"; None "Retry count"; any;
            "Retries: replication connection, slot creation on time-out, stream start",
        23 Low Long "slot.retry.delay.ms" = "10000"; None "Retry delay"; any;
            "Pause between those",
        24 Medium String "database.sslfactory" = null; Long "SSL Root Certificate"; any;
            "Java socket factory class; NonValidatingFactory means TLS without verification",
        25 Medium Int "status.update.interval.ms" = "10000"; Short "Status update interval (ms)"; positive;
            "Standby status period",
        26 Medium Long "lsn.flush.timeout.ms" = "30000"; Short "LSN flush timeout (ms)"; positive;
            "Deadline of one LSN flush",
        27 Medium String "lsn.flush.timeout.action" = "fail"; Medium "LSN flush timeout action"; one_of["fail" "warn" "ignore"];
            "On that deadline",
        28 Medium Boolean "database.tcpKeepAlive" = "true"; Short "TCP keep-alive probe"; boolean;
            "Whether TCP keep-alive probes are sent",
        29 Medium Long "xmin.fetch.interval.ms" = "0"; Short "Xmin fetch interval (ms)"; non_negative_long;
            ">0: read catalog_xmin of the slot at most this often into source.xmin",
        30 Low List "skipped.operations" = "t"; Short "Skipped Operations"; operations;
            "Operations dropped: any of r,c,u,d,t or `none`",
        31 Low String "lsn.flush.mode" = null; Short "LSN flush mode"; one_of["connector_and_driver" "connector" "manual"];
            "Who acknowledges WAL; unset = derive from flush.lsn.source, else connector",
        32 Low Boolean "flush.lsn.source" = "true"; Short "Boolean to determine if Debezium should flush LSN in the source database"; boolean;
            "Deprecated: true = connector, false = manual; used only when lsn.flush.mode is unset",
    }
    Connector {
        1 Medium String "event.processing.failure.handling.mode" = "fail"; Short "Event deserialization failure handling"; one_of["warn" "fail" "ignore" "skip"];
            "Failure while dispatching one event",
        2 Medium Int "max.batch.size" = "2048"; Short "Change event batch size"; positive;
            "Max records per poll",
        3 Medium Int "max.queue.size" = "8192"; Short "Change event buffer size"; queue_size;
            "In-memory queue length",
        4 Medium Long "poll.interval.ms" = "500"; Short "Poll interval (ms)"; positive;
            "Poll wait; values above 5000 are logged and capped",
        5 Medium Long "max.queue.size.in.bytes" = "0"; Long "Change event buffer size in bytes"; non_negative_long;
            "Queue bound in bytes; 0 = off",
        6 Low Boolean "provide.transaction.metadata" = "false"; Short "Store transaction metadata information in a dedicated topic."; any;
            "Transaction topic + `transaction` block",
        7 Low Long "snapshot.delay.ms" = "0"; Medium "Snapshot Delay (milliseconds)"; non_negative_long;
            "Wait before the snapshot",
        8 Low Long "streaming.delay.ms" = "0"; Medium "Streaming Delay (milliseconds)"; non_negative_long;
            "Wait between snapshot end and streaming",
        9 Medium List "snapshot.include.collection.list" = null; Long "Snapshot mode include data collection"; regexes;
            "Subset of captured tables to snapshot",
        10 Medium Int "snapshot.fetch.size" = null; Medium "Snapshot fetch size"; non_negative;
            "Cursor fetch size; effective default 10240",
        11 Medium Int "snapshot.max.threads" = "1"; Short "Snapshot maximum threads"; positive;
            "Parallel snapshot connections; >1 = chunked (3.5+)",
        12 Medium Int "snapshot.max.threads.multiplier" = "1"; Short "Snapshot maximum thread multiplier"; positive;
            "Chunks per table = threads x multiplier; per-table override key `snapshot.max.threads.multiplier.<schema>.<table>`",
        13 Low Boolean "internal.legacy.snapshot.max.threads" = "false"; Short "Enforces using a single thread per table regardless of table size"; any;
            "Deprecated alias of the previous (same group, order, default); warned in log when present",
        13 Low Boolean "legacy.snapshot.max.threads" = "false"; Short "Enforces using a single thread per table regardless of table size"; any;
            "Back to one thread per table",
        14 Medium String "snapshot.mode.custom.name" = null; Medium "Snapshot Mode Custom Name"; any;
            "Name of custom snapshotter",
        15 Medium Boolean "snapshot.mode.configuration.based.snapshot.data" = "false"; Medium "Snapshot mode property based snapshot data"; any;
            "configuration_based: snapshot data",
        16 Medium Boolean "snapshot.mode.configuration.based.snapshot.schema" = "false"; Medium "Snapshot mode property based snapshot schema"; any;
            "configuration_based: snapshot schema",
        17 Medium Boolean "snapshot.mode.configuration.based.start.stream" = "false"; Medium "Snapshot mode property based start stream"; any;
            "configuration_based: start streaming",
        18 Medium Boolean "snapshot.mode.configuration.based.snapshot.on.schema.error" = "false"; Medium "Snapshot mode property based snapshot on schema error"; any;
            "configuration_based: snapshot on schema error",
        19 Medium Boolean "snapshot.mode.configuration.based.snapshot.on.data.error" = "false"; Medium "Snapshot mode property based snapshot on data error"; any;
            "configuration_based: snapshot when offset is not available",
        20 Low Long "retriable.restart.connector.wait.ms" = "10000"; Medium "Retriable restart wait (ms)"; positive_long;
            "Pause before in-task restart after a retriable failure",
        21 Medium Int "query.fetch.size" = "0"; Medium "Query fetch size"; non_negative;
            "Accepted; not used by PG streaming",
        22 Low Int "errors.max.retries" = "-1"; Medium "The maximum number of retries"; any;
            "-1 unlimited, 0 none",
        23 Low String "incremental.snapshot.watermarking.strategy" = "INSERT_INSERT"; Medium "Incremental snapshot watermarking strategy"; one_of["insert_delete" "insert_insert"];
            "Close window by second insert or by deleting the open row",
        24 Medium Boolean "internal.log.position.check.enable" = "true"; Medium "Enable/Disable log position check"; any;
            "Check at start that the offset is still served by the slot",
        25 Medium Boolean "internal.advanced.metrics.enable" = "false"; Medium "Enable/Disable advance metrics"; any;
            "Extra metrics",
        26 Low Long "connection.validation.timeout.ms" = "60000"; Short "Connection validation timeout (ms)"; positive_long;
            "Deadline of the REST validation connection",
        27 Medium Long "executor.shutdown.timeout.ms" = "4000"; Medium "Executor shutdown timeout (ms)"; positive_long;
            "Deadline for stopping worker threads",
        28 Low Boolean "openlineage.integration.enabled" = "false"; Short "Enables OpenLineage integration"; any;
            "Accepted; OpenLineage is not supported",
        29 Low String "openlineage.integration.config.file.path" = "./openlineage.yml"; Long "Path to OpenLineage file configuration"; any;
            "Accepted; OpenLineage is not supported",
        30 Low String "openlineage.integration.job.namespace" = null; Long "Namespace used for Debezium job"; any;
            "Accepted; OpenLineage is not supported",
        31 Low String "openlineage.integration.job.description" = "Debezium change data capture job"; Long "Description used for Debezium job"; any;
            "Accepted; OpenLineage is not supported",
        32 Low List "openlineage.integration.job.tags" = null; Long "Debezium job tags"; map;
            "Accepted; OpenLineage is not supported",
        33 Low List "openlineage.integration.job.owners" = null; Long "Debezium job owners"; map;
            "Accepted; OpenLineage is not supported",
        34 Low String "openlineage.integration.dataset.kafka.bootstrap.servers" = null; Long "Kafka bootstrap server used in Kafka Connect deployment"; any;
            "Accepted; OpenLineage is not supported",
        35 Low Boolean "extended.headers.enabled" = "true"; Short "Enable/Disable extended headers"; boolean;
            "`__debezium.context.*` headers on data records",
        36 Medium Int "guardrail.collections.max" = "0"; Short "Maximum number of collections or tables"; non_negative;
            "Max captured tables; 0 = off",
        37 Medium String "guardrail.collections.limit.action" = "warn"; Short "Guardrail collections limit action"; one_of["warn" "fail"];
            "What to do above the limit",
        38 Low String "custom.sanitize.pattern" = r".*secret$|.*password$|.*sasl\.jaas\.config$|.*basic\.auth\.user\.info|.*registry\.auth\.client-secret|.*credentials\.json$|.*connectionstring$|.*connection\.string$"; Long "Custom pattern for masking sensitive configuration"; any;
            "Regex of keys whose values are masked in logs (case-insensitive)",
        39 Medium Boolean "statistics.metrics.enabled" = "true"; Short "Enable collecting statistics metrics like latencies"; any;
            "Latency min/max/avg/percentile attributes",
        40 Medium String "decimal.handling.mode" = "precise"; Short "Decimal Handling"; one_of["string" "double" "precise"];
            "numeric/money representation",
        41 Medium String "time.precision.mode" = "adaptive"; Short "Time Precision"; one_of["adaptive" "adaptive_time_microseconds" "isostring" "microseconds" "nanoseconds" "connect"];
            "Temporal representation",
        42 Medium Long "snapshot.lock.timeout.ms" = "10000"; Long "Snapshot lock timeout (ms)"; any;
            "lock_timeout for snapshot.locking.mode=shared",
        43 Low Class "memory.management.schemas.class" = "io.debezium.relational.ConcurrentMapTableMappingStorage"; Long "Schema storage class"; class;
            "Internal cache class",
        44 Low Class "memory.management.tables.class" = "io.debezium.relational.ConcurrentMapTableMappingStorage"; Long "Table storage class"; class;
            "Internal cache class",
        45 Medium String "snapshot.mode" = "initial"; Short "Snapshot mode"; snapshot_mode["always" "initial_only" "configuration_based" "when_needed" "initial" "custom" "no_data"];
            "When a snapshot is taken and whether streaming follows",
        46 Low String "snapshot.isolation.mode" = "serializable"; Short "Snapshot isolation mode"; one_of["read_uncommitted" "repeatable_read" "read_committed" "serializable"];
            "Isolation when no slot snapshot is imported",
        47 Low String "snapshot.query.mode" = "select_all"; Short "Snapshot query mode"; one_of["custom" "select_all"];
            "Snapshot query builder",
        48 Medium String "snapshot.query.mode.custom.name" = null; Medium "Snapshot Query Mode Custom Name"; any;
            "Name of custom builder",
        49 Medium String "snapshot.locking.mode.custom.name" = null; Medium "Snapshot Locking Mode Custom Name"; any;
            "Name of custom lock",
        50 Low String "snapshot.locking.mode" = "none"; Short "Snapshot locking mode"; one_of["shared" "custom" "none"];
            "shared = ACCESS SHARE locks",
        51 Low String "hstore.handling.mode" = "json"; Medium "HStore Handling"; one_of["json" "map"];
            "hstore as JSON string or as map",
        52 Low String "binary.handling.mode" = "bytes"; Medium "Binary Handling"; one_of["bytes" "base64" "hex" "base64-url-safe"];
            "bytea and message content representation",
        53 Low String "schema.name.adjustment.mode" = "none"; Medium "Schema Name Adjustment"; one_of["none" "avro_unicode" "avro"];
            "Adjust record schema names (not topics)",
        54 Low String "interval.handling.mode" = "numeric"; Medium "Interval Handling"; one_of["string" "numeric"];
            "interval as ISO-8601 string or microseconds",
        55 Medium String "schema.refresh.mode" = "columns_diff"; Short "Schema refresh mode"; one_of["columns_diff" "columns_diff_exclude_unchanged_toast"];
            "Only matters for decoderbufs; pgoutput takes schema from Relation messages",
        56 Medium Int "incremental.snapshot.chunk.size" = "1024"; Medium "Incremental snapshot chunk size"; non_negative;
            "Rows per chunk",
        57 Medium String "unavailable.value.placeholder" = "__debezium_unavailable_value"; Medium "Unavailable value placeholder"; any;
            "Text, or `hex:` and hex octets, that stands for unchanged TOAST values",
        58 Medium List "message.prefix.include.list" = null; Long "Include Logical Decoding Message Prefixes"; regexes;
            "Prefixes of logical messages to emit",
        59 Medium List "message.prefix.exclude.list" = null; Long "Exclude Logical Decoding Message Prefixes"; regexes;
            "Prefixes to drop",
        60 Medium Boolean "publish.via.partition.root" = "false"; Short "Publish via partition root"; boolean;
            "Adds `publish_via_partition_root = true` when the connector itself creates the publication",
    }
    Events {
        1 Low String "converters" = null; Medium "List of prefixes defining custom values converters."; any;
            "Comma list of converter names; `<name>.type` = class, `<name>.*` = its options",
        2 Low String "post.processors" = null; Medium "List of change event post processors."; any;
            "Comma list of post processor names, same scheme",
        3 Medium Boolean "tombstones.on.delete" = "true"; Short "Change the behaviour of Debezium with regards to delete operations"; boolean;
            "Follow each delete by a null-value record",
        4 Medium Int "heartbeat.interval.ms" = "0"; Medium "Connector heartbeat interval (milli-seconds)"; non_negative;
            "0 = off",
        5 Low String "heartbeat.topics.prefix" = "__debezium-heartbeat"; Medium "A prefix used for naming of heartbeat topics"; any;
            "Accepted but IGNORED; the live key is topic.heartbeat.prefix",
        6 Medium List "signal.data.collection" = null; Medium "Signaling data collection"; single;
            "`schema.table` of the signalling table; captured even if filters exclude it",
        7 Medium Long "signal.poll.interval.ms" = "5000"; Short "Signal processor poll interval"; positive;
            "Signal channel poll period",
        8 Medium List "signal.enabled.channels" = "source"; Long "Enabled channels names"; any;
            "source, kafka, file, jmx, in-process",
        9 Medium Class "topic.naming.strategy" = "io.debezium.schema.SchemaTopicNamingStrategy"; Medium "Topic naming strategy class"; class;
            "Topic naming class",
        10 Medium List "notification.enabled.channels" = null; Long "Enabled notification channels names"; any;
            "sink, log, jmx",
        11 High String "notification.sink.topic.name" = null; Long "Notification topic name"; any;
            "Topic of the `sink` notification channel",
        12 Low Class "transaction.metadata.factory" = "io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory"; Medium "Factory class to create transaction context & transaction struct maker classes"; class;
            "Factory class for transaction structs; accept the default only",
        13 Low List "custom.metric.tags" = null; Medium "Customize metric tags"; map;
            "Extra MBean name tags `k=v,k2=v2`",
        14 Medium List "column.include.list" = null; Long "Include Columns"; regexes;
            "`schema.table.column` regexes of the columns that are kept",
        15 Medium List "column.exclude.list" = null; Long "Exclude Columns"; regexes;
            "`schema.table.column` regexes of columns that are left out",
        16 High List "table.include.list" = null; Long "Include Tables"; regexes;
            "`schema.table` regexes of the captured tables",
        17 Medium List "table.exclude.list" = null; Long "Exclude Tables"; regexes;
            "`schema.table` regexes of tables that are left out",
        18 Low Boolean "table.ignore.builtin" = "true"; Short "Ignore system databases"; boolean;
            "Drop pg_catalog, information_schema, pg_temp*, spatial_ref_sys",
        19 High List "schema.include.list" = null; Long "Include Schemas"; regexes;
            "Regexes of the captured schemas",
        20 Medium List "schema.exclude.list" = null; Long "Exclude Schemas"; regexes;
            "Regexes of schemas that are left out",
        21 Medium String "message.key.columns" = null; Long "Columns PK mapping"; key_columns;
            "Key override `table-regex:col,col;...`",
        22 Medium String "snapshot.select.statement.overrides" = null; Long "List of tables where the default select statement used during snapshotting should be overridden."; any;
            "Comma list of `schema.table`; query in `snapshot.select.statement.overrides.<schema>.<table>`",
        23 Medium String "column.mask.hash.([^.]+).with.salt.(.+)" = null; Long "Mask Columns Using Hash and Salt"; any;
            "Columns whose text is replaced by its salted digest; the algorithm and the salt stand in the key",
        24 Medium String "column.mask.with.(d+).chars" = null; None "Mask Columns With n Asterisks"; any;
            "Columns whose text is replaced by this many asterisks; the number stands in the key",
        25 Medium Int "column.truncate.to.(d+).chars" = null; None "Truncate Columns To n Characters"; any;
            "Columns whose text is cut to this many characters; the number stands in the key",
        26 Medium Boolean "include.schema.comments" = "false"; Short "Include Table and Column Comments"; boolean;
            "Accepted; has no effect for PostgreSQL (comments are never read)",
        27 Medium List "column.propagate.source.type" = null; None "Propagate Source Types by Columns"; regexes;
            "Adds source type parameters to matching columns",
        28 Medium List "datatype.propagate.source.type" = null; None "Propagate Source Types by Data Type"; regexes;
            "`schema.table.typename` regexes of columns that get source type parameters",
        29 Low Boolean "internal.snapshot.scan.all.columns.force" = "false"; Short "Snapshot force scan all columns of all tables"; any;
            "No observable effect",
        30 Medium String "snapshot.tables.order.by.row.count" = "disabled"; None "Initial snapshot tables order by row count"; one_of["disabled" "ascending" "descending"];
            "Table order by row count (PG non-chunked: no counts, so no effect)",
        31 Low String "heartbeat.action.query" = null; Medium "An optional query to execute with every heartbeat"; any;
            "SQL run at each heartbeat",
        32 Medium Boolean "include.unknown.datatypes" = "false"; Short "Include unknown datatypes"; any;
            "true = emit unsupported types as bytes (or binary.handling.mode text)",
        33 Low Class "sourceinfo.struct.maker" = "io.debezium.connector.postgresql.PostgresSourceInfoStructMaker"; Medium "Source info struct maker class"; class;
            "`source` block maker class",
    }
    }
}

fn undeclared() -> Vec<ConfigKey> {
    let mut keys = keys! {
    Undeclared {
        -1 Medium Boolean "skip.messages.without.change" = "false"; Short "Enable skipping messages without change"; any;
            "Drop an update whose included columns are all equal; needs REPLICA IDENTITY FULL",
        -1 Low String "field.name.adjustment.mode" = "none"; Medium "Field Name Adjustment"; one_of["none" "avro_unicode" "avro"];
            "Adjust field names",
        -1 Medium String "event.converting.failure.handling.mode" = "warn"; Medium "Event converting failure handling mode"; one_of["warn" "fail" "skip"];
            "What becomes of a column value that cannot be converted: null and a log line, or a failure",
        -1 Medium String "offset.mismatch.strategy" = "no_validation"; Medium "Offset mismatch strategy"; one_of["no_validation" "trust_offset" "trust_slot" "trust_greater_lsn"];
            "Whose position is right when the slot is ahead of the stored offset",
        -1 Low Short "money.fraction.digits" = "2"; Short "Money fraction digits"; any;
            "Scale of money",
        -1 Medium Boolean "read.only" = "false"; Short "Read only"; any;
            "No write to the database by signals",
        -1 Medium String "debezium.compatibility" = "3.6"; Short "Debezium compatibility"; one_of["3.6" "2.3"];
            "Whose records these look like: those of Debezium 3.6, or of 2.3 for consumers of the older form",
        -1 Low Boolean "streaming.in.progress" = "true"; Short "Streaming of transactions in progress"; boolean;
            "PG14+: large transactions are received while they are in progress and kept here until they commit, instead of on the server",
        -1 Low Long "streaming.spill.max.bytes" = "1073741824"; Short "Disk for transactions in progress"; non_negative_long;
            "What transactions in progress may take on disk; beyond it the server keeps them",
        -1 Low String "streaming.spill.directory" = null; Long "Folder for transactions in progress"; any;
            "Where transactions in progress are kept; unset = the system's folder for temporary files",
        -1 Low String "topic.transaction" = "transaction"; Short "Transaction topic"; topic;
            "The transaction topic's name behind topic.prefix and topic.delimiter",
        -1 Low String "topic.heartbeat.prefix" = "__debezium-heartbeat"; Short "Heartbeat topic prefix"; topic;
            "What stands before topic.delimiter and topic.prefix in the heartbeat topic's name",
        -1 Low String "topic.heartbeat.name" = null; Short "Heartbeat topic"; topic;
            "The heartbeat topic's whole name",
        -1 Low String "topic.delimiter" = "."; Short "Topic delimiter"; topic;
            "Joins prefix, schema and table",
        -1 Low Long "internal.create.slot.command.timeout" = "90"; Short "Slot creation timeout"; any;
            "Statement timeout of slot and publication statements, in seconds",
    }
    };
    keys.iter_mut().for_each(|key| key.group = None);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Props;

    #[test]
    fn the_table_has_the_keys_of_the_original() {
        assert_eq!(config_def().keys().len(), 126);
    }

    #[test]
    fn every_default_is_valid_and_four_keys_are_required() {
        let def = honoured();
        let outcomes = def.validate(&Props::new());
        let errors: Vec<_> = outcomes
            .iter()
            .flat_map(|(_, outcome)| outcome.errors.iter().map(String::as_str))
            .collect();
        assert_eq!(
            errors,
            ["topic.prefix", "database.hostname", "database.user", "database.dbname"]
                .map(|key| format!("The '{key}' value is invalid: A value is required"))
        );
    }
}
