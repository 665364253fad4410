//! `org.apache.kafka.connect.transforms.ExtractField`: one field instead of the whole.

use std::sync::Arc;

use super::field_path;
use super::rebuild::{node_or_default, or_default};
use super::target::{PlannedPart, Target, planned_part};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::{Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, Type, Value};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("field", ConfigType::String, "The field to extract.").required().medium(),
        ConfigKey::new(
            "field.syntax.version",
            ConfigType::String,
            "Whether the field is one literal name (V1) or a path with dots (V2).",
        )
        .default("V1")
        .high()
        .check(Validator::OneOfAnyCase(&["V1", "V2"])),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `ExtractField$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `ExtractField$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let field = parsed.string("field");
    let path = match parsed.string("field.syntax.version").eq_ignore_ascii_case("V2") {
        // Leads nowhere: the original fails on every record.
        true if field.is_empty() => Vec::new(),
        true => field_path::parse(&field)?,
        false => vec![field.clone()],
    };
    let replace_null_with_default = parsed.boolean("replace.null.with.default");
    Ok(Box::new(ExtractField { target, field, path, replace_null_with_default }))
}

#[derive(Debug)]
struct ExtractField {
    target: Target,
    /// As configured.
    field: String,
    path: Vec<String>,
    replace_null_with_default: bool,
}

impl ExtractField {
    fn default<'a>(&self, schema: &'a Schema) -> Option<&'a Value> {
        schema.default_value().filter(|_| self.replace_null_with_default)
    }

    fn unknown(&self) -> ConnectError {
        ConnectError::data(format!("Unknown field: {}", self.field))
    }

    fn from_map(&self, mut value: &Value) -> Result<Value, ConnectError> {
        if self.path.is_empty() {
            return Err(self.unknown());
        }
        for (depth, segment) in self.path.iter().enumerate() {
            value = match value {
                Value::Null => return Ok(Value::Null),
                Value::Map(entries) => {
                    let entry = entries.iter().find(|(key, _)| key.as_str() == Some(segment));
                    entry.map_or(&Value::Null, |(_, value)| value)
                }
                other => {
                    let class = other.java_class();
                    let purpose =
                        if depth == 0 { "field extraction" } else { "nested field access" };
                    return Err(ConnectError::data(format!(
                        "Only Map objects supported in absence of schema for [{purpose}], found: \
                         {class}"
                    )));
                }
            };
        }
        Ok(value.clone())
    }

    fn from_struct(
        &self,
        schema: &Arc<Schema>,
        value: &Value,
    ) -> Result<SchemaAndValue, ConnectError> {
        if self.path.is_empty() {
            return Err(self.unknown());
        }
        let (mut schema, mut value) = (schema, value);
        for (depth, segment) in self.path.iter().enumerate() {
            if depth > 0 && schema.ty() != Type::Struct {
                return Err(ConnectError::data("Cannot look up fields on non-struct type"));
            }
            let structure = match value {
                Value::Null => None,
                Value::Struct(structure) => Some(structure),
                other => {
                    let class = other.java_class();
                    return Err(ConnectError::data(format!(
                        "Only Struct objects supported for [field extraction], found: {class}"
                    )));
                }
            };
            let (_, field) = schema.field(segment).ok_or_else(|| self.unknown())?;
            schema = &field.schema;
            value = structure.and_then(|value| value.get(segment)).unwrap_or(&Value::Null);
            if let Some(default) = self.default(schema)
                && value.is_null()
                && structure.is_some()
            {
                value = default;
            }
        }
        Ok(SchemaAndValue { schema: Some(schema.clone()), value: or_default(value, None) })
    }
}

impl Transformation for ExtractField {
    fn plan(&self, input: &RowPlan) -> Planned {
        let PlannedPart::Struct(schema, nodes) = planned_part(self.target.planned(input)) else {
            return Planned::PerRecord;
        };
        let (mut schema, mut nodes) = (schema, nodes);
        let mut segments = self.path.iter().peekable();
        while let Some(segment) = segments.next() {
            let Some((index, field)) = schema.field(segment) else { return Planned::PerRecord };
            let Some(node) = nodes.get(index) else { return Planned::PerRecord };
            schema = &field.schema;
            match node {
                Node::Struct { presence: None, fields } if segments.peek().is_some() => {
                    nodes = fields;
                }
                node if segments.peek().is_none() => {
                    let default = self.default(schema);
                    let Some(node) = node_or_default(node, default) else {
                        return Planned::PerRecord;
                    };
                    let part = PlannedValue { schema: Some(schema.clone()), node };
                    return self.target.replaced(input, Some(part));
                }
                _ => return Planned::PerRecord,
            }
        }
        Planned::PerRecord
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        let extracted = match &part.schema {
            None => SchemaAndValue { schema: None, value: self.from_map(&part.value)? },
            Some(schema) => self.from_struct(schema, &part.value)?,
        };
        *self.target.of_mut(record) = extracted;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Struct, Type};
    use crate::transform::testing::{apply, map, plan_agrees, record, shape, smt};

    fn nested() -> SchemaAndValue {
        let inner = SchemaBuilder::structure()
            .field("x", SchemaBuilder::new(Type::Int32).build())
            .optional()
            .build();
        let outer = SchemaBuilder::structure().field("o", inner.clone()).build();
        let inner = Value::Struct(Box::new(Struct::new(inner, vec![Value::Int32(5)])));
        let value = Value::Struct(Box::new(Struct::new(outer.clone(), vec![inner])));
        SchemaAndValue { schema: Some(outer), value }
    }

    fn extracted(settings: &[(&str, &str)], value: SchemaAndValue) -> Result<Value, String> {
        let mut smt = smt(construct_value, settings)?;
        let mut record = Record { value, ..record("t") };
        apply(smt.as_mut(), &mut record)?;
        Ok(record.value.value)
    }

    #[test]
    fn a_field_stands_for_the_whole() {
        let v2 = ("field.syntax.version", "v2");
        let schemaless = |value| SchemaAndValue { schema: None, value };
        for (settings, value, expected) in [
            (&[("field", "name")][..], record("t").value, Ok(Value::string("a"))),
            (&[("field", "kind")], record("t").value, Ok(Value::string("n/a"))),
            (
                &[("field", "kind"), ("replace.null.with.default", "false")],
                record("t").value,
                Ok(Value::Null),
            ),
            (&[("field", "zz")], record("t").value, Err("Unknown field: zz")),
            (&[("field", "o.x")], nested(), Err("Unknown field: o.x")),
            (&[("field", "o.x"), v2], nested(), Ok(Value::Int32(5))),
            (&[("field", "a")], schemaless(map(&[("a", 1)])), Ok(Value::Int32(1))),
            (&[("field", "z")], schemaless(map(&[("a", 1)])), Ok(Value::Null)),
            (&[("field", "z")], SchemaAndValue::NULL, Ok(Value::Null)),
        ] {
            let found = extracted(settings, value);
            assert_eq!(found, expected.map_err(str::to_owned), "{settings:?}");
        }
        let null = SchemaAndValue { value: Value::Null, ..nested() };
        assert_eq!(extracted(&[("field", "o.x"), v2], null), Ok(Value::Null));
    }

    #[test]
    fn shapes_are_planned() {
        let (plan, batch) = shape("t");
        for (field, planned) in [("id", true), ("kind", true), ("zz", false)] {
            let mut smt = smt(construct_value, &[("field", field)]).unwrap();
            assert_eq!(plan_agrees(smt.as_mut(), &plan, &batch), planned);
        }
    }
}
