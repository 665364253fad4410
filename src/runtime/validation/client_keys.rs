//! The settings of Kafka's clients, as far as validation needs them: names, types, defaults and
//! importance (Kafka, `ProducerConfig`, `ConsumerConfig`, `AdminClientConfig`). What reaches
//! librdkafka, and how, is `kafka`'s business.

use std::sync::LazyLock;

use crate::config::{ConfigDef, ConfigKey, ConfigType, Validator};

/// A client of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Producer,
    Consumer,
    Admin,
}

impl Client {
    /// The prefix of its overrides.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Producer => "producer.override.",
            Self::Consumer => "consumer.override.",
            Self::Admin => "admin.override.",
        }
    }
}

/// The names under which a worker's settings give clients theirs: `producer.`, `consumer.` and
/// `admin.` and a key of that client.
pub fn worker_client_keys() -> impl Iterator<Item = std::string::String> {
    let clients = [
        ("producer.", Client::Producer),
        ("consumer.", Client::Consumer),
        ("admin.", Client::Admin),
    ];
    clients.into_iter().flat_map(|(prefix, client)| {
        client_config(client).keys().iter().map(move |key| format!("{prefix}{}", key.name))
    })
}

static PRODUCER: LazyLock<ConfigDef> = LazyLock::new(|| table(&PRODUCER_KEYS));
static CONSUMER: LazyLock<ConfigDef> = LazyLock::new(|| table(&CONSUMER_KEYS));
static ADMIN: LazyLock<ConfigDef> = LazyLock::new(|| table(&ADMIN_KEYS));

/// The settings of `client`.
pub(super) fn client_config(client: Client) -> &'static ConfigDef {
    match client {
        Client::Producer => &PRODUCER,
        Client::Consumer => &CONSUMER,
        Client::Admin => &ADMIN,
    }
}

/// Name, type, importance (H, M, L), default (`None`: null), and what the setting is.
type Row = (&'static str, ConfigType, char, Option<&'static str>, &'static str);

fn table(own: &[Row]) -> ConfigDef {
    ConfigDef::new(own.iter().chain(&COMMON_KEYS).map(key).collect())
}

fn key(&(name, ty, importance, default, documentation): &Row) -> ConfigKey {
    let mut key = ConfigKey::new(name, ty, documentation);
    if let Some(text) = default {
        key = key.default(text);
    }
    key = match importance {
        'H' => key.high(),
        'M' => key.medium(),
        _ => key,
    };
    match name {
        "acks" => key.check(Validator::OneOf(&["all", "-1", "0", "1"])),
        "auto.offset.reset" => key.check(Validator::OneOfAnyCase(&["earliest", "latest", "none"])),
        "isolation.level" => key.check(Validator::OneOf(&["read_committed", "read_uncommitted"])),
        "compression.type" => {
            key.check(Validator::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]))
        }
        _ => key,
    }
}

use ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String};

