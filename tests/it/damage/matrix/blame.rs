//! Whom damage may touch: who leans on a file, and whether a start may be refused for it.

use super::{
    super::kinds::Damage,
    cells::Cell,
    made::{INDEXES, Namespace, TENANTS},
};
use pinyon_core::{EngineError, ErrorCode};
use std::path::{Path, PathBuf};

/// Whom damage may touch.
#[derive(Debug, Default)]
pub struct Blame {
    /// Indexes, one of their shards alone if it says which.
    touched: Vec<(&'static str, Option<u32>)>,
    /// What the message of a refused start may name, if one may be refused.
    refusal: Vec<String>,
}

impl Blame {
    pub fn of(cell: &Cell, damaged: &[PathBuf]) -> Self {
        let mut blame = Self::default();
        damaged.iter().for_each(|path| blame.add(cell, path));
        blame
    }

    fn add(&mut self, cell: &Cell, path: &Path) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        match (cell.kind.as_str(), parts.as_slice()) {
            // For people, and for whoever wants to know the holder.
            ("catalog catalog.json", _) => {}
            // A number of it that was changed says that a later version wrote the data.
            ("FORMAT", _) => self.refusal.extend([name, "have format ".to_owned()]),
            ("held", _) => self.refusal.push(name),
            ("GENERATION", _) => {
                self.refusal.push(name);
                self.touched.push((TENANTS, None));
            }
            (kind, _) if kind.starts_with("registry") => {
                self.refusal.push("registry".into());
                self.refusal.push("indexes: ".into());
                self.touched.extend(INDEXES.map(|index| (index, None)));
            }
            // The registry tells that an index was lost, or came from nowhere (FORMAT.md).
            ("index's directory", _) if matches!(cell.damage, Damage::Missing | Damage::Doubled) => {
                self.refusal.push(name);
                self.touched.push((index_of(parts[1]), None));
            }
            (_, ["indexes", index, rest @ ..]) => self.add_index(index_of(index), rest),
            (_, [generation, rest @ ..]) if generation.starts_with("generation-") => {
                self.add_index(TENANTS, rest);
            }
            (_, rest) => self.add_index(TENANTS, rest),
        }
    }

    fn add_index(&mut self, index: &'static str, rest: &[&str]) {
        let shard = match rest {
            ["shards", shard, ..] => shard.strip_prefix("shard-").and_then(|number| number.parse().ok()),
            _ => None,
        };
        self.touched.push((index, shard));
    }

    /// Whether a namespace may be refused.
    pub fn covers(&self, namespace: &Namespace) -> bool {
        self.touched.iter().any(|(index, shard)| {
            *index == namespace.index && shard.is_none_or(|shard| shard == namespace.shard)
        })
    }

    /// Whether an index may answer without some of its shards.
    pub fn covers_some_of(&self, index: &str) -> bool {
        self.touched.iter().any(|(touched, _)| *touched == index)
    }

    /// Whether a start may be refused so.
    pub fn explains(&self, refusal: &EngineError) -> bool {
        self.refusal.iter().any(|name| refusal.message.contains(name))
    }

    /// Whether a namespace may be refused so: by the name of its shard or index, and without saying where
    /// the data directory is.
    pub fn excuses(&self, namespace: &Namespace, error: &EngineError) -> bool {
        let prefix = if namespace.index == TENANTS { "tenant-shard" } else { namespace.index };
        let shard = format!("shard {prefix}-{} is quarantined", namespace.shard);
        let whole = format!("index {prefix} is quarantined");
        let is_whole = self.touched.contains(&(namespace.index, None)) && error.message.contains(&whole);
        self.covers(namespace)
            && error.code == ErrorCode::Quarantined
            && (is_whole || error.message.contains(&shard))
            && !error.message.contains("/pinyon-it-")
    }
}

fn index_of(directory: &str) -> &'static str {
    let number = directory.strip_prefix("index-").and_then(|number| number.parse::<usize>().ok());
    number.and_then(|number| INDEXES.get(number.checked_sub(1)?)).copied().unwrap_or("none")
}
