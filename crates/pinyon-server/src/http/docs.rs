//! `/openapi.json`, made from the wire shapes, and `/docs`, a page that shows it. Both are inside the binary.

use super::{App, request::BODY_BYTES_MAX};
use axum::{
    Router,
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use pinyon_wire::{admin, documents, moves, tenant};
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::{self, ContentBuilder, Ref, ResponseBuilder, path::Operation},
};

macro_rules! operation {
    ($name:ident, $method:ident, $path:literal, $summary:literal, $($rest:tt)*) => {
        #[utoipa::path($method, path = $path, summary = $summary, $($rest)*)]
        #[allow(dead_code)] // read by the macro that collects the paths, never called
        pub(super) const fn $name() {}
    };
}

mod moving;

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
    fetch,
    post,
    "/fetch",
    "Read documents of a tenant: by id, by filter, or all, page by page",
    request_body = documents::FetchRequest,
    responses((status = 200, body = documents::FetchResponse), (status = 400, body = tenant::ErrorBody))
);
operation!(
    delete,
    post,
    "/delete",
    "Remove documents of a tenant: by id, by filter, or all; durable when answered",
    request_body = documents::DeleteRequest,
    responses((status = 200, body = documents::DeleteResponse), (status = 400, body = tenant::ErrorBody))
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
    "A tenant's shard, or where a new tenant would live; places nobody",
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
    "Place a tenant on a shard; one that lives on another begins to move",
    params(("tenant_id" = String, Path)),
    request_body = admin::AssignRequest,
    responses(
        (status = 200, body = tenant::ShardResponse),
        (status = 202, description = "It moves", body = moves::MoveInfo),
        (status = 400, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody)
    )
);
operation!(
    erase,
    post,
    "/admin/v1/tenants/{tenant_id}/erase",
    "Delete a tenant with its records for good: no file that is in use holds anything of it afterwards",
    params(
        ("tenant_id" = String, Path),
        ("index" = Option<String>, Query, description = "The index whose namespace it is; the tenants' own if none is named")
    ),
    responses(
        (status = 200, body = admin::ErasedTenant),
        (status = 400, body = tenant::ErrorBody),
        (status = 404, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody)
    )
);
operation!(
    indexes,
    get,
    "/admin/v1/indexes",
    "Every index with its settings",
    responses((status = 200, body = admin::IndexList))
);
operation!(
    index,
    get,
    "/admin/v1/indexes/{name}",
    "An index with its settings",
    params(("name" = String, Path)),
    responses((status = 200, body = admin::IndexInfo), (status = 404, body = tenant::ErrorBody))
);
operation!(
    configure_index,
    put,
    "/admin/v1/indexes/{name}",
    "Change an index's settings, for queries from now on",
    params(("name" = String, Path)),
    request_body = admin::IndexSettings,
    responses(
        (status = 200, body = admin::IndexInfo),
        (status = 400, body = tenant::ErrorBody),
        (status = 404, body = tenant::ErrorBody)
    )
);
operation!(
    reopen,
    post,
    "/admin/v1/indexes/{name}/shards/{shard}/reopen",
    "Open a shard again that is quarantined or takes no writes; one that is well is left as it is",
    params(("name" = String, Path), ("shard" = String, Path)),
    responses(
        (status = 200, body = admin::ReopenedShard),
        (status = 404, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody),
        (status = 503, body = tenant::ErrorBody)
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

operation!(
    livez,
    get,
    "/livez",
    "Whether the process answers",
    responses((status = 200, description = "ok", content_type = "text/plain", body = String))
);
operation!(
    readyz,
    get,
    "/readyz",
    "Whether requests are answered; not before every shard is open",
    responses((status = 200, description = "ok", content_type = "text/plain", body = String))
);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pinyon",
        description = "Self-hosted, multi-tenant, sharded vector engine: tenant API and administration. Routes of Pinecone's \
                       API (indexes, records, inference) are served as Pinecone's own documentation describes them."
    ),
    paths(ingest, query, fetch, delete, health, metrics, shard, tenants, place, assign, erase, moving::begin_move, moving::list_moves, moving::show_move, moving::abort_move, indexes, index, configure_index, reopen, shards, advise, doctor, livez, readyz),
    modifiers(&CommonAnswers)
)]
struct Document;

/// Routes that need no key and do no work.
const OPEN: [&str; 3] = ["/health", "/livez", "/readyz"];
/// Routes that a catalog or a shard may refuse to write for.
const WRITING: [(&str, &str); 8] = [
    ("post", "/ingest"),
    ("post", "/delete"),
    ("post", "/admin/v1/tenants"),
    ("put", "/admin/v1/tenants/{tenant_id}"),
    ("post", "/admin/v1/tenants/{tenant_id}/erase"),
    ("post", "/admin/v1/moves"),
    ("delete", "/admin/v1/moves/{id}"),
    ("put", "/admin/v1/indexes/{name}"),
];
/// Routes that embed.
const EMBEDDING: [&str; 2] = ["/ingest", "/query"];

