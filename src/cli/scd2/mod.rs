//! `ferroconnect scd2`: history tables in DuckDB.

mod print;
mod progress;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use ferroconnect_analytics::{
    Config, Error, ExportFormat, ExportOf, RunOptions, S3Access, doctor, export, history,
    key_history, report_page,
};

use self::progress::ProgressLine;
use super::{EXIT_LOCKED, Environment, table};

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
    #[command(
        after_help = "Example:\n  ferroconnect scd2 run --source s3://my-cdc-bucket/cdc_data --database history.duckdb --watch 60s"
    )]
    Run(RunArguments),
    /// Say what `run` would read, and write nothing
    Plan(SourceArguments),
    /// Make the tables anew from the change logs in the database
    #[command(
        after_help = "Example:\n  ferroconnect scd2 rebuild --config scd2.toml --table products"
    )]
    Rebuild(RebuildArguments),
    /// Show what the database holds
    Status(StatusArguments),
    /// Run one SQL query, read-only
    #[command(
        after_help = "Example:\n  ferroconnect scd2 query --database history.duckdb \"from products_as_of('2026-11-22 07:16:30')\""
    )]
    Query {
        #[command(flatten)]
        database: DatabaseArguments,
        /// As JSON, one object a row
        #[arg(long)]
        json: bool,
        /// The query, in DuckDB's SQL
        sql: String,
    },
    /// Say what happened to the tables: in numbers, for one key, or as a page with a chart
    #[command(
        after_help = "Example:\n  ferroconnect scd2 report --database history.duckdb --html report.html\n  ferroconnect scd2 report --database history.duckdb --table products --key 42"
    )]
    Report(ReportArguments),
    /// Find what makes the history less exact than it could be, with the remedy
    Doctor(StatusArguments),
    /// Write tables as CSV or Parquet files
    #[command(
        after_help = "Example:\n  ferroconnect scd2 export --database history.duckdb --table products --format parquet --to exported"
    )]
    Export(ExportArguments),
    /// Forget the changes of versions that ended long ago; the versions stay
    #[command(
        after_help = "Example:\n  ferroconnect scd2 compact --database history.duckdb --keep 90d"
    )]
    Compact {
        #[command(flatten)]
        database: DatabaseArguments,
        /// Only this table or topic (may be repeated)
        #[arg(long = "table")]
        tables: Vec<String>,
        /// How far back late changes are still taken: a number with d, h, m or s
        #[arg(long, value_parser = watch::duration)]
        keep: std::time::Duration,
    },
    /// Check that the tables are what they promise to be
    #[command(
        after_help = "Example:\n  ferroconnect scd2 verify --database history.duckdb --against postgres://reader@localhost/commerce_db"
    )]
    Verify {
        #[command(flatten)]
        of: StatusArguments,
        /// Compare the current rows with this source, too
        #[arg(long, value_name = "URL")]
        against: Option<String>,
    },
}

#[derive(Args, Debug)]
struct SourceArguments {
    /// Where the sink writes: s3://BUCKET/TOPICS_DIR, file:///FOLDER or a folder
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only this table or topic (may be repeated)
    #[arg(long = "table")]
    tables: Vec<String>,
    /// The key columns of a topic whose files do not name them and whose key is not `id`, as
    /// TOPIC=COLUMN,COLUMN (may be repeated)
    #[arg(long = "key", value_parser = key_columns)]
    keys: Vec<(String, Vec<String>)>,
    /// From this offset of a partition on, the log positions are those of another server, as
    /// TOPIC:PARTITION:OFFSET (may be repeated)
    #[arg(long = "epoch", value_parser = epoch)]
    epochs: Vec<(String, i32, u64)>,
    /// Do everything, report it, and roll back
    #[arg(long)]
    dry_run: bool,
    /// Read at most so many objects of each table
    #[arg(long)]
    max_objects: Option<usize>,
    /// Take the key columns that the images of deletes suggest
    #[arg(long)]
    accept_guessed_keys: bool,
    /// Set objects aside that cannot be read
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Args, Debug)]
struct RunArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Go on, with a run after each interval: a number with d, h, m or s
    #[arg(long, value_name = "INTERVAL", value_parser = watch::duration, conflicts_with_all = ["dry_run", "once"])]
    watch: Option<std::time::Duration>,
    /// One run, which is the default
    #[arg(long)]
    once: bool,
    /// Print the report as JSON; with --watch, one line for each run that did something
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct RebuildArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Forget the change logs and read all objects again; needs the source
    #[arg(long, conflicts_with = "dry_run")]
    from_objects: bool,
}

