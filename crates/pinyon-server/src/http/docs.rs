//! `/openapi.json`, made from the wire shapes, and `/docs`, a page that shows it. Both are inside the binary.

use axum::response::{Html, IntoResponse, Response};
use pinyon_wire::{admin, tenant};
use utoipa::OpenApi;

macro_rules! operation {
    ($name:ident, $method:ident, $path:literal, $summary:literal, $($rest:tt)*) => {
        #[utoipa::path($method, path = $path, summary = $summary, $($rest)*)]
        #[allow(dead_code)] // read by the macro that collects the paths, never called
        const fn $name() {}
    };
}

operation!(
    ingest,
    post,
    "/ingest",
    "Embed and keep documents of a tenant; durable when answered",
    request_body = tenant::IngestRequest,
    responses((status = 200, body = tenant::IngestResponse), (status = 400, body = tenant::ErrorBody))
);
operation!(
    query,
    post,
    "/query",
    "Find what is near to a text or a vector, in one tenant or across all",
    request_body = tenant::QueryRequest,
    responses(
        (status = 200, body = tenant::QueryResponse),
        (status = 400, body = tenant::ErrorBody),
        (
            status = 429,
            description = "Too many cross-shard queries, or too many requests at once; Retry-After says when",
            body = tenant::ErrorBody
        )
    )
);
operation!(
    health,
    get,
    "/health",
    "Whether everything works, and the main settings",
    responses((status = 200, body = tenant::HealthResponse))
);
operation!(
    metrics,
    get,
    "/metrics",
    "Distribution, health and thresholds as JSON; Prometheus text unless JSON is accepted",
    responses((status = 200, body = tenant::MetricsResponse))
);
operation!(
    shard,
    get,
    "/shard/{tenant_id}",
    "A tenant's shard; a new tenant is placed",
    params(("tenant_id" = String, Path)),
    responses((status = 200, body = tenant::ShardResponse), (status = 400, body = tenant::ErrorBody))
);
operation!(
    tenants,
    get,
    "/admin/v1/tenants",
    "Every tenant",
    responses((status = 200, body = admin::TenantList))
);
operation!(
    place,
    post,
    "/admin/v1/tenants",
    "Place many tenants with one durable commit",
    request_body = admin::PlaceRequest,
    responses((status = 200, body = admin::TenantList), (status = 400, body = tenant::ErrorBody))
);
operation!(
    assign,
    put,
    "/admin/v1/tenants/{tenant_id}",
    "Assign a tenant without records to a shard",
    params(("tenant_id" = String, Path)),
    request_body = admin::AssignRequest,
    responses(
        (status = 200, body = tenant::ShardResponse),
        (status = 400, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody)
    )
);
operation!(
    shards,
    get,
    "/admin/v1/shards",
    "Every shard with its segments",
    responses((status = 200, body = admin::ShardList))
);
operation!(
    advise,
    post,
    "/admin/v1/advise",
    "Whether to shard, from given numbers or the running system's",
    request_body = admin::AdviceRequest,
    responses((status = 200, body = admin::AdviceResponse), (status = 400, body = tenant::ErrorBody))
);
operation!(
    doctor,
    get,
    "/admin/v1/doctor",
    "Compare the routing table with what the shards hold",
    responses((status = 200, body = admin::DoctorResponse))
);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pinyon",
        description = "Self-hosted, multi-tenant, sharded vector engine: tenant API and administration"
    ),
    paths(ingest, query, health, metrics, shard, tenants, place, assign, shards, advise, doctor)
)]
struct Document;

#[derive(rust_embed::RustEmbed)]
#[folder = "assets"]
struct Assets;

/// `GET /openapi.json`.
pub(super) async fn openapi() -> Response {
    axum::Json(Document::openapi()).into_response()
}

/// `GET /docs`.
pub(super) async fn page() -> Response {
    let page = Assets::get("docs.html").map(|file| file.data.into_owned()).unwrap_or_default();
    Html(page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_operation_and_the_page_is_there() {
        let document = Document::openapi().to_json().unwrap();
        for path in ["/ingest", "/query", "/health", "/metrics", "/shard/{tenant_id}", "/admin/v1/doctor"] {
            assert!(document.contains(&format!("\"{path}\"")), "{path}");
        }
        assert!(Assets::get("docs.html").is_some());
    }
}
