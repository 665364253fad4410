//! Questions to the cluster and the making of topics. Every call has a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as NativeTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::client_config::{ClientKind, ClientProps};
use super::context;
use super::ffi::{GroupRequest, ask_group};
use crate::data::TopicPartition;
use crate::error::ConnectError;

/// A topic that exists on every cluster with consumers; asked for when only an answer matters.
const PROBE_TOPIC: &str = "__consumer_offsets";

/// A topic to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// -1 is the broker's default.
    pub partitions: i32,
    /// -1 is the broker's default.
    pub replication_factor: i32,
    pub config: Vec<(String, String)>,
}

/// What became of a request to make a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateOutcome {
    Created,
    /// It existed already, or somebody was faster.
    Existed,
}

/// An administrative client. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<Quiet>>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    /// Makes a client; brokers are looked for when it is asked something.
    ///
    /// # Errors
    /// When a property cannot be used.
    pub fn new(props: &ClientProps<'_>) -> Result<Self, ConnectError> {
        let (config, _) = props.build(ClientKind::Admin)?;
        let client = AdminClient::from_config_and_context(&config, Quiet)
            .map_err(|error| context::call_failure("cannot make a Kafka admin client", error))?;
        Ok(Self { client: Arc::new(client) })
    }

    /// Whether a broker answers within `deadline`.
    ///
    /// # Errors
    /// Retriable, with the reason.
    pub async fn reachable(&self, deadline: Duration) -> Result<(), ConnectError> {
        self.partitions_of(PROBE_TOPIC, deadline).await.map(|_| ())
    }

    /// The cluster's id; `None` when it does not answer within `deadline`, or has none.
    pub async fn cluster_id(&self, deadline: Duration) -> Option<String> {
        let client = self.client.clone();
        blocking(move || Ok(client.inner().fetch_cluster_id(deadline))).await.ok().flatten()
    }

    /// The partitions of `topic`; `None` when it does not exist.
    ///
    /// # Errors
    /// When the cluster does not answer within `deadline`.
    pub async fn partitions_of(
        &self,
        topic: &str,
        deadline: Duration,
    ) -> Result<Option<Vec<i32>>, ConnectError> {
        let (client, name) = (self.client.clone(), topic.to_owned());
        blocking(move || {
            let metadata =
                client.inner().fetch_metadata(Some(&name), deadline).map_err(|error| {
                    context::call_failure("the Kafka cluster does not answer", error)
                })?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            let topic = topic.filter(|topic| topic.error().is_none());
            Ok(topic.map(|topic| topic.partitions().iter().map(|part| part.id()).collect()))
        })
        .await
    }

    /// Makes `topic` and waits until the brokers know it, `deadline` at most.
    ///
    /// # Errors
    /// Retriable when the cluster cannot be asked; of the configuration when it refuses.
    pub async fn create_topic(
        &self,
        topic: &NewTopic,
        deadline: Duration,
    ) -> Result<CreateOutcome, ConnectError> {
        let mut native = NativeTopic::new(
            &topic.name,
            topic.partitions,
            TopicReplication::Fixed(topic.replication_factor),
        );
        native = topic.config.iter().fold(native, |native, (key, value)| native.set(key, value));
        let options =
            AdminOptions::new().request_timeout(Some(deadline)).operation_timeout(Some(deadline));
        let doing = format!("cannot create topic \"{}\"", topic.name);
        let results = self
            .client
            .create_topics([&native], &options)
            .await
            .map_err(|error| context::call_failure(&doing, error))?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(CreateOutcome::Created),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(CreateOutcome::Existed),
            Some(Err((_, code))) => Err(context::failure(&doing, code)),
            None => Err(ConnectError::retriable(doing)),
        }
    }

    /// How many members `group` has now; 0 for an unknown group.
    ///
    /// # Errors
    /// When the cluster does not answer within `deadline`.
    pub async fn group_members(
        &self,
        group: &str,
        deadline: Duration,
    ) -> Result<usize, ConnectError> {
        let (client, group) = (self.client.clone(), group.to_owned());
        blocking(move || {
            let list = client.inner().fetch_group_list(Some(&group), deadline);
            let list = list
                .map_err(|error| context::call_failure("cannot read the group's members", error))?;
            let found = list.groups().iter().find(|found| found.name() == group);
            Ok(found.map_or(0, |found| found.members().len()))
        })
        .await
    }

    /// The offsets that `group` has committed, by topic and partition; none for an unknown group.
    ///
    /// # Errors
    /// When the cluster does not answer within `deadline`.
    pub async fn group_offsets(
        &self,
        group: &str,
        deadline: Duration,
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        let (client, group) = (self.client.clone(), group.to_owned());
        blocking(move || {
            let asked = ask_group(client.inner(), &group, GroupRequest::List, deadline);
            let mut offsets = match asked {
                Ok(offsets) => offsets,
                Err(RDKafkaErrorCode::GroupIdNotFound) => Vec::new(),
                Err(code) => return Err(context::failure("cannot read the group's offsets", code)),
            };
            offsets.retain(|(_, offset)| *offset >= 0);
            offsets.sort_by(|(one, _), (other, _)| {
                (&one.topic, one.partition).cmp(&(&other.topic, other.partition))
            });
            Ok(offsets)
        })
        .await
    }

    /// Sets what `group` has committed; `None` forgets a partition.
    ///
    /// # Errors
    /// [`GroupError::InUse`] while the group has members; nothing changed then.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
        deadline: Duration,
    ) -> Result<(), GroupError> {
        let (mut set, mut forgotten) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (at, offset) in offsets {
            match offset {
                Some(offset) => set
                    .add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                    .map_err(|error| {
                        GroupError::Failed(context::call_failure("cannot set an offset", error))
                    })?,
                None => {
                    forgotten.add_partition(&at.topic, at.partition);
                }
            }
        }
        if set.count() > 0 {
            self.change_group(group, set, |list| GroupRequest::Alter(list), deadline).await?;
        }
        if forgotten.count() > 0 {
            self.change_group(group, forgotten, |list| GroupRequest::Delete(list), deadline)
                .await?;
        }
        Ok(())
    }

    async fn change_group(
        &self,
        group: &str,
        partitions: TopicPartitionList,
        request: impl Fn(&TopicPartitionList) -> GroupRequest<'_> + Send + 'static,
        deadline: Duration,
    ) -> Result<(), GroupError> {
        let (client, group) = (self.client.clone(), group.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            ask_group(client.inner(), &group, request(&partitions), deadline).map(|_| ())
        })
        .await
        .unwrap_or(Err(RDKafkaErrorCode::Fail));
        asked.or_else(|code| GroupError::of(code, "cannot change the group's offsets"))
    }

    /// Removes `group` with all it has committed; one that does not exist is fine.
    ///
    /// # Errors
    /// [`GroupError::InUse`] while the group has members.
    pub async fn delete_group(&self, group: &str, deadline: Duration) -> Result<(), GroupError> {
        let options =
            AdminOptions::new().request_timeout(Some(deadline)).operation_timeout(Some(deadline));
        let doing = "cannot remove the group";
        let results = self
            .client
            .delete_groups(&[group], &options)
            .await
            .map_err(|error| GroupError::Failed(context::call_failure(doing, error)))?;
        match results.into_iter().next() {
            Some(Err((_, code))) => GroupError::of(code, doing),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Why a consumer group was not changed.
#[derive(Debug)]
pub enum GroupError {
    /// The group still has members.
    InUse(ConnectError),
    Failed(ConnectError),
}

impl GroupError {
    /// A group that does not exist has nothing left to change.
    fn of(code: RDKafkaErrorCode, doing: &str) -> Result<(), Self> {
        let error = context::failure(doing, code);
        match code {
            RDKafkaErrorCode::GroupIdNotFound => Ok(()),
            RDKafkaErrorCode::NonEmptyGroup
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::GroupSubscribedToTopic => Err(Self::InUse(error)),
            _ => Err(Self::Failed(error)),
        }
    }
}

/// librdkafka's questions block.
async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, ConnectError> + Send + 'static,
) -> Result<T, ConnectError> {
    tokio::task::spawn_blocking(question).await.unwrap_or_else(|error| {
        Err(ConnectError::fatal("asking the Kafka cluster did not end well").because(error))
    })
}

/// A context that only passes log lines on: errors come back from the calls.
#[derive(Debug, Clone, Copy)]
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason, "kafka client");
    }
}

impl ConsumerContext for Quiet {}
