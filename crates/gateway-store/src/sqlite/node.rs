//! The processes of a gateway.

use super::column::to_ms;
use super::{Result, SqliteStore};
use crate::engine::node_row::{node_row, spool_json, taken};
use crate::{NodeRow, NodeStore, StoreError};
use async_trait::async_trait;

#[async_trait]
impl NodeStore for SqliteStore {
    async fn tell_node(&self, node: &NodeRow) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let told = sqlx::query(sql!("node/upsert"))
            .bind(&node.name)
            .bind(&node.holder)
            .bind(node.roles.join(","))
            .bind(&node.version)
            .bind(&node.key_print)
            .bind(to_ms(node.started_at))
            .bind(to_ms(node.seen_at))
            .bind(node.stopped_at.map(to_ms))
            .bind(i64::try_from(node.spool_messages).unwrap_or(i64::MAX))
            .bind(node.spool_oldest_at.map(to_ms))
            .bind(spool_json(node)?)
            .bind(&node.findings)
            .execute(&mut *tx)
            .await?;
        if told.rows_affected() == 0 {
            return Err(taken(node));
        }
        tx.commit().await?;
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let rows = sqlx::query(sql!("node/list")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(node_row).collect()
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let gone = sqlx::query(sql!("node/delete")).bind(name).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "node", id: name.to_owned() });
        }
        tx.commit().await?;
        Ok(())
    }
}
