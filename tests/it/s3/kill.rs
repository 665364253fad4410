//! Workers that die, and groups that do not rest: afterwards each offset of each partition is in the
//! objects once. Rows 27 and 29 of the list of faults.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::lane::{Lane, Writer, write};
use crate::support::{WorkerProcess, services};

const PARTITIONS: i32 = 3;

/// Every step of a delivery behind which a crash leaves something else.
const CRASH_POINTS: &[&str] = &[
    "sink.before-put",
    "s3.before-create",
    "s3.after-create",
    "s3.before-part",
    "s3.after-part",
    "s3.before-completing",
    "s3.after-completing",
    "s3.before-complete",
    "s3.after-complete-upload",
    "s3.after-completed",
    "sink.before-commit",
    "sink.after-put",
];

/// Rows of a partition go to three paths: their files become visible together or not at all.
const BY_FIELD: [(&str, &str); 2] = [
    ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"),
    ("partition.field.name", "kind"),
];

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_leave_each_offset_once() {
    let kills = services().number("FERROCONNECT_TEST_KILLS", 6);
    let lane = Lane::create(PARTITIONS, &[]).await;
    let mut worker = WorkerProcess::start(&lane.options);
    lane.post(&worker, &lane.file(&BY_FIELD)).await;
    let writer = Writer::start(&lane.topic, PARTITIONS, 600);
    for kill in 0..kills {
        // Different every time, from the first request to a steady state.
        tokio::time::sleep(Duration::from_millis(400 + (kill as u64 * 377) % 1_900)).await;
        worker.kill();
        worker = WorkerProcess::start(&lane.options);
    }
    assert!(writer.written() > 300 * kills as i64, "the writer wrote too little to prove anything");
    let written = writer.stop().await;
    lane.each_once(&worker, &written).await;
    assert!(worker.terminate(), "the worker ends with status 0 on SIGTERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_step_of_an_upload_leaves_each_offset_once() {
    let lane = Lane::create(PARTITIONS, &[]).await;
    let mut worker = WorkerProcess::start(&lane.options);
    lane.post(&worker, &lane.file(&[("flush.size", "9"), BY_FIELD[0], BY_FIELD[1]])).await;
    worker.kill();
    let mut written = 0;
    for (number, point) in CRASH_POINTS.iter().enumerate() {
        write(&lane.topic, PARTITIONS, 20).await;
        written += 20;
        // Not always at the first file; of deliveries there may be one only.
        let passed = if point.starts_with("sink.") { 0 } else { number % 3 };
        let failpoints = format!("{point}={passed}*off->panic");
        let options =
            crate::support::WorkerOptions { failpoints: Some(failpoints), ..lane.options.clone() };
        WorkerProcess::crash(&options);
    }
    let mut worker = WorkerProcess::start(&lane.options);
    lane.each_once(&worker, &[written; PARTITIONS as usize]).await;
    assert!(worker.terminate(), "the worker ends with status 0 on SIGTERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_rebalanced_all_the_time_leaves_each_offset_once() {
    let seconds = services().number("FERROCONNECT_TEST_REBALANCE_SECONDS", 15);
    let lane = Lane::create(PARTITIONS, &[]).await;
    let worker = WorkerProcess::start(&lane.options);
    // So often a member learns that the group is rebalanced.
    let heartbeat = ("consumer.override.heartbeat.interval.ms", "300");
    lane.post(&worker, &lane.file(&[heartbeat])).await;
    let writer = Writer::start(&lane.topic, PARTITIONS, 300);
    let (group, until) =
        (format!("connect-{}", lane.name), Instant::now() + Duration::from_secs(seconds as u64));
    let (mut rebalances, patience) = (0, until + Duration::from_secs(60));
    while Instant::now() < until || (rebalances < 2 && Instant::now() < patience) {
        let (group, topic) = (group.clone(), lane.topic.clone());
        let guest = tokio::task::spawn_blocking(move || visit(&group, &topic));
        rebalances += usize::from(guest.await.unwrap());
    }
    assert!(rebalances >= 2, "only {rebalances} rebalances");
    let written = writer.stop().await;
    lane.each_once(&worker, &written).await;
}

/// A member that comes, is given partitions, takes nothing and leaves: two rebalances, or whether
/// none of them came to pass. Not a static member as the sink's tasks are: those stay in the group
/// until their session ends.
fn visit(group: &str, topic: &str) -> bool {
    let guest: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &services().kafka)
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("heartbeat.interval.ms", "300")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    guest.subscribe(&[topic]).unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        drop(guest.poll(Duration::from_millis(50)));
        if guest.assignment().unwrap().count() > 0 {
            return true;
        }
    }
    false
}
