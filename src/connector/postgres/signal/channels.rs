//! Where signals come from beside the stream: a file, a Kafka topic. One task per channel, all into one
//! queue.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::config::{Parsed, Props};
use crate::connector::postgres::signal::{Signal, file};
use crate::connector::{TopicReader, Topics};
use crate::error::ConnectError;

/// More signals than this wait where they are.
const QUEUED_MAX: usize = 16;
/// Between two attempts to read the topic.
const PAUSE: Duration = Duration::from_secs(5);

/// `signal.*`.
#[derive(Debug, Clone, Default)]
pub(in crate::connector::postgres) struct SignalConfig {
    /// `schema.table` of the signalling table, where the channel `source` is on.
    pub(in crate::connector::postgres) table: Option<String>,
    file: Option<PathBuf>,
    kafka: Option<KafkaSignals>,
    interval: Duration,
}

/// The channel `kafka`.
#[derive(Debug, Clone)]
struct KafkaSignals {
    topic: String,
    group: String,
    /// Signals for other connectors have other keys.
    key: String,
    props: Props,
}

impl SignalConfig {
    pub(in crate::connector::postgres) fn new(props: &Props, parsed: &Parsed) -> Self {
        let channels = parsed.list("signal.enabled.channels");
        let has = |name: &str| channels.iter().any(|channel| channel == name);
        for channel in
            channels.iter().filter(|name| !["source", "kafka", "file"].contains(&&***name))
        {
            tracing::warn!(
                channel,
                "signal.enabled.channels: no such channel here; there are source, kafka and file"
            );
        }
        let prefix = parsed.string("topic.prefix");
        let text =
            |key: &str| props.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let kafka = has("kafka").then(|| KafkaSignals {
            topic: text("signal.kafka.topic").map_or(format!("{prefix}-signal"), str::to_owned),
            group: text("signal.kafka.groupId").unwrap_or("kafka-signal").to_owned(),
            key: prefix.clone(),
            props: consumer_props(props),
        });
        let interval = parsed.integer("signal.poll.interval.ms");
        Self {
            table: has("source")
                .then(|| parsed.list("signal.data.collection").into_iter().next())
                .flatten(),
            file: has("file")
                .then(|| PathBuf::from(text("signal.file").unwrap_or("file-signals.txt"))),
            kafka,
            interval: Duration::from_millis(u64::try_from(interval).unwrap_or(5000)),
        }
    }
}

impl SignalConfig {
    /// Whether signals can come at all.
    pub(in crate::connector::postgres) fn is_on(&self) -> bool {
        self.table.is_some() || self.file.is_some() || self.kafka.is_some()
    }
}

/// `signal.consumer.*` and `signal.kafka.bootstrap.servers`, as a consumer takes them.
fn consumer_props(props: &Props) -> Props {
    let of = |(key, value): (&String, &String)| {
        Some((key.strip_prefix("signal.consumer.")?.to_owned(), value.clone()))
    };
    let mut consumer: Props = props.iter().filter_map(of).collect();
    if let Some(servers) = props.get("signal.kafka.bootstrap.servers") {
        consumer.insert("bootstrap.servers".to_owned(), servers.clone());
    }
    consumer
}

/// The running channels.
#[derive(Debug)]
pub(in crate::connector::postgres) struct Channels {
    signals: mpsc::Receiver<Signal>,
    /// Ends the channels with this value.
    _tasks: JoinSet<()>,
}

impl Channels {
    /// Starts the channels that are on; `topics` reads Kafka.
    pub(in crate::connector::postgres) fn start(
        config: &SignalConfig,
        topics: Option<Arc<dyn Topics>>,
    ) -> Self {
        let (out, signals) = mpsc::channel(QUEUED_MAX);
        let mut tasks = JoinSet::new();
        if let Some(path) = &config.file {
            let watching = file::watch(path.clone(), config.interval, out.clone());
            tasks.spawn(watching.in_current_span());
        }
        if let (Some(kafka), Some(topics)) = (&config.kafka, topics) {
            tasks.spawn(listen(kafka.clone(), topics, out).in_current_span());
        }
        Self { signals, _tasks: tasks }
    }

    /// The next signal; waits for ever where no channel is on. Cancel-safe.
    pub(in crate::connector::postgres) async fn next(&mut self) -> Signal {
        match self.signals.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// Reads the topic until nobody listens.
async fn listen(kafka: KafkaSignals, topics: Arc<dyn Topics>, out: mpsc::Sender<Signal>) {
    loop {
        let mut reader = match topics.read(&kafka.topic, &kafka.group, &kafka.props) {
            Ok(reader) => reader,
            Err(error) => {
                let error = error.trace();
                tracing::warn!(topic = kafka.topic, error, "cannot read the signal topic");
                return;
            }
        };
        let Err(error) = forward(&kafka, reader.as_mut(), &out).await else { return };
        let error = error.trace();
        tracing::warn!(topic = kafka.topic, error, "the signal topic cannot be read, trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// `Ok` when nobody listens any more.
async fn forward(
    kafka: &KafkaSignals,
    reader: &mut dyn TopicReader,
    out: &mpsc::Sender<Signal>,
) -> Result<(), ConnectError> {
    loop {
        let message = tokio::select! {
            message = reader.next() => message?,
            () = out.closed() => return Ok(()),
        };
        let key = message.key.as_deref().map(String::from_utf8_lossy);
        if key.as_deref() != Some(kafka.key.as_str()) {
            tracing::info!(topic = kafka.topic, key = key.as_deref(), "a signal for another");
            continue;
        }
        let value = message.value.unwrap_or_default();
        match read_json(&String::from_utf8_lossy(&value)) {
            Ok(signal) => {
                if out.send(signal).await.is_err() {
                    return Ok(());
                }
            }
            Err(reason) => {
                tracing::warn!(topic = kafka.topic, reason, "a message of the topic is no signal");
            }
        }
    }
}

/// A signal as one JSON object, whose data is an object or its text.
pub(super) fn read_json(text: &str) -> Result<Signal, String> {
    #[derive(Deserialize)]
    struct Members {
        #[serde(default)]
        id: Option<String>,
        r#type: String,
        #[serde(default)]
        data: serde_json::Value,
    }
    let members: Members = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let data = match members.data {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    // Without an id of its own it still can be told apart in notifications.
    let id = members.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    Ok(Signal { id, kind: members.r#type, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_an_object_or_its_text() {
        for (text, data) in [
            (r#"{"id":"1","type":"log","data":{"message":"x"}}"#, r#"{"message":"x"}"#),
            (r#"{"id":"1","type":"log","data":"{\"message\":\"x\"}"}"#, r#"{"message":"x"}"#),
            (r#"{"id":"1","type":"log"}"#, ""),
        ] {
            let expected =
                Signal { id: "1".to_owned(), kind: "log".to_owned(), data: data.to_owned() };
            assert_eq!(read_json(text), Ok(expected), "{text}");
        }
        assert!(read_json("[]").is_err());
    }
}
