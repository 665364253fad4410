use std::sync::Arc;
use std::time::Duration;

use ferroconnect::data::TopicPartition;
use ferroconnect::error::{ConnectError, ErrorKind};
use ferroconnect::kafka::{Admin, ConsumerEvent};

use super::Bench;
use super::fakes::{FakeSink, Taken};
use crate::kafka::{Clients, next_event};
use crate::support::{eventually_async, unique};

const DEADLINE: Duration = Duration::from_secs(30);

async fn taken_is(taken: &Taken, count: usize) {
    eventually_async("the records to be taken", 30, || async {
        let seen = taken.count();
        if seen == count { Ok(()) } else { Err(seen) }
    })
    .await;
}

async fn committed_is(bench: &Bench, topic: &str, next: i64) {
    let clients = Clients::new();
    let group = format!("connect-{}", bench.connector);
    let expected = vec![(TopicPartition { topic: topic.into(), partition: 0 }, next)];
    eventually_async("the group's offsets", 30, || async {
        let seen =
            Admin::new(&clients.props()).unwrap().group_offsets(&group, DEADLINE).await.unwrap();
        if seen == expected { Ok(()) } else { Err(seen) }
    })
    .await;
    eventually_async("the mirror", 30, || async {
        let seen = bench.store.sink_offsets(&bench.connector).await.unwrap();
        if seen == expected { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[tokio::test]
async fn records_are_taken_and_their_offsets_committed_to_group_and_mirror() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    let running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    taken_is(&taken, 3).await;
    committed_is(&bench, &topic, 3).await;
    clients.produce(&topic, &["{\"a\":4}"]).await;
    taken_is(&taken, 4).await;
    // Not waiting for the interval: stopping commits.
    running.stop().await.unwrap();
    committed_is(&bench, &topic, 4).await;
    assert_eq!(bench.store.topics(&bench.connector).await.unwrap(), std::slice::from_ref(&topic));
    assert_eq!(*taken.closed.lock().unwrap(), [(0, 0)]);
    assert!(taken.records.lock().unwrap().values().all(|times| *times == 1));

    let mut again = FakeSink::new(0, &taken);
    again.start_at = Some(2);
    let running = bench.start_sink(0, again).await;
    eventually_async("the task's own offset to win", 30, || async {
        let seen = taken.records.lock().unwrap().clone();
        if seen[&(0, 2)] == 2 && seen[&(0, 3)] == 2 { Ok(()) } else { Err(seen) }
    })
    .await;
    assert_eq!(taken.records.lock().unwrap()[&(0, 1)], 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_is_given_again() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["1", "2"]).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    for _ in 0..2 {
        taken.failures.lock().unwrap().push(ConnectError::retriable("the bucket is away"));
    }
    let mut running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    let shown = running.condition.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    let shown = shown.to_string();
    assert!(shown.starts_with("the bucket is away; next attempt at 20"), "{shown}");
    taken_is(&taken, 2).await;
    running.condition.wait_for(Option::is_none).await.unwrap();
    committed_is(&bench, &topic, 2).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_sink_that_will_not_pass_ends_the_task() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["1"]).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    taken.failures.lock().unwrap().push(ConnectError::config("no such bucket"));
    let running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    let error = running.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.trace(),
        "Exiting WorkerSinkTask due to unrecoverable exception.\nCaused by: no such bucket"
    );
}

#[tokio::test]
async fn a_second_task_shares_the_partitions_and_gives_them_back() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 2).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    let first = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    let opened = |count: usize| {
        let taken = taken.clone();
        async move {
            eventually_async("partitions to be opened", 30, || async {
                let seen = taken.opened.lock().unwrap().clone();
                if seen.len() == count { Ok(()) } else { Err(seen) }
            })
            .await;
        }
    };
    opened(2).await;
    let second = bench.start_sink(1, FakeSink::new(1, &taken)).await;
    opened(3).await;
    assert_eq!(taken.closed.lock().unwrap().len(), 1, "only the one that moved");
    clients.produce(&topic, &["1", "2"]).await;
    taken_is(&taken, 2).await;
    second.stop().await.unwrap();
    opened(4).await;
    clients.produce(&topic, &["3"]).await;
    taken_is(&taken, 3).await;
    first.stop().await.unwrap();
    assert!(taken.records.lock().unwrap().values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_sink_that_can_take_nothing_still_gives_partitions_up() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 2).await;
    clients.produce(&topic, &["1", "2", "3"]).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    taken.fail_often("the bucket is away");
    let mut first = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    first.condition.wait_for(Option::is_some).await.unwrap();
    let second = bench.start_sink(1, FakeSink::new(1, &taken)).await;
    eventually_async("the second task to get its share", 30, || async {
        let seen = taken.opened.lock().unwrap().clone();
        if seen.iter().any(|(task, _)| *task == 1) { Ok(()) } else { Err(seen) }
    })
    .await;
    taken.failures.lock().unwrap().clear();
    taken_is(&taken, 3).await;
    committed_is(&bench, &topic, 3).await;
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_record_fails_the_task_unless_it_is_tolerated() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["1", "{oops", "2"]).await;
    let taken = Arc::new(Taken::default());

    let strict = Bench::new(&[("topics", &topic)]).await;
    let error = strict.start_sink(0, FakeSink::new(0, &taken)).await.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let trace = error.trace();
    assert!(trace.starts_with("Tolerance exceeded in error handler\nCaused by: "), "{trace}");
    assert!(trace.contains(&format!("topic \"{topic}\", partition 0, offset 1")), "{trace}");
    assert_eq!(taken.count(), 0);
}

