//! What an exactly-once source begins with (KIP-618): its predecessor is fenced, and what it
//! committed last is read.
//!
//! The offsets topic says where to go on, because its records were committed together with those of
//! the source. The state database mirrors it: it may be behind after a crash, never ahead. Only a row
//! that was written otherwise is newer, and is brought into the topic first.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::config::Props;
use crate::connector::TransactionContext;
use crate::data::SourceOffset;
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{
    Admin, ClientProps, Ended, Latest, NewTopic, Outgoing, Producer, Refused, read_compacted,
};
use crate::runtime::connector_config::OFFSETS_STORAGE_TOPIC;
use crate::runtime::entity::TaskId;
use crate::runtime::ledger::task_error;
use crate::runtime::source_task::{producer_id, producer_props};
use crate::runtime::task::{Backoff, Condition, TaskControl};
use crate::runtime::transactions::{Transactional, asks_for_context, offset_key};
use crate::runtime::worker_config::{OffsetsTopic, WorkerConfig};
use crate::store::{Lease, Store, Truth};

/// How long one call may wait for the cluster.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long reading the offsets topic may take, with the transactions that are open in it.
const READ_MAX: Duration = Duration::from_secs(30);

/// Opens the transactions of one source task.
pub(crate) struct Opening {
    pub(crate) id: TaskId,
    pub(crate) lease: Lease,
    pub(crate) store: Store,
    /// The connector's configuration.
    pub(crate) config: Props,
    pub(crate) worker: Arc<WorkerConfig>,
    /// The worker's own offsets topic.
    pub(crate) topic: OffsetsTopic,
}

/// A task's producer and where it goes on.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) transactional: Transactional,
    pub(crate) offsets: Vec<SourceOffset>,
}

// The configuration holds passwords.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Opening {
    /// Opens as soon as cluster and state database answer. `None`: the task was stopped first.
    ///
    /// # Errors
    /// What will not pass.
    pub(crate) async fn open_when_possible(
        &self,
        control: &TaskControl,
    ) -> Result<Option<Opened>, ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = control.cancel.cancelled() => return Ok(None),
            };
            let error = match opened {
                Ok(opened) => {
                    control.show(None);
                    return Ok(Some(opened));
                }
                Err(error) if error.kind() != ErrorKind::Retriable => return Err(error),
                Err(error) => error,
            };
            let delay = backoff.next_delay();
            let cause = error.trace();
            tracing::warn!(cause, "transactions cannot be begun with, trying again");
            control.show(Some(Condition::retrying(&error, delay)));
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = control.cancel.cancelled() => return Ok(None),
            }
        }
    }

    async fn open(&self) -> Result<Opened, ConnectError> {
        let topic = own_topic(&self.config).unwrap_or_else(|| self.topic.name.clone());
        ensure(&topic, &self.topic, &self.props(&self.admin_id())).await?;
        let client_id = producer_id(&self.id);
        let id = transactional_id(&self.worker.group_id, &self.id.connector, self.id.task);
        let producer = Producer::transactional(&self.props(&client_id), &id)?;
        producer.init_transactions(CALL_MAX).await?;
        // What is committed now stays: nobody else can commit under this id any more.
        let offsets = self.reconcile(&topic, &producer).await?;
        let context = asks_for_context(&self.config).then(Arc::<TransactionContext>::default);
        let transactional = Transactional { producer, offsets_topic: topic, context };
        Ok(Opened { transactional, offsets })
    }

    /// Brings the topic and the state database together; returns what holds.
    async fn reconcile(
        &self,
        topic: &str,
        producer: &Producer,
    ) -> Result<Vec<SourceOffset>, ConnectError> {
        let id = self.admin_id();
        let read = async |topic: &str| read_compacted(&self.props(&id), topic, READ_MAX).await;
        let mut recorded = of_connector(&self.id.connector, read(topic).await?)?;
        if topic != self.topic.name {
            // What was stored before the connector had a topic of its own.
            let before = of_connector(&self.id.connector, read(&self.topic.name).await?)?;
            let unknown = before.into_iter().filter(|one| find(&recorded, one).is_none());
            let unknown: Vec<_> = unknown.collect();
            recorded.extend(unknown);
        }
        let stored = self.store.source_offset_copies(&self.id.connector).await?;
        let plan = Reconciled::of(&recorded, &stored);
        if !plan.record.is_empty() {
            let messages = plan.record.iter().map(|offset| {
                let key = offset_key(&self.id.connector, &offset.partition);
                (key, Some(offset.offset.to_string()))
            });
            commit_offsets(producer, topic, messages.collect()).await?;
        }
        if !plan.mirror.is_empty() {
            let partitions = plan.mirror.len();
            tracing::info!(partitions, topic, "the state database follows the offsets topic");
            let mirrored =
                self.store.put_source_offsets(&self.lease, &plan.mirror, Truth::OffsetsTopic);
            mirrored.await.map_err(task_error)?;
        }
        Ok(plan.offsets)
    }

    fn props<'a>(&'a self, client_id: &'a str) -> ClientProps<'a> {
        producer_props(&self.worker, &self.config, client_id)
    }

    fn admin_id(&self) -> String {
        format!("connector-adminclient-{}", self.id)
    }
}

