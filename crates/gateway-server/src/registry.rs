//! The registry: which kinds of channel there are, and how one is made from its configuration. A new connector adds a line in [`KINDS`]
//! where a wire profile is all it is, else in [`kind_names`] and [`connect`].

use crate::config::{ChannelConfig, ConfigMistake, GatewayConfig, mistake};
use crate::dead_ends::Ends;
use crate::secrets;
use gateway_connector::profile::OperatingDataProfile;
use gateway_connector::wire::{self, Kind, OperatingData, ProfileSource};
use gateway_connector::{Connector, Credentials, ProfileErrors, Secret};
use gateway_model::{ChannelId, Clock};
use std::path::Path;
use std::sync::Arc;

/// The kinds that are spoken to by a wire profile alone.
pub const KINDS: [Kind; 5] = [
    connector_bureau::KIND,
    connector_municipal_12345::KIND,
    connector_provincial_12328::KIND,
    connector_taxi_qr::KIND,
    connector_web_12328::KIND,
];

/// The kinds of connector that this program has.
#[must_use]
pub fn kind_names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).chain([connector_subscription::KIND]).collect()
}

/// All configured channels, ready to work. Mistakes are added to the list, and their channels left out; rules that lead nowhere too.
pub fn connect_all(
    config: &GatewayConfig,
    clock: Arc<dyn Clock>,
    mistakes: &mut Vec<ConfigMistake>,
) -> Vec<(ChannelId, Arc<dyn Connector>)> {
    let mut channels = Vec::new();
    for (at, channel) in config.channels.iter().enumerate() {
        let Ok(id) = ChannelId::new(channel.id.clone()) else { continue };
        match connect(at, channel, &id, clock.clone()) {
            Ok(connector) => {
                if channel.files.is_some() && connector.files().is_none() {
                    let text = "needs `[files]` in the channel's profile, which says how files are written";
                    mistakes.push(mistake(format!("channel[{at}].files"), text));
                }
                channels.push((id, connector));
            }
            Err(found) => mistakes.extend(found),
        }
    }
    // A channel that could not be made says nothing of what it takes.
    if channels.len() == config.channels.len() {
        let desk = config.api.desk().ok();
        crate::dead_ends::check(config, &Ends { connectors: &channels, desk: desk.as_ref() }, mistakes);
    }
    channels
}

/// The operating-data service, where one is configured. Mistakes are added to the list.
pub fn operating_data(
    config: &GatewayConfig,
    clock: Arc<dyn Clock>,
    mistakes: &mut Vec<ConfigMistake>,
) -> Option<Arc<OperatingData>> {
    let section = config.operating_data.as_ref()?;
    let before = mistakes.len();
    let text = match &section.profile {
        None => OperatingDataProfile::DEFAULT.to_owned(),
        Some(path) => std::fs::read_to_string(path).unwrap_or_else(|error| {
            mistakes.push(mistake("operating_data.profile", format!("{}: {error}", path.display())));
            OperatingDataProfile::DEFAULT.to_owned()
        }),
    };
    let read = section.request_secret_file.as_deref().map(secrets::read);
    let secret = match read {
        Some(Ok(secret)) => secret,
        // The placeholder keeps the service from telling it again, and never leaves this check.
        missing => {
            let text = match missing {
                Some(Err(error)) => error.to_string(),
                _ => "is missing: secrets are read from files".to_owned(),
            };
            mistakes.push(mistake("operating_data.request_secret_file", text));
            "missing".to_owned()
        }
    };
    let credentials = Credentials {
        app_id: section.app_id.clone(),
        request_secret: Secret::new(secret),
        webhook_secrets: Vec::new(),
    };
    match OperatingData::new(&text, &section.base_url, credentials, clock) {
        Ok(service) if mistakes.len() == before => Some(Arc::new(service)),
        Ok(_) => None,
        Err(ProfileErrors(found)) => {
            mistakes.extend(found.into_iter().map(|found| {
                let key = match found.path.as_str() {
                    "base_url" => "operating_data.base_url".to_owned(),
                    "credentials.app_id" => "operating_data.app_id".to_owned(),
                    "credentials.request_secret" => "operating_data.request_secret_file".to_owned(),
                    path => format!("operating_data.profile: {path}"),
                };
                mistake(key, found.what)
            }));
            None
        }
    }
}

