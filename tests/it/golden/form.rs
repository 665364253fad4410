//! The JSON form of schemas, values and records in `tests/golden/peer`, as `tests/peer/golden/README.md` describes it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use ferroconnect::data::{
    Decimal, Header, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value, logical,
    number_text,
};

const DAY_MS: i64 = 86_400_000;
const TYPES: [Type; 12] = [
    Type::Int8,
    Type::Int16,
    Type::Int32,
    Type::Int64,
    Type::Float32,
    Type::Float64,
    Type::Boolean,
    Type::String,
    Type::Bytes,
    Type::Array,
    Type::Map,
    Type::Struct,
];

fn type_of(name: &str) -> Type {
    *TYPES.iter().find(|ty| ty.name() == name).unwrap_or_else(|| panic!("no type {name}"))
}

fn text(node: &Json) -> &str {
    node.as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes: plain text, hexadecimal, or null.
pub(super) fn bytes(node: &Json) -> Option<Vec<u8>> {
    match node {
        Json::Null => None,
        Json::String(text) => Some(text.clone().into_bytes()),
        node => Some(hex(text(&node["hex"]))),
    }
}

pub(super) fn of_bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(|byte| (0x20..0x7F).contains(byte)) => json!(text),
        _ => json!({ "hex": hex_of(bytes) }),
    }
}

pub(super) fn schema(node: &Json) -> Option<Arc<Schema>> {
    let members = match node {
        Json::Null => return None,
        Json::String(name) => {
            let plain = SchemaBuilder::new(type_of(name.trim_end_matches('?')));
            return Some(plain.with_optional(name.ends_with('?')).build());
        }
        node => node.as_object().unwrap(),
    };
    let part = |name: &str| schema(&members[name]).unwrap();
    let mut builder = match type_of(text(&members["type"])) {
        Type::Array => SchemaBuilder::array(part("values")),
        Type::Map => SchemaBuilder::map(part("keys"), part("values")),
        ty => SchemaBuilder::new(ty),
    };
    builder = builder.with_optional(members.get("optional") == Some(&Json::Bool(true)));
    if let Some(name) = members.get("name") {
        builder = builder.name(text(name));
    }
    if let Some(version) = members.get("version") {
        builder = builder.version(i32::try_from(version.as_i64().unwrap()).unwrap());
    }
    if let Some(doc) = members.get("doc") {
        builder = builder.doc(text(doc));
    }
    for pair in members.get("parameters").and_then(Json::as_array).into_iter().flatten() {
        builder = builder.parameter(text(&pair[0]), text(&pair[1]));
    }
    for pair in members.get("fields").and_then(Json::as_array).into_iter().flatten() {
        builder = builder.field(text(&pair[0]), schema(&pair[1]).unwrap());
    }
    if let Some(default) = members.get("default") {
        let without = builder.clone().build();
        builder = builder.default_value(value(Some(&without), default));
    }
    Some(builder.build())
}

pub(super) fn of_schema(schema: Option<&Arc<Schema>>) -> Json {
    let Some(schema) = schema else { return Json::Null };
    let mut node = Map::new();
    node.insert("type".into(), json!(schema.ty().name()));
    if schema.is_optional() {
        node.insert("optional".into(), json!(true));
    }
    if let Some(name) = schema.name() {
        node.insert("name".into(), json!(name));
    }
    if let Some(version) = schema.version() {
        node.insert("version".into(), json!(version));
    }
    if let Some(doc) = schema.doc() {
        node.insert("doc".into(), json!(doc));
    }
    if !schema.parameters().is_empty() {
        node.insert("parameters".into(), json!(schema.parameters()));
    }
    if let Some(default) = schema.default_value() {
        node.insert("default".into(), of_value(Some(schema), default));
    }
    match schema.ty() {
        Type::Struct => {
            let pair = |field: &ferroconnect::data::Field| {
                json!([field.name, of_schema(Some(&field.schema))])
            };
            node.insert("fields".into(), schema.fields().iter().map(pair).collect());
        }
        Type::Map => {
            node.insert("keys".into(), of_schema(schema.key_schema()));
            node.insert("values".into(), of_schema(schema.value_schema()));
        }
        Type::Array => {
            node.insert("values".into(), of_schema(schema.value_schema()));
        }
        ty if node.len() == 1 => return json!(ty.name()),
        ty if node.len() == 2 && schema.is_optional() => return json!(format!("{}?", ty.name())),
        _ => {}
    }
    Json::Object(node)
}

