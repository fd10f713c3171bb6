//! The project's files as the checks see them, and what a check finds.

use std::{fs, path::Path};

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

/// Reads every text file of the project, by path ascending.
pub fn read(root: &Path) -> anyhow::Result<Vec<Source>> {
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
