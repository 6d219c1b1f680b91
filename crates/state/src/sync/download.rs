//! Which chunk to ask of which peer: pure, deterministic, without a clock of its own.
//!
//! ```text
//!   next(now) ─▶ Request ─▶ (network) ─▶ answer ─▶ check ─▶ rows or codes: store them, then they are done
//!                   ▲                      │  └─▶ bad: blame the peer, never ask it again
//!                   └── again ◀────────────┴── expire(now): somebody else is asked first
//! ```
//!
//! All peers here offered the same manifest. A peer that answers wrongly has lied, because nothing else
//! makes an answer wrong, and is named with the reason. A peer that does not answer may be slow: it is
//! dropped after too many timeouts for its answers, but not blamed.
//!
//! Invariant: each chunk and each code is at any time in exactly one place: not asked for yet, with one
//! peer, or done. While one honest peer is left that answers in time, it ends.
//!
//! Limits: [`Limits`] bounds what is in flight, and so the memory for answers.

use super::{CODES_MAX, CheckedChunk, ChunkError, CodeError, Manifest, check_codes};
use crate::sparse::Lanes;
use crate::sparse::subtrie::Subtries;
use alloy_primitives::{B256, Bytes, map::B256Set};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one timeout counts; an answer takes back one.
const STRIKES_PER_TIMEOUT: u32 = 4;
/// So many drop a peer: three timeouts in a row, or every fifth request.
const STRIKES_MAX: u32 = 12;

/// How much is asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight, all peers together.
    pub requests_max: usize,
    /// Requests in flight to one peer.
    pub requests_per_peer: usize,
    /// How long an answer may take.
    pub timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_max: 64,
            requests_per_peer: 4,
            timeout_ms: 10_000,
        }
    }
}

/// What a peer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The chunk with this number.
    Chunk(usize),
    /// Code with these hashes, at most [`CODES_MAX`].
    Codes(Vec<B256>),
}

/// A question to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<P> {
    /// For matching the answer.
    pub id: u64,
    /// Whom to ask.
    pub peer: P,
    /// What for.
    pub ask: Ask,
}

/// A peer's lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame<P> {
    /// Who lied.
    pub peer: P,
    /// How.
    pub reason: Reason,
}

/// Why an answer is a lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A chunk that fails its check.
    #[error("bad chunk={number}: {error}")]
    Chunk {
        /// Number of the chunk.
        number: usize,
        /// What is wrong with it.
        error: ChunkError,
    },
    /// Codes that fail theirs.
    #[error("bad codes: {0}")]
    Codes(CodeError),
}

/// What came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled<P> {
    /// A chunk, to be stored.
    Chunk(CheckedChunk),
    /// Codes by hash, to be stored.
    Codes(Vec<(B256, Bytes)>),
    /// A lie. The peer is out.
    Blamed(Blame<P>),
    /// Nobody asked this peer for it, or it came too late.
    Unasked,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Chunks that are done.
    pub chunks_done: usize,
    /// All chunks.
    pub chunks: usize,
    /// Bytes of the chunks that are done.
    pub bytes_done: u64,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// Codes that are done.
    pub codes_done: usize,
    /// Codes that are known to be needed, done or not.
    pub codes: usize,
}

/// No peer is left to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no peer is left to ask: chunks_done={} chunks={}", progress.chunks_done, progress.chunks)]
pub struct Starved {
    /// How far it got.
    pub progress: Progress,
}

/// A piece of what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Chunk(usize),
    Code(B256),
}

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    requests: usize,
    strikes: u32,
}

#[derive(Debug)]
struct Flight<P> {
    peer: P,
    ask: Ask,
    deadline_ms: u64,
}

/// The download of one state.
#[derive(Debug)]
pub struct Download<P> {
    manifest: Arc<Manifest>,
    limits: Limits,
    peers: BTreeMap<P, Peer>,
    /// Who lied.
    blamed: BTreeSet<P>,
    flights: BTreeMap<u64, Flight<P>>,
    next_id: u64,
    /// Chunks from here on were never asked for.
    fresh: usize,
    done: Vec<bool>,
    /// Pieces to ask for besides the fresh chunks.
    wanted: BTreeSet<Piece>,
    /// Who did not answer in time for a piece: others are asked first.
    avoided: BTreeMap<Piece, BTreeSet<P>>,
    /// Codes that were ever wanted.
    codes: B256Set,
    progress: Progress,
    subtries: Subtries,
}

