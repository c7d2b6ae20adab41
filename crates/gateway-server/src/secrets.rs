//! Secrets and tokens: only ever in files that their owner alone can read.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a secret from a file, without the line end.
///
/// # Errors
/// With the path, when it can't be read or is empty.
pub fn read(path: &Path) -> io::Result<String> {
    let named = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file: put there what was agreed on 没有这个文件".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("{}: {why}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(named)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(named(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")));
    }
    Ok(text.to_owned())
}

/// Reads a secret, or makes one (32 random bytes, in hex) where the file does not exist yet.
///
/// # Errors
/// When the file can neither be read nor made.
pub fn read_or_create(path: &Path) -> io::Result<String> {
    read_or_make(path, || rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a line, or makes it where the file does not exist yet.
///
/// # Errors
/// When the file can neither be read nor made.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> io::Result<String> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let secret = make();
    // Written beside and renamed, so that a kill in between leaves no half secret.
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(secret)
}

/// The 32 bytes of a secret made by [`read_or_create`].
///
/// # Errors
/// When it is not 64 hex digits.
pub fn key_bytes(path: &Path) -> io::Result<[u8; 32]> {
    let text = read_or_create(path)?;
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: not 64 hex digits", path.display())));
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: not 64 hex digits", path.display()))
        })?;
    }
    Ok(bytes)
}
