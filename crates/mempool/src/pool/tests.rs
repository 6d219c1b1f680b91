//! What the pool takes, keeps and lets go, case by case.

use super::{Executed, Pool};
use crate::{
    admission::AdmissionError,
    config::Config,
    event::{DropReason, Event},
    fixtures::{BASE_FEE, Draft, ETHER, GAS, account, admit, config, draft, legacy, sender},
    selection::Best,
};
use alloy_primitives::{B256, U256};
use primitives::{
    RecoveredTransaction,
    affordability::{AccountView, CodeKind},
    static_check::StaticError,
};

fn pool() -> Pool {
    Pool::new(config(), BASE_FEE)
}

fn rich(nonce: u64) -> AccountView {
    account(nonce, ETHER)
}

fn take(pool: &mut Pool, draft: Draft) -> B256 {
    let admitted = admit(pool, draft, rich(0)).expect("taken");
    admitted.hash
}

fn refusal(pool: &mut Pool, draft: Draft, account: AccountView) -> String {
    let counts = pool.counts();
    let error = admit(pool, draft, account).expect_err("refused");
    assert_eq!(pool.counts(), counts, "a refusal changes nothing");
    error.to_string()
}

fn selected(pool: &Pool) -> Vec<(u8, u64)> {
    use alloy_consensus::Transaction as _;
    let best = Best::new(pool.lanes(), pool.base_fee, &|_| None);
    best.map(|transaction| (transaction.sender()[0], transaction.nonce()))
        .collect()
}

fn dropped(pool: &mut Pool) -> Vec<(B256, DropReason)> {
    let events = pool.take_events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Dropped { hash, reason } => Some((hash, reason)),
            Event::Pending(_) | Event::Queued(_) => None,
        })
        .collect()
}

fn execute(pool: &mut Pool, transactions: &[RecoveredTransaction], nonces: &[(u8, u64)]) {
    let accounts: Vec<_> = nonces
        .iter()
        .map(|(index, nonce)| (sender(*index), rich(*nonce)))
        .collect();
    pool.on_executed(&Executed {
        transactions,
        accounts: &accounts,
        base_fee_next: BASE_FEE,
    });
}

#[test]
fn a_closed_gap_promotes() {
    let mut pool = pool();
    let later = admit(&mut pool, draft(1, 1, 5), rich(0)).expect("taken");
    assert!(!later.pending);
    assert_eq!(pool.pending_nonce(&sender(1)), Some(0));
    assert_eq!(
        pool.take_events(),
        [Event::Queued(draft(1, 1, 5).recovered())]
    );

    let first = admit(&mut pool, draft(1, 0, 5), rich(0)).expect("taken");
    assert!(first.pending);
    assert_eq!(pool.pending_nonce(&sender(1)), Some(2));
    assert_eq!((pool.counts().pending, pool.counts().queued), (2, 0));
    let promoted = [0, 1].map(|nonce| Event::Pending(draft(1, nonce, 5).recovered()));
    assert_eq!(pool.take_events(), promoted);
    assert!(pool.get(&later.hash).expect("there").pending);
}

#[test]
fn refusals_are_worded_as_geth_words_them() {
    let mut pool = pool();
    take(&mut pool, draft(1, 0, 100));
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
        assert_eq!(refusal(&mut pool, draft, account), message);
    }
}

#[test]
fn static_rules_are_checked_first() {
    let mut draft = draft(1, 0, 1);
    draft.fields.gas_limit = GAS - 1;
    let message = refusal(&mut pool(), draft, rich(0));
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
    let error = admit(&mut pool(), draft, rich(0)).expect_err("refused");
    assert_eq!(error, AdmissionError::Static(StaticError::CostOverflow));
}

#[test]
fn code_limits_a_sender() {
    let mut pool = pool();
    let mut contract = rich(0);
    contract.code = CodeKind::Contract;
    let message = refusal(&mut pool, draft(1, 0, 1), contract);
    assert!(message.starts_with("sender not an eoa"), "{message}");

    let mut delegated = account(0, 100 * ETHER);
    delegated.code = CodeKind::Delegated;
    admit(&mut pool, draft(1, 0, 1), delegated).expect("taken");
    // Ten ether of reserve pay for less gas than this.
    let dear = draft(2, 0, ETHER / 1_000);
    let message = refusal(&mut pool, dear, delegated);
    assert!(message.contains("delegated account"), "{message}");
}

