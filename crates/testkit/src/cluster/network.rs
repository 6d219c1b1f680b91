//! Simulated links in the place of authenticated connections.
//!
//! The messages, the channels and their rate limits are those of a real node; only the wire is a
//! model: a latency, a jitter and a chance of loss for each direction of each pair.

use super::{
    Cluster,
    lying::{MaybeLying, Subject},
    shard_liar::ShardLiar,
};
use commonware_p2p::simulated::{self, Config, Control, Manager, Network, Oracle, Receiver};
use commonware_runtime::{Supervisor as _, deterministic::Context};
use consensus::network::{self, Link, Wires};
use primitives::{BlockLimits, crypto::PublicKey};
use std::{num::NonZeroUsize, sync::Arc};

/// Handle over all links.
pub(crate) type Links = Oracle<PublicKey, Context>;

/// The simulated network as consensus sees it.
#[derive(Debug)]
pub(crate) struct Simulated;

impl network::Network for Simulated {
    type Sender = MaybeLying;
    type Receiver = Receiver<PublicKey>;
    type Blocker = Control<PublicKey, Context>;
    type Peers = Manager<PublicKey, Context>;
}

/// Starts a network of these peers, without any link between them.
pub(crate) async fn start(runtime: &Context, peers: &[PublicKey], limits: &BlockLimits) -> Links {
    let config = Config {
        max_size: network::message_bytes_max(limits),
        max_peers_per_set: NonZeroUsize::new(peers.len()).unwrap_or(NonZeroUsize::MIN),
        disconnect_on_block: true,
        tracked_peer_sets: NonZeroUsize::MIN,
    };
    let (network, links) =
        Network::new_with_peers(runtime.child("network"), config, peers.iter().cloned()).await;
    let _runs_until_the_end = network.start();
    links
}

/// The ends of one validator; those it had before a crash fall silent. It may lie about states or blocks, or about
/// shards.
pub(crate) async fn wires(
    links: &Links,
    validator: &PublicKey,
    lie: Option<(Subject, BlockLimits)>,
    liar: &Arc<ShardLiar>,
) -> Wires<Simulated> {
    let control = links.control(validator.clone());
    let about_states = lie.filter(|(subject, _)| matches!(subject, Subject::State(_)));
    let about_blocks = lie.filter(|(subject, _)| matches!(subject, Subject::Block(_)));
    let (states, asked) = link(&control, network::SYNC).await;
    let (blocks, relayed) = link(&control, network::BLOCKS).await;
    let about_shards = async |channel| {
        let (sender, receiver) = link(&control, channel).await;
        (
            sender.lying_about_shards(Arc::clone(liar), channel),
            receiver,
        )
    };
    Wires {
        votes: link(&control, network::VOTES).await,
        certificates: link(&control, network::CERTIFICATES).await,
        resolver: link(&control, network::RESOLVER).await,
        backfill: link(&control, network::BACKFILL).await,
        blocks: (blocks.lying(about_blocks), relayed),
        results: link(&control, network::RESULTS).await,
        transactions: link(&control, network::TRANSACTIONS).await,
        sync: (states.lying(about_states), asked),
        shard_statements: Some(about_shards(network::SHARD_STATEMENTS).await),
        shard_collations: Some(about_shards(network::SHARD_COLLATIONS).await),
        blocker: control,
        peers: links.manager(),
    }
}

async fn link(control: &Control<PublicKey, Context>, channel: u64) -> Link<Simulated> {
    let registered = control.register(channel, network::quota()).await;
    let (sender, receiver) = registered.expect("the network runs as long as the simulation");
    (MaybeLying::honest(sender), receiver)
}

impl Cluster {
    /// Gives every pair a new link.
    pub async fn set_links(&mut self, link: simulated::Link) {
        self.link = link;
        self.heal().await;
    }

    /// Connects everybody again.
    pub async fn heal(&self) {
        self.partition(&[]).await;
    }

    /// Lets nothing through between `group` and the others.
    pub async fn partition(&self, group: &[usize]) {
        let indices = || self.indices();
        let pairs = indices().flat_map(|from| indices().map(move |to| (from, to)));
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            let apart = group.contains(&from) != group.contains(&to);
            self.relink(from, to, (!apart).then(|| self.link.clone()))
                .await;
        }
    }

    async fn relink(&self, from: usize, to: usize, link: Option<simulated::Link>) {
        let (from, to) = (self.public_key(from), self.public_key(to));
        // At first there is none to remove.
        drop(self.links.remove_link(from.clone(), to.clone()).await);
        if let Some(link) = link {
            let added = self.links.add_link(from, to, link).await;
            added.expect("two different peers of the network can be linked");
        }
    }
}
