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
}
