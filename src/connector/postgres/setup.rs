//! Start-up: what the server must have, whether a snapshot is needed, where streaming starts, and
//! the publication. Decisions are pure; effects follow them. Sources: Debezium,
//! `PostgresConnectorTask` and `PostgresReplicationConnection`.

use crate::connector::postgres::client::{Client, ServerFacts, Slot, TableId};
use crate::connector::postgres::config::{MismatchStrategy, PostgresConfig, PublicationMode};
use crate::connector::postgres::failure::{explain, wal_level_remedy};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::Position;
use crate::connector::postgres::replication::folded;
use crate::connector::postgres::snapshot::SnapshotMode;
use crate::error::ConnectError;

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Read everything, and stream on from there.
    Snapshot { stream: bool },
    /// Stream from here; `None`: from where the slot stands.
    Stream { from: Option<Lsn>, last_commit: Option<Lsn> },
    /// Neither: the mode does not stream, and what there was to read has been read.
    Nothing,
}

/// Refuses a server that cannot serve changes.
pub(super) fn check_server(
    config: &PostgresConfig,
    facts: &ServerFacts,
) -> Result<(), ConnectError> {
    if config.plugin != "pgoutput" {
        return Err(ConnectError::config(format!(
            "plugin.name={} needs a library on the server that Ferroconnect does not speak with; \
             set plugin.name=pgoutput, which every server has",
            config.plugin
        )));
    }
    let problems = server_problems(config, facts);
    match problems.into_iter().next() {
        Some((_, problem)) => Err(ConnectError::config(problem)),
        None => Ok(()),
    }
}

/// What keeps a server from serving changes, each with the key that it is about.
pub(super) fn server_problems(
    config: &PostgresConfig,
    facts: &ServerFacts,
) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let streams = config.snapshot.mode.streams();
    if streams && facts.wal_level != "logical" {
        problems.push((
            "database.hostname",
            format!(
                "Postgres server wal_level property must be 'logical' but is: '{}'{}",
                facts.wal_level,
                wal_level_remedy()
            ),
        ));
    }
    if streams && !facts.may_replicate {
        let user = &config.server.user;
        problems.push((
            "database.user",
            format!(
                "Postgres roles LOGIN and REPLICATION are not assigned to user: {user}; run alter \
                 role \"{user}\" login replication"
            ),
        ));
    }
    problems
}

/// Decides what a session does. `position` is the stored one, or that of the running task;
/// `fresh`: the task has just started.
pub(super) fn decide(
    config: &PostgresConfig,
    facts: &ServerFacts,
    slot: Option<&Slot>,
    position: Option<Position>,
    fresh: bool,
) -> Result<Start, ConnectError> {
    let mode = config.snapshot.mode;
    let snapshot = Start::Snapshot { stream: mode.streams() };
    let (resume, last_commit) = match (mode, position) {
        (SnapshotMode::ConfigurationBased { on_schema_error: true, .. }, None) => {
            return Err(ConnectError::config(
                "Could not find existing redo log information while attempting schema only \
                 recovery snapshot",
            ));
        }
        (SnapshotMode::Always | SnapshotMode::ConfigurationBased { data: true, .. }, _)
            if fresh =>
        {
            return Ok(snapshot);
        }
        (_, Some(Position::Streaming { .. })) if !mode.streams() => return Ok(Start::Nothing),
        (_, Some(Position::Streaming { resume, last_commit })) => (resume, last_commit),
        (SnapshotMode::NoData, Some(Position::SnapshotInterrupted)) => {
            return Err(ConnectError::config(
                "The connector previously stopped while taking a snapshot, but now the connector \
                 is configured to never allow snapshots. Reconfigure the connector to use \
                 snapshots initially or when needed.",
            ));
        }
        (SnapshotMode::ConfigurationBased { data: false, stream: false, .. }, _) => {
            return Ok(Start::Nothing);
        }
        (SnapshotMode::NoData | SnapshotMode::ConfigurationBased { data: false, .. }, _) => {
            return Ok(Start::Stream { from: None, last_commit: None });
        }
        (_, _) => return Ok(snapshot),
    };
    let Some(gap) = gap(config, facts, slot, resume) else {
        return Ok(Start::Stream { from: Some(resume), last_commit });
    };
    let trusts_slot =
        matches!(config.mismatch, MismatchStrategy::TrustSlot | MismatchStrategy::TrustGreater);
    match mode {
        SnapshotMode::WhenNeeded | SnapshotMode::ConfigurationBased { on_data_error: true, .. } => {
            tracing::warn!(gap, "the stored position is no longer available; a snapshot follows");
            Ok(snapshot)
        }
        _ if trusts_slot || !config.position_check => {
            tracing::warn!(gap, "changes are missing, as the configuration allows");
            Ok(Start::Stream { from: None, last_commit: None })
        }
        _ => Err(ConnectError::fatal(gap)),
    }
}

