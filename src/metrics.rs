//! Every metric's name, labels and help text, and the registry that `/metrics` prints.
//!
//! Names of the original's metrics are kept in Prometheus form (`kafka_connect_...`,
//! `debezium_...`); ours start with `ferroconnect_`. Tasks hold a [`TaskMetrics`]: plain atomics,
//! updated per batch and never per record.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

mod histogram;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use histogram::{FileSizes, Latencies};

/// The labels of a task's metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TaskLabels {
    pub connector: String,
    pub task: u32,
}

/// Which way a task moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSide {
    Source,
    Sink,
}

const SOURCE: &[TaskSide] = &[TaskSide::Source];
const SINK: &[TaskSide] = &[TaskSide::Sink];
const BOTH: &[TaskSide] = &[TaskSide::Source, TaskSide::Sink];

/// A counter of one task.
pub type TaskCounter = Counter<u64, AtomicU64>;

type CounterFamily = Family<TaskLabels, Counter<u64, AtomicU64>>;
type GaugeFamily = Family<TaskLabels, Gauge<i64, AtomicI64>>;

/// The worker's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
}

#[derive(Debug, Default)]
struct Families {
    source_record_poll: CounterFamily,
    source_record_write: CounterFamily,
    sink_record_read: CounterFamily,
    sink_record_send: CounterFamily,
    errors_skipped: CounterFamily,
    offset_commits: CounterFamily,
    retries: CounterFamily,
    snapshot_rows_scanned: CounterFamily,
    snapshot_running: GaugeFamily,
    snapshot_completed: GaugeFamily,
    snapshot_aborted: GaugeFamily,
    snapshot_total_tables: GaugeFamily,
    snapshot_remaining_tables: GaugeFamily,
    snapshot_duration_seconds: GaugeFamily,
    snapshot_bytes: CounterFamily,
    snapshot_percent: GaugeFamily,
    snapshot_remaining_seconds: GaugeFamily,
    milliseconds_behind_source: GaugeFamily,
    lag_bytes: GaugeFamily,
    slot_retained_bytes: GaugeFamily,
    slot_lag_bytes: GaugeFamily,
    slot_lag_seconds: GaugeFamily,
    slot_wal_status: GaugeFamily,
    slot_seconds_to_limit: GaugeFamily,
    streaming_connected: GaugeFamily,
    captured_tables: GaugeFamily,
    events_seen: CounterFamily,
    create_events: CounterFamily,
    update_events: CounterFamily,
    delete_events: CounterFamily,
    truncate_events: CounterFamily,
    events_filtered: CounterFamily,
    events_unchanged: CounterFamily,
    committed_transactions: CounterFamily,
    sink_lag_records: GaugeFamily,
    sink_files: CounterFamily,
    sink_bytes: CounterFamily,
    sink_open_files: GaugeFamily,
    sink_file_sizes: Family<TaskLabels, FileSizes>,
    sink_upload_seconds: Family<TaskLabels, Latencies>,
    sink_failed_requests: CounterFamily,
    sink_unflushed_age_ms: GaugeFamily,
    sink_buffer_bytes: GaugeFamily,
}

