//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`, and any other converter as a header
//! converter.

use super::{Converter, HeaderConverter, Presence};
use crate::config::{ConfigDef, Props};
use crate::data::{SchemaAndValue, values};
use crate::error::{ConnectError, DataError};

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the converter.
///
/// # Errors
/// None; the signature is that of all header converters.
pub fn construct(_props: &Props) -> Result<Box<dyn HeaderConverter>, ConnectError> {
    Ok(Box::new(SimpleHeaderConverter))
}

/// Text, whose type is guessed when it is read.
#[derive(Debug)]
struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        let Some(text) = values::format(&data.value) else { return Ok(Presence::Null) };
        out.extend_from_slice(text.as_bytes());
        Ok(Presence::Present)
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let Some(bytes) = bytes else { return Ok(SchemaAndValue::NULL) };
        Ok(values::parse(&String::from_utf8_lossy(bytes)))
    }
}

/// A converter of keys and values, put to work on headers: the original's implement both.
pub struct AsHeaderConverter(pub Box<dyn Converter>);

impl std::fmt::Debug for AsHeaderConverter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsHeaderConverter")
    }
}

impl HeaderConverter for AsHeaderConverter {
    fn from_connect_header(
        &mut self,
        topic: &str,
        _key: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        self.0.from_connect_data(topic, data, out)
    }

    fn to_connect_header(
        &mut self,
        topic: &str,
        _key: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        self.0.to_connect_data(topic, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Value;

    #[test]
    fn headers_are_text() {
        let mut converter = construct(&Props::new()).unwrap();
        let mut out = Vec::new();
        let list = Value::Array(vec![Value::string("a"), Value::Int8(1), Value::Null]);
        let data = SchemaAndValue { schema: None, value: list };
        let presence = converter.from_connect_header("t", "k", &data, &mut out).unwrap();
        assert_eq!((presence, out.as_slice()), (Presence::Present, &b"[\"a\",1,null]"[..]));
        let null = &SchemaAndValue::NULL;
        let presence = converter.from_connect_header("t", "k", null, &mut out).unwrap();
        assert_eq!(presence, Presence::Null);
        let mut read = |bytes| converter.to_connect_header("t", "k", bytes).unwrap();
        assert_eq!(read(None), SchemaAndValue::NULL);
        assert_eq!(read(Some(b"5")).value, Value::Int8(5));
        assert_eq!(read(Some(b"a\xFF")).value, Value::string("a\u{FFFD}"));
    }
}
