//! `org.apache.kafka.connect.transforms.HeaderFrom`: fields moved or copied into headers.

use std::sync::Arc;

use super::rebuild::{Fields, MadeOnce, basics, non_empty_list, or_default};
use super::target::{Target, require_map, require_struct};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::{Header, Record, Schema, SchemaAndValue, Struct, Value};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("fields", ConfigType::List, "The fields to put into headers.")
            .required()
            .high()
            .check(Validator::Custom(non_empty_list)),
        ConfigKey::new("headers", ConfigType::List, "The header of each field, in the same order.")
            .required()
            .high()
            .check(Validator::Custom(non_empty_list)),
        ConfigKey::new(
            "operation",
            ConfigType::String,
            "Whether the fields stay (copy) or go (move).",
        )
        .required()
        .high()
        .check(Validator::OneOf(&["move", "copy"])),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `HeaderFrom$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `HeaderFrom$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let (fields, headers) = (parsed.list("fields"), parsed.list("headers"));
    if fields.len() != headers.len() {
        return Err(ConnectError::config(
            "'fields' config must have the same number of elements as 'headers' config.",
        ));
    }
    Ok(Box::new(HeaderFrom {
        target,
        pairs: fields.into_iter().zip(headers).collect(),
        moves: parsed.string("operation") == "move",
        replace_null_with_default: parsed.boolean("replace.null.with.default"),
        made: MadeOnce::new(),
    }))
}

#[derive(Debug)]
struct HeaderFrom {
    target: Target,
    /// Field and header.
    pairs: Vec<(String, String)>,
    moves: bool,
    replace_null_with_default: bool,
    /// Schemas without the moved fields, and the fields that stay.
    made: MadeOnce<(), (Arc<Schema>, Vec<usize>)>,
}

impl Transformation for HeaderFrom {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let purpose = if self.moves { "header move" } else { "header copy" };
        let part = self.target.of(record);
        let (headers, rest) = match &part.schema {
            None => self.from_map(require_map(part, purpose)?),
            Some(_) => self.from_struct(require_struct(part, purpose)?)?,
        };
        record.headers.extend(headers);
        if let Some(rest) = rest {
            *self.target.of_mut(record) = rest;
        }
        Ok(Keep::Record)
    }
}

impl HeaderFrom {
    fn from_map(&self, entries: &[(Value, Value)]) -> (Vec<Header>, Option<SchemaAndValue>) {
        let header = |(field, header): &(String, String)| {
            let entry = entries.iter().find(|(key, _)| key.as_str() == Some(field));
            let value = entry.map_or(Value::Null, |(_, value)| value.clone());
            Header { key: header.clone(), schema: None, value }
        };
        let headers = self.pairs.iter().map(header).collect();
        let stays = |(key, _): &&(Value, Value)| !key.as_str().is_some_and(|key| self.takes(key));
        let rest = self.moves.then(|| SchemaAndValue {
            schema: None,
            value: Value::Map(entries.iter().filter(stays).cloned().collect()),
        });
        (headers, rest)
    }

    fn takes(&self, field: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name == field)
    }

    fn from_struct(
        &mut self,
        value: &Struct,
    ) -> Result<(Vec<Header>, Option<SchemaAndValue>), ConnectError> {
        let (schema, values) = (value.schema(), value.values());
        let replace = self.replace_null_with_default;
        let get = |index: usize| {
            let default = schema.fields()[index].schema.default_value();
            or_default(&values[index], default.filter(|_| replace))
        };
        let mut headers = Vec::with_capacity(self.pairs.len());
        for (name, header) in &self.pairs {
            let (index, field) = schema
                .field(name)
                .ok_or_else(|| ConnectError::data(format!("{name} is not a valid field name")))?;
            let schema = Some(field.schema.clone());
            headers.push(Header { key: header.clone(), schema, value: get(index) });
        }
        if !self.moves {
            return Ok((headers, None));
        }
        let pairs = &self.pairs;
        let made = self.made.get(schema, (), |()| without(schema, pairs))?;
        let (rest, stay) = made.as_ref();
        let values = stay.iter().map(|index| get(*index)).collect();
        let value = Value::Struct(Box::new(Struct::new(rest.clone(), values)));
        Ok((headers, Some(SchemaAndValue { schema: Some(rest.clone()), value })))
    }
}

fn without(
    schema: &Schema,
    pairs: &[(String, String)],
) -> Result<(Arc<Schema>, Vec<usize>), ConnectError> {
    let (mut fields, mut stay) = (Fields::new(), Vec::new());
    for (index, field) in schema.fields().iter().enumerate() {
        if !pairs.iter().any(|(name, _)| *name == field.name) {
            fields.push(&field.name, field.schema.clone())?;
            stay.push(index);
        }
    }
    Ok((fields.build(basics(schema)), stay))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;
    use crate::transform::testing::{apply, map, record, smt};

    fn run(settings: &[(&str, &str)], mut record: Record) -> Result<(Vec<Header>, String), String> {
        let mut smt = smt(construct_value, settings)?;
        apply(smt.as_mut(), &mut record)?;
        Ok((record.headers, values::format(&record.value.value).unwrap()))
    }

    const FIELDS: [(&str, &str); 2] = [("fields", "kind,id"), ("headers", "k,i")];

    #[test]
    fn fields_become_headers() {
        for (operation, expected) in
            [("move", r#"{"name":"a"}"#), ("copy", r#"{"id":1,"name":"a","kind":"n/a"}"#)]
        {
            let settings = [&FIELDS[..], &[("operation", operation)]].concat();
            let (headers, value) = run(&settings, record("t")).unwrap();
            let shown: Vec<_> = headers.iter().map(|h| (h.key.as_str(), h.value.clone())).collect();
            assert_eq!(shown, [("k", Value::string("n/a")), ("i", Value::Int32(1))]);
            assert!(headers[0].schema.as_ref().unwrap().is_optional());
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn maps_and_what_is_missing() {
        let settings = [("fields", "a,zz"), ("headers", "h,z"), ("operation", "move")];
        let value = SchemaAndValue { schema: None, value: map(&[("a", 1), ("b", 2)]) };
        let (headers, value) = run(&settings, Record { value, ..record("t") }).unwrap();
        assert_eq!(headers[1].value, Value::Null);
        assert_eq!(value, r#"{"b":2}"#);
        for (record, expected) in [
            (record("t"), "a is not a valid field name"),
            (
                Record { value: SchemaAndValue::NULL, ..record("t") },
                "Only Map objects supported in absence of schema for [header move], found: null",
            ),
        ] {
            assert_eq!(run(&settings, record).unwrap_err(), expected);
        }
    }

    #[test]
    fn settings_are_checked() {
        for (settings, expected) in [
            (
                [("fields", "a,b"), ("headers", "h"), ("operation", "move")],
                "'fields' config must have the same number of elements as 'headers' config.",
            ),
            (
                [("fields", "a"), ("headers", "h"), ("operation", "Move")],
                "Invalid value Move for configuration operation: String must be one of: move, copy",
            ),
        ] {
            assert_eq!(run(&settings, record("t")).unwrap_err(), expected);
        }
    }
}
