//! Leases and checkpoints.

use super::column::{Columns, from_ms, to_ms};
use super::{Result, SqliteStore, Tx};
use crate::{LeaseGrant, LeaseStore, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, Timestamp};

struct Lease {
    holder: Option<String>,
    epoch: u64,
    until: Timestamp,
}

async fn load(tx: &mut Tx, name: &str) -> Result<Option<Lease>> {
    let row = sqlx::query(sql!("lease/get")).bind(name).fetch_optional(&mut **tx).await?;
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

/// Whether this lease is still its holder's.
pub(super) async fn holds(tx: &mut Tx, lease: &LeaseGrant) -> Result<bool> {
    Ok(load(tx, &lease.name).await?.is_some_and(|held| held.epoch == lease.epoch))
}

/// Fails when another has the lease by now.
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
        .bind(value)
        .bind(to_ms(now))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<LeaseGrant>> {
        let mut tx = self.begin_write().await?;
        let epoch = match load(&mut tx, name).await? {
            None => 1,
            Some(lease) if lease.holder.as_deref() == Some(holder) => lease.epoch,
            Some(lease) if lease.holder.is_none() || lease.until <= now => lease.epoch + 1,
            Some(_) => return Ok(None),
        };
        save(&mut tx, name, Some(holder), epoch, until).await?;
        tx.commit().await?;
        Ok(Some(LeaseGrant { name: name.to_owned(), epoch, until: from_ms(to_ms(until))? }))
    }

    async fn release_lease(&self, grant: &LeaseGrant, now: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        match load(&mut tx, &grant.name).await? {
            Some(lease) if lease.epoch == grant.epoch => {
                save(&mut tx, &grant.name, None, lease.epoch, now).await?;
                tx.commit().await?;
            }
            // Another has it already: nothing to give back.
            _ => tx.rollback().await?,
        }
        Ok(())
    }

    async fn release_leases(&self, holder: &str, now: Timestamp) -> Result<u64> {
        let mut tx = self.begin_write().await?;
        let released = sqlx::query(sql!("lease/release_all")).bind(holder).bind(to_ms(now)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(released.rows_affected())
    }

    async fn checkpoint(&self, channel: &ChannelId, name: &str) -> Result<Option<String>> {
        let row = sqlx::query(sql!("checkpoint/get"))
            .bind(channel.as_str())
            .bind(name)
            .fetch_optional(&mut *self.readers.lend().await?)
            .await?;
        row.map(|row| Columns::of("checkpoint", &row).string()).transpose()
    }

    async fn checkpoint_saved_at(&self, channel: &ChannelId, name: &str) -> Result<Option<Timestamp>> {
        let row = sqlx::query(sql!("checkpoint/saved_at"))
            .bind(channel.as_str())
            .bind(name)
            .fetch_optional(&mut *self.readers.lend().await?)
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
        let mut tx = self.begin_write().await?;
        must_hold(&mut tx, lease).await?;
        write_checkpoint(&mut tx, channel, name, value, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
