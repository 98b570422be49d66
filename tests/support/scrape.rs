//! What a scrape shows, read by a small strict reader of Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};

/// Families with their types, and series (name and labels) with their values.
#[derive(Debug, Default)]
pub struct Scrape {
    pub types: BTreeMap<String, String>,
    pub series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the text, strictly: HELP, then TYPE, then the samples of a family, each family once, each series once.
    pub fn of(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                name.clone_into(&mut current);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, current, "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scrape.types.insert(name.into(), kind.into()).is_none(), "{line}");
            } else {
                scrape.sample(line, &current);
            }
        }
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffixes: &[&str] = match self.types[family].as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line}");
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(legal), "{line}");
        let labels = series.strip_prefix(name).unwrap();
        if !labels.is_empty() {
            let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix("\"}"));
            for pair in inner.unwrap_or_else(|| panic!("{line}")).split("\",") {
                let (label, value) = pair.split_once("=\"").unwrap();
                assert!(label.chars().all(legal) && !value.contains(['"', '\\']), "{line}");
            }
        }
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(self.series.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }

    /// The value of a series of ours, named without the prefix.
    pub fn value(&self, series: &str) -> f64 {
        let series = format!("schemaward_{series}");
        *self.series.get(&series).unwrap_or_else(|| panic!("{series} is not there"))
    }

    /// The sum over all series of a family of ours whose labels contain `labels`.
    pub fn sum(&self, family: &str, labels: &str) -> f64 {
        let start = format!("schemaward_{family}{{");
        let found = self.series.iter().filter(|(name, _)| name.starts_with(&start));
        found.filter(|(name, _)| name.contains(labels)).map(|(_, value)| value).sum()
    }

    /// The values of one label in a family of ours.
    pub fn labels(&self, family: &str, label: &str) -> BTreeSet<String> {
        let (start, label) = (format!("schemaward_{family}{{"), format!("{label}=\""));
        let found = self.series.keys().filter(|name| name.starts_with(&start));
        let value = |name: &String| {
            let (_, rest) = name.split_once(&label)?;
            Some(rest.split('"').next()?.to_owned())
        };
        found.filter_map(value).collect()
    }
}
