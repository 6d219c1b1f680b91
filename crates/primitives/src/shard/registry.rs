//! The registry of shards on the relay chain: where it is, and what its events say.
//!
//! ```text
//! log of the registry ─▶ topic: Ordered(uint32,uint8,bytes) ─▶ data: 32, length, bytes, padding ─▶ the order
//! ```
//! The contract is `contracts/Registry.sol`; the genesis of a chain that can get shards installs it. At this
//! address nobody else can install anything, so a chain without it has no orders.

use crate::limits::{ORDER_BYTES_MAX, ORDERS_CARRIED_MAX};
use alloy_primitives::{Address, B256, Bytes, Log, address, b256};

/// Where the registry is.
pub const REGISTRY: Address = address!("0000000000000000000000000000007368617264");

/// The topic of its events: the hash of `Ordered(uint32,uint8,bytes)`.
pub const ORDERED: B256 = b256!("0c59f9356a1682a44476cf66d34b9f6c43bb935cc0ff8eeeae1e82ad3e213aa1");

/// Bytes of an ABI word.
const WORD: usize = 32;

/// The orders among the logs of one block: the first ones, if there are more than a relay block can carry, which
/// the contract does not give.
pub fn orders_of<'a>(logs: impl Iterator<Item = &'a Log>) -> Vec<Bytes> {
    logs.filter_map(order_of).take(ORDERS_CARRIED_MAX).collect()
}

/// The order that a log is of.
fn order_of(log: &Log) -> Option<Bytes> {
    let is_order = log.address == REGISTRY && log.data.topics().first() == Some(&ORDERED);
    if !is_order {
        return None;
    }
    let data = &log.data.data;
    let word = |index: usize| {
        let begin = index.checked_mul(WORD)?;
        let bytes = data.get(begin..begin.checked_add(WORD)?)?;
        let (high, low) = bytes.split_last_chunk::<4>()?;
        let is_small = high.iter().all(|byte| *byte == 0);
        let value = usize::try_from(u32::from_be_bytes(*low)).ok()?;
        is_small.then_some(value)
    };
    let (offset, length) = (word(0)?, word(1)?);
    if offset != WORD || length > ORDER_BYTES_MAX {
        return None;
    }
    let begin = WORD.checked_mul(2)?;
    let end = begin.checked_add(length)?;
    data.get(begin..end)?;
    Some(data.slice(begin..end))
}

#[cfg(test)]
mod tests {
    use super::{ORDER_BYTES_MAX, ORDERED, ORDERS_CARRIED_MAX, REGISTRY, orders_of};
    use alloy_primitives::{Address, B256, Log, keccak256};

    fn log(address: Address, topic: B256, order: &[u8], length: usize) -> Log {
        let mut data = vec![0; 64];
        data[31] = 32;
        data[60..64].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        data.extend_from_slice(order);
        data.resize(data.len().next_multiple_of(32), 0);
        Log::new_unchecked(address, vec![topic], data.into())
    }

    fn good(order: &[u8]) -> Log {
        log(REGISTRY, ORDERED, order, order.len())
    }

    #[test]
    fn the_topic_is_the_events() {
        assert_eq!(ORDERED, keccak256("Ordered(uint32,uint8,bytes)"));
    }

    #[test]
    fn only_its_own_events_in_their_form() {
        let order = [7; 40];
        let other = Address::repeat_byte(1);
        let longest = vec![1; ORDER_BYTES_MAX];
        let logs = [
            log(other, ORDERED, &order, 40),
            good(&order),
            log(REGISTRY, B256::ZERO, &order, 40),
            log(REGISTRY, ORDERED, &order, 65),
            log(
                REGISTRY,
                ORDERED,
                &order,
                usize::try_from(u32::MAX).unwrap(),
            ),
            good(&longest),
            good(&[longest.as_slice(), &[1]].concat()),
            good(&[]),
        ];
        let orders = orders_of(logs.iter());
        assert_eq!(orders, [order.to_vec(), longest, Vec::new()]);
        for end in 0..63 {
            let mut cut = good(&order);
            cut.data.data = cut.data.data.slice(..end);
            assert!(orders_of([cut].iter()).is_empty(), "end={end}");
        }
    }

    #[test]
    fn no_more_than_a_block_carries() {
        let logs = vec![good(&[1]); ORDERS_CARRIED_MAX + 1];
        assert_eq!(orders_of(logs.iter()).len(), ORDERS_CARRIED_MAX);
    }
}
