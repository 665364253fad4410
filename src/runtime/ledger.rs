//! [`FileLedger`] over the state database, under one task's lease.

use async_trait::async_trait;

use crate::connector::{Fenced, FileLedger, SinkFile};
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::store::{Lease, SinkFileRow, SinkUpload, Store, StoreError};

/// A sink task's view of the ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Store,
    lease: Lease,
}

impl Ledger {
    /// The ledger as the holder of `lease` may use it.
    pub fn new(store: Store, lease: Lease) -> Self {
        Self { store, lease }
    }
}

#[async_trait]
impl FileLedger for Ledger {
    async fn completing(&self, files: &[SinkFile]) -> Result<(), ConnectError> {
        let rows: Vec<_> = files.iter().map(row).collect();
        self.store.completing_files(&self.lease, &rows).await.map_err(task_error)
    }

    async fn completed(&self, files: &[SinkFile], next: i64) -> Result<(), ConnectError> {
        let rows: Vec<_> = files.iter().map(row).collect();
        self.store.completed_files(&self.lease, &rows, next).await.map_err(task_error)
    }

    async fn recover(
        &self,
        partition: &TopicPartition,
    ) -> Result<(Vec<SinkFile>, Option<i64>), ConnectError> {
        let left = self.store.recover_files(&self.lease, partition).await.map_err(task_error)?;
        Ok((left.completing.into_iter().map(file).collect(), left.next))
    }

    async fn upload_started(
        &self,
        partition: &TopicPartition,
        key: &str,
        upload_id: &str,
    ) -> Result<(), ConnectError> {
        let upload = SinkUpload { key: key.to_owned(), upload_id: upload_id.to_owned() };
        self.store.upload_started(&self.lease, partition, &upload).await.map_err(task_error)
    }

    async fn orphaned_uploads(
        &self,
        partition: &TopicPartition,
    ) -> Result<Vec<(String, String)>, ConnectError> {
        let uploads =
            self.store.orphaned_uploads(&self.lease, partition).await.map_err(task_error)?;
        Ok(uploads.into_iter().map(|upload| (upload.key, upload.upload_id)).collect())
    }

    async fn upload_ended(&self, key: &str, upload_id: &str) -> Result<(), ConnectError> {
        let upload = SinkUpload { key: key.to_owned(), upload_id: upload_id.to_owned() };
        self.store.upload_ended(&self.lease, &upload).await.map_err(task_error)
    }
}

/// A store's error as a task may act on it: being fenced is said in the connector's words.
pub(crate) fn task_error(error: StoreError) -> ConnectError {
    match error {
        StoreError::Fenced { connector } => {
            let fenced = Fenced { connector };
            ConnectError::fatal(fenced.to_string()).because(fenced)
        }
        other => other.into(),
    }
}

fn row(file: &SinkFile) -> SinkFileRow {
    SinkFileRow {
        partition: file.partition.clone(),
        first_offset: file.first_offset,
        last_offset: file.last_offset,
        key: file.key.clone(),
        upload_id: file.upload_id.clone(),
        etags: file.etags.clone(),
        records: i64::try_from(file.records).unwrap_or(i64::MAX),
    }
}

fn file(row: SinkFileRow) -> SinkFile {
    SinkFile {
        partition: row.partition,
        first_offset: row.first_offset,
        last_offset: row.last_offset,
        key: row.key,
        upload_id: row.upload_id,
        etags: row.etags,
        records: u64::try_from(row.records).unwrap_or_default(),
    }
}
