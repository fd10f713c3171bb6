//! What is wrong with settings.

/// A setting that is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// The refusal of one setting's value.
    pub(super) fn of(name: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("setting {name}: {error}"))
    }
}
