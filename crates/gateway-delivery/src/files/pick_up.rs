//! Picking up receipts. A receipt is read twice: first whole, so that one that is torn, damaged or about files of somebody else changes nothing; then row
//! by row into the store, which notes in the same transaction how far it is. So a process may die in between: no row counts twice, and none is left out.

use super::front_box::{DONE, QUARANTINE, TAKEN};
use super::progress::{Progress, RECEIPT_CHECKPOINT};
use super::{FileExchange, FilesError, FilesState, FrontBox};
use gateway_connector::Connector;
use gateway_connector::wire::{FileFault, ReadyMark, ReceiptRow, Verdict};
use gateway_model::{Receipt, ReceiptSource};
use gateway_store::{DeliveryKey, Hearing, LeaseGrant, RowVerdict, VerdictNote, VerdictTally};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A receipt about more files than this is about no batches of ours.
const FILES: usize = 256;

/// Rows about one file that follow each other.
type Rows = Vec<ReceiptRow>;

impl FileExchange {
    /// Takes up every receipt that is whole; says whether there was any.
    pub(super) async fn pick_up(&self, state: &mut FilesState, lease: &mut LeaseGrant) -> Result<bool, FilesError> {
        self.front_box.prepare().await?;
        self.claim().await?;
        let taken = self.front_box.folder(TAKEN);
        let ready = self.front_box.names(&taken, &self.dress()?.rule().receipts.ready).await?;
        for name in &ready {
            let Some((_, receipt)) = self.dress()?.receipt_of_ready(name) else { continue };
            let (place, fault) = match self.take_up(name, &receipt, state, lease).await {
                Ok(()) => (DONE, None),
                Err(Stop::Fault(fault)) => (QUARANTINE, Some(fault)),
                Err(Stop::Failed(error)) => return Err(error),
            };
            if let Some(fault) = &fault {
                tracing::warn!(channel = %self.deps.channel, receipt, code = fault.code, line = fault.line, "a receipt is refused and asked for again");
                let settling = format!("{receipt}: {}: {fault}", fault.code);
                if state.settling.as_ref() != Some(&settling) {
                    state.receipts_refused += 1;
                    state.last_refusal = Some(settling.clone());
                    state.settling = Some(settling);
                    self.save(state, lease).await?;
                }
            }
            self.end(name, &receipt, place, fault.as_ref()).await?;
            state.settling = None;
            self.save(state, lease).await?;
        }
        Ok(!ready.is_empty())
    }

    /// Moves whole receipts aside: what is written to them from now on is not read.
    async fn claim(&self) -> Result<(), FilesError> {
        let (incoming, taken) = (&self.front_box.incoming, self.front_box.folder(TAKEN));
        let dress = self.dress()?;
        for ready in self.front_box.names(incoming, &dress.rule().receipts.ready).await? {
            let Some((_, receipt)) = dress.receipt_of_ready(&ready) else { continue };
            if self.front_box.has(incoming, &receipt).await? {
                self.front_box.shift(&receipt, incoming, &taken).await?;
            }
            if self.front_box.has(&taken, &receipt).await? {
                self.front_box.shift(&ready, incoming, &taken).await?;
            }
        }
        Ok(())
    }

    async fn end(&self, ready: &str, receipt: &str, to: &str, fault: Option<&FileFault>) -> Result<(), FilesError> {
        let (name, bytes) = self.dress()?.answer(receipt, fault).map_err(|reason| FilesError::Dress(reason.text))?;
        self.front_box.write(&name, bytes).await?;
        let (taken, to) = (self.front_box.folder(TAKEN), self.front_box.folder(to));
        // The file beside it first: a receipt without it is not looked at again, however this process ends.
        self.front_box.shift(ready, &taken, &to).await?;
        if self.front_box.has(&taken, receipt).await? {
            self.front_box.shift(receipt, &taken, &to).await?;
        }
        Ok(())
    }

