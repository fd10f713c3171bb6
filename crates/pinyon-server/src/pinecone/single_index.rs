//! The one index of single-index mode, as the settings describe it.

/// What is said of the one index; nothing said is nothing to contradict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SingleIndex {
    pub(crate) name: String,
    pub(crate) dimension: Option<u32>,
    pub(crate) metric: Option<String>,
    pub(crate) index_type: Option<&'static str>,
    pub(crate) vector_type: Option<&'static str>,
}
