//! One connector on this worker: makes what runs equal to what is stored.
//!
//! A runner reads the connector from the state database whenever it is poked, and decides by
//! comparing with what it did last; so it does not matter who changed the connector, how often, or
//! whether a poke was lost: the next one brings it up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::Resolved;
use crate::error::ErrorKind;
use crate::metrics::ConnectorFacts;
use crate::runtime::assembly::trace_of;
use crate::runtime::connector_config::CONNECTOR_CLASS;
use crate::runtime::entity::{State, TargetState, TaskId};
use crate::runtime::state::{Applied, Restarts, Step, stays_failed, step, what_is_next};
use crate::runtime::supervisor::{Supervisor, TaskPlan};
use crate::runtime::task::{random_fraction, reached};
use crate::runtime::worker::Shared;
use crate::store::{CONNECTOR_TASK, Lease, StoreError, StoredConnector, StoredStatus, StoredTask};

/// Before the next look, when the state database is away or another worker runs the connector.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Pokes a runner: look at the connector again.
#[derive(Debug)]
pub(crate) struct Poke {
    /// Told what came of it.
    pub done: Option<oneshot::Sender<Outcome>>,
}

/// What came of a poke. Failures are those that hold now: the change that was poked for may have
/// been carried out by an earlier look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Why the connector could not be started.
    pub connector_failure: Option<String>,
    /// Why tasks could not be started, by number.
    pub task_failures: BTreeMap<i32, String>,
    /// The state database could not be asked.
    pub store_away: bool,
}

/// A connector on this worker.
pub(crate) struct Runner {
    name: String,
    shared: Arc<Shared>,
    pokes: mpsc::Receiver<Poke>,
    lease: Option<(Lease, CancellationToken)>,
    applied: Option<Applied>,
    tasks: BTreeMap<i32, RunningTask>,
    paused: watch::Sender<bool>,
    outcome: Outcome,
    /// Starts of a connector that failed for a reason outside.
    restarts: Restarts,
    /// When it is started again.
    restart_at: Option<Instant>,
}

struct RunningTask {
    stored: StoredTask,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What the connector is after a look.
enum Look {
    /// It is as it shall be.
    Done,
    /// Look again in a while.
    Again,
    /// It does not exist.
    Gone,
}

impl Runner {
    pub(crate) fn new(name: String, shared: Arc<Shared>, pokes: mpsc::Receiver<Poke>) -> Self {
        let (paused, _) = watch::channel(false);
        let restarts = Restarts::new(shared.assembly.worker.task_restart);
        Self {
            name,
            shared,
            pokes,
            lease: None,
            applied: None,
            tasks: BTreeMap::new(),
            paused,
            outcome: Outcome::default(),
            restarts,
            restart_at: None,
        }
    }

    /// Runs the connector until it is deleted or the worker ends.
    pub(crate) async fn run(mut self) {
        let mut again = false;
        loop {
            let lost = self.lease.as_ref().map(|(_, lost)| lost.clone());
            let mut waiting = Vec::new();
            tokio::select! {
                () = self.shared.shutdown.cancelled() => break,
                poke = self.pokes.recv() => match poke {
                    Some(poke) => waiting.extend(poke.done),
                    None => break,
                },
                () = sleep(LOOK_AGAIN), if again => {}
                // Forgetting what was done starts it anew.
                () = reached(self.restart_at) => self.applied = None,
                () = cancelled(lost) => self.give_up().await,
            }
            while let Ok(poke) = self.pokes.try_recv() {
                waiting.extend(poke.done);
            }
            let look = self.look().await;
            for done in waiting {
                // Whoever asked may have left.
                let _ = done.send(self.outcome.clone());
            }
            again = matches!(look, Look::Again);
            if matches!(look, Look::Gone) && self.shared.retire(&self.name, &self.pokes) {
                return;
            }
        }
        self.end().await;
    }

    /// Makes what runs equal to what is stored.
    async fn look(&mut self) -> Look {
        self.outcome.store_away = false;
        match self.reconcile().await {
            Ok(look) => look,
            Err(error) => {
                // The heartbeat warns when the database is away, once for all connectors.
                tracing::debug!(connector = self.name, %error, "cannot look at the connector");
                if matches!(error, StoreError::Fenced { .. }) {
                    self.give_up().await;
                } else {
                    self.outcome.store_away = true;
                }
                Look::Again
            }
        }
    }