    async fn take_up(
        &self,
        ready: &str,
        receipt: &str,
        state: &mut FilesState,
        lease: &mut LeaseGrant,
    ) -> Result<(), Stop> {
        let taken = self.front_box.folder(TAKEN);
        let dress = self.dress()?;
        let mark = dress.ready_mark(&self.front_box.small(&taken, ready).await?, receipt)?;
        let settling = format!("{receipt} {}", mark.digest);
        if state.settling.as_ref() == Some(&settling) {
            return Ok(());
        }
        let done = self.front_box.folder(DONE);
        if self.front_box.has(&done, ready).await? {
            let earlier = self.front_box.small(&done, ready).await?;
            if dress.ready_mark(&earlier, receipt).is_ok_and(|earlier| earlier == mark) {
                state.receipts_again += 1;
                state.settling = Some(settling);
                self.save(state, lease).await?;
                return Ok(());
            }
        }
        if !self.front_box.has(&taken, receipt).await? {
            return Err(FileFault::new("missing", 0, "the receipt itself is not there").into());
        }
        let about = self.look_through(receipt, &mark).await?;
        if let Some(unknown) = about.iter().find(|file| state.find(file).is_none()) {
            // A name that was not checked is not repeated.
            let named = if gateway_connector::profile::is_plain_name(unknown) { unknown } else { "(not a plain name)" };
            let text = format!("it speaks of `{named}`, which is none of the last batches");
            return Err(FileFault::new("unknown_file", 0, text).into());
        }
        let progress = self.apply(Progress::of(receipt, &mark.digest), lease).await?;
        self.count(&progress, state).await?;
        state.receipts_applied += 1;
        state.settling = Some(settling);
        self.save(state, lease).await?;
        Ok(())
    }

    /// Reads a receipt whole: which files it is about.
    async fn look_through(&self, receipt: &str, mark: &ReadyMark) -> Result<BTreeSet<String>, Stop> {
        let mut file = self.front_box.open(&self.front_box.folder(TAKEN), receipt).await?;
        let (mut reading, mut about) = (self.dress()?.receipt(), BTreeSet::new());
        loop {
            let piece = file.next().await?;
            if piece.is_empty() {
                break;
            }
            reading.feed(&piece, &mut |row| {
                if !about.contains(&row.file) {
                    about.insert(row.file);
                }
                if about.len() > FILES {
                    return Err(FileFault::new("unknown_file", 0, "it speaks of too many files"));
                }
                Ok(())
            })?;
        }
        let read = reading.finish()?;
        if read.digest != mark.digest {
            return Err(FileFault::new("digest_mismatch", 0, "its digest is not the one beside it").into());
        }
        if read.rows != mark.rows {
            let text = format!("it has {} rows, and {} are told beside it", read.rows, mark.rows);
            return Err(FileFault::new("wrong_count", 0, text).into());
        }
        Ok(about)
    }

    /// Gives a receipt's rows to the store, from where they have counted already.
    async fn apply(&self, anew: Progress, lease: &mut LeaseGrant) -> Result<Progress, Stop> {
        let kept = self.deps.leases.checkpoint(&self.deps.channel, RECEIPT_CHECKPOINT).await;
        let mut progress = anew.going_on(kept.map_err(FilesError::from)?);
        // Two groups wait at most: memory stays constant however long the receipt is.
        let (give, mut groups) = mpsc::channel::<Rows>(2);
        let reading = tokio::spawn(read_groups(
            Arc::clone(&self.deps.connector),
            self.front_box.clone(),
            progress.receipt.clone(),
            (progress.rows, self.config.page_rows as usize),
            give,
        ));
        while let Some(group) = groups.recv().await {
            progress = self.apply_group(group, progress, lease).await?;
            self.keeper.hold(lease).await.map_err(FilesError::from)?;
        }
        reading.await.map_err(|_| FilesError::Stopped)??;
        let sum = progress.sum;
        tracing::info!(channel = %self.deps.channel, receipt = progress.receipt, ?sum, "a receipt was applied");
        let channel = self.deps.channel.to_string();
        for (verdict, count) in [
            ("confirmed", sum.confirmed),
            ("acknowledged", sum.acknowledged),
            ("reopened", sum.reopened),
            ("stopped", sum.stopped),
            ("in_flight", sum.in_flight),
            ("stale", sum.stale),
            ("unknown", sum.unknown),
        ] {
            metrics::counter!("gateway_file_verdicts_total", "channel" => channel.clone(), "verdict" => verdict)
                .increment(count);
        }
        Ok(progress)
    }

