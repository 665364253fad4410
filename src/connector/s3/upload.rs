//! Jobs that run beside the task: parts on their way while a file grows, and the protocol that makes
//! closed files visible.
//!
//! 1. All parts are up.
//! 2. The ledger records the files as about to be completed, under the task's lease.
//! 3. The uploads are completed, each one atomic.
//! 4. The ledger records the files as done, together with the offset to go on at.
//!
//! A crash between any two leaves what [`super::recovery`] finishes. A job that fails hands
//! everything back, and the next one goes on at the same stage.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::stream::{self, StreamExt as _};
use tokio::sync::Semaphore;

use super::config::S3Config;
use super::file::{ClosedFile, Stage, Transfer};
use super::group::ClosedGroup;
use super::store::{Bucket, Completion};
use crate::connector::{FileLedger, SinkFile};
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// Between two attempts at tags.
const TAGGING_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What jobs need.
#[derive(Clone)]
pub(super) struct Uploader {
    pub(super) bucket: Bucket,
    pub(super) ledger: Arc<dyn FileLedger>,
    config: Arc<S3Config>,
    metrics: Arc<TaskMetrics>,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// What a job hands back: everything that it was given, further or not.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) partition: TopicPartition,
    pub(super) work: Work,
    pub(super) result: Result<(), ConnectError>,
}

/// What a job works on.
#[derive(Debug)]
pub(super) enum Work {
    /// Parts of the growing object `key`.
    Parts { key: String, transfer: Transfer },
    /// Closed files that become visible together.
    Files(ClosedGroup),
}

impl Work {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Parts { transfer, .. } => transfer.memory(),
            Self::Files(group) => group.memory(),
        }
    }

    /// When the first record of the closed files came.
    pub(super) fn since_ms(&self) -> Option<i64> {
        match self {
            Self::Parts { .. } => None,
            Self::Files(group) => Some(group.since_ms),
        }
    }
}

