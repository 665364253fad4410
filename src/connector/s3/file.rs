//! One file: its offsets and its bytes on their way to the bucket.
//!
//! Every object, however small, is a multipart upload: its parts are durable and its upload id is
//! recorded before the one request that makes it visible. So an interrupted file is finished by
//! whoever comes next without reading Kafka again. The price is two requests more than a plain put.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::config_def::PART_SIZE_MIN;
use super::format::{Provenance, RecordWriter};
use super::rotation::{Progress, Rotation};
use super::row_times::RowTimes;
use crate::connector::SinkFile;
use crate::data::{Node, Row, RowPlan, Schema, SinkBatch, TopicPartition, Value};
use crate::error::{ConnectError, DataError};

/// A row of a batch with its coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) batch: &'a SinkBatch,
    pub(super) row: Row,
    /// An index of the batch's partitions.
    pub(super) partition: u32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    /// Wall clock.
    pub(super) now_ms: i64,
}

impl<'a> Arrival<'a> {
    /// The schema of the value; `None` for schemaless values.
    pub(super) fn schema(&self) -> Option<&'a Arc<Schema>> {
        match self.row {
            Row::Planned { .. } => self.plan()?.value.as_ref()?.schema.as_ref(),
            Row::Tree { record } => {
                self.batch.records.records.get(record as usize)?.value.schema.as_ref()
            }
        }
    }

    /// Whether the value is null: a tombstone.
    pub(super) fn is_null(&self) -> bool {
        match self.row {
            Row::Tree { record } => {
                let record = self.batch.records.records.get(record as usize);
                record.is_none_or(|record| record.value.value.is_null())
            }
            Row::Planned { plan, first_cell } => {
                let Some(value) = self.plan().and_then(|plan| plan.value.as_ref()) else {
                    return true;
                };
                let view = self.batch.records.view(plan, first_cell);
                match &value.node {
                    Node::Const(value) => value.is_null(),
                    Node::Cell { index, null, .. } => view.is_null(*index) && null.is_null(),
                    Node::Struct { presence, .. } => {
                        presence.is_some_and(|index| view.is_null(index))
                    }
                }
            }
        }
    }

    fn plan(&self) -> Option<&'a Arc<RowPlan>> {
        match self.row {
            Row::Planned { plan, .. } => self.batch.records.plans.get(plan as usize),
            Row::Tree { .. } => None,
        }
    }

    /// The fields of the record key, when it is a struct.
    fn key_fields(&self) -> Vec<String> {
        let names = |schema: &Schema| schema.fields().iter().map(|f| f.name.clone()).collect();
        match self.row {
            Row::Planned { .. } => {
                let key = self.batch.key_schemas.get(self.partition as usize);
                key.and_then(Option::as_deref).map(names).unwrap_or_default()
            }
            Row::Tree { record } => {
                let record = self.batch.records.records.get(record as usize);
                match record.map(|record| &record.key.value) {
                    Some(Value::Struct(key)) => names(key.schema()),
                    _ => Vec::new(),
                }
            }
        }
    }

    fn write(&self, writer: &mut dyn RecordWriter) -> Result<(), DataError> {
        let records = &self.batch.records;
        match self.row {
            Row::Planned { plan, first_cell } => {
                let shape = self.plan().ok_or_else(|| DataError::new("a row without a plan"))?;
                writer.write_row(shape, &records.view(plan, first_cell))
            }
            Row::Tree { record } => match records.records.get(record as usize) {
                Some(record) => writer.write_record(record),
                None => Err(DataError::new("a row without a record")),
            },
        }
    }
}

/// The file that rows are appended to.
pub(super) struct OpenFile {
    pub(super) progress: Progress,
    key: String,
    first_offset: i64,
    last_offset: i64,
    first_timestamp_ms: Option<i64>,
    last_timestamp_ms: Option<i64>,
    row_times: RowTimes,
    key_fields: Vec<String>,
    writer: Box<dyn RecordWriter>,
    /// Parts that the transfer does not have yet.
    cut: Vec<Bytes>,
    /// `None` while a job has it.
    transfer: Option<Transfer>,
}

