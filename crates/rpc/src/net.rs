//! The small namespaces: `net`, `web3`, `rpc`.

use crate::{args::Args, backend::Backend, error::RpcError, metrics, registry::Registry};
use alloy_primitives::{B256, Bytes, U64, keccak256};
use std::collections::BTreeMap;

/// Who this node is, as `web3_clientVersion` tells it.
pub const CLIENT_VERSION: &str = concat!("Headway/v", env!("CARGO_PKG_VERSION"), "/rust");
/// The version of every namespace, as `rpc_modules` tells it.
const NAMESPACE_VERSION: &str = "1.0";

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("net_version", version);
    methods.quick("net_listening", listening);
    methods.heavy("net_peerCount", peer_count);
    methods.quick("web3_clientVersion", client_version);
    methods.quick("web3_sha3", sha3);
    methods.quick("rpc_modules", namespaces);
}

fn version(backend: &Backend, args: &Args) -> Result<String, RpcError> {
    args.none()?;
    Ok(backend.chain.config().chain_id.to_string())
}

fn listening(_: &Backend, args: &Args) -> Result<bool, RpcError> {
    args.none()?;
    Ok(true)
}

fn peer_count(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.none()?;
    Ok(U64::from(metrics::peers(backend)))
}

fn client_version(backend: &Backend, args: &Args) -> Result<String, RpcError> {
    args.none()?;
    Ok(name(backend))
}

/// Hardhat's network helpers work only with a node whose name begins with a name they know. So a chain that
/// serves what they call says that it is compatible, as browsers do, and then who it is.
pub(crate) fn name(backend: &Backend) -> String {
    let dev = backend.dev.as_ref();
    match dev.is_some_and(|dev| dev.control().supported()) {
        true => format!("HardhatNetwork/2 (compatible; {CLIENT_VERSION})"),
        false => CLIENT_VERSION.to_owned(),
    }
}

fn sha3(_: &Backend, args: &Args) -> Result<B256, RpcError> {
    let bytes: Bytes = args.one()?;
    Ok(keccak256(bytes))
}

fn namespaces(
    backend: &Backend,
    args: &Args,
) -> Result<BTreeMap<&'static str, &'static str>, RpcError> {
    args.none()?;
    let served = [
        "admin", "debug", "eth", "headway", "net", "rpc", "trace", "txpool", "web3",
    ];
    let dev = ["anvil", "evm", "hardhat", "personal"];
    let dev = dev.into_iter().filter(|_| backend.dev.is_some());
    Ok(served
        .into_iter()
        .chain(dev)
        .map(|name| (name, NAMESPACE_VERSION))
        .collect())
}
