//! The data plane's namespaces.

use super::{
    convert,
    data_exchange::{RpcBody, answer, number, parameter, parameters},
    envelope::{RpcCode, RpcError},
    paging::page_size,
    position::Position,
    tokens,
    version::ApiVersion,
};
use crate::http::App;
use axum::{
    Extension, Router,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
    routing::get,
};
use pinyon_core::{Index, NamespaceReport};
use pinyon_wire::vectors::{
    Count, CreateNamespaceRequest, IndexedFields, MetadataSchema, NamespaceDescription, NamespaceList,
    Pagination, SchemaField,
};
use std::{collections::BTreeMap, sync::Arc};

/// Most namespaces on a page.
const PAGE_MAX: i64 = 100;

type Answered = Result<Response, RpcError>;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/namespaces", get(list).post(create))
        .route("/namespaces/{namespace}", get(describe).delete(remove))
}

/// What a listing wants.
pub(super) struct Wanted {
    pub(super) prefix: String,
    pub(super) limit: Option<i64>,
    pub(super) token: Option<String>,
}

/// One page of a listing.
pub(super) struct NamespacePage {
    pub(super) namespaces: Vec<NamespaceReport>,
    /// What the next page is asked with.
    pub(super) next: Option<String>,
    /// On all pages.
    pub(super) total: u64,
}

pub(super) async fn page(app: &App, index: Arc<Index>, wanted: Wanted) -> Result<NamespacePage, RpcError> {
    let limit = page_size(wanted.limit, PAGE_MAX)?;
    let question = format!("namespaces\0{}", wanted.prefix);
    let token = wanted.token.filter(|token| !token.is_empty());
    let after = token.map(|token| tokens::read(&question, &token)).transpose()?;
    let all = app.run_in(index, move |engine| Ok(engine.namespaces(&wanted.prefix))).await?;
    let total = all.len() as u64;
    let rest = all.into_iter().filter(|one| after.as_deref().is_none_or(|after| one.name.as_str() > after));
    let mut namespaces: Vec<NamespaceReport> = rest.take(limit + 1).collect();
    let has_more = namespaces.len() > limit;
    namespaces.truncate(limit);
    let last = namespaces.last().filter(|_| has_more);
    let next = last.map(|last| tokens::token(&question, last.name.as_str()));
    Ok(NamespacePage { namespaces, next, total })
}

pub(super) async fn make(
    app: &App,
    index: Arc<Index>,
    body: CreateNamespaceRequest,
) -> Result<NamespaceReport, RpcError> {
    if body.name.is_empty() || body.name == convert::DEFAULT_NAMESPACE {
        return Err(RpcError::invalid(format!(
            "name must be given and not be {}: the default namespace is always there",
            convert::DEFAULT_NAMESPACE
        )));
    }
    if !body.name.is_ascii() {
        return Err(RpcError::invalid("Namespace names must be ASCII"));
    }
    let name = convert::namespace(&body.name)?.to_owned();
    let fields = body.schema.map(|schema| schema.fields).unwrap_or_default();
    if let Some((field, _)) = fields.iter().find(|(_, field)| !field.filterable) {
        return Err(RpcError::invalid(format!(
            "Field '{field}' is set to filterable: false. Only filterable: true is supported."
        )));
    }
    let fields = fields.into_keys().collect();
    Ok(app.run_in(index, move |engine| engine.declare_namespace(&name, fields)).await?)
}

pub(super) async fn find(app: &App, index: Arc<Index>, name: &str) -> Result<NamespaceReport, RpcError> {
    let name = convert::namespace(name)?.to_owned();
    let missing = format!("Namespace '{name}' not found");
    let found = app.run_in(index, move |engine| engine.namespace(&name)).await?;
    found.ok_or_else(|| RpcError::new(RpcCode::NotFound, missing))
}

pub(super) async fn drop_one(app: &App, index: Arc<Index>, name: &str) -> Result<(), RpcError> {
    let name = convert::namespace(name)?.to_owned();
    Ok(app.run_in(index, move |engine| engine.drop_namespace(&name)).await?)
}

async fn list(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered {
    let pairs = parameters(&uri)?;
    let wanted = Wanted {
        prefix: parameter(&pairs, &["prefix"]).unwrap_or_default().to_owned(),
        limit: number(&pairs, "limit")?,
        token: parameter(&pairs, &["paginationToken", "pagination_token"]).map(str::to_owned),
    };
    let position = Position::of_all(&index);
    let page = page(&app, index, wanted).await?;
    let version = ApiVersion::of(&headers);
    let list = NamespaceList {
        namespaces: page.namespaces.into_iter().map(|one| description(one, version)).collect(),
        pagination: page.next.map(|next| Pagination { next }),
        total_count: page.total,
    };
    Ok(answer(&list, position))
}

async fn create(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    headers: HeaderMap,
    RpcBody(body): RpcBody<CreateNamespaceRequest>,
) -> Answered {
    let made = make(&app, index, body).await?;
    Ok(answer(&description(made, ApiVersion::of(&headers)), Position::None))
}

/// The namespace among the path's parameters; the index may be one of them too.
fn named(parameters: &BTreeMap<String, String>) -> &str {
    parameters.get("namespace").map_or("", String::as_str)
}

async fn describe(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Answered {
    let found = find(&app, index, named(&path)).await?;
    Ok(answer(&description(found, ApiVersion::of(&headers)), Position::None))
}

async fn remove(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
) -> Answered {
    drop_one(&app, index, named(&path)).await?;
    Ok(answer(&serde_json::json!({}), Position::None))
}

fn description(report: NamespaceReport, version: ApiVersion) -> NamespaceDescription {
    let count = |number: u64| match version {
        ApiVersion::Schema => Count::Text(number.to_string()),
        _ => Count::Number(number),
    };
    let has_schema = !report.fields.is_empty();
    let fields = report.fields.iter().map(|name| (name.clone(), SchemaField { filterable: true })).collect();
    NamespaceDescription {
        name: report.name.to_string(),
        record_count: count(report.records),
        size_bytes: count(report.vector_bytes),
        schema: has_schema.then_some(MetadataSchema { fields }),
        indexed_fields: has_schema.then_some(IndexedFields { fields: report.fields }),
    }
}
