//! `ferroconnect import`: takes over the connectors of a Kafka Connect cluster with their progress.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::internal_topics;
use super::origin::{Origin, OriginConnector, Target};
use super::standalone;
use crate::cli::rest_client::{Client, KeyError};
use crate::cli::{EXIT_LOOK, Environment, block_on, cluster, table};
use crate::config::Props;
use crate::kafka::{Admin, ClientProps, Latest, read_compacted};

/// Enough for internal topics, which are small.
const READING: Duration = Duration::from_secs(60);
const ASKING: Duration = Duration::from_secs(15);

/// Take over the connectors of a Kafka Connect cluster, with their offsets and target states.
///
/// Sources go on where the original stopped, without a new snapshot; sinks go on from their consumer group.
/// Shows the plan and changes nothing; `--yes` does it. Stop the connectors there first
/// (`PUT /connectors/NAME/stop`), or its workers: two that run at once would both read one slot.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  ferroconnect import --bootstrap-servers kafka:9092 --group-id connect-cluster\n  ferroconnect import --worker-properties connect-distributed.properties --yes\n  ferroconnect import --offsets-file /tmp/connect.offsets postgres.properties\n\nExit codes: 0 everything can be (or was) taken over, 1 failed, 3 something cannot be: the plan says why."
)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    cluster: cluster::Arguments,
    /// The topic that keeps its connectors
    #[arg(long, value_name = "TOPIC")]
    config_topic: Option<String>,
    /// The offset file of a standalone worker, instead of topics; its connector files follow
    #[arg(long, value_name = "FILE", requires = "files")]
    offsets_file: Option<PathBuf>,
    /// Connector files of a standalone worker (`*.properties` or `*.json`)
    files: Vec<PathBuf>,
    /// Our worker's REST API (else `FERROCONNECT_URL`)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Only these connectors
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Start those that are stopped there, too: for connectors that were stopped to be moved
    #[arg(long)]
    resume: bool,
    /// Only show the plan (the default)
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long, short)]
    yes: bool,
}

/// What becomes of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Take,
    /// Ours has one of this name.
    Present,
    /// It would run twice.
    StillRuns(String),
    /// Ours refuses it.
    Refused(Vec<KeyError>),
}

pub(in crate::cli) fn import(
    arguments: &Import,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let client = Client::from_arguments(arguments.url.as_deref(), environment)?;
    block_on(async {
        let mut origin = read(arguments).await?;
        if !arguments.only.is_empty() {
            for name in &arguments.only {
                anyhow::ensure!(
                    origin.contains_key(name),
                    "there is no connector \"{name}\" there"
                );
            }
            origin.retain(|name, _| arguments.only.contains(name));
        }
        anyhow::ensure!(!origin.is_empty(), "there is no connector there");
        let verdicts = judge(arguments, &origin, &client).await?;
        print!("{}", render(&verdicts));
        let open = verdicts.iter().any(|(_, _, verdict)| *verdict != Verdict::Take);
        let code = if open { ExitCode::from(EXIT_LOOK) } else { ExitCode::SUCCESS };
        if !arguments.yes {
            println!("\nNothing was changed; --yes takes over what can be.");
            return Ok(code);
        }
        for (name, connector, verdict) in &verdicts {
            if *verdict == Verdict::Take {
                let target = match connector.target {
                    Target::Stopped if arguments.resume => Target::Started,
                    target => target,
                };
                take_over(&client, name, connector, target).await?;
                let then = match target {
                    Target::Started => "started",
                    Target::Paused => "paused, as it was there",
                    Target::Stopped => "stopped, as it was there (PUT .../resume starts it)",
                };
                println!("{name}: taken over, {then}");
            }
        }
        Ok(code)
    })
}

async fn read(arguments: &Import) -> anyhow::Result<Origin> {
    if let Some(file) = &arguments.offsets_file {
        let mut origin = standalone::connectors(&arguments.files)?;
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let stored = standalone::offsets(&bytes);
        let named = |error| anyhow::anyhow!("{}: {error}", file.display());
        internal_topics::add_offsets(&mut origin, &stored.map_err(named)?).map_err(named)?;
        return Ok(origin);
    }
    let cluster = arguments.cluster.cluster()?;
    let props = cluster.client_props();
    let config_topic =
        cluster.topic(arguments.config_topic.as_deref(), "config.storage.topic", "connect-configs");
    let stored = existing(&props, &config_topic).await?;
    let mut origin = internal_topics::connectors(&stored).map_err(anyhow::Error::msg)?;
    // A connector may keep its offsets in a topic of its own, which counts before the workers'.
    let own: BTreeSet<_> = origin
        .values()
        .filter_map(|connector| connector.config.get("offsets.storage.topic"))
        .filter(|topic| !topic.is_empty())
        .cloned()
        .collect();
    let add = |origin: &mut Origin, stored: &Latest| {
        internal_topics::add_offsets(origin, stored).map_err(anyhow::Error::msg)
    };
    add(&mut origin, &existing(&props, &cluster.offset_topic()).await?)?;
    for topic in own {
        // It is made when the connector runs first.
        if let Some(stored) = read_compacted(&props, &topic, READING).await? {
            add(&mut origin, &stored)?;
        }
    }
    Ok(origin)
}