    async fn reconcile(&mut self) -> Result<Look, StoreError> {
        let store = self.shared.assembly.store.clone();
        let Some(wanted) = store.connector(&self.name).await? else {
            self.stop_tasks(|_| true).await;
            self.release().await;
            return Ok(Look::Gone);
        };
        let Some(lease) = self.acquire().await? else { return Ok(Look::Again) };
        let step = step(self.applied.as_ref(), &wanted);
        let failed = stays_failed(self.applied.as_ref(), &wanted);
        if !failed {
            self.outcome.connector_failure = None;
            self.restart_at = None;
        }
        let mut applied = Applied {
            config_version: wanted.config_version,
            restarts: wanted.restarts,
            target_state: wanted.target_state,
            failed,
        };
        self.paused.send_if_modified(|paused| {
            let before = std::mem::replace(paused, wanted.target_state == TargetState::Paused);
            before != *paused
        });
        match step {
            Step::Keep => {}
            Step::Stop => {
                self.stop_tasks(|_| true).await;
                self.report(&lease, &wanted, State::Stopped, None);
            }
            Step::Pause if failed => {}
            Step::Pause => self.report(&lease, &wanted, State::Paused, None),
            Step::Start => match self.plan(&lease, &wanted).await? {
                Planned::Ready => {
                    self.shared.assembly.metrics.worker().connector_startups.count(true);
                    self.restarts = Restarts::new(self.shared.assembly.worker.task_restart);
                    self.report(&lease, &wanted, State::Running, None);
                }
                // Changed while it was planned: what is stored now is looked at next.
                Planned::Outdated => return Ok(Look::Again),
                Planned::Failed(kind, trace) => {
                    self.shared.assembly.metrics.worker().connector_startups.count(false);
                    applied.failed = true;
                    let delay = self.restarts.after(kind, Duration::ZERO, random_fraction());
                    self.restart_at = delay.map(|delay| Instant::now() + delay);
                    let next = what_is_next(kind, delay, self.restarts.attempts());
                    tracing::error!(connector = self.name, trace, next, "connector failed");
                    self.outcome.connector_failure = Some(trace.clone());
                    self.report(&lease, &wanted, State::Failed, Some(format!("{trace}\n{next}\n")));
                }
            },
        }
        self.applied = Some(applied);
        if step != Step::Keep {
            let state = wanted.target_state.name();
            tracing::info!(connector = self.name, state, failed = applied.failed, "connector set");
        }
        self.run_tasks(&wanted).await?;
        Ok(Look::Done)
    }

    /// Plans the connector's tasks and stores their configurations.
    async fn plan(&self, lease: &Lease, wanted: &StoredConnector) -> Result<Planned, StoreError> {
        let assembly = &self.shared.assembly;
        let resolved = match assembly.resolve(&wanted.config).await {
            Ok(resolved) => resolved,
            Err(error) => return Ok(Planned::Failed(error.kind(), trace_of(&error))),
        };
        let configs = match assembly.plan(&self.name, &resolved) {
            Ok(configs) => configs,
            Err(error) => {
                let trace = resolved.hidden(&trace_of(&error));
                return Ok(Planned::Failed(error.kind(), trace));
            }
        };
        let stored = assembly.store.put_tasks(lease, wanted.config_version, &configs).await?;
        Ok(if stored { Planned::Ready } else { Planned::Outdated })
    }

