//! A table that is read incrementally: what orders its rows, what its records are, and its rows between
//! the watermarks.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::client::{TableId, Types};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::{RowKind, Schemas};
use crate::connector::postgres::incremental::context::{JavaKind, StoredKey};
use crate::connector::postgres::incremental::query::OrderColumn;
use crate::connector::postgres::pgoutput::{Datum, DecodeError, Tuple};
use crate::connector::postgres::relation::{Relation, TableShape, copy_fields};
use crate::connector::postgres::snapshot::CopyLines;
use crate::connector::postgres::source_info::Varying;
use crate::data::{Cell, Node, PlannedValue, RecordBatch, RowPlan, Value};
use crate::error::ConnectError;

/// The cells before a row's columns: the clock in three units, the sequence.
const META: usize = 4;

/// A table as it is read now.
#[derive(Debug)]
pub(super) struct IncrementalTable {
    pub(super) id: TableId,
    /// What it was made from, to see whether it still holds.
    pub(super) shape: String,
    pub(super) order: Vec<OrderColumn>,
    pub(super) kinds: Vec<JavaKind>,
    /// Of records.
    pub(super) columns: Vec<String>,
    relation: Relation,
    plan: Arc<RowPlan>,
}

/// Rows that are handed out when their window closes.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) table: Arc<IncrementalTable>,
    /// CopyData frames; the columns that order stand before those of records.
    pub(super) bytes: Bytes,
    pub(super) rows: usize,
    pub(super) last: StoredKey,
    pub(super) maximum: StoredKey,
}

impl IncrementalTable {
    /// `order`: names of the columns that chunks are ordered by.
    pub(super) fn new(
        id: TableId,
        shape: &TableShape,
        types: &Types,
        order: &[String],
        config: &PostgresConfig,
    ) -> Result<Self, ConnectError> {
        let relation = Relation::incremental(shape, types, config)?;
        let plan = plan(&relation, shape, config);
        let column = |name: &String| shape.columns.iter().find(|column| column.name == *name);
        let order_columns = order.iter().filter_map(column);
        let kind = |oid: u32| JavaKind::of(types.get(&oid).map_or("", |ty| ty.name.as_str()));
        Ok(Self {
            id,
            shape: format!("{shape:?} {order:?}"),
            order: order_columns
                .clone()
                .map(|column| OrderColumn { name: column.name.clone(), nullable: !column.not_null })
                .collect(),
            kinds: order_columns.map(|column| kind(column.type_oid)).collect(),
            columns: shape.columns.iter().map(|column| column.name.clone()).collect(),
            relation,
            plan,
        })
    }

