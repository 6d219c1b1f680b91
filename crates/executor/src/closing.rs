//! A whole block of Ethereum: its transactions, and what it does itself after them.
//!
//! ```text
//! system calls ─▶ transactions ─▶ withdrawals (EIP-4895) ─▶ requests (EIP-7002, EIP-7251) ─▶ diff, receipts
//! ```
//! Chains of our own have neither withdrawals nor requests: this is for blocks that come from elsewhere, with
//! the whole state. In order, on the calling thread.

use crate::{
    conformance::Fork, executed::ExecutedBlock, fault::ExecutionFault, input::ExecutionInput,
    sequential::InOrder, system, transfer::Transfers,
};
use alloy_eips::{
    eip4895::Withdrawal,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
};
use alloy_primitives::{Address, Bytes, U256};
use state::StateReader;

/// Wei of the unit that withdrawals are counted in.
const GWEI: u64 = 1_000_000_000;
/// The contracts that are asked for requests, in order of the requests' types.
const ASKED: [(u8, Address); 2] = [
    (
        WITHDRAWAL_REQUEST_TYPE,
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    ),
    (
        CONSOLIDATION_REQUEST_TYPE,
        CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    ),
];

/// An executed block of Ethereum.
#[derive(Clone, Debug)]
pub struct EthereumBlock {
    /// What came of it.
    pub executed: ExecutedBlock,
    /// What its contracts ask of the consensus layer, by type and without deposits, which are logs.
    pub requests: Vec<(u8, Bytes)>,
}

/// Executes a block of Ethereum over the state before it.
///
/// # Errors
/// When this node's state cannot be read, or the input is cancelled; no transaction can cause one.
pub fn execute_ethereum(
    input: &ExecutionInput<'_>,
    state: &impl StateReader,
    withdrawals: &[Withdrawal],
) -> Result<EthereumBlock, ExecutionFault> {
    let mut block = InOrder::open(input, state)?;
    let transfers = Transfers::new(input);
    for transaction in input.transactions {
        block.execute(transaction, transfers.recognise(transaction).as_ref(), ())?;
    }
    let machine = block.after_transactions();
    for withdrawal in withdrawals {
        let wei = U256::from(withdrawal.amount).saturating_mul(U256::from(GWEI));
        machine.overlay().edit(&withdrawal.address, |account| {
            account.balance = account.balance.saturating_add(wei);
        })?;
    }
    let mut requests = Vec::new();
    if input.ethereum.unwrap_or_default().fork >= Fork::Prague {
        for (kind, contract) in ASKED {
            requests.push((kind, system::call(machine, contract, Bytes::new())?));
        }
    }
    Ok(EthereumBlock {
        executed: block.into_block(),
        requests,
    })
}
