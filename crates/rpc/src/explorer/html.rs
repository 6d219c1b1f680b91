//! The small pieces of HTML that every page is made of.
//!
//! ```text
//! address, hash, height ─▶ Html: put into a page as it is, because it was made of digits and constants here
//! any other text        ─▶ str:  escaped by the template
//! ```
//! [`Html`] is the only type that templates do not escape, and only this file makes one: no template uses `safe`.

use alloy_primitives::{Address, B256, hex};
use askama::filters::HtmlSafe;
use std::fmt::{Display, Formatter};

/// Digits of a hash that stand before and after what is hidden of it.
const ENDS: (usize, usize) = (8, 6);

/// Words up to so many bits are more likely numbers than anything else.
const NUMBER_BITS_MAX: usize = 96;

/// Markup that needs no escaping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Display for Html {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// Hexadecimal digits, shown short; whoever copies them gets all.
pub(super) fn short(bytes: &[u8]) -> Html {
    let digits = hex::encode_prefixed(bytes);
    let (first, last) = ENDS;
    let end = digits.len().saturating_sub(last);
    let parts = (
        digits.get(..first),
        digits.get(first..end),
        digits.get(end..),
    );
    let (Some(head), Some(hidden), Some(tail)) = parts else {
        return Html(format!(r#"<span class="x">{digits}</span>"#));
    };
    if hidden.len() < 4 {
        return Html(format!(r#"<span class="x">{digits}</span>"#));
    }
    Html(format!(
        r#"<span class="x" title="{digits}">{head}<span class="m">{hidden}</span>{tail}</span>"#
    ))
}

/// A key, which writes itself in hexadecimal digits; none that were not are shown.
pub(super) fn key(key: &impl Display) -> Html {
    hex::decode(key.to_string()).map_or_else(|_| Html::default(), |bytes| short(&bytes))
}

/// All hexadecimal digits, with a place to break between lines.
pub(super) fn whole(bytes: &[u8]) -> Html {
    let digits = hex::encode_prefixed(bytes);
    Html(format!(r#"<span class="x all">{digits}</span>"#))
}

/// A link to a block by its height.
pub(super) fn block(height: u64) -> Html {
    Html(format!(
        r#"<a class="n" href="/block/{height}">{height}</a>"#
    ))
}

/// A link to a block of a shard that this node collates.
pub(super) fn shard_block(shard: u32, number: u64) -> Html {
    Html(format!(
        r#"<a class="n" href="/shard/{shard}/block/{number}">{number}</a>"#
    ))
}

/// A link to a block that says its hash.
pub(super) fn block_hash(hash: &B256) -> Html {
    Html(format!(
        r#"<a href="/block/{hash}">{}</a>"#,
        short(hash.as_slice())
    ))
}

/// A link to a transaction.
pub(super) fn transaction(hash: &B256) -> Html {
    Html(format!(
        r#"<a href="/tx/{hash}">{}</a>"#,
        short(hash.as_slice())
    ))
}

/// A link to an account.
pub(super) fn address(address: &Address) -> Html {
    let digits = address.to_checksum(None);
    let parts = (digits.get(..8), digits.get(8..36), digits.get(36..));
    let (Some(head), Some(hidden), Some(tail)) = parts else {
        return Html::default();
    };
    Html(format!(
        r#"<a href="/address/{digits}"><span class="x" title="{digits}">{head}<span class="m">{hidden}</span>{tail}</span></a>"#
    ))
}

/// A link to a token.
pub(super) fn token(address: &Address) -> Html {
    Html(format!(
        r#"<a class="soft" href="/token/{address}">token</a>"#
    ))
}

/// An account in full, without a link: the page is about it.
pub(super) fn whole_address(address: &Address) -> Html {
    let digits = address.to_checksum(None);
    Html(format!(r#"<span class="x all">{digits}</span>"#))
}

/// Any text, escaped.
pub(super) fn text(text: &str) -> Html {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    Html(escaped)
}

/// A text in which accounts are links, with what they call themselves, and hashes are short.
pub(super) fn sentence(sentence: &str, name: impl Fn(&Address) -> Option<String>) -> Html {
    let mut html = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some(start) = rest.find("0x") {
        let (before, found) = rest.split_at(start);
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
        let digits = found
            .bytes()
            .skip(2)
            .take_while(|byte| is_digit(byte))
            .count();
        let (found, after) = found.split_at(2 + digits);
        html.push_str(&text(before).0);
        if let (40, Ok(account)) = (digits, found.parse()) {
            html.push_str(&address(&account).0);
            if let Some(name) = name(&account) {
                html.push_str(&format!(r#" <span class="tag">{}</span>"#, text(&name)));
            }
        } else if let (64, Ok(word)) = (digits, found.parse::<B256>()) {
            html.push_str(&self::word(&word).0);
        } else {
            html.push_str(found);
        }
        rest = after;
    }
    html.push_str(&text(rest).0);
    Html(html)
}

/// A number.
pub(super) fn number(number: alloy_primitives::U64) -> Html {
    Html(number.to_string())
}

/// A word as a number if it is short, else as digits.
pub(super) fn word(word: &B256) -> Html {
    let number = alloy_primitives::U256::from_be_bytes(word.0);
    if number.bit_len() <= NUMBER_BITS_MAX {
        return Html(format!(r#"<span class="x" title="{word}">{number}</span>"#));
    }
    short(word.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_in_sentences_are_links() {
        let account = Address::repeat_byte(0x11);
        let said = format!("<b> {account}: 0xa9059cbb (0x) é 0x{}.", "00".repeat(32));
        let html = sentence(&said, |_| Some("<i>".to_owned())).to_string();
        assert!(
            html.starts_with("&lt;b&gt; <a href=\"/address/0x1111"),
            "{html}"
        );
        assert!(
            html.contains(r#"<span class="tag">&lt;i&gt;</span>: 0xa9059cbb (0x) é <span"#),
            "{html}"
        );
        assert!(html.ends_with(">0</span>."), "{html}");
    }

    #[test]
    fn what_is_shown_short_is_there_in_full() {
        let html = short(&[0xab; 32]).to_string();
        let text: String = html.split(['<', '>']).skip(2).step_by(2).collect();
        assert_eq!(text, format!("0x{}", "ab".repeat(32)));
        assert_eq!(
            short(&[1, 2]).to_string(),
            r#"<span class="x">0x0102</span>"#
        );
        let html = address(&Address::repeat_byte(0x11)).to_string();
        assert!(html.contains(&format!("/address/0x{}", "11".repeat(20))));
    }
}
