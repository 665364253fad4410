//! One assigned partition: its open files, the closed ones behind them, and where it stands.
//!
//! Decisions are here, effects in [`super::task`].

use std::collections::VecDeque;

use tokio::task::AbortHandle;

use super::arrival::Arrival;
use super::config::{NullValues, S3Config};
use super::file::{ClosedFile, Content, OpenFile, Transfer, View};
use super::group::{ClosedGroup, OpenGroup, Place, SeenSchemas};
use super::partitioner::LastPath;
use super::recorded::{RecordedFile, Span};
use super::rotation::{Next, Progress, Rotation};
use super::upload::Work;
use crate::data::TopicPartition;
use crate::error::{ConnectError, DataError};

#[cfg(test)]
mod tests;

/// Files that one job makes visible together; more when they belong together.
const FILES_PER_JOB: usize = 16;
/// What S3 takes.
const KEY_BYTES_MAX: usize = 1024;

/// What an ignored null value is reported with.
pub(super) const SKIPPED_NULL: &str = "Skipping null value record.";

/// What a job has of a partition.
struct Job {
    handle: AbortHandle,
    /// About how many bytes.
    bytes: usize,
    /// When the first of its closed files' records came.
    since_ms: Option<i64>,
}

/// The state of one partition.
pub(super) struct PartitionWriter {
    partition: TopicPartition,
    /// The path of the row being taken, or of all rows.
    path: LastPath,
    is_path_constant: bool,
    /// The offset after the last row seen; rows below were taken before.
    expected: Option<i64>,
    open: Option<OpenGroup>,
    /// The open files are those of the first span.
    is_in_span: bool,
    closed: VecDeque<ClosedGroup>,
    job: Option<Job>,
    /// The last job failed.
    pub(super) is_failing: bool,
    spans: VecDeque<Span>,
    seen: SeenSchemas,
    committed: Option<i64>,
    reported: Option<i64>,
}

impl PartitionWriter {
    /// A partition that was just assigned; `spans` in offset order.
    pub(super) fn new(partition: TopicPartition, config: &S3Config, spans: VecDeque<Span>) -> Self {
        let constant = config.partitioner.constant(partition.partition);
        let is_path_constant = constant.is_some();
        Self {
            partition,
            path: LastPath::new(constant.unwrap_or_default()),
            is_path_constant,
            expected: None,
            open: None,
            is_in_span: false,
            closed: VecDeque::new(),
            job: None,
            is_failing: false,
            spans,
            seen: SeenSchemas::default(),
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
            match config.null_values {
                NullValues::Ignore if config.report_null_values => {
                    return Err(self.refused(arrival, &DataError::new(SKIPPED_NULL)));
                }
                NullValues::Ignore => return Ok(()),
                NullValues::Fail => return Err(self.null_value(arrival)),
                NullValues::Write => {}
            }
        }
        let timestamp_ms = match self.is_path_constant {
            true => arrival.timestamp_ms,
            false => {
                let encoded =
                    config.partitioner.encode(arrival, self.partition.partition, &mut self.path);
                encoded.map_err(|error| self.refused(arrival, &error))?
            }
        };
        if !self.spans.is_empty() && self.take_recorded(arrival, config)? {
            return Ok(());
        }
        let (index, project) = self.place(arrival, timestamp_ms, config)?;
        self.append(arrival, index, project, config)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let progress = &mut open.progress;
        progress.records += 1;
        progress.last_arrival_ms = arrival.now_ms;
        progress.base_timestamp_ms = progress.base_timestamp_ms.or(timestamp_ms);
        match config.limits.after(&open.progress, || open.size(index)) {
            Some(reason) => self.close(reason),
            None => Ok(()),
        }
    }

    /// Finds or makes the file that the row goes to, closing what has to be closed before.
    fn place(
        &mut self,
        arrival: &Arrival<'_>,
        timestamp_ms: Option<i64>,
        config: &S3Config,
    ) -> Result<(usize, bool), ConnectError> {
        let schema = arrival.schema().filter(|_| !self.is_tombstone(arrival, config));
        if let Some(open) = &self.open {
            let next = Next {
                timestamp_ms,
                now_ms: arrival.now_ms,
                is_other_path: self.leaves_path(open, config),
            };
            if let Some(reason) = config.limits.before(&open.progress, next) {
                self.close(reason)?;
            }
        }
        if let Some(open) = &self.open {
            let place = open.place(
                &self.path.text,
                schema,
                config.compatibility,
                &self.seen,
                config.limits.open_files_max,
            );
            match place.map_err(|error| self.refused(arrival, &error))? {
                Place::File { index, project } => return Ok((index, project)),
                Place::New => self.seen.add(open.schema_of(&self.path.text)),
                Place::Rotate(reason) => {
                    if reason == Rotation::SchemaChange {
                        self.seen.add(open.schema_of(&self.path.text));
                    }
                    self.close(reason)?;
                }
            }
        }
        let base = config.naming.base(&self.partition, &self.path.text, arrival.offset);
        let index = self.create(base, arrival, config)?;
        Ok((index, false))
    }