pub(super) fn value(schema: Option<&Arc<Schema>>, node: &Json) -> Value {
    let members = match node {
        Json::Null => return Value::Null,
        Json::String(text) => return Value::string(text),
        Json::Bool(truth) => return Value::Boolean(*truth),
        node => node.as_object().unwrap(),
    };
    let (tag, held) = members.iter().next().unwrap();
    let integer = || held.as_i64().unwrap();
    let parts = || held.as_array().unwrap().iter();
    match tag.as_str() {
        "i8" => Value::Int8(integer().try_into().unwrap()),
        "i16" => Value::Int16(integer().try_into().unwrap()),
        "i32" => Value::Int32(integer().try_into().unwrap()),
        "i64" => Value::Int64(integer()),
        "f32" => Value::Float32(number(text(held)).parse().unwrap()),
        "f64" => Value::Float64(number(text(held)).parse().unwrap()),
        "bytes" | "buffer" => Value::Bytes(Bytes::from(hex(text(held)))),
        "decimal" => Value::Decimal(Decimal {
            unscaled: text(&held[0]).parse().unwrap(),
            scale: i32::try_from(held[1].as_i64().unwrap()).unwrap(),
        }),
        "date" => date(schema, integer()),
        "array" => {
            let of = schema.and_then(|schema| schema.value_schema());
            Value::Array(parts().map(|item| value(of, item)).collect())
        }
        "map" => {
            let keys = schema.and_then(|schema| schema.key_schema());
            let values = schema.and_then(|schema| schema.value_schema());
            Value::Map(
                parts().map(|pair| (value(keys, &pair[0]), value(values, &pair[1]))).collect(),
            )
        }
        "struct" => {
            let own = members.get("schema").map(|own| self::schema(own).unwrap());
            let own = own.or_else(|| schema.cloned()).unwrap();
            let fields = own.fields().iter().zip(parts());
            let values = fields.map(|(field, member)| value(Some(&field.schema), member)).collect();
            Value::Struct(Box::new(Struct::new(own.clone(), values)))
        }
        other => panic!("no value form {other}"),
    }
}

/// Java's words for what is no number, in Rust's.
fn number(text: &str) -> &str {
    match text {
        "Infinity" => "inf",
        "-Infinity" => "-inf",
        text => text,
    }
}

/// `java.util.Date` is one class; which of our three is meant, the schema says.
fn date(schema: Option<&Arc<Schema>>, millis: i64) -> Value {
    match schema.and_then(|schema| schema.name()) {
        Some(logical::DATE) => {
            assert_eq!(millis % DAY_MS, 0, "a date is whole days");
            Value::Date(i32::try_from(millis / DAY_MS).unwrap())
        }
        Some(logical::TIME) => Value::Time(i32::try_from(millis).unwrap()),
        _ => Value::Timestamp(millis),
    }
}

pub(super) fn of_value(schema: Option<&Arc<Schema>>, value: &Value) -> Json {
    let float = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        write(&mut text);
        String::from_utf8(text).unwrap()
    };
    match value {
        Value::Null => Json::Null,
        Value::String(text) => json!(**text),
        Value::Boolean(truth) => json!(truth),
        Value::Int8(number) => json!({ "i8": number }),
        Value::Int16(number) => json!({ "i16": number }),
        Value::Int32(number) => json!({ "i32": number }),
        Value::Int64(number) => json!({ "i64": number }),
        Value::Float32(number) => {
            json!({ "f32": float(&|text| number_text::push_f32(text, *number)) })
        }
        Value::Float64(number) => {
            json!({ "f64": float(&|text| number_text::push_f64(text, *number)) })
        }
        Value::Bytes(bytes) => json!({ "bytes": hex_of(bytes) }),
        Value::Decimal(decimal) => {
            json!({ "decimal": [decimal.unscaled.to_string(), decimal.scale] })
        }
        Value::Date(days) => json!({ "date": i64::from(*days) * DAY_MS }),
        Value::Time(millis) => json!({ "date": millis }),
        Value::Timestamp(millis) => json!({ "date": millis }),
        Value::Array(items) => {
            let of = schema.and_then(|schema| schema.value_schema());
            json!({ "array": items.iter().map(|item| of_value(of, item)).collect::<Vec<_>>() })
        }
        Value::Map(entries) => {
            let keys = schema.and_then(|schema| schema.key_schema());
            let values = schema.and_then(|schema| schema.value_schema());
            let pair =
                |(key, held): &(Value, Value)| json!([of_value(keys, key), of_value(values, held)]);
            json!({ "map": entries.iter().map(pair).collect::<Vec<_>>() })
        }
        Value::Struct(held) => {
            let members = held.schema().fields().iter().zip(held.values());
            let members: Vec<_> =
                members.map(|(field, member)| of_value(Some(&field.schema), member)).collect();
            match schema {
                Some(schema) if schema == held.schema() => json!({ "struct": members }),
                _ => json!({ "struct": members, "schema": of_schema(Some(held.schema())) }),
            }
        }
    }
}

