//! The changes of the log as the fold takes them: key after key, and each key's in order. DuckDB sorts narrow
//! rows: the key, the position, and a hash of the image. Columns that are the same in all rows are left
//! out of the sort.

use duckdb::Connection;
use duckdb::arrow::array::{
    Array, AsArray, BooleanArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use duckdb::arrow::datatypes::{
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt64Type,
};

use crate::error::Error;
use crate::fold::{Change, Toast};
use crate::manifest::Table;
use crate::rules::SnapshotFrom;
use crate::scd2::{Columns, Scope};
use crate::sql::{list, quote, render};

/// Rows of the log that are sorted at a time. Each time all images are read; and until the last row has come,
/// the versions stay outside of DuckDB's `memory_limit`, with some 30 bytes each.
const SORTED_ROWS_MAX: u64 = 10_000_000;

/// What is known of a log before it is sorted.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) scope: Scope,
    first_obj: i64,
    /// Changes of the keys in scope.
    pub(crate) rows: u64,
    epoch: Option<i64>,
    part: Option<i64>,
    ordinal: Option<i64>,
    new: Option<bool>,
}

impl Log {
    /// Counts the rows of the keys in scope. Where all are touched, none is sought.
    pub(crate) fn of(
        connection: &Connection,
        table: &Table,
        scope: Scope,
        first_obj: i64,
    ) -> Result<Self, Error> {
        let (changes, first) = (quote(&table.changes()), first_obj.to_string());
        let keys = list("", table.key_names());
        let values = [("changes", changes.as_str()), ("first_obj", &first), ("keys", &keys)];
        let statement = render(include_str!("sql/log_facts.sql"), &values);
        let mut log = connection.query_row(&statement, [], |row| {
            let same = |index: usize| -> duckdb::Result<Option<i64>> {
                let (least, most): (Option<i64>, Option<i64>) =
                    (row.get(index)?, row.get(index + 1)?);
                Ok(least.filter(|_| least == most))
            };
            let (all_new, any_new): (bool, bool) = (row.get(7)?, row.get(8)?);
            Ok(Log {
                scope,
                first_obj,
                rows: row.get(0)?,
                epoch: same(1)?,
                part: same(3)?,
                ordinal: same(5)?,
                new: Some(all_new).filter(|_| all_new == any_new),
            })
        })?;
        if scope == Scope::Affected {
            let touched = render(include_str!("sql/touched.sql"), &values);
            let touched: u64 = connection.query_row(&touched, [], |row| row.get(0))?;
            if touched == log.rows {
                log.scope = Scope::All;
            }
            log.rows = touched;
        }
        Ok(log)
    }

    /// The statements that yield the changes, part after part; all changes of a key are in one.
    pub(crate) fn statements(&self, table: &Table, columns: &Columns<'_>) -> Vec<String> {
        let parts = self.rows.div_ceil(SORTED_ROWS_MAX).max(1);
        let keys = list("c.", table.key_names());
        let of_part = |part: u64| {
            if parts == 1 { "true".into() } else { format!("hash(row({keys})) % {parts} = {part}") }
        };
        (0..parts).map(|part| self.statement(table, columns, &of_part(part))).collect()
    }

    fn statement(&self, table: &Table, columns: &Columns<'_>, part_of_keys: &str) -> String {
        let keys: Vec<String> = (0..table.keys.len()).map(|index| format!("_k{index}")).collect();
        let fresh = keys.iter().map(|key| format!("{key} is distinct from lag({key}) over ()"));
        let fresh: Vec<_> = fresh.collect();
        let named = table.key_names().zip(&keys);
        let key_values: Vec<_> =
            named.map(|(name, key)| format!("c.{} as {key}", quote(name))).collect();
        let image = list("c.", columns.image.iter().map(|column| column.name.as_str()));
        let image =
            if image.is_empty() { "0::ubigint".into() } else { format!("hash(row({image}))") };
        let (mut toast, mut toast_names) = (String::new(), String::new());
        for (index, (column, placeholder, _)) in columns.toasted.iter().enumerate() {
            let name = format!("c.{}", quote(&column.name));
            // NULL is a value; the placeholder is none.
            toast += &format!(
                ", case when {name} is null then 0::ubigint \
                 when {name} is distinct from {placeholder} then hash({name}) end as toast{index}"
            );
            toast_names += &format!(", toast{index}");
        }
        let first_obj = self.first_obj;
        let mut varying = Varying::default();
        let epoch = varying.column("epoch", "c._epoch", self.epoch, "smallint");
        let part = varying.column("part", "c._part", self.part, "integer");
        let ordinal = varying.column("ordinal", "c._row", self.ordinal, "ubigint");
        let new = varying.column(
            "new",
            &format!("c._obj >= {first_obj}"),
            self.new.map(i64::from),
            "boolean",
        );
        // The fold relies on this order. The time only tells copies of one record apart.
        let rank = "(c._hi > 0 and c._op not in ('d', 't'))".to_owned();
        let position = [
            ("c._epoch", self.epoch.is_none()),
            ("c._hi", true),
            (rank.as_str(), true),
            ("c._part", self.part.is_none()),
            ("c._lo", true),
            ("c._row", self.ordinal.is_none()),
            ("c._ts", true),
        ];
        let position = position.into_iter().filter(|(_, varies)| *varies).map(|(column, _)| column);
        let order: Vec<&str> = keys.iter().map(String::as_str).chain(position).collect();
        render(
            include_str!("sql/fold_rows.sql"),
            &[
                ("fresh", &fresh.join(" or ")),
                ("key_values", &key_values.join(", ")),
                ("time", &time(table)),
                ("epoch", &epoch),
                ("part", &part),
                ("ordinal", &ordinal),
                ("new", &new),
                ("varying", &varying.0),
                ("image", &image),
                ("toast", &toast),
                ("toast_names", &toast_names),
                ("changes", &quote(&table.changes())),
                ("among", &self.scope.among(table)),
                ("part_of_keys", part_of_keys),
                ("order", &order.join(", ")),
            ],
        )
    }
}

