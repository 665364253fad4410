//! One change event as a CloudEvent: its attributes in the original's order, and its data.

use std::sync::Arc;

use chrono::DateTime;

use super::config::{CloudEventsConfig, Origin, Serializer};
use crate::data::{Field, Header, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// The end of a schema name unless one is configured.
pub(super) const ENVELOPE_SUFFIX: &str = "CloudEvents.Envelope";
const SPEC_VERSION: &str = "1.0";
const PREFIX: &str = "iodebezium";
/// Connectors of which the original has the attribute `id`; ours is one.
const CONNECTOR: &str = "postgresql";
/// The transaction's block, always optional (`event.block`).
const TRANSACTION: [(&str, Type); 3] =
    [("id", Type::String), ("total_order", Type::Int64), ("data_collection_order", Type::Int64)];
/// Shapes that one converter sees at a time; past it the cache starts anew.
const SHAPES_MAX: usize = 1024;

/// Makes events, and their schemas once per shape.
#[derive(Debug)]
pub(super) struct Events {
    config: CloudEventsConfig,
    shapes: Vec<Arc<Shape>>,
}

/// What is the same for all events of a table.
#[derive(Debug)]
struct Shape {
    value: Arc<Schema>,
    source: Arc<Schema>,
    name: String,
    data_name: String,
    /// The schema of the data.
    data: Arc<Schema>,
    /// The schema of the event, and of the data within it.
    event: Arc<Schema>,
    inner: Arc<Schema>,
}

/// An event, still without the attribute `dataschema` and the data in their final form.
#[derive(Debug)]
pub(super) struct Event {
    shape: Arc<Shape>,
    /// Up to `datacontenttype`, and behind `dataschema`.
    head: Vec<Value>,
    tail: Vec<Value>,
    pub(super) data: SchemaAndValue,
}

impl Event {
    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.shape.event
    }

    /// What stands for data that is written apart.
    pub(super) fn empty_data(&self) -> Value {
        Value::Struct(Box::new(Struct::new(self.shape.inner.clone(), Vec::new())))
    }

    /// The whole.
    pub(super) fn finished(self, data: Value, data_schema: Option<String>) -> SchemaAndValue {
        let mut values = self.head;
        values.extend(data_schema.map(Value::string));
        values.extend(self.tail);
        values.push(data);
        let schema = self.shape.event.clone();
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        SchemaAndValue { schema: Some(schema), value }
    }
}

impl Events {
    pub(super) fn new(config: &CloudEventsConfig) -> Self {
        Self { config: config.clone(), shapes: Vec::new() }
    }

    /// The event of a record; `None` when the record is no change event.
    ///
    /// # Errors
    /// When an attribute cannot be had.
    pub(super) fn event(
        &mut self,
        headers: &[Header],
        record: &SchemaAndValue,
    ) -> Result<Option<Event>> {
        let Some(schema) = &record.schema else { return Ok(None) };
        if record.value.is_null() || !self.is_change_event(schema, headers) {
            return Ok(None);
        }
        let Value::Struct(row) = &record.value else {
            return Err(DataError::new("Mismatching schema"));
        };
        let facts = Facts { row, headers, global: self.config.origins.global };
        let source = facts.structure("source")?.ok_or_else(|| missing("source", "STRUCT"))?;
        let connector = text(source, "connector").unwrap_or_default();
        if connector != CONNECTOR {
            return Err(DataError::new(format!(
                "No usable CloudEvents converters for connector type \"{connector}\""
            )));
        }
        let shape = self.shape(schema, source, &facts)?;
        let head = self.head(source, &facts)?;
        let tail = self.tail(source, &facts)?;
        let data = shape.data.fields().iter().map(|field| or_default(row, field)).collect();
        let value = Value::Struct(Box::new(Struct::new(shape.data.clone(), data)));
        let data = SchemaAndValue { schema: Some(shape.data.clone()), value };
        Ok(Some(Event { shape, head, tail, data }))
    }

    fn is_change_event(&self, schema: &Schema, headers: &[Header]) -> bool {
        match self.config.origins.global {
            Origin::Header => ["source", "op"].iter().all(|name| last(headers, name).is_some()),
            _ => schema.name().is_some_and(|name| name.ends_with(".Envelope")),
        }
    }