fn connect(
    at: usize,
    channel: &ChannelConfig,
    id: &ChannelId,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Connector>, Vec<ConfigMistake>> {
    let mut mistakes = Vec::new();
    let credentials = credentials(at, channel, &mut mistakes);
    let shipped = channel.profile.as_deref().and_then(|profile| shipped(&channel.kind, profile));
    let read = match shipped {
        Some(text) => Ok(Some(text.to_owned())),
        None => channel.profile.as_ref().map(std::fs::read_to_string).transpose(),
    };
    let profile = match read {
        Ok(text) => text.map_or(ProfileSource::Default, ProfileSource::Text),
        Err(error) => {
            let path = channel.profile.as_deref().unwrap_or(Path::new(""));
            let what = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("there is no such file 没有这个文件{}", shipped_names(&channel.kind))
                }
                _ => error.to_string(),
            };
            mistakes.push(mistake(format!("channel[{at}].profile"), format!("{}: {what}", path.display())));
            ProfileSource::Default
        }
    };
    // The connector looks at the rest also when something is missing here, so that all mistakes are told at once.
    let kind = KINDS.into_iter().find(|kind| kind.name == channel.kind);
    let connected = match kind {
        Some(kind) => wire::connect(kind, id.clone(), &profile, &channel.base_url, credentials, clock),
        None if channel.kind == connector_subscription::KIND => {
            connector_subscription::connect(id.clone(), &channel.base_url, &credentials, clock)
        }
        // An unknown kind was told with the configuration.
        None => return Err(mistakes),
    };
    match connected {
        Ok(connector) if mistakes.is_empty() => Ok(connector),
        Ok(_) => Err(mistakes),
        Err(ProfileErrors(found)) => {
            mistakes.extend(found.into_iter().map(|found| mistake(key_of(at, &found.path), found.what)));
            Err(mistakes)
        }
    }
}

/// A profile that is shipped with the kind beside its default, by its name; a file of that name goes first.
fn shipped(kind: &str, profile: &Path) -> Option<&'static str> {
    let name = profile.file_name()?.to_str()?;
    (kind == connector_web_12328::KIND.name && !profile.exists()).then(|| connector_web_12328::shipped(name))?
}

/// Which profiles are shipped with a kind, as the rest of a sentence.
fn shipped_names(kind: &str) -> String {
    if kind != connector_web_12328::KIND.name {
        return String::new();
    }
    let names = connector_web_12328::SHIPPED.map(|(name, _)| name).join(", ");
    format!("; shipped with `{kind}` are {names}")
}

/// The configuration's key for what a connector complains of; what is not the channel's own is in its profile.
fn key_of(at: usize, path: &str) -> String {
    let key = match path {
        "base_url" | "credentials.app_id" => path.trim_start_matches("credentials."),
        "credentials.request_secret" => "request_secret_file",
        "credentials.webhook_secrets" => "webhook_secret_files",
        _ => return format!("channel[{at}].profile: {path}"),
    };
    format!("channel[{at}].{key}")
}

fn credentials(at: usize, channel: &ChannelConfig, mistakes: &mut Vec<ConfigMistake>) -> Credentials {
    // One that can't be read is told here; the placeholder keeps the connector from telling it again, and never leaves this check.
    let mut secret = |key: String, path: &Path| {
        secrets::read(path).map(Secret::new).unwrap_or_else(|error| {
            mistakes.push(mistake(key, error.to_string()));
            Secret::new("unreadable")
        })
    };
    let webhook_secrets = channel
        .webhook_secret_files
        .iter()
        .enumerate()
        .map(|(nth, path)| secret(format!("channel[{at}].webhook_secret_files[{nth}]"), path))
        .collect();
    let request_secret = match &channel.request_secret_file {
        Some(path) => secret(format!("channel[{at}].request_secret_file"), path),
        None => {
            mistakes
                .push(mistake(format!("channel[{at}].request_secret_file"), "is missing: secrets are read from files"));
            Secret::new("missing")
        }
    };
    Credentials { app_id: channel.app_id.clone(), request_secret, webhook_secrets }
}
