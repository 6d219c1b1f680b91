//! The state at one height, for reading.
//!
//! A snapshot is a height that is kept as long as the snapshot lives: taking one costs next to nothing,
//! and no later commit or flush changes what it answers. Accounts and storage come from memory, at
//! heights older than that reaches from the files' history; code and the hashes of old blocks, which never
//! change once written, from the store. Proofs come from the trie, which is at the newest height: for
//! an older one, the writes in between are taken back first.

use crate::reader::{Account, ReadFault, StateReader};
use crate::root::StateRoot;
use crate::runs::View;
use crate::sparse::witness::{WitnessError, WitnessGap};
use crate::store::{Inner, StoreError, files};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::KECCAK_EMPTY;
use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::sync::Arc;

/// The store's state at one height.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) inner: Arc<Inner>,
    pub(crate) state: Arc<StateAt>,
    /// Hash of the header at this height, if it was sealed when the snapshot was taken.
    pub(crate) hash: Option<B256>,
    /// For a height that is not in memory.
    pub(crate) files: Option<View>,
}

/// The state after the block at a height. Somebody who holds it keeps the height from being forgotten.
pub(crate) struct StateAt {
    pub(crate) height: u64,
    pub(crate) root: StateRoot,
}

/// An account and some of its slots, with Merkle proofs (`eth_getProof`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account; `None` when the proof shows that there is none.
    pub account: Option<Account>,
    /// Root of the account's storage trie.
    pub storage_root: B256,
    /// Encoded nodes from the state root towards the account.
    pub proof: Vec<Bytes>,
    /// One per slot asked for, in that order.
    pub storage: Vec<StorageProof>,
}

/// A slot with its Merkle proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot.
    pub key: U256,
    /// Its value; zero when the proof shows that there is none.
    pub value: U256,
    /// Encoded nodes from the storage root towards the slot.
    pub proof: Vec<Bytes>,
}

/// An account with all it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeAccount {
    /// Nonce, balance, hash of the code.
    pub account: Account,
    /// Its code.
    pub code: Bytes,
    /// Its slots, none of them zero.
    pub storage: BTreeMap<U256, U256>,
}

/// Every account of a state.
pub type WholeState = BTreeMap<Address, WholeAccount>;

/// A state cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Too much has been written since; states nearer to the newest can be proved.
    #[error("cannot prove a state this old: more than {most} writes since")]
    TooManyWrites {
        /// Taken back at most.
        most: usize,
    },
    /// Another proof at an older height is being made, or commits come too fast for one.
    #[error("proofs of older states are busy: try again, or prove a newer state")]
    Busy,
    /// Too much of the trie is not in memory.
    #[error("cannot prove a state this old: more than {most} parts of the trie are on disk")]
    TooManyParts {
        /// Brought back at most.
        most: usize,
    },
    /// Taken back, the writes lead to another root: a bug of ours.
    #[error("taken back, the state has another root: expected={expected} computed={computed}")]
    Root {
        /// The root of the height.
        expected: B256,
        /// What came out.
        computed: B256,
    },
    /// The history could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What we took of our own trie is no witness of it.
    #[error("cannot take the state back: {0}")]
    Witness(#[from] WitnessError),
    /// What we took of our own trie does not show enough.
    #[error("cannot take the state back: {0}")]
    Gap(#[from] WitnessGap),
}

impl Snapshot {
    /// The height whose state this is.
    pub fn height(&self) -> u64 {
        self.state.height
    }

    /// The root of this state.
    pub fn root(&self) -> StateRoot {
        self.state.root
    }

    /// Every account, for a state that is in memory; none if there are more accounts and slots than so many.
    /// Looks at all that is in memory.
    pub fn all_accounts(&self, entries_max: usize) -> Result<Option<WholeState>, ReadFault> {
        let Some(all) = self.inner.versions.all(self.height(), entries_max) else {
            return Ok(None);
        };
        let whole = all.into_iter().map(|(address, (account, storage))| {
            let code = self.code(&account.code_hash)?.unwrap_or_default();
            let whole = WholeAccount {
                account,
                code,
                storage,
            };
            Ok((address, whole))
        });
        whole.collect::<Result<_, _>>().map(Some)
    }

    /// An account and slots of it with proofs against [`Snapshot::root`].
    pub fn proof(&self, address: &Address, slots: &[B256]) -> Result<AccountProof, ProofError> {
        self.inner.proof(&self.state, address, slots)
    }
}

impl StateReader for Snapshot {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        match &self.files {
            None => Ok(self.inner.versions.account(self.height(), address)),
            Some(view) => {
                let account = files::account(view, self.height(), address);
                Ok(account.map_err(Box::new)?)
            }
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        match &self.files {
            None => Ok(self.inner.versions.storage(self.height(), address, slot)),
            Some(view) => {
                let value = files::storage(view, self.height(), address, slot);
                Ok(value.map_err(Box::new)?)
            }
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Some(Bytes::new()));
        }
        self.inner.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        if height >= self.height() {
            return Ok(self.hash.filter(|_| height == self.height()));
        }
        self.inner.block_hash(height)
    }
}

impl Debug for Snapshot {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (height, root) = (self.height(), self.root());
        write!(f, "Snapshot(height={height} root={})", *root)
    }
}
