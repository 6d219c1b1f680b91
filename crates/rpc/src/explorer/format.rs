//! Numbers, amounts and times as people read them.
//!
//! Everything is integer arithmetic: what is shown of an amount is never rounded up, and the same value is
//! always the same text.

use alloy_primitives::{U256, utils::format_units};
use std::time::Duration;

/// Decimals shown of an amount.
const DECIMALS_SHOWN: usize = 6;
/// Decimals of a coin.
const COIN_DECIMALS: u8 = 18;
/// Decimals of a gwei.
const GWEI_DECIMALS: u8 = 9;
/// From so many wei on, an amount is told in gwei.
const GWEI_FROM: u128 = 100_000_000;
/// From so many wei on, in coins.
const COINS_FROM: u128 = 10_000_000_000_000;
/// Prices below are told in wei.
const PRICE_IN_WEI: u128 = 1_000_000;

/// A count with its thousands apart: `1,234,567`.
pub(super) fn count<N: ToString>(number: N) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount with so many decimals, of which at most [`DECIMALS_SHOWN`] that count are shown.
pub(super) fn units(amount: U256, decimals: u8) -> String {
    // Beyond 77 decimals nothing of a 256-bit number is left; the raw amount says more.
    let Ok(text) = format_units(amount, decimals.min(77)) else {
        return amount.to_string();
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let shown = fraction.trim_end_matches('0');
    let leading = shown.len() - shown.trim_start_matches('0').len();
    let kept = match whole {
        "0" => leading + DECIMALS_SHOWN,
        _ => DECIMALS_SHOWN,
    };
    let shown = shown.get(..kept).unwrap_or(shown).trim_end_matches('0');
    match shown {
        "" => group(whole),
        _ => format!("{}.{shown}", group(whole)),
    }
}

/// Wei as coins.
pub(super) fn coins(wei: U256) -> String {
    units(wei, COIN_DECIMALS)
}

/// An amount of coins; one that would begin with many zeros says its unit.
pub(super) fn value(wei: U256) -> String {
    match u128::try_from(wei) {
        Ok(0) => "0".to_owned(),
        Ok(small @ 0..GWEI_FROM) => format!("{} wei", count(small)),
        Ok(0..COINS_FROM) => format!("{} gwei", units(wei, GWEI_DECIMALS)),
        _ => coins(wei),
    }
}

/// A price of gas with its unit.
pub(super) fn price(wei: impl Into<u128>) -> String {
    let wei: u128 = wei.into();
    match wei {
        0..PRICE_IN_WEI => format!("{} wei", count(wei)),
        _ => format!("{} gwei", units(U256::from(wei), GWEI_DECIMALS)),
    }
}

/// A duration with three digits that count: `850 µs`, `12.3 ms`, `1.25 s`.
pub(super) fn duration(duration: Duration) -> String {
    let us = duration.as_micros();
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        10_000..100_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        100_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        _ => format!("{} s", group(&(us / 1_000_000).to_string())),
    }
}

/// Milliseconds as a duration.
pub(super) fn milliseconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => duration(Duration::from_millis(ms)),
    }
}

/// How long ago something was.
pub(super) fn age(now_ms: u64, then_ms: u64) -> String {
    let ms = now_ms.saturating_sub(then_ms);
    let seconds = ms / 1_000;
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", group(&(seconds / 86_400).to_string())),
    }
}

/// A share in per cent with one decimal: `12.3 %`; nothing of nothing is nothing.
pub(super) fn percent(part: u128, whole: u128) -> String {
    let permille = part.saturating_mul(1_000).checked_div(whole).unwrap_or(0);
    format!("{}.{} %", permille / 10, permille % 10)
}

/// A share as an SVG length, at most all of it.
pub(super) fn length(part: u128, whole: u128) -> String {
    let share = part
        .min(whole)
        .saturating_mul(10_000)
        .checked_div(whole)
        .unwrap_or(0);
    format!("{}.{:02}%", share / 100, share % 100)
}

/// Seconds since the Unix epoch as a date and a time of UTC.
pub(super) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day since the epoch: in years that begin in March, a leap day is the last one.
const fn civil(days: u64) -> (u64, u64, u64) {
    let from_march = days.saturating_add(719_468);
    let (era, day) = (from_march / 146_097, from_march % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// The first so many bytes of a text, cut between characters, and whether that is not all.
pub(super) fn cut(text: &str, bytes_max: usize) -> (&str, bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let end = (0..=bytes_max)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    (text.get(..end.unwrap_or(0)).unwrap_or_default(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_and_not_rounded() {
        let coin = U256::from(10).pow(U256::from(18));
        assert_eq!(coins(coin), "1");
        assert_eq!(
            coins(coin * U256::from(1_234_567) / U256::from(1_000)),
            "1,234.567"
        );
        assert_eq!(coins(U256::from(1)), "0.000000000000000001");
        assert_eq!(coins(coin - U256::from(1)), "0.999999");
        assert_eq!(coins(U256::ZERO), "0");
        assert_eq!(price(1_500_000_000_u64), "1.5 gwei");
        assert_eq!(price(7_u64), "7 wei");
        assert_eq!(value(U256::from(1)), "1 wei");
        assert_eq!(value(U256::from(21_000_000_000_000_u64)), "0.000021");
        assert_eq!(value(U256::from(2_500_000_000_u64)), "2.5 gwei");
        assert_eq!(value(U256::ZERO), "0");
        assert_eq!(units(U256::from(12_345), 2), "123.45");
        assert_eq!(units(U256::MAX, 255).len(), units(U256::MAX, 77).len());
    }

    #[test]
    fn times() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_320_629), "2026-11-22 04:10:29 UTC");
        assert_eq!(age(5_000, 4_500), "now");
        assert_eq!(age(65_000, 0), "1 min ago");
        assert_eq!(age(0, 5_000), "now", "clocks may differ");
        assert_eq!(duration(Duration::from_micros(12_345)), "12.3 ms");
        assert_eq!(duration(Duration::from_micros(1_234_567)), "1.23 s");
    }

    #[test]
    fn shares_of_nothing_are_nothing() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "0.0 %");
        assert_eq!(length(5, 3), "100.00%");
        assert_eq!(length(5, 0), "0.00%");
        assert_eq!(count(1_234_567_u64), "1,234,567");
        assert_eq!(count(123), "123");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("añb", 2), ("a", true));
        assert_eq!(cut("añb", 3), ("añ", true));
        assert_eq!(cut("añb", 4), ("añb", false));
    }
}
