//! What block production is asked for and what it makes of it.

use super::*;
use alloy_primitives::{Address, U256};
use futures::{FutureExt as _, task::noop_waker_ref};
use std::{pin::pin, task::Context};

const NOW: u64 = 1_700_000_000_500;
const SECOND: u64 = 1_700_000_000;

fn control() -> DevControl {
    DevControl::new(1)
}

fn change() -> Vec<Directive> {
    vec![Directive::SetBalance(Address::ZERO, U256::from(1))]
}

/// Begins and builds a block on a parent of this time.
fn make(control: &DevControl, now_ms: u64, parent_ms: u64, height: u64) -> Draft {
    let draft = control.begin(now_ms, parent_ms).expect("not held");
    control.built(height);
    draft
}

#[test]
fn runs_free_until_it_is_driven() {
    let control = control();
    assert_eq!(control.pace(NOW), Pace::Free);
    let ordinary = make(&control, NOW, NOW - 3, 1);
    assert_eq!((ordinary.timestamp_ms, ordinary.transactions), (NOW, true));
    control.push_directives(change()).unwrap();
    assert_eq!(control.pace(NOW), Pace::Now);
    assert!(make(&control, NOW, NOW - 3, 2).transactions, "both in one");
    assert_eq!(control.pace(NOW), Pace::Free, "a change drives nothing");
    control.request_blocks(1, None).unwrap();
    assert_eq!(control.pace(NOW), Pace::Now);
    let asked = make(&control, NOW, NOW - 3, 3);
    assert_eq!(asked.timestamp_ms, (SECOND + 1) * 1_000, "a second later");
    assert_eq!(control.pace(NOW), Pace::Driven(None));
}

#[test]
fn counts_the_blocks_that_were_asked_for() {
    let control = control();
    let ticket = control.request_blocks(2, Some(60)).unwrap();
    assert_eq!((ticket, control.honoured().count), (2, 0));
    let first = make(&control, NOW, NOW, 7);
    let second = make(&control, NOW, first.timestamp_ms, 8);
    assert_eq!(second.timestamp_ms - first.timestamp_ms, 60_000);
    let honoured = Honoured {
        count: 2,
        height: 8,
    };
    assert_eq!(control.honoured(), honoured);
    // Nobody asked for this one.
    let third = make(&control, NOW, second.timestamp_ms, 9);
    assert_eq!(control.honoured(), honoured);
    assert_eq!(third.timestamp_ms - second.timestamp_ms, 1_000);
}

#[test]
fn a_set_time_waits_for_a_block_that_is_no_change() {
    let control = control();
    let wanted = SECOND + 10;
    let set = |settings: &mut Settings| settings.next_timestamp = Some(wanted);
    control.change(set).unwrap();
    control.push_directives(change()).unwrap();
    let changed = make(&control, NOW, NOW, 1);
    assert!(!changed.transactions);
    assert_eq!(changed.timestamp_ms, NOW + 1);
    assert_eq!(control.next_ms(NOW, changed.timestamp_ms), wanted * 1_000);
    let exact = make(&control, NOW, changed.timestamp_ms, 2);
    assert_eq!(exact.timestamp_ms, wanted * 1_000);
    // The clock goes on from there.
    let later = make(&control, NOW + 5_000, exact.timestamp_ms, 3);
    assert_eq!(later.timestamp_ms, wanted * 1_000 + 5_000);
}

#[test]
fn the_next_block_only_has_what_is_for_the_next_block() {
    let control = control();
    let coinbase = Address::repeat_byte(7);
    let set = |settings: &mut Settings| {
        settings.next_base_fee = Some(1);
        settings.proposer = Some(coinbase);
        settings.timestamp_interval = Some(12);
    };
    control.change(set).unwrap();
    let first = make(&control, NOW, NOW, 1);
    assert_eq!((first.base_fee, first.proposer), (Some(1), Some(coinbase)));
    let second = make(&control, NOW, first.timestamp_ms, 2);
    assert_eq!((second.base_fee, second.proposer), (None, Some(coinbase)));
    assert_eq!(second.timestamp_ms - first.timestamp_ms, 12_000);
}

#[test]
fn without_automine_transactions_wait() {
    let control = control();
    control
        .change(|settings| settings.automine = false)
        .unwrap();
    assert_eq!(control.pace(NOW), Pace::Asked(None));
    let every = |settings: &mut Settings| settings.interval_ms = Some(500);
    control.change(every).unwrap();
    make(&control, NOW, NOW, 1);
    assert_eq!(control.pace(NOW + 100), Pace::Asked(Some(400)));
    assert_eq!(control.pace(NOW + 500), Pace::Now);
}

#[test]
fn held_production_begins_nothing_and_waits_for_what_began() {
    let control = control();
    control.begin(NOW, NOW).expect("not held");
    let mut held = pin!(control.hold());
    let mut context = Context::from_waker(noop_waker_ref());
    assert!(held.as_mut().poll(&mut context).is_pending());
    control.request_blocks(1, None).unwrap();
    assert_eq!(control.pace(NOW), Pace::Asked(None));
    assert_eq!(control.begin(NOW, NOW), None);
    control.built(4);
    assert_eq!(held.now_or_never(), Some(4));
    control.release();
    assert_eq!(control.pace(NOW), Pace::Now);
}

#[test]
fn several_validators_promise_nothing() {
    let control = DevControl::new(2);
    assert!(control.request_blocks(1, None).is_err());
    assert!(control.push_directives(change()).is_err());
    assert!(control.restore(Settings::default()).is_err());
    control.catch_up(NOW, NOW + 9);
    assert_eq!(control.time_offset(), 0);
    assert_eq!(control.pace(NOW), Pace::Free);
}

#[test]
fn requests_are_bounded() {
    let control = control();
    for _ in 0..REQUESTS_MAX {
        control.request_blocks(1, None).unwrap();
    }
    assert_eq!(control.request_blocks(1, None), Err(DevError::Busy));
}
