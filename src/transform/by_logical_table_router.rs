//! `io.debezium.transforms.ByLogicalTableRouter`: the changes of several physical tables in the topic
//! of one logical table, with keys that stay distinct.

use std::sync::Arc;

use super::envelope::{change_event, rehomed, without_fields};
use super::java_regex::Pattern;
use super::rebuild::{Fields, MadeOnce, basics};
use super::{Keep, Transformation};
use crate::config::{
    ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, SCHEMA_NAME_ADJUSTMENT_MODES,
    SchemaNameAdjustment, Validator,
};
use crate::data::{Field, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

/// The configuration keys of `ByLogicalTableRouter`, in the original's order.
pub fn config_def() -> ConfigDef {
    keys("__dbz__physicalTableIdentifier")
}

/// The configuration keys of `ToLogicalTopicRouter`.
pub fn topic_config_def() -> ConfigDef {
    keys("__dbz__sourceIdentifier")
}

fn keys(identifier: &'static str) -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key("topic.regex", ConfigType::String, "The expression that must match a whole topic.")
            .required()
            .check(Validator::Custom(pattern)),
        key(
            "topic.replacement",
            ConfigType::String,
            "What the topic becomes; $1 and ${name} are groups.",
        )
        .required()
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text) if !text.is_empty() => None,
            _ => Some("The 'topic.replacement' value is invalid: A value is required".to_owned()),
        })),
        key(
            "key.enforce.uniqueness",
            ConfigType::Boolean,
            "Whether a field that names the physical table is added to keys.",
        )
        .default("true"),
        key("key.field.name", ConfigType::String, "The name of that field.").default(identifier),
        key(
            "key.field.regex",
            ConfigType::String,
            "The expression that must match a whole topic, for the field's value to be made of it.",
        )
        .check(Validator::Custom(pattern)),
        key(
            "key.field.replacement",
            ConfigType::String,
            "What the field's value becomes then; required beside key.field.regex.",
        ),
        key(
            "schema.name.adjustment.mode",
            ConfigType::String,
            "How schema names are made fit for Avro: none, avro or avro_unicode.",
        )
        .default("none")
        .check(SCHEMA_NAME_ADJUSTMENT_MODES),
        key(
            "logical.table.cache.size",
            ConfigType::Int,
            "Without effect: rewritten schemas are kept for as long as they are in use.",
        )
        .default("16"),
    ])
}

fn pattern(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text) => Pattern::new(text)
            .err()
            .map(|error| format!("A valid regular expressions is expected, but {error}")),
        _ => None,
    }
}

/// Makes `ByLogicalTableRouter`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    router(&config_def(), props)
}

/// Makes `ToLogicalTopicRouter`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_to_topic(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    router(&topic_config_def(), props)
}

