//! Which source offsets may be committed: those before which everything has arrived.
//!
//! One group per source commit, not one entry per record: a transaction of two million rows is one
//! group with a count. Messages carry their group's sequence number to Kafka and back.

use std::collections::VecDeque;

use crate::data::SourceOffset;

/// The groups that were handed to Kafka and may not be forgotten yet.
#[derive(Debug, Default)]
pub struct Submitted {
    /// The sequence number of the first group.
    base: u64,
    groups: VecDeque<Group>,
    outstanding: u64,
}

#[derive(Debug, Default)]
struct Group {
    outstanding: u32,
    failed: bool,
    /// Set when the group is sealed: no message joins it any more.
    offset: Option<SourceOffset>,
}

impl Submitted {
    /// The sequence number of the group that the next message joins.
    pub fn open_group(&mut self) -> u64 {
        if self.groups.back().is_none_or(|group| group.offset.is_some()) {
            self.groups.push_back(Group::default());
        }
        self.base + self.groups.len() as u64 - 1
    }

    /// Counts a message of the open group as handed over.
    pub fn add_message(&mut self) {
        self.open_group();
        let group = self.groups.back_mut().expect("a group is open");
        group.outstanding += 1;
        self.outstanding += 1;
    }

    /// Ends the open group, or one without messages: all before it is described by `offset`.
    pub fn seal(&mut self, offset: SourceOffset) {
        self.open_group();
        let group = self.groups.back_mut().expect("a group is open");
        group.offset = Some(offset);
    }

    /// `count` messages of `group` have arrived.
    pub fn acknowledge(&mut self, group: u64, count: u32) {
        self.settle(group, count);
    }

    /// `count` messages of `group` will not arrive: neither it nor anything behind it can be
    /// committed.
    pub fn fail(&mut self, group: u64, count: u32) {
        self.settle(group, count).failed = true;
    }

    fn settle(&mut self, group: u64, count: u32) -> &mut Group {
        let index = group.checked_sub(self.base).and_then(|index| usize::try_from(index).ok());
        let group = index.and_then(|index| self.groups.get_mut(index));
        let group = group.expect("a group stays until all its messages are settled");
        // Counting wrong would lose data, so it must not pass silently.
        group.outstanding =
            group.outstanding.checked_sub(count).expect("a message is settled only once");
        self.outstanding -= u64::from(count);
        group
    }

    /// Takes the unbroken prefix of groups that have arrived and returns the newest offset of each
    /// source partition in it.
    ///
    /// A group that arrived behind one that did not stays: committing past the gap would lose the
    /// gap on restart.
    pub fn take_committable(&mut self) -> Vec<SourceOffset> {
        let mut newest: Vec<SourceOffset> = Vec::new();
        let arrived =
            |group: &mut Group| group.outstanding == 0 && !group.failed && group.offset.is_some();
        while let Some(group) = self.groups.pop_front_if(arrived) {
            self.base += 1;
            let Some(offset) = group.offset else { continue };
            match newest.iter_mut().find(|known| known.partition == offset.partition) {
                Some(known) => known.offset = offset.offset,
                None => newest.push(offset),
            }
        }
        newest
    }

    /// How many messages have not been reported on.
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, proptest};

    use super::*;

    fn offset(partition: &str, offset: u64) -> SourceOffset {
        SourceOffset { partition: partition.into(), offset: offset.to_string().into() }
    }

    fn offsets(submitted: &mut Submitted) -> Vec<String> {
        submitted
            .take_committable()
            .iter()
            .map(|each| format!("{}={}", each.partition, each.offset))
            .collect()
    }

    #[test]
    fn a_gap_holds_back_what_stands_behind_it() {
        let mut submitted = Submitted::default();
        for group in 0..3 {
            assert_eq!(submitted.open_group(), group);
            submitted.add_message();
            submitted.seal(offset("p", group));
        }
        submitted.acknowledge(1, 1);
        assert!(offsets(&mut submitted).is_empty());
        submitted.acknowledge(0, 1);
        assert_eq!(offsets(&mut submitted), ["p=1"]);
        submitted.acknowledge(2, 1);
        assert_eq!(offsets(&mut submitted), ["p=2"]);
        assert_eq!(submitted.open_group(), 3);
    }

    #[test]
    fn a_group_is_not_committed_before_it_is_sealed() {
        let mut submitted = Submitted::default();
        submitted.add_message();
        submitted.acknowledge(0, 1);
        assert!(offsets(&mut submitted).is_empty());
        submitted.seal(offset("p", 5));
        assert_eq!(offsets(&mut submitted), ["p=5"]);
    }

    #[test]
    fn a_failed_group_holds_for_ever() {
        let mut submitted = Submitted::default();
        submitted.add_message();
        submitted.seal(offset("p", 0));
        submitted.seal(offset("p", 1));
        submitted.fail(0, 1);
        assert!(offsets(&mut submitted).is_empty());
        assert_eq!(submitted.outstanding(), 0);
    }

    #[test]
    fn offsets_without_messages_and_of_several_partitions_are_the_newest_of_each() {
        let mut submitted = Submitted::default();
        submitted.seal(offset("a", 1));
        submitted.seal(offset("b", 1));
        submitted.seal(offset("a", 2));
        assert_eq!(offsets(&mut submitted), ["a=2", "b=1"]);
    }

    /// Sizes of groups, and the order in which their messages are acknowledged.
    fn schedule() -> impl Strategy<Value = (Vec<u32>, Vec<usize>)> {
        prop::collection::vec(0_u32..4, 1..20).prop_flat_map(|sizes| {
            let messages: Vec<usize> = sizes
                .iter()
                .enumerate()
                .flat_map(|(group, size)| std::iter::repeat_n(group, *size as usize))
                .collect();
            (proptest::strategy::Just(sizes), proptest::strategy::Just(messages).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn only_the_unbroken_prefix_is_ever_committed(
            (sizes, acknowledgements) in schedule(),
            look_after in any::<u8>(),
        ) {
            let mut submitted = Submitted::default();
            for (group, size) in sizes.iter().enumerate() {
                (0..*size).for_each(|_| submitted.add_message());
                submitted.seal(offset("p", group as u64));
            }
            let mut left = sizes.clone();
            let mut committed = None;
            for (number, group) in acknowledgements.iter().enumerate() {
                submitted.acknowledge(*group as u64, 1);
                left[*group] -= 1;
                if number % (usize::from(look_after) + 1) == 0 {
                    let seen = submitted.take_committable();
                    committed = seen.last().map(|each| each.offset.to_string()).or(committed);
                    let prefix = left.iter().take_while(|count| **count == 0).count();
                    let expected = prefix.checked_sub(1).map(|last| last.to_string());
                    assert_eq!(committed, expected);
                }
            }
            assert_eq!(submitted.outstanding(), 0);
            let last = submitted.take_committable().pop().map(|each| each.offset.to_string());
            assert_eq!(last.or(committed), Some((sizes.len() - 1).to_string()));
        }
    }
}
