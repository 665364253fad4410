//! How far a snapshot has come, as a member of the source offset that the original does not look at.
//! What is said to be read has been acknowledged by Kafka when the offset is stored. Pure.
//!
//! A table that is read in ranges of blocks keeps the numbers of the ranges that are done, and what
//! these numbers rest on: the blocks of a range, how many ranges there are (the last one is open),
//! the files of the table, and the first transaction that was not in the snapshot they were read in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::SnapshotPoint;

/// The member of the offset; its value is this as JSON in a string, because offsets are flat.
pub(in crate::connector::postgres) const MEMBER: &str = "ferroconnect_snapshot";

/// What has been read, by the tables' object ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::connector::postgres) struct Progress {
    finished: BTreeSet<u32>,
    begun: BTreeMap<u32, Begun>,
}

/// A table that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::connector::postgres) struct Begun {
    #[serde(flatten)]
    pub(super) cut: Cut,
    done: Runs,
}

/// How a table is cut into ranges of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::connector::postgres) struct Cut {
    /// The blocks of a range.
    pub(super) blocks: u32,
    /// How many ranges; the last one has no end.
    pub(super) ranges: u32,
    /// Tells the files of the table from those after a rewrite.
    pub(super) files: String,
    /// Of the snapshot that the table was first read in: rows of older transactions are where they
    /// were.
    pub(super) xmin: u32,
}

/// A snapshot to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connector::postgres) struct Interrupted {
    /// Where streaming starts behind it.
    pub(super) point: SnapshotPoint,
    pub(super) progress: Progress,
}

impl Interrupted {
    /// Reads a stored offset; `None` for one without progress, as the original writes them.
    pub(in crate::connector::postgres) fn parse(offset: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            lsn: i64,
            #[serde(rename = "txId")]
            xid: Option<i64>,
            ts_usec: i64,
            ferroconnect_snapshot: String,
        }
        let members: Members = serde_json::from_str(offset).ok()?;
        let progress = serde_json::from_str(&members.ferroconnect_snapshot).ok()?;
        let lsn = Lsn(members.lsn.cast_unsigned());
        let point = SnapshotPoint { lsn, xid: members.xid, ts_usec: members.ts_usec };
        Some(Self { point, progress })
    }

    /// Where streaming starts behind the snapshot.
    pub(in crate::connector::postgres) fn lsn(&self) -> Lsn {
        self.point.lsn
    }
}

impl Progress {
    /// The text of the member.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a map of numbers and texts is JSON")
    }

    /// Whether nothing has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.begun.is_empty()
    }

    pub(super) fn is_finished(&self, table: u32) -> bool {
        self.finished.contains(&table)
    }

    /// What is known of a table that was begun.
    pub(super) fn begun(&self, table: u32) -> Option<&Begun> {
        self.begun.get(&table)
    }

    /// A range of `table`, which is cut so, has been read.
    pub(super) fn range_done(&mut self, table: u32, cut: &Cut, range: u32) {
        let begun = self
            .begun
            .entry(table)
            .or_insert_with(|| Begun { cut: cut.clone(), done: Runs::default() });
        begun.done.insert(range);
    }

    /// The table is cut anew: what was read of it counts no more.
    pub(super) fn forget(&mut self, table: u32) {
        self.begun.remove(&table);
    }

    pub(super) fn table_done(&mut self, table: u32) {
        self.begun.remove(&table);
        self.finished.insert(table);
    }
}

impl Begun {
    pub(super) fn is_done(&self, range: u32) -> bool {
        self.done.contains(range)
    }

    /// The runs of blocks that have been read: first, and behind the last where there is an end.
    pub(super) fn read(&self) -> impl Iterator<Item = (u32, Option<u32>)> {
        let Cut { blocks, ranges, .. } = self.cut;
        self.done.0.iter().map(move |(first, last)| {
            let end = (last + 1 < ranges).then(|| (last + 1).saturating_mul(blocks));
            (first.saturating_mul(blocks), end)
        })
    }
}

/// A set of numbers as runs of them: `[[0,5],[7,7]]`. Ranges are taken in order, so there are few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Runs(Vec<(u32, u32)>);

impl Runs {
    fn contains(&self, number: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    fn insert(&mut self, number: u32) {
        if self.contains(number) {
            return;
        }
        let at = self.0.partition_point(|(first, _)| *first < number);
        self.0.insert(at, (number, number));
        self.0.dedup_by(|next, run| {
            let joins = run.1 + 1 == next.0;
            if joins {
                run.1 = next.1;
            }
            joins
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> Cut {
        Cut { blocks: 100, ranges: 5, files: "7".to_owned(), xmin: 3 }
    }

    #[test]
    fn ranges_join_in_any_order() {
        for order in [[0, 1, 2, 4], [4, 2, 1, 0], [1, 4, 0, 2], [2, 0, 4, 1]] {
            let mut progress = Progress::default();
            for range in order.into_iter().chain([1]) {
                progress.range_done(9, &cut(), range);
            }
            let begun = progress.begun(9).unwrap();
            assert_eq!(begun.done, Runs(vec![(0, 2), (4, 4)]), "{order:?}");
            assert!(begun.is_done(1) && !begun.is_done(3) && begun.is_done(4));
            let read: Vec<_> = begun.read().collect();
            assert_eq!(read, [(0, Some(300)), (400, None)]);
        }
    }

    #[test]
    fn progress_goes_through_an_offset() {
        let mut progress = Progress::default();
        assert!(progress.is_empty());
        progress.range_done(9, &cut(), 1);
        progress.range_done(8, &cut(), 0);
        progress.table_done(8);
        let text = progress.text();
        assert_eq!(
            text,
            r#"{"finished":[8],"begun":{"9":{"blocks":100,"ranges":5,"files":"7","xmin":3,"done":[[1,1]]}}}"#
        );
        let offset = serde_json::json!({
            "last_snapshot_record": false, "lsn": 5, "txId": 6, "ts_usec": 7,
            "snapshot": "INITIAL", "snapshot_completed": false, MEMBER: text,
        });
        let read = Interrupted::parse(&offset.to_string()).unwrap();
        let point = SnapshotPoint { lsn: Lsn(5), xid: Some(6), ts_usec: 7 };
        assert_eq!(read, Interrupted { point, progress });
        for other in [r#"{"lsn":5,"ts_usec":7,"snapshot":"INITIAL"}"#, "x"] {
            assert_eq!(Interrupted::parse(other), None, "{other}");
        }
    }
}
