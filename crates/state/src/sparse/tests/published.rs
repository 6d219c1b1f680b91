//! The published tests of tries whose keys are hashed (ethereum/tests, TrieTests): all of
//! `trieanyorder_secureTrie`, `trietest_secureTrie` and `hex_encoded_securetrie_test`.
//!
//! The first two hold any strings, which stand in leaves as they are; the last holds accounts, some with
//! storage that is known by its root only. Each goes into a trie in one part and into one of 256.

use crate::reader::Account;
use crate::sparse::keccak::Lanes;
use crate::sparse::leaf::{AccountWrite, LEAF_BYTES_MAX, Place, RAW, SLOT_VALUE_AT, Stored, Write};
use crate::sparse::node::SLOT;
use crate::sparse::split::{Split, Task};
use crate::sparse::write::{run, write_slots};
use alloy_primitives::{B256, b256, hex, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use std::collections::BTreeMap;

/// A key, and its value or `None` where it is deleted. What begins with `0x` is hexadecimal.
type Entry = (&'static str, Option<&'static str>);

/// Entries that may come in any order.
const ANY_ORDER: &[(&[Entry], B256)] = &[
    // singleItem
    (
        &[(
            "A",
            Some("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        )],
        b256!("e9e2935138352776cad724d31c9fa5266a5c593bb97726dd2a908fe6d53284df"),
    ),
    // dogs
    (
        &[
            ("doe", Some("reindeer")),
            ("dog", Some("puppy")),
            ("dogglesworth", Some("cat")),
        ],
        b256!("d4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585"),
    ),
    // puppy
    (
        &[
            ("do", Some("verb")),
            ("horse", Some("stallion")),
            ("doge", Some("coin")),
            ("dog", Some("puppy")),
        ],
        b256!("29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d"),
    ),
    // foo
    (
        &[("foo", Some("bar")), ("food", Some("bass"))],
        b256!("1385f23a33021025d9e87cca5c66c00de06178807b96a9acc92b7d651ccde842"),
    ),
    // smallValues
    (
        &[
            ("be", Some("e")),
            ("dog", Some("puppy")),
            ("bed", Some("d")),
        ],
        b256!("826a4f9f9054a3e980e54b20da992c24fa20467f1ca635115ef4917be66e746f"),
    ),
    // testy
    (
        &[("test", Some("test")), ("te", Some("testy"))],
        b256!("aea54fb6c80499674248a462864c420c9d9f3b3d38c879c12425bade1ad76552"),
    ),
    // hex
    (
        &[
            ("0x0045", Some("0x0123456789")),
            ("0x4500", Some("0x9876543210")),
        ],
        b256!("bc11c02c8ab456db0c4d2728b6a2a6210d06f26a2ace4f7d8bdfc72ddf2630ab"),
    ),
];

/// Entries in their order.
const IN_ORDER: &[(&[Entry], B256)] = &[
    // emptyValues
    (
        &[
            ("do", Some("verb")),
            ("ether", Some("wookiedoo")),
            ("horse", Some("stallion")),
            ("shaman", Some("horse")),
            ("doge", Some("coin")),
            ("ether", None),
            ("dog", Some("puppy")),
            ("shaman", None),
        ],
        b256!("29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d"),
    ),
    // jeff
    (
        &[
            (
                "0x0000000000000000000000000000000000000000000000000000000000000045",
                Some("0x22b224a1420a802ab51d326e29fa98e34c4f24ea"),
            ),
            (
                "0x0000000000000000000000000000000000000000000000000000000000000046",
                Some("0x67706c2076330000000000000000000000000000000000000000000000000000"),
            ),
            (
                "0x0000000000000000000000000000000000000000000000000000001234567890",
                Some("0x697c7b8c961b56f675d570498424ac8de1a918f6"),
            ),
            (
                "0x000000000000000000000000697c7b8c961b56f675d570498424ac8de1a918f6",
                Some("0x1234567890"),
            ),
            (
                "0x0000000000000000000000007ef9e639e2733cb34e4dfc576d4b23f72db776b2",
                Some("0x4655474156000000000000000000000000000000000000000000000000000000"),
            ),
            (
                "0x000000000000000000000000ec4f34c97e43fbb2816cfd95e388353c7181dab1",
                Some("0x4e616d6552656700000000000000000000000000000000000000000000000000"),
            ),
            (
                "0x4655474156000000000000000000000000000000000000000000000000000000",
                Some("0x7ef9e639e2733cb34e4dfc576d4b23f72db776b2"),
            ),
            (
                "0x4e616d6552656700000000000000000000000000000000000000000000000000",
                Some("0xec4f34c97e43fbb2816cfd95e388353c7181dab1"),
            ),
            (
                "0x0000000000000000000000000000000000000000000000000000001234567890",
                None,
            ),
            (
                "0x000000000000000000000000697c7b8c961b56f675d570498424ac8de1a918f6",
                Some("0x6f6f6f6820736f2067726561742c207265616c6c6c793f000000000000000000"),
            ),
            (
                "0x6f6f6f6820736f2067726561742c207265616c6c6c793f000000000000000000",
                Some("0x697c7b8c961b56f675d570498424ac8de1a918f6"),
            ),
        ],
        b256!("72adb52e9d9428f808e3e8045be18d3baa77881d0cfab89a17a2bcbacee2f320"),
    ),
];

/// Keys of `branchingTests`: all are written, then all deleted in the same order.
const BRANCHING: &[&str] = &[
    "0x04110d816c380812a427968ece99b1c963dfbce6",
    "0x095e7baea6a6c7c4c2dfeb977efac326af552d87",
    "0x0a517d755cebbf66312b30fff713666a9cb917e0",
    "0x24dd378f51adc67a50e339e8031fe9bd4aafab36",
    "0x293f982d000532a7861ab122bdc4bbfd26bf9030",
    "0x2cf5732f017b0cf1b1f13a1478e10239716bf6b5",
    "0x31c640b92c21a1f1465c91070b4b3b4d6854195f",
    "0x37f998764813b136ddf5a754f34063fd03065e36",
    "0x37fa399a749c121f8a15ce77e3d9f9bec8020d7a",
    "0x4f36659fa632310b6ec438dea4085b522a2dd077",
    "0x62c01474f089b07dae603491675dc5b5748f7049",
    "0x729af7294be595a0efd7d891c9e51f89c07950c7",
    "0x83e3e5a16d3b696a0314b30b2534804dd5e11197",
    "0x8703df2417e0d7c59d063caa9583cb10a4d20532",
    "0x8dffcd74e5b5923512916c6a64b502689cfa65e1",
    "0x95a4d7cccb5204733874fa87285a176fe1e9e240",
    "0x99b2fcba8120bedd048fe79f5262a6690ed38c39",
    "0xa4202b8b8afd5354e3e40a219bdc17f6001bf2cf",
    "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
    "0xa9647f4a0a14042d91dc33c0328030a7157c93ae",
    "0xaa6cffe5185732689c18f37a7f86170cb7304c2a",
    "0xaae4a2e3c51c04606dcb3723456e58f3ed214f45",
    "0xc37a43e940dfb5baf581a0b82b351d48305fc885",
    "0xd2571607e241ecf590ed94b12d87c94babe36db6",
    "0xf735071cbee190d76b704ce68384fc21e389fbe7",
];

/// Accounts by address.
const ACCOUNTS: &[(&[Entry], B256)] = &[
    // test1
    (
        &[
            (
                "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
                Some(
                    "0xf848018405f446a7a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x095e7baea6a6c7c4c2dfeb977efac326af552d87",
                Some(
                    "0xf8440101a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a004bccc5d94f4d1f99aab44369a910179931772f2a5c001c3229f57831c102769",
                ),
            ),
            (
                "0xd2571607e241ecf590ed94b12d87c94babe36db6",
                Some(
                    "0xf8440180a0ba4b47865c55a341a4a78759bb913cd15c3ee8eaf30a62fa8d1c8863113d84e8a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x62c01474f089b07dae603491675dc5b5748f7049",
                Some(
                    "0xf8448080a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
                Some(
                    "0xf8478083019a59a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
        ],
        b256!("730a444e08ab4b8dee147c9b232fc52d34a223d600031c1e9d25bfc985cbd797"),
    ),
    // test2
    (
        &[
            (
                "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
                Some(
                    "0xf84c01880de0b6b3a7622746a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x095e7baea6a6c7c4c2dfeb977efac326af552d87",
                Some(
                    "0xf84780830186b7a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0501653f02840675b1aab0328c6634762af5d51764e78f9641cccd9b27b90db4f",
                ),
            ),
            (
                "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
                Some(
                    "0xf8468082521aa056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
        ],
        b256!("a7c787bf470808896308c215e22c7a580a0087bb6db6e8695fb4759537283a83"),
    ),
    // test3
    (
        &[
            (
                "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
                Some(
                    "0xf84c01880de0b6b3a7614bc3a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x095e7baea6a6c7c4c2dfeb977efac326af552d87",
                Some(
                    "0xf84880840132b3a0a065fee2fffd7a68488cf7ef79f35f7979133172ac5727b5e0cf322953d13de492a06e5d8fec8b6b9bf41c3fb9b61696d5c87b66f6daa98d5f02ba9361b0c6916467",
                ),
            ),
            (
                "0x0000000000000000000000000000000000000001",
                Some(
                    "0xf8448080a056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
            (
                "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
                Some(
                    "0xf8478083012d9da056e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421a0c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
                ),
            ),
        ],
        b256!("40b37be88a49e2c08b8d33fcb03a0676ffd0481df54dfebd3512b8ec54f40cad"),
    ),
];

/// A value that stands in its leaf as it is.
#[derive(Clone)]
struct RawWrite {
    key: B256,
    value: Option<Vec<u8>>,
}

impl Write for RawWrite {
    fn key(&self) -> &[u8; 32] {
        &self.key.0
    }

    fn is_delete(&self) -> bool {
        self.value.is_none()
    }

    fn leaf<'a>(&self, block: &'a mut [u8; LEAF_BYTES_MAX]) -> &'a [u8] {
        let value = self.value.as_ref().expect("not a deletion");
        block[0] = SLOT | RAW | u8::try_from(value.len()).expect("at most 63 bytes");
        block[1..33].copy_from_slice(self.key.as_slice());
        block[SLOT_VALUE_AT..][..value.len()].copy_from_slice(value);
        &block[..SLOT_VALUE_AT + value.len()]
    }
}

fn bytes(text: &str) -> Vec<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).expect("digits"),
        None => text.into(),
    }
}

fn raw((key, value): &Entry) -> RawWrite {
    RawWrite {
        key: keccak256(bytes(key)),
        value: value.map(bytes),
    }
}

fn account((address, value): &Entry) -> AccountWrite {
    let value = bytes(value.expect("none is deleted"));
    let leaf = TrieAccount::decode(&mut &value[..]).expect("an account");
    let place = match leaf.storage_root {
        EMPTY_ROOT_HASH => Place::Empty,
        _ => Place::Unresolved,
    };
    let stored = Stored {
        place,
        bytes: 0,
        root: leaf.storage_root,
    };
    let account = Account {
        nonce: leaf.nonce,
        balance: leaf.balance,
        code_hash: leaf.code_hash,
    };
    AccountWrite {
        key: keccak256(bytes(address)),
        value: Some((account, stored)),
    }
}

/// The last write of each key, by key.
fn last<W: Write + Clone>(writes: &[W]) -> Vec<W> {
    let writes = writes.iter().map(|write| (*write.key(), write.clone()));
    writes.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn apply<W: Write>(split: &mut Split, writes: &[W]) {
    let tasks = Task::divide(split, writes, 2);
    run(None, tasks, Lanes::Widest, |mut task, rehash| {
        write_slots(&mut task, 0, rehash);
    });
    split.finish();
}

/// Applies the writes one by one, and all at once.
fn check<W: Write + Clone + Send>(writes: &[W], root: B256) {
    for empty in [Split::whole, Split::wide] {
        let (mut one_by_one, mut at_once) = (empty(), empty());
        for write in writes {
            apply(&mut one_by_one, std::slice::from_ref(write));
        }
        apply(&mut at_once, &last(writes));
        assert_eq!(one_by_one.root(), root);
        assert_eq!(at_once.root(), root);
    }
}

#[test]
fn entries_in_any_order_have_the_published_roots() {
    for (entries, root) in ANY_ORDER {
        let mut writes: Vec<RawWrite> = entries.iter().map(raw).collect();
        check(&writes, *root);
        writes.reverse();
        check(&writes, *root);
    }
}

#[test]
fn entries_in_order_have_the_published_roots() {
    for (entries, root) in IN_ORDER {
        check(&entries.iter().map(raw).collect::<Vec<_>>(), *root);
    }
    let write = |value| move |key: &&'static str| raw(&(*key, value));
    let written = BRANCHING.iter().map(write(Some("something")));
    let writes: Vec<RawWrite> = written.chain(BRANCHING.iter().map(write(None))).collect();
    check(&writes, EMPTY_ROOT_HASH);
}

#[test]
fn accounts_have_the_published_roots() {
    for (entries, root) in ACCOUNTS {
        let mut writes: Vec<AccountWrite> = entries.iter().map(account).collect();
        check(&writes, *root);
        writes.reverse();
        check(&writes, *root);
    }
}
