//! Takes a state from peers, and bans those that lie.
//!
//! ```text
//!  unfinished? ──yes──▶ the anchor and the manifest are here
//!      │no
//!  ask all ─▶ offers, checked ─▶ target ─▶ ordering blocks ─▶ manifest ─▶ begin
//!                  ▲                                                       │
//!                  │ nobody has it any more           chunks, codes ◀──────┘
//!                  └────────────────────────────────────── │ ── done ─▶ anchor
//! ```
//! [`Client::take`] returns once everything is durable; whoever runs the node then makes the anchor the place
//! where it begins, and the state its own, in this order.
//!
//! Limits: one offer is kept of each peer; what is in flight is bounded by [`Limits`].

mod download;
mod talk;

use super::{
    Answer, Importer, PAGE_BYTES, Want,
    offers::{Offer, Offers, Target},
};
use crate::network::{Network, Wires};
use alloy_primitives::{B256, Bytes};
use commonware_codec::Decode as _;
use commonware_runtime::Clock;
use primitives::{
    Anchor, Block, BlockLimits, SyncAnchor,
    anchor::{AnchorDraft, Trust},
    crypto::PublicKey,
};
use rand_core::CryptoRng;
use state::sync::{Limits, MANIFEST_BYTES_MAX, Manifest};
use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

/// How a state is taken.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// How long peers have to say what they offer.
    pub offers_for: Duration,
    /// How often peers are asked again while a state is taken: others may have it by then.
    pub offers_every: Duration,
    /// How long nobody may have the rest of a state until another one is begun.
    pub starved_for: Duration,
    /// How much is asked for at once, and how long an answer may take.
    pub limits: Limits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            offers_for: Duration::from_secs(2),
            offers_every: Duration::from_secs(10),
            starved_for: Duration::from_secs(20),
            limits: Limits::default(),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncProgress {
    /// Height of the state; 0 while peers are asked what they offer.
    pub height: u64,
    /// Peers that are asked.
    pub peers: usize,
    /// Chunks and codes that are here and that are known to be needed.
    pub pieces: (usize, usize),
    /// Bytes of chunks that are here, and of all.
    pub bytes: (u64, u64),
}

/// Who is told what happens.
pub type Report = dyn FnMut(SyncEvent) + Send;

/// A peer that lied, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blamed {
    /// Who.
    pub peer: PublicKey,
    /// What was wrong with what it sent.
    pub reason: String,
}

/// What happens while a state is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// How far it is.
    Progress(SyncProgress),
    /// A peer has lied and is banned.
    Blamed(Blamed),
}

/// Why no state is taken.
#[derive(Debug, thiserror::Error)]
pub enum SyncFault {
    /// The network ended.
    #[error("the network ended")]
    Network,
    /// What was taken could not be stored or read.
    #[error("what was taken could not be stored: {0}")]
    Importer(Box<dyn std::error::Error + Send + Sync>),
}

/// What a client works with.
pub struct SyncParts<'a, N: Network, I> {
    /// The channel, and who bans.
    pub wires: &'a mut Wires<N>,
    /// Where the state goes.
    pub importer: &'a mut I,
    /// What is known without anybody.
    pub trust: Trust,
    /// Bounds for decoding.
    pub limits: BlockLimits,
    /// How it works.
    pub config: ClientConfig,
}

impl<N: Network, I> Debug for SyncParts<'_, N, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncParts").finish_non_exhaustive()
    }
}

/// Takes a state from peers.
pub struct Client<'a, E, N: Network, I> {
    runtime: E,
    parts: SyncParts<'a, N, I>,
    report: &'a mut Report,
    offers: Offers<PublicKey>,
    /// Number of the newest question for offers, and who has answered it.
    asked: (u64, BTreeSet<PublicKey>),
    next_id: u64,
    blamed: Vec<Blamed>,
}

impl<E, N: Network, I> Debug for Client<'_, E, N, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A state that is being taken.
struct Taking {
    anchor: Anchor,
    manifest: Arc<Manifest>,
    chunks: BTreeSet<usize>,
    codes: BTreeSet<B256>,
}

impl Taking {
    fn target(&self) -> Target {
        (self.anchor.height(), self.manifest.digest())
    }
}

