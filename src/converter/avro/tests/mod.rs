//! Schemas and bytes as the original has them. The crate for Avro, which the product does not use,
//! judges them too.

mod property;
mod reading;

use bytes::Bytes;
use expect_test::{Expect, expect};

use super::*;
use crate::data::{Cell, Decimal, Node, SchemaBuilder, Struct, logical};

pub(super) const DEFAULTS: AvroOptions = AvroOptions {
    generalized_sum_type_support: false,
    ignore_default_for_nullables: false,
    enhanced_avro_schema_support: false,
    scrub_invalid_names: false,
    connect_meta_data: true,
    discard_type_doc_default: false,
    allow_optional_map_keys: false,
    flatten_singleton_unions: true,
};

pub(super) fn of(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

pub(super) fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

pub(super) fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

pub(super) fn resolved(text: &str) -> Resolved {
    let schema =
        SchemaText { ty: "AVRO".to_owned(), text: text.to_owned(), references: Vec::new() };
    Resolved { schema, references: Vec::new() }
}

pub(super) fn text_of(schema: &Arc<Schema>, options: AvroOptions) -> Result<String, String> {
    let described = AvroFormat { options }.describe(Some(schema));
    described.map(|described| described.schema.text).map_err(|error| error.0)
}

pub(super) fn bytes_of(
    schema: Option<&Arc<Schema>>,
    value: &Value,
    options: AvroOptions,
) -> Result<Vec<u8>, String> {
    let format = AvroFormat { options };
    let write = || {
        let target = format.describe(schema)?.schema.text;
        let writer = format.writer(schema, &resolved(&target), true)?;
        let mut out = Vec::new();
        format.write(&writer, schema, value, &mut out)?;
        Ok(out)
    };
    write().map_err(|error: DataError| error.0)
}

#[track_caller]
fn check_text(schema: &Arc<Schema>, options: AvroOptions, expected: &Expect) {
    let text = text_of(schema, options).unwrap();
    expected.assert_eq(&text);
    apache_avro::Schema::parse_str(&text).unwrap();
}

/// The table of the reference's worked example.
pub(super) fn products() -> Arc<Schema> {
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "10").optional();
    let updated_at = SchemaBuilder::new(Type::String)
        .name("io.debezium.time.ZonedTimestamp")
        .version(1)
        .optional();
    SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .field("id", of(Type::Int32))
        .field("name", optional(Type::String))
        .field("price", price.build())
        .field("updated_at", updated_at.build())
        .field("__deleted", optional(Type::String))
        .build()
}

pub(super) fn widget(schema: &Arc<Schema>) -> Value {
    structure(
        schema,
        vec![
            Value::Int32(1),
            Value::string("Widget"),
            Value::Decimal(Decimal { unscaled: 1999.into(), scale: 2 }),
            Value::string("2024-05-01T10:00:00.000000Z"),
            Value::string("false"),
        ],
    )
}

const WIDGET: &[u8] =
    b"\x02\x02\x0cWidget\x02\x04\x07\xcf\x02\x362024-05-01T10:00:00.000000Z\x02\x0afalse";

