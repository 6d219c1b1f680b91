//! Bytes from anywhere: they decode to what encodes to them, or to nothing, within what was sent.

use super::world::{BLOCK_MS, GAS_LIMIT, GONE, GOOD, World, carried, charter_of};
use crate::ledger::{Ledger, LedgerRules, ShardOrder, Upgrade};
use bytes::Bytes;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use primitives::shard::{SectionLimits, ShardId, ShardSection, charter::digest};
use proptest::prelude::*;

const LIMITS: SectionLimits = SectionLimits {
    backed: u16::MAX,
    votes: u16::MAX,
    equivocations: u16::MAX,
    orders: u16::MAX,
};

/// A ledger in which nothing is empty.
fn rich() -> World {
    let rules = LedgerRules {
        cores: Some(4),
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[2, 1], 3);
    world.back(world.candidate(1, 0, GONE)).unwrap();
    world.wait(BLOCK_MS);
    world.back(world.candidate(2, 2, GOOD)).unwrap();
    let one = world.candidate(1, 0, GOOD);
    let mut two = one.clone();
    two.descriptor.gas_used += 1;
    let mut section = world.votes(0..2);
    section.equivocations = vec![world.equivocation(3, one.clone(), two)];
    section.backed = vec![world.backed_by(one, [1, 2].into_iter().collect())];
    let upgrade = ShardOrder::Upgrade {
        shard: ShardId(1),
        charter: charter_of(9),
        gas_limit: GAS_LIMIT,
        height: 1_000,
    };
    let orders = [upgrade, ShardOrder::Pause(ShardId(2))];
    world.step_with(section, &orders, BLOCK_MS).unwrap();
    world
}

#[test]
fn a_rich_ledger_is_what_it_encodes_to() {
    let ledger = rich().ledger;
    let segment = ledger.shard(ShardId(1)).unwrap();
    assert!(segment.penalties().len() > 0 && segment.pending().len() > 0);
    let height = 1_000;
    let charter = charter_of(9);
    let upgrade = Upgrade {
        rules: digest(&charter),
        charter,
        gas_limit: GAS_LIMIT,
        height,
    };
    assert_eq!(segment.upgrade, Some(upgrade));
    assert!(ledger.offences().len() > 0);
    let bytes = ledger.to_bytes();
    let read = Ledger::decode(Bytes::from(bytes.clone())).unwrap();
    assert_eq!(read, ledger);
    assert_eq!(read.digest(), ledger.digest());
    for end in 0..bytes.len() {
        assert!(Ledger::decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
    }
}

/// A list that claims more than was sent reserves nothing for it: decoding ends where the bytes do.
#[test]
fn a_claim_costs_nothing() {
    let mut bytes = vec![0xff, 0xff];
    bytes.resize(100, 0);
    assert!(ShardSection::decode_cfg(Bytes::from(bytes), &LIMITS).is_err());
    let none = SectionLimits::default();
    let one = Bytes::from_static(&[0, 1, 0, 0, 0, 0, 0, 0]);
    assert!(ShardSection::decode_cfg(one, &none).is_err());
    let empty = Bytes::from_static(&[0; 8]);
    assert!(ShardSection::decode_cfg(empty, &none).unwrap().is_empty());
}

#[test]
fn a_full_section_is_as_long_as_it_may_be() {
    let world = rich();
    let limits = world.ledger.limits();
    let orders = vec![ShardOrder::Pause(ShardId(1)); usize::from(limits.orders)];
    let section = ShardSection {
        backed: vec![world.backed(world.candidate(1, 0, GOOD)); usize::from(limits.backed)],
        votes: vec![world.honest(0, true); usize::from(limits.votes)],
        equivocations: Vec::new(),
        orders: carried(&orders, 5),
    };
    let bytes = section.encode();
    assert!(bytes.len() <= limits.bytes_max());
    assert_eq!(ShardSection::decode_cfg(bytes, &limits).unwrap(), section);
}

proptest! {
    #[test]
    fn garbage_is_no_section(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(section) = ShardSection::decode_cfg(Bytes::from(bytes.clone()), &LIMITS) {
            prop_assert_eq!(section.encode().to_vec(), bytes);
        }
    }

    /// Every order is read as something, and what is not refused at once encodes to what was read.
    #[test]
    fn garbage_is_an_order_that_is_refused(kind in 0_u8..8, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[kind], rest.as_slice()].concat();
        let read = ShardOrder::read(&bytes);
        if !matches!(read, ShardOrder::Unreadable(_)) {
            prop_assert_eq!(read.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn garbage_is_no_ledger(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Ledger::decode(Bytes::from(bytes)).is_err());
    }
}

/// One byte changed is another ledger, with another digest, or none. Two encodings of one ledger would be two
/// histories that a joining node can't tell apart.
#[test]
fn a_changed_byte_is_another_ledger() {
    let ledger = rich().ledger;
    let bytes = ledger.to_bytes();
    for index in 0..bytes.len() {
        for change in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[index] ^= change;
            if let Ok(read) = Ledger::decode(Bytes::from(changed.clone())) {
                assert_eq!(read.to_bytes(), changed, "index={index}");
                assert_ne!(read.digest(), ledger.digest());
            }
        }
    }
}
