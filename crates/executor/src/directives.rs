//! Changes of state that only a development chain orders.

use crate::{fault::ExecutionFault, overlay::Overlay};
use primitives::Directive;

/// Applies one directive.
pub(crate) fn apply(
    directive: &Directive,
    overlay: &mut Overlay<'_>,
) -> Result<(), ExecutionFault> {
    match directive {
        Directive::SetBalance(address, balance) => {
            overlay.edit(address, |account| account.balance = *balance)
        }
        Directive::SetNonce(address, nonce) => {
            overlay.edit(address, |account| account.nonce = *nonce)
        }
        Directive::SetCode(address, code) => overlay.set_code(address, code.clone()),
        Directive::SetStorage(address, slot, value) => overlay.set_storage(address, *slot, *value),
    }
}