#[test]
fn a_replacement_pays_more_in_both_fees() {
    let mut pool = pool();
    let old = take(&mut pool, draft(1, 0, 0).fees(1_000, 100));
    for (max_fee, priority_fee) in [(1_099, 110), (1_100, 109), (1_000, 200), (2_000, 100)] {
        let draft = draft(1, 0, 0).fees(max_fee, priority_fee);
        let error = admit(&mut pool, draft, rich(0)).expect_err("refused");
        assert_eq!(error, AdmissionError::ReplacementUnderpriced);
    }
    let _events = pool.take_events();
    let new = admit(&mut pool, draft(1, 0, 0).fees(1_100, 110), rich(0)).expect("taken");
    assert_eq!((new.replaced, new.pending), (Some(old), true));
    assert_eq!(pool.counts().total(), 1);
    assert!(!pool.contains(&old));
    let reason = DropReason::Replaced { by: new.hash };
    assert_eq!(dropped(&mut pool), [(old, reason)]);
}

#[test]
fn a_replacement_counts_only_once_against_the_balance() {
    let mut pool = pool();
    let balance = u128::from(GAS) * 40;
    let view = account(0, balance);
    admit(&mut pool, draft(1, 0, 10), view).expect("taken");
    admit(&mut pool, draft(1, 1, 10), view).expect("exactly covered");
    let error = admit(&mut pool, draft(1, 1, 12), view).expect_err("too much");
    assert!(matches!(error, AdmissionError::Overdrawn { .. }));
    admit(&mut pool, draft(1, 1, 12), account(0, balance + 42_000)).expect("covered");
}

fn full(transactions_max: usize) -> Pool {
    let config = Config {
        transactions_max,
        ..config()
    };
    Pool::new(config, BASE_FEE)
}

#[test]
fn a_full_pool_evicts_the_cheapest_tail() {
    let mut pool = full(4);
    // The cheapest is the head of a lane; only its tail may go.
    take(&mut pool, draft(1, 0, 1));
    let tail = take(&mut pool, draft(1, 1, 8));
    take(&mut pool, draft(2, 0, 9));
    take(&mut pool, draft(3, 0, 9));
    assert_eq!(
        refusal(&mut pool, draft(4, 0, 8), rich(0)),
        "transaction underpriced"
    );
    let _events = pool.take_events();
    take(&mut pool, draft(4, 0, 10));
    assert_eq!(dropped(&mut pool), [(tail, DropReason::Evicted)]);
    // Now the head is a tail.
    take(&mut pool, draft(5, 0, 2));
    assert_eq!(selected(&pool), [(4, 0), (2, 0), (3, 0), (5, 0)]);
}

#[test]
fn queued_leave_before_pending() {
    let mut pool = full(2);
    take(&mut pool, draft(1, 0, 1));
    let queued = take(&mut pool, draft(2, 5, 100));
    assert_eq!(
        refusal(&mut pool, draft(3, 5, 99), rich(0)),
        "transaction underpriced"
    );
    take(&mut pool, draft(3, 0, 1));
    assert!(!pool.contains(&queued));
    assert_eq!(
        refusal(&mut pool, draft(4, 5, 100), rich(0)),
        "txpool is full"
    );
}

#[test]
fn a_large_newcomer_evicts_enough_or_nobody() {
    let small = draft(1, 0, 1).recovered().raw().len();
    let large = draft(9, 0, 9).input(2 * small).recovered().raw().len();
    let config = Config {
        pool_bytes_max: large + small,
        ..config()
    };
    let mut pool = Pool::new(config, BASE_FEE);
    for (index, effective_tip) in [(1, 1), (2, 2), (3, 12), (4, 13)] {
        let admitted = admit(&mut pool, draft(index, 0, effective_tip), rich(0));
        assert!(admitted.is_ok());
    }
    let error = admit(&mut pool, draft(9, 0, 9).input(2 * small), rich(0));
    assert_eq!(error, Err(AdmissionError::Underpriced));
    assert_eq!(pool.counts().total(), 4);
    admit(&mut pool, draft(9, 0, 20).input(2 * small), rich(0)).expect("taken");
    assert_eq!(selected(&pool), [(9, 0), (4, 0)]);
}

