//! A small chain in memory: accounts, contracts in a few bytes each, and blocks on top.

use crate::{
    BlockEnvironment, CallScene, ExecutedBlock, ExecutionInput, Overrides, Receipt,
    execute_sequential,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use primitives::{
    ChainConfig, Directive, RecoveredTransaction, chain::Protocol, transaction::Envelope,
};
use state::{Account, MemoryState, StateReader};

pub(super) const CHAIN_ID: u64 = 31_337;
pub(super) const BASE_FEE: u64 = 1_000;
pub(super) const ETHER: u64 = 1_000_000_000_000_000_000;
pub(super) const ALICE: Address = address!("a11ce00000000000000000000000000000000001");
pub(super) const BOB: Address = address!("b0b0000000000000000000000000000000000002");
pub(super) const PROPOSER: Address = address!("9900000000000000000000000000000000000009");
/// Where the draining contracts send what they take.
pub(super) const SINK: Address = address!("5100000000000000000000000000000000000005");
pub(super) const CONTRACT: Address = address!("c000000000000000000000000000000000000001");

/// Sends all the account has to [`SINK`].
pub(super) fn drain() -> Bytes {
    drain_to(SINK)
}

/// Sends all the account has to an address.
pub(super) fn drain_to(sink: Address) -> Bytes {
    let before: &[u8] = &[0x5f, 0x5f, 0x5f, 0x5f, 0x47, 0x73];
    [before, sink.as_slice(), &[0x5a, 0xf1, 0x00]]
        .concat()
        .into()
}

/// Sends as much as the first word of its input says to [`SINK`].
pub(super) fn spend() -> Bytes {
    push_sink(&[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x35], &[0x5a, 0xf1, 0x00])
}

/// Destroys itself in favour of [`SINK`].
pub(super) fn destruct() -> Bytes {
    push_sink(&[], &[0xff])
}

/// Creates an empty contract and keeps what `CREATE` returned, plus one, in slot 0; the same with
/// `CREATE2` in slot 1.
pub(super) fn create() -> Bytes {
    Bytes::from_static(&[
        0x5f, 0x5f, 0x5f, 0xf0, 0x60, 0x01, 0x01, 0x5f, 0x55, // CREATE, +1, SSTORE(0)
        0x5f, 0x5f, 0x5f, 0x5f, 0xf5, 0x60, 0x01, 0x01, 0x60, 0x01, 0x55, 0x00,
    ])
}

/// Calls the address in the first word of its input with the value in the second.
pub(super) fn forward() -> Bytes {
    Bytes::from_static(&[
        0x5f, 0x5f, 0x5f, 0x5f, 0x60, 0x20, 0x35, 0x5f, 0x35, 0x5a, 0xf1, 0x00,
    ])
}

/// Reverts with the word 42.
pub(super) fn revert() -> Bytes {
    Bytes::from_static(&[0x60, 0x2a, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xfd])
}

/// Adds one to slot 0 and emits a log.
pub(super) fn increment() -> Bytes {
    Bytes::from_static(&[
        0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x5f, 0x5f, 0xa0, 0x00,
    ])
}

fn push_sink(before: &[u8], after: &[u8]) -> Bytes {
    [before, &[0x73], SINK.as_slice(), after].concat().into()
}

/// The code of an account delegated to a contract.
pub(super) fn delegation_to(target: Address) -> Bytes {
    [&[0xef, 0x01, 0x00], target.as_slice()].concat().into()
}

/// Input of [`forward`].
pub(super) fn forward_input(to: Address, value: U256) -> Bytes {
    [to.into_word().0, value.to_be_bytes()].concat().into()
}

/// A deterministic key.
pub(super) fn signer(index: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[index.saturating_add(1); 32]).unwrap()
}

pub(super) fn authorize(
    signer: &PrivateKeySigner,
    chain_id: u64,
    target: Address,
    nonce: u64,
) -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(chain_id),
        address: target,
        nonce,
    };
    let signature = signer.sign_hash_sync(&authorization.signature_hash());
    authorization.into_signed(signature.unwrap())
}

