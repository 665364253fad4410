//! Reading topics: the floor of consuming, waiting for records, and the ledger check.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::cpu;
use crate::ledger::{Ids, id_in_json};

/// How long a broker on this machine may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a watched topic may take from one record to the next.
const PROGRESS: Duration = Duration::from_secs(60);

/// Consumes everything and looks at no byte.
pub(crate) fn consume_floor(kafka: &str, topic: &str) -> Result<Value> {
    let before = cpu::own()?;
    let begun = Instant::now();
    let mut bytes = 0_u64;
    let events = for_each(kafka, topic, |message| {
        bytes += message.payload_len() as u64;
        Ok(())
    })?;
    Ok(json!({
        "events": events,
        "bytes": bytes,
        "wall_s": begun.elapsed().as_secs_f64(),
        "client_cpu_s": cpu::own()? - before,
    }))
}

/// Says whether the topic holds every id from 1 to `rows` once, with a record as an example.
pub(crate) fn ledger(kafka: &str, topic: &str, rows: u64) -> Result<Value> {
    let mut ids = Ids::new(rows)?;
    let (mut key_bytes, mut value_bytes, mut example) = (0_u64, 0_u64, None);
    for_each(kafka, topic, |message| {
        let key = message.key().context("a record without key")?;
        let value = message.payload().context("a record without value")?;
        ids.see(id_in_json(key).context("a key without id")?);
        key_bytes += key.len() as u64;
        value_bytes += value.len() as u64;
        example.get_or_insert_with(|| String::from_utf8_lossy(value).into_owned());
        Ok(())
    })?;
    let mut verdict = ids.verdict();
    verdict["key_bytes"] = key_bytes.into();
    verdict["value_bytes"] = value_bytes.into();
    verdict["example"] = example.into();
    Ok(verdict)
}

/// How many milliseconds lie between a row's commit, as the server's clock has it, and the broker's
/// append of its record. The broker tells whole milliseconds, counted up here.
pub(crate) fn latency(kafka: &str, topic: &str) -> Result<Value> {
    let mut millis = Vec::new();
    for_each(kafka, topic, |message| {
        let Timestamp::LogAppendTime(append_ms) = message.timestamp() else {
            bail!("the topic has no LogAppendTime");
        };
        let value: Value = serde_json::from_slice(message.payload().context("a tombstone")?)?;
        let commit_us = value["source"]["ts_us"].as_i64().context("an event without a commit")?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
        millis.push(((append_ms + 1) * 1000 - commit_us) as f64 / 1000.0);
        Ok(())
    })?;
    millis.sort_by(f64::total_cmp);
    let at = |percent: usize| millis.get((millis.len() * percent / 100).min(millis.len() - 1));
    ensure!(!millis.is_empty(), "the topic is empty");
    Ok(json!({ "p50_ms": at(50), "p99_ms": at(99), "max_ms": at(100) }))
}

/// Waits for `rows` records; tells when the first was seen and when all were.
pub(crate) fn watch(kafka: &str, topic: &str, rows: u64, every_ms: u64) -> Result<Value> {
    let consumer = consumer(kafka)?;
    let (mut first, mut last, mut seen) = (None, Instant::now(), 0);
    loop {
        // Until the product has made the topic there is nothing to ask.
        let now = end_of(&consumer, topic).unwrap_or(0);
        if now > seen {
            first.get_or_insert(unix_seconds()?);
            (seen, last) = (now, Instant::now());
        }
        if seen >= rows {
            return Ok(json!({ "first": first, "all": unix_seconds()?, "events": seen }));
        }
        ensure!(last.elapsed() < PROGRESS, "{topic} stays at {seen} of {rows} records");
        #[expect(clippy::disallowed_methods, reason = "one thread, which does only this")]
        std::thread::sleep(Duration::from_millis(every_ms));
    }
}

/// How many records the topic has taken.
pub(crate) fn end(kafka: &str, topic: &str) -> Result<u64> {
    end_of(&consumer(kafka)?, topic)
}

/// Runs one future to its end; librdkafka's own threads do the work.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    use std::task::{Context as TaskContext, Poll, Waker};
    let mut future = std::pin::pin!(future);
    let deadline = Instant::now() + ANSWER;
    loop {
        if let Poll::Ready(value) =
            future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
        {
            return Ok(value);
        }
        ensure!(Instant::now() < deadline, "the broker does not answer");
        #[expect(clippy::disallowed_methods, reason = "one thread, which does only this")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn for_each(
    kafka: &str,
    topic: &str,
    mut see: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
) -> Result<u64> {
    let consumer = consumer(kafka)?;
    let mut left = 0;
    let mut assignment = TopicPartitionList::new();
    for partition in partitions(&consumer, topic)? {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER)?;
        left += u64::try_from(high - low)?;
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let records = left;
    while left > 0 {
        let message =
            consumer.poll(ANSWER).with_context(|| format!("{topic}: {left} missing"))??;
        see(&message)?;
        left -= 1;
    }
    Ok(records)
}

fn end_of(consumer: &BaseConsumer, topic: &str) -> Result<u64> {
    let mut sum = 0;
    for partition in partitions(consumer, topic)? {
        let (_, high) = consumer.fetch_watermarks(topic, partition, ANSWER)?;
        sum += u64::try_from(high)?;
    }
    Ok(sum)
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().first().context("no such topic")?;
    ensure!(!found.partitions().is_empty(), "no such topic");
    Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
}

fn consumer(kafka: &str) -> Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "ferroconnect-bench")
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .set("queued.max.messages.kbytes", "16384")
        .set("log_level", "3")
        .create()?)
}

fn unix_seconds() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}
