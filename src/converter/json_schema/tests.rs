//! Schemas and values as the original has them.

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::converter::Presence;
use crate::data::{Cell, Decimal, Node, SchemaBuilder, Struct, Type, logical};

const DEFAULTS: JsonSchemaOptions = JsonSchemaOptions {
    generalized_sum_type_support: false,
    ignore_default_for_nullables: false,
    additional_properties: true,
    optional_for_nonrequired: false,
    flatten_singleton_unions: true,
    numeric: false,
};

fn of(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).build()
}

fn optional(ty: Type) -> Arc<Schema> {
    SchemaBuilder::new(ty).optional().build()
}

fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn resolved(text: &str) -> Resolved {
    let schema =
        SchemaText { ty: "JSON".to_owned(), text: text.to_owned(), references: Vec::new() };
    Resolved { schema, references: Vec::new() }
}

fn text_of(schema: &Arc<Schema>, options: JsonSchemaOptions) -> String {
    JsonSchemaFormat { options }.describe(Some(schema)).unwrap().schema.text
}

fn json_of(
    schema: &Arc<Schema>,
    value: &Value,
    options: JsonSchemaOptions,
) -> Result<String, String> {
    let mut out = Vec::new();
    let format = JsonSchemaFormat { options };
    format.write(&(), Some(schema), value, &mut out).map_err(|error| error.0)?;
    Ok(String::from_utf8(out).unwrap())
}

fn read(text: &str, body: &str, options: JsonSchemaOptions) -> Result<SchemaAndValue, String> {
    let format = JsonSchemaFormat { options };
    let reader = format.reader(&resolved(text), None).map_err(|error| error.0)?;
    format.read(&reader, body.as_bytes()).map_err(|error| error.0)
}

#[track_caller]
fn check(schema: &Arc<Schema>, value: &Value, text: &Expect, json: &Expect) {
    let schema_text = text_of(schema, DEFAULTS);
    text.assert_eq(&schema_text);
    let body = json_of(schema, value, DEFAULTS).unwrap();
    json.assert_eq(&body);
    let back = read(&schema_text, &body, DEFAULTS).unwrap();
    assert_eq!(back.schema.as_ref(), Some(schema));
    assert_eq!(&back.value, value);
}

