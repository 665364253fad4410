//! Source offsets, and the mirror of what consumer groups were told.

use std::sync::Arc;

use sqlx::{PgConnection, Row};

use super::bounded::Bounded;
use super::lease::fenced_unless;
use super::{Lease, Store, StoreError};
use crate::data::{SourceOffset, TopicPartition};

/// Which of its copies a stored source offset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The only one.
    Here,
    /// A mirror of a record in the offsets topic, and never ahead of it.
    OffsetsTopic,
}

impl Store {
    /// As [`Store::source_offsets`], each with which copy it is.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn source_offset_copies(
        &self,
        connector: &str,
    ) -> Result<Vec<(SourceOffset, Truth)>, StoreError> {
        let rows = sqlx::query(
            "select source_partition, source_offset, mirrored from ferroconnect.source_offset
             where connector = $1 order by source_partition",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                let offset = SourceOffset {
                    partition: Arc::from(row.try_get::<&str, _>("source_partition")?),
                    offset: Arc::from(row.try_get::<&str, _>("source_offset")?),
                };
                let mirrored = row.try_get("mirrored")?;
                Ok((offset, if mirrored { Truth::OffsetsTopic } else { Truth::Here }))
            })
            .collect()
    }

    /// The stored offsets of `connector`, one per source partition.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn source_offsets(&self, connector: &str) -> Result<Vec<SourceOffset>, StoreError> {
        let rows = sqlx::query(
            "select source_partition, source_offset from ferroconnect.source_offset
             where connector = $1 order by source_partition",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SourceOffset {
                    partition: Arc::from(row.try_get::<&str, _>("source_partition")?),
                    offset: Arc::from(row.try_get::<&str, _>("source_offset")?),
                })
            })
            .collect()
    }

    /// Stores `offsets`, all or none. Of several offsets of one source partition the last one
    /// counts.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when `lease` is no longer the current one.
    pub async fn put_source_offsets(
        &self,
        lease: &Lease,
        offsets: &[SourceOffset],
        truth: Truth,
    ) -> Result<(), StoreError> {
        // One statement cannot update a row twice.
        let mut newest: Vec<&SourceOffset> = Vec::new();
        for offset in offsets.iter().rev() {
            if newest.iter().all(|known| known.partition != offset.partition) {
                newest.push(offset);
            }
        }
        let partitions: Vec<&str> = newest.iter().map(|offset| &*offset.partition).collect();
        let positions: Vec<&str> = newest.iter().map(|offset| &*offset.offset).collect();
        let held: bool = sqlx::query_scalar(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share),
             put as (
                 insert into ferroconnect.source_offset
                     (connector, source_partition, source_offset, mirrored)
                 select $1, source_partition, source_offset, $6
                 from unnest($4::text[], $5::text[]) as new (source_partition, source_offset), held
                 on conflict (connector, source_partition) do update
                     set source_offset = excluded.source_offset, mirrored = excluded.mirrored,
                         updated_at = now())
             select exists (select from held)",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(partitions)
        .bind(positions)
        .bind(truth == Truth::OffsetsTopic)
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        fenced_unless(held, lease)
    }

    /// Changes the stored offsets of a stopped connector; `None` removes a partition's. Tasks that
    /// have not ended yet are fenced. `false`: it is not stopped or is gone, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn alter_source_offsets(
        &self,
        connector: &str,
        changes: &[(String, Option<String>)],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        if !fence_stopped(&mut transaction, connector).await? {
            return Ok(false);
        }
        for (partition, offset) in changes {
            sqlx::query(
                "with gone as (
                     delete from ferroconnect.source_offset
                     where connector = $1 and source_partition = $2 and $3::text is null)
                 insert into ferroconnect.source_offset (connector, source_partition, source_offset)
                 select $1, $2, $3 where $3 is not null
                 on conflict (connector, source_partition) do update
                     set source_offset = excluded.source_offset, mirrored = false,
                         updated_at = now()",
            )
            .bind(connector)
            .bind(partition)
            .bind(offset)
            .execute(&mut *transaction)
            .bounded()
            .await?;
        }
        transaction.commit().bounded().await?;
        Ok(true)
    }

    /// Follows a change of what the consumer group of a stopped connector has committed: `None`,
    /// nothing any more. The file ledger's own position and the files that it would finish go: where
    /// to go on is what the group says. As [`Store::alter_source_offsets`] for the rest.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn alter_sink_offsets(
        &self,
        connector: &str,
        changes: &[(TopicPartition, Option<i64>)],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        if !fence_stopped(&mut transaction, connector).await? {
            return Ok(false);
        }
        for (at, offset) in changes {
            sqlx::query(
                "with files as (
                     delete from ferroconnect.sink_file
                     where connector = $1 and topic = $2 and partition = $3
                         and state = 'completing')
                 insert into ferroconnect.sink_offset
                     (connector, topic, partition, committed_offset)
                 values ($1, $2, $3, $4)
                 on conflict (connector, topic, partition) do update
                     set committed_offset = excluded.committed_offset, written_offset = null,
                         owner_epoch = null, updated_at = now()",
            )
            .bind(connector)
            .bind(&*at.topic)
            .bind(at.partition)
            .bind(offset)
            .execute(&mut *transaction)
            .bounded()
            .await?;
        }
        transaction.commit().bounded().await?;
        Ok(true)
    }

    /// As [`Store::alter_sink_offsets`] for every partition.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn reset_sink_offsets(&self, connector: &str) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        if !fence_stopped(&mut transaction, connector).await? {
            return Ok(false);
        }
        sqlx::query(
            "with files as (
                 delete from ferroconnect.sink_file
                 where connector = $1 and state = 'completing')
             update ferroconnect.sink_offset
             set committed_offset = null, written_offset = null, owner_epoch = null,
                 updated_at = now()
             where connector = $1",
        )
        .bind(connector)
        .execute(&mut *transaction)
        .bounded()
        .await?;
        transaction.commit().bounded().await?;
        Ok(true)
    }

    /// The mirror of what the consumer group of `connector` was told.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn sink_offsets(
        &self,
        connector: &str,
    ) -> Result<Vec<(TopicPartition, i64)>, StoreError> {
        let rows = sqlx::query(
            "select topic, partition, committed_offset from ferroconnect.sink_offset
             where connector = $1 and committed_offset is not null order by topic, partition",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                let topic = Arc::from(row.try_get::<&str, _>("topic")?);
                let partition = row.try_get("partition")?;
                Ok((TopicPartition { topic, partition }, row.try_get("committed_offset")?))
            })
            .collect()
    }

    /// Mirrors what the consumer group was told, all or none.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when `lease` is no longer the current one.
    pub async fn put_sink_offsets(
        &self,
        lease: &Lease,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), StoreError> {
        let mut newest: Vec<&(TopicPartition, i64)> = Vec::new();
        for offset in offsets.iter().rev() {
            if newest.iter().all(|known| known.0 != offset.0) {
                newest.push(offset);
            }
        }
        let topics: Vec<&str> = newest.iter().map(|(at, _)| &*at.topic).collect();
        let partitions: Vec<i32> = newest.iter().map(|(at, _)| at.partition).collect();
        let positions: Vec<i64> = newest.iter().map(|(_, offset)| *offset).collect();
        let held: bool = sqlx::query_scalar(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share),
             put as (
                 insert into ferroconnect.sink_offset as old
                     (connector, topic, partition, committed_offset)
                 select $1, topic, partition, committed_offset
                 from unnest($4::text[], $5::int[], $6::bigint[])
                     as new (topic, partition, committed_offset), held
                 on conflict (connector, topic, partition) do update
                     set committed_offset = excluded.committed_offset, updated_at = now())
             select exists (select from held)",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(topics)
        .bind(partitions)
        .bind(positions)
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        fenced_unless(held, lease)
    }
}

/// Holds the connector stopped until the transaction ends, and takes the leases of its tasks away.
async fn fence_stopped(
    transaction: &mut PgConnection,
    connector: &str,
) -> Result<bool, StoreError> {
    let stopped: Option<i32> = sqlx::query_scalar(
        "select 1 from ferroconnect.connector
         where name = $1 and target_state = 'STOPPED' for update",
    )
    .bind(connector)
    .fetch_optional(&mut *transaction)
    .bounded()
    .await?;
    if stopped.is_none() {
        return Ok(false);
    }
    sqlx::query("delete from ferroconnect.lease where connector = $1 and task >= 0")
        .bind(connector)
        .execute(&mut *transaction)
        .bounded()
        .await?;
    Ok(true)
}
