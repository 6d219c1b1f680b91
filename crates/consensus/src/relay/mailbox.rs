//! What marshal says to dissemination: the handle that stands in for a buffer of broadcast blocks.

use super::config::OVERFLOW_MAX;
use commonware_actor::mailbox::{Overflow, Policy, Sender};
use commonware_consensus::{
    marshal::{core::Buffer, standard::Standard},
    types::Round,
};
use commonware_cryptography::Digested;
use commonware_p2p::Recipients;
use commonware_utils::channel::oneshot;
use primitives::{
    Block,
    crypto::{BlockDigest, PublicKey},
};
use std::collections::VecDeque;

/// One call.
pub(super) enum Call {
    /// Send a block.
    Send(Digested<Block>, Recipients<PublicKey>),
    /// Answer with the block when it is here.
    Subscribe(BlockDigest, oneshot::Sender<Digested<Block>>),
    /// Answer with the block if it is here.
    Find(BlockDigest, oneshot::Sender<Option<Digested<Block>>>),
}

impl Call {
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Send(..) => false,
            Self::Subscribe(_, answer) => answer.is_closed(),
            Self::Find(_, answer) => answer.is_closed(),
        }
    }
}

/// Calls that did not fit into the mailbox. Marshal waits for most of its answers, so there are few.
#[derive(Default)]
pub(super) struct Waiting(VecDeque<Call>);

impl Overflow<Call> for Waiting {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn drain<F: FnMut(Call) -> Option<Call>>(&mut self, mut push: F) {
        while let Some(call) = self.0.pop_front() {
            if call.is_cancelled() {
                continue;
            }
            if let Some(call) = push(call) {
                self.0.push_front(call);
                break;
            }
        }
    }
}

impl Policy for Call {
    type Overflow = Waiting;

    fn handle(overflow: &mut Waiting, call: Self) {
        if call.is_cancelled() {
            return;
        }
        overflow.0.push_back(call);
        if overflow.0.len() > OVERFLOW_MAX {
            overflow.0.pop_front();
        }
    }
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailbox {
    calls: Sender<Call>,
}

impl Mailbox {
    pub(super) const fn new(calls: Sender<Call>) -> Self {
        Self { calls }
    }
}

impl Buffer<Standard<Block>> for Mailbox {
    type PublicKey = PublicKey;

    async fn find_by_digest(&self, digest: BlockDigest) -> Option<Digested<Block>> {
        let (answer, answered) = oneshot::channel();
        let _closed = self.calls.enqueue(Call::Find(digest, answer));
        answered.await.ok().flatten()
    }

    async fn find_by_commitment(&self, commitment: BlockDigest) -> Option<Digested<Block>> {
        self.find_by_digest(commitment).await
    }

    fn subscribe_by_digest(
        &self,
        digest: BlockDigest,
    ) -> Option<oneshot::Receiver<Digested<Block>>> {
        let (answer, answered) = oneshot::channel();
        let _closed = self.calls.enqueue(Call::Subscribe(digest, answer));
        Some(answered)
    }

    fn subscribe_by_commitment(
        &self,
        commitment: BlockDigest,
    ) -> Option<oneshot::Receiver<Digested<Block>>> {
        self.subscribe_by_digest(commitment)
    }

    fn send(&self, _round: Round, block: Digested<Block>, recipients: Recipients<PublicKey>) {
        let _closed = self.calls.enqueue(Call::Send(block, recipients));
    }
}
