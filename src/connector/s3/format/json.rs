//! JSON files, one document per line: `JsonFormat` of the S3 sink.
//!
//! A document is what JsonConverter writes without the schema's envelope, so its encoder writes it.

use std::fmt;
use std::sync::Arc;

use super::lines::{Compression, Lines};
use super::{Provenance, RecordWriter};
use crate::config::Props;
use crate::converter::json::JsonConverter;
use crate::converter::{Converter as _, Presence, RowEncoder};
use crate::data::{Record, RowPlan, RowView};
use crate::error::{ConnectError, DataError};

/// `json.decimal.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonDecimals {
    Base64,
    Numeric,
}

/// How JSON files are written.
#[derive(Debug, Clone)]
pub(crate) struct JsonFormat {
    decimals: JsonDecimals,
    compression: Compression,
}

impl JsonFormat {
    /// Files with `decimals`, compressed by `compression`.
    pub(crate) fn new(decimals: JsonDecimals, compression: Compression) -> Self {
        Self { decimals, compression }
    }

    pub(super) fn extension(&self) -> String {
        format!(".json{}", self.compression.extension())
    }

    pub(super) fn writer(&self) -> Result<Box<dyn RecordWriter>, DataError> {
        let decimals = match self.decimals {
            JsonDecimals::Base64 => "BASE64",
            JsonDecimals::Numeric => "NUMERIC",
        };
        let props: Props = [("schemas.enable", "false"), ("decimal.format", decimals)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let converter =
            JsonConverter::new(&props).map_err(|error| DataError::new(error.to_string()))?;
        let lines = Lines::new(self.compression);
        Ok(Box::new(JsonWriter { converter, encoder: None, lines }))
    }
}

/// The encoder of the last plan; `None` in it: rows of the plan take the general path.
struct PlanEncoder {
    plan: Arc<RowPlan>,
    encoder: Option<Box<dyn RowEncoder>>,
}

struct JsonWriter {
    converter: JsonConverter,
    encoder: Option<PlanEncoder>,
    lines: Lines,
}

impl fmt::Debug for JsonWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonWriter").finish_non_exhaustive()
    }
}

impl RecordWriter for JsonWriter {
    fn write_row(&mut self, plan: &Arc<RowPlan>, row: &RowView<'_>) -> Result<(), DataError> {
        let known = self.encoder.as_ref().is_some_and(|known| Arc::ptr_eq(&known.plan, plan));
        if !known {
            let value = plan.value.as_ref();
            let encoder = value.and_then(|value| self.converter.encoder(&plan.topic, value));
            self.encoder = Some(PlanEncoder { plan: plan.clone(), encoder });
        }
        let Some(PlanEncoder { encoder: Some(encoder), .. }) = &self.encoder else {
            return self.write_record(&plan.materialize(row)?);
        };
        self.lines.stage(|out| ended(encoder.write(row, out), out))
    }

    fn write_record(&mut self, record: &Record) -> Result<(), DataError> {
        let Self { converter, lines, .. } = self;
        lines
            .stage(|out| ended(converter.from_connect_data(&record.topic, &record.value, out), out))
    }

    fn accept(&mut self) -> Result<(), ConnectError> {
        self.lines.accept()
    }

    fn discard(&mut self) {
        self.lines.discard();
    }

    fn memory(&self) -> usize {
        self.lines.memory()
    }

    fn size(&self) -> usize {
        self.lines.size()
    }

    fn flush(&mut self) -> Result<(), ConnectError> {
        self.lines.flush()
    }

    fn output(&mut self) -> &mut Vec<u8> {
        self.lines.output()
    }

    fn finish(&mut self, _provenance: &Provenance) -> Result<(), ConnectError> {
        self.lines.finish()
    }
}

/// Ends the line of a document.
fn ended(written: Result<Presence, DataError>, out: &mut Vec<u8>) -> Result<(), DataError> {
    match written? {
        Presence::Present => {
            out.push(b'\n');
            Ok(())
        }
        Presence::Null => Err(DataError::new("a null value has no document")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::data::{Schema, SchemaAndValue, SchemaBuilder, Struct, Type, Value};

    fn record(value: Value, schema: Option<Arc<Schema>>) -> Record {
        Record {
            topic: "t".into(),
            partition: None,
            key: SchemaAndValue::NULL,
            value: SchemaAndValue { schema, value },
            timestamp_ms: None,
            offset: None,
            headers: Vec::new(),
        }
    }

    fn provenance() -> Provenance {
        Provenance {
            topic: "t".into(),
            partition: 0,
            first_offset: 0,
            last_offset: 1,
            first_timestamp_ms: None,
            last_timestamp_ms: None,
            row_times_ms: None,
            key_fields: Vec::new(),
        }
    }

    fn rows() -> Vec<Record> {
        let schema = SchemaBuilder::structure()
            .field("id", SchemaBuilder::new(Type::Int32).build())
            .field("price", SchemaBuilder::decimal(2).optional().build())
            .build();
        let decimal = crate::data::Decimal { unscaled: 1234.into(), scale: 2 };
        let row = |price| {
            let value = Struct::new(schema.clone(), vec![Value::Int32(7), price]);
            record(Value::Struct(Box::new(value)), Some(schema.clone()))
        };
        vec![row(Value::Decimal(decimal)), row(Value::Null), record(Value::string("x"), None)]
    }

    #[test]
    fn a_line_per_record_with_explicit_nulls() {
        for (decimals, price) in
            [(JsonDecimals::Base64, "\"BNI=\""), (JsonDecimals::Numeric, "12.34")]
        {
            let format = JsonFormat::new(decimals, Compression::None);
            let mut writer = format.writer().unwrap();
            for row in rows() {
                writer.write_record(&row).unwrap();
                writer.accept().unwrap();
            }
            writer.finish(&provenance()).unwrap();
            let text = String::from_utf8(std::mem::take(writer.output())).unwrap();
            let expected =
                format!("{{\"id\":7,\"price\":{price}}}\n{{\"id\":7,\"price\":null}}\n\"x\"\n");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn gzip_is_one_stream_even_when_output_was_taken() {
        let format = JsonFormat::new(JsonDecimals::Base64, Compression::Gzip(None));
        let mut writer = format.writer().unwrap();
        let mut object = Vec::new();
        for row in rows() {
            writer.write_record(&row).unwrap();
            writer.accept().unwrap();
            writer.flush().unwrap();
            object.append(writer.output());
        }
        writer.finish(&provenance()).unwrap();
        object.append(writer.output());
        let mut text = String::new();
        flate2::read::GzDecoder::new(object.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_refused_record_leaves_no_trace() {
        let format = JsonFormat::new(JsonDecimals::Base64, Compression::None);
        let mut writer = format.writer().unwrap();
        let required = SchemaBuilder::new(Type::Int32).build();
        writer.write_record(&record(Value::Null, Some(required))).unwrap_err();
        writer.write_record(&record(Value::string("x"), None)).unwrap();
        writer.discard();
        assert!(writer.output().is_empty());
    }
}
