//! One virtual machine for one block: transactions go in one by one, their writes stay in its
//! overlay.

use crate::{
    conformance::{EthereumRules, Fork},
    fault::ExecutionFault,
    input::{BlockEnvironment, ExecutionInput},
    observe,
    overlay::Overlay,
    rules::{Machine, MachineError, TransactionRules},
    view::{Notes, Source, View},
    watch::{Watch, Watcher},
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization};
use alloy_primitives::U256;
use primitives::{ChainConfig, RecoveredTransaction};
use revm::{
    Context, ExecuteEvm, MainContext,
    context::{BlockEnv, CfgEnv, FrameStack, TxEnv, either::Either},
    context_interface::{
        block::BlobExcessGasAndPrice,
        result::{ExecutionResult, InvalidTransaction},
    },
    handler::{EthPrecompiles, Handler, instructions::EthInstructions},
    inspector::InspectorHandler,
    state::EvmState,
};
use state::StateReader;

/// The machine of one block.
pub(crate) struct BlockMachine<'a> {
    pub(crate) machine: Machine<'a>,
    pub(crate) rules: TransactionRules<'a>,
}

impl std::fmt::Debug for BlockMachine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockMachine(height={})", self.machine.ctx.block.number)
    }
}

/// What running a transaction gave, before its writes are kept.
pub(crate) struct Transacted {
    pub(crate) result: ExecutionResult,
    pub(crate) changes: EvmState,
}

/// Why a transaction was not run.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// It is invalid in this state.
    Invalid(InvalidTransaction),
    /// This node cannot go on.
    Fault(ExecutionFault),
}

impl From<MachineError> for NotRun {
    fn from(error: MachineError) -> Self {
        match error {
            MachineError::Transaction(invalid) => Self::Invalid(invalid),
            MachineError::Database(fault) => Self::Fault(fault),
            MachineError::Header(error) => Self::Fault(ExecutionFault::Machine(error.to_string())),
            MachineError::Custom(error) => Self::Fault(ExecutionFault::Machine(error)),
            MachineError::CustomAny(error) => {
                Self::Fault(ExecutionFault::Machine(error.to_string()))
            }
        }
    }
}

impl<'a> BlockMachine<'a> {
    /// The machine for a block over the state before it.
    pub(crate) fn new(input: &ExecutionInput<'a>, state: &'a dyn StateReader) -> Self {
        let accounts = input.transactions.len().saturating_mul(2);
        Self::with_source(input, state, Source::Block, accounts)
    }

    /// A machine for one worker of several. Fee receivers are paid by whoever commits, and exact
    /// balances matter only to those who look at them.
    pub(crate) fn worker(
        input: &ExecutionInput<'a>,
        state: &'a dyn StateReader,
        source: Source<'a>,
    ) -> Self {
        let mut machine = Self::with_source(input, state, source, 0);
        machine.view().notes.relaxed = true;
        observe::install(&mut machine.machine.instruction);
        machine
    }

    fn with_source(
        input: &ExecutionInput<'a>,
        state: &'a dyn StateReader,
        source: Source<'a>,
        accounts: usize,
    ) -> Self {
        let rules = match input.ethereum {
            None => TransactionRules::own(input.chain),
            Some(_) => TransactionRules::ethereum(input.chain),
        };
        let ethereum = input.ethereum.unwrap_or_default();
        let cfg = configure(input.chain, ethereum.fork);
        let block = block_env(&input.environment, &ethereum);
        let mut overlay = Overlay::new(state, input.code_cache, accounts)
            .with_delegations(ethereum.fork >= Fork::Prague);
        if let Some(parent) = input.environment.height.checked_sub(1) {
            overlay.set_block_hash(parent, input.environment.parent_hash);
        }
        let spec = cfg.spec;
        let machine = Machine {
            ctx: Context::mainnet()
                .with_db(View {
                    overlay,
                    source,
                    notes: Notes::default(),
                })
                .with_cfg(cfg)
                .with_block(block),
            inspector: Watch::default(),
            instruction: EthInstructions::new_mainnet_with_spec(spec),
            precompiles: EthPrecompiles::new(spec),
            // Each frame has a stack of 32 KiB: they are made when code calls code, not eight for every call.
            frame_stack: FrameStack::new(),
        };
        Self { machine, rules }
    }