/// The metrics of one task.
#[derive(Debug, Default)]
pub struct TaskMetrics {
    /// Records that the source handed out, before transforms.
    pub source_record_poll: Counter<u64, AtomicU64>,
    /// Records acknowledged by Kafka.
    pub source_record_write: Counter<u64, AtomicU64>,
    /// Records consumed, before transforms.
    pub sink_record_read: Counter<u64, AtomicU64>,
    /// Records given to the sink, after transforms.
    pub sink_record_send: Counter<u64, AtomicU64>,
    /// Records skipped because errors are tolerated.
    pub errors_skipped: Counter<u64, AtomicU64>,
    /// Offset commits that succeeded.
    pub offset_commits: Counter<u64, AtomicU64>,
    /// Retries after failures of the outside.
    pub retries: Counter<u64, AtomicU64>,
    /// Rows read by the snapshot.
    pub snapshot_rows_scanned: Counter<u64, AtomicU64>,
    /// 1 while a snapshot runs.
    pub snapshot_running: Gauge<i64, AtomicI64>,
    /// 1 when the last snapshot was read to its end, or broke off.
    pub snapshot_completed: Gauge<i64, AtomicI64>,
    pub snapshot_aborted: Gauge<i64, AtomicI64>,
    /// Tables to read, and those of them that are not read to their end.
    pub snapshot_total_tables: Gauge<i64, AtomicI64>,
    pub snapshot_remaining_tables: Gauge<i64, AtomicI64>,
    /// Since the snapshot began in this process.
    pub snapshot_duration_seconds: Gauge<i64, AtomicI64>,
    /// Bytes read by the snapshot, as they came over the wire.
    pub snapshot_bytes: Counter<u64, AtomicU64>,
    /// Of the tables' blocks, those that are read.
    pub snapshot_percent: Gauge<i64, AtomicI64>,
    /// Until the snapshot's end at the present rate; -1 while that is not known.
    pub snapshot_remaining_seconds: Gauge<i64, AtomicI64>,
    /// Between a change's commit in the source and its arrival here.
    pub milliseconds_behind_source: Gauge<i64, AtomicI64>,
    /// Write-ahead log between the server's end and the acknowledged position.
    pub lag_bytes: Gauge<i64, AtomicI64>,
    /// Write-ahead log that the slot keeps on the server.
    pub slot_retained_bytes: Gauge<i64, AtomicI64>,
    /// Write-ahead log between the server's end and what the slot has confirmed.
    pub slot_lag_bytes: Gauge<i64, AtomicI64>,
    /// How long ago the server wrote what the slot has not confirmed.
    pub slot_lag_seconds: Gauge<i64, AtomicI64>,
    /// 0 reserved, 1 extended, 2 unreserved, 3 lost.
    pub slot_wal_status: Gauge<i64, AtomicI64>,
    /// Until the server gives the slot up, if all goes on as it did; -1: never.
    pub slot_seconds_to_limit: Gauge<i64, AtomicI64>,
    /// 1 while the stream is read.
    pub streaming_connected: Gauge<i64, AtomicI64>,
    /// Tables that the filters choose.
    pub captured_tables: Gauge<i64, AtomicI64>,
    /// Changes of captured tables and logical messages that the stream brought.
    pub events_seen: Counter<u64, AtomicU64>,
    /// Inserts among them.
    pub create_events: Counter<u64, AtomicU64>,
    /// Updates among them.
    pub update_events: Counter<u64, AtomicU64>,
    /// Deletes among them.
    pub delete_events: Counter<u64, AtomicU64>,
    /// Truncates among them, one for each table.
    pub truncate_events: Counter<u64, AtomicU64>,
    /// Changes that filters and `skipped.operations` leave out.
    pub events_filtered: Counter<u64, AtomicU64>,
    /// Updates that change nothing, where they are left out.
    pub events_unchanged: Counter<u64, AtomicU64>,
    /// Transactions that the stream brought.
    pub committed_transactions: Counter<u64, AtomicU64>,
    /// Records between the end of the task's partitions and its position.
    pub sink_lag_records: Gauge<i64, AtomicI64>,
    /// Files completed at the destination.
    pub sink_files: Counter<u64, AtomicU64>,
    /// Bytes of the completed files.
    pub sink_bytes: Counter<u64, AtomicU64>,
    /// Files being written.
    pub sink_open_files: Gauge<i64, AtomicI64>,
    /// The sizes of completed files.
    pub sink_file_sizes: FileSizes,
    /// How long uploads of parts took.
    pub sink_upload_seconds: Latencies,
    /// Requests to the destination that failed; most of them are repeated.
    pub sink_failed_requests: Counter<u64, AtomicU64>,
    /// How long ago the oldest record came that is not in a completed file.
    pub sink_unflushed_age_ms: Gauge<i64, AtomicI64>,
    /// What files and their parts hold in memory.
    pub sink_buffer_bytes: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with every family registered.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let families = Families::default();
        families.register(&mut registry);
        Self { registry, families }
    }

    /// The metrics of task `task` of `connector`.
    pub fn task(&self, connector: &str, task: usize, side: TaskSide) -> Arc<TaskMetrics> {
        let task = u32::try_from(task).unwrap_or(u32::MAX);
        let labels = TaskLabels { connector: connector.to_owned(), task };
        Arc::new(self.families.of(&labels, side))
    }

    /// Forgets the metrics of a task that is gone.
    pub fn remove_task(&self, connector: &str, task: usize) {
        let task = u32::try_from(task).unwrap_or(u32::MAX);
        self.families.remove(&TaskLabels { connector: connector.to_owned(), task });
    }

    /// Adds a family that another module owns; its name starts with `ferroconnect_`.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The text that `/metrics` answers, in the OpenMetrics form.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String cannot fail");
        text
    }
}

