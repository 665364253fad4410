//! Keys and headers in objects of their own: `store.kafka.keys`, `store.kafka.headers`. A record of
//! such an object is made from the key or the headers of the record whose value stands beside.

use std::sync::{Arc, LazyLock};

use crate::data::{
    Header, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value, values,
};
use crate::error::DataError;

/// A list of key and text, as the original's.
static HEADERS: LazyLock<Arc<Schema>> =
    LazyLock::new(|| SchemaBuilder::array(HEADER.clone()).build());
static HEADER: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    SchemaBuilder::structure()
        .field("key", SchemaBuilder::new(Type::String).build())
        .field("value", SchemaBuilder::new(Type::String).build())
        .build()
});
static RECORD_HEADERS: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    SchemaBuilder::structure().name("RecordHeaders").field("headers", HEADERS.clone()).build()
});

/// The schema of an object of keys, from that of the first key; a format of rows needs a struct
/// around it.
pub(super) fn key_schema(key: &SchemaAndValue, is_row: bool) -> Option<Arc<Schema>> {
    match (&key.schema, is_row) {
        (Some(schema), true) => {
            Some(SchemaBuilder::structure().name("RecordKey").field("key", schema.clone()).build())
        }
        (schema, _) => schema.clone(),
    }
}

/// The schema of an object of headers.
pub(super) fn headers_schema(is_row: bool) -> Arc<Schema> {
    if is_row { RECORD_HEADERS.clone() } else { HEADERS.clone() }
}

/// The key of `record` as the value of a record; `row` is the struct around it, where there is one.
///
/// # Errors
/// When the key is null, or not of the type of the object's first key.
pub(super) fn key(record: &Record, row: Option<&Arc<Schema>>) -> Result<Record, DataError> {
    if record.key.value.is_null() {
        return Err(DataError::new(
            "Key cannot be null for SinkRecord: store.kafka.keys needs keys; set it to false, or \
             give the records keys",
        ));
    }
    let Some(row) = row else { return Ok(standing_for(record, record.key.clone())) };
    let wanted = row.fields().first().map(|field| &field.schema);
    if wanted != record.key.schema.as_ref() {
        return Err(DataError::new("the key's schema is not that of the first key of the file"));
    }
    let value = Struct::new(row.clone(), vec![record.key.value.clone()]);
    Ok(standing_for(record, of(row, Value::Struct(Box::new(value)))))
}

/// The headers of `record` as the value of a record.
///
/// # Errors
/// When there are none, or one has no value.
pub(super) fn headers(record: &Record, is_row: bool) -> Result<Record, DataError> {
    if record.headers.is_empty() {
        return Err(DataError::new(
            "Headers cannot be null for SinkRecord: store.kafka.headers needs headers; set it to \
             false, or give the records headers",
        ));
    }
    let list = record.headers.iter().map(header).collect::<Result<_, _>>()?;
    let list = Value::Array(list);
    Ok(standing_for(
        record,
        match is_row {
            false => of(&HEADERS, list),
            true => {
                let row = Struct::new(RECORD_HEADERS.clone(), vec![list]);
                of(&RECORD_HEADERS, Value::Struct(Box::new(row)))
            }
        },
    ))
}

fn header(header: &Header) -> Result<Value, DataError> {
    let text = values::format(&header.value).ok_or_else(|| {
        DataError::new(format!(
            "header \"{}\" has no value; an object of headers needs one",
            header.key
        ))
    })?;
    let pair = vec![Value::string(&header.key), Value::string(text)];
    Ok(Value::Struct(Box::new(Struct::new(HEADER.clone(), pair))))
}

fn of(schema: &Arc<Schema>, value: Value) -> SchemaAndValue {
    SchemaAndValue { schema: Some(schema.clone()), value }
}

fn standing_for(record: &Record, value: SchemaAndValue) -> Record {
    Record {
        topic: record.topic.clone(),
        partition: record.partition,
        key: SchemaAndValue::NULL,
        value,
        timestamp_ms: record.timestamp_ms,
        offset: record.offset,
        headers: Vec::new(),
    }
}