#[test]
fn a_sender_at_its_limit_gives_up_its_highest_nonce() {
    let config = Config {
        sender_transactions_max: 2,
        ..config()
    };
    let mut pool = Pool::new(config, BASE_FEE);
    take(&mut pool, draft(1, 1, 5));
    let highest = take(&mut pool, draft(1, 2, 5));
    assert_eq!(
        refusal(&mut pool, draft(1, 3, 50), rich(0)),
        "account limit exceeded: 2 transactions"
    );
    take(&mut pool, draft(1, 0, 5));
    assert!(!pool.contains(&highest));
    assert_eq!(selected(&pool), [(1, 0), (1, 1)]);
}

#[test]
fn execution_advances_a_lane() {
    let mut pool = pool();
    for nonce in 0..4 {
        take(&mut pool, draft(1, nonce, 5));
    }
    take(&mut pool, draft(1, 6, 5));
    let own = draft(1, 0, 5).recovered();
    // Nonce 1 went to a transaction that this pool never saw.
    let _events = pool.take_events();
    execute(
        &mut pool,
        &[own, draft(1, 1, 6).recovered()],
        &[(1, 2), (7, 1)],
    );
    let lost = draft(1, 1, 5).recovered().hash();
    assert_eq!(dropped(&mut pool), [(lost, DropReason::NonceTooLow)]);
    assert_eq!(selected(&pool), [(1, 2), (1, 3)]);
    assert_eq!((pool.counts().pending, pool.counts().queued), (2, 1));

    // Passing the gap from outside promotes what waited behind it.
    execute(&mut pool, &[], &[(1, 6)]);
    assert_eq!(
        pool.take_events().first(),
        Some(&Event::Pending(draft(1, 6, 5).recovered()))
    );
    execute(&mut pool, &[draft(1, 6, 5).recovered()], &[(1, 7)]);
    assert_eq!(pool.counts(), super::Counts::default());
    assert_eq!(pool.max_fee_bound(), 0);
}

#[test]
fn a_transaction_that_executed_without_its_nonce_is_not_offered_again() {
    let mut pool = pool();
    let faulted = take(&mut pool, draft(1, 0, 5));
    let _events = pool.take_events();
    execute(&mut pool, &[draft(1, 0, 5).recovered()], &[(1, 0)]);
    assert_eq!(dropped(&mut pool), [(faulted, DropReason::Faulted)]);
}

#[test]
fn an_account_read_before_a_block_does_not_bring_its_transactions_back() {
    let mut pool = pool();
    take(&mut pool, draft(1, 0, 5));
    execute(&mut pool, &[draft(1, 0, 5).recovered()], &[(1, 1), (2, 3)]);
    assert_eq!(
        refusal(&mut pool, draft(1, 0, 5), rich(0)),
        "nonce too low: next nonce 1, tx nonce 0"
    );
    assert_eq!(
        refusal(&mut pool, draft(2, 2, 5), rich(2)),
        "nonce too low: next nonce 3, tx nonce 2"
    );
}

#[test]
fn what_the_balance_no_longer_covers_alone_is_dropped() {
    let mut pool = pool();
    take(&mut pool, draft(1, 0, 5));
    let dear = take(&mut pool, draft(1, 1, 5).value(1_000_000));
    take(&mut pool, draft(1, 2, 5));
    let _events = pool.take_events();
    pool.on_executed(&Executed {
        transactions: &[],
        accounts: &[(sender(1), account(0, 900_000))],
        base_fee_next: BASE_FEE,
    });
    assert_eq!(dropped(&mut pool), [(dear, DropReason::Unaffordable)]);
    assert_eq!((pool.counts().pending, pool.counts().queued), (1, 1));
}

