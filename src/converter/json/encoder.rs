//! The planned path out: a shape compiled into literals and the cells between them.
//!
//! Everything that is the same for all rows (the schema's text, keys, constants, what stands for
//! null) is rendered once; a row costs copies of literals and the text of its cells, and no
//! allocation.

use std::ops::Range;
use std::sync::Arc;

use super::JsonOptions;
use super::form::Form;
use super::text::{
    push_base64, push_boolean, push_f32, push_f64, push_integer, push_string, push_utf8,
};
use super::write::{push_null, push_time, push_value, required_null};
use crate::converter::{Presence, RowEncoder};
use crate::data::number_text::{minimal_signed, push_decimal_bytes};
use crate::data::{Cell, Node, PlannedValue, RowView, Schema, Value};
use crate::error::DataError;

type Span = Range<usize>;

/// A compiled shape.
#[derive(Debug)]
pub(super) struct Program {
    /// All literals, one behind the other.
    text: Vec<u8>,
    steps: Vec<Step>,
    options: JsonOptions,
}

/// A literal and what follows it.
#[derive(Debug)]
struct Step {
    literal: Span,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Nothing,
    Cell(CellAction),
    /// When the cell is null so is the struct: write `null` and go on behind it.
    Presence {
        index: usize,
        null: Option<Span>,
        behind: usize,
    },
}

#[derive(Debug)]
struct CellAction {
    index: usize,
    form: Form,
    /// `None`: null is not allowed here.
    null: Option<Span>,
    /// `None`: a row cannot leave this value unchanged.
    unchanged: Option<Span>,
    schema: Arc<Schema>,
}

impl RowEncoder for Program {
    fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<Presence, DataError> {
        let start = out.len();
        match self.run(row, out) {
            Ok(()) => Ok(Presence::Present),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }
}

impl Program {
    fn run(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), DataError> {
        let mut next = 0;
        while let Some(step) = self.steps.get(next) {
            next += 1;
            self.push_literal(out, &step.literal);
            match &step.action {
                Action::Nothing => {}
                Action::Cell(cell) => self.push_cell(out, cell, row)?,
                Action::Presence { index, null, behind } if row.is_null(*index) => {
                    self.push_literal(out, null.as_ref().ok_or_else(required_null)?);
                    next = *behind;
                }
                Action::Presence { .. } => {}
            }
        }
        Ok(())
    }

    fn push_literal(&self, out: &mut Vec<u8>, span: &Span) {
        out.extend_from_slice(&self.text[span.clone()]);
    }

