//! The configuration: the embedded defaults, the file, the environment; all mistakes told at once, with their key paths.

use config::{Config, Environment, File, FileFormat};
use gateway_connector::RetryPolicy;
use gateway_model::{AuthorityTable, ChannelId};
use gateway_pipeline::{PipelineConfig, Route, Routes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The defaults, as text.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// What this process is called among others.
    pub node: gateway_alert::NodeConfig,
    /// Addresses.
    pub api: gateway_api::ApiConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// The bus.
    pub bus: gateway_bus::BusOptions,
    /// The store.
    pub store: crate::store::StoreSection,
    /// The bus's topics.
    pub topics: TopicsConfig,
    /// Ways in.
    pub intake: gateway_intake::IntakeConfig,
    /// From record to order.
    pub pipeline: PipelineConfig,
    /// The service that is asked of cars and drivers; `None` = there is none, and only imports are compared with.
    pub operating_data: Option<OperatingDataSection>,
    /// Files that records refer to.
    pub attachments: AttachmentsSection,
    /// Ways out.
    pub delivery: gateway_delivery::DeliveryConfig,
    /// Comparing accounts.
    pub reconcile: ReconcileSection,
    /// What is wrong, and who is told.
    pub alert: gateway_alert::AlertConfig,
    /// Whose word counts.
    pub authority: AuthorityTable,
    /// The channels.
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelConfig>,
    /// What is owed to whom.
    #[serde(rename = "route")]
    pub routes: Vec<Route>,
}

/// What the bus's topics are like.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsConfig {
    /// Partitions of a topic that is made; the records of one order stay in one.
    pub partitions: u32,
    /// How many days the bus keeps records; at most 14, since they hold personal data.
    pub retention_days: u32,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self { partitions: 4, retention_days: 14 }
    }
}

/// How to log.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// `pretty` or `json`.
    pub format: LogFormat,
    /// A tracing filter.
    pub filter: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, filter: "info".into() }
    }
}

/// The dress of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// Comparing accounts, and whether at all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconcileSection {
    /// Switched off, nobody knows what got lost; for tests of the other defences.
    pub enabled: bool,
    /// How.
    pub policy: gateway_reconcile::ReconcileConfig,
}

impl Default for ReconcileSection {
    fn default() -> Self {
        Self { enabled: true, policy: gateway_reconcile::ReconcileConfig::default() }
    }
}

/// A channel. What is needed depends on its kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelConfig {
    /// Its id, as `municipal-12345`.
    pub id: String,
    /// The kind of connector.
    pub kind: String,
    /// The counterparty's base address.
    pub base_url: String,
    /// A wire profile; the kind's default where absent.
    pub profile: Option<PathBuf>,
    /// Whether what it says of cars, drivers and trips is compared with operating data: what `import registry` brought, and what `[operating_data]` answers.
    pub verification: bool,
    /// The application id agreed on.
    pub app_id: String,
    /// The secret that our requests are signed with.
    pub request_secret_file: Option<PathBuf>,
    /// The day on which its credentials end, as `2027-03-01`; unknown where absent.
    pub expires_on: Option<gateway_model::Day>,
    /// The secrets that pushes may be signed with: one, or two while one replaces the other.
    pub webhook_secret_files: Vec<PathBuf>,
    /// Its front-end box; no files are exchanged where absent.
    pub files: Option<gateway_delivery::files::FilesConfig>,
}

/// Files that records refer to 附件: where they are kept, how they are fetched, and under which address destinations get them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttachmentsSection {
    /// The directory of the bytes; shared where several processes are.
    pub dir: PathBuf,
    /// The address under which destinations reach our public listener, as `https://gateway.example.gov.cn`; without it they are given addresses without a host.
    pub public_url: Option<String>,
    /// How long an address that a destination was given is good, in days after it was decided that the destination is told of the file.
    pub address_valid_days: u32,
    /// How they are fetched.
    pub fetch: gateway_intake::FetchConfig,
}

