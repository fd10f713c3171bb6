//! The data plane's namespaces.

use super::{
    convert,
    data::{RpcBody, answer, number, page_size, parameter, parameters},
    envelope::RpcError,
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

async fn list(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered {
    let pairs = parameters(&uri)?;
    let prefix = parameter(&pairs, &["prefix"]).unwrap_or_default().to_owned();
    let limit = page_size(number(&pairs, "limit")?, PAGE_MAX)?;
    let question = format!("namespaces\0{prefix}");
    let token = parameter(&pairs, &["paginationToken", "pagination_token"]).filter(|token| !token.is_empty());
    let after = token.map(|token| tokens::read(&question, token)).transpose()?;
    let all = app.run_in(index, move |engine| Ok(engine.namespaces(&prefix))).await?;
    let total_count = all.len() as u64;
    let rest = all.into_iter().filter(|one| after.as_deref().is_none_or(|after| one.name.as_str() > after));
    let mut page: Vec<NamespaceReport> = rest.take(limit + 1).collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| has_more);
    let pagination = last.map(|last| Pagination { next: tokens::token(&question, last.name.as_str()) });
    let version = ApiVersion::of(&headers);
    let namespaces = page.into_iter().map(|one| description(one, version)).collect();
    Ok(answer(&NamespaceList { namespaces, pagination, total_count }, None))
}

async fn create(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    headers: HeaderMap,
    RpcBody(body): RpcBody<CreateNamespaceRequest>,
) -> Answered {
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
    let made = app.run_in(index, move |engine| engine.declare_namespace(&name, fields)).await?;
    Ok(answer(&description(made, ApiVersion::of(&headers)), None))
}

/// The namespace among the path's parameters; the index may be one of them too.
fn named(parameters: &BTreeMap<String, String>) -> Result<String, RpcError> {
    let name = parameters.get("namespace").map_or("", String::as_str);
    Ok(convert::namespace(name)?.to_owned())
}

async fn describe(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Answered {
    let name = named(&path)?;
    let missing = format!("Namespace '{name}' not found");
    let found = app.run_in(index, move |engine| engine.namespace(&name)).await?;
    let found = found.ok_or_else(|| RpcError::new(super::envelope::RpcCode::NotFound, missing))?;
    Ok(answer(&description(found, ApiVersion::of(&headers)), None))
}

async fn remove(
    State(app): State<App>,
    Extension(index): Extension<Arc<Index>>,
    Path(path): Path<BTreeMap<String, String>>,
) -> Answered {
    let name = named(&path)?;
    app.run_in(index, move |engine| engine.drop_namespace(&name)).await?;
    Ok(answer(&serde_json::json!({}), None))
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
