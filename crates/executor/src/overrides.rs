//! What a call may pretend about the state and the block.

use crate::{fault::ExecutionFault, input::BlockEnvironment, overlay::Overlay};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::BTreeMap;

/// Everything a call pretends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Accounts that differ.
    pub state: BTreeMap<Address, AccountOverride>,
    /// How the block differs.
    pub block: BlockOverrides,
}

/// How one account differs; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Wei.
    pub balance: Option<U256>,
    /// Transaction count.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage: what is not listed is zero.
    pub state: Option<BTreeMap<U256, U256>>,
    /// Slots that differ; others stay.
    pub state_diff: BTreeMap<U256, U256>,
}

/// How the block differs; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// Block number.
    pub height: Option<u64>,
    /// Seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// Fee recipient.
    pub beneficiary: Option<Address>,
    /// Block gas limit.
    pub gas_limit: Option<u64>,
    /// Base fee, in wei.
    pub base_fee: Option<u64>,
    /// What `PREVRANDAO` returns.
    pub prevrandao: Option<B256>,
    /// What `BLOCKHASH` returns.
    pub block_hashes: BTreeMap<u64, B256>,
}

impl BlockOverrides {
    /// The environment with the differences in place.
    #[must_use]
    pub fn applied_to(&self, environment: &BlockEnvironment) -> BlockEnvironment {
        BlockEnvironment {
            height: self.height.unwrap_or(environment.height),
            timestamp: self.timestamp.unwrap_or(environment.timestamp),
            beneficiary: self.beneficiary.unwrap_or(environment.beneficiary),
            gas_limit: self.gas_limit.unwrap_or(environment.gas_limit),
            base_fee: self.base_fee.unwrap_or(environment.base_fee),
            prevrandao: self.prevrandao.unwrap_or(environment.prevrandao),
            ..*environment
        }
    }
}

impl Overrides {
    /// Puts the differences into an overlay.
    pub(crate) fn apply(&self, overlay: &mut Overlay<'_>) -> Result<(), ExecutionFault> {
        for (height, hash) in &self.block.block_hashes {
            overlay.set_block_hash(*height, *hash);
        }
        for (address, account) in &self.state {
            account.apply(address, overlay)?;
        }
        Ok(())
    }
}

impl AccountOverride {
    fn apply(&self, address: &Address, overlay: &mut Overlay<'_>) -> Result<(), ExecutionFault> {
        overlay.edit(address, |account| {
            account.balance = self.balance.unwrap_or(account.balance);
            account.nonce = self.nonce.unwrap_or(account.nonce);
        })?;
        if let Some(code) = &self.code {
            overlay.set_code(address, code.clone())?;
        }
        if self.state.is_some() {
            overlay.wipe_storage(address)?;
        }
        let whole = self.state.iter().flatten();
        for (slot, value) in whole.chain(&self.state_diff) {
            overlay.set_storage(address, *slot, *value)?;
        }
        Ok(())
    }
}
