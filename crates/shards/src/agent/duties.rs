//! What an agent knows and does, without a clock, a channel or a thread: events in, effects out.
//!
//! ```text
//! relay update ┐                ┌▶ back      offers ─▶ statements, chunks
//! message      ├▶ the event's ──┤  approve   pending ─▶ fetch, check, hold ─▶ votes
//! work done    │  own part      └▶ collate   line ─▶ follow, renew, build, offer
//! time         ┘                      advance(): all three, whenever something has changed
//! ```
//! Each part is a pure look at what is known, so it does not matter in which order things come to be known, and
//! a lost message or a restart mends itself at the next look.

use super::{
    answers::AnswerTime,
    cellar::{
        Progress, Reader, Request,
        record::{Label, Record},
    },
    config::{AgentConfig, TICK_MS},
    epochs::Epochs,
    fetch::{Fetch, HeldChunk},
    memory::Memory,
    metrics::Metrics,
    offers::Offers,
    own_chunk::MissingChunk,
    queue::Check,
    seams::{BuildOrder, Built, Cutter, Finding, Restored},
    serve::Allowances,
    shelf::{Entry, Fate, Shelf},
    statements::{Place, Statements},
};
use crate::{
    arrears::{Arrears, FinalCandidate, RelayGap},
    collator::Line,
    feed::RelayUpdate,
    inclusion::Inclusion,
    ledger::{Discard, Ledger, LedgerEvent},
    message::{LargeMessage, SmallMessage},
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Signer as _;
use commonware_p2p::Recipients;
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, Coding, Descriptor, ShardId, ShardVote, Votes},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::{Arc, atomic::AtomicBool},
};

/// What the actor has to do.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Small(Recipients<PublicKey>, SmallMessage),
    Large(Recipients<PublicKey>, LargeMessage),
    /// What the peer did is something nobody honest does.
    Ban(PublicKey, &'static str),
    Work(Job),
    Order(Order),
    /// Search the relay chain for what a builder lacks.
    Search(Arrears),
    Cellar(Request),
    /// What the cellar may forget follows from it.
    Progress(BTreeMap<ShardId, Progress>),
}

/// Work that takes long and needs nothing but its arguments.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Check a candidate, unless that has been done, and cut it.
    Examine {
        id: CandidateId,
        descriptor: Box<Descriptor>,
        collation: Bytes,
        known: Option<Finding>,
        validators: u16,
        epoch: u64,
        /// Nobody wants to know any more.
        cancelled: Arc<AtomicBool>,
    },
    Restore {
        id: CandidateId,
        coding: Coding,
        chunks: Vec<(u16, Bytes)>,
    },
}

/// What a shard's builder is asked for, one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Build(BuildOrder),
    Follow(Box<Descriptor>, Bytes),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    Examined {
        id: CandidateId,
        finding: Finding,
        cut: Option<(Coding, Vec<Bytes>)>,
    },
    Restored {
        id: CandidateId,
        coding: Coding,
        restored: Restored,
    },
    Built {
        shard: ShardId,
        built: Option<Box<Built>>,
        /// The newest block that the builder has then.
        newest: Option<(u64, B256)>,
    },
    Followed {
        shard: ShardId,
        head: B256,
        id: CandidateId,
        finding: Finding,
        /// The newest block that the builder has then.
        newest: Option<(u64, B256)>,
    },
    /// What the relay chain says of what a builder lacks.
    Searched(Arrears, Result<Vec<FinalCandidate>, RelayGap>),
    /// These records are on disk.
    Kept(Vec<Label>),
    /// A record was read, or there is none.
    Found {
        label: Label,
        reader: Reader,
        record: Option<Box<Record>>,
    },
}

/// The vote that was sent last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastVote {
    pub(crate) votes: Votes,
    pub(crate) sent_ms: u64,
}

