//! Polls the prefix and brings the tables up to date. DuckDB blocks, so that a thread of the task's own
//! does the work, one run at a time; the runtime's threads only wait for its answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ferroconnect_analytics::{Error, RunOptions, RunReport, Stop, run, status};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::config::Scd2Config;
use crate::config::Props;
use crate::connector::{OffsetCommitter, SourceTask, SourceTaskContext};
use crate::data::{RecordBatch, SourceOffset};
use crate::error::ConnectError;

/// How long a stop waits for the thread: a run that was interrupted rolls back within it.
const STOP_DEADLINE: Duration = Duration::from_secs(4);

/// What a run did.
struct Outcome {
    report: RunReport,
    /// How far each partition of each table's topic was read.
    offsets: Vec<SourceOffset>,
}

type Answer = Result<Outcome, Error>;

pub(super) struct Scd2Task {
    interval: Duration,
    source: String,
    /// Asks the thread for a run; `None` after the stop.
    requests: Option<mpsc::Sender<oneshot::Sender<Answer>>>,
    thread: Option<JoinHandle<()>>,
    stop: Stop,
    /// The run that is under way. Kept across polls, which may be cancelled at any time.
    running: Option<oneshot::Receiver<Answer>>,
    due: Instant,
    /// What was shown last: an offset that did not change is not stored again.
    shown: BTreeMap<Arc<str>, Arc<str>>,
}

impl Scd2Task {
    pub(super) fn new(props: &Props, context: &SourceTaskContext) -> Result<Self, ConnectError> {
        let config =
            Scd2Config::new(props, &context.defaults, &context.hosts).map_err(|errors| {
                let texts: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
                ConnectError::config(texts.join("; "))
            })?;
        let (interval, source) = (config.interval, config.analytics.source.clone());
        let stop = Stop::default();
        // One request at a time: the task asks for the next run when it has the answer to the last.
        let (requests, mut asked) = mpsc::channel::<oneshot::Sender<Answer>>(1);
        let of_thread = stop.clone();
        let thread = std::thread::Builder::new()
            .name(format!("scd2-{}", context.connector))
            .spawn(move || {
                while let Some(answer) = asked.blocking_recv() {
                    // The task may be gone: then nobody wants to know.
                    let _ = answer.send(bring_up_to_date(&config, &of_thread));
                }
            })
            .map_err(|error| ConnectError::retriable("cannot start a thread").because(error))?;
        Ok(Self {
            interval,
            source,
            requests: Some(requests),
            thread: Some(thread),
            stop,
            running: None,
            due: Instant::now(),
            shown: BTreeMap::new(),
        })
    }

    /// The answer of the run that is under way, or of one that is started when it is due.
    async fn next_run(&mut self) -> Result<Answer, ConnectError> {
        let ended = || ConnectError::fatal("the thread of the history tables has ended");
        if self.running.is_none() {
            tokio::time::sleep_until(self.due).await;
            let (answer, running) = oneshot::channel();
            let requests = self.requests.as_ref().ok_or_else(ended)?;
            // There is room: no other request is under way.
            requests.try_send(answer).map_err(|_| ended())?;
            self.running = Some(running);
        }
        let Some(running) = &mut self.running else { return Err(ended()) };
        let answer = running.await;
        self.running = None;
        self.due = Instant::now() + self.interval;
        // The thread drops a request unanswered only when it panics.
        answer.map_err(|_| ended())
    }

    fn show(&mut self, offsets: Vec<SourceOffset>, out: &mut RecordBatch) {
        for offset in offsets {
            if self.shown.get(&offset.partition) != Some(&offset.offset) {
                self.shown.insert(offset.partition.clone(), offset.offset.clone());
                out.seal(offset);
            }
        }
    }
}

#[async_trait]
impl SourceTask for Scd2Task {
    async fn poll(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError> {
        let outcome = self.next_run().await?.map_err(|error| of_run(error, &self.source))?;
        self.show(outcome.offsets, out);
        let failed: Vec<_> = outcome
            .report
            .tables
            .iter()
            .filter_map(|table| Some(format!("{}: {}", table.table, table.error.as_deref()?)))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        // The other tables are up to date; these are tried again, and the status says why.
        Err(ConnectError::retriable(failed.join("; ")))
    }

    fn committer(&self) -> Arc<dyn OffsetCommitter> {
        Arc::new(Nothing)
    }

    async fn stop(mut self: Box<Self>) -> Result<(), ConnectError> {
        self.stop.stop();
        self.requests = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(STOP_DEADLINE, joined).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(_) => Err(ConnectError::fatal("the thread of the history tables has panicked")),
            Err(_) => Err(ConnectError::fatal(
                "the thread of the history tables did not end in time; it goes on until its statement \
                 ends, and holds the database until then",
            )),
        }
    }
}

impl Drop for Scd2Task {
    /// A task that is dropped without a stop must not leave a run behind.
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// There is nothing to forget: objects stay where they are.
struct Nothing;

#[async_trait]
impl OffsetCommitter for Nothing {
    async fn commit(&self, _stored: &SourceOffset) -> Result<(), ConnectError> {
        Ok(())
    }
}

fn bring_up_to_date(config: &Scd2Config, stop: &Stop) -> Answer {
    let mut options = RunOptions::at(SystemTime::now());
    options.tables.clone_from(&config.tables);
    options.skip_bad = config.skip_bad;
    options.stop = stop.clone();
    let report = run(&config.analytics, &options, &mut |_| {})?;
    for table in report.tables.iter().filter(|table| 0 < table.objects) {
        tracing::info!(
            table = %table.table,
            objects = table.objects,
            rows = table.counts.rows,
            opened = table.counts.opened,
            rejects = table.counts.rejects,
            "history table brought up to date"
        );
    }
    let offsets = offsets(&config.analytics.database, &config.analytics.source)?;
    Ok(Outcome { report, offsets })
}

/// How far the tables are, as the offsets endpoint shows it.
fn offsets(database: &Path, source: &str) -> Result<Vec<SourceOffset>, Error> {
    let mut offsets = Vec::new();
    for table in status(database)?.tables {
        for (partition, offset) in &table.offsets {
            let place = json!({
                "source": source,
                "table": table.table,
                "topic": table.topic,
                "partition": partition,
            });
            let position = json!({ "offset": offset });
            offsets.push(SourceOffset {
                partition: place.to_string().into(),
                offset: position.to_string().into(),
            });
        }
    }
    Ok(offsets)
}

/// What the runtime can do about a run that failed as a whole.
fn of_run(error: Error, source: &str) -> ConnectError {
    match error {
        Error::Source { .. } if source.starts_with("s3://") => {
            ConnectError::config("the source cannot be read").because(error)
        }
        Error::Config(_) | Error::UnknownTable(_) => {
            ConnectError::config("the tables' settings cannot work").because(error)
        }
        // A folder, a bucket or a lock that is not there now may be there later.
        error => {
            ConnectError::retriable("the history tables were not brought up to date").because(error)
        }
    }
}
