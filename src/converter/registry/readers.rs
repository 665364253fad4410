//! The readers of a converter, found by schema id and topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::RowPlan;
use crate::error::DataError;

/// An id that the registry did not know is asked for again after this.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// How messages of one id on one topic are read.
#[derive(Debug)]
pub(super) struct Ready<R> {
    pub(super) reader: R,
    pub(super) plan: Option<Arc<RowPlan>>,
}

/// A reader, or why there is none, and since when.
type Outcome<R> = Result<Arc<Ready<R>>, (DataError, Instant)>;

struct Entry<R> {
    topic: Arc<str>,
    id: i32,
    /// The batch that needed it last.
    batch: u64,
    outcome: Outcome<R>,
}

/// Bounded: the oldest goes first, but never one that the batch at hand needs.
pub(super) struct Readers<R> {
    entries: Vec<Entry<R>>,
    /// Where the newest was found: messages of a schema come in runs.
    last: usize,
    max: usize,
    batch: u64,
    /// What has to be asked for before the batch at hand is read.
    pub(super) wanted: BTreeSet<(Arc<str>, i32)>,
}

impl<R> Readers<R> {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: Vec::new(), last: 0, max, batch: 0, wanted: BTreeSet::new() }
    }

    /// The reader, or why there is none; `None`: the registry has to be asked.
    pub(super) fn find(&mut self, topic: &str, id: i32) -> Option<&Outcome<R>> {
        let is_same = |entry: &Entry<R>| entry.id == id && entry.topic.as_ref() == topic;
        if !self.entries.get(self.last).is_some_and(is_same) {
            self.last = self.entries.iter().rposition(is_same)?;
        }
        self.entries.get(self.last).map(|entry| &entry.outcome)
    }

    /// Notes an id that is not known, or was not a while ago; whether it is one.
    pub(super) fn want(&mut self, topic: &str, id: i32) -> bool {
        let is_known = match self.find(topic, id) {
            Some(Ok(_)) => true,
            Some(Err((_, since))) if since.elapsed() < UNKNOWN_FOR => true,
            Some(Err(_)) => {
                self.entries.remove(self.last);
                false
            }
            None => false,
        };
        if is_known {
            if let Some(entry) = self.entries.get_mut(self.last) {
                entry.batch = self.batch;
            }
            return false;
        }
        self.wanted.insert((topic.into(), id));
        true
    }

    pub(super) fn add(&mut self, topic: &str, id: i32, outcome: Result<Ready<R>, DataError>) {
        if self.entries.len() >= self.max
            && let Some(oldest) = self.entries.iter().position(|entry| entry.batch != self.batch)
        {
            self.entries.remove(oldest);
        }
        let outcome = outcome.map(Arc::new).map_err(|error| (error, Instant::now()));
        self.last = self.entries.len();
        self.entries.push(Entry { topic: topic.into(), id, batch: self.batch, outcome });
    }

    /// The next id is one of another batch.
    pub(super) fn end_batch(&mut self) {
        self.batch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_needs_is_not_forgotten() {
        let mut readers = Readers::new(2);
        let ready = |reader| Ok(Ready { reader, plan: None });
        for id in 0..3 {
            assert!(readers.want("t", id));
            readers.add("t", id, ready(id));
        }
        assert!((0..3).all(|id| readers.find("t", id).is_some()), "one batch needs all three");
        readers.end_batch();
        assert!(!readers.want("t", 2));
        assert!(readers.want("u", 2), "another topic, another plan");
        readers.add("u", 2, ready(9));
        assert!(readers.find("t", 0).is_none() && readers.find("t", 2).is_some());
        readers.add("t", 7, Err(DataError::new("no")));
        assert!(!readers.want("t", 7), "an unknown id is not asked for all the time");
    }
}