/// Why changes behind `resume` are lost, if they are. A slot that stands exactly at `resume` serves
/// it; one that stands behind it is a crash between storing and acknowledging.
pub(super) fn gap(
    config: &PostgresConfig,
    facts: &ServerFacts,
    slot: Option<&Slot>,
    resume: Lsn,
) -> Option<String> {
    let name = &config.slot.name;
    let remedy = format!(
        "Reconfigure the connector to use a snapshot mode when needed (snapshot.mode=when_needed), \
         or delete its offsets and drop the slot (select pg_drop_replication_slot('{name}')) so \
         that a snapshot is taken; offset.mismatch.strategy=trust_slot goes on without the missing \
         changes"
    );
    let unavailable = |why: String| {
        Some(format!(
            "The connector is trying to read change stream starting at {resume}, but this is no \
             longer available on the server: {why}. {remedy}"
        ))
    };
    let Some(slot) = slot else {
        return unavailable(format!("replication slot \"{name}\" does not exist"));
    };
    if slot.lost {
        return unavailable(format!(
            "replication slot \"{name}\" was invalidated (wal_status is lost); raise \
             max_slot_wal_keep_size"
        ));
    }
    let stands = slot.confirmed.or(slot.restart).unwrap_or_default();
    if stands > resume {
        return unavailable(format!(
            "replication slot \"{name}\" stands at {stands}, ahead of the stored position {resume}: \
             it was recreated, or read by another client"
        ));
    }
    if resume > facts.current && !facts.in_recovery {
        return unavailable(format!(
            "the server's log ends at {}, before the stored position {resume}: the server was \
             restored or replaced",
            facts.current
        ));
    }
    None
}

/// Refuses a slot of another plugin or database.
pub(super) fn check_slot(config: &PostgresConfig, slot: &Slot) -> Result<(), ConnectError> {
    let (name, database) = (&config.slot.name, &config.server.database);
    if slot.plugin == "pgoutput" && slot.database == *database {
        return Ok(());
    }
    Err(ConnectError::config(format!(
        "replication slot \"{name}\" already exists for plugin \"{}\" in database \"{}\"; when \
         setting up multiple connectors for the same database host, please make sure to use a \
         distinct replication slot name for each.",
        slot.plugin, slot.database
    )))
}

/// The captured tables in snapshot order.
pub(super) fn captured(config: &PostgresConfig, tables: Vec<TableId>) -> Vec<TableId> {
    let mut captured: Vec<_> = tables
        .into_iter()
        .filter(|table| config.filters.captures(&table.schema, &table.table))
        .collect();
    captured.sort_by_key(|table| (config.filters.rank(&table.schema, &table.table), table.name()));
    captured
}

/// Holds the number of captured tables to `guardrail.collections.max`.
pub(super) fn check_guardrail(config: &PostgresConfig, tables: usize) -> Result<(), ConnectError> {
    let Some(most) = config.guardrail.tables_max.filter(|most| tables > *most) else {
        return Ok(());
    };
    let text = format!(
        "Guardrail limit exceeded: {tables} tables/collections configured for capture, but maximum \
         allowed is {most}."
    );
    if config.guardrail.fail {
        return Err(ConnectError::config(format!(
            "{text} Narrow table.include.list, or raise guardrail.collections.max"
        )));
    }
    tracing::warn!("{text}");
    Ok(())
}

/// Warns of include patterns that match nothing.
pub(super) fn warn_unmatched(config: &PostgresConfig, captured: &[TableId]) {
    let names: Vec<_> = captured.iter().map(TableId::name).collect();
    for pattern in config.filters.unmatched(&names) {
        tracing::warn!(
            pattern,
            "an entry of table.include.list matches no table; create the table or correct the entry"
        );
    }
}

/// What an operator is told when there is nothing to capture.
pub(super) fn nothing_captured(config: &PostgresConfig) -> ConnectError {
    let patterns = match &config.filters.tables {
        crate::connector::postgres::filter::Selector::Include(patterns) => {
            let texts: Vec<_> = patterns.texts().collect();
            format!("table.include.list ({})", texts.join(", "))
        }
        _ => "the filters".to_owned(),
    };
    ConnectError::retriable(format!(
        "no table of database \"{}\" matches {patterns}; create the tables, or correct the list",
        config.server.database
    ))
}

