//! The verbs: which objects of which tables are read, in what batches, and what is reported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::config::{Config, RunOptions};
use crate::database::{self, Database};
use crate::epochs;
use crate::error::Error;
use crate::export;
use crate::grow;
use crate::inspect::{self, Inspection};
use crate::keys;
use crate::load::{self, Applied, Batch, Run};
use crate::manifest::{self, Done, Table};
use crate::report::{Counts, Plan, PlannedTable, Progress, RunReport, TableReport};
use crate::rules::{Deletes, Rules};
use crate::scd2::{self, Scope};
use crate::source::{Listing, Object, Source, Staged};
use crate::sql::quote;
use crate::views;

/// Debezium's own topics, which have no table behind them.
const HEARTBEAT_PREFIX: &str = "__debezium-heartbeat";

/// Loaded rows after which a transaction folds and commits: a crash repeats at most that much, and a
/// backfill makes the versions of a key anew at most once for so many rows.
const FOLD_ROWS_MIN: u64 = 20_000_000;

pub(crate) fn run(
    config: &Config,
    options: &RunOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<RunReport, Error> {
    let source = Source::open(config)?;
    let mut database = Database::open(config)?;
    options.stop.watch(&database.connection);
    let Listing { objects, keys, skipped } = source.list()?;
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
        if options.stop.is_stopped() {
            break;
        }
        let companion = keys.iter().find(|object| object.name.topic == table.topic);
        let mut reader = Reader {
            config,
            options,
            source: &source,
            companion,
            run_id,
            progress: &mut *progress,
        };
        if let Err(error) = reader.read(&mut database, table, objects, &mut of_table) {
            tracing::warn!(table = %of_table.table, %error, "history table not brought up to date");
            of_table.error = Some(with_causes(&error));
        }
        report.tables.push(of_table);
    }
    database.clear_staging()?;
    let changed = report.tables.iter().any(|table| 0 < table.objects);
    if let Some(copy) = config.publish.as_ref().filter(|_| changed && !options.dry_run) {
        // Everything is in the file itself before it is copied; nobody else writes while we hold the lock.
        database.connection.execute("checkpoint", [])?;
        export::publish(&config.database, copy)?;
    }
    Ok(report)
}

pub(crate) fn plan(config: &Config, options: &RunOptions) -> Result<Plan, Error> {
    let connection = database::open_for_plan(&config.database)?;
    let Listing { objects, skipped, .. } = Source::open(config)?.list()?;
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
    if options.from_objects {
        forget_all(config, options)?;
        return run(config, options, progress);
    }
    let mut database = Database::open(config)?;
    let run_id = Database::next(&database.connection, "cdc_run_seq")?;
    let mut report =
        RunReport { run_id, dry_run: options.dry_run, tables: Vec::new(), skipped: Vec::new() };
    let tables = manifest::tables(&database.connection)?;
    check_selection(options, tables.iter())?;
    for mut table in tables.into_iter().filter(|table| is_selected(options, table)) {
        let transaction = database.connection.transaction()?;
        let counts = rebuild_table(&transaction, config, &mut table)?;
        let now = options.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        manifest::save_table(&transaction, &table, None, None, now_us)?;
        let mut of_table = TableReport {
            table: table.name.clone(),
            topic: table.topic.clone(),
            keys: table.keys.clone(),
            counts,
            ..TableReport::default()
        };
        count_versions(&transaction, &table, &mut of_table)?;
        if options.dry_run { transaction.rollback() } else { transaction.commit() }?;
        let counts = &of_table.counts;
        progress(Progress::Applied { table: &table.name, done: 0, objects: 0, counts });
        report.tables.push(of_table);
    }
    Ok(report)
}

