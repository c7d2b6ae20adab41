//! What both simulated processes share around their servers: directory, address file, control token, secrets, end with the parent.

use std::net::SocketAddr;
use std::path::Path;

use axum::http::HeaderMap;
use rand::Rng as _;
use tokio::net::TcpListener;

use crate::error::SimError;

/// Binds the listening address and writes the one taken to `DIR/address`.
///
/// With port 0 the port of an earlier run of the same directory is tried first: a restarted platform must be found where it was.
///
/// # Errors
/// When the address can't be taken or the file not written.
pub async fn listen(dir: &Path, wanted: &str) -> Result<(TcpListener, SocketAddr), SimError> {
    let file = dir.join("address");
    let earlier = if wanted.ends_with(":0") { std::fs::read_to_string(&file).ok() } else { None };
    let bind = |address: String| async move {
        TcpListener::bind(&address).await.map_err(|source| SimError::Listen { address, source })
    };
    let listener = match earlier {
        Some(earlier) => match bind(earlier.trim().to_owned()).await {
            Ok(listener) => listener,
            Err(_) => bind(wanted.to_owned()).await?,
        },
        None => bind(wanted.to_owned()).await?,
    };
    let address = listener.local_addr().map_err(|source| SimError::Listen { address: wanted.to_owned(), source })?;
    write_whole(&file, &address.to_string())?;
    Ok((listener, address))
}

/// Reads the control token of a directory (`DIR/control-token`), making one at the first start.
///
/// # Errors
/// When the file can't be read or written.
pub fn control_token(dir: &Path) -> Result<String, SimError> {
    let file = dir.join("control-token");
    if let Ok(token) = read_secret(&file) {
        return Ok(token);
    }
    let mut bytes = [0u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    let token = hex::encode(bytes);
    write_whole(&file, &token)?;
    restrict(&file)?;
    Ok(token)
}

/// Reads a secret from its file; surrounding white space does not count.
///
/// # Errors
/// When the file can't be read or is empty.
pub fn read_secret(file: &Path) -> Result<String, SimError> {
    let secret = std::fs::read_to_string(file).map_err(SimError::file(file))?;
    let secret = secret.trim();
    if secret.is_empty() {
        return Err(SimError::Option { option: "secret file", reason: format!("{} is empty", file.display()) });
    }
    Ok(secret.to_owned())
}

/// Whether a request carries the control token.
pub fn authorized(headers: &HeaderMap, token: &str) -> bool {
    headers.get("authorization").and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "))
        == Some(token)
}

/// Returns when standard input is at its end: the parent that held the pipe is gone, however it died.
pub async fn parent_gone() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A blocking read on a thread of its own: tokio's stdin would keep the runtime from shutting down.
    std::thread::spawn(move || {
        let mut sink = [0u8; 256];
        while matches!(std::io::Read::read(&mut std::io::stdin(), &mut sink), Ok(read) if read > 0) {}
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

/// Writes a small file so that a reader sees the old or the new content, never half of it.
fn write_whole(file: &Path, text: &str) -> Result<(), SimError> {
    let next = file.with_extension("next");
    std::fs::write(&next, text).map_err(SimError::file(&next))?;
    std::fs::rename(&next, file).map_err(SimError::file(file))
}

#[cfg(unix)]
fn restrict(file: &Path) -> Result<(), SimError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).map_err(SimError::file(file))
}

#[cfg(not(unix))]
fn restrict(_file: &Path) -> Result<(), SimError> {
    Ok(())
}
