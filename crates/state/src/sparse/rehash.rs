//! Computes the references of what changed.
//!
//! ```text
//!   roots ─▶ stale nodes of level 1 ─▶ level 2 ─▶ …            down: who is stale, level by level
//!     ▲             ▲                     ▲
//!     └─ hash_many ─┴──── hash_many ──────┴─ hash_many ── …    up: encode, hash, tell the parent
//! ```
//!
//! A level holds nodes of many tries and arenas at once. Its encodings are sorted by length into
//! queues, so that whole groups of equal length go to the lanes of the hash.

use super::arena::{Arena, NONE, Ptr};
use super::encode::{EMBEDDED_BYTES_MAX, ENCODING_BYTES_MAX};
use super::keccak::Lanes;
use super::node::{Kind, Reference, bits};
use std::fmt::{Debug, Formatter};

/// Messages of one length that are hashed together: enough to fill the lanes several times, few
/// enough to stay in the first-level cache.
const QUEUE_LENGTH: usize = 32;
/// What the work takes for each stale node: its place in a level, which grows by doubling.
pub(super) const JOB_BYTES: usize = 2 * size_of::<Job>();
/// In place of a nibble: the child of an extension, and a root.
const BELOW_EXTENSION: u8 = 0xfe;
const ROOT: u8 = 0xff;

/// A root whose reference is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct RootJob {
    /// Which of the arenas it is in.
    pub(super) arena: usize,
    pub(super) node: Ptr,
    /// Nibbles of the keys above the root.
    pub(super) depth: u8,
}

#[derive(Clone, Copy)]
struct Job {
    node: Ptr,
    /// Who wants the reference; for a root its number.
    parent: Ptr,
    arena: u16,
    nibble: u8,
    depth: u8,
}

#[derive(Default)]
struct Queue {
    messages: Vec<u8>,
    jobs: Vec<Job>,
}

/// Working memory, kept from one batch to the next.
pub(super) struct Rehash {
    lanes: Lanes,
    levels: Vec<Vec<Job>>,
    /// By length of the encoding.
    queues: Vec<Queue>,
    filled: Vec<usize>,
    references: Vec<Reference>,
}

impl Debug for Rehash {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rehash({:?})", self.lanes)
    }
}

impl Rehash {
    pub(super) fn new(lanes: Lanes) -> Self {
        Self {
            lanes,
            levels: Vec::new(),
            queues: (0..=ENCODING_BYTES_MAX).map(|_| Queue::default()).collect(),
            filled: Vec::new(),
            references: Vec::new(),
        }
    }

    /// One that holds no memory, to stand in while another is in use.
    pub(super) fn idle() -> Self {
        Self {
            lanes: Lanes::default(),
            levels: Vec::new(),
            queues: Vec::new(),
            filled: Vec::new(),
            references: Vec::new(),
        }
    }