#[test]
fn a_row_has_the_originals_schema_and_comes_back() {
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "10").optional();
    let schema = SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .field("id", of(Type::Int32))
        .field("name", optional(Type::String))
        .field("price", price.build())
        .field("at", SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1).build())
        .field("tags", SchemaBuilder::array(optional(Type::String)).build())
        .build();
    let value = structure(
        &schema,
        vec![
            Value::Int32(1),
            Value::Null,
            Value::Decimal(Decimal { unscaled: 1999.into(), scale: 2 }),
            Value::Timestamp(5),
            Value::Array(vec![Value::string("a"), Value::Null]),
        ],
    );
    check(
        &schema,
        &value,
        &expect![[
            r#"{"title":"cdc.commerce.products.Value","type":"object","properties":{"id":{"type":"integer","connect.index":0,"connect.type":"int32"},"name":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":1},"price":{"oneOf":[{"type":"null"},{"title":"org.apache.kafka.connect.data.Decimal","type":"string","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"10"}}],"connect.index":2},"at":{"title":"org.apache.kafka.connect.data.Timestamp","type":"integer","connect.version":1,"connect.index":3,"connect.type":"int64"},"tags":{"type":"array","items":{"oneOf":[{"type":"null"},{"type":"string"}]},"connect.index":4}}}"#
        ]],
        &expect![[r#"{"id":1,"name":null,"price":"B88=","at":5,"tags":["a",null]}"#]],
    );
}

#[test]
fn maps_and_defaults_have_their_forms() {
    let schema = SchemaBuilder::structure()
        .field("attrs", SchemaBuilder::map(of(Type::String), of(Type::Int32)).build())
        .field("pairs", SchemaBuilder::map(of(Type::Int8), optional(Type::String)).build())
        .field(
            "stock",
            SchemaBuilder::new(Type::Int16).doc("left").default_value(Value::Int16(7)).build(),
        )
        .build();
    let value = structure(
        &schema,
        vec![
            Value::Map(vec![(Value::string("k"), Value::Int32(1))]),
            Value::Map(vec![(Value::Int8(5), Value::Null)]),
            Value::Int16(3),
        ],
    );
    check(
        &schema,
        &value,
        &expect![[
            r#"{"type":"object","properties":{"attrs":{"type":"object","additionalProperties":{"type":"integer","connect.type":"int32"},"connect.index":0,"connect.type":"map"},"pairs":{"type":"array","items":{"type":"object","properties":{"key":{"type":"integer","connect.index":0,"connect.type":"int8"},"value":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":1}}},"connect.index":1,"connect.type":"map"},"stock":{"description":"left","default":7,"type":"integer","connect.index":2,"connect.type":"int16"}}}"#
        ]],
        &expect![[r#"{"attrs":{"k":1},"pairs":[{"key":5,"value":null}],"stock":3}"#]],
    );
}

#[test]
fn others_schemas_are_read() {
    let text = r##"{"$schema":"http://json-schema.org/draft-07/schema#","title":"Order","type":"object",
        "properties":{
            "id":{"type":"integer"},
            "total":{"type":"number"},
            "note":{"type":["string","null"]},
            "colour":{"enum":["red","blue"]},
            "either":{"oneOf":[{"type":"integer"},{"type":"object","properties":{"x":{"type":"string"}}}]},
            "address":{"$ref":"#/definitions/address"}},
        "required":["id"],
        "definitions":{"address":{"type":"object","properties":{"street":{"type":"string"}}}}}"##;
    let body = r#"{"colour":"red","id":1,"either":{"x":"y"},"address":{"street":"s"},"more":1}"#;
    let lenient = JsonSchemaOptions { optional_for_nonrequired: true, ..DEFAULTS };
    let found = read(text, body, lenient).unwrap();
    let schema = found.schema.unwrap();
    assert_eq!(schema.name(), Some("Order"));
    let field = |name: &str| schema.field(name).unwrap().1.schema.clone();
    assert_eq!(field("id"), of(Type::Int64));
    assert_eq!(field("note"), optional(Type::String));
    assert_eq!(field("colour").parameter("io.confluent.connect.json.Enum.red"), Some("red"));
    let Value::Struct(row) = &found.value else { panic!("no struct") };
    assert_eq!(row.get("total"), Some(&Value::Null));
    let Some(Value::Struct(either)) = row.get("either") else { panic!("no union") };
    assert!(either.values()[0].is_null());
    // As written again: the union is its member.
    let json = json_of(&schema, &found.value, lenient).unwrap();
    assert!(json.contains(r#""either":{"x":"y"}"#), "{json}");
    let error = read(text, body, DEFAULTS).unwrap_err();
    assert!(
        error.contains("null used for required field: \"total\"") || error.contains("FLOAT64"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_is_named() {
    for (text, body, expected) in [
        ("{}", "1", "A schema that says nothing of the type is not supported"),
        ("{", "1", "Cannot parse the JSON Schema: EOF while parsing an object at line 1 column 1"),
        (
            r##"{"$ref":"#/nowhere"}"##,
            "1",
            "The JSON Schema refers to #/nowhere, which is not there",
        ),
        (
            r##"{"type":"object","properties":{"n":{"$ref":"#"}}}"##,
            "{}",
            "The JSON Schema contains itself, or is nested too deeply; values of endless depth are not \
             supported",
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"object","properties":{"n":{"type":"integer"}}}}}"#,
            r#"{"a":{"n":null}}"#,
            "Invalid null value for required INT64 field (field \"a.n\")",
        ),
    ] {
        let error = read(text, body, DEFAULTS).unwrap_err();
        assert!(error.starts_with(expected) || error == expected, "{error}");
    }
    let format = JsonSchemaFormat { options: DEFAULTS };
    assert!(format.describe(None).unwrap_err().0.contains("schemas.enable=false"));
    assert!(format.is_null(None, &Value::Null).unwrap());
    let schema = optional(Type::String);
    assert!(!format.is_null(Some(&schema), &Value::Null).unwrap(), "a null is no tombstone here");
    assert_eq!(json_of(&schema, &Value::Null, DEFAULTS).unwrap(), "null");
}

#[test]
fn both_paths_agree() {
    let schema = SchemaBuilder::structure()
        .name("t.Row")
        .field("id", of(Type::Int32))
        .field("name", optional(Type::String))
        .field("raw", of(Type::Bytes))
        .build();
    let text = text_of(&schema, DEFAULTS);
    let format = JsonSchemaFormat { options: DEFAULTS };
    let reader = format.reader(&resolved(&text), None).unwrap();
    let body = br#"{"id":1,"name":"a","raw":"AQI="}"#;
    let wire = [&b"\0\0\0\0\x01"[..], body].concat();
    let plan = Arc::new(format.plan(&reader, "t").unwrap());
    let mut batch = RecordBatch { wire: Bytes::from(wire.clone()), ..RecordBatch::default() };
    let index = batch.plan_index(&plan);
    batch.start_row(index);
    assert!(format.read_cells(&reader, 5, wire.len(), &mut batch).unwrap());
    let tree = format.read(&reader, body).unwrap();
    assert_eq!(plan.materialize(&batch.view(index, 0)).unwrap().value, tree);
    let encoder = format.encoder(&(), plan.value.as_ref().unwrap(), &wire[..5]).unwrap();
    let mut out = Vec::new();
    let presence = encoder.write(&batch.view(index, 0), &mut out).unwrap();
    assert_eq!((presence, out), (Presence::Present, wire));
    batch.cells[1] = Cell::Null;
    let mut out = Vec::new();
    encoder.write(&batch.view(index, 0), &mut out).unwrap();
    assert!(out.ends_with(br#"{"id":1,"name":null,"raw":"AQI="}"#));
    let planned = PlannedValue { schema: None, node: Node::cell(0) };
    assert!(format.encoder(&(), &planned, b"").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:a-z0-9 ]{0,40}") {
        let schema = r#"{"type":"object","properties":{"id":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},"m":{"type":"array","items":{"type":"object","properties":{"key":{"type":"integer"},"value":{"type":"string"}}},"connect.type":"map"}}}"#;
        let format = JsonSchemaFormat { options: DEFAULTS };
        let reader = format.reader(&resolved(schema), None).unwrap();
        let _ = format.read(&reader, &body);
        let _ = format.read(&reader, text.as_bytes());
        let _ = format.reader(&resolved(&text), None);
        let mut batch = RecordBatch { wire: Bytes::from(body.clone()), ..RecordBatch::default() };
        let _ = format.read_cells(&reader, 0, body.len(), &mut batch);
    }
}
