//! Calls: tokens, swaps, votes, and probes of whatever other transactions change.

use super::{COIN, Generator, cast};
use crate::{
    blocks::{Feature, draft::Draft, probe},
    contracts,
};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use executor::Fork;
use rand::RngExt as _;

/// Gas of a deep recursion: some hundreds of frames.
const RECURSION_GAS: u64 = 8_000_000;

impl Generator {
    pub(super) fn token(&mut self) {
        let token = self.pick(&cast::TOKENS);
        let to = match self.rng.random_range(0..3) {
            0 => cast::PAIR,
            1 => self.pick(&cast::NOBODIES),
            _ => self.somebody(),
        };
        let value = self.value();
        let input = match self.rng.random_ratio(1, 6) {
            true => contracts::mint_token(to, value),
            false => contracts::transfer(to, value),
        };
        self.mark(Feature::Token);
        self.call(token, U256::ZERO, input);
    }

    /// Somebody lets another spend, who does, perhaps more than allowed.
    pub(super) fn token_allowance(&mut self) {
        let (owner, spender) = (self.rich(), self.rich());
        let token = self.pick(&cast::TOKENS);
        let [owner_address, spender_address] =
            [owner, spender].map(|person| self.people[person].address);
        let (allowed, value) = (self.value(), self.value());
        let to = self.somebody();
        self.mark(Feature::TokenAllowance);
        let draft = self.draft(owner, TxKind::Call(token));
        let input = contracts::approve(spender_address, allowed);
        self.send(owner, Draft { input, ..draft });
        self.digress();
        let draft = self.draft(spender, TxKind::Call(token));
        let input = contracts::transfer_from(owner_address, to, value);
        self.send(spender, Draft { input, ..draft });
    }

    pub(super) fn swap(&mut self) {
        let most = self.pick(&[1_000, 1_000_000, COIN / 100]);
        let amount = U256::from(self.rng.random_range(0..=most));
        let (token, to) = (self.pick(&cast::TOKENS), self.somebody());
        self.mark(Feature::Swap);
        let input = contracts::swap(amount, cast::PAIR, token, to);
        self.call(cast::ROUTER, U256::ZERO, input);
    }

    pub(super) fn mint(&mut self) {
        self.mark(Feature::Mint);
        self.call(cast::NFT, U256::ZERO, contracts::mint_nft());
    }

    pub(super) fn vote(&mut self) {
        self.mark(Feature::Vote);
        let input = contracts::vote(self.pick(&[0, 1]), self.pick(&[0, 1, 2, 3]));
        self.call(cast::GOVERNOR, U256::ZERO, input);
    }

    /// An account that others are likely to change.
    pub(super) fn hot_account(&mut self) -> Address {
        match self.rng.random_range(0..6) {
            0 => self.environment.beneficiary,
            1 => self.pick(&cast::NOBODIES),
            2 => probe::child(probe::CREATOR2, probe::LIFE_INIT),
            3 => {
                self.pick(&[probe::LIFE, probe::FORWARD, probe::CREATOR])
                    .address
            }
            _ => self.somebody(),
        }
    }

    pub(super) fn read_balance(&mut self) {
        let value = self.value();
        if self.rng.random_ratio(1, 3) {
            let probes = match self.fork() >= Fork::Istanbul {
                true => [probe::OWN_BALANCE, probe::SELF_BALANCE],
                false => [probe::OWN_BALANCE; 2],
            };
            self.mark(Feature::ReadsOwnBalance);
            let to = self.pick(&probes).address;
            return self.call(to, value, Bytes::new());
        }
        let input = self.probe_input();
        self.mark(Feature::ReadsBalance);
        self.call(probe::BALANCE.address, U256::ZERO, input);
    }

    fn probe_input(&mut self) -> Bytes {
        let account = self.hot_account();
        let slot = self.rng.random_range(0..3);
        probe::words(account, U256::from(slot))
    }

    pub(super) fn read_fee_receiver(&mut self) {
        self.mark(Feature::ReadsFeeReceiver);
        let to = probe::COINBASE_BALANCE.address;
        self.call(to, U256::ZERO, Bytes::new());
    }