impl OpenFile {
    /// A file `key` that starts with `arrival`, which is written to it next.
    pub(super) fn new(
        key: String,
        writer: Box<dyn RecordWriter>,
        arrival: &Arrival<'_>,
        scheduled_at_ms: Option<i64>,
    ) -> Self {
        Self {
            progress: Progress {
                records: 0,
                schema: arrival.schema().cloned(),
                base_timestamp_ms: None,
                last_arrival_ms: arrival.now_ms,
                scheduled_at_ms,
            },
            key,
            first_offset: arrival.offset,
            last_offset: arrival.offset,
            first_timestamp_ms: arrival.timestamp_ms,
            last_timestamp_ms: None,
            row_times: RowTimes::default(),
            key_fields: arrival.key_fields(),
            writer,
            cut: Vec::new(),
            transfer: Some(Transfer::default()),
        }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When the row does not fit the file, which is then as before.
    pub(super) fn append(&mut self, arrival: &Arrival<'_>) -> Result<(), DataError> {
        arrival.write(self.writer.as_mut())?;
        self.last_offset = arrival.offset;
        self.last_timestamp_ms = arrival.timestamp_ms.or(self.last_timestamp_ms);
        self.row_times.push(arrival.timestamp_ms);
        let progress = &mut self.progress;
        progress.records += 1;
        progress.last_arrival_ms = arrival.now_ms;
        progress.base_timestamp_ms = progress.base_timestamp_ms.or(arrival.timestamp_ms);
        Ok(())
    }

    /// The offset of the first row.
    pub(super) fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// About how many bytes the file holds in memory, without what a job has.
    pub(super) fn memory(&self) -> usize {
        let transfer = self.transfer.as_ref().map_or(0, Transfer::memory);
        self.writer.memory() + bytes_of(&self.cut) + transfer
    }

    /// Cuts full parts off the encoded bytes.
    pub(super) fn cut_parts(&mut self, part_size: usize) {
        let output = self.writer.output();
        while part_size <= output.len() {
            let rest = output.split_off(part_size);
            self.cut.push(Bytes::from(std::mem::replace(output, rest)));
        }
    }

    /// Encodes what the writer holds back and cuts it into parts as small as S3 takes them. Whether
    /// that frees memory.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn shrink(&mut self) -> Result<bool, ConnectError> {
        let smallest = usize::try_from(PART_SIZE_MIN).unwrap_or(usize::MAX);
        if self.writer.memory() < smallest {
            return Ok(false);
        }
        self.writer.flush()?;
        let output = self.writer.output();
        if output.len() < smallest {
            return Ok(false);
        }
        self.cut.push(Bytes::from(std::mem::take(output)));
        Ok(true)
    }

    /// Whether parts are cut that no job has.
    pub(super) fn has_parts(&self) -> bool {
        !self.cut.is_empty() && self.transfer.is_some()
    }

    /// The transfer with the parts cut so far, when there are any and no job has it.
    pub(super) fn take_parts(&mut self) -> Option<(String, Transfer)> {
        if self.cut.is_empty() {
            return None;
        }
        let mut transfer = self.transfer.take()?;
        transfer.pending.extend(self.cut.drain(..));
        Some((self.key.clone(), transfer))
    }

    /// Takes the transfer back from a job, if it is this file's.
    pub(super) fn give_back(&mut self, transfer: Transfer) -> Option<Transfer> {
        if self.transfer.is_some() {
            return Some(transfer);
        }
        self.transfer = Some(transfer);
        None
    }

    /// The upload that has to be aborted when the file is given up.
    pub(super) fn upload(&self) -> Option<(String, String)> {
        let upload_id = self.transfer.as_ref()?.upload_id.clone()?;
        Some((self.key.clone(), upload_id))
    }

