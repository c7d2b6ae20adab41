//! Incidents, notifications, silences, notifiers.

use super::batch::{list, write_rows};
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore, Tx, history_write, lease};
use crate::engine::alert_row::{read_incident, read_notification, read_notifier, read_silence};
use crate::{
    AlertRound, AlertState, AlertStore, IncidentFilter, IncidentRow, LeaseGrant, NewNotification, NewSilence,
    NotificationRow, NotifierRow, SilenceRow, StoreError,
};
use async_trait::async_trait;
use gateway_model::{ChannelId, IncidentId, IncidentState, NotificationId, NotificationState, SilenceId, Timestamp};

#[async_trait]
impl AlertStore for SqliteStore {
    async fn alert_state(&self, now: Timestamp) -> Result<AlertState> {
        let mut reader = self.readers.lend().await?;
        let mut tx = reader.snapshot().await?;
        let incidents = sqlx::query(sql!("incident/live")).fetch_all(&mut *tx).await?;
        let silences = sqlx::query(sql!("silence/list_unended"))
            .bind(i64::MIN)
            .bind(i64::MAX)
            .bind(to_ms(now))
            .fetch_all(&mut *tx)
            .await?;
        let owed = sqlx::query(sql!("notification_incident/owed")).fetch_all(&mut *tx).await?;
        let notifiers = sqlx::query(sql!("notifier/list")).fetch_all(&mut *tx).await?;
        let next: i64 = sqlx::query_scalar(sql!("incident/next_id")).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        let owed = owed.iter().map(|row| {
            let mut columns = Columns::of("notification", row);
            Ok((columns.string()?, IncidentId(columns.int()?)))
        });
        Ok(AlertState {
            incidents: incidents.iter().map(read_incident).collect::<Result<_>>()?,
            silences: silences.iter().map(read_silence).collect::<Result<_>>()?,
            owed: owed.collect::<Result<_>>()?,
            notifiers: notifiers.iter().map(read_notifier).collect::<Result<_>>()?,
            next_incident_id: IncidentId(next),
        })
    }

    async fn save_alert_round(&self, round: &AlertRound, under: &LeaseGrant) -> Result<()> {
        let mut tx = self.begin_write().await?;
        lease::must_hold(&mut tx, under).await?;
        // First those that end, then those that begin: a cause may end and begin anew in one round.
        let (ended, living): (Vec<&IncidentRow>, Vec<_>) =
            round.incidents.iter().partition(|incident| incident.state == IncidentState::Resolved);
        sqlx::query(sql!("incident/delete_suspected")).bind(list(&round.forgotten)?).execute(&mut *tx).await?;
        save(&mut tx, &ended).await?;
        save(&mut tx, &living).await?;
        history_write::incidents(&mut tx, &round.incidents).await?;
        insert(&mut tx, &round.notifications).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn incidents(&self, filter: &IncidentFilter, limit: u32) -> Result<Vec<IncidentRow>> {
        let statement = match filter.state {
            Some(_) => sql!("incident/list_in_state"),
            None => sql!("incident/list"),
        };
        let rows = sqlx::query(statement)
            .bind(filter.after.map_or(i64::MIN, |id| id.0))
            .bind(filter.channel.as_ref().map(ChannelId::as_str))
            .bind(filter.code.as_deref())
            .bind(i64::from(limit))
            .bind(filter.state.map(IncidentState::as_str))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_incident).collect()
    }

    async fn incident(&self, id: IncidentId) -> Result<Option<IncidentRow>> {
        let row = sqlx::query(sql!("incident/get")).bind(id.0).fetch_optional(&mut *self.readers.lend().await?).await?;
        row.as_ref().map(read_incident).transpose()
    }

    async fn acknowledge_incident(&self, id: IncidentId, by: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let done =
            sqlx::query(sql!("incident/acknowledge")).bind(id.0).bind(to_ms(at)).bind(by).execute(&mut *tx).await?;
        if done.rows_affected() == 0 {
            let row = sqlx::query(sql!("incident/get")).bind(id.0).fetch_optional(&mut *tx).await?;
            let row = row.ok_or_else(|| StoreError::NotFound { what: "incident", id: id.to_string() })?;
            let incident = read_incident(&row)?;
            let state = match incident.state {
                IncidentState::Open => "acknowledged already".to_owned(),
                state => state.to_string(),
            };
            return Err(StoreError::WrongState { what: "incident", id: id.to_string(), state });
        }
        tx.commit().await?;
        Ok(())
    }

    async fn notifications_of(&self, id: IncidentId, limit: u32) -> Result<Vec<NotificationRow>> {
        let rows = sqlx::query(sql!("notification/of_incident"))
            .bind(id.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_notification).collect()
    }

