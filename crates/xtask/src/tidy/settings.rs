//! Counts and fingerprints that the checks remember from one run to the next.

use anyhow::Context;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What `tidy.toml` remembers.
pub struct Settings {
    /// Files over 400 lines.
    pub long_files: usize,
    /// Functions over 40 lines.
    pub long_functions: usize,
    /// Fingerprint of the on-disk format's files.
    pub format: String,
    /// Files in the largest circle of modules of each crate that has one.
    pub circles: BTreeMap<String, usize>,
}

/// The file that remembers it.
pub fn settings_path(root: &Path) -> PathBuf {
    root.join("crates/xtask/tidy.toml")
}

impl Settings {
    /// Reads what is remembered.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(settings_path(root)).context("crates/xtask/tidy.toml")?;
        let table: toml::Table = text.parse()?;
        let count = |name: &str| table.get(name).and_then(toml::Value::as_integer).unwrap_or(0);
        let circles = table.get("circles").and_then(toml::Value::as_table).into_iter().flatten();
        let circles = circles.filter_map(|(name, size)| {
            let size = size.as_integer().and_then(|size| usize::try_from(size).ok())?;
            Some((name.clone(), size))
        });
        Ok(Self {
            long_files: usize::try_from(count("long_files"))?,
            long_functions: usize::try_from(count("long_functions"))?,
            format: table.get("format").and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
            circles: circles.collect(),
        })
    }
    /// Names the counts that are larger now than remembered.
    pub fn risen(&self, files: usize, functions: usize, circles: &BTreeMap<String, usize>) -> Vec<String> {
        let mut risen = Vec::new();
        risen.extend((files > self.long_files).then(|| "long_files".to_owned()));
        risen.extend((functions > self.long_functions).then(|| "long_functions".to_owned()));
        let larger =
            circles.iter().filter(|(name, size)| self.circles.get(*name).is_none_or(|old| old < *size));
        risen.extend(larger.map(|(name, _)| format!("the largest circle of {name}")));
        risen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counts_that_rose_are_named() {
        let circles = |size| BTreeMap::from([("a".to_owned(), size)]);
        let settings =
            Settings { long_files: 2, long_functions: 3, format: String::new(), circles: circles(4) };
        assert!(settings.risen(2, 3, &circles(4)).is_empty() && settings.risen(1, 0, &circles(2)).is_empty());
        assert_eq!(
            settings.risen(3, 4, &circles(5)),
            ["long_files", "long_functions", "the largest circle of a"]
        );
        let new = BTreeMap::from([("b".to_owned(), 2)]);
        assert_eq!(settings.risen(0, 0, &new), ["the largest circle of b"]);
    }
}
