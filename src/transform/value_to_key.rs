//! `org.apache.kafka.connect.transforms.ValueToKey`: a key of some of the value's fields.

use std::sync::Arc;

use super::rebuild::{Fields, MadeOnce, node_or_default, non_empty_list, or_default, set_entry};
use super::target::{PlannedPart, Target, planned_part, require_map, require_struct};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Value,
};
use crate::error::ConnectError;

const PURPOSE: &str = "copying fields from value to key";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("fields", ConfigType::List, "The value's fields that make up the key.")
            .required()
            .high()
            .check(Validator::Custom(non_empty_list)),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let choice = Choice {
        names: parsed.list("fields"),
        replace_null_with_default: parsed.boolean("replace.null.with.default"),
    };
    Ok(Box::new(ValueToKey { choice, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct ValueToKey {
    choice: Choice,
    made: MadeOnce<(), Key>,
}

#[derive(Debug)]
struct Choice {
    names: Vec<String>,
    replace_null_with_default: bool,
}

/// The key's schema, and where each field comes from.
#[derive(Debug)]
struct Key {
    schema: Arc<Schema>,
    fields: Vec<(usize, Option<Value>)>,
}

impl Choice {
    fn key(&self, schema: &Schema) -> Result<Key, ConnectError> {
        let (mut fields, mut places) = (Fields::new(), Vec::new());
        for name in &self.names {
            let (index, field) = schema
                .field(name)
                .ok_or_else(|| ConnectError::data(format!("Field does not exist: {name}")))?;
            fields.push(name, field.schema.clone())?;
            let default = field.schema.default_value().filter(|_| self.replace_null_with_default);
            places.push((index, default.cloned()));
        }
        Ok(Key { schema: fields.build(SchemaBuilder::structure()), fields: places })
    }
}

impl Transformation for ValueToKey {
    fn plan(&self, input: &RowPlan) -> Planned {
        let PlannedPart::Struct(schema, nodes) = planned_part(input.value.as_ref()) else {
            return Planned::PerRecord;
        };
        let Ok(key) = self.choice.key(schema) else { return Planned::PerRecord };
        let fields = key
            .fields
            .iter()
            .map(|(index, default)| node_or_default(nodes.get(*index)?, default.as_ref()));
        let Some(fields) = fields.collect() else { return Planned::PerRecord };
        let node = Node::Struct { presence: None, fields };
        Target::Key.replaced(input, Some(PlannedValue { schema: Some(key.schema), node }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = &record.value;
        record.key = match &part.schema {
            None => {
                let entries = require_map(part, PURPOSE)?;
                let mut key = Vec::with_capacity(self.choice.names.len());
                for name in &self.choice.names {
                    let found = entries.iter().find(|(key, _)| key.as_str() == Some(name));
                    let value = found.map_or(Value::Null, |(_, value)| value.clone());
                    set_entry(&mut key, Value::string(name), value);
                }
                SchemaAndValue { schema: None, value: Value::Map(key) }
            }
            Some(_) => {
                let value = require_struct(part, PURPOSE)?;
                let (choice, schema) = (&self.choice, value.schema());
                let key = self.made.get(schema, (), |()| choice.key(schema))?;
                let values = value.values();
                let field = |(index, default): &(usize, Option<Value>)| {
                    or_default(&values[*index], default.as_ref())
                };
                let values = key.fields.iter().map(field).collect();
                let value = Struct::new(key.schema.clone(), values);
                let schema = Some(key.schema.clone());
                SchemaAndValue { schema, value: Value::Struct(Box::new(value)) }
            }
        };
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, map, plan_agrees, record, shape, smt};

    #[test]
    fn the_key_has_the_fields_in_their_configured_order() {
        let settings = [("fields", "name,kind,id")];
        let mut smt = smt(construct, &settings).unwrap();
        let (plan, batch) = shape("t");
        assert!(plan_agrees(smt.as_mut(), &plan, &batch));
        let mut record = record("t");
        apply(smt.as_mut(), &mut record).unwrap();
        let key = values::format(&record.key.value).unwrap();
        assert_eq!(key, r#"{"name":"a","kind":"n/a","id":1}"#);
        assert_eq!(record.key.schema.as_ref().unwrap().name(), None);
        record.value = SchemaAndValue { schema: None, value: map(&[("id", 7)]) };
        apply(smt.as_mut(), &mut record).unwrap();
        let key = values::format(&record.key.value).unwrap();
        assert_eq!(key, r#"{"name":null,"kind":null,"id":7}"#);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let mut smt = smt(construct, &[("fields", "zz")]).unwrap();
        for (value, expected) in [
            (record("t").value, "Field does not exist: zz"),
            (
                SchemaAndValue::NULL,
                "Only Map objects supported in absence of schema for [copying fields from value to \
                 key], found: null",
            ),
        ] {
            let mut record = Record { value, ..record("t") };
            assert_eq!(apply(smt.as_mut(), &mut record), Err(expected.to_owned()));
        }
    }
}
