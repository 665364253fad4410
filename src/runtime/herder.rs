//! The herder: what `rest` and `cli` ask for.
//!
//! A command that changes something is one statement in the state database, whose constraints decide
//! between commands that come at once; afterwards the connector's runner is poked and makes the
//! worker follow. Reads go straight to the state database. Texts of refusals are the original's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::Props;
use crate::error::ConnectError;
use crate::metrics::{Metrics, set_gauge};
use crate::plugin::Plugins;
use crate::runtime::assembly::Assembly;
use crate::runtime::cluster::Cluster;
use crate::runtime::config_infos::ConfigInfos;
use crate::runtime::leases::BEAT_INTERVAL;
use crate::runtime::runner::Outcome;
use crate::runtime::state::restart_plan;
use crate::runtime::validation::{self, SubmittedProps, ValidationError, ValidationScope};
use crate::runtime::worker::{self, Busy, Shared};
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{CONNECTOR_TASK, ListedConnector, Store, StoredConnector, StoredStatus};

pub use crate::connector::OffsetChange;
pub use crate::runtime::entity::{
    ConnectorInfo, ConnectorKind, ConnectorOffset, ConnectorStatus, Health, HerderError,
    ListedInfo, Overview, State, StateInfo, TargetState, TaskId,
};
pub use crate::runtime::worker::WorkerGuard;

/// How long a restart that is waited for may take (the original's request timeout).
const RESTART_MAX: Duration = Duration::from_secs(90);
/// How long the parts that `/health` asks may take to answer.
const HEALTH_ANSWER_MAX: Duration = Duration::from_secs(4);
/// The heartbeat's loop counts as stuck when it did not go round for this long.
const LOOP_SILENCE_MAX: Duration = BEAT_INTERVAL.saturating_mul(10);
/// How often a change is merged anew when others change the same configuration meanwhile.
const PATCH_ATTEMPTS: usize = 5;
/// PostgreSQL's B-tree takes 2704 bytes, of which other columns of some keys need a part.
pub(super) const NAME_BYTES_MAX: usize = 1000;

pub(crate) type Answer<T> = Result<T, HerderError>;

/// The handle through which everything is asked for. Clones share one worker.
#[derive(Debug, Clone)]
pub struct Herder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cluster: Arc<Cluster>,
}

impl Herder {
    /// Starts the worker: it brings every stored connector into its target state. It must be called
    /// within a tokio runtime.
    pub fn start(
        config: WorkerConfig,
        plugins: Plugins,
        metrics: Arc<Metrics>,
        store: Store,
    ) -> (Self, WorkerGuard) {
        let config = Arc::new(config);
        let cluster = Arc::new(Cluster::new(Arc::clone(&config)));
        let assembly = Assembly { store, plugins: Arc::new(plugins), metrics, worker: config };
        let (shared, guard) = worker::start(assembly);
        shared.tracker.spawn({
            let (cluster, end) = (Arc::clone(&cluster), shared.shutdown.clone());
            async move { cluster.learn_id(end).await }
        });
        let herder = Self { shared, cluster };
        herder.forget_history();
        (herder, guard)
    }

    /// The plugins of this worker.
    pub fn plugins(&self) -> &Plugins {
        &self.shared.assembly.plugins
    }

    /// The worker's settings.
    pub fn config(&self) -> &WorkerConfig {
        &self.shared.assembly.worker
    }

    /// host:port that statuses show.
    pub fn worker_id(&self) -> &str {
        &self.shared.worker.address
    }

    /// The id of the Kafka cluster; `None` while it does not answer.
    pub async fn cluster_id(&self) -> Option<String> {
        self.cluster.id().await
    }

    /// The names of all connectors.
    ///
    /// # Errors
    /// [`HerderError::Internal`] when the state database is away; so for every command below.
    pub async fn connectors(&self) -> Answer<Vec<String>> {
        self.store().connector_names().await.map_err(internal)
    }