/// Forgets the tables that are selected, so that the next run reads all their objects.
fn forget_all(config: &Config, options: &RunOptions) -> Result<(), Error> {
    // Before anything is forgotten: whether there is something to read instead.
    let Listing { objects, .. } = Source::open(config)?.list()?;
    let mut database = Database::open(config)?;
    let tables = manifest::tables(&database.connection)?;
    check_selection(options, tables.iter())?;
    for table in tables.into_iter().filter(|table| is_selected(options, table)) {
        if !objects.iter().any(|object| object.name.topic == table.topic) {
            let reason =
                "the source has no object of it any more; its log is all there is, and stays";
            return Err(Error::Table { table: table.name, reason: reason.into() });
        }
        let transaction = database.connection.transaction()?;
        manifest::forget(&transaction, &table)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Makes the table of a log anew, by the rules, keys and epochs that the configuration now has.
fn rebuild_table(
    connection: &duckdb::Connection,
    config: &Config,
    table: &mut Table,
) -> Result<Counts, Error> {
    let before = (table.rules.clone(), table.keys.clone());
    if let Some(wanted) = config.tables.get(&table.topic) {
        if let Some(rules) = &wanted.rules {
            table.rules.clone_from(rules);
        }
        if !wanted.keys.is_empty() {
            table.keys = keys::named(&table.name, &wanted.keys, "configuration", &table.columns)?;
        }
        epochs::set(connection, table, &wanted.epochs)?;
    }
    let changed = before != (table.rules.clone(), table.keys.clone());
    if changed && table.horizon_us.is_some() {
        let reason = "it was compacted: the changes that other rules or keys would need are forgotten; \
                      rebuild --from-objects reads them again";
        return Err(Error::Table { table: table.name.clone(), reason: reason.into() });
    }
    // Otherwise its columns stay in the order in which they came.
    let has_rows = |rules: &Rules| rules.deletes == Deletes::Row;
    if has_rows(&before.0) != has_rows(&table.rules) {
        grow::create_history_anew(connection, table)?;
    }
    let placeholder = &config.unavailable_value_placeholder;
    let counts = scd2::merge(connection, table, placeholder, Scope::All, i64::MAX)?;
    views::create(connection, table)?;
    Ok(counts)
}

/// Reads the objects of one table, batch by batch.
struct Reader<'a> {
    config: &'a Config,
    options: &'a RunOptions,
    source: &'a Source,
    companion: Option<&'a Object>,
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
        self.configure(database, &mut table)?;
        let done = manifest::done(&database.connection, &table.name)?;
        let mut todo = Todo::new(objects, &done);
        report.objects_gone = todo.gone;
        todo.objects.truncate(self.options.objects_max.unwrap_or(usize::MAX));
        let (name, objects) = (table.name.clone(), todo.objects.len());
        let bytes = todo.objects.iter().map(|object| object.size).sum();
        (self.progress)(Progress::Planned { table: &name, objects, bytes });
        let mut next = 0;
        while next < todo.objects.len() && !self.options.stop.is_stopped() {
            let before = Before { read: report.objects, objects };
            let rest = todo.objects.get(next..).unwrap_or_default();
            match self.transact(database, &mut table, rest, &done, before) {
                Ok((read, applied)) => {
                    next += read;
                    self.tell(rest.get(..read).unwrap_or_default(), applied, objects, report);
                }
                Err(Error::Object { uri, reason }) if self.options.skip_bad => {
                    self.set_aside(database, &table, &todo.objects, &uri, &reason)?;
                    todo.objects.retain(|object| object.uri != uri);
                    report.objects_bad += 1;
                    let text = format!("object \"{uri}\" is set aside: {reason}");
                    (self.progress)(Progress::Notice { table: &name, text: &text });
                    report.notices.push(text);
                }
                Err(error) => return Err(error),
            }
        }
        report.keys.clone_from(&table.keys);
        if table.exists {
            count_versions(&database.connection, &table, report)?;
        }
        Ok(())
    }

    /// Takes what the configuration says of the table; rules of a table that exists do not change.
    fn configure(&self, database: &mut Database, table: &mut Table) -> Result<(), Error> {
        let Some(config) = self.config.tables.get(&table.topic) else { return Ok(()) };
        if let Some(rules) = &config.rules {
            if table.exists && *rules != table.rules {
                let reason = "its rules (deletes, track, time, …) are not those it was made by; \
                              `scd2 rebuild` with this configuration makes it anew";
                return Err(Error::Table { table: table.name.clone(), reason: reason.into() });
            }
            table.rules.clone_from(rules);
        }
        let new = config.epochs.iter().any(|epoch| !table.epochs.contains(epoch));
        if new {
            let transaction = database.connection.transaction()?;
            if epochs::set(&transaction, table, &config.epochs)? && table.exists {
                let placeholder = &self.config.unavailable_value_placeholder;
                scd2::merge(&transaction, table, placeholder, Scope::All, i64::MAX)?;
                manifest::save_table(&transaction, table, None, None, self.now_us())?;
            }
            if self.options.dry_run { transaction.rollback() } else { transaction.commit() }?;
        }
        Ok(())
    }

    fn now_us(&self) -> i64 {
        let now = self.options.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
    }

    /// Tells what a transaction did.
    fn tell(
        &mut self,
        read: &[Object],
        applied: Applied,
        objects: usize,
        report: &mut TableReport,
    ) {
        report.objects += read.len();
        report.bytes += read.iter().map(|object| object.size).sum::<u64>();
        report.counts.add(&applied.counts);
        report.order = applied.order.or(report.order);
        report.time = applied.time.or(report.time);
        let table = &report.table;
        for text in &applied.notices {
            (self.progress)(Progress::Notice { table, text });
        }
        let (done, counts) = (report.objects, &applied.counts);
        (self.progress)(Progress::Applied { table, done, objects, counts });
        report.notices.extend(applied.notices);
    }

    /// One transaction: loads batches until there are rows enough to be worth a fold, and folds them.
    /// Returns how many objects it read.
    ///
    /// A backfill of many batches would otherwise make the versions of the same keys anew with each.
    /// Only one batch is staged at a time; those behind the first are downloaded inside the
    /// transaction, which costs nothing but the time that it stays open.
    fn transact(
        &mut self,
        database: &Database,
        table: &mut Table,
        objects: &[Object],
        done: &HashMap<String, Done>,
        before: Before,
    ) -> Result<(usize, Applied), Error> {
        let run = Run { id: self.run_id, now_us: self.now_us() };
        let transaction = database.connection.unchecked_transaction()?;
        let mut grown = table.clone();
        let (mut all, mut read) = (Applied::default(), 0);
        for batch in batches(objects, self.config) {
            let staging = database.empty_staging()?;
            let before = Before { read: before.read + read, ..before };
            let files = self.stage(staging, &table.name, before, batch)?;
            let applied = self
                .load(&transaction, &mut grown, &files, done, run)
                .map_err(|error| name_objects(error, &files))?;
            read += files.len();
            all.join(applied);
            let stopped = self.options.stop.is_stopped();
            // A dry run takes everything back: what comes later has to see what came before.
            if stopped || FOLD_ROWS_MIN <= all.counts.rows && !self.options.dry_run {
                break;
            }
        }
        load::fold(&transaction, self.config, &grown, &mut all, run)?;
        if self.options.dry_run {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
            *table = grown;
        }
        Ok((read, all))
    }

    /// Remembers an object that cannot be read, so that the table goes on without it.
    fn set_aside(
        &self,
        database: &Database,
        table: &Table,
        objects: &[Object],
        uri: &str,
        reason: &str,
    ) -> Result<(), Error> {
        let Some(object) = objects.iter().find(|object| object.uri == uri) else { return Ok(()) };
        if self.options.dry_run {
            return Ok(());
        }
        let run = Run { id: self.run_id, now_us: self.now_us() };
        let transaction = database.connection.unchecked_transaction()?;
        manifest::set_aside(&transaction, table, object, reason, run)?;
        transaction.commit()?;
        Ok(())
    }

    fn stage(
        &mut self,
        directory: &Path,
        table: &str,
        before: Before,
        batch: &[Object],
    ) -> Result<Vec<Staged>, Error> {
        let Before { read: mut done, objects } = before;
        self.source.stage(batch, directory, |object| {
            done += 1;
            (self.progress)(Progress::Staged { table, uri: &object.uri, done, objects });
        })
    }

    fn load(
        &self,
        connection: &duckdb::Connection,
        table: &mut Table,
        files: &[Staged],
        done: &HashMap<String, Done>,
        run: Run,
    ) -> Result<Applied, Error> {
        let inspection: Inspection =
            inspect::inspect(connection, self.config, &table.topic, files)?;
        let mut companion_keys = None;
        if let Some(companion) = self.companion
            && keys::needs_companion(self.config, table, &inspection.facts)
        {
            let directory = database::staging(self.config).join("keys");
            std::fs::create_dir_all(&directory).map_err(|source| Error::Io {
                what: format!("cannot make {}", directory.display()),
                source,
            })?;
            let staged = self.source.stage(std::slice::from_ref(companion), &directory, |_| {})?;
            if let Some(file) = staged.first() {
                companion_keys = inspect::key_columns(connection, file)?;
            }
        }
        let batch = Batch {
            files,
            inspection,
            done,
            run,
            companion_keys,
            accept_guessed_keys: self.options.accept_guessed_keys,
        };
        load::load_batch(connection, self.config, table, &batch)
    }
}

/// Where a table's run stands.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// Objects that were read.
    read: usize,
    /// Objects that are to be read, those included.
    objects: usize,
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
