//! The open files of one partition. They are closed together: everything below the offset behind
//! them is then in objects, whatever paths its rows went to.

use std::collections::HashMap;
use std::sync::Arc;

use super::compatibility::{Compatibility, Fit};
use super::file::{ClosedFile, OpenFile, Transfer};
use super::rotation::{Progress, Rotation};
use crate::data::{Schema, TopicPartition};
use crate::error::{ConnectError, DataError};

/// Files of one path that may be open for as many schemas that alternate.
const SCHEMAS_PER_PATH_MAX: usize = 8;

/// Open files, at least one.
pub(super) struct OpenGroup {
    pub(super) progress: Progress,
    files: Vec<OpenFile>,
    /// Indexes of `files`, oldest first.
    by_path: HashMap<String, Vec<usize>>,
    /// The file that was written last.
    last: usize,
}

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To this file, as it is or projected onto the file's schema.
    File {
        index: usize,
        project: bool,
    },
    New,
    /// The files have to be closed first.
    Rotate(Rotation),
}

impl OpenGroup {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, files: Vec::new(), by_path: HashMap::new(), last: 0 }
    }

    /// Whether a row of `path` goes elsewhere than the row before it.
    pub(super) fn is_other_path(&self, path: &str) -> bool {
        self.files.get(self.last).is_some_and(|file| file.path != path)
    }

    /// The path of the row before.
    pub(super) fn last_path(&self) -> Option<&str> {
        self.files.get(self.last).map(|file| file.path.as_str())
    }

    /// Where a row of `path` and `schema` goes.
    ///
    /// # Errors
    /// When the schemas cannot be compared.
    pub(super) fn place(
        &self,
        path: &str,
        schema: Option<&Arc<Schema>>,
        compatibility: Compatibility,
        seen: &SeenSchemas,
        open_files_max: Option<usize>,
    ) -> Result<Place, DataError> {
        if let Some(file) = self.files.get(self.last)
            && file.path == path
            && is_same_pointer(file.schema.as_ref(), schema)
        {
            return Ok(Place::File { index: self.last, project: false });
        }
        let new = match open_files_max {
            Some(most) if most <= self.files.len() => Place::Rotate(Rotation::OpenFiles),
            _ => Place::New,
        };
        let of_path = self.by_path.get(path).map(Vec::as_slice).unwrap_or_default();
        let Some(newest) = of_path.last() else { return Ok(new) };
        let equal = of_path.iter().find(|index| self.files[**index].schema.as_ref() == schema);
        if let Some(index) = equal {
            return Ok(Place::File { index: *index, project: false });
        }
        let file = self.files[*newest].schema.as_ref();
        Ok(match compatibility.fit(file, schema)? {
            Fit::AsIs => Place::File { index: *newest, project: false },
            Fit::Projected => Place::File { index: *newest, project: true },
            Fit::No => match schema {
                Some(schema)
                    if compatibility == Compatibility::None
                        && file.is_some()
                        && of_path.len() < SCHEMAS_PER_PATH_MAX
                        && seen.has(schema) =>
                {
                    new
                }
                _ => Place::Rotate(Rotation::SchemaChange),
            },
        })
    }

    /// The newest schema of `path`.
    pub(super) fn schema_of(&self, path: &str) -> Option<&Arc<Schema>> {
        let newest = self.by_path.get(path)?.last()?;
        self.files.get(*newest)?.schema.as_ref()
    }

    /// The file with this name and schema.
    pub(super) fn named(&self, base: &str, schema: Option<&Arc<Schema>>) -> Option<usize> {
        self.files.iter().position(|file| file.base == base && file.schema.as_ref() == schema)
    }

    /// Whether a file has this name.
    pub(super) fn has_name(&self, base: &str) -> bool {
        self.files.iter().any(|file| file.base == base)
    }

    /// Adds a file and returns its index.
    pub(super) fn add(&mut self, file: OpenFile) -> usize {
        let index = self.files.len();
        self.by_path.entry(file.path.clone()).or_default().push(index);
        self.files.push(file);
        index
    }

    /// The file `index`, which is written next.
    pub(super) fn file(&mut self, index: usize) -> &mut OpenFile {
        self.last = index;
        &mut self.files[index]
    }

    /// Takes the newest file back when no row was added to it.
    pub(super) fn remove_if_empty(&mut self, index: usize) {
        if index + 1 != self.files.len() || !self.files[index].is_empty() {
            return;
        }
        if let Some(file) = self.files.pop()
            && let Some(of_path) = self.by_path.get_mut(&file.path)
        {
            of_path.retain(|known| *known != index);
        }
        self.last = self.files.len().saturating_sub(1);
    }

    /// About how many bytes the file `index` has.
    pub(super) fn size(&self, index: usize) -> usize {
        self.files.get(index).map_or(0, OpenFile::size)
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// About how many bytes the files hold in memory, without what a job has.
    pub(super) fn memory(&self) -> usize {
        self.files.iter().map(OpenFile::memory).sum()
    }

    /// Frees memory without closing anything, where a file is large enough. Whether it did.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn shrink(&mut self) -> Result<bool, ConnectError> {
        let mut is_smaller = false;
        for file in &mut self.files {
            is_smaller |= file.shrink()?;
        }
        Ok(is_smaller)
    }

    pub(super) fn has_parts(&self) -> bool {
        self.files.iter().any(OpenFile::has_parts)
    }

    pub(super) fn take_parts(&mut self) -> Option<(String, Transfer)> {
        self.files.iter_mut().find_map(OpenFile::take_parts)
    }

    /// Takes a transfer back from a job, if it is one of these files'.
    pub(super) fn give_back(&mut self, key: &str, transfer: Transfer) -> Option<Transfer> {
        self.files.iter_mut().try_fold(transfer, |transfer, file| file.give_back(key, transfer))
    }

    pub(super) fn uploads(&self) -> Vec<(String, String)> {
        self.files.iter().flat_map(OpenFile::uploads).collect()
    }

    /// Ends all files. `end` tells the last offset of the file with a name, where it is recorded.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    pub(super) fn close(
        self,
        partition: &TopicPartition,
        reason: Rotation,
        end: impl Fn(&str) -> Option<i64>,
    ) -> Result<Vec<ClosedFile>, ConnectError> {
        let mut closed = Vec::with_capacity(self.files.len());
        for file in self.files {
            let end = end(&file.base);
            closed.append(&mut file.close(partition, reason, end)?);
        }
        Ok(closed)
    }
}

