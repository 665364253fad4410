//! CloudEvents from outside.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::event::ENVELOPE_SUFFIX;
use crate::converter::{Converter, json};
use crate::data::{Schema, SchemaAndValue, SchemaBuilder, Struct, Value};
use crate::error::DataError;

pub(super) const DATA: &str = "data";
/// What makes a record a CloudEvent ("CloudEvents 1.0", Required Attributes).
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];
/// Schemas that one converter sees at a time; past it the cache starts anew.
const SCHEMAS_MAX: usize = 1024;

type Members = Vec<(Value, Value)>;

/// The data of an event in JSON whose data is in Avro; `None` where there is none.
pub(super) fn data_in_json(message: &[u8]) -> Option<Vec<u8>> {
    let (start, end) = json::member(message, DATA)?;
    let text: String = serde_json::from_slice(message.get(start..end)?).ok()?;
    STANDARD.decode(text).ok()
}

/// The data of an event in Avro; `None` where the event cannot be read.
pub(super) fn data_in_avro(avro: &mut dyn Converter, topic: &str, message: &[u8]) -> Option<Bytes> {
    let event = avro.to_connect_data(topic, Some(message)).ok()?;
    data_of(event.value.as_struct()?).ok()
}

/// The bytes that an event in Avro has as its data.
///
/// # Errors
/// When there are none.
pub(super) fn data_of(event: &Struct) -> Result<Bytes, DataError> {
    match event.get(DATA) {
        Some(Value::Bytes(data)) => Ok(data.clone()),
        Some(_) => Err(DataError::new(format!("Field '{DATA}' is not of type BYTES"))),
        None => Err(DataError::new(format!("{DATA} is not a valid field name"))),
    }
}

/// The members of an event that was JSON.
///
/// # Errors
/// When it is none.
pub(super) fn verified_map(event: SchemaAndValue) -> Result<Members, DataError> {
    let has = |members: &Members, name: &str| {
        members.iter().any(|(key, _)| key.as_str().is_some_and(|key| key == name))
    };
    match event.value {
        Value::Map(members) if REQUIRED.iter().all(|name| has(&members, name)) => Ok(members),
        other => Err(no_event(&other)),
    }
}

/// The struct of an event that was Avro, with the name `name` or one of the usual form.
///
/// # Errors
/// When it is none.
pub(super) fn verified_struct(
    event: SchemaAndValue,
    name: Option<&str>,
) -> Result<Box<Struct>, DataError> {
    let own = event.schema.as_ref().and_then(|schema| schema.name()).unwrap_or_default();
    let is_named = name.map_or_else(|| own.ends_with(ENVELOPE_SUFFIX), |name| own == name);
    match event.value {
        Value::Struct(event)
            if is_named && REQUIRED.iter().all(|name| event.schema().field(name).is_some()) =>
        {
            Ok(event)
        }
        other => Err(no_event(&other)),
    }
}

/// The original shows the value; a row does not belong into an error.
fn no_event(value: &Value) -> DataError {
    let class = value.java_class();
    DataError::new(format!(
        "A deserialized record's value is not a CloudEvent: value={class}, which has to have the \
         members id, source, specversion and type"
    ))
}

pub(super) fn schemaless(members: Members) -> SchemaAndValue {
    SchemaAndValue { schema: None, value: Value::Map(members) }
}

pub(super) fn set_data(members: &mut Members, data: Value) {
    for (key, value) in members {
        if key.as_str() == Some(DATA) {
            *value = data;
            return;
        }
    }
}

/// Schemas of events with the schema of their data in place of bytes, made once.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    event: Arc<Schema>,
    data: Option<Arc<Schema>>,
    made: Arc<Schema>,
}

impl Rebuilt {
    pub(super) fn with_data(&mut self, event: &Struct, data: SchemaAndValue) -> SchemaAndValue {
        let schema = self.schema(event.schema(), data.schema.as_ref());
        let mut data = Some(data.value);
        let fields = event.schema().fields().iter().zip(event.values());
        let values = fields.map(|(field, value)| match field.name.as_str() {
            DATA => data.take().unwrap_or(Value::Null),
            _ => value.clone(),
        });
        let values = values.collect();
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        SchemaAndValue { schema: Some(schema), value }
    }

    fn schema(&mut self, event: &Arc<Schema>, data: Option<&Arc<Schema>>) -> Arc<Schema> {
        let is_same = |known: &&Known| {
            let same_data = match (&known.data, data) {
                (Some(known), Some(data)) => Arc::ptr_eq(known, data),
                (known, data) => known.is_none() && data.is_none(),
            };
            same_data && Arc::ptr_eq(&known.event, event)
        };
        if let Some(known) = self.known.iter().find(is_same) {
            return known.made.clone();
        }
        let mut builder = SchemaBuilder::structure();
        for field in event.fields() {
            let schema = match data {
                Some(data) if field.name == DATA => data.clone(),
                _ => field.schema.clone(),
            };
            builder = builder.field(field.name.as_str(), schema);
        }
        if let Some(name) = event.name() {
            builder = builder.name(name);
        }
        if let Some(version) = event.version() {
            builder = builder.version(version);
        }
        if let Some(doc) = event.doc() {
            builder = builder.doc(doc);
        }
        for (key, value) in event.parameters() {
            builder = builder.parameter(key.as_str(), value.as_str());
        }
        let made = builder.build();
        if self.known.len() >= SCHEMAS_MAX {
            self.known.clear();
        }
        let (event, data) = (event.clone(), data.cloned());
        self.known.push(Known { event, data, made: made.clone() });
        made
    }
}
