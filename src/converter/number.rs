//! `org.apache.kafka.connect.converters.{Short,Integer,Long,Float,Double,Boolean}Converter`:
//! big-endian bytes of one fixed width.

use std::sync::Arc;

use super::{Converter, ConverterContext, Presence, RowEncoder};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{PlannedValue, Schema, SchemaAndValue, SchemaBuilder, Type, Value};
use crate::error::{ConnectError, DataError};

/// The configuration keys.
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

/// Makes a `ShortConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_short(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Int16, "short"))
}

/// Makes an `IntegerConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_integer(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Int32, "integer"))
}

/// Makes a `LongConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_long(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Int64, "long"))
}

/// Makes a `FloatConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_float(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Float32, "float"))
}

/// Makes a `DoubleConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_double(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Float64, "double"))
}

/// Makes a `BooleanConverter`.
///
/// # Errors
/// None; the signature is that of all converters.
pub fn construct_boolean(
    _props: &Props,
    _context: &ConverterContext,
) -> Result<Box<dyn Converter>, ConnectError> {
    Ok(NumberConverter::boxed(Type::Boolean, "boolean"))
}

#[derive(Debug)]
struct NumberConverter {
    ty: Type,
    /// The name in error texts.
    name: &'static str,
    schema: Arc<Schema>,
}

impl NumberConverter {
    fn boxed(ty: Type, name: &'static str) -> Box<dyn Converter> {
        Box::new(Self { ty, name, schema: SchemaBuilder::new(ty).optional().build() })
    }

    fn read(&self, bytes: &[u8]) -> Result<Value, DataError> {
        let failed =
            |cause: String| DataError::new(format!("Failed to deserialize {}: {cause}", self.name));
        let (class, length) = match self.ty {
            Type::Int16 => ("ShortDeserializer", 2),
            Type::Int32 => ("IntegerDeserializer", 4),
            Type::Int64 => ("LongDeserializer", 8),
            Type::Float32 => ("Deserializer", 4),
            Type::Float64 => ("Deserializer", 8),
            _ => ("BooleanDeserializer", 1),
        };
        let size = || failed(format!("Size of data received by {class} is not {length}"));
        Ok(match self.ty {
            Type::Int16 => Value::Int16(i16::from_be_bytes(exact(bytes).ok_or_else(size)?)),
            Type::Int32 => Value::Int32(i32::from_be_bytes(exact(bytes).ok_or_else(size)?)),
            Type::Int64 => Value::Int64(i64::from_be_bytes(exact(bytes).ok_or_else(size)?)),
            Type::Float32 => Value::Float32(f32::from_be_bytes(exact(bytes).ok_or_else(size)?)),
            Type::Float64 => Value::Float64(f64::from_be_bytes(exact(bytes).ok_or_else(size)?)),
            _ => match exact(bytes).ok_or_else(size)? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                [other] => {
                    let cause = format!("Unexpected byte received by {class}: {other}");
                    return Err(failed(cause));
                }
            },
        })
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl Converter for NumberConverter {
    fn encoder(&mut self, _topic: &str, _planned: &PlannedValue) -> Option<Box<dyn RowEncoder>> {
        None
    }

    fn from_connect_data(
        &mut self,
        _topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        if let Some(schema) = &data.schema
            && self.ty == Type::Boolean
            && schema.ty() != Type::Boolean
        {
            let ty = schema.ty().name();
            return Err(DataError::new(format!("Invalid schema type for BooleanConverter: {ty}")));
        }
        match (self.ty, &data.value) {
            (_, Value::Null) => return Ok(Presence::Null),
            (Type::Int16, Value::Int16(number)) => out.extend(number.to_be_bytes()),
            (Type::Int32, Value::Int32(number)) => out.extend(number.to_be_bytes()),
            (Type::Int64, Value::Int64(number)) => out.extend(number.to_be_bytes()),
            (Type::Float32, Value::Float32(number)) => out.extend(number.to_be_bytes()),
            (Type::Float64, Value::Float64(number)) => out.extend(number.to_be_bytes()),
            (Type::Boolean, Value::Boolean(value)) => out.push((*value).into()),
            (Type::Boolean, other) => {
                let class = other.java_class();
                return Err(DataError::new(format!(
                    "BooleanConverter is not compatible with objects of type class {class}"
                )));
            }
            (_, other) => {
                let (name, class) = (self.name, other.java_class());
                return Err(DataError::new(format!(
                    "Failed to serialize to {name} (was class {class}): "
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
        let value = bytes.map_or(Ok(Value::Null), |bytes| self.read(bytes))?;
        Ok(SchemaAndValue { schema: Some(self.schema.clone()), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converter::Role;
    use crate::converter::tests::write;

    #[test]
    fn numbers_have_one_width() {
        for (construct, value, bytes) in [
            (
                construct_short as fn(&Props, &ConverterContext) -> _,
                Value::Int16(-2),
                &[0xFF, 0xFE][..],
            ),
            (construct_integer, Value::Int32(1), &[0, 0, 0, 1]),
            (construct_long, Value::Int64(1), &[0, 0, 0, 0, 0, 0, 0, 1]),
            (construct_float, Value::Float32(1.5), &[0x3F, 0xC0, 0, 0]),
            (construct_double, Value::Float64(-2.0), &[0xC0, 0, 0, 0, 0, 0, 0, 0]),
            (construct_boolean, Value::Boolean(true), &[1]),
        ] {
            let mut converter: Box<dyn Converter> =
                construct(&Props::new(), &Role::Key.into()).unwrap();
            let written = write(converter.as_mut(), None, value.clone()).unwrap().unwrap();
            assert_eq!(written, bytes);
            assert_eq!(converter.to_connect_data("t", Some(bytes)).unwrap().value, value);
            assert_eq!(write(converter.as_mut(), None, Value::Null), Ok(None));
            let null = converter.to_connect_data("t", None).unwrap();
            assert!(null.value.is_null() && null.schema.unwrap().is_optional());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut integer = construct_integer(&Props::new(), &Role::Key.into()).unwrap();
        let int32 = SchemaBuilder::new(Type::Int32).build();
        assert_eq!(
            write(integer.as_mut(), Some(int32), Value::Int64(1)).unwrap_err(),
            "Failed to serialize to integer (was class java.lang.Long): "
        );
        assert_eq!(
            integer.to_connect_data("t", Some(&[1])).unwrap_err().0,
            "Failed to deserialize integer: Size of data received by IntegerDeserializer is not 4"
        );
        let mut float = construct_float(&Props::new(), &Role::Key.into()).unwrap();
        let error = float.to_connect_data("t", Some(&[1])).unwrap_err().0;
        assert!(error.ends_with("Size of data received by Deserializer is not 4"));
        let mut boolean = construct_boolean(&Props::new(), &Role::Key.into()).unwrap();
        let int64 = SchemaBuilder::new(Type::Int64).build();
        assert_eq!(
            write(boolean.as_mut(), Some(int64), Value::Int64(1)).unwrap_err(),
            "Invalid schema type for BooleanConverter: INT64"
        );
        for (bytes, expected) in [
            (
                &[2][..],
                "Failed to deserialize boolean: Unexpected byte received by BooleanDeserializer: 2",
            ),
            (
                &[],
                "Failed to deserialize boolean: Size of data received by BooleanDeserializer is not 1",
            ),
        ] {
            assert_eq!(boolean.to_connect_data("t", Some(bytes)).unwrap_err().0, expected);
        }
    }
}
