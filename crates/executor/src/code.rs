//! Analysed code, kept from block to block.
//!
//! Finding the jump destinations of a contract takes longer than most calls of it. The cache is
//! addressed by content, so whoever fills it cannot change what anybody reads.

use crate::fault::ExecutionFault;
use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::Bytecode;
use state::StateReader;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// Most contracts in one shard: at 24 KiB of code each, a full cache takes some 100 MB.
const SHARD_CONTRACTS_MAX: usize = 256;

/// Analysed code by its hash; safe to share between threads and blocks.
#[derive(Debug, Default)]
pub struct CodeCache {
    shards: [Mutex<B256Map<Bytecode>>; SHARDS],
}

impl CodeCache {
    /// The code with this hash, from here or from `state`.
    pub(crate) fn get(
        &self,
        code_hash: B256,
        state: &dyn StateReader,
    ) -> Result<Bytecode, ExecutionFault> {
        if let Some(code) = self.shard(&code_hash).get(&code_hash) {
            return Ok(code.clone());
        }
        let code = read_code(code_hash, state)?;
        let mut shard = self.shard(&code_hash);
        if shard.len() >= SHARD_CONTRACTS_MAX {
            shard.clear();
        }
        shard.insert(code_hash, code.clone());
        Ok(code)
    }

    fn shard(&self, code_hash: &B256) -> MutexGuard<'_, B256Map<Bytecode>> {
        let [first, ..] = code_hash.0;
        let index = usize::from(first) % SHARDS;
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Code from the state, analysed.
pub(crate) fn read_code(
    code_hash: B256,
    state: &dyn StateReader,
) -> Result<Bytecode, ExecutionFault> {
    let code = state.code(&code_hash)?;
    Ok(parse_code(
        code.ok_or(ExecutionFault::CodeMissing(code_hash))?,
    ))
}

/// Code as it lies in the state. Bytes that only look like a delegation are ordinary code.
pub(crate) fn parse_code(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}
