//! `io.debezium.transforms.HeaderToValue`: headers moved or copied into fields of the value.

use std::sync::Arc;

use super::envelope::{PLAIN_ITEMS, without_fields};
use super::rebuild::{Fields, or_default};
use super::target::require_struct;
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Field, Record, Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("headers", ConfigType::List, "The headers to put into the value.")
            .required()
            .high()
            .check(PLAIN_ITEMS),
        ConfigKey::new(
            "fields",
            ConfigType::List,
            "The field for each header, in the same order; a dot leads into a struct.",
        )
        .required()
        .high()
        .check(PLAIN_ITEMS),
        ConfigKey::new(
            "operation",
            ConfigType::String,
            "Whether the headers stay (copy) or go (move).",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::String(text)
                if text.eq_ignore_ascii_case("move") || text.eq_ignore_ascii_case("copy") =>
            {
                None
            }
            _ => Some("Value must be one of move, copy".to_owned()),
        })),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let (headers, fields) = (parsed.list("headers"), parsed.list("fields"));
    if headers.len() != fields.len() {
        return Err(ConnectError::config(
            "'fields' config must have the same number of elements as 'headers' config.",
        ));
    }
    let path = |field: String| field.split('.').map(str::to_owned).collect();
    Ok(Box::new(HeaderToValue {
        pairs: headers.into_iter().zip(fields.into_iter().map(path)).collect(),
        moves: parsed.string("operation").eq_ignore_ascii_case("move"),
        last: None,
    }))
}

#[derive(Debug)]
struct HeaderToValue {
    /// Header, and the path of its field.
    pairs: Vec<(String, Vec<String>)>,
    moves: bool,
    last: Option<Made>,
}

/// The newest output schema with what it was made of.
#[derive(Debug)]
struct Made {
    input: Arc<Schema>,
    headers: Vec<Option<Arc<Schema>>>,
    output: Arc<Schema>,
}

/// A header's value on its way to a field: the path, relative to the struct being built.
#[derive(Debug)]
struct Entry<'a> {
    path: &'a [String],
    whole: &'a [String],
    schema: Arc<Schema>,
    value: Value,
}

impl Transformation for HeaderToValue {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        if record.value.value.is_null() {
            return Ok(Keep::Record);
        }
        let value = require_struct(&record.value, "Header field insertion")?;
        let (mut entries, mut headers) = (Vec::new(), Vec::new());
        for (name, path) in &self.pairs {
            let header = record.headers.iter().rfind(|header| header.key == *name);
            headers.push(header.and_then(|header| header.schema.clone()));
            let Some(header) = header else { continue };
            let schema = header.schema.clone().ok_or_else(|| {
                ConnectError::data(format!("header {name} has no schema that a field could have"))
            })?;
            entries.push(Entry { path, whole: path, schema, value: header.value.clone() });
        }
        if entries.is_empty() {
            return Ok(Keep::Record);
        }
        let schema = match &self.last {
            Some(made) if Arc::ptr_eq(&made.input, value.schema()) && made.headers == headers => {
                made.output.clone()
            }
            _ => extended(without_fields(value.schema()), value.schema().fields(), &entries)?,
        };
        let output = filled(&schema, Some(value), &entries);
        self.last = Some(Made { input: value.schema().clone(), headers, output: schema.clone() });
        record.value = SchemaAndValue { schema: Some(schema), value: output };
        if self.moves {
            record.headers.retain(|header| !self.pairs.iter().any(|(name, _)| *name == header.key));
        }
        Ok(Keep::Record)
    }
}

fn extended(
    builder: SchemaBuilder,
    present: &[Field],
    entries: &[Entry<'_>],
) -> Result<Arc<Schema>, ConnectError> {
    let mut fields = Fields::new();
    for field in present {
        let inner = below(&field.name, entries);
        if let (Some(entry), true) = (inner.first(), field.schema.ty() != Type::Struct) {
            let (name, whole) = (&field.name, entry.whole.join("."));
            return Err(ConnectError::data(format!(
                "Field '{name}' is a primitive type, not a struct. Cannot add nested field '{whole}'."
            )));
        }
        let schema = if inner.is_empty() {
            field.schema.clone()
        } else {
            extended(without_fields(&field.schema), field.schema.fields(), &inner)?
        };
        fields.push(&field.name, schema)?;
    }
    let mut added: Vec<&str> = present.iter().map(|field| field.name.as_str()).collect();
    for entry in entries {
        let Some(name) = entry.path.first() else { continue };
        if added.contains(&name.as_str()) {
            continue;
        }
        added.push(name);
        let inner = below(name, entries);
        let schema = if entry.path.len() == 1 {
            entry.schema.clone()
        } else {
            extended(SchemaBuilder::structure().optional(), &[], &inner)?
        };
        fields.push(name, schema)?;
    }
    Ok(fields.build(builder))
}

/// The entries that lead into the member `name`, as seen from there.
fn below<'a>(name: &str, entries: &[Entry<'a>]) -> Vec<Entry<'a>> {
    let inner = |entry: &Entry<'a>| match entry.path {
        [first, rest @ ..] if first == name && !rest.is_empty() => Some(Entry {
            path: rest,
            whole: entry.whole,
            schema: entry.schema.clone(),
            value: entry.value.clone(),
        }),
        _ => None,
    };
    entries.iter().filter_map(inner).collect()
}

