//! Heartbeats: records that show that a connector lives and carry its position, and the statement
//! that may go with each (Debezium, `HeartbeatImpl` and `DatabaseHeartbeatImpl`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::config::HostMap;
use crate::connector::postgres::client::Client;
use crate::connector::postgres::codec::structure;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::names;
use crate::connector::postgres::pgoutput::micros_now;
use crate::connector::postgres::wire::WireError;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Type, Value};
use crate::error::ConnectError;

/// What a person asked for.
#[derive(Debug, Clone)]
pub(super) struct HeartbeatConfig {
    pub(super) interval: Duration,
    pub(super) topic: String,
    /// Run with each.
    pub(super) action: Option<String>,
}

/// Makes heartbeats when they are due.
#[derive(Debug)]
pub(super) struct Heartbeats {
    interval: Duration,
    topic: Arc<str>,
    server: String,
    key: Arc<Schema>,
    value: Arc<Schema>,
    last: Instant,
}

impl Heartbeats {
    /// `None` when none are asked for.
    pub(super) fn new(config: &PostgresConfig) -> Option<Self> {
        const PACKAGE: &str = "io.debezium.connector.common";
        let asked = config.heartbeat.as_ref()?;
        let named = |name: &str| {
            let name = names::schema_name(config.names.schemas, &format!("{PACKAGE}.{name}"));
            SchemaBuilder::structure().name(name).version(1)
        };
        let string = SchemaBuilder::new(Type::String).build();
        let int64 = SchemaBuilder::new(Type::Int64).build();
        Some(Self {
            interval: asked.interval,
            topic: asked.topic.as_str().into(),
            server: config.topic_prefix.clone(),
            key: named("ServerNameKey").field("serverName", string).build(),
            value: named("Heartbeat").field("ts_ms", int64).build(),
            last: Instant::now(),
        })
    }

    /// When the next is due.
    pub(super) fn due_at(&self) -> Instant {
        self.last + self.interval
    }

    /// Whether one is due.
    pub(super) fn due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    /// A heartbeat. All are of partition 0, as the original's.
    pub(super) fn beat(&mut self) -> Record {
        self.last = Instant::now();
        let with = |schema: &Arc<Schema>, member| SchemaAndValue {
            schema: Some(schema.clone()),
            value: structure(schema, vec![member]),
        };
        Record {
            topic: self.topic.clone(),
            partition: Some(0),
            offset: None,
            key: with(&self.key, Value::string(&self.server)),
            value: with(&self.value, Value::Int64(micros_now().div_euclid(1000))),
            timestamp_ms: None,
            headers: Vec::new(),
        }
    }
}

/// The connection of a run of the statement, for the next one.
type Outcome = (Option<Client>, Result<(), ConnectError>);

/// Runs `heartbeat.action.query`, on a connection and a task of its own: a poll may be dropped
/// while it runs. One run at a time; a heartbeat that comes meanwhile has none.
#[derive(Debug)]
pub(super) struct HeartbeatAction {
    config: Arc<PostgresConfig>,
    hosts: Arc<HostMap>,
    client: Option<Client>,
    running: Option<JoinHandle<Outcome>>,
}

impl HeartbeatAction {
    pub(super) fn new(config: Arc<PostgresConfig>, hosts: Arc<HostMap>) -> Self {
        Self { config, hosts, client: None, running: None }
    }

    /// Starts the statement.
    pub(super) async fn start(&mut self) -> Result<(), ConnectError> {
        let action = self.config.heartbeat.as_ref().and_then(|asked| asked.action.clone());
        let Some(action) = action else { return Ok(()) };
        self.outcome().await?;
        if self.running.is_none() {
            let (config, hosts) = (self.config.clone(), self.hosts.clone());
            let run = run(config, hosts, self.client.take(), action);
            self.running = Some(tokio::spawn(run.in_current_span()));
        }
        Ok(())
    }

    /// The failure of the last run, when it has ended with one that must not go unseen.
    async fn outcome(&mut self) -> Result<(), ConnectError> {
        let ended = self.running.as_ref().is_some_and(JoinHandle::is_finished);
        let Some(running) = self.running.take_if(|_| ended) else { return Ok(()) };
        let (client, outcome) = running
            .await
            .map_err(|error| ConnectError::fatal("the heartbeat query panicked").because(error))?;
        self.client = client;
        outcome
    }

    /// Ends what runs.
    pub(super) fn disconnected(&mut self) {
        self.client = None;
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

async fn run(
    config: Arc<PostgresConfig>,
    hosts: Arc<HostMap>,
    client: Option<Client>,
    action: String,
) -> Outcome {
    let opened = match client {
        Some(client) => Ok(client),
        None => Client::open(&config.server, &hosts, "Ferroconnect Heartbeat").await,
    };
    let mut client = match opened {
        Ok(client) => client,
        Err(error) => return (None, judged(error, &config)),
    };
    match client.execute(&action).await {
        Ok(()) => (Some(client), Ok(())),
        // The server has hung up, or the answer did not come.
        Err(error @ (WireError::Io(..) | WireError::Protocol(_))) => (None, judged(error, &config)),
        Err(error) => (Some(client), judged(error, &config)),
    }
}

/// A table that is missing, and a server that ends: as in the original, these stop the task or its
/// session; others are told and the next heartbeat tries again.
fn judged(error: WireError, config: &PostgresConfig) -> Result<(), ConnectError> {
    let code = error.code().unwrap_or_default().to_owned();
    match code.as_str() {
        "57P01" | "57P03" => Err(ConnectError::retriable(format!(
            "Could not execute heartbeat action query (Error: {code})"
        ))
        .because(explain(error, "running heartbeat.action.query", config))),
        "42P01" => Err(ConnectError::config(format!(
            "Could not execute heartbeat action query (Error: {code}); create its table, or correct \
             heartbeat.action.query"
        ))
        .because(explain(error, "running heartbeat.action.query", config))),
        _ => {
            tracing::warn!(
                error = error.to_string(),
                "heartbeat.action.query failed; the next heartbeat tries it again"
            );
            Ok(())
        }
    }
}
