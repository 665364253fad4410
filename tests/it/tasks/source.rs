use std::sync::Arc;

use ferroconnect::error::{ConnectError, ErrorKind};
use ferroconnect::kafka::ConsumerEvent;
use ferroconnect::runtime::task::Condition;
use tokio::sync::Notify;

use super::Bench;
use super::fakes::{FakeSource, Turn, offset};
use crate::kafka::{Clients, next_event};
use crate::support::{eventually_async, unique};

/// Everything in the topic's only partition, as text, once there are `count` messages.
async fn read(topic: &str, count: usize) -> Vec<String> {
    read_from(&Clients::new().bootstrap_servers, topic, count).await
}

/// As [`read`], of the cluster at `bootstrap_servers`.
pub(super) async fn read_from(bootstrap_servers: &str, topic: &str, count: usize) -> Vec<String> {
    let clients = Clients { bootstrap_servers: bootstrap_servers.to_owned(), ..Clients::new() };
    let topics = [topic.to_owned()];
    let mut consumer = clients.consumer(&unique("reader"), &topics);
    let mut texts = Vec::new();
    while texts.len() < count {
        match next_event(&mut consumer).await {
            ConsumerEvent::Assigned(partitions) => {
                let all: Vec<_> = partitions.into_iter().map(|each| (each, Some(0))).collect();
                consumer.assign(&all).unwrap();
            }
            ConsumerEvent::Batch(batch) => texts.extend(batch.messages.iter().map(|message| {
                let value = message.value.map(|value| batch.bytes(value).to_vec());
                value.map_or("null".to_owned(), |value| String::from_utf8(value).unwrap())
            })),
            other => panic!("{other:?}"),
        }
    }
    consumer.close(std::time::Duration::from_secs(5)).await;
    texts
}

pub(super) fn numbers(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|number| format!("{{\"n\":{number}}}")).collect()
}

pub(super) async fn stored_is(bench: &Bench, next: i64) {
    eventually_async("the offset to be stored", 30, || async {
        let stored = bench.store.source_offsets(&bench.connector).await.unwrap();
        if stored == [offset(next)] { Ok(()) } else { Err(stored) }
    })
    .await;
}

#[tokio::test]
async fn rows_arrive_in_order_and_the_last_whole_group_is_stored_and_told() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let turns = vec![Turn::Group(3), Turn::Group(0), Turn::Group(500), Turn::Open(2)];
    let source = FakeSource::new(&topic, 0, turns);
    let told = source.told.clone();
    let running = bench.start_source(source).await;
    stored_is(&bench, 503).await;
    assert_eq!(read(&topic, 505).await, numbers(0..505));
    running.stop().await.unwrap();
    assert_eq!(told.last(), Some(503), "the group that is open is not described by an offset");
    assert_eq!(bench.store.topics(&bench.connector).await.unwrap(), [topic]);
}

