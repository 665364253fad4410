//! `org.apache.kafka.connect.transforms.Flatten`: nested structs and maps in one level.

use std::sync::Arc;

use super::rebuild::{Fields, MadeOnce, basics, node_or_default, or_default};
use super::target::{PlannedPart, Target, planned_part, require_map, require_struct};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, Struct, Type, Value,
};
use crate::error::ConnectError;

const PURPOSE: &str = "flattening";

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("delimiter", ConfigType::String, "What stands between the names of a path.")
            .default(".")
            .medium(),
    ])
}

/// Makes `Flatten$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `Flatten$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let delimiter = config_def().parse(props)?.string("delimiter");
    Ok(Box::new(Flatten { target, delimiter, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct Flatten {
    target: Target,
    delimiter: String,
    made: MadeOnce<(), Flat>,
}

/// The one level, and where each of its fields comes from.
#[derive(Debug)]
struct Flat {
    schema: Arc<Schema>,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    path: Vec<usize>,
    default: Option<Value>,
}

struct Draft<'a> {
    delimiter: &'a str,
    fields: Fields,
    leaves: Vec<Leaf>,
}

/// What a struct's place in the tree means for its leaves.
struct Inherited<'a> {
    prefix: &'a str,
    path: &'a [usize],
    optional: bool,
    default: Option<&'a Struct>,
}

impl Draft<'_> {
    fn add(&mut self, schema: &Schema, inherited: &Inherited<'_>) -> Result<(), ConnectError> {
        for (index, field) in schema.fields().iter().enumerate() {
            let name = joined(inherited.prefix, self.delimiter, &field.name);
            let path = [inherited.path, &[index]].concat();
            let optional = inherited.optional || field.schema.is_optional();
            let from_above = inherited.default.and_then(|above| above.get(&field.name));
            let default = field.schema.default_value().or(from_above);
            match field.schema.ty() {
                Type::Struct => {
                    let default = default.and_then(Value::as_struct);
                    self.add(
                        &field.schema,
                        &Inherited { prefix: &name, path: &path, optional, default },
                    )?;
                }
                Type::Map => {
                    return Err(ConnectError::data(format!(
                        "Flatten transformation does not support MAP for record with schemas (for \
                         field {name})."
                    )));
                }
                _ => {
                    let mut builder = basics(&field.schema).with_optional(optional);
                    let default = default.filter(|default| !default.is_null());
                    if let Some(default) = default {
                        builder = builder.default_value(default.clone());
                    }
                    self.fields.push(&name, builder.build())?;
                    let default = field.schema.default_value().cloned();
                    self.leaves.push(Leaf { path, default });
                }
            }
        }
        Ok(())
    }
}

fn joined(prefix: &str, delimiter: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

fn flat(schema: &Schema, delimiter: &str) -> Result<Flat, ConnectError> {
    let mut draft = Draft { delimiter, fields: Fields::new(), leaves: Vec::new() };
    let root = Inherited { prefix: "", path: &[], optional: schema.is_optional(), default: None };
    draft.add(schema, &root)?;
    Ok(Flat { schema: draft.fields.build(basics(schema)), leaves: draft.leaves })
}

impl Leaf {
    /// Null where a struct on the way is null.
    fn value(&self, root: &Struct) -> Value {
        let mut structure = root;
        for (depth, index) in self.path.iter().enumerate() {
            match structure.values().get(*index) {
                Some(Value::Struct(inner)) if depth + 1 < self.path.len() => structure = inner,
                Some(value) if depth + 1 == self.path.len() => {
                    return or_default(value, self.default.as_ref());
                }
                _ => return Value::Null,
            }
        }
        Value::Null
    }

    /// `None`: it depends on the row.
    fn node(&self, root: &[Node]) -> Option<Node> {
        let (last, above) = self.path.split_last()?;
        let mut nodes = root;
        for index in above {
            match nodes.get(*index)? {
                Node::Struct { presence: None, fields } => nodes = fields,
                Node::Const(Value::Null) => return Some(Node::Const(Value::Null)),
                _ => return None,
            }
        }
        node_or_default(nodes.get(*last)?, self.default.as_ref())
    }
}

impl Flatten {
    fn map(
        &self,
        entries: &[(Value, Value)],
        prefix: &str,
        out: &mut Vec<(Value, Value)>,
    ) -> Result<(), ConnectError> {
        for (key, value) in entries {
            let key = key.as_str().ok_or_else(|| {
                let class = key.java_class();
                ConnectError::data(format!(
                    "Flatten transformation needs keys that are strings, found: {class}"
                ))
            })?;
            let name = joined(prefix, &self.delimiter, key);
            match value {
                Value::Map(entries) => self.map(entries, &name, out)?,
                Value::Struct(_) => {
                    return Err(ConnectError::data(format!(
                        "Flatten transformation does not support STRUCT for record without \
                         schemas (for field {name})."
                    )));
                }
                Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                    let class = value.java_class();
                    return Err(ConnectError::data(format!(
                        "Flatten transformation was passed a value of type class {class} which is \
                         not supported by Connect's data API"
                    )));
                }
                value => out.push((Value::string(name), value.clone())),
            }
        }
        Ok(())
    }
}

