//! Producing without the product: the floor, and the topic that the sink is measured with.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};

use crate::{cpu, narrow, topic};

/// How long the last messages may take.
const FLUSH: Duration = Duration::from_secs(120);
/// Messages that are rendered before the clock starts; then they are sent round and round.
const READY: u64 = 10_000;

/// Sends ready-made narrow change events: what librdkafka itself costs.
pub(crate) fn floor(
    kafka: &str,
    topic: &str,
    rows: u64,
    compression: &str,
    settings: &[String],
) -> Result<Value> {
    let mut ready = Vec::new();
    for id in 1..=READY.min(rows) {
        let (mut key, mut value) = (String::new(), String::new());
        narrow::bare_key(id, &mut key);
        narrow::bare_envelope(id, &mut value);
        ready.push((key, value));
    }
    create(kafka, topic, 1)?;
    let producer = producer(kafka, compression, settings)?;
    let before = cpu::own()?;
    let begun = Instant::now();
    let mut bytes = 0_u64;
    let messages = ready.iter().cycle().take(usize::try_from(rows)?);
    for (key, value) in messages {
        bytes += value.len() as u64;
        send(&producer, topic, 0, key, value)?;
    }
    producer.flush(FLUSH).context("not everything was acknowledged")?;
    Ok(json!({
        "events": rows,
        "bytes": bytes,
        "wall_s": begun.elapsed().as_secs_f64(),
        "client_cpu_s": cpu::own()? - before,
    }))
}

/// Fills `topic` with rows 1 to `rows`, spread over its partitions in turn.
pub(crate) fn fill(kafka: &str, topic: &str, rows: u64, partitions: i32) -> Result<Value> {
    create(kafka, topic, partitions)?;
    let producer = producer(kafka, "none", &[])?;
    let (mut key, mut value, mut bytes) = (String::new(), String::new(), 0_u64);
    let mut partition = 0;
    for id in 1..=rows {
        narrow::key(id, &mut key);
        narrow::flat_value(id, &mut value);
        bytes += value.len() as u64;
        send(&producer, topic, partition, &key, &value)?;
        partition = (partition + 1) % partitions;
    }
    producer.flush(FLUSH).context("not everything was acknowledged")?;
    let stored = topic::end(kafka, topic)?;
    ensure!(stored == rows, "{topic} has {stored} records instead of {rows}");
    Ok(json!({ "events": rows, "bytes": bytes }))
}

/// The settings that the product's source tasks produce with.
fn producer(
    kafka: &str,
    compression: &str,
    settings: &[String],
) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "10")
        .set("queue.buffering.max.kbytes", "16384")
        .set("compression.type", compression);
    for setting in settings {
        let (key, value) = setting.split_once('=').context("a setting is KEY=VALUE")?;
        config.set(key, value);
    }
    Ok(config.create()?)
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    partition: i32,
    key: &str,
    value: &str,
) -> Result<()> {
    let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                #[expect(clippy::disallowed_methods, reason = "one thread, which does only this")]
                std::thread::sleep(Duration::from_millis(2));
            }
            Err((error, _)) => return Err(error).context("produce"),
        }
    }
}

/// Deletes `topic` with its records.
pub(crate) fn delete(kafka: &str, topic: &str) -> Result<Value> {
    let admin = admin(kafka)?;
    let deletion = admin.delete_topics(&[topic], &AdminOptions::new());
    for result in topic::wait(deletion)?? {
        result.map_err(|(name, code)| anyhow::anyhow!("cannot delete {name}: {code}"))?;
    }
    Ok(json!({ "deleted": topic }))
}

fn create(kafka: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin = admin(kafka)?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let creation = admin.create_topics([&new], &AdminOptions::new());
    for result in topic::wait(creation)?? {
        result.map_err(|(name, code)| anyhow::anyhow!("cannot create {name}: {code}"))?;
    }
    Ok(())
}

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", kafka).create()?)
}
