//! Parquet files with the original's exact schema, `ParquetFormat` of the S3 sink.
//!
//! Rows gather in plain columns first ([`columns`]); a Parquet writer with its page buffers and
//! dictionaries exists only once a file has outgrown [`BATCH_BYTES`], so that a thousand quiet
//! partitions cost little.

mod columns;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ConvertedType, GzipLevel, Type as Physical, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::printer::print_schema;
use parquet::schema::types::SchemaDescriptor;

use self::columns::Column;
#[cfg(test)]
pub(super) use self::schema::DECIMAL_PRECISION;
use self::schema::Lists;
pub(super) use self::schema::{ENUM, FIXED_SIZE, decimal, is_native_map};
use super::{Provenance, RecordWriter, avro_schema};
use crate::data::{Node, Record, RowPlan, RowView, Schema, Type, Value};
use crate::error::{ConnectError, DataError};

/// Rows are handed to the encoder in batches of about this size.
const BATCH_BYTES: usize = 64 * 1024;
/// Rows between two looks at a batch's size.
const ROWS_PER_LOOK: usize = 32;
/// The original's page size, which readers' page indexes reflect.
const PAGE_BYTES: usize = 64 * 1024;
const PAGE_ROWS: usize = 20_000;
const DICTIONARY_PAGE_BYTES: usize = 1024 * 1024;
/// The original's row group size.
const ROW_GROUP_BYTES: usize = 128 * 1024 * 1024;
/// In the form that readers parse to know a writer's bugs.
const CREATED_BY: &str = concat!("ferroconnect version ", env!("CARGO_PKG_VERSION"), " (build 0)");

/// `parquet.codec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
    /// With the ending of its files' names: see `parquet.lz4.extension`.
    Lz4 {
        extension: Lz4Extension,
    },
    Lz4Raw,
}

/// How names of `lz4` files end before `.parquet`, which changed with the original's library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lz4Extension {
    /// `.lz4hadoop`, since parquet-java 1.13.
    Hadoop,
    /// `.lz4`, before.
    Plain,
}

impl Codec {
    /// The codec that the property's `name` means; `None` for the ones that this build cannot write.
    pub(crate) fn of(name: &str, extension: Lz4Extension) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "snappy" => Self::Snappy,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "lz4" => Self::Lz4 { extension },
            "lz4_raw" => Self::Lz4Raw,
            _ => return None,
        })
    }

    fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Snappy => ".snappy",
            Self::Gzip => ".gz",
            Self::Zstd => ".zstd",
            Self::Lz4 { extension: Lz4Extension::Hadoop } => ".lz4hadoop",
            Self::Lz4 { extension: Lz4Extension::Plain } => ".lz4",
            Self::Lz4Raw => ".lz4raw",
        }
    }

    fn compression(self) -> Compression {
        match self {
            Self::None => Compression::UNCOMPRESSED,
            Self::Snappy => Compression::SNAPPY,
            Self::Gzip => Compression::GZIP(GzipLevel::default()),
            Self::Zstd => Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
            Self::Lz4 { .. } => Compression::LZ4,
            Self::Lz4Raw => Compression::LZ4_RAW,
        }
    }
}

/// How Parquet files are written.
#[derive(Debug, Clone)]
pub(crate) struct ParquetFormat {
    codec: Codec,
}

impl ParquetFormat {
    /// Files compressed with `codec`.
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec }
    }

    pub(super) fn extension(&self) -> String {
        format!("{}.parquet", self.codec.extension())
    }

    pub(super) fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Box<dyn RecordWriter>, DataError> {
        let (schema, shape) = self.shape(schema)?;
        Ok(Box::new(ParquetWriter::new(schema.clone(), shape)))
    }

    /// The message type of files with values of `schema`, as Parquet writes it.
    pub(crate) fn schema_text(&self, schema: Option<&Arc<Schema>>) -> Result<String, DataError> {
        let (_, shape) = self.shape(schema)?;
        let mut text = Vec::new();
        print_schema(&mut text, shape.parquet.root_schema());
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn shape<'a>(
        &self,
        schema: Option<&'a Arc<Schema>>,
    ) -> Result<(&'a Arc<Schema>, Shape), DataError> {
        let schema = schema.filter(|schema| schema.ty() == Type::Struct).ok_or_else(|| {
            DataError::new(
                "Parquet needs values that are structs with a schema; set \
                 value.converter.schemas.enable=true (or a converter with schemas), or use \
                 format.class io.confluent.connect.s3.format.json.JsonFormat",
            )
        })?;
        let shape = Shape::of(schema, self.codec)
            .map_err(|error| DataError::new(format!("no Parquet schema for the value: {error}")))?;
        Ok((schema, shape))
    }
}

/// What the encoder of a file is made from.
struct Shape {
    lists: Lists,
    parquet: SchemaDescriptor,
    properties: WriterProperties,
    avro_schema: String,
}

impl Shape {
    fn of(schema: &Schema, codec: Codec) -> Result<Self, ParquetError> {
        let lists = Lists::of(schema);
        let avro = avro_schema::of(schema);
        let parquet = SchemaDescriptor::new(schema::message(&avro.full_name, schema, lists)?);
        let properties = properties(&parquet, codec);
        Ok(Self { lists, parquet, properties, avro_schema: avro.json })
    }
}

