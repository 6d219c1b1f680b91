//! What this chain adds to Ethereum's way of executing one transaction.
//!
//! ```text
//! validate ─▶ pay ─▶ authorizations ─▶┬─ checkpoint ─ frames ─ reserve kept? ─┬─▶ refund ─▶ fee
//!   │          │                      │    └ CREATE in a delegated account    │      │
//!   │          │                      │      fails, its nonce untouched       │      └ at least the floor
//!   │          │                      └──────────── no: revert ◀──────────────┘
//!   │          └ a delegated sender pays gas first; too little for the value fails later, in the frame
//!   └ as Ethereum
//! ```
//! Invariants: a transaction leaves every account that is delegated before or after it with
//! `min(reserve, balance before) − its own fee`; only an account's own transactions and counted
//! authorizations bump the nonce of an account without contract code. Both are what the
//! affordability rule of `primitives` rests on.

mod watched;

use crate::{
    fault::ExecutionFault,
    view::{Notes, View},
    watch::Watch,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use primitives::ChainConfig;
use revm::{
    Database, MainnetEvm,
    context::{Cfg, ContextTr, JournalTr, Transaction, journaled_state::JournalCheckpoint},
    context_interface::{
        Block,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, HaltReason, InvalidTransaction},
    },
    handler::{
        EvmTr, FrameResult, Handler, ItemOrResult, MainnetContext, execution, post_execution,
        pre_execution, validation,
    },
    interpreter::{
        CreateInputs, CreateOutcome, FrameInput, Gas, GasTracker, InitialAndFloorGas,
        InstructionResult, InterpreterResult, interpreter_action::FrameInit,
    },
    primitives::hardfork::SpecId,
};

/// The virtual machine over the writes of a block.
pub(crate) type Machine<'a> = MainnetEvm<MainnetContext<View<'a>>, Watch>;
/// Why it did not run a transaction.
pub(crate) type MachineError = EVMError<ExecutionFault>;

/// The rules under which transactions run.
#[derive(Debug)]
pub(crate) struct TransactionRules<'a> {
    chain: &'a ChainConfig,
    own: bool,
    charges_floor: bool,
    reserve_broken_by: Option<Address>,
}

impl<'a> TransactionRules<'a> {
    /// This chain's rules.
    pub(crate) const fn own(chain: &'a ChainConfig) -> Self {
        Self {
            chain,
            own: true,
            charges_floor: true,
            reserve_broken_by: None,
        }
    }

    /// Ethereum's rules.
    pub(crate) const fn ethereum(chain: &'a ChainConfig) -> Self {
        Self {
            own: false,
            charges_floor: false,
            ..Self::own(chain)
        }
    }

    /// The same rules without the floor under the charged gas: a call asks what was used.
    pub(crate) const fn without_floor(mut self) -> Self {
        self.charges_floor = false;
        self
    }

    /// Whether an invalid transaction is charged, or leaves no trace as on Ethereum.
    pub(crate) const fn charges_inclusion_faults(&self) -> bool {
        self.own
    }

    /// The delegated account whose reserve made the last transaction revert.
    pub(crate) const fn reserve_broken_by(&self) -> Option<Address> {
        self.reserve_broken_by
    }

