//! The worked example: the example files' source connector on the table `commerce.products`, event by event, as bytes. A file of
//! `tests/golden/example` has the message with its schema, then without. The files are read, never written.

use std::fs;
use std::sync::Arc;

use ferroconnect::config::Props;
use ferroconnect::converter::{Converter, Presence, Role};
use ferroconnect::data::{
    Decimal, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value,
};
use ferroconnect::plugin::{Constructor, PluginKind, Plugins};
use ferroconnect::transform::{Keep, Transformation};

use super::planned;

const UNWRAP: [(&str, &str); 2] =
    [("drop.tombstones", "true"), ("delete.handling.mode", "rewrite")];

fn props(settings: &[(&str, &str)]) -> Props {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn unwrap(settings: &[(&str, &str)]) -> Box<dyn Transformation> {
    let plugins = Plugins::builtin();
    let class = "io.debezium.transforms.ExtractNewRecordState";
    let plugin = plugins.find(&[PluginKind::Transformation], class).unwrap();
    let Constructor::Transformation(construct) = plugin.constructor else { panic!("a transform") };
    construct(&props(settings)).unwrap()
}

fn json(settings: &[(&str, &str)]) -> Box<dyn Converter> {
    let plugins = Plugins::builtin();
    let class = "org.apache.kafka.connect.json.JsonConverter";
    let plugin = plugins.find(&[PluginKind::Converter], class).unwrap();
    let Constructor::Converter(construct) = plugin.constructor else { panic!("a converter") };
    construct(&props(settings), &Role::Value.into()).unwrap()
}

fn expected(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/golden/example/{name}", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
}

fn text(converter: &mut dyn Converter, data: &SchemaAndValue) -> String {
    let mut out = Vec::new();
    assert_eq!(converter.from_connect_data("t", data, &mut out), Ok(Presence::Present));
    String::from_utf8(out).unwrap()
}

fn key_schema() -> Arc<Schema> {
    SchemaBuilder::structure()
        .name("cdc.commerce.products.Key")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .build()
}

fn row_schema() -> Arc<Schema> {
    let price = SchemaBuilder::decimal(2).parameter("connect.decimal.precision", "10").optional();
    let updated_at = SchemaBuilder::new(Type::String)
        .name("io.debezium.time.ZonedTimestamp")
        .version(1)
        .optional();
    SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .optional()
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .field("name", SchemaBuilder::new(Type::String).optional().build())
        .field("price", price.build())
        .field("updated_at", updated_at.build())
        .build()
}

fn price(unscaled: i64) -> Value {
    Value::Decimal(Decimal { unscaled: unscaled.into(), scale: 2 })
}

fn row(id: i32, name: &str, cents: i64, updated_at: &str) -> Value {
    let values =
        vec![Value::Int32(id), Value::string(name), price(cents), Value::string(updated_at)];
    Value::Struct(Box::new(Struct::new(row_schema(), values)))
}

/// What the default identity leaves of a deleted row.
fn only_the_key(id: i32) -> Value {
    let values = vec![Value::Int32(id), Value::Null, Value::Null, Value::Null];
    Value::Struct(Box::new(Struct::new(row_schema(), values)))
}

fn event(op: &str, before: Value, after: Value) -> Record {
    let plain = |ty| SchemaBuilder::new(ty).build();
    let source = SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.Source")
        .field("ts_ms", plain(Type::Int64))
        .build();
    let schema = SchemaBuilder::structure()
        .name("cdc.commerce.products.Envelope")
        .version(2)
        .field("before", row_schema())
        .field("after", row_schema())
        .field("source", source.clone())
        .field("op", plain(Type::String))
        .build();
    let source = Struct::new(source, vec![Value::Int64(1_714_640_000_000)]);
    let values = vec![before, after, Value::Struct(Box::new(source)), Value::string(op)];
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
    let key = Value::Struct(Box::new(Struct::new(key_schema(), vec![Value::Int32(1)])));
    Record {
        topic: "cdc.commerce.products".into(),
        partition: None,
        key: SchemaAndValue { schema: Some(key_schema()), value: key },
        value: SchemaAndValue { schema: Some(schema), value },
        timestamp_ms: None,
        offset: None,
        headers: Vec::new(),
    }
}

/// Unwraps on both paths.
fn unwrapped(smt: &mut dyn Transformation, event: &Record) -> Record {
    let mut record = event.clone();
    assert_eq!(smt.apply(&mut record).unwrap(), Keep::Record);
    let mut converters = [json(&[]), json(&[("schemas.enable", "false")])];
    assert!(planned::agrees(smt, event, Some((Keep::Record, &record)), &mut converters));
    record
}

fn read() -> Record {
    event("r", Value::Null, row(1, "Widget", 1999, "2024-05-01T10:00:00.000000Z"))
}

#[test]
fn the_example_files_give_the_worked_bytes() {
    let mut smt = unwrap(&UNWRAP);
    let (mut with, mut without) = (json(&[]), json(&[("schemas.enable", "false")]));
    let old = || row(1, "Widget", 1999, "2024-05-01T10:00:00.000000Z");
    for (name, event) in [
        ("snapshot-read", read()),
        ("insert", event("c", Value::Null, row(2, "Gadget", 2450, "2024-05-01T10:30:00.123456Z"))),
        ("update", event("u", old(), row(1, "Widget", 1849, "2024-05-02T08:15:30.500000Z"))),
        ("delete-default-identity", event("d", only_the_key(1), Value::Null)),
        (
            "delete-full-identity",
            event("d", row(3, "Gizmo", 2450, "2024-05-01T10:30:00.123456Z"), Value::Null),
        ),
    ] {
        let record = unwrapped(smt.as_mut(), &event);
        let both = format!(
            "{}\n{}\n",
            text(with.as_mut(), &record.value),
            text(without.as_mut(), &record.value)
        );
        assert_eq!(both, expected(&format!("{name}.json")), "{name}");
        let key = format!(
            "{}\n{}\n",
            text(with.as_mut(), &record.key),
            text(without.as_mut(), &record.key)
        );
        assert_eq!(key, expected("key.json"), "{name}");
    }
    let mut tombstone = Record { value: SchemaAndValue::NULL, ..read() };
    assert_eq!(smt.apply(&mut tombstone).unwrap(), Keep::Drop);
    assert_eq!(smt.apply(&mut event("t", Value::Null, Value::Null)).unwrap(), Keep::Drop);
}

#[test]
fn added_metadata_stands_where_its_generation_puts_it() {
    let added = ("add.fields", "op,source.ts_ms");
    let newer = [("delete.tombstone.handling.mode", "rewrite"), added];
    for (file, settings) in [
        ("delete-with-metadata-2.3.json", &[UNWRAP[0], UNWRAP[1], added][..]),
        ("delete-with-metadata-2.5.json", &newer[..]),
    ] {
        let mut smt = unwrap(settings);
        let record = unwrapped(smt.as_mut(), &event("d", only_the_key(1), Value::Null));
        let mut without = json(&[("schemas.enable", "false")]);
        assert_eq!(format!("{}\n", text(without.as_mut(), &record.value)), expected(file));
    }
}

#[test]
fn decimals_have_their_two_forms() {
    let mut smt = unwrap(&UNWRAP);
    let record = unwrapped(smt.as_mut(), &read());
    let mut numeric = json(&[("schemas.enable", "false"), ("decimal.format", "NUMERIC")]);
    assert_eq!(
        format!("{}\n", text(numeric.as_mut(), &record.value)),
        expected("numeric-decimals.json")
    );
    let mut without = json(&[("schemas.enable", "false")]);
    let schema = SchemaBuilder::decimal(2).build();
    for line in expected("base64-decimals.json").lines() {
        let (decimal, base64) = line.split_once(' ').unwrap();
        let value = price(decimal.replace('.', "").parse().unwrap());
        let data = SchemaAndValue { schema: Some(schema.clone()), value };
        assert_eq!(text(without.as_mut(), &data), format!("\"{base64}\""), "{decimal}");
    }
}

/// What files without the older options mean since 3.2: no `__deleted`, and a null that is no tombstone.
#[test]
fn a_delete_in_the_mode_tombstone_is_a_null_with_its_schema() {
    let mut smt = unwrap(&[("delete.tombstone.handling.mode", "tombstone")]);
    let record = unwrapped(smt.as_mut(), &event("d", only_the_key(1), Value::Null));
    let (mut with, mut without) = (json(&[]), json(&[("schemas.enable", "false")]));
    let both = format!(
        "{}\n{}\n",
        text(with.as_mut(), &record.value),
        text(without.as_mut(), &record.value)
    );
    assert_eq!(both, expected("delete-as-tombstone.json"));
}

/// A serial key, a column with a default that holds null, a number of no fixed scale.
#[test]
fn defaults_and_numbers_of_any_scale_have_their_forms() {
    let of = |ty| SchemaBuilder::new(ty).build();
    let number = SchemaBuilder::structure()
        .name("io.debezium.data.VariableScaleDecimal")
        .version(1)
        .doc("Variable scaled decimal")
        .field("scale", of(Type::Int32))
        .field("value", of(Type::Bytes))
        .optional()
        .build();
    let kind = SchemaBuilder::new(Type::String).optional().default_value(Value::string("n/a"));
    let schema = SchemaBuilder::structure()
        .name("cdc.commerce.products.Value")
        .field("id", SchemaBuilder::new(Type::Int32).default_value(Value::Int32(0)).build())
        .field("kind", kind.build())
        .field("weight", number.clone())
        .build();
    let weight = vec![Value::Int32(3), Value::Bytes(vec![0x30, 0x39].into())];
    let weight = Value::Struct(Box::new(Struct::new(number, weight)));
    let row = Struct::new(schema.clone(), vec![Value::Int32(1), Value::Null, weight]);
    let data = SchemaAndValue { schema: Some(schema), value: Value::Struct(Box::new(row)) };
    let both = format!(
        "{}\n{}\n",
        text(json(&[]).as_mut(), &data),
        text(json(&[("schemas.enable", "false")]).as_mut(), &data)
    );
    assert_eq!(both, expected("defaults.json"));
}