/// KIP-298: what each stage leaves in the dead letter queue, header by header.
#[tokio::test]
async fn a_tolerated_record_is_in_the_dead_letter_queue_with_every_header() {
    const TRANSFORM: &[(&str, &str)] = &[
        ("transforms", "cast"),
        ("transforms.cast.type", "org.apache.kafka.connect.transforms.Cast$Value"),
        ("transforms.cast.spec", "n:int64"),
    ];
    for (value, stage, class, more) in [
        ("{oops", "VALUE_CONVERTER", "org.apache.kafka.connect.json.JsonConverter", &[][..]),
        (
            "{\"n\":\"none\"}",
            "TRANSFORMATION",
            "org.apache.kafka.connect.transforms.Cast$Value",
            TRANSFORM,
        ),
    ] {
        let (topic, dead_letters) = (unique("sink"), unique("dlq"));
        let clients = Clients::new();
        clients.create(&topic, 1).await;
        clients.produce(&topic, &["{\"n\":\"1\"}", value, "{\"n\":\"2\"}"]).await;
        let own = [
            ("topics", topic.as_str()),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", &dead_letters),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ];
        let bench = Bench::new(&[&own[..], more].concat()).await;
        let taken = Arc::new(Taken::default());
        let running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
        taken_is(&taken, 2).await;
        committed_is(&bench, &topic, 3).await;
        running.stop().await.unwrap();
        let (found, mut headers) = dead_letter(&dead_letters).await;
        assert_eq!(found, value);
        // Texts of ours: what went wrong, and its causes.
        let trace = headers.pop().unwrap();
        let message = headers.pop().unwrap();
        let header =
            |name: &str, value: &str| (format!("__connect.errors.{name}"), value.to_owned());
        assert_eq!(
            headers,
            [
                header("topic", &topic),
                header("partition", "0"),
                header("offset", "1"),
                header("connector.name", &bench.connector),
                header("task.id", "0"),
                header("stage", stage),
                header("class.name", class),
                header("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
            ]
        );
        assert_eq!(message.0, "__connect.errors.exception.message");
        assert_eq!(trace.0, "__connect.errors.exception.stacktrace");
        let start = format!("org.apache.kafka.connect.errors.DataException: {}", message.1);
        assert!(!message.1.is_empty() && trace.1.starts_with(&start), "{message:?} {trace:?}");
        assert!(trace.1.ends_with('\n'), "{trace:?}");
    }
}

/// The value and the headers, in order, of the first record of a dead letter queue.
async fn dead_letter(topic: &str) -> (String, Vec<(String, String)>) {
    let mut consumer = Clients::new().consumer(&unique("reader"), &[topic.to_owned()]);
    let ConsumerEvent::Assigned(partitions) = next_event(&mut consumer).await else {
        panic!("assigned")
    };
    assert_eq!(partitions.len(), 1);
    consumer.assign(&[(partitions[0].clone(), Some(0))]).unwrap();
    let ConsumerEvent::Batch(batch) = next_event(&mut consumer).await else { panic!("a batch") };
    let text = |span| String::from_utf8(batch.bytes(span).to_vec()).unwrap();
    let value = text(batch.messages[0].value.unwrap());
    let (first, count) = batch.messages[0].headers;
    let own = batch.headers.iter().skip(first as usize).take(count as usize);
    let headers = own.map(|(name, value)| (text(*name), text(value.unwrap()))).collect();
    consumer.close(DEADLINE).await;
    (value, headers)
}

#[tokio::test]
async fn a_paused_sink_takes_nothing_and_keeps_its_partitions() {
    let topic = unique("sink");
    let clients = Clients::new();
    clients.create(&topic, 1).await;
    let bench = Bench::new(&[("topics", &topic)]).await;
    let taken = Arc::new(Taken::default());
    let running = bench.start_sink(0, FakeSink::new(0, &taken)).await;
    clients.produce(&topic, &["1"]).await;
    taken_is(&taken, 1).await;
    running.pause(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    clients.produce(&topic, &["2"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(taken.count(), 1);
    assert!(taken.closed.lock().unwrap().is_empty());
    running.pause(false);
    taken_is(&taken, 2).await;
    running.stop().await.unwrap();
}
