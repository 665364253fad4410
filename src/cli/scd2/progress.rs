//! How far a run is, as a bar that is written over on a terminal.

use std::io::{IsTerminal, Write};

use ferroconnect_analytics::Progress;

const BAR_WIDTH: usize = 30;

/// One line that is written over on a terminal; elsewhere only notices are shown.
pub(super) struct ProgressLine {
    terminal: bool,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, news: Progress<'_>) {
        let text = match news {
            Progress::Notice { table, text } => {
                self.clear();
                eprintln!("{table}: {text}");
                return;
            }
            Progress::Listed { objects } => format!("{objects} objects listed"),
            Progress::Planned { table, objects, bytes } => {
                format!("{table}: {objects} objects to read, {:.1} MB", megabytes(bytes))
            }
            Progress::Staged { table, done, objects, .. } => {
                format!("{table} {} {done}/{objects} objects staged", bar(done, objects))
            }
            Progress::Applied { table, done, objects, counts } => {
                format!(
                    "{table} {} {done}/{objects} objects applied, {} rows",
                    bar(done, objects),
                    counts.rows
                )
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

fn bar(done: usize, all: usize) -> String {
    let filled = (BAR_WIDTH * done.min(all)).checked_div(all).unwrap_or(BAR_WIDTH);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR_WIDTH - filled))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        assert_eq!(bar(0, 4), format!("[{}]", ".".repeat(30)));
        assert_eq!(bar(2, 4), format!("[{}{}]", "#".repeat(15), ".".repeat(15)));
        for (done, all) in [(4, 4), (5, 4), (0, 0)] {
            assert_eq!(bar(done, all), format!("[{}]", "#".repeat(30)));
        }
    }
}