impl<P: Ord + Clone> Download<P> {
    /// A download of what is missing: all chunks but those that are `done`, and the `codes` that chunks
    /// need which are done.
    pub fn new(
        manifest: Arc<Manifest>,
        limits: Limits,
        done: &BTreeSet<usize>,
        codes: &BTreeSet<B256>,
    ) -> Self {
        let chunks = manifest.chunks();
        let progress = Progress {
            chunks_done: 0,
            chunks: chunks.len(),
            bytes_done: 0,
            bytes: manifest.chunk_bytes(),
            codes_done: 0,
            codes: codes.len(),
        };
        let mut download = Self {
            done: vec![false; chunks.len()],
            manifest,
            limits,
            peers: BTreeMap::new(),
            blamed: BTreeSet::new(),
            flights: BTreeMap::new(),
            next_id: 0,
            fresh: 0,
            wanted: codes.iter().copied().map(Piece::Code).collect(),
            avoided: BTreeMap::new(),
            codes: codes.iter().copied().collect(),
            progress,
            subtries: Subtries::new(Lanes::Widest),
        };
        for number in done.range(..download.done.len()) {
            download.chunk_done(*number);
        }
        download
    }

    /// The manifest.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Takes a peer that offered this very manifest. Whether it did: a peer that lied stays out.
    pub fn add_peer(&mut self, peer: P) -> bool {
        if self.blamed.contains(&peer) {
            return false;
        }
        self.peers.entry(peer).or_default();
        true
    }

    /// Forgets a peer that has gone or serves this state no more. That is no lie.
    pub fn remove_peer(&mut self, peer: &P) {
        if self.peers.remove(peer).is_none() {
            return;
        }
        let flights = self
            .flights
            .extract_if(.., |_, flight| flight.peer == *peer);
        for (_, flight) in flights {
            self.wanted.extend(pieces(&flight.ask));
        }
    }

    /// The next question to send; `None` when nothing can be asked now.
    pub fn next(&mut self, now_ms: u64) -> Option<Request<P>> {
        if self.flights.len() >= self.limits.requests_max {
            return None;
        }
        let free = self.peers.iter();
        let free = free.filter(|(_, peer)| peer.requests < self.limits.requests_per_peer);
        let mut free: Vec<(usize, &P)> = free.map(|(id, peer)| (peer.requests, id)).collect();
        free.sort();
        let found = free.into_iter().find_map(|(_, peer)| {
            let ask = self.pick(peer)?;
            Some((peer.clone(), ask))
        });
        let (peer, ask) = found?;
        for piece in pieces(&ask) {
            self.wanted.remove(&piece);
        }
        if ask == Ask::Chunk(self.fresh) {
            self.fresh += 1;
            self.skip_done();
        }
        self.peers.entry(peer.clone()).or_default().requests += 1;
        let id = self.next_id;
        self.next_id += 1;
        let flight = Flight {
            peer: peer.clone(),
            ask: ask.clone(),
            deadline_ms: now_ms.saturating_add(self.limits.timeout_ms),
        };
        self.flights.insert(id, flight);
        Some(Request { id, peer, ask })
    }