    /// Stops the tasks that are gone or changed, and starts those that do not run.
    async fn run_tasks(&mut self, wanted: &StoredConnector) -> Result<(), StoreError> {
        let stored = self.shared.assembly.store.tasks(&self.name).await?;
        self.stop_tasks(|running| !stored.contains(&running.stored)).await;
        let mut starting = Vec::new();
        for task in stored {
            if !self.tasks.contains_key(&task.task) {
                starting.push((task.task, self.start_task(wanted, task)));
            }
        }
        for (number, first_start) in starting {
            tokio::select! {
                // An error: stopped before it could start.
                started = first_start => if let Ok(Err(trace)) = started {
                    self.outcome.task_failures.insert(number, trace);
                },
                // A lease that cannot be had now, or a database that is away: it starts later.
                () = sleep(LOOK_AGAIN) => {}
                () = self.shared.shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    fn start_task(
        &mut self,
        wanted: &StoredConnector,
        stored: StoredTask,
    ) -> oneshot::Receiver<Result<(), String>> {
        let (first_start, started) = oneshot::channel();
        let stop = CancellationToken::new();
        let task = usize::try_from(stored.task).unwrap_or_default();
        let supervisor = Supervisor {
            shared: Arc::clone(&self.shared),
            plan: TaskPlan {
                id: TaskId { connector: self.name.clone(), task },
                number: stored.task,
                config: wanted.config.clone(),
                task_config: stored.config.clone(),
            },
            paused: self.paused.subscribe(),
            stop: stop.clone(),
            resolved: Resolved::default(),
            first_start: Some(first_start),
        };
        let supervisor = tokio::spawn(supervisor.run());
        self.tasks.insert(stored.task, RunningTask { stored, stop, supervisor });
        started
    }

    /// Stops the tasks that `which` picks, all at once; each bounds its own end.
    async fn stop_tasks(&mut self, which: impl Fn(&RunningTask) -> bool) {
        let picked: Vec<i32> =
            self.tasks.iter().filter(|(_, task)| which(task)).map(|(number, _)| *number).collect();
        let mut stopping: Vec<RunningTask> =
            picked.iter().filter_map(|number| self.tasks.remove(number)).collect();
        for task in &stopping {
            task.stop.cancel();
        }
        join_all(stopping.iter_mut().map(|task| &mut task.supervisor)).await;
        for number in picked {
            self.outcome.task_failures.remove(&number);
            let number = usize::try_from(number).unwrap_or_default();
            self.shared.assembly.metrics.remove_task(&self.name, number);
        }
    }

    /// The connector's lease; `None` while another worker that is alive holds it.
    async fn acquire(&mut self) -> Result<Option<Lease>, StoreError> {
        if let Some((lease, _)) = &self.lease {
            return Ok(Some(lease.clone()));
        }
        let shared = &self.shared;
        let acquired =
            shared.assembly.store.acquire(&self.name, CONNECTOR_TASK, &shared.worker).await?;
        self.lease = acquired.map(|lease| {
            let lost = shared.leases.watch(&lease);
            (lease, lost)
        });
        Ok(self.lease.as_ref().map(|(lease, _)| lease.clone()))
    }

    /// Another worker runs the connector now.
    async fn give_up(&mut self) {
        self.stop_tasks(|_| true).await;
        if let Some((lease, _)) = self.lease.take() {
            self.shared.leases.forget(&lease);
        }
        self.forget();
    }

    /// The connector is no longer this worker's.
    fn forget(&mut self) {
        self.applied = None;
        self.shared.assembly.metrics.worker().remove_connector(&self.name);
    }

    async fn release(&mut self) {
        if let Some((lease, _)) = self.lease.take() {
            self.shared.leases.forget(&lease);
            if let Err(error) = self.shared.assembly.store.release(&lease).await {
                tracing::debug!(connector = self.name, %error, "the lease cannot be given back");
            }
        }
        self.forget();
    }

    /// The worker ends: tasks drain, and whoever comes next finds the connector unassigned.
    async fn end(mut self) {
        self.stop_tasks(|_| true).await;
        if let Some((lease, _)) = &self.lease {
            let stopped =
                self.applied.is_some_and(|applied| applied.target_state == TargetState::Stopped);
            if !stopped {
                self.shared.report(lease, self.status(lease, State::Unassigned, None, None));
            }
        }
        // The lease goes with the worker, after its last statuses.
    }

    fn report(&self, lease: &Lease, wanted: &StoredConnector, state: State, trace: Option<String>) {
        let assembly = &self.shared.assembly;
        let version = assembly.version(&wanted.config);
        let facts = ConnectorFacts {
            state: state.name().to_lowercase(),
            kind: assembly.kind(&wanted.config).name(),
            class: wanted.config.get(CONNECTOR_CLASS).cloned().unwrap_or_default(),
            version: version.clone().unwrap_or_default(),
        };
        assembly.metrics.worker().connector(&self.name, facts);
        self.shared.report(lease, self.status(lease, state, trace, version));
    }

    fn status(
        &self,
        lease: &Lease,
        state: State,
        trace: Option<String>,
        version: Option<String>,
    ) -> StoredStatus {
        StoredStatus {
            connector: lease.connector.clone(),
            task: lease.task,
            state,
            worker_id: self.shared.worker.address.clone(),
            trace,
            version,
        }
    }
}

enum Planned {
    Ready,
    Outdated,
    /// The trace holds references in place of what they stand for.
    Failed(ErrorKind, String),
}

/// Ends when `token` is cancelled; never without one.
async fn cancelled(token: Option<CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}
