//! A worker inside the test process: state database, herder and REST API on a free port.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferroconnect::config::Props;
use ferroconnect::metrics::Metrics;
use ferroconnect::plugin::Plugins;
use ferroconnect::rest;
use ferroconnect::runtime::herder::{Herder, WorkerGuard};
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
    running: WorkerGuard,
    server: JoinHandle<std::io::Result<()>>,
    shutdown: CancellationToken,
    _database: TestDatabase,
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut file = Props::from([
            ("bootstrap.servers".to_owned(), services().kafka.clone()),
            ("group.id".to_owned(), unique("connect-it")),
            ("state.database.url".to_owned(), database.url.clone()),
            ("listeners".to_owned(), format!("http://{address}")),
            ("offset.flush.interval.ms".to_owned(), "100".to_owned()),
        ]);
        file.extend(settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        let config = WorkerConfig::from_sources(Some(&file), environment).expect("settings");
        let store = Store::connect(&config.database_url, config.database_max_connections)
            .await
            .expect("the state database");
        let metrics = Arc::new(Metrics::new());
        let (herder, running) = Herder::start(config, plugins, metrics.clone(), store);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(rest::serve(
            listener,
            herder,
            metrics,
            LogControl::detached(),
            shutdown.clone(),
        ));
        Self { url: format!("http://{address}"), running, server, shutdown, _database: database }
    }

    /// Stops the API and the worker.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.server.await.expect("the server ends").expect("without an error");
        self.running.shutdown().await;
    }
}
