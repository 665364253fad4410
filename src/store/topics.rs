//! Which topics a connector used (KIP-558).

use super::bounded::Bounded;
use super::lease::fenced_unless;
use super::{Lease, Store, StoreError};

impl Store {
    /// The topics that `connector` used since the last reset, sorted.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn topics(&self, connector: &str) -> Result<Vec<String>, StoreError> {
        let topics = sqlx::query_scalar(
            "select topic from ferroconnect.connector_topic where connector = $1 order by topic",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        Ok(topics)
    }

    /// Adds topics that a task of `lease`'s connector used; known ones are left alone.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when `lease` is no longer the current one.
    pub async fn add_topics(&self, lease: &Lease, topics: &[String]) -> Result<(), StoreError> {
        // Tracking ends with the connector, the lease only with the last task: hence the join.
        let held: bool = sqlx::query_scalar(
            "with held as (
                 select from ferroconnect.lease
                 where connector = $1 and task = $2 and epoch = $3 for share),
             put as (
                 insert into ferroconnect.connector_topic (connector, topic)
                 select connector.name, topic
                 from unnest($4::text[]) as new (topic), held, ferroconnect.connector
                 where connector.name = $1
                 on conflict do nothing)
             select exists (select from held)",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .bind(topics)
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        fenced_unless(held, lease)
    }

    /// Forgets the topics of `connector`.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn reset_topics(&self, connector: &str) -> Result<(), StoreError> {
        sqlx::query("delete from ferroconnect.connector_topic where connector = $1")
            .bind(connector)
            .execute(&self.pool)
            .bounded()
            .await?;
        Ok(())
    }
}
