//! One block, one encoding; and whatever bytes arrive, an error or a block, never a panic.

use super::*;
use crate::{
    ExecutionResult, certificate::result_scheme, crypto::PrivateKey, crypto::genesis_context,
    limits,
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, TxKind};
use commonware_codec::{Copying, Decode};
use commonware_cryptography::{Signer as _, certificate::Scheme as _};
use commonware_parallel::Sequential;
use commonware_utils::{iter::NonEmpty, ordered::Set};
use proptest::prelude::*;

const LIMITS: BlockLimits = BlockLimits {
    body_bytes_max: 1 << 20,
    validators: 4,
    section: crate::shard::SectionLimits::NONE,
};

fn transaction(nonce: u64, input: Vec<u8>) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(7)),
        input: input.into(),
        ..Default::default()
    };
    let signature = Signature::new(U256::from(5), U256::from(6), nonce % 2 == 1);
    let envelope = crate::transaction::Envelope::from(unsigned.into_signed(signature));
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

fn certificate() -> ResultSignatures {
    let keys: Vec<_> = (0..4).map(PrivateKey::from_seed).collect();
    let validators: Set<_> = keys
        .iter()
        .map(|key| key.public_key())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let result = ExecutionResult {
        height: 3,
        block_hash: B256::repeat_byte(3),
    };
    let schemes: Vec<_> = keys
        .into_iter()
        .map(|key| result_scheme(&B256::ZERO, validators.clone(), Some(key)))
        .collect();
    let attestations = schemes[..3]
        .iter()
        .map(|scheme| scheme.sign::<BlockDigest>(&result).unwrap());
    schemes[0]
        .assemble(NonEmpty::try_new(attestations).unwrap(), &Sequential)
        .unwrap()
}

fn header(certificate: Option<ResultSignatures>) -> Header {
    Header {
        context: genesis_context(),
        height: 9,
        timestamp_ms: 1_234,
        proposer: Address::repeat_byte(1),
        base_fee: 7,
        gas_budget: 30_000_000,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::repeat_byte(2),
        executed: ExecutedRef {
            height: 3,
            block_hash: B256::repeat_byte(3),
            certificate,
        },
    }
}

fn block(transactions: usize) -> Block {
    let transactions = (0..transactions as u64)
        .map(|nonce| transaction(nonce, vec![1; 40]))
        .collect();
    let directives = vec![
        Directive::SetBalance(Address::repeat_byte(1), U256::from(3)),
        Directive::SetNonce(Address::repeat_byte(2), 4),
        Directive::SetCode(Address::repeat_byte(3), Bytes::from_static(b"code")),
        Directive::SetStorage(Address::repeat_byte(4), U256::from(1), U256::from(2)),
    ];
    Block::new(header(Some(certificate())), transactions, directives)
}

fn decode(bytes: &[u8]) -> Result<Block, commonware_codec::Error> {
    Block::decode_cfg(Copying(bytes), &LIMITS)
}

#[test]
fn a_block_reads_back_as_it_was_written() {
    let block = block(3);
    let bytes = block.encode();
    assert_eq!(decode(&bytes).unwrap(), block);
    assert!(bytes.len() <= Block::max_encode_size(&LIMITS));
    assert_eq!(block.header().gas_limits_sum, 63_000);
}

#[test]
fn a_header_cannot_be_moved_to_another_body() {
    let (one, two) = (block(1), block(2));
    let mut bytes = one.header().encode().to_vec();
    bytes.extend_from_slice(&two.encode()[two.header().encode_size()..]);
    assert!(decode(&bytes).is_err());
}

#[test]
fn every_header_field_is_in_the_digest() {
    let digest = |change: fn(&mut Header)| {
        let mut header = header(None);
        change(&mut header);
        Block::new(header, Vec::new(), Vec::new()).digest()
    };
    let changes: [fn(&mut Header); 9] = [
        |_| {},
        |header| header.height += 1,
        |header| header.timestamp_ms += 1,
        |header| header.proposer = Address::ZERO,
        |header| header.base_fee += 1,
        |header| header.gas_budget += 1,
        |header| header.ledger_digest = B256::ZERO,
        |header| header.executed.height += 1,
        |header| header.executed.certificate = Some(certificate()),
    ];
    let mut digests: Vec<_> = changes.into_iter().map(digest).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), changes.len());
}

#[test]
fn a_body_above_its_limit_is_refused() {
    let bytes = block(3).encode();
    let small = BlockLimits {
        body_bytes_max: 200,
        ..LIMITS
    };
    assert!(Block::decode_cfg(Copying(bytes.as_ref()), &small).is_err());
}

/// The second way to read a block: through its bytes.
fn joined(
    header: &Header,
    body: (&[Transaction], &[Directive]),
    limits: &BlockLimits,
) -> Result<Block, BodyError> {
    let section = crate::shard::ShardSection::default();
    Block::join(
        header.clone(),
        body.0.to_vec(),
        body.1.to_vec(),
        section,
        limits,
    )
}

#[test]
fn a_header_joins_its_own_body_and_no_other() {
    let (one, two) = (block(1), block(2));
    let body = (two.transactions(), two.directives());
    assert_eq!(joined(two.header(), body, &LIMITS), Ok(two.clone()));
    assert_eq!(two.header().digest(), two.digest());
    assert_eq!(
        joined(one.header(), body, &LIMITS),
        Err(BodyError::Mismatch)
    );
    let reversed: Vec<_> = two.transactions().iter().rev().cloned().collect();
    let body = (reversed.as_slice(), two.directives());
    assert_eq!(
        joined(two.header(), body, &LIMITS),
        Err(BodyError::Mismatch)
    );
    let mut header = two.header().clone();
    header.gas_limits_sum += 1;
    let body = (two.transactions(), two.directives());
    assert_eq!(joined(&header, body, &LIMITS), Err(BodyError::Mismatch));
}

#[test]
fn what_joins_is_what_decodes() {
    let block = block(3);
    let (bytes, body) = (block.encode(), (block.transactions(), block.directives()));
    let largest = u32::try_from(block.body_size()).unwrap();
    for body_bytes_max in [largest - 1, largest, largest + 1] {
        let limits = BlockLimits {
            body_bytes_max,
            ..LIMITS
        };
        let decoded = Block::decode_cfg(Copying(bytes.as_ref()), &limits);
        let joined = joined(block.header(), body, &limits);
        assert_eq!(decoded.is_ok(), body_bytes_max >= largest);
        assert_eq!(decoded.ok(), joined.ok());
    }
    let many = vec![Directive::SetNonce(Address::ZERO, 0); limits::DIRECTIVES_MAX + 1];
    let sealed = Block::new(header(None), Vec::new(), many.clone());
    let error = BodyError::TooMany {
        transactions: 0,
        directives: limits::DIRECTIVES_MAX + 1,
    };
    assert_eq!(joined(sealed.header(), (&[], &many), &LIMITS), Err(error));
    assert!(decode(&sealed.encode()).is_err());
}

proptest! {
    #[test]
    fn damaged_bytes_are_an_error_or_the_one_encoding_of_a_block(
        position in 0_usize..10_000,
        flip in 1_u8..,
        cut in 0_usize..10_000,
    ) {
        let mut bytes = block(2).encode().to_vec();
        let position = position % bytes.len();
        bytes[position] ^= flip;
        bytes.truncate(bytes.len() - cut % 3);
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(read.encode().to_vec(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(decode(&bytes).is_err());
    }
}