fn is_same_pointer(file: Option<&Arc<Schema>>, next: Option<&Arc<Schema>>) -> bool {
    match (file, next) {
        (None, None) => true,
        (Some(file), Some(next)) => Arc::ptr_eq(file, next),
        _ => false,
    }
}

/// Closed files and the offset to go on at once all of them are there.
#[derive(Debug)]
pub(super) struct ClosedGroup {
    pub(super) files: Vec<ClosedFile>,
    pub(super) next: i64,
    /// Wall clock of its first record's arrival.
    pub(super) since_ms: i64,
}

impl ClosedGroup {
    /// `None` when there is no file.
    pub(super) fn new(files: Vec<ClosedFile>, since_ms: i64) -> Option<Self> {
        let last = files.iter().map(|file| file.last_offset).max()?;
        Some(Self { files, next: last.saturating_add(1), since_ms })
    }

    /// Whether no job of the open files has a part of it.
    pub(super) fn is_ready(&self) -> bool {
        self.files.iter().all(|file| file.transfer.is_some())
    }

    pub(super) fn memory(&self) -> usize {
        self.files.iter().map(ClosedFile::memory).sum()
    }

    /// Makes one of two: both are complete or neither.
    pub(super) fn join(&mut self, other: Self) {
        self.files.extend(other.files);
        self.next = self.next.max(other.next);
        self.since_ms = self.since_ms.min(other.since_ms);
    }
}

/// Schemas that ended a file of their partition lately. One that comes back does not end another:
/// producers with two versions would else make a file per record.
#[derive(Debug, Default)]
pub(super) struct SeenSchemas {
    schemas: Vec<Arc<Schema>>,
}

impl SeenSchemas {
    pub(super) fn add(&mut self, schema: Option<&Arc<Schema>>) {
        let Some(schema) = schema.filter(|schema| !self.has(schema)) else { return };
        if self.schemas.len() == SCHEMAS_PER_PATH_MAX {
            self.schemas.remove(0);
        }
        self.schemas.push(schema.clone());
    }

    fn has(&self, schema: &Arc<Schema>) -> bool {
        self.schemas.iter().any(|seen| Arc::ptr_eq(seen, schema) || seen == schema)
    }
}
