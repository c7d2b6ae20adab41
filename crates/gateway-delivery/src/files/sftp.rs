//! A box on an SFTP server: one session, kept while it lives and begun anew after any failure but a refusal.

use super::place::{BoxError, Found, MOST_FILES, Opened, Part, Place, part_of};
use super::sftp_config::SftpConfig;
use super::ssh::Session;
use async_trait::async_trait;
use futures::future::try_join_all;
use gateway_model::Timestamp;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Bytes of a request, which every server takes; and how many are under way at once.
const CHUNK: usize = 32 * 1024;
const AT_ONCE: usize = 16;
const ADVICE: &str = "check `[channel.files.sftp]`, and that the directory is there and may be written to";

type Said<T> = Result<T, Error>;

/// The server's directory.
pub(super) struct SftpPlace {
    config: SftpConfig,
    dir: String,
    session: Arc<Mutex<Option<Arc<Session>>>>,
}

impl SftpPlace {
    pub(super) fn new(config: SftpConfig, dir: &Path) -> Self {
        Self { config, dir: dir.display().to_string(), session: Arc::default() }
    }

    fn path(&self, folder: &str, name: &str) -> String {
        format!("{}/{folder}/{name}", self.dir)
    }

    async fn session(&self) -> Result<Arc<Session>, BoxError> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| session.lives()) {
            return Ok(Arc::clone(session));
        }
        let opened = Session::open(&self.config).await;
        let session = Arc::new(opened.map_err(|source| {
            BoxError::new(format!("sftp://{}:{}", self.config.host, self.config.port), source, ADVICE)
        })?);
        *kept = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does something in the session.
    async fn ask<T>(&self, path: &str, work: impl AsyncFnOnce(&Session) -> Said<T>) -> Result<T, BoxError> {
        let session = self.session().await?;
        match work(&session).await {
            Ok(done) => Ok(done),
            Err(error) => Err(failed(&self.session, path, error).await),
        }
    }
}

/// What went wrong; after anything but a refusal of the server's the session is given up.
async fn failed(kept: &Mutex<Option<Arc<Session>>>, path: &str, error: Error) -> BoxError {
    let kind = match &error {
        Error::Status(status) if status.status_code == StatusCode::NoSuchFile => io::ErrorKind::NotFound,
        Error::Status(status) if status.status_code == StatusCode::PermissionDenied => io::ErrorKind::PermissionDenied,
        Error::Status(_) => io::ErrorKind::Other,
        Error::Timeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::NotConnected,
    };
    if !matches!(error, Error::Status(_)) {
        kept.lock().await.take();
    }
    BoxError::new(path, io::Error::new(kind, error), ADVICE)
}

fn found(name: String, attributes: &FileAttributes) -> Option<Found> {
    let written_at = attributes.mtime.and_then(|at| Timestamp::from_second(i64::from(at)).ok());
    attributes.file_type().is_file().then(|| Found { name, bytes: attributes.size.unwrap_or(0), written_at })
}

