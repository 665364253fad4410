//! One assigned partition: its open file, the closed ones behind it, and where it stands.
//!
//! Decisions are here, effects in [`super::task`].

use std::collections::VecDeque;

use tokio::task::AbortHandle;

use super::config::{NullValues, S3Config};
use super::file::{Arrival, ClosedFile, OpenFile, Transfer};
use super::rotation::Rotation;
use super::upload::Work;
use crate::connector::SinkFile;
use crate::data::TopicPartition;
use crate::error::ConnectError;

#[cfg(test)]
mod tests;

/// Files that one job makes visible together.
const FILES_PER_JOB: usize = 16;

/// A file that an earlier run recorded and did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) file: SinkFile,
    /// Whether its object is there; if not, it is written again with exactly these boundaries.
    pub(super) is_present: bool,
}

/// The state of one partition.
pub(super) struct PartitionWriter {
    partition: TopicPartition,
    encoded: String,
    /// The offset after the last row seen; rows below were taken before.
    expected: Option<i64>,
    open: Option<OpenFile>,
    closed: VecDeque<ClosedFile>,
    /// What a job has: its handle, and about how many bytes.
    job: Option<(AbortHandle, usize)>,
    /// The last job failed.
    pub(super) is_failing: bool,
    recorded: VecDeque<Recorded>,
    committed: Option<i64>,
    reported: Option<i64>,
}

impl PartitionWriter {
    /// A partition that was just assigned; `recorded` in offset order.
    pub(super) fn new(
        partition: TopicPartition,
        config: &S3Config,
        recorded: VecDeque<Recorded>,
    ) -> Self {
        Self {
            encoded: config.partitioner.encode(partition.partition),
            partition,
            expected: None,
            open: None,
            closed: VecDeque::new(),
            job: None,
            is_failing: false,
            recorded,
            committed: None,
            reported: None,
        }
    }

    /// Takes a row, unless it was taken before. A row that is refused counts as taken: when it is
    /// tolerated, the same batch goes on behind it.
    ///
    /// # Errors
    /// Data: the row does not fit; the text names it.
    pub(super) fn take(
        &mut self,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<(), ConnectError> {
        if self.expected.is_some_and(|expected| arrival.offset < expected) {
            return Ok(());
        }
        self.expected = arrival.offset.checked_add(1);
        if arrival.is_null() {
            return match config.null_values {
                NullValues::Ignore => Ok(()),
                NullValues::Fail => Err(self.null_value(arrival)),
            };
        }
        if self.pass_recorded(arrival)? {
            return Ok(());
        }
        self.rotate_before(arrival, config)?;
        self.append(arrival, config)?;
        self.rotate_after(arrival, config)
    }

    /// Closes what an earlier run cut, and says whether the row is in an object already.
    fn pass_recorded(&mut self, arrival: &Arrival<'_>) -> Result<bool, ConnectError> {
        while let Some(recorded) = self.recorded.front() {
            let SinkFile { first_offset, last_offset, .. } = recorded.file;
            if arrival.offset < first_offset {
                return Ok(false);
            }
            let is_inside = arrival.offset <= last_offset;
            if is_inside && !recorded.is_present {
                return Ok(false);
            }
            // The open file ends before a recorded one, or is the recorded one.
            let end = (!recorded.is_present).then_some(last_offset);
            self.close(Rotation::Recorded, end)?;
            if is_inside {
                return Ok(true);
            }
            self.pop_recorded();
        }
        Ok(false)
    }

    fn pop_recorded(&mut self) {
        if let Some(recorded) = self.recorded.pop_front()
            && recorded.is_present
        {
            self.closed.push_back(ClosedFile::present(&recorded.file));
        }
    }

    /// The recorded file that the row belongs to.
    fn inside(&self, offset: i64) -> Option<&SinkFile> {
        let file = &self.recorded.front()?.file;
        (file.first_offset <= offset && offset <= file.last_offset).then_some(file)
    }

    fn rotate_before(
        &mut self,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<(), ConnectError> {
        let Some(open) = &self.open else { return Ok(()) };
        let due = config.limits.before(
            &open.progress,
            arrival.schema(),
            arrival.timestamp_ms,
            arrival.now_ms,
        );
        let due = match self.inside(arrival.offset) {
            // A file that started before the recorded one ends here; within, only a schema can cut.
            Some(file) if open.first_offset() < file.first_offset => Some(Rotation::Recorded),
            Some(_) => due.filter(|due| *due == Rotation::SchemaChange),
            None => due,
        };
        match due {
            Some(reason) => self.close(reason, None),
            None => Ok(()),
        }
    }

    fn append(&mut self, arrival: &Arrival<'_>, config: &S3Config) -> Result<(), ConnectError> {
        let result = match &mut self.open {
            Some(open) => open.append(arrival),
            None => config.format.writer(arrival.schema()).and_then(|writer| {
                let recorded = self.inside(arrival.offset).map(|file| file.key.clone());
                let key = recorded.unwrap_or_else(|| {
                    config.naming.key(&self.partition, &self.encoded, arrival.offset)
                });
                let schedule = config.limits.schedule;
                let scheduled_at_ms = schedule.and_then(|at| at.next_ms(arrival.now_ms));
                let mut file = OpenFile::new(key, writer, arrival, scheduled_at_ms);
                file.append(arrival)?;
                self.open = Some(file);
                Ok(())
            }),
        };
        result.map_err(|error| {
            ConnectError::data(format!("{}@{}: {error}", self.partition, arrival.offset))
        })
    }

    fn rotate_after(
        &mut self,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<(), ConnectError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.cut_parts(config.part_size);
        let due = config.limits.after(&open.progress);
        match self.inside(arrival.offset).map(|file| file.last_offset) {
            Some(last) if last == arrival.offset => {
                self.close(Rotation::Recorded, Some(last))?;
                self.pop_recorded();
                Ok(())
            }
            Some(_) => Ok(()),
            None => match due {
                Some(reason) => self.close(reason, None),
                None => Ok(()),
            },
        }
    }

    /// Closes the open file when time says so.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn pass_time(&mut self, config: &S3Config, now_ms: i64) -> Result<(), ConnectError> {
        let open = self.open.as_ref();
        match open.and_then(|open| config.limits.by_clock(&open.progress, now_ms)) {
            Some(reason) => self.close(reason, None),
            None => Ok(()),
        }
    }

    fn close(&mut self, reason: Rotation, end: Option<i64>) -> Result<(), ConnectError> {
        if let Some(open) = self.open.take() {
            self.closed.push_back(open.close(&self.partition, reason, end)?);
        }
        Ok(())
    }

    /// Frees memory: parts of the open file if it is large, else the file is closed.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn shrink(&mut self) -> Result<(), ConnectError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.shrink()? { Ok(()) } else { self.close(Rotation::Memory, None) }
    }

