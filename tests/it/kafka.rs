//! Producer, consumer and admin against the real broker.

use std::collections::BTreeSet;
use std::time::Duration;

use ferroconnect::config::Props;
use ferroconnect::data::TopicPartition;
use ferroconnect::kafka::{
    Admin, ClientProps, Consumer, ConsumerEvent, ConsumerOptions, CreateOutcome, MessageBatch,
    MessageHeaders, NewTopic, Outgoing, Producer, Refused, Reports,
};

use crate::support::{services, unique};

const DEADLINE: Duration = Duration::from_secs(30);

/// The properties of clients of the test broker.
pub(crate) struct Clients {
    pub(crate) bootstrap_servers: String,
    pub(crate) none: Props,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self { bootstrap_servers: services().kafka.clone(), none: Props::new() }
    }

    pub(crate) fn props(&self) -> ClientProps<'_> {
        ClientProps {
            bootstrap_servers: &self.bootstrap_servers,
            worker: &self.none,
            connector: &self.none,
            client_id: "test",
        }
    }

    pub(crate) async fn create(&self, topic: &str, partitions: i32) {
        let new = NewTopic {
            name: topic.to_owned(),
            partitions,
            replication_factor: -1,
            config: vec![("retention.ms".to_owned(), "-1".to_owned())],
        };
        let admin = Admin::new(&self.props()).unwrap();
        let before = admin.partitions_of(topic, DEADLINE).await.unwrap();
        assert_eq!(before, None, "asking does not make it");
        assert_eq!(admin.create_topic(&new, DEADLINE).await.unwrap(), CreateOutcome::Created);
    }

    /// Makes a topic of one partition, unless it is there.
    pub(crate) async fn ensure(&self, topic: &str) {
        let new = NewTopic {
            name: topic.to_owned(),
            partitions: 1,
            replication_factor: -1,
            config: Vec::new(),
        };
        Admin::new(&self.props()).unwrap().create_topic(&new, DEADLINE).await.unwrap();
    }

    pub(crate) fn consumer(&self, group: &str, topics: &[String]) -> Consumer {
        self.member("test", group, topics)
    }

    /// A consumer under a name of its own: a second one of the same name would take its place.
    pub(crate) fn member(&self, client_id: &str, group: &str, topics: &[String]) -> Consumer {
        let props = ClientProps { client_id, ..self.props() };
        Consumer::new(&ConsumerOptions { props, group, topics }).unwrap()
    }

    /// Produces `values` to partition 0 and waits for every acknowledgement.
    pub(crate) async fn produce(&self, topic: &str, values: &[&str]) {
        let producer = Producer::new(&self.props()).unwrap();
        for value in values {
            let mut message = Outgoing {
                topic,
                partition: Some(0),
                value: Some(value.as_bytes()),
                ..Outgoing::default()
            };
            producer.send(&mut message, 0).unwrap();
        }
        acknowledged(&producer, values.len()).await;
    }
}

async fn acknowledged(producer: &Producer, count: usize) {
    let mut total = 0;
    let mut reports = Reports::default();
    while total < count {
        tokio::time::timeout(DEADLINE, producer.reported()).await.unwrap();
        producer.take_reports(&mut reports);
        assert!(reports.errors.is_empty(), "{:?}", reports.errors);
        total += reports.delivered.iter().map(|(_, count)| *count as usize).sum::<usize>();
        reports.clear();
    }
    assert_eq!(total, count);
}

pub(crate) async fn next_event(consumer: &mut Consumer) -> ConsumerEvent {
    tokio::time::timeout(DEADLINE, consumer.next()).await.expect("an event within the deadline")
}

async fn next_batch(consumer: &mut Consumer) -> MessageBatch {
    match next_event(consumer).await {
        ConsumerEvent::Batch(batch) => batch,
        other => panic!("expected a batch, got {other:?}"),
    }
}

/// Waits for an assignment and takes it at the group's offsets.
async fn take_assignment(consumer: &mut Consumer) -> Vec<TopicPartition> {
    let ConsumerEvent::Assigned(partitions) = next_event(consumer).await else {
        panic!("expected an assignment")
    };
    let from_group: Vec<_> = partitions.iter().map(|each| (each.clone(), None)).collect();
    consumer.assign(&from_group).unwrap();
    partitions
}

fn values(batch: &MessageBatch) -> Vec<String> {
    let text = |span| String::from_utf8(batch.bytes(span).to_vec()).unwrap();
    batch.messages.iter().map(|message| text(message.value.unwrap())).collect()
}

#[tokio::test]
async fn a_topic_is_made_once() {
    let clients = Clients::new();
    let topic = unique("kafka");
    clients.create(&topic, 3).await;
    let admin = Admin::new(&clients.props()).unwrap();
    let new =
        NewTopic { name: topic.clone(), partitions: 5, replication_factor: 1, config: vec![] };
    assert_eq!(admin.create_topic(&new, DEADLINE).await.unwrap(), CreateOutcome::Existed);
    assert_eq!(admin.partitions_of(&topic, DEADLINE).await.unwrap(), Some(vec![0, 1, 2]));
    let impossible = NewTopic { name: unique("kafka"), replication_factor: 9, ..new };
    let error = admin.create_topic(&impossible, DEADLINE).await.unwrap_err();
    assert_eq!(error.kind(), ferroconnect::error::ErrorKind::Config);
}

