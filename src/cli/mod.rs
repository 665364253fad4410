//! The command line. The only place that reads the environment, and the only one that prints.
#![expect(clippy::print_stdout, reason = "commands print their results")]

mod check;
mod cluster;
mod declarative;
mod files;
mod moving;
mod paint;
mod rest_client;
#[cfg(feature = "analytics")]
mod scd2;
mod table;
mod worker;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::runtime::loggers::LogControl;

/// What every command may ask of the environment: read here once, handed down as a value.
type Environment = BTreeMap<String, String>;

/// Finished, but there is something to look at.
const EXIT_LOOK: u8 = 3;
/// Another process holds what the command needs.
#[cfg(feature = "analytics")]
const EXIT_LOCKED: u8 = 4;

/// Kafka Connect's REST API, Debezium's PostgreSQL source, the S3 sink and SCD2 history tables in
/// one binary.
#[derive(Parser, Debug)]
#[command(name = "ferroconnect", version, max_term_width = 100)]
#[command(
    after_help = "Example:\n  FERROCONNECT_DATABASE_URL=postgres://user:password@localhost/ferroconnect \\\n  BOOTSTRAP_SERVERS=localhost:9092 ferroconnect worker\n\nExit codes: 0 fine, 1 failed, 2 wrong usage, 3 finished but something to look at, 4 locked by another."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Crash points to arm, `name=actions` separated by `;`: for kill tests
    #[cfg(feature = "failpoints")]
    #[arg(long, hide = true, global = true)]
    failpoints: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the service: REST API, connectors, tasks (the default)
    Worker(worker::Arguments),
    /// Keep SCD2 history tables in DuckDB from the change files in S3
    #[cfg(feature = "analytics")]
    Scd2(scd2::Arguments),
    Apply(declarative::Apply),
    Diff(declarative::Diff),
    Delete(declarative::Delete),
    Status(declarative::Status),
    Check(check::Arguments),
    Import(moving::Import),
    Export(moving::Export),
    /// Print the OpenAPI document of the REST API
    Openapi {
        /// As YAML
        #[arg(long)]
        yaml: bool,
    },
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let environment: Environment = std::env::vars().collect();
    let cli = Cli::parse();
    #[cfg(feature = "failpoints")]
    if let Err(message) = arm(cli.failpoints.as_deref()) {
        eprint_error(&anyhow::anyhow!(message));
        return ExitCode::from(2);
    }
    match dispatch(cli.command, &environment) {
        Ok(code) => code,
        Err(error) => {
            eprint_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Option<Command>, environment: &Environment) -> anyhow::Result<ExitCode> {
    match command {
        None => worker::run(&worker::Arguments::default(), environment),
        Some(Command::Worker(arguments)) => worker::run(&arguments, environment),
        #[cfg(feature = "analytics")]
        Some(Command::Scd2(arguments)) => scd2::run(&arguments, environment),
        Some(Command::Apply(arguments)) => declarative::apply(&arguments, environment),
        Some(Command::Diff(arguments)) => declarative::diff(&arguments, environment),
        Some(Command::Delete(arguments)) => declarative::delete(&arguments, environment),
        Some(Command::Status(arguments)) => declarative::status(&arguments, environment),
        Some(Command::Check(arguments)) => check::run(&arguments, environment),
        Some(Command::Import(arguments)) => moving::import(&arguments, environment),
        Some(Command::Export(arguments)) => moving::export(&arguments, environment),
        Some(Command::Openapi { yaml }) => {
            let document = crate::rest::document();
            let text = if yaml { document.to_yaml()? } else { document.to_pretty_json()? };
            println!("{}", text.trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command that waits for the network.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(work)
}

/// The connector files of a folder, in order.
fn json_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// Every cause on a line of its own.
fn eprint_error(error: &anyhow::Error) {
    eprintln!("ferroconnect: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}

#[cfg(feature = "failpoints")]
fn arm(failpoints: Option<&str>) -> Result<(), String> {
    for entry in failpoints.unwrap_or_default().split(';').filter(|entry| !entry.is_empty()) {
        let (name, actions) = entry
            .split_once('=')
            .ok_or_else(|| format!("--failpoints: \"{entry}\" is not name=actions"))?;
        fail::cfg(name, actions)?;
    }
    // A crash point crashes: what panics there must not get to clean up behind it.
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.starts_with("failpoint ")) {
            std::process::abort();
        }
        earlier(panic);
    }));
    Ok(())
}

/// The level that `debezium/connect` and `cp-kafka-connect` are given.
fn images_level(environment: &Environment) -> Option<&'static str> {
    let level = ["LOG_LEVEL", "CONNECT_LOG4J_ROOT_LOGLEVEL"];
    let level = level.iter().find_map(|variable| environment.get(*variable))?;
    match level.trim().to_uppercase().as_str() {
        "ALL" | "TRACE" => Some("trace"),
        "DEBUG" => Some("debug"),
        "INFO" => Some("info"),
        "WARN" => Some("warn"),
        "ERROR" | "FATAL" => Some("error"),
        "OFF" => Some("off"),
        _ => None,
    }
}

/// Logs go to standard error: text on a terminal, one JSON object a line otherwise.
/// `FERROCONNECT_LOG_FORMAT` (`text` or `json`) decides against that, `FERROCONNECT_LOG` (or
/// `RUST_LOG`) filters, else the level that the original's images are given.
/// The levels can be changed while the worker runs.
fn init_logs(environment: &Environment) -> anyhow::Result<LogControl> {
    let filter = environment
        .get("FERROCONNECT_LOG")
        .or_else(|| environment.get("RUST_LOG"))
        .map(String::as_str)
        .or_else(|| images_level(environment))
        .unwrap_or("info");
    let (control, filter) = LogControl::filtering(filter).map_err(|error| {
        anyhow::anyhow!(
            "FERROCONNECT_LOG: cannot read \"{filter}\" ({error}); write for example \
             info,ferroconnect=debug"
        )
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match environment.get("FERROCONNECT_LOG_FORMAT").map(String::as_str) {
        None => !terminal,
        Some("json") => true,
        Some("text") => false,
        Some(other) => {
            anyhow::bail!("FERROCONNECT_LOG_FORMAT: \"{other}\" is neither text nor json")
        }
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    let filtered = tracing_subscriber::registry().with(filter);
    if json {
        filtered.with(lines.json().flatten_event(true)).init();
    } else {
        filtered.with(lines).init();
    }
    Ok(control)
}
