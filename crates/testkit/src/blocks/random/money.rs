//! Coins: transfers to everything there is, the last coin, and transactions that cannot pay.

use super::{COIN, Generator, TRANSFER_GAS, cast};
use crate::blocks::{Feature, draft::Draft, probe};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, TxKind, U256};
use rand::RngExt as _;

/// What is left of a balance after a drain, in wei.
const CRUMBS: [u128; 3] = [0, 0, 1];

impl Generator {
    /// Coins from somebody to anything.
    pub(super) fn transfer(&mut self) {
        let sender = self.rich();
        let own = self.people[sender].address;
        let (to, feature) = match self.rng.random_range(0..12) {
            0 => (own, Feature::SelfTransfer),
            1..=2 => (self.environment.beneficiary, Feature::PaysFeeReceiver),
            3 => (self.precompile(), Feature::PaysPrecompile),
            4..=5 => (self.pick(&cast::NOBODIES), Feature::PaysNobody),
            6..=7 => (self.contract(), Feature::PaysContract),
            8 => (self.somebody(), Feature::ZeroValue),
            _ => {
                let to = self.somebody();
                let value = self.value();
                return self.pay(sender, to, value);
            }
        };
        self.mark(feature);
        let value = match feature == Feature::ZeroValue {
            true => U256::ZERO,
            false => self.value(),
        };
        if to == own || feature == Feature::PaysNobody || feature == Feature::ZeroValue {
            return self.pay(sender, to, value);
        }
        let draft = self.draft(sender, TxKind::Call(to));
        self.send(sender, Draft { value, ..draft });
    }

    /// A transfer with exactly the gas it needs.
    fn pay(&mut self, sender: usize, to: Address, value: U256) {
        let draft = self.plain(sender, to);
        self.send(sender, Draft { value, ..draft });
    }

    fn plain(&mut self, sender: usize, to: Address) -> Draft {
        let draft = self.draft(sender, TxKind::Call(to));
        Draft {
            gas_limit: TRANSFER_GAS,
            access_list: AccessList::default(),
            ..draft
        }
    }

    fn precompile(&mut self) -> Address {
        let number = self.pick(&[1, 2, 3, 4, 5, 9, 10, 17]);
        Address::with_last_byte(number)
    }

    fn contract(&mut self) -> Address {
        let probes = [
            probe::OWN_BALANCE,
            probe::COUNT,
            probe::FORWARD,
            probe::LIFE,
        ];
        self.pick(&probes).address
    }

    /// All that somebody has.
    pub(super) fn drain(&mut self) {
        let (sender, to) = (self.person(), self.somebody());
        let draft = self.plain(sender, to);
        let cost = draft.max_gas_cost();
        let crumbs = U256::from(self.pick(&CRUMBS));
        let Some(value) = self.people[sender]
            .balance
            .checked_sub(cost.saturating_add(crumbs))
        else {
            return self.relay();
        };
        self.mark(Feature::Drain);
        self.send(sender, Draft { value, ..draft });
    }

    /// Somebody gets money, and spends it at once; perhaps the next one does the same.
    pub(super) fn relay(&mut self) {
        let payer = self.rich();
        let mut holder = self.person();
        let (to, value) = (self.people[holder].address, U256::from(COIN / 100));
        self.pay(payer, to, value);
        for _ in 0..self.rng.random_range(1..4) {
            self.digress();
            let next = self.person();
            let draft = self.plain(holder, self.people[next].address);
            let cost = draft.max_gas_cost();
            let Some(value) = self.people[holder].balance.checked_sub(cost) else {
                return;
            };
            self.mark(Feature::PaidEarlier);
            self.send(holder, Draft { value, ..draft });
            holder = next;
        }
    }

    /// A nonce that is used already, or is not due yet.
    pub(super) fn wrong_nonce(&mut self) {
        let (sender, to) = (self.rich(), self.somebody());
        let draft = self.plain(sender, to);
        let nonce = match self.rng.random() {
            true => draft.nonce.saturating_add(1),
            false => draft.nonce.wrapping_sub(1),
        };
        self.mark(Feature::WrongNonce);
        self.observe(&draft);
        self.transactions.push(Draft { nonce, ..draft }.finish());
    }

    /// More than anybody has; or exactly one wei more than the sender has, as far as one can tell.
    pub(super) fn unaffordable(&mut self) {
        let (sender, to) = (self.person(), self.somebody());
        let draft = self.plain(sender, to);
        let balance = self.people[sender].balance;
        let value = match self.rng.random() {
            true => U256::from(COIN).saturating_mul(U256::from(COIN)),
            false => balance
                .saturating_sub(draft.max_gas_cost())
                .saturating_add(U256::ONE),
        };
        self.mark(Feature::Unaffordable);
        self.observe(&draft);
        let person = &mut self.people[sender];
        // Our rules take what is there, and the nonce; a delegated account's transaction is valid.
        if self.ethereum.is_none() {
            person.nonce = person.nonce.saturating_add(1);
            person.balance = person.balance.saturating_sub(draft.max_gas_cost());
        }
        self.transactions.push(Draft { value, ..draft }.finish());
    }

    /// A price below the base fee, where there is one.
    pub(super) fn low_fee(&mut self) {
        let Some(max_fee) = self.environment.base_fee.checked_sub(1) else {
            return self.transfer();
        };
        let (sender, to) = (self.rich(), self.somebody());
        let draft = self.plain(sender, to);
        self.mark(Feature::FeeTooLow);
        if self.ethereum.is_none() {
            let person = &mut self.people[sender];
            person.nonce = person.nonce.saturating_add(1);
        }
        let max_fee = u128::from(max_fee);
        let draft = Draft {
            max_fee,
            priority_fee: draft.priority_fee.min(max_fee),
            ..draft
        };
        self.observe(&draft);
        self.transactions.push(draft.finish());
    }

    /// A contract sends: invalid since EIP-3607, except for an impersonated one.
    pub(super) fn send_from_contract(&mut self) {
        let draft = self.plain(0, self.people[0].address);
        let is_impersonated = self.chain.protocol.dev && self.rng.random_ratio(3, 4);
        let draft = Draft {
            sender: probe::FORWARD.address,
            nonce: self.contract_nonce,
            value: U256::ONE,
            is_impersonated,
            ..draft
        };
        if self.ethereum.is_none() {
            self.contract_nonce = self.contract_nonce.saturating_add(1);
        }
        self.mark(match is_impersonated {
            true => Feature::Impersonated,
            false => Feature::SenderIsContract,
        });
        self.observe(&draft);
        self.transactions.push(draft.finish());
    }
}
