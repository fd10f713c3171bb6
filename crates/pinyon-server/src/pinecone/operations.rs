//! The data plane's vector operations, of one index: what REST and gRPC both call, so that both give the same answers.

use super::{
    attributes::{Attributes, Deployment},
    convert::{self, Shape, WrittenShape},
    envelope::{RpcCode, RpcError},
    paging::{PAGE_DEFAULT, page_size},
    position::Position,
    record_vectors::RecordVectors,
    stats_filter::StatsFilter,
    tokens,
    version::ApiVersion,
};
use crate::http::{App, lend_for_answer, room_for_answer};
use pinyon_core::{Change, Hit, Index, Located, RecordQuery, of_record};
use pinyon_types::{Effort, Filter, Invalid, Metadata, RecordId, Score, TopK, limits};
use pinyon_wire::vectors::{
    DeleteRequest, DeleteResponse, FetchByMetadataRequest, FetchRequest, FetchResponse, ListItem,
    ListRequest, ListResponse, MatchJson, NamespaceSummary, Pagination, QueryRequest, QueryResponse,
    StatsRequest, StatsResponse, UpdateRequest, UpdateResponse, UpsertRequest, UpsertResponse, Usage,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Time for a query; Pinecone's clients wait about as long.
const QUERY_TIME_MAX: Duration = Duration::from_secs(20);
/// Most records on a page of a fetch by metadata.
const FETCH_PAGE_MAX: i64 = 10_000;

/// What an operation gives.
pub(super) type Done<T> = Result<(T, Position), RpcError>;

pub(super) async fn upsert(
    app: &App,
    index: Arc<Index>,
    body: UpsertRequest,
    version: ApiVersion,
) -> Done<UpsertResponse> {
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let upserted_count = u32::try_from(body.vectors.len()).unwrap_or(u32::MAX);
    let shape = Shape::of(&index).written_by(version);
    let bytes = body.vectors.iter().map(|vector| vector.values.len() * size_of::<f32>()).sum();
    let records = app.transform(bytes, move || convert::records(body.vectors, shape)).await??;
    let receipt = app.write(index, namespace, |_| Ok(Change::Upsert(records))).await?;
    Ok((UpsertResponse { upserted_count }, Position::Written(receipt.seq)))
}

/// What a query is near to.
enum Near {
    Vectors(RecordVectors),
    Record(RecordId),
}

pub(super) async fn query(app: &App, index: Arc<Index>, mut body: QueryRequest) -> Done<QueryResponse> {
    let top_k = body.top_k.ok_or_else(|| RpcError::invalid("top_k is missing: give topK, 1 to 10000"))?;
    // Before anything else: a number that is missing in protobuf is 0, and both get the same kind of answer.
    let refused = || RpcError::invalid(format!("top_k must be 1 to {}, is {top_k}", limits::TOP_K_MAX));
    let top_k = u32::try_from(top_k).ok().and_then(|top_k| TopK::new(top_k).ok()).ok_or_else(refused)?;
    let effort = Effort::new(body.scan_factor, body.max_candidates, top_k.get())?;
    let shape = Shape::of(&index);
    let near = near(&mut body, shape)?;
    let filter = convert::optional_filter(body.filter.as_ref())?;
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let (with_values, with_metadata) = (body.include_values, body.include_metadata);
    let found = app.read_tenant(&index, &namespace, move |tenant| {
        // Read first: what the search sees is not older.
        let seen = tenant.visible_seq()?;
        let vectors = match near {
            Near::Vectors(vectors) => Some(vectors),
            Near::Record(id) => RecordVectors::of(tenant, id, shape)?,
        };
        let Some(RecordVectors { dense, sparse }) = vectors else { return Ok((seen, Some(Vec::new()))) };
        let query = RecordQuery::dense(dense, top_k);
        let query = RecordQuery { sparse, filter, timeout: Some(QUERY_TIME_MAX), effort, ..query };
        let found = tenant.query(query)?;
        let bytes = found.hits.iter().map(|(_, hit)| hit.bytes(with_values, with_metadata)).sum();
        tenant.check_answer(bytes)?;
        lend_for_answer(bytes)?;
        let matches =
            found.hits.iter().map(|(score, hit)| match_json(*score, hit, with_values, with_metadata));
        Ok((seen, (!found.is_partial).then(|| matches.collect())))
    });
    let (seen, matches) = found.await?;
    let late =
        || RpcError::new(RpcCode::DeadlineExceeded, "the query took too long; narrow it or lower top_k");
    let matches = matches.ok_or_else(late)?;
    let response = QueryResponse { results: [], matches, namespace: body.namespace, usage: Usage::ONE };
    Ok((response, Position::Seen(seen)))
}

fn match_json(score: Score, hit: &Hit, with_values: bool, with_metadata: bool) -> MatchJson {
    MatchJson {
        id: hit.id().to_string(),
        score: Some(score.get()),
        values: if with_values { hit.components().to_vec() } else { Vec::new() },
        sparse_values: with_values.then(|| hit.sparse().as_ref().map(convert::sparse_json)).flatten(),
        metadata: with_metadata.then(|| convert::metadata_json(hit.metadata())).flatten(),
    }
}

/// Refuses vectors of the kind that an index cannot be asked with, in the vendor's words.
fn check_kind(body: &QueryRequest, shape: Shape) -> Result<(), RpcError> {
    let has_sparse = body.sparse_vector.as_ref().is_some_and(|sparse| !sparse.indices.is_empty());
    match (shape.dim.is_none(), body.vector.is_empty(), has_sparse) {
        (true, _, false) => Err(RpcError::invalid("Either 'sparse_vector' or 'ID' must be provided")),
        (false, true, true) => Err(RpcError::invalid(
            "Cannot query index with dense 'vector_type' with only sparse vector: give the dense one too; it may be all zeros",
        )),
        _ => Ok(()),
    }
}

/// Takes from the request what is to be near to.
fn near(body: &mut QueryRequest, shape: Shape) -> Result<Near, RpcError> {
    if body.id.is_empty() {
        check_kind(body, shape)?;
    }
    let sparse = convert::sparse_vector(body.sparse_vector.take(), shape)?;
    let both =
        |other: &str| RpcError::invalid(format!("Cannot provide both 'ID' and '{other}' at the same time"));
    if !body.id.is_empty() {
        return match (body.vector.is_empty(), sparse) {
            (false, _) => Err(both("vector")),
            (true, Some(_)) => Err(both("sparse_vector")),
            (true, None) => Ok(Near::Record(convert::stored_id(&body.id)?)),
        };
    }
    convert::refuse_dense(&body.vector, shape)?;
    if body.vector.is_empty() && sparse.is_none() {
        return Err(RpcError::invalid("vector is missing: give a vector or an id to query by"));
    }
    Ok(Near::Vectors(RecordVectors { dense: std::mem::take(&mut body.vector), sparse }))
}

pub(super) async fn fetch(app: &App, index: Arc<Index>, body: FetchRequest) -> Done<FetchResponse> {
    let ids = convert::record_ids(&body.ids)?;
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let found = app.run_in(index, move |engine| {
        let tenant = engine.tenant(&namespace)?;
        let seen = tenant.visible_seq()?;
        let found = tenant.find(&ids)?;
        lend_for_answer(engine.check_fetched(&found)?)?;
        Ok((seen, found.iter().map(|one| convert::fetched(one.stored())).collect()))
    });
    let (seen, vectors) = found.await?;
    let response = FetchResponse { vectors, namespace: body.namespace, usage: Usage::ONE, pagination: None };
    Ok((response, Position::Seen(seen)))
}

pub(super) async fn fetch_by_metadata(
    app: &App,
    index: Arc<Index>,
    body: FetchByMetadataRequest,
) -> Done<FetchResponse> {
    const EMPTY: &str = "Empty filter provided for fetch by metadata request";
    let given = body.filter.as_ref().ok_or_else(|| RpcError::invalid(EMPTY))?;
    let filter = convert::needed_filter(given, EMPTY)?;
    let limit = page_size(body.limit, FETCH_PAGE_MAX)?;
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let question = format!("fetch\0{namespace}\0{given}");
    let after = after(&question, body.pagination_token.as_deref())?;
    let found = app.run_in(index, move |engine| {
        let tenant = engine.tenant(&namespace)?;
        let seen = tenant.visible_seq()?;
        let (found, has_more) = tenant.find_matching(&filter, after.as_ref(), (limit, room_for_answer()))?;
        lend_for_answer(engine.check_fetched(&found)?)?;
        let last = found.last().filter(|_| has_more).map(Located::id);
        Ok((seen, found.iter().map(|one| convert::fetched(one.stored())).collect(), last))
    });
    let (seen, vectors, last) = found.await?;
    let pagination = last.map(|last| Pagination { next: tokens::token(&question, last.as_str()) });
    let response = FetchResponse { vectors, namespace: body.namespace, usage: Usage::ONE, pagination };
    Ok((response, Position::Seen(seen)))
}

/// The id after which a page begins.
fn after(question: &str, token: Option<&str>) -> Result<Option<RecordId>, RpcError> {
    let given = token.filter(|token| !token.is_empty());
    let last = given.map(|token| tokens::read(question, token)).transpose()?;
    Ok(last.map(|last| RecordId::new(&last)).transpose()?)
}

pub(super) async fn update(
    app: &App,
    index: Arc<Index>,
    body: UpdateRequest,
    version: ApiVersion,
) -> Done<UpdateResponse> {
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let shape = Shape::of(&index).written_by(version);
    // When both are given the filter wins.
    if let Some(filter) = &body.filter {
        let filter = convert::needed_filter(filter, "Update with empty metadata filter is not allowed")?;
        if !body.values.is_empty() || shape.sparse_vector(body.sparse_values)?.is_some() {
            let message = "Update by metadata request does not support updating vector values.";
            return Err(RpcError::invalid(message));
        }
        let set = convert::metadata(body.set_metadata)?;
        let is_dry = body.dry_run.unwrap_or(false);
        return update_matching(app, index, MatchingUpdate { namespace, filter, set, is_dry }).await;
    }
    if body.id.is_empty() {
        return Err(RpcError::invalid("id is missing: give an id, or a filter with setMetadata"));
    }
    let id = body.id.clone();
    let change = update_of_one(body, shape).map_err(|invalid| of_record(invalid, "", &id))?;
    let written = app.write(index, namespace, |_| Ok(change)).await;
    // Metadata may be too large only once they are merged with those that are there.
    let written = written.map_err(|error| error.of_record(&id));
    Ok((UpdateResponse { matched_records: None }, Position::Written(written?.seq)))
}

/// The change of one record.
fn update_of_one(body: UpdateRequest, shape: WrittenShape) -> Result<Change, Invalid> {
    let id = convert::stored_id(&body.id)?;
    let sparse = shape.sparse_vector(body.sparse_values)?;
    convert::refuse_dense(&body.values, shape.shape)?;
    let vector = match body.values.is_empty() {
        true => None,
        false => Some(convert::stored_vector(&body.id, body.values, shape.shape)?),
    };
    Ok(Change::UpdateOne { id, vector, sparse, set: convert::metadata(body.set_metadata)? })
}

/// An update of every record of a namespace that a filter matches.
struct MatchingUpdate {
    namespace: String,
    filter: Filter,
    set: Metadata,
    /// Whether the records are only counted.
    is_dry: bool,
}

async fn update_matching(app: &App, index: Arc<Index>, update: MatchingUpdate) -> Done<UpdateResponse> {
    let MatchingUpdate { namespace, filter, set, is_dry } = update;
    let (position, records) = if is_dry {
        let counted = app.run_in(index, move |engine| {
            let tenant = engine.tenant(&namespace)?;
            Ok((tenant.visible_seq()?, tenant.count(Some(&filter))?))
        });
        let (seq, records) = counted.await?;
        (Position::Seen(seq), records)
    } else {
        let receipt = app.write(index, namespace, |_| Ok(Change::UpdateMatching { filter, set })).await?;
        (Position::Written(receipt.seq), receipt.records)
    };
    Ok((UpdateResponse { matched_records: Some(records) }, position))
}

pub(super) async fn delete(app: &App, index: Arc<Index>, body: DeleteRequest) -> Done<DeleteResponse> {
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let change = deletion(&body)?;
    // Nothing to delete places nobody.
    let receipt = app.write(index, namespace, |_| Ok(change)).await?;
    Ok((DeleteResponse {}, Position::Written(receipt.seq)))
}

fn deletion(body: &DeleteRequest) -> Result<Change, RpcError> {
    let refused = |message: &str| Err(RpcError::invalid(message));
    match (&body.filter, body.delete_all) {
        (_, true) if !body.ids.is_empty() => refused("No explicit IDs allowed when delete_all=true"),
        (Some(_), true) => refused("No filter allowed when delete_all=true"),
        (None, true) => Ok(Change::DeleteAll),
        // When ids are given too they are passed over.
        (Some(filter), false) => {
            let filter = convert::needed_filter(filter, "Delete with empty metadata filter is not allowed")?;
            Ok(Change::DeleteMatching(filter))
        }
        (None, false) if body.ids.is_empty() => {
            refused("ids are missing: give ids, a filter, or deleteAll: true")
        }
        (None, false) => Ok(Change::DeleteIds(convert::record_ids(&body.ids)?)),
    }
}

pub(super) async fn list(app: &App, index: Arc<Index>, body: ListRequest) -> Done<ListResponse> {
    let namespace = convert::namespace(&body.namespace)?.to_owned();
    let limit = page_size(body.limit, PAGE_DEFAULT)?;
    let question = format!("list\0{namespace}\0{}", body.prefix);
    let after = after(&question, body.pagination_token.as_deref())?;
    let page = app.run_in(index, move |engine| {
        let tenant = engine.tenant(&namespace)?;
        Ok((tenant.visible_seq()?, tenant.list(&body.prefix, after.as_ref(), limit)?))
    });
    let (seen, page) = page.await?;
    let last = page.ids.last().filter(|_| page.has_more);
    let pagination = last.map(|last| Pagination { next: tokens::token(&question, last.as_str()) });
    let vectors = page.ids.iter().map(|id| ListItem { id: id.to_string() }).collect();
    let response = ListResponse { vectors, pagination, namespace: body.namespace, usage: Usage::ONE };
    Ok((response, Position::Seen(seen)))
}

pub(super) async fn stats(
    app: &App,
    index: Arc<Index>,
    body: StatsRequest,
    version: ApiVersion,
) -> Done<StatsResponse> {
    let filter = convert::optional_filter(body.filter.as_ref())?;
    if filter.is_some() && !may_filter_stats(app, &index) {
        return Err(RpcError::invalid(FILTERED_STATS));
    }
    let shape = Shape::of(&index);
    let position = Position::of_all(&index);
    let counted = app.run_in(index, move |engine| {
        let mut namespaces = BTreeMap::new();
        for one in engine.namespaces("").into_iter().filter(|one| one.records > 0) {
            let name = one.name.to_string();
            let vector_count = match &filter {
                None => one.records,
                Some(filter) => engine.tenant(&name)?.count(Some(filter))?,
            };
            namespaces.insert(shown_name(name, version), NamespaceSummary { vector_count });
        }
        Ok(namespaces)
    });
    let namespaces = counted.await?;
    let response = StatsResponse {
        dimension: Some(shape.dim.get()).filter(|dimension| *dimension > 0),
        index_fullness: 0.0,
        total_vector_count: namespaces.values().map(|one| one.vector_count).sum(),
        metric: shape.metric.name().into(),
        vector_type: shape.vector_type().into(),
        namespaces,
    };
    Ok((response, position))
}

/// The vendor's words, and what the keeper of this server can do.
const FILTERED_STATS: &str = "Serverless and Starter indexes do not support describing index stats with metadata filtering. \
     (This server counts by filter when it is started with PINYON_STATS_FILTER=allow.)";

/// Whether statistics may be asked for with a filter: of pods always, as in the cloud, else if the settings say so.
fn may_filter_stats(app: &App, index: &Index) -> bool {
    app.stats_filter() == StatsFilter::Allow || matches!(Attributes::of(index).deployment, Deployment::Pod(_))
}

/// The name under which statistics count a namespace: to 2025-07 clients look for the default one under no name.
fn shown_name(name: String, version: ApiVersion) -> String {
    if version < ApiVersion::Late2025 && name == convert::DEFAULT_NAMESPACE { String::new() } else { name }
}
