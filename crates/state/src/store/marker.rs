//! What the files say of themselves: written with every batch, read first when they are opened.

use super::error::StoreError;
use crate::root::StateRoot;
use alloy_primitives::B256;

/// The format of the files that this version writes and reads.
const FORMAT: u32 = 2;
/// Set in the format of files that do not hold the whole state yet.
const IMPORTING: u32 = 1 << 31;
const BYTES: usize = 4 + 8 + 3 * 32;

/// The state that the files hold, and of which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) height: u64,
    pub(super) root: B256,
    /// Of the block at the height.
    pub(super) hash: B256,
    /// Of the block at height 0.
    pub(super) genesis: B256,
    /// Whether the state is not whole yet.
    pub(super) is_importing: bool,
}

impl Marker {
    pub(super) fn new(height: u64, root: StateRoot, hash: B256, genesis: B256) -> Self {
        Self {
            height,
            root: *root,
            hash,
            genesis,
            is_importing: false,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        let flag = if self.is_importing { IMPORTING } else { 0 };
        bytes.extend((FORMAT | flag).to_be_bytes());
        bytes.extend(self.height.to_be_bytes());
        for hash in [self.root, self.hash, self.genesis] {
            bytes.extend(hash);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let format = bytes
            .first_chunk()
            .map_or(0, |first| u32::from_be_bytes(*first));
        let height = bytes.get(4..).and_then(<[u8]>::first_chunk);
        let (Some(height), BYTES, FORMAT) = (height, bytes.len(), format & !IMPORTING) else {
            return Err(StoreError::WrongFormat {
                stored: format,
                supported: FORMAT,
            });
        };
        let hash = |index: usize| B256::from_slice(&bytes[12 + 32 * index..][..32]);
        Ok(Self {
            height: u64::from_be_bytes(*height),
            root: hash(0),
            hash: hash(1),
            genesis: hash(2),
            is_importing: format & IMPORTING != 0,
        })
    }

    /// Whether it is of the chain with this genesis block.
    pub(super) fn require(&self, genesis: B256) -> Result<(), StoreError> {
        match self.genesis == genesis {
            true => Ok(()),
            false => Err(StoreError::WrongGenesis {
                stored: self.genesis,
                given: genesis,
            }),
        }
    }
}
