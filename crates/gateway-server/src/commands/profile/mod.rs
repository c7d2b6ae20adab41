//! Working on a wire profile, of a channel or of an operating-data service: `profile check`, `profile try` and `map`. None of them needs a running gateway, and none writes anywhere.

mod check;
mod map;
mod operating_data;
mod said;
mod walk;

pub use map::map;

use crate::Failure;
use crate::cli::{ProfileCommand, ProfileOptions};
use crate::registry::KINDS;
use gateway_connector::wire::{Kind, ProfileSource};
use gateway_connector::{Profile, ProfileErrors};
use std::path::Path;
use std::process::ExitCode;

/// Checks or tries a wire profile.
///
/// # Errors
/// When a file can't be read; what is wrong with a profile is the result.
pub async fn profile(options: ProfileOptions) -> Result<ExitCode, Failure> {
    match options.command {
        ProfileCommand::Check(options) => match operating_data::meant(&options.file)? {
            Some(text) => operating_data::check(&text, options.json),
            None => check::check(&options),
        },
        ProfileCommand::Try(options) => match operating_data::meant(&options.file)? {
            Some(text) => operating_data::walk(&text, &options).await,
            None => walk::walk(options).await,
        },
    }
}

/// A profile with the kind of connector that it says it is for.
struct Loaded {
    kind: Kind,
    profile: Profile,
    text: String,
}

/// Reads a file of a profile.
fn load(file: &Path) -> Result<Result<Loaded, ProfileErrors>, Failure> {
    let text = read(file)?;
    Ok(Profile::parse(&text).and_then(|profile| {
        let known = KINDS.into_iter().find(|kind| kind.name == profile.identity.kind);
        let kind = known.ok_or_else(|| ProfileErrors(vec![said::unknown_kind(&profile.identity.kind)]))?;
        Ok(Loaded { kind, profile, text })
    }))
}

fn read(file: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|error| said::unreadable(file, &error))?;
    String::from_utf8(bytes).map_err(|_| said::not_utf8(file))
}

impl Loaded {
    fn source(&self) -> ProfileSource {
        ProfileSource::Text(self.text.clone())
    }
}
