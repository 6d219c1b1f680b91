//! What only a development chain serves: its keys, its clock, its block production, its state.
//!
//! Nothing here reaches around consensus: state is set by directives that are ordered in a block, an
//! impersonated sender signs with `s = 0`, a block is asked for and then waited for, and a chain that goes back
//! is another one (see `travel`). What can't be honoured is refused with the reason: much of it with several
//! validators. On every other chain all of it answers "only in dev".

mod account;
mod chain;
mod clock;
mod dump;
mod mine;
mod names;
mod sign;
mod state;
mod travel;

pub use travel::{TimelineRequest, Timelines, TravelError};

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
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

/// The keys and the block production of a development chain.
#[derive(Debug)]
pub struct Dev {
    signers: Arc<Vec<PrivateKeySigner>>,
    control: DevControl,
    impersonated: Arc<Mutex<Impersonated>>,
    /// Held from choosing a nonce until the pool has the transaction.
    sending: Mutex<()>,
    /// Whoever runs the chain, if it can go back.
    timelines: Option<Timelines>,
}

/// Whose transactions need no key.
#[derive(Debug, Default)]
struct Impersonated {
    addresses: BTreeSet<Address>,
    everybody: bool,
}

impl Impersonated {
    fn has(&self, address: &Address) -> bool {
        self.everybody || self.addresses.contains(address)
    }
}

impl Dev {
    /// Unlocked accounts in the order in which `eth_accounts` lists them, and block production.
    #[must_use]
    pub fn new(signers: Vec<PrivateKeySigner>, control: DevControl) -> Self {
        Self {
            signers: Arc::new(signers),
            control,
            impersonated: Arc::default(),
            sending: Mutex::default(),
            timelines: None,
        }
    }

    /// The same on a chain that can go back.
    #[must_use]
    pub fn with_timelines(self, timelines: Timelines) -> Self {
        Self {
            timelines: Some(timelines),
            ..self
        }
    }

    pub(crate) fn succeed(&self, control: DevControl) -> Self {
        Self {
            signers: Arc::clone(&self.signers),
            control,
            impersonated: Arc::clone(&self.impersonated),
            sending: Mutex::default(),
            timelines: self.timelines.clone(),
        }
    }

    pub(crate) const fn control(&self) -> &DevControl {
        &self.control
    }

    fn impersonated(&self) -> MutexGuard<'_, Impersonated> {
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
        chain::register(methods);
        clock::register(methods);
        dump::register(methods);
        mine::register(methods);
        sign::register(methods);
        state::register(methods);
        travel::register(methods);
    } else {
        for name in names::ONLY_IN_DEV {
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
    /// Whether the chain has gone back.
    ended: watch::Receiver<bool>,
}

impl Watch {
    fn start(backend: &Backend) -> Self {
        let events = backend.chain.subscribe();
        let next = backend.chain.heads().executed_height + 1;
        let ended = backend.ended();
        Self {
            next,
            events,
            ended,
        }
    }

    /// The first executed block for which it holds.
    async fn until(
        mut self,
        backend: &Backend,
        wait_ms: u64,
        holds: impl Fn(&ExecutedRecord) -> bool,
    ) -> Result<Arc<ExecutedRecord>, RpcError> {
        let found = pin!(self.follow(backend, holds));
        let timer = (backend.clock.sleep)(Duration::from_millis(wait_ms));
        match select(found, timer).await {
            Either::Left((found, _)) => found,
            Either::Right(_) => Err(RpcError::DevTimeout(wait_ms)),
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

    /// Waits until so many of all blocks that were ever asked for are executed.
    async fn until_honoured(
        mut self,
        backend: &Backend,
        control: &DevControl,
        ticket: u64,
    ) -> Result<(), RpcError> {
        loop {
            let honoured = control.honoured();
            let executed_height = backend.chain.heads().executed_height;
            if honoured.count >= ticket && executed_height >= honoured.height {
                return Ok(());
            }
            let timer = (backend.clock.sleep)(Duration::from_millis(DEV_WAIT_MS));
            match select(pin!(self.wait()), timer).await {
                Either::Left((event, _)) => event?,
                Either::Right(_) => return Err(RpcError::DevTimeout(DEV_WAIT_MS)),
            }
        }
    }

    async fn wait(&mut self) -> Result<(), RpcError> {
        let event = pin!(self.events.recv());
        let ended = pin!(self.ended.wait_for(|has_ended| *has_ended));
        match select(event, ended).await {
            Either::Left((Ok(_) | Err(RecvError::Lagged(_)), _)) => Ok(()),
            Either::Left((Err(RecvError::Closed), _)) => {
                Err(RpcError::Internal("the chain stopped".to_owned()))
            }
            Either::Right(_) => Err(RpcError::WentBack),
        }
    }
}
