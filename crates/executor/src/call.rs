//! Running a transaction that nobody signed, and keeping nothing of it.
//!
//! `eth_call`, `eth_createAccessList` and `eth_estimateGas` come through here. The sender may be
//! anybody: signature, nonce and EIP-3607 are not looked at. The balance is, and so are this
//! chain's rules about delegated accounts, because a call that succeeds should mean that the
//! transaction would. Without a price the base fee is not asked for.
//!
//! Limits: [`CALL_GAS_MAX`] gas, whatever the request says.

use crate::{
    code::CodeCache,
    conformance::EthereumRules,
    fault::ExecutionFault,
    input::{BlockEnvironment, ExecutionInput},
    machine::{BlockMachine, NotRun, Transacted, block_env},
    overrides::Overrides,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::SignedAuthorization,
};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use primitives::ChainConfig;
use revm::{
    context::{TransactionType, TxEnv, either::Either},
    context_interface::result::{ExecutionResult, InvalidTransaction, Output},
    state::EvmState,
};
use state::StateReader;

/// Most gas a call may use.
pub const CALL_GAS_MAX: u64 = 50_000_000;

/// A transaction without a signature; absent fields take their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Sender; the zero address if absent.
    pub from: Option<Address>,
    /// Recipient; a creation if absent.
    pub to: Option<Address>,
    /// Gas limit; as much as the sender can pay for if absent.
    pub gas: Option<u64>,
    /// Price of types 0 and 1.
    pub gas_price: Option<u128>,
    /// Most the sender pays per gas.
    pub max_fee_per_gas: Option<u128>,
    /// Most of it that goes to the proposer.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei sent along.
    pub value: U256,
    /// Input or init code.
    pub input: Bytes,
    /// Nonce; the sender's next if absent.
    pub nonce: Option<u64>,
    /// Addresses and slots that start warm.
    pub access_list: Option<AccessList>,
    /// EIP-7702 authorizations.
    pub authorizations: Vec<SignedAuthorization>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// It returned.
    Success,
    /// Its code reverted; the output says why.
    Reverted,
    /// It broke a rule of the machine, or of this chain.
    Halted {
        /// Which.
        reason: String,
    },
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// How it ended.
    pub status: CallStatus,
    /// Gas used, refunds taken off; a transaction may be charged more
    /// (see [`ChainConfig::charged_gas`]).
    pub gas_used: u64,
    /// Gas it needed at its highest point, before refunds.
    pub gas_peak: u64,
    /// What it returned or reverted with.
    pub output: Bytes,
    /// Logs, if it succeeded.
    pub logs: Vec<Log>,
    /// Address of the created contract.
    pub created: Option<Address>,
    /// What it touched, as `eth_createAccessList` lists it: without the addresses that are warm
    /// anyway, unless slots of theirs were touched.
    pub access_list: AccessList,
}

/// Why a call was not run.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The sender cannot pay for it.
    #[error("insufficient funds for gas * price + value: needed={needed} available={available}")]
    InsufficientFunds {
        /// Value and the highest fee.
        needed: U256,
        /// The sender's balance.
        available: U256,
    },
    /// The gas limit does not cover what every such transaction costs.
    #[error("intrinsic gas too low: gas_limit={gas_limit} needed={needed}")]
    GasTooLow {
        /// The limit.
        gas_limit: u64,
        /// What it costs before it starts.
        needed: u64,
    },
    /// It cannot be a transaction.
    #[error("{0}")]
    Invalid(String),
    /// This node cannot go on.
    #[error(transparent)]
    Fault(#[from] ExecutionFault),
}

impl From<NotRun> for CallError {
    fn from(reason: NotRun) -> Self {
        match reason {
            NotRun::Fault(fault) => Self::Fault(fault),
            NotRun::Invalid(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
                Self::InsufficientFunds {
                    needed: *fee,
                    available: *balance,
                }
            }
            NotRun::Invalid(
                InvalidTransaction::CallGasCostMoreThanGasLimit {
                    initial_gas: needed,
                    gas_limit,
                }
                | InvalidTransaction::GasFloorMoreThanGasLimit {
                    gas_floor: needed,
                    gas_limit,
                },
            ) => Self::GasTooLow { gas_limit, needed },
            NotRun::Invalid(other) => Self::Invalid(other.to_string()),
        }
    }
}

