//! The API version that a request asks for: answers are shaped by it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use std::convert::Infallible;

/// A version that changes shapes. Versions in between answer like the one before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ApiVersion {
    /// To 2024-10: sparse indexes report dimension 0.
    Before2025,
    /// 2025-01 to 2025-07, and what is asked for without a version.
    Early2025,
    /// 2025-10: read capacity.
    Late2025,
    /// 2026-01 to 2026-04: the same shapes; a missing collection is called one.
    Early2026,
    /// From 2026-07, and its preview 2026-01.alpha: schema and deployment.
    Schema,
}

/// Name of the header, over REST and gRPC.
pub(super) const VERSION_HEADER: &str = "x-pinecone-api-version";

impl ApiVersion {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::named(headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()))
    }

    /// The version of this name; an old one for none, and for what is none.
    pub(super) fn named(name: Option<&str>) -> Self {
        name.and_then(Self::parse).unwrap_or(Self::Early2025)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "2026-01.alpha" {
            return Some(Self::Schema);
        }
        let (year, month) = text.split_once('-')?;
        let date = (year.parse::<u32>().ok()?, month.parse::<u32>().ok()?);
        Some(match date {
            (..2025, _) => Self::Before2025,
            (2025, ..10) => Self::Early2025,
            (2025, _) => Self::Late2025,
            (2026, ..7) => Self::Early2026,
            _ => Self::Schema,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for ApiVersion {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fall_to_the_newest_shape_that_is_not_newer() {
        let shapes = [
            ("2024-07", ApiVersion::Before2025),
            ("2025-01", ApiVersion::Early2025),
            ("2025-04", ApiVersion::Early2025),
            ("2025-10", ApiVersion::Late2025),
            ("2026-01.alpha", ApiVersion::Schema),
            ("2026-04", ApiVersion::Early2026),
            ("2026-07", ApiVersion::Schema),
            ("2031-01", ApiVersion::Schema),
            ("unstable", ApiVersion::Early2025),
        ];
        for (text, expected) in shapes {
            let mut headers = HeaderMap::new();
            headers.insert("x-pinecone-api-version", text.parse().unwrap());
            assert_eq!(ApiVersion::of(&headers), expected, "{text}");
        }
        assert_eq!(ApiVersion::of(&HeaderMap::new()), ApiVersion::Early2025);
    }
}
