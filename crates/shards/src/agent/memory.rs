//! What an agent has kept on disk, has others read from it, and finds again after a restart.
//!
//! ```text
//! chunk of what is pending or has enough backers ─▶ cellar ─▶ held: it may be said
//! block that was built here ────────────────────▶ cellar ─▶ offered
//! block that was followed, final candidate that the shard's files lack ─▶ cellar
//! ```
//! A chunk is written when its candidate is in a relay block or has enough backers, so nobody alone can fill a
//! disk.
//!
//! Limits: [`WRITES_MAX`] records are written at a time, [`READS_MAX`] read, and [`READS_EACH_MAX`] of them for one peer.

use super::{
    cellar::{
        ChunkPlaces, Progress, Reader, Recalled, Request,
        record::{KeptChunk, KeptCollation, Kind, Label, Record},
    },
    config::{
        FINAL_BLOCKS, READS_EACH_MAX, READS_MAX, READS_OTHERS_MAX, RECENT_NUMBERS, WRITES_MAX,
    },
    duties::{Duties, Effect},
    shelf::{Entry, Kept, Origin},
};
use crate::{collator::Line, message::LargeMessage};
use alloy_primitives::B256;
use primitives::shard::{CandidateId, ShardId};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    sync::Arc,
};

/// What is on disk, as far as duties depend on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Chunks of this validator.
    chunks: ChunkPlaces,
    /// What is being written, with shard and number.
    writing: BTreeMap<Label, (ShardId, u64)>,
    /// For whom records are being read.
    reads: Vec<Reader>,
}

impl Memory {
    /// Whether a chunk is on disk.
    pub(crate) fn holds(&self, candidate: CandidateId, root: B256) -> bool {
        self.chunks.contains_key(&(candidate, root))
    }

    /// Whether one more may be read for somebody: whatever others ask for, the node itself can still read.
    fn may_read(&self, reader: &Reader) -> bool {
        let others = self.reads.iter().filter(|one| **one != Reader::Own);
        let same = self.reads.iter().filter(|one| *one == reader);
        let room = others.count() < READS_OTHERS_MAX && same.count() < READS_EACH_MAX;
        self.reads.len() < READS_MAX && (room || *reader == Reader::Own)
    }
}

impl Duties {
    /// Takes up what an earlier life of this node kept.
    pub(crate) fn recall(&mut self, recalled: Recalled) {
        let now_ms = self.now_ms;
        self.memory.chunks = recalled.chunks;
        self.learn_pending();
        for one in recalled.finals {
            if let Some(entry) = self.learn_final(one) {
                entry.finality = Kept::Done;
                entry.final_height = Some(0);
            }
        }
        for kept in recalled.collations {
            let id = kept.descriptor.id();
            let origin = match &kept.signature {
                Some(signature) => Origin::Own(signature),
                None => Origin::Ledger,
            };
            let known = self.shelf.learn(id, &kept.descriptor, origin, now_ms);
            if let Some(entry) = known {
                entry.collation = Some(kept.collation);
                entry.body = Kept::Done;
            }
        }
    }

    /// Has written what has to be.
    pub(crate) fn keep(&mut self) {
        self.keep_chunks();
        let shards: Vec<ShardId> = self.lines.keys().copied().collect();
        for shard in shards {
            self.keep_collations(shard);
        }
    }

    fn keep_chunks(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let relay = Arc::clone(&self.relay);
        let pending = relay.ledger.pending();
        let pending: BTreeSet<(CandidateId, B256)> = pending
            .map(|one| (one.candidate, one.envelope.coding.root))
            .collect();
        let mut records = Vec::new();
        for (key @ (candidate, _), held) in &self.held {
            let vouched = pending.contains(key) || self.statements.is_backable(candidate);
            let entry = self.shelf.get(candidate).filter(|_| vouched);
            let own = self.epochs.own(held.coding.epoch);
            let Some((entry, index)) = entry.zip(own) else {
                continue;
            };
            records.push(Record::Chunk(KeptChunk {
                candidate: *candidate,
                shard: entry.descriptor.shard,
                number: entry.descriptor.number,
                coding: held.coding,
                index,
                chunk: held.chunk.clone(),
            }));
        }
        for record in records {
            self.write(record);
        }
    }

    /// What was built or followed.
    fn keep_collations(&mut self, shard: ShardId) {
        let Some(line) = self.lines.get(&shard) else {
            return;
        };
        let candidates = self.shelf.within(shard, line.window());
        let records = candidates.filter_map(|(id, entry)| {
            let had = line.has(&entry.descriptor.head) && entry.body == Kept::No;
            let collation = entry.collation.clone().filter(|_| had)?;
            let kept = KeptCollation {
                descriptor: entry.descriptor.clone(),
                signature: entry.signature.clone(),
                collation,
            };
            Some((id, Record::Collation(Box::new(kept))))
        });
        let records: Vec<_> = records.collect();
        self.write_all(records);
    }

    /// What is final and not in the shard's files after a while: more relay blocks than are gone through again after
    /// a restart may pass until it is.
    pub(crate) fn keep_finality(&mut self) {
        let mut records = Vec::new();
        for (shard, line) in &self.lines {
            let lacking = line.durable().saturating_add(1)..=u64::MAX;
            let candidates = self.shelf.within(*shard, lacking);
            records.extend(candidates.filter_map(|(id, entry)| {
                let old = entry.final_height?.saturating_add(FINAL_BLOCKS) <= self.relay.height;
                let coding = entry
                    .backed_coding
                    .filter(|_| old && entry.finality == Kept::No)?;
                let descriptor = Box::new(entry.descriptor.clone());
                Some((id, Record::Final(descriptor, coding)))
            }));
        }
        self.write_all(records);
    }