    async fn apply_group(
        &self,
        group: Rows,
        mut progress: Progress,
        lease: &LeaseGrant,
    ) -> Result<Progress, FilesError> {
        let Some(file) = group.first().map(|row| row.file.clone()) else { return Ok(progress) };
        let proof = Receipt {
            receipt_number: Some(progress.receipt.trim_end_matches(".csv").to_owned()),
            received_at: None,
            source: ReceiptSource::File,
        };
        let (mut verdicts, mut unknown) = (Vec::with_capacity(group.len()), VerdictTally::default());
        for row in group {
            progress.row(&file, row.verdict, !row.row_key.is_empty());
            if row.row_key.is_empty() {
                continue;
            }
            let said = match row.verdict {
                Verdict::Accepted => Ok(proof.clone()),
                Verdict::Rejected | Verdict::Refused => {
                    let text = format!("the receipt file said {}: {}", row.code, row.message);
                    Err(("file_row_rejected".to_owned(), text))
                }
            };
            match DeliveryKey::read(&row.row_key) {
                Some(key) => verdicts.push(RowVerdict { key, said }),
                None => unknown.unknown += 1,
            }
        }
        let progress = progress.with(&file, unknown);
        // What can't be written as text is never noted, and counted again after a kill.
        let text = |tally| serde_json::to_string(&progress.clone().with(&file, tally)).unwrap_or_default();
        let hearing = Hearing {
            at: self.deps.clock.now(),
            max_generations: self.config.max_generations,
            under: Some(lease),
            note: Some(VerdictNote { name: RECEIPT_CHECKPOINT, text: &text }),
        };
        let tally = self.deps.deliveries.take_verdicts(&self.deps.channel, &verdicts, hearing).await?;
        Ok(progress.with(&file, tally))
    }

    /// Adds a whole receipt to what is remembered, and asks for batches again whose files could not be used.
    async fn count(&self, progress: &Progress, state: &mut FilesState) -> Result<(), FilesError> {
        let now = self.deps.clock.now();
        for (file, heard) in &progress.files {
            let Some((batch, place)) = state.find(file).and_then(|place| state.file_mut(place)) else { continue };
            batch.receipt_at = Some(now);
            batch.files[place].heard(heard);
            if heard.refused {
                let scope = batch.scope.clone();
                tracing::warn!(channel = %self.deps.channel, file, "the other side refused a file; the batch is written again");
                self.ask(&scope, "file_refused").await?;
            }
        }
        Ok(())
    }
}

/// Why a receipt is not applied.
enum Stop {
    /// It is wrong.
    Fault(FileFault),
    /// We could not.
    Failed(FilesError),
}

impl From<FileFault> for Stop {
    fn from(fault: FileFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<FilesError> for Stop {
    fn from(error: FilesError) -> Self {
        Self::Failed(error)
    }
}

impl From<super::BoxError> for Stop {
    fn from(error: super::BoxError) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads a receipt and gives its rows out in groups about one file each, but for those at its beginning that have counted.
async fn read_groups(
    connector: Arc<dyn Connector>,
    front_box: FrontBox,
    receipt: String,
    (mut counted, rows): (u64, usize),
    give: mpsc::Sender<Rows>,
) -> Result<(), Stop> {
    let dress = connector.files().ok_or_else(|| FilesError::Dress("the channel exchanges no files".to_owned()))?;
    let mut file = front_box.open(&front_box.folder(TAKEN), &receipt).await?;
    let (mut reading, mut group) = (dress.receipt(), Rows::with_capacity(rows));
    loop {
        let piece = file.next().await?;
        if piece.is_empty() {
            break;
        }
        let mut whole = Vec::new();
        reading.feed(&piece, &mut |row| {
            if counted > 0 {
                counted -= 1;
                return Ok(());
            }
            if group.len() == rows || group.last().is_some_and(|last| last.file != row.file) {
                whole.push(std::mem::replace(&mut group, Rows::with_capacity(rows)));
            }
            group.push(row);
            Ok(())
        })?;
        for group in whole {
            give.send(group).await.map_err(|_| FilesError::Stopped)?;
        }
    }
    reading.finish()?;
    Ok(give.send(group).await.map_err(|_| FilesError::Stopped)?)
}
