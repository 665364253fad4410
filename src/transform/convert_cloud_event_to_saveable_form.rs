//! `io.debezium.connector.jdbc.transforms.ConvertCloudEventToSaveableForm`: the attributes of a
//! CloudEvent as columns, and its data as JSON text. (Debezium 2.7 to 3.1.)

use std::sync::Arc;

use super::rebuild::{Fields, MadeOnce};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::converter::Converter;
use crate::converter::json::JsonConverter;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::{ConnectError, DataError};

const MAPPING: &str = "fields.mapping";
const SERIALIZER: &str = "serializer.type";
const DATA: &str = "data";
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];
/// Attributes whose column is a text also where they are null.
const KNOWN: [&str; 4] = ["datacontenttype", "dataschema", "time", DATA];

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key(
            MAPPING,
            ConfigType::List,
            "The attributes that become columns: ATTRIBUTE or ATTRIBUTE:COLUMN. Without any, events \
             pass as they are.",
        )
        .high()
        .check(Validator::Custom(|value| {
            let ConfigValue::List(items) = value else { return None };
            let is_pair = |item: &String| match item.split_once(':') {
                None => !item.is_empty(),
                Some((name, column)) => {
                    !name.is_empty() && !column.is_empty() && !column.contains(':')
                }
            };
            let bad = !items.iter().all(is_pair);
            let shown = items.join(", ");
            bad.then(|| {
                format!(
                    "A comma-separated list of valid String pairs is expected but got: [{shown}]"
                )
            })
        })),
        key(SERIALIZER, ConfigType::String, "How the events were read: json or avro.")
            .high()
            .check(Validator::Custom(|value| match value {
                ConfigValue::String(text)
                    if ["json", "avro"].iter().any(|known| text.eq_ignore_ascii_case(known)) =>
                {
                    None
                }
                _ => Some(
                    "Serialization/deserialization type of CloudEvents converter is required"
                        .to_owned(),
                ),
            })),
        key(
            "schema.cloudevents.name",
            ConfigType::String,
            "The name of the events' schema, where it does not end in CloudEvents.Envelope.",
        ),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let mapping = parsed.list(MAPPING);
    let pair = |item: &String| match item.split_once(':') {
        Some((attribute, column)) => (attribute.to_owned(), column.to_owned()),
        None => (item.clone(), item.clone()),
    };
    let plain = Props::from([("schemas.enable".to_owned(), "false".to_owned())]);
    Ok(Box::new(ConvertCloudEventToSaveableForm {
        mapping: mapping.iter().map(pair).collect(),
        is_json: parsed.string(SERIALIZER).eq_ignore_ascii_case("json"),
        name: parsed.optional_string("schema.cloudevents.name"),
        json: JsonConverter::new(&plain)?,
        schemas: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct ConvertCloudEventToSaveableForm {
    /// Attributes and their columns.
    mapping: Vec<(String, String)>,
    is_json: bool,
    name: Option<String>,
    json: JsonConverter,
    schemas: MadeOnce<(), Arc<Schema>>,
}

impl Transformation for ConvertCloudEventToSaveableForm {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if self.mapping.is_empty() {
            return Ok(Keep::Record);
        }
        let converted = match (&record.value.schema, &record.value.value) {
            (None, Value::Map(members)) if self.is_json => self.of_map(members)?,
            (Some(schema), Value::Struct(event)) if !self.is_json => {
                self.of_struct(schema, event)?
            }
            _ => None,
        };
        if let Some(converted) = converted {
            record.value = converted;
        }
        Ok(Keep::Record)
    }
}

impl ConvertCloudEventToSaveableForm {
    fn of_map(
        &mut self,
        members: &[(Value, Value)],
    ) -> Result<Option<SchemaAndValue>, ConnectError> {
        let find = |name: &str| {
            let found = members.iter().find(|(key, _)| key.as_str() == Some(name));
            found.map(|(_, value)| value)
        };
        if !REQUIRED.iter().all(|name| find(name).is_some()) {
            return Ok(None);
        }
        let (mut fields, mut values) = (Fields::new(), Vec::new());
        for (attribute, column) in &self.mapping {
            let value = find(attribute).unwrap_or(&Value::Null);
            let is_known =
                || REQUIRED.contains(&attribute.as_str()) || KNOWN.contains(&attribute.as_str());
            let text = match value {
                Value::String(_) => value.clone(),
                Value::Struct(data) if attribute == DATA => json_text(&mut self.json, data)?,
                Value::Null if is_known() => {
                    // The original's column is required: a null there fails in it.
                    return Err(ConnectError::data(format!(
                        "Invalid value: null used for required field: \"{column}\", schema type: STRING"
                    )));
                }
                Value::Null => {
                    return Err(ConnectError::data(format!(
                        "the CloudEvent has no attribute {attribute}; take it out of {MAPPING}"
                    )));
                }
                Value::Struct(own) => {
                    fields.push(column, own.schema().clone())?;
                    values.push(value.clone());
                    continue;
                }
                other => {
                    let class = other.java_class();
                    return Err(ConnectError::data(format!(
                        "Unsupported type of CloudEvent field: class {class}"
                    )));
                }
            };
            fields.push(column, SchemaBuilder::new(Type::String).build())?;
            values.push(text);
        }
        Ok(Some(row(fields.build(SchemaBuilder::structure()), values)))
    }

    fn of_struct(
        &mut self,
        schema: &Arc<Schema>,
        event: &Struct,
    ) -> Result<Option<SchemaAndValue>, ConnectError> {
        let own = schema.name().unwrap_or_default();
        let is_named = match &self.name {
            Some(name) => own == name,
            None => own.ends_with("CloudEvents.Envelope"),
        };
        if !is_named || !REQUIRED.iter().all(|name| schema.field(name).is_some()) {
            return Ok(None);
        }
        let mapping = &self.mapping;
        let rebuilt = self.schemas.get(schema, (), |()| Ok(columns(schema, mapping)?))?;
        let mut values = Vec::with_capacity(self.mapping.len());
        for (attribute, _) in &self.mapping {
            values.push(match event.get(attribute) {
                Some(Value::Struct(data)) if attribute == DATA => json_text(&mut self.json, data)?,
                other => other.cloned().unwrap_or(Value::Null),
            });
        }
        Ok(Some(row(Arc::clone(&rebuilt), values)))
    }
}

fn columns(schema: &Schema, mapping: &[(String, String)]) -> Result<Arc<Schema>, DataError> {
    let mut fields = Fields::new();
    for (attribute, column) in mapping {
        let (_, field) = schema.field(attribute).ok_or_else(|| {
            DataError::new(format!(
                "the CloudEvent has no attribute {attribute}; take it out of {MAPPING}"
            ))
        })?;
        let is_data = attribute == DATA && field.schema.ty() == Type::Struct;
        let own =
            if is_data { SchemaBuilder::new(Type::String).build() } else { field.schema.clone() };
        fields.push(column, own)?;
    }
    Ok(fields.build(SchemaBuilder::structure()))
}

fn json_text(json: &mut JsonConverter, data: &Struct) -> Result<Value, ConnectError> {
    let data = SchemaAndValue {
        schema: Some(data.schema().clone()),
        value: Value::Struct(Box::new(data.clone())),
    };
    let mut text = Vec::new();
    json.from_connect_data("", &data, &mut text)?;
    Ok(Value::string(String::from_utf8_lossy(&text)))
}

fn row(schema: Arc<Schema>, values: Vec<Value>) -> SchemaAndValue {
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
    SchemaAndValue { schema: Some(schema), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, record, smt};

    const SETTINGS: [(&str, &str); 2] =
        [(MAPPING, "id,source:origin,type,data:body"), (SERIALIZER, "json")];

    fn with(value: SchemaAndValue) -> Record {
        Record { value, ..record("t") }
    }

    fn data() -> Value {
        let number = SchemaBuilder::new(Type::Int32).build();
        let schema = SchemaBuilder::structure().field("n", number).build();
        Value::Struct(Box::new(Struct::new(schema, vec![Value::Int32(1)])))
    }

    fn in_json(data: Value) -> Record {
        let text = |name: &str| (Value::string(name), Value::string(format!("the {name}")));
        let mut members: Vec<_> = REQUIRED.iter().map(|name| text(name)).collect();
        members.push((Value::string(DATA), data));
        with(SchemaAndValue { schema: None, value: Value::Map(members) })
    }

    fn in_avro(name: &str) -> Record {
        let string = SchemaBuilder::new(Type::String).build();
        let data = data();
        let own = data.as_struct().unwrap().schema().clone();
        let mut builder = SchemaBuilder::structure().name(name);
        for name in REQUIRED {
            builder = builder.field(name, string.clone());
        }
        let schema = builder.field(DATA, own).build();
        let mut values: Vec<_> =
            REQUIRED.iter().map(|name| Value::string(format!("the {name}"))).collect();
        values.push(data);
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        with(SchemaAndValue { schema: Some(schema), value })
    }

    const CONVERTED: &str =
        r#"{"id":"the id","origin":"the source","type":"the type","body":"{\"n\":1}"}"#;

    #[test]
    fn events_become_rows() {
        let mut json = smt(construct, &SETTINGS).unwrap();
        let mut event = in_json(data());
        apply(json.as_mut(), &mut event).unwrap();
        assert_eq!(values::format(&event.value.value).unwrap(), CONVERTED);
        let mut avro = smt(construct, &[SETTINGS[0], (SERIALIZER, "avro")]).unwrap();
        let mut first = in_avro("a.CloudEvents.Envelope");
        apply(avro.as_mut(), &mut first).unwrap();
        assert_eq!(values::format(&first.value.value).unwrap(), CONVERTED);
        let body = first.value.schema.unwrap();
        assert_eq!(body.field("body").unwrap().1.schema.ty(), Type::String);
    }

    #[test]
    fn what_is_no_event_passes() {
        let (json, avro) = (&SETTINGS[..], &[SETTINGS[0], (SERIALIZER, "avro")][..]);
        for (settings, input) in [
            (json, in_avro("a.CloudEvents.Envelope")),
            (json, record("t")),
            (json, with(SchemaAndValue { schema: None, value: Value::Map(vec![]) })),
            (avro, in_avro("a.Other")),
            (avro, in_json(data())),
            (&[(SERIALIZER, "json")], in_json(data())),
        ] {
            let mut output = input.clone();
            apply(smt(construct, settings).unwrap().as_mut(), &mut output).unwrap();
            assert_eq!(output, input);
        }
    }

    #[test]
    fn what_cannot_be_a_column_is_named() {
        let mut json = smt(construct, &SETTINGS).unwrap();
        for (data, expected) in [
            (Value::Int64(1), "Unsupported type of CloudEvent field: class java.lang.Long"),
            (
                Value::Null,
                "Invalid value: null used for required field: \"body\", schema type: STRING",
            ),
        ] {
            assert_eq!(apply(json.as_mut(), &mut in_json(data)).unwrap_err(), expected);
        }
        let mut avro = smt(construct, &[(MAPPING, "zz"), (SERIALIZER, "avro")]).unwrap();
        let error = apply(avro.as_mut(), &mut in_avro("a.CloudEvents.Envelope")).unwrap_err();
        assert_eq!(error, "the CloudEvent has no attribute zz; take it out of fields.mapping");
        for (settings, expected) in [
            (
                &SETTINGS[..1],
                "Serialization/deserialization type of CloudEvents converter is required",
            ),
            (&[(MAPPING, "a:b:c"), SETTINGS[1]], "A comma-separated list of valid String pairs"),
        ] {
            let error = smt(construct, settings).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
    }
}
