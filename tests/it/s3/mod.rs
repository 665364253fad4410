//! The S3 sink's task against a real S3 server over HTTP, with signature checks.

/// Where credentials come from.
mod credentials;
/// What networks and stores do to requests.
mod faults;
/// Workers that die and groups that do not rest.
mod kill;
mod lane;
/// The sink as users run it.
mod service;
mod support;

use std::time::Duration;

use ferroconnect::connector::SinkTask;
use ferroconnect::connector::s3::construct;
use ferroconnect::data::SinkBatch;
use ferroconnect::error::ErrorKind;

use self::support::{Crash, Sink, partition, push, rows, rows_of};
use crate::support::services;

fn key(offset: i64) -> String {
    format!("cdc_data/orders/partition=0/orders+0+{offset:010}.snappy.parquet")
}

/// Lets the task run until it commits `next` for partition 0, as the runtime's ticks do.
async fn until_committed(task: &mut dyn SinkTask, next: i64) {
    let mut seen = Vec::new();
    for _ in 0..400 {
        task.put(&SinkBatch::default()).await.expect("time passes");
        seen.extend(task.pre_commit().await.expect("offsets"));
        if seen.last() == Some(&(partition(0), next)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("offset {next} was not committed; seen: {seen:?}");
}

/// Lets the task run until its ledger crashes it.
async fn until_crashed(task: &mut dyn SinkTask) {
    for _ in 0..400 {
        if let Err(error) = task.put(&SinkBatch::default()).await {
            assert_eq!(error.to_string(), "crashed");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the ledger was not called");
}

#[tokio::test]
async fn files_are_cut_by_count_and_by_silence() {
    let sink = Sink::new(&[("flush.size", "3"), ("rotate.idle.interval.ms", "300")]);
    let mut task = sink.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), []);
    task.put(&rows(0..4)).await.unwrap();
    // The same batch again, as after a retriable failure, and more.
    task.put(&rows(0..4)).await.unwrap();
    task.put(&rows(4..7)).await.unwrap();
    until_committed(task.as_mut(), 7).await;
    assert_eq!(sink.keys(), [key(0), key(3), key(6)]);
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sink.ledger.done(), [(0, 2), (3, 5), (6, 6)]);
    assert_eq!(sink.ledger.uploads(), 0);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_crash_after_recording_is_finished_by_the_next_task() {
    let sink = Sink::new(&[("flush.size", "3")]);
    for crash in [Crash::AfterCompleting, Crash::BeforeCompleted] {
        let at = sink.ledger.done().last().map_or(0, |(_, last)| last + 1);
        sink.ledger.crash_at(Some(crash));
        let mut task = sink.task();
        let start = task.open(&[partition(0)]).await.unwrap();
        assert_eq!(start, if at == 0 { vec![] } else { vec![(partition(0), at)] });
        task.put(&rows(at..at + 5)).await.unwrap();
        until_crashed(task.as_mut()).await;
        drop(task);

        sink.ledger.crash_at(None);
        let mut task = sink.task();
        let start = task.open(&[partition(0)]).await.unwrap();
        assert_eq!(start, [(partition(0), at + 3)], "{crash:?}");
        assert!(sink.ledger.completing().is_empty());
        task.stop().await.unwrap();
    }
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_recorded_file_whose_upload_is_gone_is_written_again_exactly() {
    let sink = Sink::new(&[("flush.size", "3"), ("rotate.idle.interval.ms", "200")]);
    sink.ledger.crash_at(Some(Crash::AfterCompleting));
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    // Cut by silence behind two rows: nothing could recompute this boundary.
    task.put(&rows(0..2)).await.unwrap();
    until_crashed(task.as_mut()).await;
    drop(task);
    let upload_id = sink.ledger.completing()[0].upload_id.clone().unwrap();
    let info = services().s3_dir.join(format!(".upload-{upload_id}.json"));
    std::fs::remove_file(info).unwrap();

    sink.ledger.crash_at(None);
    let mut task = sink.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), [(partition(0), 0)]);
    task.put(&rows(0..6)).await.unwrap();
    until_committed(task.as_mut(), 6).await;
    assert_eq!(sink.ledger.done(), [(0, 1), (2, 4), (5, 5)]);
    assert_eq!(sink.keys(), [key(0), key(2), key(5)]);
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5]);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_growing_file_streams_in_parts_and_is_aborted_when_given_up() {
    let json = "io.confluent.connect.s3.format.json.JsonFormat";
    let sink = Sink::new(&[("format.class", json), ("flush.size", "100000")]);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    let text = "y".repeat(1_000);
    for first in 0..12 {
        task.put(&rows_of(first * 1_000..(first + 1) * 1_000, &text)).await.unwrap();
    }
    for _ in 0..200 {
        task.put(&SinkBatch::default()).await.unwrap();
        if sink.ledger.uploads() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(sink.ledger.uploads(), 1, "parts are up before the file is closed");
    assert!(sink.keys().is_empty(), "nothing is visible yet");
    task.close(&[partition(0)]).await.unwrap();
    assert_eq!(sink.ledger.uploads(), 0, "aborted");
    assert!(sink.keys().is_empty());

    task.open(&[partition(0)]).await.unwrap();
    for first in 0..100 {
        task.put(&rows_of(first * 1_000..(first + 1) * 1_000, "z")).await.unwrap();
    }
    until_committed(task.as_mut(), 100_000).await;
    let keys = sink.keys();
    assert_eq!(keys, ["cdc_data/orders/partition=0/orders+0+0000000000.json"]);
    let text = std::fs::read_to_string(sink.path(&keys[0])).unwrap();
    assert_eq!(text.lines().count(), 100_000);
    assert_eq!(text.lines().last(), Some("{\"id\":99999,\"text\":\"z\"}"));
    task.stop().await.unwrap();
}

#[tokio::test]
async fn an_upload_that_outlived_its_task_is_aborted_by_the_next() {
    let json = "io.confluent.connect.s3.format.json.JsonFormat";
    let sink = Sink::new(&[("format.class", json), ("flush.size", "100000")]);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&rows_of(0..6_000, &"y".repeat(1_000))).await.unwrap();
    for _ in 0..200 {
        task.put(&SinkBatch::default()).await.unwrap();
        if sink.ledger.uploads() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(task);
    assert_eq!(sink.ledger.uploads(), 1);
    let mut task = sink.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), []);
    assert_eq!(sink.ledger.uploads(), 0);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_vanishes_heals_without_loss() {
    let sink = Sink::new(&[("flush.size", "2")]);
    let folder = services().s3_dir.join(&sink.bucket);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    std::fs::remove_dir(&folder).unwrap();
    task.put(&rows(0..4)).await.unwrap();
    let mut failure = None;
    for _ in 0..100 {
        if let Err(error) = task.put(&rows(4..6)).await {
            failure = Some(error);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let failure = failure.expect("a failure");
    assert_eq!(failure.kind(), ErrorKind::Retriable);
    let text = failure.to_string();
    let bucket = &sink.bucket;
    assert!(
        text.starts_with(&format!("CreateMultipartUpload, bucket \"{bucket}\", key")),
        "{text}"
    );
    let remedy =
        format!("the bucket does not exist; create \"{bucket}\" or correct s3.bucket.name");
    assert!(text.ends_with(&remedy), "{text}");
    task.put(&rows(4..6)).await.expect_err("still missing");
    std::fs::create_dir(&folder).unwrap();
    task.put(&rows(4..6)).await.unwrap();
    until_committed(task.as_mut(), 6).await;
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4, 5]);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_is_named_with_the_remedy_when_a_task_starts() {
    let sink = Sink::new(&[]);
    let rows = [
        ("s3.bucket.name", "no-such-bucket", "does not exist; create \"no-such-bucket\""),
        ("aws.access.key.id", "AKIAWRONG", "the access key is not known there"),
        ("store.url", "http://127.0.0.1:1", "no connection; check that the store runs"),
    ];
    for (key, value, expected) in rows {
        let mut props = sink.props.clone();
        props.insert(key.to_owned(), value.to_owned());
        if key == "aws.access.key.id" {
            props.insert("aws.secret.access.key".to_owned(), "wrong".to_owned());
        }
        let connector = construct(&props, sink.connector_context()).unwrap();
        assert_eq!(connector.validate().await, [], "the original accepts {key}={value}");
        let mut task = sink.task_of(&props);
        let error = task.open(&[partition(0)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retriable, "{key}={value}");
        assert!(error.to_string().contains(expected), "{key}={value}: {error}");
    }
}

#[tokio::test]
async fn null_values_fail_or_are_passed_over() {
    let mut batch = rows(0..2);
    push(&mut batch, 2, None);
    let sink = Sink::new(&[("flush.size", "2")]);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    let error = task.put(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("orders-0@2"), "{error}");

    let sink = Sink::new(&[("flush.size", "2"), ("behavior.on.null.values", "ignore")]);
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&batch).await.unwrap();
    // The null value is passed over: no lag stays behind.
    until_committed(task.as_mut(), 3).await;
    assert_eq!(sink.ids(), [0, 1]);
    task.stop().await.unwrap();
}

#[tokio::test]
async fn files_of_several_paths_become_visible_at_one_offset() {
    let sink = Sink::new(&[
        ("flush.size", "6"),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"),
        ("partition.field.name", "text"),
    ]);
    let of = |offsets: std::ops::Range<i64>| {
        let mut batch = SinkBatch { partitions: vec![partition(0)], ..SinkBatch::default() };
        for offset in offsets {
            let text = if offset % 2 == 0 { "even" } else { "odd" };
            let row = rows_of(offset..offset + 1, text);
            batch.records.push_record(row.records.records[0].clone());
            batch.origins.extend(row.origins);
        }
        batch
    };
    let key = |text: &str, offset: i64| {
        format!("cdc_data/orders/text={text}/orders+0+{offset:010}.snappy.parquet")
    };
    sink.ledger.crash_at(Some(Crash::AfterCompleting));
    let mut task = sink.task();
    task.open(&[partition(0)]).await.unwrap();
    task.put(&of(0..6)).await.unwrap();
    until_crashed(task.as_mut()).await;
    drop(task);
    // One of both uploads is gone: its file is written again, the other one is not touched.
    let lost = sink.ledger.completing().into_iter().find(|file| file.key == key("odd", 1)).unwrap();
    let info = services().s3_dir.join(format!(".upload-{}.json", lost.upload_id.unwrap()));
    std::fs::remove_file(info).unwrap();

    sink.ledger.crash_at(None);
    let mut task = sink.task();
    assert_eq!(task.open(&[partition(0)]).await.unwrap(), [(partition(0), 0)]);
    task.put(&of(0..8)).await.unwrap();
    until_committed(task.as_mut(), 6).await;
    assert_eq!(sink.keys(), [key("even", 0), key("odd", 1)]);
    assert_eq!(sink.ids(), [0, 2, 4, 1, 3, 5]);
    assert_eq!(sink.ledger.done(), [(1, 5), (0, 4)]);
    task.stop().await.unwrap();
}
