//! `org.apache.kafka.connect.storage.StringConverter`.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Converter, ConverterContext, Leaves, Presence, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{
    PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Type,
};
use crate::data::{Value, values};
use crate::error::{ConnectError, DataError};

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "converter.type",
            ConfigType::String,
            "Whether keys or values are converted.",
        )
        .default("value")
        .check(Validator::OneOf(&["key", "value", "header"])),
        ConfigKey::new("converter.encoding", ConfigType::String, "The character set of the bytes.")
            .default("UTF-8")
            .high()
            .check(Validator::Custom(|value| match value {
                ConfigValue::String(name) if Charset::named(name).is_none() => {
                    Some(format!("Unsupported encoding {name}; UTF-8, ISO-8859-1 and US-ASCII are"))
                }
                _ => None,
            })),
    ])
}

/// Makes the converter.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(
    props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    let encoding = config_def().parse(props)?.string("converter.encoding");
    let charset = Charset::named(&encoding).unwrap_or(Charset::Utf8);
    let schema = SchemaBuilder::new(Type::String).optional().build();
    Ok(Box::new(StringConverter { charset, leaves: Leaves::new(&schema), schema }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

impl Charset {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Some(Self::Utf8),
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Some(Self::Latin1),
            "US-ASCII" | "ASCII" => Some(Self::Ascii),
            _ => None,
        }
    }

    /// What the character set does not have becomes `?`, as in Java.
    fn push(self, out: &mut Vec<u8>, text: &str) {
        let code_max = match self {
            Self::Utf8 => return out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => 0xFF,
            Self::Ascii => 0x7F,
        };
        let byte = |character: char| u8::try_from(character).ok().filter(|code| *code <= code_max);
        out.extend(text.chars().map(|character| byte(character).unwrap_or(b'?')));
    }

    fn text(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Self::Ascii => {
                let character = |byte: &u8| match byte {
                    0..0x80 => char::from(*byte),
                    _ => char::REPLACEMENT_CHARACTER,
                };
                bytes.iter().map(character).collect()
            }
        }
    }
}

/// Any value as Java's text of it; reads optional strings.
#[derive(Debug)]
struct StringConverter {
    charset: Charset,
    leaves: Leaves,
    schema: Arc<Schema>,
}

impl Converter for StringConverter {
    fn encoder(&mut self, _topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        let is_text = planned.schema.as_ref().is_some_and(|schema| schema.ty() == Type::String);
        if self.charset != Charset::Utf8 || !is_text {
            return None;
        }
        super::leaf_encoder(planned)
    }

    fn from_connect_data(
        &mut self,
        _topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        match &data.value {
            Value::Null => return Ok(Presence::Null),
            Value::String(text) => self.charset.push(out, text),
            other => self.charset.push(out, &values::java_string(other)),
        }
        Ok(Presence::Present)
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let value = bytes.map_or(Value::Null, |bytes| Value::string(self.charset.text(bytes)));
        Ok(SchemaAndValue { schema: Some(self.schema.clone()), value })
    }

    fn decode_cells(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        let bytes = batch.wire.get(off..off + len);
        let is_text = bytes.is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
        if self.charset != Charset::Utf8 || !is_text {
            return Ok(None);
        }
        Ok(self.leaves.decode(topic, off, len, batch))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::converter::Role;
    use crate::converter::tests::{check_planned, write};
    use crate::data::Struct;

    fn converter(encoding: &str) -> Result<Box<dyn Converter>, ConnectError> {
        let props = Props::from([("converter.encoding".to_owned(), encoding.to_owned())]);
        construct(&props, &Role::Value.into())
    }

    #[test]
    fn anything_is_written_as_javas_text_of_it() {
        let schema =
            SchemaBuilder::structure().field("x", SchemaBuilder::new(Type::Int32).build()).build();
        let structure = Value::Struct(Box::new(Struct::new(schema, vec![Value::Int32(1)])));
        let map = Value::Map(vec![
            (Value::string("a"), Value::Int8(1)),
            (Value::string("b"), Value::Array(vec![Value::Int8(2)])),
        ]);
        let mut utf8 = converter("UTF-8").unwrap();
        for (value, expected) in [
            (structure, &b"Struct{x=1}"[..]),
            (map, b"{a=1, b=[2]}"),
            (Value::Float64(1e7), b"1.0E7"),
            (Value::string("é"), "é".as_bytes()),
        ] {
            assert_eq!(write(utf8.as_mut(), None, value).unwrap().unwrap(), expected);
        }
        assert_eq!(write(utf8.as_mut(), None, Value::Null), Ok(None));
        let mut ascii = converter("us-ascii").unwrap();
        assert_eq!(write(ascii.as_mut(), None, Value::string("é")).unwrap().unwrap(), b"?");
    }

    #[test]
    fn bytes_are_read_as_optional_strings() {
        for (encoding, bytes, expected) in [
            ("UTF-8", &b"a\xFF"[..], "a\u{FFFD}"),
            ("ISO-8859-1", b"\xE9", "é"),
            ("ascii", b"a\xE9", "a\u{FFFD}"),
        ] {
            let read = converter(encoding).unwrap().to_connect_data("t", Some(bytes)).unwrap();
            assert!(read.schema.unwrap().is_optional());
            assert_eq!(read.value, Value::string(expected));
        }
        let null = converter("UTF-8").unwrap().to_connect_data("t", None).unwrap();
        assert_eq!((null.schema.unwrap().ty(), null.value), (Type::String, Value::Null));
        let error = converter("nope").err().unwrap().to_string();
        assert!(error.contains("Unsupported encoding nope"), "{error}");
    }

    #[test]
    fn both_paths_agree() {
        let schema = SchemaBuilder::new(Type::String).optional().build();
        let wire = Bytes::from_static("..té..".as_bytes());
        check_planned(converter("UTF-8").unwrap().as_mut(), &schema, &wire, 2, 3);
    }
}