fn router(keys: &ConfigDef, props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = keys.parse(props)?;
    let compile = |text: &str| Pattern::new(text).map_err(ConnectError::config);
    let key_value = match parsed.optional_string("key.field.regex") {
        None => None,
        Some(regex) => {
            let replacement = parsed.optional_string("key.field.replacement").ok_or_else(|| {
                ConnectError::config(
                    "key.field.replacement must be non-empty if key.field.regex is set.",
                )
            })?;
            Some((compile(&regex)?, replacement))
        }
    };
    let mode = parsed.string("schema.name.adjustment.mode");
    Ok(Box::new(Router {
        topic: compile(&parsed.string("topic.regex"))?,
        replacement: parsed.string("topic.replacement"),
        key_field: parsed
            .boolean("key.enforce.uniqueness")
            .then(|| parsed.string("key.field.name")),
        key_value,
        names: SchemaNameAdjustment::parse(&mode).unwrap_or(SchemaNameAdjustment::None),
        keys: MadeOnce::new(),
        events: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct Router {
    topic: Pattern,
    replacement: String,
    /// The field that keeps keys distinct.
    key_field: Option<String>,
    /// How its value is made of the topic; otherwise it is the topic.
    key_value: Option<(Pattern, String)>,
    names: SchemaNameAdjustment,
    keys: MadeOnce<String, Arc<Schema>>,
    events: MadeOnce<String, Arc<Schema>>,
}

impl Transformation for Router {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if !self.topic.matches(&record.topic)? {
            return Ok(Keep::Record);
        }
        let topic = self.topic.replace_first(&record.topic, &self.replacement)?;
        if topic.is_empty() {
            tracing::warn!(topic = %record.topic, "the logical topic is empty; record left as it is");
            return Ok(Keep::Record);
        }
        let key = self.key(&record.key, &record.topic, &topic)?;
        let value = match change_event(record) {
            Some(event) => Some(self.event(event, &topic)?),
            None => None,
        };
        record.topic = topic.into();
        if let Some(key) = key {
            record.key = key;
        }
        if let Some(value) = value {
            record.value = value;
        }
        Ok(Keep::Record)
    }
}

impl Router {
    /// The key under its new schema; `None` when there is no key.
    fn key(
        &mut self,
        key: &SchemaAndValue,
        old_topic: &str,
        topic: &str,
    ) -> Result<Option<SchemaAndValue>, ConnectError> {
        let old = match &key.value {
            Value::Null => return Ok(None),
            Value::Struct(old) => old,
            other => {
                let class = other.java_class();
                return Err(ConnectError::data(format!(
                    "Only Struct objects supported for [Updating schema], found: {class}"
                )));
            }
        };
        let (names, key_field) = (self.names, self.key_field.as_deref());
        let schema = self.keys.get(old.schema(), topic.to_owned(), |topic| {
            let mut fields = Fields::new();
            for field in old.schema().fields() {
                fields.push(&field.name, field.schema.clone())?;
            }
            if let Some(name) = key_field {
                fields.push(name, SchemaBuilder::new(Type::String).build())?;
            }
            let builder = without_fields(old.schema()).name(names.adjust(&format!("{topic}.Key")));
            Ok(fields.build(builder))
        })?;
        let mut values = old.values().to_vec();
        if self.key_field.is_some() {
            let physical = match &self.key_value {
                Some((regex, replacement)) if regex.matches(old_topic)? => {
                    regex.replace_first(old_topic, replacement)?
                }
                _ => old_topic.to_owned(),
            };
            values.push(Value::string(physical));
        }
        let schema = schema.as_ref().clone();
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Ok(Some(SchemaAndValue { schema: Some(schema), value }))
    }

    fn event(&mut self, event: &Struct, topic: &str) -> Result<SchemaAndValue, ConnectError> {
        let names = self.names;
        let schema = self.events.get(event.schema(), topic.to_owned(), |topic| {
            let mut fields = Fields::new();
            for field in event.schema().fields() {
                let schema = if matches!(field.name.as_str(), "before" | "after") {
                    let name = names.adjust(&format!("{topic}.Value"));
                    let mut row = without_fields(&field.schema).name(name);
                    for column in field.schema.fields() {
                        row = row.field(column.name.as_str(), column.schema.clone());
                    }
                    row.build()
                } else {
                    field.schema.clone()
                };
                fields.push(&field.name, schema)?;
            }
            let name = names.adjust(&format!("{topic}.Envelope"));
            Ok(fields.build(basics(event.schema()).name(name)))
        })?;
        let schema = schema.as_ref().clone();
        let value = |(field, value): (&Field, &Value)| match field.name.as_str() {
            "before" | "after" => rehomed(value, &field.schema),
            _ => value.clone(),
        };
        let values = schema.fields().iter().zip(event.values()).map(value).collect();
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Ok(SchemaAndValue { schema: Some(schema), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, change, record, row, smt};

    fn run(settings: &[(&str, &str)], mut record: Record) -> Result<Record, String> {
        let base = [("topic.regex", r"s\.db\.(.*)"), ("topic.replacement", "all")];
        let settings: Vec<_> = base.iter().chain(settings).copied().collect();
        let mut smt = smt(construct, &settings)?;
        apply(smt.as_mut(), &mut record)?;
        Ok(record)
    }

    fn text(value: &Value) -> String {
        values::format(value).unwrap()
    }

    fn name(part: &SchemaAndValue) -> &str {
        part.schema.as_ref().and_then(|schema| schema.name()).unwrap()
    }

    #[test]
    fn topic_key_and_event_are_renamed() {
        let output = run(&[], change("u", row(1, "a"), row(1, "b"))).unwrap();
        assert_eq!((&*output.topic, name(&output.key)), ("all", "all.Key"));
        assert_eq!(
            text(&output.key.value),
            r#"{"id":1,"__dbz__physicalTableIdentifier":"s.db.t"}"#
        );
        let schema = output.value.schema.as_ref().unwrap();
        assert_eq!((schema.name(), schema.version()), (Some("all.Envelope"), Some(2)));
        for image in ["before", "after"] {
            let (_, field) = schema.field(image).unwrap();
            assert_eq!(
                (field.schema.name(), field.schema.is_optional()),
                (Some("all.Value"), true)
            );
            let row = output.value.value.as_struct().unwrap().get(image).unwrap();
            assert!(Arc::ptr_eq(row.as_struct().unwrap().schema(), &field.schema));
        }
    }

    #[test]
    fn the_identifier_can_be_made_of_the_topic_or_left_out() {
        let key = |settings: &[(&str, &str)]| {
            text(&run(settings, change("c", Value::Null, row(1, "a"))).unwrap().key.value)
        };
        let regex = ("key.field.regex", r"s\.(.*)\.t");
        let replacement = ("key.field.replacement", "$1");
        assert_eq!(key(&[regex, replacement, ("key.field.name", "p")]), r#"{"id":1,"p":"db"}"#);
        let other = ("key.field.regex", "none");
        assert_eq!(key(&[other, replacement, ("key.field.name", "p")]), r#"{"id":1,"p":"s.db.t"}"#);
        assert_eq!(key(&[("key.enforce.uniqueness", "false")]), r#"{"id":1}"#);
    }

    #[test]
    fn other_records_and_topics() {
        let untouched = record("other");
        assert_eq!(run(&[], untouched.clone()).unwrap(), untouched);
        let empty = change("c", Value::Null, row(1, "a"));
        assert_eq!(run(&[("topic.replacement", "$9")], empty.clone()).unwrap_err(), "No group 9");
        let tombstone = Record { value: SchemaAndValue::NULL, ..empty };
        let output = run(&[], tombstone).unwrap();
        assert_eq!((&*output.topic, name(&output.key)), ("all", "all.Key"));
        assert_eq!(output.value, SchemaAndValue::NULL);
        let without_key = Record { key: SchemaAndValue::NULL, ..record("s.db.t") };
        assert_eq!(run(&[], without_key).unwrap().key, SchemaAndValue::NULL);
        let text = SchemaAndValue { schema: None, value: Value::string("k") };
        assert_eq!(
            run(&[], Record { key: text, ..record("s.db.t") }).unwrap_err(),
            "Only Struct objects supported for [Updating schema], found: java.lang.String"
        );
    }

    #[test]
    fn settings_are_checked() {
        let error = run(&[("key.field.regex", "a")], record("t")).unwrap_err();
        assert_eq!(error, "key.field.replacement must be non-empty if key.field.regex is set.");
        assert!(smt(construct, &[("topic.regex", "("), ("topic.replacement", "x")]).is_err());
        let mode = run(&[("schema.name.adjustment.mode", "x")], record("t")).unwrap_err();
        assert!(mode.ends_with("Value must be one of none, avro, avro_unicode"), "{mode}");
    }
}
