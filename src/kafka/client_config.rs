//! Java client properties to librdkafka's.
//!
//! Sources: Kafka's `ProducerConfig`, `ConsumerConfig`, `CommonClientConfigs`, `SslConfigs` and
//! `SaslConfigs` for the names that files hold; librdkafka's CONFIGURATION.md for the names that it
//! takes; `Worker.java` for what the framework sets.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use super::client_security::{is_security, translate_security};
use crate::config::{Props, with_prefix};
use crate::error::ConnectError;

/// Bytes that a producer may hold unacknowledged: bounds the memory of a task whose broker is away.
/// Two full requests. More is slower: librdkafka has one request per partition under way, and while
/// messages older than `linger.ms` wait for its answer, its thread spins (an idempotent producer
/// asks to be woken at once, and then may not send). Measured with 4 MiB: twice the CPU time.
const PRODUCER_QUEUE_KBYTES: i64 = 2048;
/// Bytes that a consumer may hold ahead of the task.
const CONSUMER_QUEUE_KBYTES: &str = "4096";

/// What a client is for; also the prefix of its worker properties and connector overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    Producer,
    Consumer,
    Admin,
}

impl ClientKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Producer => "producer.",
            Self::Consumer => "consumer.",
            Self::Admin => "admin.",
        }
    }
}

/// Where a client's Java properties come from.
#[derive(Debug, Clone, Copy)]
pub struct ClientProps<'a> {
    pub bootstrap_servers: &'a str,
    /// The worker's properties: security settings as they stand, and those under `producer.`,
    /// `consumer.` and `admin.`.
    pub worker: &'a Props,
    /// The connector's properties, of which those under `producer.override.` and so on count.
    pub connector: &'a Props,
    pub client_id: &'a str,
}

/// A client's settings in librdkafka's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    pub settings: BTreeMap<String, String>,
    /// Java's `max.poll.records`, which librdkafka does not have.
    pub max_poll_records: Option<usize>,
    /// The properties that have no equivalent and no effect, by name.
    pub unknown: Vec<String>,
}

impl ClientProps<'_> {
    /// Translates what a client of `kind` is given: the framework's defaults, the worker's security
    /// settings, the worker's properties for that kind, the connector's overrides; later wins.
    ///
    /// # Errors
    /// A configuration error that names the property and the remedy, when ignoring it would change
    /// what the operator relies on (a key store of a format that cannot be read).
    pub fn translate(&self, kind: ClientKind) -> Result<Translation, ConnectError> {
        let mut java = Props::new();
        for (key, value) in self.worker {
            if is_security(key) {
                java.insert(key.clone(), value.clone());
            }
        }
        java.extend(with_prefix(self.worker, kind.prefix()));
        java.extend(with_prefix(self.connector, &format!("{}override.", kind.prefix())));
        java.entry("bootstrap.servers".to_owned())
            .or_insert_with(|| self.bootstrap_servers.to_owned());
        java.entry("client.id".to_owned()).or_insert_with(|| self.client_id.to_owned());

        let mut translation = Translation { settings: defaults(kind), ..Translation::default() };
        translate_security(&java, &mut translation)?;
        for (key, value) in java.iter().filter(|(key, _)| !is_security(key)) {
            translate_one(kind, key, value.trim(), &mut translation)?;
        }
        if kind == ClientKind::Producer {
            settle_idempotence(&java, &mut translation.settings);
            settle_queue(&mut translation.settings);
        }
        Ok(translation)
    }

    /// The configuration of a client of `kind`, with the unknown properties logged.
    pub(super) fn build(
        &self,
        kind: ClientKind,
    ) -> Result<(ClientConfig, Translation), ConnectError> {
        let translation = self.translate(kind)?;
        Ok((translation.logged(self.client_id), translation))
    }
}

impl Translation {
    /// The configuration of the client `client_id`, with the unknown properties logged.
    pub(super) fn logged(&self, client_id: &str) -> ClientConfig {
        if !self.unknown.is_empty() {
            let properties = self.unknown.join(", ");
            tracing::warn!(
                client = client_id,
                properties,
                "client properties without an equivalent are ignored"
            );
        }
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        config
    }
}

