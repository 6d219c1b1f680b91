//! Random blocks that look for trouble: few accounts, many reasons to conflict.
//!
//! ```text
//! seed ─▶ rules, people, contracts ─▶ step, step, … (1 to 40 transactions) ─▶ GeneratedBlock
//!                                      └ money │ code │ life │ delegation │ fault
//! ```
//! The generator estimates nonces and balances without executing anything. Where code changes them
//! behind its back, transactions turn into inclusion faults; there are others on purpose. Each seed
//! prefers some kinds of step, so that the same things happen often enough in one block.

mod cast;
mod code;
mod delegation;
mod life;
mod money;
#[cfg(test)]
mod tests;

use super::{Feature, GeneratedBlock, draft::Draft};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use cast::Person;
use executor::{BlockEnvironment, EthereumRules, Fork};
use primitives::{ChainConfig, Directive, RecoveredTransaction};
use rand::{RngExt as _, rngs::StdRng};
use state::MemoryState;
use std::collections::BTreeSet;

/// Most transactions of a block.
pub const TRANSACTIONS_MAX: usize = 40;

const GWEI: u128 = 1_000_000_000;
const COIN: u128 = GWEI * GWEI;
const TRANSFER_GAS: u64 = 21_000;
const CALL_GAS: u64 = 300_000;

/// Adds one transaction, or some that belong together.
type Step = fn(&mut Generator);

/// How often each step is done, compared with the others.
const STEPS: [(u32, Step); 32] = [
    (12, Generator::transfer),
    (3, Generator::drain),
    (4, Generator::relay),
    (2, Generator::wrong_nonce),
    (2, Generator::unaffordable),
    (1, Generator::low_fee),
    (2, Generator::send_from_contract),
    (6, Generator::token),
    (2, Generator::token_allowance),
    (4, Generator::swap),
    (3, Generator::mint),
    (3, Generator::vote),
    (4, Generator::read_balance),
    (3, Generator::read_fee_receiver),
    (2, Generator::read_code),
    (3, Generator::pay_fee_receiver),
    (4, Generator::forward),
    (3, Generator::gas),
    (3, Generator::count),
    (2, Generator::run_out),
    (3, Generator::revert),
    (1, Generator::recurse),
    (2, Generator::delegate_call),
    (2, Generator::block_scope),
    (3, Generator::creation),
    (2, Generator::create),
    (4, Generator::life_cycle),
    (7, Generator::old_life),
    (2, Generator::short_life),
    (2, Generator::factory),
    (5, Generator::authorize),
    (5, Generator::run_delegated),
];

/// The block of a seed.
#[must_use]
pub fn random_block(seed: u64) -> GeneratedBlock {
    let mut generator = Generator::new(seed);
    let count = generator.rng.random_range(1..=TRANSACTIONS_MAX);
    let weights: Vec<u32> = STEPS
        .iter()
        .map(|(weight, _)| weight.saturating_mul(generator.pick(&[0, 1, 1, 2, 8])))
        .collect();
    let total = weights.iter().sum::<u32>().max(1);
    while generator.transactions.len() < count {
        let mut left = generator.rng.random_range(0..total);
        let found = weights.iter().position(|weight| {
            let is_it = left < *weight;
            left = left.saturating_sub(*weight);
            is_it
        });
        let (_, step) = STEPS[found.unwrap_or_default()];
        step(&mut generator);
    }
    generator.finish()
}

/// A block that is being made up.
struct Generator {
    rng: StdRng,
    chain: ChainConfig,
    ethereum: Option<EthereumRules>,
    environment: BlockEnvironment,
    state: MemoryState,
    directives: Vec<Directive>,
    people: Vec<Person>,
    /// The nonce of the contract that is impersonated.
    contract_nonce: u64,
    /// What was created in the block and may have code.
    children: Vec<Address>,
    transactions: Vec<RecoveredTransaction>,
    features: BTreeSet<Feature>,
}

impl Generator {
    fn finish(mut self) -> GeneratedBlock {
        self.transactions.truncate(TRANSACTIONS_MAX);
        GeneratedBlock {
            state: self.state,
            transactions: self.transactions,
            environment: self.environment,
            chain: self.chain,
            directives: self.directives,
            ethereum: self.ethereum,
            features: self.features,
        }
    }

    fn fork(&self) -> Fork {
        self.ethereum.unwrap_or_default().fork
    }