/// Where calls run, and what they pretend.
#[derive(Clone, Copy)]
pub struct CallScene<'a> {
    /// The block that they see.
    pub environment: &'a BlockEnvironment,
    /// The rules.
    pub chain: &'a ChainConfig,
    /// Ethereum's own rules instead, on a chain that came from elsewhere.
    pub ethereum: Option<EthereumRules>,
    /// The state before them.
    pub state: &'a dyn StateReader,
    /// What they pretend of both.
    pub overrides: &'a Overrides,
    /// Analysed code of blocks and other calls; affects nothing but time.
    pub code_cache: Option<&'a CodeCache>,
}

impl std::fmt::Debug for CallScene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallScene(height={})", self.environment.height)
    }
}

/// Runs a call; nothing is kept.
///
/// # Errors
/// [`CallError`] when it cannot be run at all; a call that ran and failed is an outcome.
pub fn call(request: &CallRequest, scene: &CallScene<'_>) -> Result<CallOutcome, CallError> {
    let mut trial = Trial::new(request, scene)?;
    trial.machine.rules = trial.machine.rules.without_floor();
    let gas = trial.gas_limit(request)?;
    let Transacted { result, changes } = trial.run(gas)?;
    let access_list = trial.list_access(&changes);
    Ok(trial.outcome(result, access_list))
}

/// A call that can be run several times with different gas limits.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    pub(crate) machine: BlockMachine<'a>,
    pub(crate) transaction: TxEnv,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(request: &CallRequest, scene: &CallScene<'a>) -> Result<Self, CallError> {
        let CallScene {
            environment,
            chain,
            overrides,
            ..
        } = *scene;
        let mut input = ExecutionInput::new(chain, environment.clone(), &[], &[]);
        input.ethereum = scene.ethereum;
        input.code_cache = scene.code_cache;
        let mut machine = BlockMachine::new(&input, scene.state);
        overrides.apply(machine.overlay())?;
        let environment = overrides.block.applied_to(environment);
        machine.machine.ctx.block = block_env(&environment, &input.ethereum.unwrap_or_default());
        let cfg = &mut machine.machine.ctx.cfg;
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true;
        cfg.disable_block_gas_limit = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        let mut trial = Self {
            machine,
            transaction: TxEnv::default(),
        };
        trial.take(request, chain)?;
        Ok(trial)
    }

    /// Makes another request the one that runs next, over what was kept so far.
    pub(crate) fn take(
        &mut self,
        request: &CallRequest,
        chain: &ChainConfig,
    ) -> Result<(), CallError> {
        let sender = self.machine.overlay().account(&request.sender())?;
        self.transaction = request.to_env(chain, sender)?;
        self.machine.machine.ctx.cfg.disable_base_fee = self.transaction.gas_price == 0;
        Ok(())
    }

    /// The gas it may use: what is asked for, or as much as the sender can pay for.
    pub(crate) fn gas_limit(&mut self, request: &CallRequest) -> Result<u64, CallError> {
        Ok(match request.gas {
            Some(gas) => gas.min(CALL_GAS_MAX),
            None => CALL_GAS_MAX.min(self.gas_allowance()?),
        })
    }

    /// Runs it from the same state each time.
    pub(crate) fn run(&mut self, gas: u64) -> Result<Transacted, NotRun> {
        self.transaction.gas_limit = gas;
        self.machine.transact(self.transaction.clone())
    }

    /// Gas that the sender can pay for besides the value; unlimited without a price.
    pub(crate) fn gas_allowance(&mut self) -> Result<u64, CallError> {
        let account = self.machine.overlay().account(&self.transaction.caller)?;
        let available = account.unwrap_or_default().balance;
        let needed = self.transaction.value;
        let left = available
            .checked_sub(needed)
            .ok_or(CallError::InsufficientFunds { needed, available })?;
        let gas = left.checked_div(U256::from(self.transaction.gas_price));
        Ok(gas
            .and_then(|gas| u64::try_from(gas).ok())
            .unwrap_or(u64::MAX))
    }

    /// What a run gave, with what it touched.
    pub(crate) fn outcome(&self, result: ExecutionResult, access_list: AccessList) -> CallOutcome {
        let gas_used = result.tx_gas_used();
        let gas_peak = result.gas().total_gas_spent().max(gas_used);
        let created = result.created_address();
        let (status, output, logs) = match result {
            ExecutionResult::Success { output, logs, .. } => {
                let output = match output {
                    Output::Call(bytes) | Output::Create(bytes, _) => bytes,
                };
                (CallStatus::Success, output, logs)
            }
            ExecutionResult::Revert { output, .. } => {
                let status = match self.machine.broken_rule() {
                    Some(reason) => CallStatus::Halted { reason },
                    None => CallStatus::Reverted,
                };
                (status, output, Vec::new())
            }
            ExecutionResult::Halt { reason, .. } => {
                let reason = reason.to_string();
                (CallStatus::Halted { reason }, Bytes::new(), Vec::new())
            }
        };
        CallOutcome {
            status,
            gas_used,
            gas_peak,
            output,
            logs,
            created,
            access_list,
        }
    }

    /// What the last run touched, in order of address and slot.
    fn list_access(&self, changes: &EvmState) -> AccessList {
        let ctx = &self.machine.machine.ctx;
        let precompiles = self.machine.machine.precompiles.warm_addresses();
        let transaction = &self.transaction;
        let is_warm = |address: &Address| {
            *address == transaction.caller
                || transaction.kind.to() == Some(address)
                || *address == ctx.block.beneficiary
                || precompiles.contains(address)
        };
        let mut items: Vec<AccessListItem> = changes
            .iter()
            .filter(|(_, account)| !account.is_created())
            .filter(|(address, account)| !account.storage.is_empty() || !is_warm(address))
            .map(|(address, account)| {
                let mut storage_keys: Vec<B256> =
                    account.storage.keys().copied().map(B256::from).collect();
                storage_keys.sort_unstable();
                AccessListItem {
                    address: *address,
                    storage_keys,
                }
            })
            .collect();
        items.sort_unstable_by_key(|item| item.address);
        AccessList(items)
    }
}

