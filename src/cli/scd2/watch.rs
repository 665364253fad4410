//! `--watch`: a run after each interval, until it is interrupted.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use ferroconnect_analytics::{Config, Error, RunOptions, RunReport, Stop};

/// Reads `60s`, `5m`, `2h` or `90d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no time; write for example 60s, 5m, 2h or 90d");
    let split = text.len().checked_sub(1).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(seconds).filter(|seconds| 0 < *seconds).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// Runs until SIGINT or SIGTERM; then the run that is under way is taken back.
///
/// A run that fails is told and tried again after the interval: what is outside comes back.
pub(super) fn watch(
    config: &Config,
    options: &RunOptions,
    interval: Duration,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let stop = Stop::default();
        loop {
            let mut options = RunOptions { now: SystemTime::now(), ..options.clone() };
            options.stop = stop.clone();
            let config = config.clone();
            let mut running = tokio::task::spawn_blocking(move || {
                ferroconnect_analytics::run(&config, &options, &mut |_| {})
            });
            let report = tokio::select! {
                report = &mut running => Some(report?),
                _ = tokio::signal::ctrl_c() => None,
                _ = terminate.recv() => None,
            };
            let Some(report) = report else {
                stop.stop();
                let _ = running.await;
                return Ok(ExitCode::SUCCESS);
            };
            tell(report, json)?;
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
                _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            }
        }
    })
}

/// One line for each table that changed or failed, or one of JSON for all; nothing when nothing was to do.
fn tell(report: Result<RunReport, Error>, json: bool) -> anyhow::Result<()> {
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("ferroconnect: {error}");
            return Ok(());
        }
    };
    if json {
        if report.tables.iter().any(|table| table.error.is_some() || 0 < table.objects) {
            println!("{}", serde_json::to_string(&report)?);
        }
        return Ok(());
    }
    for table in &report.tables {
        if let Some(error) = &table.error {
            eprintln!("{}: {error}", table.table);
        } else if 0 < table.objects {
            let counts = &table.counts;
            println!(
                "{}: {} objects, {} rows, {} opened, {} current",
                table.table, table.objects, counts.rows, counts.opened, table.current
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [("60s", 60), ("5m", 300), ("2h", 7_200), ("90d", 7_776_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "60", "0s", "-1s", "1w", "1.5h", "99999999999999999999d", "5\u{b5}"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
