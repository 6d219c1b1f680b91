//! Ethereum JSON-RPC over HTTP, as much of it as a load, a profile and a live view need.

use super::error::LoadError;
use alloy_primitives::U64;
use bytes::{Bytes, BytesMut};
use reqwest::{Url, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{error::Error, time::Duration};

/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";
/// Where a node takes bundles.
const BULK_PATH: &str = "/bulk";
/// Characters of an answer that an error quotes.
const QUOTED_CHARS: usize = 80;
/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Calls in one batch.
pub(crate) const CALLS_MAX: usize = 500;
/// Largest answer taken: the receipts of a block of a hundred thousand transactions.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A node, reached over connections that are kept open.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
}

/// An answer to one call.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    #[serde(default)]
    pub(crate) id: Option<u64>,
    pub(crate) result: Option<T>,
    pub(crate) error: Option<CallError>,
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct CallError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

/// A batch has one answer for each call, or one for all if it was refused as a whole.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum BatchAnswer<T> {
    Each(Vec<Answer<T>>),
    All(Answer<Value>),
}

impl Client {
    /// A node that has to answer within a time.
    pub(crate) fn new(url: &str, wait: Duration) -> Result<Self, LoadError> {
        let refuse = |problem: String| LoadError::Url {
            url: url.to_owned(),
            problem,
        };
        let parsed = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
        if parsed.scheme() != "http" {
            return Err(refuse("only http is supported".to_owned()));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_WAIT)
            .timeout(wait.min(ANSWER_WAIT))
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self { http, url: parsed })
    }

    /// The answer to a JSON-RPC request as it came.
    pub(crate) async fn post(&self, body: Bytes) -> Result<Bytes, LoadError> {
        self.post_to(self.url.clone(), JSON, body).await
    }

    /// The answer to a bundle of transactions as it came.
    pub(crate) async fn post_bulk(&self, bundle: Bytes) -> Result<Bytes, LoadError> {
        let mut url = self.url.clone();
        // A shard's chain has a path of its own.
        let path = format!("{}{BULK_PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        self.post_to(url, OCTETS, bundle).await
    }

    async fn post_to(
        &self,
        url: Url,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Bytes, LoadError> {
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, content_type)
            .body(body);
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let answer = read_body(response, |error| self.lost(error)).await?;
        let answer = answer.ok_or_else(|| {
            self.unreachable(format!("an answer has more than {ANSWER_BYTES_MAX} bytes"))
        })?;
        let is_json = matches!(answer.trim_ascii_start().first(), Some(b'{' | b'['));
        if !(status.is_success() || is_json) {
            let problem = format!("HTTP {status}: {:?}", beginning(&answer));
            return Err(self.unreachable(problem));
        }
        Ok(answer)
    }

    /// A page that is not JSON-RPC, with its status.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Bytes), LoadError> {
        let mut url = self.url.clone();
        url.set_path(path);
        let response = self.http.get(url).send().await;
        let response = response.map_err(|error| self.lost(&error))?;
        let status = response.status().as_u16();
        let body = read_body(response, |error| self.lost(error)).await?;
        body.map(|body| (status, body)).ok_or_else(|| {
            self.unreachable(format!("a page has more than {ANSWER_BYTES_MAX} bytes"))
        })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The result of one call; none if it is null.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Option<T>, LoadError> {
        let call = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params});
        let answer = self.post(call.to_string().into()).await?;
        let answer: Answer<T> = parse(method, &answer)?;
        match answer.error {
            Some(error) => Err(error.of(method)),
            None => Ok(answer.result),
        }
    }

    /// The results of one method for several parameters, in their order; an error if any was refused or is missing.
    pub(crate) async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<Option<T>>, LoadError> {
        let count = params.len();
        let calls = params.into_iter().enumerate().map(
            |(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}),
        );
        let calls = Value::Array(calls.collect());
        let answer = self.post(calls.to_string().into()).await?;
        let mut answers: Vec<Answer<T>> = parse_batch(method, &answer)?;
        if answers.len() != count {
            return Err(LoadError::Answer {
                method,
                problem: format!("{} answers to {count} calls", answers.len()),
            });
        }
        answers.sort_by_key(|answer| answer.id);
        let results = answers.into_iter().map(|answer| match answer.error {
            Some(error) => Err(error.of(method)),
            None => Ok(answer.result),
        });
        results.collect()
    }

    /// [`Self::batch`] in requests of a bounded length, each result required.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Iterator<Item = Value>,
        mut told: impl FnMut(usize),
    ) -> Result<Vec<T>, LoadError> {
        let params: Vec<Value> = params.collect();
        let mut results = Vec::with_capacity(params.len());
        for params in params.chunks(CALLS_MAX) {
            for result in self.batch(method, params.to_vec()).await? {
                results.push(required(method, result)?);
            }
            told(results.len());
        }
        Ok(results)
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, LoadError> {
        let id: Option<U64> = self.call("eth_chainId", json!([])).await?;
        Ok(required("eth_chainId", id)?.to())
    }

    pub(crate) async fn block_number(&self) -> Result<u64, LoadError> {
        let number: Option<U64> = self.call("eth_blockNumber", json!([])).await?;
        Ok(required("eth_blockNumber", number)?.to())
    }

    fn lost(&self, error: &reqwest::Error) -> LoadError {
        // The innermost reason is the one a person can use: "connection refused".
        let mut reason: &dyn Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        self.unreachable(reason.to_string())
    }

    fn unreachable(&self, problem: String) -> LoadError {
        LoadError::Transport {
            url: self.url.to_string(),
            problem,
        }
    }
}

