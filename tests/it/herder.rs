//! The life of connectors on a worker: states, restarts, failures and what survives a worker. The
//! connector is a fake that does what its configuration says; everything else is real. No record is
//! produced, so that no broker is needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ferroconnect::config::{ConfigDef, ConfigError, ConfigKey, ConfigType, Props, Secret};
use ferroconnect::connector::{
    Connector, ConnectorContext, OffsetCommitter, SourceTask, SourceTaskContext,
};
use ferroconnect::converter::{HeaderConverter, Presence};
use ferroconnect::data::{RecordBatch, SchemaAndValue, SourceOffset};
use ferroconnect::error::{ConnectError, DataError};
use ferroconnect::metrics::Metrics;
use ferroconnect::plugin::{Constructor, Plugin, Plugins};
use ferroconnect::runtime::herder::{
    ConnectorKind, ConnectorStatus, Herder, HerderError, State, TargetState, TaskId, WorkerGuard,
};
use ferroconnect::runtime::worker_config::WorkerConfig;
use ferroconnect::store::Store;

use tokio_postgres::NoTls;

use crate::support::{TestDatabase, eventually_async, services, unique};

/// How often a task of each connector was made: the fake has no other memory.
static MADE: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);

fn made(connector: &str) -> usize {
    MADE.lock().expect("no test panics with it").get(connector).copied().unwrap_or(0)
}

struct Fake(Props);

#[async_trait]
impl Connector for Fake {
    async fn validate(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    fn task_configs(&self, _tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        match self.0.get("fake.plan").map(String::as_str) {
            Some("fail") => Err(ConnectError::config("the fake cannot plan")),
            Some("panic") => panic!("the fake panics while planning"),
            _ => {
                let tasks =
                    self.0.get("fake.tasks").map_or(1, |tasks| tasks.parse().expect("a number"));
                Ok(vec![self.0.clone(); tasks])
            }
        }
    }
}

struct FakeTask {
    task: usize,
    poll: String,
}

#[async_trait]
impl SourceTask for FakeTask {
    async fn poll(&mut self, _out: &mut RecordBatch) -> Result<(), ConnectError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match self.poll.as_str() {
            "panic" => panic!("the fake panics in task {}", self.task),
            "fail one" if self.task == 1 => Err(ConnectError::fatal("task 1 fails")),
            "retriable" => Err(ConnectError::retriable("the fake's outside is away")),
            _ => Ok(()),
        }
    }

    fn committer(&self) -> Arc<dyn OffsetCommitter> {
        Arc::new(Forget)
    }

    async fn stop(self: Box<Self>) -> Result<(), ConnectError> {
        Ok(())
    }
}

struct Forget;

#[async_trait]
impl OffsetCommitter for Forget {
    async fn commit(&self, _stored: &SourceOffset) -> Result<(), ConnectError> {
        Ok(())
    }
}

fn new_connector(
    props: &Props,
    _context: ConnectorContext,
) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(Fake(props.clone())))
}

fn new_task(
    props: &Props,
    context: SourceTaskContext,
) -> Result<Box<dyn SourceTask>, ConnectError> {
    let made = {
        let mut made = MADE.lock().expect("no test panics with it");
        let count = made.entry(context.connector.clone()).or_default();
        *count += 1;
        *count
    };
    let refusals =
        props.get("fake.refusals").map_or(0, |refusals| refusals.parse().expect("a number"));
    if made <= refusals {
        return Err(ConnectError::retriable("the fake cannot be made yet"));
    }
    let poll = props.get("fake.poll").cloned().unwrap_or_default();
    Ok(Box::new(FakeTask { task: context.task, poll }))
}

fn fake_def() -> ConfigDef {
    let key = |name| ConfigKey::new(name, ConfigType::String, "What the fake does");
    ConfigDef::new(vec![
        key("fake.plan"),
        key("fake.tasks"),
        key("fake.poll"),
        key("fake.refusals").check(ferroconnect::config::Validator::NonEmpty),
    ])
}

struct NoHeaders;

