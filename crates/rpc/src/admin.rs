//! The `admin` namespace, as far as it is honest here: what this node is.

use crate::{
    args::Args, backend::Backend, error::RpcError, net::CLIENT_VERSION, registry::Registry,
};
use alloy_primitives::U64;
use serde_json::{Value, json};

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("admin_nodeInfo", node);
}

/// Its name and its chain. It has no enode: that names a peer of a protocol it does not speak.
fn node(backend: &Backend, args: &Args) -> Result<Value, RpcError> {
    args.none()?;
    let heads = backend.chain.heads();
    let latest = backend.latest()?;
    Ok(json!({
        "name": CLIENT_VERSION,
        "protocols": {
            "headway": {
                "network": backend.chain.config().chain_id,
                "genesis": backend.chain.genesis_hash(),
                "head": latest.hash,
                "verified": U64::from(heads.verified_height),
                "executed": U64::from(heads.executed_height),
                "finalized": U64::from(heads.finalized_height),
            },
        },
    }))
}
