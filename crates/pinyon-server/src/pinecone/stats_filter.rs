//! The setting for filters on statistics.

/// Whether statistics of serverless indexes may be asked for with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatsFilter {
    /// Refused, as the cloud does.
    Deny,
    /// Counted.
    Allow,
}

impl StatsFilter {
    /// Its name in the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}