async fn existing(props: &ClientProps<'_>, topic: &str) -> anyhow::Result<Latest> {
    read_compacted(props, topic, READING).await?.with_context(|| {
        format!(
            "there is no topic \"{topic}\": --config-topic and --offset-topic, or the worker's own file \
             as --worker-properties, say where the cluster keeps its state"
        )
    })
}

type Judged<'a> = (&'a str, &'a OriginConnector, Verdict);

async fn judge<'a>(
    arguments: &Import,
    origin: &'a Origin,
    client: &Client,
) -> anyhow::Result<Vec<Judged<'a>>> {
    let present = client.connectors().await?;
    let workers = workers_of(arguments).await?;
    let mut verdicts = Vec::new();
    for (name, connector) in origin {
        let verdict = if present.contains_key(name) {
            Verdict::Present
        } else if let Some(workers) =
            workers.as_ref().filter(|_| connector.target != Target::Stopped)
        {
            Verdict::StillRuns(workers.clone())
        } else {
            let errors = client.validate(&connector.config).await?;
            if errors.is_empty() { Verdict::Take } else { Verdict::Refused(errors) }
        };
        verdicts.push((name.as_str(), connector, verdict));
    }
    Ok(verdicts)
}

/// The workers that the cluster has now, if any.
async fn workers_of(arguments: &Import) -> anyhow::Result<Option<String>> {
    if arguments.offsets_file.is_some() {
        return Ok(None);
    }
    let cluster = arguments.cluster.cluster()?;
    let group = cluster.group_id();
    let members = Admin::new(&cluster.client_props())?.group_members(&group, ASKING).await?;
    Ok((members > 0).then(|| format!("{members} workers of group \"{group}\" are up")))
}

/// Creates it stopped, gives it its offsets, and only then lets it do what it shall.
async fn take_over(
    client: &Client,
    name: &str,
    connector: &OriginConnector,
    target: Target,
) -> anyhow::Result<()> {
    client.create_stopped(name, &connector.config).await?;
    let given = give(client, name, connector).await;
    if given.is_err() {
        // It never ran: without its offsets it must not be left to be started by somebody.
        client.delete(name).await.with_context(|| {
            format!("{name} was created and has no offsets; delete it before you try again")
        })?;
    }
    given?;
    match target {
        Target::Started => client.resume(name).await,
        Target::Paused => client.pause(name).await,
        Target::Stopped => Ok(()),
    }
}

async fn give(client: &Client, name: &str, connector: &OriginConnector) -> anyhow::Result<()> {
    if connector.offsets.is_empty() {
        return Ok(());
    }
    client.alter_offsets(name, &connector.offsets).await
}

fn render(verdicts: &[Judged<'_>]) -> String {
    let columns = ["connector", "class", "target state", "offsets", "plan"].map(str::to_owned);
    let rows: Vec<_> = verdicts
        .iter()
        .map(|(name, connector, verdict)| {
            let plan = match verdict {
                Verdict::Take => "take over".to_owned(),
                Verdict::Present => "skip: the worker has one of this name".to_owned(),
                Verdict::StillRuns(_) => "wait: it still runs there".to_owned(),
                Verdict::Refused(_) => "cannot: see below".to_owned(),
            };
            let target = match connector.target {
                Target::Started => "STARTED",
                Target::Paused => "PAUSED",
                Target::Stopped => "STOPPED",
            };
            let cells =
                [*name, class_of(&connector.config), target, &progress_of(connector), &plan];
            cells.iter().map(|cell| Some((*cell).to_owned())).collect()
        })
        .collect();
    let mut text = table::render(&columns, &rows);
    let still = verdicts.iter().find_map(|(_, _, verdict)| match verdict {
        Verdict::StillRuns(workers) => Some(workers),
        _ => None,
    });
    if let Some(workers) = still {
        text.push_str(&format!(
            "\n{workers}: stop each connector there (PUT /connectors/NAME/stop), or the workers, and run \
             this again.\n"
        ));
    }
    for (name, _, verdict) in verdicts {
        if let Verdict::Refused(errors) = verdict {
            text.push_str(&format!("\n{name}:\n"));
            for error in errors {
                text.push_str(&format!("    {}: {}\n", error.key, error.message));
            }
        }
    }
    text
}

fn class_of(config: &Props) -> &str {
    let class = config.get("connector.class").map_or("", String::as_str);
    class.rsplit_once('.').map_or(class, |(_, simple)| simple)
}

/// Sources keep offsets; sinks go on from their group.
fn progress_of(connector: &OriginConnector) -> String {
    let sink = ["topics", "topics.regex"].iter().any(|key| connector.config.contains_key(*key));
    match connector.offsets.len() {
        0 if sink => "of its group".to_owned(),
        0 => "none".to_owned(),
        count => count.to_string(),
    }
}
