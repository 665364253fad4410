//! `org.apache.kafka.connect.transforms.ReplaceField`: fields left out and renamed.

use std::sync::Arc;

use super::rebuild::{
    Fields, MadeOnce, basics, java_split, node_or_default, or_default, set_entry,
};
use super::target::{PlannedPart, Target, planned_part, require_map, require_struct};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, Struct, Value};
use crate::error::ConnectError;

const PURPOSE: &str = "field replacement";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let list = |name, documentation| {
        ConfigKey::new(name, ConfigType::List, documentation).default("").medium()
    };
    ConfigDef::new(vec![
        list("exclude", "Fields to leave out; wins over include."),
        list("include", "Fields to keep; all others are left out."),
        list("renames", "Field rename mappings, old:new.").check(Validator::Custom(|value| {
            let ConfigValue::List(items) = value else { return None };
            let invalid = items.iter().find(|item| rename(item).is_none())?;
            Some(format!("Invalid rename mapping: {invalid}"))
        })),
        ConfigKey::new("blacklist", ConfigType::List, "The name of exclude up to Kafka 3.9."),
        ConfigKey::new("whitelist", ConfigType::List, "The name of include up to Kafka 3.9."),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

fn rename(item: &str) -> Option<(String, String)> {
    match *java_split(item, ':').as_slice() {
        [from, to] => Some((from.trim().to_owned(), to.trim().to_owned())),
        _ => None,
    }
}

/// Makes `ReplaceField$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `ReplaceField$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let either = |name: &str, older: &str| match parsed.list(name) {
        items if items.is_empty() => parsed.list(older),
        items => items,
    };
    Ok(Box::new(ReplaceField {
        target,
        rules: Rules {
            exclude: either("exclude", "blacklist"),
            include: either("include", "whitelist"),
            renames: parsed.list("renames").iter().filter_map(|item| rename(item)).collect(),
            replace_null_with_default: parsed.boolean("replace.null.with.default"),
        },
        made: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct ReplaceField {
    target: Target,
    rules: Rules,
    made: MadeOnce<(), Selection>,
}

#[derive(Debug)]
struct Rules {
    exclude: Vec<String>,
    include: Vec<String>,
    renames: Vec<(String, String)>,
    replace_null_with_default: bool,
}

/// What is left of a schema, and where each field comes from.
#[derive(Debug)]
struct Selection {
    schema: Arc<Schema>,
    fields: Vec<(usize, Option<Value>)>,
}

impl Rules {
    fn keeps(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|known| known == name);
        !is_in(&self.exclude) && (self.include.is_empty() || is_in(&self.include))
    }

    fn renamed<'a>(&'a self, name: &'a str) -> &'a str {
        self.renames.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to)
    }

    fn select(&self, schema: &Schema) -> Result<Selection, ConnectError> {
        let (mut fields, mut places) = (Fields::new(), Vec::new());
        for (index, field) in schema.fields().iter().enumerate() {
            if self.keeps(&field.name) {
                fields.push(self.renamed(&field.name), field.schema.clone())?;
                let default =
                    field.schema.default_value().filter(|_| self.replace_null_with_default);
                places.push((index, default.cloned()));
            }
        }
        Ok(Selection { schema: fields.build(basics(schema)), fields: places })
    }

    fn replace_in_map(&self, entries: &[(Value, Value)]) -> Value {
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = match key.as_str() {
                Some(name) if !self.keeps(name) => continue,
                Some(name) => Value::string(self.renamed(name)),
                None => key.clone(),
            };
            set_entry(&mut kept, key, value.clone());
        }
        Value::Map(kept)
    }
}

impl Transformation for ReplaceField {
    fn plan(&self, input: &RowPlan) -> Planned {
        let (schema, nodes) = match planned_part(self.target.planned(input)) {
            PlannedPart::Null => return Planned::Plan(Arc::new(input.clone())),
            PlannedPart::Struct(schema, nodes) => (schema, nodes),
            PlannedPart::Other => return Planned::PerRecord,
        };
        let Ok(selection) = self.rules.select(schema) else { return Planned::PerRecord };
        let places = selection.fields.iter();
        let fields =
            places.map(|(index, default)| node_or_default(nodes.get(*index)?, default.as_ref()));
        let Some(fields) = fields.collect() else { return Planned::PerRecord };
        let node = Node::Struct { presence: None, fields };
        self.target.replaced(input, Some(PlannedValue { schema: Some(selection.schema), node }))
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        if part.value.is_null() {
            return Ok(Keep::Record);
        }
        let replaced = match &part.schema {
            None => {
                let value = self.rules.replace_in_map(require_map(part, PURPOSE)?);
                SchemaAndValue { schema: None, value }
            }
            Some(_) => {
                let value = require_struct(part, PURPOSE)?;
                let rules = &self.rules;
                let schema = value.schema();
                let selection = self.made.get(schema, (), |()| rules.select(schema))?;
                let values = value.values();
                let field = |(index, default): &(usize, Option<Value>)| {
                    or_default(&values[*index], default.as_ref())
                };
                let values = selection.fields.iter().map(field).collect();
                let schema = selection.schema.clone();
                let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
                SchemaAndValue { schema: Some(schema), value }
            }
        };
        *self.target.of_mut(record) = replaced;
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, map, plan_agrees, record, shape, smt};

    fn replaced(settings: &[(&str, &str)]) -> Result<String, String> {
        let mut smt = smt(construct_value, settings)?;
        let (plan, batch) = shape("t");
        plan_agrees(smt.as_mut(), &plan, &batch);
        let mut record = record("t");
        apply(smt.as_mut(), &mut record)?;
        let schema = record.value.schema.unwrap();
        assert_eq!((schema.name(), schema.is_optional()), (Some("t.Value"), false));
        Ok(crate::data::values::format(&record.value.value).unwrap())
    }

    #[test]
    fn fields_are_chosen_by_their_old_names() {
        for (settings, expected) in [
            (&[][..], r#"{"id":1,"name":"a","kind":"n/a"}"#),
            (&[("exclude", "name")], r#"{"id":1,"kind":"n/a"}"#),
            (&[("include", "name, id")], r#"{"id":1,"name":"a"}"#),
            (&[("include", "name,id"), ("exclude", "id")], r#"{"name":"a"}"#),
            (&[("renames", "name:x"), ("exclude", "id,kind")], r#"{"x":"a"}"#),
            (&[("renames", "id:name,name:id"), ("exclude", "kind")], r#"{"name":1,"id":"a"}"#),
            (&[("exclude", "id,name,kind")], "{}"),
            (&[("blacklist", "name")], r#"{"id":1,"kind":"n/a"}"#),
            (&[("whitelist", "name")], r#"{"name":"a"}"#),
        ] {
            assert_eq!(replaced(settings).as_deref(), Ok(expected), "{settings:?}");
        }
    }

    #[test]
    fn nulls_become_defaults_unless_switched_off() {
        let kind = |settings: &[(&str, &str)]| {
            let mut smt = smt(construct_value, settings).unwrap();
            let mut record = record("t");
            apply(smt.as_mut(), &mut record).unwrap();
            record.value.value.as_struct().unwrap().get("kind").unwrap().clone()
        };
        assert_eq!(kind(&[]), Value::string("n/a"));
        assert_eq!(kind(&[("replace.null.with.default", "false")]), Value::Null);
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (settings, expected) in [
            (
                &[("renames", "id:name")][..],
                "Cannot create field because of field name duplication name",
            ),
            (
                &[("renames", "i")],
                "Invalid value [i] for configuration renames: Invalid rename mapping: i",
            ),
        ] {
            assert_eq!(replaced(settings).unwrap_err(), expected);
        }
        let mut smt = smt(construct_value, &[]).unwrap();
        for (schema, expected) in [
            (
                record("t").value.schema,
                "Only Struct objects supported for [field replacement], found: java.lang.String",
            ),
            (
                None,
                "Only Map objects supported in absence of schema for [field replacement], found: java.lang.String",
            ),
        ] {
            let mut record = record("t");
            record.value = SchemaAndValue { schema, value: Value::string("x") };
            assert_eq!(apply(smt.as_mut(), &mut record), Err(expected.to_owned()));
        }
    }

    #[test]
    fn maps_and_nulls() {
        let mut smt = smt(construct_value, &[("exclude", "a"), ("renames", "b:c")]).unwrap();
        let mut record = record("t");
        record.value = SchemaAndValue { schema: None, value: map(&[("a", 1), ("b", 2), ("z", 3)]) };
        apply(smt.as_mut(), &mut record).unwrap();
        assert_eq!(record.value.value, map(&[("c", 2), ("z", 3)]));
        record.value = SchemaAndValue::NULL;
        let untouched = record.clone();
        apply(smt.as_mut(), &mut record).unwrap();
        assert_eq!(record, untouched);
    }
}
