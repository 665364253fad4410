//! What the integration tests share: the real servers, a worker process, and waiting.

mod certificates;
mod database;
pub(crate) mod fault_proxy;
mod own_server;
pub(crate) mod pipeline;
mod services;
mod worker;
mod worker_process;

pub(crate) use certificates::Certificates;
pub(crate) use database::TestDatabase;
pub(crate) use own_server::OwnServer;
pub(crate) use services::{registry, services};
pub(crate) use worker::InProcessWorker;
pub(crate) use worker_process::{WorkerOptions, WorkerProcess};

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// A short name that no other test and no other run uses: for databases, topics, slots, buckets.
pub(crate) fn unique(prefix: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}_{}", &id[..10])
}

/// Calls `probe` until it gives a value, for at most `seconds`; panics with `what` and the last
/// thing seen. The only way in which tests wait.
#[track_caller]
pub(crate) fn eventually<T, E: Debug>(
    what: &str,
    seconds: u64,
    mut probe: impl FnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= deadline => {
                panic!("waited {seconds} s for {what}; last seen: {seen:?}")
            }
            #[expect(clippy::disallowed_methods, reason = "a test thread of its own")]
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// As [`eventually`], for probes that await.
#[track_caller]
pub(crate) fn eventually_async<'a, T, E, F>(
    what: &'a str,
    seconds: u64,
    mut probe: impl FnMut() -> F + 'a,
) -> impl Future<Output = T> + 'a
where
    T: 'a,
    E: Debug + 'a,
    F: Future<Output = Result<T, E>> + 'a,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(seen) if Instant::now() >= deadline => {
                    panic!("{caller}: waited {seconds} s for {what}; last seen: {seen:?}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