    fn mark(&mut self, feature: Feature) {
        self.features.insert(feature);
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    /// Somebody, by number.
    fn person(&mut self) -> usize {
        self.rng.random_range(0..self.people.len())
    }

    /// Somebody's address.
    fn somebody(&mut self) -> Address {
        let person = self.person();
        self.people[person].address
    }

    /// Somebody with money.
    fn rich(&mut self) -> usize {
        let person = self.person();
        match self.people[person].balance >= U256::from(COIN) {
            true => person,
            false => 0,
        }
    }

    fn value(&mut self) -> U256 {
        let most = self.pick(&[1, 1_000, GWEI, COIN]);
        U256::from(self.rng.random_range(0..=most))
    }

    /// A transaction of a person, of any type that the fork has and at any price that it takes.
    fn draft(&mut self, sender: usize, to: TxKind) -> Draft {
        let kinds: &[u8] = match self.fork() {
            fork if fork >= Fork::London => &[0, 1, 2, 2],
            Fork::Berlin => &[0, 1],
            _ => &[0],
        };
        let kind = self.pick(kinds);
        let priority_fee = self.pick(&[0, 0, 1, 1, 2, 3, GWEI]);
        let room = self.pick(&[0, 1, GWEI]);
        let max_fee = u128::from(self.environment.base_fee) + priority_fee;
        let access_list = match kind > 0 && self.rng.random_ratio(1, 4) {
            true => self.access_list(),
            false => AccessList::default(),
        };
        Draft {
            kind,
            chain_id: self.chain.chain_id,
            sender: self.people[sender].address,
            nonce: self.people[sender].nonce,
            gas_limit: CALL_GAS,
            max_fee: if kind == 2 { max_fee + room } else { max_fee },
            priority_fee,
            to,
            access_list,
            ..Draft::default()
        }
    }

    fn access_list(&mut self) -> AccessList {
        let item = |address, slots: u64| AccessListItem {
            address,
            storage_keys: (0..slots).map(|slot| U256::from(slot).into()).collect(),
        };
        let addresses = [
            self.environment.beneficiary,
            self.somebody(),
            cast::TOKENS[0],
            cast::PAIR,
        ];
        let count = self.rng.random_range(1..=addresses.len());
        let items = addresses.into_iter().take(count);
        AccessList(items.map(|address| item(address, 3)).collect())
    }

    /// Puts a transaction of a person into the block, and estimates what it takes.
    fn send(&mut self, sender: usize, draft: Draft) {
        self.observe(&draft);
        let base_fee = u128::from(self.environment.base_fee);
        let price = match draft.kind {
            0 | 1 => draft.max_fee,
            _ => draft
                .max_fee
                .min(base_fee.saturating_add(draft.priority_fee)),
        };
        let gas_cost = U256::from(draft.gas_limit).saturating_mul(U256::from(price));
        let person = &mut self.people[sender];
        person.nonce = person.nonce.saturating_add(1);
        let cost = gas_cost.saturating_add(draft.value);
        person.balance = person.balance.saturating_sub(cost);
        if person.has_authorized {
            self.features.insert(Feature::AuthoritySends);
        }
        let to = draft.to.to().copied();
        if let Some(paid) = self.people.iter_mut().find(|p| Some(p.address) == to) {
            paid.balance = paid.balance.saturating_add(draft.value);
        }
        self.transactions.push(draft.finish());
    }

    /// Notes what anybody can see of a transaction.
    fn observe(&mut self, draft: &Draft) {
        let kind = match draft.kind {
            0 => Feature::Legacy,
            1 => Feature::AccessListType,
            2 => Feature::DynamicFee,
            _ => Feature::Authorizing,
        };
        let seen = [
            (true, kind),
            (!draft.access_list.is_empty(), Feature::AccessList),
            (
                draft.max_fee <= u128::from(self.environment.base_fee)
                    || (draft.kind > 1 && draft.priority_fee == 0),
                Feature::NoPriorityFee,
            ),
            (
                draft.sender == self.environment.beneficiary,
                Feature::FeeReceiverSends,
            ),
        ];
        let seen = seen.into_iter().filter(|(holds, _)| *holds);
        self.features.extend(seen.map(|(_, feature)| feature));
    }

    /// A call by somebody with money.
    fn call(&mut self, to: Address, value: U256, input: Bytes) {
        let sender = self.rich();
        let draft = self.draft(sender, TxKind::Call(to));
        self.send(
            sender,
            Draft {
                value,
                input,
                ..draft
            },
        );
    }

    /// Perhaps something else, so that what belongs together is not always adjacent.
    fn digress(&mut self) {
        if self.rng.random_ratio(1, 3) {
            self.transfer();
        }
    }

    fn hash(&mut self) -> B256 {
        self.rng.random::<[u8; 32]>().into()
    }
}
