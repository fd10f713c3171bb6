//! Queries: by text or by vector, in one tenant, in some, or in all.

use super::{
    Engine, Inner, Match, Member, QueryAnswer, RecordAnswer, RecordQuery, ShardOutcome, Targets, Tenant,
    TextQuery, VectorQuery, documents::split_text,
};
use crate::{
    EngineError, ErrorCode,
    cross_shard::{Question, Seen},
    fan_out::{self, Plan, Reach},
    latency::LatencyMeter,
};
use pinyon_embed::InputKind;
use pinyon_types::{Invalid, NamespaceId, ShardId, TenantId, TopK, Vector, limits};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

/// Tenants whose latency is metered on their own: each meter takes about 50 kB.
const METERED_TENANTS_MAX: usize = 256;

/// The tenants of a query, each looked up once.
struct Resolved {
    targets: Targets,
    /// Of a query in one tenant: where it lives, or would be placed.
    home: Option<ShardId>,
    /// Its number, if it was ever placed.
    metered: Option<NamespaceId>,
    unknown: Vec<TenantId>,
}

impl Engine {
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
        let by_vector = VectorQuery { vector, sparse: None, reach, top_k, filter, timeout, effort, explain };
        let answer = self.answer(by_vector, began_us)?;
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
        let VectorQuery { vector, sparse, reach, top_k, filter, timeout, effort, explain } = query;
        let near =
            |top_k| RecordQuery { sparse, filter, timeout, effort, ..RecordQuery::dense(vector, top_k) };
        let Resolved { targets, home, metered, unknown } = self.resolve(&reach)?;
        let plan = inner.plan(near(TopK::new(top_k)?), targets, explain)?;
        let answer = inner.answer_kept(plan, &reach)?;
        let latency_us = inner.clock.now_us().saturating_sub(began_us);
        inner.record_latency(metered, latency_us);
        Ok(QueryAnswer { home, unknown, latency: Duration::from_micros(latency_us), ..answer })
    }

    fn resolve(&self, reach: &Reach) -> Result<Resolved, EngineError> {
        match reach {
            Reach::All => {
                let targets = self.inner.view().everywhere();
                Ok(Resolved { targets, home: None, metered: None, unknown: Vec::new() })
            }
            Reach::Tenant(tenant) => self.tenant(tenant)?.resolved(),
            Reach::Tenants(names) => self.resolve_all(names),
        }
    }

    fn resolve_all(&self, names: &[String]) -> Result<Resolved, EngineError> {
        if names.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!("must be at most {}, are {}", limits::BATCH_RECORDS_MAX, names.len());
            return Err(Invalid::new("tenant_ids", problem).into());
        }
        let (view, mut homes, mut unknown) = (self.inner.view(), Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate() {
            let name = TenantId::new(name)
                .map_err(|error| Invalid::new(format!("tenant_ids[{at}]"), error.problem))?;
            match view.home(&name)? {
                Some(home) => homes.push(home),
                // A tenant that was never placed has nothing to find.
                None => unknown.push(name),
            }
        }
        let targets = homes.into_iter().collect();
        Ok(Resolved { targets, home: None, metered: None, unknown })
    }
}

impl Tenant {
    /// Finds records near to a vector, for callers that want their vectors or their metadata as stored.
    ///
    /// # Errors
    /// Refused input, or the shard's failure.
    pub fn query(&self, query: RecordQuery) -> Result<RecordAnswer, EngineError> {
        let inner = &self.inner;
        let began_us = inner.clock.now_us();
        inner.single_tenant_queries.fetch_add(1, Ordering::Relaxed);
        let gathered = fan_out::run(inner, inner.plan(query, self.targets()?, false)?)?;
        let mut is_partial = false;
        for report in gathered.reports {
            match report.outcome {
                ShardOutcome::Answered => {}
                ShardOutcome::TimedOut => is_partial = true,
                ShardOutcome::Failed(error) => return Err(error),
            }
        }
        inner.record_latency(self.number(), inner.clock.now_us().saturating_sub(began_us));
        let metric = inner.settings.metric;
        let hits = gathered.hits.into_iter().map(|(_, hit)| (metric.score(hit.distance()), hit));
        Ok(RecordAnswer { hits: hits.collect(), is_partial })
    }

    fn resolved(&self) -> Result<Resolved, EngineError> {
        let targets = self.targets()?;
        let unknown = if self.is_known() { Vec::new() } else { vec![self.name.clone()] };
        Ok(Resolved { targets, home: Some(self.shard()?), metered: self.number(), unknown })
    }

    fn number(&self) -> Option<NamespaceId> {
        self.home.as_ref().map(|home| home.namespace.id())
    }

    /// Its shard, which has to be served; none if it was never placed, because there is nothing to find.
    fn targets(&self) -> Result<Targets, EngineError> {
        let served = self.served()?.and(self.home.clone());
        Ok(served.into_iter().collect())
    }
}

impl Inner {
    fn plan(&self, query: RecordQuery, targets: Targets, explain: bool) -> Result<Plan, EngineError> {
        let RecordQuery { vector, sparse, required, top_k, filter, timeout, effort } = query;
        let (metric, vector) = (self.settings.metric, Vector::new(vector, self.settings.dim)?);
        vector.check_length(metric)?;
        sparse.as_ref().map_or(Ok(()), |sparse| sparse.check_length(metric))?;
        let filter = filter.map(|filter| self.read_filter(filter)).transpose()?;
        let effort = effort.or_factor(self.scan_factor());
        Ok(Plan { vector, sparse, required, top_k, filter, effort, explain, timeout, targets })
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
        let position = |(_, member): (_, &Member)| member.backend().and_then(|shard| shard.position());
        let positions = self.fleet.members().map(position).collect();
        let seen = Seen { generation: plan.targets.generation(), positions };
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
            home: None,
            unknown: Vec::new(),
            results: results.collect(),
            shards: gathered.reports,
            latency: Duration::ZERO,
            is_partial,
            is_cached: false,
            explained,
            embedding: None,
        })
    }

    /// Records how long a tenant's query took, if it is for one and meters are left.
    fn record_latency(&self, tenant: Option<NamespaceId>, latency_us: u64) {
        let Some(tenant) = tenant else { return };
        let mut meters = self.tenant_latency.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= METERED_TENANTS_MAX && !meters.contains_key(&tenant) {
            return;
        }
        let meter =
            meters.entry(tenant).or_insert_with(|| Arc::new(LatencyMeter::new(Arc::clone(&self.clock))));
        let meter = Arc::clone(meter);
        drop(meters);
        meter.record_us(latency_us);
    }
}
