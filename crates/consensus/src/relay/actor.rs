//! Carries calls, messages and time to the exchange, and does what it says.

use super::{
    config::ANSWER_TIMEOUT,
    exchange::{Effect, Exchange, Origin},
    mailbox::{Call, Mailbox},
    message::Message,
    metrics::Metrics,
    source::BodySource,
};
use crate::config::MAILBOX_MESSAGES_MAX;
use commonware_actor::mailbox;
use commonware_codec::{Decode as _, Encode as _};
use commonware_cryptography::Digested;
use commonware_p2p::{Blocker, PeerSetSubscription, Provider, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Handle, IoBuf, Metrics as RuntimeMetrics, Spawner};
use commonware_utils::channel::oneshot;
use primitives::{
    Block, BlockLimits,
    crypto::{BlockDigest, PublicKey},
};
use std::{collections::BTreeMap, future::pending, time::SystemTime};

/// Those who wait for blocks.
type Waiters = BTreeMap<BlockDigest, Vec<oneshot::Sender<Digested<Block>>>>;

/// Dissemination, before it starts.
pub(crate) struct Relay<E, B, S> {
    pub(crate) runtime: E,
    pub(crate) blocker: B,
    pub(crate) source: S,
    pub(crate) limits: BlockLimits,
    pub(crate) public_key: PublicKey,
}

impl<E, B, S> Relay<E, B, S>
where
    E: Clock + Spawner + RuntimeMetrics,
    B: Blocker<PublicKey = PublicKey>,
    S: BodySource,
{
    pub(crate) fn start(
        self,
        peers: impl Provider<PublicKey = PublicKey>,
        (sender, receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> (Mailbox, Handle<()>) {
        let Self {
            runtime,
            blocker,
            source,
            limits,
            public_key,
        } = self;
        let capacity = crate::engine::nonzero(MAILBOX_MESSAGES_MAX);
        let (calls, queue) = mailbox::new(runtime.child("mailbox"), capacity);
        let running = Running {
            exchange: Exchange::new(source, limits, public_key, ANSWER_TIMEOUT),
            waiters: Waiters::new(),
            metrics: Metrics::new(&runtime),
            blocker,
            limits,
        };
        let handle = runtime.dedicated().spawn(move |runtime| async move {
            let mut peers = peers;
            let peers = peers.subscribe().await;
            running
                .run(runtime, (queue, peers), (sender, receiver))
                .await;
        });
        (Mailbox::new(calls), handle)
    }
}

struct Running<B, S> {
    exchange: Exchange<S>,
    waiters: Waiters,
    metrics: Metrics,
    blocker: B,
    limits: BlockLimits,
}

impl<B, S> Running<B, S>
where
    B: Blocker<PublicKey = PublicKey>,
    S: BodySource,
{
    async fn run(
        mut self,
        runtime: impl Clock,
        (mut queue, mut peers): (mailbox::Receiver<Call>, PeerSetSubscription<PublicKey>),
        (mut sender, mut receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) {
        loop {
            tokio::select! {
                biased;
                update = peers.recv() => {
                    let Some(update) = update else { return };
                    self.exchange.follow(update.all.primary, &update.all.secondary);
                }
                call = queue.recv() => {
                    let Some(call) = call else { return };
                    self.call(call);
                }
                () = until(&runtime, self.exchange.next_deadline()) => {
                    self.exchange.tick(runtime.current());
                }
                received = receiver.recv() => {
                    let Ok((peer, message)) = received else { return };
                    self.receive(&peer, message, runtime.current());
                }
            }
            for effect in self.exchange.take_effects() {
                self.act(effect, &mut sender);
            }
        }
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Send(block, recipients) => {
                self.exchange.send(block.inner(), recipients);
                self.wake(block.inner());
            }
            Call::Find(digest, answer) => {
                let found = self.exchange.cache.get(&digest).map(digested);
                // Who has asked may have stopped to wait.
                drop(answer.send(found));
            }
            Call::Subscribe(digest, answer) => match self.exchange.cache.get(&digest) {
                Some(block) => drop(answer.send(digested(block))),
                None => {
                    self.forget_cancelled();
                    self.waiters.entry(digest).or_default().push(answer);
                }
            },
        }
    }

    fn forget_cancelled(&mut self) {
        self.waiters.retain(|_, waiting| {
            waiting.retain(|answer| !answer.is_closed());
            !waiting.is_empty()
        });
    }

    fn wake(&mut self, block: &Block) {
        for answer in self.waiters.remove(&block.digest()).unwrap_or_default() {
            drop(answer.send(digested(block)));
        }
    }

    fn receive(&mut self, peer: &PublicKey, message: impl Into<IoBuf>, now: SystemTime) {
        let message = message.into();
        if !self.exchange.admits(peer, message.as_ref(), now) {
            self.metrics.refused_messages.inc();
            return;
        }
        match Message::decode_cfg(message, &self.limits) {
            Ok(message) => self.exchange.receive(peer, message, now),
            Err(error) => {
                commonware_p2p::block!(self.blocker, peer.clone(), %error, "malformed block message");
            }
        }
    }

    fn act(&mut self, effect: Effect, sender: &mut impl Sender<PublicKey = PublicKey>) {
        match effect {
            Effect::Send(recipients, message) => self.send(recipients, &message, sender),
            Effect::Ready(block, origin) => {
                match origin {
                    Origin::Rebuilt => self.metrics.rebuilt_blocks.inc(),
                    Origin::Whole => self.metrics.whole_blocks.inc(),
                };
                self.wake(&block);
            }
            Effect::Ban(peer, lie) => {
                commonware_p2p::block!(self.blocker, peer, %lie, "a lie about a block");
            }
            Effect::GaveUp(digest) => {
                self.metrics.given_up_blocks.inc();
                tracing::debug!(%digest, "nobody sends what a compact block lacks");
            }
        }
    }

    fn send(
        &self,
        recipients: Recipients<PublicKey>,
        message: &Message,
        sender: &mut impl Sender<PublicKey = PublicKey>,
    ) {
        let encoded = message.encode();
        let bytes = encoded.len();
        // Who is not reached is helped by those who are, or by backfill.
        let reached = sender.send(recipients, encoded, true);
        self.metrics.sent(message, bytes, reached.len());
    }
}

fn digested(block: &Block) -> Digested<Block> {
    Digested::precomputed(block.clone(), block.digest())
}

async fn until(clock: &impl Clock, deadline: Option<SystemTime>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => pending().await,
    }
}
