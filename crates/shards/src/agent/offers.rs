//! Offers that have not come to a statement: their parent, their check or their time is still missing.
//!
//! ```text
//!   of each shard:   from their own collators     [OFFERS_MAX]    full: whoever has most there gives way
//!                    passed on by others          [OFFERS_MAX]    the same, apart
//! ```
//! An offer is known by its candidate and by who sent it, since nobody signs the schedule: of what one peer says of a
//! candidate the newest schedule counts, and no peer can replace what another says. So an honest collator's offers wait
//! whatever the others send.

use super::{config::OFFERS_MAX, share::gives_way};
use crate::message::Offered;
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, ShardId},
};
use std::mem;

/// An offer that has not come to its statement.
#[derive(Clone, Debug)]
pub(crate) struct WaitingOffer {
    pub(crate) offered: Offered,
    pub(crate) id: CandidateId,
    pub(crate) from: PublicKey,
    pub(crate) since_ms: u64,
}

impl WaitingOffer {
    /// Where it waits: the shard, and whether somebody else than its collator sent it.
    fn place(&self) -> (ShardId, bool) {
        let descriptor = &self.offered.descriptor;
        (descriptor.shard, descriptor.collator != self.from)
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers {
    waiting: Vec<WaitingOffer>,
}

impl Offers {
    pub(crate) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a candidate is waited for.
    pub(crate) fn has(&self, id: &CandidateId) -> bool {
        self.waiting.iter().any(|one| one.id == *id)
    }

    /// One more; whether there was room for it.
    pub(crate) fn add(&mut self, offer: WaitingOffer) -> bool {
        let same = |one: &&mut WaitingOffer| one.id == offer.id && one.from == offer.from;
        if let Some(known) = self.waiting.iter_mut().find(same) {
            if known.offered.schedule.height < offer.offered.schedule.height {
                *known = offer;
            }
            return true;
        }
        if !self.make_room(&offer) {
            return false;
        }
        self.waiting.push(offer);
        true
    }

    fn make_room(&mut self, offer: &WaitingOffer) -> bool {
        let place = offer.place();
        let beside = || self.waiting.iter().filter(|one| one.place() == place);
        if beside().count() < OFFERS_MAX {
            return true;
        }
        let taken = beside().map(|one| (&one.from, 1));
        let Some(peer) = gives_way(taken, &offer.from, 1).cloned() else {
            return false;
        };
        // What lies farthest ahead can wait longest.
        let of_peer = self.waiting.iter().enumerate();
        let of_peer = of_peer.filter(|(_, one)| one.place() == place && one.from == peer);
        let last = of_peer.max_by_key(|(_, one)| one.offered.descriptor.number);
        if let Some((index, _)) = last {
            self.waiting.swap_remove(index);
        }
        true
    }

    /// All of them, parents first, so that a segment is signed in one look.
    pub(crate) fn take(&mut self) -> Vec<WaitingOffer> {
        let mut offers = mem::take(&mut self.waiting);
        offers.sort_by_key(|one| (one.offered.descriptor.shard, one.offered.descriptor.number));
        offers
    }

    /// One that was taken waits on.
    pub(crate) fn keep(&mut self, offer: WaitingOffer) {
        self.waiting.push(offer);
    }
}

#[cfg(test)]
mod tests {
    use super::{OFFERS_MAX, Offers, WaitingOffer};
    use crate::message::Offered;
    use alloy_primitives::B256;
    use commonware_cryptography::Signer as _;
    use primitives::{
        crypto::PrivateKey,
        shard::{Descriptor, RelayAnchor, Schedule, ShardId, ShardNamespace},
    };

    /// An offer of a collator's candidate that somebody sends.
    fn offer(from: u64, collator: u64, number: u64, height: u64) -> WaitingOffer {
        let collator = PrivateKey::from_seed(collator);
        let descriptor = Descriptor {
            shard: ShardId(1),
            number,
            parent: B256::ZERO,
            head: B256::ZERO,
            state_root: B256::ZERO,
            anchor: RelayAnchor {
                height: 1,
                digest: B256::ZERO,
            },
            rules: B256::ZERO,
            collation_hash: B256::ZERO,
            collation_bytes: 1,
            gas_used: 0,
            timestamp_ms: 1,
            collator: collator.public_key(),
        };
        let id = descriptor.id();
        WaitingOffer {
            offered: Offered {
                descriptor,
                schedule: Schedule { core: 0, height },
                signature: id.sign(&ShardNamespace::new(&B256::ZERO), &collator),
            },
            id,
            from: PrivateKey::from_seed(from).public_key(),
            since_ms: 0,
        }
    }

    fn most() -> u64 {
        u64::try_from(OFFERS_MAX).unwrap()
    }

    #[test]
    fn one_peer_takes_one_place_for_each_candidate() {
        let mut offers = Offers::default();
        for height in 0..most() * 2 {
            assert!(offers.add(offer(7, 1, 1, height)));
        }
        assert_eq!(offers.len(), 1);
        // What the collator says itself, nobody replaces.
        assert!(offers.add(offer(1, 1, 1, 3)));
        assert!(offers.add(offer(7, 1, 1, most() * 3)));
        let mut heights: Vec<u64> = offers
            .take()
            .iter()
            .map(|one| one.offered.schedule.height)
            .collect();
        heights.sort_unstable();
        assert_eq!(heights, [3, most() * 3]);
    }

    #[test]
    fn whoever_has_most_gives_way_and_what_is_passed_on_takes_no_collator_s_room() {
        let mut offers = Offers::default();
        for number in 0..most() {
            assert!(offers.add(offer(1, 1, number, 0)));
            assert!(offers.add(offer(9, 1, number, 0)));
        }
        assert!(!offers.add(offer(1, 1, most(), 0)));
        assert!(!offers.add(offer(9, 1, most(), 0)));
        for number in 0..most() / 4 {
            assert!(offers.add(offer(2, 2, number, 0)));
            assert!(offers.add(offer(8, 2, number, 0)));
        }
        assert_eq!(offers.len(), OFFERS_MAX * 2);
        let others = offers.take();
        let others = others
            .iter()
            .filter(|one| one.offered.descriptor.number < most() / 4);
        let from = |seed: u64| {
            let key = PrivateKey::from_seed(seed).public_key();
            others.clone().filter(|one| one.from == key).count()
        };
        // What gave way was what lay farthest ahead.
        assert_eq!([1, 2, 8, 9].map(from), [OFFERS_MAX / 4; 4]);
    }
}
