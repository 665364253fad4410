//! Avro object container files, which the DuckDB we link cannot read: each is written anew as Parquet
//! beside the staged files, with its schema and its entries for us in the footer. From then on it is a
//! Parquet file like any other.
//!
//! `arrow-avro` decodes into the Arrow that the `parquet` crate writes; of a row no tree of values is
//! ever made.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use arrow_avro::reader::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;
/// A group of rows is held in memory until it is written.
const ROW_GROUP_ROWS: usize = 65_536;

/// Where the schema is in the header of an Avro file, and in the footer of a Parquet file.
const AVRO_SCHEMA: &str = "avro.schema";
const PARQUET_AVRO_SCHEMA: &str = "parquet.avro.schema";

/// Writes the rows of the Avro file `from` to the Parquet file `to`.
///
/// # Errors
/// What is wrong with the file, or with the disk.
pub(crate) fn to_parquet(from: &Path, to: &Path) -> Result<(), String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let input = BufReader::new(File::open(from).map_err(|error| said(&error))?);
    let mut reader = ReaderBuilder::new()
        .with_batch_size(BATCH_ROWS)
        .build(input)
        .map_err(|error| format!("no readable Avro file: {error}"))?;
    let entries = reader
        .avro_header()
        .metadata()
        .filter_map(|(key, value)| {
            let key = std::str::from_utf8(key).ok()?;
            let value = std::str::from_utf8(value).ok()?.to_owned();
            match key {
                AVRO_SCHEMA => Some(KeyValue::new(PARQUET_AVRO_SCHEMA.to_owned(), value)),
                _ if key.starts_with("cdc.") => Some(KeyValue::new(key.to_owned(), value)),
                _ => None,
            }
        })
        .collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(entries))
        .build();
    let output = File::create(to).map_err(|error| said(&error))?;
    let mut writer = ArrowWriter::try_new(output, reader.schema(), Some(properties))
        .map_err(|error| said(&error))?;
    for batch in &mut reader {
        let batch = batch.map_err(|error| format!("no readable Avro file: {error}"))?;
        writer.write(&batch).map_err(|error| said(&error))?;
    }
    writer.close().map_err(|error| said(&error))?;
    Ok(())
}
