//! The keys of the measured state, and random writes to them.

use alloy_primitives::{Address, B256, U256};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use state::{Account, StateDiff};

/// Contracts that hold the slots.
const CONTRACTS: u64 = 1_000;
/// Of this many keys one is an account.
const KEYS_PER_ACCOUNT: u64 = 4;
const SEED: u64 = 1;

/// So many accounts and slots, and a source of writes to them.
pub(super) struct Keys {
    count: u64,
    accounts: u64,
    skewed: bool,
    random: StdRng,
}

impl Keys {
    pub(super) fn new(count: u64, skewed: bool) -> Self {
        Self {
            count,
            accounts: (count / KEYS_PER_ACCOUNT).max(CONTRACTS),
            skewed,
            random: StdRng::seed_from_u64(SEED),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.max(self.accounts)
    }

    /// Writes to the keys from one number to below another.
    pub(super) fn range(&mut self, first: u64, end: u64) -> StateDiff {
        let mut diff = StateDiff::default();
        for number in first..end {
            self.write(number, &mut diff);
        }
        diff
    }

    /// Writes to so many keys.
    pub(super) fn updates(&mut self, count: usize) -> StateDiff {
        let mut diff = StateDiff::default();
        for _ in 0..count {
            let number = self.pick();
            self.write(number, &mut diff);
        }
        diff
    }

    /// A slot that is set.
    pub(super) fn storage_slot(&mut self) -> (Address, B256) {
        let slots = self.count().saturating_sub(self.accounts).max(1);
        let number = self.accounts + self.random.random_range(0..slots);
        let (address, slot) = storage_slot_of(number);
        (address, slot.into())
    }

    fn pick(&mut self) -> u64 {
        let count = self.count();
        if !self.skewed {
            return self.random.random_range(0..count);
        }
        // The fifth that is written often lies scattered among accounts and slots.
        let fifth = self.random.random_range(0..count.div_ceil(5)) * 5;
        match self.random.random_range(0..5u8) {
            0 => (fifth + self.random.random_range(1..5u64)).min(count - 1),
            _ => fifth,
        }
    }

    fn write(&mut self, number: u64, diff: &mut StateDiff) {
        if number < self.accounts {
            let change = diff.accounts.entry(address_of(number)).or_default();
            change.account = Some(Account {
                nonce: self.random.random_range(1..1 << 20),
                balance: U256::from(self.random.random::<u64>()),
                ..Account::default()
            });
            return;
        }
        let (address, slot) = storage_slot_of(number);
        let change = diff.accounts.entry(address).or_default();
        change.account.get_or_insert_with(Account::default).nonce |= 1;
        let value = U256::from(self.random.random::<u128>() | 1);
        change.storage.insert(slot, value);
    }
}

fn address_of(number: u64) -> Address {
    let words = [
        mix(number),
        mix(number ^ (1 << 62)),
        mix(number ^ (1 << 63)),
    ];
    let mut bytes = [0; 24];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    Address::from_slice(&bytes[..20])
}

/// Slots as those of mappings: anywhere.
fn storage_slot_of(number: u64) -> (Address, U256) {
    let limbs = [1u64, 2, 3, 4].map(|limb| mix(number.wrapping_mul(5).wrapping_add(limb << 58)));
    (address_of(mix(number) % CONTRACTS), U256::from_limbs(limbs))
}

/// One to one, and without a pattern.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
