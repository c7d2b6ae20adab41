//! Writing a batch, in constant memory: pages of rows are read one after the other, encoded side by side, and appended in their order.

use super::front_box::Writing;
use super::place::Part;
use super::{FilesConfig, FilesDeps, FilesError, FrontBox, WHOLE};
use crate::address::Elsewhere;
use crate::{Origins, content};
use gateway_connector::Connector;
use gateway_connector::profile::ForwardKind;
use gateway_connector::wire::{DataFile, FileDigest, FileDress};
use gateway_model::{CHINA, DeliveryId, Timestamp};
use gateway_store::{DeliveryWork, ForwardedScope, LeaseGrant, LeaseKeeper};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};

/// Pages that are being encoded at once.
const ENCODERS: usize = 2;

/// A data file of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// As the manifest has it.
    pub file: DataFile,
    /// Its bytes.
    pub bytes: u64,
}

/// A batch that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its name.
    pub batch: String,
    /// `whole`, or the day.
    pub scope: String,
    /// When it was begun.
    pub at: Timestamp,
    /// Its data files.
    pub files: Vec<WrittenFile>,
    /// Rows that could not be written, by the code of why.
    pub left_out: BTreeMap<String, u64>,
}

impl Exported {
    /// The rows of all files.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.file.rows).sum()
    }
}

/// Rows of a page, by kind of file.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Bytes and rows.
    pub files: BTreeMap<ForwardKind, (Vec<u8>, u64)>,
    /// Rows that can't be told, by the code of why.
    pub left_out: BTreeMap<String, u64>,
}

/// Encodes deliveries as rows.
#[must_use]
pub fn encode(dress: &FileDress, works: &[DeliveryWork], origins: &Origins, elsewhere: &Elsewhere) -> Encoded {
    let mut encoded = Encoded::default();
    for work in works {
        let row = &work.delivery;
        let Some(kind) = dress.kind_of(row.dataset, &row.part) else { continue };
        let written = match content::outbound(work, origins, elsewhere) {
            Ok(Some(outbound)) => {
                let (bytes, rows) = encoded.files.entry(kind).or_default();
                dress.row(kind, &outbound, bytes).map(|()| *rows += 1)
            }
            Ok(None) => Err(gateway_connector::Reason::new("no_number", "the order has no number there")),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = written {
            tracing::debug!(delivery = %row.id, code = reason.code, "a row can't be told by file");
            *encoded.left_out.entry(reason.code).or_default() += 1;
        }
    }
    encoded
}

/// One export.
pub(super) struct Export<'a> {
    pub(super) deps: &'a FilesDeps,
    pub(super) dress: &'a FileDress,
    pub(super) front_box: &'a FrontBox,
    pub(super) keeper: &'a LeaseKeeper,
    pub(super) config: &'a FilesConfig,
}

type Files = BTreeMap<ForwardKind, Writing>;

