//! The processes of a gateway.

use super::batch::storable;
use super::column::to_ms;
use super::transaction::commit;
use super::{PostgresStore, Result};
use crate::engine::node_row::{node_row, spool_json, taken};
use crate::{NodeRow, NodeStore, StoreError};
use async_trait::async_trait;

#[async_trait]
impl NodeStore for PostgresStore {
    async fn tell_node(&self, node: &NodeRow) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let told = sqlx::query(sql!("node/upsert"))
                .bind(storable(&node.name))
                .bind(storable(&node.holder))
                .bind(storable(&node.roles.join(",")))
                .bind(storable(&node.version))
                .bind(storable(&node.key_print))
                .bind(to_ms(node.started_at))
                .bind(to_ms(node.seen_at))
                .bind(node.stopped_at.map(to_ms))
                .bind(i64::try_from(node.spool_messages).unwrap_or(i64::MAX))
                .bind(node.spool_oldest_at.map(to_ms))
                .bind(storable(&spool_json(node)?))
                .bind(storable(&node.findings))
                .execute(&mut *tx)
                .await?;
            if told.rows_affected() == 0 {
                return Err(taken(node));
            }
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let rows = sqlx::query(sql!("node/list")).fetch_all(&self.pool).await?;
        rows.iter().map(node_row).collect()
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let gone = sqlx::query(sql!("node/delete")).bind(storable(name)).execute(&mut *tx).await?;
            if gone.rows_affected() == 0 {
                return Err(StoreError::NotFound { what: "node", id: name.to_owned() });
            }
            commit(tx).await?;
            Ok(())
        })
        .await
    }
}
