//! Gives states to nodes that have none.
//!
//! ```text
//!  prepare   somebody has asked, and there is a newer state ─▶ evidence ─▶ manifest (reads all of it) ─▶ shelf
//!  serve     requests ─▶ queue, in turn ─▶ answer, not faster than the limit
//! ```
//! Whoever asks first waits until the state is ready, and nobody reads states that nobody wants. Both have a thread of their own: reading a state takes time that consensus must not wait for. A state that
//! cannot be read is not offered; whoever was taking it finds another one or another peer.

use super::{
    Answer, Message, SERVED_BYTES_PER_SECOND, ServedState, Source, Want, message_bytes_max,
    queue::Queue,
    shelf::{Prepared, Shelf},
};
use commonware_codec::{Decode as _, Encode as _, EncodeSize as _};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Handle, IoBuf, Spawner};
use primitives::{BlockLimits, crypto::PublicKey};
use state::sync::{CHUNK_BYTES_MAX, Manifest};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// How a server works.
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// How often it looks for a newer state.
    pub look_every: Duration,
    /// How long an older state stays after somebody has asked for it.
    pub idle_for: Duration,
    /// Most bytes of a chunk: [`CHUNK_BYTES_MAX`] on every network, less in tests.
    pub chunk_bytes_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(1),
            idle_for: Duration::from_secs(10 * 60),
            chunk_bytes_max: CHUNK_BYTES_MAX,
        }
    }
}

/// Gives states to nodes that have none.
#[derive(Debug)]
pub struct Server<E, B, S> {
    /// Time and threads.
    pub runtime: E,
    /// Bans who sends what is no message.
    pub blocker: B,
    /// Where the states come from.
    pub source: S,
    /// Bounds for decoding.
    pub limits: BlockLimits,
    /// How it works.
    pub config: ServerConfig,
}

impl<E, B, S> Server<E, B, S>
where
    E: Clock + Spawner,
    B: Blocker<PublicKey = PublicKey>,
    S: Source,
{
    /// Starts both threads.
    pub fn start(
        self,
        (sender, receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> [Handle<()>; 2] {
        let Self {
            runtime,
            blocker,
            source,
            limits,
            config,
        } = self;
        let shelf = Arc::new(Shelf::new());
        let wanted = Arc::new(AtomicBool::new(false));
        let serving = Serving {
            shelf: Arc::clone(&shelf),
            wanted: Arc::clone(&wanted),
            queue: Queue::new(),
            blocker,
            limits,
            next_at: runtime.current(),
        };
        let threads = runtime.child("prepare").dedicated();
        let preparing = Preparing {
            source,
            shelf,
            wanted,
            config,
        };
        let preparing = threads.spawn(move |runtime| preparing.run(runtime));
        let threads = runtime.child("serve").dedicated();
        let serving = threads.spawn(move |runtime| serving.run(runtime, sender, receiver));
        [preparing, serving]
    }
}

struct Preparing<S: Source> {
    source: S,
    shelf: Arc<Shelf<S::Leaves>>,
    /// Whether somebody has asked for an offer since the last look.
    wanted: Arc<AtomicBool>,
    config: ServerConfig,
}

impl<S: Source> Preparing<S> {
    async fn run(self, runtime: impl Clock) {
        loop {
            runtime.sleep(self.config.look_every).await;
            if !self.wanted.load(Relaxed) {
                continue;
            }
            if let Some(state) = self.newer().await {
                tracing::info!(height = state.height, "offering the state");
                let now = runtime.current();
                self.shelf.put(state, now, self.config.idle_for);
            }
            self.wanted.store(false, Relaxed);
        }
    }

    /// The newest state, if it is not on the shelf and there is evidence for it.
    async fn newer(&self) -> Option<Prepared<S::Leaves>> {
        let ServedState {
            height,
            root,
            leaves,
        } = self.source.newest()?;
        if Some(height) <= self.shelf.newest_height() {
            return None;
        }
        let anchor = self.source.anchor(height).await?;
        let (head, order) = anchor.into_parts();
        match Manifest::scan(&leaves, root, self.config.chunk_bytes_max) {
            Ok(manifest) => Some(Prepared {
                height,
                head,
                order,
                manifest,
                leaves,
            }),
            Err(fault) => {
                tracing::error!(height, %fault, "the state cannot be offered");
                None
            }
        }
    }
}

/// How long to wait after so many bytes.
const fn pause_after(bytes: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / SERVED_BYTES_PER_SECOND)
}

struct Serving<L, B> {
    shelf: Arc<Shelf<L>>,
    wanted: Arc<AtomicBool>,
    queue: Queue<PublicKey>,
    blocker: B,
    limits: BlockLimits,
    /// When the next answer may go out.
    next_at: SystemTime,
}

impl<L, B> Serving<L, B>
where
    L: state::sync::LeafScan,
    B: Blocker<PublicKey = PublicKey>,
{
    async fn run(
        mut self,
        runtime: impl Clock,
        mut sender: impl Sender<PublicKey = PublicKey>,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
    ) {
        loop {
            tokio::select! {
                biased;
                () = runtime.sleep_until(self.next_at), if !self.queue.is_empty() => {
                    let sent = self.answer_next(runtime.current(), &mut sender);
                    self.next_at = runtime.current() + pause_after(sent);
                }
                received = receiver.recv() => {
                    let Ok((peer, message)) = received else { return };
                    self.receive(peer, message);
                }
            }
        }
    }

    fn receive(&mut self, peer: PublicKey, message: impl Into<IoBuf>) {
        match Message::decode_cfg(message.into(), &self.limits) {
            Ok(Message::Request(id, want)) => {
                if !self.queue.push(&peer, id, want) {
                    tracing::debug!(%peer, "a peer asks for more than it may");
                }
            }
            // An answer that this node asked for before it had a state.
            Ok(Message::Response(..)) => {}
            Err(_) => {
                tracing::warn!(%peer, "malformed sync message");
                commonware_p2p::block!(self.blocker, peer, "malformed sync message");
            }
        }
    }

    /// Answers one request; how many bytes that took.
    fn answer_next(
        &mut self,
        now: SystemTime,
        sender: &mut impl Sender<PublicKey = PublicKey>,
    ) -> u64 {
        let Some((peer, id, want)) = self.queue.pop() else {
            return 0;
        };
        let message = Message::Response(id, self.answer(&want, now));
        let size = message.encode_size();
        if size > message_bytes_max(&self.limits) {
            tracing::error!(size, ?want, "an answer is too long to be sent");
            return 0;
        }
        // Who is not reached asks again.
        let _reached = sender.send(Recipients::One(peer), message.encode(), false);
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    fn answer(&self, want: &Want, now: SystemTime) -> Answer {
        if matches!(want, Want::Offer) {
            self.wanted.store(true, Relaxed);
        }
        self.shelf.answer(want, now).unwrap_or_else(|fault| {
            tracing::error!(%fault, "an offered state cannot be read");
            Answer::Gone
        })
    }
}
