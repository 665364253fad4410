//! The fold: the changes of one key, in order, become its versions. Everything that the history tables
//! mean is decided here; the statements around it only sort the changes and fetch the columns.
//!
//! Pure: no SQL and no I/O. Rows are known by their row number in the change log, images by a 64-bit
//! hash that DuckDB makes of them. Only neighbours of one key are compared, so that two images that
//! differ pass for the same once in 2^64 pairs.

use crate::rules::Deletes;

/// Where a change stands in the log: epoch and log position.
pub(crate) type Lsn = (i16, u64);
/// Partition, offset and row: what tells apart changes of one log position.
pub(crate) type Offset = (i32, u64, u64);

/// `-infinity` as DuckDB stores it in a TIMESTAMP.
pub(crate) const BEGINNING: i64 = -i64::MAX;

/// A change of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// Its row in the change log.
    pub(crate) row: i64,
    /// `c`, `u`, `r`, `d` or `t`.
    pub(crate) op: u8,
    /// Microseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) lsn: Lsn,
    pub(crate) offset: Offset,
    /// Of all columns that open versions and never have the placeholder.
    pub(crate) image: u64,
    /// Read by this run.
    pub(crate) new: bool,
}

impl Change {
    fn is_delete(&self) -> bool {
        matches!(self.op, b'd' | b't')
    }

    /// The order of a key's changes. Within one log position the delete half of a key change comes
    /// first; without a position the offset alone decides.
    fn position(&self) -> (Lsn, bool, Offset) {
        (self.lsn, 0 < self.lsn.1 && !self.is_delete(), self.offset)
    }

    /// The same change of the log, delivered again.
    fn repeats(&self, previous: &Change) -> bool {
        self.op == previous.op
            && self.lsn == previous.lsn
            && (0 < self.lsn.1 || self.offset == previous.offset)
    }
}

/// A column that has the placeholder for an unchanged value in some row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Toast {
    /// `None`: the placeholder. Else the hash of the value.
    pub(crate) value: Option<u64>,
    /// Whether a difference opens a version.
    pub(crate) tracked: bool,
}

/// A complete snapshot: live keys that are not in it were deleted while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) lsn: Lsn,
    pub(crate) time: i64,
}

/// What a table's configuration says of the fold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    pub(crate) deletes: Deletes,
    /// Unchanged images open versions too.
    pub(crate) every_event: bool,
    /// Versions that begin and end at one instant are left out.
    pub(crate) drop_zero_length: bool,
    /// A key that was first seen by a snapshot has existed since ever.
    pub(crate) snapshot_from_beginning: bool,
}

/// A version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// The row that has the image.
    pub(crate) row: i64,
    /// The row of the change that opened it.
    pub(crate) event: i64,
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    pub(crate) number: i64,
    /// What closed it: `u`, `d`, `t` or `s` (absent from a snapshot); 0 if nothing did.
    pub(crate) end: u8,
    pub(crate) deleted: bool,
    /// The row that has the value of each toasted column; -1 if none has.
    pub(crate) sources: Vec<i64>,
    /// Some value was never seen.
    pub(crate) incomplete: bool,
}

/// What became of the new rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) unchanged: u64,
    pub(crate) duplicates: u64,
    pub(crate) absent: u64,
    pub(crate) clamped: u64,
    pub(crate) unresolved: u64,
    pub(crate) late_keys: u64,
}

/// Folds key after key.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    rules: Rules,
    /// In order; they end every live key.
    truncates: &'a [Change],
    /// In order.
    snapshots: &'a [Snapshot],
    key: Key,
    pub(crate) outcomes: Outcomes,
}

/// The value that a toasted column has now.
#[derive(Debug, Clone, Copy)]
struct Carried {
    row: i64,
    hash: u64,
}

/// The key that is being folded.
#[derive(Debug, Default)]
struct Key {
    started: bool,
    /// The source's clock may step back, intervals may not.
    clock: i64,
    previous: Option<Change>,
    late: bool,
    live: bool,
    image: u64,
    carried: Vec<Option<Carried>>,
    versions: Vec<Version>,
    truncates: usize,
    snapshots: usize,
    /// The log position of the last snapshot that had this key.
    read_at: Option<Lsn>,
}

