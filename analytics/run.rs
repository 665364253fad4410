//! The verbs: which objects of which tables are read, in what batches, and what is reported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::config::{Config, RunOptions};
use crate::database::{self, Database};
use crate::error::Error;
use crate::inspect::{self, Inspection};
use crate::load::{self, Applied, Batch};
use crate::manifest::{self, Done, Table};
use crate::report::{Plan, PlannedTable, Progress, RunReport, TableReport};
use crate::scd2::{self, Scope};
use crate::source::{Listing, Object, Source, Staged};
use crate::sql::quote;

/// Debezium's own topics, which have no table behind them.
const HEARTBEAT_PREFIX: &str = "__debezium-heartbeat";

pub(crate) fn run(
    config: &Config,
    options: &RunOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<RunReport, Error> {
    let source = Source::open(config)?;
    let mut database = Database::open(config)?;
    let Listing { objects, skipped } = source.list()?;
    progress(Progress::Listed { objects: objects.len() });
    let known = manifest::tables(&database.connection)?;
    let run_id = Database::next(&database.connection, "cdc_run_seq")?;
    let mut report = RunReport { run_id, dry_run: options.dry_run, tables: Vec::new(), skipped };
    for (table, objects) in by_table(objects, config, options, known)? {
        let mut of_table = TableReport {
            table: table.name.clone(),
            topic: table.topic.clone(),
            ..TableReport::default()
        };
        let mut reader =
            Reader { config, options, source: &source, run_id, progress: &mut *progress };
        if let Err(error) = reader.read(&mut database, table, objects, &mut of_table) {
            tracing::warn!(table = %of_table.table, %error, "history table not brought up to date");
            of_table.error = Some(with_causes(&error));
        }
        report.tables.push(of_table);
    }
    database.clear_staging()?;
    Ok(report)
}

pub(crate) fn plan(config: &Config, options: &RunOptions) -> Result<Plan, Error> {
    let connection = database::open_for_plan(&config.database)?;
    let Listing { objects, skipped } = Source::open(config)?.list()?;
    let known = connection.as_ref().map(manifest::tables).transpose()?.unwrap_or_default();
    let mut plan = Plan { tables: Vec::new(), skipped };
    for (table, objects) in by_table(objects, config, options, known)? {
        let done = match &connection {
            Some(connection) => manifest::done(connection, &table.name)?,
            None => HashMap::new(),
        };
        let todo = Todo::new(objects, &done);
        plan.tables.push(PlannedTable {
            objects_new: todo.objects.len() - todo.changed,
            objects_changed: todo.changed,
            objects_done: todo.done,
            objects_gone: todo.gone,
            bytes: todo.objects.iter().map(|object| object.size).sum(),
            table: table.name,
            topic: table.topic,
        });
    }
    Ok(plan)
}

pub(crate) fn rebuild(
    config: &Config,
    options: &RunOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<RunReport, Error> {
    if !config.database.exists() {
        return Err(Error::NoDatabase(config.database.clone()));
    }
    let mut database = Database::open(config)?;
    let run_id = Database::next(&database.connection, "cdc_run_seq")?;
    let mut report =
        RunReport { run_id, dry_run: options.dry_run, tables: Vec::new(), skipped: Vec::new() };
    let tables = manifest::tables(&database.connection)?;
    check_selection(options, tables.iter())?;
    for table in tables.into_iter().filter(|table| is_selected(options, table)) {
        let mut of_table = TableReport {
            table: table.name.clone(),
            topic: table.topic.clone(),
            keys: table.keys.clone(),
            ..TableReport::default()
        };
        let transaction = database.connection.transaction()?;
        let placeholder = &config.unavailable_value_placeholder;
        scd2::merge(&transaction, &table, placeholder, Scope::All, i64::MAX)?;
        scd2::create_views(&transaction, &table)?;
        count_versions(&transaction, &table, &mut of_table)?;
        if options.dry_run { transaction.rollback() } else { transaction.commit() }?;
        let counts = of_table.counts;
        progress(Progress::Applied { table: &table.name, done: 0, objects: 0, counts: &counts });
        report.tables.push(of_table);
    }
    Ok(report)
}

/// Reads the objects of one table, batch by batch.
struct Reader<'a> {
    config: &'a Config,
    options: &'a RunOptions,
    source: &'a Source,
    run_id: i64,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Reader<'_> {
    fn read(
        &mut self,
        database: &mut Database,
        mut table: Table,
        objects: Vec<Object>,
        report: &mut TableReport,
    ) -> Result<(), Error> {
        let done = manifest::done(&database.connection, &table.name)?;
        let todo = Todo::new(objects, &done);
        report.objects_gone = todo.gone;
        let (name, objects) = (table.name.clone(), todo.objects.len());
        let bytes = todo.objects.iter().map(|object| object.size).sum();
        (self.progress)(Progress::Planned { table: &name, objects, bytes });
        for batch in batches(&todo.objects, self.config) {
            let files =
                self.stage(database.empty_staging()?, &name, report.objects, objects, batch)?;
            let applied = self
                .apply(database, &mut table, &files, &done)
                .map_err(|error| name_objects(error, &files))?;
            report.objects += files.len();
            report.bytes += batch.iter().map(|object| object.size).sum::<u64>();
            report.counts.add(&applied.counts);
            report.order = applied.order.or(report.order);
            report.time = applied.time.or(report.time);
            for text in &applied.notices {
                (self.progress)(Progress::Notice { table: &name, text });
            }
            report.notices.extend(applied.notices);
            let (done, counts) = (report.objects, &applied.counts);
            (self.progress)(Progress::Applied { table: &name, done, objects, counts });
        }
        report.keys.clone_from(&table.keys);
        if table.exists {
            count_versions(&database.connection, &table, report)?;
        }
        Ok(())
    }

    fn stage(
        &mut self,
        directory: &Path,
        table: &str,
        before: usize,
        objects: usize,
        batch: &[Object],
    ) -> Result<Vec<Staged>, Error> {
        let mut done = before;
        self.source.stage(batch, directory, |object| {
            done += 1;
            (self.progress)(Progress::Staged { table, uri: &object.uri, done, objects });
        })
    }

    fn apply(
        &self,
        database: &mut Database,
        table: &mut Table,
        files: &[Staged],
        done: &HashMap<String, Done>,
    ) -> Result<Applied, Error> {
        let now = self.options.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let inspection: Inspection = inspect::inspect(&database.connection, self.config, files)?;
        let batch = Batch { files, inspection, done, run_id: self.run_id, now_us };
        let transaction = database.connection.transaction()?;
        let mut grown = table.clone();
        let applied = load::apply(&transaction, self.config, &mut grown, &batch)?;
        if self.options.dry_run {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
            *table = grown;
        }
        Ok(applied)
    }
}

/// The objects of a table that are to be read, and a count of the others.
struct Todo {
    objects: Vec<Object>,
    changed: usize,
    done: usize,
    gone: usize,
}

impl Todo {
    fn new(objects: Vec<Object>, done: &HashMap<String, Done>) -> Self {
        let listed: HashSet<String> = objects.iter().map(|object| object.uri.clone()).collect();
        let gone = done.keys().filter(|uri| !listed.contains(*uri)).count();
        let total = objects.len();
        let is_done =
            |object: &Object| done.get(&object.uri).is_some_and(|done| done.etag == object.etag);
        let objects: Vec<_> = objects.into_iter().filter(|object| !is_done(object)).collect();
        let changed = objects.iter().filter(|object| done.contains_key(&object.uri)).count();
        Todo { done: total - objects.len(), objects, changed, gone }
    }
}

/// Cuts objects into batches within the limits; at least one object each.
fn batches<'a>(objects: &'a [Object], config: &Config) -> Vec<&'a [Object]> {
    let mut batches = Vec::new();
    let mut rest = objects;
    while !rest.is_empty() {
        let mut bytes = 0_u64;
        let fitting = rest.iter().take(config.batch_objects_max).take_while(|object| {
            bytes = bytes.saturating_add(object.size);
            bytes <= config.batch_bytes_max
        });
        let (batch, tail) = rest.split_at(fitting.count().max(1));
        batches.push(batch);
        rest = tail;
    }
    batches
}

