//! The writers of a converter, found by topic and schema.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Schema;
use crate::error::DataError;

/// What the registry refused is asked again after this: somebody may have changed its mind.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// What is written in front of a value, and how the value is written.
#[derive(Debug)]
pub(super) struct Ready<W> {
    pub(super) prefix: Vec<u8>,
    pub(super) writer: W,
}

struct Entry<W> {
    topic: Arc<str>,
    schema: Option<Arc<Schema>>,
    outcome: Result<Arc<Ready<W>>, (DataError, Instant)>,
}

/// Bounded: the oldest goes first.
pub(super) struct Writers<W> {
    entries: Vec<Entry<W>>,
    /// Where the newest was found: records of a schema come in runs.
    last: usize,
    max: usize,
}

impl<W> Writers<W> {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: Vec::new(), last: 0, max }
    }

    /// The writer, or why there is none; `None`: the registry has to be asked.
    pub(super) fn find(
        &mut self,
        topic: &str,
        schema: Option<&Arc<Schema>>,
    ) -> Option<Result<Arc<Ready<W>>, DataError>> {
        let is_same = |entry: &Entry<W>| {
            entry.topic.as_ref() == topic
                && match (&entry.schema, schema) {
                    (Some(known), Some(schema)) => Arc::ptr_eq(known, schema),
                    (None, None) => true,
                    _ => false,
                }
        };
        if !self.entries.get(self.last).is_some_and(is_same) {
            let found = self.entries.iter().rposition(is_same);
            // A transform may make the same schema anew for each record.
            self.last = found.or_else(|| {
                self.entries.iter().rposition(|entry| {
                    entry.topic.as_ref() == topic
                        && entry.schema.is_some()
                        && entry.schema.as_ref() == schema
                })
            })?;
        }
        let entry = self.entries.get(self.last)?;
        match &entry.outcome {
            Ok(ready) => Some(Ok(ready.clone())),
            Err((error, since)) if since.elapsed() < REFUSED_FOR => Some(Err(error.clone())),
            Err(_) => {
                self.entries.remove(self.last);
                None
            }
        }
    }

    pub(super) fn add(
        &mut self,
        topic: &str,
        schema: Option<&Arc<Schema>>,
        outcome: Result<Ready<W>, DataError>,
    ) {
        if self.entries.len() >= self.max {
            self.entries.remove(0);
        }
        let outcome = outcome.map(Arc::new).map_err(|error| (error, Instant::now()));
        self.last = self.entries.len();
        self.entries.push(Entry { topic: topic.into(), schema: schema.cloned(), outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaBuilder, Type};

    #[test]
    fn equal_schemas_share_a_writer_and_the_oldest_go() {
        let schema = |ty| SchemaBuilder::new(ty).build();
        let mut writers = Writers::new(2);
        let ready = |writer| Ok(Ready { prefix: Vec::new(), writer });
        writers.add("t", Some(&schema(Type::Int32)), ready(1));
        writers.add("u", None, ready(2));
        let mut found = |topic, ty: Option<Type>| {
            let schema = ty.map(schema);
            writers.find(topic, schema.as_ref()).map(|found| found.unwrap().writer)
        };
        assert_eq!(found("t", Some(Type::Int32)), Some(1));
        assert_eq!(found("t", Some(Type::Int64)), None);
        assert_eq!(found("u", Some(Type::Int32)), None);
        assert_eq!(found("u", None), Some(2));
        writers.add("t", None, Err(DataError::new("no")));
        assert!(writers.find("t", Some(&schema(Type::Int32))).is_none());
        assert_eq!(writers.find("t", None).unwrap().err(), Some(DataError::new("no")));
    }
}
