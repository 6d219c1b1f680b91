//! What each step of a block costs alone, on one core.
//!
//! The steps run one after the other over the blocks of the live run, on a chain that is executed anew: no other
//! thread competes for memory or caches, so the sum is a floor of what a node pays. What is missing from it is
//! consensus itself, RPC, and copying between threads; the live run has them.

use super::{Ordered, StageCosts};
use crate::{
    bench::state::{OnProgress, at},
    error::NodeError,
    replay::Clock,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::B256;
use commonware_codec::Decode as _;
use consensus::check_body;
use executor::{Engine, ExecutionInput, Roots, ethereum_header};
use mempool::{Mempool, TransactionSource as _};
use pipeline::{ExecutedRecord, environment, genesis};
use primitives::{
    Block, ChainConfig, RecoveredBlock, base_fee::next_base_fee, recovery::SenderCache,
    transaction::Impersonation,
};
use state::{Location, Store, StoreConfig};
use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

/// Transactions of one admission, as a batch of RPC.
const ADMISSIONS: usize = 500;

/// A chain on which the blocks are executed again, step by step.
struct Chain<'a> {
    config: ChainConfig,
    store: Store,
    engine: Engine,
    mempool: Mempool,
    parent_hash: B256,
    clock: &'a Clock,
    costs: StageCosts,
    transactions: usize,
}

pub(super) fn run(
    ordered: &Ordered,
    directory: &Path,
    clock: &Clock,
    progress: OnProgress<'_>,
) -> Result<StageCosts, NodeError> {
    let (state, block) = genesis(&ordered.genesis);
    let config = ordered.genesis.chain.clone();
    let store_config = StoreConfig {
        commit_workers: NonZeroUsize::MIN,
        ..StoreConfig::default()
    };
    let location = Location::Directory(directory.to_owned());
    let base_fee = next_base_fee(block.header(), &config);
    let mut chain = Chain {
        store: Store::open(location, &state, store_config)?,
        engine: Engine::new(NonZeroUsize::MIN).map_err(|error| failed(&error))?,
        mempool: Mempool::new(mempool::Config::new(config.clone()), base_fee),
        parent_hash: block.header().executed.block_hash,
        config,
        clock,
        costs: StageCosts::default(),
        transactions: 0,
    };
    let total = ordered.blocks.len() as u64;
    for (done, encoded) in (0..).zip(&ordered.blocks) {
        progress(at("stages", done, total));
        let block = chain.decode(encoded, ordered)?;
        let recovered = chain.recover(&block)?;
        chain.admit(&recovered)?;
        chain.check(&recovered)?;
        chain.execute(&recovered)?;
    }
    Ok(chain.costs.per_transaction(chain.transactions))
}

fn failed(error: &impl ToString) -> NodeError {
    NodeError::Bench(error.to_string())
}

impl Chain<'_> {
    fn timed<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let started = (self.clock)();
        let result = work();
        (result, (self.clock)() - started)
    }

    fn decode(&mut self, encoded: &bytes::Bytes, ordered: &Ordered) -> Result<Block, NodeError> {
        let (block, time) = self.timed(|| Block::decode_cfg(encoded.clone(), &ordered.limits));
        self.costs.decode += time;
        let block = block.map_err(|error| failed(&error))?;
        self.transactions += block.transactions().len();
        Ok(block)
    }

    fn recover(&mut self, block: &Block) -> Result<RecoveredBlock, NodeError> {
        let cache = SenderCache::default();
        let (recovered, time) = self.timed(|| block.recover(&cache, Impersonation::Refused));
        self.costs.signature += time;
        recovered.map_err(|error| failed(&error))
    }

    /// As if the transactions came by RPC before their block, and what a proposer then sees of them.
    fn admit(&mut self, block: &RecoveredBlock) -> Result<(), NodeError> {
        let parent = block.header().height.saturating_sub(1);
        let state = self.store.snapshot(parent)?;
        for batch in block.transactions().chunks(ADMISSIONS) {
            let batch = batch.to_vec();
            let (admitted, time) = self.timed(|| self.mempool.admit_many(batch, &state, 0));
            self.costs.admit += time;
            let admitted = admitted.map_err(|fault| failed(&fault))?;
            if let Some(Err(error)) = admitted.into_iter().find(Result::is_err) {
                return Err(failed(&error));
            }
        }
        let base_fee = block.header().base_fee;
        let (selected, time) = self.timed(|| self.mempool.best(base_fee, Arc::default()).count());
        self.costs.select += time;
        if selected != block.transactions().len() {
            return Err(failed(&"the pool does not offer what it took in"));
        }
        Ok(())
    }

    fn check(&mut self, block: &RecoveredBlock) -> Result<(), NodeError> {
        let parent = block.header().height.saturating_sub(1);
        let state = self.store.snapshot(parent)?;
        let (checked, time) = self.timed(|| check_body(block, &[], &self.config, &state));
        self.costs.check += time;
        // Its gas budget was set with blocks in flight, so that alone may differ here.
        drop(checked.map_err(|fault| failed(&fault))?);
        Ok(())
    }

    fn execute(&mut self, block: &RecoveredBlock) -> Result<(), NodeError> {
        let height = block.header().height;
        let state = self.store.snapshot(height.saturating_sub(1))?;
        let environment = environment(block.header(), self.parent_hash, &self.config);
        let directives = block.block().directives();
        let input =
            ExecutionInput::new(&self.config, environment, block.transactions(), directives);
        let (executed, time) = self.timed(|| self.engine.execute(&input, &state));
        let mut executed = executed.map_err(|fault| failed(&fault))?;
        let diff = std::mem::take(&mut executed.diff);
        let (root, root_time) = self.timed(|| self.store.commit(height, diff));
        let ((roots, list), derive_time) = self.timed(|| {
            let roots = executed.roots(block.transactions());
            (roots, executed.access_list().encode())
        });
        let roots = Roots {
            state_root: *root?,
            block: roots,
        };
        let digest = B256::from_slice(block.block().digest().as_ref());
        let header = ethereum_header(&input.environment, &executed, roots, digest);
        let record = ExecutedRecord {
            hash: header.hash_slow(),
            header,
            block: block.block().clone(),
            transactions: block.shared_transactions(),
            receipts: executed.receipts,
            withdrawals: Withdrawals::default(),
        };
        self.parent_hash = record.hash;
        let (stored, store_time) = self.timed(|| {
            self.store.seal(record.to_stored(list.into()))?;
            self.store.flush(height)
        });
        stored?;
        let snapshot = self.store.snapshot(height)?;
        let base_fee = next_base_fee(block.header(), &self.config);
        let (followed, follow_time) = self.timed(|| {
            self.mempool
                .on_executed(&record.transactions, &[], base_fee, &snapshot)
        });
        followed.map_err(|fault| failed(&fault))?;
        self.costs.execute += time;
        self.costs.root += root_time;
        self.costs.derive += derive_time;
        self.costs.store += store_time;
        self.costs.follow += follow_time;
        Ok(())
    }
}