fn defaults(kind: ClientKind) -> BTreeMap<String, String> {
    let common: &[(&str, &str)] = &[
        ("log.connection.close", "false"),
        // Java's value: a broker that is back is found within a second.
        ("reconnect.backoff.max.ms", "1000"),
        ("enable.metrics.push", "false"),
        ("socket.keepalive.enable", "true"),
    ];
    let own: &[(&str, &str)] = match kind {
        ClientKind::Producer => &[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // A message is never given up: whether to go on is the task's decision.
            ("message.timeout.ms", "0"),
            // The Java client's default, so that keys keep their partition after a move.
            ("partitioner", "murmur2_random"),
            ("linger.ms", "10"),
            // A missing topic is reported after this and the task told; the task tries again.
            ("topic.metadata.propagation.max.ms", "30000"),
            ("message.max.bytes", "1048576"),
        ],
        ClientKind::Consumer => &[
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            // A task that died comes back under its own name at once (see `Consumer::new`); this is
            // how long the partitions of one that does not come back wait.
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "1000"),
            ("queued.max.messages.kbytes", CONSUMER_QUEUE_KBYTES),
            // The default of a second would stall a full queue for that long.
            ("fetch.queue.backoff.ms", "20"),
            // A topic that is made after the sink started is found within this.
            ("topic.metadata.refresh.interval.ms", "5000"),
            ("statistics.interval.ms", "10000"),
        ],
        // Asking about a topic must not make it.
        ClientKind::Admin => &[("allow.auto.create.topics", "false")],
    };
    common.iter().chain(own).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What becomes of a Java property that is no security setting.
fn translate_one(
    kind: ClientKind,
    key: &str,
    value: &str,
    out: &mut Translation,
) -> Result<(), ConnectError> {
    let name = match (kind, key) {
        (_, "bootstrap.servers" | "client.id" | "client.rack" | "client.dns.lookup") => key,
        (_, "reconnect.backoff.ms" | "reconnect.backoff.max.ms" | "connections.max.idle.ms") => key,
        (_, "retry.backoff.ms" | "retry.backoff.max.ms") => key,
        (_, "send.buffer.bytes") => "socket.send.buffer.bytes",
        (_, "receive.buffer.bytes") => "socket.receive.buffer.bytes",
        (_, "metadata.max.age.ms") => "topic.metadata.refresh.interval.ms",
        (_, "socket.connection.setup.timeout.ms") => key,
        (ClientKind::Producer, "acks" | "linger.ms" | "batch.size" | "compression.type") => key,
        (ClientKind::Producer, "enable.idempotence" | "request.timeout.ms" | "retries") => key,
        (ClientKind::Producer, "max.in.flight.requests.per.connection") => key,
        (ClientKind::Producer, "transaction.timeout.ms") => key,
        (ClientKind::Producer, "delivery.timeout.ms") => "message.timeout.ms",
        (ClientKind::Producer, "max.request.size") => "message.max.bytes",
        (ClientKind::Producer, "buffer.memory") => {
            let kbytes = number(key, value)?.div_euclid(1024).max(1);
            out.settings.insert("queue.buffering.max.kbytes".to_owned(), kbytes.to_string());
            return Ok(());
        }
        (
            ClientKind::Producer,
            "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level",
        ) => "compression.level",
        (ClientKind::Consumer, "group.id" | "group.instance.id" | "auto.offset.reset") => key,
        (ClientKind::Consumer, "session.timeout.ms" | "heartbeat.interval.ms") => key,
        (ClientKind::Consumer, "max.poll.interval.ms" | "fetch.min.bytes") => key,
        (ClientKind::Consumer, "fetch.max.bytes" | "max.partition.fetch.bytes") => key,
        (ClientKind::Consumer, "isolation.level" | "check.crcs" | "allow.auto.create.topics") => {
            key
        }
        (ClientKind::Consumer, "fetch.max.wait.ms") => "fetch.wait.max.ms",
        (ClientKind::Consumer, "partition.assignment.strategy") => {
            out.settings.insert(key.to_owned(), assignors(value));
            return Ok(());
        }
        (ClientKind::Consumer, "max.poll.records") => {
            let records = usize::try_from(number(key, value)?).unwrap_or(1).max(1);
            out.max_poll_records = Some(records);
            return Ok(());
        }
        (ClientKind::Consumer | ClientKind::Admin, "request.timeout.ms") => "socket.timeout.ms",
        // The runtime's own business: it waits instead of failing, converts before the client, and
        // commits by itself.
        (_, "max.block.ms" | "key.serializer" | "value.serializer") => return Ok(()),
        (_, "key.deserializer" | "value.deserializer" | "enable.auto.commit") => return Ok(()),
        (_, "auto.commit.interval.ms" | "default.api.timeout.ms") => return Ok(()),
        _ => {
            out.unknown.push(key.to_owned());
            return Ok(());
        }
    };
    let value = match (key, value) {
        // Java's word for it.
        ("auto.offset.reset", "none") => "error".to_owned(),
        _ => within_bounds(key, name, value)?,
    };
    out.settings.insert(name.to_owned(), value);
    Ok(())
}

