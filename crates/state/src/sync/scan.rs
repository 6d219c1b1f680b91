//! From the leaves of a state to its manifest, in one pass.
//!
//! ```text
//!   key:  1a3…  1a7…  │ 1b…   │ 7…          leaves in order
//!         └─ run ───┘                        fits into a chunk so far: not hashed yet
//!   open: ∅ ── 1                             branches above the run: known to be too heavy for one
//!
//!   the run grows too heavy   a branch opens inside of it; what is complete below becomes units
//!   the next key leaves it    the run becomes a unit; branches that end become nodes of the top
//! ```
//!
//! Memory: the top, and leaves for one chunk of accounts and one of slots.

use super::leaf::{self, AccountLeaf, COUNT_BYTES};
use super::manifest::{Manifest, Node, encode};
use super::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, LeafScan, MANIFEST_BYTES_MAX, ManifestError, SlotLeaf,
};
use crate::reader::ReadFault;
use crate::sparse::subtrie::{self, Reference, Subtries};
use crate::sparse::{AccountRow, Lanes, SlotWrite};
use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use std::ops::Range;

/// A state that must not be offered.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The leaves can't be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// A leaf is not above the one before it.
    #[error("leaf out of order: account={account:?} key={key}")]
    Order {
        /// The account whose slot it is; `None` for an account.
        account: Option<B256>,
        /// Key of the leaf.
        key: B256,
    },
    /// A slot is zero, and so should not be.
    #[error("slot of zero: account={account} key={key}")]
    ZeroSlot {
        /// Key of the account.
        account: B256,
        /// Key of the slot.
        key: B256,
    },
    /// The slots of an account do not have the root that stands with the account.
    #[error("wrong storage root: account={account} stored={stored} computed={computed}")]
    StorageRoot {
        /// Key of the account.
        account: B256,
        /// Root that stands with the account.
        stored: B256,
        /// Root of its slots.
        computed: B256,
    },
    /// The leaves do not have the root of the state.
    #[error("wrong state root: expected={expected} computed={computed}")]
    Root {
        /// Root of the state.
        expected: B256,
        /// Root of the leaves.
        computed: B256,
    },
    /// The manifest would be longer than peers take.
    #[error("the state has too many chunks for a manifest of bytes_max={MANIFEST_BYTES_MAX}")]
    TooLarge,
    /// What was made does not read back.
    #[error("manifest does not read back: {0}")]
    Manifest(ManifestError),
}

impl Manifest {
    /// The manifest of the state with this root, by one pass over all of its leaves. `chunk_bytes_max` is
    /// [`CHUNK_BYTES_MAX`] on every network; smaller ones are for tests.
    ///
    /// # Errors
    ///
    /// When the leaves are not those of a state with this root.
    ///
    /// # Panics
    ///
    /// When `chunk_bytes_max` is not between [`CHUNK_BYTES_MIN`] and [`CHUNK_BYTES_MAX`].
    pub fn scan(
        leaves: &impl LeafScan,
        root: B256,
        chunk_bytes_max: usize,
    ) -> Result<Self, ScanError> {
        assert!(
            (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes_max),
            "chunk_bytes_max={chunk_bytes_max}"
        );
        let mut scan = Scan {
            subtries: Subtries::new(Lanes::Widest),
            lengths: Vec::new(),
            units: 0,
            limit: chunk_bytes_max,
        };
        let mut accounts = Stack::default();
        let mut slots = Stack::default();
        let mut roots = Vec::new();
        for leaf in leaves.accounts(&B256::ZERO) {
            let leaf = leaf?;
            match scan.storage(leaves, &leaf, &mut slots)? {
                Storage::With(pending, bytes) => accounts.push(pending, bytes, &mut scan)?,
                Storage::Open(top) => {
                    roots.push(leaf.storage_root);
                    let node = Node::Account(Box::new((leaf, top)));
                    accounts.push_node(leaf.key, node, &mut scan)?;
                }
            }
        }
        let top = accounts.finish(&mut scan)?;
        let bytes = encode(top.as_ref(), &scan.lengths);
        drop(top);
        let manifest = Self::read(bytes.into(), root).map_err(|error| match error {
            ManifestError::Root { trusted, found } => ScanError::Root {
                expected: trusted,
                computed: found,
            },
            ManifestError::TooLong(_) => ScanError::TooLarge,
            error => ScanError::Manifest(error),
        })?;
        for (leaf, stored) in manifest.accounts.iter().zip(roots) {
            check_storage_root(leaf.key, stored, leaf.storage_root)?;
        }
        Ok(manifest)
    }
}

