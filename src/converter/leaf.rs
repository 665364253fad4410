//! The planned path of converters whose messages are one string or one run of bytes.

use std::sync::Arc;

use super::{Presence, RowEncoder};
use crate::data::{Cell, Node, PlannedValue, RecordBatch, RowPlan, RowView, Schema, Value};
use crate::error::DataError;

/// As many topics as one task may read before the cache starts anew.
const TOPICS_MAX: usize = 4096;

/// One shape per topic: a single cell.
#[derive(Debug)]
pub(super) struct Leaves {
    schema: Arc<Schema>,
    plans: Vec<Arc<RowPlan>>,
}

impl Leaves {
    pub(super) fn new(schema: &Arc<Schema>) -> Self {
        Self { schema: schema.clone(), plans: Vec::new() }
    }

    /// The bytes at `off..off + len` of the batch's wire as a row.
    pub(super) fn decode(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Option<Arc<RowPlan>> {
        let (off, len) = (u32::try_from(off).ok()?, u32::try_from(len).ok()?);
        batch.cells.push(Cell::Wire { off, len });
        // Newest first: messages of a topic come in runs.
        if let Some(plan) = self.plans.iter().rev().find(|plan| plan.topic.as_ref() == topic) {
            return Some(plan.clone());
        }
        if self.plans.len() >= TOPICS_MAX {
            self.plans.clear();
        }
        let value = PlannedValue { schema: Some(self.schema.clone()), node: Node::cell(0) };
        let (topic, headers) = (topic.into(), [].into());
        let plan = RowPlan { topic, key: None, value: Some(value), cell_count: 1, headers };
        let plan = Arc::new(plan);
        self.plans.push(plan.clone());
        Some(plan)
    }
}

/// Writes the bytes of the one cell; `None` when there is more to it.
pub(super) fn leaf_encoder(planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
    match planned.node {
        Node::Cell { index, unchanged: Value::Null, null: Value::Null } => {
            Some(Box::new(LeafEncoder { index }))
        }
        _ => None,
    }
}

#[derive(Debug)]
struct LeafEncoder {
    index: usize,
}

impl RowEncoder for LeafEncoder {
    fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<Presence, DataError> {
        let cell = row.cell(self.index);
        match row.bytes(cell) {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(Presence::Present)
            }
            None if matches!(cell, Cell::Null | Cell::Unchanged) => Ok(Presence::Null),
            None => Err(DataError::new(format!("cell {cell:?} is neither text nor bytes"))),
        }
    }
}
