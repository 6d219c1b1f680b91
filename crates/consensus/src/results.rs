//! Gossip of signed results, until 2f+1 agree and a certificate forms.
//!
//! ```text
//! executed here ─sign─▶ broadcast ─▶ peers
//! peers ─▶ check signature ─▶ Tally ─2f+1─▶ certificate ─▶ pipeline, and into the next header
//! ```
//! Every executed height above the newest certificate is signed, because validators that each
//! signed a selection might never agree on one. What has no certificate yet is sent again, so
//! that lost messages only delay.

use crate::network::RESULTS_MAX;
use commonware_codec::{Decode, Encode, RangeCfg};
use commonware_cryptography::certificate::Scheme as _;
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Spawner};
use pipeline::{Pipeline, Tally, TallyOutcome, tally::HEIGHTS_MAX};
use primitives::{
    ExecutionResult, SignedResult,
    certificate::ResultScheme,
    crypto::{BlockDigest, PublicKey},
};
use rand_core::CryptoRng;
use std::{collections::BTreeMap, time::Duration};

/// Signs, sends and collects results.
pub(crate) struct ResultGossip<E, B> {
    pub(crate) runtime: E,
    pub(crate) pipeline: Pipeline,
    pub(crate) scheme: ResultScheme,
    pub(crate) blocker: B,
    pub(crate) retry: Duration,
}

impl<E, B> ResultGossip<E, B>
where
    E: Clock + Spawner + CryptoRng,
    B: Blocker<PublicKey = PublicKey>,
{
    pub(crate) fn start(
        self,
        (sender, receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> Handle<()> {
        let Self {
            runtime,
            pipeline,
            scheme,
            blocker,
            retry,
        } = self;
        runtime.spawn(move |runtime| async move {
            let carried = pipeline.chain().certified_floor();
            let state = State {
                tally: Tally::new(scheme.clone(), carried),
                runtime,
                pipeline,
                scheme,
                blocker,
                own: BTreeMap::new(),
            };
            state.run(sender, receiver, retry).await;
        })
    }
}

struct State<E, B> {
    runtime: E,
    pipeline: Pipeline,
    scheme: ResultScheme,
    blocker: B,
    tally: Tally,
    /// Own signed results above the newest certificate.
    own: BTreeMap<u64, SignedResult>,
}

impl<E, B> State<E, B>
where
    E: Clock + CryptoRng,
    B: Blocker<PublicKey = PublicKey>,
{
    async fn run(
        mut self,
        mut sender: impl Sender<PublicKey = PublicKey>,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
        retry: Duration,
    ) {
        let mut progress = self.pipeline.chain().progress();
        let mut retry_at = self.runtime.current() + retry;
        loop {
            tokio::select! {
                biased;
                _ = progress.changed() => {
                    let signed = self.sign_new();
                    send(&mut sender, &signed);
                }
                received = receiver.recv() => {
                    let Ok((peer, message)) = received else { return };
                    self.receive(peer, message);
                }
                () = self.runtime.sleep_until(retry_at) => {
                    retry_at = self.runtime.current() + retry;
                    let newest = self.own.values().rev().take(RESULTS_MAX).cloned();
                    send(&mut sender, &newest.collect::<Vec<_>>());
                }
            }
        }
    }

    /// Signs what was executed since, and forgets what has a certificate.
    fn sign_new(&mut self) -> Vec<SignedResult> {
        let chain = self.pipeline.chain().clone();
        let certified = chain.certified_floor();
        self.tally.advance(certified);
        self.own = self.own.split_off(&certified.height.saturating_add(1));
        if chain.stopped().is_some() {
            return Vec::new();
        }
        let signed_height = self
            .own
            .last_key_value()
            .map_or(certified.height, |(height, _)| *height);
        let mut fresh = Vec::new();
        for height in signed_height.saturating_add(1)..=chain.heads().executed_height {
            let Some(block_hash) = chain.own_result(height) else {
                continue;
            };
            let result = ExecutionResult { height, block_hash };
            let Some(attestation) = self.scheme.sign::<BlockDigest>(&result) else {
                break;
            };
            let signed = SignedResult {
                result,
                attestation,
            };
            self.own.insert(height, signed.clone());
            self.count(signed.clone());
            fresh.push(signed);
        }
        fresh
    }

    fn receive(&mut self, peer: PublicKey, message: impl Into<commonware_runtime::IoBuf>) {
        let limit = (RangeCfg::new(1..=RESULTS_MAX), ());
        let decoded = Vec::<SignedResult>::decode_cfg(message.into(), &limit);
        let Ok(results) = decoded else {
            tracing::warn!(%peer, "malformed results");
            self.ban(peer);
            return;
        };
        let certified = self.pipeline.chain().certified_floor().height;
        for signed in results {
            let height = signed.result.height;
            let far = height > certified.saturating_add(HEIGHTS_MAX as u64);
            // Known ones first: checking a signature is what a repeated message would cost.
            if height <= certified || far || self.tally.counts(&signed) {
                continue;
            }
            let valid = self.scheme.verify_attestation::<_, BlockDigest>(
                &mut self.runtime,
                &signed.result,
                &signed.attestation,
                &Sequential,
            );
            if !valid {
                tracing::warn!(%peer, "signed result with a bad signature");
                self.ban(peer);
                return;
            }
            self.count(signed);
        }
    }

    fn count(&mut self, signed: SignedResult) {
        match self.tally.count(signed) {
            TallyOutcome::Counted | TallyOutcome::Ignored => {}
            TallyOutcome::Certified(certificate) => self.pipeline.certified(certificate),
            TallyOutcome::Conflict => {
                tracing::error!("a validator signed two results for one height");
            }
        }
    }

    fn ban(&mut self, peer: PublicKey) {
        commonware_p2p::block!(self.blocker, peer, "invalid result gossip");
    }
}

fn send(sender: &mut impl Sender<PublicKey = PublicKey>, signed: &[SignedResult]) {
    for batch in signed.chunks(RESULTS_MAX) {
        // Who is not reached now is reached by the next retry.
        let _reached = sender.send(Recipients::All, batch.to_vec().encode(), true);
    }
}
