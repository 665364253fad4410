//! The ledger check of the sink: the rows in the Parquet and JSON objects.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow_array::Int64Array;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::ledger::Ids;

/// Says whether the objects below `dir` hold every id from 1 to `rows` once.
pub(crate) fn ledger(dir: &Path, rows: u64) -> Result<Value> {
    let mut ids = Ids::new(rows)?;
    let (mut objects, mut bytes) = (0_u64, 0_u64);
    for path in files(dir)? {
        let read = match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => read_ids,
            Some("json") => read_lines,
            _ => continue,
        };
        objects += 1;
        bytes += std::fs::metadata(&path)?.len();
        read(&path, &mut ids).with_context(|| path.display().to_string())?;
    }
    let mut verdict = ids.verdict();
    verdict["objects"] = objects.into();
    verdict["bytes"] = bytes.into();
    Ok(verdict)
}

fn read_ids(path: &Path, ids: &mut Ids) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), ["id"]);
    for batch in builder.with_projection(columns).build()? {
        let batch = batch?;
        let column = batch.column_by_name("id").context("no column id")?;
        let column = column.as_any().downcast_ref::<Int64Array>().context("id is no int64")?;
        for id in column.values() {
            ids.see(u64::try_from(*id)?);
        }
    }
    Ok(())
}

/// Lines as JsonFormat writes them: the id comes first.
fn read_lines(path: &Path, ids: &mut Ids) -> Result<()> {
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let rest = line.strip_prefix("{\"id\":").context("a line does not start with the id")?;
        let (id, _) = rest.split_once(',').context("a line has the id alone")?;
        ids.see(id.parse()?);
    }
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
