//! What the pool takes, keeps and lets go, case by case.

use crate::{
    admission::AdmissionError,
    config::Config,
    event::{DropReason, Event},
    fixtures::{BASE_FEE, Draft, ETHER, GAS, Rig, account, config, draft, legacy, sender},
    pool::Counts,
    selection::TransactionSource,
};
use alloy_primitives::{B256, U256};
use primitives::{
    RecoveredTransaction,
    affordability::{AccountView, CodeKind},
    static_check::StaticError,
};
use std::sync::Arc;

fn pool() -> Rig {
    Rig::new(config())
}

fn rich(nonce: u64) -> AccountView {
    account(nonce, ETHER)
}

fn take(pool: &Rig, draft: Draft) -> B256 {
    let admitted = pool.admit(draft, rich(0)).expect("taken");
    admitted.hash
}

fn refusal(pool: &Rig, draft: Draft, account: AccountView) -> String {
    let counts = pool.counts();
    let error = pool.admit(draft, account).expect_err("refused");
    assert_eq!(pool.counts(), counts, "a refusal changes nothing");
    error.to_string()
}

fn execute(pool: &Rig, transactions: &[RecoveredTransaction], nonces: &[(u8, u64)]) {
    let accounts: Vec<_> = nonces
        .iter()
        .map(|(index, nonce)| (sender(*index), rich(*nonce)))
        .collect();
    pool.follow(transactions, &accounts, BASE_FEE);
}

#[test]
fn a_closed_gap_promotes() {
    let pool = pool();
    let later = pool.admit(draft(1, 1, 5), rich(0)).expect("taken");
    assert!(!later.pending);
    assert_eq!(pool.pending_nonce(&sender(1)), Some(0));
    assert_eq!(
        pool.take_events(),
        [Event::Queued(draft(1, 1, 5).recovered())]
    );

    let first = pool.admit(draft(1, 0, 5), rich(0)).expect("taken");
    assert!(first.pending);
    assert_eq!(pool.pending_nonce(&sender(1)), Some(2));
    assert_eq!((pool.counts().pending, pool.counts().queued), (2, 0));
    let promoted = [0, 1].map(|nonce| Event::Pending(draft(1, nonce, 5).recovered()));
    assert_eq!(pool.take_events(), promoted);
    assert!(pool.get(&later.hash).expect("there").pending);
}

#[test]
fn refusals_are_worded_as_geth_words_them() {
    let pool = pool();
    take(&pool, draft(1, 0, 100));
    let cases = [
        (draft(1, 0, 100), rich(0), "already known"),
        (
            draft(2, 3, 1),
            rich(5),
            "nonce too low: next nonce 5, tx nonce 3",
        ),
        (
            draft(2, 9_000, 1),
            rich(5),
            "nonce too high: next nonce 5, tx nonce 9000, gap allowed 4096",
        ),
        (
            draft(1, 0, 109),
            rich(0),
            "replacement transaction underpriced",
        ),
        (
            draft(2, 0, 0).value(7),
            account(0, 210_000),
            "insufficient funds for gas * price + value: balance 210000, tx cost 210007, overshot 7",
        ),
        (
            draft(1, 1, 0),
            account(0, 2_310_000),
            "insufficient funds for gas * price + value: balance 2310000, queued cost 2310000, tx cost 210000, \
             overshot 210000",
        ),
    ];
    for (draft, account, message) in cases {
        assert_eq!(refusal(&pool, draft, account), message);
    }
}

#[test]
fn static_rules_are_checked_first() {
    let mut draft = draft(1, 0, 1);
    draft.fields.gas_limit = GAS - 1;
    let message = refusal(&pool(), draft, rich(0));
    assert!(message.starts_with("intrinsic gas too low"), "{message}");
}

#[test]
fn a_fee_below_the_minimum_is_underpriced() {
    let config = Config {
        priority_fee_min: 2,
        ..config()
    };
    let checked = crate::CheckedTransaction::check(draft(1, 0, 1).recovered(), &config);
    assert_eq!(
        checked.expect_err("refused").to_string(),
        "transaction underpriced: gas tip cap 1, minimum needed 2"
    );
}

#[test]
fn a_cost_above_every_balance_is_refused() {
    let mut draft = draft(1, 0, 1);
    draft.fields.value = U256::MAX;
    let error = pool().admit(draft, rich(0)).expect_err("refused");
    assert_eq!(error, AdmissionError::Static(StaticError::CostOverflow));
}

