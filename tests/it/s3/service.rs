//! The sink as users run it: a file that is posted, records, and what they find.

use std::time::{Duration, Instant};

use ferroconnect::kafka::{ConsumerEvent, Outgoing, Producer, Reports};
use parquet::record::RowAccessor as _;
use serde_json::json;

use super::lane::{Lane, message, message_of, rows_below, write};
use crate::kafka::{Clients, next_event};
use crate::support::pipeline::get;
use crate::support::{
    TestDatabase, WorkerOptions, WorkerProcess, eventually_async, services, unique,
};

/// The example file, byte for byte, and no setting of the worker that would hurry it.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_records_of_the_example_reach_s3_after_a_minute_of_silence() {
    let state = TestDatabase::create().await;
    let options = WorkerOptions {
        state_url: state.url.clone(),
        group_id: unique("example"),
        resolve: String::new(),
        environment: Vec::new(),
        failpoints: None,
    };
    let bucket = services().s3_dir.join("my-cdc-bucket");
    std::fs::create_dir_all(&bucket).unwrap();
    let clients = Clients::new();
    let topics = ["cdc.commerce.products", "cdc.commerce.users"];
    for topic in topics {
        clients.ensure(topic).await;
    }
    let worker = WorkerProcess::start(&options);
    let file = include_str!("../../../connectors/s3-sink.json");
    let url = format!("{}/connectors", worker.url);
    let request = reqwest::Client::new().post(url).header("content-type", "application/json");
    let reply = request.body(file).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 201, "{}", reply.text().await.unwrap());

    // Of one partition a full file and a rest, of the other a rest alone.
    let run = unique("run");
    for (topic, count) in topics.into_iter().zip([1_050, 450]) {
        let values: Vec<_> = (0..count).map(|id| message(id, &run)).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        clients.produce(topic, &values).await;
    }
    let silence = Instant::now();
    eventually_async("all 1,500 records in S3", 75, || {
        let (bucket, run) = (bucket.clone(), run.clone());
        async move {
            let rows = rows_below(bucket);
            let ours = rows.iter().filter(|row| row.get_string(2).is_ok_and(|text| *text == run));
            match ours.count() {
                1_500 => Ok(()),
                count => Err(count),
            }
        }
    })
    .await;
    let waited = silence.elapsed();
    assert!(waited < Duration::from_secs(70), "{waited:?}");
    assert!(waited > Duration::from_secs(30), "too early: {waited:?}, something else closed them");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_written_go_to_the_dead_letter_queue_as_they_came() {
    let lane = Lane::create(1, &[]).await;
    let queue = unique("dlq");
    let worker = WorkerProcess::start(&lane.options);
    let file = lane.file(&[
        ("store.kafka.keys", "true"),
        ("keys.format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("behavior.on.null.values", "ignore"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", &queue),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ]);
    lane.post(&worker, &file).await;
    let good = message(1, "good");
    let bad = message(2, "without a key");
    let rows = [
        (Some("a"), Some(&good)),
        (None, Some(&bad)),
        (Some("tombstone"), None),
        (Some("b"), Some(&good)),
    ];
    let producer = Producer::new(&Clients::new().props()).unwrap();
    for (key, value) in rows {
        let (key, value) = (key.map(str::as_bytes), value.map(|text| text.as_bytes()));
        let mut message =
            Outgoing { topic: &lane.topic, partition: Some(0), key, value, ..Outgoing::default() };
        producer.send(&mut message, 0).unwrap();
    }
    let mut reports = Reports::default();
    tokio::time::timeout(Duration::from_secs(10), producer.reported()).await.unwrap();
    producer.take_reports(&mut reports);

    eventually_async("the good rows in S3", 30, || async {
        let offsets = lane.offsets();
        if offsets.get(&0) == Some(&vec![0, 3]) { Ok(()) } else { Err(offsets) }
    })
    .await;
    let mut consumer = Clients::new().consumer(&unique("reader"), std::slice::from_ref(&queue));
    let ConsumerEvent::Assigned(partitions) = next_event(&mut consumer).await else {
        panic!("assigned")
    };
    consumer.assign(&[(partitions[0].clone(), Some(0))]).unwrap();
    let mut letters = Vec::new();
    while letters.len() < 2 {
        let ConsumerEvent::Batch(batch) = next_event(&mut consumer).await else { continue };
        let text = |span| String::from_utf8(batch.bytes(span).to_vec()).unwrap();
        for message in &batch.messages {
            let (first, count) = message.headers;
            let mut headers = batch.headers.iter().skip(first as usize).take(count as usize);
            let reason =
                headers.find(|(name, _)| text(*name) == "__connect.errors.exception.message");
            let reason = reason.and_then(|(_, value)| value.map(text)).unwrap_or_default();
            letters.push((message.key.map(text), message.value.map(text), reason));
        }
    }
    assert_eq!((&letters[0].0, &letters[0].1), (&None, &Some(bad.clone())), "the original bytes");
    assert!(letters[0].2.contains("Key cannot be null"), "{letters:?}");
    assert_eq!((letters[1].0.as_deref(), &letters[1].1), (Some("tombstone"), &None));
    assert!(letters[1].2.contains("Skipping null value record."), "{letters:?}");
    consumer.close(Duration::from_secs(5)).await;
}

