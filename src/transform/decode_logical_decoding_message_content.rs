//! `io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent`: the JSON in a
//! logical message (`pg_logical_emit_message`) as the row of an insert.

use super::rebuild::basics;
use super::{Keep, Transformation, json_expansion};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{Record, SchemaAndValue, SchemaBuilder, Struct, Value};
use crate::error::ConnectError;

const MESSAGE: &str = "io.debezium.connector.postgresql.MessageValue";

/// The configuration key.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "fields.null.include",
            ConfigType::Boolean,
            "Whether members that are null become fields, of type BYTES.",
        )
        .default("false"),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let null_is_bytes = config_def().parse(props)?.boolean("fields.null.include");
    let untyped = json_expansion::Untyped { null_is_bytes, empty_array_is_strings: false };
    Ok(Box::new(DecodeLogicalDecodingMessageContent { untyped }))
}

#[derive(Debug)]
struct DecodeLogicalDecodingMessageContent {
    untyped: json_expansion::Untyped,
}

impl Transformation for DecodeLogicalDecodingMessageContent {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let name = record.value.schema.as_ref().and_then(|schema| schema.name());
        let Value::Struct(message) = &record.value.value else { return Ok(Keep::Record) };
        if name != Some(MESSAGE) {
            return Ok(Keep::Record);
        }
        record.value = self.decoded(message)?;
        record.key = SchemaAndValue::NULL;
        Ok(Keep::Record)
    }
}

impl DecodeLogicalDecodingMessageContent {
    fn decoded(&self, message: &Struct) -> Result<SchemaAndValue, ConnectError> {
        let content = message.get("message").and_then(Value::as_struct);
        let content = content.and_then(|content| content.get("content"));
        let Some(Value::Bytes(content)) = content else {
            return Err(ConnectError::data("the logical message has no content"));
        };
        // The content is a row: it does not belong into an error.
        let text = std::str::from_utf8(content)
            .map_err(|_| ConnectError::data("the logical message's content is not UTF-8"))?;
        if !text.starts_with(['{', '[']) {
            return Err(ConnectError::data(
                "Unable to parse logical decoding message content JSON string",
            ));
        }
        if text.starts_with('[') {
            return Err(ConnectError::data("Not a struct schema: Schema{ARRAY}"));
        }
        let (after_schema, after) =
            json_expansion::expand("", text, self.untyped).map_err(|reason| {
                ConnectError::data("the logical message's content cannot be expanded")
                    .because(ConnectError::data(reason))
            })?;
        let mut builder = SchemaBuilder::structure().name(format!("{MESSAGE}.Envelope"));
        for (key, value) in basics(message.schema()).build().parameters() {
            builder = builder.parameter(key.as_str(), value.as_str());
        }
        let mut values = Vec::with_capacity(message.values().len());
        for (field, value) in message.schema().fields().iter().zip(message.values()) {
            if field.name == "message" {
                continue;
            }
            builder = builder.field(field.name.as_str(), field.schema.clone());
            values.push(if field.name == "op" { Value::string("c") } else { value.clone() });
        }
        let schema = builder.field("after", after_schema).build();
        values.push(after);
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Ok(SchemaAndValue { schema: Some(schema), value })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::data::{Type, values};
    use crate::transform::testing::{apply, record, smt};

    fn message(content: &str) -> Record {
        let inner = SchemaBuilder::structure()
            .field("prefix", SchemaBuilder::new(Type::String).optional().build())
            .field("content", SchemaBuilder::new(Type::Bytes).optional().build())
            .optional()
            .build();
        let schema = SchemaBuilder::structure()
            .name(MESSAGE)
            .version(1)
            .field("op", SchemaBuilder::new(Type::String).build())
            .field("message", inner.clone())
            .build();
        let content = Value::Bytes(Bytes::copy_from_slice(content.as_bytes()));
        let inner = Value::Struct(Box::new(Struct::new(inner, vec![Value::string("p"), content])));
        let values = vec![Value::string("m"), inner];
        let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
        Record { value: SchemaAndValue { schema: Some(schema), value }, ..record("t") }
    }

    #[test]
    fn the_content_becomes_the_row() {
        let mut smt = smt(construct, &[]).unwrap();
        let mut decoded = message(r#"{"a":1,"n":null,"f":{"g":[2]}}"#);
        apply(smt.as_mut(), &mut decoded).unwrap();
        let text = values::format(&decoded.value.value).unwrap();
        assert_eq!(text, r#"{"op":"c","after":{"a":1,"f":{"g":[2]}}}"#);
        assert_eq!(decoded.key, SchemaAndValue::NULL);
        let schema = decoded.value.schema.unwrap();
        assert_eq!(schema.name(), Some("io.debezium.connector.postgresql.MessageValue.Envelope"));
        assert_eq!(schema.version(), None);
    }

    #[test]
    fn what_is_no_object_is_refused_and_other_records_pass() {
        let mut smt = smt(construct, &[("fields.null.include", "true")]).unwrap();
        for (content, expected) in [
            ("text", "Unable to parse logical decoding message content JSON string"),
            ("[1]", "Not a struct schema: Schema{ARRAY}"),
            ("{", "the logical message's content cannot be expanded"),
        ] {
            assert_eq!(apply(smt.as_mut(), &mut message(content)).unwrap_err(), expected);
        }
        let mut other = record("t");
        apply(smt.as_mut(), &mut other).unwrap();
        assert_eq!(other, record("t"));
    }
}
