//! Validators and collators that lie: whole nodes that do one thing wrong, among honest ones.

use super::{
    A, B, SETTLE_MAX, each_seed, goes_on, load, many_seeds, network, settle, settle_among_liars,
    transfers,
};
use primitives::shard::CandidateId;
use shards::ledger::{Discard, LedgerEvent, OffenceKind};
use std::{collections::BTreeSet, time::Duration};
use testkit::{
    cluster::{Cluster, ClusterConfig, ShardLie, simulate},
    oracle,
    workload::Transfers,
};

const WHILE: Duration = Duration::from_secs(3);
/// Blocks that a shard makes final to show that it goes on.
const MORE: u64 = 20;
/// The collators of shard A.
const COLLATORS: [usize; 2] = [0, 1];
/// How many of a group of five are enough to back.
const ENOUGH: usize = 3;

/// Ten validators, of whom three may be corrupt: as many as a group needs to back.
fn ten(seed: u64) -> ClusterConfig {
    ClusterConfig {
        validators: 10,
        ..network(seed)
    }
}

/// Members of the group that backs shard A now, as many as are enough, none of them a collator of it.
fn conspirators(cluster: &Cluster) -> Vec<usize> {
    let ledger = cluster.shard_ledger(0);
    let core = ledger.cores().iter().position(|owner| *owner == Some(A));
    let core = core.and_then(|core| u16::try_from(core).ok());
    let group = ledger.group(core.expect("shard A has a core"), ledger.height());
    let members = cluster.indices().filter(|node| {
        let index = cluster.validator_index(*node);
        index.is_some_and(|index| group.contains(index)) && !COLLATORS.contains(node)
    });
    members.take(ENOUGH).collect()
}

fn discards(cluster: &Cluster) -> Vec<(CandidateId, Discard)> {
    let events = cluster.ledger_events().into_iter();
    let discarded = events.filter_map(|event| match event {
        LedgerEvent::Discarded(named, reason) => Some((named.candidate, reason)),
        _ => None,
    });
    discarded.collect()
}

fn is_final(cluster: &Cluster, candidate: CandidateId) -> bool {
    let events = cluster.ledger_events();
    events
        .iter()
        .any(|event| matches!(event, LedgerEvent::Final(named, _) if named.candidate == candidate))
}

fn offenders(cluster: &Cluster, kind: OffenceKind) -> BTreeSet<usize> {
    let events = cluster.ledger_events();
    let has_offended = |index: usize| {
        let of = |event: &LedgerEvent| match event {
            LedgerEvent::Offended(offence) => {
                offence.kind == kind && usize::from(offence.validator) == index
            }
            _ => false,
        };
        events.iter().any(of)
    };
    let nodes = cluster.indices();
    nodes
        .filter(|node| cluster.validator_index(*node).is_some_and(has_offended))
        .collect()
}

/// Loads until something of shard A is discarded for this reason; the first that was.
async fn until_discarded(
    cluster: &Cluster,
    transfers: &mut [Transfers; 2],
    reason: Discard,
) -> CandidateId {
    let deadline = cluster.now() + SETTLE_MAX;
    loop {
        let mut discards = discards(cluster).into_iter();
        if let Some((candidate, _)) = discards.find(|(_, why)| *why == reason) {
            return candidate;
        }
        assert!(cluster.now() < deadline, "nothing is discarded: {reason:?}");
        load(cluster, transfers, Duration::from_millis(500)).await;
    }
}

