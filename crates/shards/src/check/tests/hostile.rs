//! Candidates that are wrong in one respect each, and bytes that nobody meant.

use super::*;
use crate::{CollationError, Part, collation::hash_of};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::Signature;
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::{Signer as _, certificate::Scheme as _};
use commonware_parallel::Sequential;
use commonware_utils::{iter::NonEmpty, ordered::Set};
use primitives::{
    Directive, ExecutionResult, Header,
    certificate::result_scheme,
    crypto::{BlockDigest, PrivateKey},
    shard::{Bits, ShardNamespace, ShardSection, Votes},
    static_check::StaticError,
    transaction::Envelope,
};
use proptest::prelude::*;
use state::sparse::witness::{Touched, WitnessError, WitnessGap};
use std::sync::OnceLock;

/// A chain whose newest block calls a token, pays, and asks for a hash far back.
fn scene() -> (World, Offer) {
    let mut world = World::new(1);
    let mut blocks = story();
    blocks.truncate(6);
    let last = blocks.pop().expect("six");
    for transactions in blocks {
        offer(&mut world, transactions);
    }
    let token = signer(0).address().create(0);
    let input = method("transfer(address,uint256)", SINK, 1);
    let more = [
        sign(3, call(2, token, 0, input)),
        sign(7, transfer(1, signer(6).address(), 11)),
    ];
    let offer = offer(&mut world, last.into_iter().chain(more).collect());
    assert_right(&world, &offer);
    (world, offer)
}

/// The descriptor of another collation: hash and length are right.
fn describe_anew(descriptor: &Descriptor, encoded: &[u8]) -> Descriptor {
    Descriptor {
        collation_hash: hash_of(encoded),
        collation_bytes: u32::try_from(encoded.len()).unwrap(),
        ..descriptor.clone()
    }
}

/// What is found of an offer whose collation is changed, and described as it is then.
fn judge_changed(
    (world, offer): &(World, Offer),
    change: impl FnOnce(&mut Collation),
) -> Result<Checked, Verdict> {
    let mut collation = offer.collation.clone();
    change(&mut collation);
    let encoded = collation.encode().unwrap();
    judge(world, &describe_anew(&offer.descriptor, &encoded), &encoded)
}

/// What is found of an offer whose block has a changed header.
fn judge_header(scene: &(World, Offer), change: impl FnOnce(&mut Header)) -> Invalid {
    invalid(judge_changed(scene, |collation| {
        let mut header = collation.block.header().clone();
        change(&mut header);
        let transactions = collation.block.transactions().to_vec();
        collation.block = Block::new(header, transactions, Vec::new());
    }))
}

#[test]
fn every_field_of_a_descriptor_is_compared() {
    let (world, offer) = scene();
    let wrong = |change: fn(&mut Descriptor)| {
        let mut descriptor = offer.descriptor.clone();
        change(&mut descriptor);
        invalid(judge(&world, &descriptor, &offer.encoded))
    };
    let (right, head) = (&offer.descriptor, &offer.head);
    assert_eq!(wrong(|it| it.shard.0 += 1), Invalid::Shard(ShardId(4)));
    assert_eq!(wrong(|it| it.rules.0[0] ^= 1), {
        let mut rules = right.rules;
        rules.0[0] ^= 1;
        Invalid::Rules(rules)
    });
    let described = right.collation_bytes - 1;
    let bytes = offer.encoded.len();
    assert_eq!(
        wrong(|it| it.collation_bytes -= 1),
        Invalid::Length { bytes, described }
    );
    assert_eq!(
        wrong(|it| it.collation_hash.0[9] ^= 1),
        Invalid::Hash(right.collation_hash)
    );
    assert_eq!(
        wrong(|it| it.parent.0[31] ^= 1),
        Invalid::Parent(right.parent)
    );
    assert_eq!(
        wrong(|it| it.number += 1),
        Invalid::DescribedNumber(right.number + 1)
    );
    assert_eq!(
        wrong(|it| it.collator = PrivateKey::from_seed(1).public_key()),
        Invalid::Collator
    );
    assert_eq!(
        wrong(|it| it.timestamp_ms += 1),
        Invalid::DescribedTimestamp(right.timestamp_ms)
    );
    assert_eq!(
        wrong(|it| it.gas_used += 1),
        Invalid::GasUsed(head.gas_used)
    );
    assert_eq!(
        wrong(|it| it.state_root.0[0] ^= 1),
        Invalid::StateRoot(head.state_root)
    );
    assert_eq!(wrong(|it| it.head.0[0] ^= 1), Invalid::Head(right.head));
    // The anchor is the ledger's to judge: nothing in the block depends on it.
    let mut elsewhere = right.clone();
    elsewhere.anchor.height += 1;
    assert!(judge(&world, &elsewhere, &offer.encoded).is_ok());
}

