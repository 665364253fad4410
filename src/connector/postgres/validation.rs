//! What only the server can tell about a configuration: everything that is wrong at once, each with the
//! statement that mends it. What the original accepts and what only hurts later is told to the log.

use std::time::Duration;

use crate::config::{ConfigError, HostMap};
use crate::connector::postgres::client::{Access, Client, ServerFacts, TableId, quoted};
use crate::connector::postgres::config::{PostgresConfig, PublicationMode};
use crate::connector::postgres::replication::folded;
use crate::connector::postgres::setup;
use crate::connector::postgres::wire::WireError;

/// All questions together; a little less than the runtime waits, so that what is known by then is told.
const TIMEOUT: Duration = Duration::from_millis(3500);
/// Names of tables in one message.
const NAMES_MAX: usize = 20;

/// Asks the server.
pub(super) async fn check(config: &PostgresConfig, hosts: &HostMap) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let asked = tokio::time::timeout(TIMEOUT, problems(config, hosts, &mut found)).await;
    match asked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            found.push(on_host(format!("Error while validating connector config: {error}")));
        }
        Err(_) => {
            let millis = TIMEOUT.as_millis();
            let (host, port) = (&config.server.host, config.server.port);
            found.push(on_host(format!(
                "Connection validation timed out after {millis} ms: {host}:{port} did not answer \
                 all that was asked"
            )));
        }
    }
    found
}

/// What certainly fails at start, and warnings about what goes wrong later.
async fn problems(
    config: &PostgresConfig,
    hosts: &HostMap,
    found: &mut Vec<ConfigError>,
) -> Result<(), WireError> {
    let name = "Ferroconnect Validate Connection";
    let mut client = Client::open(&config.server, hosts, name).await?;
    let facts = client.facts().await?;
    found.extend(
        setup::server_problems(config, &facts).into_iter().map(|(key, text)| invalid(key, &text)),
    );
    let captured = setup::captured(config, client.tables().await?);
    let access = client.access(&captured).await?;
    found.extend(unreadable(config, &captured));
    if config.snapshot.mode.streams() {
        found.extend(slot_problems(config, &facts, &access, &mut client).await?);
        let rights = (!facts.in_recovery).then_some(&access);
        found.extend(publication_problems(config, &facts, &captured, rights, &mut client).await?);
    }
    for Warning { tables, statement, text } in identity_warnings(config, &captured, &access) {
        tracing::warn!(tables, statement, "{text}");
    }
    client.close().await;
    Ok(())
}

fn unreadable(config: &PostgresConfig, captured: &[TableId]) -> Option<ConfigError> {
    let unreadable: Vec<_> = captured.iter().filter(|table| !table.readable).collect();
    if unreadable.is_empty() {
        return None;
    }
    let (tables, user) = (names(&unreadable), quoted(&config.server.user));
    let mut schemas: Vec<_> = unreadable.iter().map(|table| quoted(&table.schema)).collect();
    schemas.dedup();
    let schemas = schemas.join(", ");
    Some(invalid(
        "table.include.list",
        &format!(
            "user {} may not read {tables}; run grant usage on schema {schemas} to {user}; grant \
             select on {tables} to {user}",
            config.server.user
        ),
    ))
}

async fn slot_problems(
    config: &PostgresConfig,
    facts: &ServerFacts,
    access: &Access,
    client: &mut Client,
) -> Result<Vec<ConfigError>, WireError> {
    let mut found = Vec::new();
    match client.slot(&config.slot.name, facts.version).await? {
        Some(slot) => {
            if let Err(error) = setup::check_slot(config, &slot) {
                found.push(invalid("slot.name", &error.to_string()));
            }
        }
        None if facts.slots_free <= 0 => found.push(invalid(
            "slot.name",
            &format!(
                "no replication slot is free; drop an unused slot (select \
                 pg_drop_replication_slot(slot_name) from pg_replication_slots where not active), \
                 or run alter system set max_replication_slots = {} and restart the server",
                access.slots_max + 10
            ),
        )),
        None => {}
    }
    if access.senders_free <= 0 {
        found.push(invalid(
            "database.hostname",
            &format!(
                "no WAL sender is free; stop a reader (select pid, application_name from \
                 pg_stat_replication), or run alter system set max_wal_senders = {} and restart \
                 the server",
                access.senders_max + 10
            ),
        ));
    }
    Ok(found)
}

