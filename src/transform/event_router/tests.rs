//! Table tests of the event router.

use super::*;
use crate::data::values;
use crate::transform::testing::{apply, change, record, row, smt};

fn outbox(payload: Value) -> Record {
    let plain = |ty| SchemaBuilder::new(ty).build();
    let text = || SchemaBuilder::new(Type::String).optional().build();
    let micros = SchemaBuilder::new(Type::Int64).name("io.debezium.time.MicroTimestamp").build();
    let schema = SchemaBuilder::structure()
        .optional()
        .name("s.db.outbox.Value")
        .field("id", plain(Type::String))
        .field("aggregatetype", plain(Type::String))
        .field("aggregateid", plain(Type::Int32))
        .field("payload", text())
        .field("at", micros)
        .field("tenant", plain(Type::String))
        .field("part", plain(Type::Int32))
        .build();
    let values = vec![
        Value::string("e1"),
        Value::string("Order"),
        Value::Int32(7),
        payload,
        Value::Int64(5_001_234),
        Value::string("acme"),
        Value::Int32(3),
    ];
    change("c", Value::Null, Value::Struct(Box::new(Struct::new(schema, values))))
}

fn run(settings: &[(&str, &str)], mut record: Record) -> Result<(Keep, Record), String> {
    let mut smt = smt(construct, settings)?;
    let kept = apply(smt.as_mut(), &mut record)?;
    Ok((kept, record))
}

fn routed(settings: &[(&str, &str)], payload: Value) -> Record {
    run(settings, outbox(payload)).unwrap().1
}

fn text(value: &Value) -> String {
    values::format(value).unwrap_or_else(|| "none".to_owned())
}

#[test]
fn a_row_becomes_its_message() {
    let output = routed(&[], Value::string("{}"));
    assert_eq!(&*output.topic, "outbox.event.Order");
    assert_eq!(output.key.value, Value::Int32(7));
    assert_eq!(output.key.schema.unwrap().ty(), Type::Int32);
    assert_eq!(output.value.value, Value::string("{}"));
    assert!(output.value.schema.unwrap().is_optional());
    assert_eq!((output.timestamp_ms, output.partition), (Some(2000), None));
    let [header] = output.headers.as_slice() else { panic!("one header") };
    assert_eq!((header.key.as_str(), &header.value), ("id", &Value::string("e1")));
}

#[test]
fn what_is_no_insert() {
    let drop = |record: Record| run(&[], record).unwrap().0;
    assert_eq!(drop(Record { value: SchemaAndValue::NULL, ..record("t") }), Keep::Drop);
    assert_eq!(drop(change("d", row(1, "a"), Value::Null)), Keep::Drop);
    assert_eq!(drop(change("u", row(1, "a"), row(1, "b"))), Keep::Drop);
    let other = record("t");
    assert_eq!(run(&[], other.clone()).unwrap(), (Keep::Record, other));
    let fatal = [("table.op.invalid.behavior", "FATAL")];
    let error = run(&fatal, change("u", row(1, "a"), row(1, "b"))).unwrap_err();
    assert!(error.starts_with("unexpected update message of s.db.t"), "{error}");
    assert_eq!(
        run(&[], change("t", Value::Null, Value::Null)).unwrap_err(),
        "Only Struct objects supported for [Read Outbox Event], found: null"
    );
}

#[test]
fn further_columns_are_placed() {
    let placement =
        ("table.fields.additional.placement", "tenant:header:t, tenant:envelope, part:partition");
    let output = routed(&[placement], Value::string("x"));
    assert_eq!(output.headers[1].key, "t");
    assert_eq!(output.partition, Some(3));
    assert_eq!(text(&output.value.value), r#"{"payload":"x","tenant":"acme"}"#);
    let schema = output.value.schema.unwrap();
    assert_eq!((schema.name(), schema.version()), (Some("s.db.outbox.Order.Value"), None));
    let version = ("table.field.event.schema.version", "part");
    let output = routed(&[placement, version], Value::string("x"));
    assert_eq!(output.value.schema.unwrap().version(), Some(3));
}

#[test]
fn a_timestamp_column_counts_in_milliseconds() {
    let settings = |name| [("table.field.event.timestamp", name)];
    assert_eq!(routed(&settings("at"), Value::Null).timestamp_ms, Some(5001));
    for (name, expected) in [
        ("tenant", "Field 'tenant' is not of type INT64"),
        ("zz", "Unable to find timestamp field zz in event"),
    ] {
        assert_eq!(run(&settings(name), outbox(Value::Null)).unwrap_err(), expected);
    }
}

#[test]
fn empty_payloads_can_be_tombstones() {
    let tombstone = [("route.tombstone.on.empty.payload", "true")];
    for payload in [Value::Null, Value::string(" ")] {
        assert_eq!(routed(&tombstone, payload.clone()).value, SchemaAndValue::NULL);
        let output = routed(&[], payload.clone());
        assert_eq!((output.value.value, output.value.schema.is_some()), (payload, true));
    }
}

#[test]
fn json_can_be_expanded() {
    let expand = [("table.expand.json.payload", "true")];
    let output = routed(&expand, Value::string(r#"{"n":1,"o":{"s":"x"},"gone":null}"#));
    assert_eq!(text(&output.value.value), r#"{"n":1,"o":{"s":"x"}}"#);
    assert_eq!(output.value.schema.unwrap().name(), Some("payload"));
    for left in ["text", "[1]", r#"{"a":[1,"x"]}"#] {
        assert_eq!(routed(&expand, Value::string(left)).value.value, Value::string(left));
    }
}

#[test]
fn what_is_missing_is_named() {
    for (settings, expected) in [
        (("table.field.event.payload", "zz"), "Unable to find payload field zz in event"),
        (("table.field.event.id", "zz"), "zz is not a valid field name"),
        (("table.field.event.key", "zz"), "zz is not a valid field name"),
        (("table.fields.additional.placement", "zz:header"), "zz is not a valid field name"),
        (("table.fields.additional.placement", "zz:envelope"), "Unable to find field zz in event"),
        (("route.by.field", "part"), "Field 'part' is not of type STRING"),
        (
            ("table.fields.additional.placement", "zz"),
            "Invalid value [zz] for configuration table.fields.additional.placement: A \
             comma-separated list of valid String pairs or trios is expected but got: [zz]",
        ),
        (
            ("table.fields.additional.placement", "a:nowhere"),
            "Invalid value [a:nowhere] for configuration table.fields.additional.placement: a can \
             be placed in header, envelope or partition, not in nowhere",
        ),
    ] {
        assert_eq!(run(&[settings], outbox(Value::Null)).unwrap_err(), expected);
    }
    let placement = ("table.fields.additional.placement", "zz:header,zz:envelope");
    for ignore in [
        ("table.field.additional.missing", "ignore"),
        ("table.fields.additional.error.on.missing", "false"),
    ] {
        let output = routed(&[placement, ignore], Value::string("x"));
        assert_eq!(text(&output.value.value), r#"{"payload":"x"}"#);
    }
}
