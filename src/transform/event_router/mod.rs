//! `io.debezium.transforms.outbox.EventRouter`: rows of an outbox table as the messages they hold.

mod config;

use std::sync::Arc;

pub use self::config::config_def;
use self::config::{OnUpdate, Placement, Settings};
use super::envelope::{change_event, member, not_a_field, text};
use super::rebuild::{Fields, or_default};
use super::{Keep, Planned, Transformation, json_expansion};
use crate::config::Props;
use crate::data::{
    Header, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value,
};
use crate::error::ConnectError;

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(EventRouter { settings: Settings::new(props)?, last: None }))
}

#[derive(Debug)]
struct EventRouter {
    settings: Settings,
    last: Option<Wrapper>,
}

/// The newest schema of payloads with further columns, and what it was made of.
#[derive(Debug)]
struct Wrapper {
    row: Arc<Schema>,
    payload: Arc<Schema>,
    aggregate: String,
    version: Option<i32>,
    schema: Arc<Schema>,
}

impl Transformation for EventRouter {
    fn plan(&self, input: &RowPlan) -> Planned {
        if input.value.is_none() { Planned::Drop } else { Planned::PerRecord }
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if record.value.value.is_null() {
            return Ok(Keep::Drop);
        }
        let Some(event) = change_event(record) else { return Ok(Keep::Record) };
        match text(event, "op") {
            Some("d") => return Ok(Keep::Drop),
            Some("u") => return self.update(record),
            _ => {}
        }
        let row = member(event, "after").ok_or_else(|| {
            ConnectError::data("Only Struct objects supported for [Read Outbox Event], found: null")
        })?;
        let routed = self.routed(record, event, row)?;
        *record = routed;
        Ok(Keep::Record)
    }
}

/// A column's value, its default in the place of null, with its schema.
fn column<'a>(row: &'a Struct, name: &str) -> Result<(&'a Arc<Schema>, Value), ConnectError> {
    let (index, field) = row.schema().field(name).ok_or_else(|| not_a_field(name))?;
    Ok((&field.schema, or_default(&row.values()[index], field.schema.default_value())))
}

/// A column that must be of `ty`.
fn typed_column(row: &Struct, name: &str, ty: Type) -> Result<Value, ConnectError> {
    let (schema, value) = column(row, name)?;
    if schema.ty() != ty {
        let ty = ty.name();
        return Err(ConnectError::data(format!("Field '{name}' is not of type {ty}")));
    }
    Ok(value)
}

fn int32_column(row: &Struct, name: &str) -> Result<Option<i32>, ConnectError> {
    let value = typed_column(row, name, Type::Int32)?;
    Ok(value.as_i64().and_then(|number| i32::try_from(number).ok()))
}

impl EventRouter {
    fn update(&self, record: &Record) -> Result<Keep, ConnectError> {
        let topic = &*record.topic;
        match self.settings.on_update {
            OnUpdate::Warn => tracing::warn!(topic, "update of an outbox row ignored"),
            OnUpdate::Error => tracing::error!(topic, "update of an outbox row ignored"),
            OnUpdate::Fail => {
                return Err(ConnectError::data(format!(
                    "unexpected update message of {topic}: rows of an outbox table are only \
                     inserted; table.op.invalid.behavior=warn ignores updates"
                )));
            }
        }
        Ok(Keep::Drop)
    }

    fn routed(
        &mut self,
        record: &Record,
        event: &Struct,
        row: &Struct,
    ) -> Result<Record, ConnectError> {
        let settings = &self.settings;
        let payload = &settings.payload;
        let (payload_schema, payload_value) = column(row, payload).map_err(|_| {
            ConnectError::data(format!("Unable to find payload field {payload} in event"))
        })?;
        let payload = self.expanded(payload_schema, payload_value);
        let (id_schema, id) = column(row, &settings.id)?;
        let timestamp_ms = self.timestamp(event, row)?;
        let aggregate = typed_column(row, &settings.route_by, Type::String)?;
        let aggregate = aggregate.as_str().ok_or_else(|| {
            let name = &settings.route_by;
            ConnectError::data(format!("column {name} is null: there is no topic to route to"))
        })?;
        let key = match &settings.key {
            Some(name) => {
                let (schema, value) = column(row, name)?;
                SchemaAndValue { schema: Some(schema.clone()), value }
            }
            None => {
                let schema = Some(SchemaBuilder::new(Type::String).build());
                SchemaAndValue { schema, value: Value::Null }
            }
        };
        let topic = if settings.regex.matches(aggregate)? {
            settings.regex.replace_first(aggregate, &settings.replacement)?
        } else {
            aggregate.to_owned()
        };
        let mut headers = record.headers.clone();
        headers.push(Header { key: "id".to_owned(), schema: Some(id_schema.clone()), value: id });
        let partition = self.place_headers(row, &mut headers)?;
        let empty = match &payload.value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        let value = if empty && settings.tombstone_on_empty {
            SchemaAndValue::NULL
        } else {
            let aggregate = aggregate.to_owned();
            self.wrapped(row, payload, aggregate)?
        };
        Ok(Record {
            topic: topic.into(),
            partition,
            key,
            value,
            timestamp_ms,
            offset: record.offset,
            headers,
        })
    }