impl Export<'_> {
    pub(super) async fn run(
        &self,
        day: Option<gateway_model::Day>,
        lease: &mut LeaseGrant,
    ) -> Result<Exported, FilesError> {
        self.front_box.prepare().await?;
        let at = self.deps.clock.now();
        let (scope, from, before) = match day {
            None => (WHOLE.to_owned(), Timestamp::MIN, Timestamp::MAX),
            Some(day) => {
                let next = day.tomorrow().map_err(|error| FilesError::Dress(error.to_string()))?;
                (day.to_string(), start_of(day)?, start_of(next)?)
            }
        };
        let upto = self.deps.deliveries.last_delivery().await?;
        let scope_of = ForwardedScope { owed_from: from, owed_before: before, upto };
        let batch = self.free_batch(at).await?;
        let mut left_out = BTreeMap::new();
        let mut files = self.begin(&batch).await?;
        let mut encoding: VecDeque<JoinHandle<Encoded>> = VecDeque::new();
        let mut after = DeliveryId(0);
        loop {
            let works =
                self.deps.deliveries.forwarded(&self.deps.channel, scope_of, after, self.config.page_rows).await?;
            let Some(last) = works.last() else { break };
            after = last.delivery.id;
            let (connector, origins) = (Arc::clone(&self.deps.connector), Arc::clone(&self.deps.origins));
            let elsewhere = origins.elsewhere(&works).await?;
            encoding.push_back(spawn_blocking(move || encode_page(&*connector, &works, &origins, &elsewhere)));
            if encoding.len() > ENCODERS {
                files = append(&mut encoding, files, &mut left_out).await?;
            }
            self.keeper.hold(lease).await?;
        }
        while !encoding.is_empty() {
            files = append(&mut encoding, files, &mut left_out).await?;
        }
        let files = self.finish(&batch, &scope, files).await?;
        for file in &files {
            metrics::counter!("gateway_file_rows_total", "channel" => self.deps.channel.to_string(), "dataset" => file.file.kind.as_str())
                .increment(file.file.rows);
        }
        Ok(Exported { batch, scope, at, files, left_out })
    }

    /// A name that no batch has yet: the time in seconds, or the next that is free.
    async fn free_batch(&self, at: Timestamp) -> Result<String, FilesError> {
        let mut second = at;
        loop {
            let batch = CHINA.to_datetime(second).strftime("%Y%m%d%H%M%S").to_string();
            let taken = self.front_box.has(&self.front_box.outgoing, &self.dress.manifest_name(&batch)).await?;
            match second.checked_add(Duration::from_secs(1)) {
                Ok(next) if taken => second = next,
                _ => return Ok(batch),
            }
        }
    }

    async fn begin(&self, batch: &str) -> Result<Files, FilesError> {
        let mut files = Files::new();
        for kind in self.dress.rule().data.keys() {
            let Some(name) = self.dress.name(*kind, batch) else { continue };
            let file = self.front_box.begin(&name).await?;
            let mut writing = Writing::new(file, FileDigest::new(self.dress.rule().digest));
            let head = self.dress.head(*kind).map_err(|reason| FilesError::Dress(reason.text))?;
            writing.append(head, 0).await?;
            files.insert(*kind, writing);
        }
        Ok(files)
    }

    async fn finish(&self, batch: &str, scope: &str, files: Files) -> Result<Vec<WrittenFile>, FilesError> {
        let mut written = Vec::new();
        let mut ends: Vec<Box<dyn Part>> = Vec::new();
        for (kind, writing) in files {
            let Some(name) = self.dress.name(kind, batch) else { continue };
            let (file, rows, bytes, digest) = writing.end();
            written.push(WrittenFile { file: DataFile { name, kind, rows, digest }, bytes });
            ends.push(file);
        }
        let listed: Vec<DataFile> = written.iter().map(|file| file.file.clone()).collect();
        let manifest = self.dress.manifest(scope, &listed).map_err(|reason| FilesError::Dress(reason.text))?;
        for file in ends {
            file.commit().await?;
        }
        // The manifest says that the batch is whole, so it comes last.
        self.front_box.write(&self.dress.manifest_name(batch), manifest).await?;
        Ok(written)
    }
}

fn start_of(day: gateway_model::Day) -> Result<Timestamp, FilesError> {
    CHINA
        .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
        .map_err(|error| FilesError::Dress(error.to_string()))
}

fn encode_page(connector: &dyn Connector, works: &[DeliveryWork], origins: &Origins, elsewhere: &Elsewhere) -> Encoded {
    connector.files().map(|dress| encode(dress, works, origins, elsewhere)).unwrap_or_default()
}

/// Appends the page that was begun first.
async fn append(
    encoding: &mut VecDeque<JoinHandle<Encoded>>,
    mut files: Files,
    left_out: &mut BTreeMap<String, u64>,
) -> Result<Files, FilesError> {
    let Some(page) = encoding.pop_front() else { return Ok(files) };
    let page = page.await.map_err(|_| FilesError::Stopped)?;
    for (code, count) in page.left_out {
        *left_out.entry(code).or_default() += count;
    }
    for (kind, (bytes, rows)) in page.files {
        if let Some(writing) = files.get_mut(&kind) {
            writing.append(bytes, rows).await?;
        }
    }
    Ok(files)
}
