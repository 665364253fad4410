//! `io.debezium.transforms.EnforceRecordSize`: long texts and bytes of a row are cut where the record
//! would be too large for what comes behind.
//!
//! Sizes are those of the original's estimate of a record in its memory (`ApproximateStructSizeCalculator`),
//! without the source's partition and offset, which a transform does not see here.

use std::sync::Arc;

use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Record, Schema, Struct, Type, Value};
use crate::error::ConnectError;

const MAX_BYTES: &str = "max.bytes";
const RATIO: &str = "compression.ratio";
const MIN_FIELD_SIZE: &str = "min.field.size";

/// The estimate's bytes of what is not content.
mod overhead {
    pub(super) const STRUCT: u64 = 56;
    pub(super) const STRING: u64 = 56;
    pub(super) const BYTES: u64 = 24;
    pub(super) const ARRAY: u64 = 64;
    pub(super) const MAP: u64 = 88;
    pub(super) const PRIMITIVE: u64 = 24;
    pub(super) const REFERENCE: u64 = 8;
    pub(super) const HEADER: u64 = 100;
    pub(super) const TIMESTAMP: u64 = 8;
}

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    ConfigDef::new(vec![
        key(
            MAX_BYTES,
            ConfigType::Int,
            "The size in bytes above which texts and bytes of a row are cut, each by its share.",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::Integer(..=0) => Some("Must be a positive integer".to_owned()),
            _ => None,
        })),
        key(
            RATIO,
            ConfigType::Double,
            "What the estimated size is multiplied with: 0.5 for messages that are compressed to \
             half their size.",
        )
        .default("1.0")
        .medium()
        .check(Validator::Custom(|value| match value {
            ConfigValue::Double(ratio) if 0.0 < *ratio => None,
            ConfigValue::Double(_) => Some("Must be a positive number".to_owned()),
            _ => None,
        })),
        key(
            MIN_FIELD_SIZE,
            ConfigType::Int,
            "Columns of this size in bytes, or less, are never cut.",
        )
        .default("25000")
        .medium()
        .check(Validator::Custom(|value| match value {
            ConfigValue::Integer(..0) => Some("Must be non-negative".to_owned()),
            _ => None,
        })),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let positive = |key| u64::try_from(parsed.integer(key)).unwrap_or_default();
    Ok(Box::new(EnforceRecordSize {
        bytes_max: positive(MAX_BYTES),
        ratio: parsed.double(RATIO),
        field_bytes_min: positive(MIN_FIELD_SIZE),
    }))
}

#[derive(Debug)]
struct EnforceRecordSize {
    bytes_max: u64,
    ratio: f64,
    field_bytes_min: u64,
}

impl Transformation for EnforceRecordSize {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        // What comes from Kafka is there already, whatever its size.
        let Value::Struct(event) = &record.value.value else { return Ok(Keep::Record) };
        if record.offset.is_some() {
            return Ok(Keep::Record);
        }
        let size = scaled(record_size(record, event), self.ratio);
        if let Some(excess) = size.checked_sub(self.bytes_max).filter(|excess| *excess > 0)
            && let Some(cut) = self.cut(event, excess)
        {
            record.value.value = cut;
        }
        Ok(Keep::Record)
    }
}

impl EnforceRecordSize {
    /// The event with the columns of both images cut by `excess` bytes in all, as far as that goes.
    fn cut(&self, event: &Struct, excess: u64) -> Option<Value> {
        let images = ["before", "after"].map(|name| {
            let (index, _) = event.schema().field(name)?;
            let image = event.values().get(index)?.as_struct()?;
            Some((index, image, self.cuttable(image)))
        });
        let bytes_of = |fields: &[(usize, u64)]| fields.iter().map(|(_, size)| size).sum::<u64>();
        let total: u64 = images.iter().flatten().map(|(.., fields)| bytes_of(fields)).sum();
        if total == 0 {
            return None;
        }
        let mut values = event.values().to_vec();
        for (index, image, fields) in images.into_iter().flatten() {
            let bytes = bytes_of(&fields);
            let own_excess = share(bytes, total, excess);
            if own_excess == 0 {
                continue;
            }
            let mut columns = image.values().to_vec();
            for (column, size) in fields {
                let kept = size.saturating_sub(share(size, bytes, own_excess));
                if let Some(value) = columns.get_mut(column) {
                    *value = shortened(value, usize::try_from(kept).unwrap_or(usize::MAX));
                }
            }
            if let Some(value) = values.get_mut(index) {
                *value = Value::Struct(Box::new(Struct::new(image.schema().clone(), columns)));
            }
        }
        let schema: Arc<Schema> = event.schema().clone();
        Some(Value::Struct(Box::new(Struct::new(schema, values))))
    }

    /// The columns that may be cut, with their sizes.
    fn cuttable(&self, image: &Struct) -> Vec<(usize, u64)> {
        let sizes = image.values().iter().map(|value| match value {
            Value::String(text) => text.encode_utf16().count() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        });
        sizes.enumerate().filter(|(_, size)| *size > self.field_bytes_min).collect()
    }
}

/// `part / whole` of `excess`, rounded up.
fn share(part: u64, whole: u64, excess: u64) -> u64 {
    rounded_up(real(part) / real(whole) * real(excess))
}

fn scaled(size: u64, ratio: f64) -> u64 {
    rounded_up(real(size) * ratio)
}

#[expect(clippy::cast_precision_loss, reason = "records are far smaller than 2^53 bytes")]
fn real(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit saturates, and nothing here is negative"
)]
fn rounded_up(number: f64) -> u64 {
    number.ceil() as u64
}

