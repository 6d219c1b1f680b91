//! What goes first, and who may claim how much.

use super::{CLAIMS_MAX, FORKS_MAX, Fate, Kept, Origin, RECENT_NUMBERS, Shelf};
use crate::collator::Line;
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::{PrivateKey, PublicKey},
    shard::{Descriptor, RelayAnchor, ShardId, ShardNamespace},
};
use std::collections::BTreeSet;

fn descriptor(collator: u64, salt: u8) -> Descriptor {
    let word = B256::repeat_byte(salt);
    Descriptor {
        shard: ShardId(1),
        number: 1,
        parent: B256::ZERO,
        head: word,
        state_root: word,
        anchor: RelayAnchor {
            height: 1,
            digest: B256::ZERO,
        },
        rules: B256::ZERO,
        collation_hash: word,
        collation_bytes: 1,
        gas_used: 0,
        timestamp_ms: 1,
        collator: PrivateKey::from_seed(collator).public_key(),
    }
}

#[test]
fn what_nobody_vouches_for_goes_first() {
    let mut shelf = Shelf::default();
    let ids: Vec<_> = (0..3)
        .map(|salt| {
            let descriptor = descriptor(1, salt);
            let id = descriptor.id();
            let now_ms = u64::from(salt);
            let entry = shelf.learn(id, &descriptor, Origin::Ledger, now_ms);
            let entry = entry.expect("the ledger's always have room");
            entry.collation = Some(Bytes::from(vec![0; 100]));
            entry.signed = salt == 0;
            id
        })
        .collect();
    let held = |shelf: &Shelf| {
        let held = |id| shelf.get(id).is_some_and(|one| one.collation.is_some());
        ids.iter().map(held).collect::<Vec<_>>()
    };
    shelf.shed(&BTreeSet::new(), 300);
    assert_eq!(held(&shelf), [true, true, true]);
    shelf.shed(&BTreeSet::new(), 200);
    assert_eq!(held(&shelf), [true, false, true]);
    shelf.shed(&BTreeSet::new(), 199);
    assert_eq!(held(&shelf), [true, false, false]);
    shelf.shed(&BTreeSet::from([ids[0]]), 0);
    assert_eq!(held(&shelf), [true, false, false]);
}

#[test]
fn what_is_final_goes_before_what_is_not() {
    let mut shelf = Shelf::default();
    let [old, new] = [1, 2].map(|salt| {
        let descriptor = descriptor(1, salt);
        let id = descriptor.id();
        let entry = shelf.learn(id, &descriptor, Origin::Ledger, u64::from(salt));
        entry.unwrap().collation = Some(Bytes::from(vec![0; 100]));
        id
    });
    let entry = shelf.get_mut(&old).unwrap();
    (entry.fate, entry.signed, entry.heard_ms) = (Fate::Final, true, 9);
    shelf.shed(&BTreeSet::new(), 100);
    assert!(shelf.get(&old).unwrap().collation.is_none());
    assert!(shelf.get(&new).unwrap().collation.is_some());
}

#[test]
fn little_of_what_is_final_is_held_unless_it_is_lacking() {
    let mut shelf = Shelf::default();
    let ids = [1, 2, 3].map(|salt| {
        let descriptor = descriptor(1, salt);
        let id = descriptor.id();
        let entry = shelf.learn(id, &descriptor, Origin::Ledger, u64::from(salt));
        let entry = entry.unwrap();
        entry.collation = Some(Bytes::from(vec![0; 100]));
        entry.fate = Fate::Final;
        id
    });
    let held = |shelf: &Shelf| ids.map(|id| shelf.get(&id).unwrap().collation.is_some());
    shelf.shed_final(|_| true, 0);
    assert_eq!(held(&shelf), [true, true, true]);
    shelf.shed_final(|_| false, 250);
    assert_eq!(held(&shelf), [false, true, true]);
    shelf.get_mut(&ids[2]).unwrap().fate = Fate::Open;
    shelf.shed_final(|_| false, 0);
    assert_eq!(held(&shelf), [false, false, true]);
}

