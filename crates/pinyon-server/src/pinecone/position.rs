//! The header that says up to where an answer is whole.

use axum::http::{HeaderName, HeaderValue};
use pinyon_core::Index;
use pinyon_planted::is_planted;
use pinyon_types::SeqNo;

/// Header of the log position that a write has.
pub(super) const WRITTEN_AT: HeaderName = HeaderName::from_static("x-pinecone-request-lsn");
/// Header of the log position up to which a read saw everything.
const SEEN_UP_TO: HeaderName = HeaderName::from_static("x-pinecone-max-indexed-lsn");
/// Header that names the shards whose records an answer leaves out.
const WITHOUT_SHARDS: HeaderName = HeaderName::from_static("x-pinyon-partial");

/// The log position that an operation has or saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// Of a write.
    Written(SeqNo),
    /// Up to which a read saw everything.
    Seen(SeqNo),
    /// Of what concerns no single namespace.
    None,
    /// Likewise; what these shards hold is left out, because they are kept out.
    Without(String),
}

impl Position {
    /// Of what concerns all namespaces of an index.
    pub(super) fn of_all(index: &Index) -> Self {
        let kept_out: Vec<String> =
            index.engine.quarantined().into_iter().map(|one| one.index_name).collect();
        if kept_out.is_empty() || is_planted(14) { Self::None } else { Self::Without(kept_out.join(", ")) }
    }

    /// The header that says it, if one does.
    pub(super) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Written(seq) => Some((WRITTEN_AT, seq.get().into())),
            Self::Seen(seq) => Some((SEEN_UP_TO, seq.get().into())),
            Self::Without(shards) => Some((WITHOUT_SHARDS, HeaderValue::from_str(&shards).ok()?)),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests;