/// Adds what many operations answer with, in one place.
struct CommonAnswers;

impl Modify for CommonAnswers {
    fn modify(&self, document: &mut openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            if OPEN.contains(&path.as_str()) {
                continue;
            }
            let operations = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    add_common(operation, WRITING.contains(&(method, path.as_str())), path);
                }
            }
        }
    }
}

fn add_common(operation: &mut Operation, writes: bool, path: &str) {
    let has_body = operation.request_body.is_some();
    let too_large = format!("The body has more than {BODY_BYTES_MAX} bytes");
    let answers = [
        ("401", true, "No key of the server's came with the request"),
        ("408", has_body, "The body did not arrive in time"),
        ("413", has_body, too_large.as_str()),
        ("429", true, "Too many requests at once; Retry-After says when to come back"),
        ("500", true, "The server's own failure, or bytes on disk that are not as they were written"),
        ("502", EMBEDDING.contains(&path), "A remote embedder failed"),
        ("503", writes, "The shard or the routing store takes no writes until a restart"),
        ("507", writes, "The disk is full; nothing was written"),
    ];
    for (status, _, description) in answers.into_iter().filter(|(_, applies, _)| *applies) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        let answer = ResponseBuilder::new().description(description).content("application/json", content);
        operation.responses.responses.entry(status.into()).or_insert_with(|| answer.build().into());
    }
}

#[derive(rust_embed::RustEmbed)]
#[folder = "assets"]
struct Assets;

/// The page, what it loads, and the document that it shows.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/docs", get(page))
        .route("/docs/page.css", get(style))
        .route("/docs/page.js", get(script))
}

/// `GET /openapi.json`. Written once: anybody may ask for it, and writing it costs more than most requests.
async fn openapi() -> Response {
    static TEXT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&Document::openapi()).unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

/// What the page may load: its own style, script and description, and nothing else; nobody may frame it (CSP Level 3).
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// `GET /docs`.
async fn page() -> Response {
    asset("docs.html", "text/html; charset=utf-8")
}

/// `GET /docs/page.css`.
async fn style() -> Response {
    asset("page.css", "text/css; charset=utf-8")
}

/// `GET /docs/page.js`.
async fn script() -> Response {
    asset("page.js", "text/javascript; charset=utf-8")
}

fn asset(name: &str, kind: &'static str) -> Response {
    let bytes = Assets::get(name).map(|file| file.data.into_owned()).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_operation_and_the_page_is_there() {
        let document = Document::openapi().to_json().unwrap();
        for path in [
            "/livez",
            "/ingest",
            "/query",
            "/fetch",
            "/delete",
            "/health",
            "/metrics",
            "/shard/{tenant_id}",
            "/admin/v1/doctor",
        ] {
            assert!(document.contains(&format!("\"{path}\"")), "{path}");
        }
        assert!(Assets::get("docs.html").is_some());
    }

    #[tokio::test]
    async fn the_page_has_a_strict_policy_and_nothing_inline() {
        let text = |name: &str| String::from_utf8(Assets::get(name).unwrap().data.into_owned()).unwrap();
        let page = text("docs.html");
        for inline in ["<style", "<script>", " style=", " onload=", " onclick=", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        for loaded in ["href=\"/docs/page.css\"", "src=\"/docs/page.js\""] {
            assert!(page.contains(loaded), "{loaded}");
        }
        assert!(!text("page.js").contains("innerHTML") && !text("page.js").contains("eval("));
        for (answer, kind) in [
            (super::page().await, "text/html"),
            (style().await, "text/css"),
            (script().await, "text/javascript"),
        ] {
            let headers = answer.headers();
            assert!(headers["content-type"].to_str().unwrap().starts_with(kind));
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        }
    }

    #[test]
    fn operations_name_the_answers_that_are_common_to_many() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let answers = |method: &str, path: &str| -> Vec<String> {
            let answers = document["paths"][path][method]["responses"].as_object().unwrap();
            answers.keys().cloned().collect()
        };
        let whole = ["200", "400", "401", "408", "413", "429", "500", "502", "503", "507"];
        assert_eq!(answers("post", "/ingest"), whole);
        assert_eq!(answers("get", "/admin/v1/doctor"), ["200", "401", "429", "500"]);
        assert_eq!(answers("get", "/health"), ["200"]);
        let too_large = &document["paths"]["/query"]["post"]["responses"]["413"];
        let shape = &too_large["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(shape, "#/components/schemas/ErrorBody");
        let patience = &document["paths"]["/query"]["post"]["responses"]["429"]["description"];
        assert!(patience.as_str().unwrap().starts_with("Too many cross-shard queries"), "its own text stays");
    }
}
