//! `io.debezium.connector.jdbc.transforms.FieldNameTransformation`: columns in another style, in
//! keys and in rows, and in the rows of change events.

use std::sync::Arc;

use super::envelope::{is_envelope, rehomed, without_fields};
use super::naming_style::{self, Naming};
use super::rebuild::{Fields, MadeOnce};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::{Record, Schema, SchemaAndValue, Struct, Value};
use crate::error::ConnectError;

const KEYS: [&str; 3] = ["column.naming.prefix", "column.naming.suffix", "column.naming.style"];

/// The configuration keys.
pub fn config_def() -> ConfigDef {
    let [prefix, suffix, style] = KEYS;
    naming_style::config_def(prefix, suffix, style)
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(FieldNameTransformation {
        naming: Naming::new(props, KEYS)?,
        made: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct FieldNameTransformation {
    naming: Naming,
    made: MadeOnce<(), Arc<Schema>>,
}

impl Transformation for FieldNameTransformation {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let (key, value) = (self.renamed(&record.key)?, self.renamed(&record.value)?);
        record.key = key.unwrap_or_else(|| record.key.clone());
        record.value = value.unwrap_or_else(|| record.value.clone());
        Ok(Keep::Record)
    }
}

impl FieldNameTransformation {
    /// `None`: the part has no fields that could be renamed.
    fn renamed(&mut self, part: &SchemaAndValue) -> Result<Option<SchemaAndValue>, ConnectError> {
        let Some(schema) = part.schema.as_ref().filter(|schema| !schema.fields().is_empty()) else {
            return Ok(None);
        };
        let naming = &self.naming;
        let renamed: Arc<Schema> =
            (*self.made.get(schema, (), |()| with_names(naming, schema))?).clone();
        let value = match &part.value {
            Value::Struct(event) if is_envelope(schema) => {
                let members = renamed.fields().iter().zip(event.values());
                let values = members.map(|(field, value)| match field.name.as_str() {
                    "before" | "after" => rehomed(value, &field.schema),
                    _ => value.clone(),
                });
                let values = values.collect();
                Value::Struct(Box::new(Struct::new(renamed.clone(), values)))
            }
            value => rehomed(value, &renamed),
        };
        Ok(Some(SchemaAndValue { schema: Some(renamed), value }))
    }
}

fn with_names(naming: &Naming, schema: &Schema) -> Result<Arc<Schema>, ConnectError> {
    let mut fields = Fields::new();
    let envelope = is_envelope(schema);
    for field in schema.fields() {
        match (envelope, field.name.as_str()) {
            (false, name) => fields.push(&naming.of(name), field.schema.clone())?,
            (true, name @ ("before" | "after")) => {
                fields.push(name, with_names(naming, &field.schema)?)?;
            }
            (true, name) => fields.push(name, field.schema.clone())?,
        }
    }
    Ok(fields.build(without_fields(schema)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, change, record, row, smt};

    #[test]
    fn keys_rows_and_events_are_renamed() {
        let mut smt = smt(construct, &[("column.naming.style", "upper_case")]).unwrap();
        let mut plain = record("t");
        apply(smt.as_mut(), &mut plain).unwrap();
        assert_eq!(values::format(&plain.key.value).unwrap(), r#"{"ID":1}"#);
        assert_eq!(
            values::format(&plain.value.value).unwrap(),
            r#"{"ID":1,"NAME":"a","KIND":"n/a"}"#
        );
        let mut event = change("c", Value::Null, row(1, "a"));
        apply(smt.as_mut(), &mut event).unwrap();
        let event = event.value.value;
        let after = event.as_struct().unwrap().get("after").unwrap();
        assert_eq!(values::format(after).unwrap(), r#"{"ID":1,"NAME":"a"}"#);
    }

    #[test]
    fn equal_names_are_refused_and_nulls_pass() {
        let mut tombstone = Record { value: SchemaAndValue::NULL, ..record("t") };
        let mut smt = smt(construct, &[]).unwrap();
        assert_eq!(apply(smt.as_mut(), &mut tombstone), Ok(Keep::Record));
        assert_eq!(tombstone.value, SchemaAndValue::NULL);
    }
}
