//! From bytes of anyone to a witness of a trusted root, or an error.

use super::{
    ACCOUNT, BRANCH, EMPTY, EXTENSION, HAS_CODE, HAS_STORAGE, HASH, SLOT, VERSION,
    WITNESS_BYTES_MAX, memory_bytes_max,
};
use crate::diff::StateDiff;
use crate::reader::{Account, ReadFault, StateReader};
use crate::root::StateRoot;
use crate::snapshot::AccountProof;
use crate::sparse::arena::{Arena, NONE, Ptr};
use crate::sparse::changes::Changes;
use crate::sparse::keccak::Lanes;
use crate::sparse::leaf::{AccountWrite, LEAF_BYTES_MAX, Place, SlotWrite, Stored, Write};
use crate::sparse::node::{KEY_NIBBLES, Kind, Path, Reference, nibble_at};
use crate::sparse::rehash::{JOB_BYTES, Rehash, RootJob};
use crate::sparse::split::Split;
use crate::sparse::trie::{Missing, SparseTrie};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use rayon::ThreadPool;
use std::collections::BTreeMap;

/// What a short code takes beside its bytes: a block of its own, and a place in a map that grows by doubling.
const CODE_BYTES: usize = 256;

/// Part of the state with a trusted root.
#[derive(Debug)]
pub struct Witness {
    trie: SparseTrie,
    codes: B256Map<Bytes>,
    block_hashes: BTreeMap<u64, B256>,
}

/// Bytes that are no witness of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Longer than any witness.
    #[error("witness too long: bytes={0}")]
    TooLong(usize),
    /// Of another version.
    #[error("unknown witness version={0}")]
    Version(u8),
    /// Not a sequence of nodes and codes.
    #[error("malformed witness at byte={0}")]
    Malformed(usize),
    /// Of more nodes or codes than so short a witness should have.
    #[error("witness takes too much memory: bytes={taken} bytes_max={max}")]
    TooMuchMemory {
        /// What was taken when decoding stopped.
        taken: usize,
        /// What a witness of this length may take.
        max: usize,
    },
    /// A sequence of nodes with another root.
    #[error("witness of root={found}, not of root={trusted}")]
    Root {
        /// The root that was asked for.
        trusted: B256,
        /// The root of these nodes.
        found: B256,
    },
}

/// Something that the witness does not show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessGap {
    /// A node of the trie.
    #[error(transparent)]
    Node(#[from] Missing),
    /// Code.
    #[error("code_hash={0} is not in the witness")]
    Code(B256),
    /// The hash of a block.
    #[error("the hash of height={0} is not given")]
    Block(u64),
}

impl Witness {
    /// Reads a witness of a trusted root. `block_hashes` are what code may ask for, by height, trusted
    /// as well.
    pub fn decode(
        bytes: &[u8],
        trusted: B256,
        block_hashes: BTreeMap<u64, B256>,
    ) -> Result<Self, WitnessError> {
        if bytes.len() > WITNESS_BYTES_MAX {
            return Err(WitnessError::TooLong(bytes.len()));
        }
        let mut reader = Reader {
            bytes,
            at: 0,
            beside: 0,
            // Nodes take about as much in memory as in a witness.
            arena: Arena::with_room(bytes.len()),
            rehash: Rehash::new(Lanes::Widest),
        };
        let version = reader.byte()?;
        if version != VERSION {
            return Err(WitnessError::Version(version));
        }
        reader.arena.partial = true;
        let root = match bytes.get(1) {
            Some(&EMPTY) => {
                reader.at += 1;
                NONE
            }
            _ => reader.root(false)?.0,
        };
        let codes = reader.codes()?;
        let (arena, mut rehash) = (reader.arena, reader.rehash);
        let mut accounts = Split::whole();
        accounts.parts[0].arena = arena;
        accounts.parts[0].root = root;
        if root != NONE {
            let job = RootJob {
                arena: 0,
                node: root,
                depth: 0,
            };
            let reference = rehash.run(&mut accounts.parts, [job].iter())[0];
            accounts.parts[0].reference = reference;
        }
        accounts.finish();
        let found = accounts.root();
        if found != trusted {
            return Err(WitnessError::Root { trusted, found });
        }
        Ok(Self {
            trie: SparseTrie::over(accounts, Lanes::Widest),
            codes,
            block_hashes,
        })
    }

    /// The root of the state.
    pub fn root(&self) -> StateRoot {
        self.trie.root()
    }

    /// An account and slots of it with proofs against the root.
    pub fn proof(&self, address: &Address, slots: &[B256]) -> Result<AccountProof, WitnessGap> {
        Ok(self.trie.proof(address, slots)?)
    }

