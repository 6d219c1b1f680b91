//! What a random block may contain on purpose.

/// Something that a random block is there to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// The chain's own rules.
    OwnRules,
    /// Ethereum's rules of Cancun or later.
    EthereumRules,
    /// Ethereum's rules before Cancun.
    OldFork,
    /// The charged gas has a floor.
    GasChargeFloor,
    /// Delegated accounts keep nothing.
    NoReserve,
    /// Directives come first.
    Directives,
    /// A base fee of zero.
    NoBaseFee,
    /// The fee receiver is a contract.
    FeeReceiverIsContract,
    /// The fee receiver does not exist before the block.
    FeeReceiverIsNobody,
    /// The fee receiver sends.
    FeeReceiverSends,
    /// A transaction of type 0.
    Legacy,
    /// A transaction of type 1.
    AccessListType,
    /// A transaction of type 2.
    DynamicFee,
    /// A transaction of type 4.
    Authorizing,
    /// A list of accounts and slots that is not empty.
    AccessList,
    /// The fee receiver gets nothing.
    NoPriorityFee,
    /// Coins to oneself.
    SelfTransfer,
    /// Coins to a contract.
    PaysContract,
    /// Coins to the fee receiver.
    PaysFeeReceiver,
    /// Coins to a precompile.
    PaysPrecompile,
    /// Coins to an account that does not exist.
    PaysNobody,
    /// A transfer of nothing.
    ZeroValue,
    /// A transfer of all that is left after gas.
    Drain,
    /// A sender that got its money earlier in the block.
    PaidEarlier,
    /// A token transfer.
    Token,
    /// A token transfer that an allowance pays.
    TokenAllowance,
    /// A swap.
    Swap,
    /// A mint with a counter.
    Mint,
    /// A vote.
    Vote,
    /// A transaction that creates.
    Creation,
    /// A contract that creates.
    Create,
    /// A contract that creates at an address it can repeat.
    Create2,
    /// A child that was paid before it existed.
    PaidBeforeCreation,
    /// A contract destroys itself.
    SelfDestruct,
    /// A contract destroys itself in favour of itself.
    SelfDestructToSelf,
    /// What was destroyed is created again.
    Recreation,
    /// What creations make again was there before the block, with storage.
    BornBefore,
    /// Created and destroyed by one transaction.
    CreateAndDestroy,
    /// The `Factory`.
    Factory,
    /// A probe reads the balance of an account.
    ReadsBalance,
    /// A probe reads its own balance.
    ReadsOwnBalance,
    /// A probe reads the fee receiver's balance.
    ReadsFeeReceiver,
    /// A probe reads the code of an account.
    ReadsCode,
    /// A probe pays the fee receiver.
    CallPaysFeeReceiver,
    /// A probe sends what it may not have.
    ValueCall,
    /// What is stored depends on the gas that is left.
    GasDependent,
    /// Which slot is written depends on what was written before.
    Branch,
    /// A slot is cleared and set.
    Refund,
    /// Too little gas.
    OutOfGas,
    /// A revert.
    Revert,
    /// A revert that depends on the fees paid so far.
    RevertByFees,
    /// Frames upon frames.
    DeepRecursion,
    /// Foreign code on own storage.
    DelegateCall,
    /// Transient storage, or the hash of the parent.
    BlockScope,
    /// An account delegates.
    Authorization,
    /// An account takes its delegation back.
    ClearsDelegation,
    /// A sender delegates itself.
    SelfSponsored,
    /// An authorization that was used, or is for another chain.
    StaleAuthorization,
    /// An account that delegated in this block sends.
    AuthoritySends,
    /// Others spend a delegated account's money.
    DelegatedSpends,
    /// A delegated account creates.
    DelegatedCreates,
    /// A delegated account destroys itself, or counts.
    DelegatedRuns,
    /// A nonce that is not the sender's.
    WrongNonce,
    /// More than the sender has.
    Unaffordable,
    /// A price below the base fee.
    FeeTooLow,
    /// A sender with code.
    SenderIsContract,
    /// A sender without a key, on a development chain.
    Impersonated,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 67] = [
        Self::OwnRules,
        Self::EthereumRules,
        Self::OldFork,
        Self::GasChargeFloor,
        Self::NoReserve,
        Self::Directives,
        Self::NoBaseFee,
        Self::FeeReceiverIsContract,
        Self::FeeReceiverIsNobody,
        Self::FeeReceiverSends,
        Self::Legacy,
        Self::AccessListType,
        Self::DynamicFee,
        Self::Authorizing,
        Self::AccessList,
        Self::NoPriorityFee,
        Self::SelfTransfer,
        Self::PaysContract,
        Self::PaysFeeReceiver,
        Self::PaysPrecompile,
        Self::PaysNobody,
        Self::ZeroValue,
        Self::Drain,
        Self::PaidEarlier,
        Self::Token,
        Self::TokenAllowance,
        Self::Swap,
        Self::Mint,
        Self::Vote,
        Self::Creation,
        Self::Create,
        Self::Create2,
        Self::PaidBeforeCreation,
        Self::SelfDestruct,
        Self::SelfDestructToSelf,
        Self::Recreation,
        Self::BornBefore,
        Self::CreateAndDestroy,
        Self::Factory,
        Self::ReadsBalance,
        Self::ReadsOwnBalance,
        Self::ReadsFeeReceiver,
        Self::ReadsCode,
        Self::CallPaysFeeReceiver,
        Self::ValueCall,
        Self::GasDependent,
        Self::Branch,
        Self::Refund,
        Self::OutOfGas,
        Self::Revert,
        Self::RevertByFees,
        Self::DeepRecursion,
        Self::DelegateCall,
        Self::BlockScope,
        Self::Authorization,
        Self::ClearsDelegation,
        Self::SelfSponsored,
        Self::StaleAuthorization,
        Self::AuthoritySends,
        Self::DelegatedSpends,
        Self::DelegatedCreates,
        Self::DelegatedRuns,
        Self::WrongNonce,
        Self::Unaffordable,
        Self::FeeTooLow,
        Self::SenderIsContract,
        Self::Impersonated,
    ];
}