/// The whole of an agent.
pub(crate) struct Duties {
    pub(crate) config: AgentConfig,
    pub(crate) public_key: PublicKey,
    /// Its index, if it is a validator now.
    pub(crate) own: Option<u16>,
    pub(crate) epochs: Epochs,
    pub(crate) relay: Arc<RelayUpdate>,
    pub(crate) shelf: Shelf,
    pub(crate) statements: Statements,
    pub(crate) offers: Offers,
    /// The relay height that was final on disk when this node started: it backs nothing under older schedules.
    pub(crate) resumed_height: Option<u64>,
    /// What it has backed since.
    pub(crate) signed: BTreeMap<Place, CandidateId>,
    /// Candidates to be examined, and those that are being.
    pub(crate) queue: VecDeque<CandidateId>,
    pub(crate) working: BTreeMap<CandidateId, Check>,
    pub(crate) fetches: BTreeMap<CandidateId, Fetch>,
    pub(crate) held: BTreeMap<(CandidateId, B256), HeldChunk>,
    pub(crate) memory: Memory,
    pub(crate) missing: BTreeMap<(CandidateId, B256), MissingChunk>,
    pub(crate) allowances: Allowances,
    pub(crate) last_vote: LastVote,
    /// Votes about ledgers that this node does not know yet, one of each validator.
    pub(crate) early_votes: BTreeMap<u16, (PublicKey, ShardVote)>,
    pub(crate) answers: AnswerTime,
    pub(crate) lines: BTreeMap<ShardId, Line>,
    pub(crate) inclusion: Inclusion,
    pub(crate) cutter: Arc<dyn Cutter>,
    pub(crate) metrics: Metrics,
    pub(crate) now_ms: u64,
    /// Something has changed since the last look.
    pub(crate) stirred: bool,
    /// A relay block has become final since.
    moved: bool,
    pub(crate) ticked_ms: u64,
    pub(crate) effects: Vec<Effect>,
}

