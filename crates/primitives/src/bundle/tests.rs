//! What is built reads back; everything else is an error of the right kind.

use super::*;
use proptest::prelude::*;

fn key(number: u8) -> SenderKey {
    SenderKey::new([number; KEY_BYTES])
}

/// The format written down a second time.
fn written(keys: &[SenderKey], items: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = vec![1];
    message.extend(u16::try_from(keys.len()).unwrap().to_be_bytes());
    for key in keys {
        message.extend(key.as_bytes());
    }
    for (key, raw) in items {
        message.extend(key.to_be_bytes());
        message.extend(u32::try_from(raw.len()).unwrap().to_be_bytes());
        message.extend(*raw);
    }
    message
}

fn decode(message: &[u8]) -> Result<Bundle, BundleError> {
    Bundle::decode(bytes::Bytes::copy_from_slice(message))
}

#[test]
fn the_encoding_is_the_documented_one() {
    let mut builder = BundleBuilder::new(10_000);
    builder.push(b"one", Some(&key(7))).unwrap();
    builder.push(b"", None).unwrap();
    builder.push(b"three", Some(&key(8))).unwrap();
    builder.push(b"four", Some(&key(7))).unwrap();
    assert_eq!(builder.transactions(), 4);
    let bytes = builder.bytes();
    let message = builder.finish();
    assert_eq!(message.len(), bytes);
    let items: [(u16, &[u8]); 4] = [(0, b"one"), (NO_KEY, b""), (1, b"three"), (0, b"four")];
    assert_eq!(message, written(&[key(7), key(8)], &items));
    assert_eq!((builder.transactions(), builder.bytes()), (0, HEAD_BYTES));
    assert_eq!(builder.finish(), written(&[], &[]));
}

#[test]
fn transactions_are_slices_of_the_message() {
    let message = bytes::Bytes::from(written(&[key(1)], &[(0, b"transaction")]));
    let place = message.as_ptr_range();
    let bundle = Bundle::decode(message).unwrap();
    let [item] = bundle.items() else {
        panic!("one item")
    };
    assert!(place.contains(&item.raw.as_ptr()));
    assert_eq!(bundle.key_of(item), Some(&key(1)));
}

#[test]
fn every_truncation_is_an_error_or_a_bundle_of_fewer_transactions() {
    let items: [(u16, &[u8]); 3] = [(0, b"one"), (NO_KEY, b"two"), (1, b"three")];
    let whole = written(&[key(1), key(2)], &items);
    let ends: Vec<_> = (0..=items.len())
        .map(|count| written(&[key(1), key(2)], &items[..count]).len())
        .collect();
    for length in 0..=whole.len() {
        let result = decode(&whole[..length]);
        match ends.iter().position(|end| *end == length) {
            Some(count) => assert_eq!(result.unwrap().items().len(), count),
            None => assert_eq!(result, Err(BundleError::Truncated), "length={length}"),
        }
    }
}

#[test]
fn each_breach_has_its_error() {
    for version in [0, 2, 255] {
        let mut other = written(&[], &[]);
        other[0] = version;
        assert_eq!(
            decode(&other),
            Err(BundleError::UnsupportedVersion(version))
        );
    }
    for (index, count) in [(0, 0), (2, 2), (NO_KEY - 1, 3)] {
        let unknown = written(&vec![key(1); count], &[(index, b"raw")]);
        let error = BundleError::UnknownKey { key: index, count };
        assert_eq!(decode(&unknown), Err(error));
    }
    let max = limits::BUNDLE_BYTES_MAX;
    let error = BundleError::TooLarge {
        bytes: max + 1,
        max,
    };
    assert_eq!(decode(&vec![1; max + 1]), Err(error));
    let keys = vec![key(0); limits::BUNDLE_KEYS_MAX + 1];
    let (count, max) = (keys.len(), limits::BUNDLE_KEYS_MAX);
    let error = BundleError::TooManyKeys { count, max };
    assert_eq!(decode(&written(&keys, &[])), Err(error));
    assert!(decode(&written(&keys[1..], &[])).is_ok());
    let max = limits::BUNDLE_TRANSACTIONS_MAX;
    let item: (u16, &[u8]) = (NO_KEY, b"");
    assert!(decode(&written(&[], &vec![item; max])).is_ok());
    let error = BundleError::TooManyTransactions { max };
    assert_eq!(decode(&written(&[], &vec![item; max + 1])), Err(error));
}