    /// Adapts the rules to a transaction that comes next.
    pub(crate) fn prepare(&mut self, input: &ExecutionInput<'_>, next: &RecoveredTransaction) {
        // EIP-3607 protects accounts whose key could be found by chance; an impersonated sender
        // has no key to begin with.
        self.machine.ctx.cfg.disable_eip3607 =
            input.chain.protocol.dev && next.impersonated_sender().is_some();
    }

    /// Runs a transaction and takes its writes out of the machine.
    pub(crate) fn transact(&mut self, transaction: TxEnv) -> Result<Transacted, NotRun> {
        self.machine.ctx.tx = transaction;
        let outcome = self.rules.run(&mut self.machine);
        let changes = self.machine.finalize();
        Ok(Transacted {
            result: outcome?,
            changes,
        })
    }

    /// Runs a transaction while somebody looks on, and takes its writes out of the machine.
    pub(crate) fn watch(
        &mut self,
        transaction: TxEnv,
        watcher: Watcher,
    ) -> (Result<Transacted, NotRun>, Watcher) {
        self.machine.ctx.tx = transaction;
        self.machine.inspector.open(watcher);
        let outcome = self.rules.inspect_run(&mut self.machine);
        let changes = self.machine.finalize();
        let watcher = self.machine.inspector.close();
        let watcher = watcher.expect("it was put there above, and nobody else takes it");
        let outcome = outcome.map_err(NotRun::from);
        (
            outcome.map(|result| Transacted { result, changes }),
            watcher,
        )
    }

    /// The rule of this chain that took the last run back.
    pub(crate) fn broken_rule(&self) -> Option<String> {
        let account = self.rules.reserve_broken_by()?;
        Some(format!(
            "delegated account would fall below its reserve: account={account}"
        ))
    }

    /// Gives the memory of the last transaction's changes back for the next.
    pub(crate) fn recycle(&mut self, mut changes: EvmState) {
        changes.clear();
        self.machine.ctx.journaled_state.inner.state = changes;
    }

    /// The writes kept so far.
    pub(crate) const fn overlay(&mut self) -> &mut Overlay<'a> {
        &mut self.view().overlay
    }

    pub(crate) const fn view(&mut self) -> &mut View<'a> {
        &mut self.machine.ctx.journaled_state.database
    }

    pub(crate) fn into_overlay(self) -> Overlay<'a> {
        self.machine.ctx.journaled_state.database.overlay
    }
}

pub(crate) fn configure(chain: &ChainConfig, fork: Fork) -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(fork.spec());
    cfg.chain_id = chain.chain_id;
    cfg.max_blobs_per_tx = Some(fork.blobs_max());
    cfg
}

pub(crate) fn block_env(environment: &BlockEnvironment, ethereum: &EthereumRules) -> BlockEnv {
    let spec = ethereum.fork.spec();
    BlockEnv {
        number: U256::from(environment.height),
        beneficiary: environment.beneficiary,
        timestamp: U256::from(environment.timestamp),
        gas_limit: environment.gas_limit,
        basefee: environment.base_fee,
        difficulty: ethereum.difficulty,
        prevrandao: Some(environment.prevrandao),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(
            ethereum.excess_blob_gas,
            spec,
        )),
        slot_num: 0,
    }
}

/// A transaction in the machine's form. Authorities were recovered with the sender.
pub(crate) fn transaction_env(transaction: &RecoveredTransaction) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    let authorization_list = authorizations
        .iter()
        .zip(transaction.authorities())
        .map(|(authorization, authority)| {
            let authority =
                authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            Either::Right(RecoveredAuthorization::new_unchecked(
                authorization.inner().clone(),
                authority,
            ))
        })
        .collect();
    TxEnv {
        tx_type: transaction.kind(),
        caller: transaction.sender(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: alloy_consensus::Transaction::kind(transaction.envelope()),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: transaction
            .blob_versioned_hashes()
            .unwrap_or_default()
            .to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list,
    }
}
