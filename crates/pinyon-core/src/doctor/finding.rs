//! What the doctor may find.

use pinyon_types::TenantId;

/// What kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The table cannot be read.
    Unreadable,
    /// The table came back older than the shards have seen.
    RolledBack,
    /// A shard holds records of a tenant that the table does not know.
    Unrouted,
    /// The table sends a tenant to a shard that has none of its records; they are on another.
    Misrouted,
    /// The table sends a tenant that has no records to a shard that is not there.
    NoShard,
    /// Two shards hold records of one tenant. Which are right is not for a program to say.
    Split,
    /// The same where one of them was made the tenant's later than the other: what it holds counts.
    Outdated,
    /// A copy that a move made or left, and that no move will drop.
    Leftover,
    /// A move that cannot go on, or waits for people.
    StuckMove,
    /// A shard holds a number that the table would give away.
    NumberAhead,
    /// The table gives a tenant another number than its records have.
    Renumbered,
    /// A shard is kept out, and what it holds is not known.
    Quarantined,
}

impl FindingKind {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::RolledBack => "rolled_back",
            Self::Unrouted => "unrouted",
            Self::Misrouted => "misrouted",
            Self::NoShard => "no_shard",
            Self::Split => "split",
            Self::Outdated => "outdated",
            Self::Leftover => "leftover",
            Self::StuckMove => "stuck_move",
            Self::NumberAhead => "number_ahead",
            Self::Renumbered => "renumbered",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether it is about where tenants are, and not about copies that are none's.
    pub(super) const fn is_of_routes(self) -> bool {
        !matches!(
            self,
            Self::Leftover | Self::StuckMove | Self::NumberAhead | Self::Quarantined | Self::Split
        )
    }

    /// Whether a repair mends it.
    pub const fn is_repairable(self) -> bool {
        !matches!(self, Self::Split | Self::Quarantined)
    }
}

/// One piece of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// Whose, if it is one tenant's.
    pub tenant: Option<TenantId>,
    /// The shard's name, if it is one that is kept out.
    pub shard: Option<String>,
    /// What was found, in a sentence.
    pub message: String,
}

impl Finding {
    pub(super) const fn of(kind: FindingKind, message: String) -> Self {
        Self { kind, tenant: None, shard: None, message }
    }

    /// Of a tenant.
    pub(super) fn about(kind: FindingKind, tenant: &TenantId, message: String) -> Self {
        Self { tenant: Some(tenant.clone()), ..Self::of(kind, message) }
    }
}