    /// The key of the last row of CopyData frames, as it orders.
    pub(super) fn last_key(&self, bytes: &[u8], rows: usize) -> Result<StoredKey, ConnectError> {
        let mut lines = CopyLines::new(bytes);
        let mut last: &[u8] = &[];
        for _ in 0..rows {
            last = lines.next(&self.relation)?.1;
        }
        let text = |field: Option<Vec<u8>>| {
            field.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let key = copy_fields(last).take(self.order.len()).map(text).collect();
        Ok(StoredKey::new(&key, &self.kinds))
    }
}

impl Chunk {
    /// Appends the rows whose keys are not in `changed`; returns how many.
    pub(super) fn hand_out(
        &self,
        changed: &HashSet<Box<[u8]>>,
        clock: [Cell; 3],
        sequence: Cell,
        out: &mut RecordBatch,
    ) -> Result<u64, ConnectError> {
        let IncrementalTable { relation, plan, order, .. } = &*self.table;
        let mut lines = CopyLines::new(&self.bytes);
        let mut handed_out = 0;
        for _ in 0..self.rows {
            let (_, line) = lines.next(relation)?;
            let line = behind_fields(line, order.len());
            let key = key_of_line(relation, line);
            if changed.contains(key.as_slice()) {
                tracing::debug!(table = relation.name, "a row changed while it was read");
                continue;
            }
            let plan = out.plan_index(plan);
            out.start_row(plan);
            out.cells.extend_from_slice(&clock);
            out.cells.push(sequence);
            relation.push_copied_line(line, out).map_err(|error| {
                ConnectError::fatal(format!("cannot read a row of {}", relation.name))
                    .because(error)
            })?;
            handed_out += 1;
        }
        Ok(handed_out)
    }
}

/// What stands behind the first `count` fields.
fn behind_fields(line: &[u8], count: usize) -> &[u8] {
    let mut rest = line;
    for _ in 0..count {
        let end = memchr::memchr(b'\t', rest).map_or(rest.len(), |end| end + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

/// A row's table and key, comparable with those of the stream.
fn key_of_line(relation: &Relation, line: &[u8]) -> Vec<u8> {
    let fields: Vec<_> = copy_fields(line).collect();
    let mut key = start_key(relation);
    for position in &relation.key {
        push_part(&mut key, fields.get(*position).and_then(|field| field.as_deref()));
    }
    key
}

/// The same of a row of the stream. `None`: the key was not sent.
pub(super) fn key_of_tuple(
    relation: &Relation,
    tuple: Tuple<'_>,
) -> Result<Option<Box<[u8]>>, DecodeError> {
    let mut key = start_key(relation);
    let columns = tuple.columns().collect::<Result<Vec<_>, _>>()?;
    for position in &relation.key {
        match columns.get(*position) {
            Some(Datum::Text { text, .. }) => push_part(&mut key, Some(text)),
            Some(Datum::Null) => push_part(&mut key, None),
            _ => return Ok(None),
        }
    }
    Ok(Some(key.into()))
}

fn start_key(relation: &Relation) -> Vec<u8> {
    let mut key = relation.name.as_bytes().to_vec();
    key.push(0);
    key
}

fn push_part(key: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(u64::MAX, |part| part.len() as u64);
    key.extend(length.to_be_bytes());
    key.extend_from_slice(part.unwrap_or_default());
}

fn plan(relation: &Relation, shape: &TableShape, config: &PostgresConfig) -> Arc<RowPlan> {
    let schemas = Schemas::new(relation, config);
    let null = || Node::Const(Value::Null);
    let varying = Varying {
        ts_ms: Node::cell(0),
        snapshot: Node::Const(Value::string("incremental")),
        sequence: Node::cell(3),
        ts_us: Node::cell(1),
        ts_ns: Node::cell(2),
        xid: null(),
        lsn: null(),
        xmin: null(),
        origin: null(),
        origin_lsn: null(),
    };
    let members = schemas.info.members(&shape.schema, &shape.table, Node::Const, varying);
    let fields = config.generation.envelope([
        null(),
        schemas.row(relation, META, RowKind::Whole),
        Node::Struct { presence: None, fields: members },
        null(),
        Node::Const(Value::string("r")),
        Node::cell(0),
        Node::cell(1),
        Node::cell(2),
    ]);
    let envelope = Node::Struct { presence: None, fields };
    Arc::new(RowPlan {
        topic: relation.topic.clone(),
        key: schemas.key(relation, META, RowKind::Whole),
        value: Some(PlannedValue { schema: Some(schemas.envelope.clone()), node: envelope }),
        cell_count: META + relation.cells,
        headers: config.headers.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_before_the_record_are_passed_over() {
        for (count, expected) in [(0, "a\tb\tc"), (1, "b\tc"), (2, "c"), (3, ""), (4, "")] {
            assert_eq!(behind_fields(b"a\tb\tc", count), expected.as_bytes(), "{count}");
        }
    }

    #[test]
    fn parts_of_keys_do_not_run_into_each_other() {
        let key = |parts: &[Option<&[u8]>]| {
            let mut key = Vec::new();
            parts.iter().for_each(|part| push_part(&mut key, *part));
            key
        };
        assert_ne!(key(&[Some(b"a"), Some(b"bc")]), key(&[Some(b"ab"), Some(b"c")]));
        assert_ne!(key(&[None]), key(&[Some(b"")]));
    }
}
