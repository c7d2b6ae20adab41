//! A box that is a directory here, which the other side sees too.

use super::place::{BoxError, Found, MOST_FILES, Opened, Part, Place, part_of};
use async_trait::async_trait;
use gateway_model::Timestamp;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;
const ADVICE: &str = "check that the directory is there and may be written to";

fn at(path: &Path) -> impl FnOnce(io::Error) -> BoxError + '_ {
    move |source| BoxError::new(path.display().to_string(), source, ADVICE)
}

/// Files are touched on threads for waiting, so that a slow mount holds nobody up.
async fn apart<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, BoxError> {
    let done = spawn_blocking(move || {
        let worked = work(&path);
        worked.map_err(|source| at(&path)(source))
    });
    done.await.unwrap_or_else(|_| Err(BoxError::new("", io::Error::other("the work was stopped"), ADVICE)))
}

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct SharedDirectory {
    dir: PathBuf,
}

impl SharedDirectory {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }
}

fn found(name: String, metadata: &fs::Metadata) -> Found {
    let written_at = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Found { name, bytes: metadata.len(), written_at }
}

#[async_trait]
impl Place for SharedDirectory {
    async fn make_folder(&self, folder: &str) -> Result<(), BoxError> {
        apart(self.dir.join(folder), |path| fs::create_dir_all(path)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<Found>, BoxError> {
        apart(self.dir.join(folder), |path| {
            let mut files = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                // One that goes meanwhile was there no longer.
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => files.push(found(name, &metadata)),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                if files.len() > MOST_FILES {
                    return Err(io::Error::other("it holds too many files"));
                }
            }
            Ok(files)
        })
        .await
    }

    async fn find(&self, folder: &str, name: &str) -> Result<Option<Found>, BoxError> {
        let name = name.to_owned();
        apart(self.dir.join(folder).join(&name), move |path| match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then(|| found(name, &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn shift(&self, name: &str, from: &str, to: &str) -> Result<(), BoxError> {
        let to = self.dir.join(to).join(name);
        apart(self.dir.join(from).join(name), move |from| fs::rename(from, to)).await
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<(), BoxError> {
        apart(self.dir.join(folder).join(name), |path| fs::remove_file(path)).await
    }

    async fn open(&self, folder: &str, name: &str) -> Result<Box<dyn Opened>, BoxError> {
        let path = self.dir.join(folder).join(name);
        let file = apart(path.clone(), |path| {
            if !fs::symlink_metadata(path)?.is_file() {
                return Err(io::Error::other("it is no ordinary file"));
            }
            File::open(path)
        });
        Ok(Box::new(OpenedFile { file: Some(file.await?), path }))
    }

    async fn begin(&self, folder: &str, name: &str) -> Result<Box<dyn Part>, BoxError> {
        let folder = self.dir.join(folder);
        let (part, path) = (folder.join(part_of(name)), folder.join(name));
        let file = apart(part.clone(), |part| File::create(part)).await?;
        Ok(Box::new(NewFile { file: Some(file), part, path }))
    }
}

struct OpenedFile {
    file: Option<File>,
    path: PathBuf,
}

#[async_trait]
impl Opened for OpenedFile {
    async fn next(&mut self) -> Result<Vec<u8>, BoxError> {
        let Some(mut file) = self.file.take() else { return Ok(Vec::new()) };
        let (file, piece) = apart(self.path.clone(), move |_| {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok((file, piece))
        })
        .await?;
        self.file = Some(file);
        Ok(piece)
    }
}

/// Dropped before its end it leaves nothing.
struct NewFile {
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
}

#[async_trait]
impl Part for NewFile {
    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), BoxError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let file = apart(self.part.clone(), move |_| file.write_all(&bytes).map(|()| file));
        self.file = Some(file.await?);
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), BoxError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let path = self.path.clone();
        apart(self.part.clone(), move |part| {
            file.sync_all()?;
            fs::rename(part, &path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
        })
        .await
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = fs::remove_file(&self.part)
        {
            tracing::debug!(%error, "a part of a file stays in the front-end box; the next batch is not hindered by it");
        }
    }
}
