//! The ledger of sink files: what makes rotation by the clock exactly once.
//!
//! A file's boundaries are recorded before its object becomes visible. After a crash the next owner
//! of the partition finishes exactly that file. A name alone would not be enough: a zombie's shorter
//! file would overwrite a longer one. So writing needs two things: the task's lease, and the claim
//! of the partition that [`Store::recover_files`] makes when the partition is opened.

use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::bounded::Bounded;
use super::lease::fenced_unless;
use super::{Lease, Store, StoreError};
use crate::data::TopicPartition;

/// A file that is complete or about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkFileRow {
    pub partition: TopicPartition,
    pub first_offset: i64,
    pub last_offset: i64,
    /// The object's key.
    pub key: String,
    /// The multipart upload; `None` for an object put whole.
    pub upload_id: Option<String>,
    /// The parts' entity tags, in part order.
    pub etags: Vec<String>,
    pub records: i64,
}

/// What an earlier owner of a partition left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkRecovery {
    /// Files that were about to be completed, in offset order.
    pub completing: Vec<SinkFileRow>,
    /// Where the ledger says to go on, when files were completed beyond what the consumer group was
    /// told. Else the group's offset holds, so that tools can reset it.
    pub next: Option<i64>,
}

/// A multipart upload that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkUpload {
    pub key: String,
    pub upload_id: String,
}

