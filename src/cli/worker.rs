//! `ferroconnect worker`: the service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Environment;
use crate::config::{Props, parse_properties};
use crate::error::ErrorKind;
use crate::metrics::Metrics;
use crate::plugin::Plugins;
use crate::rest;
use crate::runtime::audit::Actor;
use crate::runtime::herder::{Herder, HerderError, TargetState};
use crate::runtime::loggers::LogControl;
use crate::runtime::worker_config::WorkerConfig;
use crate::runtime::worker_settings::{ShownSetting, UnknownSetting, WorkerSettings};
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
    /// A worker properties file (`*.properties`), then connector files (`*.json`, `*.properties`)
    /// that are created at start if absent
    files: Vec<PathBuf>,
    /// Print every setting that holds, with its origin, and start nothing
    #[arg(long)]
    print_config: bool,
}

/// Runs until a signal ends it.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (file, connectors) = match arguments.files.split_first() {
        Some((first, rest)) if is_properties(first) => (Some(first), rest),
        _ => (None, arguments.files.as_slice()),
    };
    let properties = file.map(|file| properties_of(file)).transpose()?;
    let named = file.map(|file| file.display().to_string());
    let settings = WorkerSettings::gather(named.as_deref().zip(properties.as_ref()), environment);
    if arguments.print_config {
        return Ok(print_config(&settings, environment));
    }
    let logs = super::init_logs(environment)?;
    install_crypto();
    for UnknownSetting { name, origin, near } in settings.unknown() {
        let origin = origin.to_string();
        warn!(setting = name, origin, near, "nobody reads this setting");
    }
    let config = WorkerConfig::new(&settings, environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let connectors = connectors.to_vec();
    let outcome = runtime.block_on(serve(config, connectors, logs));
    // What still blocks a thread (a client library's call) must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// The settings that hold, a line each, and what keeps the worker from starting with them.
fn print_config(settings: &WorkerSettings, environment: &Environment) -> ExitCode {
    let rows = settings.effective();
    let width = |text: fn(&ShownSetting) -> &str| {
        rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0)
    };
    let (names, values) = (width(|row| &row.name), width(|row| &row.value).min(60));
    for ShownSetting { name, value, origin, without_effect } in rows {
        let effect = if without_effect { "  (no effect here)" } else { "" };
        println!("{name:<names$}  {value:<values$}  {origin}{effect}");
    }
    for UnknownSetting { name, origin, near } in settings.unknown() {
        let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        eprintln!("warning: nobody reads the setting {name} ({origin}){meant}");
    }
    match WorkerConfig::new(settings, environment) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.trace());
            ExitCode::FAILURE
        }
    }
}

fn is_properties(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "properties")
}

/// One TLS implementation for everything but librdkafka.
pub(super) fn install_crypto() {
    // An error says that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn serve(
    mut config: WorkerConfig,
    mut files: Vec<PathBuf>,
    logs: LogControl,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    // From the beginning: a signal that comes while the worker starts ends it as well.
    let mut signals = Signals::new()?;
    let bound = rest::bind(&mut config).await?;
    let listener = config.listeners.advertised();
    let address = listener.url(listener.address().0);
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
    let store = tokio::select! {
        store = connect_store(&config) => store?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let metrics = Arc::new(Metrics::new());
    let (herder, running) = Herder::start(config, Plugins::builtin(), metrics.clone(), store);
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(rest::serve(bound, herder.clone(), metrics, logs, shutdown.clone()));
    info!(address, elapsed_ms = started.elapsed().as_millis(), "worker started");
    for file in files {
        create_if_absent(&herder, &file).await?;
    }
    signals.next().await;
    info!("stopping: tasks drain and store their offsets; a second signal stops at once");
    shutdown.cancel();
    tokio::select! {
        () = running.shutdown() => {}
        () = signals.next() => {
            warn!("second signal: stopping at once; records in flight will be repeated");
            return Ok(ExitCode::from(130));
        }
    }
    server.await.context("the REST server panicked")?;
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
    let (name, config) = if is_properties(file) {
        let config = properties_of(file)?;
        let name = config.get("name").filter(|name| !name.is_empty()).cloned();
        let name = name
            .with_context(|| format!("{} is no connector file: it has no name", file.display()))?;
        (name, config)
    } else {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        rest::connector_file(&text)
            .with_context(|| format!("{} is no connector file", file.display()))?
    };
    let name = name.as_str();
    let changes = herder.changes(Actor::worker());
    match changes.create_connector(name, config, TargetState::Started).await {
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

pub(super) fn properties_of(file: &Path) -> anyhow::Result<Props> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_properties(&text).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))
}

/// What asks the worker to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot handle SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot handle SIGINT")?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