    /// Runs a transaction's frames, by whichever loop, and what this chain does after them.
    fn execute(
        &mut self,
        evm: &mut Machine<'a>,
        checkpoint: JournalCheckpoint,
        gas: &mut GasTracker,
        run: impl FnOnce(&mut Self, &mut Machine<'a>, FrameInit) -> Result<FrameResult, MachineError>,
    ) -> Result<Option<FrameResult>, MachineError> {
        self.reserve_broken_by = None;
        let Some(first) = self.first_frame_input(evm, gas)? else {
            execution::runtime_oog_unwind(&mut evm.ctx, checkpoint)?;
            return Ok(None);
        };
        evm.ctx.journaled_state.checkpoint_commit();
        let before_frames = evm.ctx.journaled_state.checkpoint();
        let mut result = run(self, evm, first)?;
        if self.own {
            self.keep_reserves(evm, before_frames, &mut result)?;
            count_creation(evm)?;
        } else {
            evm.ctx.journaled_state.checkpoint_commit();
        }
        self.last_frame_result(evm, &mut result, gas)?;
        Ok(Some(result))
    }

    /// Whether a frame would be a creation in a delegated account's own name.
    fn is_refused(
        &self,
        machine: &mut Machine<'a>,
        start: &FrameInit,
    ) -> Result<bool, MachineError> {
        match &start.frame_input {
            FrameInput::Create(inputs) if self.own && start.depth > 0 => {
                is_delegated(machine, inputs.caller())
            }
            FrameInput::Create(_) | FrameInput::Call(_) | FrameInput::Empty => Ok(false),
        }
    }

    /// Starts a frame; a result instead of a frame is final for it.
    fn start_frame(
        &self,
        machine: &mut Machine<'a>,
        start: FrameInit,
    ) -> Result<Option<FrameResult>, MachineError> {
        if self.is_refused(machine, &start)?
            && let FrameInput::Create(inputs) = &start.frame_input
        {
            return Ok(Some(refuse_creation(inputs)));
        }
        let payer = note_payment(machine, &start.frame_input);
        Ok(match machine.frame_init(start)? {
            ItemOrResult::Item(_) => None,
            ItemOrResult::Result(result) => {
                note_failed_payment(machine, payer, &result);
                Some(result)
            }
        })
    }

    /// The first delegated account, by address, that fell below its reserve.
    fn find_broken_reserve(
        &self,
        machine: &mut Machine<'a>,
    ) -> Result<Option<Address>, MachineError> {
        let sender = machine.ctx.tx.caller();
        let fee = fee_paid_up_front(machine);
        let reserve = self.chain.protocol.reserve;
        let mut spenders: Vec<Spender> = machine
            .ctx
            .journaled_state
            .state
            .iter()
            .filter_map(|(address, account)| {
                let before = account.original_info();
                let own_fee = if *address == sender { fee } else { U256::ZERO };
                let kept = account.info.balance.saturating_add(own_fee);
                (kept < before.balance).then_some(Spender {
                    address: *address,
                    is_below: kept < reserve.min(before.balance),
                    code_hashes: [before.code_hash, account.info.code_hash],
                })
            })
            .collect();
        spenders.sort_unstable();
        let mut broken = None;
        for spender in spenders {
            let address = spender.address;
            let [before, after] = spender.code_hashes;
            if is_delegation(machine, &address, before)? || is_delegation(machine, &address, after)?
            {
                // Whether it stays above its reserve depends on what it had.
                notes(machine).observe(address);
                broken = broken.or(spender.is_below.then_some(address));
            }
        }
        Ok(broken)
    }

    /// Reverts what the frames did if an account's reserve was broken; authorizations, fee and
    /// nonce stay, as they do when a transaction reverts on Ethereum.
    fn keep_reserves(
        &mut self,
        machine: &mut Machine<'a>,
        checkpoint: JournalCheckpoint,
        result: &mut FrameResult,
    ) -> Result<(), MachineError> {
        self.reserve_broken_by = match result.instruction_result().is_ok() {
            true => self.find_broken_reserve(machine)?,
            false => None,
        };
        if self.reserve_broken_by.is_none() {
            machine.ctx.journaled_state.checkpoint_commit();
            return Ok(());
        }
        machine.ctx.journaled_state.checkpoint_revert(checkpoint);
        let outcome = result.interpreter_result_mut();
        outcome.result = InstructionResult::Revert;
        outcome.output = Bytes::new();
        if let FrameResult::Create(created) = result {
            created.address = None;
        }
        Ok(())
    }
}

impl<'a> Handler for TransactionRules<'a> {
    type Evm = Machine<'a>;
    type Error = MachineError;
    type HaltReason = HaltReason;

    fn validate_initial_tx_gas(
        &self,
        evm: &mut Machine<'a>,
    ) -> Result<InitialAndFloorGas, MachineError> {
        let ctx = &evm.ctx;
        let mut gas = validation::validate_initial_tx_gas_with_gas_params(
            &ctx.tx,
            ctx.cfg.spec,
            ctx.cfg.gas_params(),
            false,
            false,
            ctx.cfg.tx_gas_limit_cap(),
            None,
        )?;
        if self.charges_floor {
            let floor = self.chain.charged_gas(0, ctx.tx.gas_limit);
            gas.set_floor_gas(gas.floor_gas().max(floor));
        }
        Ok(gas)
    }

    fn validate_against_state_and_deduct_caller(
        &self,
        evm: &mut Machine<'a>,
        _gas: &mut InitialAndFloorGas,
    ) -> Result<(), MachineError> {
        if !self.own || !is_delegated(evm, evm.ctx.tx.caller())? {
            return pre_execution::validate_against_state_and_deduct_caller(&mut evm.ctx);
        }
        // Others may spend a delegated sender's balance before this transaction runs, except for
        // the reserve, which covers gas. So gas is all that has to be there.
        let max_fee = U256::from(evm.ctx.tx.gas_limit)
            .saturating_mul(U256::from(evm.ctx.tx.max_fee_per_gas()));
        let fee = fee_paid_up_front(evm);
        let (_, tx, cfg, journal, _, _) = evm.ctx.all_mut();
        let mut sender = journal.load_account_with_code_mut(tx.caller())?.data;
        pre_execution::validate_account_nonce_and_code_with_components(
            &sender.account().info,
            tx,
            cfg,
        )?;
        let balance = *sender.balance();
        if balance < max_fee {
            return Err(InvalidTransaction::LackOfFundForMaxFee {
                fee: Box::new(max_fee),
                balance: Box::new(balance),
            }
            .into());
        }
        sender.set_balance(balance.saturating_sub(fee));
        if tx.kind().is_call() {
            sender.bump_nonce();
        }
        Ok(())
    }

