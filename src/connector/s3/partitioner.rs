//! Record to path: the encoded partition of the original's partitioners. Pure.

use std::fmt::Write as _;

use super::arrival::{Arrival, FieldPath, Member};
use super::extractor::Extractor;
use super::joda::Pattern;
use super::zone::Zone;
use crate::data::{Type, Value};
use crate::error::DataError;

/// How records are spread over paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partitioner {
    pub(super) scheme: Scheme,
    /// `s3.schema.partition.affix.type`.
    pub(super) affix: Affix,
    /// `directory.delim`.
    pub(super) delim: String,
    /// `tombstone.encoded.partition`, where null values are written.
    pub(super) tombstones: Option<String>,
}

/// The partitioner proper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    /// One path per Kafka partition.
    Default,
    /// The values of these fields.
    Field(Vec<FieldPath>),
    Time(TimeScheme),
}

/// TimeBased, Daily and Hourly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeScheme {
    /// More than 0.
    pub(super) duration_ms: i64,
    pub(super) pattern: Pattern,
    pub(super) zone: Zone,
    pub(super) extractor: Extractor,
}

/// Where the schema's name stands in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affix {
    None,
    Prefix,
    Suffix,
}

/// The path of the last record, so that runs of records with one path cost little.
#[derive(Debug, Default)]
pub(super) struct LastPath {
    pub(super) text: String,
    /// The bucket that `text` shows.
    bucket_ms: Option<i64>,
}

impl Partitioner {
    /// The path of all records of `partition`, when they have one.
    pub(super) fn constant(&self, partition: i32) -> Option<String> {
        let is_constant = self.scheme == Scheme::Default
            && self.affix == Affix::None
            && self.tombstones.is_none();
        is_constant.then(|| format!("partition={partition}"))
    }

    /// Whether `rotate.interval.ms` applies.
    pub(super) fn is_by_time(&self) -> bool {
        matches!(self.scheme, Scheme::Time(_))
    }

    /// Writes the path of a record of `partition` to `path`, without topic and file name. Returns the
    /// time that rotation goes by.
    ///
    /// # Errors
    /// When the record has no path; `path` is not to be used then.
    pub(super) fn encode(
        &self,
        arrival: &Arrival<'_>,
        partition: i32,
        path: &mut LastPath,
    ) -> Result<Option<i64>, DataError> {
        if let Some(tombstones) = self.tombstones.as_ref().filter(|_| arrival.is_null()) {
            path.set(tombstones);
            // As the original: what is not there cannot be asked for its time.
            return Ok(arrival.timestamp_ms);
        }
        let mut timestamp_ms = arrival.timestamp_ms;
        match &self.scheme {
            Scheme::Default => {
                path.clear();
                // Writing to a String cannot fail.
                let _ = write!(path.text, "partition={partition}");
            }
            Scheme::Field(fields) => {
                path.clear();
                self.encode_fields(arrival, fields, &mut path.text)?;
            }
            Scheme::Time(scheme) => {
                let at_ms = scheme.extractor.extract(arrival)?;
                timestamp_ms = Some(at_ms);
                scheme.encode(at_ms, path)?;
            }
        }
        self.affix(arrival, path);
        Ok(timestamp_ms)
    }

    fn encode_fields(
        &self,
        arrival: &Arrival<'_>,
        fields: &[FieldPath],
        out: &mut String,
    ) -> Result<(), DataError> {
        for (index, field) in fields.iter().enumerate() {
            if 0 < index {
                out.push_str(&self.delim);
            }
            let name = field.text();
            out.push_str(name);
            out.push('=');
            let (schema, value) = match arrival.member(field)? {
                Member::NoStruct => return Err(unencodable(name, "the value is no struct")),
                Member::Missing => {
                    return Err(DataError::new(format!(
                        "Field '{name}' is not present in the schema."
                    )));
                }
                Member::Value(schema, value) => (schema, value),
            };
            // A schemaless map names no types: only its structs are partitioned, as in the original.
            if schema.is_none() && arrival.schema().is_none() {
                return Err(unencodable(name, "the value has no schema"));
            }
            match &value {
                Value::Null => out.push_str("null"),
                Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
                Value::String(text) => push_clean(text, out),
                value => {
                    let integer = value.as_i64();
                    let integer =
                        integer.ok_or_else(|| unencodable(name, kind(schema.as_deref())))?;
                    let _ = write!(out, "{integer}");
                }
            }
        }
        Ok(())
    }

    fn affix(&self, arrival: &Arrival<'_>, path: &mut LastPath) {
        if self.affix == Affix::None {
            return;
        }
        let mut name = String::from("schema_name=");
        push_clean(arrival.schema().and_then(|schema| schema.name()).unwrap_or("null"), &mut name);
        let (d, own) = (&self.delim, &path.text);
        let text = match self.affix {
            Affix::Prefix => format!("{name}{d}{own}"),
            _ => format!("{own}{d}{name}"),
        };
        path.set(&text);
    }
}

impl LastPath {
    pub(super) fn new(text: String) -> Self {
        Self { text, bucket_ms: None }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.bucket_ms = None;
    }

    fn set(&mut self, text: &str) {
        self.clear();
        self.text.push_str(text);
    }
}

impl TimeScheme {
    /// The bucket: local time, rounded toward zero as by the original.
    fn encode(&self, at_ms: i64, path: &mut LastPath) -> Result<(), DataError> {
        let local = self.zone.to_local(at_ms);
        let bucket = self.zone.to_instant(local / self.duration_ms * self.duration_ms);
        if path.bucket_ms == Some(bucket) {
            return Ok(());
        }
        path.clear();
        let written = self.pattern.format(bucket, self.zone, &mut path.text);
        written.ok_or_else(|| {
            DataError::new(format!("timestamp {at_ms} is beyond the years that a path can show"))
        })?;
        path.bucket_ms = Some(bucket);
        Ok(())
    }
}

fn kind(schema: Option<&crate::data::Schema>) -> &'static str {
    match schema.map(crate::data::Schema::ty) {
        Some(Type::Float32 | Type::Float64) => "it is a floating-point number",
        Some(Type::Bytes) => "it is bytes",
        _ => "it is no string, integer or boolean",
    }
}

#[cold]
fn unencodable(field: &str, why: &str) -> DataError {
    DataError::new(format!(
        "Error encoding partition. Field '{field}' cannot be a part of an object name: {why}"
    ))
}

/// Appends text from a record. It stays as it is, slashes included, as far as it can stand in an
/// object name: control characters, and slashes that would make an empty or relative part, are
/// percent-encoded.
fn push_clean(text: &str, out: &mut String) {
    let is_odd = text.starts_with('/')
        || text.ends_with('/')
        || text.split('/').any(|part| part == "." || part == "..")
        || text.contains("//");
    for character in text.chars() {
        if character.is_control() || (is_odd && character == '/') {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests;
