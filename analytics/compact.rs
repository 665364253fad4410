//! Forgetting changes: those of versions that ended before a horizon leave the log, their versions stay.
//!
//! The price is that a change from before the horizon that arrives later is set aside as `too late`:
//! the one case in which the order of arrival matters.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::manifest::{self, Table};
use crate::rules::{Deletes, SnapshotFrom, ZeroLength};
use crate::scd2;
use crate::sql::{list, quote, render};

/// What was forgotten of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compacted {
    pub table: String,
    pub changes_forgotten: u64,
}

/// Forgets the changes of versions that ended more than `keep` before `now`, of the tables that are named
/// or of all.
///
/// # Errors
/// When there is no such database or table, somebody has it open, or its rules need the whole log.
pub fn compact(
    config: &Config,
    tables: &[String],
    keep: Duration,
    now: SystemTime,
) -> Result<Vec<Compacted>, Error> {
    if !config.database.exists() {
        return Err(Error::NoDatabase(config.database.clone()));
    }
    let mut database = Database::open(config)?;
    let since_epoch = |time: SystemTime| {
        let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        i64::try_from(micros).unwrap_or(i64::MAX)
    };
    let horizon_us = since_epoch(now.checked_sub(keep).unwrap_or(UNIX_EPOCH));
    let mut compacted = Vec::new();
    for mut table in manifest::select(manifest::tables(&database.connection)?, tables)? {
        check(&table)?;
        // A horizon never goes back: what is forgotten is.
        let horizon_us = table.horizon_us.map_or(horizon_us, |old| old.max(horizon_us));
        let transaction = database.connection.transaction()?;
        let placeholder = &config.unavailable_value_placeholder;
        let changes_forgotten = forget(&transaction, &table, placeholder, horizon_us)?;
        table.horizon_us = Some(horizon_us);
        manifest::save_table(&transaction, &table, None, None, since_epoch(now))?;
        transaction.commit()?;
        compacted.push(Compacted { table: table.name, changes_forgotten });
    }
    database.connection.execute("checkpoint", [])?;
    Ok(compacted)
}

/// Under other rules a version does not follow from the change that opened it alone.
fn check(table: &Table) -> Result<(), Error> {
    let rules = &table.rules;
    let usual = rules.deletes == Deletes::Close
        && rules.zero_length == ZeroLength::Keep
        && rules.snapshot_from == SnapshotFrom::Observed;
    if usual {
        return Ok(());
    }
    let reason = "it cannot be compacted: that needs deletes = \"close\", zero_length = \"keep\" and \
                  snapshot_from = \"observed\"";
    Err(Error::Compact(table.name.clone(), reason.into()))
}

fn forget(
    connection: &duckdb::Connection,
    table: &Table,
    placeholder: &str,
    horizon_us: i64,
) -> Result<u64, Error> {
    scd2::versions_of_log(connection, table, placeholder)?;
    let (name, changes, frozen) =
        (quote(&table.name), quote(&table.changes()), quote(&table.frozen()));
    let keys = list("", table.key_names());
    let (keys_c, horizon) = (list("c.", table.key_names()), horizon_us.to_string());
    let same_key = scd2::same_key(table, "c", "s");
    let resolved: Vec<_> = table
        .columns
        .iter()
        .filter(|column| column.toast)
        .map(|column| format!(", {0} = h.{0}", quote(&column.name)))
        .collect();
    let resolved = resolved.concat();
    let same_key_h = scd2::same_key(table, "h", "s");
    let values = [
        ("table", name.as_str()),
        ("changes", &changes),
        ("frozen", &frozen),
        ("keys", &keys),
        ("keys_c", &keys_c),
        ("horizon", &horizon),
        ("same_key", &same_key),
        ("same_key_h", &same_key_h),
        ("resolved", &resolved),
    ];
    let run = |template: &str| connection.execute(&render(template, &values), []);
    run(include_str!("sql/frozen_create.sql"))?;
    run(include_str!("sql/seeds.sql"))?;
    run(include_str!("sql/seeds_resolve.sql"))?;
    let forgotten = run(include_str!("sql/seeds_forget.sql"))?;
    run(include_str!("sql/frozen_remember.sql"))?;
    for temporary in ["_seeds", "_versions"] {
        connection.execute(&format!("drop table {temporary}"), [])?;
    }
    Ok(forgotten as u64)
}
