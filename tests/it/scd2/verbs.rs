//! `ferroconnect scd2` as a person calls it: exit statuses, what is on the terminal, and `--watch`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use super::{folder, rows};
use crate::support::eventually;

/// An object of the topic `shop.<table>`, as objects appear: whole.
fn write(folder: &Path, table: &str, offset: u64, line: &str) -> PathBuf {
    let topic = folder.join(format!("lake/shop.{table}/partition=0"));
    std::fs::create_dir_all(&topic).unwrap();
    let unfinished = folder.join("unfinished");
    std::fs::write(&unfinished, format!("{line}\n")).unwrap();
    let path = topic.join(format!("shop.{table}+0+{offset:010}.json"));
    std::fs::rename(unfinished, &path).unwrap();
    path
}

fn command(folder: &Path, verb: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferroconnect"));
    command.args(["scd2", verb, "--database"]).arg(folder.join("history.duckdb"));
    if matches!(verb, "run" | "plan" | "rebuild") {
        command.arg("--source").arg(folder.join("lake"));
    }
    command.args(more);
    command
}

fn verb(folder: &Path, verb: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(folder, verb, more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A run that watches, with the lines that it prints; ended when it is dropped.
struct Watch {
    process: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Watch {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let more: Vec<_> = ["--watch", "1s"].iter().chain(more).copied().collect();
        let mut process = command(folder, "run", &more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        let errors = BufReader::new(process.stderr.take().unwrap());
        let to = sender.clone();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|l| to.send(l)));
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Watch { process, lines, seen: Vec::new() }
    }

    /// Waits for a line that has all of this in it.
    fn says(&mut self, parts: &[&str]) -> String {
        eventually(&format!("{parts:?}"), 60, || {
            self.seen.extend(self.lines.try_iter());
            let found = self.seen.iter().find(|line| parts.iter().all(|part| line.contains(part)));
            found.cloned().ok_or_else(|| self.seen.clone())
        })
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.process.id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
        eventually("the end", 60, || match self.process.try_wait().unwrap() {
            Some(status) => Ok(status.code()),
            None => Err("it runs"),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_watching_run_takes_what_comes_and_outlives_what_fails() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "v": 1, "__deleted": "false"}"#);
    let mut watch = Watch::start(&folder, &[]);
    watch.says(&["items: 1 objects, 1 rows, 1 opened, 1 current"]);
    write(&folder, "items", 1, r#"{"id": 1, "v": 2, "__deleted": "true"}"#);
    watch.says(&["items: 1 objects, 1 rows, 0 opened, 0 current"]);
    // A table that fails is told each time, and the others go on.
    let broken = write(&folder, "broken", 0, "{no json");
    watch.says(&["broken: ", "shop.broken+0+0000000000.json"]);
    let two = r#"{"id": 2, "v": 3, "__deleted": "false"}
{"id": 3, "v": 4, "__deleted": "false"}"#;
    write(&folder, "items", 2, two);
    watch.says(&["items: 1 objects, 2 rows, 2 opened, 2 current"]);
    std::fs::remove_file(broken).unwrap();
    write(&folder, "broken", 0, r#"{"id": 7, "__deleted": "false"}"#);
    watch.says(&["broken: 1 objects, 1 rows, 1 opened, 1 current"]);
    assert_eq!(watch.end("-TERM"), Some(0));
    let database = folder.join("history.duckdb");
    assert_eq!(
        rows(&database, "select id, v from items order by id").unwrap(),
        ["1|1", "2|3", "3|4"]
    );
    assert_eq!(rows(&database, "select id from broken").unwrap(), ["7"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_watching_run_reports_as_json_a_line_a_run_and_ends_at_an_interrupt() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "__deleted": "false"}"#);
    let mut watch = Watch::start(&folder, &["--json"]);
    let line = watch.says(&["\"run_id\":1,"]);
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["tables"][0]["counts"]["opened"], 1);
    write(&folder, "items", 1, r#"{"id": 2, "__deleted": "false"}"#);
    watch.says(&["\"opened\":1", "\"current\":2"]);
    assert_eq!(watch.end("-INT"), Some(0));
    std::fs::remove_dir_all(folder).unwrap();
}

/// `script` gives a command a terminal.
#[test]
fn a_terminal_shows_a_bar_and_a_pipe_none() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "__deleted": "false"}"#);
    let plain = command(&folder, "run", &["--dry-run"]);
    let words = std::iter::once(plain.get_program()).chain(plain.get_args());
    let line: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let shown = Command::new("script")
        .args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    assert!(
        text.contains(&format!("items [{}] 1/1 objects applied, 1 rows", "#".repeat(30))),
        "{text}"
    );
    // The last thing that is done to the line is to clear it.
    assert!(text.contains("\r\u{1b}[2K"), "{text}");
    let (status, out, errors) = verb(&folder, "run", &["--dry-run"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(!out.contains("###") && !out.contains('\u{1b}'), "{out}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn exit_statuses_are_as_documented() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "v": 1, "__deleted": "false"}"#);
    let plan = verb(&folder, "plan", &[]);
    assert_eq!(plan.0, Some(0), "{plan:?}");
    let dry = verb(&folder, "run", &["--dry-run"]);
    assert_eq!(dry.0, Some(0), "{dry:?}");
    assert!(rows(&folder.join("history.duckdb"), "from items").is_err(), "nothing was written");
    assert_eq!(verb(&folder, "run", &["--once", "--watch", "1s"]).0, Some(2));
    assert_eq!(verb(&folder, "run", &["--watch", "soon"]).0, Some(2));
    assert_eq!(verb(&folder, "run", &[]).0, Some(0));
    // A row without its key is set aside; a file that cannot be read is a failure, unless told otherwise.
    let no_key = r#"{"id": null, "v": 2, "__deleted": "false"}
{"id": 2, "v": 2, "__deleted": "false"}"#;
    write(&folder, "items", 1, no_key);
    let rejected = verb(&folder, "run", &[]);
    assert_eq!(rejected.0, Some(3), "{rejected:?}");
    write(&folder, "items", 2, "{no json");
    let failed = verb(&folder, "run", &[]);
    assert_eq!(failed.0, Some(1), "{failed:?}");
    assert!(format!("{failed:?}").contains("shop.items+0+0000000002.json"), "{failed:?}");
    assert_eq!(verb(&folder, "run", &["--skip-bad"]).0, Some(3));
    assert_eq!(verb(&folder, "run", &["--table", "nothing"]).0, Some(1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_second_run_on_the_same_database_is_told_who_has_it() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "__deleted": "false"}"#);
    assert_eq!(verb(&folder, "run", &[]).0, Some(0));
    // Whoever holds the lock is another run.
    let lock =
        std::fs::File::options().write(true).open(folder.join("history.duckdb.lock")).unwrap();
    lock.lock().unwrap();
    let (status, _, errors) = verb(&folder, "run", &[]);
    assert_eq!(status, Some(4), "{errors}");
    drop(lock);
    assert_eq!(verb(&folder, "run", &[]).0, Some(0));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn tables_are_exported_reported_and_verified() {
    let folder = folder();
    write(&folder, "items", 0, r#"{"id": 1, "v": "a", "__deleted": "false"}"#);
    write(&folder, "items", 1, r#"{"id": 1, "v": "b, c", "__deleted": "false"}"#);
    assert_eq!(verb(&folder, "run", &[]).0, Some(0));
    let to = folder.join("out");
    let to = to.to_str().unwrap();
    for format in ["csv", "parquet"] {
        let exported = verb(&folder, "export", &["--format", format, "--to", to]);
        assert_eq!(exported.0, Some(0), "{exported:?}");
        let file = folder.join(format!("out/items.{format}"));
        assert_eq!(exported.1.trim(), format!("{}: 2 rows", file.display()));
        let from = format!("select v from '{}' order by _version", file.display());
        assert_eq!(rows(&folder.join("history.duckdb"), &from).unwrap(), ["a", "b, c"], "{format}");
    }
    let current = verb(&folder, "export", &["--current", "--to", to]);
    assert!(current.1.trim().ends_with(": 1 rows"), "{current:?}");
    let key = verb(&folder, "report", &["--table", "items", "--key", "1"]);
    assert!(key.1.contains("*b, c"), "{key:?}");
    let report = verb(&folder, "report", &["--json"]);
    let report: Value = serde_json::from_str(&report.1).unwrap();
    assert_eq!(report["tables"][0]["versions"], 2);
    let verified = verb(&folder, "verify", &[]);
    assert_eq!(verified.0, Some(0), "{verified:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// SIGKILL, as early as the run has left each of its traces on disk.
#[test]
fn a_killed_run_leaves_nothing_half_done() {
    let whole = folder();
    let killed = folder();
    for offset in 0..120 {
        // The columns change, too.
        let more = if offset < 60 { "" } else { r#", "w": 1.5"# };
        let gone = offset % 7 == 6;
        let line =
            format!(r#"{{"id": {}, "v": {offset}{more}, "__deleted": "{gone}"}}"#, offset % 5);
        write(&whole, "items", offset, &line);
        write(&killed, "items", offset, &line);
    }
    for trace in ["history.duckdb.lock", "history.duckdb", "history.duckdb.wal"] {
        let mut run = command(&killed, "run", &[]).stdout(Stdio::null()).spawn().unwrap();
        eventually(trace, 60, || {
            let ended = run.try_wait().unwrap().is_some();
            if ended || killed.join(trace).exists() { Ok(()) } else { Err("not there") }
        });
        run.kill().unwrap();
        run.wait().unwrap();
    }
    let all =
        "select * exclude (_obj, effective_from, effective_to) from items order by id, _version";
    for folder in [&whole, &killed] {
        assert_eq!(verb(folder, "run", &[]).0, Some(0));
        assert_eq!(verb(folder, "verify", &[]).0, Some(0));
    }
    let of = |folder: &Path| rows(&folder.join("history.duckdb"), all).unwrap();
    assert_eq!(of(&killed), of(&whole));
    assert_eq!(of(&whole).len(), 120 - 17);
    for folder in [whole, killed] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}
