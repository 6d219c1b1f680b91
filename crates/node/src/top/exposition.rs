//! A few values out of a node's Prometheus text.
//!
//! A process that runs several nodes says which one by the label `index`; RPC is that of the first, so others
//! are left out. Values of one name under several other labels are added up.

use std::collections::BTreeMap;

/// Values by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exposition {
    values: BTreeMap<String, f64>,
}

impl Exposition {
    /// Reads the values of some names; lines of another form are left out.
    pub(crate) fn read(text: &str, wanted: &[&str]) -> Self {
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, labels, value)) = parts(line) else {
                continue;
            };
            let is_other = labels.contains("index=\"") && !labels.contains("index=\"0\"");
            if is_other || !wanted.contains(&name) {
                continue;
            }
            *values.entry(name.to_owned()).or_default() += value;
        }
        Self { values }
    }

    /// A value; none if the node does not tell it.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

/// Name, labels and value of a line.
pub(crate) fn parts(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some((name, labels, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_first_node_are_added_up() {
        let text = "# HELP a x\n# TYPE a counter\na_total{index=\"0\",way=\"x\"} 2\na_total{index=\"0\",way=\"y\"} 3\na_total{index=\"1\",way=\"x\"} 100\nb 1.5\nbroken\nc{index=\"0\"} NaNsense\n";
        let read = Exposition::read(text, &["a_total", "b", "c"]);
        assert_eq!(read.get("a_total"), Some(5.0));
        assert_eq!(read.get("b"), Some(1.5));
        assert_eq!(read.get("c"), None);
    }
}