    /// Whether the row's path is another than the last one's, in a way that time rotation looks at.
    fn leaves_path(&self, open: &OpenGroup, config: &S3Config) -> bool {
        let tombstones = config.partitioner.tombstones.as_deref();
        let is_tombstones = |path: Option<&str>| tombstones.is_some() && path == tombstones;
        config.limits.rotate_interval_ms.is_some()
            && open.is_other_path(&self.path.text)
            && !is_tombstones(Some(&self.path.text))
            && !is_tombstones(open.last_path())
    }

    fn is_tombstone(&self, arrival: &Arrival<'_>, config: &S3Config) -> bool {
        config.null_values == NullValues::Write && arrival.is_null()
    }

    /// Adds a file for `arrival`, which is written to it next.
    fn create(
        &mut self,
        base: String,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<usize, ConnectError> {
        let is_tombstone = self.is_tombstone(arrival, config);
        let views = views(&base, arrival, is_tombstone, config)
            .map_err(|error| self.refused(arrival, &error))?;
        let schema = arrival.schema().filter(|_| !is_tombstone).cloned();
        let file = OpenFile::new(self.path.text.clone(), base, schema, views, arrival);
        let open = self.open.get_or_insert_with(|| {
            let schedule = config.limits.schedule;
            OpenGroup::new(Progress {
                records: 0,
                base_timestamp_ms: None,
                first_arrival_ms: arrival.now_ms,
                last_arrival_ms: arrival.now_ms,
                scheduled_at_ms: schedule.and_then(|at| at.next_ms(arrival.now_ms)),
            })
        });
        Ok(open.add(file))
    }

    fn append(
        &mut self,
        arrival: &Arrival<'_>,
        index: usize,
        project: bool,
        config: &S3Config,
    ) -> Result<(), ConnectError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let file = open.file(index);
        match file.stage(arrival, project) {
            Ok(()) => file.accept(arrival, config.part_size),
            Err(error) => {
                // A file without a row would become an object without content.
                open.remove_if_empty(index);
                if open.files() == 0 {
                    self.open = None;
                }
                Err(self.refused(arrival, &error))
            }
        }
    }

