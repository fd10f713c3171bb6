//! Parts of a segment that have codes and graphs of their own.

use pinyon_types::NamespaceId;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The rows of a namespace.
    Namespace(NamespaceId),
    /// All rows of a segment of several namespaces.
    Whole,
}

impl Part {
    /// It as files tell it: its kind, and the number of its namespace.
    pub(crate) const fn numbers(self) -> (u64, u64) {
        match self {
            Self::Namespace(id) => (1, id.get()),
            Self::Whole => (2, 0),
        }
    }
}