#[tokio::test]
async fn transforms_are_applied_to_whole_shapes_and_to_single_records_alike() {
    let topic = unique("source");
    let target = format!("{topic}-routed");
    let mut config = vec![
        ("transforms", "route"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", "(.*)"),
        ("transforms.route.replacement", "$1-routed"),
    ];
    Clients::new().create(&target, 1).await;
    let bench = Bench::new(&config).await;
    let running = bench.start_source(FakeSource::new(&topic, 0, vec![Turn::Group(2)])).await;
    stored_is(&bench, 2).await;
    running.stop().await.unwrap();

    // A header is of each record: no whole shape has one.
    config[0].1 = "mark,route";
    config.extend([
        ("transforms.mark.type", "org.apache.kafka.connect.transforms.InsertHeader"),
        ("transforms.mark.header", "mark"),
        ("transforms.mark.value.literal", "here"),
    ]);
    let bench = Bench::new(&config).await;
    let running = bench.start_source(FakeSource::new(&topic, 2, vec![Turn::Group(2)])).await;
    stored_is(&bench, 4).await;
    running.stop().await.unwrap();
    assert_eq!(bench.store.topics(&bench.connector).await.unwrap(), std::slice::from_ref(&target));
    assert_eq!(read(&target, 4).await, numbers(0..4));
}

#[tokio::test]
async fn groups_of_dropped_rows_are_stored_all_the_same() {
    let bench = Bench::new(&[
        ("transforms", "none"),
        ("transforms.none.type", "org.apache.kafka.connect.transforms.Filter"),
    ])
    .await;
    let turns = vec![Turn::Group(2), Turn::Tree(0), Turn::Group(3)];
    let running = bench.start_source(FakeSource::new("nowhere", 0, turns)).await;
    stored_is(&bench, 5).await;
    running.stop().await.unwrap();
    assert!(bench.store.topics(&bench.connector).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_goes_on_at_the_stored_offset() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let first = bench.start_source(FakeSource::new(&topic, 0, vec![Turn::Group(2)])).await;
    stored_is(&bench, 2).await;
    first.kill().await;
    let second = bench.start_source(FakeSource::new(&topic, 2, vec![Turn::Group(2)])).await;
    stored_is(&bench, 4).await;
    second.stop().await.unwrap();
    assert_eq!(read(&topic, 4).await, numbers(0..4));
}

#[tokio::test]
async fn nothing_is_stored_while_the_brokers_are_away() {
    let bench = Bench::new(&[]).await.without_kafka();
    let source = FakeSource::new("t", 0, vec![Turn::Group(1), Turn::Group(0)]);
    let told = source.told.clone();
    let mut running = bench.start_source(source).await;
    let shown = running.condition.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert_eq!(shown.to_string(), "waiting for Kafka: no broker of bootstrap.servers is reachable");
    let started = std::time::Instant::now();
    running.stop().await.unwrap();
    assert!(started.elapsed().as_secs() < 7, "the graceful stop is bounded");
    assert_eq!(told.last(), None);
    assert!(bench.store.source_offsets(&bench.connector).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_is_away_is_tried_again_and_shown() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let away = Turn::Fail(ConnectError::retriable("the database is away"));
    let turns = vec![Turn::Group(1), away, Turn::Group(1)];
    let mut running = bench.start_source(FakeSource::new(&topic, 0, turns)).await;
    let shown = running.condition.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    let shown = shown.to_string();
    assert!(shown.starts_with("the database is away; next attempt at 20"), "{shown}");
    running.condition.wait_for(Option::is_none).await.unwrap();
    stored_is(&bench, 2).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_error_that_will_not_pass_ends_the_task_after_storing_what_arrived() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let turns = vec![Turn::Group(7), Turn::Fail(ConnectError::fatal("the slot is gone"))];
    let running = bench.start_source(FakeSource::new(&topic, 0, turns)).await;
    let error = running.ended().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Fatal, "the slot is gone"));
    stored_is(&bench, 7).await;
}

#[tokio::test]
async fn progress_waits_for_the_state_database_and_is_stored_when_it_is_back() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let gate = Arc::new(Notify::new());
    let turns = vec![Turn::Group(1), Turn::Wait(gate.clone()), Turn::Group(1), Turn::Group(1)];
    let mut running = bench.start_source(FakeSource::new(&topic, 0, turns)).await;
    stored_is(&bench, 1).await;
    bench.allow_connections(false).await;
    gate.notify_one();
    let away = |shown: &Option<Condition>| {
        shown.as_ref().is_some_and(|text| text.to_string().contains("the state database is away"))
    };
    running.condition.wait_for(away).await.unwrap();
    assert_eq!(read(&topic, 3).await, numbers(0..3), "producing goes on for a while");
    bench.allow_connections(true).await;
    stored_is(&bench, 3).await;
    running.condition.wait_for(Option::is_none).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_fenced_task_fails() {
    let bench = Bench::new(&[]).await;
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    let gate = Arc::new(Notify::new());
    let turns = vec![Turn::Wait(gate.clone()), Turn::Group(1)];
    let running = bench.start_source(FakeSource::new(&topic, 0, turns)).await;
    bench.lease(0).await;
    gate.notify_one();
    let error = running.ended().await.unwrap_err();
    assert!(error.to_string().contains("fenced"), "{error}");
    assert!(bench.store.source_offsets(&bench.connector).await.unwrap().is_empty());
}

#[tokio::test]
async fn records_of_their_own_keep_partition_time_and_headers() {
    let bench = Bench::new(&[
        ("topic.creation.default.replication.factor", "-1"),
        ("topic.creation.default.partitions", "3"),
    ])
    .await;
    let topic = unique("source");
    let source = FakeSource::new(&topic, 0, vec![Turn::Tree(2)]);
    let running = bench.start_source(source).await;
    stored_is(&bench, 0).await;
    running.stop().await.unwrap();
    let mut consumer = Clients::new().consumer(&unique("reader"), std::slice::from_ref(&topic));
    let ConsumerEvent::Assigned(partitions) = next_event(&mut consumer).await else {
        panic!("assigned")
    };
    assert_eq!(partitions.len(), 3, "the topic was made as configured");
    let all: Vec<_> = partitions.into_iter().map(|each| (each, None)).collect();
    consumer.assign(&all).unwrap();
    let ConsumerEvent::Batch(batch) = next_event(&mut consumer).await else { panic!("a batch") };
    let message = batch.messages[0];
    assert_eq!(batch.partitions[0].partition, 2);
    assert_eq!(message.timestamp_ms, Some(1_700_000_000_000));
    assert_eq!(batch.bytes(message.key.unwrap()), b"\"k\"");
    assert_eq!(message.value, None, "a tombstone");
    assert_eq!(batch.bytes(batch.headers[0].1.unwrap()), b"v");
    consumer.close(std::time::Duration::from_secs(5)).await;
}
