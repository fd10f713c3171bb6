//! What a shard is (its shape, fixed at creation) and how it behaves (options, free to change at every start).

use crate::{DiskBudget, MemoryBudget, ShardError, metric_code::metric_of};
use pinyon_storage::{
    Owner,
    io::Io,
    manifest::{self, MadeWith},
    segment::Verify,
    wal::WalOptions,
};
use pinyon_types::{Clock, Dim, Metric, ShardId};
use std::{path::Path, sync::Arc, time::Duration};

/// What a shard is. Written into its manifest; an open with another shape is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardShape {
    /// Its number within the index.
    pub shard: ShardId,
    /// Components of every dense vector; none in an index of sparse ones.
    pub dim: Dim,
    /// How nearness is measured.
    pub metric: Metric,
}

/// What a shard's manifest says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardOnDisk {
    /// What it is; nothing that this program knows, perhaps.
    pub shape: Option<ShardShape>,
    /// Whose it is; without names where a version without them made it.
    pub owner: Owner,
    /// What its index is made with, if it says.
    pub made_with: Option<MadeWith>,
}

impl ShardOnDisk {
    /// Reads a shard's manifest; `None` without one. Changes nothing.
    ///
    /// # Errors
    /// A manifest that is damaged, the system's.
    pub fn read(io: &dyn Io, dir: &Path) -> Result<Option<Self>, ShardError> {
        let Some(manifest) = manifest::load(io, dir)? else { return Ok(None) };
        let shape = Dim::stored(manifest.dim).ok().zip(metric_of(manifest.metric));
        let shard = ShardId::new(manifest.owner.number);
        Ok(Some(Self {
            shape: shape.map(|(dim, metric)| ShardShape { shard, dim, metric }),
            owner: manifest.owner,
            made_with: manifest.made_with,
        }))
    }
}

/// Which graph large namespaces get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GraphEngine {
    /// Our own, on codes.
    #[default]
    Codes,
    /// That of the crate hnsw_rs, on vectors.
    HnswRs,
}

impl GraphEngine {
    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Codes => "codes",
            Self::HnswRs => "hnsw_rs",
        }
    }

    /// The engine of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Codes, Self::HnswRs].into_iter().find(|engine| engine.name() == name)
    }
}

/// How it is known what walks and scans cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prices {
    /// Both are timed on this machine when a graph is there.
    Measured,
    /// A walk of effort one takes as long as scanning the codes of so many rows, and one of these 3 ns: the same ways answer everywhere.
    Fixed(usize),
}

/// Where a sample of what people ask is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuestionsKept {
    /// Nowhere.
    None,
    /// In memory, until the end of the process.
    #[default]
    Memory,
    /// In memory and in a file beside the segments, for the next start.
    Disk,
}

impl QuestionsKept {
    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }

    /// The place of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Memory, Self::Disk].into_iter().find(|kept| kept.name() == name)
    }
}

/// How long what was deleted may stay in the files. Single records longer than namespaces: a deletion a minute would otherwise have
/// a segment of gigabytes written again every few minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureTimes {
    /// After all records of a namespace were deleted at once.
    pub namespaces: Duration,
    /// After records were deleted or overwritten.
    pub records: Duration,
}

impl ErasureTimes {
    /// Ten minutes, and a day.
    pub const DEFAULT: Self = Self { namespaces: Duration::from_mins(10), records: Duration::from_hours(24) };
}

