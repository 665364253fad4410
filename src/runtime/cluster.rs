//! What the herder asks the Kafka cluster.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Props;
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::kafka::{Admin, ClientProps, GroupError};
use crate::runtime::worker_config::WorkerConfig;

/// How long the cluster may take to answer a question.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long it may take for `/health`.
const HEALTH_ANSWER_MAX: Duration = Duration::from_secs(4);

/// How long `GET /` waits for the first answer; later ones do not wait.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(1);
/// Between two attempts to learn the cluster's id.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Members of a sink's group are static: the broker keeps those of a stopped task until their session
/// of 10 s ends. A group that is in use for longer is in use by somebody.
const GROUP_UNUSED_MAX: Duration = Duration::from_secs(15);
const GROUP_UNUSED_INTERVAL: Duration = Duration::from_millis(500);

/// The Kafka cluster, asked through one client that is made when it is first needed.
#[derive(Debug)]
pub(crate) struct Cluster {
    worker: Arc<WorkerConfig>,
    admin: OnceLock<Admin>,
    id: watch::Sender<ClusterId>,
}

/// What is known of the cluster's id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ClusterId {
    /// It is being asked for the first time.
    Asking,
    /// The cluster did not answer yet.
    Away,
    Known(String),
}

impl Cluster {
    pub(crate) fn new(worker: Arc<WorkerConfig>) -> Self {
        Self { worker, admin: OnceLock::new(), id: watch::Sender::new(ClusterId::Asking) }
    }

    /// Asks for the cluster's id until it is known.
    pub(crate) async fn learn_id(&self, end: CancellationToken) {
        loop {
            let asked = async { self.admin().ok()?.cluster_id(ANSWER_MAX).await };
            let answer = tokio::select! {
                answer = asked => answer,
                () = end.cancelled() => return,
            };
            if let Some(id) = answer {
                self.id.send_replace(ClusterId::Known(id));
                return;
            }
            self.id.send_replace(ClusterId::Away);
            tokio::select! {
                () = sleep(ASK_AGAIN) => {}
                () = end.cancelled() => return,
            }
        }
    }

    /// The cluster's id; `None` while it does not answer.
    pub(crate) async fn id(&self) -> Option<String> {
        let mut id = self.id.subscribe();
        let asked = id.wait_for(|id| *id != ClusterId::Asking);
        let known = timeout(FIRST_ANSWER_MAX, asked).await;
        match known.ok()?.ok()?.clone() {
            ClusterId::Known(id) => Some(id),
            ClusterId::Asking | ClusterId::Away => None,
        }
    }

    /// Whether a broker answers.
    pub(crate) async fn answers(&self) -> bool {
        match self.admin() {
            Ok(admin) => admin.reachable(HEALTH_ANSWER_MAX).await.is_ok(),
            Err(_) => false,
        }
    }

    /// What the consumer group of the sink `name` has committed.
    pub(crate) async fn group_offsets(
        &self,
        name: &str,
        config: &Props,
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        let group = self.consumer_group(name, config);
        self.sink_admin(name, config)?.group_offsets(&group, ANSWER_MAX).await
    }

    /// Sets what the consumer group of the sink `name` has committed, as soon as it has no members.
    pub(crate) async fn alter_group_offsets(
        &self,
        name: &str,
        config: &Props,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), GroupError> {
        let group = self.consumer_group(name, config);
        let admin = self.sink_admin(name, config).map_err(GroupError::Failed)?;
        once_unused(|| admin.alter_group_offsets(&group, offsets, ANSWER_MAX)).await
    }

    /// Removes the consumer group of the sink `name`, as soon as it has no members.
    pub(crate) async fn delete_group(&self, name: &str, config: &Props) -> Result<(), GroupError> {
        let group = self.consumer_group(name, config);
        let admin = self.sink_admin(name, config).map_err(GroupError::Failed)?;
        once_unused(|| admin.delete_group(&group, ANSWER_MAX)).await
    }

    /// A client with the connector's overrides: its user may be another than the worker's.
    fn sink_admin(&self, name: &str, config: &Props) -> Result<Admin, ConnectError> {
        Admin::new(&self.client_props(config, &format!("connector-adminclient-{name}")))
    }

    /// Kafka Connect, `SinkUtils.consumerGroupId` and the overrides that come before it.
    fn consumer_group(&self, name: &str, config: &Props) -> String {
        let own = config.get("consumer.override.group.id");
        let workers = || self.worker.settings.get("consumer.group.id");
        own.or_else(workers).cloned().unwrap_or_else(|| format!("connect-{name}"))
    }

    fn client_props<'a>(&'a self, connector: &'a Props, client_id: &'a str) -> ClientProps<'a> {
        ClientProps {
            bootstrap_servers: &self.worker.bootstrap_servers,
            worker: &self.worker.settings,
            connector,
            client_id,
        }
    }

    fn admin(&self) -> Result<Admin, ConnectError> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin.clone());
        }
        let none = Props::new();
        let admin = Admin::new(&self.client_props(&none, "ferroconnect-worker"))?;
        Ok(self.admin.get_or_init(|| admin).clone())
    }
}

/// Repeats `change` while the group is in use, within a bound.
async fn once_unused<F>(change: impl Fn() -> F) -> Result<(), GroupError>
where
    F: Future<Output = Result<(), GroupError>>,
{
    let deadline = Instant::now() + GROUP_UNUSED_MAX;
    loop {
        match change().await {
            Err(GroupError::InUse(_)) if Instant::now() < deadline => {
                sleep(GROUP_UNUSED_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}