    /// Deals with a row that an earlier run had in a file, and says whether the row was one.
    fn take_recorded(
        &mut self,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<bool, ConnectError> {
        let offset = arrival.offset;
        while let Some((first, last)) =
            self.spans.front().map(|span| (span.first_offset, span.last_offset))
        {
            if offset < first {
                return Ok(false);
            }
            if !self.is_in_span {
                // What is open ends before the recorded files.
                self.close(Rotation::Recorded)?;
                self.is_in_span = true;
            }
            if offset <= last {
                self.repeat(arrival, config)?;
                return Ok(true);
            }
            self.end_span()?;
        }
        Ok(false)
    }

    /// Writes a row to its recorded file, unless that file is there.
    fn repeat(&mut self, arrival: &Arrival<'_>, config: &S3Config) -> Result<(), ConnectError> {
        let Some(span) = self.spans.front_mut() else { return Ok(()) };
        let is_last = arrival.offset == span.last_offset;
        let is_tombstone = config.null_values == NullValues::Write && arrival.is_null();
        let schema = arrival.schema().filter(|_| !is_tombstone);
        let (partition, path) = (&self.partition, &self.path.text);
        let has_name = |file: &RecordedFile| {
            file.base == config.naming.base(partition, path, file.first_offset)
        };
        let file = span.file_of(arrival.offset, schema, has_name);
        let base = file.filter(|file| !file.is_present).map(|file| file.base.clone());
        if let Some(base) = base {
            let result = self.append_repeated(base, arrival, config);
            if result.as_ref().is_err_and(|error| error.kind() != crate::error::ErrorKind::Data) {
                return result;
            }
            if is_last {
                self.end_span()?;
            }
            return result;
        }
        if is_last { self.end_span() } else { Ok(()) }
    }

    fn append_repeated(
        &mut self,
        base: String,
        arrival: &Arrival<'_>,
        config: &S3Config,
    ) -> Result<(), ConnectError> {
        let schema = arrival.schema().filter(|_| !self.is_tombstone(arrival, config));
        let mut base = base;
        if let Some(open) = &self.open {
            if let Some(index) = open.named(&base, schema) {
                return self.append(arrival, index, false, config);
            }
            let place = open.place(&self.path.text, schema, config.compatibility, &self.seen, None);
            if let Place::File { index, project } =
                place.map_err(|error| self.refused(arrival, &error))?
            {
                return self.append(arrival, index, project, config);
            }
            if open.has_name(&base) {
                // The rows are not those of the earlier run; they get a name that is free.
                base = config.naming.base(&self.partition, &self.path.text, arrival.offset);
            }
        }
        let index = self.create(base, arrival, config)?;
        self.append(arrival, index, false, config)
    }

    /// Closes the files that were written again, together with those that are there.
    fn end_span(&mut self) -> Result<(), ConnectError> {
        let Some(span) = self.spans.pop_front() else { return Ok(()) };
        self.is_in_span = false;
        let since_ms = self.open.as_ref().map_or(i64::MAX, |open| open.progress.first_arrival_ms);
        let mut files = match self.open.take() {
            Some(open) => {
                let end = |base: &str| span.end_of(base);
                open.close(&self.partition, Rotation::Recorded, end)?
            }
            None => Vec::new(),
        };
        let present = span.files.iter().filter(|file| file.is_present);
        files.extend(present.flat_map(|file| &file.objects).map(ClosedFile::present));
        self.closed.extend(ClosedGroup::new(files, since_ms));
        Ok(())
    }

    /// Closes the open files when time says so. Files with recorded boundaries wait for their rows.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn pass_time(&mut self, config: &S3Config, now_ms: i64) -> Result<(), ConnectError> {
        let open = self.open.as_ref().filter(|_| !self.is_in_span);
        match open.and_then(|open| config.limits.by_clock(&open.progress, now_ms)) {
            Some(reason) => self.close(reason),
            None => Ok(()),
        }
    }

    fn close(&mut self, reason: Rotation) -> Result<(), ConnectError> {
        if let Some(open) = self.open.take() {
            let since_ms = open.progress.first_arrival_ms;
            let files = open.close(&self.partition, reason, |_| None)?;
            self.closed.extend(ClosedGroup::new(files, since_ms));
        }
        Ok(())
    }

