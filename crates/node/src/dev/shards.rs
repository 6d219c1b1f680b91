//! The shards of a development chain, all of them on the node that serves RPC.

use super::DevOptions;
use crate::{init::ShardOptions, process::DataDirectory, sharding::Collated};
use commonware_cryptography::Signer as _;
use primitives::{Genesis, crypto::PrivateKey};
use state::Location;

/// The shards of the genesis; all of them are collated by the first validator.
pub(super) fn options(options: &DevOptions, keys: &[PrivateKey]) -> Option<Vec<ShardOptions>> {
    let collators: Vec<_> = keys.iter().take(1).map(PrivateKey::public_key).collect();
    let shards = (1..=options.shards?).map(|id| ShardOptions {
        id,
        collators: collators.clone(),
    });
    Some(shards.collect())
}

/// Every shard, on the node that serves RPC.
pub(super) fn collated(genesis: &Genesis, directory: &DataDirectory) -> Vec<Collated> {
    let collated = genesis.shards.iter().map(|shard| {
        let location = Location::Directory(directory.state(&format!("shard-{}", shard.shard)));
        Collated {
            shard: shard.shard,
            postings: Some(location.clone()),
            location,
            genesis: None,
        }
    });
    collated.collect()
}
