//! The transactions that a snapshot is read in: one leads, the others see what it sees.

use crate::connector::postgres::client::{Client, ServerFacts, TableId, literal, lsn};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::ReadPoint;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::SnapshotPoint;
use crate::connector::postgres::replication::CreatedSlot;
use crate::connector::postgres::session::{SessionInput, open_client};
use crate::connector::postgres::snapshot::config::Isolation;
use crate::connector::postgres::snapshot::progress::Interrupted;
use crate::error::ConnectError;

/// What a snapshot begins from.
#[derive(Debug)]
pub(in crate::connector::postgres) enum Origin {
    /// A slot that was just made, with the snapshot that it exported.
    Slot(CreatedSlot),
    /// The slot of a snapshot that broke off, and how far that one came.
    Interrupted(Interrupted),
    /// No slot: nothing is streamed from there.
    Alone,
    /// Beside a stream that waits, whose rows say that they are of here.
    Beside(ReadPoint),
}

/// A snapshot that can be read.
#[derive(Debug)]
pub(super) struct Begun {
    /// As of when rows are read.
    pub(super) point: SnapshotPoint,
    /// The first member of `source.sequence`.
    pub(super) last_commit: Option<Lsn>,
    /// The first transaction that may be missing in it.
    pub(super) xmin: u32,
    /// All statements see the same rows.
    pub(super) stable: bool,
    /// How another transaction joins it.
    join: Vec<String>,
}

/// Opens the leading transaction.
pub(super) async fn begin(
    client: &mut Client,
    config: &PostgresConfig,
    facts: &ServerFacts,
    origin: &Origin,
) -> Result<Begun, ConnectError> {
    let failed = |error| explain(error, "starting the snapshot", config);
    // Reading may take as long as it takes.
    client.execute("set statement_timeout = 0").await.map_err(failed)?;
    let isolation = match origin {
        Origin::Alone | Origin::Beside(_) => config.snapshot.isolation,
        Origin::Slot(_) | Origin::Interrupted(_) => Isolation::RepeatableRead,
    };
    client.execute(begin_statement(isolation, facts.in_recovery)).await.map_err(failed)?;
    if let Origin::Slot(created) = origin {
        let import = format!("set transaction snapshot {}", literal(&created.snapshot));
        client.execute(&import).await.map_err(failed)?;
    }
    let mut value =
        async |sql: &str| client.value(sql).await.map(Option::unwrap_or_default).map_err(failed);
    let xmin = value("select txid_snapshot_xmin(txid_current_snapshot()) & 4294967295").await?;
    let lsn = match origin {
        Origin::Slot(created) => created.consistent,
        _ if facts.in_recovery => {
            lsn(&value("select pg_last_wal_receive_lsn()").await?).map_err(failed)?
        }
        _ => lsn(&value("select pg_current_wal_lsn()").await?).map_err(failed)?,
    };
    let micros = "select (extract(epoch from current_timestamp) * 1000000)::bigint";
    let micros = value(micros).await?;
    let xid = match facts.in_recovery {
        true => None,
        false => value("select txid_current()").await?.parse().ok(),
    };
    let stable = isolation.is_stable();
    let join = match (config.snapshot.threads, stable) {
        (1, _) => Vec::new(),
        (_, false) => vec![begin_statement(isolation, facts.in_recovery).to_owned()],
        (_, true) => {
            let exported = value("select pg_export_snapshot()").await?;
            vec![
                begin_statement(Isolation::RepeatableRead, facts.in_recovery).to_owned(),
                format!("set transaction snapshot {}", literal(&exported)),
            ]
        }
    };
    let ts_usec = micros.parse().unwrap_or_default();
    let (point, last_commit) = match origin {
        Origin::Beside(read) => (SnapshotPoint { ts_usec, ..read.at }, read.last_commit),
        _ => (SnapshotPoint { lsn, xid, ts_usec }, None),
    };
    Ok(Begun { point, last_commit, xmin: xmin.parse().unwrap_or_default(), stable, join })
}

fn begin_statement(isolation: Isolation, in_recovery: bool) -> &'static str {
    match isolation {
        // Standbys have no serializable transactions.
        Isolation::Serializable if !in_recovery => {
            "begin isolation level serializable read only deferrable"
        }
        Isolation::Serializable | Isolation::RepeatableRead => {
            "begin isolation level repeatable read read only"
        }
        Isolation::ReadCommitted => "begin isolation level read committed read only",
        Isolation::ReadUncommitted => "begin isolation level read uncommitted read only",
    }
}

impl Begun {
    /// Another connection whose transaction sees the same.
    pub(super) async fn join(&self, input: &SessionInput) -> Result<Client, ConnectError> {
        let failed = |error| explain(error, "joining the snapshot", &input.config);
        let mut client = open_client(input, "Ferroconnect Snapshot").await?;
        client.execute("set statement_timeout = 0").await.map_err(failed)?;
        for statement in &self.join {
            client.execute(statement).await.map_err(failed)?;
        }
        Ok(client)
    }
}

/// Takes the locks of `snapshot.locking.mode=shared`: they keep definitions as they are, and writers
/// do not notice.
pub(super) async fn lock(
    client: &mut Client,
    config: &PostgresConfig,
    tables: &[TableId],
) -> Result<(), ConnectError> {
    let Some(timeout) = config.snapshot.lock_timeout else { return Ok(()) };
    let failed = |error| explain(error, "locking the tables", config);
    let limited = format!("set lock_timeout = {}", timeout.as_millis());
    client.execute(&limited).await.map_err(failed)?;
    for table in tables {
        let lock = format!("lock table {} in access share mode", table.quoted());
        client.execute(&lock).await.map_err(failed)?;
    }
    Ok(())
}