    /// Takes a peer's answer to the request with this id, and checks it.
    pub fn answer(&mut self, id: u64, peer: &P, bytes: &[u8]) -> Settled<P> {
        let asked = self
            .flights
            .get(&id)
            .is_some_and(|flight| flight.peer == *peer);
        let Some(flight) = asked.then(|| self.flights.remove(&id)).flatten() else {
            return Settled::Unasked;
        };
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.requests -= 1;
        }
        let settled = match &flight.ask {
            Ask::Chunk(number) => self.take_chunk(*number, bytes),
            Ask::Codes(hashes) => self.take_codes(hashes, bytes),
        };
        match settled {
            Ok(settled) => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.strikes = peer.strikes.saturating_sub(1);
                }
                settled
            }
            Err(reason) => {
                self.wanted.extend(pieces(&flight.ask));
                self.remove_peer(peer);
                self.blamed.insert(peer.clone());
                let peer = peer.clone();
                Settled::Blamed(Blame { peer, reason })
            }
        }
    }

    /// Gives what was not answered in time to others. Returns the peers that are dropped for it.
    pub fn expire(&mut self, now_ms: u64) -> Vec<P> {
        let late = self
            .flights
            .extract_if(.., |_, flight| flight.deadline_ms <= now_ms);
        let mut dropped = BTreeSet::new();
        for (_, flight) in late {
            for piece in pieces(&flight.ask) {
                let avoided = self.avoided.entry(piece).or_default();
                avoided.insert(flight.peer.clone());
                self.wanted.insert(piece);
            }
            let Some(peer) = self.peers.get_mut(&flight.peer) else {
                continue;
            };
            peer.requests -= 1;
            peer.strikes += STRIKES_PER_TIMEOUT;
            if peer.strikes >= STRIKES_MAX {
                dropped.insert(flight.peer);
            }
        }
        for peer in &dropped {
            self.remove_peer(peer);
        }
        dropped.into_iter().collect()
    }

    /// When to call [`Self::expire`] next.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.flights.values().map(|flight| flight.deadline_ms).min()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether every chunk and every code has been handed out.
    ///
    /// # Errors
    ///
    /// When something is missing and nobody is left to ask. Another peer helps.
    pub fn is_finished(&self) -> Result<bool, Starved> {
        let progress = self.progress;
        if progress.chunks_done == progress.chunks && progress.codes_done == progress.codes {
            return Ok(true);
        }
        match self.peers.is_empty() {
            true => Err(Starved { progress }),
            false => Ok(false),
        }
    }

    #[cfg(test)]
    pub(super) fn flight_ids(&self) -> impl Iterator<Item = u64> {
        self.flights.keys().copied()
    }

    /// What to ask a peer for: what others failed to answer, then full batches of codes, then fresh
    /// chunks, then the codes that are left.
    fn pick(&self, peer: &P) -> Option<Ask> {
        let chunks = ..Piece::Code(B256::ZERO);
        let mut chunks = self
            .wanted
            .range(chunks)
            .filter(|piece| self.may_ask(peer, piece));
        if let Some(Piece::Chunk(number)) = chunks.next() {
            return Some(Ask::Chunk(*number));
        }
        let codes = self.wanted.range(Piece::Code(B256::ZERO)..);
        let codes =
            codes
                .filter(|piece| self.may_ask(peer, piece))
                .filter_map(|piece| match piece {
                    Piece::Code(hash) => Some(*hash),
                    Piece::Chunk(_) => None,
                });
        let codes: Vec<B256> = codes.take(CODES_MAX).collect();
        let is_fresh = self.fresh < self.done.len();
        if is_fresh && codes.len() < CODES_MAX {
            return Some(Ask::Chunk(self.fresh));
        }
        (!codes.is_empty()).then_some(Ask::Codes(codes))
    }

    /// Whether a peer is not one to avoid, or all are.
    fn may_ask(&self, peer: &P, piece: &Piece) -> bool {
        let Some(avoided) = self.avoided.get(piece) else {
            return true;
        };
        !avoided.contains(peer) || self.peers.keys().all(|peer| avoided.contains(peer))
    }

    fn take_chunk(&mut self, number: usize, bytes: &[u8]) -> Result<Settled<P>, Reason> {
        let checked = self.manifest.check_with(&mut self.subtries, number, bytes);
        let chunk = checked.map_err(|error| Reason::Chunk { number, error })?;
        self.avoided.remove(&Piece::Chunk(number));
        self.chunk_done(number);
        for hash in chunk.code_hashes() {
            if self.codes.insert(hash) {
                self.progress.codes += 1;
                self.wanted.insert(Piece::Code(hash));
            }
        }
        Ok(Settled::Chunk(chunk))
    }

    fn take_codes(&mut self, hashes: &[B256], bytes: &[u8]) -> Result<Settled<P>, Reason> {
        let codes = check_codes(hashes, bytes).map_err(Reason::Codes)?;
        let (given, rest) = hashes.split_at(codes.len());
        for hash in given {
            self.avoided.remove(&Piece::Code(*hash));
        }
        self.wanted.extend(rest.iter().copied().map(Piece::Code));
        self.progress.codes_done += codes.len();
        Ok(Settled::Codes(given.iter().copied().zip(codes).collect()))
    }

    fn chunk_done(&mut self, number: usize) {
        self.done[number] = true;
        self.progress.chunks_done += 1;
        self.progress.bytes_done += self.manifest.chunks()[number].bytes as u64;
        self.skip_done();
    }

    /// Keeps the first fresh chunk one that is not done.
    fn skip_done(&mut self) {
        let fresh = &self.done[self.fresh..];
        self.fresh += fresh.iter().take_while(|done| **done).count();
    }
}

fn pieces(ask: &Ask) -> Vec<Piece> {
    match ask {
        Ask::Chunk(number) => vec![Piece::Chunk(*number)],
        Ask::Codes(hashes) => hashes.iter().copied().map(Piece::Code).collect(),
    }
}
