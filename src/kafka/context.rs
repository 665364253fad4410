//! What every client hears from librdkafka: log lines, and why brokers cannot be reached.

use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{ConnectError, ErrorKind};

/// The last trouble of a client that has not been followed by a success.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// Remembers what a client's error callback says.
    pub(super) fn note(&self, error: &KafkaError, reason: &str) {
        // librdkafka's own text counts connections: "0/2 brokers are down".
        let text = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => "no broker of bootstrap.servers is reachable",
            _ => reason,
        };
        self.set(text.to_owned());
    }

    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes a line of librdkafka on. Its errors are warnings here: it goes on by itself, and what
/// cannot go on comes back as an error of a call.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, text, "kafka client");
        }
        _ => tracing::debug!(target: "librdkafka", facility, text, "kafka client"),
    }
}

/// What the runtime may do about a code of librdkafka.
pub(super) fn kind_of(code: RDKafkaErrorCode) -> ErrorKind {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::InvalidMessage
        | RDKafkaErrorCode::InvalidMessageSize
        | RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::UnknownPartition => ErrorKind::Data,
        RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::InvalidReplicationFactor
        | RDKafkaErrorCode::PolicyViolation => ErrorKind::Config,
        // Missing rights and topics are mended outside, and then the same call succeeds.
        _ => ErrorKind::Retriable,
    }
}

/// What an operator can do about a code of librdkafka.
fn remedy(code: RDKafkaErrorCode) -> &'static str {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "; raise producer.override.max.request.size and the topic's max.message.bytes"
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            "; grant the client's user access to the topic"
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => {
            "; grant the client's user READ on the consumer group"
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "; grant the client's user IDEMPOTENT_WRITE and CREATE on the cluster"
        }
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            "; check sasl.mechanism and sasl.jaas.config"
        }
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            "; create the topic, or let the source do it with topic.creation.default.*"
        }
        RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::Resolve
        | RDKafkaErrorCode::MessageTimedOut
        | RDKafkaErrorCode::OperationTimedOut => {
            "; check that the brokers of bootstrap.servers run"
        }
        _ => "",
    }
}

/// An error with its kind and remedy: `doing` says what was tried, `"cannot commit offsets"`.
pub(super) fn failure(doing: &str, code: RDKafkaErrorCode) -> ConnectError {
    let text = format!("{doing}{}", remedy(code));
    let error = match kind_of(code) {
        ErrorKind::Data => ConnectError::data(text),
        ErrorKind::Config => ConnectError::config(text),
        ErrorKind::Fatal => ConnectError::fatal(text),
        ErrorKind::Retriable => ConnectError::retriable(text),
    };
    error.because(code)
}

/// As [`failure`], for the errors of rdkafka's calls.
pub(super) fn call_failure(doing: &str, error: KafkaError) -> ConnectError {
    if let KafkaError::ClientConfig(_, reason, key, _) = &error {
        // Without the value: it may be a password, and the reason names what is expected.
        return ConnectError::config(format!(
            "Invalid value for configuration {key} of the Kafka client: {reason}"
        ));
    }
    match error.rdkafka_error_code() {
        Some(code) => failure(doing, code),
        None => ConnectError::retriable(doing).because(error),
    }
}
