//! What only a development chain serves: its keys, its clock, its block production, its state.
//!
//! Nothing here reaches around consensus: state is set by directives that are ordered in a block, an
//! impersonated sender signs with `s = 0`, a block is asked for and then waited for. What a final
//! order can't honour — going back to a snapshot, holding blocks until told — is refused with the
//! reason. On every other chain all of it answers "only in dev".

mod account;
mod mine;
mod sign;
mod state;

use crate::{backend::Backend, config::DEV_WAIT_MS, error::RpcError, registry::Registry};
use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use futures::future::{Either, select};
use pipeline::{ChainEvent, DevControl, ExecutedRecord};
use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The methods that other chains refuse.
const ONLY_IN_DEV: [&str; 34] = [
    "eth_sendTransaction",
    "eth_signTransaction",
    "eth_sign",
    "eth_signTypedData_v4",
    "personal_sign",
    "evm_mine",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "evm_setAutomine",
    "evm_setIntervalMining",
    "evm_snapshot",
    "evm_revert",
    "hardhat_mine",
    "hardhat_setBalance",
    "hardhat_setNonce",
    "hardhat_setCode",
    "hardhat_setStorageAt",
    "hardhat_impersonateAccount",
    "hardhat_stopImpersonatingAccount",
    "hardhat_getAutomine",
    "hardhat_dropTransaction",
    "hardhat_reset",
    "anvil_mine",
    "anvil_setBalance",
    "anvil_setNonce",
    "anvil_setCode",
    "anvil_setStorageAt",
    "anvil_impersonateAccount",
    "anvil_stopImpersonatingAccount",
    "anvil_getAutomine",
    "anvil_dropTransaction",
    "anvil_reset",
    "anvil_snapshot",
    "anvil_revert",
];

/// The keys and the block production of a development chain.
#[derive(Debug)]
pub struct Dev {
    signers: Vec<PrivateKeySigner>,
    control: DevControl,
    impersonated: Mutex<BTreeSet<Address>>,
    /// Held from choosing a nonce until the pool has the transaction.
    sending: Mutex<()>,
}

impl Dev {
    /// Unlocked accounts in the order in which `eth_accounts` lists them, and block production.
    #[must_use]
    pub fn new(signers: Vec<PrivateKeySigner>, control: DevControl) -> Self {
        Self {
            signers,
            control,
            impersonated: Mutex::default(),
            sending: Mutex::default(),
        }
    }

    fn impersonated(&self) -> MutexGuard<'_, BTreeSet<Address>> {
        self.impersonated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn signer(&self, address: &Address) -> Option<&PrivateKeySigner> {
        self.signers
            .iter()
            .find(|signer| signer.address() == *address)
    }
}

pub(crate) fn register(methods: &mut Registry, is_dev: bool) {
    account::register_everywhere(methods);
    if is_dev {
        account::register(methods);
        mine::register(methods);
        sign::register(methods);
        state::register(methods);
    } else {
        for name in ONLY_IN_DEV {
            methods.refuse(name, RpcError::OnlyInDev);
        }
    }
}

/// The development side of a backend whose methods are registered only if there is one.
fn require(backend: &Backend) -> Result<&Dev, RpcError> {
    let absent = || RpcError::Internal("not a development chain".to_owned());
    backend.dev.as_ref().ok_or_else(absent)
}

/// Watches for a block from before it is asked for, so that it can't slip by.
struct Watch {
    next: u64,
    events: Receiver<ChainEvent>,
}

impl Watch {
    fn start(backend: &Backend) -> Self {
        let events = backend.chain.subscribe();
        let next = backend.chain.heads().executed_height + 1;
        Self { next, events }
    }

    /// The first executed block for which it holds.
    async fn until(
        mut self,
        backend: &Backend,
        holds: impl Fn(&ExecutedRecord) -> bool,
    ) -> Result<Arc<ExecutedRecord>, RpcError> {
        let found = pin!(self.follow(backend, holds));
        let timer = (backend.clock.sleep)(Duration::from_millis(DEV_WAIT_MS));
        match select(found, timer).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Err(RpcError::DevTimeout(DEV_WAIT_MS)),
        }
    }

    async fn follow(
        &mut self,
        backend: &Backend,
        holds: impl Fn(&ExecutedRecord) -> bool,
    ) -> Result<Arc<ExecutedRecord>, RpcError> {
        loop {
            let Some(record) = backend.chain.record(self.next)? else {
                self.wait().await?;
                continue;
            };
            self.next += 1;
            if holds(&record) {
                return Ok(record);
            }
        }
    }

    async fn wait(&mut self) -> Result<(), RpcError> {
        match self.events.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
            Err(RecvError::Closed) => Err(RpcError::Internal("the chain stopped".to_owned())),
        }
    }
}
