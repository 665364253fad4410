//! One file: its offsets and its bytes on their way to the bucket.
//!
//! Every object, however small, is a multipart upload: its parts are durable and its upload id is
//! recorded before the one request that makes it visible. So an interrupted file is finished by
//! whoever comes next without reading Kafka again. The price is two requests more than a plain put.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::arrival::Arrival;
use super::companion;
use super::compatibility::projected;
use super::config_def::PART_SIZE_MIN;
use super::format::{Provenance, RecordWriter};
use super::rotation::Rotation;
use super::row_times::RowTimes;
use crate::connector::SinkFile;
use crate::data::{Schema, TopicPartition};
use crate::error::{ConnectError, DataError};

/// Below this an encoder's work is not broken off: the file would get as many row groups or blocks.
const WORTH_SHRINKING: usize = 1024 * 1024;

/// What an object of a file holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Value,
    /// `store.kafka.keys`; `row` is the struct around each key, where the format needs one.
    Key {
        row: Option<Arc<Schema>>,
    },
    /// `store.kafka.headers`
    Headers {
        is_row: bool,
    },
}

/// An object that grows.
pub(super) struct View {
    content: Content,
    key: String,
    writer: Box<dyn RecordWriter>,
    /// Parts that the transfer does not have yet.
    cut: Vec<Bytes>,
    /// Bytes of all parts that were cut.
    cut_bytes: usize,
    /// `None` while a job has it.
    transfer: Option<Transfer>,
}

impl View {
    pub(super) fn new(content: Content, key: String, writer: Box<dyn RecordWriter>) -> Self {
        let transfer = Some(Transfer::default());
        Self { content, key, writer, cut: Vec::new(), cut_bytes: 0, transfer }
    }

    fn memory(&self) -> usize {
        let transfer = self.transfer.as_ref().map_or(0, Transfer::memory);
        self.writer.memory() + bytes_of(&self.cut) + transfer
    }

