//! What a failure at a stage of processing means: retry, skip and report, or fail.
//!
//! Kafka Connect, `RetryWithToleranceOperator` and KIP-298. One difference on purpose: there a
//! retriable error whose retries are exhausted silently drops the record, even with
//! `errors.tolerance=none`; here it fails the task.

use std::fmt;
use std::time::Duration;

use crate::config::{Parsed, Props};
use crate::error::{ConnectError, ErrorKind};
use crate::runtime::connector_config::{
    ERRORS_LOG_ENABLE, ERRORS_LOG_INCLUDE_MESSAGES, ERRORS_RETRY_DELAY_MAX_MS,
    ERRORS_RETRY_TIMEOUT, ERRORS_TOLERANCE, HEADER_CONVERTER, KEY_CONVERTER, VALUE_CONVERTER,
};
use crate::runtime::task::random_fraction;
use crate::runtime::worker_config::{ConverterConfig, WorkerConfig};

/// The first delay between attempts.
const RETRY_DELAY: Duration = Duration::from_millis(300);

/// Where a record failed, as logs and dead letter headers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    /// A sink task's `put`.
    TaskPut,
}

impl Stage {
    /// The original's constant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::TaskPut => "TASK_PUT",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this.
    Retry(Duration),
    /// Skip the record and report it.
    Skip,
    /// Fail the task.
    Fail,
}

/// A connector's `errors.*` settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// `errors.tolerance=all`
    tolerant: bool,
    /// `None`: without limit.
    retry_timeout: Option<Duration>,
    retry_delay_max: Duration,
    /// `errors.log.enable`
    log: bool,
    /// `errors.log.include.messages`
    log_coordinates: bool,
}

impl Tolerance {
    /// The settings among a connector's parsed framework keys.
    pub fn new(config: &Parsed) -> Self {
        let milliseconds = |key| u64::try_from(config.integer(key)).ok().map(Duration::from_millis);
        Self {
            tolerant: config.string(ERRORS_TOLERANCE).eq_ignore_ascii_case("all"),
            retry_timeout: milliseconds(ERRORS_RETRY_TIMEOUT),
            retry_delay_max: milliseconds(ERRORS_RETRY_DELAY_MAX_MS).unwrap_or(RETRY_DELAY),
            log: config.boolean(ERRORS_LOG_ENABLE),
            log_coordinates: config.boolean(ERRORS_LOG_INCLUDE_MESSAGES),
        }
    }

    /// Whether records that cannot be processed are skipped.
    pub fn is_tolerant(&self) -> bool {
        self.tolerant
    }

    /// Judges a failure at `stage` of attempt number `attempt` (from 0), `spent` after the first.
    pub fn judge(&self, stage: Stage, kind: ErrorKind, attempt: u32, spent: Duration) -> Verdict {
        match kind {
            ErrorKind::Retriable if stage != Stage::KafkaProduce => self.retry(attempt, spent),
            ErrorKind::Data if self.tolerant => Verdict::Skip,
            _ => Verdict::Fail,
        }
    }

    fn retry(&self, attempt: u32, spent: Duration) -> Verdict {
        let left = match self.retry_timeout {
            None => Duration::MAX,
            Some(timeout) => match timeout.checked_sub(spent) {
                Some(left) if !left.is_zero() => left,
                _ => return Verdict::Fail,
            },
        };
        let doubled = RETRY_DELAY.saturating_mul(1 << attempt.min(16));
        let delay = if doubled <= self.retry_delay_max {
            doubled
        } else {
            self.retry_delay_max.mul_f64(random_fraction())
        };
        Verdict::Retry(delay.min(left))
    }

    /// Writes the log line of a failed record, when they are wanted. `place` says which record, in
    /// Kafka's coordinates; contents are never logged. Says whether it was written.
    pub fn log(
        &self,
        stage: Stage,
        class: &str,
        place: &dyn fmt::Display,
        error: &ConnectError,
    ) -> bool {
        if !self.log {
            return false;
        }
        let record = if self.log_coordinates { place.to_string() } else { String::new() };
        let error = error.trace();
        tracing::error!(%stage, class, record, error, "error encountered in task");
        true
    }
}

