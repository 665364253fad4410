//! The worker is killed again and again while writers work, at random and at named points; afterwards
//! every committed change is in the objects and none that was rolled back, changes of a row follow each
//! other, and each offset of each partition is there once.
//!
//! `FERROCONNECT_TEST_KILLS=30` kills more often than the gate has time for.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parquet::record::{Field, Row};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerOptions, WorkerProcess, eventually_async};

const KILLS: usize = 10;
pub(super) const SNAPSHOT_ROWS: i64 = 60_000;
const CONNECTIONS: i64 = 8;
/// Where the worker stands still, and is killed, as it passes for the second time.
const POINTS: [&str; 4] = [
    "source.after-produce",
    "source.before-store",
    "source.after-store",
    "postgres.before-acknowledge",
];
/// Ids from here on were rolled back.
const ROLLED_BACK: i64 = 1_000_000_000;

/// What a writer saw commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) id: i64,
    pub(super) version: i32,
    pub(super) deleted: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_and_repeat_no_offset() {
    let in_snapshot = kills() * 4 / 10;
    let pipeline = Pipeline::create().await;
    let client = pipeline.source.connect().await;
    create_ledger(&client).await;
    let topic = format!("{}.public.ledger", pipeline.prefix);
    let mut worker = WorkerProcess::start(&pipeline.options);
    pipeline.post(&worker, &pipeline.source_file("public.ledger")).await;
    pipeline.post(&worker, &pipeline.sink_file(&topic)).await;

    // Changes that the snapshot may or may not take in already: only the newest version must show.
    let early = Writers::start(&pipeline, 1_000_000).await;
    for kill in 0..in_snapshot {
        pause(150 + 90 * (kill % 5)).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    let early = early.stop().await;
    wait_for_the_snapshot(&pipeline, &worker).await;

    // Changes that only the stream can bring: every one must show.
    let late = Writers::start(&pipeline, 2_000_000).await;
    for kill in in_snapshot..kills() {
        pause(300 + 170 * (kill % 6)).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    for point in POINTS {
        let armed = Some(format!("{point}=1*off->pause"));
        worker.kill();
        worker =
            WorkerProcess::start(&WorkerOptions { failpoints: armed, ..pipeline.options.clone() });
        pause(1500).await;
        worker = kill_and_restart(worker, &pipeline);
    }
    let late = late.stop().await;
    assert!(late.len() > 500, "the writers wrote too little to prove anything: {}", late.len());

    insert_the_end(&client).await;
    wait_for_the_end(&pipeline, &worker).await;
    let objects = pipeline.objects();
    pipeline.assert_each_offset_once(&objects);
    let changes: Vec<_> =
        objects.iter().flat_map(|object| &object.rows).map(Change::from_row).collect();
    assert_every_change_is_there(&late, &changes);
    assert_rows_change_in_order(&changes);
    assert_newest_versions(&client, &changes).await;
    assert!(early.len() > 50, "nothing was written during the snapshot");
    assert!(worker.terminate(), "the worker ends with status 0 on SIGTERM");
}

impl Change {
    pub(super) fn from_row(row: &Row) -> Self {
        let mut change = Self { id: 0, version: 0, deleted: false };
        let mut note = None;
        for (name, field) in row.get_column_iter() {
            match (name.as_str(), field) {
                ("id", Field::Long(id)) => change.id = *id,
                ("version", Field::Int(version)) => change.version = *version,
                ("__deleted", Field::Str(deleted)) => change.deleted = deleted == "true",
                ("note", Field::Str(text)) => note = Some(text.clone()),
                _ => {}
            }
        }
        assert!(change.id < ROLLED_BACK, "a change that was rolled back: {change:?}");
        if change.id > SNAPSHOT_ROWS && !change.deleted {
            assert_eq!(note, Some(note_of(change.id, change.version)), "{change:?}");
        }
        change
    }

    /// Its place among the changes of its row.
    pub(super) fn place(self) -> i32 {
        if self.deleted { 3 } else { self.version }
    }
}

/// What a row's text is in one of its versions: nothing else may show with it.
fn note_of(id: i64, version: i32) -> String {
    format!(
        "{:016x}",
        (id * 31 + i64::from(version)).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())
    )
}

#[expect(clippy::disallowed_methods, reason = "the test's own setting")]
fn kills() -> usize {
    std::env::var("FERROCONNECT_TEST_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(KILLS)
}

/// Writers on connections of their own.
pub(super) struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Change>>>,
}

impl Writers {
    pub(super) async fn start(pipeline: &Pipeline, first_id: i64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let client = pipeline.source.connect().await;
            let first_id = first_id + connection * 100_000;
            tasks.push(tokio::spawn(write(client, first_id, stop.clone())));
        }
        Self { stop, tasks }
    }

    pub(super) async fn stop(self) -> Vec<Change> {
        self.stop.store(true, Ordering::Relaxed);
        let mut changes = Vec::new();
        for task in self.tasks {
            changes.extend(task.await.expect("a writer ends"));
        }
        changes
    }
}

