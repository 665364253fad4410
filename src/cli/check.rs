//! `ferroconnect check`: everything that can be told about a connector file before it is posted. It
//! asks the database and the store that the file names, and neither a worker nor the state database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::files::{self, Definition};
use super::paint::Paint;
use super::{EXIT_LOOK, Environment, block_on};
use crate::plugin::Plugins;
use crate::runtime::validation::{Inspected, Sample, ValidationScope, Verdict, inspect};
use crate::runtime::worker_config::WorkerConfig;
use crate::runtime::worker_settings::WorkerSettings;

/// Tell what validation and access say of connector files, before they are posted.
///
/// Looks at the database, the slot, the publication, the tables or the bucket that a file names, and
/// shows a record as it would go to Kafka with the schema that it would have in a Parquet file.
/// Nothing is made or changed. The worker's settings count as far as they are set here: endpoints and
/// keys of S3, config providers, network.resolve.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  ferroconnect check connectors/postgres-source.json\n\nExit codes: 0 fine, 1 it would be refused or could not work, 3 it works but there is something to look at."
)]
pub(super) struct Arguments {
    /// Connector files (`*.json`), or folders of them
    #[arg(required = true, value_name = "DIR_OR_FILES")]
    paths: Vec<PathBuf>,
    /// The worker's properties file, if it has one
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let wanted = files::read(&arguments.paths)?;
    let config = worker_config(arguments.worker.as_deref(), environment)?;
    super::worker::install_crypto();
    let plugins = Plugins::builtin();
    let scope = ValidationScope::of(&plugins, &config);
    let paint = Paint::of_stdout();
    block_on(async {
        let mut worst = Verdict::Fine;
        for definition in &wanted {
            let config = definition.config.iter();
            let submitted = config.map(|(key, text)| (key.clone(), Some(text.clone()))).collect();
            let shown = match inspect(&scope, &submitted).await {
                Ok(inspected) => {
                    worst = worst.max(inspected.verdict());
                    render(definition, &inspected, paint)
                }
                Err(error) => {
                    worst = Verdict::Wrong;
                    format!("{}\n  {} {error}\n", head(definition), mark(Verdict::Wrong, paint))
                }
            };
            print!("{shown}");
        }
        Ok(match worst {
            Verdict::Fine => ExitCode::SUCCESS,
            Verdict::Look => ExitCode::from(EXIT_LOOK),
            Verdict::Wrong => ExitCode::FAILURE,
        })
    })
}

/// The worker's settings, without the need for a state database.
fn worker_config(file: Option<&Path>, environment: &Environment) -> anyhow::Result<WorkerConfig> {
    const STATE_DATABASE: &str = "FERROCONNECT_DATABASE_URL";
    let properties = file.map(super::worker::properties_of).transpose()?;
    let named = file.map(|file| file.display().to_string());
    let mut environment = environment.clone();
    environment.entry(STATE_DATABASE.to_owned()).or_insert_with(|| "postgres://unused".to_owned());
    let settings = WorkerSettings::gather(named.as_deref().zip(properties.as_ref()), &environment);
    WorkerConfig::new(&settings, &environment).context("the worker's settings")
}

fn render(definition: &Definition, inspected: &Inspected, paint: Paint) -> String {
    let mut text = head(definition);
    text.push('\n');
    for (key, error) in &inspected.errors {
        text += &format!("  {} {key}: {error}\n", mark(Verdict::Wrong, paint));
    }
    let width = inspected.findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    for finding in &inspected.findings {
        let (subject, detail) = (finding.subject, &finding.detail);
        text += &format!("  {} {subject:<width$}  {detail}\n", mark(finding.verdict, paint));
    }
    if let Some(sample) = &inspected.sample {
        text += &record(sample);
    }
    text
}

fn head(definition: &Definition) -> String {
    format!("{} ({})", definition.name, definition.file.display())
}

fn mark(verdict: Verdict, paint: Paint) -> String {
    match verdict {
        Verdict::Fine => paint.green("ok   "),
        Verdict::Look => paint.yellow("look "),
        Verdict::Wrong => paint.red("wrong"),
    }
}

fn record(sample: &Sample) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    let mut text = format!(
        "\n  A record, to the topic {}:\n    key    {}\n    value  {}\n",
        sample.topic,
        part(&sample.key),
        part(&sample.value)
    );
    match &sample.parquet_schema {
        Ok(schema) => {
            text += "\n  Its value in a Parquet file:\n";
            for line in schema.lines() {
                text += &format!("    {line}\n");
            }
        }
        Err(reason) => text += &format!("\n  Its value has no place in a Parquet file: {reason}\n"),
    }
    text
}
