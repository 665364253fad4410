//! `io.debezium.transforms.ExtractChangedRecordState`: headers that name the columns which an update
//! changed, and those which it left alone.

use super::envelope::{change_event, member};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{Header, Record, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "header.changed.name",
            ConfigType::String,
            "The header for the names of the columns that changed.",
        ),
        ConfigKey::new(
            "header.unchanged.name",
            ConfigType::String,
            "The header for the names of the columns that did not change.",
        ),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    Ok(Box::new(ExtractChangedRecordState {
        changed: parsed.optional_string("header.changed.name"),
        unchanged: parsed.optional_string("header.unchanged.name"),
    }))
}

#[derive(Debug)]
struct ExtractChangedRecordState {
    changed: Option<String>,
    unchanged: Option<String>,
}

impl Transformation for ExtractChangedRecordState {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Some(event) = change_event(record) else { return Ok(Keep::Record) };
        let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
        if let (Some(before), Some(after)) = (member(event, "before"), member(event, "after")) {
            compare(before, after, &mut changed, &mut unchanged);
        }
        for (name, columns) in [(&self.changed, changed), (&self.unchanged, unchanged)] {
            if let Some(name) = name {
                record.headers.push(header(name, columns));
            }
        }
        Ok(Keep::Record)
    }
}

fn compare(before: &Struct, after: &Struct, changed: &mut Vec<Value>, unchanged: &mut Vec<Value>) {
    for (field, value) in after.schema().fields().iter().zip(after.values()) {
        let same = before.get(&field.name).is_some_and(|old| old == value);
        let columns = if same { &mut *unchanged } else { &mut *changed };
        columns.push(Value::string(&field.name));
    }
}

fn header(name: &str, columns: Vec<Value>) -> Header {
    let items = SchemaBuilder::new(Type::String).optional().build();
    let schema = SchemaBuilder::array(items).optional().name(name).build();
    Header { key: name.to_owned(), schema: Some(schema), value: Value::Array(columns) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaAndValue, values};
    use crate::transform::testing::{apply, change, record, row, smt};

    const NAMES: [(&str, &str); 2] =
        [("header.changed.name", "Changed"), ("header.unchanged.name", "Unchanged")];

    fn headers(settings: &[(&str, &str)], mut record: Record) -> Vec<(String, String)> {
        let mut smt = smt(construct, settings).unwrap();
        assert_eq!(apply(smt.as_mut(), &mut record), Ok(Keep::Record));
        let shown = |header: &Header| {
            assert_eq!(header.schema.as_ref().unwrap().name(), Some(header.key.as_str()));
            (header.key.clone(), values::format(&header.value).unwrap())
        };
        record.headers.iter().map(shown).collect()
    }

    #[test]
    fn updates_are_compared_column_by_column() {
        for (name, event, expected) in [
            ("update", change("u", row(1, "a"), row(1, "b")), [r#"["name"]"#, r#"["id"]"#]),
            ("no change", change("u", row(1, "a"), row(1, "a")), ["[]", r#"["id","name"]"#]),
            ("insert", change("c", Value::Null, row(1, "a")), ["[]", "[]"]),
            ("delete", change("d", row(1, "a"), Value::Null), ["[]", "[]"]),
        ] {
            let expected = [
                ("Changed".to_owned(), expected[0].to_owned()),
                ("Unchanged".to_owned(), expected[1].to_owned()),
            ];
            assert_eq!(headers(&NAMES, event), expected, "{name}");
        }
        let event = change("u", row(1, "a"), row(2, "a"));
        assert_eq!(headers(&NAMES[..1], event).len(), 1, "only what is asked for");
    }

    #[test]
    fn tombstones_and_other_records_pass() {
        assert!(headers(&NAMES, record("t")).is_empty());
        let tombstone = Record { value: SchemaAndValue::NULL, ..record("t") };
        assert!(headers(&NAMES, tombstone).is_empty());
    }
}
