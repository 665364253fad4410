//! Files of raw bytes, each record followed by a separator: `ByteArrayFormat` of the S3 sink.

use std::fmt;
use std::sync::Arc;

use super::lines::{Compression, Lines};
use super::{Provenance, RecordWriter};
use crate::data::{Record, RowPlan, RowView, Type, Value};
use crate::error::{ConnectError, DataError};

/// How byte files are written.
#[derive(Debug, Clone)]
pub(crate) struct BytesFormat {
    /// `format.bytearray.extension`
    extension: String,
    /// `format.bytearray.separator`
    separator: Arc<[u8]>,
    compression: Compression,
}

impl BytesFormat {
    pub(crate) fn new(extension: String, separator: &str, compression: Compression) -> Self {
        Self { extension, separator: separator.as_bytes().into(), compression }
    }

    pub(super) fn extension(&self) -> String {
        format!("{}{}", self.extension, self.compression.extension())
    }

    pub(super) fn writer(&self) -> Box<dyn RecordWriter> {
        let lines = Lines::new(self.compression);
        Box::new(BytesWriter { separator: self.separator.clone(), lines })
    }
}

struct BytesWriter {
    separator: Arc<[u8]>,
    lines: Lines,
}

impl fmt::Debug for BytesWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesWriter").finish_non_exhaustive()
    }
}

impl RecordWriter for BytesWriter {
    fn write_row(&mut self, plan: &Arc<RowPlan>, row: &RowView<'_>) -> Result<(), DataError> {
        self.write_record(&plan.materialize(row)?)
    }

    fn write_record(&mut self, record: &Record) -> Result<(), DataError> {
        if let Some(schema) = record.value.schema.as_ref().filter(|s| s.ty() != Type::Bytes) {
            let ty = schema.ty().name();
            return Err(DataError::new(format!(
                "Invalid schema type for ByteArrayConverter: {ty}"
            )));
        }
        let bytes = match &record.value.value {
            Value::Bytes(bytes) => bytes,
            other => {
                let class = other.java_class();
                return Err(DataError::new(format!(
                    "ByteArrayConverter is not compatible with objects of type class {class}"
                )));
            }
        };
        let Self { separator, lines } = self;
        lines.stage(|out| {
            out.extend_from_slice(bytes);
            out.extend_from_slice(separator);
            Ok(())
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaAndValue, SchemaBuilder};

    fn record(value: Value, ty: Option<Type>) -> Record {
        Record {
            topic: "t".into(),
            partition: None,
            key: SchemaAndValue::NULL,
            value: SchemaAndValue { schema: ty.map(|ty| SchemaBuilder::new(ty).build()), value },
            timestamp_ms: None,
            offset: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn bytes_and_a_separator_behind_each() {
        let format = BytesFormat::new(".raw".to_owned(), " ", Compression::None);
        assert_eq!(format.extension(), ".raw");
        let mut writer = format.writer();
        for (bytes, ty) in [(&b"ab"[..], Some(Type::Bytes)), (b"\0", None)] {
            let bytes = Value::Bytes(bytes::Bytes::copy_from_slice(bytes));
            writer.write_record(&record(bytes, ty)).unwrap();
            writer.accept().unwrap();
        }
        assert_eq!(writer.output(), b"ab \0 ");
    }

    #[test]
    fn anything_else_is_refused_in_the_originals_words() {
        let format = BytesFormat::new(".bin".to_owned(), "\n", Compression::Gzip(None));
        assert_eq!(format.extension(), ".bin.gz");
        let rows = [
            (
                record(Value::string("x"), Some(Type::String)),
                "Invalid schema type for ByteArrayConverter: STRING",
            ),
            (
                record(Value::string("x"), None),
                "ByteArrayConverter is not compatible with objects of type class java.lang.String",
            ),
        ];
        for (record, expected) in rows {
            let error = format.writer().write_record(&record).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
