//! The worker: one runner per connector, the heartbeat, and their end.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::runtime::assembly::Assembly;
use crate::runtime::board::StatusBoard;
use crate::runtime::leases::{Leases, TIME_TO_LIVE};
use crate::runtime::panics;
use crate::runtime::runner::{Outcome, Poke, Runner};
use crate::runtime::task::Backoff;
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{Heartbeat, Lease, StoredStatus, WorkerRow};

/// Pokes that a runner has not looked at yet. One look serves them all, so that only a runner that
/// stops its tasks gathers some.
const POKES_MAX: usize = 256;
/// What stopping may take beyond the tasks' own graceful time.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(5);

/// What the parts of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub assembly: Assembly,
    pub worker: WorkerRow,
    pub leases: Leases,
    pub board: StatusBoard,
    /// The worker ends.
    pub shutdown: CancellationToken,
    /// Set once every stored connector has been looked at.
    pub started: CancellationToken,
    /// Every task that ends with the worker.
    pub tracker: TaskTracker,
    runners: Mutex<HashMap<String, mpsc::Sender<Poke>>>,
}

/// Why a connector cannot be poked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    ShuttingDown,
    TooManyRequests,
}

impl Shared {
    /// Has the runner of `name` look at its connector, making the runner when there is none.
    pub(crate) fn poke(
        self: &Arc<Self>,
        name: &str,
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Result<(), Busy> {
        if self.shutdown.is_cancelled() {
            return Err(Busy::ShuttingDown);
        }
        let mut runners = self.runners();
        let mut poke = Poke { done };
        if let Some(runner) = runners.get(name) {
            match runner.try_send(poke) {
                Ok(()) => return Ok(()),
                // The look that the others wait for will see this change too.
                Err(mpsc::error::TrySendError::Full(Poke { done: None })) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Busy::TooManyRequests),
                // It panicked. Its tasks stopped with it; another one takes over.
                Err(mpsc::error::TrySendError::Closed(returned)) => poke = returned,
            }
        }
        let (sender, pokes) = mpsc::channel(POKES_MAX);
        sender.try_send(poke).expect("a new channel has room");
        runners.insert(name.to_owned(), sender);
        let runner = Runner::new(name.to_owned(), Arc::clone(self), pokes);
        self.tracker.spawn(runner.run());
        Ok(())
    }

    /// Has a status stored, and shows it at `/metrics`.
    pub(crate) fn report(&self, lease: &Lease, status: StoredStatus) {
        if let Ok(task) = usize::try_from(status.task) {
            let state = status.state.name().to_lowercase();
            self.assembly.metrics.task_state(&status.connector, task, &state);
        }
        self.board.report(lease, status);
    }

    /// Takes the runner of a deleted connector off the list, unless it was poked meanwhile.
    pub(crate) fn retire(&self, name: &str, pokes: &mpsc::Receiver<Poke>) -> bool {
        let mut runners = self.runners();
        let idle = pokes.is_empty();
        if idle {
            runners.remove(name);
        }
        idle
    }

