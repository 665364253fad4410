//! Exactly-once sources: where transactions end, and who may end them.

use std::sync::Arc;
use std::time::Duration;

use ferroconnect::connector::{TransactionContext, TransactionEnd};
use ferroconnect::error::{ConnectError, ErrorKind};
use ferroconnect::kafka::{Producer, read_compacted};
use ferroconnect::runtime::transactions::Transactional;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Notify;

use super::errors::tiny_topic;
use super::fakes::{FakeSource, Turn};
use super::source::{numbers, read_from, stored_is};
use super::{Bench, Running};
use crate::kafka::Clients;
use crate::support::{eventually_async, services, unique};

const DEADLINE: Duration = Duration::from_secs(20);

/// Opens transactions for a task of `bench`, as the runtime does.
async fn open(bench: &Bench, context: Option<Arc<TransactionContext>>) -> Transactional {
    let clients = Clients::new();
    let producer = Producer::transactional(&clients.props(), &bench.connector).unwrap();
    producer.init_transactions(DEADLINE).await.unwrap();
    let offsets_topic = format!("{}-offsets", bench.connector);
    clients.ensure(&offsets_topic).await;
    Transactional { producer, offsets_topic, context }
}

async fn start(bench: &Bench, source: FakeSource) -> Running {
    let transactional = open(bench, source.transactions.clone()).await;
    bench.start_transactional(source, transactional).await
}

async fn new_topic() -> String {
    let topic = unique("source");
    Clients::new().create(&topic, 1).await;
    topic
}

/// Up to where a reader of committed records comes, control records included.
fn committed_end(topic: &str) -> i64 {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", &services().kafka).set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.set("group.id", "none").create().unwrap();
    consumer.fetch_watermarks(topic, 0, DEADLINE).unwrap().1
}

/// The offset in the topic, once there is one.
async fn recorded(bench: &Bench) -> Option<String> {
    let clients = Clients::new();
    let topic = format!("{}-offsets", bench.connector);
    let latest = read_compacted(&clients.props(), &topic, DEADLINE).await.unwrap().unwrap();
    let key = format!("[\"{}\",{{\"p\":1}}]", bench.connector);
    latest.get(key.as_bytes()).map(|value| String::from_utf8(value.clone()).unwrap())
}

async fn recorded_is(bench: &Bench, next: i64) {
    let expected = Some(format!("{{\"next\":{next}}}"));
    eventually_async("the offset in the topic", 30, || async {
        let recorded = recorded(bench).await;
        if recorded == expected { Ok(()) } else { Err(recorded) }
    })
    .await;
}