    fn execution(
        &mut self,
        evm: &mut Machine<'a>,
        checkpoint: JournalCheckpoint,
        gas: &mut GasTracker,
    ) -> Result<Option<FrameResult>, MachineError> {
        self.execute(evm, checkpoint, gas, Self::run_exec_loop)
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Machine<'a>,
        result: &mut FrameResult,
    ) -> Result<(), MachineError> {
        if !evm.ctx.journaled_state.database.notes.relaxed {
            return Ok(post_execution::reward_beneficiary(
                &mut evm.ctx,
                result.gas(),
            )?);
        }
        let base_fee = u128::from(evm.ctx.block.basefee());
        let price = evm.ctx.tx.effective_gas_price(base_fee);
        let tip = match evm.ctx.cfg.spec.is_enabled_in(SpecId::LONDON) {
            true => price.saturating_sub(base_fee),
            false => price,
        };
        let gas = result.gas();
        let used = gas.used().saturating_sub(gas.reservoir());
        notes(evm).tip = U256::from(tip.wrapping_mul(u128::from(used)));
        Ok(())
    }

    fn run_exec_loop(
        &mut self,
        evm: &mut Machine<'a>,
        first: FrameInit,
    ) -> Result<FrameResult, MachineError> {
        if let Some(result) = self.start_frame(evm, first)? {
            return Ok(result);
        }
        loop {
            let result = match evm.frame_run()? {
                ItemOrResult::Result(result) => result,
                ItemOrResult::Item(start) => match self.start_frame(evm, start)? {
                    Some(result) => result,
                    None => continue,
                },
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }
}

/// An account that has less after a transaction's frames than before them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Spender {
    address: Address,
    /// Whether it fell below what a delegated account has to keep.
    is_below: bool,
    /// Before and after.
    code_hashes: [B256; 2],
}

const fn notes<'m>(machine: &'m mut Machine<'_>) -> &'m mut Notes {
    &mut machine.ctx.journaled_state.database.notes
}

/// Notes what a frame is about to send, and from whom.
fn note_payment(machine: &mut Machine<'_>, input: &FrameInput) -> Option<Address> {
    let (from, value) = match input {
        FrameInput::Call(call) => (call.caller, call.value.transfer().unwrap_or_default()),
        FrameInput::Create(create) => {
            notes(machine).create(create.caller());
            (create.caller(), create.value())
        }
        FrameInput::Empty => return None,
    };
    notes(machine).send(from, value);
    Some(from)
}

/// A payment that fails tells the payer's frame what the balance was not.
fn note_failed_payment(machine: &mut Machine<'_>, payer: Option<Address>, result: &FrameResult) {
    let notes = notes(machine);
    match (result.instruction_result(), payer) {
        (InstructionResult::OutOfFunds, Some(payer)) => notes.observe(payer),
        (InstructionResult::OverflowPayment, _) => notes.observes_all = true,
        _ => {}
    }
}

/// What was taken from the sender before execution; the unused part comes back later.
fn fee_paid_up_front(machine: &Machine<'_>) -> U256 {
    let base_fee = u128::from(machine.ctx.block.basefee());
    let price = machine.ctx.tx.effective_gas_price(base_fee);
    U256::from(machine.ctx.tx.gas_limit).saturating_mul(U256::from(price))
}

fn is_delegated(machine: &mut Machine<'_>, address: Address) -> Result<bool, MachineError> {
    let account = machine
        .ctx
        .journaled_state
        .load_account_with_code(address)?;
    let code = account.data.info.code.as_ref();
    Ok(code.is_some_and(revm::bytecode::Bytecode::is_eip7702))
}

/// Whether the code with this hash, which `address` has or had in this transaction, is a delegation.
fn is_delegation(
    machine: &mut Machine<'_>,
    address: &Address,
    code_hash: B256,
) -> Result<bool, MachineError> {
    if code_hash == KECCAK256_EMPTY {
        return Ok(false);
    }
    let journal = &mut machine.ctx.journaled_state;
    let present = journal
        .inner
        .state
        .get(address)
        .map(|account| &account.info);
    if let Some(info) = present
        && info.code_hash == code_hash
        && let Some(code) = &info.code
    {
        return Ok(code.is_eip7702());
    }
    Ok(journal.database.code_by_hash(code_hash)?.is_eip7702())
}

/// A creation transaction always uses its nonce, also when the creation never started or its
/// effects were taken back.
fn count_creation(machine: &mut Machine<'_>) -> Result<(), MachineError> {
    let (_, tx, _, journal, _, _) = machine.ctx.all_mut();
    if tx.kind().is_create() {
        let mut sender = journal.load_account_mut(tx.caller())?.data;
        if sender.nonce() == tx.nonce() {
            sender.bump_nonce();
        }
    }
    Ok(())
}

/// The creation fails as if its code had reverted: it yields no address and keeps its gas.
fn refuse_creation(inputs: &CreateInputs) -> FrameResult {
    FrameResult::Create(CreateOutcome::new(
        InterpreterResult {
            result: InstructionResult::Revert,
            output: Bytes::new(),
            gas: Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir()),
        },
        None,
    ))
}
