//! Columns under construction: what rows are appended to, cell by cell or value by value.
//!
//! A column mirrors one place of the Connect schema. Planned rows are appended by walking the
//! plan's nodes and the columns side by side, so that no tree is made per row. A row that fails
//! half-way is taken back with [`Column::truncate`], so that the columns stay aligned.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray,
    StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields};

use crate::data::{Cell, Node, RowView, Schema, Struct, Type, Value, logical};
use crate::error::DataError;

use super::schema::{FIXED_SIZE, Lists};

/// One column, or one level of a nested one.
#[derive(Debug)]
pub(super) struct Column {
    name: Arc<str>,
    optional: bool,
    default: Option<Value>,
    /// Appended to only where `optional`.
    validity: NullBufferBuilder,
    length: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Boolean(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Bytes {
        offsets: Vec<i32>,
        data: Vec<u8>,
    },
    /// Where `decimal`, shorter values are widened with their sign.
    Fixed {
        size: usize,
        decimal: bool,
        data: Vec<u8>,
    },
    Struct {
        schema: Arc<Schema>,
        fields: Vec<Column>,
    },
    List {
        offsets: Vec<i32>,
        items: Box<Column>,
    },
    Map {
        offsets: Vec<i32>,
        keys: Box<Column>,
        values: Box<Column>,
        native: bool,
    },
}

impl Column {
    /// An empty column `name` of `schema`; `lists` names the elements of arrays.
    pub(super) fn new(name: &str, schema: &Arc<Schema>, lists: Lists) -> Self {
        let boxed = |name: &str, schema: Option<&Arc<Schema>>| {
            let schema = schema.expect("arrays and maps have element schemas");
            Box::new(Self::new(name, schema, lists))
        };
        let values = match schema.ty() {
            Type::Boolean => Values::Boolean(Vec::new()),
            Type::Int8 | Type::Int16 | Type::Int32 => Values::Int32(Vec::new()),
            Type::Int64 => Values::Int64(Vec::new()),
            Type::Float32 => Values::Float32(Vec::new()),
            Type::Float64 => Values::Float64(Vec::new()),
            Type::String => Values::bytes(),
            Type::Bytes => match schema.parameter(FIXED_SIZE).and_then(|size| size.parse().ok()) {
                Some(size) => Values::Fixed {
                    size,
                    decimal: schema.name() == Some(logical::DECIMAL),
                    data: Vec::new(),
                },
                None => Values::bytes(),
            },
            Type::Struct => Values::Struct {
                schema: schema.clone(),
                fields: schema
                    .fields()
                    .iter()
                    .map(|field| Self::new(&field.name, &field.schema, lists))
                    .collect(),
            },
            Type::Array => Values::List {
                offsets: vec![0],
                items: boxed(lists.element_name(), schema.value_schema()),
            },
            Type::Map => Values::Map {
                offsets: vec![0],
                keys: boxed("key", schema.key_schema()),
                values: boxed("value", schema.value_schema()),
                native: super::schema::is_native_map(schema),
            },
        };
        Self {
            name: Arc::from(name),
            optional: schema.is_optional(),
            default: schema.default_value().filter(|value| !value.is_null()).cloned(),
            validity: NullBufferBuilder::new(0),
            length: 0,
            values,
        }
    }

    /// About how many bytes the column holds.
    pub(super) fn memory(&self) -> usize {
        match &self.values {
            Values::Boolean(values) => values.len(),
            Values::Int32(values) => values.len() * 4,
            Values::Int64(values) => values.len() * 8,
            Values::Float32(values) => values.len() * 4,
            Values::Float64(values) => values.len() * 8,
            Values::Bytes { offsets, data } => offsets.len() * 4 + data.len(),
            Values::Fixed { data, .. } => data.len(),
            Values::Struct { fields, .. } => fields.iter().map(Self::memory).sum(),
            Values::List { offsets, items } => offsets.len() * 4 + items.memory(),
            Values::Map { offsets, keys, values, .. } => {
                offsets.len() * 4 + keys.memory() + values.memory()
            }
        }
    }

