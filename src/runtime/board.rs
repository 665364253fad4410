//! The statuses that still have to be stored.
//!
//! Whoever reports a state never waits for the state database: the newest status of each connector
//! and task lies here until it is stored, which is tried again for as long as it takes. The board is
//! bounded by the number of connectors and tasks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::runtime::task::Backoff;
use crate::store::{Lease, Store, StoreError, StoredStatus};

/// How long the last statuses may take at the end of the worker.
const FLUSH_MAX: Duration = Duration::from_secs(3);

type Reports = HashMap<(String, i32), (Lease, StoredStatus)>;

/// The statuses that still have to be stored.
#[derive(Debug, Default)]
pub(crate) struct StatusBoard {
    reports: Mutex<Reports>,
    reported: Notify,
}

impl StatusBoard {
    /// Reports the status of what `lease` is for.
    pub(crate) fn report(&self, lease: &Lease, status: StoredStatus) {
        let key = (lease.connector.clone(), lease.task);
        self.lock().insert(key, (lease.clone(), status));
        self.reported.notify_one();
    }

    /// How many statuses still have to be stored.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Stores what is reported until `end`, and then what is left.
    pub(crate) async fn run(&self, store: &Store, end: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            tokio::select! {
                () = self.reported.notified() => {}
                () = end.cancelled() => break,
            }
            while let Err(error) = self.flush(store).await {
                let delay = backoff.next_delay();
                tracing::warn!(%error, delay_ms = delay.as_millis(), "statuses cannot be stored");
                tokio::select! {
                    () = sleep(delay) => {}
                    () = end.cancelled() => break,
                }
            }
            backoff.reset();
        }
        match timeout(FLUSH_MAX, self.flush(store)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last statuses are not stored"),
            Err(_) => tracing::warn!("the last statuses are not stored in time"),
        }
    }

    /// Stores everything reported; what fails stays, unless something newer was reported.
    async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let Some((key, report)) = self.take_one() else { return Ok(()) };
            if let Err(error) = store.put_status(&report.0, &report.1).await {
                self.lock().entry(key).or_insert(report);
                return Err(error);
            }
        }
    }

    fn take_one(&self) -> Option<((String, i32), (Lease, StoredStatus))> {
        let mut reports = self.lock();
        let key = reports.keys().next()?.clone();
        let report = reports.remove(&key)?;
        Some((key, report))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reports> {
        // A map of values has no half-done state that a panic could leave.
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