    /// From `id` to `datacontenttype`.
    fn head(&self, source: &Struct, facts: &Facts<'_>) -> Result<Vec<Value>> {
        let origins = self.config.origins;
        let shown = |name: &str| source.get(name).map_or_else(|| "null".to_owned(), plain_text);
        let id = facts.attribute(origins.id, "id", || {
            let [name, lsn, tx_id] = ["name", "lsn", "txId"].map(shown);
            format!("name:{name};lsn:{lsn};txId:{tx_id};sequence:{}", shown("sequence"))
        })?;
        let ty = facts.attribute(origins.ty, "type", || {
            format!("io.debezium.connector.{CONNECTOR}.DataChangeEvent")
        })?;
        let millis = source.get("ts_ms").and_then(Value::as_i64);
        let time = millis.and_then(DateTime::from_timestamp_millis);
        let time = time.ok_or_else(|| missing("ts_ms", "INT64"))?;
        Ok(vec![
            Value::string(id),
            Value::string(format!("/debezium/{CONNECTOR}/{}", shown("name"))),
            Value::string(SPEC_VERSION),
            Value::string(ty),
            Value::string(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
            Value::string(self.config.data.content_type()),
        ])
    }

    /// From `traceparent` to the last extension.
    fn tail(&self, source: &Struct, facts: &Facts<'_>) -> Result<Vec<Value>> {
        let mut tail = Vec::new();
        if self.config.tracing {
            if self.config.origins.trace_parent != Origin::Header {
                return Err(DataError::new(
                    "Value for `traceparent` CloudEvents field currently can't be obtained from a \
                     record value and can only be obtained from a record header",
                ));
            }
            let parent =
                last(facts.headers, "traceparent").and_then(|header| header.value.as_str());
            tail.push(Value::string(parent.ok_or_else(|| missing("traceparent", "STRING"))?));
        }
        if !self.config.extensions {
            return Ok(tail);
        }
        tail.push(Value::string(facts.text("op")?));
        for field in source.schema().fields() {
            tail.push(extension(or_default(source, field)));
        }
        let transaction = facts.structure("transaction")?;
        for (name, _) in TRANSACTION {
            let value = transaction.and_then(|transaction| transaction.get(name)).cloned();
            tail.push(extension(value.unwrap_or(Value::Null)));
        }
        Ok(tail)
    }

    fn shape(
        &mut self,
        value: &Arc<Schema>,
        source: &Struct,
        facts: &Facts<'_>,
    ) -> Result<Arc<Shape>> {
        let name = match &self.config.event_name {
            Some(name) => name.clone(),
            None => {
                let shown = |name| source.get(name).map_or_else(|| "null".to_owned(), plain_text);
                format!("{}.{}.{ENVELOPE_SUFFIX}", shown("name"), shown("db"))
            }
        };
        let data_name = facts.attribute(self.config.origins.data_name, "dataSchemaName", || {
            format!("io.debezium.connector.{CONNECTOR}.Data")
        })?;
        let known = self.shapes.iter().find(|shape| {
            Arc::ptr_eq(&shape.value, value)
                && Arc::ptr_eq(&shape.source, source.schema())
                && shape.name == name
                && shape.data_name == data_name
        });
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let data = self.data_schema(value, &data_name)?;
        let inner = self.inner_schema(&data);
        let event = self.event_schema(&name, source.schema(), inner.clone())?;
        let (value, source) = (value.clone(), source.schema().clone());
        let shape = Arc::new(Shape { value, source, name, data_name, data, event, inner });
        if self.shapes.len() >= SHAPES_MAX {
            self.shapes.clear();
        }
        self.shapes.push(shape.clone());
        Ok(shape)
    }

    /// The images of the row; the whole record where the rest of an event is in headers.
    fn data_schema(&self, value: &Schema, name: &str) -> Result<Arc<Schema>> {
        let mut builder = SchemaBuilder::structure().name(name);
        if self.config.origins.global == Origin::Header {
            for field in value.fields() {
                builder = builder.field(field.name.as_str(), field.schema.clone());
            }
            return Ok(builder.build());
        }
        for name in ["before", "after"] {
            let field = value.field(name);
            let (_, field) = field
                .ok_or_else(|| DataError::new(format!("the change event has no field {name}")))?;
            builder = builder.field(name, field.schema.clone());
        }
        Ok(builder.build())
    }

    /// The schema that data has within an event.
    fn inner_schema(&self, data: &Arc<Schema>) -> Arc<Schema> {
        match self.config.data {
            Serializer::Avro => SchemaBuilder::new(Type::Bytes).build(),
            Serializer::Json if self.config.data_has_schemas => SchemaBuilder::structure().build(),
            Serializer::Json => data.clone(),
        }
    }

    fn event_schema(&self, name: &str, source: &Schema, data: Arc<Schema>) -> Result<Arc<Schema>> {
        let string = SchemaBuilder::new(Type::String).build();
        let mut builder = SchemaBuilder::structure().name(self.config.adjustment.adjust(name));
        for name in ["id", "source", "specversion", "type", "time", "datacontenttype"] {
            builder = builder.field(name, string.clone());
        }
        if self.config.registry_urls.is_some() {
            builder = builder.field("dataschema", string.clone());
        }
        if self.config.tracing {
            builder = builder.field("traceparent", string.clone());
        }
        if self.config.extensions {
            builder = builder.field(extension_name("op"), string);
            for field in source.fields() {
                let schema = extension_schema(field.schema.ty(), field.schema.is_optional())?;
                builder = builder.field(extension_name(&field.name), schema);
            }
            for (name, ty) in TRANSACTION {
                let name = extension_name(&format!("tx{name}"));
                builder = builder.field(name, extension_schema(ty, true)?);
            }
        }
        Ok(builder.field("data", data).build())
    }
}

/// Where a record has what events tell of it.
struct Facts<'a> {
    row: &'a Struct,
    headers: &'a [Header],
    global: Origin,
}

