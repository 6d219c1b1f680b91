//! What the affordability rule needs to know of an account, read from a state.

use crate::{ReadFault, StateReader};
use alloy_primitives::Address;
use primitives::affordability::{AccountView, CodeKind};

/// Reads an account; one that does not exist has nothing.
///
/// # Errors
/// Our own storage failed.
pub fn account_view(state: &impl StateReader, address: &Address) -> Result<AccountView, ReadFault> {
    let Some(account) = state.account(address)? else {
        return Ok(AccountView::default());
    };
    let code = if account.has_code() {
        CodeKind::of(&state.code(&account.code_hash)?.unwrap_or_default())
    } else {
        CodeKind::None
    };
    Ok(AccountView {
        nonce: account.nonce,
        balance: account.balance,
        code,
    })
}
