//! Heads keep their order whatever the events, and the first difference stops everything.

use super::*;
use primitives::{
    Block, ExecutedRef, Header, crypto::genesis_context, recovery::SenderCache,
    transaction::Impersonation,
};
use proptest::prelude::*;

fn hash(height: u64) -> B256 {
    B256::with_last_byte(u8::try_from(height).unwrap())
}

fn result(height: u64) -> ExecutionResult {
    ExecutionResult {
        height,
        block_hash: hash(height),
    }
}

fn finalized(height: u64, carried: ExecutionResult) -> FinalizedBlock {
    let header = Header {
        context: genesis_context(),
        height,
        timestamp_ms: height,
        proposer: alloy_primitives::Address::ZERO,
        base_fee: 7,
        gas_budget: 0,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::ZERO,
        executed: ExecutedRef {
            height: carried.height,
            block_hash: carried.block_hash,
            certificate: None,
        },
    };
    let block = Block::new(header, Vec::new(), Vec::new());
    FinalizedBlock::delivered(
        block
            .recover(&SenderCache::default(), Impersonation::Refused)
            .unwrap(),
    )
}

fn ledger() -> Ledger {
    Ledger::new(result(0), result(0))
}

fn reached(effects: &[Effect], wanted: Stage) -> Vec<u64> {
    let height = |effect: &Effect| match effect {
        Effect::Reached { height, stage, .. } if *stage == wanted => Some(*height),
        Effect::Reached { .. } | Effect::Diverged(_) => None,
    };
    effects.iter().filter_map(height).collect()
}

#[test]
fn a_result_verifies_itself_and_everything_below() {
    let mut ledger = ledger();
    for height in 1..=3 {
        ledger.finalized(&finalized(height, result(0)), 10);
        ledger.executed(result(height), 20);
    }
    let effects = ledger.finalized(&finalized(4, result(3)), 30);
    assert_eq!(reached(&effects, Stage::Verified), [1, 2, 3]);
    assert_eq!(
        ledger.heads(),
        Heads {
            verified_height: 3,
            executed_height: 3,
            finalized_height: 4
        }
    );
    let stages = ledger.stages(2).unwrap();
    assert_eq!(
        (stages.finalized_ms, stages.executed_ms, stages.verified_ms),
        (Some(10), Some(20), Some(30))
    );
}

#[test]
fn what_is_certified_before_it_is_executed_here_waits_for_execution() {
    let mut ledger = ledger();
    ledger.finalized(&finalized(1, result(0)), 1);
    ledger.finalized(&finalized(2, result(1)), 2);
    assert_eq!(ledger.heads().verified_height, 0);
    let effects = ledger.executed(result(1), 3);
    assert_eq!(reached(&effects, Stage::Verified), [1]);
}

#[test]
fn another_certified_result_is_a_divergence_and_nothing_advances_after_it() {
    let mut ledger = ledger();
    ledger.finalized(&finalized(1, result(0)), 1);
    ledger.executed(
        ExecutionResult {
            height: 1,
            block_hash: hash(99),
        },
        2,
    );
    let effects = ledger.finalized(&finalized(2, result(1)), 3);
    let report = ledger.diverged().unwrap().clone();
    assert!(effects.contains(&Effect::Diverged(report.clone())));
    assert_eq!(
        (report.height, report.own_hash, report.certified_hash),
        (1, hash(99), hash(1))
    );
    assert_eq!(report.last_equal_height, 0);
    ledger.finalized(&finalized(3, result(1)), 4);
    assert_eq!(ledger.heads().verified_height, 0);
}

#[test]
fn a_diverged_node_learns_it_when_it_executes_what_others_have_certified() {
    let mut ledger = ledger();
    ledger.finalized(&finalized(1, result(0)), 1);
    ledger.finalized(&finalized(2, result(1)), 2);
    let effects = ledger.executed(
        ExecutionResult {
            height: 1,
            block_hash: hash(99),
        },
        3,
    );
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Diverged(_)))
    );
    assert_eq!(ledger.heads().verified_height, 0);
}

#[test]
fn what_a_collator_claims_of_results_verifies_nothing() {
    let mut ledger = ledger();
    ledger.collated(&finalized(1, result(0)), 1);
    ledger.executed(result(1), 1);
    ledger.collated(&finalized(2, result(1)), 2);
    assert_eq!(ledger.heads().verified_height, 0);
    assert_eq!(ledger.heads().finalized_height, 2);
    ledger.settled(result(1), 3);
    assert_eq!(ledger.heads().verified_height, 1);
}

#[test]
fn what_is_taken_back_is_executed_again_as_something_else() {
    let mut ledger = ledger();
    for height in 1..=4 {
        ledger.finalized(&finalized(height, result(0)), height);
        ledger.executed(result(height), height);
    }
    ledger.settled(result(2), 5);
    ledger.taken_back(result(2));
    let heads = ledger.heads();
    assert_eq!((heads.verified_height, heads.executed_height), (2, 2));
    assert_eq!(ledger.own_result(3), None);
    assert_eq!(ledger.stages(3), None);
    let other = ExecutionResult {
        height: 3,
        block_hash: hash(30),
    };
    ledger.finalized(&finalized(3, result(2)), 6);
    ledger.executed(other, 7);
    ledger.settled(other, 8);
    assert_eq!(ledger.diverged(), None);
    assert_eq!(ledger.heads().verified_height, 3);
}

#[test]
fn a_stage_is_reached_once() {
    let mut ledger = ledger();
    let block = finalized(1, result(0));
    let digest = block.block().digest();
    assert_eq!(
        reached(&ledger.proposed(digest, 1, 5), Stage::Proposed),
        [1]
    );
    assert!(ledger.proposed(digest, 1, 6).is_empty());
    assert_eq!(
        reached(&ledger.notarized(&digest, 7), Stage::Notarized),
        [1]
    );
    ledger.finalized(&block, 8);
    assert!(ledger.notarized(&digest, 9).is_empty());
    assert_eq!(ledger.stages(1).unwrap().proposed_ms, Some(5));
}

proptest! {
    /// Any interleaving of ordering and execution, with results carried at any lag.
    #[test]
    fn heads_are_ordered_and_never_fall(steps in proptest::collection::vec((any::<bool>(), 0_u64..20), 1..200)) {
        let mut ledger = ledger();
        let (mut ordered, mut executed, mut carried) = (0_u64, 0_u64, 0_u64);
        let mut all_carried = vec![0];
        for (order, lag) in steps {
            let before = ledger.heads();
            if order && ordered < 200 {
                // A certificate needs 2f+1 others, who may be ahead of this node.
                carried = ordered.saturating_sub(lag).max(carried);
                all_carried.push(carried);
                ordered += 1;
                ledger.finalized(&finalized(ordered, result(carried)), ordered);
            } else if executed < ordered {
                executed += 1;
                ledger.executed(result(executed), ordered);
            }
            let heads = ledger.heads();
            prop_assert!(heads.verified_height <= heads.executed_height);
            prop_assert!(heads.executed_height <= heads.finalized_height);
            prop_assert!(before.verified_height <= heads.verified_height);
            let verified = all_carried.iter().filter(|carried| **carried <= executed).max();
            prop_assert_eq!(Some(&heads.verified_height), verified);
            prop_assert_eq!(ledger.ordered().len() as u64, ordered - executed);
            prop_assert!(ledger.diverged().is_none());
        }
    }
}