impl Default for AttachmentsSection {
    fn default() -> Self {
        let fetch = gateway_intake::FetchConfig::default();
        Self { dir: PathBuf::from("attachments"), public_url: None, address_valid_days: 90, fetch }
    }
}

/// The operating-data service 运营数据服务: asked of what no import says, for channels with `verification = true`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatingDataSection {
    /// Its base address.
    pub base_url: String,
    /// Its profile; the shipped one where absent.
    pub profile: Option<PathBuf>,
    /// The application id agreed on.
    pub app_id: String,
    /// The secret that our questions are signed with.
    pub request_secret_file: Option<PathBuf>,
    /// How long to wait before a question that failed is asked again; without end.
    pub retry: RetryPolicy,
}

impl Default for OperatingDataSection {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            profile: None,
            app_id: String::new(),
            request_secret_file: None,
            retry: RetryPolicy { min_ms: 2_000, max_ms: 300_000, ..RetryPolicy::default() },
        }
    }
}

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMistake {
    /// The key, as `channel[0].base_url`.
    pub key: String,
    /// What is wrong, and what is expected.
    pub text: String,
}

impl std::fmt::Display for ConfigMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.key.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.key, self.text) }
    }
}

pub(crate) fn mistake(key: impl Into<String>, text: impl Into<String>) -> ConfigMistake {
    ConfigMistake { key: key.into(), text: text.into() }
}

/// Loads the configuration of an installation.
///
/// # Errors
/// All mistakes.
pub fn load(dir: &Path, file: Option<&Path>) -> Result<GatewayConfig, Vec<ConfigMistake>> {
    let mut mistakes = Vec::new();
    match read(dir, file, &mut mistakes) {
        Ok(config) if mistakes.is_empty() => Ok(config),
        Ok(_) => Err(mistakes),
        Err(unreadable) => Err(vec![unreadable]),
    }
}

/// Reads the configuration as far as it makes sense; mistakes are added to the list, so that those of its channels can be told with them.
///
/// # Errors
/// The one mistake by which nothing can be read at all.
pub fn read(
    dir: &Path,
    file: Option<&Path>,
    mistakes: &mut Vec<ConfigMistake>,
) -> Result<GatewayConfig, ConfigMistake> {
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml).required(true));
    }
    // Only names with a section are settings; others, as GATEWAY_DIR, are options of the command line or not ours.
    let settings = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| key.contains("__"))
        .collect();
    let environment = Environment::with_prefix("GATEWAY").prefix_separator("_").separator("__").try_parsing(true);
    let environment = environment.source(Some(settings));
    let whole = builder.add_source(environment).build().map_err(|error| mistake("", error.to_string()))?;
    let tree: serde_json::Value = whole.try_deserialize().map_err(|error| mistake("", error.to_string()))?;
    let mut config = read_all(tree, mistakes);
    // Paths of the file are relative to the directory, so that an installation can be moved as a whole.
    config.bus.in_dir(dir);
    config.store.settle(dir);
    config.attachments.dir = dir.join(&config.attachments.dir);
    for channel in &mut config.channels {
        let paths = channel.profile.iter_mut().chain(&mut channel.request_secret_file);
        for path in paths.chain(&mut channel.webhook_secret_files) {
            *path = dir.join(&*path);
        }
        if let Some(files) = &mut channel.files {
            match &mut files.sftp {
                // Its directory is the server's.
                Some(sftp) => sftp.paths_mut().for_each(|path| *path = dir.join(&*path)),
                None => files.dir = dir.join(&files.dir),
            }
        }
    }
    if let Some(service) = &mut config.operating_data {
        for path in service.profile.iter_mut().chain(&mut service.request_secret_file) {
            *path = dir.join(&*path);
        }
    }
    for path in config.alert.paths_mut() {
        *path = dir.join(&*path);
    }
    check(&config, mistakes);
    Ok(config)
}