/// How a shard behaves.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// A memtable of this many bytes is sealed into a segment.
    pub seal_bytes: usize,
    /// A memtable of this many bytes is sealed when nobody writes to it for a while.
    pub quiet_seal_bytes: usize,
    /// A writer waits when the memtable has this many bytes because sealing cannot keep up (LIM-1).
    pub backlog_bytes_max: usize,
    /// Log files grow in steps of this many bytes.
    pub log_preallocate_bytes: u64,
    /// Namespaces with at least this many rows in one segment get codes.
    pub coded_rows_min: u32,
    /// Segments of several namespaces with at least this many rows get codes of all of them, for searches in all tenants.
    pub coded_whole_rows_min: u32,
    /// Namespaces, and segments of several, with at least this many rows get a graph.
    pub graph_rows_min: u32,
    /// Which one.
    pub graph: GraphEngine,
    /// Recall@10 that graphs must have before they answer where a scan could, with a confidence of 99 %.
    pub recall_min: f64,
    /// What walks and scans cost, of which the cheaper one answers.
    pub prices: Prices,
    /// Segments of one size class are merged when there are this many.
    pub merge_fan_in: usize,
    /// A segment is rewritten when this share of its rows is dead.
    pub dead_share_max: f64,
    /// Scans of codes that take so many milliseconds at most answer in place of a graph that is not sure to reach its recall; where they
    /// would take longer the graph does.
    pub scan_ms_max: usize,
    /// Where questions are kept to test graphs with.
    pub questions_kept: QuestionsKept,
    /// Who tells the time of tests.
    pub clock: Option<Arc<dyn Clock>>,
    /// A limit on memory, shared with other shards.
    pub memory: Option<Arc<MemoryBudget>>,
    /// The disk, shared with other shards.
    pub disk: Option<Arc<DiskBudget>>,
    /// After which times what was deleted is erased, if somebody tells the time; never, if `None`.
    pub erasure: Option<ErasureTimes>,
    /// When sealed rows are verified after a start: what is to be verified when it is first read should be read at least once soon,
    /// by [`crate::Shard::verify_rest`].
    pub verify: Verify,
}

impl ShardOptions {
    pub(crate) const fn log_options(&self, is_busy: bool) -> WalOptions {
        WalOptions { preallocate_bytes: self.log_preallocate_bytes, is_busy }
    }

    /// The options of a server with default settings, each with its reason.
    pub const fn server() -> Self {
        Self {
            // 10,000 rows of 384-D: few enough to replay and to scan record by record.
            seal_bytes: 16 << 20,
            // Segments cost a file each; what is smaller than this is scanned at once.
            quiet_seal_bytes: 1 << 20,
            backlog_bytes_max: 256 << 20,
            // What a log holds when its memtable is sealed.
            log_preallocate_bytes: 16 << 20,
            // Below this preparing the query costs as much as scanning the vectors.
            coded_rows_min: 64,
            // As of a namespace: what is not coded is scanned by its vectors.
            coded_whole_rows_min: 256,
            // Below this a scan of codes answers as fast, and nothing has to be built.
            graph_rows_min: 20_000,
            graph: GraphEngine::Codes,
            // The promise, in every size class. Tests say that it is kept only when they are sure.
            recall_min: 0.99,
            prices: Prices::Measured,
            merge_fan_in: 4,
            dead_share_max: 0.2,
            scan_ms_max: 20,
            questions_kept: QuestionsKept::Memory,
            clock: None,
            memory: None,
            disk: None,
            erasure: Some(ErasureTimes::DEFAULT),
            // A start takes as long however much there is.
            verify: Verify::OnFirstRead,
        }
    }

    /// Whether somebody asked for a limit on memory: codes and graphs are then made of namespaces alone, so that they can be dropped
    /// one by one.
    pub(crate) fn limits_parts(&self) -> bool {
        self.memory.as_ref().is_some_and(|budget| budget.is_asked())
    }

    /// The same with another graph.
    #[must_use]
    pub fn with_graph(self, graph: GraphEngine) -> Self {
        Self { graph, ..self }
    }

    /// The same with memtables of another size: a smaller one is read back sooner after a crash and takes less memory, a
    /// larger one is sealed and merged less often.
    pub fn sealing_at(seal_bytes: usize) -> Self {
        let server = Self::server();
        // Always room for a few memtables; never less than usual, or a single large write would wait.
        let few = seal_bytes.saturating_mul(4);
        let backlog_bytes_max = if few > server.backlog_bytes_max { few } else { server.backlog_bytes_max };
        Self { seal_bytes, backlog_bytes_max, ..server }
    }
}
