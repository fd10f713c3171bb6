//! How an engine is opened: what its data are made with, and how it behaves.

use crate::{
    CrossShardSettings, EngineError, ErrorCode,
    catalog::{CatalogKind, StoredSettings},
    environment::Environment,
    moves::MoveSettings,
    placement::PlacementPolicy,
};
use pinyon_embed::{Embedder, HashEmbedder};
use pinyon_shard::{ShardOptions, Verify};
use pinyon_types::{Dim, Effort, Filter, Invalid, Metric, UniqueId, limits};
use std::{path::Path, sync::Arc, time::Duration};

/// When a shard is too full or too slow. The reference module's numbers are the defaults of the server's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Vectors above which a shard is overloaded.
    pub vectors_per_shard_max: u64,
    /// Tenants that a shard should hold at most.
    pub namespaces_per_shard_max: u64,
    /// Tenants from which on a shard should be relieved.
    pub namespaces_per_shard_warn: u64,
    /// 95th percentile of query latency above which a shard is overloaded.
    pub p95_warn: Duration,
}

impl Thresholds {
    /// The reference module's numbers.
    pub const fn module() -> Self {
        Self {
            vectors_per_shard_max: 300_000,
            namespaces_per_shard_max: 20,
            namespaces_per_shard_warn: 18,
            p95_warn: Duration::from_millis(500),
        }
    }
}

/// Bytes that are verified while engines are opened: a tenth of a second where the disk reads a gigabyte a second.
pub const VERIFIED_AT_START: u64 = 128 << 20;
/// The time in which every byte of every file is read again, if nobody says otherwise.
pub const SCRUB_PERIOD: Duration = Duration::from_hours(7 * 24);

/// How an engine is opened.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Number of shards; fixed with the first start.
    pub shards: u32,
    /// What stands before a shard's number in its name.
    pub shard_prefix: String,
    /// Components of every vector; fixed with the first start.
    pub dim: Dim,
    /// How nearness is measured; fixed with the first start.
    pub metric: Metric,
    /// Where new tenants go; fixed with the first start.
    pub placement: PlacementPolicy,
    /// What makes vectors of texts; its model is fixed with the first start.
    pub embedder: Arc<dyn Embedder>,
    /// What keeps the routing table; fixed with the first start.
    pub catalog: CatalogKind,
    /// How shards behave.
    pub shard_options: ShardOptions,
    /// When shards are unhealthy.
    pub thresholds: Thresholds,
    /// What queries across shards may cost.
    pub cross_shard: CrossShardSettings,
    /// Threads that answer fan-outs.
    pub search_threads: usize,
    /// What filters make of records that lack a field.
    pub missing_fields: MissingFields,
    /// The effort of queries that name none: 0.5 to 4 times what the self-tests of codes and graphs found to be enough.
    pub scan_factor: f64,
    /// Most bytes of records in an answer to a question.
    pub answer_bytes_max: usize,
    /// The time in which every byte of every file is read again; `None`: never.
    pub scrub_period: Option<Duration>,
    /// Most bytes of sealed rows that all engines of a process verify while they are opened; the rest is verified when it is first read,
    /// and soon after.
    pub verified_at_start: u64,
    /// Who says what the data are.
    pub shape_source: ShapeSource,
    /// How tenants are moved.
    pub moves: MoveSettings,
    /// What it takes from outside: the file system, the clock, and who does its background work.
    pub environment: Environment,
}

/// Who says what an engine's data are made with: what contradicts it is a wrong setting or files that are not this engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShapeSource {
    /// Whoever starts it.
    #[default]
    Settings,
    /// The registry of indexes, which knows its name; none of one that an earlier version made.
    Registry(UniqueId),
}

/// Whether `$ne` and `$nin` match a record that lacks the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingFields {
    /// No, as in Pinecone's serverless indexes.
    #[default]
    Excluded,
    /// Yes, as in MongoDB and in Pinecone's pods.
    Included,
}

impl MissingFields {
    /// Reads the setting's value.
    ///
    /// # Errors
    /// Anything but `exclude` and `include`.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        match name {
            "exclude" => Ok(Self::Excluded),
            "include" => Ok(Self::Included),
            other => Err(Invalid::new("missing_fields", format!("must be exclude or include, is {other:?}"))),
        }
    }

    /// The setting's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Excluded => "exclude",
            Self::Included => "include",
        }
    }

    pub(crate) fn read(self, filter: Filter) -> Filter {
        match self {
            Self::Excluded => filter,
            Self::Included => filter.matching_missing(),
        }
    }
}

/// Most bytes of records in an answer to a question (Pinecone's limit).
pub const ANSWER_BYTES_MAX: usize = 4 << 20;

