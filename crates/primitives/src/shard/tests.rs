//! Encodings are one to one and bounded; signatures bind what they should.

use super::{
    BackedEnvelope, Bits, CarriedOrders, Coding, Descriptor, Envelope, RelayAnchor, Schedule,
    SectionLimits, ShardId, ShardNamespace, ShardSection, Votes,
};
use crate::crypto::PrivateKey;
use alloy_primitives::B256;
use commonware_codec::{Decode, DecodeExt, Encode};
use commonware_cryptography::Signer as _;
use proptest::prelude::*;

fn envelope(number: u64) -> Envelope {
    let word = |byte: u8| B256::repeat_byte(byte);
    Envelope {
        descriptor: Descriptor {
            shard: ShardId(7),
            number,
            parent: word(1),
            head: word(2),
            state_root: word(3),
            anchor: RelayAnchor {
                height: 40,
                digest: word(4),
            },
            rules: word(5),
            collation_hash: word(6),
            collation_bytes: 1_000,
            gas_used: 21_000,
            timestamp_ms: 5,
            collator: PrivateKey::from_seed(9).public_key(),
        },
        coding: Coding {
            epoch: 0,
            total: 4,
            minimum: 2,
            root: word(8),
        },
        schedule: Schedule {
            core: 1,
            height: 41,
        },
    }
}

#[test]
fn the_identity_is_free_of_scheduling() {
    let (a, mut b) = (envelope(1), envelope(1));
    b.schedule = Schedule {
        core: 3,
        height: 99,
    };
    b.coding.root = B256::repeat_byte(77);
    assert_eq!(a.descriptor.id(), b.descriptor.id());
    assert_ne!(a.statement(), b.statement());
    assert_ne!(a.descriptor.id(), envelope(2).descriptor.id());
}

#[test]
fn a_statement_is_bound_to_chain_key_and_envelope() {
    let (ours, other) = (
        ShardNamespace::new(&B256::ZERO),
        ShardNamespace::new(&B256::repeat_byte(1)),
    );
    let key = PrivateKey::from_seed(1);
    let statement = envelope(1).statement();
    let signature = statement.sign(&ours, &key);
    assert!(statement.is_signed(&ours, &key.public_key(), &signature));
    assert!(!statement.is_signed(&other, &key.public_key(), &signature));
    assert!(!statement.is_signed(&ours, &PrivateKey::from_seed(2).public_key(), &signature));
    let mut moved = envelope(1);
    moved.schedule.height += 1;
    assert!(
        !moved
            .statement()
            .is_signed(&ours, &key.public_key(), &signature)
    );
}

#[test]
fn an_offer_is_bound_to_chain_key_and_candidate() {
    let (ours, other) = (
        ShardNamespace::new(&B256::ZERO),
        ShardNamespace::new(&B256::repeat_byte(1)),
    );
    let key = PrivateKey::from_seed(1);
    let id = envelope(1).descriptor.id();
    let signature = id.sign(&ours, &key);
    assert!(id.is_signed(&ours, &key.public_key(), &signature));
    assert!(!id.is_signed(&other, &key.public_key(), &signature));
    assert!(!id.is_signed(&ours, &PrivateKey::from_seed(2).public_key(), &signature));
    let second = envelope(2).descriptor.id();
    assert!(!second.is_signed(&ours, &key.public_key(), &signature));
}

#[test]
fn a_vote_is_bound_to_the_ledger() {
    let namespace = ShardNamespace::new(&B256::ZERO);
    let key = PrivateKey::from_seed(1);
    let votes = Votes {
        height: 3,
        held: Bits::below(3),
        ..Votes::default()
    };
    let vote = votes.sign(2, &B256::repeat_byte(5), &namespace, &key);
    assert!(vote.is_signed(&B256::repeat_byte(5), &namespace, &key.public_key()));
    assert!(!vote.is_signed(&B256::repeat_byte(6), &namespace, &key.public_key()));
}

#[test]
fn a_section_is_bounded_and_has_one_encoding() {
    let namespace = ShardNamespace::new(&B256::ZERO);
    let keys: Vec<_> = (0..4).map(PrivateKey::from_seed).collect();
    let envelope = envelope(1);
    let statement = envelope.statement();
    let backed = BackedEnvelope {
        signatures: keys[1..3]
            .iter()
            .map(|key| statement.sign(&namespace, key))
            .collect(),
        backers: [1, 2].into_iter().collect(),
        envelope,
    };
    let public: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
    assert!(backed.is_signed(&namespace, |index| public.get(index)));
    let mut forged = backed.clone();
    forged.backers = [0, 2].into_iter().collect();
    assert!(!forged.is_signed(&namespace, |index| public.get(index)));
    let votes = Votes {
        height: 3,
        valid: Bits::below(256),
        ..Votes::default()
    };
    let vote = votes.sign(2, &B256::ZERO, &namespace, &keys[0]);
    let section = ShardSection {
        backed: vec![backed],
        votes: vec![vote],
        equivocations: Vec::new(),
        orders: CarriedOrders {
            height: 7,
            list: vec![vec![1; 3].into(), vec![2; 4_096].into()],
        },
    };
    let limits = SectionLimits {
        backed: 1,
        votes: 4,
        equivocations: 0,
        orders: 2,
    };
    let bytes = section.encode();
    assert!(bytes.len() <= limits.bytes_max());
    assert_eq!(
        ShardSection::decode_cfg(bytes.clone(), &limits).unwrap(),
        section
    );
    let none = SectionLimits::default();
    assert!(ShardSection::decode_cfg(bytes, &none).is_err());
    assert_eq!(ShardSection::default().digest(), super::NO_SHARDS);
    assert_ne!(section.digest(), super::NO_SHARDS);
}

proptest! {
    #[test]
    fn sets_are_sets(numbers in proptest::collection::btree_set(0_usize..256, 0..40), other in 0_usize..300) {
        let bits: Bits = numbers.iter().copied().collect();
        prop_assert_eq!(bits.count(), numbers.len());
        prop_assert_eq!(bits.iter().collect::<Vec<_>>(), numbers.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(bits.contains(other), numbers.contains(&other));
        prop_assert_eq!(Bits::decode(bits.encode()).unwrap(), bits);
        let mut more = bits;
        prop_assert_eq!(more.insert(other), other < 256 && !numbers.contains(&other));
        prop_assert_eq!(more.without(&bits).count(), usize::from(more != bits));
    }

    #[test]
    fn garbage_is_refused_or_means_one_thing(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(bits) = Bits::decode(bytes::Bytes::from(bytes.clone())) {
            prop_assert_eq!(bits.encode().to_vec(), bytes);
        }
    }
}