    async fn owed_notifications(&self, notifier: &str, limit: u32) -> Result<Vec<NotificationRow>> {
        let rows = sqlx::query(sql!("notification/owed"))
            .bind(notifier)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_notification).collect()
    }

    async fn end_notification(
        &self,
        id: NotificationId,
        state: NotificationState,
        error: Option<&str>,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_write().await?;
        sqlx::query(sql!("notification/end"))
            .bind(id.0)
            .bind(state.as_str())
            .bind(to_ms(at))
            .bind(error)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn fail_notification(&self, id: NotificationId, error: &str, due_at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        sqlx::query(sql!("notification/fail")).bind(id.0).bind(to_ms(due_at)).bind(error).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn note_notifier(&self, id: &str, failed: Option<&str>, at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let query = match failed {
            None => sqlx::query(sql!("notifier/succeed")).bind(id).bind(to_ms(at)),
            Some(error) => sqlx::query(sql!("notifier/fail")).bind(id).bind(to_ms(at)).bind(error),
        };
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn notifiers(&self) -> Result<Vec<NotifierRow>> {
        let rows = sqlx::query(sql!("notifier/list")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(read_notifier).collect()
    }

    async fn add_silence(&self, silence: &NewSilence) -> Result<SilenceId> {
        let mut tx = self.begin_write().await?;
        let id: i64 = sqlx::query_scalar(sql!("silence/insert"))
            .bind(silence.code.as_deref())
            .bind(silence.channel.as_ref().map(ChannelId::as_str))
            .bind(silence.subject.as_deref())
            .bind(to_ms(silence.starts_at))
            .bind(to_ms(silence.ends_at))
            .bind(&silence.reason)
            .bind(&silence.by)
            .bind(to_ms(silence.at))
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(SilenceId(id))
    }

    async fn end_silence(&self, id: SilenceId, by: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let done = sqlx::query(sql!("silence/end")).bind(id.0).bind(to_ms(at)).bind(by).execute(&mut *tx).await?;
        if done.rows_affected() == 0 {
            let row = sqlx::query(sql!("silence/get")).bind(id.0).fetch_optional(&mut *tx).await?;
            row.ok_or_else(|| StoreError::NotFound { what: "silence", id: id.to_string() })?;
            return Err(StoreError::WrongState { what: "silence", id: id.to_string(), state: "over already".into() });
        }
        tx.commit().await?;
        Ok(())
    }

    async fn silences(
        &self,
        unended_at: Option<Timestamp>,
        after: Option<SilenceId>,
        limit: u32,
    ) -> Result<Vec<SilenceRow>> {
        let statement = match unended_at {
            Some(_) => sql!("silence/list_unended"),
            None => sql!("silence/list"),
        };
        let rows = sqlx::query(statement)
            .bind(after.map_or(i64::MIN, |id| id.0))
            .bind(i64::from(limit))
            .bind(unended_at.map(to_ms))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_silence).collect()
    }

    async fn silence(&self, id: SilenceId) -> Result<Option<SilenceRow>> {
        let row = sqlx::query(sql!("silence/get")).bind(id.0).fetch_optional(&mut *self.readers.lend().await?).await?;
        row.as_ref().map(read_silence).transpose()
    }

    async fn drop_ended_alerts(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.begin_write().await?;
        let before = to_ms(before);
        sqlx::query(sql!("notification_incident/delete_ended")).bind(before).execute(&mut *tx).await?;
        sqlx::query(sql!("notification/delete_ended")).bind(before).execute(&mut *tx).await?;
        sqlx::query(sql!("silence/delete_ended")).bind(before).execute(&mut *tx).await?;
        let done = sqlx::query(sql!("incident/delete_resolved")).bind(before).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}

async fn save(tx: &mut Tx, incidents: &[&IncidentRow]) -> Result<()> {
    write_rows(tx, sql!("incident/upsert"), incidents, |values, incident| {
        values
            .int(incident.id.0)
            .text(incident.found_by.as_str())
            .text(incident.code.as_str())
            .text(incident.channel.as_ref().map_or("", ChannelId::as_str))
            .text(incident.subject.as_str())
            .text(incident.state.as_str())
            .text(incident.severity.as_str())
            .count(incident.count)
            .json(&incident.facts)
            .time(incident.since)
            .time(incident.first_seen_at)
            .time(incident.last_seen_at)
            .maybe_time(incident.absent_since)
            .maybe_time(incident.opened_at)
            .maybe_time(incident.resolved_at)
            .int(i64::from(incident.escalation))
            .maybe_time(incident.escalated_at)
            .json(&incident.told)
            .flag(incident.unsettled);
    })
    .await
}

async fn insert(tx: &mut Tx, notifications: &[NewNotification]) -> Result<()> {
    let first: i64 = sqlx::query_scalar(sql!("notification/next_id")).fetch_one(&mut **tx).await?;
    let rows: Vec<_> = (first..).zip(notifications).collect();
    write_rows(tx, sql!("notification/insert"), &rows, |values, (id, row)| {
        values
            .int(*id)
            .text(row.key.as_str())
            .text(row.notifier.as_str())
            .flag(row.summary)
            .json(&row.items)
            .time(row.at)
            .time(row.at);
    })
    .await?;
    let items: Vec<_> = rows.iter().flat_map(|(id, row)| row.items.iter().map(move |item| (*id, item))).collect();
    write_rows(tx, sql!("notification_incident/insert"), &items, |values, (id, item)| {
        values.int(item.incident_id.0).int(*id).text(item.news.as_str());
    })
    .await
}
