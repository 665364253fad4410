//! What happens to a record that cannot be processed: the table of KIP-298, row by row, where it is
//! not in `source` and `sink` already.

use std::sync::Arc;
use std::time::Duration;

use ferroconnect::error::{ConnectError, ErrorKind};
use ferroconnect::kafka::{
    Admin, ConsumerEvent, MessageHeaders, NewTopic, Outgoing, Producer, Reports,
};

use super::Bench;
use super::fakes::{FakeSink, FakeSource, Taken, Turn};
use super::source::stored_is;
use crate::kafka::{Clients, next_event};
use crate::support::{eventually_async, unique};

const DEADLINE: Duration = Duration::from_secs(10);
/// A topic that takes no record of any size.
pub(super) async fn tiny_topic() -> String {
    let topic = unique("tiny");
    let new = NewTopic {
        name: topic.clone(),
        partitions: 1,
        replication_factor: -1,
        config: vec![("max.message.bytes".to_owned(), "10".to_owned())],
    };
    Admin::new(&Clients::new().props()).unwrap().create_topic(&new, DEADLINE).await.unwrap();
    topic
}

#[tokio::test]
async fn a_record_that_kafka_refuses_fails_a_strict_source() {
    let bench = Bench::new(&[]).await;
    let source = FakeSource::new(&tiny_topic().await, 0, vec![Turn::Group(1)]);
    let error = bench.start_source(source).await.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.to_string(), "Unrecoverable exception from producer send callback");
    assert!(bench.store.source_offsets(&bench.connector).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_tolerant_source_skips_what_kafka_refuses() {
    let bench = Bench::new(&[("errors.tolerance", "all")]).await;
    let source = FakeSource::new(&tiny_topic().await, 0, vec![Turn::Group(2)]);
    let running = bench.start_source(source).await;
    stored_is(&bench, 2).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_record_that_a_transform_refuses_fails_the_task_or_is_skipped() {
    let tree = |tolerance| {
        [
            ("transforms", "key"),
            ("transforms.key.type", "org.apache.kafka.connect.transforms.ValueToKey"),
            ("transforms.key.fields", "gone"),
            ("errors.tolerance", tolerance),
        ]
    };
    let strict = Bench::new(&tree("none")).await;
    let source = FakeSource::new(&unique("source"), 0, vec![Turn::Group(1)]);
    let error = strict.start_source(source).await.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let trace = error.trace();
    assert!(trace.starts_with("Tolerance exceeded in error handler\nCaused by: "), "{trace}");
    assert!(strict.store.source_offsets(&strict.connector).await.unwrap().is_empty());

    let tolerant = Bench::new(&tree("all")).await;
    let topic = unique("source");
    let running = tolerant.start_source(FakeSource::new(&topic, 0, vec![Turn::Group(3)])).await;
    stored_is(&tolerant, 3).await;
    running.stop().await.unwrap();
    let admin = Admin::new(&Clients::new().props()).unwrap();
    assert_eq!(admin.partitions_of(&topic, DEADLINE).await.unwrap(), None, "nothing was sent");
}

#[tokio::test]
async fn what_a_sink_passes_over_is_in_the_dead_letter_queue_as_its_put() {
    let (topic, dead_letters) = (unique("sink"), unique("dlq"));
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["1", "2"]).await;
    let bench = Bench::new(&[
        ("topics", &topic),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", &dead_letters),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ])
    .await;
    let taken = Arc::new(Taken::default());
    taken.errants.lock().unwrap().push((1, ConnectError::data("a row that nobody can write")));
    let running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    let (value, headers) = dead_letter(&dead_letters).await;
    running.stop().await.unwrap();
    assert_eq!(value, b"2");
    assert_headers(
        &headers,
        &[
            ("topic", topic.as_str()),
            ("partition", "0"),
            ("offset", "1"),
            ("connector.name", &bench.connector),
            ("task.id", "0"),
            ("stage", "TASK_PUT"),
            ("class.name", "org.apache.kafka.connect.sink.SinkTask"),
            ("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
            ("exception.message", "a row that nobody can write"),
            (
                "exception.stacktrace",
                "org.apache.kafka.connect.errors.DataException: a row that nobody can write\n",
            ),
        ],
    );
}

#[tokio::test]
async fn a_bad_key_is_its_own_stage_and_headers_that_were_there_stay() {
    let (topic, dead_letters) = (unique("sink"), unique("dlq"));
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    let producer = Producer::new(&clients.props()).unwrap();
    let headers = MessageHeaders::default()
        .with("own", Some(b"1"))
        .with("__connect.errors.topic", Some(b"an older queue"));
    let mut message = Outgoing {
        topic: &topic,
        partition: Some(0),
        key: Some(b"{oops"),
        value: Some(b"\xff not read"),
        timestamp_ms: Some(1_700_000_000_000),
        headers: Some(headers),
    };
    producer.send(&mut message, 0).unwrap();
    let mut reports = Reports::default();
    tokio::time::timeout(DEADLINE, producer.reported()).await.unwrap();
    producer.take_reports(&mut reports);
    assert!(reports.errors.is_empty(), "{:?}", reports.errors);

    let bench = Bench::new(&[
        ("topics", &topic),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", &dead_letters),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ])
    .await;
    let taken = Arc::new(Taken::default());
    let mut sink = FakeSink::new(0, &taken);
    sink.reads_keys = true;
    let running = bench.start_sink(0, sink).await;
    let (value, headers) = dead_letter(&dead_letters).await;
    running.stop().await.unwrap();
    assert_eq!(value, b"\xff not read", "as it was consumed");
    let text = |(name, value): &(String, String)| format!("{name}={value}");
    let first: Vec<_> = headers.iter().take(3).map(text).collect();
    let own = format!("__connect.errors.topic={topic}");
    assert_eq!(first, ["own=1", "__connect.errors.topic=an older queue", &own]);
    assert_headers(
        &headers[2..8],
        &[
            ("topic", topic.as_str()),
            ("partition", "0"),
            ("offset", "0"),
            ("connector.name", &bench.connector),
            ("task.id", "0"),
            ("stage", "KEY_CONVERTER"),
        ],
    );
}

#[tokio::test]
async fn a_queue_that_cannot_be_made_fails_the_task() {
    let topic = unique("sink");
    Clients::new().create(&topic, 1).await;
    // More copies than there are brokers.
    let bench = Bench::new(&[
        ("topics", topic.as_str()),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", &unique("dlq")),
        ("errors.deadletterqueue.topic.replication.factor", "3"),
    ])
    .await;
    let running = bench.start_sink(0, FakeSink::new(0, &Arc::default())).await;
    let error = running.ended().await.unwrap_err();
    let text = error.trace();
    assert!(text.starts_with("Could not initialize dead letter queue with topic="), "{text}");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[track_caller]
fn assert_headers(headers: &[(String, String)], expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| (format!("__connect.errors.{name}"), (*value).to_owned()))
        .collect();
    assert_eq!(headers, expected);
}

/// The value and the headers of the first record of a dead letter queue, once there is one.
async fn dead_letter(topic: &str) -> (Vec<u8>, Vec<(String, String)>) {
    let admin = Admin::new(&Clients::new().props()).unwrap();
    eventually_async("the dead letter queue", 30, || async {
        admin.partitions_of(topic, DEADLINE).await.unwrap().ok_or("it is not there")
    })
    .await;
    let mut consumer = Clients::new().consumer(&unique("reader"), &[topic.to_owned()]);
    let batch = loop {
        match next_event(&mut consumer).await {
            ConsumerEvent::Assigned(partitions) => {
                consumer.assign(&[(partitions[0].clone(), Some(0))]).unwrap();
            }
            ConsumerEvent::Batch(batch) => break batch,
            other => panic!("{other:?}"),
        }
    };
    let text = |span| String::from_utf8(batch.bytes(span).to_vec()).unwrap();
    let (first, count) = batch.messages[0].headers;
    let own = batch.headers.iter().skip(first as usize).take(count as usize);
    let headers = own.map(|(name, value)| (text(*name), text(value.unwrap()))).collect();
    let value = batch.bytes(batch.messages[0].value.unwrap()).to_vec();
    consumer.close(DEADLINE).await;
    (value, headers)
}