    fn write_all(&mut self, records: Vec<(CandidateId, Record)>) {
        for (id, record) in records {
            let kind = record.label().kind;
            if !self.write(record) {
                return;
            }
            self.mark(id, kind, Kept::Writing);
        }
    }

    fn mark(&mut self, id: CandidateId, kind: Kind, kept: Kept) {
        if let Some(entry) = self.shelf.get_mut(&id) {
            match kind {
                Kind::Collation => entry.body = kept,
                Kind::Final => entry.finality = kept,
                Kind::Chunk => {}
            }
        }
    }

    /// Has a record written, if there is room and it is not being written; whether there was room.
    fn write(&mut self, record: Record) -> bool {
        let label = record.label();
        if self.memory.writing.len() >= WRITES_MAX {
            return false;
        }
        if let btree_map::Entry::Vacant(vacant) = self.memory.writing.entry(label) {
            vacant.insert(record.place());
            let request = Request::Keep(Box::new(record));
            self.effects.push(Effect::Cellar(request));
        }
        true
    }

    /// These records are on disk.
    pub(crate) fn kept(&mut self, labels: Vec<Label>) {
        for label in labels {
            let place = self.memory.writing.remove(&label);
            self.mark(label.candidate, label.kind, Kept::Done);
            if let Some(place) = place.filter(|_| label.kind == Kind::Chunk) {
                let key = (label.candidate, label.root);
                self.held.remove(&key);
                self.memory.chunks.insert(key, place);
                self.metrics.kept_chunks.inc();
            }
        }
    }

    /// Has a record read; whether there was room.
    pub(crate) fn look_up(&mut self, label: Label, reader: Reader) -> bool {
        if !self.memory.may_read(&reader) {
            return false;
        }
        self.memory.reads.push(reader.clone());
        self.effects
            .push(Effect::Cellar(Request::Read(Box::new((label, reader)))));
        true
    }

    /// A record was read, or there is none.
    pub(crate) fn found(&mut self, label: &Label, reader: &Reader, record: Option<Record>) {
        let mut reads = self.memory.reads.iter();
        if let Some(place) = reads.position(|one| one == reader) {
            self.memory.reads.swap_remove(place);
        }
        let Some(record) = record else {
            self.missed(label, reader);
            return;
        };
        match (reader, record) {
            (_, Record::Final(..)) => {}
            (Reader::Peer(peer), Record::Chunk(kept)) => {
                let answer = LargeMessage::Chunk {
                    candidate: kept.candidate,
                    coding: kept.coding,
                    index: kept.index,
                    chunk: kept.chunk,
                };
                self.answer(peer, answer);
            }
            (Reader::Peer(peer), Record::Collation(kept)) => {
                let answer = LargeMessage::Collation {
                    candidate: label.candidate,
                    signature: kept.signature,
                    collation: kept.collation,
                };
                self.answer(peer, answer);
            }
            (Reader::Own, Record::Chunk(kept)) => {
                self.gather(kept.candidate, &kept.coding, kept.index, kept.chunk);
            }
            (Reader::Own, Record::Collation(kept)) => self.found_collation(label.candidate, *kept),
        }
    }

    fn found_collation(&mut self, id: CandidateId, kept: KeptCollation) {
        self.fetches.remove(&id);
        if let Some(entry) = self.shelf.get_mut(&id) {
            entry.collation = Some(kept.collation);
            entry.signature = entry.signature.take().or(kept.signature);
            entry.body = Kept::Done;
        }
    }

    /// Somebody else has to be asked.
    fn missed(&mut self, label: &Label, reader: &Reader) {
        let now_ms = self.now_ms;
        if let Reader::Peer(peer) = reader {
            self.charge_miss(peer);
        }
        match label.kind {
            Kind::Chunk => {
                let key = (label.candidate, label.root);
                self.memory.chunks.remove(&key);
            }
            Kind::Collation => {
                let fetch = self.fetches.get_mut(&label.candidate);
                if let Some(fetch) = fetch.filter(|_| *reader == Reader::Own) {
                    fetch.hurry(now_ms);
                }
            }
            Kind::Final => {}
        }
    }

    /// What the cellar need not keep any more, and what of it duties need no more.
    pub(crate) fn forget_kept(&mut self) {
        let ledger = Arc::clone(&self.relay);
        let shards = ledger.ledger.shards();
        let progresses: BTreeMap<ShardId, Progress> = shards
            .map(|(shard, segment)| {
                let progress = Progress {
                    finalized: segment.finalized().number,
                    durable: self.lines.get(&shard).map(Line::durable),
                };
                (shard, progress)
            })
            .collect();
        self.memory.chunks.retain(|_, (shard, number)| {
            let progress = progresses.get(shard);
            progress.is_some_and(|one| number.saturating_add(RECENT_NUMBERS) > one.finalized)
        });
        self.effects.push(Effect::Progress(progresses));
    }
}

impl Line {
    /// Whether the builder lacks a final block, as far as is certain, or has it while its collation is yet to be
    /// written for others.
    pub(crate) fn needs(&self, entry: &Entry) -> bool {
        let descriptor = &entry.descriptor;
        let number = descriptor.number;
        let had = self.window().contains(&number) && self.has(&descriptor.head);
        number > self.durable().min(self.newest()) || (had && entry.body != Kept::Done)
    }
}
