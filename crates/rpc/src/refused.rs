//! Methods that other nodes have and this one answers with a reason.
//!
//! Whoever asks for one of them learns why there is none and what to use instead; a name that is not known at
//! all gets geth's "does not exist".

use crate::{error::RpcError, registry::Registry};

const ENGINE: &str =
    "consensus is part of this node, so there is no engine for another program to drive";
const WORK: &str = "blocks are ordered by validators' votes, not by work";
const DEVP2P: &str = "this node does not speak Ethereum's peer-to-peer protocol";
const PEERS: &str =
    "validators know each other by their keys; see net_peerCount for how many are connected";
const STORED_LIST: &str =
    "the list of a block has more than EIP-7928 has a place for; see headway_getBlockAccessList";
const STORAGE_RANGE: &str = "storage is kept by slot, not by the hash of the slot; see debug_traceTransaction with prestateTracer";
const BUILD: &str = "a block is built by its proposer; see eth_simulateV1";
const REWIND: &str = "the order of blocks is final";

const REFUSED: [(&str, &str); 40] = [
    ("admin_peers", PEERS),
    ("admin_addPeer", PEERS),
    ("debug_getRawBlockAccessList", STORED_LIST),
    ("debug_setHead", REWIND),
    ("debug_storageRangeAt", STORAGE_RANGE),
    ("engine_exchangeCapabilities", ENGINE),
    ("engine_exchangeTransitionConfigurationV1", ENGINE),
    ("engine_forkchoiceUpdatedV1", ENGINE),
    ("engine_forkchoiceUpdatedV2", ENGINE),
    ("engine_forkchoiceUpdatedV3", ENGINE),
    ("engine_forkchoiceUpdatedV4", ENGINE),
    ("engine_forkchoiceUpdatedV5", ENGINE),
    ("engine_getBlobsV1", ENGINE),
    ("engine_getBlobsV2", ENGINE),
    ("engine_getBlobsV3", ENGINE),
    ("engine_getBlobsV4", ENGINE),
    ("engine_getInclusionListV1", ENGINE),
    ("engine_getPayloadBodiesByHashV1", ENGINE),
    ("engine_getPayloadBodiesByHashV2", ENGINE),
    ("engine_getPayloadBodiesByRangeV1", ENGINE),
    ("engine_getPayloadBodiesByRangeV2", ENGINE),
    ("engine_getPayloadV1", ENGINE),
    ("engine_getPayloadV2", ENGINE),
    ("engine_getPayloadV3", ENGINE),
    ("engine_getPayloadV4", ENGINE),
    ("engine_getPayloadV5", ENGINE),
    ("engine_getPayloadV6", ENGINE),
    ("engine_newPayloadV1", ENGINE),
    ("engine_newPayloadV2", ENGINE),
    ("engine_newPayloadV3", ENGINE),
    ("engine_newPayloadV4", ENGINE),
    ("engine_newPayloadV5", ENGINE),
    ("engine_newPayloadV6", ENGINE),
    ("eth_getWork", WORK),
    ("eth_protocolVersion", DEVP2P),
    ("eth_submitHashrate", WORK),
    ("eth_submitWork", WORK),
    ("miner_start", WORK),
    ("miner_stop", WORK),
    ("testing_buildBlockV1", BUILD),
];

pub(crate) fn register(methods: &mut Registry) {
    for (method, why) in REFUSED {
        methods.refuse_because(method, why);
    }
}

/// The error of a refused method.
pub(crate) const fn error(method: &'static str, why: &'static str) -> RpcError {
    RpcError::Unsupported { method, why }
}