/// A type 2 transaction that pays the base fee and two wei of priority fee per gas.
pub(crate) fn transaction(to: TxKind, value: u64, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 200_000,
        max_fee_per_gas: u128::from(BASE_FEE) + 2,
        max_priority_fee_per_gas: 2,
        to,
        value: U256::from(value),
        input,
        ..TxEip1559::default()
    }
}

pub(crate) fn sent_by(sender: Address, transaction: TxEip1559) -> RecoveredTransaction {
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Eip1559(signed), sender)
}

pub(super) fn authorizing(
    sender: Address,
    nonce: u64,
    to: Address,
    authorization_list: Vec<SignedAuthorization>,
) -> RecoveredTransaction {
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 300_000,
        max_fee_per_gas: u128::from(BASE_FEE) + 2,
        max_priority_fee_per_gas: 2,
        to,
        authorization_list,
        ..TxEip7702::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Eip7702(signed), sender)
}

/// A chain whose state every block changes.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) state: MemoryState,
    pub(super) chain: ChainConfig,
    pub(super) environment: BlockEnvironment,
}

impl World {
    /// Where calls on top of it run.
    pub(super) fn scene<'a>(&'a self, overrides: &'a Overrides) -> CallScene<'a> {
        CallScene {
            environment: &self.environment,
            chain: &self.chain,
            ethereum: None,
            state: &self.state,
            overrides,
            code_cache: None,
        }
    }

    /// Alice has ten ether, the reserve is one, nothing is charged beyond what is used.
    pub(super) fn new() -> Self {
        let chain = ChainConfig {
            chain_id: CHAIN_ID,
            gas_limit: 30_000_000,
            protocol: Protocol {
                gas_charge_floor_permille: 0,
                reserve: U256::from(ETHER),
                ..Protocol::default()
            },
        };
        let environment = BlockEnvironment {
            height: 1,
            timestamp: 1_700_000_000,
            beneficiary: PROPOSER,
            gas_limit: chain.gas_limit,
            base_fee: BASE_FEE,
            prevrandao: B256::repeat_byte(3),
            parent_hash: B256::repeat_byte(4),
            parent_beacon_root: B256::ZERO,
        };
        let world = Self {
            state: MemoryState::default(),
            chain,
            environment,
        };
        world.with_balance(ALICE, 10 * ETHER)
    }

    pub(super) fn with_balance(mut self, address: Address, balance: u64) -> Self {
        let mut account = self.account(address);
        account.balance = U256::from(balance);
        self.state.set_account(address, account);
        self
    }

    pub(super) fn with_code(mut self, address: Address, code: Bytes) -> Self {
        self.state.set_code(address, code);
        self
    }

    pub(super) fn account(&self, address: Address) -> Account {
        self.state.account(&address).unwrap().unwrap_or_default()
    }

    pub(super) fn balance(&self, address: Address) -> U256 {
        self.account(address).balance
    }

    pub(super) fn storage(&self, address: Address, slot: u64) -> U256 {
        self.state.storage(&address, &U256::from(slot)).unwrap()
    }

    pub(super) fn is_delegated(&self, address: Address) -> bool {
        let code = self.state.code(&self.account(address).code_hash).unwrap();
        code.is_some_and(|code| code.starts_with(&[0xef, 0x01, 0x00]))
    }

    /// Executes a block without applying it.
    pub(super) fn execute(
        &self,
        transactions: &[RecoveredTransaction],
        directives: &[Directive],
    ) -> ExecutedBlock {
        let environment = self.environment.clone();
        let input = ExecutionInput::new(&self.chain, environment, transactions, directives);
        execute_sequential(&input, &self.state).unwrap()
    }

    /// Executes a block, applies it, and moves on to the next height.
    pub(super) fn run(&mut self, transactions: &[RecoveredTransaction]) -> ExecutedBlock {
        let executed = self.execute(transactions, &[]);
        self.state.apply(&executed.diff);
        self.environment.height += 1;
        self.environment.parent_hash = keccak256(self.environment.parent_hash);
        executed
    }

    /// Runs one transaction that must be in order.
    pub(super) fn run_one(&mut self, transaction: RecoveredTransaction) -> Receipt {
        let executed = self.run(&[transaction]);
        assert_eq!(executed.inclusion_faults, Vec::new());
        executed.receipts.into_iter().next().unwrap()
    }
}