/// Calls `$each!(family, name, help, sides)` for every family: the one list of names and helps.
macro_rules! for_each_family {
    ($each:ident) => {
        $each!(
            source_record_poll,
            "kafka_connect_source_task_source_record_poll",
            "Records that the source handed out",
            SOURCE
        );
        $each!(
            source_record_write,
            "kafka_connect_source_task_source_record_write",
            "Records acknowledged by Kafka",
            SOURCE
        );
        $each!(
            sink_record_read,
            "kafka_connect_sink_task_sink_record_read",
            "Records consumed from Kafka",
            SINK
        );
        $each!(
            sink_record_send,
            "kafka_connect_sink_task_sink_record_send",
            "Records given to the sink after transforms",
            SINK
        );
        $each!(
            errors_skipped,
            "kafka_connect_task_error_total_records_skipped",
            "Records skipped because errors are tolerated",
            BOTH
        );
        $each!(
            offset_commits,
            "ferroconnect_task_offset_commits",
            "Offset commits that succeeded",
            BOTH
        );
        $each!(
            retries,
            "kafka_connect_task_error_total_retries",
            "Retries after failures of the outside",
            BOTH
        );
        $each!(
            snapshot_rows_scanned,
            "debezium_postgres_snapshot_rows_scanned",
            "Rows read by the snapshot",
            SOURCE
        );
        $each!(
            snapshot_running,
            "debezium_postgres_snapshot_running",
            "1 while a snapshot runs",
            SOURCE
        );
        $each!(
            snapshot_completed,
            "debezium_postgres_snapshot_completed",
            "1 when the last snapshot was read to its end",
            SOURCE
        );
        $each!(
            snapshot_aborted,
            "debezium_postgres_snapshot_aborted",
            "1 when the last snapshot broke off",
            SOURCE
        );
        $each!(
            snapshot_total_tables,
            "debezium_postgres_snapshot_total_table_count",
            "Tables to read",
            SOURCE
        );
        $each!(
            snapshot_remaining_tables,
            "debezium_postgres_snapshot_remaining_table_count",
            "Tables that are not read to their end",
            SOURCE
        );
        $each!(
            snapshot_duration_seconds,
            "debezium_postgres_snapshot_duration_in_seconds",
            "Seconds since the snapshot began in this process",
            SOURCE
        );
        $each!(
            snapshot_bytes,
            "ferroconnect_snapshot_bytes",
            "Bytes read by the snapshot, as they came over the wire",
            SOURCE
        );
        $each!(
            snapshot_percent,
            "ferroconnect_snapshot_percent",
            "Of the blocks of the tables, those that are read, in percent",
            SOURCE
        );
        $each!(
            snapshot_remaining_seconds,
            "ferroconnect_snapshot_remaining_seconds",
            "Seconds until the end of the snapshot at the present rate, -1 while not known",
            SOURCE
        );
        $each!(
            milliseconds_behind_source,
            "debezium_postgres_streaming_milli_seconds_behind_source",
            "Milliseconds between a change's commit and its arrival here",
            SOURCE
        );
        $each!(
            lag_bytes,
            "ferroconnect_source_lag_bytes",
            "Write-ahead log between the server's end and the acknowledged position, bytes",
            SOURCE
        );
        $each!(
            slot_retained_bytes,
            "ferroconnect_source_slot_retained_bytes",
            "Write-ahead log that the replication slot keeps on the server",
            SOURCE
        );
        $each!(
            slot_lag_bytes,
            "ferroconnect_source_slot_lag_bytes",
            "Write-ahead log between the server's end and what the slot has confirmed",
            SOURCE
        );
        $each!(
            slot_lag_seconds,
            "ferroconnect_source_slot_lag_seconds",
            "How long ago the server wrote what the slot has not confirmed",
            SOURCE
        );
        $each!(
            slot_wal_status,
            "ferroconnect_source_slot_wal_status",
            "wal_status of the slot: 0 reserved, 1 extended, 2 unreserved, 3 lost",
            SOURCE
        );
        $each!(
            slot_seconds_to_limit,
            "ferroconnect_source_slot_seconds_to_limit",
            "Until max_slot_wal_keep_size is reached if all goes on as it did; -1 is never",
            SOURCE
        );
        $each!(
            streaming_connected,
            "debezium_postgres_streaming_connected",
            "1 while the replication stream is read",
            SOURCE
        );
        $each!(
            captured_tables,
            "debezium_postgres_captured_tables",
            "Tables that the filters choose",
            SOURCE
        );
        $each!(
            events_seen,
            "debezium_postgres_streaming_total_number_of_events_seen",
            "Changes of captured tables and logical messages that the stream brought",
            SOURCE
        );
        $each!(
            create_events,
            "debezium_postgres_streaming_total_number_of_create_events_seen",
            "Inserts that the stream brought",
            SOURCE
        );
        $each!(
            update_events,
            "debezium_postgres_streaming_total_number_of_update_events_seen",
            "Updates that the stream brought",
            SOURCE
        );
        $each!(
            delete_events,
            "debezium_postgres_streaming_total_number_of_delete_events_seen",
            "Deletes that the stream brought",
            SOURCE
        );
        $each!(
            truncate_events,
            "debezium_postgres_streaming_total_number_of_truncate_events_seen",
            "Truncates that the stream brought, one for each table",
            SOURCE
        );
        $each!(
            events_filtered,
            "debezium_postgres_streaming_number_of_events_filtered",
            "Changes that filters and skipped.operations leave out",
            SOURCE
        );
        $each!(
            events_unchanged,
            "debezium_postgres_streaming_number_of_unchanged_events_skipped",
            "Updates that change nothing, where they are left out",
            SOURCE
        );
        $each!(
            committed_transactions,
            "debezium_postgres_streaming_number_of_committed_transactions",
            "Transactions that the stream brought",
            SOURCE
        );
        $each!(
            sink_lag_records,
            "ferroconnect_sink_lag_records",
            "Records between the end of the task's partitions and its position",
            SINK
        );
        $each!(sink_files, "ferroconnect_sink_files", "Files completed at the destination", SINK);
        $each!(sink_bytes, "ferroconnect_sink_file_bytes", "Bytes of completed files", SINK);
        $each!(sink_open_files, "ferroconnect_sink_open_files", "Files being written", SINK);
        $each!(
            sink_file_sizes,
            "ferroconnect_sink_file_size_bytes",
            "Sizes of completed files",
            SINK
        );
        $each!(
            sink_upload_seconds,
            "ferroconnect_sink_upload_part_seconds",
            "How long uploads of parts took",
            SINK
        );
        $each!(
            sink_failed_requests,
            "ferroconnect_sink_failed_requests",
            "Requests to the destination that failed, those that were repeated among them",
            SINK
        );
        $each!(
            sink_unflushed_age_ms,
            "ferroconnect_sink_oldest_unflushed_record_age_ms",
            "Milliseconds since the oldest record came that is in no completed file",
            SINK
        );
        $each!(
            sink_buffer_bytes,
            "ferroconnect_sink_buffer_bytes",
            "What files and their parts hold in memory",
            SINK
        );
    };
}

