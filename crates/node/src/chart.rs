//! What charts are made of, whichever page or file they stand in: escaped text, readable numbers, an axis.
//!
//! ```text
//! value ─Axis::at─▶ units of the drawing        text ─escape─▶ text in HTML and SVG
//! ```

/// Text that can stand in HTML, in an attribute as well.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A linear axis from 0.
pub(crate) struct Axis {
    max: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Maps 0 to `from` and `max` to `to`.
    pub(crate) const fn new(max: f64, from: f64, to: f64) -> Self {
        Self { max, from, to }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        match self.max > 0.0 {
            true => self.from + (self.to - self.from) * value / self.max,
            false => self.from,
        }
    }

    /// Round values along it, at most seven.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        if !(self.max > 0.0 && self.max.is_finite()) {
            return vec![0.0];
        }
        let unit = 10_f64.powf((self.max / 6.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit);
        let step = steps.into_iter().find(|step| self.max / step <= 6.0);
        let step = step.unwrap_or(self.max);
        let mut ticks = vec![0.0];
        for index in 1..=6_u8 {
            let value = step * f64::from(index);
            if value <= self.max {
                ticks.push(value);
            }
        }
        ticks
    }
}

/// A value without needless digits.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Axis, escape, grouped, short};

    #[test]
    fn an_axis_has_few_round_ticks() {
        for (max, expected) in [
            (8.4, vec![0.0, 2.0, 4.0, 6.0, 8.0]),
            (1.05, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (100.0, vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
            (0.0, vec![0.0]),
            (f64::INFINITY, vec![0.0]),
        ] {
            let ticks: Vec<_> = Axis::new(max, 0.0, 1.0).ticks();
            let ticks: Vec<_> = ticks.into_iter().map(short).collect();
            let expected: Vec<_> = expected.into_iter().map(short).collect();
            assert_eq!(ticks, expected, "max={max}");
        }
    }

    #[test]
    fn numbers_and_text_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(short(1.250), "1.25");
        assert_eq!(short(40.0), "40");
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}