fn check_storage_root(account: B256, stored: B256, computed: B256) -> Result<(), ScanError> {
    match stored == computed {
        true => Ok(()),
        false => Err(ScanError::StorageRoot {
            account,
            stored,
            computed,
        }),
    }
}

/// What is shared by the tries of a scan.
struct Scan {
    subtries: Subtries,
    /// Length of each chunk so far.
    lengths: Vec<u32>,
    units: usize,
    limit: usize,
}

/// An account that travels with its storage.
#[derive(Clone, Debug)]
struct Pending {
    row: AccountRow,
    slots: Vec<SlotWrite>,
}

enum Storage {
    /// It travels with the account; bytes of both.
    With(Pending, usize),
    /// It is too large for that.
    Open(Node),
}

impl Scan {
    fn storage(
        &mut self,
        leaves: &impl LeafScan,
        account: &AccountLeaf,
        stack: &mut Stack<SlotWrite>,
    ) -> Result<Storage, ScanError> {
        let mut pending = Pending {
            row: AccountRow {
                key: account.key,
                account: account.account,
                storage_root: account.storage_root,
            },
            slots: Vec::new(),
        };
        let own = leaf::account_bytes(&account.account);
        if account.storage_root == EMPTY_ROOT_HASH {
            return Ok(Storage::With(pending, own));
        }
        stack.account = Some(account.key);
        for leaf in leaves.slots(&account.key, &B256::ZERO) {
            let leaf: SlotLeaf = leaf?;
            if leaf.value.is_zero() {
                let (account, key) = (account.key, leaf.key);
                return Err(ScanError::ZeroSlot { account, key });
            }
            let bytes = leaf::slot_bytes(&leaf.slot, &leaf.value);
            stack.push(leaf.write(), bytes, self)?;
        }
        let bytes = own + COUNT_BYTES + stack.run_bytes;
        if stack.is_run() && bytes <= self.limit {
            pending.slots = stack.take_run();
            return Ok(Storage::With(pending, bytes));
        }
        match stack.finish(self)? {
            Some(top) => Ok(Storage::Open(top)),
            None => Err(ScanError::StorageRoot {
                account: account.key,
                stored: account.storage_root,
                computed: EMPTY_ROOT_HASH,
            }),
        }
    }
}

/// Leaves of one kind of trie.
trait Leaf: Sized {
    fn key(&self) -> &B256;

    /// The references of the subtries of these leaves, of as many as the ranges.
    fn references(
        leaves: &[Self],
        units: &[Range<usize>],
        depth: usize,
        subtries: &mut Subtries,
    ) -> Result<Vec<Reference>, ScanError>;
}

impl Leaf for SlotWrite {
    fn key(&self) -> &B256 {
        &self.key
    }

    fn references(
        leaves: &[Self],
        units: &[Range<usize>],
        depth: usize,
        subtries: &mut Subtries,
    ) -> Result<Vec<Reference>, ScanError> {
        let units = units.iter().map(|unit| (unit.clone(), depth));
        Ok(subtries.slots(leaves, units))
    }
}

impl Leaf for Pending {
    fn key(&self) -> &B256 {
        &self.row.key
    }

    fn references(
        leaves: &[Self],
        units: &[Range<usize>],
        depth: usize,
        subtries: &mut Subtries,
    ) -> Result<Vec<Reference>, ScanError> {
        let done = units.last().map_or(0, |unit| unit.end);
        let leaves = &leaves[..done];
        let owners = leaves
            .iter()
            .filter(|leaf| leaf.row.storage_root != EMPTY_ROOT_HASH);
        let mut slots = Vec::new();
        let mut tries = Vec::new();
        for owner in owners.clone() {
            let first = slots.len();
            slots.extend_from_slice(&owner.slots);
            tries.push(first..slots.len());
        }
        let roots = subtries.storage_roots(&slots, tries.into_iter());
        for (owner, computed) in owners.zip(roots) {
            check_storage_root(owner.row.key, owner.row.storage_root, computed)?;
        }
        let rows: Vec<AccountRow> = leaves.iter().map(|leaf| leaf.row).collect();
        let units = units.iter().map(|unit| (unit.clone(), depth));
        Ok(subtries.accounts(&rows, units))
    }
}

