//! Queries: by text or by vector, in one tenant, in some, or in all.

use super::{Engine, Inner, Member, documents::split_text};
use crate::{
    EngineError, ErrorCode,
    cross_shard::Question,
    fan_out::{self, Plan, Reach, Targets},
    latency::LatencyMeter,
};
use pinyon_embed::InputKind;
use pinyon_shard::{Explanation, Hit, Namespace, Work};
use pinyon_types::{
    Effort, Filter, Invalid, Metadata, NamespaceId, RecordId, Score, SeqNo, ShardId, SparseVector, TenantId,
    TopK, Vector, limits,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

/// Tenants whose latency is metered on their own: each meter takes about 50 kB.
const METERED_TENANTS_MAX: usize = 256;

/// A query in words.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    /// What to look for.
    pub text: String,
    /// Where.
    pub reach: Reach,
    /// How many results.
    pub top_k: u32,
    /// Only records that pass this.
    pub filter: Option<Filter>,
    /// After this time what is there is answered and marked as partial.
    pub timeout: Option<Duration>,
    /// How hard to try; what it leaves open is as the settings say.
    pub effort: Effort,
    /// Whether the answer says how it was found.
    pub explain: bool,
}

impl TextQuery {
    /// A query in one tenant.
    pub fn in_tenant(tenant: &str, text: &str, top_k: u32) -> Self {
        Self::new(Reach::Tenant(tenant.into()), text, top_k)
    }

    /// A query over every tenant.
    pub fn everywhere(text: &str, top_k: u32) -> Self {
        Self::new(Reach::All, text, top_k)
    }

    fn new(reach: Reach, text: &str, top_k: u32) -> Self {
        let effort = Effort::NORMAL;
        Self { text: text.into(), reach, top_k, filter: None, timeout: None, effort, explain: false }
    }
}

/// A query by vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorQuery {
    /// What to be near to; empty in an index of sparse vectors.
    pub vector: Vec<f32>,
    /// What to be near to besides, or alone in an index of sparse vectors. Scores of both parts are added.
    pub sparse: Option<SparseVector>,
    /// Only records whose sparse vector has all of these indices.
    pub required: Vec<u32>,
    /// Where.
    pub reach: Reach,
    /// How many results.
    pub top_k: u32,
    /// Only records that pass this.
    pub filter: Option<Filter>,
    /// After this time what is there is answered and marked as partial.
    pub timeout: Option<Duration>,
    /// How hard to try; what it leaves open is as the settings say.
    pub effort: Effort,
    /// Whether the answer says how it was found.
    pub explain: bool,
}

impl VectorQuery {
    /// A query by a dense vector.
    pub fn dense(vector: Vec<f32>, reach: Reach, top_k: u32) -> Self {
        Self {
            vector,
            sparse: None,
            required: Vec::new(),
            reach,
            top_k,
            filter: None,
            timeout: None,
            effort: Effort::NORMAL,
            explain: false,
        }
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Whose record it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: RecordId,
    /// How well it fits, in the metric's public meaning.
    pub score: Score,
    /// Its metadata without the text.
    pub metadata: Metadata,
    /// Its text, if it was ingested as a document.
    pub text: Option<String>,
    /// Where it lives.
    pub shard: ShardId,
}

/// How a shard's part ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardOutcome {
    /// Everything it was asked for.
    Answered,
    /// The time was up: some of its rows were not considered.
    TimedOut,
    /// It could not answer.
    Failed(EngineError),
}

/// One shard's part in an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardReport {
    /// Which shard.
    pub shard: ShardId,
    /// Its name.
    pub index_name: String,
    /// How long it took.
    pub latency: Duration,
    /// How it ended.
    pub outcome: ShardOutcome,
    /// How it was searched, if the query asked.
    pub explanation: Option<Box<Explanation>>,
    /// What it cost in counts.
    pub work: Work,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnswer {
    /// Best first; equals by namespace number, then by id.
    pub results: Vec<Match>,
    /// The shards that were asked.
    pub shards: Vec<ShardReport>,
    /// From the query's arrival to the last result; embedding included.
    pub latency: Duration,
    /// Whether some shard's answer is missing or incomplete (QRY-1).
    pub is_partial: bool,
    /// Whether this is a kept answer, to data that are still the same; the shards' reports are those of the search.
    pub is_cached: bool,
    /// The effort that was made, if the query asked how it is answered.
    pub explained: Option<Effort>,
    /// How long embedding the text took, likewise.
    pub embedding: Option<Duration>,
}