#[test]
fn code_limits_a_sender() {
    let pool = pool();
    let mut contract = rich(0);
    contract.code = CodeKind::Contract;
    let message = refusal(&pool, draft(1, 0, 1), contract);
    assert!(message.starts_with("sender not an eoa"), "{message}");

    let mut delegated = account(0, 100 * ETHER);
    delegated.code = CodeKind::Delegated;
    pool.admit(draft(1, 0, 1), delegated).expect("taken");
    // Ten ether of reserve pay for less gas than this.
    let dear = draft(2, 0, ETHER / 1_000);
    let message = refusal(&pool, dear, delegated);
    assert!(message.contains("delegated account"), "{message}");
}

#[test]
fn a_replacement_pays_more_in_both_fees() {
    let pool = pool();
    let old = take(&pool, draft(1, 0, 0).fees(1_000, 100));
    for (max_fee, priority_fee) in [(1_099, 110), (1_100, 109), (1_000, 200), (2_000, 100)] {
        let draft = draft(1, 0, 0).fees(max_fee, priority_fee);
        let error = pool.admit(draft, rich(0)).expect_err("refused");
        assert_eq!(error, AdmissionError::ReplacementUnderpriced);
    }
    let _events = pool.take_events();
    let new = pool
        .admit(draft(1, 0, 0).fees(1_100, 110), rich(0))
        .expect("taken");
    assert_eq!((new.replaced, new.pending), (Some(old), true));
    assert_eq!(pool.counts().total(), 1);
    assert!(!pool.has(&old));
    let reason = DropReason::Replaced { by: new.hash };
    assert_eq!(pool.dropped(), [(old, reason)]);
}

#[test]
fn a_replacement_counts_only_once_against_the_balance() {
    let pool = pool();
    let balance = u128::from(GAS) * 40;
    let view = account(0, balance);
    pool.admit(draft(1, 0, 10), view).expect("taken");
    pool.admit(draft(1, 1, 10), view).expect("exactly covered");
    let error = pool.admit(draft(1, 1, 12), view).expect_err("too much");
    assert!(matches!(error, AdmissionError::Overdrawn { .. }));
    pool.admit(draft(1, 1, 12), account(0, balance + 42_000))
        .expect("covered");
}

fn full(transactions_max: usize) -> Rig {
    let config = Config {
        transactions_max,
        ..config()
    };
    Rig::new(config)
}

#[test]
fn a_full_pool_evicts_the_cheapest_tail() {
    let pool = full(4);
    // The cheapest is the head of a lane; only its tail may go.
    take(&pool, draft(1, 0, 1));
    let tail = take(&pool, draft(1, 1, 8));
    take(&pool, draft(2, 0, 9));
    take(&pool, draft(3, 0, 9));
    assert_eq!(
        refusal(&pool, draft(4, 0, 8), rich(0)),
        "transaction underpriced"
    );
    let _events = pool.take_events();
    take(&pool, draft(4, 0, 10));
    assert_eq!(pool.dropped(), [(tail, DropReason::Evicted)]);
    // Now the head is a tail.
    take(&pool, draft(5, 0, 2));
    assert_eq!(pool.selected(), [(4, 0), (2, 0), (3, 0), (5, 0)]);
}

#[test]
fn queued_leave_before_pending() {
    let pool = full(2);
    take(&pool, draft(1, 0, 1));
    let queued = take(&pool, draft(2, 5, 100));
    assert_eq!(
        refusal(&pool, draft(3, 5, 99), rich(0)),
        "transaction underpriced"
    );
    take(&pool, draft(3, 0, 1));
    assert!(!pool.has(&queued));
    assert_eq!(refusal(&pool, draft(4, 5, 100), rich(0)), "txpool is full");
}

#[test]
fn a_large_newcomer_evicts_enough_or_nobody() {
    let small = draft(1, 0, 1).recovered().raw().len();
    let large = draft(9, 0, 9).input(2 * small).recovered().raw().len();
    let config = Config {
        pool_bytes_max: large + small,
        ..config()
    };
    let pool = Rig::new(config);
    for (index, effective_tip) in [(1, 1), (2, 2), (3, 12), (4, 13)] {
        let admitted = pool.admit(draft(index, 0, effective_tip), rich(0));
        assert!(admitted.is_ok());
    }
    let error = pool.admit(draft(9, 0, 9).input(2 * small), rich(0));
    assert_eq!(error, Err(AdmissionError::Underpriced));
    assert_eq!(pool.counts().total(), 4);
    pool.admit(draft(9, 0, 20).input(2 * small), rich(0))
        .expect("taken");
    assert_eq!(pool.selected(), [(9, 0), (4, 0)]);
}