    /// All connectors, with what is asked for.
    ///
    /// # Errors
    /// When the state database is away.
    pub async fn overviews(&self, with_info: bool, with_status: bool) -> Answer<Vec<Overview>> {
        let statuses =
            async { if with_status { self.store().statuses(None).await } else { Ok(Vec::new()) } };
        let (connectors, stored) =
            tokio::try_join!(self.store().connectors(), statuses).map_err(internal)?;
        let mut statuses: HashMap<String, Vec<StoredStatus>> = HashMap::new();
        for status in stored {
            match statuses.get_mut(&status.connector) {
                Some(of_connector) => of_connector.push(status),
                None => {
                    statuses.insert(status.connector.clone(), vec![status]);
                }
            }
        }
        let overview = |connector: ListedConnector| {
            let ListedConnector { name, class, config, tasks } = connector;
            let kind = self.shared.assembly.kind_of(class.as_deref());
            let statuses = statuses.remove(&name);
            let status = statuses.and_then(|statuses| status_of(kind, statuses));
            let info = with_info.then(|| {
                let tasks = tasks.into_iter().map(|task| task_id(&name, task)).collect();
                ListedInfo { name: name.clone(), config, tasks, kind }
            });
            Overview { name, info, status }
        };
        Ok(connectors.into_iter().map(overview).collect())
    }

    /// A connector with its configuration and task ids.
    ///
    /// # Errors
    /// `Connector {c} not found`.
    pub async fn connector_info(&self, name: &str) -> Answer<ConnectorInfo> {
        Ok(self.info(self.known(name).await?))
    }

    /// A connector's configuration as submitted.
    ///
    /// # Errors
    /// `Connector {c} not found`.
    pub async fn connector_config(&self, name: &str) -> Answer<Props> {
        Ok(self.known(name).await?.config)
    }

    /// Makes a connector; `config` holds its name. Validation comes before the conflict of names.
    ///
    /// # Errors
    /// What is wrong with the configuration, else `Connector {c} already exists`.
    pub async fn create_connector(
        &self,
        name: &str,
        config: Props,
        target_state: TargetState,
    ) -> Answer<ConnectorInfo> {
        self.check(&config).await?;
        keepable(name)?;
        let created = self.change()?.create_connector(name, &config, target_state).await;
        if !created.map_err(internal)? {
            return Err(HerderError::AlreadyExists(format!("Connector {name} already exists")));
        }
        self.poke(name)?;
        let kind = self.shared.assembly.kind(&config);
        Ok(ConnectorInfo { name: name.to_owned(), config, tasks: Vec::new(), kind })
    }

