//! The encoding of nodes: what is hashed, and what proofs consist of.

use super::arena::{Arena, Ptr};
use super::leaf::{header_length, put_header};
use super::node::{BranchHead, Kind, Reference, bits};
use alloy_rlp::EMPTY_STRING_CODE;

/// The longest encoding: a branch of sixteen hashes.
pub(super) const ENCODING_BYTES_MAX: usize = 3 + 16 * 33 + 1;
/// A node with a shorter encoding stands in its parent itself.
pub(super) const EMBEDDED_BYTES_MAX: usize = 31;
const HASH_HEADER: u8 = 0xa0;

impl Arena {
    /// Length of a node's encoding at this depth.
    pub(super) fn encoding_length(&self, node: Ptr, depth: usize) -> usize {
        match self.kind(node) {
            Kind::Branch => {
                let payload = self.branch_payload(node, self.branch(node));
                payload + header_length(payload)
            }
            Kind::Extension => {
                let path = self.extension_path(node);
                extension_length(path.nibbles(), &self.extension(node).reference)
            }
            Kind::Account | Kind::Slot => self.leaf_length(node, depth),
        }
    }

    /// Encodes a node at this depth, whose children are not stale, into exactly its length.
    pub(super) fn encode(&self, node: Ptr, depth: usize, out: &mut [u8]) {
        match self.kind(node) {
            Kind::Branch => self.encode_branch(node, out),
            Kind::Extension => {
                let path = self.extension_path(node);
                encode_extension(path.nibbles(), &self.extension(node).reference, out);
            }
            Kind::Account | Kind::Slot => self.encode_leaf(node, depth, out),
        }
    }

    /// Encodes a node at this depth.
    pub(super) fn encoding(&self, node: Ptr, depth: usize) -> Vec<u8> {
        let mut out = vec![0; self.encoding_length(node, depth)];
        self.encode(node, depth, &mut out);
        out
    }

    fn branch_payload(&self, node: Ptr, head: BranchHead) -> usize {
        let mut payload = 17 + 32 * head.count();
        let references = self.references_at(node, head);
        for nibble in bits(head.embedded) {
            let first = self.bytes()[references + 32 * head.rank(nibble)];
            payload -= 33 - embedded_length(first);
        }
        payload
    }

    fn encode_branch(&self, node: Ptr, out: &mut [u8]) {
        let head = self.branch(node);
        let payload = self.branch_payload(node, head);
        let mut at = put_header(out, 0xc0, payload);
        let from = self.references_at(node, head);
        let references = &self.bytes()[from..from + 32 * head.count()];
        let (mut references, _) = references.as_chunks::<32>();
        for nibble in 0..16 {
            if head.present() >> nibble & 1 == 0 {
                out[at] = EMPTY_STRING_CODE;
                at += 1;
                continue;
            }
            let Some((reference, rest)) = references.split_first() else {
                break;
            };
            references = rest;
            if head.hashed >> nibble & 1 == 1 {
                let place: &mut [u8; 33] = (&mut out[at..at + 33]).try_into().expect("33 bytes");
                place[0] = HASH_HEADER;
                place[1..].copy_from_slice(reference);
                at += 33;
            } else {
                let length = embedded_length(reference[0]);
                out[at..at + length].copy_from_slice(&reference[..length]);
                at += length;
            }
        }
        out[at] = EMPTY_STRING_CODE;
    }
}

/// Length of an encoding below 32 bytes, told by its first byte.
fn embedded_length(first: u8) -> usize {
    1 + usize::from(first - 0xc0)
}

impl Reference {
    /// What a node with this encoding is referred to by, if it is short enough to be embedded.
    pub(crate) fn embed(encoding: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        let place = bytes[..EMBEDDED_BYTES_MAX].get_mut(..encoding.len())?;
        place.copy_from_slice(encoding);
        Some(Self::Embedded(bytes))
    }

    /// Appends what the parent's encoding holds of the child.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hash(hash) => {
                out.push(HASH_HEADER);
                out.extend_from_slice(hash);
            }
            Self::Embedded(bytes) => out.extend_from_slice(&bytes[..embedded_length(bytes[0])]),
            Self::Stale => unreachable!("references are computed from the leaves up"),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Hash(_) | Self::Stale => 33,
            Self::Embedded(bytes) => embedded_length(bytes[0]),
        }
    }
}

/// Length of an extension's encoding.
fn extension_length(path: &[u8], reference: &Reference) -> usize {
    let packed = 1 + path.len() / 2;
    let payload = packed + usize::from(packed > 1) + reference.length();
    payload + header_length(payload)
}

/// The encoding of an extension that lies in no arena.
pub(super) fn extension_encoding(path: &[u8], reference: &Reference) -> Vec<u8> {
    let mut out = vec![0; extension_length(path, reference)];
    encode_extension(path, reference, &mut out);
    out
}

fn encode_extension(path: &[u8], reference: &Reference, out: &mut [u8]) {
    let packed = 1 + path.len() / 2;
    let payload = packed + usize::from(packed > 1) + reference.length();
    let mut at = put_header(out, 0xc0, payload);
    if packed > 1 {
        at += put_header(&mut out[at..], 0x80, packed);
    }
    let (first, rest) = path.split_at(path.len() % 2);
    out[at] = first.first().map_or(0, |nibble| 0x10 | nibble);
    for (index, pair) in rest.chunks(2).enumerate() {
        out[at + 1 + index] = pair[0] << 4 | pair[1];
    }
    at += packed;
    let mut tail = Vec::with_capacity(33);
    reference.put(&mut tail);
    out[at..].copy_from_slice(&tail);
}