#[test]
fn a_sender_at_its_limit_gives_up_its_highest_nonce() {
    let config = Config {
        sender_transactions_max: 2,
        ..config()
    };
    let pool = Rig::new(config);
    take(&pool, draft(1, 1, 5));
    let highest = take(&pool, draft(1, 2, 5));
    assert_eq!(
        refusal(&pool, draft(1, 3, 50), rich(0)),
        "account limit exceeded: 2 transactions"
    );
    take(&pool, draft(1, 0, 5));
    assert!(!pool.has(&highest));
    assert_eq!(pool.selected(), [(1, 0), (1, 1)]);
}

#[test]
fn execution_advances_a_lane() {
    let pool = pool();
    for nonce in 0..4 {
        take(&pool, draft(1, nonce, 5));
    }
    take(&pool, draft(1, 6, 5));
    let own = draft(1, 0, 5).recovered();
    // Nonce 1 went to a transaction that this pool never saw.
    let _events = pool.take_events();
    execute(&pool, &[own, draft(1, 1, 6).recovered()], &[(1, 2), (7, 1)]);
    let lost = draft(1, 1, 5).recovered().hash();
    assert_eq!(pool.dropped(), [(lost, DropReason::NonceTooLow)]);
    assert_eq!(pool.selected(), [(1, 2), (1, 3)]);
    assert_eq!((pool.counts().pending, pool.counts().queued), (2, 1));

    // Passing the gap from outside promotes what waited behind it.
    execute(&pool, &[], &[(1, 6)]);
    assert_eq!(
        pool.take_events().first(),
        Some(&Event::Pending(draft(1, 6, 5).recovered()))
    );
    execute(&pool, &[draft(1, 6, 5).recovered()], &[(1, 7)]);
    assert_eq!(pool.counts(), Counts::default());
}

#[test]
fn a_transaction_that_executed_without_its_nonce_is_not_offered_again() {
    let pool = pool();
    let faulted = take(&pool, draft(1, 0, 5));
    let _events = pool.take_events();
    execute(&pool, &[draft(1, 0, 5).recovered()], &[(1, 0)]);
    assert_eq!(pool.dropped(), [(faulted, DropReason::Faulted)]);
}

#[test]
fn an_account_read_before_a_block_does_not_bring_its_transactions_back() {
    let pool = pool();
    take(&pool, draft(1, 0, 5));
    execute(&pool, &[draft(1, 0, 5).recovered()], &[(1, 1), (2, 3)]);
    assert_eq!(
        refusal(&pool, draft(1, 0, 5), rich(0)),
        "nonce too low: next nonce 1, tx nonce 0"
    );
    assert_eq!(
        refusal(&pool, draft(2, 2, 5), rich(2)),
        "nonce too low: next nonce 3, tx nonce 2"
    );
    // Nor while the sender has something later in the pool.
    take(&pool, draft(1, 1, 5));
    assert_eq!(
        refusal(&pool, draft(1, 0, 6), rich(0)),
        "nonce too low: next nonce 1, tx nonce 0"
    );
}

#[test]
fn what_the_balance_no_longer_covers_alone_is_dropped() {
    let pool = pool();
    take(&pool, draft(1, 0, 5));
    let dear = take(&pool, draft(1, 1, 5).value(1_000_000));
    take(&pool, draft(1, 2, 5));
    let _events = pool.take_events();
    pool.follow(&[], &[(sender(1), account(0, 900_000))], BASE_FEE);
    assert_eq!(pool.dropped(), [(dear, DropReason::Unaffordable)]);
    assert_eq!((pool.counts().pending, pool.counts().queued), (1, 1));
}

#[test]
fn the_lifetime_ends_from_the_end_of_a_lane() {
    let pool = pool();
    let lifetime_ms = config().lifetime_ms;
    let admit_at = |nonce, now_ms| {
        let admitted = pool.admit_at(draft(1, nonce, 5), rich(0), now_ms);
        admitted.expect("taken").hash
    };
    let old = admit_at(0, 0);
    let young = admit_at(1, 10);
    let _events = pool.take_events();
    pool.expire(lifetime_ms);
    assert!(pool.has(&old), "the younger one builds on it");
    pool.expire(lifetime_ms + 10);
    let expired = [young, old].map(|hash| (hash, DropReason::Expired));
    assert_eq!(pool.dropped(), expired);
}

