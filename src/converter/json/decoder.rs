//! The planned path in: messages of known writer schemas straight into cells.
//!
//! The leading `{"schema":{...},"payload":` is compared with those seen before, so that a schema is
//! parsed once; the payload is read token by token. Whatever is not as expected (another form of
//! envelope, a repeated key, a value that does not fit) is left to the general path, which either
//! reads it or says what is wrong with it.

#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::JsonOptions;
use super::form::Form;
use super::lexer::{Lexer, Text};
use super::read;
use super::text::push_string;
use super::write::decimal_scale;
use crate::converter::json_schema::vocabulary::is_union;
use crate::data::{Cell, Node, PlannedValue, RecordBatch, RowPlan, Schema, Type, Value};

/// The writer schemas that were seen, each with its topic.
#[derive(Debug, Default)]
pub(super) struct Writers {
    writers: Vec<Writer>,
    /// Where the newest message's writer was found: they come in runs.
    last: usize,
}

#[derive(Debug)]
struct Writer {
    topic: Arc<str>,
    /// `{"schema":...,"payload":`, as the message that showed the schema had it.
    prefix: Box<[u8]>,
    layout: Layout,
    plan: Arc<RowPlan>,
}

/// Where the parts of values of one schema go.
#[derive(Debug)]
pub(super) struct Layout {
    schema: Arc<Schema>,
    shape: Shape,
    node: Node,
    cell_count: usize,
}

impl Layout {
    pub(super) fn new(schema: &Arc<Schema>, options: JsonOptions) -> Self {
        let mut cell_count = 0;
        let (shape, node) = shape(schema, &mut cell_count, true, options);
        Self { schema: schema.clone(), shape, node, cell_count }
    }

    pub(super) fn plan(&self, topic: &str) -> RowPlan {
        let value =
            Some(PlannedValue { schema: Some(self.schema.clone()), node: self.node.clone() });
        let (topic, headers) = (topic.into(), [].into());
        RowPlan { topic, key: None, value, cell_count: self.cell_count, headers }
    }

    /// Reads the value at `off..end` of `batch.wire`, and the end of the envelope where there is one.
    /// `None`: the general path has to; parts of the row may have been appended.
    pub(super) fn read(
        &self,
        off: usize,
        end: usize,
        batch: &mut RecordBatch,
        options: JsonOptions,
        in_envelope: bool,
    ) -> Option<()> {
        let wire = batch.wire.clone();
        let lexer = Lexer::new(wire.get(..end)?, off);
        let first_cell = batch.cells.len();
        batch.cells.resize(first_cell + self.cell_count, Cell::Null);
        let mut reader = Reader { lexer, first_cell, batch, options };
        reader.read(&self.shape)?;
        (!in_envelope || reader.lexer.accept(b'}')).then_some(())
    }
}

/// Where the parts of a schema go.
#[derive(Debug)]
enum Shape {
    Struct(StructShape),
    Leaf(Leaf),
}

#[derive(Debug)]
struct StructShape {
    /// The cell that tells whether the struct is there; `None` for required ones.
    presence: Option<usize>,
    fields: Vec<FieldShape>,
}

#[derive(Debug)]
struct FieldShape {
    name: String,
    /// The key with quotes and colon, as writers write it.
    key: Vec<u8>,
    shape: Shape,
}

#[derive(Debug)]
struct Leaf {
    cell: usize,
    form: Form,
    schema: Arc<Schema>,
    /// What null reads as; `None` where it is refused.
    null: Option<Value>,
    /// Whether a null that leniency makes of another kind of value is let through.
    lenient: bool,
}

impl Writers {
    /// The writer of the message at `off..end` of `wire` and where its payload starts, if it has
    /// been seen.
    pub(super) fn find(
        &mut self,
        topic: &str,
        wire: &[u8],
        off: usize,
        end: usize,
    ) -> Option<usize> {
        let message = wire.get(off..end)?;
        let wrote =
            |writer: &Writer| writer.topic.as_ref() == topic && message.starts_with(&writer.prefix);
        if !self.writers.get(self.last).is_some_and(wrote) {
            self.last = self.writers.iter().position(wrote)?;
        }
        Some(off + self.writers.get(self.last)?.prefix.len())
    }

    /// Remembers the writer of a message whose `prefix` ends where the payload starts.
    pub(super) fn add(
        &mut self,
        topic: &str,
        prefix: &[u8],
        schema: &Arc<Schema>,
        cache_size: usize,
        options: JsonOptions,
    ) {
        let topic: Arc<str> = topic.into();
        let layout = Layout::new(schema, options);
        let plan = Arc::new(layout.plan(&topic));
        if self.writers.len() >= cache_size {
            self.writers.remove(0);
        }
        self.last = self.writers.len();
        self.writers.push(Writer { topic, prefix: prefix.into(), layout, plan });
    }