#[derive(Args, Debug)]
struct StatusArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only this table or topic (may be repeated)
    #[arg(long = "table")]
    tables: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ReportArguments {
    #[command(flatten)]
    of: StatusArguments,
    /// The value of the key whose versions are shown, one for each key column; needs one --table
    #[arg(long = "key", conflicts_with = "html")]
    key: Vec<String>,
    /// Write one page that needs nothing beside it
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ExportArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only this table or topic (may be repeated)
    #[arg(long = "table")]
    tables: Vec<String>,
    #[arg(long, value_enum, default_value = "parquet")]
    format: Format,
    /// The rows as they are now
    #[arg(long, conflicts_with = "as_of")]
    current: bool,
    /// The rows as they were at this time, in UTC
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// The folder for the files, one for each table
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Parquet,
}

#[derive(Args, Debug)]
struct DatabaseArguments {
    /// The DuckDB file; `run` makes it if absent
    #[arg(long)]
    database: Option<PathBuf>,
    /// A file with the same settings and those of single tables (docs/analytics.md)
    #[arg(long)]
    config: Option<PathBuf>,
}

fn key_columns(text: &str) -> Result<(String, Vec<String>), String> {
    match text.split_once('=') {
        Some((topic, columns)) if !topic.is_empty() && !columns.is_empty() => {
            Ok((topic.to_owned(), columns.split(',').map(|c| c.trim().to_owned()).collect()))
        }
        _ => Err("write TOPIC=COLUMN,COLUMN".to_owned()),
    }
}

fn epoch(text: &str) -> Result<(String, i32, u64), String> {
    let mut parts = text.rsplitn(3, ':');
    let offset = parts.next().and_then(|offset| offset.parse().ok());
    let partition = parts.next().and_then(|partition| partition.parse().ok());
    match (parts.next(), partition, offset) {
        (Some(topic), Some(partition), Some(offset)) => Ok((topic.to_owned(), partition, offset)),
        _ => Err("write TOPIC:PARTITION:OFFSET".to_owned()),
    }
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    super::init_logs(environment)?;
    super::worker::install_crypto();
    match dispatch(&arguments.verb, environment) {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast_ref::<Error>() {
            Some(locked @ Error::Locked { .. }) => {
                eprintln!("ferroconnect: {locked}");
                Ok(ExitCode::from(EXIT_LOCKED))
            }
            _ => Err(error).context("scd2"),
        },
    }
}

