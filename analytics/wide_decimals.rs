//! Parquet decimals of more than 38 digits, which DuckDB has no type for. It would read them as DOUBLE, and
//! those that are shorter than eight bytes as something else. Confluent's converter gives a Decimal
//! whose schema does not tell its precision 64 digits, and so does our sink.
//!
//! A file with such a column is written anew with exact text in its place, as `VariableScaleDecimal` is
//! read.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use duckdb::arrow::array::{ArrayRef, RecordBatch};
use duckdb::arrow::compute::cast;
use duckdb::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ConvertedType, LogicalType};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnDescriptor;

/// What DuckDB's DECIMAL holds.
const PRECISION_MAX: i32 = 38;
/// A group of rows is held in memory until it is written.
const ROW_GROUP_ROWS: usize = 65_536;
/// Arrow's own description of the columns, which are no longer those.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// Writes the rows of the Parquet file `from` to `to` with wide decimals as text. False if it has none, and
/// if it is no Parquet file: whoever reads it says so.
///
/// # Errors
/// What is wrong with the file, or with the disk.
pub(crate) fn to_text(from: &Path, to: &Path) -> Result<bool, String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let input = File::open(from).map_err(|error| said(&error))?;
    let Ok(metadata) = ParquetMetaDataReader::new().parse_and_finish(&input) else {
        return Ok(false);
    };
    let footer = metadata.file_metadata();
    if !footer.schema_descr().columns().iter().any(|column| is_wide(column)) {
        return Ok(false);
    }
    let entries: Vec<KeyValue> = footer.key_value_metadata().cloned().unwrap_or_default();
    let entries = entries.into_iter().filter(|entry| entry.key != ARROW_SCHEMA).collect();
    let reader = ParquetRecordBatchReaderBuilder::try_new(input)
        .map_err(|error| format!("its decimals cannot be read: {error}"))?;
    let schema = Arc::new(Schema::new(as_text(reader.schema().fields())));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(entries))
        .build();
    let output = File::create(to).map_err(|error| said(&error))?;
    let mut writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))
        .map_err(|error| said(&error))?;
    for batch in reader.build().map_err(|error| said(&error))? {
        let batch = batch.map_err(|error| said(&error))?;
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let columns: Vec<ArrayRef> =
            columns.collect::<Result<_, _>>().map_err(|error| said(&error))?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let batch = batch.map_err(|error| said(&error))?;
        writer.write(&batch).map_err(|error| said(&error))?;
    }
    writer.close().map_err(|error| said(&error))?;
    Ok(true)
}

fn is_wide(column: &ColumnDescriptor) -> bool {
    let is_decimal = matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }))
        || column.converted_type() == ConvertedType::DECIMAL;
    is_decimal && PRECISION_MAX < column.type_precision()
}

fn as_text(fields: &Fields) -> Vec<FieldRef> {
    fields.iter().map(field_as_text).collect()
}

fn field_as_text(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Decimal256(precision, _) if PRECISION_MAX < i32::from(*precision) => {
            DataType::Utf8
        }
        DataType::Struct(fields) => DataType::Struct(as_text(fields).into()),
        DataType::List(element) => DataType::List(field_as_text(element)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}
