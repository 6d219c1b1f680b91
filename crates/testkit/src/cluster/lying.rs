//! A sender of messages that may be changed into lies on their way out.

use super::{block_liar::BlockLie, shard_liar::ShardLiar, state_liar::StateLie};
use bytes::Bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients, Sender as _, simulated::Sender};
use commonware_runtime::{IoBufs, deterministic::Context};
use primitives::{BlockLimits, crypto::PublicKey};
use std::{sync::Arc, time::SystemTime};

/// What is lied about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// States, to nodes that have none.
    State(StateLie),
    /// Blocks, on their way to the others.
    Block(BlockLie),
}

impl Subject {
    /// The message that goes out in the place of a true one.
    fn tell(self, message: Bytes, limits: &BlockLimits) -> Bytes {
        match self {
            Self::State(lie) => lie.tell(message, limits),
            Self::Block(lie) => lie.tell(message, limits),
        }
    }
}

/// Sends on one channel; what it says may be a lie.
#[derive(Clone, Debug)]
pub(crate) struct MaybeLying {
    inner: Sender<PublicKey, Context>,
    lie: Option<(Subject, BlockLimits)>,
    /// Who may lie about shards on this channel.
    liar: Option<(Arc<ShardLiar>, u64)>,
}

impl MaybeLying {
    pub(crate) const fn honest(inner: Sender<PublicKey, Context>) -> Self {
        Self {
            inner,
            lie: None,
            liar: None,
        }
    }

    pub(crate) fn lying(self, lie: Option<(Subject, BlockLimits)>) -> Self {
        Self { lie, ..self }
    }

    pub(crate) fn lying_about_shards(self, liar: Arc<ShardLiar>, channel: u64) -> Self {
        let liar = Some((liar, channel));
        Self { liar, ..self }
    }
}

pub(crate) struct Checked<'a> {
    inner: <Sender<PublicKey, Context> as LimitedSender>::Checked<'a>,
    lie: Option<(Subject, BlockLimits)>,
    /// Who lies about shards, and another way out.
    liar: Option<WayOut>,
}

/// Who lies about shards, and where what he says goes out.
type WayOut = (ShardLies, Sender<PublicKey, Context>);

/// Who lies about shards, and on which channel.
type ShardLies = (Arc<ShardLiar>, u64);

impl LimitedSender for MaybeLying {
    type PublicKey = PublicKey;
    type Checked<'a> = Checked<'a>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked<'_>, SystemTime> {
        let lie = self.lie;
        let lying = self.liar.clone().filter(|(liar, _)| !liar.is_honest());
        let liar = lying.map(|liar| (liar, self.inner.clone()));
        let inner = self.inner.check(recipients)?;
        Ok(Checked { inner, lie, liar })
    }
}

impl CheckedSender for Checked<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        if let Some(((liar, channel), mut sender)) = self.liar {
            let message: Bytes = message.into().coalesce().into();
            for (to, message) in liar.tell(channel, message, self.inner.recipients()) {
                drop(sender.send(Recipients::Some(to), message, priority));
            }
            return Unreliable::new(Feedback::Ok);
        }
        let Some((lie, limits)) = self.lie else {
            return self.inner.send(message, priority);
        };
        let message: Bytes = message.into().coalesce().into();
        self.inner.send(lie.tell(message, &limits), priority)
    }
}
