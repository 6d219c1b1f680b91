//! Contracts that come and go, within a block and within a transaction.

use super::{Generator, cast};
use crate::{
    blocks::{Feature, draft::Draft, probe},
    contracts::{self, Contract},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use executor::Fork;
use rand::RngExt as _;

impl Generator {
    /// A transaction that creates, perhaps at an address that was paid before; then a call of what
    /// it made.
    pub(super) fn creation(&mut self) {
        let sender = self.rich();
        let child = self.people[sender]
            .address
            .create(self.people[sender].nonce);
        let is_paid = self.rng.random_ratio(1, 3);
        if is_paid {
            let payer = self.rich();
            // Not by the creator, whose nonce gives the address.
            if payer != sender {
                let draft = self.draft(payer, TxKind::Call(child));
                let value = U256::ONE;
                self.send(payer, Draft { value, ..draft });
                self.mark(Feature::PaidBeforeCreation);
            }
        }
        let (input, value) = (self.init_code(), self.coin());
        let draft = self.draft(sender, TxKind::Create);
        self.mark(Feature::Creation);
        self.send(
            sender,
            Draft {
                input,
                value,
                gas_limit: 1_500_000,
                ..draft
            },
        );
        self.children.push(child);
        self.call_child();
    }

    /// Something that a creator makes something of, or refuses.
    pub(super) fn init_code(&mut self) -> Bytes {
        let small = self.pick(&[
            probe::LIFE_INIT,
            probe::LIFE_INIT,
            probe::LIFE_INIT,
            probe::MAYFLY_INIT,
            probe::REVERTING_INIT,
            probe::REFUSED_INIT,
            &[],
        ]);
        match self.fork() >= Fork::Shanghai && self.rng.random_ratio(1, 8) {
            true => Contract::Nft.creation(),
            false => Bytes::from_static(small),
        }
    }

    /// Something that was created earlier in the block counts, or destroys itself.
    fn call_child(&mut self) {
        self.digress();
        let children = self.children.clone();
        let child = self.pick(&children);
        match self.rng.random() {
            true => self.call(child, U256::ZERO, Bytes::new()),
            false => self.destroy(child),
        }
    }

    fn destroy(&mut self, life: Address) {
        let beneficiary = match self.rng.random_range(0..4) {
            0 => life,
            1 => self.environment.beneficiary,
            2 => self.pick(&cast::NOBODIES),
            _ => self.somebody(),
        };
        self.mark(match beneficiary == life {
            true => Feature::SelfDestructToSelf,
            false => Feature::SelfDestruct,
        });
        let value = self.coin();
        self.call(life, value, beneficiary.into_word().into());
    }

    /// A contract creates.
    pub(super) fn create(&mut self) {
        let (input, value) = (self.init_code(), self.coin());
        self.mark(Feature::Create);
        self.call(probe::CREATOR.address, value, input);
    }

    /// What was there before the block counts, gets money, or is destroyed.
    pub(super) fn old_life(&mut self) {
        let lives = [
            probe::LIFE.address,
            probe::child(probe::CREATOR2, probe::LIFE_INIT),
        ];
        let life = self.pick(&lives);
        let value = self.coin();
        match self.rng.random() {
            true => self.destroy(life),
            false => self.call(life, value, Bytes::new()),
        }
    }

    /// One address: paid, created, used, destroyed, created again, each of them perhaps.
    pub(super) fn life_cycle(&mut self) {
        if self.fork() < Fork::Petersburg {
            return self.create();
        }
        let child = probe::child(probe::CREATOR2, probe::LIFE_INIT);
        let init = Bytes::from_static(probe::LIFE_INIT);
        let value = self.coin();
        if self.rng.random_ratio(1, 4) {
            self.destroy(child);
        }
        if self.rng.random_ratio(1, 4) {
            self.mark(Feature::PaidBeforeCreation);
            self.call(child, value, Bytes::new());
        }
        self.mark(Feature::Create2);
        self.call(probe::CREATOR2.address, value, init.clone());
        self.digress();
        if self.rng.random() {
            self.call(child, U256::ZERO, Bytes::new());
        }
        if self.rng.random_ratio(1, 4) {
            return;
        }
        self.destroy(child);
        self.digress();
        if self.rng.random_ratio(1, 3) {
            self.call(child, value, Bytes::new());
        }
        if self.rng.random_ratio(3, 4) {
            self.mark(Feature::Recreation);
            self.call(probe::CREATOR2.address, U256::ZERO, init);
            self.call(child, U256::ZERO, Bytes::new());
        }
    }

    /// Created and destroyed by one transaction, perhaps twice.
    pub(super) fn short_life(&mut self) {
        if self.fork() < Fork::Petersburg {
            return self.create();
        }
        let value = self.coin();
        let init = Bytes::from_static(probe::LIFE_INIT);
        let creator = probe::CREATOR2_DESTROYS;
        self.mark(Feature::CreateAndDestroy);
        self.call(creator.address, value, init.clone());
        if self.rng.random() {
            self.digress();
            let child = probe::child(creator, probe::LIFE_INIT);
            self.call(child, value, Bytes::new());
            self.call(creator.address, value, init);
        }
    }

    /// Solidity's way to do the same: one salt, up to three things done with it.
    pub(super) fn factory(&mut self) {
        let salt = B256::with_last_byte(self.pick(&[0, 1]));
        self.mark(Feature::Factory);
        if self.rng.random() {
            self.call_factory("create2(bytes32)", salt);
        }
        let signature = self.pick(&[
            "create()",
            "create2(bytes32)",
            "createMayfly(bytes32)",
            "createAndDestroy(bytes32)",
            "bump(bytes32)",
        ]);
        self.call_factory(signature, salt);
        if self.rng.random() {
            self.call_factory("destroy(bytes32)", salt);
        }
    }

    fn call_factory(&mut self, signature: &str, salt: B256) {
        let value = match signature.starts_with("create") {
            true => self.coin(),
            false => U256::ZERO,
        };
        let words = if signature == "create()" {
            &[][..]
        } else {
            &[salt]
        };
        self.call(cast::FACTORY, value, contracts::call(signature, words));
    }
}
