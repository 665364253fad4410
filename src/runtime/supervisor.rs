//! One task on this worker: takes its lease, makes it, runs it, reports its state, and starts it
//! again when it failed for a reason outside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::config::{Props, Resolved};
use crate::error::ConnectError;
use crate::metrics::{TaskMetrics, TaskSide};
use crate::runtime::assembly::{PreparedTask, trace_of};
use crate::runtime::entity::{State, TaskId};
use crate::runtime::stall::StallWatch;
use crate::runtime::state::{Restarts, what_is_next};
use crate::runtime::task::{Condition, TaskControl, random_fraction, reached};
use crate::runtime::worker::Shared;
use crate::store::{Lease, StoredStatus};

/// Between two attempts to get a lease that another worker holds, or from a database that is away.
const ACQUIRE_INTERVAL: Duration = Duration::from_millis(500);
/// A task bounds its own stop by the graceful time; this much later it is abandoned.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// What a task is run from.
#[derive(Debug, Clone)]
pub(crate) struct TaskPlan {
    pub id: TaskId,
    pub number: i32,
    /// The connector's configuration.
    pub config: Props,
    pub task_config: Props,
}

/// Why a run ended.
enum Ended {
    /// It was told to, and drained.
    Stopped,
    /// It was told to, and did not in time.
    Abandoned,
    /// Another worker runs it now.
    Lost,
    Failed(ConnectError),
}

/// Supervises one task until `stop`.
pub(crate) struct Supervisor {
    pub shared: Arc<Shared>,
    pub plan: TaskPlan,
    pub paused: watch::Receiver<bool>,
    pub stop: CancellationToken,
    /// What the task runs with, once it was prepared.
    pub resolved: Resolved,
    /// Told once whether the first start succeeded.
    pub first_start: Option<oneshot::Sender<Result<(), String>>>,
}

impl Supervisor {
    /// Runs the task until it is stopped or waits for a person; then waits to be stopped.
    pub(crate) async fn run(mut self) {
        let mut restarts = Restarts::new(self.shared.assembly.worker.task_restart);
        while let Some(lease) = self.acquire().await {
            let lost = self.shared.leases.watch(&lease);
            let began = Instant::now();
            let ended = self.run_once(&lease, &lost).await;
            self.settle_metrics();
            let go_on = match ended {
                Ended::Failed(error) => {
                    let jitter = random_fraction();
                    let delay = restarts.after(error.kind(), began.elapsed(), jitter);
                    self.report_failure(&lease, &error, delay, restarts.attempts());
                    let again = self.wait_for_restart(delay, &lost).await;
                    if again {
                        self.count_restart();
                    }
                    again
                }
                Ended::Lost => true,
                Ended::Stopped | Ended::Abandoned => {
                    self.report(&lease, State::Unassigned, None);
                    false
                }
            };
            self.release(&lease).await;
            if !go_on {
                return;
            }
        }
    }

    /// What ended waits for nothing.
    fn settle_metrics(&self) {
        let assembly = &self.shared.assembly;
        if let Some(metrics) = assembly.task_metrics(&self.plan.id, &self.plan.config) {
            Condition::measure(None, &metrics);
            metrics.stalled.set(0);
        }
    }

    fn count_restart(&self) {
        let assembly = &self.shared.assembly;
        if let Some(metrics) = assembly.task_metrics(&self.plan.id, &self.plan.config) {
            metrics.restarts.inc();
        }
    }

    /// The lease, as soon as it can be had; `None` when the task is stopped first.
    async fn acquire(&self) -> Option<Lease> {
        let shared = &self.shared;
        loop {
            let acquired = shared
                .assembly
                .store
                .acquire(&self.plan.id.connector, self.plan.number, &shared.worker)
                .await;
            match acquired {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => tracing::debug!(task = %self.plan.id, "another worker has the lease"),
                // The heartbeat warns, once for all tasks.
                Err(error) => tracing::debug!(task = %self.plan.id, %error, "no lease"),
            }
            tokio::select! {
                () = sleep(ACQUIRE_INTERVAL.mul_f64(1.0 + random_fraction())) => {}
                () = self.stop.cancelled() => return None,
            }
        }
    }