    /// Makes a connector or replaces its configuration; says whether it is new. The target state
    /// stays.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub async fn put_connector_config(
        &self,
        name: &str,
        config: Props,
    ) -> Answer<(bool, ConnectorInfo)> {
        self.check(&config).await?;
        keepable(name)?;
        let created = self.change()?.put_connector(name, &config).await.map_err(internal)?;
        self.poke(name)?;
        Ok((created, self.info_with(name, config).await?))
    }

    /// Sets and, with `None`, removes keys of a configuration.
    ///
    /// # Errors
    /// `Connector {c} not found`; what is wrong with the outcome; [`HerderError::Conflict`] when
    /// others kept changing the same configuration.
    pub async fn patch_connector_config(
        &self,
        name: &str,
        patch: SubmittedProps,
    ) -> Answer<ConnectorInfo> {
        for _ in 0..PATCH_ATTEMPTS {
            let stored = self.known(name).await?;
            let mut config = stored.config;
            for (key, value) in &patch {
                match value {
                    Some(value) => config.insert(key.clone(), value.clone()),
                    None => config.remove(key),
                };
            }
            self.check(&config).await?;
            let replaced =
                self.change()?.replace_config(name, stored.config_version, &config).await;
            if replaced.map_err(internal)? {
                self.poke(name)?;
                return self.info_with(name, config).await;
            }
        }
        Err(HerderError::Conflict(
            "Cannot complete request momentarily due to stale configuration (typically caused by a \
             concurrent config change)"
                .to_owned(),
        ))
    }

    /// Removes a connector; its offsets stay.
    ///
    /// # Errors
    /// `Connector {c} not found`.
    pub async fn delete_connector(&self, name: &str) -> Answer<()> {
        if !self.change()?.delete_connector(name).await.map_err(internal)? {
            return Err(not_found(name));
        }
        self.poke(name)
    }

    /// Sets the target state PAUSED.
    ///
    /// # Errors
    /// `Unknown connector {c}`.
    pub async fn pause(&self, name: &str) -> Answer<()> {
        self.set_target_state(name, TargetState::Paused).await
    }

    /// Sets the target state STARTED.
    ///
    /// # Errors
    /// `Unknown connector {c}`.
    pub async fn resume(&self, name: &str) -> Answer<()> {
        self.set_target_state(name, TargetState::Started).await
    }

    /// Sets the target state STOPPED and removes all tasks.
    ///
    /// # Errors
    /// `Unknown connector {c}`.
    pub async fn stop(&self, name: &str) -> Answer<()> {
        self.set_target_state(name, TargetState::Stopped).await
    }

    /// Restarts the connector instance and waits until it has started.
    ///
    /// # Errors
    /// `Unknown connector: {c}`, `Failed to start connector: {c}`.
    pub async fn restart_connector(&self, name: &str) -> Answer<()> {
        let known = self.change()?.request_connector_restart(name).await.map_err(internal)?;
        if !known {
            return Err(HerderError::NotFound(format!("Unknown connector: {name}")));
        }
        let outcome = self.poke_and_wait(name).await?;
        match outcome.connector_failure {
            None => Ok(()),
            Some(trace) => {
                Err(failed_to_start(format!("Failed to start connector: {name}"), trace))
            }
        }
    }

    /// Restarts the connector and, if asked to, its tasks, or those of them that failed (KIP-745).
    /// Answers at once with the status as it will be: RESTARTING where something restarts.
    ///
    /// # Errors
    /// `Unknown connector: {c}`, `Status for connector {c} not found`.
    pub async fn restart_connector_and_tasks(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Answer<ConnectorStatus> {
        let stored = self.store().connector(name).await.map_err(internal)?;
        let Some(stored) = stored else {
            return Err(HerderError::NotFound(format!("Unknown connector: {name}")));
        };
        let statuses = self.store().statuses(Some(name)).await.map_err(internal)?;
        let status = self.status(Some(&stored), statuses).ok_or_else(|| {
            HerderError::NotFound(format!("Status for connector {name} not found"))
        })?;
        let plan = restart_plan(status, include_tasks, only_failed);
        if !plan.tasks.is_empty() {
            let tasks: Vec<i32> = plan.tasks.iter().filter_map(|task| number(*task)).collect();
            self.change()?.request_task_restarts(name, &tasks).await.map_err(internal)?;
        }
        if plan.connector {
            self.change()?.request_connector_restart(name).await.map_err(internal)?;
        }
        self.poke(name)?;
        Ok(plan.shown)
    }

    /// Restarts one task and waits until it has started.
    ///
    /// # Errors
    /// `Unknown connector: {c}`, `Unknown task: {c}-{n}`, `Failed to start task: {c}-{n}`.
    pub async fn restart_task(&self, id: &TaskId) -> Answer<()> {
        let name = &id.connector;
        if self.store().connector(name).await.map_err(internal)?.is_none() {
            return Err(HerderError::NotFound(format!("Unknown connector: {name}")));
        }
        let task = number(id.task);
        let tasks: Vec<i32> = task.into_iter().collect();
        let known = self.change()?.request_task_restarts(name, &tasks).await.map_err(internal)?;
        let Some(task) = known.first() else {
            return Err(HerderError::NotFound(format!("Unknown task: {id}")));
        };
        let mut outcome = self.poke_and_wait(name).await?;
        match outcome.task_failures.remove(task) {
            None => Ok(()),
            Some(trace) => Err(failed_to_start(format!("Failed to start task: {id}"), trace)),
        }
    }

    /// The tasks of a connector with their configurations, ascending.
    ///
    /// # Errors
    /// `Connector {c} not found`.
    pub async fn task_infos(&self, name: &str) -> Answer<Vec<(TaskId, Props)>> {
        self.known(name).await?;
        let tasks = self.store().tasks(name).await.map_err(internal)?;
        Ok(tasks.into_iter().map(|task| (task_id(name, task.task), task.config)).collect())
    }

    /// The states of a connector and its tasks.
    ///
    /// # Errors
    /// `No status found for connector {c}`.
    pub async fn connector_status(&self, name: &str) -> Answer<ConnectorStatus> {
        let statuses = self.store().statuses(Some(name)).await.map_err(internal)?;
        let stored = self.store().connector(name).await.map_err(internal)?;
        self.status(stored.as_ref(), statuses)
            .ok_or_else(|| HerderError::NotFound(format!("No status found for connector {name}")))
    }

    /// The state of one task.
    ///
    /// # Errors
    /// `No status found for task {c}-{n}`.
    pub async fn task_status(&self, id: &TaskId) -> Answer<StateInfo> {
        let statuses = self.store().statuses(Some(&id.connector)).await.map_err(internal)?;
        let task = number(id.task);
        let found = statuses.into_iter().find(|status| Some(status.task) == task);
        found
            .map(state_info)
            .ok_or_else(|| HerderError::NotFound(format!("No status found for task {id}")))
    }

    /// The topics that a connector used; empty for an unknown one.
    ///
    /// # Errors
    /// `Topic tracking is disabled.`
    pub async fn topics(&self, name: &str) -> Answer<Vec<String>> {
        if !self.config().topic_tracking_enable {
            return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()));
        }
        self.store().topics(name).await.map_err(internal)
    }

    /// Forgets the topics that a connector used.
    ///
    /// # Errors
    /// `Topic tracking is disabled.`, `Topic tracking reset is disabled.`
    pub async fn reset_topics(&self, name: &str) -> Answer<()> {
        if !self.config().topic_tracking_enable {
            return Err(HerderError::Forbidden("Topic tracking is disabled.".to_owned()));
        }
        if !self.config().topic_tracking_allow_reset {
            return Err(HerderError::Forbidden("Topic tracking reset is disabled.".to_owned()));
        }
        self.change()?.reset_topics(name).await.map_err(internal)
    }

    /// Everything that can be said about a configuration; nothing is created.
    ///
    /// # Errors
    /// When the configuration does not say which plugin is meant, or cannot be judged.
    pub async fn validate(&self, config: &SubmittedProps) -> Result<ConfigInfos, ValidationError> {
        let scope = ValidationScope::of(self.plugins(), self.config());
        validation::validate(&scope, config).await
    }

    /// Brings the metrics up to date that are only read when somebody asks.
    pub fn refresh_metrics(&self) {
        let worker = self.shared.assembly.metrics.worker();
        set_gauge(&worker.statuses_unstored, self.shared.board.len() as u64);
        let (used, idle) = self.store().connections();
        set_gauge(&worker.database_connections_used, used);
        set_gauge(&worker.database_connections_idle, idle);
        let runtime = tokio::runtime::Handle::current().metrics();
        set_gauge(&worker.runtime_tasks, runtime.num_alive_tasks() as u64);
        set_gauge(&worker.runtime_queue, runtime.global_queue_depth() as u64);
    }

    /// Whether the worker can do its work. Answers within 10 s.
    pub async fn health(&self) -> Health {
        let (database, broker) = tokio::join!(
            timeout(HEALTH_ANSWER_MAX, self.store().ping()),
            timeout(HEALTH_ANSWER_MAX, self.cluster.answers())
        );
        Health {
            started: self.shared.started.is_cancelled(),
            herder_alive: self.shared.leases.beats_within(LOOP_SILENCE_MAX),
            database_reachable: matches!(database, Ok(Ok(()))),
            broker_reachable: broker.unwrap_or(false),
        }
    }
}

