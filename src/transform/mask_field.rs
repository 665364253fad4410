//! `org.apache.kafka.connect.transforms.MaskField`: fields made worthless.

use super::rebuild::{non_empty_list, or_default};
use super::target::{Target, require_map, require_struct};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props, Validator};
use crate::data::{Decimal, Record, SchemaAndValue, Struct, Value, values};
use crate::error::ConnectError;

const PURPOSE: &str = "mask fields";

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("fields", ConfigType::List, "The fields to mask.")
            .required()
            .high()
            .check(Validator::Custom(non_empty_list)),
        ConfigKey::new(
            "replacement",
            ConfigType::String,
            "What masked numbers and strings become, instead of zero and nothing.",
        )
        .check(Validator::NonEmpty),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `MaskField$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `MaskField$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    Ok(Box::new(MaskField {
        target,
        fields: parsed.list("fields"),
        replacement: parsed.optional_string("replacement"),
        replace_null_with_default: parsed.boolean("replace.null.with.default"),
    }))
}

#[derive(Debug)]
struct MaskField {
    target: Target,
    fields: Vec<String>,
    replacement: Option<String>,
    replace_null_with_default: bool,
}

impl Transformation for MaskField {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        let value = match &part.schema {
            None => self.map(require_map(part, PURPOSE)?)?,
            Some(_) => self.structure(require_struct(part, PURPOSE)?)?,
        };
        let masked = SchemaAndValue { schema: part.schema.clone(), value };
        *self.target.of_mut(record) = masked;
        Ok(Keep::Record)
    }
}

impl MaskField {
    fn map(&self, entries: &[(Value, Value)]) -> Result<Value, ConnectError> {
        let mut entries = entries.to_vec();
        for field in &self.fields {
            match entries.iter_mut().find(|(key, _)| key.as_str() == Some(field)) {
                Some((_, value)) => *value = self.masked(value)?,
                None => entries.push((Value::string(field), Value::Null)),
            }
        }
        Ok(Value::Map(entries))
    }

