//! `org.apache.kafka.connect.converters.ByteArrayConverter`.

use std::sync::Arc;

use bytes::Bytes;

use super::{Converter, ConverterContext, Leaves, Presence, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{
    PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Type, Value,
};
use crate::error::{ConnectError, DataError};

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "converter.type",
            ConfigType::String,
            "Whether keys or values are converted.",
        )
        .default("value"),
    ])
}

/// Makes the converter.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    let schema = SchemaBuilder::new(Type::Bytes).optional().build();
    Ok(Box::new(ByteArrayConverter { leaves: Leaves::new(&schema), schema }))
}

/// Bytes as they are.
#[derive(Debug)]
struct ByteArrayConverter {
    leaves: Leaves,
    schema: Arc<Schema>,
}

impl Converter for ByteArrayConverter {
    fn encoder(&mut self, _topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        let plain = |schema: &Arc<Schema>| schema.ty() == Type::Bytes && schema.name().is_none();
        if !planned.schema.as_ref().is_some_and(plain) {
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
        if let Some(schema) = &data.schema
            && schema.ty() != Type::Bytes
        {
            let ty = schema.ty().name();
            return Err(DataError::new(format!(
                "Invalid schema type for ByteArrayConverter: {ty}"
            )));
        }
        match &data.value {
            Value::Null => return Ok(Presence::Null),
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
            other => {
                let class = other.java_class();
                return Err(DataError::new(format!(
                    "ByteArrayConverter is not compatible with objects of type class {class}"
                )));
            }
        }
        Ok(Presence::Present)
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let value = bytes.map_or(Value::Null, |bytes| Value::Bytes(Bytes::copy_from_slice(bytes)));
        Ok(SchemaAndValue { schema: Some(self.schema.clone()), value })
    }

    fn decode_cells(
        &mut self,
        topic: &str,
        off: usize,
        len: usize,
        batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        Ok(self.leaves.decode(topic, off, len, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converter::Role;
    use crate::converter::tests::{check_planned, write};

    #[test]
    fn only_bytes_are_written() {
        let mut converter = construct(&Props::new(), &Role::Value.into()).unwrap();
        let of = |ty| SchemaBuilder::new(ty).build();
        let bytes = || Value::Bytes(Bytes::from_static(b"\x00\xFF"));
        for (schema, value, expected) in [
            (Some(of(Type::Bytes)), bytes(), Ok(Some(b"\x00\xFF".to_vec()))),
            (None, bytes(), Ok(Some(b"\x00\xFF".to_vec()))),
            (None, Value::Null, Ok(None)),
            (
                Some(of(Type::String)),
                Value::string("x"),
                Err("Invalid schema type for ByteArrayConverter: STRING".to_owned()),
            ),
            (
                None,
                Value::string("x"),
                Err("ByteArrayConverter is not compatible with objects of type class \
                     java.lang.String"
                    .to_owned()),
            ),
        ] {
            assert_eq!(write(converter.as_mut(), schema, value), expected);
        }
        let read = converter.to_connect_data("t", Some(b"\xFF")).unwrap();
        assert_eq!(read.value, Value::Bytes(Bytes::from_static(b"\xFF")));
        assert!(read.schema.unwrap().is_optional());
    }

    #[test]
    fn both_paths_agree() {
        let schema = SchemaBuilder::new(Type::Bytes).build();
        let wire = Bytes::from_static(b"..\x00\xFF..");
        let mut converter = construct(&Props::new(), &Role::Value.into()).unwrap();
        check_planned(converter.as_mut(), &schema, &wire, 2, 2);
    }
}