    pub(super) fn read_code(&mut self) {
        let probes = match self.fork() >= Fork::Petersburg {
            true => [probe::CODE_SIZE, probe::CODE_HASH],
            false => [probe::CODE_SIZE; 2],
        };
        let to = self.pick(&probes).address;
        let input = self.probe_input();
        self.mark(Feature::ReadsCode);
        self.call(to, U256::ZERO, input);
    }

    pub(super) fn pay_fee_receiver(&mut self) {
        let value = self.value();
        self.mark(Feature::CallPaysFeeReceiver);
        self.call(probe::PAY_COINBASE.address, value, Bytes::new());
    }

    /// A contract sends on what it has, if it has it.
    pub(super) fn forward(&mut self) {
        let (to, sent) = (self.hot_account(), self.value());
        let value = match self.rng.random_ratio(1, 3) {
            true => self.value(),
            false => U256::ZERO,
        };
        self.mark(Feature::ValueCall);
        let input = probe::words(to, sent);
        self.call(probe::FORWARD.address, value, input);
    }

    pub(super) fn gas(&mut self) {
        self.mark(Feature::GasDependent);
        self.call(probe::GAS.address, U256::ZERO, Bytes::new());
    }

    pub(super) fn count(&mut self) {
        let (probe, feature) = self.pick(&[
            (probe::COUNT, Feature::Branch),
            (probe::BRANCH, Feature::Branch),
            (probe::TOGGLE, Feature::Refund),
        ]);
        self.mark(feature);
        self.call(probe.address, U256::ZERO, Bytes::new());
    }

    /// Gas that may last or not, or an endless loop.
    pub(super) fn run_out(&mut self) {
        let to = self.pick(&[
            probe::LOOP.address,
            probe::GAS.address,
            probe::BRANCH.address,
            cast::NFT,
        ]);
        let sender = self.rich();
        let draft = self.draft(sender, TxKind::Call(to));
        let input = contracts::mint_nft();
        let gas_limit = match to == probe::LOOP.address {
            true => draft.gas_limit,
            false => self.rng.random_range(30_000..70_000),
        };
        self.mark(Feature::OutOfGas);
        self.send(
            sender,
            Draft {
                gas_limit,
                input,
                ..draft
            },
        );
    }

    pub(super) fn revert(&mut self) {
        let (probe, feature) = self.pick(&[
            (probe::REVERT, Feature::Revert),
            (probe::REVERT_IF_ODD, Feature::RevertByFees),
            (probe::REVERT_IF_ODD, Feature::RevertByFees),
        ]);
        self.mark(feature);
        self.call(probe.address, U256::ZERO, Bytes::new());
    }

    pub(super) fn recurse(&mut self) {
        let to = self
            .pick(&[probe::RECURSE, probe::RECURSE_AND_COUNT])
            .address;
        let draft = self.draft(0, TxKind::Call(to));
        self.mark(Feature::DeepRecursion);
        self.send(
            0,
            Draft {
                gas_limit: RECURSION_GAS,
                ..draft
            },
        );
    }

    /// A contract runs another's code as its own: counts, or destroys itself.
    pub(super) fn delegate_call(&mut self) {
        let code = self.pick(&[probe::COUNT, probe::LIFE, probe::DRAIN, probe::CREATOR]);
        self.mark(Feature::DelegateCall);
        let input = code.address.into_word();
        self.call(probe::DELEGATE.address, U256::ZERO, input.into());
    }

    /// What lasts for a transaction, and what is the same for the whole block.
    pub(super) fn block_scope(&mut self) {
        self.mark(Feature::BlockScope);
        let height = U256::from(self.environment.height.saturating_sub(1));
        let to = self.pick(&[
            probe::TRANSIENT.address,
            probe::PARENT_HASH.address,
            HISTORY_STORAGE_ADDRESS,
        ]);
        self.call(to, U256::ZERO, height.to_be_bytes::<32>().into());
    }

    /// What somebody might send along.
    pub(super) fn coin(&mut self) -> U256 {
        U256::from(self.pick(&[0, 1, COIN / 10]))
    }
}