    /// The payload, as a struct where it is JSON and that is asked for.
    fn expanded(&self, schema: &Arc<Schema>, value: Value) -> SchemaAndValue {
        let name = &self.settings.payload;
        if let (Some(untyped), Value::String(text)) = (self.settings.expand_json, &value) {
            match json_expansion::expand(name, text, untyped) {
                Ok((schema, value)) => return SchemaAndValue { schema: Some(schema), value },
                Err(cause) => tracing::warn!(field = %name, cause, "payload left as text"),
            }
        }
        SchemaAndValue { schema: Some(schema.clone()), value }
    }

    fn timestamp(&self, event: &Struct, row: &Struct) -> Result<Option<i64>, ConnectError> {
        let read_at = event.get("ts_ms").and_then(Value::as_i64);
        let Some(name) = &self.settings.timestamp else { return Ok(read_at) };
        let (_, field) = row.schema().field(name).ok_or_else(|| {
            ConnectError::data(format!("Unable to find timestamp field {name} in event"))
        })?;
        let value = typed_column(row, name, Type::Int64)?;
        let Value::Int64(timestamp) = value else { return Ok(read_at) };
        let unit = match field.schema.name() {
            Some("io.debezium.time.Timestamp") => 1,
            Some("io.debezium.time.MicroTimestamp") => 1_000,
            Some("io.debezium.time.NanoTimestamp") => 1_000_000,
            other => {
                let other = other.unwrap_or("INT64 (without logical schema name)");
                return Err(ConnectError::data(format!(
                    "Unsupported field type {other} for event timestamp"
                )));
            }
        };
        Ok(Some(timestamp / unit))
    }

    /// Adds the columns that go into headers; returns the partition, where a column says it.
    fn place_headers(
        &self,
        row: &Struct,
        headers: &mut Vec<Header>,
    ) -> Result<Option<i32>, ConnectError> {
        let mut partition = None;
        for additional in &self.settings.additional {
            let name = &additional.column;
            if self.settings.ignore_missing && row.schema().field(name).is_none() {
                continue;
            }
            match additional.placement {
                Placement::Header => {
                    let (schema, value) = column(row, name)?;
                    let (key, schema) = (additional.name.clone(), Some(schema.clone()));
                    headers.push(Header { key, schema, value });
                }
                Placement::Partition => partition = int32_column(row, name)?,
                Placement::Envelope => {}
            }
        }
        Ok(partition)
    }

    /// The payload alone, or in a struct with the columns that go beside it.
    fn wrapped(
        &mut self,
        row: &Struct,
        payload: SchemaAndValue,
        aggregate: String,
    ) -> Result<SchemaAndValue, ConnectError> {
        let beside: Vec<_> = self
            .settings
            .additional
            .iter()
            .filter(|additional| additional.placement == Placement::Envelope)
            .collect();
        let (Some(payload_schema), false) = (&payload.schema, beside.is_empty()) else {
            return Ok(payload);
        };
        let version = match &self.settings.schema_version {
            Some(name) => int32_column(row, name)?,
            None => None,
        };
        let mut fields = Fields::new();
        fields.push("payload", payload_schema.clone())?;
        let mut values = vec![payload.value];
        for additional in beside {
            let name = &additional.column;
            match column(row, name) {
                Ok((schema, value)) => {
                    fields.push(&additional.name, schema.clone())?;
                    values.push(value);
                }
                Err(_) if self.settings.ignore_missing => {}
                Err(_) => {
                    return Err(ConnectError::data(format!(
                        "Unable to find field {name} in event"
                    )));
                }
            }
        }
        let made = self.last.take().filter(|made| {
            Arc::ptr_eq(&made.row, row.schema())
                && made.payload == *payload_schema
                && made.aggregate == aggregate
                && made.version == version
        });
        let made = made.unwrap_or_else(|| {
            let mut builder =
                SchemaBuilder::structure().name(wrapper_name(row.schema().name(), &aggregate));
            if let Some(version) = version {
                builder = builder.version(version);
            }
            Wrapper {
                row: row.schema().clone(),
                payload: payload_schema.clone(),
                schema: fields.build(builder),
                aggregate,
                version,
            }
        });
        let schema = made.schema.clone();
        self.last = Some(made);
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Ok(SchemaAndValue { schema: Some(schema), value })
    }
}

/// `s.db.outbox.Value` and `Order` make `s.db.outbox.Order.Value`.
fn wrapper_name(row: Option<&str>, aggregate: &str) -> String {
    match row.map(|row| row.rsplit_once('.').ok_or(row)) {
        None => aggregate.to_owned(),
        Some(Ok((before, last))) => format!("{before}.{aggregate}.{last}"),
        Some(Err(row)) => format!("{aggregate}.{row}"),
    }
}

#[cfg(test)]
mod tests;
