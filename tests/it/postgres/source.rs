//! A source task as the runtime drives it, with its records as JsonConverter writes them.

use std::sync::Arc;
use std::time::Duration;

use ferroconnect::config::Props;
use ferroconnect::connector::{OffsetCommitter, SourceTask, SourceTaskContext, postgres};
use ferroconnect::converter::{Converter, Role};
use ferroconnect::data::{Record, RecordBatch, Row, SchemaAndValue, SourceOffset};
use ferroconnect::error::{ConnectError, ErrorKind};
use ferroconnect::metrics::{Metrics, TaskSide};
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use serde_json::Value as Json;

use crate::support::{OwnServer, TestDatabase, eventually_async, services};

/// How long a test waits for records.
const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration for `database`, whose slot and publication have the database's name.
pub(super) fn config(database: &TestDatabase, more: &[(&str, &str)]) -> Props {
    let (host, port) = services().postgres_address();
    let mut props = Props::new();
    for (key, value) in [
        ("topic.prefix", "srv"),
        ("database.hostname", host.as_str()),
        ("database.port", &port.to_string()),
        ("database.user", "postgres"),
        ("database.password", "postgres"),
        ("database.dbname", &database.name),
        ("plugin.name", "pgoutput"),
        ("slot.name", &database.name),
        ("publication.name", &database.name),
    ]
    .iter()
    .chain(more)
    {
        props.insert((*key).to_owned(), (*value).to_owned());
    }
    props
}

