//! The producer's transactions (KIP-98). librdkafka's calls block, so each runs on a thread for
//! blocking work, bounded in time.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::client_config::{ClientKind, ClientProps, Translation};
use super::context;
use super::producer::Producer;
use crate::error::ConnectError;

const TRANSACTION_TIMEOUT: &str = "transaction.timeout.ms";
const MESSAGE_TIMEOUT: &str = "message.timeout.ms";
/// How long the broker lets a transaction stay open. The Java client's minute is less than a large
/// transaction of a database takes, which would then be tried again for ever; brokers allow a quarter
/// of an hour.
const TRANSACTION_TIMEOUT_MS: i64 = 300_000;

/// What became of the end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Yes,
    /// The brokers did not answer in time; the same call may be made again.
    NotYet,
}

impl Producer {
    /// Makes a producer whose messages are read when their transaction is committed. Whoever uses
    /// the same `id` later, fences this one.
    ///
    /// # Errors
    /// When a property cannot be used.
    pub fn transactional(props: &ClientProps<'_>, id: &str) -> Result<Self, ConnectError> {
        let mut translation = props.translate(ClientKind::Producer)?;
        settle(&mut translation, id);
        Self::of(translation.logged(props.client_id))
    }

    /// Makes the coordinator end what an earlier producer of this id left open, and fences it. To be
    /// called once, before the first transaction.
    ///
    /// # Errors
    /// Retriable, within `limit` and a little.
    pub async fn init_transactions(&self, limit: Duration) -> Result<(), ConnectError> {
        let inner = self.native();
        let call = tokio::task::spawn_blocking(move || inner.init_transactions(limit));
        let result = call.await.map_err(cut_off)?;
        result.map_err(|error| failure("cannot begin with transactions", error))
    }

    /// Opens a transaction. Asks nobody.
    ///
    /// # Errors
    /// When the producer has to be replaced.
    pub fn begin_transaction(&self) -> Result<(), ConnectError> {
        let begun = self.native().begin_transaction();
        begun.map_err(|error| failure("cannot begin a transaction", error))
    }

    /// Waits until every message has arrived and commits, within `limit`.
    ///
    /// # Errors
    /// When the transaction cannot be committed any more: it will be aborted.
    pub async fn commit_transaction(&self, limit: Duration) -> Result<Ended, ConnectError> {
        let inner = self.native();
        let call = tokio::task::spawn_blocking(move || inner.commit_transaction(limit));
        ended("cannot commit the transaction", call.await.map_err(cut_off)?)
    }

    /// Makes the messages of the transaction as if they had never been, within `limit`.
    ///
    /// # Errors
    /// When the producer has to be replaced.
    pub async fn abort_transaction(&self, limit: Duration) -> Result<Ended, ConnectError> {
        let inner = self.native();
        let call = tokio::task::spawn_blocking(move || inner.abort_transaction(limit));
        ended("cannot abort the transaction", call.await.map_err(cut_off)?)
    }
}

/// What transactions need, whatever the properties say, as in the original.
fn settle(translation: &mut Translation, id: &str) {
    let settings = &mut translation.settings;
    settings.insert("transactional.id".to_owned(), id.to_owned());
    settings.insert("enable.idempotence".to_owned(), "true".to_owned());
    settings.insert("acks".to_owned(), "all".to_owned());
    settings.remove("retries");
    const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
    let too_many = |requests: &String| requests.parse::<u32>().is_ok_and(|count| 5 < count);
    if settings.get(IN_FLIGHT).is_some_and(too_many) {
        settings.remove(IN_FLIGHT);
    }
    let timeout = settings
        .entry(TRANSACTION_TIMEOUT.to_owned())
        .or_insert_with(|| TRANSACTION_TIMEOUT_MS.to_string());
    // A message must not be tried for longer than its transaction lives.
    let timeout: i64 = timeout.parse().unwrap_or(TRANSACTION_TIMEOUT_MS);
    let own = settings.get(MESSAGE_TIMEOUT).and_then(|text| text.parse::<i64>().ok());
    let bounded = own.filter(|own| 0 < *own).map_or(timeout, |own| own.min(timeout));
    settings.insert(MESSAGE_TIMEOUT.to_owned(), bounded.to_string());
}

fn ended(doing: &str, result: Result<(), KafkaError>) -> Result<Ended, ConnectError> {
    let error = match result {
        Ok(()) => return Ok(Ended::Yes),
        Err(error) => error,
    };
    let again = match &error {
        // Flushing comes first, and runs into the same limit.
        KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
        KafkaError::Transaction(native) => native.is_retriable() && !native.txn_requires_abort(),
        _ => false,
    };
    if again { Ok(Ended::NotYet) } else { Err(failure(doing, error)) }
}

/// Retriable: a new producer goes on at the committed offsets. What nobody can mend by waiting is
/// left as it is.
fn failure(doing: &str, error: KafkaError) -> ConnectError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced) => {
            ConnectError::retriable(format!("{doing}: another producer has this transactional id"))
                .because(error)
        }
        Some(RDKafkaErrorCode::InvalidProducerEpoch) => ConnectError::retriable(format!(
            "{doing}: it was not finished before {TRANSACTION_TIMEOUT}"
        ))
        .because(error),
        Some(RDKafkaErrorCode::InvalidTransactionTimeout) => ConnectError::config(format!(
            "{doing}: producer.override.{TRANSACTION_TIMEOUT} is larger than the brokers' \
             transaction.max.timeout.ms"
        ))
        .because(error),
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => ConnectError::retriable(
            format!("{doing}; grant the client's user WRITE and DESCRIBE on the transactional id"),
        )
        .because(error),
        _ => context::call_failure(doing, error),
    }
}

fn cut_off(error: tokio::task::JoinError) -> ConnectError {
    ConnectError::retriable("a call of the Kafka client ended early").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Props;

    fn settled(connector: &[(&str, &str)]) -> Translation {
        let connector: Props =
            connector.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let props = ClientProps {
            bootstrap_servers: "broker:9092",
            worker: &Props::new(),
            connector: &connector,
            client_id: "connector-producer-c-0",
        };
        let mut translation = props.translate(ClientKind::Producer).unwrap();
        settle(&mut translation, "group-c-0");
        translation
    }

    #[test]
    fn what_transactions_need_cannot_be_overridden() {
        let settings = settled(&[
            ("producer.override.enable.idempotence", "false"),
            ("producer.override.acks", "1"),
            ("producer.override.retries", "0"),
            ("producer.override.max.in.flight.requests.per.connection", "9"),
            ("producer.override.transactional.id", "mine"),
        ])
        .settings;
        assert_eq!(settings["transactional.id"], "group-c-0");
        assert_eq!(settings["enable.idempotence"], "true");
        assert_eq!(settings["acks"], "all");
        assert!(!settings.contains_key("retries"));
        assert!(!settings.contains_key("max.in.flight.requests.per.connection"));
        assert_eq!(settings["transaction.timeout.ms"], "300000");
        assert_eq!(settings["message.timeout.ms"], "300000");
    }

    #[test]
    fn a_message_is_not_tried_for_longer_than_its_transaction_lives() {
        for (timeout, delivery, expected) in
            [("20000", "2147483647", "20000"), ("20000", "5000", "5000"), ("20000", "0", "20000")]
        {
            let settings = settled(&[
                ("producer.override.transaction.timeout.ms", timeout),
                ("producer.override.delivery.timeout.ms", delivery),
            ])
            .settings;
            assert_eq!(settings["transaction.timeout.ms"], timeout);
            assert_eq!(settings["message.timeout.ms"], expected);
        }
    }
}
