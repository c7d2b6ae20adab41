//! Reading requests: bounded, strict, and every refusal a [`Problem`].

use crate::{ApiConfig, Code, Problem};
use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The one variable segment of a path.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| Problem::new(Code::NoSuchPath, "the path is not valid UTF-8"))
    }
}

impl Segment {
    /// The row id in it; one that is no positive number names nothing.
    pub(crate) fn row_id(&self, what: &str) -> Result<i64, Problem> {
        self.0.parse().ok().filter(|id| *id > 0).ok_or_else(|| {
            let zh = format!("没有这样的{}：编号是正整数", crate::refusals::thing(what));
            Problem::not_found(what, "with this id: an id is a positive whole number").zh(zh)
        })
    }
}

/// The query, by a struct that denies unknown parameters.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| Problem::parameter(rejection.body_text()))
    }
}

/// A page's size: from 1 to 500, and 100 where nothing is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSize(u32);

impl PageSize {
    pub(crate) fn new(asked: Option<u32>) -> Result<Self, Problem> {
        match asked {
            None => Ok(Self(100)),
            Some(limit @ 1..=500) => Ok(Self(limit)),
            Some(_) => Err(Problem::parameter("`limit` is from 1 to 500").zh("`limit` 应为 1 到 500")),
        }
    }

    /// How many rows it shows.
    pub(crate) fn rows(self) -> u32 {
        self.0
    }

    /// How many rows to read: one more than is shown tells whether there is more.
    pub(crate) fn and_one(self) -> u32 {
        self.0 + 1
    }

    /// What is shown of the rows that were read, and whether there is more.
    pub(crate) fn cut<T>(self, mut rows: Vec<T>) -> (Vec<T>, bool) {
        let shown = usize::try_from(self.0).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        (rows, more)
    }
}

/// A body that can't be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The client broke off.
    Broken,
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Problem::new(Code::BodyTooLarge, "the body is larger than this path takes"),
            BodyError::TooSlow => Problem::new(Code::RequestTimeout, "the body did not come in time"),
            BodyError::Broken => Problem::new(Code::MalformedBody, "the body broke off"),
        }
    }
}

/// How much of a body over the limit is still read, and thrown away: a client that is cut off while it sends does not read our answer.
const DRAINED: usize = 1024 * 1024;

/// Reads a body of at most `limit` bytes; no more than that is ever held.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let read = async {
        let mut stream = body.into_data_stream();
        let mut held = BytesMut::with_capacity(told.unwrap_or_default().min(limit));
        let mut over = told.filter(|told| *told > limit).map(|_| 0);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Broken)?;
            match &mut over {
                None if held.len() + chunk.len() <= limit => held.extend_from_slice(&chunk),
                None => {
                    held = BytesMut::new();
                    over = Some(chunk.len());
                }
                Some(drained) => {
                    *drained += chunk.len();
                    if *drained > DRAINED {
                        break;
                    }
                }
            }
        }
        if over.is_some() { Err(BodyError::TooLarge) } else { Ok(held.freeze()) }
    };
    match tokio::time::timeout(patience, read).await {
        Ok(read) => read,
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// A JSON body of at most so many bytes. An empty one is read as `{}`, so that a request without anything to say needs no body.
pub(crate) struct Said<T, const LARGEST: usize = { 16 * 1024 }>(pub(crate) T);

impl<T, S, const LARGEST: usize> FromRequest<S> for Said<T, LARGEST>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Arc<ApiConfig>: FromRef<S>,
{
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let patience = Arc::<ApiConfig>::from_ref(state).body_timeout();
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body, LARGEST, patience).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(bytes).map(Self).map_err(|error| Problem::new(Code::MalformedBody, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(parts: &[&'static str], limit: usize) -> Result<Bytes, BodyError> {
        let chunks: Vec<Result<&'static str, std::io::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        let body = Body::from_stream(futures::stream::iter(chunks));
        read_body(&HeaderMap::new(), body, limit, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_body_is_taken_up_to_the_limit_and_not_beyond() {
        assert_eq!(read(&["ab", "cd"], 4).await.unwrap(), "abcd");
        assert_eq!(read(&["ab", "cd", "e"], 4).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<&'static str, std::io::Error>>());
        let read = read_body(&HeaderMap::new(), body, 4, Duration::from_millis(1)).await;
        assert_eq!(read, Err(BodyError::TooSlow));
    }
}