    /// Frees memory: parts of the open files if they are large, else they are closed. Whether there
    /// was anything to free.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn shrink(&mut self) -> Result<bool, ConnectError> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if open.shrink()? {
            return Ok(true);
        }
        if self.is_in_span {
            return Ok(false);
        }
        self.close(Rotation::Memory)?;
        Ok(true)
    }

    /// Whether a job should start.
    pub(super) fn has_work(&self) -> bool {
        let has_parts = self.open.as_ref().is_some_and(OpenGroup::has_parts);
        self.job.is_none() && (self.closed.front().is_some_and(ClosedGroup::is_ready) || has_parts)
    }

    /// What a job should do now; the caller starts one and tells by [`PartitionWriter::started`].
    pub(super) fn work(&mut self) -> Option<Work> {
        if self.job.is_some() {
            return None;
        }
        if self.closed.front().is_some_and(ClosedGroup::is_ready)
            && let Some(mut group) = self.closed.pop_front()
        {
            while let Some(next) = self.closed.front() {
                if !next.is_ready() || FILES_PER_JOB < group.files.len() + next.files.len() {
                    break;
                }
                self.closed.pop_front().into_iter().for_each(|next| group.join(next));
            }
            return Some(Work::Files(group));
        }
        let (key, transfer) = self.open.as_mut()?.take_parts()?;
        Some(Work::Parts { key, transfer })
    }

    /// A job has the work now.
    pub(super) fn started(&mut self, handle: AbortHandle, bytes: usize, since_ms: Option<i64>) {
        self.job = Some(Job { handle, bytes, since_ms });
    }

    /// A job has handed its work back.
    pub(super) fn finished(&mut self, work: Work, is_done: bool) {
        self.job = None;
        self.is_failing = !is_done;
        match work {
            Work::Parts { key, transfer } => self.give_back(&key, transfer),
            Work::Files(group) if is_done => self.committed = self.committed.max(Some(group.next)),
            Work::Files(group) => self.closed.push_front(group),
        }
    }

    fn give_back(&mut self, key: &str, transfer: Transfer) {
        // The file may have been closed meanwhile.
        let transfer = match &mut self.open {
            Some(open) => open.give_back(key, transfer),
            None => Some(transfer),
        };
        let files = self.closed.iter_mut().flat_map(|group| &mut group.files);
        let file = files.into_iter().find(|file| file.key == key && file.transfer.is_none());
        if let (Some(transfer), Some(file)) = (transfer, file) {
            file.give_back(transfer);
        }
    }

    /// The offset to commit, when it moved since the last call. Where nothing is waiting, rows that
    /// were passed over count too.
    pub(super) fn take_committable(&mut self) -> Option<i64> {
        let is_idle = self.open.is_none() && self.closed.is_empty() && self.job.is_none();
        let passed = self.expected.filter(|_| is_idle && self.spans.is_empty());
        let next = self.committed.max(passed);
        if next <= self.reported {
            return None;
        }
        self.reported = next;
        next
    }

    /// The job that has this partition's work.
    pub(super) fn job(&self) -> Option<&AbortHandle> {
        self.job.as_ref().map(|job| &job.handle)
    }

    /// The uploads to abort when the open files are given up.
    pub(super) fn uploads(&self) -> Vec<(String, String)> {
        self.open.as_ref().map(OpenGroup::uploads).unwrap_or_default()
    }

    /// Files that are open.
    pub(super) fn open_files(&self) -> usize {
        self.open.as_ref().map_or(0, OpenGroup::files)
    }

    /// Closed files that wait for a job; those that belong together count once.
    pub(super) fn waiting(&self) -> usize {
        self.closed.len()
    }

    /// About how many bytes the open files hold.
    pub(super) fn open_memory(&self) -> usize {
        self.open.as_ref().map_or(0, OpenGroup::memory)
    }

    /// About how many bytes the partition holds, jobs included.
    pub(super) fn memory(&self) -> usize {
        let closed: usize = self.closed.iter().map(ClosedGroup::memory).sum();
        self.open_memory() + closed + self.job.as_ref().map_or(0, |job| job.bytes)
    }

    /// When the oldest record came that is in no completed file.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let open = self.open.as_ref().map(|open| open.progress.first_arrival_ms);
        let closed = self.closed.iter().map(|group| group.since_ms);
        let job = self.job.as_ref().and_then(|job| job.since_ms);
        closed.chain(open).chain(job).min()
    }

    #[cold]
    fn refused(&self, arrival: &Arrival<'_>, error: &DataError) -> ConnectError {
        ConnectError::data(format!("{}@{}: {error}", self.partition, arrival.offset))
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

/// The objects of a new file. A tombstone has no value to write.
fn views(
    base: &str,
    arrival: &Arrival<'_>,
    is_tombstone: bool,
    config: &S3Config,
) -> Result<Vec<View>, DataError> {
    let mut views = Vec::with_capacity(1);
    let naming = &config.naming;
    if !is_tombstone {
        let writer = config.format.writer(arrival.schema())?;
        views.push(View::new(Content::Value, format!("{base}{}", naming.extension), writer));
    }
    let row = |format: &super::format::Format| format.needs_rows();
    if let Some(format) = &config.keys {
        let record = arrival.record()?;
        let schema = super::companion::key_schema(&record.key, row(format));
        let writer = format.writer(schema.as_ref())?;
        let content = Content::Key { row: schema.filter(|_| row(format)) };
        views.push(View::new(content, format!("{base}{}", naming.keys_extension), writer));
    }
    if let Some(format) = &config.headers {
        let schema = super::companion::headers_schema(format.has_row_headers());
        let writer = format.writer(Some(&schema))?;
        let content = Content::Headers { is_row: format.has_row_headers() };
        views.push(View::new(content, format!("{base}{}", naming.headers_extension), writer));
    }
    match views.iter().find(|view| KEY_BYTES_MAX < view.key().len()) {
        Some(view) => Err(DataError::new(format!(
            "the object's name would have {} bytes; S3 takes {KEY_BYTES_MAX}",
            view.key().len()
        ))),
        None => Ok(views),
    }
}
