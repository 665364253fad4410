//! `ferroconnect worker`: the service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Environment;
use crate::config::{Props, parse_properties};
use crate::error::ErrorKind;
use crate::metrics::Metrics;
use crate::plugin::Plugins;
use crate::rest;
use crate::runtime::herder::{Herder, HerderError, TargetState};
use crate::runtime::loggers::LogControl;
use crate::runtime::worker_config::WorkerConfig;
use crate::store::Store;

/// How long the start waits for the state database: a stack that starts all at once needs a while.
const STATE_DATABASE_WAIT: Duration = Duration::from_secs(60);

/// The service. Settings come from a Kafka Connect worker properties file, then from the environment
/// as the debezium/connect and cp-kafka-connect images take it, then from `FERROCONNECT_...`.
#[derive(Args, Debug, Default)]
#[command(
    after_help = "Example:\n  FERROCONNECT_DATABASE_URL=postgres://user:password@localhost/ferroconnect \\\n  ferroconnect worker connect-distributed.properties connectors/postgres-source.json"
)]
pub(super) struct Arguments {
    /// A worker properties file (`*.properties`), then connector files (`*.json`) that are created
    /// at start if absent
    files: Vec<PathBuf>,
}

/// Runs until a signal ends it.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let logs = super::init_logs(environment)?;
    install_crypto();
    let (properties, connectors): (Vec<_>, Vec<_>) = arguments
        .files
        .iter()
        .partition(|file| file.extension().is_some_and(|extension| extension == "properties"));
    anyhow::ensure!(properties.len() <= 1, "more than one properties file: give one");
    let settings = properties.first().map(|file| properties_of(file)).transpose()?;
    let config = WorkerConfig::from_sources(settings.as_ref(), environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let connectors: Vec<_> = connectors.into_iter().cloned().collect();
    let outcome = runtime.block_on(serve(config, connectors, logs));
    // What still blocks a thread (a client library's call) must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// One TLS implementation for everything but librdkafka.
pub(super) fn install_crypto() {
    // An error says that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn serve(
    config: WorkerConfig,
    mut files: Vec<PathBuf>,
    logs: LogControl,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let host = match config.listen_host.as_str() {
        "" => "0.0.0.0",
        host => host,
    };
    let address = format!("{host}:{}", config.listen_port);
    let listener = TcpListener::bind(&address).await.with_context(|| {
        format!("cannot listen on {address}: is another worker running? set `listeners`")
    })?;
    if let Some(folder) = &config.connectors_dir {
        files.extend(super::json_files(Path::new(folder)).context("connectors.dir")?);
    }
    for (provider, setting) in config.providers.unbounded() {
        warn!(
            provider,
            setting,
            "whoever may post a connector can read everything that this config provider can; bound \
             it by the setting"
        );
    }
    let store = connect_store(&config).await?;
    let metrics = Arc::new(Metrics::new());
    let (herder, running) = Herder::start(config, Plugins::builtin(), metrics.clone(), store);
    let shutdown = CancellationToken::new();
    let server =
        tokio::spawn(rest::serve(listener, herder.clone(), metrics, logs, shutdown.clone()));
    info!(address, elapsed_ms = started.elapsed().as_millis(), "worker started");
    for file in files {
        create_if_absent(&herder, &file).await?;
    }
    wait_for_signal().await?;
    info!("stopping: tasks drain and store their offsets; a second signal stops at once");
    shutdown.cancel();
    tokio::select! {
        () = running.shutdown() => {}
        outcome = wait_for_signal() => {
            outcome?;
            warn!("second signal: stopping at once; records in flight will be repeated");
            return Ok(ExitCode::from(130));
        }
    }
    server.await.context("the REST server panicked")?.context("the REST server failed")?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Connects to the state database, and waits for it as long as a stack may need to start.
async fn connect_store(config: &WorkerConfig) -> anyhow::Result<Store> {
    let deadline = Instant::now() + STATE_DATABASE_WAIT;
    loop {
        match Store::connect(&config.database_url, config.database_max_connections).await {
            Ok(store) => return Ok(store),
            Err(error) if error.kind() == ErrorKind::Retriable && Instant::now() < deadline => {
                warn!(cause = error.trace(), "the state database is away; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                return Err(error).context(
                    "cannot use the state database: check FERROCONNECT_DATABASE_URL and the server",
                );
            }
        }
    }
}

/// Standalone use: a connector file on the command line is created once; afterwards the stored
/// configuration is what counts.
async fn create_if_absent(herder: &Herder, file: &Path) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (name, config) = rest::connector_file(&text)
        .with_context(|| format!("{} is no connector file", file.display()))?;
    let name = name.as_str();
    match herder.create_connector(name, config, TargetState::Started).await {
        Ok(_) => info!(connector = name, file = %file.display(), "connector created"),
        Err(HerderError::AlreadyExists(_)) => {
            info!(connector = name, "connector exists; its stored configuration is used");
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", file.display()));
        }
    }
    Ok(())
}

fn properties_of(file: &Path) -> anyhow::Result<Props> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_properties(&text).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
