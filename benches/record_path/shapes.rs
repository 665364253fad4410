//! The two rows that are measured, as change events in cells and as ready structs for the floor.

use std::sync::Arc;

use serde::Serialize;

use ferroconnect::data::{
    Cell, Node, PlannedValue, RecordBatch, RowPlan, Schema, SchemaBuilder, Type, Value,
};

/// Rows in a batch: enough that no row is in the first-level cache twice in a row.
pub(crate) const ROWS: usize = 1_000;

/// A change event's shape with a batch of its rows.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) plan: Arc<RowPlan>,
    pub(crate) batch: RecordBatch,
    pub(crate) floor: Floor,
}

/// The same rows for `serde_json`.
pub(crate) enum Floor {
    Narrow(Vec<Narrow>),
    Wide(Vec<Wide>),
}

#[derive(Serialize)]
pub(crate) struct Narrow {
    id: i64,
    quantity: i32,
    price: String,
    name: String,
    updated_at: String,
    __deleted: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Wide {
    id: i64,
    c01: i64,
    c02: i64,
    c03: i64,
    c04: i64,
    c05: i32,
    c06: i32,
    c07: i32,
    c08: i32,
    c09: String,
    c10: String,
    c11: String,
    c12: String,
    c13: String,
    c14: String,
    c15: String,
    c16: String,
    c17: f64,
    c18: f64,
    c19: bool,
    c20: bool,
    __deleted: &'static str,
}

fn plain(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn event_schema(row: Arc<Schema>) -> Arc<Schema> {
    SchemaBuilder::structure()
        .name("cdc.bench.rows.Envelope")
        .version(2)
        .field("before", row.clone())
        .field("after", row)
        .field("op", SchemaBuilder::new(Type::String).build())
        .field("ts_ms", plain(Type::Int64))
        .build()
}

/// An insert: `columns` cells of the row, and one for `ts_ms`.
fn plan(row: Arc<Schema>) -> Arc<RowPlan> {
    let columns = row.fields().len();
    let after = Node::Struct { presence: None, fields: (0..columns).map(Node::cell).collect() };
    let fields =
        vec![Node::Const(Value::Null), after, Node::Const(Value::string("c")), Node::cell(columns)];
    let node = Node::Struct { presence: None, fields };
    Arc::new(RowPlan {
        topic: "cdc.bench.rows".into(),
        key: None,
        value: Some(PlannedValue { schema: Some(event_schema(row)), node }),
        cell_count: columns + 1,
        headers: [].into(),
    })
}

/// Appends `text` to what came over the wire, and returns the cell that shows it.
fn wire(bytes: &mut Vec<u8>, text: &str) -> Cell {
    let off = u32::try_from(bytes.len()).expect("a small batch");
    bytes.extend_from_slice(text.as_bytes());
    Cell::Wire { off, len: u32::try_from(text.len()).expect("a short text") }
}

fn narrow_schema() -> Arc<Schema> {
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "12").optional();
    let updated_at = SchemaBuilder::new(Type::String)
        .name("io.debezium.time.ZonedTimestamp")
        .version(1)
        .optional();
    SchemaBuilder::structure()
        .optional()
        .name("cdc.bench.rows.Value")
        .field("id", SchemaBuilder::new(Type::Int64).build())
        .field("quantity", plain(Type::Int32))
        .field("price", price.build())
        .field("name", plain(Type::String))
        .field("updated_at", updated_at.build())
        .build()
}

/// `bigint`, `integer`, `numeric(12,2)`, `text`, `timestamptz`.
pub(crate) fn narrow() -> Shape {
    let (mut bytes, mut batch, mut rows) = (Vec::new(), RecordBatch::default(), Vec::new());
    let plan = plan(narrow_schema());
    let index = batch.plan_index(&plan);
    for number in 0..ROWS {
        let id = i64::try_from(number).expect("a small number") + 1_000_000;
        let quantity = i32::try_from(number % 97).expect("a small number");
        let cents = u16::try_from(number % 30_000).expect("a small number") + 300;
        let (name, updated_at) =
            (format!("Product number {number}"), "2024-05-01T10:30:00.123456Z".to_owned());
        batch.start_row(index);
        batch.cells.push(Cell::I64(id));
        batch.cells.push(Cell::I64(quantity.into()));
        let price = batch.push_scratch(&cents.to_be_bytes());
        batch.cells.push(price);
        batch.cells.push(wire(&mut bytes, &name));
        batch.cells.push(wire(&mut bytes, &updated_at));
        batch.cells.push(Cell::I64(1_714_559_400_000));
        let price = base64_of(cents);
        rows.push(Narrow { id, quantity, price, name, updated_at, __deleted: "false" });
    }
    batch.wire = bytes.into();
    Shape { name: "5 columns", plan, batch, floor: Floor::Narrow(rows) }
}

fn base64_of(cents: u16) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(cents.to_be_bytes())
}

fn wide_schema() -> Arc<Schema> {
    let mut builder = SchemaBuilder::structure()
        .optional()
        .name("cdc.bench.rows.Value")
        .field("id", SchemaBuilder::new(Type::Int64).build());
    for column in 1..=20 {
        let ty = match column {
            1..=4 => Type::Int64,
            5..=8 => Type::Int32,
            9..=16 => Type::String,
            17..=18 => Type::Float64,
            _ => Type::Boolean,
        };
        builder = builder.field(format!("c{column:02}"), plain(ty));
    }
    builder.build()
}

/// A key, 8 integers, 8 texts, 2 floating point numbers, 2 booleans.
pub(crate) fn wide() -> Shape {
    let (mut bytes, mut batch, mut rows) = (Vec::new(), RecordBatch::default(), Vec::new());
    let plan = plan(wide_schema());
    let index = batch.plan_index(&plan);
    for number in 0..ROWS {
        let small = i32::try_from(number).expect("a small number");
        let id = i64::from(small) + 1_000_000;
        let text = |column: usize| format!("text of column {column}, row {number}");
        let real = f64::from(small) + 0.25;
        batch.start_row(index);
        batch.cells.push(Cell::I64(id));
        for column in 1..=4 {
            batch.cells.push(Cell::I64(id * column));
        }
        for column in 5..=8 {
            batch.cells.push(Cell::I64(i64::from(small) + column));
        }
        for column in 9..=16 {
            batch.cells.push(wire(&mut bytes, &text(column)));
        }
        batch.cells.extend([Cell::F64(real), Cell::F64(-real), Cell::I64(1), Cell::I64(0)]);
        batch.cells.push(Cell::I64(1_714_559_400_000));
        rows.push(Wide {
            id,
            c01: id,
            c02: id * 2,
            c03: id * 3,
            c04: id * 4,
            c05: small + 5,
            c06: small + 6,
            c07: small + 7,
            c08: small + 8,
            c09: text(9),
            c10: text(10),
            c11: text(11),
            c12: text(12),
            c13: text(13),
            c14: text(14),
            c15: text(15),
            c16: text(16),
            c17: real,
            c18: -real,
            c19: true,
            c20: false,
            __deleted: "false",
        });
    }
    batch.wire = bytes.into();
    Shape { name: "21 columns", plan, batch, floor: Floor::Wide(rows) }
}