    fn stage(
        &mut self,
        arrival: &Arrival<'_>,
        target: Option<&Arc<Schema>>,
    ) -> Result<(), DataError> {
        let writer = self.writer.as_mut();
        match (&self.content, target) {
            (Content::Value, None) => arrival.write(writer),
            (Content::Value, Some(target)) => {
                writer.write_record(&projected(arrival.record()?.as_ref(), target)?)
            }
            (Content::Key { row }, _) => {
                let record = arrival.record()?;
                writer.write_record(&companion::key(record.as_ref(), row.as_ref())?)
            }
            (Content::Headers { is_row }, _) => {
                let record = arrival.record()?;
                writer.write_record(&companion::headers(record.as_ref(), *is_row)?)
            }
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    fn cut_parts(&mut self, part_size: usize) {
        let output = self.writer.output();
        while part_size <= output.len() {
            let rest = output.split_off(part_size);
            self.cut_bytes += output.len();
            self.cut.push(Bytes::from(std::mem::replace(output, rest)));
        }
    }

    /// Encodes what the writer holds back, and cuts a part of it where it is enough for one. Whether
    /// that frees at least half: the file stays open, so its boundary stays where the settings put
    /// it.
    fn shrink(&mut self) -> Result<bool, ConnectError> {
        let before = self.writer.memory();
        if before < WORTH_SHRINKING {
            return Ok(false);
        }
        self.writer.flush()?;
        let smallest = usize::try_from(PART_SIZE_MIN).unwrap_or(usize::MAX);
        let output = self.writer.output();
        if smallest <= output.len() {
            self.cut_bytes += output.len();
            self.cut.push(Bytes::from(std::mem::take(output)));
        }
        Ok(self.writer.memory() <= before / 2)
    }
}

/// The file that rows of one path and one schema are appended to: an object of values, and objects
/// of keys and headers beside it where they are wanted.
pub(super) struct OpenFile {
    /// The encoded partition.
    pub(super) path: String,
    /// The names of the objects without their extensions.
    pub(super) base: String,
    /// The schema of the first value; later ones equal it or are projected onto it.
    pub(super) schema: Option<Arc<Schema>>,
    records: u64,
    first_offset: i64,
    last_offset: i64,
    first_timestamp_ms: Option<i64>,
    last_timestamp_ms: Option<i64>,
    row_times: RowTimes,
    key_fields: Vec<String>,
    views: Vec<View>,
}

impl OpenFile {
    /// A file that starts with `arrival`, which is written to it next.
    pub(super) fn new(
        path: String,
        base: String,
        schema: Option<Arc<Schema>>,
        views: Vec<View>,
        arrival: &Arrival<'_>,
    ) -> Self {
        Self {
            path,
            base,
            schema,
            records: 0,
            first_offset: arrival.offset,
            last_offset: arrival.offset,
            first_timestamp_ms: arrival.timestamp_ms,
            last_timestamp_ms: None,
            row_times: RowTimes::default(),
            key_fields: arrival.key_fields(),
            views,
        }
    }

    /// Has every object take its part of a row, projected onto the file's schema if `project`.
    ///
    /// # Errors
    /// When the row does not fit the file, which is then as before.
    pub(super) fn stage(&mut self, arrival: &Arrival<'_>, project: bool) -> Result<(), DataError> {
        let target = self.schema.as_ref().filter(|_| project);
        for index in 0..self.views.len() {
            if let Err(error) = self.views[index].stage(arrival, target) {
                self.views.iter_mut().take(index).for_each(|view| view.writer.discard());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Adds the row that was staged.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn accept(
        &mut self,
        arrival: &Arrival<'_>,
        part_size: usize,
    ) -> Result<(), ConnectError> {
        for view in &mut self.views {
            view.writer.accept()?;
            view.cut_parts(part_size);
        }
        self.last_offset = arrival.offset;
        self.last_timestamp_ms = arrival.timestamp_ms.or(self.last_timestamp_ms);
        self.row_times.push(arrival.timestamp_ms);
        self.records += 1;
        Ok(())
    }

    /// Whether no row was added.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// About how many bytes the file holds in memory, without what a job has.
    pub(super) fn memory(&self) -> usize {
        self.views.iter().map(View::memory).sum()
    }

    /// About how many bytes the largest object has, those that are up among them.
    pub(super) fn size(&self) -> usize {
        let sizes = self.views.iter().map(|view| view.cut_bytes + view.writer.size());
        sizes.max().unwrap_or_default()
    }

    /// Encodes what the writers hold back and cuts it into parts as small as S3 takes them. Whether
    /// that frees memory.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn shrink(&mut self) -> Result<bool, ConnectError> {
        let mut is_smaller = false;
        for view in &mut self.views {
            is_smaller |= view.shrink()?;
        }
        Ok(is_smaller)
    }

    /// Whether parts are cut that no job has.
    pub(super) fn has_parts(&self) -> bool {
        self.views.iter().any(|view| !view.cut.is_empty() && view.transfer.is_some())
    }

    /// The transfer of an object with the parts cut so far, when there are any and no job has it.
    pub(super) fn take_parts(&mut self) -> Option<(String, Transfer)> {
        let mut ready = self.views.iter_mut();
        let view = ready.find(|view| !view.cut.is_empty() && view.transfer.is_some())?;
        let mut transfer = view.transfer.take()?;
        transfer.pending.extend(view.cut.drain(..));
        Some((view.key.clone(), transfer))
    }

    /// Takes the transfer of the object `key` back from a job, if it is this file's.
    pub(super) fn give_back(&mut self, key: &str, transfer: Transfer) -> Option<Transfer> {
        match self.views.iter_mut().find(|view| view.key == key) {
            Some(view) => {
                view.transfer = Some(transfer);
                None
            }
            None => Some(transfer),
        }
    }

    /// The uploads that have to be aborted when the file is given up.
    pub(super) fn uploads(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.views.iter().filter_map(|view| {
            let upload_id = view.transfer.as_ref()?.upload_id.clone()?;
            Some((view.key.clone(), upload_id))
        })
    }

    /// Ends the file. Its last offset is at least `last_offset`, where an earlier run recorded it.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn close(
        self,
        partition: &TopicPartition,
        reason: Rotation,
        last_offset: Option<i64>,
    ) -> Result<Vec<ClosedFile>, ConnectError> {
        let last_offset = last_offset.unwrap_or(self.last_offset).max(self.last_offset);
        let provenance = Provenance {
            topic: partition.topic.clone(),
            partition: partition.partition,
            first_offset: self.first_offset,
            last_offset,
            first_timestamp_ms: self.first_timestamp_ms,
            last_timestamp_ms: self.last_timestamp_ms,
            row_times_ms: self.row_times.finish(),
            key_fields: self.key_fields,
        };
        let mut closed = Vec::with_capacity(self.views.len());
        for mut view in self.views {
            view.writer.finish(&provenance)?;
            let rest = std::mem::take(view.writer.output());
            if !rest.is_empty() {
                view.cut.push(Bytes::from(rest));
            }
            let mut file = ClosedFile {
                partition: partition.clone(),
                key: view.key,
                first_offset: self.first_offset,
                last_offset,
                records: self.records,
                reason,
                stage: Stage::Uploading,
                cut: view.cut,
                transfer: view.transfer,
            };
            file.hand_over_parts();
            closed.push(file);
        }
        Ok(closed)
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
            records: file.records,
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
            records: self.records,
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
