//! `replica.identity.autoset.values`: gives captured tables the replica identity that was asked for,
//! and tells what each table's is (Debezium, `PostgresReplicaIdentityChecker`).

use crate::connector::postgres::client::{Client, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::filter::Patterns;
use crate::connector::postgres::wire::{Result, WireError};

/// A table that is in use keeps its lock for as long as it wants: the change is then left to the next
/// start.
const LOCK_TIMEOUT: &str = "set lock_timeout = '10s'";

/// Sets what differs. A table that cannot be changed is told of and no failure: without the
/// privilege, a person has to do it.
pub(super) async fn set(
    client: &mut Client,
    config: &PostgresConfig,
    captured: &[TableId],
) -> Result<()> {
    let identities = client.replica_identities().await?;
    let of = |table: &TableId| identities.get(&table.oid).map_or("", String::as_str);
    for table in captured {
        let name = table.name();
        let now = of(table);
        match wanted(&config.replica_identities, &name) {
            Wanted::AsItIs => {}
            Wanted::Contradiction => {
                tracing::error!(
                    table = name,
                    "More than one Regular expressions matched table; its replica identity stays as it \
                     is"
                );
            }
            Wanted::This(identity) if same(identity, now) => {}
            Wanted::This(identity) => {
                alter(client, config, table, identity).await?;
                continue;
            }
        }
        let meaning = explanation(now);
        tracing::info!(table = name, identity = now, meaning, "replica identity");
    }
    Ok(())
}

async fn alter(
    client: &mut Client,
    config: &PostgresConfig,
    table: &TableId,
    identity: &str,
) -> Result<()> {
    let statement = format!("ALTER TABLE {} REPLICA IDENTITY {identity}", table.quoted());
    client.execute(LOCK_TIMEOUT).await?;
    let altered = client.execute(&statement).await;
    client.execute("reset lock_timeout").await?;
    match altered {
        Ok(()) => tracing::info!(statement, "replica identity"),
        Err(WireError::Server(error)) => tracing::error!(
            statement,
            error = error.to_string(),
            user = config.server.user,
            "the replica identity of a table stays as it is: run the statement as the table's owner, \
             or leave the table out of replica.identity.autoset.values"
        ),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What is asked of a table.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    AsItIs,
    This(&'a str),
    /// Several entries match.
    Contradiction,
}

fn wanted<'a>(entries: &'a [(Patterns, String)], table: &str) -> Wanted<'a> {
    let mut matching = entries.iter().filter(|(tables, _)| tables.matches(table));
    match (matching.next(), matching.next()) {
        (None, _) => Wanted::AsItIs,
        (Some((_, identity)), None) => Wanted::This(identity),
        _ => Wanted::Contradiction,
    }
}

/// Whether a table has it. Of an index, the catalog's text names which.
fn same(identity: &str, now: &str) -> bool {
    identity.eq_ignore_ascii_case(now)
}

fn explanation(identity: &str) -> &'static str {
    match identity {
        "FULL" => "UPDATE AND DELETE events will contain the previous values of all the columns",
        "NOTHING" => "UPDATE and DELETE events will not contain any information on the old value",
        "DEFAULT" => "UPDATE and DELETE events will contain previous values only for PK columns",
        _ => "UPDATE and DELETE events will contain previous values only for columns of the index",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_decides() {
        let entry =
            |tables: &str, identity: &str| (Patterns::parse(tables).unwrap(), identity.to_owned());
        let entries =
            [entry("inv\\.a", "FULL"), entry("inv\\.[bc]", "DEFAULT"), entry("inv\\.c", "FULL")];
        assert_eq!(wanted(&entries, "inv.a"), Wanted::This("FULL"));
        assert_eq!(wanted(&entries, "inv.b"), Wanted::This("DEFAULT"));
        assert_eq!(wanted(&entries, "inv.c"), Wanted::Contradiction);
        assert_eq!(wanted(&entries, "inv.d"), Wanted::AsItIs);
        assert!(same("USING INDEX \"i\"", "USING INDEX \"i\""));
    }
}
