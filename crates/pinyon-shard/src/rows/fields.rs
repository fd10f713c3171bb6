//! A record's metadata wherever it lies: decoded in the memtable, encoded in a segment.

use pinyon_storage::metadata_bytes::{self, MetadataView};
use pinyon_types::{Fields, Metadata, ValueRef};

/// Borrowed metadata of one record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MetadataRef<'a> {
    Decoded(&'a Metadata),
    /// Bytes that were validated when their segment was opened.
    Encoded(MetadataView<'a>),
}

impl MetadataRef<'_> {
    /// The metadata, to keep.
    pub(crate) fn to_metadata(self) -> Metadata {
        match self {
            Self::Decoded(metadata) => metadata.clone(),
            Self::Encoded(view) => view.to_metadata(),
        }
    }

    /// How many bytes it takes, about.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Decoded(metadata) => metadata.size_bytes(),
            Self::Encoded(view) => view.as_bytes().len(),
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Decoded(metadata) => metadata_bytes::encode(metadata, out),
            Self::Encoded(view) => out.extend_from_slice(view.as_bytes()),
        }
    }

    /// Calls `each` with every field.
    pub(crate) fn visit(self, each: &mut dyn FnMut(&str, ValueRef<'_>)) {
        match self {
            Self::Decoded(metadata) => {
                for (name, _) in metadata.iter() {
                    if let Some(value) = metadata.field(name) {
                        each(name, value);
                    }
                }
            }
            Self::Encoded(view) => view.visit(each),
        }
    }
}

impl Fields for MetadataRef<'_> {
    fn field(&self, name: &str) -> Option<ValueRef<'_>> {
        match self {
            Self::Decoded(metadata) => metadata.field(name),
            Self::Encoded(view) => view.field(name),
        }
    }
}
