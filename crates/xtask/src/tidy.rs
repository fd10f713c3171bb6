//! The project's own rules, checked on the text of its files. Each check is a function over a file (or all of them)
//! that returns findings: where, what is wrong, what to do.

mod arrows;
mod code;
mod documents;
mod lexer;
mod sizes;

use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the project.
pub struct Source {
    /// Relative to the root, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether it is the manifest of a member: one with a workspace of its own is none.
    pub fn is_member(&self) -> bool {
        self.path.ends_with("/Cargo.toml") && !self.text.lines().any(|line| line == "[workspace]")
    }
}

/// What is wrong, with the place in front.
pub type Findings = Vec<String>;

/// Checks everything.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let sources = read(root)?;
    let settings = Settings::load(root)?;
    let mut findings = arrows::check(&sources);
    findings.extend(code::check(&sources));
    findings.extend(documents::check(&sources, &settings));
    findings.extend(sizes::check(&sources, &settings));
    if findings.is_empty() {
        println!("tidy: {} files are as they should be", sources.len());
        return Ok(());
    }
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    bail!("{} findings", findings.len())
}

/// Remembers counts and the format's fingerprint as they are now.
pub fn bless(root: &Path) -> anyhow::Result<()> {
    let sources = read(root)?;
    let (files, functions) = sizes::counts(&sources);
    let text = format!(
        "# Written by `cargo xtask tidy --bless`. The two counts may only fall.\nlong_files = {files}\nlong_functions = \
         {functions}\n# Fingerprint of the files that lay out bytes on disk together with FORMAT.md.\nformat = \"{}\"\n",
        documents::format_fingerprint(&sources)
    );
    Ok(fs::write(settings_path(root), text)?)
}

/// What `tidy.toml` remembers.
pub struct Settings {
    /// Files over 400 lines.
    pub long_files: usize,
    /// Functions over 40 lines.
    pub long_functions: usize,
    /// Fingerprint of the on-disk format's files.
    pub format: String,
}

fn settings_path(root: &Path) -> PathBuf {
    root.join("crates/xtask/tidy.toml")
}

impl Settings {
    fn load(root: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(settings_path(root)).context("crates/xtask/tidy.toml")?;
        let table: toml::Table = text.parse()?;
        let count = |name: &str| table.get(name).and_then(toml::Value::as_integer).unwrap_or(0);
        Ok(Self {
            long_files: usize::try_from(count("long_files"))?,
            long_functions: usize::try_from(count("long_functions"))?,
            format: table.get("format").and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
        })
    }
}

fn read(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                let is_ours = !name.starts_with('.') || name == ".ci";
                if is_ours && name != "target" && name != "out" {
                    open.push(entry.path());
                }
            } else if name == ".git" {
                // In a linked work tree it is a file that names a path of this machine.
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                let path = entry.path();
                let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
