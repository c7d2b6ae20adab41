//! Files that the channel's records refer to (attachments 附件): where they are fetched, and which refusals mean that one is not there.

use super::reader::Section;
use super::reading::read_path;
use serde_json::Value;
use std::time::Duration;

/// What stands for the reference in a path.
const REFERENCE: &str = "{reference}";

/// How long fetching one file may take, where the profile does not say: 20 MiB over a line of 1 Mbit/s.
const TIMEOUT_MS: u32 = 180_000;

/// How files are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentRule {
    /// The path of a file below the base address, up to its reference; ends with `/`.
    pub before: String,
    /// What follows the reference in it; mostly nothing.
    pub after: String,
    /// What `{service}` is in headers.
    pub service: String,
    /// Other hosts whose addresses are followed over `https`, unsigned: `name` or `name:port`, in the form that addresses are compared in.
    pub hosts: Vec<String>,
    /// The codes of a refusal that mean: not there (yet); `http_<status>` is a status.
    pub absent: Vec<String>,
    /// How long a file may take from the first byte sent to its last byte.
    pub timeout: Duration,
}

impl AttachmentRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let path = read_path(&mut section, "path");
        let service = section.take_or("service", String::new());
        let hosts = section.take_or::<Vec<String>>("hosts", Vec::new());
        let absent = section.take_or::<Vec<Value>>("absent", Vec::new());
        let timeout_ms = section.take_or::<u32>("timeout_ms", TIMEOUT_MS);
        let around = path.and_then(|path| {
            // A reference must be whole segments: glued to other text it could make a name that the profile did not mean.
            let around = path.split_once(REFERENCE).filter(|(before, after)| {
                before.ends_with('/') && (after.is_empty() || after.starts_with('/')) && !after.contains(REFERENCE)
            });
            section.check(
                around.is_some(),
                "path",
                format!("must hold {REFERENCE} once, between slashes or at its end"),
            );
            around.map(|(before, after)| (before.to_owned(), after.to_owned()))
        });
        for host in hosts.iter().flatten() {
            let what = "is no host as addresses are compared: a lower-case name or IPv4 address, `:port` where it is not 443; no wildcard, no scheme";
            section.check(is_host(host), "hosts", format!("`{host}` {what}"));
        }
        section.check(timeout_ms != Some(0), "timeout_ms", "must be at least 1");
        let text = |code: Value| code.as_str().map_or_else(|| code.to_string(), ToOwned::to_owned);
        let (before, after) = around?;
        Some(Self {
            before,
            after,
            service: service?,
            hosts: hosts?,
            absent: absent?.into_iter().map(text).collect(),
            timeout: Duration::from_millis(u64::from(timeout_ms?)),
        })
    }

    /// Whether a refusal's code means that the file is not there.
    #[must_use]
    pub fn is_absent(&self, code: &str) -> bool {
        self.absent.iter().any(|absent| absent == code)
    }
}

/// Whether it is written as an address's own normal form writes it, so that comparing is of equal texts.
fn is_host(host: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(&format!("https://{host}/")) else { return false };
    let normal = match (url.host_str(), url.port()) {
        (Some(name), None) => name.to_owned(),
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (None, _) => return false,
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':');
    normal == host && host.bytes().all(plain)
}
