//! The ledger's rules.

use super::{Authority, CheckedSection, Ledger, LedgerRules, RelayStep, ShardTerms};
use alloy_primitives::B256;
use primitives::shard::{ShardId, ShardNamespace, ShardSection};

fn terms() -> ShardTerms {
    ShardTerms {
        genesis_hash: B256::repeat_byte(1),
        genesis_root: B256::repeat_byte(2),
        genesis_ms: 0,
        rules: B256::repeat_byte(3),
        gas_limit: 30_000_000,
        collators: Vec::new(),
    }
}

#[test]
fn r8_empty_blocks_are_deterministic_and_change_the_digest() {
    let rules = LedgerRules::asynchronous(4);
    let ledger = Ledger::genesis(rules, 0, [(ShardId(1), terms(), 1)]).unwrap();
    let authority = Authority {
        namespace: ShardNamespace::new(&B256::ZERO),
        validators: Vec::new(),
    };
    let section = CheckedSection::check(ShardSection::default(), &ledger, &authority).unwrap();
    let step = RelayStep {
        height: 1,
        parent_digest: B256::ZERO,
        timestamp_ms: 1,
        section: &section,
    };
    let (first, events) = ledger.apply(&step).unwrap();
    assert_eq!(ledger.apply(&step).unwrap().0, first);
    assert_ne!(first.digest(), ledger.digest());
    assert_eq!(events, []);
    assert!(first.apply(&step).is_err());
}
