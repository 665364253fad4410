//! Finds partitions that a stable group has given to nobody, and makes the group give them out.
//!
//! A cooperative rebalance has two rounds: a partition is taken away in the first and given out in
//! the second, which its former owner starts. A static member that dies between the two and comes
//! back gets its cached assignment without any rebalance, and the partition would belong to nobody
//! until something else happens to the group.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;

use super::rebalance::{Context, Native, Shared};

/// How long after a rebalance the group is looked at: ordinary rebalances are over by then.
const SETTLED_AFTER: Duration = Duration::from_secs(8);
/// How long the coordinator and the brokers may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the extra member waits to be let in; the group lets nobody in before every member has
/// come or timed out.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);

/// What a consumer joined with. Not `Debug`: the configuration holds passwords.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) config: ClientConfig,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
}

/// Looks at the group some time after each of this member's rebalances, and once after it joined.
/// Ends when the consumer is gone.
pub(super) async fn guard(membership: Membership, shared: Arc<Shared>, consumer: Weak<Native>) {
    loop {
        while tokio::time::timeout(SETTLED_AFTER, shared.rebalanced.notified()).await.is_ok() {}
        let (membership_now, weak) = (membership.clone(), consumer.clone());
        let looked = tokio::task::spawn_blocking(move || look(&membership_now, &weak)).await;
        match looked {
            Ok(Looked::Gone) | Err(_) => return,
            // Looked at again, in case that was not enough.
            Ok(Looked::Orphans) => {}
            Ok(Looked::Unknown) => {}
            Ok(Looked::Fine) => shared.rebalanced.notified().await,
        }
    }
}

enum Looked {
    Fine,
    /// There were some, and the group was made to give them out.
    Orphans,
    /// Nobody answered, or the group is busy.
    Unknown,
    Gone,
}

fn look(membership: &Membership, consumer: &Weak<Native>) -> Looked {
    let Some(consumer) = consumer.upgrade() else { return Looked::Gone };
    let group = &membership.group;
    let orphans = match orphans(&consumer, group) {
        Ok(Some(orphans)) => orphans,
        Ok(None) => return Looked::Unknown,
        Err(error) => {
            tracing::debug!(group, %error, "the consumer group cannot be described");
            return Looked::Unknown;
        }
    };
    drop(consumer);
    if orphans.is_empty() {
        return Looked::Fine;
    }
    let partitions = orphans.len();
    tracing::warn!(group, partitions, "partitions belong to no member: the group is rebalanced");
    if let Err(error) = rebalance(membership) {
        tracing::warn!(group, %error, "the consumer group cannot be rebalanced");
    }
    Looked::Orphans
}

/// The partitions of the group's topics that no member has; `None` while the group is not stable or
/// has a member that cannot be read.
fn orphans(consumer: &Native, group: &str) -> KafkaResult<Option<BTreeSet<(String, i32)>>> {
    let groups = consumer.fetch_group_list(Some(group), DEADLINE)?;
    let Some(description) = groups.groups().iter().find(|each| each.name() == group) else {
        return Ok(None);
    };
    if description.state() != "Stable" {
        return Ok(None);
    }
    let mut topics = BTreeSet::new();
    let mut assigned = BTreeSet::new();
    for member in description.members() {
        let subscribed = member.metadata().and_then(subscription);
        let owned = member.assignment().and_then(assignment);
        let (Some(subscribed), Some(owned)) = (subscribed, owned) else { return Ok(None) };
        topics.extend(subscribed);
        assigned.extend(owned);
    }
    let mut orphans = BTreeSet::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(&topic), DEADLINE)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        orphans.extend(partitions.map(|partition| (topic.clone(), partition.id())));
    }
    orphans.retain(|partition| !assigned.contains(partition));
    Ok(Some(orphans))
}

/// Joins the group as one more, dynamic member and leaves again: two rebalances, during which the
/// others keep what they have.
fn rebalance(membership: &Membership) -> KafkaResult<()> {
    let mut config = membership.config.clone();
    config.remove("group.instance.id");
    let shared = Arc::new(Shared::default());
    // In this state the callbacks answer everything at once.
    shared.stop.store(true, Ordering::Release);
    let extra: Native = BaseConsumer::from_config_and_context(&config, Context(shared.clone()))?;
    let topics: Vec<_> = membership.topics.iter().map(String::as_str).collect();
    extra.subscribe(&topics)?;
    let until = Instant::now() + JOIN_DEADLINE;
    while !shared.joined.load(Ordering::Acquire) && Instant::now() < until {
        // What it reads it neither uses nor commits.
        drop(extra.poll(Duration::from_millis(100)));
    }
    Ok(())
}

/// The topics in a member's subscription (Kafka, `ConsumerProtocolSubscription`).
fn subscription(bytes: &[u8]) -> Option<Vec<String>> {
    let mut rest = Reader(bytes);
    rest.int16()?;
    (0..rest.int32()?).map(|_| rest.string()).collect()
}

/// The partitions in a member's assignment (Kafka, `ConsumerProtocolAssignment`).
fn assignment(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    // A member without partitions may have nothing at all.
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = Reader(bytes);
    rest.int16()?;
    let mut partitions = Vec::new();
    for _ in 0..rest.int32()? {
        let topic = rest.string()?;
        for _ in 0..rest.int32()? {
            partitions.push((topic.clone(), rest.int32()?));
        }
    }
    Some(partitions)
}

/// Kafka's primitive types, from bytes that another client wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.int16()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_members_say_is_read() {
        let said = b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff";
        assert_eq!(subscription(said).unwrap(), ["a", "bc"]);
        let given =
            b"\x00\x01\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07";
        assert_eq!(assignment(given).unwrap(), [("a".to_owned(), 0), ("a".to_owned(), 7)]);
        assert_eq!(assignment(b"").unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        assert_eq!(subscription(b"\x00\x01\x00\x00\x00\x02\x00\x05a"), None);
        assert_eq!(assignment(b"\x00\x01\x00\x00\x00\x01"), None);
    }
}
