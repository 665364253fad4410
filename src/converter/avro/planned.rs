//! The planned path out: rows of cells to Avro's bytes.

use std::sync::Arc;

use super::encode::{encode, put_binary, put_integer, put_text, put_time, required_null};
use super::encoding::{Encoding, FieldEncoding, LeafForm, Number};
use crate::converter::program::{CellForm, Compiler, Program};
use crate::converter::{Presence, RowEncoder};
use crate::data::number_text::minimal_signed;
use crate::data::{Cell, Node, PlannedValue, RowView, Value};
use crate::error::DataError;

/// How a cell is written.
#[derive(Debug)]
pub(super) struct AvroCell {
    /// What chooses the branch of a union, in front.
    branch: Vec<u8>,
    encoding: Arc<Encoding>,
    /// Where in `encoding` this cell's is.
    path: Box<[usize]>,
    form: Option<LeafForm>,
    /// The field, as errors name it.
    field: Box<str>,
}

impl AvroCell {
    fn encoding(&self) -> &Encoding {
        let mut encoding = self.encoding.peeled().2;
        for index in &self.path {
            if let Encoding::Record { fields, .. } = encoding
                && let Some(FieldEncoding::Of { encoding: member, .. }) = fields.get(*index)
            {
                encoding = member.peeled().2;
            }
        }
        encoding
    }

    fn push_inner(
        &self,
        cell: Cell,
        row: &RowView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        out.extend_from_slice(&self.branch);
        let unfit = || DataError::new(format!("cell {cell:?} does not fit its schema"));
        match (&self.form, cell) {
            (_, Cell::Tree(_)) => {
                let value = row.tree(cell).ok_or_else(|| DataError::new("a dangling cell"))?;
                return encode(self.encoding(), value, out);
            }
            (Some(LeafForm::Integer { max, target }), Cell::I64(number))
                if (-max - 1..=*max).contains(&number) =>
            {
                put_integer(number, *target, out);
            }
            (Some(LeafForm::Date), Cell::I64(number)) if i32::try_from(number).is_ok() => {
                put_integer(number, Number::Integer, out);
            }
            (Some(LeafForm::Time), Cell::I64(number)) => put_time(number, out)?,
            (Some(LeafForm::Timestamp), Cell::I64(number)) => {
                put_integer(number, Number::Integer, out);
            }
            (Some(LeafForm::Boolean), Cell::I64(number)) => out.push((number != 0).into()),
            (Some(LeafForm::Double | LeafForm::Float(Number::Double)), Cell::F64(number)) => {
                out.extend_from_slice(&number.to_le_bytes());
            }
            #[expect(clippy::cast_possible_truncation, reason = "the cell was made from an f32")]
            (Some(LeafForm::Float(_)), Cell::F64(number)) => {
                out.extend_from_slice(&(number as f32).to_le_bytes());
            }
            (Some(form), Cell::Wire { .. } | Cell::Scratch { .. }) => {
                let bytes = row.bytes(cell).unwrap_or_default();
                match form {
                    LeafForm::String | LeafForm::Enum(_) => {
                        std::str::from_utf8(bytes).map_err(|error| {
                            DataError::new(format!("text is not valid UTF-8: {error}"))
                        })?;
                        put_text(form, bytes, out)?;
                    }
                    LeafForm::Bytes | LeafForm::Fixed(_) => put_binary(form, bytes, out)?,
                    LeafForm::Decimal { .. } => put_binary(form, minimal_signed(bytes), out)?,
                    _ => return Err(unfit()),
                }
            }
            _ => return Err(unfit()),
        }
        Ok(())
    }
}

impl CellForm for AvroCell {
    fn push(&self, cell: Cell, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), DataError> {
        self.push_inner(cell, row, out).map_err(|error| error.at(&self.field))
    }

    fn refused_null(form: Option<&Self>) -> DataError {
        match form {
            Some(cell) => required_null().at(&cell.field),
            None => required_null(),
        }
    }
}

/// A compiled value: what stands in front, and the program.
#[derive(Debug)]
pub(super) struct AvroProgram {
    program: Program<AvroCell>,
    /// The whole is null when this cell is.
    null_with: Option<usize>,
    /// The message is the bytes of this cell, without their length.
    raw: Option<(usize, Vec<u8>)>,
}

