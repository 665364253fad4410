//! A compacted topic as the map that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, Message as _, TopicPartitionList};

use super::client_config::{ClientKind, ClientProps};
use super::context;
use crate::error::ConnectError;

/// The newest value of each key.
pub type Latest = BTreeMap<Vec<u8>, Vec<u8>>;

/// What such a topic may hold before reading it is given up: the memory of one who reads the wrong topic.
const MOST_BYTES: usize = 256 << 20;

/// Between two looks at a transaction that is open.
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// Reads `topic` to the ends that its partitions have now: the newest value of each key. Keys whose newest
/// value is null are absent, as after compaction. `None`: there is no such topic. Transactions that are
/// open there are waited for: what they end in counts.
///
/// # Errors
/// When the cluster cannot be read within `deadline`, or the topic holds more than 256 MiB.
pub async fn read_compacted(
    props: &ClientProps<'_>,
    topic: &str,
    deadline: Duration,
) -> Result<Option<Latest>, ConnectError> {
    let (mut config, _) = props.build(ClientKind::Consumer)?;
    // Never joins: the group's name is only asked for.
    config.set("group.id", "ferroconnect-reader");
    config.set("enable.partition.eof", "true");
    config.set("isolation.level", "read_committed");
    let make = |config: &ClientConfig| -> Result<BaseConsumer, ConnectError> {
        let made = config.create();
        made.map_err(|error| context::call_failure("cannot make a Kafka consumer", error))
    };
    let committed = make(&config)?;
    config.set("isolation.level", "read_uncommitted");
    let clients = Clients { committed, all: make(&config)? };
    let topic = topic.to_owned();
    let reading =
        tokio::task::spawn_blocking(move || read(&clients, &topic, Instant::now() + deadline));
    reading.await.unwrap_or_else(|_| Err(ConnectError::retriable("the reader ended early")))
}

/// Two consumers, because each asks for the end of a partition as its isolation level has it.
struct Clients {
    committed: BaseConsumer,
    all: BaseConsumer,
}

impl Clients {
    /// Waits until no transaction is open before the end that `partition` has now.
    fn settled(&self, topic: &str, partition: i32, until: Instant) -> Result<(), ConnectError> {
        let end = |consumer: &BaseConsumer| {
            let left = until.saturating_duration_since(Instant::now());
            let ends = consumer.fetch_watermarks(topic, partition, left);
            ends.map(|(_, end)| end).map_err(|error| {
                context::call_failure(&format!("cannot read the topic \"{topic}\""), error)
            })
        };
        let goal = end(&self.all)?;
        while end(&self.committed)? < goal {
            if until <= Instant::now() {
                return Err(ConnectError::retriable(format!(
                    "a transaction on the topic \"{topic}\" stays open; its producer ends it, or the \
                     broker after transaction.timeout.ms"
                )));
            }
            std::thread::park_timeout(SETTLE_POLL);
        }
        Ok(())
    }
}

fn read(clients: &Clients, topic: &str, until: Instant) -> Result<Option<Latest>, ConnectError> {
    let consumer = &clients.committed;
    let left = || until.saturating_duration_since(Instant::now());
    let failed =
        |error| context::call_failure(&format!("cannot read the topic \"{topic}\""), error);
    let metadata = consumer.fetch_metadata(Some(topic), left()).map_err(failed)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let Some(found) = found.filter(|found| found.error().is_none()) else { return Ok(None) };
    let mut assignment = TopicPartitionList::new();
    let mut unread = BTreeSet::new();
    for partition in found.partitions() {
        clients.settled(topic, partition.id(), until)?;
        let offset = Offset::Beginning;
        assignment.add_partition_offset(topic, partition.id(), offset).map_err(failed)?;
        unread.insert(partition.id());
    }
    consumer.assign(&assignment).map_err(failed)?;
    let mut latest = Latest::new();
    let mut bytes = 0;
    while !unread.is_empty() {
        let Some(polled) = consumer.poll(left()) else {
            return Err(ConnectError::retriable(format!(
                "the topic \"{topic}\" could not be read to its end in time"
            )));
        };
        match polled {
            Ok(message) => {
                let key = message.key().unwrap_or_default().to_vec();
                bytes += key.len() + message.payload().map_or(0, <[u8]>::len);
                if bytes > MOST_BYTES {
                    return Err(ConnectError::config(format!(
                        "the topic \"{topic}\" holds more than 256 MiB: is it the right one?"
                    )));
                }
                match message.payload() {
                    Some(value) => latest.insert(key, value.to_vec()),
                    None => latest.remove(&key),
                };
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                unread.remove(&partition);
            }
            // The client tries these again by itself.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut,
            )) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Some(latest))
}
