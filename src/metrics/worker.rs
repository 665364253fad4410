//! The metrics of the worker and its connectors: counts, states, starts, and the parts of the
//! process that can run full.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::instrument::Gauge;
use super::task::millis_since_1970;

/// What is known of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFacts {
    /// The state in lower case, as the original's metric has it.
    pub state: String,
    pub kind: &'static str,
    pub class: String,
    pub version: String,
}

/// Starts of connectors or of tasks.
#[derive(Debug, Default)]
pub struct Startups {
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Startups {
    pub fn count(&self, succeeded: bool) {
        let counter = if succeeded { &self.successes } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn numbers(&self) -> (f64, f64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        (load(&self.successes), load(&self.failures))
    }
}

/// The metrics of the worker.
#[derive(Debug)]
pub struct WorkerMetrics {
    pub connector_startups: Startups,
    pub task_startups: Startups,
    /// Statuses that wait to be stored.
    pub statuses_unstored: Gauge,
    pub database_connections_used: Gauge,
    pub database_connections_idle: Gauge,
    /// Tasks of the asynchronous runtime that are alive.
    pub runtime_tasks: Gauge,
    /// Tasks of the asynchronous runtime that wait for a thread.
    pub runtime_queue: Gauge,
    started_ms: i64,
    connectors: Mutex<BTreeMap<String, ConnectorFacts>>,
    /// The states of tasks, in lower case.
    tasks: Mutex<BTreeMap<(String, u32), String>>,
}

/// A family as it is shown: name, help, whether it counts up, and its series.
pub(super) struct Family {
    pub name: String,
    pub help: &'static str,
    pub counts: bool,
    pub series: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// A task that ended is shown in none of these, but counts under its own name.
const TASK_STATES: [&str; 6] =
    ["running", "paused", "failed", "unassigned", "destroyed", "restarting"];

impl WorkerMetrics {
    pub(super) fn new() -> Self {
        Self {
            connector_startups: Startups::default(),
            task_startups: Startups::default(),
            statuses_unstored: Gauge::default(),
            database_connections_used: Gauge::default(),
            database_connections_idle: Gauge::default(),
            runtime_tasks: Gauge::default(),
            runtime_queue: Gauge::default(),
            started_ms: millis_since_1970(),
            connectors: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// A connector is known, or in another state.
    pub fn connector(&self, name: &str, facts: ConnectorFacts) {
        lock(&self.connectors).insert(name.to_owned(), facts);
    }

    /// A connector is gone.
    pub fn remove_connector(&self, name: &str) {
        lock(&self.connectors).remove(name);
    }

    /// A task is in `state`, in lower case.
    pub fn task(&self, connector: &str, task: u32, state: &str) {
        lock(&self.tasks).insert((connector.to_owned(), task), state.to_owned());
    }

    pub(super) fn remove_task(&self, connector: &str, task: u32) {
        lock(&self.tasks).remove(&(connector.to_owned(), task));
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = self.starts();
        families.extend(self.states());
        families.extend(self.own());
        families
    }

    fn starts(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for (what, startups) in
            [("connector", &self.connector_startups), ("task", &self.task_startups)]
        {
            let (successes, failures) = startups.numbers();
            let all = successes + failures;
            let share = |part: f64| if all == 0.0 { 0.0 } else { part / all };
            let name = |rest: &str| format!("kafka_connect_worker_{what}_startup_{rest}");
            families.extend([
                single(name("attempts"), "Starts that were tried", true, all),
                single(name("success"), "Starts that succeeded", true, successes),
                single(name("failure"), "Starts that failed", true, failures),
                single(
                    name("success_percentage"),
                    "Starts that succeeded, 0 to 1",
                    false,
                    share(successes),
                ),
                single(
                    name("failure_percentage"),
                    "Starts that failed, 0 to 1",
                    false,
                    share(failures),
                ),
            ]);
        }
        families
    }

    fn states(&self) -> Vec<Family> {
        let (connectors, tasks) = (lock(&self.connectors), lock(&self.tasks));
        let total = |number: usize| number as f64;
        let mut families = vec![
            single(
                "kafka_connect_worker_connector_count".to_owned(),
                "Connectors that this worker runs",
                false,
                total(connectors.len()),
            ),
            single(
                "kafka_connect_worker_task_count".to_owned(),
                "Tasks that this worker runs",
                false,
                total(tasks.len()),
            ),
            single(
                "kafka_connect_coordinator_assigned_connectors".to_owned(),
                "Connectors that this worker runs",
                false,
                total(connectors.len()),
            ),
            single(
                "kafka_connect_coordinator_assigned_tasks".to_owned(),
                "Tasks that this worker runs",
                false,
                total(tasks.len()),
            ),
        ];
        for (name, label, help, text) in CONNECTOR_TEXTS {
            let series = connectors.iter().map(|(connector, facts)| {
                (vec![("connector", connector.clone()), (*label, text(facts))], 1.0)
            });
            families.push(gauge((*name).to_owned(), help, series.collect()));
        }
        let states = tasks.iter().map(|((connector, task), state)| {
            let labels = vec![
                ("connector", connector.clone()),
                ("task", task.to_string()),
                ("status", state.clone()),
            ];
            (labels, 1.0)
        });
        families.push(gauge(
            "kafka_connect_connector_task_status".to_owned(),
            "The task's state as a label",
            states.collect(),
        ));
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for ((connector, _), state) in tasks.iter() {
            *counts.entry((connector, "total")).or_default() += 1;
            *counts.entry((connector, state)).or_default() += 1;
        }
        for name in std::iter::once("total").chain(TASK_STATES) {
            let series = connectors.keys().map(|connector| {
                let count = counts.get(&(connector.as_str(), name)).copied().unwrap_or_default();
                (vec![("connector", connector.clone())], total(count))
            });
            let series = series.collect();
            families.push(gauge(
                format!("kafka_connect_worker_connector_{name}_task_count"),
                "Tasks of the connector, in all or in a state",
                series,
            ));
        }
        families
    }

    fn own(&self) -> Vec<Family> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let number = |gauge: &Gauge| gauge.get() as f64;
        let connections = [
            ("used", number(&self.database_connections_used)),
            ("idle", number(&self.database_connections_idle)),
        ];
        let connections =
            connections.map(|(state, count)| (vec![("state", state.to_owned())], count));
        vec![
            gauge(
                "kafka_connect_app_info_version".to_owned(),
                "The worker's version as a label",
                vec![(vec![("version", version)], 1.0)],
            ),
            single(
                "kafka_connect_app_info_start_time_ms".to_owned(),
                "When the worker started, milliseconds since 1970",
                false,
                self.started_ms as f64,
            ),
            single(
                "ferroconnect_worker_uptime_seconds".to_owned(),
                "Since the worker started",
                false,
                (millis_since_1970() - self.started_ms) as f64 / 1000.0,
            ),
            single(
                "ferroconnect_statuses_unstored".to_owned(),
                "Statuses that wait for the state database",
                false,
                number(&self.statuses_unstored),
            ),
            gauge(
                "ferroconnect_state_database_connections".to_owned(),
                "Connections to the state database, used and idle",
                connections.into(),
            ),
            single(
                "ferroconnect_runtime_tasks".to_owned(),
                "Tasks of the asynchronous runtime",
                false,
                number(&self.runtime_tasks),
            ),
            single(
                "ferroconnect_runtime_queue_depth".to_owned(),
                "Tasks of the asynchronous runtime that wait for a thread",
                false,
                number(&self.runtime_queue),
            ),
        ]
    }
}

type Text = fn(&ConnectorFacts) -> String;

/// The original's text attributes: value 1, the text as a label.
const CONNECTOR_TEXTS: &[(&str, &str, &str, Text)] = &[
    ("kafka_connect_connector_status", "status", "The connector's state as a label", |facts| {
        facts.state.clone()
    }),
    (
        "kafka_connect_connector_connector_type",
        "connector_type",
        "source or sink, as a label",
        |facts| facts.kind.to_owned(),
    ),
    (
        "kafka_connect_connector_connector_class",
        "connector_class",
        "The connector's class as a label",
        |facts| facts.class.clone(),
    ),
    (
        "kafka_connect_connector_connector_version",
        "connector_version",
        "The connector's version as a label",
        |facts| facts.version.clone(),
    ),
];

fn single(name: String, help: &'static str, counts: bool, value: f64) -> Family {
    Family { name, help, counts, series: vec![(Vec::new(), value)] }
}

fn gauge(
    name: String,
    help: &'static str,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
) -> Family {
    Family { name, help, counts: false, series }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps of values have no half-done state that a panic could leave.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