impl Families {
    fn register(&self, registry: &mut Registry) {
        macro_rules! register {
            ($family:ident, $name:literal, $help:literal, $sides:expr) => {
                registry.register($name, $help, self.$family.clone());
            };
        }
        for_each_family!(register);
    }

    /// Only what belongs to the side shows at `/metrics`; the rest counts for nobody.
    fn of(&self, labels: &TaskLabels, side: TaskSide) -> TaskMetrics {
        let mut metrics = TaskMetrics::default();
        macro_rules! attach {
            ($family:ident, $name:literal, $help:literal, $sides:expr) => {
                if $sides.contains(&side) {
                    metrics.$family = self.$family.get_or_create(labels).clone();
                }
            };
        }
        for_each_family!(attach);
        metrics
    }

    fn remove(&self, labels: &TaskLabels) {
        macro_rules! remove {
            ($family:ident, $name:literal, $help:literal, $sides:expr) => {
                self.$family.remove(labels);
            };
        }
        for_each_family!(remove);
    }
}

/// Sets a gauge from a measured number of any size.
pub fn set_gauge(gauge: &Gauge<i64, AtomicI64>, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_counts_under_its_labels() {
        let metrics = Metrics::new();
        metrics.task("c", 1, TaskSide::Sink).sink_files.inc_by(3);
        let text = metrics.encode();
        assert!(text.contains("ferroconnect_sink_files_total{connector=\"c\",task=\"1\"} 3"));
        assert!(!text.contains("source_task_source_record_poll_total{"), "of the other side");
        let sink = metrics.task("c", 1, TaskSide::Sink);
        sink.sink_file_sizes.observe(5_000);
        sink.sink_upload_seconds.observe(std::time::Duration::from_millis(3));
        let text = metrics.encode();
        let size =
            "ferroconnect_sink_file_size_bytes_bucket{le=\"16384.0\",connector=\"c\",task=\"1\"} 1";
        assert!(text.contains(size), "{text}");
        assert!(text.contains("ferroconnect_sink_upload_part_seconds_count{"), "{text}");
        metrics.remove_task("c", 1);
        assert!(!metrics.encode().contains("connector=\"c\""));
    }
}
