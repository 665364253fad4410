//! Stores source offsets and tells the source, apart from the task's loop: storing never waits for a
//! poll, and a poll never waits for the state database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::connector::OffsetCommitter;
use crate::data::SourceOffset;
use crate::error::{ConnectError, ErrorKind};
use crate::metrics::TaskMetrics;
use crate::runtime::ledger::task_error;
use crate::runtime::task::{Backoff, Condition};
use crate::store::{Lease, Store, Truth};

/// After this a topic that still gets records is recorded again, should its record have been reset.
const TOPICS_AGAIN: Duration = Duration::from_secs(30);

/// What offsets are stored with.
pub(super) struct FlushTo {
    pub(super) store: Store,
    pub(super) lease: Lease,
    pub(super) committer: Arc<dyn OffsetCommitter>,
    pub(super) metrics: Arc<TaskMetrics>,
    pub(super) interval: Duration,
    pub(super) truth: Truth,
}

/// What is to be stored: the newest offset of each source partition, and the topics.
#[derive(Debug, Clone, Default)]
struct Wanted {
    offsets: Vec<SourceOffset>,
    /// When each was used last.
    topics: BTreeMap<Arc<str>, Instant>,
    finish: bool,
}

/// Since when and why nothing can be stored.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) since: Instant,
    pub(super) condition: Condition,
}

/// The loop's end of the storing task.
pub(super) struct Flusher {
    wanted: watch::Sender<Wanted>,
    failing: watch::Receiver<Option<Failing>>,
    task: JoinHandle<Result<(), ConnectError>>,
    /// The task's result was taken.
    ended: bool,
}

impl Flusher {
    /// Starts the storing task; it ends with this value.
    pub(super) fn start(to: FlushTo) -> Self {
        let (wanted, receiver) = watch::channel(Wanted::default());
        let (report, failing) = watch::channel(None);
        let storing = Storing {
            to,
            wanted: receiver,
            failing: report,
            stored: Vec::new(),
            topics: BTreeMap::new(),
        };
        let task = tokio::spawn(storing.run().in_current_span());
        Self { wanted, failing, task, ended: false }
    }

    /// Wants `offsets`, all of whose records have arrived, and `topics` recorded.
    pub(super) fn want(
        &self,
        offsets: Vec<SourceOffset>,
        topics: &mut BTreeMap<Arc<str>, Instant>,
    ) {
        self.wanted.send_modify(|wanted| {
            for offset in offsets {
                match wanted.offsets.iter_mut().find(|known| known.partition == offset.partition) {
                    Some(known) => *known = offset,
                    None => wanted.offsets.push(offset),
                }
            }
            wanted.topics.append(topics);
        });
    }

    /// Why nothing can be stored at present.
    pub(super) fn failing(&self) -> Option<Failing> {
        self.failing.borrow().clone()
    }

    /// Waits until storing begins or ceases to fail. Cancel-safe.
    ///
    /// # Errors
    /// Why the storing task has ended: fenced, or the database refused.
    pub(super) async fn changed(&mut self) -> Result<(), ConnectError> {
        if self.failing.changed().await.is_ok() {
            return Ok(());
        }
        let result = (&mut self.task).await;
        self.ended = true;
        ended(result)
    }

