//! Links between nodes: a latency each way, and at each node so many bytes a second out and in.
//!
//! ```text
//! send ─▶ the sender's wire: large messages one after the other ─▶ latency, jitter ─▶ lost or cut off?
//!      ─▶ the receiver's wire ─▶ its core for messages ─▶ recv
//! ```
//! Small messages do not wait behind large ones, but take their share of the wire: as if it were divided into packets.
//! `commonware_p2p::simulated` shares bandwidth more exactly and looks at all transfers that are under way at every
//! event, which some thousands of votes in a relay block do not allow. What is sent is real; collations count for
//! [`SCALE`] times their bytes.
//!
//! Limits: [`INBOX_MAX`] messages on their way to one node on one channel; what comes when it is full is lost, and
//! counted.

use super::{
    clock::Time,
    costs::Costs,
    cpu::Cpu,
    model::{Model, SCALE},
};
use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{
    BlockedSubscription, Blocker, CheckedSender, LimitedSender, Message, Receiver, Recipients,
};
use commonware_runtime::{IoBuf, IoBufs};
use commonware_utils::channel::ring;
use primitives::crypto::PublicKey;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::sync::mpsc;

/// Messages on their way to one node on one channel.
const INBOX_MAX: usize = 65_536;
/// Bytes of a large message that are not collation or chunk.
const FIXED_BYTES: u64 = 512;
const US_PER_SECOND: u64 = 1_000_000;
/// Out of so many, the messages that are lost.
const LOSS_OF: u32 = 1_000;

/// One of the two links of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Statements,
    Collations,
}

/// A message on its way: when it arrives, a number that keeps the order, who sent it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parcel {
    arrives_us: u64,
    number: u64,
    from: usize,
    bytes: u64,
    message: Letter,
}

/// Ordered by what comes before it.
#[derive(Clone, Debug)]
pub(super) struct Letter(IoBuf);

impl PartialEq for Letter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Letter {}

impl PartialOrd for Letter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Letter {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// A node's wire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wire {
    out_free_us: u64,
    in_free_us: u64,
    /// Bytes sent.
    pub(super) sent: u64,
    /// Bytes received.
    pub(super) received: u64,
    /// Peers banned by it.
    pub(super) bans: u64,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    wires: Vec<Wire>,
    /// Nodes of different sides do not hear each other.
    sides: Vec<usize>,
    loss_permille: u32,
    next_number: u64,
    overflown: u64,
}

/// The network.
#[derive(Debug)]
pub(super) struct Net {
    hop_us: u64,
    jitter_us: u64,
    bytes_per_second: u64,
    costs: Costs,
    places: BTreeMap<PublicKey, usize>,
    keys: Vec<PublicKey>,
    inboxes: Vec<[mpsc::Sender<Parcel>; 2]>,
    state: Mutex<State>,
}

/// What arrives at a node, on both channels.
pub(super) type Inboxes = [mpsc::Receiver<Parcel>; 2];

