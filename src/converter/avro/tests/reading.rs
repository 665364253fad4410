//! What other programs wrote, read as the original reads it.

use super::*;

fn read(text: &str, bytes: &[u8]) -> Result<SchemaAndValue, String> {
    let format = AvroFormat { options: DEFAULTS };
    let reader = format.reader(&resolved(text), Some(3)).map_err(|error| error.0)?;
    format.read(&reader, bytes).map_err(|error| error.0)
}

fn field(schema: &Schema, name: &str) -> Arc<Schema> {
    schema.field(name).unwrap().1.schema.clone()
}

#[test]
fn the_worked_example_comes_back() {
    let schema = products();
    let read = read(&text_of(&schema, DEFAULTS).unwrap(), WIDGET).unwrap();
    // What the schema does not say of its version is the registry's.
    let expected = schema.to_builder().version(3).build();
    assert_eq!(read.schema.as_ref(), Some(&expected));
    assert_eq!(read.value, widget(&expected));
}

#[test]
fn avros_types_are_connects() {
    let text = r#"{"type":"record","name":"R","namespace":"n","doc":"rd","fields":[
        {"name":"f","type":{"type":"fixed","name":"F","size":2}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"doc":"fd"},
        {"name":"micros","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"uuid","type":{"type":"string","logicalType":"uuid"}},
        {"name":"millis","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}},
        {"name":"n","type":"int","default":4},
        {"name":"u","type":["int","string"]},
        {"name":"o","type":["string","null"]}]}"#;
    let bytes = b"ab\x02\x02\x02x\x02\x02\x02\x07\x08\x02\x06two\x02";
    let SchemaAndValue { schema, value } = read(text, bytes).unwrap();
    let schema = schema.unwrap();
    assert_eq!(schema.name(), Some("n.R"));
    assert_eq!(schema.parameter("io.confluent.connect.avro.record.doc"), Some("rd"));
    assert_eq!(schema.parameter("io.confluent.connect.avro.field.doc.e"), Some("fd"));
    let fixed = field(&schema, "f");
    assert_eq!((fixed.name(), fixed.parameter("connect.fixed.size")), (Some("n.F"), Some("2")));
    let symbols = field(&schema, "e");
    assert_eq!(symbols.name(), Some("n.E"));
    assert_eq!(symbols.parameter("io.confluent.connect.avro.Enum"), Some("n.E"));
    assert_eq!(symbols.parameter("io.confluent.connect.avro.Enum.B"), Some("B"));
    assert_eq!(field(&schema, "micros"), of(Type::Int64));
    assert_eq!(field(&schema, "uuid"), of(Type::String));
    assert_eq!(field(&schema, "millis").name(), Some(logical::TIMESTAMP));
    assert_eq!(field(&schema, "day").name(), Some(logical::DATE));
    assert_eq!(field(&schema, "d").parameter("connect.decimal.precision"), Some("9"));
    let number = field(&schema, "n");
    assert_eq!(number.default_value(), Some(&Value::Int32(4)));
    assert_eq!(number.parameter("io.confluent.connect.avro.field.default"), Some("true"));
    let union = field(&schema, "u");
    assert_eq!(union.name(), Some("io.confluent.connect.avro.Union"));
    assert_eq!(field(&union, "int"), optional(Type::Int32));
    assert_eq!(field(&schema, "o"), optional(Type::String));
    let expected = vec![
        Value::Bytes(Bytes::from_static(b"ab")),
        Value::string("B"),
        Value::Int64(1),
        Value::string("x"),
        Value::Timestamp(1),
        Value::Date(1),
        Value::Decimal(Decimal { unscaled: 7.into(), scale: 3 }),
        Value::Int32(4),
        structure(&union, vec![Value::Null, Value::string("two")]),
        Value::Null,
    ];
    assert_eq!(value, structure(&schema, expected));
}

#[test]
fn what_is_not_in_a_schema_is_told_apart() {
    for (text, bytes, expected) in [
        (r#""null""#, &b""[..], "Standalone null schemas are not supported by this converter"),
        (
            r#"{"type":"record","name":"N","fields":[{"name":"n","type":["null","N"]}]}"#,
            b"\0",
            "The Avro schema N contains itself; values of endless depth are not supported (field \"n\")",
        ),
        (r#""unknown""#, b"", "Undefined name: \"unknown\""),
        ("{", b"", "Cannot parse the Avro schema: EOF while parsing an object at line 1 column 1"),
        (r#"{"type":"int","connect.type":"int8"}"#, b"\x80\x02", "128 is out of range for INT8"),
        (r#"["null","string"]"#, b"\x04", "2 is none of 2 choices"),
        (
            r#""string""#,
            b"\x02\xff",
            "text is not valid UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#,
            b"\x80\x80\x80\x01\0",
            "a block of 1048576 items with 1 bytes left",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":"int"}}]}"#,
            b"\x02\x02k",
            "truncated: 1 bytes wanted and 0 left (field \"a.k\")",
        ),
    ] {
        assert_eq!(read(text, bytes).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn top_level_null_and_bytes_are_special() {
    let null = read(r#"["null","string"]"#, b"\0").unwrap();
    assert_eq!(null, SchemaAndValue::NULL);
    let bytes = read(r#""bytes""#, b"\x01\x02").unwrap();
    assert_eq!(bytes.value, Value::Bytes(Bytes::from_static(b"\x01\x02")));
}

#[test]
fn values_without_schema_come_back() {
    let value = Value::Map(vec![
        (Value::string("a"), Value::Array(vec![Value::Int64(1), Value::Null])),
        (Value::Int32(2), Value::Boolean(true)),
    ]);
    let bytes = bytes_of(None, &value, DEFAULTS).unwrap();
    let format = AvroFormat { options: DEFAULTS };
    let text = format.describe(None).unwrap().schema.text;
    apache_avro::Schema::parse_str(&text).unwrap();
    let read = read(&text, &bytes).unwrap();
    assert_eq!(read, SchemaAndValue { schema: None, value });
}

#[test]
fn schemas_may_need_others() {
    let reference = |name: &str, text: &str| {
        let reference =
            registry::Reference { name: name.to_owned(), subject: "s".to_owned(), version: 1 };
        (reference, resolved(text).schema)
    };
    let mut schema = resolved(
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"p","type":"P"}]}"#,
    );
    schema.references.push(reference(
        "n.P",
        r#"{"type":"record","name":"P","namespace":"n","fields":[{"name":"x","type":"int"}]}"#,
    ));
    let format = AvroFormat { options: DEFAULTS };
    let reader = format.reader(&schema, None).unwrap();
    let read = format.read(&reader, b"\x06").unwrap();
    let Value::Struct(row) = read.value else { panic!("no struct") };
    let Some(Value::Struct(point)) = row.get("p") else { panic!("no struct") };
    assert_eq!(point.get("x"), Some(&Value::Int32(3)));
}
