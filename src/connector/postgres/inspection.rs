//! What can be seen of a database before the connector runs: what there is to capture, how long a
//! snapshot of it takes, and a row of it. What keeps the connector from running is
//! [`validation`](super::validation)'s matter. Nothing is made or changed.

use crate::config::HostMap;
use crate::connector::Inspection;
use crate::connector::postgres::client::{Client, ServerFacts, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::offset::SnapshotPoint;
use crate::connector::postgres::pgoutput::micros_now;
use crate::connector::postgres::setup;
use crate::connector::postgres::snapshot::{SnapshotMode, sample, table_sizes};
use crate::connector::postgres::validation::{Warning, identity_warnings, names};
use crate::connector::postgres::wire::WireError;
use crate::error::ConnectError;

/// What a snapshot reads in a second, on the small machine of the benchmarks: cautious, for whoever
/// plans a window for it.
const BYTES_PER_SECOND: u64 = 40 << 20;

/// Looks at the database.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn inspect(
    config: &PostgresConfig,
    hosts: &HostMap,
) -> Result<Inspection, ConnectError> {
    let failed = |error| explain(error, "Looking at the database", config);
    let opened = Client::open(&config.server, hosts, "Ferroconnect Check").await;
    let mut client = opened.map_err(failed)?;
    let facts = client.facts().await.map_err(failed)?;
    let captured = setup::captured(config, client.tables().await.map_err(failed)?);
    let mut inspection = Inspection::default();
    let looked = look(config, &facts, &captured, &mut client, &mut inspection).await;
    looked.map_err(failed)?;
    let point = SnapshotPoint { lsn: facts.current, xid: None, ts_usec: micros_now() };
    for table in captured.iter().filter(|table| table.readable) {
        let (again, rows) = sample(client, table, config, point.into()).await?;
        client = again;
        if rows.is_some() {
            inspection.sample = rows;
            break;
        }
    }
    client.close().await;
    Ok(inspection)
}

async fn look(
    config: &PostgresConfig,
    facts: &ServerFacts,
    captured: &[TableId],
    client: &mut Client,
    inspection: &mut Inspection,
) -> Result<(), WireError> {
    let server = &config.server;
    let version = (facts.version / 10_000, facts.version % 10_000);
    inspection.fine(
        "server",
        format!(
            "PostgreSQL {}.{} at {}:{}, wal_level {}",
            version.0, version.1, server.host, server.port, facts.wal_level
        ),
    );
    if captured.is_empty() {
        inspection.look(
            "tables",
            "no table is captured; compare schema.include.list and table.include.list (regular \
             expressions of schema.table) with the tables of the database",
        );
    } else {
        let listed = names(&captured.iter().collect::<Vec<_>>());
        inspection.fine("tables", format!("{} captured: {listed}", captured.len()));
    }
    let access = client.access(captured).await?;
    for Warning { tables, statement, text } in identity_warnings(config, captured, &access) {
        inspection.look("tables", format!("{tables}: {text} ({statement})"));
    }
    if config.snapshot.mode.streams() {
        look_at_slot(config, facts, client, inspection).await?;
    }
    let size = look_at_size(captured, client).await?;
    if reads_rows(config.snapshot.mode) {
        inspection.fine("snapshot", size);
    } else {
        inspection.fine("snapshot", format!("only when it is needed or asked for; {size}"));
    }
    Ok(())
}

async fn look_at_slot(
    config: &PostgresConfig,
    facts: &ServerFacts,
    client: &mut Client,
    inspection: &mut Inspection,
) -> Result<(), WireError> {
    let (slot, publication) = (&config.slot.name, &config.publication.name);
    match client.slot(slot, facts.version).await? {
        Some(found) => {
            let held = found.restart.map_or_else(String::new, |restart| {
                let kept = facts.current.0.saturating_sub(restart.0);
                format!("; the server keeps {} of its log for it", bytes(kept))
            });
            let detail = format!("{slot} exists{held}");
            if found.active {
                inspection
                    .look("slot", format!("{detail}; somebody reads it now, and only one can"));
            } else {
                inspection.fine("slot", detail);
            }
        }
        None => inspection.fine("slot", format!("{slot} will be made")),
    }
    match client.publication(publication).await? {
        Some(_) => inspection.fine("publication", format!("{publication} exists")),
        None => inspection.fine("publication", format!("{publication} will be made")),
    }
    Ok(())
}

/// How much a snapshot of these tables reads, and about how long that takes.
async fn look_at_size(captured: &[TableId], client: &mut Client) -> Result<String, WireError> {
    let oids: Vec<_> = captured.iter().map(|table| table.oid).collect();
    let sizes = table_sizes(client, &oids).await?;
    let total: u64 = sizes.iter().map(|size| size.blocks.saturating_mul(size.block_bytes)).sum();
    let rows: i64 = captured.iter().map(|table| table.rows_estimate).sum();
    let seconds = total.div_ceil(BYTES_PER_SECOND).max(1);
    // A table that was never analyzed counts as empty.
    let rows = if rows > 0 { format!("about {rows} rows in ") } else { String::new() };
    let time = match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    };
    Ok(format!("{rows}{}: about {time}", bytes(total)))
}

fn reads_rows(mode: SnapshotMode) -> bool {
    match mode {
        SnapshotMode::Always | SnapshotMode::Initial | SnapshotMode::InitialOnly => true,
        SnapshotMode::NoData | SnapshotMode::WhenNeeded => false,
        SnapshotMode::ConfigurationBased { data, .. } => data,
    }
}

/// A size as people write it.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes;
    let mut unit = 0;
    while size >= 10_240 && unit + 1 < UNITS.len() {
        size /= 1024;
        unit += 1;
    }
    format!("{size} {}", UNITS.get(unit).copied().unwrap_or_default())
}
