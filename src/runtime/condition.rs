//! What keeps a running task from moving: shown in its health, in the log and as metrics, but never
//! as `trace`, which clients of the original take for a failure.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// What keeps a running task from moving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    cause: String,
    /// When it is tried again; `None` while something is waited for.
    next_attempt: Option<SystemTime>,
}

impl Condition {
    /// Something outside failed, and is tried again after `delay`.
    pub(crate) fn retrying(error: &ConnectError, delay: Duration) -> Self {
        let cause = error.trace().replace("\nCaused by: ", ": ");
        Self { cause, next_attempt: Some(SystemTime::now() + delay) }
    }

    /// Something is waited for.
    pub(crate) fn waiting(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), next_attempt: None }
    }

    /// Shows `condition` in the task's metrics.
    pub(crate) fn measure(condition: Option<&Self>, metrics: &TaskMetrics) {
        metrics.retrying.set(i64::from(condition.is_some()));
        let next = condition.and_then(|condition| condition.next_attempt);
        let next = next.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let seconds = next.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        metrics.next_attempt.set(seconds);
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        let Some(next) = self.next_attempt else { return Ok(()) };
        let next = DateTime::<Utc>::from(next).to_rfc3339_opts(SecondsFormat::Millis, true);
        write!(f, "; next attempt at {next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_and_the_next_attempt_are_told() {
        let cause = ConnectError::retriable("away").because("refused".to_owned());
        let condition = Condition::retrying(&cause, Duration::from_secs(3));
        let text = condition.to_string();
        assert!(text.starts_with("away: refused; next attempt at 20"), "{text}");
        assert!(text.ends_with('Z'), "{text}");
        let metrics = TaskMetrics::default();
        Condition::measure(Some(&condition), &metrics);
        assert_eq!(metrics.retrying.get(), 1);
        assert!(1_700_000_000 < metrics.next_attempt.get());
        Condition::measure(Some(&Condition::waiting("no topic")), &metrics);
        assert_eq!((metrics.retrying.get(), metrics.next_attempt.get()), (1, 0));
        Condition::measure(None, &metrics);
        assert_eq!((metrics.retrying.get(), metrics.next_attempt.get()), (0, 0));
        assert_eq!(Condition::waiting("no topic").to_string(), "no topic");
    }
}
