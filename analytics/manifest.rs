//! What is known between runs: the tables with their keys and columns, and the objects done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use duckdb::{Connection, params};

use crate::columns::Column;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::load::Run;
use crate::report::{OrderSource, TimeSource};
use crate::rules::Rules;
use crate::source::Object;
use crate::sql::quote;

/// A table as `cdc_tables` has it, or one that is not there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) topic: String,
    /// Names of key columns; empty until the first batch.
    pub(crate) keys: Vec<String>,
    pub(crate) columns: Vec<Column>,
    /// What its versions mean.
    pub(crate) rules: Rules,
    /// Where log positions begin anew: partition and offset.
    pub(crate) epochs: Vec<(i32, u64)>,
    /// Since `compact`: changes before it are no longer taken.
    pub(crate) horizon_us: Option<i64>,
    /// In the database: not so before the first batch.
    pub(crate) exists: bool,
}

impl Table {
    pub(crate) fn changes(&self) -> String {
        format!("{}__changes", self.name)
    }

    /// How many versions of each key are no longer made from the log.
    pub(crate) fn frozen(&self) -> String {
        format!("{}__frozen", self.name)
    }

    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}

/// The tables that are named, by table or topic; all if none is.
pub(crate) fn select(tables: Vec<Table>, names: &[String]) -> Result<Vec<Table>, Error> {
    let is = |table: &Table, name: &String| *name == table.name || *name == table.topic;
    if let Some(name) = names.iter().find(|name| !tables.iter().any(|table| is(table, name))) {
        return Err(Error::UnknownTable(name.clone()));
    }
    let wanted = |table: &Table| names.is_empty() || names.iter().any(|name| is(table, name));
    Ok(tables.into_iter().filter(wanted).collect())
}

/// An object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) etag: String,
    pub(crate) obj: i64,
}

pub(crate) fn tables(connection: &Connection) -> Result<Vec<Table>, Error> {
    let mut statement = connection.prepare(
        "select tbl, topic, keys, columns_json, options_json, epochs_json, epoch_us(horizon) \
         from cdc_tables order by tbl",
    )?;
    let mut rows = statement.query([])?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let damaged = |source: serde_json::Error| Error::Table {
            table: name.clone(),
            reason: format!("its row in cdc_tables is damaged: {source}"),
        };
        tables.push(Table {
            topic: row.get(1)?,
            keys: serde_json::from_str(&row.get::<_, String>(2)?).map_err(damaged)?,
            columns: serde_json::from_str(&row.get::<_, String>(3)?).map_err(damaged)?,
            rules: serde_json::from_str(&row.get::<_, String>(4)?).map_err(damaged)?,
            epochs: serde_json::from_str(&row.get::<_, String>(5)?).map_err(damaged)?,
            horizon_us: row.get(6)?,
            exists: true,
            name: name.clone(),
        });
    }
    Ok(tables)
}