impl Uploader {
    pub(super) fn new(
        bucket: Bucket,
        ledger: Arc<dyn FileLedger>,
        config: Arc<S3Config>,
        metrics: Arc<TaskMetrics>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.parts_in_flight));
        Self { bucket, ledger, config, metrics, slots }
    }

    /// Does `work` of `partition` as far as it goes.
    pub(super) async fn run(self, partition: TopicPartition, mut work: Work) -> Outcome {
        let result = match &mut work {
            Work::Parts { key, transfer } => self.upload(&partition, key, transfer).await,
            Work::Files(group) => self.commit(&partition, group).await,
        };
        Outcome { partition, work, result }
    }

    /// Aborts the uploads of files that are given up, by key and id. What fails is left to the next
    /// owner of the partition.
    pub(super) async fn abort(&self, uploads: Vec<(String, String)>) {
        for (key, upload_id) in uploads {
            let aborted = match self.bucket.abort(&key, &upload_id).await {
                Ok(()) => self.ledger.upload_ended(&key, &upload_id).await,
                Err(error) => Err(error),
            };
            if let Err(error) = aborted {
                tracing::warn!(key, error = error.trace(), "an upload is left to be aborted later");
            }
        }
    }

    async fn commit(
        &self,
        partition: &TopicPartition,
        group: &mut ClosedGroup,
    ) -> Result<(), ConnectError> {
        let ClosedGroup { files, next, .. } = group;
        let uploads = files.iter_mut().filter(|file| file.stage == Stage::Uploading);
        self.all(uploads.map(|file| self.upload_rest(partition, file))).await?;

        let rows = rows(files, Stage::Uploading);
        if !rows.is_empty() {
            fail::fail_point!("s3.before-completing");
            self.ledger.completing(&rows).await?;
            fail::fail_point!("s3.after-completing");
            advance(files, Stage::Uploading, Stage::Completing);
        }

        let uploads = files.iter_mut().filter(|file| file.stage == Stage::Completing);
        self.all(uploads.map(|file| self.complete(file))).await?;

        self.ledger.completed(&self::rows(files, Stage::Completed), *next).await?;
        fail::fail_point!("s3.after-completed");
        self.count(files);
        Ok(())
    }

    /// Waits for all, even when one fails: a request that is dropped half-way could leave an upload
    /// that nobody knows. A partition may close a thousand files together, so some at a time.
    async fn all(
        &self,
        futures: impl Iterator<Item = impl Future<Output = Result<(), ConnectError>> + Send>,
    ) -> Result<(), ConnectError> {
        let futures: Vec<_> = futures.map(FutureExt::boxed).collect();
        let some = stream::iter(futures).buffer_unordered(self.config.files_in_flight);
        let results: Vec<_> = some.collect().await;
        results.into_iter().collect()
    }

    async fn upload_rest(
        &self,
        partition: &TopicPartition,
        file: &mut ClosedFile,
    ) -> Result<(), ConnectError> {
        let transfer = file.transfer.as_mut().expect("only files whose transfer is home");
        if transfer.etags.is_empty() && transfer.pending.len() == 1 {
            transfer.only_part = transfer.pending.front().cloned();
        }
        self.upload(partition, &file.key, transfer).await
    }

    async fn upload(
        &self,
        partition: &TopicPartition,
        key: &str,
        transfer: &mut Transfer,
    ) -> Result<(), ConnectError> {
        let upload_id = match &transfer.upload_id {
            Some(upload_id) => upload_id.clone(),
            None => transfer.upload_id.insert(self.bucket.create(key).await?).clone(),
        };
        if !transfer.is_recorded {
            self.ledger.upload_started(partition, key, &upload_id).await?;
            transfer.is_recorded = true;
        }
        while let Some(part) = transfer.pending.front().cloned() {
            let slot = self.slots.acquire().await.expect("the semaphore is never closed");
            let length = part.len() as u64;
            let index = transfer.etags.len();
            let begun = Instant::now();
            let etag = self.bucket.put_part(key, &upload_id, index, part).await?;
            self.metrics.sink_upload_seconds.observe(begun.elapsed());
            drop(slot);
            transfer.etags.push(etag);
            transfer.pending.pop_front();
            transfer.uploaded += length;
        }
        Ok(())
    }

    async fn complete(&self, file: &mut ClosedFile) -> Result<(), ConnectError> {
        let transfer = file.transfer.as_mut().expect("only files whose transfer is home");
        let upload_id = transfer.upload_id.clone().unwrap_or_default();
        match self.bucket.complete(&file.key, &upload_id, &transfer.etags).await? {
            Completion::Done => {
                fail::fail_point!("s3.after-complete-upload");
                transfer.only_part = None;
                self.tag(&file.row()).await?;
                file.stage = Stage::Completed;
                Ok(())
            }
            Completion::Lost if transfer.start_over() => {
                file.stage = Stage::Uploading;
                Err(ConnectError::retriable(format!(
                    "the upload of key \"{}\" was aborted by somebody else; it is repeated",
                    file.key
                )))
            }
            Completion::Lost => Err(ConnectError::fatal(format!(
                "the upload of key \"{}\" was aborted by somebody else; exempt uploads of this \
                 sink from the bucket's lifecycle rule and restart the task, which writes the \
                 file again",
                file.key
            ))),
        }
    }

    /// Puts the tags of `s3.object.tagging` on an object of values that is there.
    ///
    /// # Errors
    /// When it fails and must not.
    pub(super) async fn tag(&self, file: &SinkFile) -> Result<(), ConnectError> {
        let Some(tagging) = &self.config.tagging else { return Ok(()) };
        if !self.config.naming.is_of_values(&file.key) {
            return Ok(());
        }
        let own = [
            ("startOffset", file.first_offset.to_string()),
            ("endOffset", file.last_offset.to_string()),
            ("recordCount", file.records.to_string()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value)).into_iter();
        let tags: Vec<_> = own.chain(tagging.extra.iter().cloned()).collect();
        let mut delay = Duration::from_millis(tagging.backoff_ms);
        for attempt in 1.. {
            let Err(error) = self.bucket.tag(&file.key, &tags).await else { return Ok(()) };
            if attempt < tagging.attempts {
                tokio::time::sleep(delay.min(TAGGING_BACKOFF_MAX)).await;
                delay = delay.saturating_mul(2);
                continue;
            }
            if tagging.must_succeed {
                let text = "the object's tags were not put";
                return Err(ConnectError::config(text).because(error));
            }
            tracing::warn!(key = file.key, error = error.trace(), "an object stays without tags");
            break;
        }
        Ok(())
    }

    fn count(&self, files: &[ClosedFile]) {
        self.metrics.sink_files.inc_by(files.len() as u64);
        for transfer in files.iter().filter_map(|file| file.transfer.as_ref()) {
            self.metrics.sink_bytes.inc_by(transfer.uploaded);
            self.metrics.sink_file_sizes.observe(transfer.uploaded);
        }
        for file in files {
            let (first, last) = (file.first_offset, file.last_offset);
            let (key, records, reason) = (&file.key, file.records, file.reason);
            tracing::debug!(key, first, last, records, ?reason, "file completed");
        }
    }
}

fn rows(files: &[ClosedFile], stage: Stage) -> Vec<SinkFile> {
    files.iter().filter(|file| file.stage == stage).map(ClosedFile::row).collect()
}

fn advance(files: &mut [ClosedFile], from: Stage, to: Stage) {
    files.iter_mut().filter(|file| file.stage == from).for_each(|file| file.stage = to);
}