impl Duties {
    pub(crate) fn new(
        config: AgentConfig,
        relay: Arc<RelayUpdate>,
        inclusion: Inclusion,
        cutter: Arc<dyn Cutter>,
        metrics: Metrics,
    ) -> Self {
        let public_key = config.key.public_key();
        let mut epochs = Epochs::new(public_key.clone());
        epochs.follow(&relay.ledger, &relay.authority);
        let lines = config
            .collates
            .iter()
            .map(|shard| (*shard, Line::default()));
        Self {
            own: epochs.own(relay.ledger.epoch()),
            epochs,
            lines: lines.collect(),
            public_key,
            config,
            relay,
            shelf: Shelf::default(),
            statements: Statements::default(),
            offers: Offers::default(),
            resumed_height: None,
            signed: BTreeMap::new(),
            queue: VecDeque::new(),
            working: BTreeMap::new(),
            fetches: BTreeMap::new(),
            held: BTreeMap::new(),
            memory: Memory::default(),
            missing: BTreeMap::new(),
            allowances: Allowances::default(),
            last_vote: LastVote::default(),
            early_votes: BTreeMap::new(),
            answers: AnswerTime::default(),
            inclusion,
            cutter,
            metrics,
            now_ms: 0,
            stirred: true,
            moved: false,
            ticked_ms: 0,
            effects: Vec::new(),
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.relay.ledger
    }

    /// When it wants to look again, in milliseconds.
    pub(crate) const fn next_look_ms(&self) -> u64 {
        self.ticked_ms.saturating_add(TICK_MS)
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        mem::take(&mut self.effects)
    }

    /// A relay block is final.
    pub(crate) fn update(&mut self, update: Arc<RelayUpdate>) {
        if update.height < self.relay.height {
            return;
        }
        for event in &update.events {
            self.note(event, update.height);
        }
        let begins = update.ledger.epoch() != self.ledger().epoch();
        self.relay = update;
        self.learn_pending();
        self.follow_epoch(begins);
        self.moved = true;
        self.stirred = true;
    }

    /// Forgets what the newest relay block leaves behind.
    fn settle(&mut self) {
        let relay = Arc::clone(&self.relay);
        let ledger = &relay.ledger;
        let lines = &self.lines;
        let needs = |entry: &Entry| {
            let line = lines.get(&entry.descriptor.shard);
            line.is_some_and(|line| line.needs(entry))
        };
        let limits = (self.now_ms, self.config.held_bytes_max);
        self.shelf.prune(ledger, needs, limits);
        self.statements.prune(ledger);
        let window = ledger.rules().vote_window;
        let oldest = ledger.height().saturating_sub(window);
        self.signed.retain(|(_, _, height), _| *height >= oldest);
        self.prune_chunks();
        self.count_early_votes();
        self.hear_early_statements();
        self.keep_finality();
        self.forget_kept();
    }

    /// The validators may be others now. What was said to those before does not count any more.
    fn follow_epoch(&mut self, begins: bool) {
        let (ledger, authority) = (&self.relay.ledger, &self.relay.authority);
        self.epochs.follow(ledger, authority);
        if begins {
            self.own = self.epochs.own(ledger.epoch());
            self.statements = Statements::default();
        }
    }

    fn note(&mut self, event: &LedgerEvent, height: u64) {
        match event {
            LedgerEvent::Discarded(named, Discard::Invalid) => {
                if let Some(entry) = self.shelf.get_mut(&named.candidate) {
                    entry.fate = Fate::Condemned;
                }
            }
            LedgerEvent::Final(named, _) => {
                if let Some(entry) = self.shelf.get_mut(&named.candidate) {
                    entry.fate = Fate::Final;
                    entry.final_height.get_or_insert(height);
                    // It may not have been seen to be included.
                    entry.chunks = Vec::new();
                }
            }
            LedgerEvent::Backed(_)
            | LedgerEvent::Included(_)
            | LedgerEvent::Escalated(..)
            | LedgerEvent::Discarded(..)
            | LedgerEvent::Offended(_)
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => {}
        }
    }

    pub(crate) fn small(&mut self, peer: &PublicKey, message: SmallMessage) {
        match message {
            SmallMessage::Statement(signed) => self.hear_statement(peer, *signed),
            SmallMessage::Vote(vote) => self.hear_vote(peer, *vote),
            SmallMessage::Renewal(offered) => self.hear_offer(peer, *offered, None),
            SmallMessage::GetCollation(candidate) => self.serve_collation(peer, candidate),
            SmallMessage::GetChunk {
                candidate,
                root,
                index,
            } => self.serve_chunk(peer, (candidate, root), index),
        }
    }

    pub(crate) fn large(&mut self, peer: &PublicKey, message: LargeMessage) {
        match message {
            LargeMessage::Offer(offered, collation) => {
                self.hear_offer(peer, *offered, Some(collation));
            }
            LargeMessage::Chunk {
                candidate,
                coding,
                index,
                chunk,
            } => self.hear_chunk(peer, (candidate, coding), index, chunk),
            LargeMessage::Collation {
                candidate,
                signature,
                collation,
            } => self.hear_collation(peer, candidate, signature, collation),
        }
    }

    pub(crate) fn done(&mut self, done: Done) {
        match done {
            Done::Examined { id, finding, cut } => self.examined(id, finding, cut),
            Done::Restored {
                id,
                coding,
                restored,
            } => self.restored(id, &coding, restored),
            Done::Built {
                shard,
                built,
                newest,
            } => {
                self.has(shard, newest);
                self.built(shard, built.map(|built| *built));
            }
            Done::Followed {
                shard,
                head,
                id,
                finding,
                newest,
            } => {
                self.followed(shard, head, id, finding);
                self.has(shard, newest);
            }
            Done::Searched(arrears, named) => self.searched(&arrears, named),
            Done::Kept(labels) => self.kept(labels),
            Done::Found {
                label,
                reader,
                record,
            } => self.found(&label, &reader, record.map(|record| *record)),
        }
        self.stirred = true;
    }

    /// Looks at everything, if something has changed or it is time.
    pub(crate) fn advance(&mut self) {
        let due = self.now_ms >= self.next_look_ms();
        if due {
            self.ticked_ms = self.now_ms;
            self.measure();
        }
        if !self.stirred && !due {
            return;
        }
        self.stirred = false;
        self.metrics.looks.inc();
        if mem::take(&mut self.moved) {
            self.settle();
        }
        self.back();
        self.approve();
        self.collate();
        self.ask();
        self.examine();
        self.keep();
        self.vote();
    }

    pub(crate) fn send_small(&mut self, to: Recipients<PublicKey>, message: SmallMessage) {
        self.effects.push(Effect::Small(to, message));
    }

    pub(crate) fn send_large(&mut self, to: Recipients<PublicKey>, message: LargeMessage) {
        self.effects.push(Effect::Large(to, message));
    }

    pub(crate) fn ban(&mut self, peer: &PublicKey, lie: &'static str) {
        self.metrics.bans.inc();
        self.effects.push(Effect::Ban(peer.clone(), lie));
    }

    /// All validators but this node.
    pub(crate) fn validators(&self) -> Vec<PublicKey> {
        let all = self.relay.authority.validators.iter();
        all.filter(|key| **key != self.public_key)
            .cloned()
            .collect()
    }

    /// All validators, and the collators of a shard: everybody if anybody may build its blocks.
    pub(crate) fn audience(&self, shard: ShardId) -> Recipients<PublicKey> {
        let Some(segment) = self.ledger().shard(shard) else {
            return Recipients::Some(self.validators());
        };
        let collators = &segment.terms().collators;
        if collators.is_empty() {
            return Recipients::All;
        }
        let mut audience: BTreeSet<PublicKey> = self.validators().into_iter().collect();
        let others = collators.iter().filter(|key| **key != self.public_key);
        audience.extend(others.cloned());
        Recipients::Some(audience.into_iter().collect())
    }

    pub(crate) fn audience_keys(
        &self,
        indices: impl Iterator<Item = usize>,
    ) -> BTreeSet<PublicKey> {
        let validators = &self.relay.authority.validators;
        indices
            .filter_map(|index| validators.get(index))
            .filter(|key| **key != self.public_key)
            .cloned()
            .collect()
    }
}