/// The error that fails a task over a record.
pub fn exceeded(error: ConnectError) -> ConnectError {
    let text = "Tolerance exceeded in error handler";
    match error.kind() {
        ErrorKind::Retriable => ConnectError::retriable(text),
        ErrorKind::Data => ConnectError::data(text),
        ErrorKind::Config => ConnectError::config(text),
        ErrorKind::Fatal => ConnectError::fatal(text),
    }
    .because(error)
}

/// The classes at the stages of a task, as logs and dead letter headers name them.
#[derive(Debug, Clone)]
pub struct StageClasses {
    key: String,
    value: String,
    header: String,
}

impl StageClasses {
    /// Those that the connector names, else the worker's.
    pub fn new(config: &Props, worker: &WorkerConfig) -> Self {
        let of = |key: &str, worker: &ConverterConfig| {
            config.get(key).map_or_else(|| worker.class.clone(), |class| class.trim().to_owned())
        };
        Self {
            key: of(KEY_CONVERTER, &worker.key_converter),
            value: of(VALUE_CONVERTER, &worker.value_converter),
            header: of(HEADER_CONVERTER, &worker.header_converter),
        }
    }

    /// The class at `stage`; `transform`: that of the transform that failed.
    pub fn at<'a>(&'a self, stage: Stage, transform: Option<&'a str>) -> &'a str {
        match stage {
            Stage::KeyConverter => &self.key,
            Stage::ValueConverter => &self.value,
            Stage::HeaderConverter => &self.header,
            Stage::Transformation => transform.unwrap_or_default(),
            Stage::KafkaProduce => "org.apache.kafka.clients.producer.KafkaProducer",
            Stage::TaskPut => "org.apache.kafka.connect.sink.SinkTask",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerance(tolerant: bool, retry_timeout_ms: Option<u64>) -> Tolerance {
        Tolerance {
            tolerant,
            retry_timeout: retry_timeout_ms.map(Duration::from_millis),
            retry_delay_max: Duration::from_millis(1000),
            log: false,
            log_coordinates: false,
        }
    }

    #[test]
    fn stage_and_kind_decide() {
        use ErrorKind::{Config, Data, Fatal, Retriable};
        let ms = Duration::from_millis;
        let rows = [
            ("bad record, none", false, Some(0), Stage::ValueConverter, Data, 0, 0, Verdict::Fail),
            ("bad record, all", true, Some(0), Stage::ValueConverter, Data, 0, 0, Verdict::Skip),
            (
                "refused by the broker",
                true,
                Some(0),
                Stage::KafkaProduce,
                Data,
                0,
                0,
                Verdict::Skip,
            ),
            ("broker gone", true, None, Stage::KafkaProduce, Retriable, 0, 0, Verdict::Fail),
            ("no retries", true, Some(0), Stage::KeyConverter, Retriable, 0, 0, Verdict::Fail),
            (
                "first retry",
                false,
                Some(5000),
                Stage::KeyConverter,
                Retriable,
                0,
                1,
                Verdict::Retry(ms(300)),
            ),
            (
                "cut to what is left",
                false,
                Some(5000),
                Stage::KeyConverter,
                Retriable,
                1,
                4900,
                Verdict::Retry(ms(100)),
            ),
            (
                "exhausted, and not dropped",
                true,
                Some(5000),
                Stage::KeyConverter,
                Retriable,
                9,
                5000,
                Verdict::Fail,
            ),
            ("configuration", true, None, Stage::Transformation, Config, 0, 0, Verdict::Fail),
            ("invariant", true, None, Stage::Transformation, Fatal, 0, 0, Verdict::Fail),
        ];
        for (name, tolerant, timeout, stage, kind, attempt, spent, expected) in rows {
            let verdict = tolerance(tolerant, timeout).judge(stage, kind, attempt, ms(spent));
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn delays_past_the_maximum_are_random_below_it() {
        let Verdict::Retry(delay) = tolerance(false, None).judge(
            Stage::Transformation,
            ErrorKind::Retriable,
            7,
            Duration::from_secs(3600),
        ) else {
            panic!("without a limit there is always a next attempt")
        };
        assert!(delay <= Duration::from_millis(1000));
    }

    #[test]
    fn the_failing_error_keeps_its_kind_and_cause() {
        let error = exceeded(ConnectError::data("bad"));
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.trace(), "Tolerance exceeded in error handler\nCaused by: bad");
    }
}