    /// Whether a job should start.
    pub(super) fn has_work(&self) -> bool {
        let is_ready = |file: &ClosedFile| file.transfer.is_some();
        let has_parts = self.open.as_ref().is_some_and(OpenFile::has_parts);
        self.job.is_none() && (self.closed.front().is_some_and(is_ready) || has_parts)
    }

    /// What a job should do now; the caller starts one and tells by [`PartitionWriter::started`].
    pub(super) fn work(&mut self) -> Option<Work> {
        if self.job.is_some() {
            return None;
        }
        let ready = self.closed.iter().take(FILES_PER_JOB);
        let ready = ready.take_while(|file| file.transfer.is_some()).count();
        if 0 < ready {
            return Some(Work::Files(self.closed.drain(..ready).collect()));
        }
        let (key, transfer) = self.open.as_mut()?.take_parts()?;
        Some(Work::Parts { key, transfer })
    }

    /// A job has the work now.
    pub(super) fn started(&mut self, handle: AbortHandle, bytes: usize) {
        self.job = Some((handle, bytes));
    }

    /// A job has handed its work back.
    pub(super) fn finished(&mut self, work: Work, is_done: bool) {
        self.job = None;
        self.is_failing = !is_done;
        match work {
            Work::Parts { transfer, .. } => self.give_back(transfer),
            Work::Files(files) if is_done => {
                let next = files.iter().map(|file| file.last_offset.saturating_add(1)).max();
                self.committed = self.committed.max(next);
            }
            Work::Files(files) => {
                files.into_iter().rev().for_each(|file| self.closed.push_front(file));
            }
        }
    }

    fn give_back(&mut self, transfer: Transfer) {
        // The file may have been closed meanwhile; it is the first one then.
        let transfer = match &mut self.open {
            Some(open) => open.give_back(transfer),
            None => Some(transfer),
        };
        if let (Some(transfer), Some(file)) = (transfer, self.closed.front_mut()) {
            file.give_back(transfer);
        }
    }

    /// The offset to commit, when it moved since the last call. Where nothing is waiting, rows that
    /// were passed over count too.
    pub(super) fn take_committable(&mut self) -> Option<i64> {
        let is_idle = self.open.is_none() && self.closed.is_empty() && self.job.is_none();
        let passed = self.expected.filter(|_| is_idle && self.recorded.is_empty());
        let next = self.committed.max(passed);
        if next <= self.reported {
            return None;
        }
        self.reported = next;
        next
    }

    /// The job that has this partition's work.
    pub(super) fn job(&self) -> Option<&AbortHandle> {
        self.job.as_ref().map(|(handle, _)| handle)
    }

    /// The upload to abort when the open file is given up.
    pub(super) fn upload(&self) -> Option<(String, String)> {
        self.open.as_ref()?.upload()
    }

    /// Whether a file is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closed files that wait for a job.
    pub(super) fn waiting(&self) -> usize {
        self.closed.len()
    }

    /// About how many bytes the open file holds.
    pub(super) fn open_memory(&self) -> usize {
        self.open.as_ref().map_or(0, OpenFile::memory)
    }

    /// About how many bytes the partition holds, jobs included.
    pub(super) fn memory(&self) -> usize {
        let closed: usize = self.closed.iter().map(ClosedFile::memory).sum();
        self.open_memory() + closed + self.job.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    #[cold]
    fn null_value(&self, arrival: &Arrival<'_>) -> ConnectError {
        // The sentence up to the full stop is the original's, with its stray quote.
        ConnectError::config(format!(
            "Null valued records are not writeable with current behavior.on.null.values \
             'settings. Record {}@{} is one; set behavior.on.null.values=ignore, or drop \
             tombstones before the sink",
            self.partition, arrival.offset
        ))
    }
}

/// About how many bytes `work` holds.
pub(super) fn memory_of(work: &Work) -> usize {
    match work {
        Work::Parts { transfer, .. } => transfer.memory(),
        Work::Files(files) => files.iter().map(ClosedFile::memory).sum(),
    }
}

/// Splits what an earlier run left, in offset order: the files that are there up to the first gap,
/// and what has to be passed again.
pub(super) fn split_recorded(left: Vec<(SinkFile, bool)>) -> (Vec<SinkFile>, VecDeque<Recorded>) {
    let mut left = left.into_iter().peekable();
    let mut done = Vec::new();
    while let Some((file, true)) = left.peek() {
        done.push(file.clone());
        left.next();
    }
    let recorded = left.map(|(file, is_present)| Recorded { file, is_present }).collect();
    (done, recorded)
}