/// Collators offer what is invalid, and enough of a group back it.
fn invalid(seed: u64, lie: ShardLie) -> String {
    simulate(ten(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        let corrupt = conspirators(&cluster);
        for index in &corrupt {
            cluster.misbehave(*index, &[ShardLie::Credulous], &[]);
        }
        for collator in COLLATORS {
            cluster.misbehave(collator, &[lie], &[]);
        }
        let candidate = until_discarded(&cluster, &mut transfers, Discard::Invalid).await;
        for collator in COLLATORS {
            cluster.misbehave(collator, &[], &[]);
        }
        // The signers are named, and nobody else is.
        let corrupt: BTreeSet<usize> = corrupt.into_iter().collect();
        assert_eq!(offenders(&cluster, OffenceKind::BackedInvalid), corrupt);
        let approved = offenders(&cluster, OffenceKind::ApprovedInvalid);
        assert!(approved.is_subset(&corrupt), "{approved:?}");
        assert!(!is_final(&cluster, candidate));
        // The other shard and the relay chain did not notice, and the shard goes on.
        assert!(cluster.final_number(0, B) > 0);
        for one in &mut transfers {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        settle_among_liars(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
        assert!(!is_final(&cluster, candidate));
        assert_eq!(cluster.violations(), Vec::<String>::new());
    })
}

fn state_root(seed: u64) -> String {
    invalid(seed, ShardLie::StateRoot)
}

#[test]
fn an_invalid_state_root_that_a_corrupt_group_backs_is_found_out() {
    state_root(1);
}

#[test]
fn an_invalid_state_root_that_a_corrupt_group_backs_is_found_out_slow() {
    many_seeds(state_root);
}

#[test]
fn a_withheld_witness_that_a_corrupt_group_backs_is_found_out() {
    invalid(1, ShardLie::Witness);
}

/// A collator and enough of a group keep a block to themselves.
fn withheld(seed: u64) -> String {
    simulate(ten(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        let mut circle = conspirators(&cluster);
        circle.extend(COLLATORS);
        for index in &circle {
            cluster.misbehave(*index, &[ShardLie::Withheld], &circle);
        }
        let candidate = until_discarded(&cluster, &mut transfers, Discard::Unavailable).await;
        let known = cluster.candidate(candidate);
        let (head, builder) = known.expect("what was discarded was pending");
        for index in &circle {
            cluster.misbehave(*index, &[], &[]);
        }
        // The other collator has it, and puts it forward as it was.
        cluster.crash(builder).await;
        cluster
            .until("the same block is final", SETTLE_MAX, |cluster| {
                cluster.final_heads().values().any(|known| *known == head)
            })
            .await;
        assert!(is_final(&cluster, candidate));
        for one in &mut transfers {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
        assert_eq!(cluster.violations(), Vec::<String>::new());
    })
}

#[test]
fn a_block_whose_chunks_are_withheld_is_final_by_another_collator() {
    withheld(1);
}

#[test]
fn a_block_whose_chunks_are_withheld_is_final_by_another_collator_slow() {
    many_seeds(withheld);
}

/// The history of a run, and who banned whom in it.
type Outcome = (String, Vec<(usize, usize)>);

/// One node of seven does something wrong all the time.
fn one_of_seven(seed: u64, index: usize, lie: ShardLie) -> Outcome {
    let config = ClusterConfig {
        validators: 7,
        ..network(seed)
    };
    let mut bans = Vec::new();
    let kept = &mut bans;
    let history = simulate(config, |mut cluster| async move {
        cluster.misbehave(index, &[lie], &[]);
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        for one in &mut transfers {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        oracle::ledgers_named(&cluster);
        oracle::heads_ordered(&cluster);
        let honest = |(_, reason): &(CandidateId, Discard)| *reason != Discard::Invalid;
        assert!(discards(&cluster).iter().all(honest));
        for kind in [
            OffenceKind::Equivocation,
            OffenceKind::BackedInvalid,
            OffenceKind::ApprovedInvalid,
            OffenceKind::Contradiction,
        ] {
            assert_eq!(offenders(&cluster, kind), BTreeSet::new());
        }
        assert_eq!(cluster.violations(), Vec::<String>::new());
        *kept = cluster.banned().await;
    });
    (history, bans)
}

#[test]
fn chunks_with_wrong_proofs_cost_a_validator_its_connections() {
    let (_, bans) = one_of_seven(1, 5, ShardLie::Chunk);
    assert!(!bans.is_empty() && bans.iter().all(|(_, banned)| *banned == 5));
}

#[test]
fn a_collation_that_is_too_large_costs_a_collator_its_connections() {
    let (_, bans) = one_of_seven(1, 0, ShardLie::Oversize);
    assert!(!bans.is_empty() && bans.iter().all(|(_, banned)| *banned == 0));
}

#[test]
fn of_two_candidates_of_one_collator_for_one_number_one_is_final() {
    each_seed(|seed| {
        let (history, bans) = one_of_seven(seed, 0, ShardLie::Twice);
        assert_eq!(bans, []);
        history
    });
}

#[test]
fn a_collator_with_a_stale_anchor_is_passed_over() {
    let (_, bans) = one_of_seven(1, 0, ShardLie::StaleAnchor);
    assert_eq!(bans, []);
}

#[test]
fn old_envelopes_offers_votes_and_chunks_sent_again_do_nothing() {
    let (_, bans) = one_of_seven(1, 0, ShardLie::Replay);
    assert_eq!(bans, []);
}
