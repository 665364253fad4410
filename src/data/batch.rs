//! The batch: many rows over one buffer, filled by a poll and recycled by the runtime.

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;

use super::{Decimal, Record, RowPlan, Schema, SourceOffset, Type, Value, logical};
use crate::error::DataError;

/// One leaf of a row, in Connect's terms: the schema says what the bits mean.
///
/// | schema type | cell |
/// |---|---|
/// | INT8 to INT64, Date, Time, Timestamp | `I64` |
/// | BOOLEAN | `I64`, 0 or 1 |
/// | FLOAT32, FLOAT64 | `F64` |
/// | STRING | `Wire` or `Scratch`: UTF-8 |
/// | BYTES, Decimal (two's complement, big-endian) | `Wire` or `Scratch` |
/// | ARRAY, MAP, STRUCT, schemaless | `Tree` |
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    Null,
    /// A TOASTed value that the server did not send because the statement left it alone.
    Unchanged,
    I64(i64),
    F64(f64),
    /// Bytes of [`RecordBatch::wire`].
    Wire {
        off: u32,
        len: u32,
    },
    /// Bytes of [`RecordBatch::scratch`].
    Scratch {
        off: u32,
        len: u32,
    },
    /// An element of [`RecordBatch::trees`].
    Tree(u32),
}

/// One record of a batch: a run of cells under a plan, or a ready tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// `plan` is an index of [`RecordBatch::plans`]; the cells start at `first_cell`.
    Planned { plan: u32, first_cell: u32 },
    /// An index of [`RecordBatch::records`]: events too rare to be worth a plan.
    Tree { record: u32 },
}

/// A point after which `offset` describes everything before it: a source commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// How many rows of the batch stand before it.
    pub rows: usize,
    pub offset: SourceOffset,
}

/// Rows with everything their cells point to. Cleared and reused between polls.
#[derive(Debug, Default)]
pub struct RecordBatch {
    /// What came over the wire; pinned for the life of the batch.
    pub wire: Bytes,
    /// Bytes that had to be made: unescaped text, decoded binary.
    pub scratch: Vec<u8>,
    pub trees: Vec<Value>,
    pub cells: Vec<Cell>,
    pub rows: Vec<Row>,
    pub plans: Vec<Arc<RowPlan>>,
    pub records: Vec<Record>,
    /// In ascending order of `rows`. Rows behind the last seal belong to a commit that goes on in
    /// the next batch.
    pub seals: Vec<Seal>,
}

impl RecordBatch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.wire = Bytes::new();
        self.scratch.clear();
        self.trees.clear();
        self.cells.clear();
        self.rows.clear();
        self.plans.clear();
        self.records.clear();
        self.seals.clear();
    }

    /// Whether the batch holds neither rows nor seals.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.seals.is_empty()
    }

    /// The index of `plan` in this batch, adding it when it is new. Compares pointers, newest
    /// first: shapes come in runs.
    pub fn plan_index(&mut self, plan: &Arc<RowPlan>) -> u32 {
        let index = match self.plans.iter().rposition(|known| Arc::ptr_eq(known, plan)) {
            Some(index) => index,
            None => {
                self.plans.push(plan.clone());
                self.plans.len() - 1
            }
        };
        u32::try_from(index).expect("a batch has far fewer than 2^32 plans")
    }

    /// Starts a row of plan `plan`; its cells are pushed next.
    pub fn start_row(&mut self, plan: u32) {
        let first_cell = position(self.cells.len());
        self.rows.push(Row::Planned { plan, first_cell });
    }

    /// Appends a ready record.
    pub fn push_record(&mut self, record: Record) {
        self.rows.push(Row::Tree { record: position(self.records.len()) });
        self.records.push(record);
    }

    /// Appends bytes to the scratch buffer and returns the cell that shows them.
    pub fn push_scratch(&mut self, bytes: &[u8]) -> Cell {
        let off = position(self.scratch.len());
        self.scratch.extend_from_slice(bytes);
        Cell::Scratch { off, len: position(bytes.len()) }
    }

    /// Appends a tree and returns the cell that shows it.
    pub fn push_tree(&mut self, value: Value) -> Cell {
        self.trees.push(value);
        Cell::Tree(position(self.trees.len() - 1))
    }

    /// Declares that everything so far is described by `offset`.
    pub fn seal(&mut self, offset: SourceOffset) {
        self.seals.push(Seal { rows: self.rows.len(), offset });
    }

    /// The cells of a planned row.
    ///
    /// # Panics
    /// When the row is not of this batch: rows are only made by the batch itself.
    pub fn view(&self, plan: u32, first_cell: u32) -> RowView<'_> {
        let plan = &self.plans[plan as usize];
        let first = first_cell as usize;
        RowView { batch: self, cells: &self.cells[first..first + plan.cell_count] }
    }
}