impl RowEncoder for AvroProgram {
    fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<Presence, DataError> {
        if self.null_with.is_some_and(|index| row.is_null(index)) {
            return Ok(Presence::Null);
        }
        if let Some((index, prefix)) = &self.raw {
            let bytes = row.bytes(row.cell(*index));
            let bytes = bytes.ok_or_else(|| DataError::new("a cell without bytes"))?;
            out.extend_from_slice(prefix);
            out.extend_from_slice(bytes);
            return Ok(Presence::Present);
        }
        self.program.write(row, out)
    }
}

/// Compiles a planned value whose messages start with `prefix`; `None`: its rows take the general
/// path. `raw`: the whole is bytes, which are written without their length.
pub(super) fn compile(
    planned: &PlannedValue,
    encoding: &Arc<Encoding>,
    prefix: &[u8],
    raw: bool,
) -> Option<AvroProgram> {
    let schema = planned.schema.as_ref()?;
    let null_with = match &planned.node {
        Node::Cell { index, null: Value::Null, unchanged: Value::Null } => Some(*index),
        Node::Struct { presence, .. } => *presence,
        Node::Const(_) | Node::Cell { .. } => return None,
    };
    if null_with.is_some() && !schema.is_optional() {
        return None;
    }
    let mut shape = Shape {
        compiler: Compiler::new(),
        root: encoding.clone(),
        path: Vec::new(),
        names: Vec::new(),
    };
    shape.compiler.literal().extend_from_slice(prefix);
    if raw {
        let index = null_with?;
        return Some(AvroProgram {
            program: shape.compiler.finish(),
            null_with,
            raw: Some((index, prefix.to_vec())),
        });
    }
    shape.node(encoding, &planned.node, None, true)?;
    Some(AvroProgram { program: shape.compiler.finish(), null_with, raw: None })
}

struct Shape {
    compiler: Compiler<AvroCell>,
    root: Arc<Encoding>,
    path: Vec<usize>,
    names: Vec<String>,
}

impl Shape {
    /// `None`: this shape takes the general path, which says what is wrong if something is.
    fn node(
        &mut self,
        encoding: &Encoding,
        node: &Node,
        default: Option<&Value>,
        root: bool,
    ) -> Option<()> {
        let (null, branch, inner) = encoding.peeled();
        match node {
            Node::Const(value) => {
                let value = default.filter(|_| value.is_null()).unwrap_or(value);
                encode(encoding, value, self.compiler.literal()).ok()
            }
            Node::Cell { index, unchanged, null } => {
                let null = default.filter(|_| null.is_null()).unwrap_or(null);
                let unchanged = default.filter(|_| unchanged.is_null()).unwrap_or(unchanged);
                let aside = |value: &Value| {
                    let mut bytes = Vec::new();
                    encode(encoding, value, &mut bytes).is_ok().then_some(bytes)
                };
                let (null, unchanged) = (aside(null), aside(unchanged));
                let form = match inner {
                    Encoding::Leaf { form, .. } => Some(form.clone()),
                    Encoding::Anything | Encoding::Nullable { .. } | Encoding::Union { .. } => {
                        return None;
                    }
                    _ => None,
                };
                let cell = AvroCell {
                    branch: branch.to_vec(),
                    encoding: self.root.clone(),
                    path: self.path.clone().into(),
                    form,
                    field: self.names.join(".").into(),
                };
                self.compiler.cell(*index, cell, null.as_deref(), unchanged.as_deref());
                Some(())
            }
            // A struct of its own defaults is too rare to be compiled.
            Node::Struct { .. } if default.is_some() => None,
            Node::Struct { presence, fields } => {
                // The whole's null is no union's null: there is no message then.
                let open = presence.filter(|_| !root);
                let open = open.map(|index| self.compiler.presence(index, null));
                self.compiler.literal().extend_from_slice(branch);
                self.record(inner, fields)?;
                if let Some(open) = open {
                    self.compiler.end_presence(open);
                }
                Some(())
            }
        }
    }

    fn record(&mut self, encoding: &Encoding, nodes: &[Node]) -> Option<()> {
        let Encoding::Record { schema, fields } = encoding else { return None };
        if schema.fields().len() != nodes.len() {
            return None;
        }
        for (at, field) in fields.iter().enumerate() {
            match field {
                FieldEncoding::Constant(bytes) => self.compiler.literal().extend_from_slice(bytes),
                FieldEncoding::Of { index, default, encoding } => {
                    self.path.push(at);
                    self.names.push(schema.fields().get(*index)?.name.clone());
                    self.node(encoding, nodes.get(*index)?, default.as_ref(), false)?;
                    self.path.pop();
                    self.names.pop();
                }
            }
        }
        Some(())
    }
}
