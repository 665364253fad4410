//! What the verbs print: tables for people. Scripts take `--json`.

use std::process::ExitCode;

use ferroconnect_analytics::{
    Check, Continuity, Difference, Finding, History, KeyHistory, Plan, RunReport, Status,
};

use crate::cli::{EXIT_LOOK, table};

/// What a run did, and its exit status.
pub(super) fn run_report(report: &RunReport) -> ExitCode {
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
    code_of(report)
}

/// The exit status of a run.
pub(super) fn code_of(report: &RunReport) -> ExitCode {
    if report.has_failures() {
        ExitCode::FAILURE
    } else if report.has_rejects() {
        ExitCode::from(EXIT_LOOK)
    } else {
        ExitCode::SUCCESS
    }
}

/// What a run would read.
pub(super) fn plan(plan: &Plan) -> ExitCode {
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

/// What the database holds.
pub(super) fn status(status: &Status) -> ExitCode {
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

/// The report of every table, as facts.
pub(super) fn history(history: &History) {
    for of in &history.tables {
        println!("{} ({}; key {})", of.table, of.topic, of.keys.join(", "));
        let facts = [
            ("objects", of.objects.to_string()),
            ("bytes", of.bytes.to_string()),
            ("rows read", of.rows_read.to_string()),
            ("inserts", of.inserts.to_string()),
            ("updates", of.updates.to_string()),
            ("snapshot reads", of.snapshot_reads.to_string()),
            ("deletes", of.deletes.to_string()),
            ("truncates", of.truncates.to_string()),
            ("delivered again", of.duplicates.to_string()),
            ("changed nothing", of.unchanged.to_string()),
            ("clamped times", of.clamped.to_string()),
            ("late keys", of.late_keys.to_string()),
            ("keys live", of.keys_live.to_string()),
            ("keys deleted", of.keys_deleted.to_string()),
            ("keys inserted again", of.keys_reinserted.to_string()),
            ("versions", of.versions.to_string()),
            ("versions a key, mean", format!("{:.2}", of.versions_per_key_mean)),
            ("versions a key, most", of.versions_per_key_max.to_string()),
            ("zero-length versions", of.zero_length_versions.to_string()),
            ("first event", of.first_event.clone().unwrap_or_default()),
            ("last event", of.last_event.clone().unwrap_or_default()),
            ("continuity", of.continuity.map(continuity).unwrap_or_default()),
            ("order", of.order.clone().unwrap_or_default()),
            ("time", of.time.clone().unwrap_or_default()),
        ];
        let columns = ["", ""].map(str::to_owned);
        let rows: Vec<_> =
            facts.into_iter().map(|(name, value)| row([name.to_owned(), value])).collect();
        print!("{}", table::render(&columns, &rows));
        for change in &of.schema_changes {
            println!("column {}: {}", change.column, change.change);
        }
        for key in &of.most_changed {
            println!("key {}: {} versions", key.key, key.versions);
        }
        println!();
    }
}

fn continuity(of: Continuity) -> String {
    format!("{} of {} updates do not follow from the change before", of.breaks, of.checked)
}

/// The versions of a key; a star marks what each has changed.
pub(super) fn key_history(history: &KeyHistory) -> ExitCode {
    let mut columns: Vec<String> =
        ["version", "from", "to", "op", "end"].map(str::to_owned).to_vec();
    columns.extend(history.columns.iter().cloned());
    let rows: Vec<_> = history
        .versions
        .iter()
        .map(|version| {
            let mut cells = vec![
                Some(version.version.to_string()),
                Some(version.effective_from.clone()),
                version.effective_to.clone(),
                Some(version.op.clone()),
                version.end_op.clone(),
            ];
            let marked = version.values.iter().zip(&version.changed).map(|(value, changed)| {
                let text = value.clone().unwrap_or_else(|| "NULL".to_owned());
                Some(if *changed { format!("*{text}") } else { text })
            });
            cells.extend(marked);
            cells
        })
        .collect();
    print!("{}", table::render(&columns, &rows));
    if history.versions.is_empty() {
        eprintln!("{}: no such key was ever there", history.table);
        return ExitCode::from(EXIT_LOOK);
    }
    ExitCode::SUCCESS
}

/// What there is to look at.
pub(super) fn findings(findings: &[Finding]) -> ExitCode {
    if findings.is_empty() {
        println!("nothing to look at");
        return ExitCode::SUCCESS;
    }
    for finding in findings {
        println!("{}: {}\n  {}", finding.table, finding.what, finding.remedy);
    }
    ExitCode::from(EXIT_LOOK)
}

/// What was checked, and what is broken.
pub(super) fn checks(checks: &[Check]) {
    let columns = ["table", "promise", "broken by"].map(str::to_owned);
    let rows: Vec<_> = checks
        .iter()
        .map(|check| row([check.table.clone(), check.promise.clone(), check.broken_by.to_string()]))
        .collect();
    print!("{}", table::render(&columns, &rows));
}

/// What differs from the source.
pub(super) fn differences(differences: &[Difference]) {
    for of in differences {
        println!(
            "{}: {} rows at {} of the source; {} missing here, {} here only, {} different",
            of.table, of.rows, of.source_lsn, of.missing, of.surplus, of.different
        );
        if !of.examples.is_empty() {
            println!("  keys: {}", of.examples.join("; "));
        }
        if !of.not_compared.is_empty() {
            println!("  not compared: {}", of.not_compared.join(", "));
        }
    }
}

/// The exit status of a verification: a broken promise is a failure, a difference something to look at.
pub(super) fn code_of_checks(checks: &[Check], differences: &[Difference]) -> ExitCode {
    if checks.iter().any(|check| 0 < check.broken_by) {
        ExitCode::FAILURE
    } else if differences.iter().any(|of| 0 < of.missing + of.surplus + of.different) {
        ExitCode::from(EXIT_LOOK)
    } else {
        ExitCode::SUCCESS
    }
}
