//! What is done to the pool and its model.

use proptest::prelude::*;

/// Of several stripes, of which two have two senders.
pub(super) const SENDERS: [u8; 6] = [0, 43, 1, 2, 45, 3];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit {
        index: u8,
        nonce: u64,
        fees: (u128, u128),
        value: u128,
        input: usize,
    },
    /// The first `count` pending ones of a sender, one of them possibly replaced by a stranger.
    Execute {
        index: u8,
        count: usize,
        strangers: u64,
        balance: u128,
    },
    SetNonce {
        index: u8,
        nonce: u64,
    },
    BaseFee(u64),
    Remove(usize),
    Tick(u64),
    RemoveSender(u8),
}

fn sender_index() -> impl Strategy<Value = u8> {
    prop::sample::select(&SENDERS[..])
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let fees = (8_u128..60, 0_u128..50).prop_map(|(max, tip)| (max, tip.min(max)));
    let input = prop_oneof![4 => Just(0_usize), 1 => 0..400_usize];
    let nonce = prop_oneof![3 => 0..4_u64, 2 => 0..12_u64];
    let admit = (sender_index(), nonce, fees, 0..400_000_u128, input);
    let admit = admit.prop_map(|(index, nonce, fees, value, input)| Step::Admit {
        index,
        nonce,
        fees,
        value,
        input,
    });
    let execute = (sender_index(), 0..4_usize, 0..2_u64, 0..40_000_000_u128);
    let execute = execute.prop_map(|(index, count, strangers, balance)| Step::Execute {
        index,
        count,
        strangers,
        balance,
    });
    prop_oneof![
        12 => admit,
        3 => execute,
        1 => (sender_index(), 0..12_u64).prop_map(|(index, nonce)| Step::SetNonce { index, nonce }),
        2 => (7..40_u64).prop_map(Step::BaseFee),
        1 => (0..20_usize).prop_map(Step::Remove),
        1 => (0..60_u64).prop_map(Step::Tick),
        1 => Just(Step::RemoveSender(SENDERS[1])),
    ]
}