impl<'a> Fold<'a> {
    pub(crate) fn new(
        rules: Rules,
        truncates: &'a [Change],
        snapshots: &'a [Snapshot],
        toasted: usize,
    ) -> Self {
        let key = Key { carried: vec![None; toasted], ..Key::default() };
        Fold { rules, truncates, snapshots, key, outcomes: Outcomes::default() }
    }

    /// Takes the next change of the key, in order of position.
    pub(crate) fn push(&mut self, change: &Change, toast: &[Toast]) {
        while let Some(truncate) = self.truncates.get(self.key.truncates)
            && truncate.position() < change.position()
        {
            self.sweep(truncate.lsn);
            self.truncate(truncate);
            self.key.truncates += 1;
        }
        self.sweep(change.lsn);
        self.apply(change, toast);
    }

    /// Ends the key: hands its versions over and is ready for the next one.
    pub(crate) fn finish(&mut self, out: &mut Vec<Version>) {
        if self.key.started {
            while let Some(truncate) = self.truncates.get(self.key.truncates) {
                self.sweep(truncate.lsn);
                self.truncate(truncate);
                self.key.truncates += 1;
            }
            self.sweep((i16::MAX, u64::MAX));
        }
        if self.rules.drop_zero_length {
            drop_zero_length(&mut self.key.versions);
        }
        self.outcomes.late_keys += u64::from(self.key.late);
        out.append(&mut self.key.versions);
        let mut carried = std::mem::take(&mut self.key.carried);
        carried.fill(None);
        self.key = Key { carried, ..Key::default() };
    }

    /// Ends the key if a complete snapshot before `lsn` has it not.
    fn sweep(&mut self, lsn: Lsn) {
        while let Some(snapshot) = self.snapshots.get(self.key.snapshots)
            && snapshot.lsn < lsn
        {
            let snapshot = *snapshot;
            self.key.snapshots += 1;
            if self.key.live && self.key.read_at != Some(snapshot.lsn) {
                self.key.clock = self.key.clock.max(snapshot.time);
                self.close(b's');
                self.key.carried.fill(None);
            }
        }
    }

    fn truncate(&mut self, truncate: &Change) {
        if !self.key.started || self.rules.deletes == Deletes::Ignore {
            return;
        }
        self.key.clock = self.key.clock.max(truncate.time);
        if self.key.live {
            self.end(truncate);
        }
        self.key.carried.fill(None);
        self.key.previous = Some(*truncate);
    }

    fn apply(&mut self, change: &Change, toast: &[Toast]) {
        let previous = self.key.previous.replace(*change);
        if let Some(previous) = &previous {
            self.key.late |= previous.new && !change.new && previous.op != b't';
            if change.repeats(previous) {
                // The first copy stands, whatever the time of this one.
                self.key.previous = Some(Change { new: change.new, ..*previous });
                self.count(change, |outcomes| &mut outcomes.duplicates);
                return;
            }
        }
        if self.key.started && change.time < self.key.clock {
            self.count(change, |outcomes| &mut outcomes.clamped);
        }
        self.key.clock =
            if self.key.started { self.key.clock.max(change.time) } else { change.time };
        self.key.started = true;
        if change.op == b'r' {
            self.key.read_at = Some(change.lsn);
        }
        if change.is_delete() {
            self.delete(change);
        } else {
            self.upsert(change, toast);
        }
    }

    fn delete(&mut self, change: &Change) {
        if self.rules.deletes == Deletes::Ignore {
            self.count(change, |outcomes| &mut outcomes.unchanged);
            return;
        }
        if self.key.live {
            self.end(change);
            self.count(change, |outcomes| &mut outcomes.closed);
        } else {
            self.count(change, |outcomes| &mut outcomes.absent);
        }
        self.key.carried.fill(None);
    }

    fn upsert(&mut self, change: &Change, toast: &[Toast]) {
        let (mut image, mut incomplete) = (change.image, false);
        for (carried, toast) in self.key.carried.iter_mut().zip(toast) {
            if let Some(hash) = toast.value {
                *carried = Some(Carried { row: change.row, hash });
            }
            incomplete |= carried.is_none();
            if toast.tracked {
                // Any mixing will do that depends on the order of the columns.
                let hash = carried.map_or(0, |carried| carried.hash);
                image = image.rotate_left(17).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash;
            }
        }
        if self.key.live && image == self.key.image && !self.rules.every_event {
            self.count(change, |outcomes| &mut outcomes.unchanged);
            return;
        }
        self.close(b'u');
        let first = self.key.versions.is_empty();
        let from = if first && change.op == b'r' && self.rules.snapshot_from_beginning {
            BEGINNING
        } else {
            self.key.clock
        };
        let sources = self.key.carried.iter().map(|carried| carried.map_or(-1, |c| c.row));
        let sources = sources.collect();
        self.open(Version {
            row: change.row,
            event: change.row,
            from,
            to: None,
            number: 0,
            end: 0,
            deleted: false,
            sources,
            incomplete,
        });
        (self.key.live, self.key.image) = (true, image);
        self.count(change, |outcomes| &mut outcomes.opened);
        if incomplete {
            self.count(change, |outcomes| &mut outcomes.unresolved);
        }
    }