impl<'a> Facts<'a> {
    fn global(&self, name: &str) -> Option<&'a Value> {
        match self.global {
            Origin::Header => last(self.headers, name).map(|header| &header.value),
            _ => self.row.get(name),
        }
    }

    fn structure(&self, name: &str) -> Result<Option<&'a Struct>> {
        match self.global(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Struct(value)) => Ok(Some(value)),
            Some(_) => Err(DataError::new(format!("Field '{name}' is not of type STRUCT"))),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        let value = self.global(name).and_then(Value::as_str);
        value.ok_or_else(|| missing(name, "STRING"))
    }

    /// An attribute that is generated, or stands in a header.
    fn attribute(
        &self,
        origin: Origin,
        name: &str,
        generate: impl FnOnce() -> String,
    ) -> Result<String> {
        match origin {
            Origin::Generate => Ok(generate()),
            Origin::Header => {
                let header = last(self.headers, name)
                    .ok_or_else(|| DataError::new(format!("Header `{name}` was not provided")))?;
                let text = header.value.as_str().ok_or_else(|| missing(name, "STRING"))?;
                Ok(text.to_owned())
            }
            // The data's name is made from the value; the others do not stand in it.
            Origin::Value if name == "dataSchemaName" => Ok(generate()),
            Origin::Value => Err(missing(name, "STRING")),
        }
    }
}

fn last<'a>(headers: &'a [Header], name: &str) -> Option<&'a Header> {
    headers.iter().rfind(|header| header.key == name)
}

fn text<'a>(source: &'a Struct, name: &str) -> Option<&'a str> {
    source.get(name).and_then(Value::as_str)
}

/// As the original puts values together with text.
fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        other => other.as_i64().map_or_else(|| "null".to_owned(), |number| number.to_string()),
    }
}

/// `Struct.get`.
fn or_default(row: &Struct, field: &Field) -> Value {
    let value = row.get(&field.name).filter(|value| !value.is_null());
    value.or(field.schema.default_value()).cloned().unwrap_or(Value::Null)
}

#[cold]
fn missing(name: &str, ty: &str) -> DataError {
    DataError::new(format!(
        "Invalid value: null used for required field: \"{name}\", schema type: {ty}"
    ))
}

/// A name of letters and digits ("CloudEvents 1.0", Naming Conventions, wants lower case; the original
/// keeps `iodebeziumtxId`).
fn extension_name(name: &str) -> String {
    PREFIX.chars().chain(name.chars().filter(char::is_ascii_alphanumeric)).collect()
}

/// What an attribute may be: CloudEvents have no integers of 64 bits.
fn extension_schema(ty: Type, optional: bool) -> Result<Arc<Schema>> {
    let ty = match ty {
        Type::Boolean => Type::Boolean,
        Type::Int8 | Type::Int16 | Type::Int32 => Type::Int32,
        Type::String | Type::Int64 => Type::String,
        ty => {
            let ty = ty.name();
            return Err(DataError::new(format!(
                "Source field of type {ty} cannot be converted into CloudEvents extension attribute."
            )));
        }
    };
    Ok(SchemaBuilder::new(ty).with_optional(optional).build())
}

fn extension(value: Value) -> Value {
    match value {
        Value::Int64(number) => Value::string(number.to_string()),
        Value::Int8(number) => Value::Int32(number.into()),
        Value::Int16(number) => Value::Int32(number.into()),
        other => other,
    }
}