/// Makes the publication as `publication.autocreate.mode` says.
pub(super) async fn ensure_publication(
    client: &mut Client,
    config: &PostgresConfig,
    facts: &ServerFacts,
    captured: &[TableId],
) -> Result<(), ConnectError> {
    let name = &config.publication.name;
    let mode = config.publication.mode;
    let failed = |error| explain(error, "looking up the publication", config);
    let present = client.publication(name).await.map_err(failed)?;
    let tables = quoted_list(captured);
    if let Some(reason) = present.is_none().then(|| too_old(config, facts)).flatten() {
        return Err(ConnectError::config(reason));
    }
    let with = with_clause(config);
    let statement = match (mode, present) {
        (PublicationMode::Disabled, None) => {
            return Err(ConnectError::config(format!(
                "Publication autocreation is disabled, please create one and restart the connector. \
                 (create publication {name} for table {tables})"
            )));
        }
        (PublicationMode::Filtered, Some(true)) => return Err(not_filtered(config)),
        (PublicationMode::Filtered, Some(false)) => {
            let wanted = captured.iter().map(TableId::name).collect::<Vec<_>>();
            let published = client.publication_tables(&folded(name)).await.map_err(failed)?;
            if captured.is_empty() {
                tracing::warn!(
                    name,
                    "no table matches the filters; the publication stays as it is"
                );
                return Ok(());
            }
            if same_set(&wanted, &published) {
                return Ok(());
            }
            format!("ALTER PUBLICATION {name} SET TABLE {tables}")
        }
        (_, Some(_)) => return Ok(()),
        (_, None) if facts.in_recovery => {
            tracing::info!(name, "a standby cannot create the publication");
            return Ok(());
        }
        (PublicationMode::AllTables, None) => {
            format!("CREATE PUBLICATION {name} FOR ALL TABLES{with}")
        }
        (PublicationMode::NoTables, None) => format!("CREATE PUBLICATION {name}{with}"),
        (PublicationMode::Filtered, None) if captured.is_empty() => {
            return Err(ConnectError::retriable(format!(
                "Unable to create filtered publication {name} for "
            ))
            .because(nothing_captured(config)));
        }
        (PublicationMode::Filtered, None) => {
            format!("CREATE PUBLICATION {name} FOR TABLE {tables}{with}")
        }
    };
    tracing::info!(statement, "publication");
    let timeout = config.publication.statement_timeout.as_millis();
    let limited = format!("set statement_timeout = {timeout}");
    client.execute(&limited).await.map_err(failed)?;
    let doing = format!("\"{statement}\"");
    client.execute(&statement).await.map_err(|error| explain(error, &doing, config))?;
    client.execute("reset statement_timeout").await.map_err(failed)
}

/// Why a server is too old for the publication that is asked for, if it is.
pub(super) fn too_old(config: &PostgresConfig, facts: &ServerFacts) -> Option<String> {
    (config.publication.via_root && facts.version < 130_000).then(|| {
        format!(
            "publish.via.partition.root=true needs PostgreSQL 13 or newer, the server is version {}: \
             remove the setting, and changes come from the partitions themselves",
            facts.version / 10_000
        )
    })
}

fn with_clause(config: &PostgresConfig) -> String {
    let mut options = Vec::new();
    if config.publication.via_root {
        options.push("publish_via_partition_root = true".to_owned());
    }
    if config.publication.shape {
        let kept = [("c", "insert"), ("u", "update"), ("d", "delete"), ("t", "truncate")];
        let kept: Vec<_> = kept
            .iter()
            .filter(|(code, _)| !config.skipped.contains(*code))
            .map(|(_, operation)| *operation)
            .collect();
        options.push(format!("publish = '{}'", kept.join(",")));
    }
    if options.is_empty() { String::new() } else { format!(" WITH ({})", options.join(", ")) }
}

fn quoted_list(tables: &[TableId]) -> String {
    let mut names: Vec<_> = tables.iter().map(TableId::quoted).collect();
    names.sort();
    names.join(", ")
}

fn same_set(left: &[String], right: &[String]) -> bool {
    left.len() == right.len() && left.iter().all(|name| right.contains(name))
}

/// Why a publication of all tables is no filtered one.
pub(super) fn not_filtered(config: &PostgresConfig) -> ConnectError {
    ConnectError::config(format!(
        "A logical publication for all tables named '{}' for plugin 'PGOUTPUT' and database '{}' is \
         already active on the server and can not be altered. If you need to exclude some tables or \
         include only specific subset, please recreate the publication with necessary configuration \
         or let plugin recreate it by dropping existing publication. Otherwise please change the \
         'publication.autocreate.mode' property to 'all_tables'.",
        config.publication.name, config.server.database
    ))
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
