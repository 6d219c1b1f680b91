//! What peers only claim is fetched too, without keeping anybody from what matters.
//!
//! ```text
//!   pending                                            always room
//!   named by a relay block before, enough have backed  [FETCHES_MAX]
//!   an offer, one backer's word                        [CLAIMED_FETCHES_MAX] in each shard:
//!                                                      whoever claims most gives way
//! ```
//! What is pending is as much as the ledger allows, and nobody alone can bring about what comes next.

use super::{
    config::{CLAIMED_FETCHES_MAX, FETCHES_MAX},
    duties::Duties,
    share::gives_way,
};
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, ShardId},
};

/// That there is a candidate of a shard which is worth having, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    shard: ShardId,
    peer: PublicKey,
}

impl Duties {
    /// Who alone says that a candidate is worth having: none if others do.
    pub(crate) fn claim_of(&self, id: &CandidateId, hint: Option<&PublicKey>) -> Option<Claim> {
        let entry = self.shelf.get(id)?;
        if entry.backed || self.statements.is_backable(id) {
            return None;
        }
        let peer = hint.or(entry.from.as_ref()).unwrap_or(&self.public_key);
        Some(Claim {
            shard: entry.descriptor.shard,
            peer: peer.clone(),
        })
    }

    /// Makes room to fetch one candidate more, if there may be.
    pub(crate) fn make_room_to_fetch(&mut self, id: &CandidateId, claim: Option<&Claim>) -> bool {
        let Some(claim) = claim else {
            let named = self.fetches.values().filter(|one| one.claim.is_none());
            return named.count() < FETCHES_MAX || self.pending_coding(id).is_some();
        };
        let beside = || {
            let claims = self.fetches.iter();
            let claims = claims.filter_map(|(id, one)| Some((id, one.claim.as_ref()?)));
            claims.filter(|(_, one)| one.shard == claim.shard)
        };
        if beside().count() < CLAIMED_FETCHES_MAX {
            return true;
        }
        let taken = beside().map(|(_, one)| (&one.peer, 1));
        let greedy = gives_way(taken, &claim.peer, 1);
        let of_greedy = beside().find(|(_, one)| Some(&one.peer) == greedy);
        let Some(id) = of_greedy.map(|(id, _)| *id) else {
            return false;
        };
        self.fetches.remove(&id);
        true
    }
}
