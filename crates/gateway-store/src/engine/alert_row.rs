//! Reading the rows of alerting.

use super::Result;
use super::column::{Cells, Columns};
use crate::{IncidentRow, NewSilence, NotificationRow, NotifierRow, SilenceRow, StoreError};
use gateway_model::{ChannelId, IncidentId, NotificationId, SilenceId};

/// Reads the columns of `queries/incident/*.sql`.
pub(crate) fn read_incident<R: Cells>(row: &R) -> Result<IncidentRow> {
    let mut columns = Columns::of("incident", row);
    Ok(IncidentRow {
        id: IncidentId(columns.int()?),
        found_by: columns.string()?,
        code: columns.string()?,
        channel: channel(columns.string()?)?,
        subject: columns.string()?,
        state: columns.word()?,
        severity: columns.word()?,
        count: columns.count()?,
        facts: columns.json()?,
        since: columns.time()?,
        first_seen_at: columns.time()?,
        last_seen_at: columns.time()?,
        absent_since: columns.maybe_time()?,
        opened_at: columns.maybe_time()?,
        resolved_at: columns.maybe_time()?,
        escalation: columns.small()?,
        escalated_at: columns.maybe_time()?,
        told: columns.json()?,
        unsettled: columns.flag()?,
        acknowledged_at: columns.maybe_time()?,
        acknowledged_by: columns.maybe_string()?,
    })
}

fn channel(text: String) -> Result<Option<ChannelId>> {
    if text.is_empty() {
        return Ok(None);
    }
    ChannelId::new(text)
        .map(Some)
        .map_err(|source| StoreError::Damaged { what: "incident, channel".into(), source: Some(Box::new(source)) })
}

/// Reads the columns of `queries/notification/*.sql`.
pub(crate) fn read_notification<R: Cells>(row: &R) -> Result<NotificationRow> {
    let mut columns = Columns::of("notification", row);
    Ok(NotificationRow {
        id: NotificationId(columns.int()?),
        key: columns.string()?,
        notifier: columns.string()?,
        summary: columns.flag()?,
        items: columns.json()?,
        state: columns.word()?,
        created_at: columns.time()?,
        due_at: columns.time()?,
        attempts: columns.small()?,
        error: columns.maybe_string()?,
        ended_at: columns.maybe_time()?,
    })
}

/// Reads the columns of `queries/silence/*.sql`.
pub(crate) fn read_silence<R: Cells>(row: &R) -> Result<SilenceRow> {
    let mut columns = Columns::of("silence", row);
    Ok(SilenceRow {
        id: SilenceId(columns.int()?),
        silence: NewSilence {
            code: columns.maybe_string()?,
            channel: columns.maybe_id()?,
            subject: columns.maybe_string()?,
            starts_at: columns.time()?,
            ends_at: columns.time()?,
            reason: columns.string()?,
            by: columns.string()?,
            at: columns.time()?,
        },
        ended_by: columns.maybe_string()?,
    })
}

/// Reads the columns of `queries/notifier/list.sql`.
pub(crate) fn read_notifier<R: Cells>(row: &R) -> Result<NotifierRow> {
    let mut columns = Columns::of("notifier", row);
    Ok(NotifierRow {
        id: columns.string()?,
        sent_at: columns.maybe_time()?,
        failing_since: columns.maybe_time()?,
        failures: columns.count()?,
        error: columns.maybe_string()?,
    })
}