#[test]
fn a_builder_stops_at_each_limit_and_is_not_changed_by_what_it_refuses() {
    let raw = [9; 100];
    // One byte short of a second transaction with a key of its own, but not of one with the same key.
    let two = HEAD_BYTES + 2 * (ITEM_HEAD_BYTES + raw.len() + KEY_BYTES);
    let mut builder = BundleBuilder::new(two - 1);
    builder.push(&raw, Some(&key(1))).unwrap();
    let before = builder.clone().finish();
    assert_eq!(builder.push(&raw, Some(&key(2))), Err(BundleFull));
    assert_eq!(builder.clone().finish(), before);
    builder.push(&raw, Some(&key(1))).unwrap();
    let mut exact = BundleBuilder::new(two);
    exact.push(&raw, Some(&key(1))).unwrap();
    exact.push(&raw, Some(&key(2))).unwrap();
    assert_eq!(exact.finish().len(), two);

    let mut keys = BundleBuilder::new(usize::MAX);
    let number = |index: usize| {
        let mut bytes = [0; KEY_BYTES];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        SenderKey::new(bytes)
    };
    for index in 0..limits::BUNDLE_KEYS_MAX {
        keys.push(b"", Some(&number(index))).unwrap();
    }
    let one_more = number(limits::BUNDLE_KEYS_MAX);
    assert_eq!(keys.push(b"", Some(&one_more)), Err(BundleFull));
    keys.push(b"", Some(&number(3))).unwrap();
    for _ in keys.transactions()..limits::BUNDLE_TRANSACTIONS_MAX {
        keys.push(b"", None).unwrap();
    }
    assert_eq!(keys.push(b"", None), Err(BundleFull));
    assert!(Bundle::decode(keys.finish()).is_ok());
}

proptest! {
    #[test]
    fn what_is_built_reads_back(
        pushed in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), prop::option::of(0_u8..5)),
            0..40,
        ),
        bytes_max in 200_usize..1_500,
    ) {
        let mut builder = BundleBuilder::new(bytes_max);
        let mut messages = Vec::new();
        for (raw, hint) in &pushed {
            let hint = hint.map(key);
            if builder.push(raw, hint.as_ref()).is_err() {
                messages.push(builder.finish());
                builder.push(raw, hint.as_ref()).unwrap();
            }
        }
        messages.push(builder.finish());
        let mut read = Vec::new();
        for message in messages {
            prop_assert!(message.len() <= bytes_max);
            let bundle = Bundle::decode(message).unwrap();
            let distinct: std::collections::BTreeSet<_> =
                bundle.keys().iter().map(|key| *key.as_bytes()).collect();
            prop_assert_eq!(distinct.len(), bundle.keys().len());
            for item in bundle.items() {
                read.push((item.raw.to_vec(), bundle.key_of(item).map(|key| key.as_bytes()[0])));
            }
        }
        prop_assert_eq!(read, pushed);
    }

    #[test]
    fn random_bytes_never_panic_and_what_they_decode_to_encodes_to_them(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        is_likely in any::<bool>(),
    ) {
        if is_likely && bytes.len() > 2 {
            bytes[..3].copy_from_slice(&[1, 0, 2]);
        }
        if let Ok(bundle) = decode(&bytes) {
            let items: Vec<(u16, &[u8])> = bundle
                .items()
                .iter()
                .map(|item| (item.key.unwrap_or(NO_KEY), item.raw.as_ref()))
                .collect();
            prop_assert_eq!(written(bundle.keys(), &items), bytes);
        }
    }
}