#[test]
fn the_worked_example_has_the_originals_schema_and_bytes() {
    let schema = products();
    let example = |text: &'static str| text.trim_end();
    let text = text_of(&schema, DEFAULTS).unwrap();
    assert_eq!(
        text,
        example(include_str!("../../../../tests/golden/example/avro-value-schema.json"))
    );
    apache_avro::Schema::parse_str(&text).unwrap();
    // The magic byte and the id 1, then the value.
    let message = |body: Vec<u8>| {
        let whole = [b"\0\0\0\0\x01", body.as_slice()].concat();
        whole.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let body = bytes_of(Some(&schema), &widget(&schema), DEFAULTS).unwrap();
    assert_eq!(body, WIDGET);
    let expected = example(include_str!("../../../../tests/golden/example/avro-snapshot-read.hex"));
    assert_eq!(message(body), expected);
    let key = SchemaBuilder::structure()
        .name("cdc.commerce.products.Key")
        .field("id", of(Type::Int32))
        .build();
    let text = text_of(&key, DEFAULTS).unwrap();
    assert_eq!(
        text,
        example(include_str!("../../../../tests/golden/example/avro-key-schema.json"))
    );
    let value = structure(&key, vec![Value::Int32(1)]);
    let body = bytes_of(Some(&key), &value, DEFAULTS).unwrap();
    assert_eq!(
        message(body),
        example(include_str!("../../../../tests/golden/example/avro-key.hex"))
    );
}

#[test]
fn both_paths_write_the_worked_example() {
    let schema = products();
    let format = AvroFormat { options: DEFAULTS };
    let target = format.describe(Some(&schema)).unwrap().schema.text;
    let writer = format.writer(Some(&schema), &resolved(&target), true).unwrap();
    let fields = (0..5).map(Node::cell).collect();
    let planned = PlannedValue {
        schema: Some(schema.clone()),
        node: Node::Struct { presence: None, fields },
    };
    let prefix = b"\0\0\0\0\x01";
    let encoder = format.encoder(&writer, &planned, prefix).unwrap();
    let plan = RowPlan {
        topic: "t".into(),
        key: None,
        value: Some(planned),
        cell_count: 5,
        headers: [].into(),
    };
    let mut batch = RecordBatch::default();
    let index = batch.plan_index(&Arc::new(plan));
    batch.start_row(index);
    batch.cells.push(Cell::I64(1));
    // The decimal's bytes need not be the shortest.
    for bytes in [&b"Widget"[..], b"\0\0\x07\xcf", b"2024-05-01T10:00:00.000000Z", b"false"] {
        let cell = batch.push_scratch(bytes);
        batch.cells.push(cell);
    }
    let mut out = Vec::new();
    encoder.write(&batch.view(index, 0), &mut out).unwrap();
    assert_eq!(out, [prefix, WIDGET].concat());
    let name = batch.push_scratch(b"\xff");
    batch.cells[1] = name;
    let error = encoder.write(&batch.view(index, 0), &mut out).unwrap_err();
    assert!(error.0.starts_with("text is not valid UTF-8"), "{error}");
    assert!(error.0.ends_with("(field \"name\")"), "{error}");
    batch.cells[0] = Cell::Null;
    let error = encoder.write(&batch.view(index, 0), &mut out).unwrap_err();
    assert_eq!(error.0, "Found null value for non-optional schema (field \"id\")");
}

#[test]
fn every_type_has_the_originals_schema() {
    let schema = SchemaBuilder::structure()
        .name("a.b.All")
        .parameter("io.confluent.connect.avro.record.doc", "of all")
        .parameter("io.confluent.connect.avro.field.doc.i8", "small")
        .field("i8", SchemaBuilder::new(Type::Int8).doc("d").build())
        .field("i16", of(Type::Int16))
        .field("i64", SchemaBuilder::new(Type::Int64).default_value(Value::Int64(0)).build())
        .field(
            "o64",
            SchemaBuilder::new(Type::Int64).default_value(Value::Int64(7)).optional().build(),
        )
        .field("f32", SchemaBuilder::new(Type::Float32).default_value(Value::Float32(0.1)).build())
        .field("f64", of(Type::Float64))
        .field("flag", of(Type::Boolean))
        .field(
            "raw",
            SchemaBuilder::new(Type::Bytes)
                .default_value(Value::Bytes(Bytes::from_static(b"\0\xff")))
                .build(),
        )
        .field("money", SchemaBuilder::decimal(-3).build())
        .field("date", SchemaBuilder::new(Type::Int32).name(logical::DATE).version(1).build())
        .field("time", SchemaBuilder::new(Type::Int32).name(logical::TIME).version(1).build())
        .field("at", SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1).build())
        .field("tags", SchemaBuilder::array(optional(Type::String)).build())
        .field("attrs", SchemaBuilder::map(of(Type::String), of(Type::Int32)).build())
        .field("pairs", SchemaBuilder::map(optional(Type::String), of(Type::Int32)).build())
        .field("named", SchemaBuilder::map(of(Type::Int32), of(Type::Int32)).name("x.M").build())
        .build();
    check_text(
        &schema,
        DEFAULTS,
        &expect![[
            r#"{"type":"record","name":"All","namespace":"a.b","doc":"of all","fields":[{"name":"i8","type":{"type":"int","connect.doc":"d","connect.type":"int8"},"doc":"small"},{"name":"i16","type":{"type":"int","connect.type":"int16"}},{"name":"i64","type":{"type":"long","connect.default":0},"default":0},{"name":"o64","type":[{"type":"long","connect.default":7},"null"],"default":7},{"name":"f32","type":{"type":"float","connect.default":0.1},"default":0.1},{"name":"f64","type":"double"},{"name":"flag","type":"boolean"},{"name":"raw","type":{"type":"bytes","connect.default":"\u0000ÿ"},"default":"\u0000ÿ"},{"name":"money","type":{"type":"bytes","scale":-3,"precision":64,"connect.version":1,"connect.parameters":{"scale":"-3"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}},{"name":"date","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}},{"name":"time","type":{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Time","logicalType":"time-millis"}},{"name":"at","type":{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}},{"name":"tags","type":{"type":"array","items":["null","string"]}},{"name":"attrs","type":{"type":"map","values":"int"}},{"name":"pairs","type":{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":["null","string"],"default":null},{"name":"value","type":"int"}]}}},{"name":"named","type":{"type":"array","items":{"type":"record","name":"M","namespace":"x","fields":[{"name":"key","type":"int"},{"name":"value","type":"int"}],"connect.internal.type":"MapEntry"},"connect.name":"x.M"}}],"connect.parameters":{"io.confluent.connect.avro.record.doc":"of all","io.confluent.connect.avro.field.doc.i8":"small"},"connect.name":"a.b.All"}"#
        ]],
    );
}

