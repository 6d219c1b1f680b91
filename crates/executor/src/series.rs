//! Blocks that nobody ordered: calls one after the other, in blocks one after the other.
//!
//! ```text
//! state ─▶ open ─▶ begin block: environment, overrides, system calls ─▶ call ─▶ … ─▶ begin block ─▶ …
//!                                                                       └ writes stay for the next
//! ```
//! `eth_simulateV1` comes through here. Without checks a call is what it is for `eth_call`: any nonce, no base
//! fee. With them it is a transaction, except that nobody signed it. Nothing reaches the chain.

use crate::{
    call::{CallError, CallOutcome, CallRequest, CallScene, Trial},
    conformance::EthereumRules,
    fault::ExecutionFault,
    input::{BlockEnvironment, ExecutionInput},
    machine::{NotRun, Transacted, block_env},
    overrides::Overrides,
    system,
    watch::{Budget, Eye, TraceExcess, TraceLimits, Transfers, Watcher},
};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256};
use primitives::ChainConfig;
use revm::context_interface::result::InvalidTransaction;

/// How the calls of a series run.
#[derive(Clone, Debug)]
pub struct SeriesRules {
    /// Whether nonces and fees are checked, and gas is charged as on the chain.
    pub checks: bool,
    /// Whether wei that moves is told by a log.
    pub transfers: bool,
    /// How long it may take; sizes are not looked at.
    pub limits: TraceLimits,
}

/// Which rule of Ethereum a call breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenRule {
    /// Its nonce was used.
    NonceTooLow,
    /// Its nonce is not the next.
    NonceTooHigh,
    /// It pays less than the base fee.
    FeeTooLow,
    /// Its gas limit does not cover what it costs before it starts.
    GasTooLow,
    /// Its sender cannot pay.
    Funds,
    /// Its gas limit is above the block's.
    BlockGas,
    /// Its sender has code.
    SenderHasCode,
    /// Its init code is too long.
    InitCodeTooLong,
    /// Another.
    Other,
}

/// Why a series ended early.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// A call that cannot be a transaction.
    #[error("{reason}")]
    Invalid {
        /// Which rule it breaks.
        rule: BrokenRule,
        /// What the virtual machine says.
        reason: String,
    },
    /// It took too long.
    #[error(transparent)]
    Excess(TraceExcess),
    /// This node cannot go on.
    #[error(transparent)]
    Fault(#[from] ExecutionFault),
}

impl From<NotRun> for SeriesError {
    fn from(reason: NotRun) -> Self {
        match reason {
            NotRun::Fault(fault) => Self::Fault(fault),
            NotRun::Invalid(invalid) => Self::Invalid {
                rule: broken_rule(&invalid),
                reason: invalid.to_string(),
            },
        }
    }
}

impl From<CallError> for SeriesError {
    fn from(error: CallError) -> Self {
        let reason = error.to_string();
        let rule = match error {
            CallError::Fault(fault) => return Self::Fault(fault),
            CallError::InsufficientFunds { .. } => BrokenRule::Funds,
            CallError::GasTooLow { .. } => BrokenRule::GasTooLow,
            CallError::Invalid(_) => BrokenRule::Other,
        };
        Self::Invalid { rule, reason }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of what can be wrong has no code of its own"
)]
const fn broken_rule(invalid: &InvalidTransaction) -> BrokenRule {
    match invalid {
        InvalidTransaction::NonceTooLow { .. } => BrokenRule::NonceTooLow,
        InvalidTransaction::NonceTooHigh { .. } => BrokenRule::NonceTooHigh,
        InvalidTransaction::GasPriceLessThanBasefee => BrokenRule::FeeTooLow,
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => BrokenRule::GasTooLow,
        InvalidTransaction::LackOfFundForMaxFee { .. } => BrokenRule::Funds,
        InvalidTransaction::CallerGasLimitMoreThanBlock => BrokenRule::BlockGas,
        InvalidTransaction::RejectCallerWithCode => BrokenRule::SenderHasCode,
        InvalidTransaction::CreateInitCodeSizeLimit => BrokenRule::InitCodeTooLong,
        _ => BrokenRule::Other,
    }
}

