use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use duckdb::Connection;
use ferroconnect_analytics::{Config, RunOptions, RunReport, query, rebuild, run};

/// A directory of change files and a database beside it.
pub(crate) struct Lake {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: Config,
    writer: Connection,
}

impl Lake {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("lake");
        std::fs::create_dir(&source).unwrap();
        let mut config =
            Config::new(source.to_str().unwrap(), directory.path().join("analytics.duckdb"));
        config.threads = Some(1);
        Lake { directory, config, writer: Connection::open_in_memory().unwrap() }
    }

    pub(crate) fn path(
        &self,
        topic: &str,
        partition: i32,
        offset: u64,
        extension: &str,
    ) -> PathBuf {
        let directory = self.directory.path().join(format!("lake/{topic}/partition={partition}"));
        std::fs::create_dir_all(&directory).unwrap();
        directory.join(format!("{topic}+{partition}+{offset:010}.{extension}"))
    }

    /// Writes the rows of a query as the sink would, with these footer entries.
    pub(crate) fn parquet(
        &self,
        topic: &str,
        at: (i32, u64),
        rows: &str,
        footer: &[(&str, &str)],
    ) -> PathBuf {
        let path = self.path(topic, at.0, at.1, "snappy.parquet");
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let entries: Vec<_> =
            footer.iter().map(|(key, value)| format!("{}: {}", text(key), text(value))).collect();
        let footer = if entries.is_empty() {
            String::new()
        } else {
            format!(", kv_metadata {{{}}}", entries.join(", "))
        };
        let target = text(path.to_str().unwrap());
        let statement = format!("copy ({rows}) to {target} (format parquet{footer})");
        self.writer.execute(&statement, []).unwrap_or_else(|error| panic!("{statement}: {error}"));
        path
    }

    pub(crate) fn json(&self, topic: &str, at: (i32, u64), lines: &[String]) -> PathBuf {
        let path = self.path(topic, at.0, at.1, "json");
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        path
    }

    pub(crate) fn options(&self) -> RunOptions {
        RunOptions::at(UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    /// Runs and expects every table to be brought up to date.
    pub(crate) fn run(&self) -> RunReport {
        let report = run(&self.config, &self.options(), &mut |_| {}).unwrap();
        for table in &report.tables {
            assert_eq!(table.error, None, "table {}", table.table);
            let counts = table.counts;
            let sum = counts.opened
                + counts.closed_by_delete
                + counts.unchanged
                + counts.duplicates
                + counts.deletes_without_row
                + counts.truncates
                + counts.ignored
                + counts.rejects;
            assert_eq!(sum, counts.rows, "every row is counted once: {counts:?}");
        }
        report
    }

    pub(crate) fn rebuild(&self) -> RunReport {
        rebuild(&self.config, &self.options(), &mut |_| {}).unwrap()
    }

    /// One line a row, columns separated by a bar, NULL as nothing.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        let result = query(&self.config.database, sql).unwrap();
        let text = |row: Vec<Option<String>>| {
            row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")
        };
        result.rows.into_iter().map(text).collect()
    }

    /// Everything in a history table but the offsets, which depend on delivery.
    pub(crate) fn history(&self, table: &str) -> Vec<String> {
        self.rows(&format!("select * exclude (_lo, _part) from {table} order by all"))
    }
}

/// `unnest` of literal rows, as a query with named and typed columns.
pub(crate) fn values(columns: &str, rows: &[&str]) -> String {
    let names: Vec<_> = columns.split(", ").map(|c| c.split_once(' ').unwrap()).collect();
    let typed: Vec<_> =
        names.iter().map(|(name, of)| format!("cast({name} as {of}) as {name}")).collect();
    let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    format!("select {} from (values {}) v({})", typed.join(", "), rows.join(", "), names.join(", "))
}
