//! Source and sink tasks under the runtime's loops: fake plugins, the real broker, the real state
//! database.

mod broker;
mod errors;
mod fakes;
mod sink;
mod source;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferroconnect::config::{Props, Secret};
use ferroconnect::converter::{Converter, HeaderConverter, Role};
use ferroconnect::error::ConnectError;
use ferroconnect::metrics::{Metrics, TaskSide};
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use ferroconnect::runtime::chain::Chain;
use ferroconnect::runtime::errant::ErrantRecords;
use ferroconnect::runtime::herder::TaskId;
use ferroconnect::runtime::sink_task::{SinkTaskParts, run_sink_task};
use ferroconnect::runtime::source_task::{SourceTaskParts, run_source_task};
use ferroconnect::runtime::task::{Condition, TaskControl};
use ferroconnect::runtime::transactions::Transactional;
use ferroconnect::runtime::worker_config::WorkerConfig;
use ferroconnect::store::{Heartbeat, Lease, Store, TargetState, WorkerRow};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use self::fakes::{FakeSink, FakeSource, TextHeaders};
use crate::support::{TestDatabase, services, unique};

/// A connector in a state database of its own.
pub(super) struct Bench {
    pub(super) database: TestDatabase,
    pub(super) store: Store,
    pub(super) connector: String,
    worker_row: WorkerRow,
    config: Props,
    bootstrap_servers: String,
}

/// A task that runs.
pub(super) struct Running {
    control: TaskControl,
    pause: watch::Sender<bool>,
    pub(super) condition: watch::Receiver<Option<Condition>>,
    task: JoinHandle<Result<(), ConnectError>>,
}

impl Running {
    /// Asks the task to end and waits for it.
    pub(super) async fn stop(self) -> Result<(), ConnectError> {
        self.control.cancel.cancel();
        self.ended().await
    }

    /// Waits until the task ends by itself.
    pub(super) async fn ended(self) -> Result<(), ConnectError> {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.task).await;
        ended.expect("the task ends in time").expect("the task does not panic")
    }

    /// Cuts the task off, as a crash does.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(super) fn pause(&self, paused: bool) {
        self.pause.send_replace(paused);
    }
}

impl Bench {
    pub(super) async fn new(config: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(&Secret::new(&database.url), 8).await.unwrap();
        let worker_row = WorkerRow {
            id: "worker".to_owned(),
            address: "127.0.0.1:8083".to_owned(),
            version: "1".to_owned(),
            time_to_live: Duration::from_secs(60),
        };
        Heartbeat::new(store.clone(), worker_row.clone()).beat().await.unwrap();
        let connector = unique("connector");
        let mut props = Props::from([
            ("name".to_owned(), connector.clone()),
            ("connector.class".to_owned(), "Fake".to_owned()),
        ]);
        props.extend(config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let bootstrap_servers = services().kafka.clone();
        store.create_connector(&connector, &props, TargetState::Started).await.unwrap();
        Self { database, store, connector, worker_row, config: props, bootstrap_servers }
    }

    /// Points the tasks at a cluster that does not exist.
    pub(super) fn without_kafka(self) -> Self {
        self.with_kafka("127.0.0.1:1")
    }

    /// Points the tasks at this cluster.
    pub(super) fn with_kafka(mut self, bootstrap_servers: &str) -> Self {
        bootstrap_servers.clone_into(&mut self.bootstrap_servers);
        self
    }

    /// Takes the state database away, or gives it back.
    pub(super) async fn allow_connections(&self, allow: bool) {
        let (admin, connection) =
            tokio_postgres::connect(&format!("{}/postgres", services().postgres), NoTls)
                .await
                .unwrap();
        tokio::spawn(connection);
        let name = &self.database.name;
        admin
            .batch_execute(&format!("alter database {name} with allow_connections {allow}"))
            .await
            .unwrap();
        let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        if !allow {
            admin.execute(terminate, &[name]).await.unwrap();
        }
    }

    pub(super) async fn lease(&self, task: usize) -> Lease {
        let task = i32::try_from(task).unwrap();
        self.store.acquire(&self.connector, task, &self.worker_row).await.unwrap().unwrap()
    }

    fn worker(&self) -> Arc<WorkerConfig> {
        let environment = BTreeMap::from([
            ("BOOTSTRAP_SERVERS".to_owned(), self.bootstrap_servers.clone()),
            ("FERROCONNECT_DATABASE_URL".to_owned(), self.database.url.clone()),
        ]);
        Arc::new(WorkerConfig::from_sources(None, &environment).unwrap())
    }

    /// Starts a source task.
    pub(crate) async fn start_source(&self, source: FakeSource) -> Running {
        self.start_source_with(source, None).await
    }

    /// Starts a source task that delivers exactly once.
    pub(crate) async fn start_transactional(
        &self,
        source: FakeSource,
        transactional: Transactional,
    ) -> Running {
        self.start_source_with(source, Some(transactional)).await
    }

    async fn start_source_with(
        &self,
        source: FakeSource,
        transactional: Option<Transactional>,
    ) -> Running {
        let parts = SourceTaskParts {
            id: TaskId { connector: self.connector.clone(), task: 0 },
            lease: self.lease(0).await,
            store: self.store.clone(),
            config: self.config.clone(),
            worker: self.worker(),
            metrics: Metrics::new().task(&self.connector, 0, TaskSide::Source),
            task: Box::new(source),
            chain: Chain::build(&Plugins::builtin(), &self.config).unwrap(),
            key_converter: json(Role::Key),
            value_converter: json(Role::Value),
            header_converter: headers(),
            transactional,
        };
        start(|control| run_source_task(parts, control))
    }

    /// Starts the sink task `task`.
    pub(crate) async fn start_sink(&self, task: usize, mut sink: FakeSink) -> Running {
        let errants = ErrantRecords::new(&self.config).unwrap();
        sink.reporter = errants.clone().map(|errants| errants as _);
        let parts = SinkTaskParts {
            id: TaskId { connector: self.connector.clone(), task },
            lease: self.lease(task).await,
            store: self.store.clone(),
            config: self.config.clone(),
            worker: self.worker(),
            metrics: Metrics::new().task(&self.connector, task, TaskSide::Sink),
            task: Box::new(sink),
            errants,
            chain: Chain::build(&Plugins::builtin(), &self.config).unwrap(),
            key_converter: json(Role::Key),
            value_converter: json(Role::Value),
            header_converter: headers(),
        };
        start(|control| run_sink_task(parts, control))
    }
}

fn start<F>(run: impl FnOnce(TaskControl) -> F) -> Running
where
    F: Future<Output = Result<(), ConnectError>> + Send + 'static,
{
    let (pause, paused) = watch::channel(false);
    let (show, condition) = watch::channel(None);
    let control = TaskControl { cancel: CancellationToken::new(), paused, condition: show };
    let task = tokio::spawn(run(control.clone()));
    Running { control, pause, condition, task }
}

/// JsonConverter without schemas.
fn json(role: Role) -> Box<dyn Converter> {
    let plugins = Plugins::builtin();
    let plugin = plugins.find(&[PluginKind::Converter], "JsonConverter").unwrap();
    let Constructor::Converter(construct) = plugin.constructor else { panic!("a converter") };
    construct(&Props::from([("schemas.enable".to_owned(), "false".to_owned())]), &role.into())
        .unwrap()
}

fn headers() -> Box<dyn HeaderConverter> {
    Box::new(TextHeaders)
}