#[tokio::test]
async fn messages_arrive_as_they_were_sent_and_are_counted_by_group() {
    let clients = Clients::new();
    let topic = unique("kafka");
    clients.create(&topic, 1).await;
    let producer = Producer::new(&clients.props()).unwrap();
    let headers = MessageHeaders::default().with("a", Some(b"1")).with("b", None);
    let mut first = Outgoing {
        topic: &topic,
        key: Some(b"k"),
        value: Some(b""),
        timestamp_ms: Some(1_700_000_000_000),
        headers: Some(headers),
        ..Outgoing::default()
    };
    producer.send(&mut first, 7).unwrap();
    producer.send(&mut Outgoing { topic: &topic, ..Outgoing::default() }, 7).unwrap();
    acknowledged(&producer, 2).await;

    let group = unique("group");
    let mut consumer = clients.consumer(&group, std::slice::from_ref(&topic));
    take_assignment(&mut consumer).await;
    let mut batch = next_batch(&mut consumer).await;
    while batch.messages.len() < 2 {
        batch = next_batch(&mut consumer).await;
    }
    let [full, empty] = batch.messages[..] else { panic!("two messages") };
    assert_eq!(batch.bytes(full.key.unwrap()), b"k");
    assert_eq!(batch.bytes(full.value.unwrap()), b"", "empty is not null");
    assert_eq!(full.timestamp_ms, Some(1_700_000_000_000));
    let names: Vec<_> = batch.headers.iter().map(|(name, _)| batch.bytes(*name)).collect();
    assert_eq!(names, [b"a", b"b"]);
    assert_eq!(batch.headers[1].1, None);
    assert_eq!((empty.key, empty.value, empty.headers.1), (None, None, 0));
    consumer.close(DEADLINE).await;
}