#[test]
fn a_base_fee_changes_who_is_cheapest() {
    let pool = full(2);
    let capped = take(&pool, draft(1, 0, 0).fees(30, 20));
    let open = take(&pool, draft(2, 0, 0).fees(1_000, 10));
    pool.follow(&[], &[], 25);
    take(&pool, draft(3, 0, 0).fees(1_000, 11));
    assert!(pool.has(&open));
    assert!(!pool.has(&capped));
}

#[test]
fn selection_is_by_price_within_nonce_order() {
    let pool = pool();
    take(&pool, draft(1, 0, 5));
    take(&pool, draft(1, 1, 50));
    take(&pool, draft(2, 0, 7));
    take(&pool, draft(3, 0, 7));
    take(&pool, draft(4, 0, 0).fees(u128::from(BASE_FEE) - 1, 1));
    take(&pool, draft(5, 1, 90));
    pool.admit(legacy(6, 0, u128::from(BASE_FEE) + 6), rich(0))
        .expect("taken");
    let order = [(2, 0), (3, 0), (6, 0), (1, 0), (1, 1)];
    assert_eq!(pool.selected(), order);
}

#[test]
fn a_selection_skips_and_starts_where_it_is_told() {
    let pool = pool();
    for nonce in 0..4 {
        take(&pool, draft(1, nonce, 9));
        take(&pool, draft(2, nonce, 5));
    }
    let in_flight = Arc::new([(sender(1), 2)].into_iter().collect());
    let mut best = pool.best(BASE_FEE, in_flight);
    assert_eq!(best.next(), Some(draft(1, 2, 9).recovered()));
    best.skip_sender(&sender(1));
    assert_eq!(best.next(), Some(draft(2, 0, 5).recovered()));
    assert_eq!(best.count(), 3);
}

#[test]
fn a_selection_goes_on_while_the_pool_changes() {
    let pool = pool();
    for nonce in 0..40 {
        take(&pool, draft(1, nonce, 9));
        take(&pool, draft(2, nonce, 5));
    }
    let mut best = pool.best(BASE_FEE, Arc::default());
    for nonce in 0..5 {
        assert_eq!(best.next(), Some(draft(1, nonce, 9).recovered()));
    }
    // A block takes what was offered, a better one comes, and the end of a lane leaves.
    let executed: Vec<_> = (0..5).map(|nonce| draft(1, nonce, 9).recovered()).collect();
    execute(&pool, &executed, &[(1, 5)]);
    take(&pool, draft(1, 40, 9));
    take(&pool, draft(3, 0, 50));
    assert!(pool.remove(&draft(2, 30, 5).recovered().hash()).is_some());
    let mut next = [0, 5, 0, 0];
    for transaction in best {
        use alloy_consensus::Transaction as _;
        let sender = usize::from(transaction.sender()[0]);
        assert_eq!(transaction.nonce(), next[sender], "no gap, nothing twice");
        next[sender] += 1;
    }
    assert_eq!(next[1], 41, "what came at the end of a lane follows");
    assert_eq!(
        next[2], 30,
        "what left is not offered, nor what is above it"
    );
}

#[test]
fn removal_on_request() {
    let pool = pool();
    let first = take(&pool, draft(1, 0, 5));
    take(&pool, draft(1, 1, 5));
    take(&pool, draft(1, 2, 5));
    let _events = pool.take_events();
    assert!(pool.remove(&first).is_some());
    assert!(pool.remove(&first).is_none());
    assert_eq!((pool.counts().pending, pool.counts().queued), (0, 2));
    pool.remove_sender(&sender(1));
    assert_eq!(pool.counts().total(), 0);
    let dropped = pool.dropped();
    assert_eq!(dropped.len(), 3);
    assert_eq!(dropped[0], (first, DropReason::Removed));
}

#[test]
fn content_is_by_sender_and_nonce() {
    let pool = pool();
    for (index, nonce) in [(2, 0), (1, 3), (1, 0), (1, 1)] {
        take(&pool, draft(index, nonce, 5));
    }
    let content = pool.content_of(&sender(1)).expect("there");
    assert_eq!(content.pending.len(), 2);
    assert_eq!(content.queued, [draft(1, 3, 5).recovered()]);
    assert!(pool.content_of(&sender(9)).is_none());
}
