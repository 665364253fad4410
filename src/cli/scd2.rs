//! `ferroconnect scd2`: history tables in DuckDB.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use clap::{Args, Subcommand};
use ferroconnect_analytics::{
    Config, Error, Plan, Progress, RunOptions, RunReport, S3Access, Status, TableConfig,
};

use super::{EXIT_LOCKED, EXIT_LOOK, Environment, table};

/// History tables (SCD2) from change files: a version of each row with `effective_from`,
/// `effective_to` and `is_current`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  ferroconnect scd2 run --source s3://my-cdc-bucket/cdc_data --database history.duckdb\n  ferroconnect scd2 query --database history.duckdb \"from products where is_current\""
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Read the objects that are new and bring the tables up to date
    Run(SourceArguments),
    /// Say what `run` would read, and write nothing
    Plan(SourceArguments),
    /// Make the tables anew from the change logs in the database
    Rebuild(DatabaseArguments),
    /// Show what the database holds
    Status(DatabaseArguments),
    /// Run one SQL query, read-only
    Query {
        #[command(flatten)]
        database: DatabaseArguments,
        /// The query, in DuckDB's SQL
        sql: String,
    },
}

#[derive(Args, Debug)]
struct SourceArguments {
    /// Where the sink writes: s3://BUCKET/TOPICS_DIR, file:///FOLDER or a folder
    #[arg(long)]
    source: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only this table or topic (may be repeated)
    #[arg(long = "table")]
    tables: Vec<String>,
    /// The key columns of a topic whose files do not name them and whose key is not `id`, as
    /// TOPIC=COLUMN,COLUMN (may be repeated)
    #[arg(long = "key", value_parser = key_columns)]
    keys: Vec<(String, Vec<String>)>,
    /// Do everything, report it, and roll back
    #[arg(long)]
    dry_run: bool,
}

fn key_columns(text: &str) -> Result<(String, Vec<String>), String> {
    match text.split_once('=') {
        Some((topic, columns)) if !topic.is_empty() && !columns.is_empty() => {
            Ok((topic.to_owned(), columns.split(',').map(|c| c.trim().to_owned()).collect()))
        }
        _ => Err("write TOPIC=COLUMN,COLUMN".to_owned()),
    }
}

#[derive(Args, Debug)]
struct DatabaseArguments {
    /// The DuckDB file; `run` makes it if absent
    #[arg(long)]
    database: PathBuf,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    super::init_logs(environment)?;
    super::worker::install_crypto();
    let outcome = match &arguments.verb {
        Verb::Run(source) => update(source, environment),
        Verb::Plan(source) => {
            let (config, options) = settings(source, environment);
            ferroconnect_analytics::plan(&config, &options).map(|plan| print_plan(&plan))
        }
        Verb::Rebuild(database) => {
            let config = Config::new("", &database.database);
            let options = RunOptions::at(SystemTime::now());
            let mut progress = ProgressLine::new();
            ferroconnect_analytics::rebuild(&config, &options, &mut |news| progress.show(news))
                .map(|report| print_report(&report))
        }
        Verb::Status(database) => {
            ferroconnect_analytics::status(&database.database).map(|status| print_status(&status))
        }
        Verb::Query { database, sql } => ferroconnect_analytics::query(&database.database, sql)
            .map(|result| {
                print!("{}", table::render(&result.columns, &result.rows));
                ExitCode::SUCCESS
            }),
    };
    match outcome {
        Ok(code) => Ok(code),
        Err(error @ Error::Locked { .. }) => {
            eprintln!("ferroconnect: {error}");
            Ok(ExitCode::from(EXIT_LOCKED))
        }
        Err(error) => Err(error).context("scd2"),
    }
}

fn update(source: &SourceArguments, environment: &Environment) -> Result<ExitCode, Error> {
    let (config, options) = settings(source, environment);
    let mut progress = ProgressLine::new();
    let report = ferroconnect_analytics::run(&config, &options, &mut |news| progress.show(news))?;
    Ok(print_report(&report))
}