impl Transformation for Flatten {
    fn plan(&self, input: &RowPlan) -> Planned {
        let (schema, nodes) = match planned_part(self.target.planned(input)) {
            PlannedPart::Null => return Planned::Plan(Arc::new(input.clone())),
            PlannedPart::Struct(schema, nodes) => (schema, nodes),
            PlannedPart::Other => return Planned::PerRecord,
        };
        let Ok(flat) = flat(schema, &self.delimiter) else { return Planned::PerRecord };
        let Some(fields) = flat.leaves.iter().map(|leaf| leaf.node(nodes)).collect() else {
            return Planned::PerRecord;
        };
        let node = Node::Struct { presence: None, fields };
        self.target.replaced(input, Some(PlannedValue { schema: Some(flat.schema), node }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        if part.value.is_null() {
            return Ok(Keep::Record);
        }
        let flattened = match &part.schema {
            None => {
                let mut out = Vec::new();
                self.map(require_map(part, PURPOSE)?, "", &mut out)?;
                SchemaAndValue { schema: None, value: Value::Map(out) }
            }
            Some(_) => {
                let value = require_struct(part, PURPOSE)?;
                let (schema, delimiter) = (value.schema(), &self.delimiter);
                let flat = self.made.get(schema, (), |()| flat(schema, delimiter))?;
                let values = flat.leaves.iter().map(|leaf| leaf.value(value)).collect();
                let value = Struct::new(flat.schema.clone(), values);
                let schema = Some(flat.schema.clone());
                SchemaAndValue { schema, value: Value::Struct(Box::new(value)) }
            }
        };
        *self.target.of_mut(record) = flattened;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, values};
    use crate::transform::testing::{apply, map, plan_agrees, record, shape, smt};

    fn nested(optional: bool) -> (Arc<Schema>, Arc<Schema>) {
        let inner = SchemaBuilder::structure()
            .field("x", SchemaBuilder::new(Type::Int32).build())
            .with_optional(optional)
            .build();
        let items = SchemaBuilder::new(Type::Int8).build();
        let outer = SchemaBuilder::structure()
            .name("n")
            .with_optional(optional)
            .field("o", inner.clone())
            .field("l", SchemaBuilder::array(items).build())
            .build();
        (inner, outer)
    }

    fn flattened(value: SchemaAndValue) -> Result<SchemaAndValue, String> {
        let mut smt = smt(construct_value, &[])?;
        let mut record = Record { value, ..record("t") };
        apply(smt.as_mut(), &mut record)?;
        Ok(record.value)
    }

    #[test]
    fn leaves_are_named_by_their_paths() {
        for (optional, present, expected) in [
            (false, true, r#"{"o.x":5,"l":[1]}"#),
            (true, true, r#"{"o.x":5,"l":[1]}"#),
            (true, false, r#"{"o.x":null,"l":[1]}"#),
        ] {
            let (inner, outer) = nested(optional);
            let inner = Value::Struct(Box::new(Struct::new(inner, vec![Value::Int32(5)])));
            let inner = if present { inner } else { Value::Null };
            let values = vec![inner, Value::Array(vec![Value::Int8(1)])];
            let value = Value::Struct(Box::new(Struct::new(outer.clone(), values)));
            let out = flattened(SchemaAndValue { schema: Some(outer), value }).unwrap();
            assert_eq!(values::format(&out.value).unwrap(), expected);
            let schema = out.schema.unwrap();
            assert_eq!((schema.name(), schema.is_optional()), (Some("n"), false));
            assert_eq!(schema.field("o.x").unwrap().1.schema.is_optional(), optional);
        }
    }

    #[test]
    fn maps_are_flattened_too() {
        let entries = vec![
            (Value::string("a"), map(&[("b", 1)])),
            (Value::string("e"), Value::Map(vec![])),
            (Value::string("z"), Value::Null),
        ];
        let value = SchemaAndValue { schema: None, value: Value::Map(entries) };
        let out = flattened(value).unwrap().value;
        assert_eq!(values::format(&out).unwrap(), r#"{"a.b":1,"z":null}"#);
    }

    #[test]
    fn what_cannot_be_flattened_is_named() {
        let text = SchemaBuilder::new(Type::String).build();
        let map_schema = SchemaBuilder::map(text.clone(), text.clone()).build();
        let with_map = SchemaBuilder::structure().field("m", map_schema).build();
        let value = Struct::new(with_map.clone(), vec![Value::Map(vec![])]);
        for (schema, value, expected) in [
            (
                Some(with_map),
                Value::Struct(Box::new(value)),
                "Flatten transformation does not support MAP for record with schemas (for field \
                 m).",
            ),
            (
                Some(text),
                Value::string("x"),
                "Only Struct objects supported for [flattening], found: java.lang.String",
            ),
        ] {
            assert_eq!(flattened(SchemaAndValue { schema, value }).unwrap_err(), expected);
        }
        assert_eq!(flattened(SchemaAndValue::NULL), Ok(SchemaAndValue::NULL));
    }

    #[test]
    fn shapes_are_planned() {
        let (plan, batch) = shape("t");
        assert!(plan_agrees(smt(construct_value, &[]).unwrap().as_mut(), &plan, &batch));
    }
}
