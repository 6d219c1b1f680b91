//! What a node says of candidates in the place of what it finds: for simulations of dishonest validators.

use bytes::Bytes;
use primitives::shard::Descriptor;
use shards::agent::{Checker, Finding};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

type Opinion = dyn Fn(&Descriptor, Finding) -> Finding + Send + Sync;

/// Makes a finding another one. An honest node has none.
#[derive(Clone)]
pub struct Bias(Arc<Opinion>);

impl Bias {
    /// A node that says this of what it found.
    #[must_use]
    pub fn new(opinion: impl Fn(&Descriptor, Finding) -> Finding + Send + Sync + 'static) -> Self {
        Self(Arc::new(opinion))
    }
}

impl fmt::Debug for Bias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bias")
    }
}

/// A checker that says something else than it finds.
pub(super) struct Biased {
    pub(super) honest: Arc<dyn Checker>,
    pub(super) bias: Bias,
}

impl Checker for Biased {
    fn check(&self, descriptor: &Descriptor, collation: &Bytes, cancelled: &AtomicBool) -> Finding {
        let finding = self.honest.check(descriptor, collation, cancelled);
        (self.bias.0)(descriptor, finding)
    }
}