/// Blocks in the making.
#[derive(Debug)]
pub struct Series<'a> {
    trial: Trial<'a>,
    chain: &'a ChainConfig,
    ethereum: Option<EthereumRules>,
    rules: SeriesRules,
    budget: Budget,
}

impl<'a> Series<'a> {
    /// A series on top of a block and the state after it.
    ///
    /// # Errors
    /// [`SeriesError::Fault`] when the state cannot be read.
    pub fn open(scene: &CallScene<'a>, rules: SeriesRules) -> Result<Self, SeriesError> {
        let mut trial = Trial::new(&CallRequest::default(), scene)?;
        trial.machine.machine.ctx.cfg.disable_nonce_check = !rules.checks;
        if !rules.checks {
            trial.machine.rules = trial.machine.rules.without_floor();
        }
        let budget = Budget::new(rules.limits.clone());
        Ok(Self {
            trial,
            chain: scene.chain,
            ethereum: scene.ethereum,
            rules,
            budget,
        })
    }

    /// Begins the next block: what it pretends, and its system calls.
    ///
    /// # Errors
    /// [`SeriesError::Fault`] when the state cannot be read.
    pub fn begin(
        &mut self,
        environment: &BlockEnvironment,
        overrides: &Overrides,
    ) -> Result<(), SeriesError> {
        let mut input = ExecutionInput::new(self.chain, environment.clone(), &[], &[]);
        input.ethereum = self.ethereum;
        let machine = &mut self.trial.machine;
        if let Some(parent) = environment.height.checked_sub(1) {
            machine
                .overlay()
                .set_block_hash(parent, environment.parent_hash);
        }
        overrides.apply(machine.overlay())?;
        machine.machine.ctx.block = block_env(environment, &input.ethereum.unwrap_or_default());
        Ok(system::open_block(&input, machine)?)
    }

    /// Makes the hash of a block of this series known to those after it.
    pub fn end(&mut self, height: u64, hash: B256) {
        self.trial.machine.overlay().set_block_hash(height, hash);
    }

    /// The next nonce of an account.
    ///
    /// # Errors
    /// [`SeriesError::Fault`] when the state cannot be read.
    pub fn nonce(&mut self, address: &Address) -> Result<u64, SeriesError> {
        let account = self.trial.machine.overlay().account(address)?;
        Ok(account.unwrap_or_default().nonce)
    }

    /// Runs a call with so much gas, and keeps what it writes.
    ///
    /// # Errors
    /// [`SeriesError`] when it cannot be run; a call that ran and failed is an outcome.
    pub fn call(&mut self, request: &CallRequest, gas: u64) -> Result<CallOutcome, SeriesError> {
        self.budget.check_time().map_err(SeriesError::Excess)?;
        self.trial.take(request, self.chain)?;
        if self.rules.checks {
            self.trial.machine.machine.ctx.cfg.disable_base_fee = false;
        }
        self.trial.transaction.gas_limit = gas;
        let eye = match self.rules.transfers {
            true => Eye::Transfers(Transfers::default()),
            false => Eye::Result,
        };
        let budget = self.budget.clone();
        let transaction = self.trial.transaction.clone();
        let watcher = Watcher { eye, budget };
        let (ran, watcher) = self.trial.machine.watch(transaction, watcher);
        self.budget = watcher.budget;
        if let Some(excess) = self.budget.excess() {
            return Err(SeriesError::Excess(excess));
        }
        let Transacted { result, changes } = ran?;
        self.trial.machine.overlay().commit(&changes)?;
        Ok(self.trial.outcome(result, AccessList::default()))
    }
}