fn filled(schema: &Arc<Schema>, present: Option<&Struct>, entries: &[Entry<'_>]) -> Value {
    let value = |field: &Field| {
        let own = entries.iter().find(|e| matches!(e.path, [name] if *name == field.name));
        if let Some(entry) = own {
            return entry.value.clone();
        }
        let old = present.and_then(|present| present.get(&field.name));
        let inner = below(&field.name, entries);
        match old {
            // The original copies what `Struct.get` says.
            Some(old) if inner.is_empty() => or_default(old, field.schema.default_value()),
            None if inner.is_empty() => Value::Null,
            // A struct that is null in this record cannot hold the value: its other columns are not
            // known.
            Some(Value::Null) => Value::Null,
            old => filled(&field.schema, old.and_then(Value::as_struct), &inner),
        }
    };
    let values = schema.fields().iter().map(value).collect();
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Header, values};
    use crate::transform::testing::{apply, change, record, row, smt};

    fn header(key: &str, value: &str) -> Header {
        let schema = Some(SchemaBuilder::new(Type::String).build());
        Header { key: key.to_owned(), schema, value: Value::string(value) }
    }

    fn run(settings: [&str; 3], mut record: Record) -> Result<(String, Record), String> {
        let settings =
            [("headers", settings[0]), ("fields", settings[1]), ("operation", settings[2])];
        let mut smt = smt(construct, &settings)?;
        apply(smt.as_mut(), &mut record)?;
        Ok((values::format(&record.value.value).unwrap_or_default(), record))
    }

    fn with_headers(record: Record, headers: &[(&str, &str)]) -> Record {
        let headers = headers.iter().map(|(key, value)| header(key, value)).collect();
        Record { headers, ..record }
    }

    #[test]
    fn headers_become_fields() {
        let plain = || with_headers(record("t"), &[("h1", "x"), ("h2", "y"), ("h1", "z")]);
        let (value, output) = run(["h1,h2,none", "f1,n.f2,f3", "Copy"], plain()).unwrap();
        assert_eq!(value, r#"{"id":1,"name":"a","kind":"n/a","f1":"z","n":{"f2":"y"}}"#);
        assert_eq!(output.headers.len(), 3);
        let nested = output.value.schema.as_ref().unwrap().field("n").unwrap().1;
        assert!(nested.schema.is_optional());
        let (_, output) = run(["h1,h2", "f1,n.f2", "move"], plain()).unwrap();
        assert!(output.headers.is_empty());
        // A field that exists keeps its schema and takes the value.
        let (value, output) = run(["h1", "name", "copy"], plain()).unwrap();
        assert_eq!(value, r#"{"id":1,"name":"z","kind":"n/a"}"#);
        assert!(output.value.schema.unwrap().field("name").unwrap().1.schema.is_optional());
    }

    #[test]
    fn fields_nest_in_change_events() {
        let event = || with_headers(change("c", Value::Null, row(1, "a")), &[("h", "x")]);
        let (value, _) = run(["h", "after.h", "copy"], event()).unwrap();
        assert!(value.contains(r#""after":{"id":1,"name":"a","h":"x"}"#), "{value}");
        let (value, _) = run(["h", "before.h", "copy"], event()).unwrap();
        assert!(value.contains(r#""before":null"#), "{value}");
        assert_eq!(
            run(["h", "op.f1", "copy"], event()).unwrap_err(),
            "Field 'op' is a primitive type, not a struct. Cannot add nested field 'op.f1'."
        );
    }

    #[test]
    fn what_has_no_value_passes_and_other_values_fail() {
        let tombstone = Record { value: SchemaAndValue::NULL, ..record("t") };
        let tombstone = with_headers(tombstone, &[("h", "x")]);
        let (_, output) = run(["h", "f", "move"], tombstone.clone()).unwrap();
        assert_eq!(output, tombstone);
        let text = SchemaAndValue { schema: None, value: Value::string("x") };
        assert_eq!(
            run(["h", "f", "move"], Record { value: text, ..record("t") }).unwrap_err(),
            "Only Struct objects supported for [Header field insertion], found: java.lang.String"
        );
        let mut bare = with_headers(record("t"), &[("h", "x")]);
        bare.headers[0].schema = None;
        assert_eq!(
            run(["h", "f", "move"], bare).unwrap_err(),
            "header h has no schema that a field could have"
        );
    }

    #[test]
    fn settings_are_checked() {
        for (settings, expected) in [
            (
                ["a,b", "f", "move"],
                "'fields' config must have the same number of elements as 'headers' config.",
            ),
            (
                ["a", "f", "swap"],
                "Invalid value swap for configuration operation: Value must be one of move, copy",
            ),
            (
                ["a b", "f", "move"],
                "Invalid value [a b] for configuration headers: Element(s) containing space not \
                 permitted",
            ),
        ] {
            assert_eq!(run(settings, record("t")).unwrap_err(), expected);
        }
    }
}