/// The server's version as its number: 150004.
pub(super) async fn version(client: &tokio_postgres::Client) -> i32 {
    let query = "select current_setting('server_version_num')::int";
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// Whether the server's pgoutput sends logical messages: from 14 on.
pub(super) async fn sends_messages(client: &tokio_postgres::Client) -> bool {
    version(client).await >= 140_000
}

/// The version of the servers that tests start for themselves: that of the shared one.
pub(super) async fn version_of_all() -> i32 {
    version(&TestDatabase::create().await.connect().await).await
}

/// Waits until `slot` streams. A slot is active from the first moment of its making, but of changes
/// that are committed before its consistent point nothing comes.
pub(super) async fn until_streaming(client: &tokio_postgres::Client, slot: &str) {
    let streaming = "select 1 from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid \
                     where slot_name = $1 and r.state = 'streaming'";
    eventually_async("the stream", 30, || async {
        let rows = client.query(streaming, &[&slot]).await.unwrap();
        if rows.is_empty() { Err("not streaming") } else { Ok(()) }
    })
    .await;
}

/// A configuration for the database `postgres` of a server of the test's own.
pub(super) fn config_of(server: &OwnServer, more: &[(&str, &str)]) -> Props {
    let mut props = Props::new();
    for (key, value) in [
        ("topic.prefix", "srv"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", &server.port.to_string()),
        ("database.user", "postgres"),
        ("database.dbname", "postgres"),
        ("plugin.name", "pgoutput"),
        ("slot.name", "own"),
        ("publication.name", "own"),
    ]
    .iter()
    .chain(more)
    {
        props.insert((*key).to_owned(), (*value).to_owned());
    }
    props
}

/// A record with key and value as JSON.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) topic: String,
    pub(super) key: Json,
    /// Null for a tombstone.
    pub(super) value: Json,
    pub(super) headers: Vec<String>,
    pub(super) partition: Option<i32>,
}

impl Event {
    /// `op id`, or `tombstone id`.
    pub(super) fn short(&self) -> String {
        let op = self.value["op"].as_str().unwrap_or("tombstone");
        format!("{op} {}", self.key["id"])
    }
}

/// A running task.
pub(super) struct Source {
    task: Box<dyn SourceTask>,
    committer: Arc<dyn OffsetCommitter>,
    converter: Box<dyn Converter>,
    /// The newest offset that a batch declared.
    pub(super) sealed: Option<SourceOffset>,
    /// Rows that came behind the newest seal.
    pub(super) open_rows: usize,
}

impl Source {
    /// A task that starts behind `stored`; `schemas`: events have `schema` and `payload`.
    pub(super) fn start(props: &Props, stored: Option<SourceOffset>, schemas: bool) -> Self {
        let context = SourceTaskContext {
            connector: "c".to_owned(),
            task: 0,
            offsets: stored.into_iter().collect(),
            hosts: Arc::default(),
            defaults: Arc::default(),
            metrics: Metrics::new().task("c", 0, TaskSide::Source),
            topics: None,
            exactly_once: false,
            transactions: None,
        };
        let task = postgres::task(props, context).unwrap();
        let plugins = Plugins::builtin();
        let plugin = plugins.find(&[PluginKind::Converter], "JsonConverter").unwrap();
        let Constructor::Converter(construct) = plugin.constructor else { panic!() };
        let settings = [("schemas.enable".to_owned(), schemas.to_string())].into();
        let converter = construct(&settings, &Role::Value.into()).unwrap();
        Self { committer: task.committer(), task, converter, sealed: None, open_rows: 0 }
    }

    /// Why no task can be made of the configuration.
    pub(super) fn refused(props: &Props) -> String {
        let context = SourceTaskContext {
            connector: "c".to_owned(),
            task: 0,
            offsets: Vec::new(),
            hosts: Arc::default(),
            defaults: Arc::default(),
            metrics: Metrics::new().task("c", 0, TaskSide::Source),
            topics: None,
            exactly_once: false,
            transactions: None,
        };
        let error = postgres::task(props, context).err().expect("a configuration that is refused");
        error.trace()
    }

    /// Whether nothing comes for a while, and no error.
    pub(super) async fn is_idle(&mut self) -> bool {
        let mut batch = RecordBatch::default();
        let polled = self.task.poll(&mut batch);
        tokio::time::timeout(Duration::from_millis(700), polled).await.is_err()
    }

    /// What comes until nothing has come for so many milliseconds.
    pub(super) async fn rest(&mut self, millis: u64) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let mut batch = RecordBatch::default();
            let polled = self.task.poll(&mut batch);
            let Ok(polled) = tokio::time::timeout(Duration::from_millis(millis), polled).await
            else {
                return events;
            };
            polled.unwrap();
            if let Some(seal) = batch.seals.last() {
                self.sealed = Some(seal.offset.clone());
            }
            events.extend(batch.rows.iter().map(|row| self.event(&batch, row)));
        }
    }

    /// One poll; its records.
    pub(super) async fn poll(&mut self) -> Result<Vec<Event>, ConnectError> {
        let mut batch = RecordBatch::default();
        let polled = tokio::time::timeout(PATIENCE, self.task.poll(&mut batch));
        polled.await.expect("a poll that gives something")?;
        self.open_rows += batch.rows.len();
        if let Some(seal) = batch.seals.last() {
            self.sealed = Some(seal.offset.clone());
            self.open_rows = batch.rows.len() - seal.rows;
        }
        Ok(batch.rows.iter().map(|row| self.event(&batch, row)).collect())
    }

    /// Polls until there are `count` records.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.poll().await.unwrap());
        }
        assert_eq!(
            events.len(),
            count,
            "{:?}",
            events.iter().map(Event::short).collect::<Vec<_>>()
        );
        events
    }

    /// Polls until the snapshot is declared complete; its records.
    pub(super) async fn snapshot(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let complete = |sealed: &Option<SourceOffset>| {
            sealed
                .as_ref()
                .is_some_and(|sealed| sealed.offset.contains("\"last_snapshot_record\":true"))
        };
        while !complete(&self.sealed) {
            events.extend(self.poll().await.unwrap());
        }
        events
    }

    /// Polls until there are `count` records, past failures that pass.
    pub(super) async fn take_in_the_end(&mut self, count: usize) -> Vec<Event> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut events = Vec::new();
        while events.len() < count {
            assert!(tokio::time::Instant::now() < deadline, "only {} records", events.len());
            match self.poll().await {
                Ok(more) => events.extend(more),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
                    // As the runtime does, if only shortly.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        assert_eq!(events.len(), count, "{:?}", short(&events));
        events
    }

    /// Polls until an error.
    pub(super) async fn failure(&mut self) -> ConnectError {
        loop {
            if let Err(error) = self.poll().await {
                return error;
            }
        }
    }

    /// Declares the newest offset stored, as the runtime does.
    pub(super) async fn commit(&self) -> SourceOffset {
        let sealed = self.sealed.clone().expect("a sealed offset");
        self.committer.commit(&sealed).await.unwrap();
        sealed
    }

    pub(super) async fn stop(self) {
        self.task.stop().await.unwrap();
    }

    fn event(&mut self, batch: &RecordBatch, row: &Row) -> Event {
        let record: Record = match *row {
            Row::Planned { plan, first_cell } => {
                batch.plans[plan as usize].materialize(&batch.view(plan, first_cell)).unwrap()
            }
            Row::Tree { record } => batch.records[record as usize].clone(),
        };
        Event {
            key: self.json(&record.topic, &record.key),
            value: self.json(&record.topic, &record.value),
            topic: record.topic.to_string(),
            partition: record.partition,
            headers: record.headers.iter().map(|header| header.key.clone()).collect(),
        }
    }

    fn json(&mut self, topic: &str, data: &SchemaAndValue) -> Json {
        let mut bytes = Vec::new();
        self.converter.from_connect_data(topic, data, &mut bytes).unwrap();
        if bytes.is_empty() { Json::Null } else { serde_json::from_slice(&bytes).unwrap() }
    }
}

/// What every event says, shortly.
pub(super) fn short(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::short).collect()
}
