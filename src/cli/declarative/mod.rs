//! `ferroconnect apply`, `diff`, `delete` and `status`: a worker's connectors made equal to a folder of
//! files. They speak the REST API only, so the worker may be any Kafka Connect.

mod plan;
mod render;
mod wait;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use self::plan::{Action, Plan};
use super::files::{self, Definition};
use super::paint::Paint;
use super::rest_client::{Client, Status as ConnectorStatus};
use super::{EXIT_LOOK, Environment, block_on};

/// How a worker is reached, and which files say what it should have.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// Connector files (`*.json`), or folders of them
    #[arg(required = true, value_name = "DIR_OR_FILES")]
    paths: Vec<PathBuf>,
    /// The worker's REST API (else `FERROCONNECT_URL`); user and password may stand in it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Create and update the connectors that the files describe, after showing the plan.
///
/// Every file is validated first: if one is refused, nothing is changed. On a terminal it asks before it
/// changes anything; elsewhere `--yes` says so. Afterwards it waits until the connectors run.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  ferroconnect apply --url http://connect:8083 connectors/\n\nExit codes: 0 done, 1 a file was refused or a connector failed, 3 not everything runs yet."
)]
pub(super) struct Apply {
    #[command(flatten)]
    target: Target,
    /// Also delete the connectors of the worker that no file describes
    #[arg(long)]
    prune: bool,
    /// With --prune: only those whose name begins like this
    #[arg(long, requires = "prune", value_name = "PREFIX", default_value = "")]
    prune_prefix: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How long to wait until the connectors run; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// Show what `apply` would do, and do nothing.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, as a step of CI:\n  ferroconnect diff --url http://connect:8083 connectors/\n\nExit codes: 0 the worker is as the files say, 1 a file would be refused, 3 there are differences."
)]
pub(super) struct Diff {
    #[command(flatten)]
    target: Target,
    /// Also show the connectors of the worker that no file describes
    #[arg(long)]
    prune: bool,
    /// With --prune: only those whose name begins like this
    #[arg(long, requires = "prune", value_name = "PREFIX", default_value = "")]
    prune_prefix: String,
}

/// Delete the connectors that the files name.
///
/// Offsets and topics stay, as with the REST API's DELETE.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  ferroconnect delete --yes connectors/s3-sink.json")]
pub(super) struct Delete {
    #[command(flatten)]
    target: Target,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Show how the connectors that the files name are doing.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  ferroconnect status --url http://connect:8083 connectors/\n\nExit codes: 0 all run, 3 something does not."
)]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
}

pub(super) fn apply(arguments: &Apply, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (wanted, client) = arguments.target.open(environment)?;
    let prune = arguments.prune.then_some(arguments.prune_prefix.as_str());
    block_on(async {
        let Some(plan) = show(&wanted, &client, prune).await? else { return Ok(ExitCode::FAILURE) };
        if plan.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        confirm(arguments.yes, "Apply this plan?")?;
        for action in &plan.actions {
            carry_out(&client, action).await?;
        }
        if arguments.wait == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let names: Vec<&str> = plan.kept().collect();
        wait::until_running(&client, &names, Duration::from_secs(arguments.wait)).await
    })
}

pub(super) fn diff(arguments: &Diff, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (wanted, client) = arguments.target.open(environment)?;
    let prune = arguments.prune.then_some(arguments.prune_prefix.as_str());
    block_on(async {
        Ok(match show(&wanted, &client, prune).await? {
            None => ExitCode::FAILURE,
            Some(plan) if plan.is_empty() => ExitCode::SUCCESS,
            Some(_) => ExitCode::from(EXIT_LOOK),
        })
    })
}

pub(super) fn delete(arguments: &Delete, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (named, client) = arguments.target.open(environment)?;
    block_on(async {
        let live = client.connectors().await?;
        let actions: Vec<_> = named
            .iter()
            .filter(|definition| live.contains_key(&definition.name))
            .map(|definition| Action::Delete { name: definition.name.clone() })
            .collect();
        if actions.is_empty() {
            println!("Nothing to do: the worker has none of these connectors.");
            return Ok(ExitCode::SUCCESS);
        }
        let plan = Plan { actions, ..Plan::default() };
        print!("{}", render::plan(&plan, Paint::of_stdout()));
        confirm(arguments.yes, "Delete these connectors?")?;
        for action in &plan.actions {
            carry_out(&client, action).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn status(arguments: &Status, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (named, client) = arguments.target.open(environment)?;
    block_on(async {
        let live = client.statuses().await?;
        let found =
            named.iter().map(|definition| (definition.name.as_str(), live.get(&definition.name)));
        let found: Vec<_> = found.collect();
        print!("{}", render::statuses(&found, Paint::of_stdout()));
        let runs = found.iter().all(|(_, status)| status.is_some_and(ConnectorStatus::runs));
        Ok(if runs { ExitCode::SUCCESS } else { ExitCode::from(EXIT_LOOK) })
    })
}

impl Target {
    fn open(&self, environment: &Environment) -> anyhow::Result<(Vec<Definition>, Client)> {
        let client = Client::from_arguments(self.url.as_deref(), environment)?;
        Ok((files::read(&self.paths)?, client))
    }
}

/// Shows the plan. None: a file is refused, and why has been shown.
async fn show(
    wanted: &[Definition],
    client: &Client,
    prune: Option<&str>,
) -> anyhow::Result<Option<Plan>> {
    let paint = Paint::of_stdout();
    let live = client.connectors().await?;
    let mut refused = BTreeMap::new();
    for definition in wanted {
        if live.get(&definition.name) != Some(&definition.config) {
            let errors = client.validate(&definition.config).await?;
            if !errors.is_empty() {
                refused.insert(definition.name.as_str(), (definition, errors));
            }
        }
    }
    if !refused.is_empty() {
        print!("{}", render::refused(refused.values(), paint));
        return Ok(None);
    }
    let plan = Plan::between(wanted, &live, prune);
    print!("{}", render::plan(&plan, paint));
    Ok(Some(plan))
}

async fn carry_out(client: &Client, action: &Action) -> anyhow::Result<()> {
    let done = match action {
        Action::Create { definition } => {
            client.create(&definition.name, &definition.config).await?;
            "created"
        }
        Action::Update { name, config, .. } => {
            client.update(name, config).await?;
            "updated"
        }
        Action::Delete { name } => {
            client.delete(name).await?;
            "deleted"
        }
    };
    println!("{}: {done}", action.name());
    Ok(())
}

/// Asks on a terminal; elsewhere nobody could answer.
fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "nothing was changed: there is no terminal to ask on; say --yes"
    );
    print!("{question} [y/N] ");
    std::io::stdout().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    anyhow::ensure!(
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        "nothing was changed"
    );
    Ok(())
}