pub(super) fn data(node: &Json) -> SchemaAndValue {
    let schema = schema(&node["schema"]);
    let value = value(schema.as_ref(), &node["value"]);
    SchemaAndValue { schema, value }
}

pub(super) fn of_data(data: &SchemaAndValue) -> Json {
    let schema = data.schema.as_ref();
    json!({ "schema": of_schema(schema), "value": of_value(schema, &data.value) })
}

pub(super) fn headers(node: &Json) -> Vec<Header> {
    let headers = node.as_array().into_iter().flatten().map(|header| {
        let schema = schema(&header[1]);
        let value = value(schema.as_ref(), &header[2]);
        Header { key: text(&header[0]).to_owned(), schema, value }
    });
    headers.collect()
}

pub(super) fn record(node: &Json) -> Record {
    let part = |schema_name: &str, value_name: &str| {
        let schema = schema(&node[schema_name]);
        let value = value(schema.as_ref(), &node[value_name]);
        SchemaAndValue { schema, value }
    };
    let offset = node["offset"].as_i64();
    let partition = node["partition"].as_i64().map(|number| i32::try_from(number).unwrap());
    Record {
        topic: text(&node["topic"]).into(),
        // What comes from Kafka comes from a partition.
        partition: partition.or(offset.map(|_| 0)),
        key: part("keySchema", "key"),
        value: part("valueSchema", "value"),
        timestamp_ms: node["timestamp"].as_i64(),
        offset,
        headers: headers(&node["headers"]),
    }
}

pub(super) fn of_record(record: &Record) -> Json {
    let mut node = Map::new();
    node.insert("topic".into(), json!(*record.topic));
    if let Some(partition) = record.partition {
        node.insert("partition".into(), json!(partition));
    }
    if let Some(timestamp) = record.timestamp_ms {
        node.insert("timestamp".into(), json!(timestamp));
    }
    if let Some(offset) = record.offset {
        node.insert("offset".into(), json!(offset));
    }
    for (name, part) in [("key", &record.key), ("value", &record.value)] {
        let schema = part.schema.as_ref();
        if schema.is_some() {
            node.insert(format!("{name}Schema"), of_schema(schema));
        }
        if !part.value.is_null() {
            node.insert(name.into(), of_value(schema, &part.value));
        }
    }
    if !record.headers.is_empty() {
        let header = |header: &Header| {
            let schema = header.schema.as_ref();
            json!([header.key, of_schema(schema), of_value(schema, &header.value)])
        };
        node.insert("headers".into(), record.headers.iter().map(header).collect());
    }
    Json::Object(node)
}

/// Without what has no meaning: the order of a map's entries, which the original's maps do not keep, and of members; and how
/// many digits a Java before 19 writes of a floating point number.
pub(super) fn normal(node: &Json) -> Json {
    match node {
        Json::Object(members) => {
            let mut sorted: Vec<_> =
                members.iter().map(|(name, member)| (name.clone(), normal(member))).collect();
            sorted.sort_by(|one, other| one.0.cmp(&other.0));
            match sorted.as_mut_slice() {
                [(tag, Json::Array(entries))] if tag == "map" => {
                    entries.sort_by_key(Json::to_string);
                }
                [(tag, Json::String(text))] if tag == "f32" => {
                    *text = number(text).parse::<f32>().unwrap().to_string();
                }
                [(tag, Json::String(text))] if tag == "f64" => {
                    *text = number(text).parse::<f64>().unwrap().to_string();
                }
                _ => {}
            }
            Json::Object(sorted.into_iter().collect())
        }
        Json::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}
