//! `org.apache.kafka.connect.transforms.HoistField`: the whole becomes a field of a new struct or
//! map.

use std::sync::Arc;

use super::rebuild::{MadeOnce, check_name};
use super::target::Target;
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Value,
};
use crate::error::ConnectError;

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("field", ConfigType::String, "The name of the one field.")
            .required()
            .medium(),
    ])
}

/// Makes `HoistField$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `HoistField$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let field = config_def().parse(props)?.string("field");
    Ok(Box::new(HoistField { target, field, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct HoistField {
    target: Target,
    field: String,
    made: MadeOnce<(), Arc<Schema>>,
}

fn around(field: &str, schema: &Arc<Schema>) -> Arc<Schema> {
    SchemaBuilder::structure().field(field, schema.clone()).build()
}

impl Transformation for HoistField {
    fn plan(&self, input: &RowPlan) -> Planned {
        let Some(part) = self.target.planned(input) else { return Planned::PerRecord };
        let Some(schema) = &part.schema else { return Planned::PerRecord };
        if self.field.is_empty() {
            return Planned::PerRecord;
        }
        let never_null = match &part.node {
            Node::Const(value) => !value.is_null(),
            Node::Struct { presence, .. } => presence.is_none(),
            Node::Cell { .. } => false,
        };
        if !never_null && !schema.is_optional() {
            return Planned::PerRecord;
        }
        let node = Node::Struct { presence: None, fields: vec![part.node.clone()] };
        let schema = Some(around(&self.field, schema));
        self.target.replaced(input, Some(PlannedValue { schema, node }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let field = &self.field;
        let part = self.target.of(record);
        let hoisted = match &part.schema {
            None => {
                let entry = (Value::string(field), part.value.clone());
                SchemaAndValue { schema: None, value: Value::Map(vec![entry]) }
            }
            Some(schema) if part.value.is_null() && !schema.is_optional() => {
                let ty = schema.ty().name();
                return Err(ConnectError::data(format!(
                    "Invalid value: null used for required field: \"{field}\", schema type: {ty}"
                )));
            }
            Some(schema) => {
                check_name(field)?;
                let around: Arc<Schema> =
                    (*self.made.get(schema, (), |()| Ok(around(field, schema)))?).clone();
                let value = Struct::new(around.clone(), vec![part.value.clone()]);
                SchemaAndValue { schema: Some(around), value: Value::Struct(Box::new(value)) }
            }
        };
        *self.target.of_mut(record) = hoisted;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Type, values};
    use crate::transform::testing::{apply, plan_agrees, record, shape, smt};

    #[test]
    fn the_whole_becomes_a_field() {
        let mut smt = smt(construct_key, &[("field", "w")]).unwrap();
        let (plan, batch) = shape("t");
        assert!(plan_agrees(smt.as_mut(), &plan, &batch));
        let required = Some(SchemaBuilder::new(Type::String).build());
        let optional = Some(SchemaBuilder::new(Type::String).optional().build());
        for (key, expected) in [
            (record("t").key, Ok(r#"{"w":{"id":1}}"#)),
            (SchemaAndValue::NULL, Ok(r#"{"w":null}"#)),
            (SchemaAndValue { schema: optional, value: Value::Null }, Ok(r#"{"w":null}"#)),
            (
                SchemaAndValue { schema: required, value: Value::Null },
                Err("Invalid value: null used for required field: \"w\", schema type: STRING"),
            ),
        ] {
            let mut record = Record { key, ..record("t") };
            let applied = apply(smt.as_mut(), &mut record);
            let text = applied.map(|_| values::format(&record.key.value).unwrap());
            assert_eq!(text.as_deref().map_err(String::as_str), expected);
        }
    }
}
