//! `io.debezium.transforms.SchemaChangeEventFilter`: drops schema changes of listed types.

use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Record, Value};
use crate::error::ConnectError;

const TYPES: [&str; 5] = ["CREATE", "ALTER", "DROP", "TRUNCATE", "DATABASE"];

/// The configuration keys.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "schema.change.event.exclude.list",
            ConfigType::List,
            "The types of schema changes to drop: CREATE, ALTER, DROP, TRUNCATE, DATABASE.",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::List(items) if items.is_empty() => Some("A value is required".to_owned()),
            ConfigValue::List(items) => {
                let unknown = items.iter().find(|item| !TYPES.contains(&item.as_str()))?;
                Some(format!(
                    "No enum constant \
                     io.debezium.schema.SchemaChangeEvent.SchemaChangeEventType.{unknown}"
                ))
            }
            _ => None,
        })),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let excluded = config_def().parse(props)?.list("schema.change.event.exclude.list");
    Ok(Box::new(SchemaChangeEventFilter { excluded }))
}

#[derive(Debug)]
struct SchemaChangeEventFilter {
    excluded: Vec<String>,
}

impl Transformation for SchemaChangeEventFilter {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let name = record.value.schema.as_ref().and_then(|schema| schema.name());
        let Value::Struct(change) = &record.value.value else { return Ok(Keep::Record) };
        if !name.is_some_and(|name| name.ends_with("SchemaChangeValue")) {
            return Ok(Keep::Record);
        }
        let kind = match change.get("tableChanges") {
            Some(Value::Array(changes)) => match changes.first() {
                None => Some("DATABASE"),
                Some(first) => {
                    first.as_struct().and_then(|first| first.get("type")).and_then(Value::as_str)
                }
            },
            // No list at all says nothing about tables.
            _ => return Ok(Keep::Drop),
        };
        let dropped = kind.is_some_and(|kind| self.excluded.iter().any(|item| item == kind));
        Ok(if dropped { Keep::Drop } else { Keep::Record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaAndValue, SchemaBuilder, Struct, Type};
    use crate::transform::testing::{apply, change, record, row, smt};

    fn schema_change(name: &str, kinds: Option<&[&str]>) -> Record {
        let text = SchemaBuilder::new(Type::String).build();
        let item = SchemaBuilder::structure().field("type", text).build();
        let list = SchemaBuilder::array(item.clone()).optional().build();
        let schema = SchemaBuilder::structure().name(name).field("tableChanges", list).build();
        let entry = |kind: &&str| {
            Value::Struct(Box::new(Struct::new(item.clone(), vec![Value::string(kind)])))
        };
        let list =
            kinds.map_or(Value::Null, |kinds| Value::Array(kinds.iter().map(entry).collect()));
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), vec![list])));
        Record { value: SchemaAndValue { schema: Some(schema), value }, ..record("s") }
    }

    #[test]
    fn listed_types_are_dropped() {
        let settings = [("schema.change.event.exclude.list", "DROP, DATABASE")];
        let mut smt = smt(construct, &settings).unwrap();
        let name = "io.debezium.connector.mysql.SchemaChangeValue";
        for (mut record, expected) in [
            (schema_change(name, Some(&["DROP", "ALTER"])), Keep::Drop),
            (schema_change(name, Some(&["ALTER", "DROP"])), Keep::Record),
            (schema_change(name, Some(&[])), Keep::Drop),
            (schema_change(name, None), Keep::Drop),
            (schema_change("other", None), Keep::Record),
            (change("c", Value::Null, row(1, "a")), Keep::Record),
        ] {
            assert_eq!(apply(smt.as_mut(), &mut record), Ok(expected));
        }
    }
}
