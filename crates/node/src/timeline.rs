//! A development chain that can go back: one timeline after the other, behind the same RPC.
//!
//! ```text
//!              snapshot 0x1      revert 0x1
//! timeline 0  ──────●──────────────▶ ended
//!                   └ copy ────────▶ timeline 1 ─────▶ …
//! requests ─▶ Supervisor ─▶ Switch ─▶ whatever timeline is now
//! ```
//! - A timeline is a whole node with one validator: store, pool, consensus. Nothing in it knows of others.
//! - A snapshot is a copy of the store, which shares its files, and an anchor: the newest block and the
//!   evidence that it is final, as a node that joins a network gets it. The validator's votes are not copied:
//!   a new timeline begins above the anchor, and nobody else has seen what the ended one voted for.
//! - So an order stays final within its timeline, and no part of the node can undo a block.
//!
//! Limits: [`SNAPSHOTS_MAX`] kept at a time, the oldest goes first; what is kept ends with the process.

mod copy;
mod life;
#[cfg(test)]
mod tests;

use crate::{error::NodeError, process};
use commonware_runtime::{Spawner as _, Supervisor as _, tokio::Context};
use copy::Beginning;
use life::Life;
pub(crate) use life::Origin;
use rpc::{Backend, Successor, Switch, TimelineRequest, TravelError};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio::sync::mpsc;

/// Snapshots kept at a time.
const SNAPSHOTS_MAX: usize = 256;

/// Runs one timeline after the other.
pub(crate) struct Supervisor {
    origin: Origin,
    life: Life,
    switch: Switch,
    snapshots: BTreeMap<u64, Beginning>,
    newest_id: u64,
    /// What the timeline before this one leaves behind: somebody may still read it.
    remains: Vec<PathBuf>,
}

/// A timeline, before anybody is served from it.
pub(crate) struct First {
    origin: Origin,
    life: Life,
}

impl First {
    /// Begins the chain, or goes on with the one in the data directory.
    ///
    /// # Errors
    /// When the node cannot begin.
    pub(crate) async fn begin(mut origin: Origin) -> Result<Self, NodeError> {
        let life = Box::pin(origin.begin(None)).await?;
        Ok(Self { origin, life })
    }

    pub(crate) fn readable(&self) -> process::Readable {
        self.life.readable.clone()
    }

    pub(crate) fn control(&self) -> pipeline::DevControl {
        self.life.control.clone()
    }

    /// The supervisor that goes on from here.
    pub(crate) fn supervised(self, backend: Arc<Backend>) -> Supervisor {
        Supervisor {
            origin: self.origin,
            life: self.life,
            switch: Switch::from(backend),
            snapshots: BTreeMap::new(),
            newest_id: 0,
            remains: Vec::new(),
        }
    }
}

impl Supervisor {
    /// What calls go to.
    pub(crate) fn switch(&self) -> Switch {
        self.switch.clone()
    }

    /// Honours requests until a signal asks to stop.
    ///
    /// # Errors
    /// When a timeline cannot go on, or none can begin.
    pub(crate) async fn run(
        mut self,
        runtime: &Context,
        mut requests: mpsc::Receiver<TimelineRequest>,
    ) -> Result<(), NodeError> {
        let mut signalled = std::pin::pin!(process::signalled());
        loop {
            tokio::select! {
                biased;
                () = &mut signalled => break,
                fault = self.life.failed() => return Err(fault),
                request = requests.recv() => match request {
                    Some(request) => Box::pin(self.honour(request)).await?,
                    None => break,
                },
            }
        }
        // What is not flushed in time is executed again at the next start.
        let stopped = runtime.child("stop").stop(0, Some(process::STOP_TIMEOUT));
        stopped.await.unwrap_or_default();
        Ok(())
    }

    /// An error is the end: there is no timeline any more.
    async fn honour(&mut self, request: TimelineRequest) -> Result<(), NodeError> {
        // A caller that has gone needs no answer.
        match request {
            TimelineRequest::Snapshot(answer) => {
                answer.send(self.snapshot().await).ok();
            }
            TimelineRequest::Revert(id, answer) => {
                let reverted = self.revert(id).await?;
                answer.send(Ok(reverted)).ok();
            }
            TimelineRequest::Reset(answer) => {
                self.snapshots.split_off(&0);
                self.go_back(Beginning::genesis()).await?;
                answer.send(Ok(())).ok();
            }
        }
        Ok(())
    }

    pub(crate) async fn snapshot(&mut self) -> Result<u64, TravelError> {
        let id = self.newest_id + 1;
        let directory = self.origin.snapshot_directory(id);
        let beginning = copy::take(&self.origin, &self.life, directory).await?;
        self.newest_id = id;
        self.snapshots.insert(id, beginning);
        while self.snapshots.len() > SNAPSHOTS_MAX {
            self.snapshots.pop_first();
        }
        Ok(id)
    }

    /// Uses up the snapshot and all that were made after it.
    pub(crate) async fn revert(&mut self, id: u64) -> Result<bool, NodeError> {
        let Some(beginning) = self.snapshots.remove(&id) else {
            return Ok(false);
        };
        drop(self.snapshots.split_off(&id));
        self.go_back(beginning).await?;
        Ok(true)
    }

    async fn go_back(&mut self, beginning: Beginning) -> Result<(), NodeError> {
        self.switch.begin_change();
        let ended = self.life.end().await;
        for path in std::mem::replace(&mut self.remains, self.origin.remains(ended)) {
            // Nobody depends on its removal: the whole directory goes in the end.
            std::fs::remove_dir_all(path).ok();
        }
        self.life = Box::pin(self.origin.begin(Some(beginning))).await?;
        let readable = self.life.readable.clone();
        let backend = self.switch.current().succeed(Successor {
            chain: readable.chain,
            mempool: readable.mempool,
            senders: readable.senders,
            control: self.life.control.clone(),
        });
        self.switch.finish_change(backend);
        Ok(())
    }
}