    fn runners(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Poke>>> {
        // A map of senders has no half-done state that a panic could leave.
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts every stored connector. The state database may be away meanwhile.
    async fn start_connectors(self: Arc<Self>) {
        let mut backoff = Backoff::new();
        loop {
            match self.assembly.store.connector_names().await {
                Ok(names) => {
                    tracing::info!(connectors = names.len(), "starting the stored connectors");
                    for name in names {
                        if self.poke(&name, None).is_err() {
                            return;
                        }
                    }
                    self.started.cancel();
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot read the stored connectors"),
            }
            tokio::select! {
                () = sleep(backoff.next_delay()) => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }
}

/// Owns the worker: every task that it spawned ends with [`WorkerGuard::shutdown`].
#[derive(Debug)]
pub struct WorkerGuard {
    shared: Arc<Shared>,
    board: JoinHandle<()>,
    board_end: CancellationToken,
    heart: JoinHandle<()>,
    heart_end: CancellationToken,
}

/// Starts a worker.
pub(crate) fn start(assembly: Assembly) -> (Arc<Shared>, WorkerGuard) {
    panics::observe();
    let worker = WorkerRow {
        id: uuid::Uuid::new_v4().to_string(),
        address: advertised_address(&assembly.worker),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time_to_live: TIME_TO_LIVE,
    };
    tracing::debug!(worker = worker.id, address = worker.address, "worker runs connectors");
    let store = assembly.store.clone();
    let shared = Arc::new(Shared {
        assembly,
        worker,
        leases: Leases::default(),
        board: StatusBoard::default(),
        shutdown: CancellationToken::new(),
        started: CancellationToken::new(),
        runners: Mutex::default(),
        tracker: TaskTracker::new(),
    });
    let (board_end, heart_end) = (CancellationToken::new(), CancellationToken::new());
    let board = tokio::spawn({
        let (shared, store, end) = (Arc::clone(&shared), store.clone(), board_end.clone());
        async move { shared.board.run(&store, end).await }
    });
    let heart = tokio::spawn({
        let heartbeat = Heartbeat::new(store, shared.worker.clone());
        let (shared, end) = (Arc::clone(&shared), heart_end.clone());
        async move { shared.leases.beat(heartbeat, end).await }
    });
    shared.tracker.spawn(Arc::clone(&shared).start_connectors());
    (Arc::clone(&shared), WorkerGuard { shared, board, board_end, heart, heart_end })
}

impl WorkerGuard {
    /// Stops every connector and task, stores what they reached, and gives their leases back. Tasks
    /// have `task.shutdown.graceful.timeout.ms`; those that take longer are abandoned.
    pub async fn shutdown(self) {
        let Self { shared, board, board_end, heart, heart_end } = self;
        tracing::info!("worker is shutting down");
        shared.shutdown.cancel();
        shared.tracker.close();
        let limit = shared.assembly.worker.task_shutdown_graceful_timeout + SHUTDOWN_MARGIN;
        if timeout(limit, shared.tracker.wait()).await.is_err() {
            tracing::warn!("connectors did not stop in time and are abandoned");
        }
        // The order matters: statuses are stored under leases that the heartbeat's end gives back.
        for (end, task) in [(board_end, board), (heart_end, heart)] {
            end.cancel();
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the worker did not end well");
            }
        }
        tracing::info!("worker is down");
    }
}

/// host:port as `worker_id` shows it: what is advertised, else where the worker listens, else the
/// address that this machine has towards others.
fn advertised_address(config: &WorkerConfig) -> String {
    let listeners = &config.listeners;
    let listener = listeners.advertised();
    let listens =
        Some(listener.host.clone()).filter(|host| !matches!(host.as_str(), "" | "0.0.0.0" | "::"));
    let host = listeners.advertised_host.clone().or(listens).unwrap_or_else(local_address);
    let port = listeners.advertised_port.unwrap_or(listener.port);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The source address of a packet to elsewhere; connecting a datagram socket sends none.
fn local_address() -> String {
    let routed = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()));
    routed.map_or_else(|_| "127.0.0.1".to_owned(), |address| address.ip().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_address_is_what_others_can_reach() {
        let address = |pairs: &[(&str, &str)]| {
            let mut env: BTreeMap<String, String> = pairs
                .iter()
                .map(|(key, value)| (format!("CONNECT_{key}"), (*value).to_owned()))
                .collect();
            env.insert("DATABASE_URL".to_owned(), "postgres://h/d".to_owned());
            advertised_address(&WorkerConfig::from_sources(None, &env).unwrap())
        };
        assert_eq!(address(&[("LISTENERS", "http://h:1")]), "h:1");
        assert_eq!(
            address(&[("LISTENERS", "http://h:1"), ("REST_ADVERTISED_HOST_NAME", "a")]),
            "a:1"
        );
        assert_eq!(address(&[("LISTENERS", "http://[::1]:1")]), "[::1]:1");
        let both = ("LISTENERS", "https://a:1,http://b:2");
        assert_eq!(address(&[both]), "b:2");
        assert_eq!(address(&[both, ("REST_ADVERTISED_LISTENER", "https")]), "a:1");
        let everywhere = address(&[("REST_ADVERTISED_PORT", "9")]);
        assert!(everywhere.ends_with(":9") && !everywhere.starts_with("0.0.0.0"), "{everywhere}");
    }
}