/// What a query in one namespace found, with everything that its records hold.
#[derive(Debug)]
pub struct RecordAnswer {
    /// Best first.
    pub hits: Vec<(Score, Hit)>,
    /// Whether the time was up before every row was considered (QRY-1).
    pub is_partial: bool,
}

/// Components that a small tenant's vectors have in all: they are scored in some tens of microseconds.
const SMALL_COMPONENTS_MAX: u64 = 200_000;
/// Records that a small tenant has, whatever their vectors.
const SMALL_RECORDS_MAX: u64 = 1_000;

impl Engine {
    /// Whether a query of this tenant is done sooner than another thread is woken for it.
    pub fn is_small(&self, tenant: &str) -> bool {
        let components = u64::from(self.inner.settings.dim.get());
        self.count(tenant, None)
            .is_ok_and(|records| records <= SMALL_RECORDS_MAX && records * components <= SMALL_COMPONENTS_MAX)
    }

    /// Finds records of one tenant near to a vector, for callers that want their vectors or their metadata as stored.
    ///
    /// # Errors
    /// Refused input, or the shard's failure.
    pub fn query_records(&self, query: VectorQuery) -> Result<RecordAnswer, EngineError> {
        let began_us = self.inner.clock.now_us();
        self.inner.admit(&query.reach)?;
        let reach = query.reach.clone();
        let gathered = fan_out::run(&self.inner, self.plan(query)?)?;
        let mut is_partial = false;
        for report in gathered.reports {
            match report.outcome {
                ShardOutcome::Answered => {}
                ShardOutcome::TimedOut => is_partial = true,
                ShardOutcome::Failed(error) => return Err(error),
            }
        }
        if let Some(meter) = self.inner.tenant_meter(&reach) {
            meter.record_us(self.inner.clock.now_us().saturating_sub(began_us));
        }
        let metric = self.inner.settings.metric;
        let hits = gathered.hits.into_iter().map(|(_, hit)| (metric.score(hit.distance()), hit));
        Ok(RecordAnswer { hits: hits.collect(), is_partial })
    }

    /// The vector that a query's text becomes.
    ///
    /// # Errors
    /// The embedder's.
    pub fn embed_query(&self, text: &str) -> Result<Vec<f32>, EngineError> {
        let vectors = self.inner.settings.embedder.embed(&[text], InputKind::Query)?;
        let nothing =
            || EngineError::new(ErrorCode::EmbedderFailed, "the embedder gave no vector for the query");
        vectors.into_iter().next().ok_or_else(nothing)
    }

    /// Embeds a text and finds what is near to it.
    ///
    /// # Errors
    /// Refused input, the limit on cross-shard queries, or the embedder's. A shard that fails or is late makes the answer partial, not an error.
    pub fn query_text(&self, query: &TextQuery) -> Result<QueryAnswer, EngineError> {
        let began_us = self.inner.clock.now_us();
        self.inner.admit(&query.reach)?;
        let vector = self.embed_query(&query.text)?;
        let took_us = || self.inner.clock.now_us().saturating_sub(began_us);
        let embedding = query.explain.then(|| Duration::from_micros(took_us()));
        let TextQuery { text: _, reach, top_k, filter, timeout, effort, explain } = query.clone();
        let by_vector = VectorQuery::dense(vector, reach, top_k);
        let answer = self.answer(VectorQuery { filter, timeout, effort, explain, ..by_vector }, began_us)?;
        Ok(QueryAnswer { embedding, ..answer })
    }

    /// Finds what is near to a vector.
    ///
    /// # Errors
    /// Refused input, or the limit on cross-shard queries. A shard that fails or is late makes the answer partial, not an error.
    pub fn query_vector(&self, query: VectorQuery) -> Result<QueryAnswer, EngineError> {
        let began_us = self.inner.clock.now_us();
        self.inner.admit(&query.reach)?;
        self.answer(query, began_us)
    }

    fn answer(&self, query: VectorQuery, began_us: u64) -> Result<QueryAnswer, EngineError> {
        let inner = &self.inner;
        let reach = query.reach.clone();
        let mut answer = inner.answer_kept(self.plan(query)?, &reach)?;
        let latency_us = inner.clock.now_us().saturating_sub(began_us);
        if let Some(meter) = inner.tenant_meter(&reach) {
            meter.record_us(latency_us);
        }
        answer.latency = Duration::from_micros(latency_us);
        Ok(answer)
    }

