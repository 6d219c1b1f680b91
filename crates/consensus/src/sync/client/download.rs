//! The chunks and codes of one state, from everybody who has it.

use super::{Client, SyncEvent, SyncFault, SyncProgress, Taking, fault};
use crate::{
    application::unix_ms,
    network::Network,
    sync::{Answer, Importer, Want, offers::Target},
};
use commonware_p2p::Recipients;
use commonware_runtime::Clock;
use primitives::{Anchor, crypto::PublicKey};
use rand_core::CryptoRng;
use state::sync::{Ask, Blame, Download, Request, Settled};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A download and when something has to happen.
struct Run {
    download: Download<PublicKey>,
    target: Target,
    /// When peers are asked again what they offer.
    offers_at: SystemTime,
    /// Since when nobody is there to ask.
    starved_at: Option<SystemTime>,
}

impl<E, N, I> Client<'_, E, N, I>
where
    E: Clock + CryptoRng,
    N: Network,
    I: Importer,
{
    /// Takes all that is missing of a state; none if nobody has it any more.
    pub(super) async fn download(&mut self, taking: Taking) -> Result<Option<Anchor>, SyncFault> {
        let target = taking.target();
        let Taking {
            anchor,
            manifest,
            chunks,
            codes,
        } = taking;
        let mut run = Run {
            download: Download::new(manifest, self.parts.config.limits, &chunks, &codes),
            target,
            offers_at: self.runtime.current(),
            starved_at: None,
        };
        for peer in self.offers.servers_of(target) {
            run.download.add_peer(peer);
        }
        loop {
            match run.download.is_finished() {
                Ok(true) => return Ok(Some(anchor)),
                Ok(false) => run.starved_at = None,
                Err(_) if self.is_hopeless(&mut run) => return Ok(None),
                Err(_) => {}
            }
            let until = self.send_questions(&mut run);
            if let Some((peer, id, answer)) = self.receive(until).await? {
                self.take_answer(&mut run, &peer, (id, answer))?;
            }
        }
    }

    /// Whether nobody has had the state for too long.
    fn is_hopeless(&self, run: &mut Run) -> bool {
        let now = self.runtime.current();
        let since = *run.starved_at.get_or_insert(now);
        let starved = now.duration_since(since).unwrap_or_default();
        // While nobody offers anything, nothing else can be taken either.
        starved >= self.parts.config.starved_for && !self.offers.is_empty()
    }

    /// Sends what may be asked now; when there is something to do at the latest.
    fn send_questions(&mut self, run: &mut Run) -> SystemTime {
        let now = self.runtime.current();
        let now_ms = unix_ms(now);
        for peer in run.download.expire(now_ms) {
            tracing::warn!(%peer, "a peer does not answer and is asked no more");
            self.offers.remove(&peer);
        }
        if now >= run.offers_at {
            run.offers_at = now + self.parts.config.offers_every;
            self.ask_offers();
        }
        while let Some(Request { id, peer, ask }) = run.download.next(now_ms) {
            let (_, manifest) = run.target;
            let want = match ask {
                Ask::Chunk(number) => {
                    Want::Chunk(manifest, u32::try_from(number).unwrap_or(u32::MAX))
                }
                Ask::Codes(hashes) => Want::Codes(manifest, hashes),
            };
            self.send(Recipients::One(peer), wire_id(id), want);
        }
        self.tell(run);
        let deadline = run.download.deadline_ms();
        let deadline = deadline.map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        deadline.map_or(run.offers_at, |deadline| deadline.min(run.offers_at))
    }

    fn take_answer(
        &mut self,
        run: &mut Run,
        peer: &PublicKey,
        (id, answer): (u64, Answer),
    ) -> Result<(), SyncFault> {
        let bytes = match (download_id(id), answer) {
            (Some(_), Answer::Bytes(bytes)) => bytes,
            (Some(_), Answer::Gone) => {
                run.download.remove_peer(peer);
                return Ok(());
            }
            (None, answer) => {
                self.take_offer(peer, id, answer);
                let offer = self.offers.get(peer);
                if offer.is_some_and(|offer| offer.serves(run.target)) {
                    run.download.add_peer(peer.clone());
                }
                return Ok(());
            }
            (Some(_), Answer::Offer { .. }) => return Ok(()),
        };
        let id = download_id(id).unwrap_or(u64::MAX);
        match run.download.answer(id, peer, &bytes) {
            Settled::Chunk(chunk) => {
                let put = self.parts.importer.put_chunk(&chunk);
                put.map_err(fault)
            }
            Settled::Codes(codes) => {
                let put = self.parts.importer.put_codes(&codes);
                put.map_err(fault)
            }
            Settled::Blamed(Blame { peer, reason }) => {
                self.blame(&peer, reason.to_string());
                Ok(())
            }
            Settled::Unasked => Ok(()),
        }
    }

    fn tell(&mut self, run: &Run) {
        let done = run.download.progress();
        (self.report)(SyncEvent::Progress(SyncProgress {
            height: run.target.0,
            peers: self.offers.servers_of(run.target).len(),
            pieces: (
                done.chunks_done.saturating_add(done.codes_done),
                done.chunks.saturating_add(done.codes),
            ),
            bytes: (done.bytes_done, done.bytes),
        }));
    }
}

/// Downloads count for themselves.
const fn wire_id(id: u64) -> u64 {
    id.saturating_mul(2).saturating_add(1)
}

const fn download_id(wire_id: u64) -> Option<u64> {
    match wire_id % 2 {
        1 => Some(wire_id / 2),
        _ => None,
    }
}