fn properties(parquet: &SchemaDescriptor, codec: Codec) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(codec.compression())
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_PAGE_BYTES)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    for column in parquet.columns() {
        // The encoder compares these bytes unsigned, a reader would compare numbers and skip
        // negative ones.
        let decimal = column.converted_type() == ConvertedType::DECIMAL
            && matches!(
                column.physical_type(),
                Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY
            );
        if decimal {
            builder = builder
                .set_column_statistics_enabled(column.path().clone(), EnabledStatistics::None);
        }
    }
    builder.build()
}

struct ParquetWriter {
    schema: Arc<Schema>,
    shape: Shape,
    columns: Vec<Column>,
    rows: usize,
    arrow: SchemaRef,
    encoder: Option<ArrowWriter<Vec<u8>>>,
    /// The encoder's output once it is gone; also what `output` shows before it exists.
    finished: Vec<u8>,
}

impl fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ParquetWriter {
    fn new(schema: Arc<Schema>, shape: Shape) -> Self {
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| Column::new(&field.name, &field.schema, shape.lists))
            .collect();
        let fields: Vec<_> = columns.iter().map(Column::field).collect();
        let arrow = Arc::new(ArrowSchema::new(fields));
        Self { schema, shape, columns, rows: 0, arrow, encoder: None, finished: Vec::new() }
    }

    /// Has `append` stage a row, or takes back what it added before it failed.
    fn row(
        &mut self,
        append: impl FnOnce(&mut [Column]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        if let Err(error) = append(&mut self.columns) {
            self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
            return Err(error);
        }
        Ok(())
    }

    fn held(&self) -> usize {
        self.columns.iter().map(Column::memory).sum()
    }

    /// Hands the gathered rows to the encoder.
    fn encode(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 && self.encoder.is_some() {
            return Ok(());
        }
        self.rows = 0;
        let arrays = self.columns.iter_mut().map(Column::take).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.arrow.clone(), arrays)?;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let options = ArrowWriterOptions::new()
                    .with_properties(self.shape.properties.clone())
                    .with_parquet_schema(self.shape.parquet.clone())
                    .with_skip_arrow_metadata(true);
                let output = std::mem::take(&mut self.finished);
                none.insert(ArrowWriter::try_new_with_options(output, self.arrow.clone(), options)?)
            }
        };
        encoder.write(&batch)
    }

    fn end(&mut self, provenance: &Provenance) -> Result<(), ParquetError> {
        self.encode()?;
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        for (key, value) in metadata(&self.shape.avro_schema, provenance) {
            encoder.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.finished = encoder.into_inner()?;
        Ok(())
    }
}

impl RecordWriter for ParquetWriter {
    fn write_row(&mut self, plan: &Arc<RowPlan>, row: &RowView<'_>) -> Result<(), DataError> {
        let Some(value) = &plan.value else {
            return Err(DataError::new("a null value has no row"));
        };
        match &value.node {
            Node::Struct { presence: None, fields: nodes } => self.row(|columns| {
                let mut pairs = columns.iter_mut().zip(nodes);
                pairs.try_for_each(|(column, node)| column.push_node(node, row))
            }),
            _ => self.write_record(&plan.materialize(row)?),
        }
    }

    fn write_record(&mut self, record: &Record) -> Result<(), DataError> {
        let Value::Struct(value) = &record.value.value else {
            return Err(DataError::new("Parquet needs values that are structs"));
        };
        let same = Arc::ptr_eq(value.schema(), &self.schema) || value.schema() == &self.schema;
        let same = same || value.schema().fields() == self.schema.fields();
        if !same {
            return Err(DataError::new("the value's schema is not that of the file"));
        }
        self.row(|columns| {
            let mut pairs = columns.iter_mut().zip(value.values());
            pairs.try_for_each(|(column, value)| column.push_value(value))
        })
    }

    fn accept(&mut self) -> Result<(), ConnectError> {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_LOOK) && BATCH_BYTES <= self.held() {
            self.encode().map_err(encoding)?;
        }
        Ok(())
    }

    fn discard(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
    }

    fn memory(&self) -> usize {
        let encoder = self.encoder.as_ref();
        self.held()
            + encoder.map_or(self.finished.len(), |encoder| {
                encoder.memory_size() + encoder.inner().len()
            })
    }

    fn size(&self) -> usize {
        let encoder = self.encoder.as_ref();
        self.held()
            + encoder.map_or(self.finished.len(), |encoder| {
                encoder.in_progress_size() + encoder.inner().len()
            })
    }

    fn flush(&mut self) -> Result<(), ConnectError> {
        let flushed = self.encode().and_then(|()| match &mut self.encoder {
            Some(encoder) => encoder.flush().and_then(|()| Ok(encoder.sync()?)),
            None => Ok(()),
        });
        flushed.map_err(encoding)
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match &mut self.encoder {
            Some(encoder) => encoder.inner_mut(),
            None => &mut self.finished,
        }
    }

    fn finish(&mut self, provenance: &Provenance) -> Result<(), ConnectError> {
        self.end(provenance).map_err(encoding)
    }
}

fn encoding(error: ParquetError) -> ConnectError {
    ConnectError::fatal("the Parquet encoder failed").because(error)
}

/// The file's key-value metadata: the original's entries, and where the rows come from for the
/// history tables.
fn metadata(avro_schema: &str, provenance: &Provenance) -> Vec<(&'static str, String)> {
    let mut entries = vec![
        ("parquet.avro.schema", avro_schema.to_owned()),
        ("writer.model.name", "avro".to_owned()),
    ];
    entries.extend(provenance.entries());
    entries
}
