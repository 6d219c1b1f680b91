//! XXH64: the checksum of everything in the files, and the hash of the filters.
//!
//! Each step is a bijection of the eight bytes it takes in, so a change within eight aligned bytes
//! is always noticed; any other change with a chance of 1 − 2⁻⁶⁴. It guards against damage, not
//! against whoever can write the files. The algorithm is public and fixed; files depend on it.

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// The hash of some bytes, with seed 0.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        p5
    } else {
        hash_stripes(stripes)
    };
    let len = u64::try_from(bytes.len()).expect("a length has 64 bits");
    hash = hash.wrapping_add(len);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(p1).wrapping_add(p4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(p1);
        hash = hash.rotate_left(23).wrapping_mul(p2).wrapping_add(p3);
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(p5);
        hash = hash.rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(p3);
    hash ^ (hash >> 32)
}

fn hash_stripes(stripes: &[[u8; 32]]) -> u64 {
    let [p1, p2, _, p4, _] = PRIMES;
    let mut lanes = [p1.wrapping_add(p2), p2, 0, 0_u64.wrapping_sub(p1)];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let turned = lanes.iter().zip([1, 7, 12, 18]);
    let hash = turned.fold(0_u64, |sum, (lane, by)| {
        sum.wrapping_add(lane.rotate_left(by))
    });
    lanes.iter().fold(hash, |hash, lane| {
        let hash = hash ^ round(0, *lane);
        hash.wrapping_mul(p1).wrapping_add(p4)
    })
}

fn round(lane: u64, word: u64) -> u64 {
    let [p1, p2, ..] = PRIMES;
    let lane = lane.wrapping_add(word.wrapping_mul(p2));
    lane.rotate_left(31).wrapping_mul(p1)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn it_is_the_public_algorithm() {
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        let long = b"Nobody inspects the spammish repetition";
        assert_eq!(hash(long), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        let whole = hash(&bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&bytes), whole, "bit={bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..bytes.len() {
            assert_ne!(hash(&bytes[..len]), whole, "len={len}");
        }
    }
}