#[test]
fn every_field_of_an_ordering_header_is_compared() {
    let scene = scene();
    let parent = scene.1.collation.parent.ordering.clone();
    let right = scene.1.collation.block.header().clone();
    let number = right.height;
    let wrong = |change: fn(&mut Header)| judge_header(&scene, change);
    assert_eq!(wrong(|it| it.height += 1), Invalid::Number(number + 1));
    let round = |it: &mut Header| it.context.round = Round::new(Epoch::zero(), View::new(1));
    assert_eq!(wrong(round), Invalid::Round);
    let epoch =
        |it: &mut Header| it.context.round = Round::new(Epoch::new(1), View::new(it.height));
    assert_eq!(wrong(epoch), Invalid::Round);
    let leader = |it: &mut Header| it.context.leader = PrivateKey::from_seed(1).public_key();
    assert_eq!(wrong(leader), Invalid::Collator);
    let view = |it: &mut Header| it.context.parent.0 = View::new(it.height);
    assert_eq!(wrong(view), Invalid::ParentDigest);
    let digest = |it: &mut Header| it.context.parent.1 = BlockDigest::from([1; 32]);
    assert_eq!(wrong(digest), Invalid::ParentDigest);
    let at = parent.timestamp_ms;
    assert_eq!(
        judge_header(&scene, |it| it.timestamp_ms = at),
        Invalid::Timestamp {
            got: at,
            parent: at
        }
    );
    assert_eq!(
        wrong(|it| it.timestamp_ms += 1),
        Invalid::DescribedTimestamp(right.timestamp_ms + 1)
    );
    let (got, expected) = (right.base_fee + 1, right.base_fee);
    assert_eq!(
        wrong(|it| it.base_fee += 1),
        Invalid::BaseFee { got, expected }
    );
    let budget = right.gas_budget - 1;
    assert_eq!(wrong(|it| it.gas_budget -= 1), Invalid::GasBudget(budget));
    assert_eq!(
        wrong(|it| it.ledger_digest.0[0] ^= 1),
        Invalid::Digest("ledger_digest")
    );
    // Other fees go to somebody of whom the witness says nothing.
    let elsewhere = wrong(|it| it.proposer = Address::repeat_byte(0xab));
    assert!(
        matches!(elsewhere, Invalid::Gap(_) | Invalid::StateRoot(_)),
        "{elsewhere}"
    );
}

#[test]
fn the_block_called_final_is_below_and_never_falls_back() {
    let scene = scene();
    let parent = scene.1.collation.parent.ordering.clone();
    let wrong = |height, hash| {
        judge_header(&scene, |it| {
            it.executed.height = height;
            it.executed.block_hash = hash;
        })
    };
    let before = &parent.executed;
    let other = B256::repeat_byte(9);
    let named = scene.1.descriptor.parent;
    for (height, hash) in [
        (parent.height + 1, other),
        (parent.height, other),
        (before.height, other),
        (
            before.height - 1,
            scene.0.ancestor(before.height - 1).hash_slow(),
        ),
    ] {
        assert_eq!(wrong(height, hash), Invalid::ExecutedRef(height));
    }
    // What is not wrong changes the block all the same.
    assert!(matches!(
        wrong(before.height, before.block_hash),
        Invalid::Head(_)
    ));
    assert_eq!(scene.1.collation.block.header().executed.block_hash, named);
}

