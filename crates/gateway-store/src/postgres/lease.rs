//! Leases and checkpoints.

use super::batch::storable;
use super::column::{Columns, from_ms, to_ms};
use super::transaction::{Tx, commit};
use super::{PostgresStore, Result};
use crate::{LeaseGrant, LeaseStore, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, Timestamp};

struct Lease {
    holder: Option<String>,
    epoch: u64,
    until: Timestamp,
}

async fn load(tx: &mut Tx, name: &str) -> Result<Option<Lease>> {
    let row = sqlx::query(pg!("lease/lock")).bind(name).fetch_optional(&mut **tx).await?;
    row.map(|row| {
        let mut columns = Columns::of("lease", &row);
        Ok(Lease { holder: columns.maybe_string()?, epoch: columns.count()?, until: columns.time()? })
    })
    .transpose()
}

async fn save(tx: &mut Tx, name: &str, holder: Option<&str>, epoch: u64, until: Timestamp) -> Result<()> {
    sqlx::query(sql!("lease/upsert"))
        .bind(name)
        .bind(holder)
        .bind(i64::try_from(epoch).unwrap_or(i64::MAX))
        .bind(to_ms(until))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whether this lease is still its holder's; nobody takes it before the transaction ends.
pub(super) async fn holds(tx: &mut Tx, lease: &LeaseGrant) -> Result<bool> {
    Ok(load(tx, &lease.name).await?.is_some_and(|held| held.epoch == lease.epoch))
}

/// Fails when another has the lease by now; nobody takes it before the transaction ends.
pub(super) async fn must_hold(tx: &mut Tx, lease: &LeaseGrant) -> Result<()> {
    if holds(tx, lease).await? {
        return Ok(());
    }
    Err(StoreError::LeaseLost { name: lease.name.clone(), epoch: lease.epoch })
}

/// Saves a checkpoint; whether the caller holds the lease is asked before.
pub(super) async fn write_checkpoint(
    tx: &mut Tx,
    channel: &ChannelId,
    name: &str,
    value: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(sql!("checkpoint/upsert"))
        .bind(channel.as_str())
        .bind(name)
        .bind(storable(value))
        .bind(to_ms(now))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseGrant>> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            // A row to lock, so that two that want a new lease do not both find none.
            sqlx::query(pg!("lease/make")).bind(name).bind(i64::MIN).execute(&mut *tx).await?;
            let epoch = match load(&mut tx, name).await? {
                None => 1,
                Some(lease) if lease.holder.as_deref() == Some(holder) => lease.epoch,
                Some(lease) if lease.holder.is_none() || lease.until <= now => lease.epoch + 1,
                Some(_) => return Ok(None),
            };
            save(&mut tx, name, Some(holder), epoch, until).await?;
            commit(tx).await?;
            Ok(Some(LeaseGrant { name: name.to_owned(), epoch, until: from_ms(to_ms(until))? }))
        })
        .await
    }

    async fn release_lease(&self, grant: &LeaseGrant, now: Timestamp) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            match load(&mut tx, &grant.name).await? {
                Some(lease) if lease.epoch == grant.epoch => {
                    save(&mut tx, &grant.name, None, lease.epoch, now).await?;
                    commit(tx).await?;
                }
                // Another has it already: nothing to give back.
                _ => tx.rollback().await?,
            }
            Ok(())
        })
        .await
    }

    async fn release_leases(&self, holder: &str, now: Timestamp) -> Result<u64> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let released =
                sqlx::query(sql!("lease/release_all")).bind(holder).bind(to_ms(now)).execute(&mut *tx).await?;
            commit(tx).await?;
            Ok(released.rows_affected())
        })
        .await
    }

    async fn checkpoint(&self, channel: &ChannelId, name: &str) -> Result<Option<String>> {
        let row =
            sqlx::query(sql!("checkpoint/get")).bind(channel.as_str()).bind(name).fetch_optional(&self.pool).await?;
        row.map(|row| Columns::of("checkpoint", &row).string()).transpose()
    }

    async fn checkpoint_saved_at(&self, channel: &ChannelId, name: &str) -> Result<Option<Timestamp>> {
        let row = sqlx::query(sql!("checkpoint/saved_at"))
            .bind(channel.as_str())
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Columns::of("checkpoint", &row).time()).transpose()
    }

    async fn save_checkpoint(
        &self,
        channel: &ChannelId,
        name: &str,
        value: &str,
        lease: &LeaseGrant,
        now: Timestamp,
    ) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            must_hold(&mut tx, lease).await?;
            write_checkpoint(&mut tx, channel, name, value, now).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }
}