    /// Reads the payload at `payload..end` of `batch.wire` under the writer found last. `None`: the
    /// general path has to; parts of the row may have been appended.
    pub(super) fn decode(
        &self,
        payload: usize,
        end: usize,
        batch: &mut RecordBatch,
        options: JsonOptions,
    ) -> Option<Arc<RowPlan>> {
        let writer = self.writers.get(self.last)?;
        writer.layout.read(payload, end, batch, options, true)?;
        Some(writer.plan.clone())
    }
}

/// Lays out `schema`; `root` is not a struct's member.
fn shape(
    schema: &Arc<Schema>,
    cell_count: &mut usize,
    root: bool,
    options: JsonOptions,
) -> (Shape, Node) {
    let mut next_cell = || {
        *cell_count += 1;
        *cell_count - 1
    };
    let is_union = options.of_registry && is_union(schema);
    if schema.ty() != Type::Struct || schema.default_value().is_some() || is_union {
        let cell = next_cell();
        let form = Form::of(schema, options).unwrap_or(Form::Tree);
        let null = read::null(schema, options).ok();
        let leaf = Leaf {
            cell,
            form,
            schema: schema.clone(),
            null,
            lenient: root || schema.is_optional(),
        };
        return (Shape::Leaf(leaf), Node::cell(cell));
    }
    let presence = schema.is_optional().then(next_cell);
    let (mut fields, mut nodes) = (Vec::new(), Vec::new());
    for field in schema.fields() {
        let (shape, node) = shape(&field.schema, cell_count, false, options);
        let mut key = Vec::new();
        push_string(&mut key, &field.name);
        key.push(b':');
        fields.push(FieldShape { name: field.name.clone(), key, shape });
        nodes.push(node);
    }
    (Shape::Struct(StructShape { presence, fields }), Node::Struct { presence, fields: nodes })
}

/// Reads one payload. `None` everywhere: not as expected.
struct Reader<'a, 'b> {
    lexer: Lexer<'a>,
    first_cell: usize,
    batch: &'b mut RecordBatch,
    options: JsonOptions,
}

impl Reader<'_, '_> {
    fn read(&mut self, shape: &Shape) -> Option<()> {
        match shape {
            Shape::Leaf(leaf) => {
                let cell = self.leaf(leaf)?;
                self.set(leaf.cell, cell)
            }
            Shape::Struct(shape) => {
                if self.lexer.peek() == Some(b'n') && self.lexer.take(b"null") {
                    return self.absent_struct(shape);
                }
                if let Some(presence) = shape.presence {
                    self.set(presence, Cell::I64(1))?;
                }
                self.members(shape)
            }
        }
    }

    /// A null struct: its cells are null already.
    fn absent_struct(&self, shape: &StructShape) -> Option<()> {
        shape.presence.map(|_| ())
    }

    fn absent(&mut self, shape: &Shape) -> Option<()> {
        match shape {
            Shape::Struct(shape) => self.absent_struct(shape),
            Shape::Leaf(leaf) => {
                let cell = self.null(leaf)?;
                self.set(leaf.cell, cell)
            }
        }
    }

    fn members(&mut self, shape: &StructShape) -> Option<()> {
        if !self.lexer.accept(b'{') {
            return None;
        }
        let mut order = Order::new(shape.fields.len());
        if !self.lexer.accept(b'}') {
            loop {
                match self.key(shape, order.expected)? {
                    Some(index) => {
                        order.see(index)?;
                        self.read(&shape.fields.get(index)?.shape)?;
                    }
                    None => drop(self.lexer.value().ok()?),
                }
                if !self.lexer.accept(b',') {
                    if !self.lexer.accept(b'}') {
                        return None;
                    }
                    break;
                }
            }
        }
        if order.is_complete() {
            return Some(());
        }
        for (index, field) in shape.fields.iter().enumerate() {
            if !order.saw(index) {
                self.absent(&field.shape)?;
            }
        }
        Some(())
    }

    /// The field that the next key names, if it is one. Writers keep the schema's order: the one
    /// expected is compared as bytes.
    fn key(&mut self, shape: &StructShape, expected: usize) -> Option<Option<usize>> {
        if let Some(field) = shape.fields.get(expected)
            && self.lexer.take(&field.key)
        {
            return Some(Some(expected));
        }
        let key = self.lexer.key().ok()?;
        let key = match &key {
            Text::Plain { text, .. } => text,
            Text::Unescaped(text) => text.as_str(),
        };
        Some(shape.fields.iter().position(|field| field.name == key))
    }