/// The first `size` units of the value: UTF-16 units of text, as the original counts. Half a
/// character is no text: it goes, too.
fn shortened(value: &Value, size: usize) -> Value {
    match value {
        Value::String(text) => {
            let mut units = 0;
            let kept = text.chars().take_while(|each| {
                units += each.len_utf16();
                units <= size
            });
            Value::string(kept.collect::<String>())
        }
        Value::Bytes(bytes) if bytes.len() > size => Value::Bytes(bytes.slice(..size)),
        other => other.clone(),
    }
}

fn record_size(record: &Record, event: &Struct) -> u64 {
    let headers = record.headers.len() as u64 * overhead::HEADER;
    let key = record.key.schema.as_deref().map_or(0, |schema| {
        if record.key.value.is_null() { 0 } else { value_size(schema, &record.key.value) }
    });
    overhead::TIMESTAMP + headers + key + struct_size(event) + record.topic.len() as u64
}

fn struct_size(value: &Struct) -> u64 {
    let fields = value.schema().fields().iter().zip(value.values());
    let sizes = fields.map(|(field, value)| overhead::REFERENCE + value_size(&field.schema, value));
    overhead::STRUCT + sizes.sum::<u64>()
}

fn value_size(schema: &Schema, value: &Value) -> u64 {
    match (schema.ty(), value) {
        (Type::String, Value::String(text)) => overhead::STRING + text.len() as u64,
        (Type::Bytes, Value::Bytes(bytes)) => overhead::BYTES + bytes.len() as u64,
        (Type::Bytes, Value::Decimal(decimal)) => {
            overhead::BYTES + decimal.unscaled.to_signed_bytes_be().len() as u64
        }
        (Type::Struct, Value::Struct(value)) => struct_size(value),
        (Type::Array, Value::Array(items)) => {
            let of_item = |item| schema.value_schema().map_or(0, |schema| value_size(schema, item));
            let sizes = items.iter().map(|item| overhead::REFERENCE + of_item(item));
            overhead::ARRAY + sizes.sum::<u64>()
        }
        (Type::Map, Value::Map(entries)) => {
            let of_key = |key| schema.key_schema().map_or(0, |schema| value_size(schema, key));
            let of = |value| schema.value_schema().map_or(0, |schema| value_size(schema, value));
            let sizes = entries
                .iter()
                .map(|(key, value)| 2 * overhead::REFERENCE + of_key(key) + of(value));
            overhead::MAP + sizes.sum::<u64>()
        }
        (Type::String | Type::Bytes | Type::Struct | Type::Array | Type::Map, _) => 0,
        // The original counts these whether they are null or not.
        _ => overhead::PRIMITIVE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, change, record, row, smt};

    fn name_of(record: &Record, image: &str) -> String {
        let event = record.value.value.as_struct().unwrap();
        let image = event.get(image).and_then(Value::as_struct).unwrap();
        image.get("name").and_then(Value::as_str).unwrap().to_owned()
    }

    #[test]
    fn long_columns_are_cut_by_their_share_and_nothing_else_is() {
        let long = "x".repeat(1000);
        let mut smt = smt(construct, &[("max.bytes", "1500"), ("min.field.size", "100")]).unwrap();
        let mut small = change("u", row(1, "a"), row(1, "b"));
        let untouched = small.clone();
        assert_eq!(apply(smt.as_mut(), &mut small), Ok(Keep::Record));
        assert_eq!(small, untouched);

        let mut large = change("u", row(1, &long), row(1, &long));
        let before = record_size(&large, large.value.value.as_struct().unwrap());
        apply(smt.as_mut(), &mut large).unwrap();
        let after = record_size(&large, large.value.value.as_struct().unwrap());
        assert!(1500 < before && after <= 1500 && 1490 < after, "{before} to {after}");
        assert_eq!(name_of(&large, "before"), name_of(&large, "after"));

        // Only the column that is long enough; and a record of a topic is left alone.
        let mut mixed = change("u", row(1, "short"), row(1, &long));
        apply(smt.as_mut(), &mut mixed).unwrap();
        assert_eq!(name_of(&mixed, "before"), "short");
        let mut consumed = Record { offset: Some(1), ..change("c", Value::Null, row(1, &long)) };
        apply(smt.as_mut(), &mut consumed).unwrap();
        assert_eq!(name_of(&consumed, "after"), long);
        let mut plain = record("t");
        apply(smt.as_mut(), &mut plain).unwrap();
        assert_eq!(plain, record("t"));
    }

    #[test]
    fn half_a_character_goes_too() {
        for (text, size, expected) in
            [("a😀b", 2, "a"), ("a😀b", 3, "a😀"), ("üü", 1, "ü"), ("x", 0, ""), ("x", 9, "x")]
        {
            assert_eq!(shortened(&Value::string(text), size), Value::string(expected));
        }
    }

    #[test]
    fn settings_are_checked() {
        for (settings, expected) in [
            (&[][..], "Missing required configuration \"max.bytes\" which has no default value."),
            (
                &[("max.bytes", "0")],
                "Invalid value 0 for configuration max.bytes: Must be a positive integer",
            ),
            (
                &[("max.bytes", "1"), ("compression.ratio", "0")],
                "Invalid value 0.0 for configuration compression.ratio: Must be a positive number",
            ),
            (
                &[("max.bytes", "1"), ("min.field.size", "-1")],
                "Invalid value -1 for configuration min.field.size: Must be non-negative",
            ),
        ] {
            assert_eq!(smt(construct, settings).err().unwrap(), expected);
        }
    }
}
