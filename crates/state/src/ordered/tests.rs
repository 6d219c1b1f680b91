//! The root of random lists beside that of another library: lists of every length up to some hundreds, lengths at
//! which paths get longer, and items so short that their nodes are their own references.

use super::ordered_root;
use alloy_primitives::keccak256;
use alloy_trie::root::ordered_trie_root_with_encoder;
use proptest::prelude::*;

/// An item of random length, so that some nodes are shorter than a hash.
fn item(seed: u64, index: usize, length_max: usize) -> Vec<u8> {
    let hash = keccak256([seed.to_be_bytes(), (index as u64).to_be_bytes()].concat());
    let length = usize::from(hash[0]) * length_max / 256;
    hash.iter().copied().cycle().skip(1).take(length).collect()
}

fn check(seed: u64, count: usize, length_max: usize) {
    let items: Vec<Vec<u8>> = (0..count)
        .map(|index| item(seed, index, length_max))
        .collect();
    let root = ordered_root(&items, |item, out| out.extend_from_slice(item));
    let expected = ordered_trie_root_with_encoder(&items, |item, out| out.extend_from_slice(item));
    assert_eq!(
        root, expected,
        "count={count} length_max={length_max} seed={seed}"
    );
}

#[test]
fn every_short_list() {
    for count in 0..600 {
        check(count as u64, count, 300);
    }
}

#[test]
fn where_paths_get_longer() {
    for count in [
        0x7f, 0x80, 0x81, 0xff, 0x100, 0x101, 0xffff, 0x1_0000, 0x1_0001,
    ] {
        check(1, count, 40);
    }
}

#[test]
fn items_of_one_byte_are_their_own_encoding() {
    for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
        for count in [1, 2, 17, 130] {
            let items = vec![[byte]; count];
            let root = ordered_root(&items, |item, out| out.extend_from_slice(item));
            let expected =
                ordered_trie_root_with_encoder(&items, |item, out| out.extend_from_slice(item));
            assert_eq!(root, expected, "byte={byte} count={count}");
        }
    }
}

proptest! {
    #[test]
    fn as_the_library_does_it(seed: u64, count in 0usize..3_000, length_max in 0usize..700) {
        check(seed, count, length_max);
    }
}
