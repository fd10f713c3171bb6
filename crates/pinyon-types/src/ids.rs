//! Names and numbers that identify things. Fields are private: an id is copied, compared and shown, not computed with.

use crate::{Invalid, limits};
use std::{fmt, sync::Arc};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// Number of a shard within its index, from 0.
    ShardId(u32)
);
number_id!(
    /// Number of a segment within its shard; never used twice.
    SegmentId(u64)
);
number_id!(
    /// Number of a namespace within its index; never used twice.
    NamespaceId(u64)
);
number_id!(
    /// Dense number of a record within one segment, from 0.
    SlotId(u32)
);
number_id!(
    /// Position in a shard's log, from 1; 0 stands for "before the first".
    SeqNo(u64)
);
number_id!(
    /// Version of the routing table: grows by one with each change.
    Epoch(u64)
);

/// Sixteen random bytes that nothing else was ever named with. All zeros stand for "none".
#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId([u8; Self::BYTES]);

impl UniqueId {
    /// Bytes of one.
    pub const BYTES: usize = 16;
    /// What had no name yet.
    pub const NONE: Self = Self([0; Self::BYTES]);

    /// Wraps bytes, which the caller draws at random.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    /// Whether it names nothing.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SeqNo {
    /// Before the first entry of a log.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Epoch {
    /// The epoch of a routing table that never changed.
    pub const ZERO: Self = Self(0);

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:expr, $is_refused:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text: 1 to 512 bytes of UTF-8 without the characters that are refused.
            ///
            /// # Errors
            /// Names the field and the rule that the text breaks.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                check_text($field, text, $max, $is_refused)?;
                Ok(Self(Arc::from(text)))
            }

            /// Checks a text by the same rules, without keeping it.
            ///
            /// # Errors
            /// As `new`.
            pub fn check(text: &str) -> Result<(), Invalid> {
                check_text($field, text, $max, $is_refused)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// Name of a tenant, which is the name of its namespace; no control characters. Cheap to clone.
    TenantId, "tenant_id", limits::TENANT_BYTES_MAX, char::is_control
);
text_id!(
    /// The customer's id of a record; ordered by its bytes; no NUL. Cheap to clone.
    RecordId, "id", limits::ID_BYTES_MAX, |c| c == '\0'
);

impl RecordId {
    /// Checks the id of a record that is to be written: Pinecone's rule, 1 to 512 bytes of ASCII without NUL, on every way
    /// in. Ids that older versions took besides still name their records, to fetch, update and delete them.
    ///
    /// # Errors
    /// Names the rule that the id breaks, in Pinecone's words.
    pub fn check_new(id: &str) -> Result<(), Invalid> {
        let shown = || id.chars().take(ID_CHARACTERS_SHOWN).collect::<String>();
        let refused = |rule: &str| Err(Invalid::new("id", format!("{rule}, but got '{}'", shown())));
        if !id.is_ascii() {
            return refused("Vector ID must be ASCII");
        }
        if id.contains('\0') {
            return refused("Vector ID must not contain null character");
        }
        Self::check(id)
    }
}

/// Characters of a refused id that are told.
const ID_CHARACTERS_SHOWN: usize = 100;

fn check_text(
    field: &str,
    text: &str,
    bytes_max: usize,
    is_refused: impl Fn(char) -> bool,
) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > bytes_max {
        let problem = format!("must have 1 to {bytes_max} bytes, has {}", text.len());
        return Err(Invalid::new(field, problem));
    }
    if let Some(c) = text.chars().find(|c| is_refused(*c)) {
        let problem = format!("must not contain the character U+{:04X}", u32::from(c));
        return Err(Invalid::new(field, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_at_the_limit_are_taken_and_beyond_it_refused() {
        assert!(RecordId::new(&"a".repeat(512)).is_ok());
        let refused = RecordId::new(&"a".repeat(513)).unwrap_err();
        assert_eq!(refused.to_string(), "id: must have 1 to 512 bytes, has 513");
        assert!(TenantId::new("").is_err());
        assert!(TenantId::new("日本語-テナント").is_ok());
        assert!(TenantId::new("a\0b").unwrap_err().problem.contains("U+0000"));
        assert!(
            TenantId::new("a\nb").is_err()
                && RecordId::new("a\nb\x7f").is_ok()
                && RecordId::new("a\0").is_err()
        );
    }

    #[test]
    fn new_ids_are_ascii_and_older_ones_still_name_their_records() {
        for id in ["a", " ", "a/b#%?", "\u{1}\u{7f}", &"a".repeat(512)] {
            assert!(RecordId::check_new(id).is_ok(), "{id:?}");
        }
        for (id, rule) in
            [("ü/1", "must be ASCII"), ("a\0", "must not contain null character"), ("", "1 to 512 bytes")]
        {
            let refused = RecordId::check_new(id).unwrap_err();
            assert!(refused.field == "id" && refused.problem.contains(rule), "{refused}");
        }
        assert!(RecordId::new("ü/1").is_ok());
    }
}
