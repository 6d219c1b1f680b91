//! One request with several transactions, and what the node says to each.
//!
//! ```text
//! Json   [eth_sendRawTransaction, …]  ─▶ an answer for each, or one error for all
//! Bulk   POST /bulk, a bundle          ─▶ how many were accepted, and the errors of the others
//! ```

use super::{
    client::{Answer, CallError, Client, parse},
    error::LoadError,
    sign::Signed,
};
use alloy_primitives::hex;
use bytes::Bytes;
use primitives::{BundleBuilder, limits::BUNDLE_BYTES_MAX, signature::SenderKey};
use serde::{Deserialize, de::IgnoredAny};
use std::fmt::Write as _;

const METHOD: &str = "eth_sendRawTransaction";
const BULK: &str = "headway_sendRawTransactions";

/// What a node said to one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Taken,
    Refused(CallError),
    /// Nothing: it has to be sent again.
    Unanswered,
}

/// Answers of a batch: one for each, or one for all.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum JsonAnswer {
    Each(Vec<Answer<IgnoredAny>>),
    All(Answer<IgnoredAny>),
}

/// The answer to a bundle.
#[derive(Debug, Deserialize)]
struct BulkAnswer {
    accepted: usize,
    #[serde(default)]
    errors: Vec<BulkError>,
}

#[derive(Debug, Deserialize)]
struct BulkError {
    index: usize,
    code: i64,
    message: String,
}

/// Sends transactions as a batch of calls; a reply for each, in their order.
pub(super) async fn submit(client: &Client, signed: &[&Signed]) -> Result<Vec<Reply>, LoadError> {
    let answer = client.post(json_body(signed)).await?;
    json_replies(&answer, signed.len())
}

/// Sends transactions as a bundle with their senders' keys; a reply for each, in their order. What does
/// not fit into one bundle stays unanswered.
pub(super) async fn submit_bulk(
    client: &Client,
    signed: &[(&Signed, &SenderKey)],
) -> Result<Vec<Reply>, LoadError> {
    let mut builder = BundleBuilder::new(BUNDLE_BYTES_MAX);
    let mut fitting = 0;
    for (signed, key) in signed {
        if builder.push(&signed.raw, Some(key)).is_err() {
            break;
        }
        fitting += 1;
    }
    let answer = client.post_bulk(builder.finish()).await?;
    let mut replies = bulk_replies(&answer, fitting)?;
    replies.resize(signed.len(), Reply::Unanswered);
    Ok(replies)
}

/// Asks with an empty bundle whether a node takes any.
pub(super) async fn require_bulk(client: &Client) -> Result<(), LoadError> {
    match client
        .post_bulk(BundleBuilder::new(BUNDLE_BYTES_MAX).finish())
        .await
    {
        Ok(_) => Ok(()),
        Err(LoadError::Transport { url, problem }) => Err(LoadError::NoBulk { url, problem }),
        Err(other) => Err(other),
    }
}

fn json_body(signed: &[&Signed]) -> Bytes {
    let length: usize = signed.iter().map(|signed| 2 * signed.raw.len() + 96).sum();
    let mut body = String::with_capacity(length + 2);
    for (id, signed) in signed.iter().enumerate() {
        body.push(if id == 0 { '[' } else { ',' });
        let raw = hex::encode_prefixed(&signed.raw);
        let written = write!(
            body,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{METHOD}","params":["{raw}"]}}"#
        );
        written.expect("a string takes whatever is written to it");
    }
    body.push(']');
    body.into()
}

fn json_replies(answer: &[u8], count: usize) -> Result<Vec<Reply>, LoadError> {
    let answers = match parse(METHOD, answer)? {
        JsonAnswer::Each(answers) => answers,
        JsonAnswer::All(Answer {
            error: Some(error), ..
        }) => {
            return Ok(vec![Reply::Refused(error); count]);
        }
        // A batch of one is answered by one object on some nodes.
        JsonAnswer::All(answer) => vec![answer],
    };
    let mut replies = vec![Reply::Unanswered; count];
    for answer in answers {
        let place = answer.id.and_then(|id| usize::try_from(id).ok());
        let Some(reply) = place.and_then(|place| replies.get_mut(place)) else {
            return Err(LoadError::Answer {
                method: METHOD,
                problem: "an answer to no call".to_owned(),
            });
        };
        *reply = match (answer.error, answer.result) {
            (Some(error), _) => Reply::Refused(error),
            (None, Some(_)) => Reply::Taken,
            (None, None) => Reply::Unanswered,
        };
    }
    Ok(replies)
}

