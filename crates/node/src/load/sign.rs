//! Signs everything before the clock starts, on all cores.
//!
//! A transfer takes about 180 bytes here, a swap 350; the longest a run may be is bounded by
//! [`super::TRANSACTIONS_MAX`].

use super::{
    OnProgress, Progress,
    error::LoadError,
    parallel::in_parallel,
    plan::Plan,
    scene::{Call, Scene},
    sender::{Fees, Sender},
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::B256;
use alloy_signer::SignerSync;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Signatures between two words about progress.
const PROGRESS_STEP: usize = 500;

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Box<[u8]>,
}

/// What every signature needs to know of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) chain_id: u64,
    pub(super) fees: Fees,
}

impl Terms {
    /// The call as a signed transaction with this nonce.
    pub(super) fn sign(
        &self,
        sender: &Sender,
        nonce: u64,
        call: Call,
    ) -> Result<Signed, LoadError> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: call.gas,
            max_fee_per_gas: self.fees.max_fee,
            max_priority_fee_per_gas: self.fees.priority_fee,
            to: call.to,
            value: call.value,
            input: call.input,
            ..TxEip1559::default()
        };
        let signature = sender
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| LoadError::Signing(error.to_string()))?;
        let signed = transaction.into_signed(signature);
        Ok(Signed {
            hash: *signed.hash(),
            raw: signed.encoded_2718().into(),
        })
    }

    /// Each sender's transactions in the order of their nonces.
    pub(super) fn sign_all(
        &self,
        plan: &Plan,
        scene: &Scene,
        senders: &[Sender],
        progress: OnProgress<'_>,
    ) -> Result<Vec<Vec<Signed>>, LoadError> {
        let done = AtomicUsize::new(0);
        let tick = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_STEP) {
                progress(Progress::of("signing", done, plan.transactions));
            }
        };
        let sign = |index: usize| {
            let Some(sender) = senders.get(index) else {
                return Ok(Vec::new());
            };
            let address = sender.signer.address();
            let calls = plan
                .actions(index)
                .map(|action| scene.call(action, address));
            let signed = calls.zip(sender.nonce..).map(|(call, nonce)| {
                tick();
                self.sign(sender, nonce, call)
            });
            signed.collect::<Result<Vec<_>, _>>()
        };
        in_parallel(senders.len(), sign)?.into_iter().collect()
    }
}