impl EngineSettings {
    /// The same for who wants to know at once whether every byte is as it was written.
    #[must_use]
    pub(crate) fn verified_at_open(self) -> Self {
        let shard_options = ShardOptions { verify: Verify::AtOpen, ..self.shard_options };
        Self { shard_options, ..self }
    }

    /// Lets in what needs room on the disk, unless there is none.
    pub(crate) fn check_disk(&self) -> Result<(), EngineError> {
        let disk = self.shard_options.disk.as_ref();
        Ok(disk.map_or(Ok(()), |disk| disk.check())?)
    }

    /// Settings that need nothing: cosine, the hashing embedder, sled, the reference placement.
    ///
    /// # Errors
    /// A number of shards or a dimension outside its range.
    pub fn offline(shards: u32, dimension: u32) -> Result<Self, EngineError> {
        let dim = Dim::new(dimension)?;
        let settings = Self {
            shards,
            shard_prefix: "tenant-shard".into(),
            dim,
            metric: Metric::Cosine,
            placement: PlacementPolicy::Mmh3,
            embedder: Arc::new(HashEmbedder::new(dim)),
            catalog: CatalogKind::Sled,
            shard_options: ShardOptions::server(),
            thresholds: Thresholds::module(),
            cross_shard: CrossShardSettings::default(),
            search_threads: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            missing_fields: MissingFields::default(),
            scan_factor: 1.0,
            answer_bytes_max: ANSWER_BYTES_MAX,
            scrub_period: Some(SCRUB_PERIOD),
            verified_at_start: VERIFIED_AT_START,
            shape_source: ShapeSource::default(),
            moves: MoveSettings::default(),
            environment: Environment::system(),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Checks what can be told without looking at data.
    ///
    /// # Errors
    /// A number of shards or a scan factor out of range, or an embedder of another dimension.
    pub fn check(&self) -> Result<(), EngineError> {
        if !(1..=limits::SHARDS_MAX).contains(&self.shards) {
            let problem = format!("must be 1 to {}, is {}", limits::SHARDS_MAX, self.shards);
            return Err(Invalid::new("num_shards", problem).into());
        }
        Effort::new(Some(self.scan_factor), None, 1)?;
        if self.embedder.dim() != self.dim {
            let problem =
                format!("is {}, but the embedder makes vectors of {}", self.dim, self.embedder.dim());
            return Err(Invalid::new("vector_dimension", problem).into());
        }
        Ok(())
    }

    pub(crate) fn stored(&self) -> StoredSettings {
        StoredSettings {
            shards: self.shards,
            dimension: self.dim.get(),
            metric: self.metric.name().into(),
            placement: self.placement.name().into(),
            embedder: self.embedder.model_id().into(),
        }
    }
}

impl ShapeSource {
    /// The name that the index must have, if anybody knows.
    pub(crate) const fn index(self) -> UniqueId {
        match self {
            Self::Settings => UniqueId::NONE,
            Self::Registry(index) => index,
        }
    }
}

/// A setting that is not what the data were made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    setting: &'static str,
    found: String,
    asked: String,
}

impl Contradiction {
    /// The first of the settings that two have not in common.
    pub(crate) fn between(found: &StoredSettings, asked: &StoredSettings) -> Option<Self> {
        let settings = [
            ("NUM_SHARDS", found.shards.to_string(), asked.shards.to_string()),
            ("VECTOR_DIMENSION", found.dimension.to_string(), asked.dimension.to_string()),
            ("METRIC", found.metric.clone(), asked.metric.clone()),
            ("PLACEMENT", found.placement.clone(), asked.placement.clone()),
            ("EMBEDDER", found.embedder.clone(), asked.embedder.clone()),
        ];
        let mut settings = settings.into_iter();
        let (setting, found, asked) = settings.find(|(_, found, asked)| found != asked)?;
        Some(Self { setting, found, asked })
    }

    /// The refusal, with the way out.
    pub(crate) fn refusal(&self, dir: &Path, source: ShapeSource) -> EngineError {
        let Self { setting, found, asked } = self;
        let made_with = format!("the data in {} were made with {setting}={found}", dir.display());
        match source {
            ShapeSource::Settings => {
                let remedy = format!(
                    "start with {setting}={found} or without it, or give another data directory and ingest again"
                );
                let message = format!("{made_with}, this start asks for {setting}={asked}: {remedy}");
                EngineError::new(ErrorCode::FailedPrecondition, message)
            }
            ShapeSource::Registry(_) => {
                let remedy = "files of another index lie there: put back its own from a backup";
                let message = format!("{made_with}, and this index has {setting}={asked}: {remedy}");
                EngineError::new(ErrorCode::DataDamaged, message)
            }
        }
    }
}
