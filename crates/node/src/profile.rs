//! `headway profile`: what kept the transactions of a block from running at once.
//!
//! ```text
//! --block    node ─ headway_getBlockProfile, headway_getBlockExecution ─┐
//! --tx-file  lines of hex ─ executed over the genesis of `headway dev` ─┴▶ Profiled ─▶ text, JSON, drawing
//! ```
//! Transactions of a file are one block, in the order of the file, on a chain that begins with it: those of
//! the accounts of `headway dev` can pay. Limits: [`FILE_BYTES_MAX`] bytes, [`FILE_TRANSACTIONS_MAX`]
//! transactions.

mod error;
mod file;
mod svg;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;

pub use error::ProfileError;
pub use text::{Style, WIDTH_DEFAULT};

use crate::load::client::Client;
use alloy_primitives::B256;
use rpc::RpcProfile;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{num::NonZeroUsize, path::Path, time::Duration};

/// Longest file of transactions, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most transactions of a file.
pub const FILE_TRANSACTIONS_MAX: usize = 100_000;

/// Longest wait for a node's answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Workers of the schedule that is drawn where nobody kept who executed what.
const SCHEDULE_WORKERS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
/// Characters of a block's hash.
const HASH_CHARS: usize = 66;

/// A block's profile, and who executed what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiled {
    /// Where the transactions came from, in words.
    pub source: String,
    /// The profile, with a schedule.
    pub profile: RpcProfile,
    /// What workers did, if that was kept.
    pub spans: Vec<WorkerSpan>,
}

/// One execution of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerSpan {
    /// Who executed it.
    pub worker: usize,
    /// Place of the transaction in the block.
    pub transaction: usize,
    /// Microseconds from the start of the block's execution.
    pub start_us: u64,
    /// Microseconds from the start of the block's execution.
    pub end_us: u64,
    /// Whether an execution ahead of the turn had been in vain.
    pub again: bool,
}

/// What a node remembers of an execution, as far as it is drawn.
#[derive(Debug, Default, Deserialize)]
struct Execution {
    #[serde(default)]
    spans: Vec<WorkerSpan>,
}

/// Asks a node for the profile of a block.
///
/// # Errors
/// When the node can't be reached, refuses, or has no such block.
pub fn of_block(url: &str, block: &str) -> Result<Profiled, ProfileError> {
    let id = parse_block(block)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProfileError::Runtime)?;
    runtime.block_on(async {
        let client = Client::new(url, ANSWER_WAIT)?;
        let params = json!([id, SCHEDULE_WORKERS]);
        let profile: Option<RpcProfile> = client.call("headway_getBlockProfile", params).await?;
        let profile = profile.ok_or_else(|| ProfileError::NoBlock(block.to_owned()))?;
        // By its hash, because `latest` may be another one by now.
        let params = json!([profile.hash]);
        let execution: Option<Execution> = client.call("headway_getBlockExecution", params).await?;
        Ok(Profiled {
            source: client.url().to_owned(),
            profile,
            spans: execution.unwrap_or_default().spans,
        })
    })
}

/// Executes the transactions of a file as one block, on so many workers.
///
/// # Errors
/// When the file can't be read, a line is no transaction, or one can't be in the block.
pub fn of_file(path: &Path, workers: NonZeroUsize) -> Result<Profiled, ProfileError> {
    file::profile(path, workers)
}

/// Writes the profile as a drawing.
///
/// # Errors
/// When the file can't be written.
pub fn write_svg(profiled: &Profiled, path: &Path) -> Result<(), ProfileError> {
    std::fs::write(path, svg::draw(profiled)).map_err(|problem| ProfileError::File {
        action: "cannot write",
        path: path.to_owned(),
        problem,
    })
}

impl Profiled {
    /// The profile for people.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        text::render(self, style)
    }
}

/// A block as JSON-RPC names it: a number in either notation, a hash, or a tag.
fn parse_block(block: &str) -> Result<Value, ProfileError> {
    let refuse = || ProfileError::Block(block.to_owned());
    match block {
        "latest" | "finalized" | "safe" | "earliest" => return Ok(json!(block)),
        _ => {}
    }
    if block.len() == HASH_CHARS {
        let hash: B256 = block.parse().map_err(|_| refuse())?;
        return Ok(json!(hash));
    }
    let number = match block.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => block.parse(),
    };
    let number = number.map_err(|_| refuse())?;
    Ok(json!(format!("{number:#x}")))
}
