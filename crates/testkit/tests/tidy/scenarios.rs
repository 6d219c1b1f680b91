//! Tables of scenarios in documents name tests that there are.
//!
//! A table is one of scenarios if one of its columns is headed `scenario`; every name in backticks in that column is a
//! test function, with the module before it if that helps to find it.

use crate::tidy::finding::Finding;
use crate::tidy::repository::{Source, Text};

const HEADING: &str = "scenario";

/// Names of scenarios that no source has.
pub(crate) fn check(texts: &[Text], sources: &[Source]) -> Vec<Finding> {
    let documents = texts.iter().filter(|text| text.path.ends_with(".md"));
    let has = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|source| source.text.contains(&function))
    };
    documents.flat_map(|text| missing(text, has)).collect()
}

fn missing(text: &Text, has: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The column, while inside such a table.
    let mut column = None;
    for (index, line) in text.text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() < 3 {
            column = None;
            continue;
        }
        let headed = cells.iter().position(|cell| *cell == HEADING);
        column = column.or(headed);
        let cell = column.and_then(|column| cells.get(column));
        for name in cell
            .into_iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        {
            let function = name.rsplit("::").next().unwrap_or(name);
            if !has(function) {
                let message = format!("there is no scenario `{name}`; name one that there is");
                findings.push(Finding::new(&text.path, index + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::missing;
    use crate::tidy::finding::reports;
    use crate::tidy::repository::Text;

    #[test]
    fn a_scenario_that_is_not_there_is_reported() {
        let text = Text {
            path: "docs/x.md".to_owned(),
            text: [
                "| fault | scenario |",
                "|---|---|",
                "| `death` | `a::there`, `b::gone` |",
                "",
                "| fault | test |",
                "| `death` | `gone` |",
            ]
            .join("\n"),
        };
        let findings = missing(&text, |name| name == "there");
        assert!(reports(
            &findings,
            &["docs/x.md:3: there is no scenario `b::gone`"]
        ));
    }
}
