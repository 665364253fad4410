//! Every metric's name, labels and help text, and the text that `/metrics` answers.
//!
//! Names of the original's metrics are kept in Prometheus form (`kafka_connect_...`,
//! `debezium_...`); ours start with `ferroconnect_`. Tasks hold a [`TaskMetrics`], whose list is in
//! `task.rs`: a metric more is one entry there. The worker's own are in `worker.rs`.

mod histogram;
mod instrument;
mod process;
mod task;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

pub use histogram::{FileSizes, Latencies};
pub use instrument::{
    Activity, By, Counter, Gauge, Label, Level, Meter, Outcomes, Size, StateTimes, Table, Timing,
    Total, set_gauge,
};
pub use task::{TaskMetrics, TaskSide};
pub use worker::{ConnectorFacts, Startups, WorkerMetrics};

use instrument::{Form, Reading};
use worker::Family;

/// A counter of one task.
pub type TaskCounter = Counter;

/// The worker's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tasks: Arc<Tasks>,
    worker: Arc<WorkerMetrics>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry that shows every metric there is.
    pub fn new() -> Self {
        let tasks = Arc::new(Tasks::default());
        let worker = Arc::new(WorkerMetrics::new());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&tasks)));
        registry.register_collector(Box::new(Arc::clone(&worker)));
        registry.register_collector(Box::new(Process));
        Self { registry, tasks, worker }
    }

    /// The metrics of the worker and its connectors.
    pub fn worker(&self) -> &WorkerMetrics {
        &self.worker
    }

    /// The metrics of task `task` of `connector`, from nothing: a task that is started again counts
    /// on.
    pub fn task(&self, connector: &str, task: usize, side: TaskSide) -> Arc<TaskMetrics> {
        let mut tasks = self.tasks.lock();
        let (known, metrics) = tasks
            .entry((connector.to_owned(), number(task)))
            .or_insert_with(|| (side, Arc::default()));
        if *known != side {
            (*known, *metrics) = (side, Arc::default());
        }
        Arc::clone(metrics)
    }

    /// Forgets the metrics of a task that is gone.
    pub fn remove_task(&self, connector: &str, task: usize) {
        let task = number(task);
        self.tasks.lock().remove(&(connector.to_owned(), task));
        self.worker.remove_task(connector, task);
    }

    /// A task is in `state`, in lower case.
    pub fn task_state(&self, connector: &str, task: usize, state: &str) {
        let task = number(task);
        self.worker.task(connector, task, state);
        if let Some((_, metrics)) = self.tasks.lock().get(&(connector.to_owned(), task)) {
            metrics.state_times.enter(match state {
                "running" => Activity::Running,
                "paused" => Activity::Paused,
                _ => Activity::Other,
            });
        }
    }

    /// The text that `/metrics` answers, in the OpenMetrics form.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a String cannot fail");
        text
    }
}

fn number(task: usize) -> u32 {
    u32::try_from(task).unwrap_or(u32::MAX)
}

type ByTask = BTreeMap<(String, u32), (TaskSide, Arc<TaskMetrics>)>;