/// Deserializes, and on a mistake takes the key out and goes on, so that every mistake is found.
fn read_all(mut tree: serde_json::Value, mistakes: &mut Vec<ConfigMistake>) -> GatewayConfig {
    loop {
        let error = match serde_path_to_error::deserialize::<_, GatewayConfig>(&tree) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let mut key = error.path().to_string();
        let text = error.inner().to_string();
        if let Some(unknown) = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
            // The path of an unknown field may end at its parent.
            if !key.ends_with(unknown) {
                key = if key == "." { unknown.to_owned() } else { format!("{key}.{unknown}") };
            }
        }
        let removed = remove(&mut tree, &key);
        mistakes.push(mistake(key, text));
        if !removed {
            return GatewayConfig::default();
        }
    }
}

fn remove(tree: &mut serde_json::Value, key: &str) -> bool {
    let pointer = format!("/{}", key.replace('[', ".").replace(']', "").replace('.', "/"));
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    match tree.pointer_mut(parent) {
        Some(serde_json::Value::Object(map)) => map.remove(last).is_some(),
        Some(serde_json::Value::Array(list)) => match last.parse::<usize>() {
            Ok(at) if at < list.len() => {
                list.remove(at);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Alerting as the configuration asks for it; mistakes are added to the list.
pub fn prepare_alerting(config: &GatewayConfig, mistakes: &mut Vec<ConfigMistake>) -> Option<gateway_alert::Alerting> {
    match gateway_alert::prepare(config.alert.clone()) {
        Ok(alerting) => Some(alerting),
        Err(wrong) => {
            mistakes.extend(wrong.into_iter().map(|wrong| mistake(wrong.key, wrong.text)));
            None
        }
    }
}

/// Whether a path can be put behind it. A comma would part it where addresses are joined.
fn is_whole_address(text: &str) -> bool {
    let strange = |sign: char| sign == ',' || sign.is_whitespace() || sign.is_control();
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && text.to_ascii_lowercase().starts_with(&format!("{}://", url.scheme()))
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.contains(strange)
    })
}

fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn check(config: &GatewayConfig, mistakes: &mut Vec<ConfigMistake>) {
    let mut ids = BTreeSet::new();
    let desk = config.api.desk();
    if let Err(error) = &desk {
        mistakes.push(mistake("api.desk_channel", error.to_string()));
    }
    let desk = desk.ok();
    for (at, channel) in config.channels.iter().enumerate() {
        let key = |name: &str| format!("channel[{at}].{name}");
        match ChannelId::new(channel.id.clone()) {
            Err(error) => mistakes.push(mistake(key("id"), error.to_string())),
            Ok(id) if !is_plain(id.as_str()) => {
                mistakes.push(mistake(
                    key("id"),
                    "must be lower-case letters, digits and dashes: it stands in addresses and names",
                ));
            }
            Ok(id) if Some(&id) == desk.as_ref() => mistakes.push(mistake(key("id"), "is the bureau's own channel")),
            Ok(id) if !ids.insert(id.clone()) => {
                mistakes.push(mistake(key("id"), format!("{} is there twice", channel.id)))
            }
            Ok(_) => {}
        }
        for (name, text) in channel.files.iter().flat_map(gateway_delivery::files::FilesConfig::mistakes) {
            mistakes.push(mistake(key(&format!("files.{name}")), text));
        }
        let known = crate::registry::kind_names();
        if !known.contains(&channel.kind.as_str()) {
            let known = known.join(", ");
            mistakes.push(mistake(key("kind"), format!("`{}` is none of {known}", channel.kind)));
        }
    }
    if config.channels.is_empty() {
        mistakes.push(mistake("channel", "no channel is configured: add one, as in deploy/gateway.example.toml"));
    }
    if !config.api.admin_address.ip().is_loopback() {
        mistakes
            .push(mistake("api.admin_address", "must be a loopback address; reach it from elsewhere through a tunnel"));
    }
    let known: Vec<&str> = ids.iter().chain(&desk).map(ChannelId::as_str).collect();
    let mut named = |key: String, channel: &str| {
        // Without any channel that is the one thing to tell.
        if !config.channels.is_empty() && !known.contains(&channel) {
            mistakes.push(mistake(key, format!("there is no channel `{channel}`: there are {}", known.join(", "))));
        }
    };
    for (at, route) in config.routes.iter().enumerate() {
        for (name, channel) in [("from", &route.from), ("to", &route.to)] {
            named(format!("route[{at}].{name}"), channel.as_str());
        }
    }
    for (at, route) in config.alert.routes.iter().enumerate() {
        for (nth, channel) in route.channels.iter().enumerate() {
            named(format!("alert.route[{at}].channels[{nth}]"), channel);
        }
    }
    if let Err(errors) = Routes::new(config.routes.clone()) {
        mistakes.extend(errors.into_iter().map(|error| mistake("route", error.to_string())));
    }
    if !(1..=14).contains(&config.topics.retention_days) {
        mistakes.push(mistake("topics.retention_days", "must be 1 to 14: records hold personal data"));
    }
    if !(1..=256).contains(&config.topics.partitions) {
        mistakes.push(mistake("topics.partitions", "must be 1 to 256"));
    }
    for (key, text) in config.bus.mistakes() {
        mistakes.push(mistake(format!("bus.{key}"), text));
    }
    let spooled = config.bus.engine == gateway_bus::Engine::Kafka && config.bus.spool.enabled;
    if spooled && config.bus.spool.patience_ms >= config.intake.webhook.append_timeout_ms {
        let text = "must be less than intake.webhook.append_timeout_ms, or a push is given up before it is spooled";
        mistakes.push(mistake("bus.spool.patience_ms", text));
    }
    mistakes.extend(config.store.mistakes());
    for (key, text) in config.node.mistakes() {
        mistakes.push(mistake(format!("node.{key}"), text));
    }
    for (key, text) in config.reconcile.policy.mistakes() {
        mistakes.push(mistake(format!("reconcile.policy.{key}"), text));
    }
    if let Some(service) = &config.operating_data {
        if let Some(text) = service.retry.mistake() {
            mistakes.push(mistake("operating_data.retry", text));
        }
        if !config.channels.iter().any(|channel| channel.verification) {
            let text = "would never be asked: no channel has `verification = true`";
            mistakes.push(mistake("operating_data", text));
        }
    }
    for (key, text) in config.attachments.fetch.mistakes() {
        mistakes.push(mistake(format!("attachments.fetch.{key}"), text));
    }
    if config.attachments.public_url.as_deref().is_some_and(|url| !is_whole_address(url)) {
        let text = "must be a whole address, as `https://gateway.example.gov.cn`: http or https, a host, perhaps a path, and nothing behind it";
        mistakes.push(mistake("attachments.public_url", text));
    }
    if config.attachments.address_valid_days == 0 {
        mistakes.push(mistake("attachments.address_valid_days", "must be at least 1"));
    }
    if config.pipeline.batch_records == 0 {
        mistakes.push(mistake("pipeline.batch_records", "must be at least 1"));
    }
}

#[cfg(test)]
mod tests {
    use super::is_whole_address;

    #[test]
    fn an_address_is_whole_or_a_mistake() {
        for whole in [
            "https://gateway.example.gov.cn",
            "http://10.1.2.3:8080/",
            "https://example.cn/hotline",
            "HTTPS://Gateway.Example",
            "http://[::1]:8080",
        ] {
            assert!(is_whole_address(whole), "{whole}");
        }
        for wrong in [
            "",
            "gateway.example.gov.cn",
            "/attachments",
            "ftp://gateway.example.gov.cn",
            "https:gateway.example.gov.cn",
            "https://",
            "https://user@gateway.example.gov.cn",
            "https://gateway.example.gov.cn/?a=1",
            "https://gateway.example.gov.cn/#top",
            "https://gateway.example.gov.cn/a,b",
            " https://gateway.example.gov.cn",
        ] {
            assert!(!is_whole_address(wrong), "{wrong}");
        }
    }
}
