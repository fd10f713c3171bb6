//! What is told of a damaged shard.

use pinyon_types::{RecordId, TenantId};

/// Ids of lost records that are named, of each namespace.
const IDS_NAMED: usize = 1_000;

/// What is left of a damaged shard, and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SalvageReport {
    /// By namespace, as far as it can be told.
    pub namespaces: Vec<SalvagedNamespace>,
    /// Rows of segments of which nothing can be read, not even whose they were; some of them may have been dead.
    pub unknown: u64,
    /// Writes of logs that cannot be read.
    pub lost_entries: u64,
    /// What was found, a sentence for each damaged file.
    pub problems: Vec<String>,
}

/// What is left of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedNamespace {
    /// Whose it is.
    pub tenant: TenantId,
    /// Records that can be read.
    pub kept: u64,
    /// Those that cannot.
    pub lost: LostRecords,
}

/// Records that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LostRecords {
    /// How many.
    pub count: u64,
    /// The ids of the first thousand whose ids can be read.
    pub ids: Vec<RecordId>,
}

impl SalvageReport {
    /// Records that can be read.
    pub fn kept(&self) -> u64 {
        self.namespaces.iter().map(|one| one.kept).sum()
    }

    /// Records of known namespaces that cannot.
    pub fn lost(&self) -> u64 {
        self.namespaces.iter().map(|one| one.lost.count).sum()
    }

    pub(super) fn say(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }
}

impl LostRecords {
    pub(super) fn add(&mut self, id: Option<RecordId>) {
        self.count += 1;
        if self.ids.len() < IDS_NAMED {
            self.ids.extend(id);
        }
    }
}
