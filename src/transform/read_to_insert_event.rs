//! `io.debezium.connector.mysql.transforms.ReadToInsertEvent`: rows of a snapshot as inserts.

use std::sync::Arc;

use super::envelope::{change_event, text};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, Props};
use crate::data::{Record, Struct, Value};
use crate::error::ConnectError;

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the transform.
///
/// # Errors
/// None; the signature is that of all transforms.
pub fn construct(_props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    Ok(Box::new(ReadToInsertEvent))
}

#[derive(Debug)]
struct ReadToInsertEvent;

impl Transformation for ReadToInsertEvent {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let read = change_event(record).filter(|event| text(event, "op") == Some("r"));
        let Some(event) = read else { return Ok(Keep::Record) };
        let schema = Arc::clone(event.schema());
        let fields = schema.fields().iter().zip(event.values());
        let values = fields.map(|(field, value)| match field.name.as_str() {
            "op" => Value::string("c"),
            _ => value.clone(),
        });
        let values = values.collect();
        record.value.value = Value::Struct(Box::new(Struct::new(schema, values)));
        Ok(Keep::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, change, record, row, smt};

    #[test]
    fn reads_become_creates_and_nothing_else_changes() {
        let mut smt = smt(construct, &[]).unwrap();
        for (input, expected) in [
            (change("r", Value::Null, row(1, "a")), change("c", Value::Null, row(1, "a"))),
            (change("u", row(1, "a"), row(1, "b")), change("u", row(1, "a"), row(1, "b"))),
            (record("t"), record("t")),
        ] {
            let mut output = input;
            assert_eq!(apply(smt.as_mut(), &mut output), Ok(Keep::Record));
            assert_eq!(output, expected);
        }
    }
}