/// What the commands have in common.
impl Herder {
    pub(crate) fn store(&self) -> &Store {
        &self.shared.assembly.store
    }

    /// Where changes go, while the worker is there to follow them.
    pub(crate) fn change(&self) -> Answer<&Store> {
        if self.shared.shutdown.is_cancelled() {
            return Err(busy(Busy::ShuttingDown));
        }
        Ok(self.store())
    }

    pub(crate) async fn known(&self, name: &str) -> Answer<StoredConnector> {
        self.store().connector(name).await.map_err(internal)?.ok_or_else(|| not_found(name))
    }

    async fn check(&self, config: &Props) -> Answer<()> {
        let scope = ValidationScope::of(self.plugins(), self.config());
        let submitted =
            config.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        validation::check(&scope, &submitted).await
    }

    /// The new configuration with the present tasks.
    async fn info_with(&self, name: &str, config: Props) -> Answer<ConnectorInfo> {
        let tasks = self.store().tasks(name).await.map_err(internal)?;
        let kind = self.shared.assembly.kind(&config);
        let tasks = tasks.into_iter().map(|task| task_id(name, task.task)).collect();
        Ok(ConnectorInfo { name: name.to_owned(), config, tasks, kind })
    }

    fn info(&self, connector: StoredConnector) -> ConnectorInfo {
        let kind = self.shared.assembly.kind(&connector.config);
        let tasks = connector.tasks.iter().map(|task| task_id(&connector.name, *task)).collect();
        ConnectorInfo { name: connector.name, config: connector.config, tasks, kind }
    }

