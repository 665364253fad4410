//! The metrics of one task: the one list of fields, names and helps.
//!
//! **To add a metric**, add one entry to [`task_metrics!`] below: its help as a doc comment, the
//! field, its kind, the side it belongs to, and its name at `/metrics`. Nothing else is needed:
//! it then shows with the labels `connector` and `task`, disappears with its task, and stands in
//! `docs/metrics.md` (`UPDATE_EXPECT=1 ... --test it -- metrics` writes that page anew). Kinds are
//! in [`super::instrument`]; a number per table is `By<Table, Counter>`. Update per batch, never
//! per record.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeMetric;

use super::histogram::{FileSizes, Latencies};
use super::instrument::{
    By, Counter, Gauge, Instrument, Level, Meter, Outcomes, Series, Size, Span, StateTimes, Table,
    Timing, Total, Visit,
};

/// Which way a task moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSide {
    Source,
    Sink,
}

const SOURCE: &[TaskSide] = &[TaskSide::Source];
const SINK: &[TaskSide] = &[TaskSide::Sink];
const BOTH: &[TaskSide] = &[TaskSide::Source, TaskSide::Sink];

/// A metric of the list.
pub(super) struct Row {
    pub name: &'static str,
    pub help: &'static str,
    pub sides: &'static [TaskSide],
    pub series: &'static [Series],
    pub read: fn(&TaskMetrics, usize, Instant, &mut Visit<'_>),
    pub whole: fn(&TaskMetrics) -> Option<&dyn EncodeMetric>,
}

macro_rules! task_metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ty, $sides:ident, $name:literal;)+) => {
        /// The metrics of one task.
        #[derive(Debug, Default)]
        pub struct TaskMetrics {
            $($(#[doc = $help])+ pub $field: $kind,)+
        }

        /// Every metric of a task, in the order of `/metrics`.
        pub(super) const ROWS: &[Row] = &[
            $(Row {
                name: $name,
                help: concat!($($help),+),
                sides: $sides,
                series: <$kind as Instrument>::SERIES,
                read: |metrics, series, now, visit| metrics.$field.read(series, now, visit),
                whole: |metrics| metrics.$field.whole(),
            },)+
        ];
    };
}

task_metrics! {
    /// Time of the task
    state_times: StateTimes, BOTH, "kafka_connect_connector_task";
    /// Storing offsets
    offset_commit: Timing, BOTH, "kafka_connect_connector_task_offset_commit";
    /// Offset commits
    offset_commit_outcomes: Outcomes, BOTH, "kafka_connect_connector_task_offset_commit";
    /// Records of a batch
    batch_size: Size, BOTH, "kafka_connect_connector_task_batch_size";

    /// Records that the source handed out, before transforms
    source_record_poll: Meter, SOURCE, "kafka_connect_source_task_source_record_poll";
    /// Records acknowledged by Kafka
    source_record_write: Meter, SOURCE, "kafka_connect_source_task_source_record_write";
    /// Polls that gave records
    poll_batch: Timing, SOURCE, "kafka_connect_source_task_poll_batch";
    /// Records handed to Kafka and not yet acknowledged
    source_record_active: Level, SOURCE, "kafka_connect_source_task_source_record_active_count";
    /// Records of a transaction, with exactly-once delivery
    transaction_size: Span, SOURCE, "kafka_connect_source_task_transaction_size";

    /// Records consumed from Kafka, before transforms
    sink_record_read: Meter, SINK, "kafka_connect_sink_task_sink_record_read";
    /// Records given to the sink, after transforms
    sink_record_send: Meter, SINK, "kafka_connect_sink_task_sink_record_send";
    /// Topic partitions assigned to the task
    partition_count: Gauge, SINK, "kafka_connect_sink_task_partition_count";
    /// Number of the latest offset commit
    offset_commit_seq_no: Gauge, SINK, "kafka_connect_sink_task_offset_commit_seq_no";
    /// Offset commits that succeeded
    offset_commit_completion: Meter, SINK, "kafka_connect_sink_task_offset_commit_completion";
    /// Offset commits that were put off because the sink or the brokers were away
    offset_commit_skip: Meter, SINK, "kafka_connect_sink_task_offset_commit_skip";
    /// Giving the sink a batch
    put_batch: Timing, SINK, "kafka_connect_sink_task_put_batch";
    /// Records consumed and not yet committed
    sink_record_active: Level, SINK, "kafka_connect_sink_task_sink_record_active_count";

    /// Failed operations on records, tries included
    record_failures: Total, BOTH, "kafka_connect_task_error_total_record_failures";
    /// Records that could not be processed
    record_errors: Total, BOTH, "kafka_connect_task_error_total_record_errors";
    /// Records skipped because errors are tolerated
    errors_skipped: Total, BOTH, "kafka_connect_task_error_total_records_skipped";
    /// Retries, of records and after failures of the outside
    retries: Total, BOTH, "kafka_connect_task_error_total_retries";
    /// Records whose error was logged
    errors_logged: Total, BOTH, "kafka_connect_task_error_total_errors_logged";
    /// Records sent to the dead letter queue
    dead_letter_requests: Total, BOTH, "kafka_connect_task_error_deadletterqueue_produce_requests";
    /// Records that the dead letter queue did not take
    dead_letter_failures: Total, BOTH, "kafka_connect_task_error_deadletterqueue_produce_failures";
    /// When a record failed last, milliseconds since 1970; 0: never
    last_error_timestamp: Gauge, BOTH, "kafka_connect_task_error_last_error_timestamp";

    /// Offset commits that succeeded
    offset_commits: Counter, BOTH, "ferroconnect_task_offset_commits";
    /// Restarts of the task by the worker, after failures of the outside
    restarts: Counter, BOTH, "ferroconnect_task_restarts";
    /// 1 while the task waits for an outside that is away
    retrying: Gauge, BOTH, "ferroconnect_task_retrying";
    /// When the outside is tried again, seconds since 1970; 0 while all is well
    next_attempt: Gauge, BOTH, "ferroconnect_task_next_attempt_timestamp_seconds";
    /// 1 while the task runs, has work, and moves nothing
    stalled: Gauge, BOTH, "ferroconnect_task_stalled";
    /// When the task moved something last, seconds since 1970
    last_progress: Gauge, BOTH, "ferroconnect_task_last_progress_timestamp_seconds";

    /// Rows read by the snapshot
    snapshot_rows_scanned: Counter, SOURCE, "debezium_postgres_snapshot_rows_scanned";
    /// Rows read by the snapshot, by table
    snapshot_table_rows: By<Table, Counter>, SOURCE, "ferroconnect_snapshot_table_rows";
    /// 1 while a snapshot runs
    snapshot_running: Gauge, SOURCE, "debezium_postgres_snapshot_running";
    /// Milliseconds between a change's commit in the source and its arrival here
    milliseconds_behind_source: Gauge, SOURCE,
        "debezium_postgres_streaming_milli_seconds_behind_source";
    /// Write-ahead log between the server's end and the acknowledged position, bytes
    lag_bytes: Gauge, SOURCE, "ferroconnect_source_lag_bytes";

    /// 1 when the last snapshot was read to its end
    snapshot_completed: Gauge, SOURCE, "debezium_postgres_snapshot_completed";
    /// 1 when the last snapshot broke off
    snapshot_aborted: Gauge, SOURCE, "debezium_postgres_snapshot_aborted";
    /// Tables to read
    snapshot_total_tables: Gauge, SOURCE, "debezium_postgres_snapshot_total_table_count";
    /// Tables that are not read to their end
    snapshot_remaining_tables: Gauge, SOURCE, "debezium_postgres_snapshot_remaining_table_count";
    /// Seconds since the snapshot began in this process
    snapshot_duration_seconds: Gauge, SOURCE, "debezium_postgres_snapshot_duration_in_seconds";
    /// Bytes read by the snapshot, as they came over the wire
    snapshot_bytes: Counter, SOURCE, "ferroconnect_snapshot_bytes";
    /// Of the blocks of the tables, those that are read, in percent
    snapshot_percent: Gauge, SOURCE, "ferroconnect_snapshot_percent";
    /// Seconds until the end of the snapshot at the present rate, -1 while not known
    snapshot_remaining_seconds: Gauge, SOURCE, "ferroconnect_snapshot_remaining_seconds";
    /// Write-ahead log that the replication slot keeps on the server
    slot_retained_bytes: Gauge, SOURCE, "ferroconnect_source_slot_retained_bytes";
    /// Write-ahead log between the server's end and what the slot has confirmed
    slot_lag_bytes: Gauge, SOURCE, "ferroconnect_source_slot_lag_bytes";
    /// How long ago the server wrote what the slot has not confirmed
    slot_lag_seconds: Gauge, SOURCE, "ferroconnect_source_slot_lag_seconds";
    /// wal_status of the slot: 0 reserved, 1 extended, 2 unreserved, 3 lost
    slot_wal_status: Gauge, SOURCE, "ferroconnect_source_slot_wal_status";
    /// Until max_slot_wal_keep_size is reached if all goes on as it did; -1 is never
    slot_seconds_to_limit: Gauge, SOURCE, "ferroconnect_source_slot_seconds_to_limit";
    /// 1 while the replication stream is read
    streaming_connected: Gauge, SOURCE, "debezium_postgres_streaming_connected";
    /// Tables that the filters choose
    captured_tables: Gauge, SOURCE, "debezium_postgres_captured_tables";
    /// Changes of captured tables and logical messages that the stream brought
    events_seen: Counter, SOURCE, "debezium_postgres_streaming_total_number_of_events_seen";
    /// Inserts that the stream brought
    create_events: Counter, SOURCE,
        "debezium_postgres_streaming_total_number_of_create_events_seen";
    /// Updates that the stream brought
    update_events: Counter, SOURCE,
        "debezium_postgres_streaming_total_number_of_update_events_seen";
    /// Deletes that the stream brought
    delete_events: Counter, SOURCE,
        "debezium_postgres_streaming_total_number_of_delete_events_seen";
    /// Truncates that the stream brought, one for each table
    truncate_events: Counter, SOURCE,
        "debezium_postgres_streaming_total_number_of_truncate_events_seen";
    /// Changes that filters and skipped.operations leave out
    events_filtered: Counter, SOURCE, "debezium_postgres_streaming_number_of_events_filtered";
    /// Updates that change nothing, where they are left out
    events_unchanged: Counter, SOURCE,
        "debezium_postgres_streaming_number_of_unchanged_events_skipped";
    /// Transactions that the stream brought
    committed_transactions: Counter, SOURCE,
        "debezium_postgres_streaming_number_of_committed_transactions";

    /// Records between the end of the task's partitions and its position
    sink_lag_records: Gauge, SINK, "ferroconnect_sink_lag_records";
    /// Files completed at the destination
    sink_files: Counter, SINK, "ferroconnect_sink_files";
    /// Bytes of the completed files
    sink_bytes: Counter, SINK, "ferroconnect_sink_file_bytes";
    /// Files being written
    sink_open_files: Gauge, SINK, "ferroconnect_sink_open_files";
    /// Sizes of completed files
    sink_file_sizes: FileSizes, SINK, "ferroconnect_sink_file_size_bytes";
    /// How long uploads of parts took
    sink_upload_seconds: Latencies, SINK, "ferroconnect_sink_upload_part_seconds";
    /// Requests to the destination that failed, those that were repeated among them
    sink_failed_requests: Counter, SINK, "ferroconnect_sink_failed_requests";
    /// Milliseconds since the oldest record came that is in no completed file
    sink_unflushed_age_ms: Gauge, SINK, "ferroconnect_sink_oldest_unflushed_record_age_ms";
    /// What files and their parts hold in memory, bytes
    sink_buffer_bytes: Gauge, SINK, "ferroconnect_sink_buffer_bytes";
}

impl TaskMetrics {
    /// A record could not be processed.
    pub fn record_failed(&self) {
        self.record_failures.inc();
        self.record_errors.inc();
        self.last_error_timestamp.set(millis_since_1970());
    }

    /// Something moved: records were acknowledged, written or committed.
    pub fn progressed(&self) {
        self.last_progress.set(millis_since_1970() / 1000);
    }
}

/// The present time in milliseconds since 1970.
pub(super) fn millis_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
