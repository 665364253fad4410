//! What the catalog says about the tables of Relation messages: nullability, defaults, keys, types.
//! A lookup runs as a task of its own, so that a poll may be dropped while it waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::config::HostMap;
use crate::connector::postgres::client::Client;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::pgoutput::{Frame, FrameReader, Message, RelationMessage};
use crate::connector::postgres::relation::{Relation, TableShape};
use crate::connector::postgres::stream::Streamed;
use crate::connector::postgres::wire::WireError;
use crate::error::ConnectError;

/// One entry per Relation message; `None` is a table that is not captured.
type Tables = Vec<Option<Arc<Streamed>>>;

/// A lookup's outcome, with the connection for the next one.
type Answer = (Option<Client>, Result<Tables, ConnectError>);

/// Asks the catalog.
#[derive(Debug)]
pub(super) struct Lookup {
    config: Arc<PostgresConfig>,
    hosts: Arc<HostMap>,
    client: Option<Client>,
    running: Option<JoinHandle<Answer>>,
}

impl Lookup {
    pub(super) fn new(config: Arc<PostgresConfig>, hosts: Arc<HostMap>) -> Self {
        Self { config, hosts, client: None, running: None }
    }

    /// A connection to use.
    pub(super) fn connected(&mut self, client: Client) {
        self.client = Some(client);
    }

    /// Forgets the connection.
    pub(super) fn disconnected(&mut self) {
        self.client = None;
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }

    /// The tables of the Relation messages in `chunk`. Cancel-safe: called again with the same
    /// chunk, it goes on waiting for the same answer.
    pub(super) async fn tables(&mut self, chunk: &Bytes) -> Result<Tables, ConnectError> {
        let running = self.running.get_or_insert_with(|| {
            let (config, hosts) = (self.config.clone(), self.hosts.clone());
            let (client, chunk) = (self.client.take(), chunk.clone());
            tokio::spawn(look_up(config, hosts, client, chunk).in_current_span())
        });
        let ended = running.await;
        self.running = None;
        let (client, tables) = ended
            .map_err(|error| ConnectError::fatal("looking up a table panicked").because(error))?;
        self.client = client;
        tables
    }
}

async fn look_up(
    config: Arc<PostgresConfig>,
    hosts: Arc<HostMap>,
    client: Option<Client>,
    chunk: Bytes,
) -> Answer {
    let mut source = Source { config: &config, hosts: &hosts, client };
    let tables = source.tables(&chunk).await;
    (source.client, tables)
}

struct Source<'a> {
    config: &'a PostgresConfig,
    hosts: &'a HostMap,
    client: Option<Client>,
}

impl Source<'_> {
    async fn tables(&mut self, chunk: &Bytes) -> Result<Tables, ConnectError> {
        let broken =
            |error| ConnectError::fatal("the replication stream cannot be read").because(error);
        let mut tables = Tables::new();
        let mut frames = FrameReader::new(chunk);
        while let Some(frame) = frames.next().map_err(broken)? {
            let Frame::Data { start, end, .. } = frame else { continue };
            if chunk.get(start) != Some(&b'R') {
                continue;
            }
            let message = Message::parse(chunk, start, end).map_err(broken)?;
            let Message::Relation(relation) = message else { continue };
            tables.push(self.table(&relation).await?.map(Arc::new));
        }
        Ok(tables)
    }

    async fn table(
        &mut self,
        message: &RelationMessage<'_>,
    ) -> Result<Option<Streamed>, ConnectError> {
        if !self.config.filters.captures(message.schema, message.table) {
            return Ok(None);
        }
        let answer = match self.ask(message).await {
            // The connection may have idled to death since the last question.
            Err(WireError::Io(..)) => {
                self.client = None;
                self.ask(message).await
            }
            answer => answer,
        };
        let doing = format!("looking up table {}.{}", message.schema, message.table);
        let (shape, types) = answer.map_err(|error| explain(error, &doing, self.config))?;
        let (relation, plans) = Relation::streamed(&shape, &types, self.config)?;
        Ok(Some(Streamed { relation, plans }))
    }

    async fn ask(
        &mut self,
        message: &RelationMessage<'_>,
    ) -> Result<(TableShape, crate::connector::postgres::client::Types), WireError> {
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let server = &self.config.server;
                none.insert(Client::open(server, self.hosts, "Ferroconnect General").await?)
            }
        };
        let catalog = client.table(message.id).await?;
        let shape = TableShape::streamed(message, catalog);
        let types = client.types(&shape.type_oids()).await?;
        Ok((shape, types))
    }
}