#[rustfmt::skip]
const COMMON_KEYS: [Row; 54] = [
    ("bootstrap.servers", List, 'H', Some(""), "Brokers to start from, host:port."),
    ("client.dns.lookup", String, 'M', Some("use_all_dns_ips"), "Which addresses of a broker's name are tried."),
    ("client.id", String, 'M', Some(""), "The name under which brokers log the client."),
    ("connections.max.idle.ms", Long, 'M', Some("300000"), "Idle connections are closed after this."),
    ("enable.metrics.push", Boolean, 'L', Some("true"), "Whether metrics are sent to brokers that ask."),
    ("metadata.max.age.ms", Long, 'L', Some("300000"), "Metadata is refreshed after this."),
    ("metadata.recovery.strategy", String, 'L', Some("none"), "What to do when no known broker answers."),
    ("metric.reporters", List, 'L', Some(""), "Classes that report metrics."),
    ("metrics.num.samples", Int, 'L', Some("2"), "Samples per metric."),
    ("metrics.recording.level", String, 'L', Some("INFO"), "The finest metrics recorded."),
    ("metrics.sample.window.ms", Long, 'L', Some("30000"), "The window of a sample."),
    ("receive.buffer.bytes", Int, 'M', Some("65536"), "The socket's receive buffer; -1: the system's."),
    ("reconnect.backoff.max.ms", Long, 'L', Some("1000"), "The longest pause before connecting again."),
    ("reconnect.backoff.ms", Long, 'L', Some("50"), "The first pause before connecting again."),
    ("request.timeout.ms", Int, 'M', Some("30000"), "How long a request may take."),
    ("retries", Int, 'L', Some("2147483647"), "How often a failed request is sent again."),
    ("retry.backoff.max.ms", Long, 'L', Some("1000"), "The longest pause before a request is sent again."),
    ("retry.backoff.ms", Long, 'L', Some("100"), "The first pause before a request is sent again."),
    ("sasl.client.callback.handler.class", Class, 'M', None, "Class that answers SASL callbacks."),
    ("sasl.jaas.config", Password, 'M', None, "Login module and credentials."),
    ("sasl.kerberos.kinit.cmd", String, 'L', Some("/usr/bin/kinit"), "The kinit command."),
    ("sasl.kerberos.min.time.before.relogin", Long, 'L', Some("60000"), "Pause between ticket refreshes."),
    ("sasl.kerberos.service.name", String, 'M', None, "The Kerberos principal name of the brokers."),
    ("sasl.kerberos.ticket.renew.jitter", Double, 'L', Some("0.05"), "Random share of the renewal time."),
    ("sasl.kerberos.ticket.renew.window.factor", Double, 'L', Some("0.8"), "Share of the ticket's life after which it is renewed."),
    ("sasl.login.callback.handler.class", Class, 'M', None, "Class that answers login callbacks."),
    ("sasl.login.class", Class, 'M', None, "Class that logs in."),
    ("sasl.login.connect.timeout.ms", Int, 'L', None, "Connection timeout of the token endpoint."),
    ("sasl.login.read.timeout.ms", Int, 'L', None, "Read timeout of the token endpoint."),
    ("sasl.login.refresh.buffer.seconds", Short, 'L', Some("300"), "Seconds of a credential's life left when it is refreshed."),
    ("sasl.login.refresh.min.period.seconds", Short, 'L', Some("60"), "Least seconds between refreshes."),
    ("sasl.login.refresh.window.factor", Double, 'L', Some("0.8"), "Share of a credential's life after which it is refreshed."),
    ("sasl.login.refresh.window.jitter", Double, 'L', Some("0.05"), "Random share of the refresh time."),
    ("sasl.login.retry.backoff.max.ms", Long, 'L', Some("10000"), "The longest pause between logins."),
    ("sasl.login.retry.backoff.ms", Long, 'L', Some("100"), "The first pause between logins."),
    ("sasl.mechanism", String, 'M', Some("GSSAPI"), "The SASL mechanism."),
    ("sasl.oauthbearer.scope.claim.name", String, 'L', Some("scope"), "The claim that holds the scope."),
    ("sasl.oauthbearer.sub.claim.name", String, 'L', Some("sub"), "The claim that holds the subject."),
    ("sasl.oauthbearer.token.endpoint.url", String, 'M', None, "Where tokens are issued."),
    ("security.protocol", String, 'M', Some("PLAINTEXT"), "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    ("security.providers", String, 'L', None, "Classes that provide security algorithms."),
    ("send.buffer.bytes", Int, 'M', Some("131072"), "The socket's send buffer; -1: the system's."),
    ("socket.connection.setup.timeout.max.ms", Long, 'M', Some("30000"), "The longest a connection may take."),
    ("socket.connection.setup.timeout.ms", Long, 'M', Some("10000"), "How long a first connection may take."),
    ("ssl.cipher.suites", List, 'L', None, "Allowed cipher suites."),
    ("ssl.enabled.protocols", List, 'M', Some("TLSv1.2,TLSv1.3"), "Allowed TLS versions."),
    ("ssl.endpoint.identification.algorithm", String, 'L', Some("https"), "How the broker's name is checked; empty: not."),
    ("ssl.key.password", Password, 'H', None, "The private key's password."),
    ("ssl.keystore.key", Password, 'H', None, "The private key in PEM form."),
    ("ssl.keystore.certificate.chain", Password, 'H', None, "The client's certificates in PEM form."),
    ("ssl.keystore.location", String, 'H', None, "The key store's file."),
    ("ssl.keystore.password", Password, 'H', None, "The key store's password."),
    ("ssl.truststore.certificates", Password, 'H', None, "Trusted certificates in PEM form."),
    ("ssl.truststore.location", String, 'H', None, "The trust store's file."),
];

#[rustfmt::skip]
const PRODUCER_KEYS: [Row; 24] = [
    ("acks", String, 'L', Some("all"), "Which replicas must have a record: all, 1 or 0."),
    ("batch.size", Int, 'M', Some("16384"), "Bytes of a batch."),
    ("buffer.memory", Long, 'H', Some("33554432"), "Bytes of records that wait to be sent."),
    ("compression.gzip.level", Int, 'M', Some("-1"), "The level of gzip."),
    ("compression.lz4.level", Int, 'M', Some("9"), "The level of lz4."),
    ("compression.type", String, 'H', Some("none"), "none, gzip, snappy, lz4 or zstd."),
    ("compression.zstd.level", Int, 'M', Some("3"), "The level of zstd."),
    ("delivery.timeout.ms", Int, 'M', Some("120000"), "How long a record may take to be acknowledged."),
    ("enable.idempotence", Boolean, 'L', Some("true"), "Whether a record that is sent again is stored once."),
    ("interceptor.classes", List, 'L', Some(""), "Classes that see every record."),
    ("key.serializer", Class, 'H', None, "Class that writes keys."),
    ("linger.ms", Long, 'M', Some("0"), "How long a batch waits for more records."),
    ("max.block.ms", Long, 'M', Some("60000"), "How long sending may wait for room or metadata."),
    ("max.in.flight.requests.per.connection", Int, 'L', Some("5"), "Requests that wait for an answer at a time."),
    ("max.request.size", Int, 'M', Some("1048576"), "The largest request in bytes."),
    ("metadata.max.idle.ms", Long, 'L', Some("300000"), "Metadata of unused topics is kept this long."),
    ("partitioner.adaptive.partitioning.enable", Boolean, 'L', Some("true"), "Whether slow brokers get less."),
    ("partitioner.availability.timeout.ms", Long, 'L', Some("0"), "After this a slow partition is left out; 0: never."),
    ("partitioner.class", Class, 'M', None, "Class that chooses partitions."),
    ("partitioner.ignore.keys", Boolean, 'M', Some("false"), "Whether keys do not choose the partition."),
    ("transaction.timeout.ms", Int, 'L', Some("60000"), "How long a transaction may take."),
    ("transactional.id", String, 'L', None, "The identity that fences older producers."),
    ("ssl.truststore.password", Password, 'H', None, "The trust store's password."),
    ("value.serializer", Class, 'H', None, "Class that writes values."),
];

#[rustfmt::skip]
const CONSUMER_KEYS: [Row; 26] = [
    ("allow.auto.create.topics", Boolean, 'M', Some("true"), "Whether subscribing may create a topic."),
    ("auto.commit.interval.ms", Int, 'L', Some("5000"), "How often offsets are committed by themselves."),
    ("auto.offset.reset", String, 'M', Some("latest"), "Where a group without offsets starts: earliest, latest or none."),
    ("check.crcs", Boolean, 'L', Some("true"), "Whether checksums are verified."),
    ("client.rack", String, 'L', Some(""), "The rack whose replicas are preferred."),
    ("default.api.timeout.ms", Int, 'M', Some("60000"), "How long calls without a timeout may take."),
    ("enable.auto.commit", Boolean, 'M', Some("true"), "Whether offsets are committed by themselves."),
    ("exclude.internal.topics", Boolean, 'M', Some("true"), "Whether patterns leave internal topics out."),
    ("fetch.max.bytes", Int, 'M', Some("52428800"), "The largest answer to a fetch."),
    ("fetch.max.wait.ms", Int, 'L', Some("500"), "How long a broker waits for fetch.min.bytes."),
    ("fetch.min.bytes", Int, 'H', Some("1"), "The smallest answer to a fetch."),
    ("group.id", String, 'H', None, "The consumer group."),
    ("group.instance.id", String, 'M', None, "The static identity of this member."),
    ("group.protocol", String, 'H', Some("classic"), "classic or consumer."),
    ("group.remote.assignor", String, 'M', None, "The broker's assignor of the consumer protocol."),
    ("heartbeat.interval.ms", Int, 'H', Some("3000"), "How often the member tells that it lives."),
    ("interceptor.classes", List, 'L', Some(""), "Classes that see every record."),
    ("isolation.level", String, 'M', Some("read_uncommitted"), "read_committed or read_uncommitted."),
    ("key.deserializer", Class, 'H', None, "Class that reads keys."),
    ("max.partition.fetch.bytes", Int, 'H', Some("1048576"), "The most bytes per partition and fetch."),
    ("max.poll.interval.ms", Int, 'M', Some("300000"), "The longest time between two polls."),
    ("max.poll.records", Int, 'M', Some("500"), "The most records of a poll."),
    ("partition.assignment.strategy", List, 'M', Some(""), "How partitions are shared out."),
    ("session.timeout.ms", Int, 'H', Some("45000"), "A silent member is left out after this."),
    ("ssl.truststore.password", Password, 'H', None, "The trust store's password."),
    ("value.deserializer", Class, 'H', None, "Class that reads values."),
];

#[rustfmt::skip]
const ADMIN_KEYS: [Row; 4] = [
    ("auto.include.jmx.reporter", Boolean, 'L', Some("true"), "Whether metrics go to JMX."),
    ("bootstrap.controllers", List, 'H', Some(""), "Controllers to start from, host:port."),
    ("default.api.timeout.ms", Int, 'M', Some("60000"), "How long calls without a timeout may take."),
    ("ssl.truststore.password", Password, 'H', None, "The trust store's password."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Submitted;

    #[test]
    fn defaults_parse_and_names_are_unique() {
        for client in [Client::Producer, Client::Consumer, Client::Admin] {
            let config = client_config(client);
            for (index, key) in config.keys().iter().enumerate() {
                let outcome = key.outcome(key.name, Submitted::Absent);
                assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
                assert!(!config.keys()[..index].iter().any(|other| other.name == key.name));
            }
        }
    }
}