impl Store {
    /// Records that `files` are about to be completed, all or none.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the lease or a partition is no longer the task's.
    pub async fn completing_files(
        &self,
        lease: &Lease,
        files: &[SinkFileRow],
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        for file in files {
            let held: bool = sqlx::query_scalar(
                "with held as (
                     select from ferroconnect.lease
                     where connector = $1 and task = $2 and epoch = $3 for share),
                 claimed as (
                     select from ferroconnect.sink_offset
                     where connector = $1 and topic = $4 and partition = $5 and owner_epoch = $3
                     for share),
                 put as (
                     insert into ferroconnect.sink_file
                         (connector, topic, partition, first_offset, last_offset, key, upload_id,
                          etags, records, epoch, state)
                     select $1, $4, $5, $6, $7, $8, $9, $10, $11, $3, 'completing'
                     from held, claimed
                     on conflict (connector, topic, partition, key) do update
                         set first_offset = excluded.first_offset,
                             last_offset = excluded.last_offset, upload_id = excluded.upload_id,
                             etags = excluded.etags, records = excluded.records, epoch = excluded.epoch,
                             state = 'completing', updated_at = now())
                 select exists (select from held, claimed)",
            )
            .bind(&lease.connector)
            .bind(lease.task)
            .bind(lease.epoch)
            .bind(&*file.partition.topic)
            .bind(file.partition.partition)
            .bind(file.first_offset)
            .bind(file.last_offset)
            .bind(&file.key)
            .bind(&file.upload_id)
            .bind(&file.etags)
            .bind(file.records)
            .fetch_one(&mut *transaction)
            .bounded()
            .await?;
            fenced_unless(held, lease)?;
        }
        transaction.commit().bounded().await?;
        Ok(())
    }

    /// Records that `files`, all of one partition, are complete and that `next` is the offset to go
    /// on at; forgets their uploads. Of files that were done before, only the newest are kept.
    ///
    /// # Errors
    /// As [`Store::completing_files`].
    pub async fn completed_files(
        &self,
        lease: &Lease,
        files: &[SinkFileRow],
        next: i64,
    ) -> Result<(), StoreError> {
        let Some(first) = files.first() else { return Ok(()) };
        let keys: Vec<&str> = files.iter().map(|file| file.key.as_str()).collect();
        let held: bool = sqlx::query_scalar(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share),
             claimed as (
                 update ferroconnect.sink_offset
                 set written_offset = $6, updated_at = now()
                 where connector = $1 and topic = $4 and partition = $5 and owner_epoch = $3
                     and exists (select from held)
                 returning connector),
             done as (
                 update ferroconnect.sink_file set state = 'done', updated_at = now()
                 where connector = $1 and topic = $4 and partition = $5 and key = any ($7)
                     and exists (select from claimed)),
             old as (
                 delete from ferroconnect.sink_file
                 where connector = $1 and topic = $4 and partition = $5 and state = 'done'
                     and key <> all ($7) and exists (select from claimed)),
             uploads as (
                 delete from ferroconnect.sink_upload
                 where connector = $1 and topic = $4 and partition = $5 and key = any ($7)
                     and exists (select from claimed))
             select exists (select from claimed)",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(&*first.partition.topic)
        .bind(first.partition.partition)
        .bind(next)
        .bind(keys)
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        fenced_unless(held, lease)
    }

    /// Claims `partition` for the task of `lease` and returns what its earlier owner left. From here
    /// on no other task can complete a file of the partition.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the lease is no longer the task's.
    pub async fn recover_files(
        &self,
        lease: &Lease,
        partition: &TopicPartition,
    ) -> Result<SinkRecovery, StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        // Waits for a statement of the former owner that holds the row, so that what that one wrote
        // is seen below.
        let claimed = sqlx::query(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share)
             insert into ferroconnect.sink_offset as old
                 (connector, topic, partition, owner_epoch)
             select $1, $4, $5, $3 from held
             on conflict (connector, topic, partition) do update
                 set owner_epoch = excluded.owner_epoch
             returning case when written_offset > coalesce(committed_offset, -1)
                 then written_offset end as written_offset",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(&*partition.topic)
        .bind(partition.partition)
        .fetch_optional(&mut *transaction)
        .bounded()
        .await?;
        fenced_unless(claimed.is_some(), lease)?;
        let next = match claimed {
            Some(row) => row.try_get("written_offset")?,
            None => None,
        };
        let rows = sqlx::query(
            "select first_offset, last_offset, key, upload_id, etags, records
             from ferroconnect.sink_file
             where connector = $1 and topic = $2 and partition = $3 and state = 'completing'
             order by first_offset",
        )
        .bind(&lease.connector)
        .bind(&*partition.topic)
        .bind(partition.partition)
        .fetch_all(&mut *transaction)
        .bounded()
        .await?;
        transaction.commit().bounded().await?;
        let completing =
            rows.iter().map(|row| file_row(partition, row)).collect::<Result<_, _>>()?;
        Ok(SinkRecovery { completing, next })
    }

    /// Remembers a multipart upload that was started.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the lease is no longer the task's.
    pub async fn upload_started(
        &self,
        lease: &Lease,
        partition: &TopicPartition,
        upload: &SinkUpload,
    ) -> Result<(), StoreError> {
        let held: bool = sqlx::query_scalar(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share),
             put as (
                 insert into ferroconnect.sink_upload
                     (connector, topic, partition, key, upload_id, epoch)
                 select $1, $4, $5, $6, $7, $3 from held
                 on conflict do nothing)
             select exists (select from held)",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(&*partition.topic)
        .bind(partition.partition)
        .bind(&upload.key)
        .bind(&upload.upload_id)
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        fenced_unless(held, lease)
    }

    /// The uploads of `partition` that were started and neither ended nor belong to a file that is
    /// about to be completed. Asked when the partition is opened, they are all of earlier owners.
    /// They stay until [`Store::upload_ended`]: a crash before the abort forgets none.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn orphaned_uploads(
        &self,
        lease: &Lease,
        partition: &TopicPartition,
    ) -> Result<Vec<SinkUpload>, StoreError> {
        let rows = sqlx::query(
            "select key, upload_id from ferroconnect.sink_upload as upload
             where connector = $1 and topic = $2 and partition = $3
                 and not exists (
                     select from ferroconnect.sink_file as file
                     where file.connector = upload.connector and file.topic = upload.topic
                         and file.partition = upload.partition and file.key = upload.key
                         and file.upload_id = upload.upload_id and file.state = 'completing')
             order by started_at",
        )
        .bind(&lease.connector)
        .bind(&*partition.topic)
        .bind(partition.partition)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SinkUpload { key: row.try_get("key")?, upload_id: row.try_get("upload_id")? })
            })
            .collect()
    }

    /// Forgets an upload that was completed or aborted.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn upload_ended(&self, lease: &Lease, upload: &SinkUpload) -> Result<(), StoreError> {
        sqlx::query(
            "delete from ferroconnect.sink_upload
             where connector = $1 and key = $2 and upload_id = $3",
        )
        .bind(&lease.connector)
        .bind(&upload.key)
        .bind(&upload.upload_id)
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(())
    }
}

fn file_row(partition: &TopicPartition, row: &PgRow) -> Result<SinkFileRow, StoreError> {
    Ok(SinkFileRow {
        partition: TopicPartition {
            topic: Arc::clone(&partition.topic),
            partition: partition.partition,
        },
        first_offset: row.try_get("first_offset")?,
        last_offset: row.try_get("last_offset")?,
        key: row.try_get("key")?,
        upload_id: row.try_get("upload_id")?,
        etags: row.try_get("etags")?,
        records: row.try_get("records")?,
    })
}
