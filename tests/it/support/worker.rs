//! A worker inside the test process: state database, herder and REST API on a free port.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferroconnect::config::Props;
use ferroconnect::metrics::Metrics;
use ferroconnect::plugin::Plugins;
use ferroconnect::rest;
use ferroconnect::runtime::herder::{Herder, WorkerGuard};
use ferroconnect::runtime::listener::{AdminListeners, Listener};
use ferroconnect::runtime::loggers::LogControl;
use ferroconnect::runtime::worker_config::WorkerConfig;
use ferroconnect::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{TestDatabase, services, unique};

/// A worker with a state database of its own.
#[derive(Debug)]
pub(crate) struct InProcessWorker {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Those of all listeners, the first included.
    pub urls: Vec<String>,
    /// Those at which the resources of operators are.
    pub admin_urls: Vec<String>,
    running: WorkerGuard,
    server: JoinHandle<()>,
    shutdown: CancellationToken,
    state_url: String,
    /// `None`: another worker's, which outlives this one.
    database_of_its_own: Option<TestDatabase>,
}

impl InProcessWorker {
    /// Starts a worker with these plugins and settings.
    pub(crate) async fn start(plugins: Plugins, settings: &[(&str, &str)]) -> Self {
        Self::start_in(plugins, settings, &BTreeMap::new()).await
    }

    /// As [`InProcessWorker::start`], in this environment.
    pub(crate) async fn start_in(
        plugins: Plugins,
        settings: &[(&str, &str)],
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let database = TestDatabase::create().await;
        let mut worker = Self::start_on(database.url.clone(), plugins, settings, environment).await;
        worker.database_of_its_own = Some(database);
        worker
    }

    /// Starts another worker on the same state database; it must stop before this one.
    pub(crate) async fn beside(&self, plugins: Plugins, settings: &[(&str, &str)]) -> Self {
        Self::start_on(self.state_url.clone(), plugins, settings, &BTreeMap::new()).await
    }

    /// The state database that it was started with.
    pub(crate) fn database(&self) -> &TestDatabase {
        self.database_of_its_own.as_ref().expect("it is not one beside another")
    }

    async fn start_on(
        state_url: String,
        plugins: Plugins,
        settings: &[(&str, &str)],
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let mut file = Props::from([
            ("bootstrap.servers".to_owned(), services().kafka.clone()),
            ("group.id".to_owned(), unique("connect-it")),
            ("state.database.url".to_owned(), state_url.clone()),
            ("listeners".to_owned(), "http://127.0.0.1:0".to_owned()),
            ("offset.flush.interval.ms".to_owned(), "100".to_owned()),
        ]);
        file.extend(settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        let mut config = WorkerConfig::from_sources(Some(&file), environment).expect("settings");
        let bound = rest::bind(&mut config).await.expect("the listeners");
        let url = |listener: &Listener| listener.url(&listener.host);
        let urls = config.listeners.api.iter().map(url).collect::<Vec<_>>();
        let admin_urls = match &config.listeners.admin {
            AdminListeners::Shared => urls.clone(),
            AdminListeners::Own(own) => own.iter().map(url).collect(),
        };
        let store = Store::connect(&config.database_url, config.database_max_connections)
            .await
            .expect("the state database");
        let metrics = Arc::new(Metrics::new());
        let (herder, running) = Herder::start(config, plugins, metrics.clone(), store);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(rest::serve(
            bound,
            herder,
            metrics,
            LogControl::detached(),
            shutdown.clone(),
        ));
        Self {
            url: urls.first().expect("a listener").clone(),
            urls,
            admin_urls,
            running,
            server,
            shutdown,
            state_url,
            database_of_its_own: None,
        }
    }

    /// Stops the API and the worker.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.server.await.expect("the server ends");
        self.running.shutdown().await;
    }
}