/// `access`: what the role may do; `None` on a standby, where nothing is created.
async fn publication_problems(
    config: &PostgresConfig,
    facts: &ServerFacts,
    captured: &[TableId],
    access: Option<&Access>,
    client: &mut Client,
) -> Result<Vec<ConfigError>, WireError> {
    let name = &config.publication.name;
    let mode = config.publication.mode;
    let tables = || names(&captured.iter().collect::<Vec<_>>());
    let Some(all_tables) = client.publication(name).await? else {
        return Ok(match mode {
            PublicationMode::Disabled => vec![invalid(
                "publication.name",
                &format!(
                    "Publication autocreation is disabled, please create one and restart the \
                     connector. (create publication {name} for table {})",
                    tables()
                ),
            )],
            _ => {
                let too_old = setup::too_old(config, facts)
                    .map(|reason| invalid("publish.via.partition.root", &reason));
                let uncreatable = access.and_then(|access| uncreatable(config, captured, access));
                too_old.into_iter().chain(uncreatable).collect()
            }
        });
    };
    if all_tables && mode == PublicationMode::Filtered {
        return Ok(vec![invalid("publication.name", &setup::not_filtered(config).to_string())]);
    }
    // A publication that nobody will change.
    if mode != PublicationMode::Filtered && !all_tables {
        let published = client.publication_tables(&folded(name)).await?;
        let missing: Vec<_> =
            captured.iter().filter(|table| !published.contains(&table.name())).collect();
        if !missing.is_empty() {
            let statement = format!("alter publication {name} add table {}", names(&missing));
            tracing::warn!(
                statement,
                "the publication lacks captured tables, whose changes will not come; run the statement"
            );
        }
    }
    Ok(Vec::new())
}

/// Why the publication cannot be made, if it cannot.
fn uncreatable(
    config: &PostgresConfig,
    captured: &[TableId],
    access: &Access,
) -> Option<ConfigError> {
    let name = &config.publication.name;
    let user = &config.server.user;
    let problem = |reason: &str, tables: &str| {
        let text = format!(
            "user {user} may not create publication {name}: {reason}; run create publication \
             {name} for {tables} as a superuser or the owner"
        );
        Some(invalid("publication.name", &text))
    };
    match config.publication.mode {
        PublicationMode::AllTables if !access.superuser => {
            problem("FOR ALL TABLES needs a superuser", "all tables")
        }
        PublicationMode::Filtered => {
            let foreign: Vec<_> = captured.iter().filter(|table| !access.owns(table.oid)).collect();
            let tables = format!("table {}", names(&captured.iter().collect::<Vec<_>>()));
            match (access.may_create, foreign.is_empty()) {
                (false, _) => {
                    let database = quoted(&config.server.database);
                    let reason = format!("it lacks CREATE on database {database}");
                    problem(&reason, &tables)
                }
                (true, false) => {
                    let reason = format!("it does not own {}", names(&foreign));
                    problem(&reason, &tables)
                }
                (true, true) => None,
            }
        }
        _ => None,
    }
}

/// Tables whose rows have no key, and tables whose updates and deletes the server will refuse once
/// they are published.
/// What a table lacks that is no error, with the statement that mends the first of them.
#[derive(Debug)]
pub(super) struct Warning {
    pub(super) tables: String,
    pub(super) statement: String,
    pub(super) text: &'static str,
}

/// Warnings about keys and replica identities.
pub(super) fn identity_warnings(
    config: &PostgresConfig,
    captured: &[TableId],
    access: &Access,
) -> Vec<Warning> {
    let without = |has: fn(&Access, u32) -> bool| -> Vec<&TableId> {
        captured.iter().filter(|table| !has(access, table.oid)).collect()
    };
    let mut keyless = without(Access::has_key);
    keyless.retain(|table| !config.has_key_columns(&table.name()));
    let set = |table: &TableId| {
        config.replica_identities.iter().any(|(tables, _)| tables.matches(&table.name()))
    };
    let mut unidentified = without(Access::has_identity);
    unidentified.retain(|table| !set(table));
    let warning = |tables: &[&TableId], action: &str, text| {
        let first = tables.first()?.plain_or_quoted();
        let statement = format!("alter table {first} {action}");
        Some(Warning { tables: names(tables), statement, text })
    };
    let of_keys = "tables without a primary key or a unique index have records without a key; run \
                   such a statement, or name columns in message.key.columns";
    let of_identities = "the server refuses updates and deletes of published tables without a replica \
                         identity; run such a statement, or give the tables a primary key";
    let keys = warning(&keyless, "add primary key (...)", of_keys);
    let identities = warning(&unidentified, "replica identity full", of_identities);
    keys.into_iter().chain(identities).collect()
}

pub(super) fn names(tables: &[&TableId]) -> String {
    let mut names: Vec<_> =
        tables.iter().take(NAMES_MAX).map(|table| table.plain_or_quoted()).collect();
    if tables.len() > NAMES_MAX {
        names.push(format!("and {} more", tables.len() - NAMES_MAX));
    }
    names.join(", ")
}

fn on_host(text: String) -> ConfigError {
    ConfigError::new("database.hostname", text)
}

fn invalid(key: &str, text: &str) -> ConfigError {
    ConfigError::new(key, format!("The '{key}' value is invalid: {text}"))
}