impl Net {
    pub(super) fn new(model: &Model, keys: Vec<PublicKey>, seed: u64) -> (Arc<Self>, Vec<Inboxes>) {
        let channel = || mpsc::channel(INBOX_MAX);
        let (inboxes, ends) = keys
            .iter()
            .map(|_| {
                let (first, second) = (channel(), channel());
                ([first.0, second.0], [first.1, second.1])
            })
            .unzip();
        let places = keys.iter().cloned().zip(0..).collect();
        let net = Self {
            hop_us: model.hop_ms.saturating_mul(1_000),
            jitter_us: model.jitter_ms.saturating_mul(1_000),
            bytes_per_second: model.bandwidth_bytes(),
            costs: model.costs,
            places,
            inboxes,
            state: Mutex::new(State {
                random: StdRng::seed_from_u64(seed),
                wires: vec![Wire::default(); keys.len()],
                sides: vec![0; keys.len()],
                loss_permille: 0,
                next_number: 0,
                overflown: 0,
            }),
            keys,
        };
        (Arc::new(net), ends)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses so many of a thousand messages from now on.
    pub(super) fn lose(&self, permille: u32) {
        self.lock().loss_permille = permille;
    }

    /// Puts a node on a side: it hears nobody of another.
    pub(super) fn put(&self, node: usize, side: usize) {
        if let Some(place) = self.lock().sides.get_mut(node) {
            *place = side;
        }
    }

    /// What has gone over a node's wire.
    pub(super) fn wire(&self, node: usize) -> Wire {
        self.lock().wires.get(node).copied().unwrap_or_default()
    }

    /// Messages lost because a node had too many waiting.
    pub(super) fn overflown(&self) -> u64 {
        self.lock().overflown
    }

    fn transfer_us(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(US_PER_SECOND) / self.bytes_per_second
    }

    fn send(&self, (from, to): (usize, usize), channel: Channel, message: &IoBuf, now_us: u64) {
        let bytes = modelled(channel, message);
        let takes_us = self.transfer_us(bytes);
        let mut state = self.lock();
        let Some(wire) = state.wires.get_mut(from) else {
            return;
        };
        wire.sent = wire.sent.saturating_add(bytes);
        wire.out_free_us = wire.out_free_us.max(now_us).saturating_add(takes_us);
        let left_us = match channel {
            Channel::Statements => now_us.saturating_add(takes_us),
            Channel::Collations => wire.out_free_us,
        };
        let jitter_us = state.random.random_range(0..=self.jitter_us);
        let lost = state.random.random_range(0..LOSS_OF) < state.loss_permille;
        let apart = state.sides.get(from) != state.sides.get(to);
        if lost || apart {
            return;
        }
        let number = state.next_number;
        state.next_number = number.saturating_add(1);
        let parcel = Parcel {
            arrives_us: left_us
                .saturating_add(self.hop_us)
                .saturating_add(jitter_us),
            number,
            from,
            bytes,
            message: Letter(message.clone()),
        };
        let inbox = self.inboxes.get(to).map(|inboxes| match channel {
            Channel::Statements => &inboxes[0],
            Channel::Collations => &inboxes[1],
        });
        // Nobody listens any more where a node was stopped.
        let full = |inbox: &mpsc::Sender<Parcel>| {
            matches!(
                inbox.try_send(parcel),
                Err(mpsc::error::TrySendError::Full(_))
            )
        };
        if inbox.is_some_and(full) {
            state.overflown = state.overflown.saturating_add(1);
        }
    }

    /// When the last byte of a message that arrives now is in.
    fn arrive(&self, node: usize, channel: Channel, bytes: u64, now_us: u64) -> u64 {
        let takes_us = self.transfer_us(bytes);
        let mut state = self.lock();
        let Some(wire) = state.wires.get_mut(node) else {
            return now_us;
        };
        wire.received = wire.received.saturating_add(bytes);
        wire.in_free_us = wire.in_free_us.saturating_add(takes_us).max(now_us);
        match channel {
            Channel::Statements => now_us,
            Channel::Collations => wire.in_free_us,
        }
    }
}

/// Bytes that a message stands for.
fn modelled(channel: Channel, message: &IoBuf) -> u64 {
    let bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
    match channel {
        Channel::Statements => bytes,
        Channel::Collations => {
            let fixed = bytes.min(FIXED_BYTES);
            fixed.saturating_add((bytes - fixed).saturating_mul(SCALE))
        }
    }
}

/// What taking a message costs its receiver: the first byte says what it is.
fn receive_us(costs: &Costs, channel: Channel, message: &IoBuf, bytes: u64) -> u64 {
    let tag = message.as_ref().first().copied();
    match (channel, tag) {
        // A statement, a vote, a candidate put forward again.
        (Channel::Statements, Some(0..=2)) => costs.receive_us(1, 0),
        (Channel::Statements, _) => costs.receive_us(0, 0),
        (Channel::Collations, Some(0)) => costs.receive_us(1, bytes),
        (Channel::Collations, _) => costs.receive_us(0, bytes),
    }
}

/// A node's end of a channel.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) net: Arc<Net>,
    pub(super) node: usize,
    pub(super) channel: Channel,
    pub(super) time: Time,
}

/// A message may be sent to these.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    sender: &'a Sender,
    to: Vec<PublicKey>,
}

impl LimitedSender for Sender {
    type PublicKey = PublicKey;
    type Checked<'a> = Allowed<'a>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Allowed<'_>, SystemTime> {
        let to = match recipients {
            Recipients::All => self.net.keys.clone(),
            Recipients::Some(keys) => keys,
            Recipients::One(key) => vec![key],
        };
        Ok(Allowed { sender: self, to })
    }
}

impl CheckedSender for Allowed<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.to.clone()
    }

    fn send(self, message: impl Into<IoBufs> + Send, _: bool) -> Unreliable<Feedback> {
        let message = message.into().coalesce();
        let Sender {
            net,
            node,
            channel,
            time,
        } = self.sender;
        let now_us = time.now_us();
        for key in &self.to {
            match net.places.get(key) {
                Some(to) if to != node => net.send((*node, *to), *channel, &message, now_us),
                Some(_) | None => {}
            }
        }
        Unreliable::new(Feedback::Ok)
    }
}