    /// Ends the file. Its last offset is at least `last_offset`, where an earlier run recorded it.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn close(
        mut self,
        partition: &TopicPartition,
        reason: Rotation,
        last_offset: Option<i64>,
    ) -> Result<ClosedFile, ConnectError> {
        let last_offset = last_offset.unwrap_or(self.last_offset).max(self.last_offset);
        self.writer.finish(&Provenance {
            topic: partition.topic.clone(),
            partition: partition.partition,
            first_offset: self.first_offset,
            last_offset,
            first_timestamp_ms: self.first_timestamp_ms,
            last_timestamp_ms: self.last_timestamp_ms,
            row_times_ms: std::mem::take(&mut self.row_times).finish(),
            key_fields: std::mem::take(&mut self.key_fields),
        })?;
        let rest = std::mem::take(self.writer.output());
        if !rest.is_empty() {
            self.cut.push(Bytes::from(rest));
        }
        let mut file = ClosedFile {
            partition: partition.clone(),
            key: self.key,
            first_offset: self.first_offset,
            last_offset,
            records: self.progress.records,
            reason,
            stage: Stage::Uploading,
            cut: self.cut,
            transfer: self.transfer,
        };
        file.hand_over_parts();
        Ok(file)
    }
}

/// How far a closed file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Parts may be missing.
    Uploading,
    /// Recorded as about to be completed.
    Completing,
    /// The object is there.
    Completed,
}

/// A file whose boundaries are settled.
#[derive(Debug)]
pub(super) struct ClosedFile {
    pub(super) partition: TopicPartition,
    pub(super) key: String,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) records: u64,
    pub(super) reason: Rotation,
    pub(super) stage: Stage,
    cut: Vec<Bytes>,
    /// `None` while a job of the open file has it.
    pub(super) transfer: Option<Transfer>,
}

impl ClosedFile {
    /// A file whose object an earlier run left behind rows that have to be written again.
    pub(super) fn present(file: &SinkFile) -> Self {
        Self {
            partition: file.partition.clone(),
            key: file.key.clone(),
            first_offset: file.first_offset,
            last_offset: file.last_offset,
            records: 0,
            reason: Rotation::Recorded,
            stage: Stage::Completed,
            cut: Vec::new(),
            transfer: Some(Transfer {
                upload_id: file.upload_id.clone(),
                etags: file.etags.clone(),
                ..Transfer::default()
            }),
        }
    }

    /// About how many bytes the file holds in memory, without what a job has.
    pub(super) fn memory(&self) -> usize {
        bytes_of(&self.cut) + self.transfer.as_ref().map_or(0, Transfer::memory)
    }

    /// Takes the transfer back from a job of the open file.
    pub(super) fn give_back(&mut self, transfer: Transfer) {
        self.transfer = Some(transfer);
        self.hand_over_parts();
    }

    fn hand_over_parts(&mut self) {
        if let Some(transfer) = &mut self.transfer {
            transfer.pending.extend(self.cut.drain(..));
        }
    }

    /// The file as the ledger keeps it.
    pub(super) fn row(&self) -> SinkFile {
        let transfer = self.transfer.as_ref();
        SinkFile {
            partition: self.partition.clone(),
            first_offset: self.first_offset,
            last_offset: self.last_offset,
            key: self.key.clone(),
            upload_id: transfer.and_then(|transfer| transfer.upload_id.clone()),
            etags: transfer.map(|transfer| transfer.etags.clone()).unwrap_or_default(),
        }
    }
}

/// The bytes of a file on their way.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    pub(super) upload_id: Option<String>,
    /// Whether the ledger knows the upload.
    pub(super) is_recorded: bool,
    /// The entity tags of the parts that are up.
    pub(super) etags: Vec<String>,
    /// The parts that are not.
    pub(super) pending: VecDeque<Bytes>,
    /// The content of a file of one part, until its object is there: an upload that somebody aborts
    /// can then be repeated.
    pub(super) only_part: Option<Bytes>,
    /// Bytes that are up.
    pub(super) uploaded: u64,
}

impl Transfer {
    /// About how many bytes it holds in memory.
    pub(super) fn memory(&self) -> usize {
        let only = self.only_part.as_ref().map_or(0, Bytes::len);
        self.pending.iter().map(Bytes::len).sum::<usize>() + only
    }

    /// Starts over after the upload was lost. Whether the content is still there.
    pub(super) fn start_over(&mut self) -> bool {
        let Some(content) = self.only_part.take() else { return false };
        *self = Self { pending: VecDeque::from([content]), ..Self::default() };
        true
    }
}

fn bytes_of(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}
