//! The tenant API's reading and removing of documents.

use super::{filter, metadata};
use crate::ApiError;
use pinyon_core::{Change, Engine, EngineError, StoredDocument};
use pinyon_types::{Filter, Invalid, RecordId, limits};
use pinyon_wire::{
    documents::{self, DeleteRequest, DeleteResponse, FetchRequest, FetchResponse},
    filter_json::FilterJson,
};

/// Documents on a page when a request names no limit.
const PAGE_DEFAULT: u32 = 100;
/// Most documents on a page, and most ids of a fetch: what comes back may be large.
const PAGE_MAX: u32 = 1_000;

/// Which documents a fetch is about.
enum Selection {
    Ids(Vec<RecordId>),
    Page { filter: Option<Filter>, after: Option<RecordId>, limit: usize },
}

/// Answers a fetch; places nobody. `room` is how many bytes of records there can be, and `lend` is asked for those that there are.
///
/// # Errors
/// Fields that contradict each other or are out of range, more than an answer may hold; the engine's.
pub fn fetch(
    engine: &Engine,
    request: &FetchRequest,
    room: usize,
    lend: impl FnOnce(usize) -> Result<(), EngineError>,
) -> Result<FetchResponse, ApiError> {
    let selection = selection(request)?;
    let tenant = engine.tenant(&request.tenant_id)?;
    let (found, has_more) = match selection {
        Selection::Ids(ids) => (tenant.find(&ids)?, false),
        Selection::Page { filter: Some(filter), after, limit } => {
            tenant.find_matching(&filter, after.as_ref(), (limit, room))?
        }
        Selection::Page { filter: None, after, limit } => {
            let page = tenant.list("", after.as_ref(), limit)?;
            let mut found = tenant.find(&page.ids)?;
            let fitting = engine.fitting(&found, room);
            let has_more = page.has_more || fitting < found.len();
            found.truncate(fitting);
            (found, has_more)
        }
    };
    lend(engine.check_fetched(&found)?)?;
    let next = found.last().filter(|_| has_more).map(|last| last.id().to_string());
    let documents = found.iter().map(|one| document(one.stored().into(), request.include_vectors));
    Ok(FetchResponse {
        shard: engine.index_name(tenant.shard()?),
        tenant_known: tenant.is_known(),
        documents: documents.collect(),
        next,
    })
}

fn selection(request: &FetchRequest) -> Result<Selection, ApiError> {
    let is_paged = request.filter.is_some() || request.limit.is_some() || request.after.is_some();
    if let Some(ids) = &request.ids {
        if is_paged {
            return Err(ApiError::invalid("ids", "cannot be combined with filter, limit or after"));
        }
        return Ok(Selection::Ids(record_ids(ids, PAGE_MAX as usize)?));
    }
    let limit = request.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be 1 to {PAGE_MAX}, is {limit}")));
    }
    let after = request.after.as_deref().map(RecordId::new).transpose();
    let after = after.map_err(|error| Invalid::new("after", error.problem))?;
    let filter = request.filter.as_ref().map(filter::from_json).transpose()?.flatten();
    Ok(Selection::Page { filter, after, limit: limit as usize })
}

fn record_ids(ids: &[String], most: usize) -> Result<Vec<RecordId>, Invalid> {
    if !(1..=most).contains(&ids.len()) {
        return Err(Invalid::new("ids", format!("must have 1 to {most} ids, has {}", ids.len())));
    }
    let read = |(at, id): (usize, &String)| {
        RecordId::new(id).map_err(|error| Invalid::new(format!("ids[{at}]"), error.problem))
    };
    ids.iter().enumerate().map(read).collect()
}

fn document(stored: StoredDocument, with_vector: bool) -> documents::StoredDocument {
    documents::StoredDocument {
        id: stored.id.to_string(),
        text: stored.text.unwrap_or_default(),
        metadata: metadata::to_json(stored.metadata),
        vector: with_vector.then(|| stored.vector.as_slice().to_vec()),
    }
}

/// Removes documents, durably; places nobody.
///
/// # Errors
/// As [`deletion`]; the engine's. Nothing was removed.
pub fn delete(engine: &Engine, request: &DeleteRequest) -> Result<DeleteResponse, ApiError> {
    let change = deletion(request)?;
    let found = home(engine, &request.tenant_id)?;
    Ok(DeleteResponse { count: engine.write(&request.tenant_id, change)?.records, ..found })
}

/// What there is to say of a tenant from which documents are removed, before they are.
///
/// # Errors
/// The engine's.
pub fn home(engine: &Engine, tenant: &str) -> Result<DeleteResponse, EngineError> {
    let found = engine.tenant(tenant)?;
    let (shard, tenant_known) = (engine.index_name(found.shard()?), found.is_known());
    Ok(DeleteResponse { success: true, shard, tenant_known, count: 0 })
}

/// Which documents a deletion is about.
///
/// # Errors
/// None or several of `ids`, `filter` and `delete_all`.
pub fn deletion(request: &DeleteRequest) -> Result<Change, ApiError> {
    match (&request.ids, &request.filter, request.delete_all) {
        (Some(ids), None, false) => Ok(Change::DeleteIds(record_ids(ids, limits::BATCH_RECORDS_MAX)?)),
        (None, Some(filter), false) => Ok(Change::DeleteMatching(needed_filter(filter)?)),
        (None, None, true) => Ok(Change::DeleteAll),
        (None, None, false) => {
            Err(ApiError::invalid("ids", "is missing: give ids, a filter, or delete_all: true"))
        }
        _ => Err(ApiError::invalid("ids", "give only one of ids, filter and delete_all")),
    }
}

fn needed_filter(filter: &FilterJson) -> Result<Filter, ApiError> {
    let empty = || ApiError::invalid("filter", "is empty; to delete everything give delete_all: true");
    filter::from_json(filter)?.ok_or_else(empty)
}
