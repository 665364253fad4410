//! Waits until connectors run, and shows what keeps them from it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::render;
use crate::cli::EXIT_LOOK;
use crate::cli::paint::Paint;
use crate::cli::rest_client::{Client, Status};

const POLL: Duration = Duration::from_millis(250);

/// Ends when all run, one has failed, or the time is over. Paused and stopped connectors are as somebody
/// wanted them.
pub(super) async fn until_running(
    client: &Client,
    names: &[&str],
    most: Duration,
) -> anyhow::Result<ExitCode> {
    let deadline = Instant::now() + most;
    loop {
        let live = client.statuses().await?;
        let found: Vec<_> = names.iter().map(|name| (*name, live.get(*name))).collect();
        let statuses = || found.iter().filter_map(|(_, status)| *status);
        let settled = |state: &str| matches!(state, "PAUSED" | "STOPPED");
        let failed = statuses().any(Status::failed);
        let all = statuses().count() == names.len()
            && statuses().all(|status| status.runs() || settled(&status.connector.state));
        if all || failed || Instant::now() >= deadline {
            print!("\n{}", render::statuses(&found, Paint::of_stdout()));
            return Ok(match (all, failed) {
                (true, _) => ExitCode::SUCCESS,
                (_, true) => ExitCode::FAILURE,
                _ => ExitCode::from(EXIT_LOOK),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}