/// Where a node's messages arrive.
#[derive(Debug)]
pub(super) struct Arrivals {
    pub(super) net: Arc<Net>,
    pub(super) node: usize,
    pub(super) channel: Channel,
    pub(super) time: Time,
    pub(super) cpu: Arc<Cpu>,
    inbox: mpsc::Receiver<Parcel>,
    on_the_way: BinaryHeap<Reverse<Parcel>>,
    /// The message that the node is busy with, and until when.
    at_hand: Option<(u64, usize, IoBuf)>,
}

/// The network is gone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the simulated network has ended")]
pub(super) struct Ended;

impl Receiver for Arrivals {
    type Error = Ended;
    type PublicKey = PublicKey;

    /// May be dropped and called again: what is on the way or at hand stays here.
    async fn recv(&mut self) -> Result<Message<PublicKey>, Ended> {
        loop {
            while let Ok(parcel) = self.inbox.try_recv() {
                self.on_the_way.push(Reverse(parcel));
            }
            let now_us = self.time.now_us();
            self.take(now_us);
            let due_us = match &self.at_hand {
                Some((due_us, ..)) if *due_us <= now_us => return self.deliver(),
                Some((due_us, ..)) => Some(*due_us),
                None => self.on_the_way.peek().map(|first| first.0.arrives_us),
            };
            let time = self.time.clone();
            let until = async move {
                match due_us {
                    Some(due_us) => time.until(due_us).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                parcel = self.inbox.recv() => self.on_the_way.push(Reverse(parcel.ok_or(Ended)?)),
                () = until => {}
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(INBOX_MAX)
    }
}

impl Arrivals {
    /// Takes the first message that has arrived into its hand, if that is free.
    fn take(&mut self, now_us: u64) {
        let arrived = |first: &Reverse<Parcel>| first.0.arrives_us <= now_us;
        if self.at_hand.is_some() || !self.on_the_way.peek().is_some_and(arrived) {
            return;
        }
        if let Some(Reverse(parcel)) = self.on_the_way.pop() {
            let Parcel {
                from,
                bytes,
                message,
                ..
            } = parcel;
            let in_us = self.net.arrive(self.node, self.channel, bytes, now_us);
            let cost_us = receive_us(&self.net.costs, self.channel, &message.0, bytes);
            let done_us = self.cpu.message(in_us, cost_us);
            self.at_hand = Some((done_us, from, message.0));
        }
    }

    fn deliver(&mut self) -> Result<Message<PublicKey>, Ended> {
        let (_, from, message) = self.at_hand.take().ok_or(Ended)?;
        let key = self.net.keys.get(from).ok_or(Ended)?;
        Ok((key.clone(), message))
    }
}

/// Counts the peers that a node bans; nobody who is simulated deserves it.
#[derive(Clone, Debug)]
pub(super) struct Bans {
    pub(super) net: Arc<Net>,
    pub(super) node: usize,
}

impl Blocker for Bans {
    type PublicKey = PublicKey;

    fn block(&mut self, _: PublicKey) -> Feedback {
        if let Some(wire) = self.net.lock().wires.get_mut(self.node) {
            wire.bans = wire.bans.saturating_add(1);
        }
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        ring::channel(NonZeroUsize::MIN).1
    }
}

/// What a node needs to be on the network.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) net: Arc<Net>,
    pub(super) node: usize,
    pub(super) time: Time,
    pub(super) cpu: Arc<Cpu>,
}

impl Seat {
    /// Both ends of both channels.
    pub(super) fn ends(&self, inboxes: Inboxes) -> [(Sender, Arrivals); 2] {
        let [statements, collations] = inboxes;
        [
            self.end(Channel::Statements, statements),
            self.end(Channel::Collations, collations),
        ]
    }

    fn end(&self, channel: Channel, inbox: mpsc::Receiver<Parcel>) -> (Sender, Arrivals) {
        let sender = Sender {
            net: Arc::clone(&self.net),
            node: self.node,
            channel,
            time: self.time.clone(),
        };
        let arrivals = Arrivals {
            net: Arc::clone(&self.net),
            node: self.node,
            channel,
            time: self.time.clone(),
            cpu: Arc::clone(&self.cpu),
            inbox,
            on_the_way: BinaryHeap::new(),
            at_hand: None,
        };
        (sender, arrivals)
    }
}