/// What librdkafka takes, where Java takes more. Beyond a bound the nearest value is meant: "as long
/// as possible", or the operating system's choice for a buffer of -1.
const BOUNDS: &[(&str, i64, i64)] = &[
    ("batch.size", 1, 2_147_483_647),
    ("connections.max.idle.ms", 0, 2_147_483_647),
    ("fetch.max.bytes", 0, 2_147_483_135),
    ("fetch.min.bytes", 1, 100_000_000),
    ("fetch.wait.max.ms", 0, 300_000),
    ("heartbeat.interval.ms", 1, 3_600_000),
    ("linger.ms", 0, 900_000),
    ("max.partition.fetch.bytes", 1, 1_000_000_000),
    ("max.poll.interval.ms", 1, 86_400_000),
    ("message.max.bytes", 1_000, 1_000_000_000),
    ("message.timeout.ms", 0, 2_147_483_647),
    ("reconnect.backoff.max.ms", 0, 3_600_000),
    ("reconnect.backoff.ms", 0, 3_600_000),
    ("request.timeout.ms", 1, 900_000),
    ("retry.backoff.max.ms", 1, 300_000),
    ("retry.backoff.ms", 1, 300_000),
    ("session.timeout.ms", 1, 3_600_000),
    ("socket.connection.setup.timeout.ms", 1_000, 2_147_483_647),
    ("socket.receive.buffer.bytes", 0, 100_000_000),
    ("socket.send.buffer.bytes", 0, 100_000_000),
    ("socket.timeout.ms", 10, 300_000),
    ("topic.metadata.refresh.interval.ms", 10, 3_600_000),
    ("transaction.timeout.ms", 1_000, 2_147_483_647),
];

fn within_bounds(key: &str, name: &str, value: &str) -> Result<String, ConnectError> {
    match BOUNDS.iter().find(|(bounded, _, _)| *bounded == name) {
        None => Ok(value.to_owned()),
        Some((_, min, max)) => Ok(number(key, value)?.clamp(*min, *max).to_string()),
    }
}

fn number(key: &str, value: &str) -> Result<i64, ConnectError> {
    value.parse().map_err(|_| {
        ConnectError::config(format!("Invalid value {value} for configuration {key}: Not a number"))
    })
}

/// librdkafka refuses to mix eager and cooperative assignors, which Java allows for upgrades: a list
/// that has the cooperative one means it.
fn assignors(value: &str) -> String {
    let names: Vec<_> = value
        .split(',')
        .map(|name| match name.trim().rsplit('.').next().unwrap_or_default() {
            "RangeAssignor" | "range" => "range",
            "RoundRobinAssignor" | "roundrobin" => "roundrobin",
            // The sticky assignor has no eager form there.
            _ => "cooperative-sticky",
        })
        .collect();
    if names.contains(&"cooperative-sticky") {
        return "cooperative-sticky".to_owned();
    }
    names.join(",")
}

/// An override that contradicts idempotence switches it off, and order is then kept by sending one
/// request at a time, as Kafka Connect's own default does.
fn settle_idempotence(java: &Props, settings: &mut BTreeMap<String, String>) {
    let says = |key: &str, contradicts: fn(&str) -> bool| {
        java.get(key).is_some_and(|value| contradicts(value.trim()))
    };
    let contradicted = says("acks", |value| !matches!(value, "all" | "-1"))
        || says("retries", |value| value == "0")
        || says("max.in.flight.requests.per.connection", |value| {
            value.parse::<u32>().is_ok_and(|requests| 5 < requests)
        });
    if contradicted && !java.contains_key("enable.idempotence") {
        settings.insert("enable.idempotence".to_owned(), "false".to_owned());
    }
    let off = settings.get("enable.idempotence").is_some_and(|value| value == "false");
    if off && !java.contains_key("max.in.flight.requests.per.connection") {
        let key = "max.in.flight.requests.per.connection".to_owned();
        settings.insert(key, "1".to_owned());
    }
}