/// All of a body; none if it is too large.
async fn read_body(
    mut response: reqwest::Response,
    lost: impl Fn(&reqwest::Error) -> LoadError,
) -> Result<Option<Bytes>, LoadError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(body.freeze()))
}

impl CallError {
    pub(crate) fn of(self, method: &'static str) -> LoadError {
        LoadError::Refused {
            method,
            code: self.code,
            message: self.message,
        }
    }
}

/// The answers of a batch, in any order.
pub(crate) fn parse_batch<T: DeserializeOwned>(
    method: &'static str,
    answer: &[u8],
) -> Result<Vec<Answer<T>>, LoadError> {
    match parse(method, answer)? {
        BatchAnswer::Each(answers) => Ok(answers),
        BatchAnswer::All(Answer {
            error: Some(error), ..
        }) => Err(error.of(method)),
        BatchAnswer::All(_) => Err(LoadError::Answer {
            method,
            problem: "one answer to a batch".to_owned(),
        }),
    }
}

/// What must not be null.
pub(crate) fn required<T>(method: &'static str, result: Option<T>) -> Result<T, LoadError> {
    result.ok_or_else(|| LoadError::Answer {
        method,
        problem: "null".to_owned(),
    })
}

/// An answer from its bytes.
pub(crate) fn parse<T: DeserializeOwned>(
    method: &'static str,
    answer: &[u8],
) -> Result<T, LoadError> {
    serde_json::from_slice(answer).map_err(|error| LoadError::Answer {
        method,
        problem: format!("{error}, in {:?}", beginning(answer)),
    })
}

fn beginning(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer.get(..4 * QUOTED_CHARS).unwrap_or(answer));
    text.chars().take(QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_answered_one_by_one_or_refused_as_a_whole() {
        let each = br#"[{"id":1,"result":"0x2"},{"id":0,"error":{"code":-32000,"message":"no"}}]"#;
        let answers = parse_batch::<U64>("eth_x", each).unwrap();
        assert_eq!(answers[0].result, Some(U64::from(2)));
        assert_eq!(answers[1].error.as_ref().unwrap().message, "no");
        let all = br#"{"id":null,"error":{"code":-32600,"message":"batch too large"}}"#;
        let refused = parse_batch::<U64>("eth_x", all).unwrap_err();
        assert!(refused.to_string().contains("batch too large"));
        assert!(parse_batch::<U64>("eth_x", b"<html>").is_err());
    }

    #[test]
    fn null_is_no_result_and_no_error() {
        let answer: Answer<U64> = parse("eth_x", br#"{"id":0,"result":null}"#).unwrap();
        assert!(answer.result.is_none() && answer.error.is_none());
    }

    #[test]
    fn only_http_is_spoken() {
        for url in ["https://example.org", "ws://localhost:1", "localhost:8545"] {
            assert!(
                matches!(Client::new(url, ANSWER_WAIT), Err(LoadError::Url { .. })),
                "{url}"
            );
        }
    }
}