#[tokio::test]
async fn each_poll_is_a_transaction_up_to_its_last_seal() {
    let (bench, topic) = (Bench::new(&[]).await, new_topic().await);
    let gate = Arc::new(Notify::new());
    let turns = vec![
        Turn::Group(3),
        Turn::Open(2),
        Turn::Wait(gate.clone()),
        Turn::Group(1),
        Turn::Group(0),
    ];
    let running = start(&bench, FakeSource::new(&topic, 0, turns)).await;
    recorded_is(&bench, 3).await;
    stored_is(&bench, 3).await;
    // The two rows that nothing describes yet are sent, and not committed.
    assert_eq!(read_from(&services().kafka, &topic, 3).await, numbers(0..3));
    gate.notify_one();
    recorded_is(&bench, 6).await;
    assert_eq!(read_from(&services().kafka, &topic, 6).await, numbers(0..6));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_no_offset_describes_is_taken_back_at_the_end() {
    let (bench, topic) = (Bench::new(&[]).await, new_topic().await);
    let turns = vec![Turn::Group(2), Turn::Open(2)];
    let running = start(&bench, FakeSource::new(&topic, 0, turns)).await;
    recorded_is(&bench, 2).await;
    eventually_async("the open rows in the topic", 20, || async {
        let end = committed_end(&topic);
        if end == 3 { Ok(()) } else { Err(end) }
    })
    .await;
    running.stop().await.unwrap();
    let turns = vec![Turn::Group(2)];
    let running = start(&bench, FakeSource::new(&topic, 2, turns)).await;
    recorded_is(&bench, 4).await;
    running.stop().await.unwrap();
    assert_eq!(read_from(&services().kafka, &topic, 4).await, numbers(0..4));
}

#[tokio::test]
async fn transactions_of_an_interval_end_at_the_first_seal_behind_it_and_at_a_stop() {
    let long =
        [("transaction.boundary", "interval"), ("transaction.boundary.interval.ms", "600000")];
    let (bench, topic) = (Bench::new(&long).await, new_topic().await);
    let source = FakeSource::new(&topic, 0, vec![Turn::Group(2), Turn::Group(2)]);
    let polls = source.polls.clone();
    let running = start(&bench, source).await;
    eventually_async("both groups to be handed over", 20, || async {
        let polls = polls.load(std::sync::atomic::Ordering::Relaxed);
        if polls == 3 { Ok(()) } else { Err(polls) }
    })
    .await;
    assert_eq!((committed_end(&topic), recorded(&bench).await), (0, None), "nothing is committed");
    running.stop().await.unwrap();
    recorded_is(&bench, 4).await;
    assert_eq!(read_from(&services().kafka, &topic, 4).await, numbers(0..4));

    let short = [("transaction.boundary", "interval"), ("transaction.boundary.interval.ms", "200")];
    let (bench, topic) = (Bench::new(&short).await, new_topic().await);
    let running = start(&bench, FakeSource::new(&topic, 0, vec![Turn::Group(2)])).await;
    // Nothing more comes, and the time passes all the same.
    recorded_is(&bench, 2).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_connector_ends_its_transactions_itself() {
    let own = [("transaction.boundary", "connector")];
    let (bench, topic) = (Bench::new(&own).await, new_topic().await);
    let gate = Arc::new(Notify::new());
    let turns = vec![
        Turn::Group(1),
        Turn::Ending(1, TransactionEnd::Commit),
        Turn::Ending(2, TransactionEnd::Abort),
        Turn::Group(2),
        Turn::Wait(gate.clone()),
        Turn::Ending(1, TransactionEnd::Commit),
        Turn::Group(1),
    ];
    let running = start(&bench, FakeSource::new(&topic, 0, turns).with_transactions()).await;
    recorded_is(&bench, 4).await;
    assert_eq!(read_from(&services().kafka, &topic, 2).await, numbers(0..2));
    gate.notify_one();
    recorded_is(&bench, 7).await;
    // Nobody asked to commit the last one.
    running.stop().await.unwrap();
    recorded_is(&bench, 7).await;
    let expected = [numbers(0..2), numbers(4..7)].concat();
    assert_eq!(read_from(&services().kafka, &topic, 5).await, expected, "without the aborted ones");
}

#[tokio::test]
async fn a_transaction_cannot_end_where_no_offset_describes_it() {
    let own = [("transaction.boundary", "connector")];
    let (bench, topic) = (Bench::new(&own).await, new_topic().await);
    let source = FakeSource::new(&topic, 0, vec![Turn::EndingOpen(2)]).with_transactions();
    let error = start(&bench, source).await.ended().await.unwrap_err();
    let expected = "the connector ends a transaction where no offset describes its records";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Fatal, expected));
    assert_eq!(recorded(&bench).await, None);
}

#[tokio::test]
async fn who_opens_transactions_fences_who_was_there() {
    let (bench, topic) = (Bench::new(&[]).await, new_topic().await);
    let gate = Arc::new(Notify::new());
    let turns = vec![Turn::Open(2), Turn::Wait(gate.clone()), Turn::Group(1)];
    let zombie = start(&bench, FakeSource::new(&topic, 100, turns)).await;
    let successor = open(&bench, None).await;
    gate.notify_one();
    let error = zombie.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retriable, "{}", error.trace());
    let source = FakeSource::new(&topic, 0, vec![Turn::Group(3)]);
    let running = bench.start_transactional(source, successor).await;
    recorded_is(&bench, 3).await;
    running.stop().await.unwrap();
    assert_eq!(read_from(&services().kafka, &topic, 3).await, numbers(0..3));
}

#[tokio::test]
async fn a_task_without_its_lease_commits_nothing() {
    let (bench, topic) = (Bench::new(&[]).await, new_topic().await);
    let gate = Arc::new(Notify::new());
    let turns = vec![Turn::Wait(gate.clone()), Turn::Group(3)];
    let running = start(&bench, FakeSource::new(&topic, 0, turns)).await;
    bench.lease(0).await;
    gate.notify_one();
    let error = running.ended().await.unwrap_err();
    assert!(error.to_string().contains("fenced"), "{}", error.trace());
    assert_eq!(recorded(&bench).await, None);
}

#[tokio::test]
async fn a_record_that_kafka_refuses_is_not_skipped() {
    let bench = Bench::new(&[("errors.tolerance", "all")]).await;
    let source = FakeSource::new(&tiny_topic().await, 0, vec![Turn::Group(2)]);
    let error = start(&bench, source).await.ended().await.unwrap_err();
    let expected = "Unrecoverable exception from producer send callback";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Data, expected));
    assert_eq!(recorded(&bench).await, None);
}

#[tokio::test]
async fn records_do_not_go_to_the_offsets_topic() {
    let bench = Bench::new(&[]).await;
    let topic = format!("{}-offsets", bench.connector);
    let error = start(&bench, FakeSource::new(&topic, 0, vec![Turn::Group(1)])).await;
    let error: ConnectError = error.ended().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Source tasks may not produce to their own offsets topics when exactly-once support is \
         enabled"
    );
}