    /// `None` while the connector has no status.
    fn status(
        &self,
        connector: Option<&StoredConnector>,
        statuses: Vec<StoredStatus>,
    ) -> Option<ConnectorStatus> {
        let kind = connector.map_or(ConnectorKind::Unknown, |connector| {
            self.shared.assembly.kind(&connector.config)
        });
        status_of(kind, statuses)
    }

    async fn set_target_state(&self, name: &str, target_state: TargetState) -> Answer<()> {
        let known = self.change()?.set_target_state(name, target_state).await.map_err(internal)?;
        if !known {
            return Err(HerderError::NotFound(format!("Unknown connector {name}")));
        }
        self.poke(name)
    }

    fn poke(&self, name: &str) -> Answer<()> {
        self.shared.poke(name, None).map_err(busy)
    }

    pub(crate) async fn poke_and_wait(&self, name: &str) -> Answer<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.shared.poke(name, Some(done)).map_err(busy)?;
        match timeout(RESTART_MAX, outcome).await {
            Ok(Ok(outcome)) if outcome.store_away => {
                Err(internal(ConnectError::retriable("the state database is away")))
            }
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(busy(Busy::ShuttingDown)),
            Err(_) => Err(internal(ConnectError::retriable("Request timed out"))),
        }
    }
}

/// The status of a connector from those of itself and its tasks; `None` while it has none.
fn status_of(kind: ConnectorKind, statuses: Vec<StoredStatus>) -> Option<ConnectorStatus> {
    let mut own = None;
    let mut tasks = Vec::new();
    for status in statuses {
        match usize::try_from(status.task) {
            Ok(task) => tasks.push((task, state_info(status))),
            Err(_) if status.task == CONNECTOR_TASK => {
                own = Some((status.connector.clone(), state_info(status)));
            }
            Err(_) => {}
        }
    }
    let (name, connector) = own?;
    Some(ConnectorStatus { name, connector, tasks, kind })
}

fn state_info(status: StoredStatus) -> StateInfo {
    // Clients of the original take a trace for a failure, whatever the state beside it says.
    let failed = matches!(status.state, State::Failed | State::Restarting);
    let (trace, condition) = if failed { (status.trace, None) } else { (None, status.trace) };
    StateInfo {
        state: status.state,
        worker_id: status.worker_id,
        trace,
        condition,
        version: status.version,
    }
}

fn task_id(connector: &str, task: i32) -> TaskId {
    let task = usize::try_from(task).expect("task numbers are not negative: a constraint says so");
    TaskId { connector: connector.to_owned(), task }
}

/// A task's number as stored; `None` when no task can have it.
fn number(task: usize) -> Option<i32> {
    i32::try_from(task).ok()
}

/// The state database finds connectors by an index over their names, whose entries are bounded.
fn keepable(name: &str) -> Answer<()> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(HerderError::BadRequest(format!(
        "The connector's name is {} bytes long, at most {NAME_BYTES_MAX} can be kept",
        name.len()
    )))
}

fn not_found(name: &str) -> HerderError {
    HerderError::NotFound(format!("Connector {name} not found"))
}

pub(crate) fn internal(error: impl Into<ConnectError>) -> HerderError {
    HerderError::Internal(error.into())
}

fn failed_to_start(text: String, trace: String) -> HerderError {
    internal(ConnectError::fatal(text).because(trace))
}

fn busy(busy: Busy) -> HerderError {
    match busy {
        Busy::ShuttingDown => internal(ConnectError::retriable("Worker is shutting down")),
        Busy::TooManyRequests => HerderError::Conflict(
            "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"
                .to_owned(),
        ),
    }
}
