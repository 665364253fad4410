//! `io.debezium.transforms.partitions.PartitionRouting`: the partition from fields of the event.

use num_bigint::Sign;

use super::envelope::{change_event, text};
use super::{Keep, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, ConfigValue, Props, Validator};
use crate::data::{Record, Struct, Value};
use crate::error::{ConnectError, DataError};

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "partition.payload.fields",
            ConfigType::List,
            "The fields whose values decide, as paths with dots; change is after, or before for \
             deletes.",
        )
        .required()
        .high()
        .check(Validator::Custom(|value| match value {
            ConfigValue::List(items) if items.is_empty() => Some("A value is required".to_owned()),
            ConfigValue::List(items) if items.iter().any(String::is_empty) => {
                Some("Empty element(s) not permitted".to_owned())
            }
            _ => None,
        })),
        ConfigKey::new("partition.topic.num", ConfigType::Int, "How many partitions topics have.")
            .required()
            .high()
            .check(Validator::Custom(|value| match value {
                ConfigValue::Integer(number) if *number > 0 => None,
                _ => Some("A positive, non-zero integer value is expected".to_owned()),
            })),
        ConfigKey::new(
            "partition.hash.function",
            ConfigType::String,
            "java, the hash codes of Java's objects; or murmur.",
        )
        .default("java"),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let path = |field: &String| field.split('.').map(|part| part.trim().to_owned()).collect();
    let partitions = i32::try_from(parsed.integer("partition.topic.num"))
        .map_err(|error| ConnectError::config("partition.topic.num is too large").because(error))?;
    Ok(Box::new(PartitionRouting {
        fields: parsed.list("partition.payload.fields").iter().map(path).collect(),
        partitions,
        murmur: parsed.string("partition.hash.function").eq_ignore_ascii_case("murmur"),
    }))
}

#[derive(Debug)]
struct PartitionRouting {
    fields: Vec<Vec<String>>,
    partitions: i32,
    murmur: bool,
}

impl Transformation for PartitionRouting {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Some(event) = change_event(record) else { return Ok(Keep::Record) };
        let op = text(event, "op").unwrap_or_default();
        if matches!(op, "t" | "m") {
            return Ok(Keep::Record);
        }
        let image = if op == "d" { "before" } else { "after" };
        let mut sum: Option<i32> = None;
        for path in &self.fields {
            let Some(value) = find(event, path, image) else { continue };
            let hash = self.hash(value).map_err(|error| {
                ConnectError::data(format!("Unprocessable message: field {}", path.join(".")))
                    .because(error)
            })?;
            sum = Some(sum.unwrap_or(0).wrapping_add(hash));
        }
        if let Some(sum) = sum {
            record.partition = Some(partition(sum, self.partitions));
        }
        Ok(Keep::Record)
    }
}

fn partition(sum: i32, partitions: i32) -> i32 {
    match sum & i32::MAX {
        i32::MAX => 0,
        hash => hash % partitions,
    }
}

/// The value at `path`, if there is one and it is not null. Where the path leads through a struct
/// that is null, it does not.
fn find<'a>(event: &'a Struct, path: &[String], image: &str) -> Option<&'a Value> {
    let (last, structs) = path.split_last()?;
    let mut current = event;
    for name in structs {
        let name = if name == "change" { image } else { name };
        current = current.get(name)?.as_struct()?;
    }
    let (index, field) = current.schema().field(last)?;
    let value = current.values().get(index)?;
    let value = if value.is_null() { field.schema.default_value()? } else { value };
    (!value.is_null()).then_some(value)
}

impl PartitionRouting {
    fn hash(&self, value: &Value) -> Result<i32, DataError> {
        match value {
            Value::String(text) if self.murmur => Ok(murmur(text.as_bytes())),
            Value::Bytes(bytes) if self.murmur => Ok(murmur(bytes)),
            other if self.murmur => Ok(murmur(&java_hash(other)?.to_le_bytes())),
            other => java_hash(other),
        }
    }
}

/// `Object.hashCode`.
fn java_hash(value: &Value) -> Result<i32, DataError> {
    let folded = |bits: u64| {
        let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
        i32::from_le_bytes([a, b, c, d]) ^ i32::from_le_bytes([e, f, g, h])
    };
    let polynomial = |hash: i32, item: i32| hash.wrapping_mul(31).wrapping_add(item);
    Ok(match value {
        Value::Null => 0,
        Value::Int8(number) => (*number).into(),
        Value::Int16(number) => (*number).into(),
        Value::Int32(number) => *number,
        Value::Int64(number) => folded(number.cast_unsigned()),
        Value::Boolean(true) => 1231,
        Value::Boolean(false) => 1237,
        Value::Float32(number) => number.to_bits().cast_signed(),
        Value::Float64(number) => folded(number.to_bits()),
        Value::String(text) => {
            text.encode_utf16().fold(0, |hash, unit| polynomial(hash, unit.into()))
        }
        Value::Date(days) => folded((i64::from(*days) * 86_400_000).cast_unsigned()),
        Value::Time(millis) => folded(i64::from(*millis).cast_unsigned()),
        Value::Timestamp(millis) => folded(millis.cast_unsigned()),
        Value::Decimal(decimal) => {
            // BigInteger: over the magnitude's 32-bit digits, highest first, times the sign.
            let (sign, magnitude) = decimal.unscaled.to_u32_digits();
            let hash =
                magnitude.iter().rev().fold(0, |hash, digit| polynomial(hash, digit.cast_signed()));
            let signed = if sign == Sign::Minus { hash.wrapping_neg() } else { hash };
            polynomial(signed, decimal.scale)
        }
        Value::Array(items) => {
            let mut hash = 1;
            for item in items {
                hash = polynomial(hash, java_hash(item)?);
            }
            hash
        }
        Value::Bytes(_) | Value::Map(_) | Value::Struct(_) => {
            return Err(DataError(format!(
                "a {} has no hash code that is the same in every process: choose another field",
                value.java_class()
            )));
        }
    })
}

