//! A kept attachment as an answer: its bytes from the attachment directory, never any but those that were kept.
//!
//! The length is compared before anything is answered, and the digest while the bytes pass; the last of them is held back until it is right, so that who asked
//! has either the whole file or a transfer that broke off. What is read ahead is bounded, and a reader that is too slow is left.
//!
//! Refused: to read the file whole before answering (twenty megabytes for each who asks), and to trust the directory (a restored backup may be older than the store).

use crate::{Code, Problem};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use gateway_model::{AttachmentId, AttachmentState, Clock, Digest};
use gateway_store::{AttachmentDir, AttachmentRow};
use sha2::{Digest as _, Sha256};
use std::io;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How much is read at once.
const PIECE: usize = 64 * 1024;
/// How long a transfer may take.
const LONGEST: Duration = Duration::from_secs(300);
/// Who asks for a file that is not here yet comes again after at least so many seconds, and at most so many.
const COME_AGAIN_S: (i64, i64) = (10, 3_600);

/// What is answered to somebody who may have the attachment. `slot` is held for as long as bytes are on their way.
pub(crate) async fn answer(
    dir: &AttachmentDir,
    row: &AttachmentRow,
    clock: &dyn Clock,
    (method, headers): (&Method, &HeaderMap),
    slot: Option<OwnedSemaphorePermit>,
) -> Result<Response, Problem> {
    let digest = match (row.state, &row.digest) {
        (AttachmentState::Kept, Some(digest)) => digest,
        (AttachmentState::Kept, None) => return Err(lost(row.id, "the row has no digest")),
        (AttachmentState::Owed, _) => return Err(owed(row, clock)),
        (AttachmentState::Missing | AttachmentState::Refused | AttachmentState::Withdrawn, _) => return Err(gone(row)),
    };
    let file = open(dir, digest, row.size_bytes).await.map_err(|why| lost(row.id, &why))?;
    let tag = format!("\"{digest}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if method == Method::HEAD {
        Body::empty().into_response()
    } else {
        Body::from_stream(pieces(file, row.clone(), *digest, slot)).into_response()
    };
    let media_type = row.media_type.as_deref().unwrap_or("application/octet-stream");
    let name = format!("attachment; filename=\"{}.{}\"", row.id, ending(media_type));
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if !known {
        set(header::CONTENT_TYPE, media_type);
        set(header::CONTENT_LENGTH, &row.size_bytes.to_string());
        set(header::CONTENT_DISPOSITION, &name);
    }
    set(header::ETAG, &tag);
    // What came from a citizen's telephone is shown by nobody's browser in our name, and lies in nobody's cache once its grant is gone.
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    set(header::CACHE_CONTROL, "private, no-store");
    Ok(response)
}

/// How the name of a file of a media type ends.
#[must_use]
pub fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/bmp" => "bmp",
        "image/heif" => "heic",
        "image/tiff" => "tif",
        "application/pdf" => "pdf",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/webm" => "webm",
        "audio/mpeg" => "mp3",
        "audio/m4a" => "m4a",
        "audio/amr" => "amr",
        "audio/aac" => "aac",
        "audio/x-wav" => "wav",
        _ => "bin",
    }
}

fn owed(row: &AttachmentRow, clock: &dyn Clock) -> Problem {
    let wait = row.fetch_at.map_or(0, |at| at.as_second().saturating_sub(clock.now().as_second()));
    let wait = u32::try_from(wait.clamp(COME_AGAIN_S.0, COME_AGAIN_S.1)).unwrap_or(60);
    let why = row.error.as_deref().map(|code| format!(" (so far: {code})")).unwrap_or_default();
    Problem::new(Code::AttachmentOwed, format!("the source has not given the file yet{why}; come again")).after(wait)
}

fn gone(row: &AttachmentRow) -> Problem {
    let why = row.error.as_deref().unwrap_or("no reason is known");
    let (en, zh) = match row.state {
        AttachmentState::Withdrawn => ("the source does not name the file any more", "来源已不再列出该附件"),
        AttachmentState::Refused => ("the file is not taken", "该附件不予收取"),
        _ => ("the source did not give the file, however often it was asked", "多次索取，来源均未提供该附件"),
    };
    Problem::new(Code::AttachmentGone, format!("{en}: {why}")).zh(format!("{zh}（{why}）"))
}

/// Something happened to the directory: whoever looks after the gateway is told.
fn lost(id: AttachmentId, why: &str) -> Problem {
    tracing::error!(attachment = %id, why, "a kept file can't be given: restore it from a backup, or fetch it again");
    metrics::counter!("gateway_attachment_lost_total").increment(1);
    let text = "the file was kept and is not in the attachment directory any more, or is damaged there";
    Problem::new(Code::AttachmentLost, format!("{text}: restore it from a backup, or fetch it again"))
        .zh("该附件曾已保存，但附件目录中的文件已缺失或损坏：请从备份恢复，或重新索取")
}

/// Whether the bytes of a kept row are there, each as it was.
pub(crate) async fn is_whole(dir: &AttachmentDir, row: &AttachmentRow) -> bool {
    let Some(digest) = row.digest else { return false };
    let Ok(file) = open(dir, &digest, row.size_bytes).await else { return false };
    let (sender, mut receiver) = mpsc::channel(2);
    let drain = async { while receiver.recv().await.is_some() {} };
    let read = async move { read(file, row.size_bytes, digest, &sender).await };
    tokio::join!(read, drain).0.is_ok()
}

async fn open(dir: &AttachmentDir, digest: &Digest, size: u64) -> Result<File, String> {
    let file = File::open(dir.path_of(digest)).await.map_err(|error| error.kind().to_string())?;
    let there = file.metadata().await.map_err(|error| error.kind().to_string())?.len();
    if there == size { Ok(file) } else { Err(format!("it has {there} bytes, and should have {size}")) }
}

type Piece = io::Result<Bytes>;

/// The bytes, read by a task of their own, so that a reader who does not read holds nothing up for longer than a transfer may take.
fn pieces(
    file: File,
    row: AttachmentRow,
    digest: Digest,
    slot: Option<OwnedSemaphorePermit>,
) -> impl futures::Stream<Item = Piece> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        let _slot = slot;
        match tokio::time::timeout(LONGEST, read(file, row.size_bytes, digest, &sender)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let problem = lost(row.id, &error.to_string());
                tracing::debug!(?problem, "a transfer is broken off");
                // Nobody may be there to be told.
                let _ = sender.send(Err(error)).await;
            }
            Err(_) => tracing::debug!(attachment = %row.id, "a transfer took too long and is broken off"),
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

async fn read(mut file: File, size: u64, digest: Digest, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
    let mut hash = Sha256::new();
    let mut left = size;
    while left > 0 {
        let next = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; next];
        file.read_exact(&mut piece).await?;
        hash.update(&piece);
        left -= next as u64;
        if left == 0 && hash.finalize_reset() != digest.0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were kept"));
        }
        if sender.send(Ok(Bytes::from(piece))).await.is_err() {
            // Who asked went away.
            return Ok(());
        }
    }
    Ok(())
}