#[test]
fn the_lifetime_ends_from_the_end_of_a_lane() {
    let mut pool = pool();
    let lifetime_ms = config().lifetime_ms;
    let mut admit_at = |nonce, now_ms| {
        let transaction = draft(1, nonce, 5).recovered();
        let checked = crate::CheckedTransaction::check(transaction, &config()).expect("fine");
        pool.admit(checked, rich(0), now_ms).expect("taken").hash
    };
    let old = admit_at(0, 0);
    let young = admit_at(1, 10);
    let _events = pool.take_events();
    pool.expire(lifetime_ms);
    assert!(pool.contains(&old), "the younger one builds on it");
    pool.expire(lifetime_ms + 10);
    let expired = [young, old].map(|hash| (hash, DropReason::Expired));
    assert_eq!(dropped(&mut pool), expired);
}

#[test]
fn a_base_fee_changes_who_is_cheapest() {
    let mut pool = full(2);
    let capped = take(&mut pool, draft(1, 0, 0).fees(30, 20));
    let open = take(&mut pool, draft(2, 0, 0).fees(1_000, 10));
    pool.on_executed(&Executed {
        transactions: &[],
        accounts: &[],
        base_fee_next: 25,
    });
    take(&mut pool, draft(3, 0, 0).fees(1_000, 11));
    assert!(pool.contains(&open));
    assert!(!pool.contains(&capped));
}

#[test]
fn selection_is_by_price_within_nonce_order() {
    let mut pool = pool();
    take(&mut pool, draft(1, 0, 5));
    take(&mut pool, draft(1, 1, 50));
    take(&mut pool, draft(2, 0, 7));
    take(&mut pool, draft(3, 0, 7));
    take(&mut pool, draft(4, 0, 0).fees(u128::from(BASE_FEE) - 1, 1));
    take(&mut pool, draft(5, 1, 90));
    admit(&mut pool, legacy(6, 0, u128::from(BASE_FEE) + 6), rich(0)).expect("taken");
    let order = [(2, 0), (3, 0), (6, 0), (1, 0), (1, 1)];
    assert_eq!(selected(&pool), order);
}

#[test]
fn a_selection_skips_and_starts_where_it_is_told() {
    let mut pool = pool();
    for nonce in 0..4 {
        take(&mut pool, draft(1, nonce, 9));
        take(&mut pool, draft(2, nonce, 5));
    }
    let in_flight = |address: &_| (*address == sender(1)).then_some(2);
    let mut best = Best::new(pool.lanes(), BASE_FEE, &in_flight);
    assert_eq!(best.next(), Some(draft(1, 2, 9).recovered()));
    best.skip_sender(&sender(1));
    // What happens to the pool meanwhile does not disturb it.
    pool.clear();
    assert_eq!(best.next(), Some(draft(2, 0, 5).recovered()));
    assert_eq!(best.count(), 3);
    assert_eq!(pool.counts().total(), 0);
}

#[test]
fn removal_on_request() {
    let mut pool = pool();
    let first = take(&mut pool, draft(1, 0, 5));
    take(&mut pool, draft(1, 1, 5));
    let third = take(&mut pool, draft(1, 2, 5));
    let _events = pool.take_events();
    assert!(pool.remove(&first).is_some());
    assert!(pool.remove(&first).is_none());
    assert_eq!((pool.counts().pending, pool.counts().queued), (0, 2));
    pool.remove_sender(&sender(1));
    assert_eq!(pool.counts().total(), 0);
    let reasons = dropped(&mut pool);
    assert_eq!(reasons.len(), 3);
    assert_eq!(reasons[1], (third, DropReason::Removed));
}

#[test]
fn content_is_by_sender_and_nonce() {
    let mut pool = pool();
    for (index, nonce) in [(2, 0), (1, 3), (1, 0), (1, 1)] {
        take(&mut pool, draft(index, nonce, 5));
    }
    let content = pool.content_of(&sender(1)).expect("there");
    assert_eq!(content.pending.len(), 2);
    assert_eq!(content.queued, [draft(1, 3, 5).recovered()]);
    assert!(pool.content_of(&sender(9)).is_none());
}