/// What the original says only when a task starts is no reason to refuse a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_partitioner_that_cannot_work_is_accepted_and_fails_its_task() {
    let lane = Lane::create(1, &[]).await;
    let worker = WorkerProcess::start(&lane.options);
    let hourly = "io.confluent.connect.storage.partitioner.HourlyPartitioner";
    lane.post(&worker, &lane.file(&[("partitioner.class", hourly)])).await;
    let url = format!("{}/connectors/{}/status", worker.url, lane.name);
    eventually_async("the task to fail", 30, || {
        let url = url.clone();
        async move {
            let status = get(&url).await?;
            let task = &status["tasks"][0];
            let trace = task["trace"].as_str().unwrap_or_default();
            let is_told = ["Locale cannot be empty.", "Timezone cannot be empty."]
                .iter()
                .all(|text| trace.contains(text));
            if task["state"] == "FAILED" && is_told { Ok(()) } else { Err(status.to_string()) }
        }
    })
    .await;
    let mut file = lane.file(&[(
        "partitioner.class",
        "io.confluent.connect.storage.partitioner.FieldPartitioner",
    )]);
    file["name"] = json!(unique("refused"));
    let url = format!("{}/connectors", worker.url);
    let reply = reqwest::Client::new().post(url).json(&file).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 400);
    let text = reply.text().await.unwrap();
    assert!(text.contains("Partition field name cannot be null or empty"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_closed_at_the_size_that_the_file_names() {
    let lane = Lane::create(1, &[]).await;
    let worker = WorkerProcess::start(&lane.options);
    let changes = [
        ("flush.size", "1000000"),
        ("rotate.file.size.bytes", "20000"),
        ("rotate.idle.interval.ms", "-1"),
    ];
    lane.post(&worker, &lane.file(&changes)).await;
    write(&lane.topic, 1, 4_000).await;
    eventually_async("some files", 30, || async {
        let objects = lane.objects();
        if objects >= 3 { Ok(()) } else { Err(objects) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_open_files_hold_little_memory() {
    const FILES: i64 = 1_000;
    const ROWS: i64 = 20 * FILES;
    let lane = Lane::create(1, &[]).await;
    let worker = WorkerProcess::start(&lane.options);
    let changes = [
        ("flush.size", "20000"),
        ("rotate.idle.interval.ms", "-1"),
        ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"),
        ("partition.field.name", "kind"),
    ];
    lane.post(&worker, &lane.file(&changes)).await;
    let values: Vec<_> =
        (0..ROWS).map(|id| message_of(id, &format!("k{}", id % FILES), "a row")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let (first, last) = values.split_at(values.len() - 1);
    let clients = Clients::new();
    // As many at a time as the producer's queue has room for.
    for some in first.chunks(2_000) {
        clients.produce(&lane.topic, some).await;
    }
    let url = format!("{}/metrics", worker.url);
    eventually_async("all files to be open", 60, || {
        let url = url.clone();
        async move {
            let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
            let line = text.lines().find(|line| {
                line.starts_with("ferroconnect_sink_open_files{") && line.ends_with(" 1000")
            });
            line.map(str::to_owned).ok_or(text)
        }
    })
    .await;
    clients.produce(&lane.topic, last).await;
    eventually_async("the objects", 60, || async {
        let objects = lane.objects();
        if objects == FILES as usize { Ok(()) } else { Err(objects) }
    })
    .await;
    let peak = worker.peak_memory();
    assert!(peak < 256 * 1024 * 1024, "{} MB", peak / 1024 / 1024);
}