    #[cfg(test)]
    pub(in crate::sparse) fn trie(&self) -> &SparseTrie {
        &self.trie
    }

    /// The root after a block's writes, which this witness then is of.
    pub fn apply(
        &mut self,
        diff: &StateDiff,
        pool: Option<&ThreadPool>,
    ) -> Result<StateRoot, WitnessGap> {
        self.apply_changes(&Changes::of(diff, Lanes::Widest), pool)
    }

    /// The root after these writes, which this witness then is of.
    pub fn apply_changes(
        &mut self,
        changes: &Changes,
        pool: Option<&ThreadPool>,
    ) -> Result<StateRoot, WitnessGap> {
        Ok(self.trie.apply(changes, pool)?)
    }
}

impl StateReader for Witness {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        Ok(self.trie.account(address).map_err(WitnessGap::Node)?)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        Ok(self.trie.storage(address, slot).map_err(WitnessGap::Node)?)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Some(Bytes::new()));
        }
        match self.codes.get(code_hash) {
            Some(code) => Ok(Some(code.clone())),
            None => Err(WitnessGap::Code(*code_hash).into()),
        }
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        match self.block_hashes.get(&height) {
            Some(hash) => Ok(Some(*hash)),
            None => Err(WitnessGap::Block(height).into()),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of memory taken outside the arena.
    beside: usize,
    arena: Arena,
    rehash: Rehash,
}

/// Where in the tries the reader is.
#[derive(Clone, Copy)]
struct Spot {
    key: [u8; 32],
    depth: usize,
    storage: bool,
}

impl Spot {
    fn below(mut self, nibble: u8) -> Option<Self> {
        if self.depth == KEY_NIBBLES {
            return None;
        }
        let shift = 4 * (1 - self.depth % 2);
        self.key[self.depth / 2] |= nibble << shift;
        self.depth += 1;
        Some(self)
    }
}

impl<'a> Reader<'a> {
    /// The root of a trie: never a hash in the trie of accounts.
    fn root(&mut self, storage: bool) -> Result<(Ptr, Reference), WitnessError> {
        let at = self.at;
        let spot = Spot {
            key: [0; 32],
            depth: 0,
            storage,
        };
        let (node, reference) = self.node(spot)?;
        match node == NONE && !storage {
            true => Err(WitnessError::Malformed(at)),
            false => Ok((node, reference)),
        }
    }

    fn node(&mut self, spot: Spot) -> Result<(Ptr, Reference), WitnessError> {
        let at = self.at;
        let node = match self.byte()? {
            HASH => return Ok((NONE, Reference::Hash(self.array()?))),
            BRANCH => self.branch(spot)?,
            EXTENSION => self.extension(spot)?,
            SLOT if spot.storage => self.slot(spot)?,
            ACCOUNT if !spot.storage => self.account(spot)?,
            _ => return Err(WitnessError::Malformed(at)),
        };
        self.take_memory(JOB_BYTES)?;
        Ok((node, Reference::Stale))
    }

    /// Counts memory outside the arena, and what the arena holds by now.
    fn take_memory(&mut self, bytes: usize) -> Result<(), WitnessError> {
        self.beside += bytes;
        let taken = self.beside + self.arena.held_bytes();
        let max = memory_bytes_max(self.bytes.len());
        match taken <= max {
            true => Ok(()),
            false => Err(WitnessError::TooMuchMemory { taken, max }),
        }
    }

    fn branch(&mut self, spot: Spot) -> Result<Ptr, WitnessError> {
        let children = u16::from_le_bytes(self.array()?);
        self.ensure(children.count_ones() >= 2)?;
        let mut found = [None; 16];
        for nibble in crate::sparse::node::bits(children) {
            let below = spot.below(nibble).ok_or(WitnessError::Malformed(self.at))?;
            found[usize::from(nibble)] = Some(self.node(below)?);
        }
        Ok(self.arena.new_mixed_branch(&found))
    }

    fn extension(&mut self, spot: Spot) -> Result<Ptr, WitnessError> {
        let length = usize::from(self.byte()?);
        self.ensure(length > 0 && spot.depth + length < KEY_NIBBLES)?;
        let packed = self.take(length.div_ceil(2))?;
        let path =
            Path::new((0..length).map(|index| packed[index / 2] >> (4 * (1 - index % 2)) & 0x0f));
        let unused = length % 2 == 1 && packed[length / 2] & 0x0f != 0;
        self.ensure(!unused)?;
        let mut below = spot;
        for nibble in path.nibbles() {
            below = below
                .below(*nibble)
                .ok_or(WitnessError::Malformed(self.at))?;
        }
        let (child, reference) = self.node(below)?;
        self.ensure(child == NONE || self.arena.kind(child) == Kind::Branch)?;
        Ok(self.arena.new_extension(path.nibbles(), child, reference))
    }

