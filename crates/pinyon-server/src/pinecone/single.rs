//! Single-index mode: one index on one port, as the vendor's image for one index is run. Made at the first start, held
//! against its description at every other one; the control plane only tells of it.

use super::{
    create, data::Named, envelope::ControlFailure, hosts::Caller, index_json::index_json,
    single_index::SingleIndex, version::ApiVersion,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use pinyon_core::{EngineError, ErrorCode, Index, Indexes};
use pinyon_wire::control::LegacyCreateRequest;
use serde_json::{Value, json};
use std::sync::Arc;

impl SingleIndex {
    /// Finds the index, or makes it.
    ///
    /// # Errors
    /// A description that cannot be made, or that contradicts what is stored; the message says the way out.
    pub(crate) fn open(
        &self,
        indexes: &Indexes,
        pick_port: impl FnOnce(&[u16]) -> u16,
    ) -> Result<Arc<Index>, EngineError> {
        if let Some(index) = indexes.get(&self.name) {
            self.check(&index)?;
            return Ok(index);
        }
        let impossible = |failure: &ControlFailure| {
            let message = format!(
                "index {} cannot be made: {}. PINYON_SINGLE_INDEX names it; DIMENSION, METRIC (cosine, euclidean, dotproduct), \
                 INDEX_TYPE (serverless, pod) and VECTOR_TYPE (dense, sparse) describe it",
                self.name,
                failure.message().trim_end_matches('.')
            );
            EngineError::new(ErrorCode::InvalidArgument, message)
        };
        // The ordinary way, so that what it learns to make (sparse indexes) is made here too.
        let request = create::from_legacy(self.request()).map_err(|failure| impossible(&failure))?;
        indexes.create(request, pick_port)
    }

    fn request(&self) -> LegacyCreateRequest {
        let spec = match self.index_type {
            Some("pod") => json!({"pod": {"environment": "local"}}),
            _ => json!({"serverless": {"cloud": "aws", "region": "us-east-1"}}),
        };
        LegacyCreateRequest {
            name: self.name.clone(),
            spec: spec.as_object().cloned().unwrap_or_default(),
            dimension: self.dimension.map(i64::from),
            metric: self.metric.clone(),
            vector_type: self.vector_type.map(str::to_owned),
            deletion_protection: None,
            tags: None,
        }
    }

    /// Compares with what clients are told of the index.
    fn check(&self, index: &Index) -> Result<(), EngineError> {
        let stored = index_json(index, "", ApiVersion::Early2025);
        let index_type = if stored["spec"].get("pod").is_some() { "pod" } else { "serverless" };
        let pairs = [
            ("DIMENSION", self.dimension.map(Value::from), &stored["dimension"]),
            ("METRIC", self.metric.as_deref().map(Value::from), &stored["metric"]),
            ("INDEX_TYPE", self.index_type.map(Value::from), &Value::from(index_type)),
            ("VECTOR_TYPE", self.vector_type.map(Value::from), &stored["vector_type"]),
        ];
        for (name, wanted, stored) in pairs {
            if let Some(wanted) = wanted.filter(|wanted| wanted != stored) {
                let message = format!(
                    "index {} was made with {name}={}, now {name}={} is asked for: take it back, or choose another name or \
                     another data directory",
                    self.name,
                    plain(stored),
                    plain(&wanted)
                );
                return Err(EngineError::new(ErrorCode::FailedPrecondition, message));
            }
        }
        Ok(())
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The routes of the control plane: what there is can be read, and nothing can be changed.
pub(crate) fn router(named: Named) -> Router {
    Router::new()
        .route("/indexes", get(list).fallback(fixed))
        .route("/indexes/{index}", get(describe).fallback(fixed))
        .route("/indexes/{index}/{*rest}", any(fixed))
        .route("/collections", any(fixed))
        .route("/collections/{*rest}", any(fixed))
        .route("/backups", any(fixed))
        .route("/backups/{*rest}", any(fixed))
        .route("/restore-jobs", any(fixed))
        .route("/restore-jobs/{*rest}", any(fixed))
        .route("/backup-schedules/{*rest}", any(fixed))
        .with_state(named)
}

impl Named {
    fn shown(&self, caller: &Caller) -> Option<Value> {
        let index = self.app.indexes().get(&self.index)?;
        Some(index_json(
            &index,
            &self.app.hosts().of(&index.description, caller),
            ApiVersion::of(&caller.headers),
        ))
    }
}

async fn list(State(named): State<Named>, caller: Caller) -> Response {
    let indexes: Vec<Value> = named.shown(&caller).into_iter().collect();
    Json(json!({"indexes": indexes})).into_response()
}

async fn describe(
    State(named): State<Named>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Response, ControlFailure> {
    let shown = named.shown(&caller).filter(|_| *name == *named.index);
    let missing = || ControlFailure::new(404, "NOT_FOUND", format!("Index {name} not found."));
    Ok(Json(shown.ok_or_else(missing)?).into_response())
}

async fn fixed(State(named): State<Named>) -> ControlFailure {
    // No 501: clients try those again.
    let message = format!(
        "This server serves the one index {} and has no other operations of the control plane.",
        named.index
    );
    ControlFailure::new(403, "FORBIDDEN", message)
}