/// `None` where there is nothing by that name.
fn maybe<T>(said: Said<T>) -> Said<Option<T>> {
    match said {
        Ok(said) => Ok(Some(said)),
        Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read_folder(session: &Session, path: &str) -> Said<Vec<Found>> {
    let handle = session.raw.opendir(path).await?.handle;
    let mut files = Vec::new();
    let read = loop {
        match session.raw.readdir(handle.as_str()).await {
            Ok(names) => files.extend(names.files.into_iter().filter_map(|file| found(file.filename, &file.attrs))),
            Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break Ok(()),
            Err(error) => break Err(error),
        }
        if files.len() > MOST_FILES {
            break Err(Error::UnexpectedBehavior("the folder holds too many files".to_owned()));
        }
    };
    session.raw.close(handle).await?;
    read.map(|()| files)
}

/// Moves a file over another that may be there.
async fn move_over(session: &Session, from: &str, to: &str) -> Said<()> {
    if !session.moves_over {
        // The protocol's own way does not move over a file.
        maybe(session.raw.remove(to).await)?;
        return session.raw.rename(from, to).await.map(|_| ());
    }
    let mut data = Vec::new();
    for path in [from, to] {
        let length =
            u32::try_from(path.len()).map_err(|_| Error::UnexpectedBehavior("a path is too long".to_owned()))?;
        data.extend(length.to_be_bytes());
        data.extend(path.as_bytes());
    }
    match session.raw.extended("posix-rename@openssh.com", data).await? {
        Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
        Packet::Status(status) => Err(Error::Status(status)),
        _ => Err(Error::UnexpectedPacket),
    }
}

#[async_trait]
impl Place for SftpPlace {
    async fn make_folder(&self, folder: &str) -> Result<(), BoxError> {
        let mut path = self.dir.clone();
        for part in folder.split('/') {
            path = format!("{path}/{part}");
            self.ask(&path, async |session| {
                if maybe(session.raw.stat(path.as_str()).await)?.is_some() {
                    return Ok(());
                }
                match session.raw.mkdir(path.as_str(), FileAttributes::empty()).await {
                    Ok(_) => Ok(()),
                    // Another made it meanwhile.
                    Err(error) => maybe(session.raw.stat(path.as_str()).await)?.map(|_| ()).ok_or(error),
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<Found>, BoxError> {
        let path = format!("{}/{folder}", self.dir);
        self.ask(&path, async |session| read_folder(session, &path).await).await
    }

    async fn find(&self, folder: &str, name: &str) -> Result<Option<Found>, BoxError> {
        let path = self.path(folder, name);
        let said = self.ask(&path, async |session| maybe(session.raw.lstat(path.as_str()).await)).await?;
        Ok(said.and_then(|said| found(name.to_owned(), &said.attrs)))
    }

    async fn shift(&self, name: &str, from: &str, to: &str) -> Result<(), BoxError> {
        let (from, to) = (self.path(from, name), self.path(to, name));
        self.ask(&from, async |session| move_over(session, &from, &to).await).await
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<(), BoxError> {
        let path = self.path(folder, name);
        self.ask(&path, async |session| session.raw.remove(path.as_str()).await.map(|_| ())).await
    }

    async fn open(&self, folder: &str, name: &str) -> Result<Box<dyn Opened>, BoxError> {
        let path = self.path(folder, name);
        let session = self.session().await?;
        let opened = async {
            let attributes = session.raw.lstat(path.as_str()).await?.attrs;
            if !attributes.file_type().is_file() {
                return Err(Error::UnexpectedBehavior("it is no ordinary file".to_owned()));
            }
            let handle = session.raw.open(path.as_str(), OpenFlags::READ, FileAttributes::empty()).await?.handle;
            Ok((attributes.size.unwrap_or(0), handle))
        };
        match opened.await {
            Ok((bytes, handle)) => {
                let file = Remote { kept: Arc::clone(&self.session), session, handle, path };
                Ok(Box::new(OpenedFile { file, bytes, offset: 0 }))
            }
            Err(error) => Err(failed(&self.session, &path, error).await),
        }
    }

    async fn begin(&self, folder: &str, name: &str) -> Result<Box<dyn Part>, BoxError> {
        let (part, path) = (self.path(folder, &part_of(name)), self.path(folder, name));
        let session = self.session().await?;
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        match session.raw.open(part.as_str(), flags, FileAttributes::empty()).await {
            Ok(opened) => {
                let file = Remote { kept: Arc::clone(&self.session), session, handle: opened.handle, path: part };
                Ok(Box::new(NewFile { file, path, offset: 0 }))
            }
            Err(error) => Err(failed(&self.session, &part, error).await),
        }
    }
}

/// A file that is open at the server, and closed there when this is dropped.
struct Remote {
    kept: Arc<Mutex<Option<Arc<Session>>>>,
    session: Arc<Session>,
    handle: String,
    path: String,
}

impl Drop for Remote {
    fn drop(&mut self) {
        let handle = std::mem::take(&mut self.handle);
        if handle.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let session = Arc::clone(&self.session);
            // Where it fails the session is over, and the handle with it.
            runtime.spawn(async move { session.raw.close(handle).await.map(|_| ()) });
        }
    }
}

impl Remote {
    async fn told<T>(&self, said: Said<T>) -> Result<T, BoxError> {
        match said {
            Ok(done) => Ok(done),
            Err(error) => Err(failed(&self.kept, &self.path, error).await),
        }
    }

    /// All of these bytes; a server may give fewer at a time.
    async fn read(&self, offset: u64, bytes: usize) -> Said<Vec<u8>> {
        let mut whole = Vec::with_capacity(bytes);
        while whole.len() < bytes {
            let wanted = u32::try_from(bytes - whole.len()).unwrap_or(u32::MAX);
            let data = self.session.raw.read(self.handle.as_str(), offset + whole.len() as u64, wanted).await?.data;
            if data.is_empty() || data.len() > bytes - whole.len() {
                return Err(Error::UnexpectedBehavior(
                    "the server gave another number of bytes than there are".to_owned(),
                ));
            }
            whole.extend(data);
        }
        Ok(whole)
    }
}

struct OpenedFile {
    file: Remote,
    /// As many as there were when it was opened: what is written to it later is not read.
    bytes: u64,
    offset: u64,
}

#[async_trait]
impl Opened for OpenedFile {
    async fn next(&mut self) -> Result<Vec<u8>, BoxError> {
        let left = usize::try_from(self.bytes - self.offset).unwrap_or(usize::MAX).min(CHUNK * AT_ONCE);
        let reads = (0..left).step_by(CHUNK).map(|at| self.file.read(self.offset + at as u64, CHUNK.min(left - at)));
        let read = try_join_all(reads).await;
        let piece = self.file.told(read).await?.concat();
        self.offset += piece.len() as u64;
        Ok(piece)
    }
}

struct NewFile {
    file: Remote,
    path: String,
    offset: u64,
}

#[async_trait]
impl Part for NewFile {
    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), BoxError> {
        for window in bytes.chunks(CHUNK * AT_ONCE) {
            let offset = self.offset;
            let write = |(nth, chunk): (usize, &[u8])| {
                self.file.session.raw.write(self.file.handle.as_str(), offset + (nth * CHUNK) as u64, chunk.to_vec())
            };
            let written = try_join_all(window.chunks(CHUNK).enumerate().map(write)).await;
            self.file.told(written).await?;
            self.offset += window.len() as u64;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), BoxError> {
        let session = Arc::clone(&self.file.session);
        let handle = std::mem::take(&mut self.file.handle);
        let ended = async {
            if session.syncs {
                session.raw.fsync(handle.as_str()).await?;
            }
            session.raw.close(handle).await?;
            move_over(&session, &self.file.path, &self.path).await
        };
        let ended = ended.await;
        self.file.told(ended).await
    }
}
