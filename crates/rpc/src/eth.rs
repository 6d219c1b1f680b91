//! The `eth` namespace, one file per family of methods.

pub(crate) mod block;
pub(crate) mod call;
mod capabilities;
pub(crate) mod fee;
pub(crate) mod filter;
pub(crate) mod log;
mod simulate;
pub(crate) mod state;
pub(crate) mod submit;
pub(crate) mod tag;
pub(crate) mod transaction;

use crate::{args::Args, backend::Backend, error::RpcError, registry::Registry};
use alloy_primitives::{Address, U64};
use pipeline::SyncProgress;
use serde::Serialize;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_chainId", chain_id);
    methods.quick("eth_coinbase", coinbase);
    methods.quick("eth_syncing", syncing);
    methods.quick("eth_mining", |_, args| args.none().map(|()| false));
    methods.quick("eth_hashrate", |_, args| args.none().map(|()| U64::ZERO));
    methods.quick("eth_getCompilers", |_, args| {
        args.none().map(|()| Vec::<String>::new())
    });
    block::register(methods);
    call::register(methods);
    capabilities::register(methods);
    fee::register(methods);
    filter::register(methods);
    log::register(methods);
    simulate::register(methods);
    state::register(methods);
    submit::register(methods);
    transaction::register(methods);
}

fn chain_id(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.none()?;
    Ok(U64::from(backend.chain.config().chain_id))
}

/// Who got the fees of `latest`.
fn coinbase(backend: &Backend, args: &Args) -> Result<Address, RpcError> {
    args.none()?;
    Ok(backend.latest()?.header.beneficiary)
}

/// `false`, or how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Syncing {
    /// Not syncing.
    Done(bool),
    /// Executing again what was served before, or taking a state from peers.
    #[serde(rename_all = "camelCase")]
    Progress {
        /// Height at which it started.
        starting_block: U64,
        /// Height it has reached.
        current_block: U64,
        /// Height it has to reach.
        highest_block: U64,
        /// Bytes of the state that are here, while it comes from peers.
        #[serde(skip_serializing_if = "Option::is_none")]
        synced_state_bytes: Option<U64>,
        /// All bytes of that state.
        #[serde(skip_serializing_if = "Option::is_none")]
        state_bytes: Option<U64>,
    },
}

impl From<Option<SyncProgress>> for Syncing {
    fn from(progress: Option<SyncProgress>) -> Self {
        match progress {
            Some(progress) => Self::Progress {
                starting_block: U64::from(progress.starting_height),
                current_block: U64::from(progress.current_height),
                highest_block: U64::from(progress.target_height),
                synced_state_bytes: progress.state.map(|state| U64::from(state.bytes_done)),
                state_bytes: progress.state.map(|state| U64::from(state.bytes)),
            },
            None => Self::Done(false),
        }
    }
}

fn syncing(backend: &Backend, args: &Args) -> Result<Syncing, RpcError> {
    args.none()?;
    Ok(backend.syncing().into())
}
