//! Analysed code, kept from block to block and from call to call.
//!
//! ```text
//! get ─▶ young ─miss─▶ old ─miss─▶ state, analysed ─▶ young
//!                       └ found: young again           └ too many bytes: young becomes old, old is forgotten
//! ```
//! Finding the jump destinations of a contract takes longer than most calls of it. The cache is
//! addressed by content, so whoever fills it cannot change what anybody reads. What is used stays
//! while others come: calls of many contracts do not push out those that blocks use.
//!
//! Limits: [`GENERATION_BYTES_MAX`] twice in each of [`SHARDS`] shards, 128 MiB together.

use crate::fault::ExecutionFault;
use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::Bytecode;
use state::StateReader;
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 16;
/// What the code of a delegated account begins with (EIP-7702).
const DELEGATION_PREFIX: [u8; 2] = [0xef, 0x01];
/// Most bytes of the younger half of a shard.
const GENERATION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a contract takes beside its code and the bits of its jump destinations, in bytes.
const CONTRACT_BYTES: usize = 512;

/// Analysed code by its hash; safe to share between threads and blocks.
#[derive(Debug, Default)]
pub struct CodeCache {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    young: B256Map<Bytecode>,
    young_bytes: usize,
    old: B256Map<Bytecode>,
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
            return Ok(code);
        }
        // Not under the lock: it may read a disk.
        let code = read_code(code_hash, state, delegates)?;
        if !looks_like_delegation(&code) {
            self.shard(&code_hash).insert(code_hash, code.clone());
        }
        Ok(code)
    }

    fn shard(&self, code_hash: &B256) -> MutexGuard<'_, Shard> {
        let [first, ..] = code_hash.0;
        let index = usize::from(first) % SHARDS;
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn get(&mut self, code_hash: &B256) -> Option<Bytecode> {
        if let Some(code) = self.young.get(code_hash) {
            return Some(code.clone());
        }
        let code = self.old.remove(code_hash)?;
        self.insert(*code_hash, code.clone());
        Some(code)
    }

    fn insert(&mut self, code_hash: B256, code: Bytecode) {
        let bytes = bytes_of(&code);
        if self.young_bytes.saturating_add(bytes) > GENERATION_BYTES_MAX {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(code_hash, code).is_none() {
            self.young_bytes = self.young_bytes.saturating_add(bytes);
        }
    }
}

/// What analysed code takes, in bytes.
fn bytes_of(code: &Bytecode) -> usize {
    let length = code.bytes_slice().len();
    length
        .saturating_add(length / 8)
        .saturating_add(CONTRACT_BYTES)
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;
    use state::MemoryState;

    /// Contracts of 24 KiB whose hashes are in one shard.
    fn contracts() -> impl Iterator<Item = (B256, Bytes)> {
        let codes = (0..u64::MAX).map(|number| {
            let mut code = vec![0x5b; 24 * 1024];
            code[..8].copy_from_slice(&number.to_be_bytes());
            Bytes::from(code)
        });
        codes
            .map(|code| (keccak256(&code), code))
            .filter(|(hash, _)| usize::from(hash.0[0]) % SHARDS == 3)
    }

    fn analysed(code: &Bytes) -> Bytecode {
        parse_code(code.clone(), true)
    }

    #[test]
    fn what_is_used_stays_and_the_bytes_are_bounded() {
        let cache = CodeCache::default();
        let nowhere = MemoryState::default();
        let mut contracts = contracts();
        let (used, code) = contracts.next().unwrap();
        cache.shard(&used).insert(used, analysed(&code));
        let (idle, code) = contracts.next().unwrap();
        cache.shard(&idle).insert(idle, analysed(&code));
        for (hash, code) in contracts.take(600) {
            cache.shard(&hash).insert(hash, analysed(&code));
            cache.get(used, &nowhere, true).expect("it is used often");
            let shard = cache.shard(&hash);
            let all = shard.young.values().chain(shard.old.values());
            let bytes: usize = all.map(bytes_of).sum();
            assert!(bytes <= 2 * GENERATION_BYTES_MAX, "{bytes}");
        }
        assert!(cache.get(idle, &nowhere, true).is_err(), "nobody used it");
    }
}
