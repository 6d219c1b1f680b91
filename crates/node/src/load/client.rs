//! Ethereum JSON-RPC over HTTP, as much of it as a load needs.

use super::error::LoadError;
use alloy_primitives::U64;
use bytes::{Bytes, BytesMut};
use reqwest::{Url, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{error::Error, time::Duration};

/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Largest answer taken: the receipts of a block of a hundred thousand transactions.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A node, reached over connections that are kept open.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
}

/// An answer to one call.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<T> {
    #[serde(default)]
    id: Option<u64>,
    pub(super) result: Option<T>,
    pub(super) error: Option<CallError>,
}

/// Why a call was refused.
#[derive(Debug, Deserialize)]
pub(super) struct CallError {
    pub(super) code: i64,
    pub(super) message: String,
}

/// A batch has one answer for each call, or one for all if it was refused as a whole.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum BatchAnswer<T> {
    Each(Vec<Answer<T>>),
    All(Answer<Value>),
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self, LoadError> {
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
            .timeout(ANSWER_WAIT)
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self { http, url: parsed })
    }

    /// The answer to a request as it came.
    pub(super) async fn post(&self, body: Bytes) -> Result<Bytes, LoadError> {
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let mut response = request.send().await.map_err(|error| self.lost(&error))?;
        let mut answer = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            answer.extend_from_slice(&chunk);
            if answer.len() > ANSWER_BYTES_MAX {
                let problem = format!("an answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(self.unreachable(problem));
            }
        }
        if response.status().is_server_error() && answer.is_empty() {
            return Err(self.unreachable(response.status().to_string()));
        }
        Ok(answer.freeze())
    }

    /// The result of one call; none if it is null.
    pub(super) async fn call<T: DeserializeOwned>(
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

    /// The results of one method for several parameters, in their order; an error if any has none.
    pub(super) async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<Option<T>>, LoadError> {
        let calls = params.into_iter().enumerate().map(
            |(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}),
        );
        let calls = Value::Array(calls.collect());
        let answer = self.post(calls.to_string().into()).await?;
        let mut answers: Vec<Answer<T>> = parse_batch(method, &answer)?;
        answers.sort_by_key(|answer| answer.id);
        let results = answers.into_iter().map(|answer| match answer.error {
            Some(error) => Err(error.of(method)),
            None => Ok(answer.result),
        });
        results.collect()
    }

    pub(super) async fn chain_id(&self) -> Result<u64, LoadError> {
        let id: Option<U64> = self.call("eth_chainId", json!([])).await?;
        Ok(required("eth_chainId", id)?.to())
    }

    pub(super) async fn block_number(&self) -> Result<u64, LoadError> {
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

impl CallError {
    pub(super) fn of(self, method: &'static str) -> LoadError {
        LoadError::Refused {
            method,
            code: self.code,
            message: self.message,
        }
    }
}

/// The answers of a batch, in any order.
pub(super) fn parse_batch<T: DeserializeOwned>(
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
pub(super) fn required<T>(method: &'static str, result: Option<T>) -> Result<T, LoadError> {
    result.ok_or_else(|| LoadError::Answer {
        method,
        problem: "null".to_owned(),
    })
}

fn parse<T: DeserializeOwned>(method: &'static str, answer: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(answer).map_err(|error| {
        let start: String = String::from_utf8_lossy(answer).chars().take(80).collect();
        LoadError::Answer {
            method,
            problem: format!("{error}, in {start:?}"),
        }
    })
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
                matches!(Client::new(url), Err(LoadError::Url { .. })),
                "{url}"
            );
        }
    }
}
