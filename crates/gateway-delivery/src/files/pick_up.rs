//! Picking up receipts. A receipt is read twice: first whole, so that one that is torn, damaged or about files of somebody else changes nothing; then row
//! by row into the store. Applying it again changes nothing, so a process may die in between.

use super::front_box::{DONE, QUARANTINE, TAKEN};
use super::{FileExchange, FilesError, FilesState, FrontBox};
use gateway_connector::Connector;
use gateway_connector::wire::{FileFault, ReadyMark, ReceiptRow, Verdict};
use gateway_model::{Receipt, ReceiptSource};
use gateway_store::{DeliveryKey, LeaseGrant, RowVerdict, VerdictTally};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Verdicts that go to the store together.
const ROWS: usize = 2_000;
const PIECE: usize = 64 * 1024;
/// A receipt about more files than this is about no batches of ours.
const FILES: usize = 256;

type Rows = Vec<ReceiptRow>;

impl FileExchange {
    /// Takes up every receipt that is whole; says whether there was any.
    pub(super) async fn pick_up(&self, state: &mut FilesState, lease: &mut LeaseGrant) -> Result<bool, FilesError> {
        self.front_box.prepare()?;
        self.claim()?;
        let taken = self.front_box.folder(TAKEN);
        let ready = self.front_box.names(&taken, &self.dress()?.rule().receipts.ready)?;
        for name in &ready {
            let Some((_, receipt)) = self.dress()?.receipt_of_ready(name) else { continue };
            match self.take_up(name, &receipt, state, lease).await {
                Ok(()) => self.end(name, &receipt, DONE, None)?,
                Err(Stop::Fault(fault)) => {
                    tracing::warn!(channel = %self.deps.channel, receipt, code = fault.code, line = fault.line, "a receipt is refused and asked for again");
                    state.receipts_refused += 1;
                    state.last_refusal = Some(format!("{receipt}: {}: {fault}", fault.code));
                    self.end(name, &receipt, QUARANTINE, Some(&fault))?;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
            self.save(state, lease).await?;
        }
        Ok(!ready.is_empty())
    }

    /// Moves whole receipts aside: what is written to them from now on is not read.
    fn claim(&self) -> Result<(), FilesError> {
        let (incoming, taken) = (&self.front_box.incoming, self.front_box.folder(TAKEN));
        let dress = self.dress()?;
        for ready in self.front_box.names(incoming, &dress.rule().receipts.ready)? {
            let Some((_, receipt)) = dress.receipt_of_ready(&ready) else { continue };
            if self.front_box.has(incoming, &receipt) {
                self.front_box.shift(&receipt, incoming, &taken)?;
            }
            if self.front_box.has(&taken, &receipt) {
                self.front_box.shift(&ready, incoming, &taken)?;
            }
        }
        Ok(())
    }

    fn end(&self, ready: &str, receipt: &str, to: &str, fault: Option<&FileFault>) -> Result<(), FilesError> {
        let (name, bytes) = self.dress()?.answer(receipt, fault).map_err(|reason| FilesError::Dress(reason.text))?;
        self.front_box.write(&name, &bytes)?;
        let (taken, to) = (self.front_box.folder(TAKEN), self.front_box.folder(to));
        if self.front_box.has(&taken, receipt) {
            self.front_box.shift(receipt, &taken, &to)?;
        }
        Ok(self.front_box.shift(ready, &taken, &to)?)
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
        let mark = dress.ready_mark(&self.front_box.small(&taken.join(ready))?, receipt)?;
        let done = self.front_box.folder(DONE);
        if self.front_box.has(&done, ready) {
            let earlier = self.front_box.small(&done.join(ready))?;
            if dress.ready_mark(&earlier, receipt).is_ok_and(|earlier| earlier == mark) {
                state.receipts_again += 1;
                return Ok(());
            }
        }
        if !self.front_box.has(&taken, receipt) {
            return Err(FileFault::new("missing", 0, "the receipt itself is not there").into());
        }
        let path = taken.join(receipt);
        let about = self.look_through(&path, mark).await?;
        if let Some(unknown) = about.iter().find(|file| state.find(file).is_none()) {
            // A name that was not checked is not repeated.
            let named = if gateway_connector::profile::is_plain_name(unknown) { unknown } else { "(not a plain name)" };
            let text = format!("it speaks of `{named}`, which is none of the last batches");
            return Err(FileFault::new("unknown_file", 0, text).into());
        }
        self.apply(&path, receipt, state, lease).await?;
        state.receipts_applied += 1;
        Ok(())
    }

    /// Reads a receipt whole: which files it is about.
    async fn look_through(&self, path: &Path, mark: ReadyMark) -> Result<BTreeSet<String>, Stop> {
        let (connector, front_box, path) =
            (Arc::clone(&self.deps.connector), self.front_box.clone(), path.to_path_buf());
        let looked = spawn_blocking(move || {
            let mut about = BTreeSet::new();
            let read = read(&*connector, &front_box, &path, &mut |row| {
                if !about.contains(&row.file) {
                    about.insert(row.file);
                }
                if about.len() > FILES {
                    return Err(FileFault::new("unknown_file", 0, "it speaks of too many files"));
                }
                Ok(())
            })?;
            if read.digest != mark.digest {
                return Err(Stop::Fault(FileFault::new("digest_mismatch", 0, "its digest is not the one beside it")));
            }
            if read.rows != mark.rows {
                let text = format!("it has {} rows, and {} are told beside it", read.rows, mark.rows);
                return Err(Stop::Fault(FileFault::new("wrong_count", 0, text)));
            }
            Ok(about)
        });
        looked.await.map_err(|_| FilesError::Stopped)?
    }

    async fn apply(
        &self,
        path: &Path,
        receipt: &str,
        state: &mut FilesState,
        lease: &mut LeaseGrant,
    ) -> Result<(), Stop> {
        let (connector, front_box, path) =
            (Arc::clone(&self.deps.connector), self.front_box.clone(), path.to_path_buf());
        // Two groups wait at most: memory stays constant however long the receipt is.
        let (give, mut groups) = mpsc::channel::<Rows>(2);
        let reading = spawn_blocking(move || {
            let mut group = Vec::with_capacity(ROWS);
            let gone = || FileFault::new("stopped", 0, "the gateway stopped");
            read(&*connector, &front_box, &path, &mut |row| {
                group.push(row);
                if group.len() < ROWS {
                    return Ok(());
                }
                give.blocking_send(std::mem::replace(&mut group, Vec::with_capacity(ROWS))).map_err(|_| gone())
            })?;
            give.blocking_send(group).map_err(|_| Stop::Failed(FilesError::Stopped))
        });
        let mut sum = VerdictTally::default();
        while let Some(group) = groups.recv().await {
            sum += self.apply_group(group, receipt, state, lease).await?;
            self.keeper.hold(lease).await.map_err(FilesError::from)?;
        }
        reading.await.map_err(|_| FilesError::Stopped)??;
        tracing::info!(channel = %self.deps.channel, receipt, ?sum, "a receipt was applied");
        let channel = self.deps.channel.to_string();
        for (verdict, count) in [
            ("confirmed", sum.confirmed),
            ("acknowledged", sum.acknowledged),
            ("reopened", sum.reopened),
            ("in_flight", sum.in_flight),
            ("stale", sum.stale),
            ("unknown", sum.unknown),
        ] {
            metrics::counter!("gateway_file_verdicts_total", "channel" => channel.clone(), "verdict" => verdict)
                .increment(count);
        }
        Ok(())
    }

    async fn apply_group(
        &self,
        group: Rows,
        receipt: &str,
        state: &mut FilesState,
        lease: &LeaseGrant,
    ) -> Result<VerdictTally, FilesError> {
        let now = self.deps.clock.now();
        let proof = Receipt {
            receipt_number: Some(receipt.trim_end_matches(".csv").to_owned()),
            received_at: None,
            source: ReceiptSource::File,
        };
        let mut by_file: BTreeMap<String, (u64, u64, Vec<RowVerdict>)> = BTreeMap::new();
        let (mut sum, mut again) = (VerdictTally::default(), BTreeSet::new());
        for row in group {
            if row.row_key.is_empty() {
                if row.verdict == Verdict::Refused {
                    again.insert(row.file);
                }
                continue;
            }
            let (accepted, rejected, verdicts) = by_file.entry(row.file).or_default();
            let said = match row.verdict {
                Verdict::Accepted => {
                    *accepted += 1;
                    Ok(proof.clone())
                }
                Verdict::Rejected | Verdict::Refused => {
                    *rejected += 1;
                    Err((
                        "file_row_rejected".to_owned(),
                        format!("the receipt file said {}: {}", row.code, row.message),
                    ))
                }
            };
            match DeliveryKey::read(&row.row_key) {
                Some(key) => verdicts.push(RowVerdict { key, said }),
                None => sum.unknown += 1,
            }
        }
        for (file, (accepted, rejected, verdicts)) in by_file {
            let tally = self.deps.deliveries.take_verdicts(&self.deps.channel, &verdicts, now, Some(lease)).await?;
            sum += tally;
            if let Some((batch, place)) = state.find(&file).and_then(|place| state.file_mut(place)) {
                batch.receipt_at = Some(now);
                batch.files[place].heard(accepted, rejected, tally);
            }
        }
        for file in again {
            let Some((batch, place)) = state.find(&file).and_then(|place| state.file_mut(place)) else { continue };
            batch.receipt_at = Some(now);
            batch.files[place].refused = true;
            let scope = batch.scope.clone();
            tracing::warn!(channel = %self.deps.channel, file, "the other side refused a file; the batch is written again");
            self.ask(&scope, "file_refused").await?;
        }
        Ok(sum)
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

fn read(
    connector: &dyn Connector,
    front_box: &FrontBox,
    path: &Path,
    each: &mut dyn FnMut(ReceiptRow) -> Result<(), FileFault>,
) -> Result<ReadyMark, Stop> {
    let dress = connector.files().ok_or_else(|| FilesError::Dress("the channel exchanges no files".to_owned()))?;
    let mut file = front_box.open(path)?;
    let mut reading = dress.receipt();
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(|source| front_box.failed(path, source))?;
        if read == 0 {
            return Ok(reading.finish()?);
        }
        reading.feed(&piece[..read], each)?;
    }
}
