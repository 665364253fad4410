//! An update that changes the key: a delete under the old key, its tombstone, and a create under the
//! new one, tied together by headers (Debezium, "Primary key updates"). Too rare for a plan of its
//! own: it is made of trees.

use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::pgoutput::{OldKind, Tuple};
use crate::connector::postgres::stream::{Streamed, push_tuples};
use crate::data::{Cell, Header, Record, RecordBatch, SchemaAndValue};
use crate::error::ConnectError;

const NEW_KEY: &str = "__debezium.newkey";
const OLD_KEY: &str = "__debezium.oldkey";

pub(super) struct KeyChange<'a> {
    pub(super) streamed: &'a Streamed,
    pub(super) kind: OldKind,
    pub(super) old: Tuple<'a>,
    pub(super) new: Tuple<'a>,
}

impl KeyChange<'_> {
    /// Appends the records: `meta` are the cells before the columns of delete and create.
    pub(super) fn push(
        &self,
        config: &PostgresConfig,
        meta: [&[Cell]; 2],
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        let plans = &self.streamed.plans;
        let relation = &self.streamed.relation;
        let delete_plan = match self.kind {
            OldKind::Full => &plans.delete_full,
            OldKind::Key => &plans.delete_keyed,
        };
        // The new row stands behind the old one, whose values fill what it leaves unchanged.
        let [of_delete, of_create] = meta;
        let first = out.cells.len();
        out.cells.extend_from_slice(of_delete);
        push_tuples(relation, &[self.old], out)?;
        let old_cells = first + of_delete.len();
        let second = out.cells.len();
        out.cells.extend_from_slice(of_create);
        let filler = (self.kind == OldKind::Full).then_some(old_cells);
        relation.push_tuple(self.new, filler, out).map_err(|error| {
            ConnectError::fatal(format!("cannot read a change of {}", relation.name)).because(error)
        })?;
        let tree =
            |plan: &std::sync::Arc<crate::data::RowPlan>, cells: usize, out: &mut RecordBatch| {
                let index = out.plan_index(plan);
                let cells = u32::try_from(cells)
                    .map_err(|_| ConnectError::fatal("a batch has 2^32 cells"))?;
                plan.materialize(&out.view(index, cells)).map_err(|error| {
                    let text = format!("cannot read a key change of {}", relation.name);
                    ConnectError::fatal(text).because(error)
                })
            };
        let mut delete = tree(delete_plan, first, out)?;
        let mut create = tree(&plans.create, second, out)?;
        let (old_key, new_key) = (delete.key.clone(), create.key.clone());
        delete.headers.insert(0, header(NEW_KEY, new_key));
        create.headers.insert(0, header(OLD_KEY, old_key));
        if !config.skipped.contains("d") {
            let tombstone = Record { value: SchemaAndValue::NULL, ..delete.clone() };
            out.push_record(delete);
            if config.tombstones {
                out.push_record(tombstone);
            }
        }
        if !config.skipped.contains("c") {
            out.push_record(create);
        }
        Ok(())
    }
}

fn header(key: &str, value: SchemaAndValue) -> Header {
    Header { key: key.to_owned(), schema: value.schema, value: value.value }
}
