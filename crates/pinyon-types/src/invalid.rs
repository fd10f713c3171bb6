//! The one error of validation: which field, and what was wrong with it.

use std::fmt;

/// A value from outside that was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field's name as the caller spelled it, with an index where it stands in a list: `documents[3].id`.
    pub field: String,
    /// What was wrong and which limit applies; one lower-case line.
    pub problem: String,
}

impl Invalid {
    /// Makes an error about `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// Puts the place of a list element or an outer field in front of the field's name.
    #[must_use]
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for Invalid {}
