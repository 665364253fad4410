//! `ferroconnect export`: connectors as files, and their progress in the original's form.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::internal_topics::offset_key;
use crate::cli::rest_client::{Client, StoredOffset};
use crate::cli::{Environment, block_on, cluster};
use crate::kafka::{Outgoing, Producer, Refused, Reports};

const DEADLINE: Duration = Duration::from_secs(30);

/// Write the connectors of a worker as files, and with `--to-connect` what another Kafka Connect needs to go
/// on where they stopped.
///
/// Each connector becomes `NAME.json`, as it is posted. With `--to-connect` its source offsets are written
/// too: as `NAME.offsets.json`, the body of `PATCH /connectors/NAME/offsets` (Kafka 3.6 and later), and, when
/// brokers are named, into the cluster's offset topic, which any version reads when the connector is made.
/// Sinks go on from their consumer group. The connectors must be stopped, so that nothing moves meanwhile.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  ferroconnect export --url http://localhost:8083 connectors/\n  ferroconnect export --to-connect --bootstrap-servers kafka:9092 --offset-topic connect-offsets back/"
)]
pub(in crate::cli) struct Export {
    /// The folder to write to; files of the same names are replaced
    folder: PathBuf,
    /// The worker's REST API (else `FERROCONNECT_URL`)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Only these connectors
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Offsets as well
    #[arg(long)]
    to_connect: bool,
    #[command(flatten)]
    cluster: cluster::Arguments,
}

pub(in crate::cli) fn export(
    arguments: &Export,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        arguments.to_connect || !arguments.cluster.is_given(),
        "brokers are for --to-connect"
    );
    let client = Client::from_arguments(arguments.url.as_deref(), environment)?;
    block_on(async {
        let mut connectors = client.connectors().await?;
        for name in &arguments.only {
            anyhow::ensure!(connectors.contains_key(name), "there is no connector \"{name}\"");
        }
        connectors.retain(|name, _| arguments.only.is_empty() || arguments.only.contains(name));
        let statuses = client.statuses().await?;
        if arguments.to_connect {
            let runs = |name: &&String| {
                statuses.get(*name).is_none_or(|status| status.connector.state != "STOPPED")
            };
            let running: Vec<_> = connectors.keys().filter(runs).map(String::as_str).collect();
            anyhow::ensure!(
                running.is_empty(),
                "nothing was written: stop these first (PUT /connectors/NAME/stop): {}",
                running.join(", ")
            );
        }
        std::fs::create_dir_all(&arguments.folder)
            .with_context(|| format!("cannot make {}", arguments.folder.display()))?;
        let mut records = Vec::new();
        for (name, config) in &connectors {
            write(
                &arguments.folder,
                &format!("{name}.json"),
                &json!({"name": name, "config": config}),
            )?;
            if !arguments.to_connect || statuses.get(name).is_some_and(|one| one.kind != "source") {
                println!("{name}");
                continue;
            }
            let offsets = client.offsets(name).await?;
            println!("{name}: {} offsets", offsets.len());
            write(
                &arguments.folder,
                &format!("{name}.offsets.json"),
                &json!({"offsets": offsets}),
            )?;
            records.extend(offsets.iter().map(|StoredOffset { partition, offset }| {
                (offset_key(name, partition), offset.to_string().into_bytes())
            }));
        }
        if arguments.cluster.is_given() {
            let cluster = arguments.cluster.cluster()?;
            let topic = cluster.offset_topic();
            produce(&Producer::new(&cluster.client_props())?, &topic, &records).await?;
            println!("{} offsets written to the topic {topic}", records.len());
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A name may hold what a file name may not.
fn write(folder: &Path, name: &str, body: &Value) -> anyhow::Result<()> {
    let safe = percent_encoding::utf8_percent_encode(name, &UNSAFE).to_string();
    let file = folder.join(safe);
    let text = serde_json::to_string_pretty(body)? + "\n";
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

const UNSAFE: percent_encoding::AsciiSet =
    percent_encoding::CONTROLS.add(b'/').add(b'\\').add(b'%');

/// Writes the records and waits until every one is acknowledged.
async fn produce(
    producer: &Producer,
    topic: &str,
    records: &[(Vec<u8>, Vec<u8>)],
) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let mut reports = Reports::default();
    let mut open = records.len();
    let mut unsent = records.iter();
    let mut next = unsent.next();
    while open > 0 {
        while let Some((key, value)) = next {
            let (key, value) = (Some(key.as_slice()), Some(value.as_slice()));
            let mut message = Outgoing { topic, key, value, ..Outgoing::default() };
            match producer.send(&mut message, 0) {
                Ok(()) => next = unsent.next(),
                Err(Refused::Full) => break,
                Err(Refused::Failed(error)) => return Err(error.into()),
            }
        }
        let reported = tokio::time::timeout_at(deadline.into(), producer.reported()).await;
        reported.map_err(|_| {
            let trouble = producer.trouble().unwrap_or_default();
            anyhow::anyhow!("the cluster does not acknowledge the offsets: {trouble}")
        })?;
        reports.clear();
        producer.take_reports(&mut reports);
        if let Some(error) = reports.errors.pop() {
            return Err(error.into());
        }
        open -= reports.delivered.iter().map(|(_, count)| *count as usize).sum::<usize>();
    }
    Ok(())
}