    fn leaf(&mut self, leaf: &Leaf) -> Option<Cell> {
        let before = self.lexer;
        match (self.lexer.peek()?, leaf.form) {
            (b'n', _) if self.lexer.take(b"null") => return self.null(leaf),
            (b'"', Form::String) => return self.string(),
            (b'"', Form::Bytes | Form::DecimalBase64 | Form::DecimalNumeric { .. }) => {
                if let Text::Plain { text, .. } = self.lexer.string().ok()? {
                    return self.base64(text);
                }
            }
            (b'-' | b'0'..=b'9', Form::Integer { max }) => {
                let number = self.lexer.number().ok()?;
                if number.integral
                    && let Ok(number) = number.text.parse::<i64>()
                    && number <= max
                    && number >= -max - 1
                {
                    return Some(Cell::I64(number));
                }
            }
            (b'-' | b'0'..=b'9', Form::Float64) => {
                return self.lexer.number().ok()?.text.parse().ok().map(Cell::F64);
            }
            (b'-' | b'0'..=b'9', Form::Float32) => {
                let number: f32 = self.lexer.number().ok()?.text.parse().ok()?;
                return Some(Cell::F64(number.into()));
            }
            (b't', Form::Boolean) if self.lexer.take(b"true") => return Some(Cell::I64(1)),
            (b'f', Form::Boolean) if self.lexer.take(b"false") => return Some(Cell::I64(0)),
            _ => {}
        }
        self.lexer = before;
        self.through_tree(leaf)
    }

    /// What is rare, nested, or of another kind than its schema says.
    fn through_tree(&mut self, leaf: &Leaf) -> Option<Cell> {
        let node = self.lexer.value().ok()?;
        let value = read::convert(Some(&leaf.schema), &node, self.options).ok()?;
        if value.is_null() && !leaf.lenient {
            return None;
        }
        Some(self.cell_of(value, &leaf.schema))
    }

    fn null(&mut self, leaf: &Leaf) -> Option<Cell> {
        let value = leaf.null.clone()?;
        Some(self.cell_of(value, &leaf.schema))
    }

    fn string(&mut self) -> Option<Cell> {
        let start = self.batch.scratch.len();
        let cell =
            |off: usize, len: usize| Some((u32::try_from(off).ok()?, u32::try_from(len).ok()?));
        match self.lexer.string_into(&mut self.batch.scratch).ok()? {
            Some((at, text)) => cell(at, text.len()).map(|(off, len)| Cell::Wire { off, len }),
            None => cell(start, self.batch.scratch.len() - start)
                .map(|(off, len)| Cell::Scratch { off, len }),
        }
    }

    fn base64(&mut self, text: &str) -> Option<Cell> {
        let start = self.batch.scratch.len();
        STANDARD.decode_vec(text, &mut self.batch.scratch).ok()?;
        Some(Cell::Scratch {
            off: u32::try_from(start).ok()?,
            len: u32::try_from(self.batch.scratch.len() - start).ok()?,
        })
    }

    fn cell_of(&mut self, value: Value, schema: &Schema) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Boolean(value) => Cell::I64(value.into()),
            Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => {
                value.as_i64().map_or(Cell::Null, Cell::I64)
            }
            Value::Float32(number) => Cell::F64(number.into()),
            Value::Float64(number) => Cell::F64(number),
            Value::String(text) => self.batch.push_scratch(text.as_bytes()),
            Value::Bytes(bytes) => self.batch.push_scratch(&bytes),
            // Numbers keep their own scale; bytes in a cell would be taken at the schema's.
            Value::Decimal(decimal) if decimal_scale(schema) == Ok(decimal.scale) => {
                self.batch.push_scratch(&decimal.unscaled.to_signed_bytes_be())
            }
            Value::Date(number) | Value::Time(number) if schema.ty() == Type::Int32 => {
                Cell::I64(number.into())
            }
            Value::Timestamp(number) if schema.ty() == Type::Int64 => Cell::I64(number),
            other => self.batch.push_tree(other),
        }
    }

    fn set(&mut self, cell: usize, value: Cell) -> Option<()> {
        *self.batch.cells.get_mut(self.first_cell + cell)? = value;
        Some(())
    }
}

/// Which fields of a struct have been seen; no memory while they come in order.
struct Order {
    count: usize,
    /// One more than the newest field.
    expected: usize,
    /// Set from the first field out of order.
    seen: Option<Vec<bool>>,
}

impl Order {
    fn new(count: usize) -> Self {
        Self { count, expected: 0, seen: None }
    }

    /// `None` when the field was seen before.
    fn see(&mut self, index: usize) -> Option<()> {
        if index != self.expected && self.seen.is_none() {
            self.seen = Some((0..self.count).map(|field| field < self.expected).collect());
        }
        if let Some(seen) = &mut self.seen {
            let seen = seen.get_mut(index)?;
            if *seen {
                return None;
            }
            *seen = true;
        }
        self.expected = index + 1;
        Some(())
    }

    fn saw(&self, index: usize) -> bool {
        match &self.seen {
            Some(seen) => seen.get(index).copied().unwrap_or(false),
            None => index < self.expected,
        }
    }

    fn is_complete(&self) -> bool {
        self.seen.is_none() && self.expected == self.count
    }
}