/// The selected tables with their objects, by table name.
fn by_table(
    objects: Vec<Object>,
    config: &Config,
    options: &RunOptions,
    known: Vec<Table>,
) -> Result<Vec<(Table, Vec<Object>)>, Error> {
    let mut by_topic: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for object in objects.into_iter().filter(|o| !o.name.topic.starts_with(HEARTBEAT_PREFIX)) {
        by_topic.entry(object.name.topic.clone()).or_default().push(object);
    }
    let names = manifest::assign_names(by_topic.keys().map(String::as_str), config, &known)?;
    let mut known: BTreeMap<_, _> =
        known.into_iter().map(|table| (table.topic.clone(), table)).collect();
    let mut tables: Vec<_> = names
        .into_iter()
        .map(|(topic, name)| {
            let objects = by_topic.remove(&topic).unwrap_or_default();
            let fresh = Table { name, topic: topic.clone(), ..Table::default() };
            (known.remove(&topic).unwrap_or(fresh), objects)
        })
        .collect();
    check_selection(options, tables.iter().map(|(table, _)| table))?;
    tables.retain(|(table, _)| is_selected(options, table));
    tables.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    Ok(tables)
}

fn is_selected(options: &RunOptions, table: &Table) -> bool {
    let named = |name: &String| *name == table.name || *name == table.topic;
    options.tables.is_empty() || options.tables.iter().any(named)
}

fn check_selection<'a>(
    options: &RunOptions,
    tables: impl Iterator<Item = &'a Table> + Clone,
) -> Result<(), Error> {
    for name in &options.tables {
        if !tables.clone().any(|table| *name == table.name || *name == table.topic) {
            return Err(Error::UnknownTable(name.clone()));
        }
    }
    Ok(())
}

fn count_versions(
    connection: &duckdb::Connection,
    table: &Table,
    report: &mut TableReport,
) -> Result<(), Error> {
    let name = quote(&table.name);
    let statement = format!("select count(*), count(*) filter (is_current) from {name}");
    (report.versions, report.current) =
        connection.query_row(&statement, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(())
}

/// DuckDB names the file on disk; people know the object.
fn name_objects(error: Error, files: &[Staged]) -> Error {
    let Error::DuckDb(text) = error else { return error };
    for file in files {
        let path = file.path.to_string_lossy();
        if text.contains(&*path) {
            let uri = file.object.uri.clone();
            return Error::Object { reason: text.replace(&*path, &uri), uri };
        }
    }
    Error::DuckDb(text)
}

/// The causes below, because a report is read without the error at hand.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
