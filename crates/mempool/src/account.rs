//! What the pool needs to know of an account, read from a state.

use alloy_primitives::Address;
use primitives::affordability::{AccountView, CodeKind};
use state::{ReadFault, StateReader};

/// Reads an account; one that does not exist has nothing.
///
/// # Errors
/// Our own storage failed.
pub fn read_account(state: &impl StateReader, address: &Address) -> Result<AccountView, ReadFault> {
    let Some(account) = state.account(address)? else {
        return Ok(AccountView::default());
    };
    let code = if account.has_code() {
        let code = state.code(&account.code_hash)?;
        CodeKind::of(&code.unwrap_or_default())
    } else {
        CodeKind::None
    };
    Ok(AccountView {
        nonce: account.nonce,
        balance: account.balance,
        code,
    })
}
