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
/// What the code of a delegated account begins with (EIP-7702).
const DELEGATION_PREFIX: [u8; 2] = [0xef, 0x01];
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
        delegates: bool,
    ) -> Result<Bytecode, ExecutionFault> {
        if let Some(code) = self.shard(&code_hash).get(&code_hash) {
            return Ok(code.clone());
        }
        let code = read_code(code_hash, state, delegates)?;
        if looks_like_delegation(&code) {
            return Ok(code);
        }
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
    delegates: bool,
) -> Result<Bytecode, ExecutionFault> {
    let code = state.code(&code_hash)?;
    let code = code.ok_or(ExecutionFault::CodeMissing(code_hash))?;
    Ok(parse_code(code, delegates))
}

/// What some forks run as code and others as a delegation is not kept for all of them.
fn looks_like_delegation(code: &Bytecode) -> bool {
    code.original_byte_slice().starts_with(&DELEGATION_PREFIX)
}

/// Code as it lies in the state. Bytes that only look like a delegation are ordinary code, and so are
/// all before delegations exist (EIP-7702): until London, anybody could create such code.
pub(crate) fn parse_code(code: Bytes, delegates: bool) -> Bytecode {
    if !delegates {
        return Bytecode::new_legacy(code);
    }
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}