/// A buffer that was used again while the producer still sent it changed records, or sent them
/// elsewhere.
#[tokio::test]
async fn cve_2026_35554_a_buffer_may_be_used_again_at_once() {
    const MESSAGES: usize = 2000;
    let clients = Clients::new();
    let topics = [unique("kafka"), unique("kafka")];
    let producer = Producer::new(&clients.props()).unwrap();
    for topic in &topics {
        clients.create(topic, 1).await;
    }
    let (mut value, mut target) = (Vec::new(), String::new());
    for number in 0..MESSAGES {
        value.clear();
        value.extend_from_slice(format!("{}-{number}", number % 2).as_bytes());
        target.clear();
        target.push_str(&topics[number % 2]);
        let mut message = Outgoing { topic: &target, value: Some(&value), ..Outgoing::default() };
        producer.send(&mut message, 0).unwrap();
    }
    value.fill(b'x');
    acknowledged(&producer, MESSAGES).await;
    for (index, topic) in topics.iter().enumerate() {
        let mut consumer = clients.consumer(&unique("group"), std::slice::from_ref(topic));
        take_assignment(&mut consumer).await;
        let mut found = Vec::new();
        while found.len() < MESSAGES / 2 {
            found.extend(values(&next_batch(&mut consumer).await));
        }
        let sent = (index..MESSAGES).step_by(2).map(|number| format!("{index}-{number}"));
        assert!(found.iter().cloned().eq(sent), "{topic}: {:?}", found.first());
        consumer.close(DEADLINE).await;
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_as_a_record_error() {
    let clients = Clients::new();
    let producer = Producer::new(&clients.props()).unwrap();
    let large = vec![b'x'; 2 << 20];
    let mut message = Outgoing { topic: "any", value: Some(&large), ..Outgoing::default() };
    let Err(Refused::Failed(error)) = producer.send(&mut message, 0) else { panic!("refused") };
    assert_eq!(error.kind(), ferroconnect::error::ErrorKind::Data);
    assert!(error.to_string().contains("max.request.size"), "{error}");
}

#[tokio::test]
async fn a_full_queue_refuses_until_reports_make_room() {
    let nobody = "127.0.0.1:1".to_owned();
    let props = Props::from([("producer.buffer.memory".to_owned(), "1048576".to_owned())]);
    let clients = ClientProps {
        bootstrap_servers: &nobody,
        worker: &props,
        connector: &Props::new(),
        client_id: "test",
    };
    let producer = Producer::new(&clients).unwrap();
    let value = vec![b'x'; 100_000];
    let refused = (0..100).find_map(|_| {
        let mut message = Outgoing { topic: "t", value: Some(&value), ..Outgoing::default() };
        producer.send(&mut message, 0).err()
    });
    assert!(matches!(refused, Some(Refused::Full)), "{refused:?}");
    let trouble = async {
        while producer.trouble().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, trouble).await.expect("the reason is known");
}

#[tokio::test]
async fn committed_offsets_are_where_the_next_member_starts() {
    let clients = Clients::new();
    let (topic, group) = (unique("kafka"), unique("connect-group"));
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["a", "b", "c"]).await;
    let topics = [topic.clone()];

    let mut consumer = clients.consumer(&group, &topics);
    let partition = take_assignment(&mut consumer).await.remove(0);
    assert_eq!(values(&next_batch(&mut consumer).await)[0], "a");
    consumer.commit(&[(partition.clone(), 1)]).await.unwrap();
    consumer.close(DEADLINE).await;
    let offsets =
        Admin::new(&clients.props()).unwrap().group_offsets(&group, DEADLINE).await.unwrap();
    assert_eq!(offsets, [(partition, 1)]);

    let mut consumer = clients.consumer(&group, &topics);
    take_assignment(&mut consumer).await;
    assert_eq!(values(&next_batch(&mut consumer).await)[0], "b");
    consumer.close(DEADLINE).await;

    let mut consumer = clients.consumer(&group, &topics);
    let ConsumerEvent::Assigned(partitions) = next_event(&mut consumer).await else {
        panic!("expected an assignment")
    };
    consumer.assign(&[(partitions[0].clone(), Some(2))]).unwrap();
    assert_eq!(values(&next_batch(&mut consumer).await), ["c"], "the task's own offset wins");
    consumer.close(DEADLINE).await;
}

#[tokio::test]
async fn a_second_member_takes_over_what_the_first_gives_up() {
    let clients = Clients::new();
    let (topic, group) = (unique("kafka"), unique("connect-group"));
    clients.create(&topic, 2).await;
    let topics = [topic.clone()];
    let mut first = clients.consumer(&group, &topics);
    assert_eq!(take_assignment(&mut first).await.len(), 2);

    let mut second = clients.member("second", &group, &topics);
    let ConsumerEvent::Revoked { partitions, lost: false } = next_event(&mut first).await else {
        panic!("expected a revocation")
    };
    assert_eq!(partitions.len(), 1);
    first.unassign(&partitions).unwrap();
    assert_eq!(take_assignment(&mut second).await, partitions);
    // Left without answering: closing must not hang, and the first gets the partition back.
    second.close(DEADLINE).await;
    assert_eq!(take_assignment(&mut first).await, partitions);
    let all: BTreeSet<_> = partitions.into_iter().collect();
    assert_eq!(all.len(), 1);
    first.close(DEADLINE).await;
}

#[tokio::test]
async fn a_partition_whose_owner_died_between_two_rounds_finds_a_new_one() {
    let clients = Clients::new();
    let (topic, group) = (unique("kafka"), unique("connect-group"));
    clients.create(&topic, 2).await;
    let topics = [topic.clone()];
    let mut first = clients.member("first", &group, &topics);
    assert_eq!(take_assignment(&mut first).await.len(), 2);
    let mut second = clients.member("second", &group, &topics);
    let ConsumerEvent::Revoked { partitions, .. } = next_event(&mut first).await else {
        panic!("expected a revocation")
    };
    // Its successor comes before it can say that it gave the partition up, which fences it.
    let mut successor = clients.member("first", &group, &topics);
    assert_eq!(take_assignment(&mut successor).await.len(), 1);
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        tokio::select! {
            event = second.next() => event,
            event = successor.next() => event,
        }
    });
    let event = found.await.expect("the partition is given out");
    assert!(matches!(&event, ConsumerEvent::Assigned(given) if *given == partitions), "{event:?}");
    first.close(DEADLINE).await;
}

#[tokio::test]
async fn closing_with_an_unanswered_assignment_ends() {
    let clients = Clients::new();
    let (topic, group) = (unique("kafka"), unique("connect-group"));
    clients.create(&topic, 1).await;
    let mut consumer = clients.consumer(&group, std::slice::from_ref(&topic));
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Assigned(_)));
    let started = std::time::Instant::now();
    consumer.close(DEADLINE).await;
    assert!(started.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_topic_that_appears_later_is_found() {
    let clients = Clients::new();
    let (topic, group) = (unique("kafka"), unique("connect-group"));
    let mut consumer = clients.consumer(&group, std::slice::from_ref(&topic));
    tokio::time::sleep(Duration::from_secs(1)).await;
    clients.create(&topic, 1).await;
    clients.produce(&topic, &["late"]).await;
    take_assignment(&mut consumer).await;
    assert_eq!(values(&next_batch(&mut consumer).await), ["late"]);
    consumer.close(DEADLINE).await;
}

#[tokio::test]
async fn an_absent_cluster_is_told_in_time() {
    let clients = Clients { bootstrap_servers: "127.0.0.1:1".to_owned(), none: Props::new() };
    let admin = Admin::new(&clients.props()).unwrap();
    let error = admin.reachable(Duration::from_millis(500)).await.unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
}