    /// Takes back everything behind the first `length` rows.
    pub(super) fn truncate(&mut self, length: usize) {
        if self.length <= length {
            return;
        }
        self.length = length;
        if self.optional {
            self.validity.truncate(length);
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(length),
            Values::Int32(values) => values.truncate(length),
            Values::Int64(values) => values.truncate(length),
            Values::Float32(values) => values.truncate(length),
            Values::Float64(values) => values.truncate(length),
            Values::Bytes { offsets, data } => data.truncate(cut(offsets, length)),
            Values::Fixed { size, data, .. } => data.truncate(*size * length),
            Values::Struct { fields, .. } => {
                fields.iter_mut().for_each(|field| field.truncate(length));
            }
            Values::List { offsets, items } => items.truncate(cut(offsets, length)),
            Values::Map { offsets, keys, values, .. } => {
                let entries = cut(offsets, length);
                keys.truncate(entries);
                values.truncate(entries);
            }
        }
    }

    /// Appends what `node` shows of `row`.
    pub(super) fn push_node(&mut self, node: &Node, row: &RowView<'_>) -> Result<(), DataError> {
        match node {
            Node::Cell { index, null, .. } if row.is_null(*index) => self.push_value(null),
            Node::Cell { index, unchanged, .. } => self.push_cell(row.cell(*index), row, unchanged),
            Node::Const(value) => self.push_value(value),
            Node::Struct { presence, fields: nodes } => {
                if presence.is_some_and(|index| row.is_null(index)) {
                    return self.push_null();
                }
                let Values::Struct { fields, .. } = &mut self.values else {
                    return Err(self.mismatch("a struct"));
                };
                for (field, node) in fields.iter_mut().zip(nodes) {
                    field.push_node(node, row)?;
                }
                self.valid();
                Ok(())
            }
        }
    }

    fn push_cell(
        &mut self,
        cell: Cell,
        row: &RowView<'_>,
        unchanged: &Value,
    ) -> Result<(), DataError> {
        match (&mut self.values, cell) {
            (_, Cell::Null) => return self.push_null(),
            (_, Cell::Unchanged) => return self.push_value(unchanged),
            (_, Cell::Tree(_)) => {
                let tree = row.tree(cell).ok_or_else(|| DataError::new("a dangling cell"))?;
                return self.push_value(tree);
            }
            (Values::Int32(values), Cell::I64(number)) => match i32::try_from(number) {
                Ok(number) => values.push(number),
                Err(_) => return Err(self.mismatch("a number beyond 32 bits")),
            },
            (Values::Int64(values), Cell::I64(number)) => values.push(number),
            (Values::Boolean(values), Cell::I64(number)) => values.push(number != 0),
            (Values::Float64(values), Cell::F64(number)) => values.push(number),
            #[expect(clippy::cast_possible_truncation, reason = "the cell was made from an f32")]
            (Values::Float32(values), Cell::F64(number)) => values.push(number as f32),
            (
                Values::Bytes { .. } | Values::Fixed { .. },
                Cell::Wire { .. } | Cell::Scratch { .. },
            ) => {
                let bytes = row.bytes(cell).ok_or_else(|| DataError::new("a dangling cell"))?;
                self.push_bytes(bytes)?;
            }
            (_, cell) => return Err(self.mismatch(&format!("cell {cell:?}"))),
        }
        self.valid();
        Ok(())
    }

    /// Appends a tree.
    pub(super) fn push_value(&mut self, value: &Value) -> Result<(), DataError> {
        match (&mut self.values, value) {
            (_, Value::Null) => return self.push_null(),
            (Values::Boolean(values), Value::Boolean(value)) => values.push(*value),
            (
                Values::Int32(values),
                Value::Int8(_)
                | Value::Int16(_)
                | Value::Int32(_)
                | Value::Date(_)
                | Value::Time(_),
            ) => {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                values.push(number.expect("these variants have at most 32 bits"));
            }
            (Values::Int64(values), Value::Int64(value) | Value::Timestamp(value)) => {
                values.push(*value);
            }
            (Values::Float32(values), Value::Float32(value)) => values.push(*value),
            (Values::Float64(values), Value::Float64(value)) => values.push(*value),
            (Values::Bytes { .. }, Value::String(text)) => self.push_bytes(text.as_bytes())?,
            (Values::Bytes { .. } | Values::Fixed { .. }, Value::Bytes(bytes)) => {
                self.push_bytes(bytes)?;
            }
            (Values::Bytes { .. } | Values::Fixed { .. }, Value::Decimal(decimal)) => {
                self.push_bytes(&decimal.unscaled.to_signed_bytes_be())?;
            }
            (Values::Struct { schema, fields }, Value::Struct(value)) => {
                push_struct(schema, fields, value)?;
            }
            (Values::List { offsets, items }, Value::Array(elements)) => {
                elements.iter().try_for_each(|element| items.push_value(element))?;
                offsets.push(offset(items.length)?);
            }
            (Values::Map { offsets, keys, values, .. }, Value::Map(entries)) => {
                for (key, value) in entries {
                    keys.push_value(key)?;
                    values.push_value(value)?;
                }
                offsets.push(offset(keys.length)?);
            }
            (_, value) => return Err(self.mismatch(variant(value))),
        }
        self.valid();
        Ok(())
    }