impl<'a, E, N, I> Client<'a, E, N, I>
where
    E: Clock + CryptoRng,
    N: Network,
    I: Importer,
{
    /// A client that tells how far it is.
    pub fn new(runtime: E, parts: SyncParts<'a, N, I>, report: &'a mut Report) -> Self {
        Self {
            runtime,
            parts,
            report,
            offers: Offers::new(),
            asked: (0, BTreeSet::new()),
            next_id: 0,
            blamed: Vec::new(),
        }
    }

    /// Who has lied so far.
    #[must_use]
    pub fn blamed(&self) -> &[Blamed] {
        &self.blamed
    }

    /// Takes a state, or the rest of one that was begun. Resolves once everything is durable.
    ///
    /// # Errors
    /// When the network ends or the importer fails; never because of what peers do.
    pub async fn take(&mut self) -> Result<Anchor, SyncFault> {
        let mut begun = self.unfinished()?;
        loop {
            let taking = match begun.take() {
                Some(taking) => taking,
                None => {
                    // What was offered before may be served no more.
                    self.offers.clear();
                    self.begin().await?
                }
            };
            if let Some(anchor) = self.download(taking).await? {
                return Ok(anchor);
            }
        }
    }

    /// What an earlier life has begun.
    fn unfinished(&mut self) -> Result<Option<Taking>, SyncFault> {
        let Some(unfinished) = self.parts.importer.unfinished().map_err(fault)? else {
            return Ok(None);
        };
        let stored = SyncAnchor::decode_cfg(unfinished.anchor.0, &self.parts.limits);
        let anchor = stored
            .map_err(fault)?
            .verify(&self.parts.trust, &mut self.runtime)
            .map_err(fault)?;
        let digest = alloy_primitives::keccak256(&unfinished.manifest);
        let manifest = Manifest::decode(unfinished.manifest, anchor.state_root(), digest);
        Ok(Some(Taking {
            anchor,
            manifest: Arc::new(manifest.map_err(fault)?),
            chunks: unfinished.chunks,
            codes: unfinished.codes,
        }))
    }

    /// Begins the state that most peers offer.
    async fn begin(&mut self) -> Result<Taking, SyncFault> {
        (self.report)(SyncEvent::Progress(SyncProgress::default()));
        loop {
            let peer = self.next_offer().await?;
            if let Some(taking) = self.begin_with(&peer).await? {
                return Ok(taking);
            }
            self.offers.remove(&peer);
        }
    }

    /// Somebody who offers the state to take. Asks again, once nobody is left.
    async fn next_offer(&mut self) -> Result<PublicKey, SyncFault> {
        loop {
            if let Some(target) = self.offers.best()
                && let Some(peer) = self.offers.peers_of(target).into_iter().next()
            {
                return Ok(peer);
            }
            self.ask_offers();
            let until = self.runtime.current() + self.parts.config.offers_for;
            while let Some((peer, id, answer)) = self.receive(until).await? {
                self.take_offer(&peer, id, answer);
            }
        }
    }

    /// Takes what one peer has to say before the chunks; none if it does not, or lies.
    async fn begin_with(&mut self, peer: &PublicKey) -> Result<Option<Taking>, SyncFault> {
        let Some(Offer {
            draft: Some(draft),
            manifest,
            manifest_bytes,
            ..
        }) = self.offers.get(peer).cloned()
        else {
            return Ok(None);
        };
        let Some(anchor) = self.complete(peer, draft).await? else {
            return Ok(None);
        };
        let Some(bytes) = self.pages(peer, manifest, manifest_bytes).await? else {
            return Ok(None);
        };
        let manifest = match Manifest::decode(bytes, anchor.state_root(), manifest) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.blame(peer, format!("bad manifest: {error}"));
                return Ok(None);
            }
        };
        let begun = self.parts.importer.begin(&anchor, &manifest);
        begun.map_err(fault)?;
        Ok(Some(Taking {
            anchor,
            manifest: Arc::new(manifest),
            chunks: BTreeSet::new(),
            codes: BTreeSet::new(),
        }))
    }

    /// Completes an anchor with its ordering blocks.
    async fn complete(
        &mut self,
        peer: &PublicKey,
        mut draft: AnchorDraft,
    ) -> Result<Option<Anchor>, SyncFault> {
        while let Some(digest) = draft.missing() {
            let Some(bytes) = self.ask(peer, Want::Block(digest)).await? else {
                return Ok(None);
            };
            let block = Block::decode_cfg(bytes.0, &self.parts.limits);
            let added = match block {
                Ok(block) => draft.add(block).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = added {
                self.blame(peer, format!("bad ordering block: {error}"));
                return Ok(None);
            }
        }
        match draft.finish() {
            Ok(anchor) => Ok(Some(anchor)),
            Err(error) => {
                self.blame(peer, format!("bad anchor: {error}"));
                Ok(None)
            }
        }
    }

    /// The bytes of a manifest, page by page.
    async fn pages(
        &mut self,
        peer: &PublicKey,
        manifest: B256,
        length: usize,
    ) -> Result<Option<Bytes>, SyncFault> {
        let mut bytes = Vec::with_capacity(length);
        for page in 0.. {
            let expected = PAGE_BYTES.min(length.saturating_sub(bytes.len()));
            if expected == 0 {
                break;
            }
            let Some(answer) = self.ask(peer, Want::Page(manifest, page)).await? else {
                return Ok(None);
            };
            if answer.len() != expected {
                self.blame(
                    peer,
                    format!("bad manifest: page={page} has another length"),
                );
                return Ok(None);
            }
            bytes.extend_from_slice(&answer);
        }
        Ok(Some(bytes.into()))
    }

    /// Takes an answer to the newest question for offers.
    fn take_offer(&mut self, peer: &PublicKey, id: u64, answer: Answer) {
        let (asked, answered) = &mut self.asked;
        let Answer::Offer {
            head,
            manifest,
            manifest_bytes,
            older,
        } = answer
        else {
            return;
        };
        // One for each question: checking signatures is what more of them would cost.
        if id != *asked || !answered.insert(peer.clone()) {
            return;
        }
        let manifest_bytes = usize::try_from(manifest_bytes).unwrap_or(usize::MAX);
        if !(1..=MANIFEST_BYTES_MAX).contains(&manifest_bytes) {
            self.blame(peer, format!("bad offer: manifest_bytes={manifest_bytes}"));
            return;
        }
        match head.verify(&self.parts.trust, &mut self.runtime) {
            Ok(draft) => {
                let offer = Offer {
                    height: draft.height(),
                    draft: Some(draft),
                    manifest,
                    manifest_bytes,
                    older,
                };
                self.offers.insert(peer.clone(), offer);
            }
            Err(error) => self.blame(peer, format!("bad anchor: {error}")),
        }
    }
}

fn fault(error: impl std::error::Error + Send + Sync + 'static) -> SyncFault {
    SyncFault::Importer(Box::new(error))
}
