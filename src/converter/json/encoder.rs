//! The planned path out: a shape as the text between its cells, and the JSON of each cell.

use std::sync::Arc;

use super::JsonOptions;
use super::form::Form;
use super::text::{
    push_base64, push_boolean, push_f32, push_f64, push_integer, push_string, push_utf8,
};
use super::write::{push_null, push_time, push_value, required_null};
use crate::converter::json_schema::vocabulary::is_union;
use crate::converter::program::{CellForm, Compiler, Program};
use crate::data::number_text::{minimal_signed, push_decimal_bytes};
use crate::data::{Cell, Node, PlannedValue, RowView, Schema, Value};
use crate::error::DataError;

/// How a cell looks.
#[derive(Debug)]
pub(super) struct JsonCell {
    form: Form,
    schema: Arc<Schema>,
    options: JsonOptions,
}

impl CellForm for JsonCell {
    fn push(&self, cell: Cell, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), DataError> {
        match (cell, self.form) {
            (Cell::Tree(_), _) => {
                let value = row.tree(cell).ok_or_else(|| DataError::new("a dangling cell"))?;
                push_value(out, Some(&self.schema), value, self.options)?;
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
                    _ => return Err(unfit(cell, &self.schema)),
                }
            }
            _ => return Err(unfit(cell, &self.schema)),
        }
        Ok(())
    }

    fn refused_null(_form: Option<&Self>) -> DataError {
        required_null()
    }
}

fn unfit(cell: Cell, schema: &Schema) -> DataError {
    DataError::new(format!("cell {cell:?} does not fit schema type {}", schema.ty().name()))
}

/// Compiles a planned value, with what stands before and after it in a message.
///
/// # Errors
/// When rows of this shape need the general path, which then says why if they cannot be written.
pub(super) fn compile(
    planned: &PlannedValue,
    before: &[u8],
    after: &[u8],
    options: JsonOptions,
) -> Result<Program<JsonCell>, DataError> {
    let schema = planned.schema.as_ref().ok_or_else(|| DataError::new("a schemaless shape"))?;
    let mut shape = Shape { compiler: Compiler::new(), options };
    shape.compiler.literal().extend_from_slice(before);
    shape.node(schema, &planned.node)?;
    shape.compiler.literal().extend_from_slice(after);
    Ok(shape.compiler.finish())
}

struct Shape {
    compiler: Compiler<JsonCell>,
    options: JsonOptions,
}

impl Shape {
    fn node(&mut self, schema: &Arc<Schema>, node: &Node) -> Result<(), DataError> {
        match node {
            Node::Const(value) => {
                push_value(self.compiler.literal(), Some(schema), value, self.options)
            }
            Node::Cell { index, unchanged, null } => self.cell(schema, *index, unchanged, null),
            Node::Struct { presence: None, fields } => self.fields(schema, fields),
            Node::Struct { presence: Some(index), fields } => {
                let mut null = Vec::new();
                let null = push_null(&mut null, schema, self.options).is_ok().then_some(null);
                let open = self.compiler.presence(*index, null.as_deref());
                self.fields(schema, fields)?;
                self.compiler.end_presence(open);
                Ok(())
            }
        }
    }

    fn fields(&mut self, schema: &Arc<Schema>, nodes: &[Node]) -> Result<(), DataError> {
        if schema.fields().len() != nodes.len() {
            return Err(DataError::new("a shape does not have one node per field"));
        }
        if self.options.of_registry && is_union(schema) {
            return Err(DataError::new("a union has no fixed shape"));
        }
        self.compiler.literal().push(b'{');
        for (index, (field, node)) in schema.fields().iter().zip(nodes).enumerate() {
            let text = self.compiler.literal();
            if index > 0 {
                text.push(b',');
            }
            push_string(text, &field.name);
            text.push(b':');
            self.node(&field.schema, node)?;
        }
        self.compiler.literal().push(b'}');
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
        let aside = |value: &Value| {
            let mut text = Vec::new();
            push_value(&mut text, Some(schema), value, self.options).is_ok().then_some(text)
        };
        let (null, unchanged) = (aside(null), aside(unchanged));
        let form = JsonCell { form, schema: schema.clone(), options: self.options };
        self.compiler.cell(index, form, null.as_deref(), unchanged.as_deref());
        Ok(())
    }
}