/// The MurmurHash3 of Debezium and Infinispan: a draft of the x64 variant, upper half of the first
/// 64 bits, seed 9001. The bytes behind the last whole block are read with Java's sign.
fn murmur(bytes: &[u8]) -> i32 {
    const SEED: u64 = 9001;
    let mut state = Murmur {
        h1: 0x9368_e53c_2f6a_f274 ^ SEED,
        h2: 0x586d_cd20_8f7c_d3fd ^ SEED,
        c1: 0x87c3_7b91_1142_53d5,
        c2: 0x4cf5_ad43_2745_937f,
    };
    for block in bytes.chunks(16) {
        let (low, high) = block.split_at(block.len().min(8));
        let word = if block.len() == 16 { little_endian } else { signed_little_endian };
        state.mix(word(low), word(high));
    }
    state.end(bytes.len())
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn signed_little_endian(bytes: &[u8]) -> u64 {
    let shifted = |(index, byte): (u32, &u8)| i64::from(byte.cast_signed()) << (8 * index);
    (0..).zip(bytes).map(shifted).fold(0, |word, part| word ^ part).cast_unsigned()
}

struct Murmur {
    h1: u64,
    h2: u64,
    c1: u64,
    c2: u64,
}

impl Murmur {
    fn mix(&mut self, k1: u64, k2: u64) {
        let scrambled = |k: u64, a: u64, b: u64| k.wrapping_mul(a).rotate_left(23).wrapping_mul(b);
        self.h1 ^= scrambled(k1, self.c1, self.c2);
        self.h1 = self.h1.wrapping_add(self.h2);
        self.h2 = self.h2.rotate_left(41);
        self.h2 ^= scrambled(k2, self.c2, self.c1);
        self.h2 = self.h2.wrapping_add(self.h1);
        self.h1 = self.h1.wrapping_mul(3).wrapping_add(0x52dc_e729);
        self.h2 = self.h2.wrapping_mul(3).wrapping_add(0x3849_5ab5);
        self.c1 = self.c1.wrapping_mul(5).wrapping_add(0x7b7d_159c);
        self.c2 = self.c2.wrapping_mul(5).wrapping_add(0x6bce_6396);
    }

    fn end(mut self, length: usize) -> i32 {
        let scrambled = |mut k: u64| {
            k = (k ^ k >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
            k = (k ^ k >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            k ^ k >> 33
        };
        self.h2 ^= length as u64;
        self.h1 = self.h1.wrapping_add(self.h2);
        self.h2 = self.h2.wrapping_add(self.h1);
        let hash = scrambled(self.h1).wrapping_add(scrambled(self.h2));
        let [_, _, _, _, upper @ ..] = hash.to_le_bytes();
        i32::from_le_bytes(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::{apply, change, record, row, smt};

    fn routed(function: &str, fields: &str, mut record: Record) -> Option<i32> {
        let settings = [
            ("partition.payload.fields", fields),
            ("partition.topic.num", "7"),
            ("partition.hash.function", function),
        ];
        let mut smt = smt(construct, &settings).unwrap();
        assert_eq!(apply(smt.as_mut(), &mut record), Ok(Keep::Record));
        record.partition
    }

    /// Observed on Debezium 3.6.3.
    #[test]
    fn partitions_are_the_originals() {
        let insert = || change("c", Value::Null, row(1, "n1"));
        let delete = || change("d", row(1, "n0"), Value::Null);
        for (function, fields, record, expected) in [
            ("java", "after.name", insert(), Some(1)),
            ("java", "change.name", insert(), Some(1)),
            ("java", "change.name", delete(), Some(0)),
            ("java", "source.table", insert(), Some(4)),
            ("java", "op", insert(), Some(1)),
            ("java", "after.id", insert(), Some(1)),
            ("java", "after.id,after.name", insert(), Some(2)),
            ("other", "after.name", insert(), Some(1)),
            ("murmur", "after.name", insert(), Some(4)),
            ("Murmur", "after.id", insert(), Some(1)),
            ("java", "after.none,none", insert(), None),
            ("java", "after.none, op", insert(), Some(1)),
            ("java", "after.name", delete(), None),
            ("java", "op", change("t", Value::Null, Value::Null), None),
            ("java", "id", record("t"), None),
        ] {
            assert_eq!(routed(function, fields, record), expected, "{function} {fields}");
        }
    }

    #[test]
    fn hash_codes_are_javas() {
        let decimal =
            |cents: i32| Value::Decimal(crate::data::Decimal { unscaled: cents.into(), scale: 2 });
        for (value, expected) in [
            (Value::string("hello"), 99_162_322),
            (Value::Int64(-1), 0),
            (Value::Int64(1 << 40), 256),
            (Value::Float64(1.5), 1_073_217_536),
            (Value::Boolean(false), 1237),
            (decimal(1999), 61_971),
            (decimal(-1999), -61_967),
        ] {
            assert_eq!(java_hash(&value), Ok(expected), "{value:?}");
        }
        assert!(java_hash(&Value::Bytes("x".into())).is_err());
    }

    #[test]
    fn zero_partitions_are_refused() {
        let settings = [("partition.payload.fields", "op"), ("partition.topic.num", "0")];
        assert_eq!(
            smt(construct, &settings).err().unwrap(),
            "Invalid value 0 for configuration partition.topic.num: A positive, non-zero integer \
             value is expected"
        );
    }
}