    async fn release(&self, lease: &Lease) {
        self.shared.leases.forget(lease);
        if let Err(error) = self.shared.assembly.store.release(lease).await {
            // The worker's end or its successor frees it.
            tracing::debug!(task = %self.plan.id, %error, "the lease cannot be given back");
        }
    }

    async fn run_once(&mut self, lease: &Lease, lost: &CancellationToken) -> Ended {
        let prepared = self.prepare(lease).await;
        let assembly = &self.shared.assembly;
        assembly.metrics.worker().task_startups.count(prepared.is_ok());
        if let Some(first_start) = self.first_start.take() {
            // Nobody may be waiting for it.
            let _ =
                first_start.send(prepared.as_ref().map(|_| ()).map_err(|error| self.trace(error)));
        }
        match prepared {
            Ok(prepared) => self.drive(lease, lost, prepared).await,
            Err(error) => Ended::Failed(error),
        }
    }

    /// Makes the task, with what its configuration refers to in its memory only.
    async fn prepare(&mut self, lease: &Lease) -> Result<PreparedTask, ConnectError> {
        let assembly = &self.shared.assembly;
        let TaskPlan { id, config, task_config, .. } = &self.plan;
        let task_config = assembly.resolve(task_config).await?;
        self.resolved = assembly.resolve(config).await?;
        let task_config = self.resolved.absorb(task_config);
        assembly.task(id, lease, &self.resolved.props, &task_config).await
    }

    /// A failure as it may be shown.
    fn trace(&self, error: &ConnectError) -> String {
        self.resolved.hidden(&trace_of(error))
    }

    /// Runs a prepared task, reporting what it is in, until it ends in one way or another.
    async fn drive(
        &mut self,
        lease: &Lease,
        lost: &CancellationToken,
        task: PreparedTask,
    ) -> Ended {
        let assembly = &self.shared.assembly;
        let Some(metrics) = assembly.task_metrics(&self.plan.id, &self.plan.config) else {
            return Ended::Failed(ConnectError::fatal("the connector's class is gone"));
        };
        let mut progress = self.watch_progress(&metrics);
        let (show, mut condition) = watch::channel(None);
        let control =
            TaskControl { cancel: self.stop.clone(), paused: self.paused.clone(), condition: show };
        let id = &self.plan.id;
        let span = tracing::info_span!("task", connector = id.connector, task = id.task);
        let mut running = tokio::spawn(task.run(control).instrument(span));
        tracing::info!(task = %id, "task started");
        let mut overdue: Option<Instant> = None;
        let mut shows = true;
        let mut shown = None;
        loop {
            let standing = self.look(&mut progress, &mut condition, &metrics);
            self.report_standing(lease, &mut shown, standing);
            let deadline = overdue;
            let look_again = progress.interval().map(|interval| Instant::now() + interval);
            tokio::select! {
                ended = &mut running => return self.ended(ended),
                () = reached(look_again), if deadline.is_none() => {}
                () = self.stop.cancelled(), if deadline.is_none() => {
                    let limit = self.shared.assembly.worker.task_shutdown_graceful_timeout;
                    overdue = Some(Instant::now() + limit + STOP_MARGIN);
                }
                () = reached(deadline) => {
                    running.abort();
                    tracing::warn!(task = %self.plan.id, "task did not stop in time and is abandoned");
                    return Ended::Abandoned;
                }
                () = lost.cancelled() => {
                    end_now(running).await;
                    return Ended::Lost;
                }
                changed = self.paused.changed(), if deadline.is_none() => {
                    // The connector's runner is gone, and stops this task as it goes.
                    if changed.is_err() {
                        self.stop.cancel();
                    }
                }
                changed = condition.changed(), if shows => shows = changed.is_ok(),
            }
        }
    }

