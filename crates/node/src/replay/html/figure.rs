//! What every chart is made of: escaped text, a drawing with a name and a description, axes, and the
//! table that says the same.

/// Units across a drawing.
pub(super) const WIDTH: f64 = 960.0;
/// Where the plot begins, right of its axis.
pub(super) const LEFT: f64 = 52.0;
/// Most labels along an axis of blocks.
const LABELS_MAX: usize = 50;

/// A chart and what surrounds it.
pub(super) struct Figure<'a> {
    /// Unique on the page, of letters and dashes.
    pub(super) id: &'a str,
    /// What it shows, for who can't see it.
    pub(super) description: String,
    /// Height of the drawing in units.
    pub(super) height: f64,
    /// The marks, as SVG.
    pub(super) drawing: String,
    /// Pairs of a class and a text.
    pub(super) legend: &'a [(&'a str, &'a str)],
    /// The same as text.
    pub(super) table: Table<'a>,
}

/// A table; the first cell of a row names it.
pub(super) struct Table<'a> {
    pub(super) caption: String,
    pub(super) head: &'a [&'a str],
    pub(super) rows: Vec<Vec<String>>,
}

/// Text that can stand in HTML, in an attribute as well.
pub(super) fn escape(text: &str) -> String {
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
pub(super) fn grouped(number: impl ToString) -> String {
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

/// A share in words.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

impl Figure<'_> {
    /// The drawing, its legend and its table.
    pub(super) fn render(&self) -> String {
        let Self {
            id,
            height,
            drawing,
            ..
        } = self;
        let description = escape(&self.description);
        let table = self.table.render();
        format!(
            "<figure>\n{legend}<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Chart\">\n<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-description\">\n<desc id=\"{id}-description\">{description}</desc>\n{drawing}</svg>\n</div>\n{table}</figure>\n",
            legend = self.legend(),
        )
    }

    fn legend(&self) -> String {
        if self.legend.is_empty() {
            return String::new();
        }
        let items: String = self
            .legend
            .iter()
            .map(|(class, text)| {
                let text = escape(text);
                format!("<li><svg viewBox=\"0 0 14 14\" width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"{class}\" x=\"1\" y=\"1\" width=\"12\" height=\"12\" rx=\"2\"/></svg>{text}</li>\n")
            })
            .collect();
        format!("<ul class=\"legend\">\n{items}</ul>\n")
    }
}

impl Table<'_> {
    fn render(&self) -> String {
        let head: String = self
            .head
            .iter()
            .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
            .collect();
        let rows: String = self.rows.iter().map(|row| table_row(row)).collect();
        format!(
            "<details>\n<summary>Table</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">\n<table>\n<caption>{}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n</details>\n",
            escape(&self.caption)
        )
    }
}

fn table_row(cells: &[String]) -> String {
    let mut row = String::from("<tr>");
    for (index, cell) in cells.iter().enumerate() {
        let cell = escape(cell);
        row.push_str(&match index {
            0 => format!("<th scope=\"row\">{cell}</th>"),
            _ => format!("<td>{cell}</td>"),
        });
    }
    row.push_str("</tr>\n");
    row
}

/// A linear axis from 0.
pub(super) struct Axis {
    max: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Maps 0 to `from` and `max` to `to`.
    pub(super) const fn new(max: f64, from: f64, to: f64) -> Self {
        Self { max, from, to }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        match self.max > 0.0 {
            true => self.from + (self.to - self.from) * value / self.max,
            false => self.from,
        }
    }

    /// Round values along it, at most seven.
    pub(super) fn ticks(&self) -> Vec<f64> {
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

    /// Lines across the plot with their values left of it.
    pub(super) fn grid(&self, unit: &str) -> String {
        let ticks = self.ticks();
        let lines = ticks.iter().map(|value| {
            let (y, label) = (self.at(*value), short(*value));
            let (label_x, label_y) = (LEFT - 8.0, y + 4.0);
            format!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"end\" x=\"{label_x}\" y=\"{label_y:.1}\">{label}{unit}</text>\n")
        });
        lines.collect()
    }
}

/// Heights of blocks along the bottom, as many as fit.
pub(super) fn block_labels(heights: &[u64], y: f64) -> String {
    let every = heights.len().div_ceil(LABELS_MAX).max(1);
    let step = (WIDTH - LEFT) / heights.len().max(1) as f64;
    let labels = heights.iter().enumerate().step_by(every);
    labels
        .map(|(index, height)| {
            let x = LEFT + step * (index as f64 + 0.5) + 4.0;
            let y = y + 8.0;
            format!("<text class=\"end\" transform=\"translate({x:.1} {y:.1}) rotate(-60)\">{height}</text>\n")
        })
        .collect()
}

/// A value without needless digits.
pub(super) fn short(value: f64) -> String {
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