/// A branch that is too heavy for one chunk, or holds what is.
struct Open {
    depth: usize,
    children: Vec<(u8, Node)>,
}

/// One trie while its leaves arrive.
struct Stack<L> {
    /// Whose storage it is; `None` for the trie of accounts.
    account: Option<B256>,
    /// The open branches above the last key, from the root down.
    open: Vec<Open>,
    last: Option<B256>,
    /// Leaves that fit into a chunk, and are all there is below their place so far.
    run: Vec<L>,
    /// Their lengths.
    lengths: Vec<usize>,
    run_bytes: usize,
    /// In place of a run: a node that stands below the last open branch.
    node: Option<Node>,
    /// The chunk that the next unit may join.
    chunk: Option<usize>,
}

impl<L> Default for Stack<L> {
    fn default() -> Self {
        Self {
            account: None,
            open: Vec::new(),
            last: None,
            run: Vec::new(),
            lengths: Vec::new(),
            run_bytes: 0,
            node: None,
            chunk: None,
        }
    }
}

impl<L: Leaf> Stack<L> {
    fn push(&mut self, leaf: L, bytes: usize, scan: &mut Scan) -> Result<(), ScanError> {
        let key = *leaf.key();
        self.advance(key, scan)?;
        while self.node.is_some() || (!self.run.is_empty() && self.run_bytes + bytes > scan.limit) {
            self.fork(&key, scan)?;
        }
        self.run.push(leaf);
        self.lengths.push(bytes);
        self.run_bytes += bytes;
        self.last = Some(key);
        Ok(())
    }

    /// Puts a leaf that stands open.
    fn push_node(&mut self, key: B256, node: Node, scan: &mut Scan) -> Result<(), ScanError> {
        self.advance(key, scan)?;
        while self.node.is_some() || !self.run.is_empty() {
            self.fork(&key, scan)?;
        }
        self.node = Some(node);
        self.chunk = None;
        self.last = Some(key);
        Ok(())
    }

    /// Whether all leaves so far are one run.
    fn is_run(&self) -> bool {
        self.open.is_empty() && self.node.is_none() && !self.run.is_empty()
    }

    fn take_run(&mut self) -> Vec<L> {
        let run = std::mem::take(&mut self.run);
        *self = Self::default();
        run
    }

    /// The top of the whole trie; empty for the next one then.
    fn finish(&mut self, scan: &mut Scan) -> Result<Option<Node>, ScanError> {
        let key = self.last.unwrap_or_default();
        let mut below = self.close_run(scan)?;
        let mut depth = self.hang();
        while let Some(mut open) = self.open.pop() {
            let node = below.expect("an open branch has a last child");
            open.children.push(child(&key, open.depth, depth, node));
            (below, depth) = (Some(Node::Branch(open.children)), open.depth);
        }
        *self = Self::default();
        Ok(below.map(|node| extended(&key, 0..depth, node)))
    }

    /// The depth below the last open branch.
    fn hang(&self) -> usize {
        self.open.last().map_or(0, |open| open.depth + 1)
    }

    /// Closes what the next key is not below of.
    fn advance(&mut self, key: B256, scan: &mut Scan) -> Result<(), ScanError> {
        let Some(last) = self.last else {
            return Ok(());
        };
        if key <= last {
            let account = self.account;
            return Err(ScanError::Order { account, key });
        }
        let shared = subtrie::shared(&last, &key);
        if shared >= self.hang() {
            return Ok(());
        }
        let mut depth = self.hang();
        let mut below = self.close_run(scan)?.expect("the last leaf is below");
        while let Some(open) = self.open.last_mut().filter(|open| open.depth >= shared) {
            open.children.push(child(&last, open.depth, depth, below));
            if open.depth == shared {
                return Ok(());
            }
            depth = open.depth;
            let closed = self.open.pop().expect("it was the last one");
            below = Node::Branch(closed.children);
        }
        let children = vec![child(&last, shared, depth, below)];
        self.open.push(Open {
            depth: shared,
            children,
        });
        Ok(())
    }

