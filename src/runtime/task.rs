//! What source and sink tasks have in common: how they are steered, and how they wait.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::runtime::condition::Condition;

/// The worker's hand on a running task.
#[derive(Debug, Clone)]
pub struct TaskControl {
    /// The task drains and returns.
    pub cancel: CancellationToken,
    pub paused: watch::Receiver<bool>,
    /// `Some`: the outside failed, the task goes on trying; the cause and when. `None`: all is well.
    pub condition: watch::Sender<Option<Condition>>,
}

impl TaskControl {
    /// Shows the task's condition; an unchanged one wakes nobody.
    pub(crate) fn show(&self, condition: Option<Condition>) {
        self.condition.send_if_modified(|shown| {
            let changed = *shown != condition;
            if changed {
                *shown = condition;
            }
            changed
        });
    }

    /// Whether the task is paused now. [`TaskControl::pause_changed`] then waits for a change of this
    /// answer.
    pub(crate) fn is_paused(&mut self) -> bool {
        *self.paused.borrow_and_update()
    }

    /// Waits until the task is paused or resumed. Cancel-safe.
    pub(crate) async fn pause_changed(&mut self) {
        if self.paused.changed().await.is_err() {
            // Without a sender nobody can resume; the cancellation then comes.
            std::future::pending::<()>().await;
        }
    }
}

/// Growing delays between attempts, without end: what is outside comes back.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempt: u32,
}

const FIRST_DELAY: Duration = Duration::from_millis(200);
const DELAY_MAX: Duration = Duration::from_secs(30);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { attempt: 0 }
    }

    /// Whether there was no delay yet.
    pub(crate) fn is_new(&self) -> bool {
        self.attempt == 0
    }

    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The delay before the next attempt: doubling from 0.2 s to 30 s, of which a random half is
    /// taken, so that tasks that failed together do not come back together.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let full = FIRST_DELAY.saturating_mul(1 << self.attempt.min(16)).min(DELAY_MAX);
        self.attempt = self.attempt.saturating_add(1);
        full.mul_f64(0.5 + 0.5 * random_fraction())
    }
}

/// Between 0 and 1. Spreads retries; nothing depends on its quality.
pub(crate) fn random_fraction() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    let high = u32::try_from(high >> 32).expect("32 bits are left");
    f64::from(high) / f64::from(u32::MAX)
}

/// Ends when `at` is reached; never without one.
pub(crate) async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_half_a_minute() {
        let mut backoff = Backoff::new();
        let delays: Vec<_> = (0..20).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] <= FIRST_DELAY && FIRST_DELAY / 2 <= delays[0]);
        assert!(delays.iter().all(|delay| *delay <= DELAY_MAX));
        assert!(DELAY_MAX / 2 <= delays[19]);
    }

    #[test]
    fn unchanged_conditions_wake_nobody() {
        let (condition, mut seen) = watch::channel(None);
        let (_, paused) = watch::channel(false);
        let control = TaskControl { cancel: CancellationToken::new(), paused, condition };
        control.show(None);
        assert!(!seen.has_changed().unwrap());
        control.show(Some(Condition::waiting("away")));
        assert_eq!(*seen.borrow_and_update(), Some(Condition::waiting("away")));
    }
}
