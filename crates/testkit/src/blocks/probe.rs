//! Contracts of a few bytes that look where transactions meet: balances, code, gas, lives.
//!
//! No byte is newer than Spurious Dragon unless the probe says so, and none reverts its caller.
//! Stored words show afterwards what each probe saw.

use alloy_primitives::{Address, Bytes, U256, address, hex, keccak256};

/// A probe and its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) address: Address,
    pub(super) code: &'static [u8],
}

/// Stores the balance of the account in its first word at the slot in its second.
pub(super) const BALANCE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000001"),
    code: &hex!("600035316020355500"),
};
/// Stores its own balance (`ADDRESS BALANCE`), after it took what was sent.
pub(super) const OWN_BALANCE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000002"),
    code: &hex!("303160005500"),
};
/// The same with `SELFBALANCE` (Istanbul).
pub(super) const SELF_BALANCE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000003"),
    code: &hex!("4760005500"),
};
/// Stores the fee receiver's balance.
pub(super) const COINBASE_BALANCE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000004"),
    code: &hex!("413160005500"),
};
/// Stores the size of the code in its first word at the slot in its second.
pub(super) const CODE_SIZE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000005"),
    code: &hex!("6000353b6020355500"),
};
/// Stores the hash of the code in its first word at the slot in its second (Petersburg).
pub(super) const CODE_HASH: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000006"),
    code: &hex!("6000353f6020355500"),
};
/// Passes what is sent on to the fee receiver.
pub(super) const PAY_COINBASE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000007"),
    code: &hex!("600060006000600034415af160005500"),
};
/// Sends the wei in its second word to the account in its first; stores whether that went well.
pub(super) const FORWARD: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000008"),
    code: &hex!("60006000600060006020356000355af160005500"),
};
/// Adds one to slot 0, and stores the gas that is left at slot 1: less, when the slot was empty.
pub(super) const GAS: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000009"),
    code: &hex!("6000546001016000555a60015500"),
};
/// Never ends.
pub(super) const LOOP: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000a"),
    code: &hex!("5b600056"),
};
/// Writes, then reverts with the gas that is left (Byzantium; a halt before).
pub(super) const REVERT: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000b"),
    code: &hex!("60016000555a60005260206000fd"),
};
/// Reverts when the fee receiver's balance is odd, else stores it.
pub(super) const REVERT_IF_ODD: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000c"),
    code: &hex!("4131600116600e574131600055005b60006000fd"),
};
/// Calls itself with all the gas it has.
pub(super) const RECURSE: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000d"),
    code: &hex!("60006000600060006000305af15000"),
};
/// Adds one to slot 0, then calls itself.
pub(super) const RECURSE_AND_COUNT: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000e"),
    code: &hex!("60005460010160005560006000600060006000305af15000"),
};
/// Adds one to slot 0 and logs.
pub(super) const COUNT: Probe = Probe {
    address: address!("ab0000000000000000000000000000000000000f"),
    code: &hex!("60005460010160005560006000a000"),
};
/// Adds one to slot 0, and stores the caller at slot 1 or 2, whichever the count was.
pub(super) const BRANCH: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000010"),
    code: &hex!("6000548060011660010133905560010160005500"),
};
/// Clears slot 0, or sets it when it was clear.
pub(super) const TOGGLE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000011"),
    code: &hex!("6000541560005500"),
};
/// Stores the transient slot 0, which is always empty then, and sets it (Cancun).
pub(super) const TRANSIENT: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000012"),
    code: &hex!("60005c600055600160005d00"),
};
/// Stores the hash of the parent.
pub(super) const PARENT_HASH: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000013"),
    code: &hex!("600143034060005500"),
};
/// Creates what its input says with what is sent, and stores the address.
pub(super) const CREATOR: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000014"),
    code: &hex!("36600060003736600034f060005500"),
};
/// The same with `CREATE2` and salt 0 (Petersburg).
pub(super) const CREATOR2: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000015"),
    code: &hex!("366000600037600036600034f560005500"),
};
/// The same, then calls the child with the caller's address, which destroys a [`LIFE`].
pub(super) const CREATOR2_DESTROYS: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000016"),
    code: &hex!("366000600037600036600034f53360005260006000602060006000855af15060005500"),
};
/// Without input adds one to slot 1; with input destroys itself in favour of its first word.
pub(super) const LIFE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000017"),
    code: &hex!("36600e57600154600101600155005b600035ff"),
};
/// Runs the code in its first word as its own, and stores whether that went well at slot 5.
pub(super) const DELEGATE: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000018"),
    code: &hex!("60006000600060006000355af460055500"),
};
/// Sends all it has to the caller.
pub(super) const DRAIN: Probe = Probe {
    address: address!("ab00000000000000000000000000000000000019"),
    code: &hex!("60006000600060003031335af160005500"),
};

/// Every probe.
pub(super) const PROBES: [Probe; 25] = [
    BALANCE,
    OWN_BALANCE,
    SELF_BALANCE,
    COINBASE_BALANCE,
    CODE_SIZE,
    CODE_HASH,
    PAY_COINBASE,
    FORWARD,
    GAS,
    LOOP,
    REVERT,
    REVERT_IF_ODD,
    RECURSE,
    RECURSE_AND_COUNT,
    COUNT,
    BRANCH,
    TOGGLE,
    TRANSIENT,
    PARENT_HASH,
    CREATOR,
    CREATOR2,
    CREATOR2_DESTROYS,
    LIFE,
    DELEGATE,
    DRAIN,
];

/// Init code of a [`LIFE`]: adds one to slot 0, which makes 1 in every new life.
pub(super) const LIFE_INIT: &[u8] =
    &hex!("6000546001016000556013601560003960136000f336600e57600154600101600155005b600035ff");
/// Init code that destroys what it makes.
pub(super) const MAYFLY_INIT: &[u8] = &hex!("33ff");
/// Init code that reverts.
pub(super) const REVERTING_INIT: &[u8] = &hex!("60006000fd");
/// Init code whose result is refused since London.
pub(super) const REFUSED_INIT: &[u8] = &hex!("60ef60005360016000f3");

/// Two words of input.
pub(super) fn words(first: Address, second: U256) -> Bytes {
    [first.into_word().0, second.to_be_bytes()].concat().into()
}

/// Where a creator's child of salt 0 is.
pub(super) fn child(creator: Probe, init: &[u8]) -> Address {
    creator.address.create2([0; 32], keccak256(init))
}