    fn ended(&self, joined: Result<Result<(), ConnectError>, tokio::task::JoinError>) -> Ended {
        match joined {
            Ok(Ok(())) if self.stop.is_cancelled() => Ended::Stopped,
            Ok(Ok(())) => Ended::Failed(ConnectError::fatal(
                "the task ended without having been asked to; restart it",
            )),
            Ok(Err(error)) => Ended::Failed(error),
            Err(error) => Ended::Failed(ConnectError::fatal("the task was cut off").because(error)),
        }
    }

    fn watch_progress(&self, metrics: &TaskMetrics) -> StallWatch {
        let assembly = &self.shared.assembly;
        let limit = assembly.worker.task_stall_timeout;
        let side = assembly.side(&self.plan.config).unwrap_or(TaskSide::Source);
        StallWatch::new(side, limit, metrics, Instant::now())
    }

    /// RUNNING or PAUSED, with what keeps the task from moving.
    fn look(
        &self,
        progress: &mut StallWatch,
        condition: &mut watch::Receiver<Option<Condition>>,
        metrics: &TaskMetrics,
    ) -> (State, Option<String>) {
        let condition = condition.borrow_and_update();
        Condition::measure(condition.as_ref(), metrics);
        let known = condition.as_ref().map(|known| self.resolved.hidden(&known.to_string()));
        let now = Instant::now();
        if *self.paused.borrow() {
            progress.rest(now);
            metrics.stalled.set(0);
            return (State::Paused, known);
        }
        let stalled = progress.look(metrics, now);
        let before = metrics.stalled.get();
        metrics.stalled.set(i64::from(stalled.is_some()));
        if before == 0
            && let Some(cause) = &stalled
        {
            tracing::warn!(task = %self.plan.id, cause, condition = known, "task is stalled");
        }
        // What is known to be in the way says more than that nothing moves.
        (State::Running, known.or(stalled))
    }

    /// Reports what changed since `shown`.
    fn report_standing(
        &self,
        lease: &Lease,
        shown: &mut Option<(State, Option<String>)>,
        standing: (State, Option<String>),
    ) {
        // How long it stands is the log's and the metrics' to tell, not a status of its own.
        let same = shown.as_ref().is_some_and(|(state, text)| {
            let stalled = |text: &Option<String>| {
                text.as_ref().is_some_and(|text| text.starts_with("stalled: "))
            };
            *state == standing.0 && (*text == standing.1 || stalled(text) && stalled(&standing.1))
        });
        if same || self.stop.is_cancelled() {
            return;
        }
        self.report(lease, standing.0, standing.1.clone());
        *shown = Some(standing);
    }

    fn report_failure(
        &self,
        lease: &Lease,
        error: &ConnectError,
        delay: Option<Duration>,
        attempt: u32,
    ) {
        let next = what_is_next(error.kind(), delay, attempt);
        let trace = self.trace(error);
        tracing::error!(task = %self.plan.id, trace, next, "task failed");
        self.report(lease, State::Failed, Some(format!("{trace}\n{next}\n")));
    }

    fn report(&self, lease: &Lease, state: State, trace: Option<String>) {
        let status = StoredStatus {
            connector: lease.connector.clone(),
            task: lease.task,
            state,
            worker_id: self.shared.worker.address.clone(),
            trace,
            version: self.shared.assembly.version(&self.plan.config),
        };
        self.shared.report(lease, status);
    }

    /// Whether the task is to be started again.
    async fn wait_for_restart(&self, delay: Option<Duration>, lost: &CancellationToken) -> bool {
        let due = delay.map(|delay| Instant::now() + delay);
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = reached(due) => true,
            () = lost.cancelled() => true,
        }
    }
}

/// A fenced task must have no further effect: it is not asked to drain.
async fn end_now(running: JoinHandle<Result<(), ConnectError>>) {
    running.abort();
    // A task that blocks its thread ends when it ends; its writes are refused.
    let _ = tokio::time::timeout(STOP_MARGIN, running).await;
}