#[test]
fn a_certificate_has_no_place_in_a_header_of_a_shard() {
    let keys = [0, 1, 2, 3].map(PrivateKey::from_seed);
    let validators = keys.iter().map(PrivateKey::public_key).collect::<Vec<_>>();
    let validators: Set<_> = validators.try_into().unwrap();
    let result = ExecutionResult {
        height: 1,
        block_hash: B256::ZERO,
    };
    let schemes = keys.map(|key| result_scheme(&B256::ZERO, validators.clone(), Some(key)));
    let signed = schemes
        .iter()
        .map(|scheme| scheme.sign::<BlockDigest>(&result).unwrap());
    let certificate = schemes[0].assemble(NonEmpty::try_new(signed).unwrap(), &Sequential);
    let scene = scene();
    let height = scene.1.collation.block.header().executed.height;
    let found = judge_header(&scene, |it| it.executed.certificate = certificate.ok());
    assert_eq!(found, Invalid::Certificate(height));
}

#[test]
fn a_block_of_a_shard_says_nothing_about_shards() {
    let namespace = ShardNamespace::new(&B256::ZERO);
    let votes = Votes {
        held: Bits::below(1),
        ..Votes::default()
    };
    let vote = votes.sign(0, &B256::ZERO, &namespace, &PrivateKey::from_seed(0));
    let section = |it: &mut Collation| {
        let section = ShardSection {
            votes: vec![vote.clone()],
            ..ShardSection::default()
        };
        let header = it.block.header().clone();
        let transactions = it.block.transactions().to_vec();
        it.block = Block::with_section(header, transactions, Vec::new(), section);
    };
    let found = invalid(judge_changed(&scene(), section));
    assert!(matches!(found, Invalid::Collation(_)), "{found:?}");
}

#[test]
fn another_parent_is_refused() {
    let scene = scene();
    let changed = |change: fn(&mut Collation)| invalid(judge_changed(&scene, change));
    let parent = |it: &mut Collation| it.parent.header.gas_used += 1;
    assert!(matches!(changed(parent), Invalid::Parent(_)));
    let ordering = |it: &mut Collation| it.parent.ordering.base_fee += 1;
    assert_eq!(changed(ordering), Invalid::ParentOrdering);
    let swapped = |it: &mut Collation| it.ancestors.swap(0, 1);
    assert_eq!(changed(swapped), Invalid::Ancestor(0));
    let altered = |it: &mut Collation| it.ancestors[2].timestamp += 1;
    assert_eq!(changed(altered), Invalid::Ancestor(2));
    let fewer = |it: &mut Collation| drop(it.ancestors.pop());
    assert_eq!(changed(fewer), Invalid::Gap(WitnessGap::Block(1)));
    let beyond = |it: &mut Collation| it.ancestors.push(EthereumHeader::default());
    assert_eq!(changed(beyond), Invalid::Ancestor(3));
}

#[test]
fn the_ordering_header_of_a_genesis_is_known_to_all() {
    let mut world = World::new(1);
    let offer = offer(&mut world, vec![sign(0, transfer(0, SINK, 1))]);
    assert_eq!(offer.collation.parent.header.number, 0);
    assert_right(&world, &offer);
    let scene = (world, offer);
    let lower = |it: &mut Collation| it.parent.ordering.base_fee /= 2;
    assert_eq!(
        invalid(judge_changed(&scene, lower)),
        Invalid::ParentOrdering
    );
    let beyond = |it: &mut Collation| it.ancestors.push(EthereumHeader::default());
    assert_eq!(invalid(judge_changed(&scene, beyond)), Invalid::Ancestor(0));
}

#[test]
fn a_transaction_that_may_not_stand_in_a_block_is_refused() {
    let scene = scene();
    let with = |transaction: Transaction| {
        invalid(judge_changed(&scene, |collation| {
            let header = collation.block.header().clone();
            collation.block = Block::new(header, vec![transaction], Vec::new());
        }))
    };
    let foreign = TxEip1559 {
        chain_id: 8,
        ..transfer(2, SINK, 1)
    };
    let error = StaticError::ChainId {
        expected: 7,
        got: 8,
    };
    assert_eq!(with(sign(7, foreign)), Invalid::Static { index: 0, error });
    let high = Signature::new(U256::from(1), U256::MAX >> 1, false);
    let unsigned = transfer(2, SINK, 1).into_signed(high);
    let unsigned = crate::tests::world::encode(Envelope::Eip1559(unsigned));
    assert_eq!(with(unsigned), Invalid::Signature);
    let directives = invalid(judge_changed(&scene, |collation| {
        let header = collation.block.header().clone();
        let directive = Directive::SetNonce(SINK, 1);
        collation.block = Block::new(header, Vec::new(), vec![directive]);
    }));
    assert_eq!(directives, Invalid::Directives);
}