/// Inserts rows, updates each twice and deletes every third, in transactions of several rows;
/// returns what committed.
async fn write(mut client: Client, first_id: i64, stop: Arc<AtomicBool>) -> Vec<Change> {
    let mut committed = Vec::new();
    let mut id = first_id;
    while !stop.load(Ordering::Relaxed) {
        let transaction = client.transaction().await.expect("begin");
        let mut changes = Vec::new();
        for _ in 0..3 {
            id += 1;
            let insert = "insert into ledger values ($1, 0, $2)";
            transaction.execute(insert, &[&id, &note_of(id, 0)]).await.expect("insert");
            changes.push(Change { id, version: 0, deleted: false });
            for version in 1..=2 {
                let update = "update ledger set version = $2, note = $3 where id = $1";
                let note = note_of(id, version);
                transaction.execute(update, &[&id, &version, &note]).await.expect("update");
                changes.push(Change { id, version, deleted: false });
            }
        }
        transaction.execute("delete from ledger where id = $1", &[&id]).await.expect("delete");
        // The key alone is known of a deleted row: the other columns are null, version reads 0.
        changes.push(Change { id, version: 0, deleted: true });
        transaction.commit().await.expect("commit");
        committed.extend(changes);
        // What does not commit, in a transaction and in a part of one.
        let transaction = client.transaction().await.expect("begin");
        let insert = "insert into ledger values ($1, 0, 'rolled back')";
        transaction.execute(insert, &[&(ROLLED_BACK + id)]).await.expect("insert");
        transaction.rollback().await.expect("rollback");
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    committed
}

pub(super) async fn create_ledger(client: &Client) {
    let create = format!(
        "create table ledger (id bigint primary key, version int not null, note text);
         insert into ledger select i, 0, repeat('x', 100) from generate_series(1, {SNAPSHOT_ROWS}) i;"
    );
    client.batch_execute(&create).await.expect("a table to capture");
}

async fn pause(milliseconds: usize) {
    tokio::time::sleep(Duration::from_millis(milliseconds as u64)).await;
}

pub(super) fn kill_and_restart(mut worker: WorkerProcess, pipeline: &Pipeline) -> WorkerProcess {
    worker.kill();
    WorkerProcess::start(&pipeline.options)
}

/// Offsets of a snapshot that goes on have the member `snapshot`, the one behind its last row says
/// so, those of the stream have neither.
pub(super) async fn wait_for_the_snapshot(pipeline: &Pipeline, worker: &WorkerProcess) {
    let url = format!("{}/connectors/{}-source/offsets", worker.url, pipeline.prefix);
    eventually_async("the snapshot to complete", 60, || {
        let url = url.clone();
        async move {
            let offsets = get(&url).await?;
            let Some(offset) = offsets["offsets"].get(0).map(|entry| &entry["offset"]) else {
                return Err(offsets.to_string());
            };
            let complete =
                offset.get("snapshot").is_none() || offset["last_snapshot_record"] == true;
            if complete { Ok(()) } else { Err(offsets.to_string()) }
        }
    })
    .await;
}

const THE_END: i64 = -1;

pub(super) async fn insert_the_end(client: &Client) {
    let insert = "insert into ledger values ($1, 0, 'the end')";
    client.execute(insert, &[&THE_END]).await.expect("a last row");
}

pub(super) async fn wait_for_the_end(pipeline: &Pipeline, worker: &WorkerProcess) {
    let url = format!("{}/connectors?expand=status", worker.url);
    eventually_async("the last row in S3", 60, || {
        let url = url.clone();
        async move {
            let status = get(&url).await?;
            let objects = pipeline.objects();
            let rows = objects.iter().flat_map(|object| &object.rows);
            if rows.map(Change::from_row).any(|change| change.id == THE_END) {
                Ok(())
            } else {
                Err(format!("{} objects; {status}", objects.len()))
            }
        }
    })
    .await;
}

pub(super) fn assert_every_change_is_there(committed: &[Change], changes: &[Change]) {
    let seen: HashSet<_> = changes.iter().copied().collect();
    let missing: Vec<_> = committed.iter().filter(|change| !seen.contains(change)).collect();
    let (count, all) = (missing.len(), committed.len());
    assert!(missing.is_empty(), "{count} of {all} changes are missing, first {:?}", missing[0]);
}

/// Changes of a row follow each other; what a kill repeats begins anew from an earlier one.
fn assert_rows_change_in_order(changes: &[Change]) {
    let mut places = BTreeMap::new();
    for change in changes.iter().filter(|change| change.id > 2_000_000) {
        let before = places.insert(change.id, change.place()).unwrap_or(-1);
        assert!(change.place() <= before + 1, "{change:?} behind the change {before} of its row");
    }
}

/// In offset order the last record of each row is the row as it stands in the table, and rows that
/// are not in the table end deleted.
pub(super) async fn assert_newest_versions(client: &Client, changes: &[Change]) {
    let mut newest = BTreeMap::new();
    for change in changes {
        newest.insert(change.id, *change);
    }
    let rows = client.query("select id, version from ledger", &[]).await.expect("the table");
    assert!(rows.len() > SNAPSHOT_ROWS as usize);
    for row in &rows {
        let (id, version) = (row.get(0), row.get(1));
        assert_eq!(newest.remove(&id), Some(Change { id, version, deleted: false }));
    }
    let alive: Vec<_> = newest.values().filter(|change| !change.deleted).collect();
    assert!(alive.is_empty(), "rows that the table does not have: {alive:?}");
}