#[test]
fn what_a_collator_has_is_held_until_it_is_written() {
    let descriptor = descriptor(1, 1);
    let (id, number) = (descriptor.id(), descriptor.number);
    let mut shelf = Shelf::default();
    let entry = shelf.learn(id, &descriptor, Origin::Ledger, 1).unwrap();
    entry.collation = Some(Bytes::from(vec![0; 100]));
    entry.fate = Fate::Final;
    // Its files lack it; or they have it, and its collation is for others.
    assert!(Line::having(0, (0, B256::ZERO)).needs(entry));
    let had = Line::having(number, (number, descriptor.head));
    assert!(had.needs(entry));
    // Nothing is ever written of what another block of its number came before, nor of what is long ago.
    let other = Line::having(number, (number, B256::ZERO));
    assert!(!other.needs(entry));
    let after = number + RECENT_NUMBERS + 1;
    assert!(!Line::having(after, (after, descriptor.head)).needs(entry));
    shelf.shed_final(|entry| had.needs(entry), 0);
    assert!(shelf.get(&id).unwrap().collation.is_some());
    shelf.get_mut(&id).unwrap().body = Kept::Done;
    shelf.shed_final(|entry| had.needs(entry), 0);
    assert!(shelf.get(&id).unwrap().collation.is_none());
}

fn key(seed: u64) -> PublicKey {
    PrivateKey::from_seed(seed).public_key()
}

/// Teaches a shelf candidates of a collator that a peer names; whether there was room.
struct Teacher {
    shelf: Shelf,
    namespace: ShardNamespace,
}

impl Teacher {
    fn new() -> Self {
        Self {
            shelf: Shelf::default(),
            namespace: ShardNamespace::new(&B256::ZERO),
        }
    }

    fn offers(&mut self, peer: u64, collator: u64, salt: u8) -> bool {
        let descriptor = descriptor(collator, salt);
        let id = descriptor.id();
        let signature = id.sign(&self.namespace, &PrivateKey::from_seed(collator));
        let origin = Origin::Collator(&signature, &key(peer));
        self.shelf.learn(id, &descriptor, origin, 0).is_some()
    }

    fn backs(&mut self, peer: u64, collator: u64, salt: u8) -> bool {
        let descriptor = descriptor(collator, salt);
        let origin = Origin::Backer(&key(peer));
        let known = self.shelf.learn(descriptor.id(), &descriptor, origin, 0);
        known.is_some()
    }

    fn names(&mut self, collator: u64, salt: u8) -> bool {
        let descriptor = descriptor(collator, salt);
        let known = self
            .shelf
            .learn(descriptor.id(), &descriptor, Origin::Ledger, 0);
        known.is_some()
    }
}

const MANY: u8 = 4;

#[test]
fn nobody_takes_the_room_of_others() {
    assert_eq!(usize::from(MANY), FORKS_MAX);
    let mut one = Teacher::new();
    for salt in 0..MANY {
        assert!(one.backs(50, 1, salt));
    }
    assert!(!one.backs(50, 1, MANY));
    assert!(one.backs(51, 1, MANY));
    for salt in 0..MANY {
        assert!(one.offers(1, 1, 100 + salt));
    }
    assert!(!one.offers(1, 1, 99));
    // Nor by way of a friend, whose own candidates then have less room.
    assert!(!one.offers(2, 1, 99));
    assert!(one.offers(2, 2, 99));
    assert!(one.names(1, 98));
    // What is known stays known, whoever names it.
    assert!(one.backs(50, 1, 0) && one.offers(1, 1, 100));
    // It counts with its collator once that has put it forward itself.
    for salt in 0..MANY {
        assert!(one.offers(60, 3, 50 + salt));
    }
    assert!(!one.offers(60, 4, 60));
    assert!(one.offers(3, 3, 50) && one.offers(60, 4, 60));
}

#[test]
fn keys_made_up_for_the_purpose_take_bounded_room() {
    let mut one = Teacher::new();
    // Where anybody may collate, each candidate may have another key.
    let room = (0..200_u8).filter(|salt| one.offers(7, 1_000 + u64::from(*salt), *salt));
    assert_eq!(room.count(), FORKS_MAX);
    for salt in 0..200_u8 {
        let peer = 10 + u64::from(salt % 40);
        one.offers(peer, 2_000 + u64::from(salt), salt);
    }
    assert_eq!(one.shelf.len(), CLAIMS_MAX);
    // Whoever brought most gives way to a peer that has brought nothing.
    assert!(one.offers(9, 9, 1));
    assert_eq!(one.shelf.len(), CLAIMS_MAX);
    let named = one.shelf.at(ShardId(1), 1);
    let named = named.filter(|(_, entry)| entry.from == Some(key(9)));
    assert_eq!(named.count(), 1);
}
