//! Questions and answers: what is sent, what comes back in time, and who is banned for it.
//!
//! Even numbers are questions of which one is open at a time, odd ones those of a download.

use super::{Blamed, Client, SyncEvent, SyncFault};
use crate::{
    network::Network,
    sync::{Answer, Importer, Message, Want},
};
use alloy_primitives::Bytes;
use commonware_codec::{Decode as _, Encode as _};
use commonware_p2p::{Blocker as _, Receiver as _, Recipients, Sender as _};
use commonware_runtime::Clock;
use primitives::crypto::PublicKey;
use rand_core::CryptoRng;
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

impl<E, N, I> Client<'_, E, N, I>
where
    E: Clock + CryptoRng,
    N: Network,
    I: Importer,
{
    /// Asks everybody what they offer.
    pub(super) fn ask_offers(&mut self) {
        let id = self.question();
        self.asked = (id, BTreeSet::new());
        self.send(Recipients::All, id, Want::Offer);
    }

    /// Asks one peer and waits for its answer; none if it has none, or takes too long.
    pub(super) async fn ask(
        &mut self,
        peer: &PublicKey,
        want: Want,
    ) -> Result<Option<Bytes>, SyncFault> {
        let id = self.question();
        self.send(Recipients::One(peer.clone()), id, want);
        let timeout = Duration::from_millis(self.parts.config.limits.timeout_ms);
        let until = self.runtime.current() + timeout;
        while let Some((from, answered, answer)) = self.receive(until).await? {
            if answered != id || from != *peer {
                self.take_offer(&from, answered, answer);
                continue;
            }
            return Ok(match answer {
                Answer::Bytes(bytes) => Some(bytes.into()),
                Answer::Gone | Answer::Offer { .. } => None,
            });
        }
        Ok(None)
    }

    /// The number of the next question.
    fn question(&mut self) -> u64 {
        self.next_id = self.next_id.saturating_add(2);
        self.next_id
    }

    pub(super) fn send(&mut self, to: Recipients<PublicKey>, id: u64, want: Want) {
        let message = Message::Request(id, want).encode();
        // Who is not reached does not answer, which is noticed.
        let _reached = self.parts.wires.sync.0.send(to, message, false);
    }

    /// The next answer of anybody who has not lied; none after a time.
    pub(super) async fn receive(
        &mut self,
        until: SystemTime,
    ) -> Result<Option<(PublicKey, u64, Answer)>, SyncFault> {
        loop {
            let received = tokio::select! {
                biased;
                received = self.parts.wires.sync.1.recv() => received,
                () = self.runtime.sleep_until(until) => return Ok(None),
            };
            let (peer, message) = received.map_err(|_| SyncFault::Network)?;
            if self.blamed.iter().any(|blamed| blamed.peer == peer) {
                continue;
            }
            match Message::decode_cfg(message, &self.parts.limits) {
                Ok(Message::Response(id, answer)) => return Ok(Some((peer, id, answer))),
                // Somebody thinks that this node has a state.
                Ok(Message::Request(..)) => {}
                Err(error) => self.blame(&peer, format!("malformed message: {error}")),
            }
        }
    }

    /// Bans a peer that has lied.
    pub(super) fn blame(&mut self, peer: &PublicKey, reason: String) {
        tracing::warn!(%peer, reason, "a peer lied about the state");
        self.offers.remove(peer);
        let blocker = &mut self.parts.wires.blocker;
        commonware_p2p::block!(blocker, peer.clone(), "lied about the state");
        let blamed = Blamed {
            peer: peer.clone(),
            reason,
        };
        (self.report)(SyncEvent::Blamed(blamed.clone()));
        self.blamed.push(blamed);
    }
}