fn dispatch(verb: &Verb, environment: &Environment) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run(run) => update(run, environment),
        Verb::Plan(source) => {
            let (config, options) = settings(source, environment)?;
            let plan = ferroconnect_analytics::plan(&config, &options)?;
            Ok(print::plan(&plan))
        }
        Verb::Rebuild(rebuild) => {
            let (config, mut options) = settings(&rebuild.source, environment)?;
            options.from_objects = rebuild.from_objects;
            let mut progress = ProgressLine::new();
            let report =
                ferroconnect_analytics::rebuild(&config, &options, &mut |n| progress.show(n))?;
            drop(progress);
            Ok(print::run_report(&report))
        }
        Verb::Status(of) => {
            let mut status = ferroconnect_analytics::status(&database(&of.database)?.database)?;
            let named = |table: &String| of.tables.is_empty() || of.tables.contains(table);
            status.tables.retain(|table| named(&table.table) || named(&table.topic));
            if of.json {
                return as_json(&status);
            }
            Ok(print::status(&status))
        }
        Verb::Query { database: of, json, sql } => {
            let result = ferroconnect_analytics::query(&database(of)?.database, sql)?;
            if *json {
                return as_json(&result);
            }
            print!("{}", table::render(&result.columns, &result.rows));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Report(report) => self::report(report),
        Verb::Doctor(of) => {
            let path = database(&of.database)?.database;
            let findings = doctor(&history(&path, &of.tables, SystemTime::now())?);
            if of.json {
                return as_json(&findings);
            }
            Ok(print::findings(&findings))
        }
        Verb::Export(of) => self::export_files(of),
        Verb::Compact { database: of, tables, keep } => {
            let config = database(of)?;
            let compacted =
                ferroconnect_analytics::compact(&config, tables, *keep, SystemTime::now())?;
            for table in &compacted {
                println!("{}: {} changes forgotten", table.table, table.changes_forgotten);
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Verify { of, against } => verify_tables(of, against.as_deref()),
    }
}

fn update(run: &RunArguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (config, options) = settings(&run.source, environment)?;
    if let Some(interval) = run.watch {
        return watch::watch(&config, &options, interval, run.json);
    }
    let mut progress = ProgressLine::new();
    let report = ferroconnect_analytics::run(&config, &options, &mut |news| progress.show(news))?;
    drop(progress);
    if run.json {
        as_json(&report)?;
    }
    Ok(if run.json { print::code_of(&report) } else { print::run_report(&report) })
}

fn report(report: &ReportArguments) -> anyhow::Result<ExitCode> {
    let path = database(&report.of.database)?.database;
    if !report.key.is_empty() {
        let [table] = report.of.tables.as_slice() else {
            anyhow::bail!("--key needs one --table");
        };
        let of_key = key_history(&path, table, &report.key)?;
        return if report.of.json { as_json(&of_key) } else { Ok(print::key_history(&of_key)) };
    }
    let history = history(&path, &report.of.tables, SystemTime::now())?;
    if report.of.json {
        return as_json(&history);
    }
    if let Some(file) = &report.html {
        std::fs::write(file, report_page(&history))
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    print::history(&history);
    Ok(ExitCode::SUCCESS)
}

fn export_files(of: &ExportArguments) -> anyhow::Result<ExitCode> {
    let format = match of.format {
        Format::Csv => ExportFormat::Csv,
        Format::Parquet => ExportFormat::Parquet,
    };
    let rows = match &of.as_of {
        Some(time) => ExportOf::AsOf(time.clone()),
        None if of.current => ExportOf::Current,
        None => ExportOf::History,
    };
    let path = database(&of.database)?.database;
    for (file, rows) in export(&path, &of.tables, &rows, format, &of.to)? {
        println!("{}: {rows} rows", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn verify_tables(of: &StatusArguments, against: Option<&str>) -> anyhow::Result<ExitCode> {
    let config = database(&of.database)?;
    let checks = ferroconnect_analytics::verify(&config, &of.tables)?;
    let differences = against
        .map(|url| ferroconnect_analytics::against(&config, &of.tables, url))
        .transpose()?
        .unwrap_or_default();
    if of.json {
        as_json(&serde_json::json!({ "checks": checks, "differences": differences }))?;
        return Ok(print::code_of_checks(&checks, &differences));
    }
    print::checks(&checks);
    print::differences(&differences);
    Ok(print::code_of_checks(&checks, &differences))
}

fn as_json<T: serde::Serialize>(value: &T) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::SUCCESS)
}

/// The configuration of a verb that needs the database only.
fn database(arguments: &DatabaseArguments) -> anyhow::Result<Config> {
    let mut config = Config::new("", "");
    if let Some(file) = &arguments.config {
        config.read_file(file)?;
    }
    if let Some(database) = &arguments.database {
        config.database.clone_from(database);
    }
    anyhow::ensure!(
        !config.database.as_os_str().is_empty(),
        "which database? Give --database FILE, or --config with analytics.database"
    );
    Ok(config)
}

/// The settings with S3 as the AWS SDKs read it from the environment.
fn settings(
    source: &SourceArguments,
    environment: &Environment,
) -> anyhow::Result<(Config, RunOptions)> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let mut config = database(&source.database)?;
    if let Some(from) = &source.source {
        config.source.clone_from(from);
    }
    config.s3 = S3Access {
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        access_key_id: variable("AWS_ACCESS_KEY_ID"),
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
        ..S3Access::default()
    };
    for (topic, keys) in &source.keys {
        config.tables.entry(topic.clone()).or_default().keys.clone_from(keys);
    }
    for (topic, partition, offset) in &source.epochs {
        let table = config.tables.entry(topic.clone()).or_default();
        table.epochs.push((*partition, *offset));
    }
    let mut options = RunOptions::at(SystemTime::now());
    options.dry_run = source.dry_run;
    options.tables.clone_from(&source.tables);
    options.objects_max = source.max_objects;
    options.accept_guessed_keys = source.accept_guessed_keys;
    options.skip_bad = source.skip_bad;
    Ok((config, options))
}
