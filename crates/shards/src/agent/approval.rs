//! Availability and approval: what a validator says of every candidate that is backed in a finalized relay
//! block.
//!
//! ```text
//! pending ─┬ own chunk, cut here or received with a right proof ───────▶ held
//!          └ collation: own, a backer's, restored ─▶ check, cut again ─┬▶ valid    the root is the same
//!                                                                      └▶ invalid  or it is not
//! ```
//! Where a few check for all, whoever is not asked holds its chunk, and looks at nothing. It says what it found all
//! the same, if it backed the candidate or was asked for it before.
//!
//! A vote is cumulative: it says again all that it said of what is still pending, so a lost vote costs nothing
//! but time. One is sent at each relay height while the ledger has not counted all of it, and when there is more
//! to say, at most once in `vote_ms`. It names the ledger at the newest finalized height. What was found of a
//! candidate is remembered by its identity: put forward again, it gets the same verdict, unless its coding is
//! wrong.

use super::{
    duties::{Duties, LastVote},
    seams::Finding,
    shelf::{Entry, Origin},
};
use crate::{
    ledger::{CountFault, Pending},
    message::SmallMessage,
};
use commonware_p2p::Recipients;
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, Coding, ShardVote, Votes},
};
use std::{mem, sync::Arc};

/// What a validator says of one pending candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Verdict {
    held: bool,
    valid: bool,
    invalid: bool,
}

impl Duties {
    /// What is pending may be final in the next update.
    pub(crate) fn learn_pending(&mut self) {
        let relay = Arc::clone(&self.relay);
        for pending in relay.ledger.pending() {
            let (id, envelope) = (pending.candidate, &pending.envelope);
            let origin = Origin::Ledger;
            let known = self
                .shelf
                .learn(id, &envelope.descriptor, origin, self.now_ms);
            if let Some(entry) = known {
                entry.backed = true;
                entry.backed_coding = Some(envelope.coding);
            }
        }
    }

    /// Gets and checks what is pending.
    pub(crate) fn approve(&mut self) {
        let relay = Arc::clone(&self.relay);
        for pending in relay.ledger.pending() {
            let descriptor = &pending.envelope.descriptor;
            let known =
                self.shelf
                    .learn(pending.candidate, descriptor, Origin::Ledger, self.now_ms);
            let Some(entry) = known else {
                continue;
            };
            entry.backed = true;
            if pending.is_included() {
                entry.chunks = Vec::new();
            }
            let wrong = entry.wrong_roots.contains(&pending.envelope.coding.root);
            let decided = wrong || is_decided(entry, pending.envelope.coding.epoch);
            let Some(own) = self.own.filter(|_| !decided) else {
                continue;
            };
            match pending.asked.contains(usize::from(own)) {
                true => self.get_checked(pending.candidate),
                false => self.want_chunk(pending),
            }
        }
        self.follow_bodies();
    }

    /// Has a candidate checked and cut, once its collation is there.
    pub(crate) fn get_checked(&mut self, id: CandidateId) {
        let entry = self.shelf.get(&id);
        match entry.is_some_and(|entry| entry.collation.is_none()) {
            true => self.want(id, None),
            false => self.enqueue(id, false),
        }
    }

    /// Gets what the shards' collators need: whatever has been backed, or is about to be.
    fn follow_bodies(&mut self) {
        let mut missing: Vec<CandidateId> = Vec::new();
        for shard in &self.config.collates {
            let Some(line) = self.lines.get(shard) else {
                continue;
            };
            let known = self.shelf.within(*shard, line.window());
            let had = line.begins_at();
            let wanted = known.filter(|(_, entry)| {
                let heard = entry.backed || entry.signed;
                let new = entry.descriptor.number > had;
                entry.collation.is_none() && !entry.is_invalid() && heard && new
            });
            missing.extend(wanted.map(|(id, _)| id));
        }
        for id in missing {
            self.want(id, None);
        }
    }

    /// Says what is known of everything pending, if that is new or not counted yet.
    pub(crate) fn vote(&mut self) {
        let Some(own) = self.own else {
            return;
        };
        let Some(votes) = self.votes(own) else {
            return;
        };
        let last = &self.last_vote;
        let same_height = last.votes.height == votes.height;
        let soon = self.now_ms.saturating_sub(last.sent_ms) < self.config.vote_ms;
        if votes == last.votes || (same_height && soon) {
            return;
        }
        self.last_vote = LastVote {
            votes,
            sent_ms: self.now_ms,
        };
        let digest = self.ledger().digest();
        let namespace = &self.relay.authority.namespace;
        let vote = votes.sign(own, &digest, namespace, &self.config.key);
        self.metrics.votes.inc();
        let to = Recipients::Some(self.validators());
        self.send_small(to, SmallMessage::Vote(Box::new(vote.clone())));
        self.inclusion.add_vote(vote);
    }