/// What has to be done so that topic and state database agree.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reconciled {
    /// What holds.
    offsets: Vec<SourceOffset>,
    /// What the topic gets.
    record: Vec<SourceOffset>,
    /// What the state database gets.
    mirror: Vec<SourceOffset>,
}

impl Reconciled {
    fn of(recorded: &[SourceOffset], stored: &[(SourceOffset, Truth)]) -> Self {
        let mut plan = Self::default();
        for offset in recorded {
            let copy = stored.iter().find(|(copy, _)| same(&copy.partition, &offset.partition));
            match copy {
                Some((copy, _)) if copy.offset == offset.offset => plan.offsets.push(copy.clone()),
                Some((copy, Truth::Here)) => {
                    plan.offsets.push(copy.clone());
                    plan.record.push(copy.clone());
                    plan.mirror.push(copy.clone());
                }
                Some((copy, Truth::OffsetsTopic)) => {
                    let newer = SourceOffset {
                        partition: Arc::clone(&copy.partition),
                        offset: Arc::clone(&offset.offset),
                    };
                    plan.offsets.push(newer.clone());
                    plan.mirror.push(newer);
                }
                None => {
                    plan.offsets.push(offset.clone());
                    plan.mirror.push(offset.clone());
                }
            }
        }
        for (copy, _) in stored {
            if find(recorded, copy).is_none() {
                plan.offsets.push(copy.clone());
                plan.record.push(copy.clone());
                plan.mirror.push(copy.clone());
            }
        }
        plan
    }
}

fn find<'a>(offsets: &'a [SourceOffset], wanted: &SourceOffset) -> Option<&'a SourceOffset> {
    offsets.iter().find(|offset| same(&offset.partition, &wanted.partition))
}

/// The order of members tells two texts apart, but not two partitions.
fn same(one: &str, other: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other || parsed(one).is_some_and(|one| parsed(other) == Some(one))
}

/// The offsets of `connector` in an offsets topic.
fn of_connector(
    connector: &str,
    latest: Option<Latest>,
) -> Result<Vec<SourceOffset>, ConnectError> {
    let mut offsets = Vec::new();
    for (key, value) in latest.unwrap_or_default() {
        // Other keys are none of ours: a topic may be shared.
        let Ok((name, partition)) = serde_json::from_slice::<(String, &RawValue)>(&key) else {
            continue;
        };
        if name != connector {
            continue;
        }
        let offset = String::from_utf8(value)
            .ok()
            .filter(|text| serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok());
        let offset = offset.ok_or_else(|| {
            let key = String::from_utf8_lossy(&key);
            ConnectError::config(format!(
                "the offsets topic has no JSON object under the key {key}; reset the offsets of \
                 connector \"{connector}\", or set them, with it stopped"
            ))
        })?;
        offsets.push(SourceOffset { partition: partition.get().into(), offset: offset.into() });
    }
    Ok(offsets)
}

/// Kafka Connect, `Worker.taskTransactionalId`: stable, so that who takes over fences who was there.
fn transactional_id(group: &str, connector: &str, task: usize) -> String {
    format!("{group}-{connector}-{task}")
}

/// A connector's own offsets topic.
fn own_topic(config: &Props) -> Option<String> {
    let own = config.get(OFFSETS_STORAGE_TOPIC).map(|topic| topic.trim().to_owned());
    own.filter(|topic| !topic.is_empty())
}

/// Makes an offsets topic unless it is there, as the worker's settings say.
async fn ensure(
    name: &str,
    like: &OffsetsTopic,
    props: &ClientProps<'_>,
) -> Result<(), ConnectError> {
    let admin = Admin::new(props)?;
    if admin.partitions_of(name, CALL_MAX).await?.is_some() {
        return Ok(());
    }
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: like.partitions,
        replication_factor: like.replication_factor,
        config: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    };
    admin.create_topic(&topic, CALL_MAX).await.map(|_| ())
}

