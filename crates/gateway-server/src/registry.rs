//! The registry: which kinds of channel there are, and how one is made from its configuration. A new connector adds a line in [`KINDS`] and in
//! [`connect`].

use crate::config::{ChannelConfig, ConfigMistake, GatewayConfig, mistake};
use crate::secrets;
use gateway_connector::{Connector, Credentials, ProfileErrors, Secret};
use gateway_model::{ChannelId, Clock};
use std::sync::Arc;

/// The kinds of connector that this program has.
pub const KINDS: [&str; 1] = [connector_municipal_12345::KIND];

/// All configured channels, ready to work. Mistakes are added to the list, and their channels left out.
pub fn connect_all(
    config: &GatewayConfig,
    clock: Arc<dyn Clock>,
    mistakes: &mut Vec<ConfigMistake>,
) -> Vec<(ChannelId, Arc<dyn Connector>)> {
    let mut channels = Vec::new();
    for (at, channel) in config.channels.iter().enumerate() {
        let Ok(id) = ChannelId::new(channel.id.clone()) else { continue };
        match connect(at, channel, &id, clock.clone()) {
            Ok(connector) => channels.push((id, connector)),
            Err(found) => mistakes.extend(found),
        }
    }
    channels
}

fn connect(
    at: usize,
    channel: &ChannelConfig,
    id: &ChannelId,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Connector>, Vec<ConfigMistake>> {
    let mut mistakes = Vec::new();
    let credentials = credentials(at, channel, &mut mistakes);
    let profile = match channel.profile.as_ref().map(std::fs::read_to_string).transpose() {
        Ok(text) => text
            .map_or(connector_municipal_12345::ProfileSource::Default, connector_municipal_12345::ProfileSource::Text),
        Err(error) => {
            mistakes.push(mistake(format!("channel[{at}].profile"), error.to_string()));
            connector_municipal_12345::ProfileSource::Default
        }
    };
    let told = |ProfileErrors(found): ProfileErrors| {
        found.into_iter().map(|found| mistake(format!("channel[{at}] {}", found.path), found.what)).collect::<Vec<_>>()
    };
    match channel.kind.as_str() {
        connector_municipal_12345::KIND if mistakes.is_empty() => {
            connector_municipal_12345::connect(id.clone(), &profile, &channel.base_url, credentials, clock)
                .map_err(told)
        }
        // An unknown kind was told with the configuration.
        _ => Err(mistakes),
    }
}

fn credentials(at: usize, channel: &ChannelConfig, mistakes: &mut Vec<ConfigMistake>) -> Credentials {
    let mut secret = |key: String, path: &std::path::Path| match secrets::read(path) {
        Ok(text) => Some(Secret::new(text)),
        Err(error) => {
            mistakes.push(mistake(key, error.to_string()));
            None
        }
    };
    let webhook_secrets = channel
        .webhook_secret_files
        .iter()
        .enumerate()
        .filter_map(|(nth, path)| secret(format!("channel[{at}].webhook_secret_files[{nth}]"), path))
        .collect();
    let request_secret = match &channel.request_secret_file {
        Some(path) => secret(format!("channel[{at}].request_secret_file"), path),
        None => {
            mistakes
                .push(mistake(format!("channel[{at}].request_secret_file"), "is missing: secrets are read from files"));
            None
        }
    };
    Credentials {
        app_id: channel.app_id.clone(),
        request_secret: request_secret.unwrap_or_else(|| Secret::new(String::new())),
        webhook_secrets,
    }
}
