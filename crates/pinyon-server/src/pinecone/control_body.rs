//! Bodies of the control plane.

use super::{attributes, envelope::ControlFailure};
use crate::http::{App, BadBody, body_bytes, read_json, read_proto_json};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

/// The body as it came: its shape depends on the version.
pub(super) struct ControlBody(Bytes);

impl FromRequest<App> for ControlBody {
    type Rejection = ControlFailure;

    async fn from_request(request: Request, app: &App) -> Result<Self, ControlFailure> {
        Ok(Self(body_bytes(request, app).await?))
    }
}

impl ControlBody {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ControlFailure> {
        read_json(&self.0).map_err(|bad| unreadable(&bad))
    }

    /// As [`Self::read`], with numbers in every spelling that the data plane takes.
    pub(super) fn read_proto<T: DeserializeOwned>(&self) -> Result<T, ControlFailure> {
        read_proto_json(&self.0).map_err(|bad| unreadable(&bad))
    }
}

fn unreadable(bad: &BadBody) -> ControlFailure {
    match (&bad.said, &bad.field) {
        (Some(said), _) => attributes::unprocessable(said),
        (None, Some(_)) => attributes::unprocessable(bad),
        (None, None) => ControlFailure::invalid(format!("Failed to parse the request body as JSON: {bad}")),
    }
}