    /// Everything that can be said now; none if the ledger has counted all of it.
    fn votes(&self, own: u16) -> Option<Votes> {
        let ledger = self.ledger();
        let mut votes = Votes {
            height: ledger.height(),
            ..Votes::default()
        };
        let mut news = false;
        for pending in ledger.pending() {
            let verdict = self.verdict(pending);
            if verdict == Verdict::default() {
                continue;
            }
            let index = usize::from(own);
            news |= (verdict.held && !pending.held.contains(index))
                || (verdict.valid && !pending.valid.contains(index))
                || (verdict.invalid && !pending.invalid.contains(index));
            let sets = [
                (verdict.held, &mut votes.held),
                (verdict.valid, &mut votes.valid),
                (verdict.invalid, &mut votes.invalid),
            ];
            let place = usize::from(pending.place);
            for (_, set) in sets.into_iter().filter(|(said, _)| *said) {
                set.insert(place);
            }
        }
        news.then_some(votes)
    }

    fn verdict(&self, pending: &Pending) -> Verdict {
        let coding = &pending.envelope.coding;
        // Not before it is on disk: whoever says so has to have it after a power failure. Chunks of an epoch before
        // are held by that epoch's indices, and were counted then.
        let held = coding.epoch == self.ledger().epoch()
            && self.memory.holds(pending.candidate, coding.root);
        let entry = self.shelf.get(&pending.candidate);
        let valid = entry.and_then(|entry| finding_of(entry, coding));
        Verdict {
            held,
            valid: valid == Some(true),
            invalid: valid == Some(false),
        }
    }

    /// Another validator's vote.
    pub(crate) fn hear_vote(&mut self, peer: &PublicKey, vote: ShardVote) {
        if vote.votes.height > self.ledger().height() {
            let early = self.early_votes.get(&vote.validator);
            let newer = early.is_none_or(|(_, known)| known.votes.height <= vote.votes.height);
            if newer && self.relay.authority.key(vote.validator) == Some(peer) {
                self.early_votes
                    .insert(vote.validator, (peer.clone(), vote));
            }
            return;
        }
        if !self.brings_news(&vote) {
            return;
        }
        match self.relay.authority.check_vote(&vote, self.ledger()) {
            Ok(()) => {
                self.metrics.received_votes.inc();
                self.inclusion.add_vote(vote);
            }
            Err(CountFault::Signature | CountFault::Validator(_) | CountFault::Form(_)) => {
                self.ban(peer, "a vote with a wrong signature");
            }
            Err(CountFault::Height { .. } | CountFault::Stale) => {}
        }
    }

    /// Whether anything in a vote has not been counted, before its signature is looked at. What was backed after the
    /// ledger that it names can't be meant.
    fn brings_news(&self, vote: &ShardVote) -> bool {
        let (votes, validator) = (&vote.votes, usize::from(vote.validator));
        let named = |pending: &&Pending| pending.backed.height <= votes.height;
        self.ledger().pending().filter(named).any(|pending| {
            let bit = usize::from(pending.place);
            (votes.held.contains(bit) && !pending.held.contains(validator))
                || (votes.valid.contains(bit) && !pending.valid.contains(validator))
                || (votes.invalid.contains(bit) && !pending.invalid.contains(validator))
        })
    }

    /// Votes that named a ledger of the future may name one that is known now.
    pub(crate) fn count_early_votes(&mut self) {
        let early = mem::take(&mut self.early_votes);
        for (peer, vote) in early.into_values() {
            // Whose index it was may be another's now.
            if self.relay.authority.key(vote.validator) == Some(&peer) {
                self.hear_vote(&peer, vote);
            }
        }
    }
}

/// Whether there is nothing left to find out about a candidate.
fn is_decided(entry: &Entry, epoch: u64) -> bool {
    match entry.finding {
        Some(Finding::Invalid) => true,
        Some(Finding::Valid) => entry.coding.is_some_and(|coding| coding.epoch == epoch),
        Some(Finding::Undecided) | None => false,
    }
}

/// What was found of a candidate under this coding: true is valid.
fn finding_of(entry: &Entry, coding: &Coding) -> Option<bool> {
    if entry.wrong_roots.contains(&coding.root) {
        return Some(false);
    }
    match entry.finding {
        Some(Finding::Invalid) => Some(false),
        Some(Finding::Valid) => {
            let own = entry.coding.filter(|own| own.epoch == coding.epoch);
            own.map(|own| own == *coding)
        }
        Some(Finding::Undecided) | None => None,
    }
}
