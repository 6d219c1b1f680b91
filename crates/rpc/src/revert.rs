//! Why a contract reverted, in words: `Error(string)` and `Panic(uint256)`, worded as geth does.

use alloy_primitives::U256;

const ERROR_SELECTOR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
const PANIC_SELECTOR: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
const WORD: usize = 32;

/// The reason in a revert's output; `None` for custom errors and empty output.
pub(crate) fn reason(output: &[u8]) -> Option<String> {
    let (selector, body) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR_SELECTOR => message(body),
        PANIC_SELECTOR => Some(panic_text(word(body, 0)?)),
        _ => None,
    }
}

fn message(body: &[u8]) -> Option<String> {
    let offset = usize::try_from(word(body, 0)?).ok()?;
    let length = usize::try_from(word(body, offset)?).ok()?;
    let start = offset.checked_add(WORD)?;
    let bytes = body.get(start..start.checked_add(length)?)?;
    String::from_utf8(bytes.to_vec()).ok()
}

fn word(body: &[u8], offset: usize) -> Option<U256> {
    let bytes = body.get(offset..offset.checked_add(WORD)?)?;
    Some(U256::from_be_slice(bytes))
}

fn panic_text(code: U256) -> String {
    let text = match u64::try_from(code).unwrap_or(u64::MAX) {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn error_and_panic_are_told() {
        let text = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000003"
            "6e6f210000000000000000000000000000000000000000000000000000000000"
        );
        assert_eq!(reason(&text).as_deref(), Some("no!"));
        let panic = hex!(
            "4e487b71"
            "0000000000000000000000000000000000000000000000000000000000000011"
        );
        assert_eq!(
            reason(&panic).as_deref(),
            Some("arithmetic underflow or overflow")
        );
    }

    #[test]
    fn garbage_has_no_reason() {
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&hex!("08c379a0ff")), None);
        let huge = [&ERROR_SELECTOR[..], &[0xff; 64]].concat();
        assert_eq!(reason(&huge), None);
        assert_eq!(reason(&hex!("deadbeef")), None);
    }
}
