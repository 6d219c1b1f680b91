//! Authenticated, encrypted connections to the peers named in the config.

use commonware_cryptography::ChaCha20Poly1305;
use commonware_p2p::{
    Address, AddressableManager as _,
    authenticated::lookup::{self, Oracle, Receiver, Sender},
};
use commonware_runtime::{Handle, Quota, Supervisor as _, tokio::Context};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::ordered::Map;
use consensus::network::{self, Network, Wires};
use primitives::{
    BlockLimits,
    crypto::{PrivateKey, PublicKey},
};
use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Clocks of two peers may differ by this much during a handshake.
const SYNCHRONY_BOUND: Duration = Duration::from_secs(5);
/// A handshake older than this is a replay.
const HANDSHAKE_AGE_MAX: Duration = Duration::from_secs(10);
/// Messages that wait for one of the network's own actors.
const MAILBOX_MESSAGES_MAX: NonZeroUsize =
    NonZeroUsize::new(1_024).expect("a named limit is not zero");
/// Handshakes a second from one address: all nodes of a local network share one.
const HANDSHAKES_PER_SECOND: NonZeroU32 = NonZeroU32::new(64).expect("a named limit is not zero");

/// A peer and where to reach it.
pub type Peer = (PublicKey, SocketAddr);

/// What the network needs to know of this node and its peers.
#[derive(Debug)]
pub struct NetworkParts {
    /// This node's identity.
    pub key: PrivateKey,
    /// Separates this chain's connections from every other chain's.
    pub namespace: Vec<u8>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Validators, this node included if it is one.
    pub validators: Vec<Peer>,
    /// Nodes that follow.
    pub followers: Vec<Peer>,
    /// Bounds of what travels.
    pub limits: BlockLimits,
}

/// Connections over TCP.
#[derive(Debug)]
pub struct Authenticated;

impl Network for Authenticated {
    type Sender = Sender<PublicKey, Context>;
    type Receiver = Receiver<PublicKey>;
    type Blocker = Oracle<PublicKey>;
    type Peers = Oracle<PublicKey>;
}

/// Listens, dials the peers, and hands out one link for each channel.
#[must_use]
pub fn connect(runtime: &Context, parts: NetworkParts) -> (Wires<Authenticated>, Handle<()>) {
    let peers_max = parts.validators.len().saturating_add(parts.followers.len());
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: parts.key,
            synchrony_bound: SYNCHRONY_BOUND,
            max_handshake_age: HANDSHAKE_AGE_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let mut config = lookup::Config::recommended(
        handshake,
        &parts.namespace,
        parts.listen,
        NonZeroUsize::new(peers_max.saturating_add(1)).unwrap_or(NonZeroUsize::MIN),
        network::message_bytes_max(&parts.limits),
        MAILBOX_MESSAGES_MAX,
    );
    // The peers are named one by one in the config, so their addresses are what they are.
    config.allow_private_ips = true;
    config.bypass_ip_check = true;
    config.peer_connection_cooldown = Duration::from_secs(1);
    config.allowed_handshake_rate_per_ip = Quota::per_second(HANDSHAKES_PER_SECOND);
    config.dial_frequency = Duration::from_millis(250);
    let (mut network, mut oracle) = lookup::Network::new(runtime.child("network"), config);
    let _tracked = oracle.track(
        0,
        commonware_p2p::AddressableTrackedPeers::new(
            addresses(parts.validators),
            addresses(parts.followers),
        ),
    );
    let mut link = |channel| network.register(channel, network::quota());
    let wires = Wires {
        votes: link(network::VOTES),
        certificates: link(network::CERTIFICATES),
        resolver: link(network::RESOLVER),
        backfill: link(network::BACKFILL),
        blocks: link(network::BLOCKS),
        results: link(network::RESULTS),
        transactions: link(network::TRANSACTIONS),
        sync: link(network::SYNC),
        shard_statements: Some(link(network::SHARD_STATEMENTS)),
        shard_collations: Some(link(network::SHARD_COLLATIONS)),
        blocker: oracle.clone(),
        peers: oracle,
    };
    (wires, network.start())
}

fn addresses(peers: Vec<Peer>) -> Map<PublicKey, Address> {
    Map::from_iter_dedup(
        peers
            .into_iter()
            .map(|(key, address)| (key, Address::from(address))),
    )
}