/// The settings with S3 as the AWS SDKs read it from the environment.
fn settings(source: &SourceArguments, environment: &Environment) -> (Config, RunOptions) {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let mut config = Config::new(&source.source, &source.database.database);
    config.s3 = S3Access {
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        access_key_id: variable("AWS_ACCESS_KEY_ID"),
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
        ..S3Access::default()
    };
    for (topic, keys) in &source.keys {
        let table = TableConfig { name: None, keys: keys.clone() };
        config.tables.insert(topic.clone(), table);
    }
    let mut options = RunOptions::at(SystemTime::now());
    options.dry_run = source.dry_run;
    options.tables.clone_from(&source.tables);
    (config, options)
}

/// One line that is written over on a terminal; elsewhere only notices are shown.
struct ProgressLine {
    terminal: bool,
}

impl ProgressLine {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, news: Progress<'_>) {
        let text = match news {
            Progress::Notice { table, text } => {
                self.clear();
                eprintln!("{table}: {text}");
                return;
            }
            Progress::Listed { objects } => format!("{objects} objects"),
            Progress::Planned { table, objects, bytes } => {
                format!("{table}: {objects} objects to read, {bytes} bytes")
            }
            Progress::Staged { table, done, objects, .. } => {
                format!("{table}: {done} of {objects} objects staged")
            }
            Progress::Applied { table, done, objects, .. } => {
                format!("{table}: {done} of {objects} objects applied")
            }
        };
        if self.terminal {
            eprint!("\r\x1b[2K{text}");
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn print_report(report: &RunReport) -> ExitCode {
    let columns = [
        "table", "objects", "rows", "opened", "closed", "repeats", "rejects", "versions", "current",
    ]
    .map(str::to_owned);
    let rows: Vec<_> = report
        .tables
        .iter()
        .map(|table| {
            let counts = &table.counts;
            row([
                table.table.clone(),
                table.objects.to_string(),
                counts.rows.to_string(),
                counts.opened.to_string(),
                counts.closed_by_delete.to_string(),
                (counts.duplicates + counts.unchanged).to_string(),
                counts.rejects.to_string(),
                table.versions.to_string(),
                table.current.to_string(),
            ])
        })
        .collect();
    print!("{}", table::render(&columns, &rows));
    for table in report.tables.iter().filter(|table| table.error.is_some()) {
        eprintln!("{}: {}", table.table, table.error.as_deref().unwrap_or_default());
    }
    for skipped in &report.skipped {
        eprintln!("skipped {}: {}", skipped.uri, skipped.reason);
    }
    if report.has_failures() {
        ExitCode::FAILURE
    } else if report.has_rejects() {
        ExitCode::from(EXIT_LOOK)
    } else {
        ExitCode::SUCCESS
    }
}

fn print_plan(plan: &Plan) -> ExitCode {
    let columns = ["table", "topic", "new", "changed", "done", "gone", "bytes"].map(str::to_owned);
    let rows: Vec<_> = plan
        .tables
        .iter()
        .map(|table| {
            row([
                table.table.clone(),
                table.topic.clone(),
                table.objects_new.to_string(),
                table.objects_changed.to_string(),
                table.objects_done.to_string(),
                table.objects_gone.to_string(),
                table.bytes.to_string(),
            ])
        })
        .collect();
    print!("{}", table::render(&columns, &rows));
    ExitCode::SUCCESS
}

fn print_status(status: &Status) -> ExitCode {
    let columns = [
        "table",
        "topic",
        "keys",
        "objects",
        "changes",
        "versions",
        "current",
        "rejects",
        "newest change",
    ]
    .map(str::to_owned);
    let rows: Vec<_> = status
        .tables
        .iter()
        .map(|table| {
            row([
                table.table.clone(),
                table.topic.clone(),
                table.keys.join(","),
                table.objects.to_string(),
                table.changes.to_string(),
                table.versions.to_string(),
                table.current.to_string(),
                table.rejects.to_string(),
                table.newest_change.clone().unwrap_or_default(),
            ])
        })
        .collect();
    print!("{}", table::render(&columns, &rows));
    ExitCode::SUCCESS
}

fn row<const N: usize>(cells: [String; N]) -> Vec<Option<String>> {
    cells.into_iter().map(Some).collect()
}
