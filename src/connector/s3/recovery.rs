//! What an earlier owner of a partition left: files about to be completed are completed with the
//! same upload, orphaned uploads are aborted.

use std::collections::VecDeque;

use super::naming::Naming;
use super::recorded::{Span, split_recorded};
use super::store::Completion;
use super::upload::Uploader;
use crate::connector::SinkFile;
use crate::data::TopicPartition;
use crate::error::ConnectError;

/// Where a partition stands after recovery.
#[derive(Debug, PartialEq)]
pub(super) struct Recovered {
    /// The offset to start at, where the ledger says so.
    pub(super) start: Option<i64>,
    pub(super) spans: VecDeque<Span>,
}

/// Finishes what was left of `partition`. May be repeated after a failure.
///
/// # Errors
/// Retriable: the bucket or the state database is away.
pub(super) async fn recover(
    uploader: &Uploader,
    partition: &TopicPartition,
    naming: &Naming,
) -> Result<Recovered, ConnectError> {
    let (mut files, next) = uploader.ledger.recover(partition).await?;
    files.sort_by_key(|file| file.first_offset);
    let mut left = Vec::with_capacity(files.len());
    for file in files {
        let is_present = finish(uploader, &file).await?;
        left.push((file, is_present));
    }
    let (done, spans) = split_recorded(left, naming);
    let mut start = next;
    if let Some(last) = done.iter().map(|file| file.last_offset).max() {
        let next = last.saturating_add(1).max(next.unwrap_or_default());
        uploader.ledger.completed(&done, next).await?;
        start = Some(next);
    }
    if let Some(span) = spans.front() {
        start = Some(span.first_offset);
    }
    for (key, upload_id) in uploader.ledger.orphaned_uploads(partition).await? {
        uploader.bucket.abort(&key, &upload_id).await?;
        uploader.ledger.upload_ended(&key, &upload_id).await?;
        tracing::info!(%partition, key, "aborted an orphaned upload");
    }
    Ok(Recovered { start, spans })
}

/// Whether the object of `file` is there in the end.
async fn finish(uploader: &Uploader, file: &SinkFile) -> Result<bool, ConnectError> {
    let upload_id = file.upload_id.as_deref().unwrap_or_default();
    let completion = uploader.bucket.complete(&file.key, upload_id, &file.etags).await?;
    let (key, first, last) = (&file.key, file.first_offset, file.last_offset);
    match completion {
        Completion::Done => {
            uploader.tag(file).await?;
            tracing::info!(key, first, last, "finished a file that was about to be completed");
        }
        Completion::Lost => {
            tracing::warn!(
                key,
                first,
                last,
                "the upload of a recorded file is gone; writing it again"
            );
        }
    }
    Ok(completion == Completion::Done)
}