/// A message that is larger than the queue would wait for ever: there is room for two of the largest.
fn settle_queue(settings: &mut BTreeMap<String, String>) {
    const QUEUE: &str = "queue.buffering.max.kbytes";
    let kbytes = |key: &str| settings.get(key).and_then(|value| value.parse::<i64>().ok());
    let largest = kbytes("message.max.bytes").unwrap_or(0).div_euclid(1024) + 1;
    let queue = kbytes(QUEUE).unwrap_or(PRODUCER_QUEUE_KBYTES).max(largest * 2);
    settings.insert(QUEUE.to_owned(), queue.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn translate(
        kind: ClientKind,
        worker: &[(&str, &str)],
        connector: &[(&str, &str)],
    ) -> Result<Translation, ConnectError> {
        let (worker, connector) = (props(worker), props(connector));
        ClientProps {
            bootstrap_servers: "broker:9092",
            worker: &worker,
            connector: &connector,
            client_id: "connector-producer-c-0",
        }
        .translate(kind)
    }

    #[test]
    fn later_layers_win() {
        let translation = translate(
            ClientKind::Producer,
            &[("producer.linger.ms", "5"), ("producer.acks", "1"), ("consumer.acks", "0")],
            &[("producer.override.linger.ms", "50"), ("linger.ms", "9")],
        )
        .unwrap();
        assert_eq!(translation.settings["linger.ms"], "50");
        assert_eq!(translation.settings["acks"], "1");
        assert_eq!(translation.settings["enable.idempotence"], "false");
        assert_eq!(translation.settings["max.in.flight.requests.per.connection"], "1");
        assert_eq!(translation.settings["bootstrap.servers"], "broker:9092");
        assert!(translation.unknown.is_empty());
    }

    #[test]
    fn the_queue_has_room_for_the_largest_message() {
        for (overrides, kbytes) in [
            (&[][..], "2050"),
            (&[("producer.override.buffer.memory", "33554432")], "32768"),
            (&[("producer.override.max.request.size", "10485760")], "20482"),
        ] {
            let translation = translate(ClientKind::Producer, &[], overrides).unwrap();
            assert_eq!(translation.settings["queue.buffering.max.kbytes"], kbytes);
        }
    }

    #[test]
    fn unknown_properties_are_named() {
        let translation = translate(
            ClientKind::Consumer,
            &[("consumer.interceptor.classes", "x"), ("sasl.login.class", "y")],
            &[("consumer.override.max.poll.records", "7")],
        )
        .unwrap();
        assert_eq!(translation.unknown, ["sasl.login.class", "interceptor.classes"]);
        assert_eq!(translation.max_poll_records, Some(7));
    }

    #[test]
    fn java_assignor_lists_become_one_protocol() {
        for (java, expected) in [
            ("range,cooperative-sticky", "cooperative-sticky"),
            (
                "org.apache.kafka.clients.consumer.RangeAssignor, \
                 org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
                "cooperative-sticky",
            ),
            ("org.apache.kafka.clients.consumer.RoundRobinAssignor", "roundrobin"),
        ] {
            assert_eq!(assignors(java), expected, "{java}");
        }
    }

    #[test]
    fn values_that_only_java_takes_become_the_nearest() {
        let translation = translate(
            ClientKind::Consumer,
            &[
                ("consumer.max.poll.interval.ms", "2147483647"),
                ("consumer.send.buffer.bytes", "-1"),
                ("consumer.auto.offset.reset", "none"),
                ("consumer.request.timeout.ms", "600000"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(translation.settings["max.poll.interval.ms"], "86400000");
        assert_eq!(translation.settings["socket.send.buffer.bytes"], "0");
        assert_eq!(translation.settings["auto.offset.reset"], "error");
        assert_eq!(translation.settings["socket.timeout.ms"], "300000");
        let error = translate(ClientKind::Producer, &[("producer.linger.ms", "soon")], &[]);
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "Invalid value soon for configuration linger.ms: Not a number");
    }

    #[test]
    fn every_bound_is_librdkafkas() {
        for (key, min, max) in BOUNDS {
            for (value, taken) in [(*min, true), (*max, true), (*max + 1, false)] {
                let mut config = ClientConfig::new();
                config.set(*key, value.to_string());
                assert_eq!(config.create_native_config().is_ok(), taken, "{key}={value}");
            }
        }
    }

    #[test]
    fn every_default_is_known_to_librdkafka() {
        for kind in [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin] {
            let mut config = ClientConfig::new();
            for (key, value) in defaults(kind) {
                config.set(key, value);
            }
            config.create_native_config().unwrap();
        }
    }
}