    /// The references of these roots, after computing those of all stale nodes below.
    pub(super) fn run<'a>(
        &mut self,
        arenas: &mut [impl AsMut<Arena> + AsRef<Arena>],
        roots: impl Iterator<Item = &'a RootJob>,
    ) -> &[Reference] {
        let jobs = (0u32..).zip(roots).map(|(number, root)| Job {
            node: root.node,
            parent: number,
            arena: u16::try_from(root.arena).expect("fewer than 65536 arenas"),
            nibble: ROOT,
            depth: root.depth,
        });
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        self.levels[0].clear();
        self.levels[0].extend(jobs);
        self.references.clear();
        self.references
            .resize(self.levels[0].len(), Reference::Stale);
        let depth = self.gather(arenas);
        for level in (0..depth).rev() {
            let jobs = std::mem::take(&mut self.levels[level]);
            for job in &jobs {
                self.enqueue(arenas, *job);
            }
            self.flush_all(arenas);
            self.levels[level] = jobs;
        }
        &self.references
    }

    /// Finds the stale nodes, and how many levels there are.
    fn gather(&mut self, arenas: &mut [impl AsMut<Arena>]) -> usize {
        let mut level = 0;
        while !self.levels[level].is_empty() {
            if self.levels.len() == level + 1 {
                self.levels.push(Vec::new());
            }
            let (above, below) = self.levels.split_at_mut(level + 1);
            let below = &mut below[0];
            below.clear();
            for job in &above[level] {
                gather_children(arenas[usize::from(job.arena)].as_mut(), *job, below);
            }
            level += 1;
        }
        level
    }

    fn enqueue(&mut self, arenas: &mut [impl AsMut<Arena> + AsRef<Arena>], job: Job) {
        let arena = arenas[usize::from(job.arena)].as_ref();
        let depth = usize::from(job.depth);
        let length = arena.encoding_length(job.node, depth);
        if length <= EMBEDDED_BYTES_MAX {
            let encoding = arena.encoding(job.node, depth);
            let reference = Reference::embed(&encoding).expect("it is short");
            self.deliver(arenas, job, reference);
            return;
        }
        let queue = &mut self.queues[length];
        if queue.jobs.is_empty() {
            self.filled.push(length);
        }
        let at = queue.messages.len();
        queue.messages.resize(at + length, 0);
        arena.encode(job.node, depth, &mut queue.messages[at..]);
        queue.jobs.push(job);
        if queue.jobs.len() == QUEUE_LENGTH {
            self.flush(arenas, length);
        }
    }

    fn flush_all(&mut self, arenas: &mut [impl AsMut<Arena>]) {
        while let Some(length) = self.filled.pop() {
            self.flush(arenas, length);
        }
    }

    fn flush(&mut self, arenas: &mut [impl AsMut<Arena>], length: usize) {
        let mut queue = std::mem::take(&mut self.queues[length]);
        let mut digests = [[0; 32]; QUEUE_LENGTH];
        let digests = &mut digests[..queue.jobs.len()];
        self.lanes.hash_many(&queue.messages, digests);
        for (job, digest) in queue.jobs.iter().zip(digests) {
            self.deliver(arenas, *job, Reference::Hash(*digest));
        }
        queue.jobs.clear();
        queue.messages.clear();
        self.queues[length] = queue;
    }

    fn deliver(&mut self, arenas: &mut [impl AsMut<Arena>], job: Job, reference: Reference) {
        let arena = arenas[usize::from(job.arena)].as_mut();
        match job.nibble {
            ROOT => self.references[job.parent as usize] = reference,
            BELOW_EXTENSION => arena.set_extension_reference(job.parent, reference),
            nibble => arena.set_reference(job.parent, nibble, reference),
        }
    }
}

/// Lists the stale children of a node, and notes that their references will be hashes.
fn gather_children(arena: &mut Arena, job: Job, below: &mut Vec<Job>) {
    match arena.kind(job.node) {
        Kind::Branch => {
            let mut head = arena.branch(job.node);
            for nibble in bits(head.stale()) {
                below.push(Job {
                    node: arena.child(job.node, head, nibble),
                    parent: job.node,
                    nibble,
                    depth: job.depth + 1,
                    ..job
                });
            }
            head.embedded &= !head.stale();
            arena.set_branch(job.node, head);
        }
        Kind::Extension => {
            let extension = arena.extension(job.node);
            if extension.reference == Reference::Stale && extension.child != NONE {
                let length = arena.extension_path(job.node).nibbles().len();
                below.push(Job {
                    node: extension.child,
                    parent: job.node,
                    nibble: BELOW_EXTENSION,
                    depth: job.depth + u8::try_from(length).expect("shorter than a key"),
                    ..job
                });
            }
        }
        Kind::Account | Kind::Slot => {}
    }
}

impl Arena {
    /// Sets the reference of a branch's child that was gathered as a hash.
    fn set_reference(&mut self, node: Ptr, nibble: u8, reference: Reference) {
        let mut head = self.branch(node);
        let at = self.references_at(node, head) + 32 * head.rank(nibble);
        let bytes = match reference {
            Reference::Hash(bytes) => bytes,
            Reference::Embedded(bytes) => {
                head.hashed &= !(1 << nibble);
                head.embedded |= 1 << nibble;
                self.set_branch(node, head);
                bytes
            }
            Reference::Stale => unreachable!("what is delivered was computed"),
        };
        self.bytes_mut()[at..at + 32].copy_from_slice(&bytes);
    }
}