/// Batches stay below 4 GiB: a row larger than PostgreSQL's 1 GB field limit cannot arrive.
fn position(length: usize) -> u32 {
    u32::try_from(length).expect("a batch stays below 4 GiB")
}

/// One planned row with the buffers that its cells point to.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    batch: &'a RecordBatch,
    cells: &'a [Cell],
}

impl<'a> RowView<'a> {
    /// The cell `index`.
    pub fn cell(&self, index: usize) -> Cell {
        self.cells[index]
    }

    /// Whether the cell `index` is null.
    pub fn is_null(&self, index: usize) -> bool {
        matches!(self.cells[index], Cell::Null)
    }

    /// The bytes that `cell` shows; `None` for cells that show none.
    pub fn bytes(&self, cell: Cell) -> Option<&'a [u8]> {
        match cell {
            Cell::Wire { off, len } => Some(span(&self.batch.wire, off, len)),
            Cell::Scratch { off, len } => Some(span(&self.batch.scratch, off, len)),
            _ => None,
        }
    }

    /// The tree that `cell` shows.
    pub fn tree(&self, cell: Cell) -> Option<&'a Value> {
        match cell {
            Cell::Tree(index) => self.batch.trees.get(index as usize),
            _ => None,
        }
    }

    /// The cell `index` as a value of `schema`.
    ///
    /// # Errors
    /// When the cell does not fit the schema.
    pub fn value(
        &self,
        index: usize,
        schema: Option<&Arc<Schema>>,
        unchanged: &Value,
    ) -> Result<Value, DataError> {
        let cell = self.cells[index];
        match cell {
            Cell::Null => return Ok(Value::Null),
            Cell::Unchanged => return Ok(unchanged.clone()),
            Cell::Tree(_) => {
                return self.tree(cell).cloned().ok_or_else(|| DataError::new("a dangling cell"));
            }
            _ => {}
        }
        let schema = schema.ok_or_else(|| DataError::new("a plain cell without a schema"))?;
        self.scalar(cell, schema).ok_or_else(|| {
            DataError::new(format!("cell {cell:?} does not fit schema type {}", schema.ty().name()))
        })
    }

    fn scalar(&self, cell: Cell, schema: &Schema) -> Option<Value> {
        match (schema.ty(), cell) {
            (Type::Boolean, Cell::I64(number)) => Some(Value::Boolean(number != 0)),
            (Type::Int8, Cell::I64(number)) => Some(Value::Int8(i8::try_from(number).ok()?)),
            (Type::Int16, Cell::I64(number)) => Some(Value::Int16(i16::try_from(number).ok()?)),
            (Type::Int32, Cell::I64(number)) => {
                let number = i32::try_from(number).ok()?;
                Some(match schema.name() {
                    Some(logical::DATE) => Value::Date(number),
                    Some(logical::TIME) => Value::Time(number),
                    _ => Value::Int32(number),
                })
            }
            (Type::Int64, Cell::I64(number)) => Some(match schema.name() {
                Some(logical::TIMESTAMP) => Value::Timestamp(number),
                _ => Value::Int64(number),
            }),
            #[expect(clippy::cast_possible_truncation, reason = "the cell was made from an f32")]
            (Type::Float32, Cell::F64(number)) => Some(Value::Float32(number as f32)),
            (Type::Float64, Cell::F64(number)) => Some(Value::Float64(number)),
            (Type::String, _) => Some(Value::string(std::str::from_utf8(self.bytes(cell)?).ok()?)),
            (Type::Bytes, _) => self.bytes_value(self.bytes(cell)?, schema),
            _ => None,
        }
    }

    fn bytes_value(&self, bytes: &[u8], schema: &Schema) -> Option<Value> {
        if schema.name() != Some(logical::DECIMAL) {
            return Some(Value::Bytes(Bytes::copy_from_slice(bytes)));
        }
        let scale = schema.parameter(logical::SCALE)?.parse().ok()?;
        Some(Value::Decimal(Decimal { unscaled: BigInt::from_signed_bytes_be(bytes), scale }))
    }
}

fn span(buffer: &[u8], off: u32, len: u32) -> &[u8] {
    &buffer[off as usize..off as usize + len as usize]
}
