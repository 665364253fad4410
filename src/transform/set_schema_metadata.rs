//! `org.apache.kafka.connect.transforms.SetSchemaMetadata`: the schema's name and version.

use std::sync::Arc;

use super::rebuild::{MadeOnce, node_or_default, or_default};
use super::target::Target;
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, Struct, Value};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("schema.name", ConfigType::String, "The name to set.").high(),
        ConfigKey::new("schema.version", ConfigType::Int, "The version to set.").high(),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `SetSchemaMetadata$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `SetSchemaMetadata$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let version = parsed.optional_integer("schema.version");
    let metadata = Metadata {
        name: parsed.given_string("schema.name"),
        version: version.and_then(|version| i32::try_from(version).ok()),
        replace_null_with_default: parsed.boolean("replace.null.with.default"),
    };
    if metadata.name.is_none() && metadata.version.is_none() {
        return Err(ConnectError::config("Neither schema name nor version configured"));
    }
    Ok(Box::new(SetSchemaMetadata { target, metadata, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct SetSchemaMetadata {
    target: Target,
    metadata: Metadata,
    made: MadeOnce<(), Arc<Schema>>,
}

#[derive(Debug)]
struct Metadata {
    name: Option<String>,
    version: Option<i32>,
    replace_null_with_default: bool,
}

impl Metadata {
    fn set(&self, schema: &Schema) -> Arc<Schema> {
        let mut builder = schema.to_builder();
        if let Some(name) = &self.name {
            builder = builder.name(name.as_str());
        }
        if let Some(version) = self.version {
            builder = builder.version(version);
        }
        builder.build()
    }

    fn default<'a>(&self, schema: &'a Schema) -> Option<&'a Value> {
        schema.default_value().filter(|_| self.replace_null_with_default)
    }

    /// The same value under the new schema.
    fn rehomed(&self, value: &Value, schema: &Arc<Schema>) -> Value {
        let Value::Struct(value) = value else { return value.clone() };
        let members = schema.fields().iter().zip(value.values());
        let values = members
            .map(|(field, value)| or_default(value, self.default(&field.schema)))
            .collect::<Vec<_>>();
        Value::Struct(Box::new(Struct::new(schema.clone(), values)))
    }

    fn rehomed_node(&self, node: &Node, schema: &Arc<Schema>) -> Option<Node> {
        Some(match node {
            Node::Const(value) => Node::Const(self.rehomed(value, schema)),
            // Under another name a cell may mean something else.
            Node::Cell { .. } => return None,
            Node::Struct { presence, fields } => {
                let members = schema.fields().iter().zip(fields);
                let fields =
                    members.map(|(field, node)| node_or_default(node, self.default(&field.schema)));
                Node::Struct { presence: *presence, fields: fields.collect::<Option<_>>()? }
            }
        })
    }
}

impl Transformation for SetSchemaMetadata {
    fn plan(&self, input: &RowPlan) -> Planned {
        let Some(part) = self.target.planned(input) else {
            return Planned::Plan(Arc::new(input.clone()));
        };
        let Some(schema) = &part.schema else { return Planned::PerRecord };
        let schema = self.metadata.set(schema);
        match self.metadata.rehomed_node(&part.node, &schema) {
            Some(node) => {
                self.target.replaced(input, Some(PlannedValue { schema: Some(schema), node }))
            }
            None => Planned::PerRecord,
        }
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        let Some(schema) = &part.schema else {
            return if part.value.is_null() {
                Ok(Keep::Record)
            } else {
                Err(ConnectError::data("Schema required for [updating schema metadata]"))
            };
        };
        let metadata = &self.metadata;
        let renamed: Arc<Schema> =
            (*self.made.get(schema, (), |()| Ok(metadata.set(schema)))?).clone();
        if let Value::Struct(value) = &part.value
            && value.values().len() != renamed.fields().len()
        {
            return Err(ConnectError::data("Struct schemas do not match."));
        }
        let value = metadata.rehomed(&part.value, &renamed);
        *self.target.of_mut(record) = SchemaAndValue { schema: Some(renamed), value };
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Type};
    use crate::transform::testing::{apply, plan_agrees, record, shape, smt};

    #[test]
    fn name_and_version_are_replaced() {
        for (settings, name, version) in [
            (&[("schema.name", "n")][..], "n", None),
            (&[("schema.version", "7")], "t.Value", Some(7)),
            (&[("schema.name", "n"), ("schema.version", "7")], "n", Some(7)),
        ] {
            let mut smt = smt(construct_value, settings).unwrap();
            let mut record = record("t");
            apply(smt.as_mut(), &mut record).unwrap();
            let schema = record.value.schema.unwrap();
            assert_eq!((schema.name(), schema.version()), (Some(name), version));
            assert!(schema.is_optional());
            assert_eq!(record.value.value.as_struct().unwrap().schema(), &schema);
            let (plan, batch) = shape("t");
            assert!(plan_agrees(smt.as_mut(), &plan, &batch));
        }
    }

    #[test]
    fn a_schema_is_needed_unless_there_is_nothing() {
        let mut smt = smt(construct_value, &[("schema.name", "n")]).unwrap();
        let optional = SchemaBuilder::new(Type::Int8).optional().build();
        for (schema, value, expected) in [
            (None, Value::Null, Ok(Keep::Record)),
            (None, Value::Int8(1), Err("Schema required for [updating schema metadata]")),
            (Some(optional), Value::Null, Ok(Keep::Record)),
        ] {
            let mut record = Record { value: SchemaAndValue { schema, value }, ..record("t") };
            let applied = apply(smt.as_mut(), &mut record);
            assert_eq!(applied, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn one_of_both_is_needed() {
        assert_eq!(
            smt(construct_value, &[]).err().unwrap(),
            "Neither schema name nor version configured"
        );
    }
}
