//! The leases that this worker holds, and the heartbeat that keeps them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::store::{Heartbeat, Lease, StoreError};

/// How often the worker says that it is alive.
pub(crate) const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// For how long a worker that fell silent keeps its leases while its session lives.
pub(crate) const TIME_TO_LIVE: Duration = Duration::from_secs(10);
/// A beat that takes longer than this is given up; the next one connects anew.
const BEAT_MAX: Duration = Duration::from_secs(5);

type Held = HashMap<(String, i32), (i64, CancellationToken)>;

/// The leases that this worker holds.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
    last_beat: Mutex<Option<Instant>>,
}

impl Leases {
    /// Watches over `lease`; the token is cancelled once it is found to be lost.
    pub(crate) fn watch(&self, lease: &Lease) -> CancellationToken {
        let lost = CancellationToken::new();
        let key = (lease.connector.clone(), lease.task);
        lock(&self.held).insert(key, (lease.epoch, lost.clone()));
        lost
    }

    /// Stops watching over `lease`.
    pub(crate) fn forget(&self, lease: &Lease) {
        let key = (lease.connector.clone(), lease.task);
        let mut held = lock(&self.held);
        if held.get(&key).is_some_and(|(epoch, _)| *epoch == lease.epoch) {
            held.remove(&key);
        }
    }

    /// Whether the heartbeat's loop went round within `limit`; the beat itself may have failed.
    pub(crate) fn beats_within(&self, limit: Duration) -> bool {
        lock(&self.last_beat).is_some_and(|at| at.elapsed() < limit)
    }

    /// Beats until `end`, then takes the worker off the list.
    pub(crate) async fn beat(&self, mut heartbeat: Heartbeat, end: CancellationToken) {
        let mut ticks = interval(BEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = end.cancelled() => break,
            }
            // What is acquired while the beat is under way is not in its answer.
            let before = lock(&self.held).clone();
            let beaten = timeout(BEAT_MAX, heartbeat.beat()).await;
            *lock(&self.last_beat) = Some(Instant::now());
            match beaten {
                Ok(Ok(leases)) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("the state database answers again");
                    }
                    give_up_lost(before, &leases);
                }
                failed => {
                    if !std::mem::replace(&mut failing, true) {
                        warn_of_silence(failed.ok());
                    }
                }
            }
        }
        if let Ok(Err(error)) = timeout(BEAT_MAX, heartbeat.leave()).await {
            tracing::warn!(%error, "the worker cannot take itself off the list");
        }
    }
}

fn give_up_lost(before: Held, leases: &[Lease]) {
    let kept: HashSet<(&str, i32, i64)> =
        leases.iter().map(|lease| (lease.connector.as_str(), lease.task, lease.epoch)).collect();
    for ((connector, task), (epoch, lost)) in before {
        if !kept.contains(&(connector.as_str(), task, epoch)) && !lost.is_cancelled() {
            tracing::warn!(connector, task, epoch, "the lease was taken over or is gone");
            lost.cancel();
        }
    }
}

fn warn_of_silence(failed: Option<Result<Vec<Lease>, StoreError>>) {
    match failed {
        Some(Err(error)) => {
            tracing::warn!(%error, "the heartbeat does not reach the state database");
        }
        _ => tracing::warn!("the state database does not answer the heartbeat in time"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps and instants have no half-done state that a panic could leave.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