impl CallRequest {
    pub(crate) fn sender(&self) -> Address {
        self.from.unwrap_or_default()
    }

    fn kind(&self) -> TransactionType {
        if !self.authorizations.is_empty() {
            TransactionType::Eip7702
        } else if self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some() {
            TransactionType::Eip1559
        } else if self.access_list.is_some() {
            TransactionType::Eip2930
        } else {
            TransactionType::Legacy
        }
    }

    fn to_env(
        &self,
        chain: &ChainConfig,
        sender: Option<state::Account>,
    ) -> Result<TxEnv, CallError> {
        let kind = self.kind();
        let has_fees = self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some();
        if self.gas_price.is_some() && has_fees {
            let message = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(CallError::Invalid(message.to_owned()));
        }
        let is_dynamic = matches!(kind, TransactionType::Eip1559 | TransactionType::Eip7702);
        let price = self.max_fee_per_gas.or(self.gas_price);
        let tip = self.max_priority_fee_per_gas.unwrap_or_default();
        Ok(TxEnv {
            tx_type: kind.into(),
            caller: self.sender(),
            gas_limit: 0,
            gas_price: price.unwrap_or(tip),
            kind: self.to.map_or(TxKind::Create, TxKind::Call),
            value: self.value,
            data: self.input.clone(),
            nonce: self
                .nonce
                .unwrap_or_else(|| sender.unwrap_or_default().nonce),
            chain_id: Some(chain.chain_id),
            access_list: self.access_list.clone().unwrap_or_default(),
            gas_priority_fee: is_dynamic.then_some(tip),
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: self
                .authorizations
                .iter()
                .cloned()
                .map(Either::Left)
                .collect(),
        })
    }
}