    fn push_cell(
        &self,
        out: &mut Vec<u8>,
        action: &CellAction,
        row: &RowView<'_>,
    ) -> Result<(), DataError> {
        let cell = row.cell(action.index);
        match (cell, action.form) {
            (Cell::Null, _) => {
                self.push_literal(out, action.null.as_ref().ok_or_else(required_null)?);
            }
            (Cell::Unchanged, _) => match &action.unchanged {
                Some(unchanged) => self.push_literal(out, unchanged),
                None => return Err(required_null()),
            },
            (Cell::Tree(_), _) => {
                let value = row.tree(cell).ok_or_else(|| DataError::new("a dangling cell"))?;
                push_value(out, Some(&action.schema), value, self.options)?;
            }
            (Cell::I64(number), Form::Integer { max }) if number <= max && number >= -max - 1 => {
                push_integer(out, number);
            }
            (Cell::I64(number), Form::Boolean) => push_boolean(out, number != 0),
            (Cell::I64(number), Form::Time) => push_time(out, number)?,
            (Cell::F64(number), Form::Float64) => push_f64(out, number),
            #[expect(clippy::cast_possible_truncation, reason = "the cell was made from an f32")]
            (Cell::F64(number), Form::Float32) => push_f32(out, number as f32),
            (Cell::Wire { .. } | Cell::Scratch { .. }, form) => {
                let bytes = row.bytes(cell).unwrap_or_default();
                match form {
                    Form::String => push_utf8(out, bytes)?,
                    Form::Bytes => push_base64(out, bytes),
                    Form::DecimalBase64 => push_base64(out, minimal_signed(bytes)),
                    Form::DecimalNumeric { scale } => push_decimal_bytes(out, bytes, scale),
                    _ => return Err(unfit(cell, &action.schema)),
                }
            }
            _ => return Err(unfit(cell, &action.schema)),
        }
        Ok(())
    }
}

fn unfit(cell: Cell, schema: &Schema) -> DataError {
    DataError::new(format!("cell {cell:?} does not fit schema type {}", schema.ty().name()))
}

/// Compiles a planned value. `schema_text` is given when the value goes into an envelope.
///
/// # Errors
/// When rows of this shape need the general path, which then says why if they cannot be written.
pub(super) fn compile(
    planned: &PlannedValue,
    schema_text: Option<&[u8]>,
    options: JsonOptions,
) -> Result<Program, DataError> {
    let schema = planned.schema.as_ref().ok_or_else(|| DataError::new("a schemaless shape"))?;
    let mut compiler = Compiler { text: Vec::new(), literal_start: 0, steps: Vec::new(), options };
    if let Some(schema_text) = schema_text {
        compiler.text.extend_from_slice(b"{\"schema\":");
        compiler.text.extend_from_slice(schema_text);
        compiler.text.extend_from_slice(b",\"payload\":");
    }
    compiler.node(schema, &planned.node)?;
    if schema_text.is_some() {
        compiler.text.push(b'}');
    }
    compiler.end_literal(Action::Nothing);
    Ok(Program { text: compiler.text, steps: compiler.steps, options })
}

struct Compiler {
    text: Vec<u8>,
    /// Where in `text` the literal of the next step starts.
    literal_start: usize,
    steps: Vec<Step>,
    options: JsonOptions,
}

impl Compiler {
    fn node(&mut self, schema: &Arc<Schema>, node: &Node) -> Result<(), DataError> {
        match node {
            Node::Const(value) => push_value(&mut self.text, Some(schema), value, self.options),
            Node::Cell { index, unchanged, null } => self.cell(schema, *index, unchanged, null),
            Node::Struct { presence: None, fields } => self.fields(schema, fields),
            Node::Struct { presence: Some(index), fields } => {
                let at = self.steps.len();
                let action = Action::Presence { index: *index, null: None, behind: 0 };
                self.end_literal(action);
                let null_text = self.aside(|out, options| push_null(out, schema, options));
                self.fields(schema, fields)?;
                // The struct's end is a literal of its own, so that one can go on behind it.
                self.end_literal(Action::Nothing);
                let after = self.steps.len();
                if let Some(Step { action: Action::Presence { null, behind, .. }, .. }) =
                    self.steps.get_mut(at)
                {
                    *null = null_text;
                    *behind = after;
                }
                Ok(())
            }
        }
    }

    fn fields(&mut self, schema: &Arc<Schema>, nodes: &[Node]) -> Result<(), DataError> {
        if schema.fields().len() != nodes.len() {
            return Err(DataError::new("a shape does not have one node per field"));
        }
        self.text.push(b'{');
        for (index, (field, node)) in schema.fields().iter().zip(nodes).enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            push_string(&mut self.text, &field.name);
            self.text.push(b':');
            self.node(&field.schema, node)?;
        }
        self.text.push(b'}');
        Ok(())
    }

    fn cell(
        &mut self,
        schema: &Arc<Schema>,
        index: usize,
        unchanged: &Value,
        null: &Value,
    ) -> Result<(), DataError> {
        let form = Form::of(schema, self.options)
            .ok_or_else(|| DataError::new("a logical type over another type"))?;
        let at = self.steps.len();
        self.end_literal(Action::Nothing);
        let null = self.aside(|out, options| push_value(out, Some(schema), null, options));
        let unchanged =
            self.aside(|out, options| push_value(out, Some(schema), unchanged, options));
        let action = CellAction { index, form, null, unchanged, schema: schema.clone() };
        self.steps[at].action = Action::Cell(action);
        Ok(())
    }

    /// Everything since the last step becomes the literal of a step.
    fn end_literal(&mut self, action: Action) {
        let literal = self.literal_start..self.text.len();
        self.steps.push(Step { literal, action });
        self.literal_start = self.text.len();
    }

    /// A text that stands apart from the literals; `None` when it cannot be written.
    fn aside(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>, JsonOptions) -> Result<(), DataError>,
    ) -> Option<Span> {
        let start = self.text.len();
        match write(&mut self.text, self.options) {
            Ok(()) => {
                self.literal_start = self.text.len();
                Some(start..self.text.len())
            }
            Err(_) => {
                self.text.truncate(start);
                None
            }
        }
    }
}
