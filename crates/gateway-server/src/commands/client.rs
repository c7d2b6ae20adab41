//! The client of the gateway's own API.

use super::said;
use crate::cli::InstallationOptions;
use crate::lock::DirectoryLock;
use crate::{Failure, secrets};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What somebody looks for, in both languages.
pub struct Thing {
    /// In English, as `order GZ1`.
    pub en: String,
    /// In Chinese, as `工单 GZ1`.
    pub zh: String,
}

impl Thing {
    /// A kind of thing with its number.
    #[must_use]
    pub fn new(en: &str, zh: &str, number: impl std::fmt::Display) -> Self {
        Self { en: format!("{en} {number}"), zh: format!("{zh} {number}") }
    }
}

/// For what takes long: longer than the API gives itself.
const LONG: Duration = Duration::from_secs(120);

/// Calls the API of one installation.
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    token: String,
    // Ends the API that was opened for this command alone.
    _local: Option<Local>,
}

struct Local {
    stop: CancellationToken,
    _lock: DirectoryLock,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ApiClient {
    /// Connects to the running gateway of an installation, or opens its directory.
    ///
    /// # Errors
    /// When there is no installation there, or it can't be reached.
    pub async fn connect(installation: &InstallationOptions) -> Result<Self, Failure> {
        let dir = &installation.dir;
        if !dir.is_dir() {
            return Err(said::no_directory(dir));
        }
        if !dir.join("store.db").exists() && !dir.join("lock").exists() && installation.config_file().is_none() {
            return Err(said::no_gateway(dir));
        }
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let token = secrets::read_or_create(&dir.join("tokens/admin.token"))?;
        match DirectoryLock::take(dir)? {
            None => {
                let base = address(dir)?;
                Ok(Self { http, base, token, _local: None })
            }
            Some(lock) => {
                let stop = CancellationToken::new();
                let base = crate::serve::open_api_only(installation, stop.clone()).await?;
                Ok(Self { http, base, token, _local: Some(Local { stop, _lock: lock }) })
            }
        }
    }

    /// Whether the gateway runs, or its directory was only opened for this command.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self._local.is_none()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        request.bearer_auth(&self.token).send().await.map_err(said::unreachable)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// GET; `None` when there is no such thing.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>, Failure> {
        let answer = self.send(self.request(Method::GET, path).query(query)).await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        match status {
            status if status.is_success() => Ok(Some(body)),
            // Other things that are not there, as a channel to look in, are mistakes of the question.
            StatusCode::NOT_FOUND if body["code"] == "not_found" => Ok(None),
            status => Err(said::refused(status, &body)),
        }
    }

    /// GET of something that somebody looks for.
    ///
    /// # Errors
    /// As [`ApiClient::get`], and when it is not there.
    pub async fn find(&self, path: &str, query: &[(&str, &str)], thing: Thing) -> Result<Value, Failure> {
        self.get(path, query).await?.ok_or_else(|| said::not_there(&thing))
    }

    /// GET of something that is always there, so that whatever is not is the API's to tell.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn must(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        read(self.send(self.request(Method::GET, path).query(query)).await?).await
    }

    /// GET of something that is no JSON, byte by byte.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn get_bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        let answer = self.send(self.request(Method::GET, path).query(query)).await?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(said::unreachable)?;
        if status.is_success() {
            return Ok(bytes.to_vec());
        }
        Err(said::refused(status, &serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// POST.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        read(self.send(self.request(Method::POST, path).json(body)).await?).await
    }

    /// POST of a request that stays one, however often it is sent under this key.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Result<Value, Failure> {
        read(self.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await?).await
    }

    /// GET of what the pipeline makes of something; `None` until it has seen it.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn seen(&self, path: &str) -> Result<Option<Value>, Failure> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        match status {
            status if status.is_success() => Ok(Some(body)),
            StatusCode::NOT_FOUND if body["code"] == "not_processed_yet" => Ok(None),
            status => Err(said::refused(status, &body)),
        }
    }

    /// POST of something that is no JSON.
    ///
    /// # Errors
    /// The problem that the API tells, beside its body; or that it can't be reached.
    pub async fn post_bytes(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bytes: Vec<u8>,
    ) -> Result<Value, (Failure, Value)> {
        let request = self.request(Method::POST, path).query(query).timeout(LONG).body(bytes);
        let answer = self.send(request).await.map_err(|failure| (failure, Value::Null))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() { Ok(body) } else { Err((said::refused(status, &body), body)) }
    }

    /// All pages of a list that goes on by id.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn list(&self, path: &str, key: &str, filter: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = filter.to_vec();
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let mut page = self.must(path, &query).await?;
            let rows = page.get_mut(key).map(Value::take).unwrap_or_default();
            let Value::Array(rows) = rows else { return Err(Failure(format!("the API's answer has no {key}"))) };
            let more = page["more"].as_bool().unwrap_or(false);
            // Where a page shows only some of the rows it went through, it says how far it went.
            let through = page["last_id"].as_i64().map(|id| id.to_string());
            after = through.or_else(|| rows.last().map(|row| row["id"].to_string()));
            all.extend(rows);
            if !more || after.is_none() {
                return Ok(all);
            }
        }
    }
}

async fn read(answer: reqwest::Response) -> Result<Value, Failure> {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    Err(said::refused(status, &body))
}

/// The address that a running gateway wrote down.
fn address(dir: &Path) -> Result<String, Failure> {
    let file = dir.join("admin.address");
    let address = std::fs::read_to_string(&file).map_err(|error| said::between(&file, &error))?;
    Ok(format!("http://{}", address.trim()))
}