    /// Stores what is wanted and ends, within `deadline`.
    ///
    /// # Errors
    /// Why the last offsets could not be stored.
    pub(super) async fn finish(mut self, deadline: Duration) -> Result<(), ConnectError> {
        if self.ended {
            return Ok(());
        }
        self.wanted.send_modify(|wanted| wanted.finish = true);
        match tokio::time::timeout(deadline, &mut self.task).await {
            Ok(result) => ended(result),
            Err(_) => Err(ConnectError::retriable(
                "the last source offsets could not be stored in time; their records will be repeated",
            )),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ended(
    result: Result<Result<(), ConnectError>, tokio::task::JoinError>,
) -> Result<(), ConnectError> {
    match result {
        Ok(result) => result,
        Err(error) => {
            Err(ConnectError::fatal("storing source offsets did not end well").because(error))
        }
    }
}

/// The storing task's state.
struct Storing {
    to: FlushTo,
    wanted: watch::Receiver<Wanted>,
    failing: watch::Sender<Option<Failing>>,
    /// What the database has.
    stored: Vec<SourceOffset>,
    /// When each topic was recorded last.
    topics: BTreeMap<Arc<str>, Instant>,
}

impl Storing {
    async fn run(mut self) -> Result<(), ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            // An error means that the loop is gone; it then aborts this task.
            if self.wanted.changed().await.is_err() {
                return Ok(());
            }
            let mut wanted = self.wanted.borrow_and_update().clone();
            while let Err(error) = self.store(&wanted).await {
                self.to.metrics.offset_commit_outcomes.failure();
                if error.kind() != ErrorKind::Retriable {
                    return Err(error);
                }
                let delay = backoff.next_delay();
                self.to.metrics.retries.inc();
                self.report(Some(Condition::retrying(&error, delay)));
                tokio::time::sleep(delay).await;
                wanted = self.wanted.borrow_and_update().clone();
            }
            backoff.reset();
            self.report(None);
            if wanted.finish {
                return Ok(());
            }
            self.rest().await;
        }
    }

    /// Waits for the rest of the interval, unless the task finishes.
    async fn rest(&mut self) {
        let mut wanted = self.wanted.clone();
        let finishing = wanted.wait_for(|wanted| wanted.finish);
        // Either way the next round stores what there is.
        let _ = tokio::time::timeout(self.to.interval, finishing).await;
    }

    async fn store(&mut self, wanted: &Wanted) -> Result<(), ConnectError> {
        let moved = wanted.offsets.iter().filter(|offset| !self.stored.contains(offset));
        let moved: Vec<SourceOffset> = moved.cloned().collect();
        self.record_topics(&wanted.topics).await?;
        if moved.is_empty() {
            return Ok(());
        }
        fail::fail_point!("source.before-store");
        let began = Instant::now();
        let FlushTo { store, lease, truth, metrics, .. } = &self.to;
        store.put_source_offsets(lease, &moved, *truth).await.map_err(task_error)?;
        fail::fail_point!("source.after-store");
        // Of a mirror the transactions have counted the commits.
        if *truth == Truth::Here {
            metrics.offset_commit.record(began.elapsed());
            metrics.offset_commit_outcomes.success();
            metrics.offset_commits.inc();
        }
        for offset in &moved {
            if let Err(error) = self.to.committer.commit(offset).await {
                let error = error.trace();
                tracing::warn!(error, "the source could not be told of a stored offset");
            }
        }
        self.stored.clone_from(&wanted.offsets);
        Ok(())
    }

    async fn record_topics(
        &mut self,
        used: &BTreeMap<Arc<str>, Instant>,
    ) -> Result<(), ConnectError> {
        let due = |topic: &str, used: &Instant| match self.topics.get(topic) {
            None => true,
            Some(recorded) => TOPICS_AGAIN <= used.saturating_duration_since(*recorded),
        };
        let due: Vec<Arc<str>> = used
            .iter()
            .filter(|(topic, used)| due(topic, used))
            .map(|(topic, _)| topic.clone())
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = due.iter().map(|topic| topic.to_string()).collect();
        self.to.store.add_topics(&self.to.lease, &names).await.map_err(task_error)?;
        let now = Instant::now();
        self.topics.extend(due.into_iter().map(|topic| (topic, now)));
        Ok(())
    }

    fn report(&self, condition: Option<Condition>) {
        self.failing.send_if_modified(|failing| {
            let was_fine = failing.is_none();
            let since = failing.as_ref().map_or_else(Instant::now, |failing| failing.since);
            *failing = condition.map(|condition| Failing { since, condition });
            !(was_fine && failing.is_none())
        });
    }
}
