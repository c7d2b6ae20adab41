//! An append-only JSONL journal: the durable form of the books of the platform and of the desk.
//!
//! Contract: [`Journal::append`] gives the line a number at once, in the order of the calls; [`Journal::durable`] returns when that
//! line and all before it are on disk (`fdatasync`). Whoever answers a peer awaits it first. One thread writes; lines that come
//! while it syncs share the next sync. A torn last line (the process was killed in the middle of a write) is cut off when the
//! journal is opened; a bad line anywhere else is an error. Refused: a database, which would make the oracle depend on the same
//! engine as what it judges.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::error::SimError;

/// The writing end of a journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    sender: mpsc::Sender<(u64, Vec<u8>)>,
    appended: Arc<AtomicU64>,
    durable: watch::Receiver<u64>,
}

impl Journal {
    /// Opens or creates the journal and hands every entry that it holds to `replay`, in order. Without `durable` nothing is synced:
    /// what was written outlives the process, not the machine.
    ///
    /// # Errors
    /// When the file can't be used, or a line other than the last can't be read.
    pub fn open<T: DeserializeOwned>(path: &Path, durable: bool, mut replay: impl FnMut(T)) -> Result<Self, SimError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(SimError::file(path))?;
        let kept = read_entries(path, &file, &mut replay)?;
        file.set_len(kept).map_err(SimError::file(path))?;
        file.seek(SeekFrom::Start(kept)).map_err(SimError::file(path))?;
        file.sync_all().map_err(SimError::file(path))?;
        let (sender, lines) = mpsc::channel();
        let (done, written) = watch::channel(0);
        std::thread::spawn(move || write_lines(file, durable, &lines, &done));
        Ok(Self { sender, appended: Arc::new(AtomicU64::new(0)), durable: written })
    }

    /// Appends an entry and returns its number. The caller serializes calls (it holds its book's lock).
    pub fn append<T: Serialize>(&self, entry: &T) -> u64 {
        let number = self.appended.fetch_add(1, Ordering::SeqCst) + 1;
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        // A closed channel means that the writer failed; `durable` reports it to everybody who waits.
        let _ = self.sender.send((number, line));
        number
    }

    /// The number of the newest entry.
    pub fn newest(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    /// Waits until entry `number` is on disk.
    ///
    /// # Errors
    /// When the journal can't be written any more.
    pub async fn durable(&self, number: u64) -> Result<(), SimError> {
        let mut durable = self.durable.clone();
        durable.wait_for(|&done| done >= number).await.map(|_| ()).map_err(|_| SimError::JournalClosed)
    }
}

/// Reads whole lines; returns the length of the good part.
fn read_entries<T: DeserializeOwned>(path: &Path, file: &File, replay: &mut impl FnMut(T)) -> Result<u64, SimError> {
    let mut reader = BufReader::new(file);
    let (mut kept, mut number, mut line) = (0u64, 0usize, Vec::new());
    let mut torn: Option<(usize, String)> = None;
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(SimError::file(path))?;
        if length == 0 {
            return Ok(kept);
        }
        // Something follows a line that could not be read: then it was not the torn end, but damage.
        if let Some((line, reason)) = torn {
            return Err(SimError::Journal { path: path.to_owned(), line, reason });
        }
        number += 1;
        if line.last() != Some(&b'\n') {
            torn = Some((number, "no line end".to_owned()));
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(entry) => {
                replay(entry);
                kept += length as u64;
            }
            Err(error) => torn = Some((number, error.to_string())),
        }
    }
}

fn write_lines(mut file: File, durable: bool, lines: &mpsc::Receiver<(u64, Vec<u8>)>, done: &watch::Sender<u64>) {
    while let Ok((mut number, mut batch)) = lines.recv() {
        for (next, line) in lines.try_iter().take(10_000) {
            number = next;
            batch.extend_from_slice(&line);
        }
        if let Err(error) = file.write_all(&batch).and_then(|()| if durable { file.sync_data() } else { Ok(()) }) {
            tracing::error!(%error, "the journal cannot be written; the process must be restarted");
            return;
        }
        done.send_replace(number);
    }
}