/// Writes `messages` in one transaction; `None` forgets a key.
async fn commit_offsets(
    producer: &Producer,
    topic: &str,
    messages: Vec<(String, Option<String>)>,
) -> Result<(), ConnectError> {
    let until = Instant::now() + READ_MAX;
    producer.begin_transaction()?;
    for (key, value) in &messages {
        let mut message = Outgoing {
            topic,
            key: Some(key.as_bytes()),
            value: value.as_deref().map(str::as_bytes),
            ..Outgoing::default()
        };
        loop {
            match producer.send(&mut message, 0) {
                Ok(()) => break,
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Full) => producer.reported().await,
            }
        }
    }
    while producer.commit_transaction(CALL_MAX).await? == Ended::NotYet {
        if until <= Instant::now() {
            return Err(ConnectError::retriable(format!(
                "the brokers do not commit offsets to the topic \"{topic}\""
            )));
        }
    }
    // These are no records of a task: nobody counts them.
    producer.take_reports(&mut crate::kafka::Reports::default());
    Ok(())
}

/// Changes a stopped connector's offsets in its topic, behind everything that a task of it can still
/// commit: its tasks are fenced first.
///
/// # Errors
/// [`AlterError::Fencing`] when that is not possible; [`AlterError::Writing`] for the rest.
pub(crate) async fn alter_recorded(
    (worker, topic): (&WorkerConfig, &OffsetsTopic),
    connector: &str,
    (config, tasks): (&Props, usize),
    changes: &[(String, Option<String>)],
) -> Result<(), AlterError> {
    let client_id = format!("connector-offsets-{connector}");
    let props = producer_props(worker, config, &client_id);
    let mut writer = None;
    for task in 0..tasks.max(1) {
        let id = transactional_id(&worker.group_id, connector, task);
        let producer = Producer::transactional(&props, &id).map_err(AlterError::Fencing)?;
        producer.init_transactions(CALL_MAX).await.map_err(AlterError::Fencing)?;
        writer.get_or_insert(producer);
    }
    let Some(writer) = writer else { return Ok(()) };
    let name = own_topic(config).unwrap_or_else(|| topic.name.clone());
    let messages = changes
        .iter()
        .map(|(partition, offset)| (offset_key(connector, partition), offset.clone()));
    let messages: Vec<_> = messages.collect();
    for topic_name in std::iter::once(&name).chain((name != topic.name).then_some(&topic.name)) {
        ensure(topic_name, topic, &props).await.map_err(AlterError::Writing)?;
        let written = commit_offsets(&writer, topic_name, messages.clone()).await;
        written.map_err(AlterError::Writing)?;
    }
    Ok(())
}

/// Why offsets cannot be changed in their topic.
#[derive(Debug)]
pub(crate) enum AlterError {
    /// A task that has not ended may still commit.
    Fencing(ConnectError),
    Writing(ConnectError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(partition: &str, offset: &str) -> SourceOffset {
        SourceOffset { partition: partition.into(), offset: offset.into() }
    }

    #[test]
    fn the_topic_wins_over_its_mirror_and_gives_way_to_what_was_written_otherwise() {
        let recorded = [offset("same", "1"), offset("ahead", "5"), offset("behind", "5")];
        let stored = [
            (offset("same", "1"), Truth::OffsetsTopic),
            (offset("ahead", "4"), Truth::OffsetsTopic),
            (offset("behind", "7"), Truth::Here),
            (offset("new", "2"), Truth::Here),
        ];
        let plan = Reconciled::of(&recorded, &stored);
        let behind = [offset("behind", "7"), offset("new", "2")];
        assert_eq!(plan.record, behind);
        let mirror = [offset("ahead", "5"), offset("behind", "7"), offset("new", "2")];
        assert_eq!(plan.mirror, mirror);
        assert_eq!(plan.offsets[0], offset("same", "1"));
        assert_eq!(plan.offsets[1..], mirror);
        let lost = Reconciled::of(&recorded, &[]);
        assert_eq!(
            (lost.offsets.as_slice(), lost.mirror.as_slice()),
            (&recorded[..], &recorded[..])
        );
        assert!(lost.record.is_empty());
    }

    #[test]
    fn partitions_are_the_same_in_any_order_of_members() {
        assert!(same(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
    }

    #[test]
    fn only_the_connectors_own_offsets_are_taken() {
        let latest: Latest = [
            (&br#"["c",{"server":"x"}]"#[..], &br#"{"lsn":1}"#[..]),
            (br#"["other",{"server":"x"}]"#, b"{}"),
            (b"not json", b""),
        ]
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .into();
        let expected = [offset(r#"{"server":"x"}"#, r#"{"lsn":1}"#)];
        assert_eq!(of_connector("c", Some(latest)).unwrap(), expected);
        let broken = Latest::from([(br#"["c",{}]"#.to_vec(), b"?".to_vec())]);
        let error = of_connector("c", Some(broken)).unwrap_err().to_string();
        assert!(error.contains(r#"["c",{}]"#), "{error}");
    }
}
