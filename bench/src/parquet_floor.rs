//! Floor of the sink: parquet-rs writes the sink's columns from memory to memory on one thread.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use arrow_array::builder::{BinaryBuilder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::cpu;

const BATCH: u64 = 10_000;

/// Builds the batches, then writes them; the CPU of both, and of the building alone.
pub(crate) fn write(rows: u64, compression: &str) -> Result<Value> {
    let codec = match compression {
        "none" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "lz4" => Compression::LZ4_RAW,
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(1)?),
        other => bail!("no such compression: {other}"),
    };
    let start = cpu::own()?;
    let begun = Instant::now();
    let batches = (0..rows)
        .step_by(usize::try_from(BATCH)?)
        .map(|first| batch(first + 1, BATCH.min(rows - first)))
        .collect::<Result<Vec<_>>>()?;
    let built = cpu::own()?;
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, schema(), Some(properties))?;
    for batch in &batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(json!({
        "events": rows,
        "bytes": file.len(),
        "wall_s": begun.elapsed().as_secs_f64(),
        "build_cpu_s": built - start,
        "client_cpu_s": cpu::own()? - start,
    }))
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("k", DataType::Int32, true),
        Field::new("v", DataType::Binary, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("ts", DataType::Utf8, true),
        Field::new("__deleted", DataType::Utf8, true),
    ]))
}

fn batch(first: u64, rows: u64) -> Result<RecordBatch> {
    let mut id = Int64Builder::new();
    let mut k = Int32Builder::new();
    let mut v = BinaryBuilder::new();
    let mut s = StringBuilder::new();
    let mut ts = StringBuilder::new();
    let mut deleted = StringBuilder::new();
    for row in first..first + rows {
        id.append_value(i64::try_from(row)?);
        k.append_value(i32::try_from(row % 1000)?);
        v.append_value(u32::try_from(row % 100_000)?.to_be_bytes());
        s.append_value(format!("name-{row}"));
        ts.append_value(format!(
            "2026-01-01T00:{:02}:{:02}.{:06}Z",
            row / 60 % 60,
            row % 60,
            row % 1_000_000
        ));
        deleted.append_value("false");
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(id.finish()),
        Arc::new(k.finish()),
        Arc::new(v.finish()),
        Arc::new(s.finish()),
        Arc::new(ts.finish()),
        Arc::new(deleted.finish()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
