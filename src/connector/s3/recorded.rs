//! Files that an earlier run recorded and did not finish: their rows are passed again, and what is
//! missing is written with exactly the same boundaries.

use std::collections::VecDeque;
use std::sync::Arc;

use super::naming::Naming;
use crate::connector::SinkFile;
use crate::data::Schema;

/// A file with its objects, which have the same boundaries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecordedFile {
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    /// Their names without extension.
    pub(super) base: String,
    pub(super) objects: Vec<SinkFile>,
    /// Whether all its objects are there.
    pub(super) is_present: bool,
    /// The schema of its first row, once that was passed.
    schema: Option<Option<Arc<Schema>>>,
}

/// Recorded files whose offsets overlap: rows of a partition that went to several paths.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) files: Vec<RecordedFile>,
}

impl Span {
    /// The file that the row at `offset` belongs to. Where several are possible, the first row of a
    /// file says it, then its name, then its schema. `has_name` tells whether a file's objects are
    /// named for the row's path.
    pub(super) fn file_of(
        &mut self,
        offset: i64,
        schema: Option<&Arc<Schema>>,
        has_name: impl Fn(&RecordedFile) -> bool,
    ) -> Option<&RecordedFile> {
        let covers = |file: &RecordedFile| (file.first_offset..=file.last_offset).contains(&offset);
        if let Some(index) = self.files.iter().position(|file| file.first_offset == offset) {
            self.files[index].schema = Some(schema.cloned());
            return self.files.get(index);
        }
        let candidates = || self.files.iter().filter(|file| covers(file));
        if candidates().count() < 2 {
            return candidates().next();
        }
        let same_schema =
            |file: &&RecordedFile| file.schema.as_ref().is_some_and(|s| s.as_ref() == schema);
        let named = || candidates().filter(|file| has_name(file));
        // Repeating a row is better than losing it: of files that could be meant, one to write.
        named()
            .find(same_schema)
            .or_else(|| named().next())
            .or_else(|| candidates().find(same_schema))
            .or_else(|| candidates().find(|file| !file.is_present))
            .or_else(|| candidates().next())
    }
}

impl Span {
    /// The recorded last offset of the file with this name.
    pub(super) fn end_of(&self, base: &str) -> Option<i64> {
        self.files.iter().find(|file| file.base == base).map(|file| file.last_offset)
    }
}

/// Splits what an earlier run left: the objects that are done with, and spans of files that have to
/// be passed again. A file is done with when it is there and no missing one starts before its end.
pub(super) fn split_recorded(
    left: Vec<(SinkFile, bool)>,
    naming: &Naming,
) -> (Vec<SinkFile>, VecDeque<Span>) {
    let mut files: Vec<RecordedFile> = Vec::new();
    for (object, is_present) in left {
        let base = naming.base_of(&object.key);
        let known = files.iter_mut().find(|file| file.base == base);
        match known {
            Some(file) => {
                file.is_present &= is_present;
                file.last_offset = file.last_offset.max(object.last_offset);
                file.objects.push(object);
            }
            None => files.push(RecordedFile {
                first_offset: object.first_offset,
                last_offset: object.last_offset,
                base: base.to_owned(),
                objects: vec![object],
                is_present,
                schema: None,
            }),
        }
    }
    files.sort_by_key(|file| file.first_offset);
    let missing = files.iter().find(|file| !file.is_present).map(|file| file.first_offset);
    let is_done = |file: &RecordedFile| missing.is_none_or(|first| file.last_offset < first);
    let (done, again): (Vec<_>, Vec<_>) = files.into_iter().partition(is_done);
    let mut spans: VecDeque<Span> = VecDeque::new();
    for file in again {
        match spans.back_mut().filter(|span| file.first_offset <= span.last_offset) {
            Some(span) => {
                span.last_offset = span.last_offset.max(file.last_offset);
                span.files.push(file);
            }
            None => spans.push_back(Span {
                first_offset: file.first_offset,
                last_offset: file.last_offset,
                files: vec![file],
            }),
        }
    }
    (done.into_iter().flat_map(|file| file.objects).collect(), spans)
}