#[test]
fn connects_properties_can_be_left_out() {
    let plain = AvroOptions { connect_meta_data: false, ..DEFAULTS };
    check_text(&SchemaBuilder::new(Type::Int8).build(), plain, &expect![[r#""int""#]]);
    check_text(
        &SchemaBuilder::decimal(2).build(),
        plain,
        &expect![[r#"{"type":"bytes","scale":2,"precision":64,"logicalType":"decimal"}"#]],
    );
}

#[test]
fn a_named_struct_is_defined_once_and_referred_to() {
    let row = SchemaBuilder::structure().name("s.t.Value").field("id", of(Type::Int32));
    let envelope = SchemaBuilder::structure()
        .name("s.t.Envelope")
        .field("before", row.clone().optional().build())
        .field("after", row.clone().optional().build())
        .field(
            "other",
            SchemaBuilder::structure().name("u.W").field("v", row.clone().build()).build(),
        )
        .build();
    check_text(
        &envelope,
        DEFAULTS,
        &expect![[
            r#"{"type":"record","name":"Envelope","namespace":"s.t","fields":[{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"}],"connect.name":"s.t.Value"}],"default":null},{"name":"after","type":["null","Value"],"default":null},{"name":"other","type":{"type":"record","name":"W","namespace":"u","fields":[{"name":"v","type":"s.t.Value"}],"connect.name":"u.W"}}],"connect.name":"s.t.Envelope"}"#
        ]],
    );
    let other = SchemaBuilder::structure().name("s.t.Value").field("x", of(Type::Int32)).build();
    let clash = SchemaBuilder::structure().field("a", row.build()).field("b", other).build();
    assert_eq!(text_of(&clash, DEFAULTS).unwrap_err(), "Can't redefine: s.t.Value");
    // Structs without names get them, one each.
    let unnamed = |name: &str| SchemaBuilder::structure().field(name, of(Type::Int32)).build();
    let nested =
        SchemaBuilder::structure().field("a", unnamed("x")).field("b", unnamed("y")).build();
    check_text(
        &nested,
        DEFAULTS,
        &expect![[
            r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":{"type":"record","name":"ConnectDefault2","fields":[{"name":"x","type":"int"}]}},{"name":"b","type":{"type":"record","name":"ConnectDefault3","fields":[{"name":"y","type":"int"}]}}]}"#
        ]],
    );
}

#[test]
fn maps_that_differ_have_entries_of_their_own() {
    let map = |values| SchemaBuilder::map(of(Type::Int32), of(values)).build();
    let schema = SchemaBuilder::structure()
        .field("a", map(Type::Int32))
        .field("b", map(Type::String))
        .field("c", map(Type::Int32))
        .build();
    check_text(
        &schema,
        DEFAULTS,
        &expect![[
            r#"{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"MapEntry","fields":[{"name":"key","type":"int"},{"name":"value","type":"int"}]}}},{"name":"b","type":{"type":"array","items":{"type":"record","name":"MapEntry2","fields":[{"name":"key","type":"int"},{"name":"value","type":"string"}],"connect.internal.type":"MapEntry"}}},{"name":"c","type":{"type":"array","items":"MapEntry"}}]}"#
        ]],
    );
}

#[test]
fn names_that_avro_refuses_are_an_error_or_made_fit() {
    let schema = SchemaBuilder::structure()
        .name("cdc-1.T")
        .field("a-b", of(Type::Int32))
        .field("1x", of(Type::Int32))
        .build();
    assert_eq!(text_of(&schema, DEFAULTS).unwrap_err(), "Illegal character in: a-b");
    let digit = SchemaBuilder::structure().field("1x", of(Type::Int32)).build();
    assert_eq!(text_of(&digit, DEFAULTS).unwrap_err(), "Illegal initial character: 1x");
    let scrubbed = AvroOptions { scrub_invalid_names: true, ..DEFAULTS };
    check_text(
        &schema,
        scrubbed,
        &expect![[
            r#"{"type":"record","name":"T","namespace":"cdc_1","fields":[{"name":"a_b","type":"int"},{"name":"x1x","type":"int"}],"connect.name":"cdc-1.T"}"#
        ]],
    );
    let value = structure(&schema, vec![Value::Int32(1), Value::Int32(2)]);
    assert_eq!(bytes_of(Some(&schema), &value, scrubbed).unwrap(), b"\x02\x04");
}

#[test]
fn values_have_avros_bytes() {
    let bytes = |text: &'static [u8]| Value::Bytes(Bytes::from_static(text));
    let decimal = |number: i32, scale| Value::Decimal(Decimal { unscaled: number.into(), scale });
    let array = SchemaBuilder::array(optional(Type::Int32)).build();
    let map = SchemaBuilder::map(of(Type::String), of(Type::Int32)).build();
    let pairs = SchemaBuilder::map(of(Type::Int8), of(Type::Int32)).build();
    let with_default = SchemaBuilder::new(Type::Int32).optional().default_value(Value::Int32(9));
    let record = SchemaBuilder::structure().field("n", with_default.build()).build();
    let nothing = structure(&record, vec![Value::Null]);
    let ignoring = AvroOptions { ignore_default_for_nullables: true, ..DEFAULTS };
    for (name, schema, value, options, expected) in [
        ("raw bytes", Some(of(Type::Bytes)), bytes(b"\x01\x02"), DEFAULTS, &b"\x01\x02"[..]),
        ("raw bytes in a union", Some(optional(Type::Bytes)), bytes(b"a"), DEFAULTS, b"\x02\x02a"),
        ("raw decimal", Some(SchemaBuilder::decimal(2).build()), decimal(-1, 2), DEFAULTS, b"\xff"),
        ("int8", Some(of(Type::Int8)), Value::Int8(-1), DEFAULTS, b"\x01"),
        ("long", Some(of(Type::Int64)), Value::Int64(64), DEFAULTS, b"\x80\x01"),
        ("boolean", Some(of(Type::Boolean)), Value::Boolean(true), DEFAULTS, b"\x01"),
        ("float", Some(of(Type::Float32)), Value::Float32(1.0), DEFAULTS, b"\0\0\x80\x3f"),
        ("double", Some(of(Type::Float64)), Value::Float64(1.0), DEFAULTS, b"\0\0\0\0\0\0\xf0\x3f"),
        (
            "array",
            Some(array.clone()),
            Value::Array(vec![Value::Int32(1), Value::Null]),
            DEFAULTS,
            b"\x04\x02\x02\0\0",
        ),
        ("empty array", Some(array), Value::Array(Vec::new()), DEFAULTS, b"\0"),
        (
            "map",
            Some(map),
            Value::Map(vec![(Value::string("k"), Value::Int32(1))]),
            DEFAULTS,
            b"\x02\x02k\x02\0",
        ),
        (
            "pairs",
            Some(pairs),
            Value::Map(vec![(Value::Int8(3), Value::Int32(1))]),
            DEFAULTS,
            b"\x02\x06\x02\0",
        ),
        ("null has its default", Some(record.clone()), nothing.clone(), DEFAULTS, b"\0\x12"),
        ("null stays null", Some(record), nothing, ignoring, b"\x02"),
        ("schemaless", None, Value::string("a"), DEFAULTS, b"\0\0\0\0\0\0\x02\x02a\0\0"),
        ("schemaless int", None, Value::Int16(1), DEFAULTS, b"\0\0\0\0\x02\x02\0\0\0\0"),
    ] {
        let found = bytes_of(schema.as_ref(), &value, options);
        assert_eq!(found.as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let row = SchemaBuilder::structure()
        .field("tags", SchemaBuilder::array(of(Type::Int32)).build())
        .build();
    let tags = |values| structure(&row, vec![Value::Array(values)]);
    let outer = SchemaBuilder::structure().field("after", row.clone()).build();
    for (schema, value, expected) in [
        (of(Type::Int32), Value::Int64(1), "Invalid type for INT32: class java.lang.Long"),
        (
            SchemaBuilder::decimal(2).build(),
            Value::Decimal(Decimal { unscaled: 15.into(), scale: 1 }),
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value \
             has scale 1.",
        ),
        (
            SchemaBuilder::new(Type::Int32).name(logical::DATE).build(),
            Value::Int32(1),
            "Invalid type for Date, expected Date but was class java.lang.Integer",
        ),
        (
            SchemaBuilder::new(Type::Int32).name(logical::TIME).build(),
            Value::Time(86_400_001),
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ),
        (
            outer.clone(),
            structure(&outer, vec![tags(vec![Value::Int32(1), Value::Null])]),
            "Found null value for non-optional schema (field \"after.tags[1]\")",
        ),
    ] {
        assert_eq!(bytes_of(Some(&schema), &value, DEFAULTS), Err(expected.to_owned()));
    }
    let date = bytes_of(None, &Value::Date(1), DEFAULTS);
    assert_eq!(date, Err("Unknown Java type for schemaless data: class java.util.Date".to_owned()));
}

#[test]
fn a_schema_of_others_is_filled_by_name() {
    let schema = SchemaBuilder::structure()
        .field("id", of(Type::Int32))
        .field("extra", of(Type::String))
        .field("name", optional(Type::String))
        .build();
    let value = structure(&schema, vec![Value::Int32(1), Value::string("x"), Value::string("n")]);
    let latest = |fields: &str| {
        format!(
            r#"{{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{fields}]}}"#
        )
    };
    let write = |text: &str, strict| -> Result<Vec<u8>, String> {
        let format = AvroFormat { options: DEFAULTS };
        let mut out = Vec::new();
        let writer = format
            .writer(Some(&schema), &resolved(text), strict)
            .map_err(|error: DataError| error.0)?;
        format
            .write(&writer, Some(&schema), &value, &mut out)
            .map_err(|error: DataError| error.0)?;
        Ok(out)
    };
    let name = r#"{"name":"name","type":["null","string"]}"#;
    let id = r#"{"name":"id","type":"long"}"#;
    let with_default = latest(&format!(r#"{name},{{"name":"y","type":"int","default":5}},{id}"#));
    assert_eq!(write(&with_default, true), Ok(b"\x02\x02n\x0a\x02".to_vec()));
    let without = latest(&format!(r#"{name},{{"name":"y","type":["int","null"]}},{id}"#));
    let error = write(&without, true).unwrap_err();
    assert!(error.starts_with("The registered schema has the field \"y\" without a default"));
    assert_eq!(write(&without, false), Ok(b"\x02\x02n\x02\x02".to_vec()));
    let other_type = latest(&format!(r#"{name},{{"name":"id","type":"string"}}"#));
    assert_eq!(
        write(&other_type, true),
        Err("INT32 cannot be written as the string of the registered schema (field \"id\")"
            .to_owned())
    );
    // Refused rather than lost.
    let required = latest(&format!(r#"{{"name":"name","type":"string"}},{id}"#));
    assert_eq!(write(&required, true), Ok(b"\x02n\x02".to_vec()));
}

#[test]
fn enumerations_unions_and_fixed_lengths_keep_their_form() {
    let enhanced = AvroOptions { enhanced_avro_schema_support: true, ..DEFAULTS };
    let text = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"Colour","symbols":["RED","BLUE"]}},{"name":"f","type":{"type":"fixed","name":"F","size":2}},{"name":"u","type":["null","int","Colour",{"type":"record","name":"S","fields":[{"name":"x","type":"string"}]}],"default":null}]}"#;
    let bytes = b"\x02ab\x06\x02x";
    for options in
        [DEFAULTS, enhanced, AvroOptions { generalized_sum_type_support: true, ..DEFAULTS }]
    {
        let format = AvroFormat { options };
        let reader = format.reader(&resolved(text), None).unwrap();
        let read = format.read(&reader, bytes).unwrap();
        let schema = read.schema.clone().unwrap();
        let writer = format.writer(Some(&schema), &resolved(text), true).unwrap();
        let mut out = Vec::new();
        format.write(&writer, Some(&schema), &read.value, &mut out).unwrap();
        assert_eq!(out, bytes, "{options:?}");
    }
    let format = AvroFormat { options: enhanced };
    let reader = format.reader(&resolved(text), None).unwrap();
    let written = text_of(reader.schema.as_ref().unwrap(), enhanced).unwrap();
    let own = apache_avro::Schema::parse_str(&written).unwrap();
    let given = apache_avro::Schema::parse_str(text).unwrap();
    assert_eq!(own.canonical_form(), given.canonical_form());
}