    /// The key of a leaf, of which the first nibbles are known.
    fn key(&mut self, spot: Spot) -> Result<B256, WitnessError> {
        let mut key = spot.key;
        let from = spot.depth / 2;
        key[from..].copy_from_slice(self.take(32 - from)?);
        let odd = !spot.depth.is_multiple_of(2);
        self.ensure(
            !odd || nibble_at(&key, spot.depth - 1) == nibble_at(&spot.key, spot.depth - 1),
        )?;
        Ok(key.into())
    }

    fn slot(&mut self, spot: Spot) -> Result<Ptr, WitnessError> {
        let key = self.key(spot)?;
        let length = usize::from(self.byte()?);
        let value = self.number(length)?;
        self.ensure(!value.is_zero())?;
        let mut block = [0; LEAF_BYTES_MAX];
        Ok(self.arena.place(SlotWrite { key, value }.leaf(&mut block)))
    }

    fn account(&mut self, spot: Spot) -> Result<Ptr, WitnessError> {
        let key = self.key(spot)?;
        let [flags, balance] = self.array()?;
        self.ensure(flags & 0x0f & !(HAS_CODE | HAS_STORAGE) == 0 && flags >> 4 <= 8)?;
        let nonce = self.number(usize::from(flags >> 4))?;
        let balance = self.number(usize::from(balance))?;
        let mut account = Account {
            nonce: nonce.as_limbs()[0],
            balance,
            code_hash: KECCAK_EMPTY,
        };
        if flags & HAS_CODE != 0 {
            account.code_hash = B256::from(self.array()?);
            self.ensure(account.has_code())?;
        }
        let mut stored = Stored::EMPTY;
        if flags & HAS_STORAGE != 0 {
            stored = self.stored()?;
        }
        let value = Some((account, stored));
        let mut block = [0; LEAF_BYTES_MAX];
        Ok(self
            .arena
            .place(AccountWrite { key, value }.leaf(&mut block)))
    }

    fn stored(&mut self) -> Result<Stored, WitnessError> {
        let (node, reference) = self.root(true)?;
        if let Reference::Hash(hash) = reference {
            self.ensure(hash != EMPTY_ROOT_HASH.0)?;
            return Ok(Stored {
                place: Place::Unresolved,
                bytes: 0,
                root: hash.into(),
            });
        }
        let job = RootJob {
            arena: 0,
            node,
            depth: 0,
        };
        let arenas = std::slice::from_mut(&mut self.arena);
        let root = match self.rehash.run(arenas, [job].iter())[0] {
            Reference::Hash(hash) => hash.into(),
            _ => keccak256(self.arena.encoding(node, 0)),
        };
        Ok(Stored {
            place: Place::Small(node),
            bytes: 0,
            root,
        })
    }

    /// A number without leading zeros.
    fn number(&mut self, length: usize) -> Result<U256, WitnessError> {
        self.ensure(length <= 32)?;
        let bytes = self.take(length)?;
        self.ensure(bytes.first() != Some(&0))?;
        Ok(U256::from_be_slice(bytes))
    }

    /// The codes, by hash; they end the witness.
    fn codes(&mut self) -> Result<B256Map<Bytes>, WitnessError> {
        let count = u32::from_le_bytes(self.array()?);
        let mut codes = B256Map::default();
        for _ in 0..count {
            let length = u32::from_le_bytes(self.array()?);
            let code = self.take(length as usize)?;
            self.take_memory(CODE_BYTES + code.len())?;
            codes.insert(keccak256(code), Bytes::copy_from_slice(code));
        }
        self.ensure(self.at == self.bytes.len())?;
        Ok(codes)
    }

    fn byte(&mut self) -> Result<u8, WitnessError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WitnessError> {
        let bytes = self.take(N)?.try_into();
        Ok(bytes.expect("as many as were taken"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WitnessError> {
        let rest = &self.bytes[self.at..];
        let bytes = rest.get(..length).ok_or(WitnessError::Malformed(self.at))?;
        self.at += length;
        Ok(bytes)
    }

    fn ensure(&self, holds: bool) -> Result<(), WitnessError> {
        match holds {
            true => Ok(()),
            false => Err(WitnessError::Malformed(self.at)),
        }
    }
}
