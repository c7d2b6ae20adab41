//! The client of the gateway's own API.

use crate::cli::InstallationOptions;
use crate::lock::DirectoryLock;
use crate::{Failure, secrets};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
            return Err(Failure(format!("{} does not exist: name the gateway's directory with --dir", dir.display())));
        }
        if !dir.join("store.db").exists() && !dir.join("lock").exists() && installation.config_file().is_none() {
            let demo = if dir.join("demo.json").exists() {
                "; the gateway of a demo lies in its directory `gateway`"
            } else {
                ""
            };
            return Err(Failure(format!("there is no gateway in {}{demo}", dir.display())));
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

    /// GET; `None` when there is no such thing.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>, Failure> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base)).query(query);
        let answer = request.bearer_auth(&self.token).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(answer).await.map(Some)
    }

    /// GET of something that must be there.
    ///
    /// # Errors
    /// As [`ApiClient::get`], and when it is not there.
    pub async fn get_one(&self, path: &str, query: &[(&str, &str)], what: &str) -> Result<Value, Failure> {
        self.get(path, query).await?.ok_or_else(|| Failure(format!("there is no {what}")))
    }

    /// GET of something that is no JSON, byte by byte.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn get_bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base)).query(query);
        let answer = request.bearer_auth(&self.token).send().await?;
        if answer.status().is_success() {
            return Ok(answer.bytes().await?.to_vec());
        }
        read(answer).await.and_then(|_| Err(Failure("the gateway gave no answer".into())))
    }

    /// POST.
    ///
    /// # Errors
    /// The problem that the API tells, or that it can't be reached.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.http.request(Method::POST, format!("{}{path}", self.base)).json(body);
        read(request.bearer_auth(&self.token).send().await?).await
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
            let mut page = self.get_one(path, &query, "such list").await?;
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
    let detail = body["detail"].as_str().or_else(|| body["title"].as_str()).unwrap_or("the gateway gave no reason");
    match body["code"].as_str() {
        Some(code) => Err(Failure(format!("{detail} ({code}; see docs/errors.md)"))),
        None => Err(Failure(format!("{detail} (HTTP {status})"))),
    }
}

/// The address that a running gateway wrote down.
fn address(dir: &Path) -> Result<String, Failure> {
    let file = dir.join("admin.address");
    let address = std::fs::read_to_string(&file).map_err(|error| {
        Failure(format!("the gateway is starting or ending ({}: {error}); try again", file.display()))
    })?;
    Ok(format!("http://{}", address.trim()))
}