/// The objects of a table that are done, by URI.
pub(crate) fn done(connection: &Connection, table: &str) -> Result<HashMap<String, Done>, Error> {
    let mut statement =
        connection.prepare("select uri, etag, obj from cdc_objects where tbl = ?")?;
    let rows = statement.query_map([table], |row| {
        Ok((row.get(0)?, Done { etag: row.get(1)?, obj: row.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Remembers the table as it is after a batch.
pub(crate) fn save_table(
    connection: &Connection,
    table: &Table,
    order: Option<OrderSource>,
    time: Option<TimeSource>,
    now_us: i64,
) -> Result<(), Error> {
    let json = |error: serde_json::Error| Error::Table {
        table: table.name.clone(),
        reason: format!("cannot be described: {error}"),
    };
    let keys = serde_json::to_string(&table.keys).map_err(json)?;
    let columns = serde_json::to_string(&table.columns).map_err(json)?;
    let rules = serde_json::to_string(&table.rules).map_err(json)?;
    let epochs = serde_json::to_string(&table.epochs).map_err(json)?;
    let (order, time) = (order.map(OrderSource::name), time.map(TimeSource::name));
    connection.execute(
        "insert or replace into cdc_tables select ?, ?, ?, ?, \
         coalesce(?, (select order_source from cdc_tables where tbl = ?)), \
         coalesce(?, (select time_source from cdc_tables where tbl = ?)), make_timestamp(?), ?, ?, make_timestamp(?)",
        params![
            table.name,
            table.topic,
            keys,
            columns,
            order,
            table.name,
            time,
            table.name,
            now_us,
            rules,
            epochs,
            table.horizon_us
        ],
    )?;
    Ok(())
}

/// Forgets a table with everything that is known of it.
pub(crate) fn forget(connection: &Connection, table: &Table) -> Result<(), Error> {
    for relation in [table.name.clone(), table.changes(), table.frozen()] {
        connection.execute(&format!("drop table if exists {}", quote(&relation)), [])?;
    }
    for known in ["cdc_objects", "cdc_rejects", "cdc_schema", "cdc_tables"] {
        connection.execute(&format!("delete from {known} where tbl = ?"), [&table.name])?;
    }
    Ok(())
}

/// Remembers an object that cannot be read as done, and why.
pub(crate) fn set_aside(
    connection: &Connection,
    table: &Table,
    object: &Object,
    reason: &str,
    run: Run,
) -> Result<(), Error> {
    let obj = Database::next(connection, "cdc_obj_seq")?;
    let name = &object.name;
    connection.execute(
        "insert or replace into cdc_objects values (?, ?, ?, ?, make_timestamp(?), ?, ?, ?, null, 0, \
         'unreadable', ?, ?, make_timestamp(?), null)",
        params![
            table.name,
            object.uri,
            object.etag,
            object.size,
            object.last_modified_us,
            name.topic,
            name.partition,
            name.start_offset,
            obj,
            run.id,
            run.now_us,
        ],
    )?;
    connection.execute(
        "insert into cdc_rejects values (?, ?, ?, ?, null, ?, ?)",
        params![table.name, obj, name.partition, name.start_offset, reason, run.id],
    )?;
    Ok(())
}

/// The name of each topic's table: as configured, as it was, else the last part of the topic, and
/// where two topics end alike, the last two parts.
pub(crate) fn assign_names<'a>(
    topics: impl IntoIterator<Item = &'a str>,
    config: &Config,
    known: &[Table],
) -> Result<BTreeMap<String, String>, Error> {
    let topics: BTreeSet<&str> = topics.into_iter().collect();
    let of_last = |last: &str| topics.iter().filter(|topic| parts(topic, 1) == last).count();
    let mut names = BTreeMap::new();
    for topic in &topics {
        let configured = config.tables.get(*topic).and_then(|table| table.name.clone());
        let kept = known.iter().find(|table| table.topic == *topic).map(|table| table.name.clone());
        let last = parts(topic, 1);
        let taken = known.iter().any(|table| table.name == last && table.topic != *topic);
        let by_topic = || if 1 < of_last(&last) || taken { parts(topic, 2) } else { last.clone() };
        if let (Some(configured), Some(kept)) = (&configured, &kept)
            && configured != kept
        {
            let reason = format!("its rows are in table \"{kept}\"; a table cannot be renamed");
            return Err(Error::Table { table: configured.clone(), reason });
        }
        let name = configured.or(kept).unwrap_or_else(by_topic);
        if let Some((other, _)) = names.iter().find(|(_, taken): &(_, &String)| **taken == name) {
            let reason = format!("topics {other} and {topic} both want it; set a name for one");
            return Err(Error::Table { table: name, reason });
        }
        names.insert((*topic).to_owned(), name);
    }
    Ok(names)
}

/// The last `count` dot-separated parts of a topic, as an identifier.
fn parts(topic: &str, count: usize) -> String {
    let parts: Vec<_> = topic.rsplit('.').take(count).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TableConfig;

    #[track_caller]
    fn check(name: &str, config: &Config, known: &[Table], topics: &[&str], expected: &[&str]) {
        let names = assign_names(topics.iter().copied(), config, known).unwrap();
        let names: Vec<_> = topics.iter().map(|topic| names[*topic].as_str()).collect();
        assert_eq!(names, expected, "{name}");
    }

    #[test]
    fn tables_are_called_after_their_topics() {
        let mut config = Config::new("", "");
        let known = Table { name: "users".into(), topic: "a.x.users".into(), ..Table::default() };
        check("one", &config, &[], &["cdc.commerce.products"], &["products"]);
        check("no dots", &config, &[], &["products"], &["products"]);
        check("a clash", &config, &[], &["a.x.users", "a.y.users"], &["x_users", "y_users"]);
        check(
            "a later clash",
            &config,
            &[known],
            &["a.x.users", "a.y.users"],
            &["users", "y_users"],
        );
        let named = TableConfig { name: Some("people".into()), ..TableConfig::default() };
        config.tables.insert("a.x.users".into(), named);
        check("configured", &config, &[], &["a.x.users", "b"], &["people", "b"]);
    }

    #[test]
    fn two_topics_cannot_share_a_table() {
        let error = assign_names(["a.users", "b.a.users"], &Config::new("", ""), &[]).unwrap_err();
        assert!(error.to_string().contains("a.users"), "{error}");
    }
}
