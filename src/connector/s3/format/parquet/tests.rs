//! Schemas and values, read back with the parquet crate.

use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use expect_test::expect;
use num_bigint::BigInt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::printer::print_schema;

use super::super::{Format, Provenance, RecordWriter};
use super::{Codec, DECIMAL_PRECISION, ParquetFormat};
use crate::data::{
    Cell, Decimal, Node, PlannedValue, Record, RecordBatch, RowPlan, Schema, SchemaAndValue,
    SchemaBuilder, Struct, Type, Value, logical,
};

fn required(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn named(ty: Type, name: &str) -> Arc<Schema> {
    SchemaBuilder::new(ty).name(name).version(1).optional().build()
}

fn products() -> Arc<Schema> {
    let price = SchemaBuilder::decimal(2).parameter(DECIMAL_PRECISION, "10").optional().build();
    SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .field("id", required(Type::Int32))
        .field("name", required(Type::String))
        .field("price", price)
        .field("tags", SchemaBuilder::array(optional(Type::String)).optional().build())
        .field("created_at", named(Type::Int64, "io.debezium.time.MicroTimestamp"))
        .field("__deleted", optional(Type::String))
        .build()
}

fn provenance() -> Provenance {
    Provenance {
        topic: "cdc.commerce.products".into(),
        partition: 3,
        first_offset: 7,
        last_offset: 9,
        first_timestamp_ms: Some(100),
        last_timestamp_ms: Some(200),
        row_times_ms: Some("100,50,50".to_owned()),
        key_fields: vec!["id".to_owned()],
    }
}

fn writer(schema: &Arc<Schema>) -> Box<dyn RecordWriter> {
    Format::Parquet(ParquetFormat::new(Codec::Snappy)).writer(Some(schema)).unwrap()
}

fn record(schema: &Arc<Schema>, values: Vec<Value>) -> Record {
    Record {
        topic: "t".into(),
        partition: None,
        key: SchemaAndValue::NULL,
        value: SchemaAndValue {
            schema: Some(schema.clone()),
            value: Value::Struct(Box::new(Struct::new(schema.clone(), values))),
        },
        timestamp_ms: None,
        offset: None,
        headers: Vec::new(),
    }
}

fn finish(mut writer: Box<dyn RecordWriter>) -> SerializedFileReader<Bytes> {
    writer.finish(&provenance()).unwrap();
    let file = std::mem::take(writer.output());
    SerializedFileReader::new(Bytes::from(file)).unwrap()
}

fn schema_text(reader: &SerializedFileReader<Bytes>) -> String {
    let mut text = Vec::new();
    print_schema(&mut text, reader.metadata().file_metadata().schema());
    String::from_utf8(text).unwrap()
}

fn rows(reader: &SerializedFileReader<Bytes>) -> Vec<Row> {
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

fn decimal(unscaled: i64) -> Value {
    Value::Decimal(Decimal { unscaled: BigInt::from(unscaled), scale: 2 })
}

#[test]
fn a_debezium_row_has_the_originals_schema_and_metadata() {
    let schema = products();
    let mut writer = writer(&schema);
    let tags = Value::Array(vec![Value::string("a"), Value::Null]);
    for (id, price, tags) in [
        (1, decimal(-1), tags),
        (2, decimal(9_999_999_999), Value::Array(Vec::new())),
        (3, Value::Null, Value::Null),
    ] {
        let values = vec![
            Value::Int32(id),
            Value::string("n"),
            price,
            tags,
            Value::Int64(1_700_000_000_000_000),
            Value::string("false"),
        ];
        writer.write_record(&record(&schema, values)).unwrap();
        writer.accept().unwrap();
    }
    let reader = finish(writer);
    expect![[r#"
        message cdc.commerce.products.Value {
          REQUIRED INT32 id;
          REQUIRED BYTE_ARRAY name (STRING);
          OPTIONAL BYTE_ARRAY price (DECIMAL(10,2));
          OPTIONAL group tags (LIST) {
            REPEATED group list {
              OPTIONAL BYTE_ARRAY element (STRING);
            }
          }
          OPTIONAL INT64 created_at;
          OPTIONAL BYTE_ARRAY __deleted (STRING);
        }
    "#]]
    .assert_eq(&schema_text(&reader));
    let rows: Vec<_> = rows(&reader).iter().map(Row::to_string).collect();
    expect![[r#"
        {id: 1, name: "n", price: -0.01, tags: ["a", null], created_at: 1700000000000000, __deleted: "false"}
        {id: 2, name: "n", price: 99999999.99, tags: [], created_at: 1700000000000000, __deleted: "false"}
        {id: 3, name: "n", price: null, tags: null, created_at: 1700000000000000, __deleted: "false"}"#]]
    .assert_eq(&rows.join("\n"));
    let file = reader.metadata().file_metadata();
    let entries = file.key_value_metadata().unwrap();
    let entries: Vec<_> = entries
        .iter()
        .filter(|entry| entry.key != "parquet.avro.schema")
        .map(|entry| format!("{}={}", entry.key, entry.value.as_deref().unwrap_or_default()))
        .collect();
    expect![[r#"
        writer.model.name=avro
        cdc.topic=cdc.commerce.products
        cdc.partition=3
        cdc.first_offset=7
        cdc.last_offset=9
        cdc.first_timestamp_ms=100
        cdc.last_timestamp_ms=200
        cdc.timestamps_ms=100,50,50
        cdc.key_fields=["id"]"#]]
    .assert_eq(&entries.join("\n"));
    let decimals = reader.metadata().row_group(0).column(2);
    assert!(decimals.statistics().is_none(), "unsigned statistics would mislead readers");
    assert!(reader.metadata().row_group(0).column(0).statistics().is_some());
}

/// One field per row of the type table.
fn every_type() -> Arc<Schema> {
    let point = SchemaBuilder::structure()
        .name("io.debezium.data.geometry.Point")
        .field("x", required(Type::Float64))
        .field("wkb", optional(Type::Bytes))
        .optional()
        .build();
    let fixed = SchemaBuilder::new(Type::Bytes).parameter("connect.fixed.size", "4").build();
    let kind = SchemaBuilder::new(Type::String)
        .parameter("io.confluent.connect.avro.Enum", "x.Kind")
        .build();
    SchemaBuilder::structure()
        .field("i8", required(Type::Int8))
        .field("i16", required(Type::Int16))
        .field("f32", required(Type::Float32))
        .field("bool", required(Type::Boolean))
        .field("bytes", required(Type::Bytes))
        .field("fixed", fixed)
        .field("kind", kind)
        .field("decimal", SchemaBuilder::decimal(3).build())
        .field("date", named(Type::Int32, logical::DATE))
        .field("time", named(Type::Int32, logical::TIME))
        .field("timestamp", named(Type::Int64, logical::TIMESTAMP))
        .field("point", point)
        .field("numbers", SchemaBuilder::array(required(Type::Int64)).build())
        .field("map", SchemaBuilder::map(required(Type::String), optional(Type::Int32)).build())
        .field("pairs", SchemaBuilder::map(required(Type::Int32), required(Type::String)).build())
        .field("user-id", required(Type::Int64))
        .build()
}

fn every_value(point: Value) -> Vec<Value> {
    vec![
        Value::Int8(-1),
        Value::Int16(300),
        Value::Float32(1.5),
        Value::Boolean(true),
        Value::Bytes(Bytes::from_static(b"\x00\xff")),
        Value::Bytes(Bytes::from_static(b"abcd")),
        Value::string("A"),
        Value::Decimal(Decimal { unscaled: BigInt::from(-1), scale: 3 }),
        Value::Date(19_000),
        Value::Time(1_000),
        Value::Timestamp(1_700_000_000_000),
        point,
        Value::Array(vec![Value::Int64(1), Value::Int64(2)]),
        Value::Map(vec![(Value::string("k"), Value::Null)]),
        Value::Map(vec![(Value::Int32(5), Value::string("v"))]),
        Value::Int64(i64::MAX),
    ]
}

#[test]
fn every_type_has_the_originals_column() {
    let schema = every_type();
    let mut writer = writer(&schema);
    let point_schema = schema.field("point").unwrap().1.schema.clone();
    let point = Struct::new(point_schema, vec![Value::Float64(0.5), Value::Null]);
    writer.write_record(&record(&schema, every_value(Value::Struct(Box::new(point))))).unwrap();
    writer.accept().unwrap();
    writer.write_record(&record(&schema, every_value(Value::Null))).unwrap();
    writer.accept().unwrap();
    let reader = finish(writer);
    expect![[r#"
        message io.confluent.connect.avro.ConnectDefault {
          REQUIRED INT32 i8;
          REQUIRED INT32 i16;
          REQUIRED FLOAT f32;
          REQUIRED BOOLEAN bool;
          REQUIRED BYTE_ARRAY bytes;
          REQUIRED FIXED_LEN_BYTE_ARRAY (4) fixed;
          REQUIRED BYTE_ARRAY kind (ENUM);
          REQUIRED BYTE_ARRAY decimal (DECIMAL(64,3));
          OPTIONAL INT32 date (DATE);
          OPTIONAL INT32 time (TIME(MILLIS,true));
          OPTIONAL INT64 timestamp (TIMESTAMP(MILLIS,true));
          OPTIONAL group point {
            REQUIRED DOUBLE x;
            OPTIONAL BYTE_ARRAY wkb;
          }
          REQUIRED group numbers (LIST) {
            REPEATED INT64 array;
          }
          REQUIRED group map (MAP) {
            REPEATED group key_value (MAP_KEY_VALUE) {
              REQUIRED BYTE_ARRAY key (STRING);
              OPTIONAL INT32 value;
            }
          }
          REQUIRED group pairs (LIST) {
            REPEATED group array {
              REQUIRED INT32 key;
              REQUIRED BYTE_ARRAY value (STRING);
            }
          }
          REQUIRED INT64 user-id;
        }
    "#]]
    .assert_eq(&schema_text(&reader));
    let rows = rows(&reader);
    let field = |row: usize, name: &str| {
        let (_, field) = rows[row].get_column_iter().find(|(n, _)| *n == name).unwrap();
        field.clone()
    };
    assert_eq!(field(0, "i8"), Field::Int(-1));
    assert_eq!(field(0, "decimal").to_string(), "-0.001");
    assert_eq!(field(0, "point").to_string(), "{x: 0.5, wkb: null}");
    assert_eq!(field(1, "point"), Field::Null);
    assert_eq!(field(1, "map").to_string(), "{\"k\" -> null}");
    assert_eq!(field(0, "user-id"), Field::Long(i64::MAX));
}

/// The row reader knows no lists of two levels; the Arrow reader does.
#[test]
fn lists_of_two_levels_are_read_back() {
    let numbers = SchemaBuilder::array(required(Type::Int64)).optional().build();
    let schema = SchemaBuilder::structure().field("numbers", numbers).build();
    let mut writer = writer(&schema);
    let list = Value::Array(vec![Value::Int64(1), Value::Int64(2)]);
    for value in [list, Value::Array(Vec::new()), Value::Null] {
        writer.write_record(&record(&schema, vec![value])).unwrap();
        writer.accept().unwrap();
    }
    writer.finish(&provenance()).unwrap();
    let file = Bytes::from(std::mem::take(writer.output()));
    let mut batches = ParquetRecordBatchReader::try_new(file, 16).unwrap();
    let batch = batches.next().unwrap().unwrap();
    let lists = batch.column(0).as_list::<i32>();
    let first = lists.value(0);
    assert_eq!(first.as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!((lists.is_null(1), lists.value_length(1)), (false, 0));
    assert!(lists.is_null(2));
}

/// The plan of a products row over six cells, with `__deleted` constant.
fn plan(schema: &Arc<Schema>) -> Arc<RowPlan> {
    let cell =
        |index| Node::Cell { index, unchanged: Value::string("__unavailable"), null: Value::Null };
    let mut fields: Vec<_> = (0..5).map(cell).collect();
    fields.push(Node::Const(Value::string("true")));
    Arc::new(RowPlan {
        topic: "t".into(),
        key: None,
        value: Some(PlannedValue {
            schema: Some(schema.clone()),
            node: Node::Struct { presence: None, fields },
        }),
        cell_count: 5,
        headers: [].into(),
    })
}

#[test]
fn planned_rows_and_trees_make_the_same_file() {
    let schema = products();
    let plan = plan(&schema);
    let mut batch = RecordBatch { wire: Bytes::from_static(b"widget"), ..RecordBatch::default() };
    let index = batch.plan_index(&plan);
    for id in 0..2_000 {
        batch.start_row(index);
        let price = batch.push_scratch(&BigInt::from(id * 100 - 5).to_signed_bytes_be());
        let tags = batch.push_tree(Value::Array(vec![Value::string("x")]));
        let name = if id % 3 == 0 { Cell::Unchanged } else { Cell::Wire { off: 0, len: 6 } };
        let created = if id % 2 == 0 { Cell::Null } else { Cell::I64(id) };
        batch.cells.extend([Cell::I64(id), name, price, tags, created]);
    }
    let (mut planned, mut trees) = (writer(&schema), writer(&schema));
    for row in batch.rows.clone() {
        let crate::data::Row::Planned { plan: index, first_cell } = row else { panic!("planned") };
        let view = batch.view(index, first_cell);
        planned.write_row(&plan, &view).unwrap();
        planned.accept().unwrap();
        trees.write_record(&plan.materialize(&view).unwrap()).unwrap();
        trees.accept().unwrap();
    }
    let (planned, trees) = (finish(planned), finish(trees));
    assert_eq!(rows(&planned).len(), 2_000);
    assert_eq!(rows(&planned), rows(&trees));
}

#[test]
fn a_refused_row_leaves_no_trace() {
    let schema = products();
    let mut writer = writer(&schema);
    let good = |id| {
        let mut values = vec![Value::Int32(id), Value::string("n"), decimal(1)];
        values.extend([Value::Null, Value::Null, Value::Null]);
        values
    };
    writer.write_record(&record(&schema, good(1))).unwrap();
    writer.accept().unwrap();
    let mut bad = good(2);
    bad[1] = Value::Null;
    let error = writer.write_record(&record(&schema, bad)).unwrap_err();
    assert_eq!(error.to_string(), "Found null value for non-optional schema: field \"name\"");
    writer.write_record(&record(&schema, good(3))).unwrap();
    writer.accept().unwrap();
    let rows = rows(&finish(writer));
    let ids: Vec<_> =
        rows.iter().map(|row| row.get_column_iter().next().unwrap().1.clone()).collect();
    assert_eq!(ids, [Field::Int(1), Field::Int(3)]);
}

#[test]
fn null_in_a_field_with_a_default_is_the_default() {
    let stock = SchemaBuilder::new(Type::Int32).optional().default_value(Value::Int32(7)).build();
    let schema = SchemaBuilder::structure().field("stock", stock).build();
    let mut writer = writer(&schema);
    writer.write_record(&record(&schema, vec![Value::Null])).unwrap();
    writer.accept().unwrap();
    assert_eq!(rows(&finish(writer))[0].to_string(), "{stock: 7}");
}

#[test]
fn parts_taken_on_the_way_make_one_file() {
    let schema = SchemaBuilder::structure().field("text", required(Type::String)).build();
    let mut writer = writer(&schema);
    let mut file = Vec::new();
    for row in 0..5_000 {
        let text = format!("{row} {}", "x".repeat(row % 97));
        writer.write_record(&record(&schema, vec![Value::string(text)])).unwrap();
        writer.accept().unwrap();
        if row % 1_000 == 999 {
            writer.flush().unwrap();
            file.append(writer.output());
        }
    }
    writer.finish(&provenance()).unwrap();
    file.append(writer.output());
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 5);
    assert_eq!(rows(&reader).len(), 5_000);
}

#[test]
fn what_parquet_cannot_hold_is_refused_with_the_remedy() {
    let format = Format::Parquet(ParquetFormat::new(Codec::Snappy));
    let schemaless = format.writer(None).err().unwrap().to_string();
    assert!(schemaless.contains("value.converter.schemas.enable=true"), "{schemaless}");
    let empty = SchemaBuilder::structure().name("x.E").build();
    let empty = format.writer(Some(&empty)).err().unwrap().to_string();
    assert!(empty.contains("x.E has no fields"), "{empty}");
}
