//! The worker dies at named points of a snapshot that two threads read, again and again, while writers
//! work; afterwards every committed change has arrived, and what was finished was not read again.

use serde_json::json;

use super::kill::{
    Change, SNAPSHOT_ROWS, Writers, assert_every_change_is_there, assert_newest_versions,
    create_ledger, insert_the_end, wait_for_the_end,
};
use crate::support::pipeline::{Pipeline, get};
use crate::support::{WorkerProcess, eventually_async};

/// Where it dies, one after the other.
const POINTS: [&str; 6] = [
    "source.after-store=panic",
    "snapshot.after-chunk=2*off->panic",
    "source.before-store=panic",
    "snapshot.after-chunk=11*off->panic",
    "snapshot.after-chunk=19*off->panic",
    "snapshot.before-end=panic",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_killed_at_each_point_loses_nothing_and_ends() {
    let mut pipeline = Pipeline::create().await;
    let client = pipeline.source.connect().await;
    create_ledger(&client).await;
    let topic = format!("{}.public.ledger", pipeline.prefix);
    let mut source = pipeline.source_file("public.ledger");
    source["config"]["snapshot.max.threads"] = json!("2");
    source["config"]["internal.snapshot.chunk.blocks"] = json!("16");
    let sink = pipeline.sink_file(&topic);
    let mut writers = None;
    for (number, point) in POINTS.iter().enumerate() {
        pipeline.options.failpoints = Some((*point).to_owned());
        if number > 0 {
            WorkerProcess::crash(&pipeline.options);
            continue;
        }
        let worker = WorkerProcess::start(&pipeline.options);
        pipeline.post(&worker, &sink).await;
        pipeline.post(&worker, &source).await;
        worker.crashes(&pipeline.options);
        // An offset is stored: from here on every change is streamed.
        writers = Some(Writers::start(&pipeline, 1_000_000).await);
    }
    pipeline.options.failpoints = None;
    let worker = WorkerProcess::start(&pipeline.options);
    let written = writers.expect("the writers were started").stop().await;
    assert!(written.len() > 500, "the writers wrote too little to prove anything");
    // Before, the snapshot itself could read the last row, ahead of what the stream still brings.
    assert_progress_is_forgotten(&pipeline, &worker).await;
    insert_the_end(&client).await;
    wait_for_the_end(&pipeline, &worker).await;
    let objects = pipeline.objects();
    pipeline.assert_each_offset_once(&objects);
    let changes: Vec<_> =
        objects.iter().flat_map(|object| &object.rows).map(Change::from_row).collect();
    assert_every_change_is_there(&written, &changes);
    assert_newest_versions(&client, &changes).await;
    let read = changes.iter().filter(|change| (1..=SNAPSHOT_ROWS).contains(&change.id)).count();
    let again = read as i64 - SNAPSHOT_ROWS;
    assert!((0..SNAPSHOT_ROWS * 2).contains(&again), "{again} rows were read again");
}

/// The offset is one of the stream, without what only a snapshot says.
async fn assert_progress_is_forgotten(pipeline: &Pipeline, worker: &WorkerProcess) {
    let url = format!("{}/connectors/{}-source/offsets", worker.url, pipeline.prefix);
    eventually_async("an offset of the stream", 60, || async {
        let offsets = get(&url).await?;
        let offset = &offsets["offsets"][0]["offset"];
        let streams = offset.get("snapshot").is_none() && offset.get("lsn_commit").is_some();
        let forgotten = offset.get("ferroconnect_snapshot").is_none();
        if streams && forgotten { Ok(()) } else { Err(offset.to_string()) }
    })
    .await;
}
