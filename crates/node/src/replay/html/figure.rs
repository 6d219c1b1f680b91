//! What every chart is made of: escaped text, a drawing with a name and a description, axes, and the
//! table that says the same.

pub(super) use crate::chart::{Axis, escape, grouped, short};

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

/// Lines across the plot with their values left of it.
pub(super) fn grid(axis: &Axis, unit: &str) -> String {
    let ticks = axis.ticks();
    let lines = ticks.iter().map(|value| {
            let (y, label) = (axis.at(*value), short(*value));
            let (label_x, label_y) = (LEFT - 8.0, y + 4.0);
            format!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"end\" x=\"{label_x}\" y=\"{label_y:.1}\">{label}{unit}</text>\n")
        });
    lines.collect()
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