    /// Null, or the default: the original writes the default for every null of a field that has one.
    fn push_null(&mut self) -> Result<(), DataError> {
        if let Some(default) = self.default.clone() {
            return self.push_value(&default);
        }
        if !self.optional {
            return Err(DataError::new(format!(
                "Found null value for non-optional schema: field \"{}\"",
                self.name
            )));
        }
        self.push_placeholder();
        Ok(())
    }

    /// A slot whose value nobody reads: a null, or a required member of a null struct.
    fn push_placeholder(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::Int32(values) => values.push(0),
            Values::Int64(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Fixed { size, data, .. } => data.resize(data.len() + *size, 0),
            Values::Struct { fields, .. } => fields.iter_mut().for_each(Self::push_placeholder),
            Values::Bytes { offsets, .. }
            | Values::List { offsets, .. }
            | Values::Map { offsets, .. } => {
                let end = offsets.last().copied().unwrap_or_default();
                offsets.push(end);
            }
        }
        self.length += 1;
        if self.optional {
            self.validity.append_null();
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        match &mut self.values {
            Values::Bytes { offsets, data } => {
                data.extend_from_slice(bytes);
                offsets.push(offset(data.len())?);
                Ok(())
            }
            Values::Fixed { size, decimal, data }
                if bytes.len() == *size || (*decimal && bytes.len() < *size) =>
            {
                let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
                data.resize(data.len() + *size - bytes.len(), if negative { 0xff } else { 0 });
                data.extend_from_slice(bytes);
                Ok(())
            }
            _ => Err(self.mismatch("bytes of another length")),
        }
    }

    fn valid(&mut self) {
        self.length += 1;
        if self.optional {
            self.validity.append_non_null();
        }
    }

    #[cold]
    fn mismatch(&self, what: &str) -> DataError {
        DataError::new(format!("field \"{}\" cannot hold {what}", self.name))
    }

    /// The Arrow field of the column.
    pub(super) fn field(&self) -> Field {
        Field::new(self.name.as_ref(), self.data_type(), self.optional)
    }

    fn data_type(&self) -> DataType {
        match &self.values {
            Values::Boolean(_) => DataType::Boolean,
            Values::Int32(_) => DataType::Int32,
            Values::Int64(_) => DataType::Int64,
            Values::Float32(_) => DataType::Float32,
            Values::Float64(_) => DataType::Float64,
            Values::Bytes { .. } => DataType::Binary,
            Values::Fixed { size, .. } => {
                DataType::FixedSizeBinary(i32::try_from(*size).unwrap_or(i32::MAX))
            }
            Values::Struct { fields, .. } => {
                DataType::Struct(fields.iter().map(Self::field).collect())
            }
            Values::List { items, .. } => DataType::List(Arc::new(items.field())),
            Values::Map { keys, values, native, .. } => {
                let entries = Arc::new(entries_field(keys, values));
                if *native { DataType::Map(entries, false) } else { DataType::List(entries) }
            }
        }
    }

    /// Takes the rows as an Arrow array and leaves the column empty.
    pub(super) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = if self.optional { self.validity.finish() } else { None };
        let length = std::mem::take(&mut self.length);
        Ok(match &mut self.values {
            Values::Boolean(values) => {
                Arc::new(BooleanArray::new(std::mem::take(values).into(), nulls))
            }
            Values::Int32(values) => {
                Arc::new(PrimitiveArray::<Int32Type>::new(full(values), nulls))
            }
            Values::Int64(values) => {
                Arc::new(PrimitiveArray::<Int64Type>::new(full(values), nulls))
            }
            Values::Float32(values) => {
                Arc::new(PrimitiveArray::<Float32Type>::new(full(values), nulls))
            }
            Values::Float64(values) => {
                Arc::new(PrimitiveArray::<Float64Type>::new(full(values), nulls))
            }
            Values::Bytes { offsets, data } => {
                let data = refill(data);
                Arc::new(BinaryArray::new(taken(offsets), Buffer::from_vec(data), nulls))
            }
            Values::Fixed { size, data, .. } => Arc::new(FixedSizeBinaryArray::try_new(
                i32::try_from(*size).unwrap_or(i32::MAX),
                Buffer::from_vec(refill(data)),
                nulls,
            )?),
            Values::Struct { fields, .. } => Arc::new(structure(fields, nulls, length)?),
            Values::List { offsets, items } => {
                let field = Arc::new(items.field());
                Arc::new(ListArray::try_new(field, taken(offsets), items.take()?, nulls)?)
            }
            Values::Map { offsets, keys, values, native } => {
                let field = Arc::new(entries_field(keys, values));
                let members = Fields::from(vec![keys.field(), values.field()]);
                let entries =
                    StructArray::try_new(members, vec![keys.take()?, values.take()?], None)?;
                if *native {
                    Arc::new(MapArray::try_new(field, taken(offsets), entries, nulls, false)?)
                } else {
                    Arc::new(ListArray::try_new(field, taken(offsets), Arc::new(entries), nulls)?)
                }
            }
        })
    }
}

impl Values {
    fn bytes() -> Self {
        Self::Bytes { offsets: vec![0], data: Vec::new() }
    }
}

fn push_struct(
    schema: &Arc<Schema>,
    fields: &mut [Column],
    value: &Struct,
) -> Result<(), DataError> {
    if Arc::ptr_eq(schema, value.schema()) || schema.fields() == value.schema().fields() {
        let mut pairs = fields.iter_mut().zip(value.values());
        return pairs.try_for_each(|(field, value)| field.push_value(value));
    }
    fields.iter_mut().try_for_each(|field| {
        let value = value.get(&field.name).unwrap_or(&Value::Null);
        field.push_value(value)
    })
}

fn structure(
    fields: &mut [Column],
    nulls: Option<NullBuffer>,
    length: usize,
) -> Result<StructArray, ArrowError> {
    let members: Fields = fields.iter().map(Column::field).collect();
    let arrays = fields.iter_mut().map(Column::take).collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(members, arrays, nulls, length)
}

fn entries_field(keys: &Column, values: &Column) -> Field {
    let members = Fields::from(vec![keys.field(), values.field()]);
    Field::new("key_value", DataType::Struct(members), false)
}

/// Takes a buffer and leaves one of the same room: columns fill at the same rate as before.
fn refill<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = values.len();
    std::mem::replace(values, Vec::with_capacity(room))
}

fn full<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(refill(values))
}

fn taken(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let full = refill(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(full))
}

/// Shortens `offsets` to `length` rows and returns where their content ends.
fn cut(offsets: &mut Vec<i32>, length: usize) -> usize {
    offsets.truncate(length + 1);
    offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or_default()
}

fn offset(end: usize) -> Result<i32, DataError> {
    i32::try_from(end).map_err(|_| DataError::new("a batch of rows beyond 2 GiB"))
}

fn variant(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Int8(_) => "an INT8",
        Value::Int16(_) => "an INT16",
        Value::Int32(_) => "an INT32",
        Value::Int64(_) => "an INT64",
        Value::Float32(_) => "a FLOAT32",
        Value::Float64(_) => "a FLOAT64",
        Value::Boolean(_) => "a BOOLEAN",
        Value::String(_) => "a STRING",
        Value::Bytes(_) => "BYTES",
        Value::Array(_) => "an ARRAY",
        Value::Map(_) => "a MAP",
        Value::Struct(_) => "a STRUCT",
        Value::Decimal(_) => "a Decimal",
        Value::Date(_) => "a Date",
        Value::Time(_) => "a Time",
        Value::Timestamp(_) => "a Timestamp",
    }
}