    /// A delete or truncate of a live key.
    fn end(&mut self, change: &Change) {
        self.close(change.op);
        if self.rules.deletes == Deletes::Row
            && let Some(last) = self.key.versions.last()
        {
            let (event, from) = (change.row, self.key.clock);
            self.open(Version { event, from, to: None, end: 0, deleted: true, ..last.clone() });
        }
    }

    /// Closes the open version, if there is one.
    fn close(&mut self, end: u8) {
        self.key.live = false;
        if let Some(version) = self.key.versions.last_mut().filter(|version| version.to.is_none()) {
            (version.to, version.end) = (Some(self.key.clock), end);
        }
    }

    fn open(&mut self, mut version: Version) {
        version.number = self.key.versions.last().map_or(1, |last| last.number + 1);
        self.key.versions.push(version);
    }

    fn count(&mut self, change: &Change, outcome: impl FnOnce(&mut Outcomes) -> &mut u64) {
        if change.new && change.op != b't' {
            *outcome(&mut self.outcomes) += 1;
        }
    }
}

/// Leaves out versions that no instant saw; the one before ends as the last of them did.
fn drop_zero_length(versions: &mut Vec<Version>) {
    let mut kept: Vec<Version> = Vec::with_capacity(versions.len());
    for version in versions.drain(..) {
        if version.to == Some(version.from) {
            if let Some(before) = kept.last_mut().filter(|before| before.to == version.to) {
                before.end = version.end;
            }
        } else {
            let number = kept.last().map_or(1, |last| last.number + 1);
            kept.push(Version { number, ..version });
        }
    }
    *versions = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `op image second lsn`, one change a word group; the offset counts.
    fn changes(text: &str) -> Vec<Change> {
        let parse = |(index, text): (usize, &str)| {
            let parts: Vec<&str> = text.split_whitespace().collect();
            Change {
                row: index as i64,
                op: parts[0].as_bytes()[0],
                image: parts[1].parse().unwrap(),
                time: parts[2].parse().unwrap(),
                lsn: (0, parts[3].parse().unwrap()),
                offset: (0, index as u64, 0),
                new: true,
            }
        };
        text.split(',').enumerate().map(parse).collect()
    }

    #[track_caller]
    fn check(name: &str, rules: Rules, text: &str, snapshots: &[Snapshot], expected: &str) {
        let all = changes(text);
        let mut events: Vec<_> = all.iter().copied().filter(|change| change.op != b't').collect();
        events.sort_by_key(Change::position);
        let truncates: Vec<_> = all.into_iter().filter(|change| change.op == b't').collect();
        let mut fold = Fold::new(rules, &truncates, snapshots, 0);
        for event in &events {
            fold.push(event, &[]);
        }
        let mut versions = Vec::new();
        fold.finish(&mut versions);
        let show = |version: &Version| {
            let from =
                if version.from == BEGINNING { "ever".into() } else { version.from.to_string() };
            let to = version.to.map_or("-".into(), |to| to.to_string());
            let end = if version.end == 0 { '-' } else { version.end as char };
            let deleted = if version.deleted { " deleted" } else { "" };
            format!("{}[{from},{to}){end}{deleted}", version.number)
        };
        assert_eq!(versions.iter().map(show).collect::<Vec<_>>().join(" "), expected, "{name}");
        let counted = fold.outcomes;
        let sum = counted.opened
            + counted.closed
            + counted.unchanged
            + counted.duplicates
            + counted.absent;
        assert_eq!(sum, events.len() as u64, "{name}: every change is counted once");
    }

    const ALL: Rules = Rules {
        deletes: Deletes::Close,
        every_event: false,
        drop_zero_length: false,
        snapshot_from_beginning: false,
    };

    #[test]
    fn changes_open_and_close_versions() {
        check("nothing", ALL, "d 0 1 100", &[], "");
        check("unchanged", ALL, "c 1 1 100, u 1 2 200", &[], "1[1,-)-");
        check("late", ALL, "c 1 1 100, u 3 3 300, u 2 2 200", &[], "1[1,2)u 2[2,3)u 3[3,-)-");
        check("repeated", ALL, "c 1 1 100, u 2 2 200, c 1 9 100", &[], "1[1,2)u 2[2,-)-");
        check("again", ALL, "c 1 1 100, d 0 2 200, c 1 5 300", &[], "1[1,2)d 2[5,-)-");
        check("truncated", ALL, "c 1 1 100, t 0 3 300, c 1 4 400", &[], "1[1,3)t 2[4,-)-");
        check("truncated before", ALL, "t 0 9 50, c 1 1 100", &[], "1[1,-)-");
        check(
            "clock",
            ALL,
            "c 1 10 100, u 2 5 200, u 3 20 300",
            &[],
            "1[10,10)u 2[10,20)u 3[20,-)-",
        );
        check("no positions", ALL, "u 1 1 0, u 2 2 0, u 1 3 0", &[], "1[1,2)u 2[2,3)u 3[3,-)-");
        check("key change", ALL, "c 1 1 100, c 2 3 300, d 0 3 300", &[], "1[1,3)d 2[3,-)-");
    }

    #[test]
    fn deletes_may_be_rows_or_nothing() {
        let row = Rules { deletes: Deletes::Row, ..ALL };
        check("row", row, "c 1 1 100, d 0 2 200", &[], "1[1,2)d 2[2,-)- deleted");
        let text = "c 1 1 100, d 0 2 200, c 1 5 300";
        check("row and back", row, text, &[], "1[1,2)d 2[2,5)u deleted 3[5,-)-");
        let ignore = Rules { deletes: Deletes::Ignore, ..ALL };
        check("ignored", ignore, "c 1 1 100, d 0 2 200, u 2 3 300", &[], "1[1,3)u 2[3,-)-");
    }

    #[test]
    fn every_event_and_zero_length_are_as_told() {
        let every = Rules { every_event: true, ..ALL };
        check("every", every, "c 1 1 100, u 1 2 200, u 1 2 200", &[], "1[1,2)u 2[2,-)-");
        let drop = Rules { drop_zero_length: true, ..ALL };
        check("dropped", drop, "c 1 1 100, u 2 2 200, u 3 2 300", &[], "1[1,2)u 2[2,-)-");
        check("dropped end", drop, "c 1 1 100, u 2 2 200, d 0 2 300", &[], "1[1,2)d");
    }

    #[test]
    fn snapshots_begin_and_end_rows_if_told() {
        let ever = Rules { snapshot_from_beginning: true, ..ALL };
        check("ever", ever, "r 1 5 100, u 2 6 200", &[], "1[ever,6)u 2[6,-)-");
        check("not for inserts", ever, "c 1 5 100", &[], "1[5,-)-");
        let at = |lsn, time| Snapshot { lsn: (0, lsn), time };
        check("missing", ALL, "c 1 1 100", &[at(500, 9)], "1[1,9)s");
        check("there", ALL, "c 1 1 100, r 1 9 500", &[at(500, 9)], "1[1,-)-");
        check("before", ALL, "c 1 10 600", &[at(500, 9)], "1[10,-)-");
        check("and back", ALL, "c 1 1 100, c 1 12 600", &[at(500, 9)], "1[1,9)s 2[12,-)-");
    }

    #[test]
    fn unchanged_values_are_carried_forward() {
        let mut fold = Fold::new(ALL, &[], &[], 1);
        let toast = |value| [Toast { value, tracked: true }];
        let all = changes("u 1 1 100, u 1 2 200, u 1 3 300, d 0 4 400, u 1 5 500");
        for (change, value) in all.iter().zip([None, Some(7), None, None, None]) {
            fold.push(change, &toast(value));
        }
        let mut versions = Vec::new();
        fold.finish(&mut versions);
        let found: Vec<_> = versions.iter().map(|v| (v.row, v.sources[0], v.incomplete)).collect();
        assert_eq!(found, [(0, -1, true), (1, 1, false), (4, -1, true)]);
        assert_eq!((fold.outcomes.unchanged, fold.outcomes.unresolved), (1, 2));
    }
}