    /// Opens a branch where the key leaves what is there, and closes what is complete below it.
    fn fork(&mut self, key: &B256, scan: &mut Scan) -> Result<(), ScanError> {
        let first = match self.run.first() {
            Some(leaf) => *leaf.key(),
            None => self.last.expect("a node has a key"),
        };
        let depth = subtrie::shared(&first, key);
        let mut open = Open {
            depth,
            children: Vec::new(),
        };
        if let Some(node) = self.node.take() {
            open.children.push((subtrie::nibble(&first, depth), node));
        }
        let mut groups = Vec::new();
        let nibble = |leaf: &L| subtrie::nibble(leaf.key(), depth);
        let mut from = 0;
        for group in self.run.chunk_by(|one, other| nibble(one) == nibble(other)) {
            groups.push(from..from + group.len());
            from += group.len();
        }
        let staying =
            groups.pop_if(|group| nibble(&self.run[group.start]) == subtrie::nibble(key, depth));
        let done = groups.last().map_or(0, |group| group.end);
        let references = L::references(&self.run, &groups, depth + 1, &mut scan.subtries)?;
        for (group, reference) in groups.into_iter().zip(references) {
            let nibble = nibble(&self.run[group.start]);
            let bytes = self.lengths[group].iter().sum();
            open.children
                .push((nibble, self.unit(reference, bytes, scan)?));
        }
        assert!(
            staying.is_none_or(|group| group.start == done),
            "what stays comes last"
        );
        self.run.drain(..done);
        self.run_bytes -= self.lengths.drain(..done).sum::<usize>();
        self.open.push(open);
        Ok(())
    }

    /// What is below the last open branch, as a node; `None` when there is nothing.
    fn close_run(&mut self, scan: &mut Scan) -> Result<Option<Node>, ScanError> {
        if self.run.is_empty() {
            return Ok(self.node.take());
        }
        let (all, depth) = (0..self.run.len(), self.hang());
        let references = L::references(&self.run, &[all], depth, &mut scan.subtries)?;
        let bytes = self.run_bytes;
        self.run.clear();
        self.lengths.clear();
        self.run_bytes = 0;
        self.unit(references[0], bytes, scan).map(Some)
    }

    /// A unit, in the chunk of the one before when it fits.
    fn unit(
        &mut self,
        reference: Reference,
        bytes: usize,
        scan: &mut Scan,
    ) -> Result<Node, ScanError> {
        scan.units += 1;
        if scan.units > super::decode::UNITS_MAX {
            return Err(ScanError::TooLarge);
        }
        let bytes = u32::try_from(bytes).expect("a unit fits into a chunk");
        let limit = scan.limit as u64;
        if let Some(chunk) = self.chunk
            && u64::from(scan.lengths[chunk]) + u64::from(bytes) <= limit
        {
            scan.lengths[chunk] += bytes;
            let begins = None;
            return Ok(Node::Unit { reference, begins });
        }
        let begins = Some(scan.lengths.len());
        scan.lengths.push(bytes);
        self.chunk = begins;
        Ok(Node::Unit { reference, begins })
    }
}

/// A child of the branch at `fork`, by its nibble: a node whose place is at `depth`, below the nibbles of
/// `key` in between.
fn child(key: &B256, fork: usize, depth: usize, node: Node) -> (u8, Node) {
    let nibble = subtrie::nibble(key, fork);
    (nibble, extended(key, fork + 1..depth, node))
}

/// A branch below the nibbles of a key; leaves and units know their own paths.
fn extended(key: &B256, path: Range<usize>, node: Node) -> Node {
    match path.is_empty() || !matches!(node, Node::Branch(_)) {
        true => node,
        false => Node::Extension(subtrie::nibbles(key, path), Box::new(node)),
    }
}