impl HeaderConverter for NoHeaders {
    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        _data: &SchemaAndValue,
        _out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        Ok(Presence::Null)
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        _bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        Ok(SchemaAndValue::NULL)
    }
}

fn plugins() -> Plugins {
    let mut plugins = Plugins::builtin();
    plugins.register(Plugin {
        class: "test.NoHeaderConverter",
        aliases: &[],
        version: "1",
        config_def: ConfigDef::default,
        constructor: Constructor::HeaderConverter(|_| Ok(Box::new(NoHeaders))),
    });
    plugins.register(Plugin {
        class: "test.FakeSourceConnector",
        aliases: &[],
        version: "1.2.3",
        config_def: fake_def,
        constructor: Constructor::Source { connector: new_connector, task: new_task },
    });
    plugins
}

/// A worker on a database of its own.
struct Worker {
    herder: Herder,
    guard: WorkerGuard,
}

impl Worker {
    async fn start(database: &TestDatabase, address: &str) -> Self {
        let settings = [
            ("DATABASE_URL", database.url.as_str()),
            ("BOOTSTRAP_SERVERS", "127.0.0.1:9"),
            ("CONNECT_REST_ADVERTISED_HOST_NAME", address),
            ("CONNECT_HEADER_CONVERTER", "test.NoHeaderConverter"),
            ("FERROCONNECT_TASK_RESTART_BACKOFF_INITIAL_MS", "100"),
            ("FERROCONNECT_TASK_RESTART_BACKOFF_MAX_MS", "200"),
            ("TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS", "1000"),
        ];
        let env: BTreeMap<String, String> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = WorkerConfig::from_sources(None, &env).expect("the worker does it");
        let store =
            Store::connect(&Secret::new(&database.url), 4).await.expect("the worker does it");
        let (herder, guard) = Herder::start(config, plugins(), Arc::new(Metrics::new()), store);
        Self { herder, guard }
    }

    async fn create(&self, name: &str, more: &[(&str, &str)]) {
        let state = TargetState::Started;
        self.herder
            .create_connector(name, config(name, more), state)
            .await
            .expect("the worker does it");
    }