/// The metrics of every task, by connector and number.
#[derive(Debug, Default)]
struct Tasks(Mutex<ByTask>);

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, ByTask> {
        // A map of counters has no half-done state that a panic could leave.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = Instant::now();
        let tasks = self.lock().clone();
        for row in task::ROWS {
            for (index, series) in row.series.iter().enumerate() {
                let name = format!("{}{}", row.name, series.suffix);
                let help = format!("{}{}", row.help.trim(), series.help);
                let mut family =
                    encoder.encode_descriptor(&name, &help, None, form(series.form))?;
                for ((connector, task), (side, metrics)) in &tasks {
                    if !row.sides.contains(side) {
                        continue;
                    }
                    let task = task.to_string();
                    if let Some(whole) = (row.whole)(metrics) {
                        let labels = [("connector", connector.as_str()), ("task", task.as_str())];
                        whole.encode(family.encode_family(&labels)?)?;
                        continue;
                    }
                    let mut outcome = Ok(());
                    (row.read)(metrics, index, now, &mut |label, reading| {
                        let mut labels =
                            vec![("connector", connector.as_str()), ("task", task.as_str())];
                        labels.extend(label);
                        outcome = outcome.and_then(|()| {
                            let mut sample = family.encode_family(&labels)?;
                            match reading {
                                Reading::Count(count) => sample.encode_counter(&count, NO_EXEMPLAR),
                                Reading::Level(level) => sample.encode_gauge(&level),
                                Reading::Value(value) => sample.encode_gauge(&value),
                            }
                        });
                    });
                    outcome?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for WorkerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, counts, series } in self.families() {
            let form = if counts { Form::Counter } else { Form::Gauge };
            let mut family = encoder.encode_descriptor(&name, help, None, self::form(form))?;
            for (labels, value) in &series {
                if counts {
                    family.encode_counter(value, NO_EXEMPLAR)?;
                } else if labels.is_empty() {
                    family.encode_gauge(value)?;
                } else {
                    family.encode_family(labels)?.encode_gauge(value)?;
                }
            }
        }
        Ok(())
    }
}

/// The process, read at each scrape.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, counts, value) in process::read() {
            let form = if counts { Form::Counter } else { Form::Gauge };
            let mut family = encoder.encode_descriptor(name, help, None, self::form(form))?;
            if counts {
                family.encode_counter(&value, NO_EXEMPLAR)?;
            } else {
                family.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

fn form(form: Form) -> MetricType {
    match form {
        Form::Counter => MetricType::Counter,
        Form::Gauge => MetricType::Gauge,
        Form::Histogram => MetricType::Histogram,
    }
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

    #[test]
    fn every_kind_of_series_is_shown() {
        let metrics = Metrics::new();
        let task = metrics.task("c\"\n", 0, TaskSide::Source);
        metrics.task_state("c\"\n", 0, "running");
        task.source_record_poll.inc_by(60);
        task.errors_skipped.inc_by(2);
        task.source_record_active.set(7);
        task.poll_batch.record(std::time::Duration::from_millis(5));
        task.snapshot_table_rows.of("public.t").inc_by(9);
        let text = metrics.encode();
        let labels = r#"connector="c\"\n",task="0""#;
        for line in [
            format!("kafka_connect_source_task_source_record_poll_total{{{labels}}} 60"),
            format!("kafka_connect_source_task_source_record_poll_rate{{{labels}}} 2.0"),
            format!("kafka_connect_task_error_total_records_skipped{{{labels}}} 2"),
            format!("kafka_connect_source_task_source_record_active_count{{{labels}}} 7"),
            format!("kafka_connect_source_task_source_record_active_count_max{{{labels}}} 7.0"),
            format!("kafka_connect_source_task_poll_batch_avg_time_ms{{{labels}}} 5.0"),
            format!("kafka_connect_connector_task_offset_commit_max_time_ms{{{labels}}} NaN"),
            format!("ferroconnect_snapshot_table_rows_total{{{labels},table=\"public.t\"}} 9"),
            format!("kafka_connect_connector_task_status{{{labels},status=\"running\"}} 1.0"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_task_that_is_started_again_counts_on() {
        let metrics = Metrics::new();
        metrics.task("c", 0, TaskSide::Sink).restarts.inc();
        assert_eq!(metrics.task("c", 0, TaskSide::Sink).restarts.get(), 1);
        assert_eq!(metrics.task("c", 0, TaskSide::Source).restarts.get(), 0);
    }

    #[test]
    fn connectors_are_counted_by_the_states_of_their_tasks() {
        let metrics = Metrics::new();
        let facts = |state: &str| ConnectorFacts {
            state: state.to_owned(),
            kind: "sink",
            class: "S3SinkConnector".to_owned(),
            version: "1".to_owned(),
        };
        metrics.worker().connector("c", facts("running"));
        metrics.worker().connector("d", facts("paused"));
        for (task, state) in [(0, "running"), (1, "failed"), (2, "running")] {
            metrics.task_state("c", task, state);
        }
        metrics.worker().task_startups.count(true);
        metrics.worker().task_startups.count(false);
        let text = metrics.encode();
        for line in [
            "kafka_connect_worker_connector_count 2.0",
            "kafka_connect_worker_task_count 3.0",
            "kafka_connect_worker_connector_total_task_count{connector=\"c\"} 3.0",
            "kafka_connect_worker_connector_running_task_count{connector=\"c\"} 2.0",
            "kafka_connect_worker_connector_failed_task_count{connector=\"c\"} 1.0",
            "kafka_connect_worker_connector_failed_task_count{connector=\"d\"} 0.0",
            "kafka_connect_worker_task_startup_attempts_total 2.0",
            "kafka_connect_worker_task_startup_success_percentage 0.5",
            "kafka_connect_connector_status{connector=\"d\",status=\"paused\"} 1.0",
            "kafka_connect_connector_connector_type{connector=\"d\",connector_type=\"sink\"} 1.0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        metrics.worker().remove_connector("d");
        assert!(!metrics.encode().contains("connector=\"d\""));
    }
}
