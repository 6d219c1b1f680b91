//! Nodes that begin with the state of another one and no history: what such a node is given.

use super::Cluster;
use commonware_runtime::Supervisor as _;
use node::run;
use primitives::Anchor;
use state::{Location, Store, StoreConfig};

impl Cluster {
    /// The height at which the disk of a node that does not run is.
    ///
    /// # Panics
    /// If it runs, or if its disk does not open.
    #[must_use]
    pub fn flushed_height(&self, index: usize) -> u64 {
        let (state, _) = pipeline::genesis(self.genesis());
        let location = Location::Memory(self.disk(index).clone());
        let opened = Store::open(location, &state, StoreConfig::default());
        opened.expect("a simulated disk opens").flushed_height()
    }

    /// Gives the disk of a node to another, which loses its own; neither runs.
    ///
    /// # Panics
    /// If one of them runs.
    pub fn move_disk(&mut self, from: usize, to: usize) {
        let disk = self.disk(from).clone();
        assert!(self.validators[to].running.is_none(), "validator {to} runs");
        self.validators[from].disk = state::MemoryDisk::new();
        self.validators[to].disk = disk;
    }

    /// What a running node offers as evidence for a height, verified with the genesis alone.
    ///
    /// # Panics
    /// If it does not run, or if its evidence proves nothing.
    pub async fn anchor(&self, index: usize, height: u64) -> Option<Anchor> {
        let running = self.running(index);
        let offered = running.order.anchor(&running.chain, height).await;
        let offered = offered.expect("a simulated disk reads")?;
        let trust = run::identity(&self.genesis, &self.validators[index].key).trust;
        let mut rng = self.runtime.child("anchor");
        let anchor = offered.verify(&trust, &mut rng);
        Some(anchor.expect("an honest node offers what can be verified"))
    }
}