fn bulk_replies(answer: &[u8], count: usize) -> Result<Vec<Reply>, LoadError> {
    let wrong = |problem: &str| LoadError::Answer {
        method: BULK,
        problem: problem.to_owned(),
    };
    let answer: BulkAnswer = parse(BULK, answer)?;
    let mut replies = vec![Reply::Taken; count];
    for BulkError {
        index,
        code,
        message,
    } in answer.errors
    {
        match replies.get_mut(index) {
            Some(reply @ Reply::Taken) => *reply = Reply::Refused(CallError { code, message }),
            Some(_) => return Err(wrong("two errors for one transaction")),
            None => return Err(wrong("an error for no transaction")),
        }
    }
    let taken = replies.iter().filter(|reply| **reply == Reply::Taken);
    match taken.count() == answer.accepted {
        true => Ok(replies),
        false => Err(wrong("accepted and errors do not add up")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use serde_json::Value;

    fn refused(code: i64, message: &str) -> Reply {
        Reply::Refused(CallError {
            code,
            message: message.to_owned(),
        })
    }

    #[test]
    fn a_body_is_json_that_holds_every_transaction() {
        let signed: Vec<Signed> = (0..3_u8)
            .map(|byte| Signed {
                hash: B256::repeat_byte(byte),
                raw: vec![byte; 1 + usize::from(byte)].into(),
            })
            .collect();
        let body = json_body(&signed.iter().collect::<Vec<_>>());
        let calls: Vec<Value> = serde_json::from_slice(&body).unwrap();
        for (id, (call, signed)) in calls.iter().zip(&signed).enumerate() {
            assert_eq!(call["id"], id);
            assert_eq!(call["method"], METHOD);
            assert_eq!(call["params"][0], hex::encode_prefixed(&signed.raw));
        }
        assert_eq!(calls.len(), 3);
    }

    #[test]
    fn answers_come_in_any_order_and_some_do_not_come() {
        let answer =
            br#"[{"id":2,"result":"0x1"},{"id":0,"error":{"code":-32000,"message":"no"}}]"#;
        let replies = json_replies(answer, 3).unwrap();
        let expected = [refused(-32_000, "no"), Reply::Unanswered, Reply::Taken];
        assert_eq!(replies, expected);
        assert!(json_replies(br#"[{"id":3,"result":"0x1"}]"#, 3).is_err());
        assert!(json_replies(b"<html>", 3).is_err());
        let all = br#"{"id":null,"error":{"code":-32600,"message":"batch too large"}}"#;
        assert_eq!(
            json_replies(all, 2).unwrap(),
            vec![refused(-32_600, "batch too large"); 2]
        );
        let one = br#"{"id":0,"result":"0x1"}"#;
        assert_eq!(json_replies(one, 1).unwrap(), [Reply::Taken]);
    }

    #[test]
    fn a_bulk_answer_has_to_add_up() {
        let fine = br#"{"accepted":2,"errors":[{"index":1,"code":-32000,"message":"no"}]}"#;
        let replies = bulk_replies(fine, 3).unwrap();
        assert_eq!(
            replies,
            [Reply::Taken, refused(-32_000, "no"), Reply::Taken]
        );
        for wrong in [
            r#"{"accepted":3,"errors":[{"index":1,"code":0,"message":""}]}"#,
            r#"{"accepted":2,"errors":[{"index":3,"code":0,"message":""}]}"#,
            r#"{"accepted":1,"errors":[{"index":1,"code":0,"message":""},{"index":1,"code":0,"message":""}]}"#,
            r#"{"errors":[]}"#,
            "404",
        ] {
            assert!(bulk_replies(wrong.as_bytes(), 3).is_err(), "{wrong}");
        }
    }
}