/// What goes through the sort because it differs between rows.
#[derive(Default)]
struct Varying(String);

impl Varying {
    /// How the sorted rows call a column of the log: by name, or by the one value that it has.
    fn column(&mut self, name: &str, expr: &str, same: Option<i64>, type_name: &str) -> String {
        if let Some(value) = same {
            return format!("{value}::{type_name}");
        }
        self.0 += &format!(", {expr} as {name}");
        name.to_owned()
    }
}

fn time(table: &Table) -> String {
    let SnapshotFrom::Column(column) = &table.rules.snapshot_from else { return "c._ts".into() };
    let name = quote(column);
    format!(
        "case when c._op = 'r' then coalesce(cast(c.{name} as timestamp), c._ts) else c._ts end"
    )
}

/// A batch of changes, column by column, in the order of `fold_rows.sql`.
#[derive(Debug)]
pub(crate) struct Sorted<'a> {
    fresh: &'a BooleanArray,
    row: &'a Int64Array,
    op: &'a UInt8Array,
    time: &'a TimestampMicrosecondArray,
    epoch: &'a Int16Array,
    hi: &'a UInt64Array,
    part: &'a Int32Array,
    lo: &'a UInt64Array,
    ordinal: &'a UInt64Array,
    new: &'a BooleanArray,
    image: &'a UInt64Array,
    toast: Vec<&'a UInt64Array>,
}

impl<'a> Sorted<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, toasted: usize) -> Self {
        let column = |index: usize| batch.column(index);
        Sorted {
            fresh: column(0).as_boolean(),
            row: column(1).as_primitive::<Int64Type>(),
            op: column(2).as_primitive::<UInt8Type>(),
            time: column(3).as_primitive::<TimestampMicrosecondType>(),
            epoch: column(4).as_primitive::<Int16Type>(),
            hi: column(5).as_primitive::<UInt64Type>(),
            part: column(6).as_primitive::<Int32Type>(),
            lo: column(7).as_primitive::<UInt64Type>(),
            ordinal: column(8).as_primitive::<UInt64Type>(),
            new: column(9).as_boolean(),
            image: column(10).as_primitive::<UInt64Type>(),
            toast: (0..toasted).map(|i| column(11 + i).as_primitive::<UInt64Type>()).collect(),
        }
    }

    /// Whether another key begins at this row.
    pub(crate) fn is_fresh(&self, index: usize) -> bool {
        self.fresh.value(index)
    }

    pub(crate) fn change(&self, index: usize) -> Change {
        Change {
            row: self.row.value(index),
            op: self.op.value(index),
            time: self.time.value(index),
            lsn: (self.epoch.value(index), self.hi.value(index)),
            offset: (self.part.value(index), self.lo.value(index), self.ordinal.value(index)),
            image: self.image.value(index),
            new: self.new.value(index),
        }
    }

    /// Puts the row's values of toasted columns into `out`.
    pub(crate) fn toast(&self, index: usize, tracked: &[bool], out: &mut Vec<Toast>) {
        out.clear();
        out.extend(self.toast.iter().zip(tracked).map(|(column, tracked)| Toast {
            value: column.is_valid(index).then(|| column.value(index)),
            tracked: *tracked,
        }));
    }
}