    /// Waits until the connector and its tasks are in these states.
    #[track_caller]
    fn is<'a>(
        &'a self,
        name: &'a str,
        connector: State,
        tasks: &'a [State],
    ) -> impl Future<Output = ConnectorStatus> + 'a {
        eventually_async("the states", 30, move || async move {
            let status = self.herder.connector_status(name).await.map_err(|e| e.to_string())?;
            let states: Vec<_> = status.tasks.iter().map(|(_, info)| info.state).collect();
            if status.connector.state == connector && states == tasks {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
    }
}

fn config(name: &str, more: &[(&str, &str)]) -> Props {
    let fixed = [("name", name), ("connector.class", "FakeSource"), ("tasks.max", "3")];
    fixed.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, HerderError>, kind: &str, text: &str) {
    let error = answer.unwrap_err();
    let found = match &error {
        HerderError::NotFound(_) => "not found",
        HerderError::AlreadyExists(_) => "exists",
        HerderError::BadRequest(_) => "bad request",
        HerderError::InvalidConfig { .. } => "invalid",
        HerderError::Internal(_) => "internal",
        _ => "other",
    };
    assert_eq!((found, error.to_string().as_str()), (kind, text));
}

const RUNNING: State = State::Running;

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_follows_its_target_state() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    let name = &unique("c");
    worker.create(name, &[("fake.tasks", "2")]).await;
    let info = herder.connector_info(name).await.unwrap();
    assert_eq!((info.kind, info.config["fake.tasks"].as_str()), (ConnectorKind::Source, "2"));
    let status = worker.is(name, RUNNING, &[RUNNING, RUNNING]).await;
    assert_eq!(status.connector.worker_id, "one:8083");
    assert_eq!(status.tasks[1].1.version.as_deref(), Some("1.2.3"));
    let infos = herder.task_infos(name).await.unwrap();
    assert_eq!(infos[1].0.to_string(), format!("{name}-1"));
    assert_eq!(infos[0].1["task.class"], "test.FakeSourceTask");

    herder.pause(name).await.unwrap();
    worker.is(name, State::Paused, &[State::Paused, State::Paused]).await;
    herder.pause(name).await.unwrap();
    herder.resume(name).await.unwrap();
    worker.is(name, RUNNING, &[RUNNING, RUNNING]).await;
    assert_eq!(made(name), 2, "tasks are kept over a pause");
    herder.stop(name).await.unwrap();
    worker.is(name, State::Stopped, &[]).await;
    assert!(herder.task_infos(name).await.unwrap().is_empty());
    herder.pause(name).await.unwrap();
    worker.is(name, State::Paused, &[]).await;
    herder.resume(name).await.unwrap();
    worker.is(name, RUNNING, &[RUNNING, RUNNING]).await;

    herder.delete_connector(name).await.unwrap();
    let text = format!("No status found for connector {name}");
    refused(herder.connector_status(name).await, "not found", &text);
    refused(
        herder.delete_connector(name).await,
        "not found",
        &format!("Connector {name} not found"),
    );
    // At once again: the runner that still stops tasks takes the new one over.
    worker.create(name, &[]).await;
    worker.is(name, RUNNING, &[RUNNING]).await;
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_connector_is_given_once() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    let create = || herder.create_connector("c", config("c", &[]), TargetState::Paused);
    let (one, two) = tokio::join!(create(), create());
    assert_ne!(one.is_ok(), two.is_ok());
    let loser = if one.is_ok() { two } else { one };
    refused(loser, "exists", "Connector c already exists");
    let wrong = config("c", &[("fake.refusals", "")]);
    let invalid = herder.create_connector("c", wrong, TargetState::Started).await;
    assert!(matches!(invalid, Err(HerderError::InvalidConfig { .. })), "{invalid:?}");
    worker.is("c", State::Paused, &[]).await;

    for name in ["pause", "resume", "stop"] {
        let answer = match name {
            "pause" => herder.pause("x").await,
            "resume" => herder.resume("x").await,
            _ => herder.stop("x").await,
        };
        refused(answer, "not found", "Unknown connector x");
    }
    refused(herder.restart_connector("x").await, "not found", "Unknown connector: x");
    let id = |connector: &str| TaskId { connector: connector.to_owned(), task: 7 };
    refused(herder.restart_task(&id("x")).await, "not found", "Unknown connector: x");
    refused(herder.restart_task(&id("c")).await, "not found", "Unknown task: c-7");
    refused(herder.task_status(&id("c")).await, "not found", "No status found for task c-7");
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_cannot_start_is_failed_until_it_is_mended() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    for (plan, trace) in [
        ("fail", "org.apache.kafka.common.config.ConfigException: the fake cannot plan"),
        (
            "panic",
            "org.apache.kafka.connect.errors.ConnectException: panicked at tests/it/herder.rs",
        ),
    ] {
        let name = &format!("c-{plan}");
        worker.create(name, &[("fake.plan", plan)]).await;
        let status = worker.is(name, State::Failed, &[]).await;
        assert!(status.connector.trace.unwrap().starts_with(trace));
        herder.pause(name).await.unwrap();
        herder.resume(name).await.unwrap();
        let text = format!("Failed to start connector: {name}");
        refused(herder.restart_connector(name).await, "internal", &text);
        worker.is(name, State::Failed, &[]).await;
        herder.stop(name).await.unwrap();
        worker.is(name, State::Stopped, &[]).await;
        herder.resume(name).await.unwrap();
        worker.is(name, State::Failed, &[]).await;
        herder.put_connector_config(name, config(name, &[])).await.unwrap();
        let status = worker.is(name, RUNNING, &[RUNNING]).await;
        assert_eq!(status.connector.trace, None);
    }
    worker.create("many", &[("fake.tasks", "4")]).await;
    let trace = worker.is("many", State::Failed, &[]).await.connector.trace.unwrap();
    assert!(trace.contains("has generated 4 tasks, which is greater than 3"), "{trace}");
    let allowed = [("fake.tasks", "4"), ("tasks.max.enforce", "false")];
    herder.put_connector_config("many", config("many", &allowed)).await.unwrap();
    worker.is("many", RUNNING, &[RUNNING; 4]).await;
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_fails_alone_and_waits_for_a_person() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    let name = &unique("c");
    worker.create(name, &[("fake.tasks", "3"), ("fake.poll", "fail one")]).await;
    let states = [RUNNING, State::Failed, RUNNING];
    let trace = worker.is(name, RUNNING, &states).await.tasks[1].1.trace.clone().unwrap();
    assert!(trace.starts_with("org.apache.kafka.connect.errors.ConnectException: task 1 fails\n"));
    assert!(trace.contains("Waiting for a person"), "{trace}");
    assert_eq!(made(name), 3);

    let plan = herder.restart_connector_and_tasks(name, true, true).await.unwrap();
    assert_eq!(plan.connector.state, RUNNING);
    assert_eq!(plan.tasks[1].1.state, State::Restarting);
    assert!(plan.tasks[1].1.trace.is_some());
    let restarted = || async { if made(name) == 4 { Ok(()) } else { Err(made(name)) } };
    eventually_async("the restart of the failed task", 30, restarted).await;
    worker.is(name, RUNNING, &states).await;
    herder.restart_task(&TaskId { connector: name.clone(), task: 0 }).await.unwrap();
    assert_eq!(made(name), 5);

    herder.put_connector_config(name, config(name, &[("fake.poll", "panic")])).await.unwrap();
    let status = worker.is(name, RUNNING, &[State::Failed]).await;
    let trace = status.tasks[0].1.trace.clone().unwrap();
    assert!(trace.contains("panicked at tests/it/herder.rs"), "{trace}");
    assert!(trace.contains("the fake panics in task 0"), "{trace}");
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_outside_heals_by_itself() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let name = &unique("c");
    worker.create(name, &[("fake.refusals", "3")]).await;
    worker.is(name, RUNNING, &[RUNNING]).await;
    assert_eq!(made(name), 4);

    // A task that keeps trying is RUNNING, and says why it does not move.
    let other = &unique("c");
    worker.create(other, &[("fake.poll", "retriable")]).await;
    eventually_async("the cause as condition", 30, || async {
        let status = worker.herder.connector_status(other).await.map_err(|e| e.to_string())?;
        match status.tasks.first() {
            Some((0, info)) if info.state == RUNNING && info.trace.is_none() => {
                match &info.condition {
                    Some(text) if text.contains("the fake's outside is away") => Ok(()),
                    text => Err(format!("{text:?}")),
                }
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_the_target_state_and_restarts_tasks() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    let name = &unique("c");
    let (created, info) = herder.put_connector_config(name, config(name, &[])).await.unwrap();
    // Whether its tasks are there already is a matter of time.
    assert!(created && info.config == config(name, &[]));
    worker.is(name, RUNNING, &[RUNNING]).await;

    let patch = [("fake.tasks", Some("2")), ("fake.poll", None), ("k", Some("v"))];
    let patch = patch.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
    let info = herder.patch_connector_config(name, patch).await.unwrap();
    assert_eq!(info.config, config(name, &[("fake.tasks", "2"), ("k", "v")]));
    worker.is(name, RUNNING, &[RUNNING, RUNNING]).await;
    assert_eq!(made(name), 3);
    herder.put_connector_config(name, info.config).await.unwrap();
    herder.restart_connector(name).await.unwrap();
    assert_eq!(made(name), 3, "the same configuration leaves tasks alone");

    herder.pause(name).await.unwrap();
    worker.is(name, State::Paused, &[State::Paused; 2]).await;
    let (created, _) = herder.put_connector_config(name, config(name, &[])).await.unwrap();
    assert!(!created);
    worker.is(name, State::Paused, &[State::Paused; 2]).await;
    herder.resume(name).await.unwrap();
    worker.is(name, RUNNING, &[RUNNING]).await;

    let overviews = herder.overviews(true, true).await.unwrap();
    assert_eq!(overviews.len(), 1);
    let (listed, info) = (overviews[0].info.as_ref(), herder.connector_info(name).await.unwrap());
    let listed = listed.expect("it was asked for");
    assert_eq!((&listed.name, &listed.tasks, listed.kind), (&info.name, &info.tasks, info.kind));
    assert_eq!(listed.config.get(), serde_json::to_string(&info.config).unwrap());
    assert_eq!(overviews[0].status, Some(herder.connector_status(name).await.unwrap()));
    assert!(herder.overviews(false, false).await.unwrap()[0].info.is_none());
    assert_eq!(herder.connectors().await.unwrap(), [name.as_str()]);
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_outlive_their_worker() {
    let database = TestDatabase::create().await;
    let first = Worker::start(&database, "one").await;
    let (running, paused, stopped) = (&unique("r"), &unique("p"), &unique("s"));
    for name in [running, paused, stopped] {
        first.create(name, &[]).await;
        first.is(name, RUNNING, &[RUNNING]).await;
    }
    first.herder.pause(paused).await.unwrap();
    first.herder.stop(stopped).await.unwrap();
    first.is(paused, State::Paused, &[State::Paused]).await;
    first.is(stopped, State::Stopped, &[]).await;
    let herder = first.herder.clone();
    first.guard.shutdown().await;
    let status = herder.connector_status(running).await.unwrap();
    assert_eq!(status.connector.state, State::Unassigned);
    assert_eq!(status.tasks[0].1.state, State::Unassigned);
    refused(herder.pause(running).await, "internal", "Worker is shutting down");

    let second = Worker::start(&database, "two").await;
    let status = second.is(running, RUNNING, &[RUNNING]).await;
    assert_eq!(status.connector.worker_id, "two:8083");
    second.is(paused, State::Paused, &[State::Paused]).await;
    second.is(stopped, State::Stopped, &[]).await;
    let health = second.herder.health().await;
    assert!(health.started && health.herder_alive && health.database_reachable);
    assert!(!health.broker_reachable, "nothing listens there");
    second.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_database_that_was_away_changes_nothing() {
    let database = TestDatabase::create().await;
    let worker = Worker::start(&database, "one").await;
    let herder = &worker.herder;
    let name = &unique("c");
    worker.create(name, &[]).await;
    worker.is(name, RUNNING, &[RUNNING]).await;

    let admin = format!("{}/postgres", services().postgres);
    let (admin, connection) = tokio_postgres::connect(&admin, NoTls).await.unwrap();
    tokio::spawn(connection);
    let allow = |allowed| format!("alter database {} allow_connections {allowed}", database.name);
    admin.batch_execute(&allow(false)).await.unwrap();
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    admin.execute(cut, &[&database.name]).await.unwrap();
    let health = herder.health().await;
    assert!(health.herder_alive && !health.database_reachable, "{health:?}");
    let refused = herder.pause(name).await.unwrap_err();
    assert!(refused.to_string().contains("state database"), "{refused}");
    // Long enough for a worker with another address to count this one as dead.
    tokio::time::sleep(Duration::from_secs(3)).await;
    admin.batch_execute(&allow(true)).await.unwrap();

    worker.is(name, RUNNING, &[RUNNING]).await;
    herder.pause(name).await.unwrap();
    worker.is(name, State::Paused, &[State::Paused]).await;
    assert_eq!(made(name), 1, "the task ran on");
    worker.guard.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_leases_stops_its_tasks() {
    let database = TestDatabase::create().await;
    let first = Worker::start(&database, "same").await;
    let name = &unique("c");
    first.create(name, &[]).await;
    first.is(name, RUNNING, &[RUNNING]).await;
    let client = database.connect().await;
    let holders = "select distinct worker from ferroconnect.lease where connector = $1";
    let before: String = client.query_one(holders, &[name]).await.unwrap().get(0);

    // The same address: the second worker takes the first one for a predecessor.
    let second = Worker::start(&database, "same").await;
    let taken = || async {
        let rows = client.query(holders, &[name]).await.map_err(|e| e.to_string())?;
        let now: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if now.len() == 1 && now[0] != before { Ok(()) } else { Err(format!("{now:?}")) }
    };
    eventually_async("the takeover", 10, taken).await;
    second.is(name, RUNNING, &[RUNNING]).await;
    second.guard.shutdown().await;
    first.guard.shutdown().await;
}