    fn structure(&self, value: &Struct) -> Result<Value, ConnectError> {
        let members = value.schema().fields().iter().zip(value.values());
        let values = members.map(|(field, value)| {
            let default = field.schema.default_value().filter(|_| self.replace_null_with_default);
            let value = or_default(value, default);
            if self.fields.contains(&field.name) { self.masked(&value) } else { Ok(value) }
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Value::Struct(Box::new(Struct::new(value.schema().clone(), values))))
    }

    fn masked(&self, value: &Value) -> Result<Value, ConnectError> {
        match (&self.replacement, value) {
            (_, Value::Null) => Ok(Value::Null),
            (None, value) => zero(value),
            (Some(replacement), value) => replaced(value, replacement),
        }
    }
}

fn zero(value: &Value) -> Result<Value, ConnectError> {
    Ok(match value {
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::Boolean(_) => Value::Boolean(false),
        Value::String(_) => Value::string(""),
        Value::Date(_) => Value::Date(0),
        Value::Time(_) => Value::Time(0),
        Value::Timestamp(_) => Value::Timestamp(0),
        // The original's zero has scale 0, which a schema with another scale then refuses.
        Value::Decimal(_) => Value::Decimal(Decimal { unscaled: 0.into(), scale: 0 }),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        Value::Null | Value::Bytes(_) | Value::Struct(_) => {
            let class = value.java_class();
            return Err(ConnectError::data(format!("Cannot mask value of type: class {class}")));
        }
    })
}

#[expect(clippy::cast_possible_truncation, reason = "numbers are cut to their width, as in Java")]
fn replaced(value: &Value, replacement: &str) -> Result<Value, ConnectError> {
    let decimal = || {
        // The two texts are the original's.
        let a = if matches!(value, Value::Decimal(_)) { "" } else { "a " };
        values::decimal(replacement).ok_or_else(|| {
            ConnectError::data(format!(
                "Unable to convert {replacement} (class java.lang.String) to {a}number"
            ))
        })
    };
    let integer = || decimal().map(|decimal| decimal.to_i64_wrapping());
    let float = || decimal().map(|_| replacement.parse::<f64>().unwrap_or(f64::NAN));
    Ok(match value {
        Value::Int8(_) => Value::Int8(integer()? as i8),
        Value::Int16(_) => Value::Int16(integer()? as i16),
        Value::Int32(_) => Value::Int32(integer()? as i32),
        Value::Int64(_) => Value::Int64(integer()?),
        Value::Float32(_) => Value::Float32(float()? as f32),
        Value::Float64(_) => Value::Float64(float()?),
        Value::String(_) => Value::string(replacement),
        Value::Decimal(_) => Value::Decimal(decimal()?),
        other => {
            let class = other.java_class();
            return Err(ConnectError::data(format!(
                "Cannot mask value of type class {class} with custom replacement."
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transform::testing::{apply, map, record, smt};

    fn masked(settings: &[(&str, &str)], value: Value) -> Result<Value, String> {
        let settings = [&[("fields", "f")], settings].concat();
        let mut smt = smt(construct_value, &settings)?;
        let value = Value::Map(vec![(Value::string("f"), value)]);
        let mut record = Record { value: SchemaAndValue { schema: None, value }, ..record("t") };
        apply(smt.as_mut(), &mut record)?;
        let Value::Map(mut entries) = record.value.value else { panic!("still a map") };
        Ok(entries.remove(0).1)
    }

    #[test]
    fn each_type_has_its_nothing() {
        let decimal =
            |unscaled: i32, scale| Value::Decimal(Decimal { unscaled: unscaled.into(), scale });
        for (value, expected) in [
            (Value::Int32(7), Value::Int32(0)),
            (Value::Float64(7.0), Value::Float64(0.0)),
            (Value::Boolean(true), Value::Boolean(false)),
            (Value::string("x"), Value::string("")),
            (Value::Timestamp(7), Value::Timestamp(0)),
            (decimal(150, 2), decimal(0, 0)),
            (Value::Array(vec![Value::Null]), Value::Array(vec![])),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(masked(&[], value), Ok(expected));
        }
        assert_eq!(
            masked(&[], Value::Bytes(Bytes::new())).unwrap_err(),
            "Cannot mask value of type: class [B"
        );
    }

    #[test]
    fn a_replacement_is_taken_at_its_fields_type() {
        let replacement = [("replacement", "42")];
        for (value, expected) in [
            (Value::Int32(7), Value::Int32(42)),
            (Value::string("x"), Value::string("42")),
            (Value::Float32(1.0), Value::Float32(42.0)),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(masked(&replacement, value), Ok(expected));
        }
        assert_eq!(masked(&[("replacement", "300")], Value::Int8(1)), Ok(Value::Int8(44)));
        for (replacement, value, expected) in [
            (
                "42",
                Value::Date(1),
                "Cannot mask value of type class java.util.Date with custom replacement.",
            ),
            ("xx", Value::Int32(1), "Unable to convert xx (class java.lang.String) to a number"),
        ] {
            assert_eq!(masked(&[("replacement", replacement)], value).unwrap_err(), expected);
        }
        assert_eq!(
            masked(&[("replacement", "")], Value::Null).unwrap_err(),
            "Invalid value  for configuration replacement: String must be non-empty"
        );
    }

    #[test]
    fn structs_and_nulls() {
        let mut smt = smt(construct_value, &[("fields", "id,kind")]).unwrap();
        let mut record = record("t");
        let schema = record.value.schema.clone();
        apply(smt.as_mut(), &mut record).unwrap();
        assert_eq!(record.value.schema, schema);
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(text, r#"{"id":0,"name":"a","kind":""}"#);
        for (schema, expected) in [
            (schema, "Only Struct objects supported for [mask fields], found: null"),
            (
                None,
                "Only Map objects supported in absence of schema for [mask fields], found: null",
            ),
        ] {
            record.value = SchemaAndValue { schema, value: Value::Null };
            assert_eq!(apply(smt.as_mut(), &mut record), Err(expected.to_owned()));
        }
        record.value = SchemaAndValue { schema: None, value: map(&[("a", 1)]) };
        apply(smt.as_mut(), &mut record).unwrap();
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(text, r#"{"a":1,"id":null,"kind":null}"#);
    }
}