    fn plan(&self, query: VectorQuery) -> Result<Plan, EngineError> {
        let (metric, vector) =
            (self.inner.settings.metric, Vector::new(query.vector, self.inner.settings.dim)?);
        vector.check_length(metric)?;
        query.sparse.as_ref().map_or(Ok(()), |sparse| sparse.check_length(metric))?;
        Ok(Plan {
            targets: self.inner.targets(&query.reach)?,
            vector,
            sparse: query.sparse,
            required: query.required,
            top_k: TopK::new(query.top_k)?,
            filter: query.filter.map(|filter| self.inner.read_filter(filter)).transpose()?,
            timeout: query.timeout,
            effort: query.effort.or_factor(self.scan_factor()),
            explain: query.explain,
        })
    }
}

impl Inner {
    fn targets(&self, reach: &Reach) -> Result<Targets, EngineError> {
        let names = match reach {
            Reach::All => return Ok(Targets::All),
            Reach::Tenant(tenant) => std::slice::from_ref(tenant),
            Reach::Tenants(tenants) => tenants,
        };
        if names.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!("must be at most {}, are {}", limits::BATCH_RECORDS_MAX, names.len());
            return Err(Invalid::new("tenant_ids", problem).into());
        }
        let mut by_shard: BTreeMap<ShardId, BTreeMap<NamespaceId, Namespace>> = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            let tenant = TenantId::new(name).map_err(|error| match reach {
                Reach::Tenants(_) => Invalid::new(format!("tenant_ids[{at}]"), error.problem),
                Reach::Tenant(_) | Reach::All => error,
            })?;
            // A tenant that was never placed has nothing to find.
            if let Some((namespace, assignment)) = self.resolve(&tenant)? {
                if matches!(reach, Reach::Tenant(_)) {
                    self.shard(assignment.shard)?;
                }
                by_shard.entry(assignment.shard).or_default().insert(namespace.id(), namespace);
            }
        }
        let handles = by_shard.into_iter().map(|(shard, distinct)| (shard, distinct.into_values().collect()));
        Ok(Targets::Namespaces(handles.collect()))
    }

    /// Counts a query, if it is let in.
    fn admit(&self, reach: &Reach) -> Result<(), EngineError> {
        if !matches!(reach, Reach::Tenant(_)) {
            return self.cross_shard.admit();
        }
        self.single_tenant_queries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// An answer across shards may be one that was kept.
    fn answer_kept(&self, plan: Plan, reach: &Reach) -> Result<QueryAnswer, EngineError> {
        // How a kept answer was found is not how this query would be answered.
        if matches!(reach, Reach::Tenant(_)) || plan.explain || !self.cross_shard.keeps_answers() {
            return self.search(plan);
        }
        let question = Question::new(&plan, reach);
        // A shard that is kept out is at no position.
        let position = |member: &Member| member.serving().map(|shard| shard.last_seq());
        let seen: Vec<Option<SeqNo>> = self.fleet.members.iter().map(position).collect();
        if let Some(kept) = self.cross_shard.recall(&question, &seen) {
            return Ok(kept);
        }
        let answer = self.search(plan)?;
        self.cross_shard.keep(question, seen, &answer);
        Ok(answer)
    }

    fn search(&self, plan: Plan) -> Result<QueryAnswer, EngineError> {
        let explained = plan.explain.then_some(plan.effort);
        let gathered = fan_out::run(self, plan)?;
        let metric = self.settings.metric;
        self.check_answer(gathered.hits.iter().map(|(_, hit)| hit.bytes(false, true)).sum())?;
        let results = gathered.hits.into_iter().map(|(shard, hit)| {
            let (metadata, text) = split_text(hit.metadata());
            let (tenant, score) = (hit.namespace().name().clone(), metric.score(hit.distance()));
            Match { tenant, id: hit.id(), score, metadata, text, shard }
        });
        let is_partial = gathered.reports.iter().any(|report| report.outcome != ShardOutcome::Answered);
        Ok(QueryAnswer {
            results: results.collect(),
            shards: gathered.reports,
            latency: Duration::ZERO,
            is_partial,
            is_cached: false,
            explained,
            embedding: None,
        })
    }

    /// The meter of the query's tenant, if it is for one and meters are left.
    fn tenant_meter(&self, reach: &Reach) -> Option<Arc<LatencyMeter>> {
        let Reach::Tenant(tenant) = reach else { return None };
        let namespace = self.routing.lookup(tenant)?.namespace;
        let mut meters = self.tenant_latency.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= METERED_TENANTS_MAX && !meters.contains_key(&namespace) {
            return None;
        }
        let meter =
            meters.entry(namespace).or_insert_with(|| Arc::new(LatencyMeter::new(Arc::clone(&self.clock))));
        Some(Arc::clone(meter))
    }
}
