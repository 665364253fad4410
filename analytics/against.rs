//! Whether the current rows are those that the source has now.
//!
//! The source is asked in one repeatable-read transaction. It goes on meanwhile: rows that changed since
//! the last run differ, so run first and compare when it is quiet.

use std::fmt::Write as _;

use duckdb::{Connection, params_from_iter};
use serde::Serialize;
use tokio_postgres::NoTls;

use crate::columns::Column;
use crate::config::Config;
use crate::database;
use crate::error::Error;
use crate::manifest::{self, Table};
use crate::sql::{list, quote};

/// Differing keys that are named.
const EXAMPLES_MAX: usize = 10;
/// Rows that are handed to DuckDB at a time.
const CHUNK_ROWS: usize = 2_000;

/// What differs between a table and its source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub table: String,
    /// Rows of the source.
    pub rows: u64,
    pub missing: u64,
    pub surplus: u64,
    pub different: u64,
    /// The source's position when it was asked.
    pub source_lsn: String,
    /// Columns that were not compared, because their text tells nothing of their value.
    pub not_compared: Vec<String>,
    /// Some of the keys.
    pub examples: Vec<String>,
}

/// Compares the current rows of the tables (all if `tables` is empty) with those of the PostgreSQL database at
/// `url`. A topic `prefix.schema.table` names the source's table.
///
/// # Errors
/// When one of the two cannot be read.
pub fn against(config: &Config, tables: &[String], url: &str) -> Result<Vec<Difference>, Error> {
    let connection = database::open_read_only(&config.database)?;
    let tables = manifest::select(manifest::tables(&connection)?, tables)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Io { what: "cannot start a runtime".into(), source })?;
    runtime.block_on(async {
        let (client, driver) = tokio_postgres::connect(url, NoTls).await.map_err(said)?;
        let driver = tokio::spawn(driver);
        // The rows are read as text: fixed spellings, whatever the server's settings.
        client
            .batch_execute(
                "set timezone = 'UTC'; set datestyle = 'ISO'; set bytea_output = 'hex'; \
                 set intervalstyle = 'iso_8601'; set extra_float_digits = 3; \
                 begin isolation level repeatable read, read only",
            )
            .await
            .map_err(said)?;
        let mut differences = Vec::new();
        for table in &tables {
            differences.push(compare(&connection, &client, table).await?);
        }
        drop(client);
        // The connection ends with its client.
        let _ = driver.await;
        Ok(differences)
    })
}

fn said(error: tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    Error::Postgres(format!("{error} {cause}").trim().to_owned())
}

async fn compare(
    connection: &Connection,
    client: &tokio_postgres::Client,
    table: &Table,
) -> Result<Difference, Error> {
    let (compared, skipped): (Vec<&Column>, Vec<&Column>) =
        table.columns.iter().partition(|column| is_comparable(&column.type_name));
    let mut difference = Difference {
        table: table.name.clone(),
        not_compared: skipped.into_iter().map(|column| column.name.clone()).collect(),
        ..Difference::default()
    };
    let lsn = "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
               else pg_current_wal_lsn() end::text";
    difference.source_lsn = client.query_one(lsn, &[]).await.map_err(said)?.get(0);
    let declared: Vec<_> = (0..compared.len()).map(|index| format!("c{index} varchar")).collect();
    connection
        .execute(&format!("create or replace temp table _source ({})", declared.join(", ")), [])?;
    difference.rows = fetch(connection, client, table, &compared).await?;
    find(connection, table, &compared, &mut difference)?;
    Ok(difference)
}

/// The text of these types, as PostgreSQL writes it, can be read as the type.
fn is_comparable(type_name: &str) -> bool {
    type_name.starts_with("DECIMAL(")
        || matches!(
            type_name,
            "TINYINT"
                | "SMALLINT"
                | "INTEGER"
                | "BIGINT"
                | "HUGEINT"
                | "FLOAT"
                | "DOUBLE"
                | "BOOLEAN"
                | "VARCHAR"
                | "UUID"
                | "DATE"
                | "TIME"
                | "TIMESTAMP"
                | "BLOB"
        )
}

/// Brings the source's rows into `_source`, as text.
async fn fetch(
    connection: &Connection,
    client: &tokio_postgres::Client,
    table: &Table,
    columns: &[&Column],
) -> Result<u64, Error> {
    let name: Vec<_> = table.topic.rsplitn(3, '.').take(2).map(quote).collect();
    let name = name.into_iter().rev().collect::<Vec<_>>().join(".");
    let texts: Vec<_> =
        columns.iter().map(|column| format!("{}::text", quote(&column.source))).collect();
    let declare = format!("declare source_rows cursor for select {} from {name}", texts.join(", "));
    client.batch_execute(&declare).await.map_err(said)?;
    let marks = format!("({})", vec!["?"; columns.len()].join(", "));
    let fetch = format!("fetch {CHUNK_ROWS} from source_rows");
    let mut count = 0;
    loop {
        let rows = client.query(&fetch, &[]).await.map_err(said)?;
        if rows.is_empty() {
            break;
        }
        count += rows.len() as u64;
        let mut statement = connection.prepare(&format!("insert into _source values {marks}"))?;
        for row in &rows {
            let values = (0..columns.len()).map(|index| row.get::<_, Option<String>>(index));
            statement.execute(params_from_iter(values))?;
        }
    }
    client.batch_execute("close source_rows").await.map_err(said)?;
    Ok(count)
}

/// Compares `_source` with the current rows, value by value in the column's type.
fn find(
    connection: &Connection,
    table: &Table,
    columns: &[&Column],
    difference: &mut Difference,
) -> Result<(), Error> {
    let mut typed = String::new();
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let value = match column.type_name.as_str() {
            "BLOB" => format!("from_hex(substr(c{index}, 3))"),
            of => format!("cast(c{index} as {of})"),
        };
        // Writing to a String cannot fail.
        let _ = write!(typed, "{comma}{value} as {}", quote(&column.name));
    }
    let keys = list("", table.key_names());
    let names = list("", columns.iter().map(|column| column.name.as_str()));
    let current = quote(&format!("{}_current", table.name));
    connection.execute(
        &format!(
            "create or replace temp table _differences as \
             with source as (select {typed} from _source), \
             here as (select {names} from {current}), \
             missing as (from source except all from here), \
             surplus as (from here except all from source) \
             select {keys}, bool_or(side = 's') as there, bool_or(side = 'h') as here from ( \
               select {keys}, 's' as side from missing union all select {keys}, 'h' from surplus) \
             group by {keys}"
        ),
        [],
    )?;
    let counts = "select count(*) filter (there and not here)::ubigint, \
                  count(*) filter (here and not there)::ubigint, \
                  count(*) filter (here and there)::ubigint from _differences";
    connection.query_row(counts, [], |row| {
        difference.missing = row.get(0)?;
        difference.surplus = row.get(1)?;
        difference.different = row.get(2)?;
        Ok(())
    })?;
    let texts: Vec<_> =
        table.key_names().map(|key| format!("cast({} as varchar)", quote(key))).collect();
    let examples = format!(
        "select array_to_string([{}], ', ') from _differences order by 1 limit {EXAMPLES_MAX}",
        texts.join(", ")
    );
    let mut statement = connection.prepare(&examples)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    difference.examples = rows.collect::<Result<_, _>>()?;
    Ok(())
}
