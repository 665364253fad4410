//! The general path against the specification's examples (JsonConverter, sections 2.2 and 5).

use bytes::Bytes;
use num_bigint::BigInt;

use super::*;
use crate::data::{Decimal, SchemaBuilder, Struct, Type, Value, logical};

pub(super) fn converter(settings: &[(&str, &str)]) -> JsonConverter {
    let props = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    JsonConverter::new(&props.collect()).unwrap()
}

pub(super) fn plain(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

pub(super) fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn decimal(unscaled: i64, scale: i32) -> Value {
    Value::Decimal(Decimal { unscaled: BigInt::from(unscaled), scale })
}

fn write(
    settings: &[(&str, &str)],
    schema: Option<&Arc<Schema>>,
    value: Value,
) -> Result<Option<String>, String> {
    let mut out = Vec::new();
    let data = SchemaAndValue { schema: schema.cloned(), value };
    match converter(settings).from_connect_data("t", &data, &mut out) {
        Ok(Presence::Present) => Ok(Some(String::from_utf8(out).unwrap())),
        Ok(Presence::Null) => Ok(None),
        Err(error) => Err(error.0),
    }
}

#[track_caller]
fn check_written(schema: &Arc<Schema>, value: Value, expected: &str) {
    let written = write(&[], Some(schema), value.clone()).unwrap().unwrap();
    assert_eq!(written, expected);
    let read = converter(&[]).to_connect_data("t", Some(written.as_bytes())).unwrap();
    assert_eq!(read, SchemaAndValue { schema: Some(schema.clone()), value });
}

#[test]
fn schemas_and_payloads_have_the_originals_bytes() {
    let int8 = SchemaBuilder::new(Type::Int8).doc("x").default_value(Value::Int8(3)).build();
    check_written(
        &int8,
        Value::Int8(1),
        r#"{"schema":{"type":"int8","optional":false,"doc":"x","default":3},"payload":1}"#,
    );
    check_written(
        &optional(Type::String),
        Value::string("a"),
        r#"{"schema":{"type":"string","optional":true},"payload":"a"}"#,
    );
    check_written(
        &plain(Type::Bytes),
        Value::Bytes(Bytes::from_static(&[0xFB, 0xFF])),
        r#"{"schema":{"type":"bytes","optional":false},"payload":"+/8="}"#,
    );
    check_written(
        &SchemaBuilder::decimal(4).build(),
        decimal(102_345, 4),
        r#"{"schema":{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"4"}},"payload":"AY/J"}"#,
    );
    let array = SchemaBuilder::array(plain(Type::Float32)).build();
    check_written(
        &array,
        Value::Array(vec![Value::Float32(1.5), Value::Float32(f32::INFINITY)]),
        r#"{"schema":{"type":"array","items":{"type":"float","optional":false},"optional":false},"payload":[1.5,"Infinity"]}"#,
    );
    let map = SchemaBuilder::map(optional(Type::String), plain(Type::Float64)).build();
    check_written(
        &map,
        Value::Map(vec![(Value::string("k"), Value::Float64(1.0))]),
        r#"{"schema":{"type":"map","keys":{"type":"string","optional":true},"values":{"type":"double","optional":false},"optional":false},"payload":{"k":1.0}}"#,
    );
    let pairs = SchemaBuilder::map(plain(Type::Int32), plain(Type::Boolean)).build();
    check_written(
        &pairs,
        Value::Map(vec![(Value::Int32(5), Value::Boolean(true))]),
        r#"{"schema":{"type":"map","keys":{"type":"int32","optional":false},"values":{"type":"boolean","optional":false},"optional":false},"payload":[[5,true]]}"#,
    );
    let structure = SchemaBuilder::structure()
        .field("x", optional(Type::Int8))
        .optional()
        .name("n")
        .version(3)
        .doc("d")
        .parameter("p", "q")
        .build();
    check_written(
        &structure,
        Value::Struct(Box::new(Struct::new(structure.clone(), vec![Value::Null]))),
        r#"{"schema":{"type":"struct","fields":[{"type":"int8","optional":true,"field":"x"}],"optional":true,"name":"n","version":3,"doc":"d","parameters":{"p":"q"}},"payload":{"x":null}}"#,
    );
}

#[test]
fn logical_types_are_written_by_name() {
    for (ty, name, value, expected) in [
        (Type::Int32, logical::DATE, Value::Date(1), "1"),
        (Type::Int32, logical::TIME, Value::Time(86_400_000), "86400000"),
        (Type::Int64, logical::TIMESTAMP, Value::Timestamp(1_700_000_000_123), "1700000000123"),
        (Type::Int32, "io.debezium.time.Date", Value::Int32(7), "7"),
    ] {
        let schema = SchemaBuilder::new(ty).name(name).version(1).build();
        let ty = ty.json_name();
        let expected = format!(
            r#"{{"schema":{{"type":"{ty}","optional":false,"name":"{name}","version":1}},"payload":{expected}}}"#
        );
        check_written(&schema, value, &expected);
    }
}

#[test]
fn decimals_as_numbers_keep_their_own_scale() {
    let settings = [("schemas.enable", "false"), ("decimal.format", "numeric")];
    let schema = SchemaBuilder::decimal(2).build();
    for (value, expected) in
        [(decimal(150, 2), "1.50"), (decimal(1, -3), "1E+3"), (decimal(1, 10), "1E-10")]
    {
        assert_eq!(write(&settings, Some(&schema), value).unwrap().unwrap(), expected);
    }
    assert_eq!(
        write(&[], Some(&schema), decimal(15, 1)).unwrap_err(),
        "Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value \
         has scale 1."
    );
}

#[test]
fn null_is_a_tombstone_only_without_a_schema() {
    let off = [("schemas.enable", "false")];
    assert_eq!(write(&[], None, Value::Null), Ok(None));
    assert_eq!(write(&off, None, Value::Null), Ok(None));
    let schema = optional(Type::Int32);
    assert_eq!(write(&off, Some(&schema), Value::Null).unwrap().unwrap(), "null");
    assert_eq!(
        write(&[], Some(&schema), Value::Null).unwrap().unwrap(),
        r#"{"schema":{"type":"int32","optional":true},"payload":null}"#
    );
    assert_eq!(
        write(&off, Some(&plain(Type::Int32)), Value::Null).unwrap_err(),
        "Conversion error: null value for field that is required and has no default value"
    );
}

#[test]
fn a_default_stands_for_null_unless_switched_off() {
    let off = [("schemas.enable", "false")];
    let keep = [("schemas.enable", "false"), ("replace.null.with.default", "false")];
    let builder = SchemaBuilder::new(Type::String).default_value(Value::string("n/a"));
    let schema = builder.clone().optional().build();
    assert_eq!(write(&off, Some(&schema), Value::Null).unwrap().unwrap(), "\"n/a\"");
    assert_eq!(write(&keep, Some(&schema), Value::Null).unwrap().unwrap(), "null");
    assert!(write(&keep, Some(&builder.build()), Value::Null).is_err());
}

#[test]
fn schemaless_values_take_their_type_from_themselves() {
    let map = |key: Value| Value::Map(vec![(key, Value::Int32(1))]);
    assert_eq!(
        write(&[], None, map(Value::string("a"))).unwrap().unwrap(),
        r#"{"schema":null,"payload":{"a":1}}"#
    );
    let off = [("schemas.enable", "false")];
    assert_eq!(write(&off, None, map(Value::Int8(1))).unwrap().unwrap(), "[[1,1]]");
    assert_eq!(
        write(&off, None, decimal(1, 0)).unwrap_err(),
        "Java class class java.math.BigDecimal does not have corresponding schema type."
    );
    let schema = SchemaBuilder::structure().build();
    let structure = Value::Struct(Box::new(Struct::new(schema, vec![])));
    assert_eq!(write(&off, None, structure).unwrap_err(), "Mismatching schema.");
    assert_eq!(
        write(&off, Some(&plain(Type::Float64)), Value::Boolean(true)).unwrap_err(),
        "Invalid type for FLOAT64: class java.lang.Boolean"
    );
}

#[test]
fn settings_are_checked() {
    let props = Props::from([("decimal.format".to_owned(), "hex".to_owned())]);
    assert_eq!(
        JsonConverter::new(&props).unwrap_err().to_string(),
        "Invalid value hex for configuration decimal.format: String must be one of (case \
         insensitive): NUMERIC, BASE64"
    );
    let props = Props::from([("schema.content".to_owned(), "{".to_owned())]);
    assert_eq!(
        JsonConverter::new(&props).unwrap_err().to_string(),
        "Failed to parse schema in converter config due to serialization error: "
    );
}

fn read(settings: &[(&str, &str)], text: &str) -> Result<SchemaAndValue, String> {
    converter(settings).to_connect_data("t", Some(text.as_bytes())).map_err(|error| error.0)
}

#[test]
fn only_whole_envelopes_are_read_with_schemas() {
    for text in ["{}", "", " ", "null", "1", r#"{"schema":null,"payload":1,"x":2}"#, "[]"] {
        assert_eq!(read(&[], text).unwrap_err(), NOT_AN_ENVELOPE, "{text}");
    }
    let error = read(&[], r#"{"schema":null,"payload":"#).unwrap_err();
    assert!(error.starts_with(
        "Converting byte[] to Kafka Connect data failed due to serialization error: "
    ));
    assert_eq!(converter(&[]).to_connect_data("t", None).unwrap(), SchemaAndValue::NULL);
    let turned = r#" { "payload" : 7 , "schema" : {"type":"int8"} } trailing"#;
    assert_eq!(read(&[], turned).unwrap().value, Value::Int8(7));
    assert_eq!(read(&[], r#"{"schema":null,"payload":7}"#).unwrap().value, Value::Int64(7));
}

#[test]
fn plain_json_is_read_without_schemas() {
    let off = [("schemas.enable", "false")];
    for (text, expected) in [
        ("", Value::Null),
        ("null", Value::Null),
        ("1 2", Value::Int64(1)),
        ("007", Value::Int64(7)),
        ("98765432109876543211", Value::Int64(6_531_711_741_328_785_131)),
        ("1.5", Value::Float64(1.5)),
        (r#"["x",true]"#, Value::Array(vec![Value::string("x"), Value::Boolean(true)])),
        (r#"{"a":{}}"#, Value::Map(vec![(Value::string("a"), Value::Map(vec![]))])),
    ] {
        assert_eq!(read(&off, text).unwrap(), SchemaAndValue { schema: None, value: expected });
    }
}

#[test]
fn reading_under_a_schema_is_lenient() {
    for (schema, payload, expected) in [
        (r#"{"type":"int32"}"#, "\"12\"", Value::Int32(0)),
        (r#"{"type":"int32"}"#, "12.9", Value::Int32(12)),
        (r#"{"type":"int32"}"#, "-1.29e1", Value::Int32(-12)),
        (r#"{"type":"int8"}"#, "300", Value::Int8(44)),
        (r#"{"type":"int64"}"#, "1e400", Value::Int64(0)),
        (r#"{"type":"int64"}"#, "1e-999999999", Value::Int64(0)),
        (r#"{"type":"boolean"}"#, "\"true\"", Value::Boolean(false)),
        (r#"{"type":"string"}"#, "5", Value::Null),
        (r#"{"type":"bytes"}"#, "5", Value::Null),
        (r#"{"type":"double"}"#, "\"NaN?\"", Value::Float64(0.0)),
        (r#"{"type":"double"}"#, "\"-Infinity\"", Value::Float64(f64::NEG_INFINITY)),
        (r#"{"type":"int32","default":5}"#, "null", Value::Int32(5)),
        (r#"{"type":"int32","optional":true}"#, "null", Value::Null),
    ] {
        let text = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        assert_eq!(read(&[], &text).unwrap().value, expected, "{text}");
    }
    let scale_2 = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#;
    for (payload, expected) in
        [("\"B88=\"", decimal(1999, 2)), ("1.5", decimal(15, 1)), ("1E+3", decimal(1, -3))]
    {
        let text = format!(r#"{{"schema":{scale_2},"payload":{payload}}}"#);
        assert_eq!(read(&[], &text).unwrap().value, expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let map = r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}"#;
    let pairs = r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"int8"}}"#;
    let date = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date"}"#;
    let time = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time"}"#;
    let timestamp = r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"}"#;
    let decimal = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#;
    let required = r#"{"type":"struct","fields":[{"type":"string","field":"s"}]}"#;
    for (schema, payload, expected) in [
        ("{}", "1", "Schema must contain 'type' field"),
        (r#"{"type":"float32"}"#, "1", "Unknown schema type: float32"),
        (r#"{"type":"array"}"#, "1", "Array schema did not specify the element type"),
        (r#"{"type":"map"}"#, "1", "Map schema did not specify the key type"),
        (r#"{"type":"struct"}"#, "1", "Struct schema's \"fields\" argument is not an array."),
        (
            r#"{"type":"struct","fields":[{"type":"int8"}]}"#,
            "1",
            "Struct schema's field name not specified properly",
        ),
        (
            r#"{"type":"int8","parameters":{"a":1}}"#,
            "1",
            "Schema parameters must have string values.",
        ),
        (r#"{"type":"int32"}"#, "null", "Invalid null value for required INT32 field"),
        (r#"{"type":"bytes"}"#, "\"*\"", "Invalid bytes field"),
        (decimal, "\"*\"", "Invalid bytes for Decimal field"),
        (
            decimal,
            "true",
            "Invalid type for Decimal, underlying representation should be numeric or bytes but \
             was BOOLEAN",
        ),
        (
            date,
            "1.5",
            "Invalid type for Date, underlying representation should be integer but was NUMBER",
        ),
        (
            time,
            "86400001",
            "Time values must use number of milliseconds greater than 0 and less than 86400000",
        ),
        (
            timestamp,
            "1.5",
            "Invalid type for Timestamp, underlying representation should be integral but was \
             NUMBER",
        ),
        (map, "[]", "Maps with string fields should be encoded as JSON objects, but found ARRAY"),
        (
            pairs,
            "{}",
            "Maps with non-string fields should be encoded as JSON array of tuples, but found \
             OBJECT",
        ),
        (pairs, "[\"x\"]", "Found invalid map entry instead of array tuple: STRING"),
        (pairs, "[[1]]", "Found invalid map entry, expected length 2 but found :1"),
        (required, "[]", "Structs should be encoded as JSON objects, but found ARRAY"),
        (required, "{}", "Invalid null value for required STRING field"),
        (
            required,
            r#"{"s":5}"#,
            "Invalid value: null used for required field: \"s\", schema type: STRING",
        ),
    ] {
        let text = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        assert_eq!(read(&[], &text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn configured_content_is_the_schema_of_whole_documents() {
    let settings = [("schema.content", r#"{"type":"int8"}"#)];
    let read_back = read(&settings, "5").unwrap();
    assert_eq!(
        read_back,
        SchemaAndValue { schema: Some(plain(Type::Int8)), value: Value::Int8(5) }
    );
    let off = [("schema.content", r#"{"type":"int8"}"#), ("schemas.enable", "false")];
    assert_eq!(read(&off, "5").unwrap().value, Value::Int64(5));
}