#[test]
fn gas_limits_stay_within_the_budget() {
    let mut world = World::new(1);
    let heavy = |account| {
        let transaction = TxEip1559 {
            gas_limit: 16_000_000,
            ..transfer(0, SINK, 1)
        };
        sign(account, transaction)
    };
    let offer = offer(&mut world, (0..7).map(heavy).collect());
    let found = invalid(judge(&world, &offer.descriptor, &offer.encoded));
    assert_eq!(found, Invalid::OverBudget(112_000_000));
}

#[test]
fn what_cannot_pay_or_skips_a_nonce_is_refused() {
    let mut world = World::new(1);
    let poor = TxEip1559 {
        value: U256::MAX >> 128,
        ..transfer(0, SINK, 1)
    };
    for wrong in [sign(0, poor), sign(1, transfer(5, SINK, 1))] {
        let fine = sign(2, transfer(world.parent.0.number, SINK, 1));
        let offer = offer(&mut world, vec![fine, wrong]);
        match invalid(judge(&world, &offer.descriptor, &offer.encoded)) {
            Invalid::InclusionFault(fault) => assert_eq!(fault.index, 1),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn on_a_development_chain_directives_are_checked_like_all_else() {
    let mut world = World::populated(1, r#"{"dev": true}"#, 0);
    let directives = vec![
        Directive::SetBalance(SINK, U256::from(77)),
        Directive::SetStorage(ORACLE, U256::from(3), U256::from(4)),
        Directive::SetCode(SINK, Bytes::from_static(&[0x00])),
    ];
    let transactions = vec![sign(0, transfer(0, SINK, 1))];
    let block = Block::new(world.header(), transactions, directives);
    let offer = offer_block(&mut world, &block);
    assert_right(&world, &offer);
}

#[test]
fn a_witness_of_another_root_is_refused() {
    let mut world = World::new(1);
    let first = offer(&mut world, vec![sign(0, transfer(0, SINK, 1))]);
    let second = offer(&mut world, vec![sign(0, transfer(1, SINK, 1))]);
    let scene = (world, second);
    let other = first.collation.witness;
    let found = invalid(judge_changed(&scene, |it| it.witness = other));
    assert!(
        matches!(found, Invalid::Witness(WitnessError::Root { .. })),
        "{found}"
    );
    let none = invalid(judge_changed(&scene, |it| it.witness = Bytes::new()));
    assert!(matches!(none, Invalid::Witness(_)), "{none}");
}

#[test]
fn whatever_the_witness_leaves_out_is_a_gap() {
    let mut world = World::new(1);
    for transactions in story().into_iter().take(4) {
        offer(&mut world, transactions);
    }
    let height = world.parent.0.number;
    let block = world.block(story()[4].clone());
    let step = world.execute(&block, &world.store.snapshot(height).unwrap());
    let list = step.executed.access_list();
    let (diff, none) = (&step.executed.diff, state::StateDiff::default());
    let without = |left_out: Option<Address>, slots: bool| {
        let mut touched = Touched::default();
        let kept = |address: &Address| Some(*address) != left_out;
        list.accounts()
            .filter(kept)
            .for_each(|address| touched.account(&address));
        let kept_slots = list.slots().filter(|(address, _)| slots && kept(address));
        kept_slots.for_each(|(address, slot)| touched.slot(&address, &slot));
        let diff = if left_out.is_some() || !slots {
            &none
        } else {
            diff
        };
        world.store.witness(height, &touched, diff, &[]).unwrap()
    };
    let accounts: Vec<Address> = list.accounts().collect();
    let mut witnesses: Vec<Bytes> = accounts
        .iter()
        .map(|address| without(Some(*address), true))
        .collect();
    witnesses.push(without(None, false));
    // All nodes are there, and no code.
    let codeless = without(None, true);
    let offer = offer_block(&mut world, &block);
    assert_right(&world, &offer);
    let scene = (world, offer);
    let mut gaps = 0;
    for witness in witnesses {
        match judge_changed(&scene, |it| it.witness = witness) {
            Err(Verdict::Invalid(Invalid::Gap(_))) => gaps += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gaps, accounts.len() + 1);
    let found = invalid(judge_changed(&scene, |it| it.witness = codeless));
    assert!(
        matches!(found, Invalid::Gap(WitnessGap::Code(_))),
        "{found}"
    );
}

#[test]
fn lengths_are_looked_at_before_anything_is_read() {
    let (world, offer) = scene();
    let mut collation = offer.collation;
    collation.witness = vec![0; crate::COLLATION_BYTES_MAX].into();
    assert!(matches!(
        collation.encode(),
        Err(CollationError::TooLong { .. })
    ));
    collation.witness = Bytes::new();
    collation.ancestors = vec![EthereumHeader::default(); crate::ANCESTORS_MAX + 1];
    let too_many = CollationError::TooManyAncestors {
        count: 255,
        max: 254,
    };
    assert_eq!(collation.encode(), Err(too_many));
    collation.ancestors.clear();
    collation.parent.header.extra_data = vec![0; 5_000].into();
    let encoded = collation.encode();
    assert!(
        matches!(
            encoded,
            Err(CollationError::HeaderTooLong {
                part: Part::Parent,
                ..
            })
        ),
        "{encoded:?}"
    );
    let decode = |bytes: Vec<u8>| Collation::decode(&bytes.into(), &world.chain).unwrap_err();
    assert_eq!(decode(Vec::new()), CollationError::Empty);
    assert_eq!(decode(vec![2]), CollationError::Version(2));
    assert_eq!(decode(vec![1, 0]), CollationError::Malformed(Part::Parent));
    let long = CollationError::HeaderTooLong {
        part: Part::Parent,
        bytes: 65_535,
    };
    assert_eq!(decode(vec![1, 255, 255]), long);
    let most = crate::COLLATION_BYTES_MAX;
    assert!(matches!(
        decode(vec![0; most + 1]),
        CollationError::TooLong { .. }
    ));
}

fn shared_scene() -> &'static (World, Offer) {
    static SCENE: OnceLock<(World, Offer)> = OnceLock::new();
    SCENE.get_or_init(scene)
}

/// Judges other bytes than were offered: as they are described, and as if they were meant.
fn judge_bytes(encoded: Vec<u8>) -> Result<(), TestCaseError> {
    let (world, offer) = shared_scene();
    if encoded == offer.encoded {
        return Ok(());
    }
    let encoded = Bytes::from(encoded);
    let plain = invalid(judge(world, &offer.descriptor, &encoded));
    let is_plain = matches!(plain, Invalid::Length { .. } | Invalid::Hash(_));
    prop_assert!(is_plain, "{}", plain);
    let anew = describe_anew(&offer.descriptor, &encoded);
    // All code in the scene's witness runs, so that no byte is idle.
    match judge(world, &anew, &encoded) {
        Err(Verdict::Invalid(_)) => Ok(()),
        other => Err(TestCaseError::fail(format!("{other:?}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_flipped_bit_passes(at: prop::sample::Index, bit in 0..8_u32) {
        let mut encoded = shared_scene().1.encoded.to_vec();
        *at.get_mut(&mut encoded[..]) ^= 1 << bit;
        judge_bytes(encoded)?;
    }

    #[test]
    fn no_cut_or_spliced_bytes_pass(
        at: prop::sample::Index,
        from: prop::sample::Index,
        more: Vec<u8>,
    ) {
        let encoded = &shared_scene().1.encoded;
        let at = at.index(encoded.len() + 1);
        let from = from.index(encoded.len() + 1);
        judge_bytes(encoded[..at].to_vec())?;
        judge_bytes([&encoded[..at], &more[..], &encoded[from..]].concat())?;
    }

    #[test]
    fn random_bytes_are_no_collation(bytes: Vec<u8>) {
        judge_bytes(bytes)?;
    }
}
