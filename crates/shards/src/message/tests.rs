//! Messages have one encoding, and bounds.

use super::{
    CollationLimit, LargeMessage, Offered, SMALL_BYTES_MAX, SmallMessage, message_bytes_max,
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::PrivateKey,
    shard::{
        Bits, Coding, Descriptor, Envelope, RelayAnchor, Schedule, ShardId, ShardNamespace,
        SignedStatement, Votes,
    },
};
use proptest::prelude::*;

fn offered() -> Offered {
    let key = PrivateKey::from_seed(1);
    let descriptor = Descriptor {
        shard: ShardId(1),
        number: 2,
        parent: B256::repeat_byte(1),
        head: B256::repeat_byte(2),
        state_root: B256::repeat_byte(3),
        anchor: RelayAnchor {
            height: 4,
            digest: B256::repeat_byte(4),
        },
        rules: B256::repeat_byte(5),
        collation_hash: B256::repeat_byte(6),
        collation_bytes: 7,
        gas_used: 8,
        timestamp_ms: 9,
        collator: key.public_key(),
    };
    let signature = descriptor
        .id()
        .sign(&ShardNamespace::new(&B256::ZERO), &key);
    Offered {
        descriptor,
        schedule: Schedule { core: 1, height: 2 },
        signature,
    }
}

fn coding() -> Coding {
    Coding {
        epoch: 0,
        total: 4,
        minimum: 2,
        root: B256::repeat_byte(7),
    }
}

fn small() -> Vec<SmallMessage> {
    let offered = offered();
    let id = offered.descriptor.id();
    let signed = SignedStatement {
        envelope: Envelope {
            descriptor: offered.descriptor.clone(),
            coding: coding(),
            schedule: offered.schedule,
        },
        validator: 3,
        signature: offered.signature.clone(),
    };
    let votes = Votes {
        height: 1,
        held: Bits::below(256),
        valid: Bits::below(200),
        invalid: Bits::EMPTY,
    };
    let namespace = ShardNamespace::new(&B256::ZERO);
    let vote = votes.sign(1, &B256::ZERO, &namespace, &PrivateKey::from_seed(2));
    vec![
        SmallMessage::Statement(Box::new(signed)),
        SmallMessage::Vote(Box::new(vote)),
        SmallMessage::Renewal(Box::new(offered)),
        SmallMessage::GetCollation(id),
        SmallMessage::GetChunk {
            candidate: id,
            root: B256::repeat_byte(9),
            index: 5,
        },
    ]
}

fn large(bytes: usize) -> Vec<LargeMessage> {
    let (offered, bytes) = (offered(), Bytes::from(vec![5; bytes]));
    let candidate = offered.descriptor.id();
    let signature = Some(offered.signature.clone());
    let of = |signature| LargeMessage::Collation {
        candidate,
        signature,
        collation: bytes.clone(),
    };
    vec![
        of(signature),
        of(None),
        LargeMessage::Chunk {
            candidate,
            coding: coding(),
            index: 3,
            chunk: bytes.clone(),
        },
        LargeMessage::Offer(Box::new(offered), bytes),
    ]
}

#[test]
fn messages_read_as_they_were_written() {
    for message in small() {
        let bytes = message.encode();
        assert!(bytes.len() <= SMALL_BYTES_MAX);
        assert_eq!(SmallMessage::decode(bytes).unwrap(), message);
    }
    for message in large(100) {
        let bytes = message.encode();
        assert!(bytes.len() <= usize::try_from(message_bytes_max(100)).unwrap());
        let read = LargeMessage::decode_cfg(bytes, &CollationLimit(100));
        assert_eq!(read.unwrap(), message);
    }
}

#[test]
fn what_is_too_long_or_cut_off_does_not_read() {
    for message in large(101) {
        let read = LargeMessage::decode_cfg(message.encode(), &CollationLimit(100));
        // A chunk comes with a proof, which has room of its own.
        let chunk = matches!(message, LargeMessage::Chunk { .. });
        assert_eq!(read.is_ok(), chunk);
    }
    for message in large(50) {
        let bytes = message.encode();
        for length in 0..bytes.len() {
            let cut = bytes.slice(..length);
            assert!(LargeMessage::decode_cfg(cut, &CollationLimit(100)).is_err());
        }
    }
    for message in small() {
        let bytes = message.encode();
        for length in 0..bytes.len() {
            assert!(SmallMessage::decode(bytes.slice(..length)).is_err());
        }
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_or_means_one_thing(bytes in proptest::collection::vec(any::<u8>(), 0..80), tag in 0_u8..6) {
        let bytes: Bytes = std::iter::once(tag).chain(bytes).collect();
        if let Ok(message) = SmallMessage::decode(bytes.clone()) {
            prop_assert_eq!(&message.encode(), &bytes);
        }
        if let Ok(message) = LargeMessage::decode_cfg(bytes.clone(), &CollationLimit(40)) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}
