//! What requests are made of: a row for every field of every message that a request can hold, the well-known ones too. A test
//! compares the rows with the protobuf description; a field without one would be skipped as unknown and cost nothing.

use crate::{
    bounded::{COMPONENTS_MAX, RECORDS_MAX, SPARSE_MAX, TEXTS_MAX},
    grpc,
};

/// Deepest nesting of a filter. The decoder's own limit on messages in messages is met a little behind it.
pub const FILTER_DEPTH_MAX: usize = 16;

/// Most ids in a fetch before the operation says how many there may be.
const IDS_MAX: usize = 10 * RECORDS_MAX;
/// Most queries of the form that is long gone, which is refused by its name.
const QUERIES_MAX: usize = 10;
/// Most members of an object whose keys are data.
const FIELDS_MAX: usize = 4_096;

/// Most fields of a message.
pub(super) const ROWS_MAX: usize = 11;

/// A message of the protobuf description.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its full name.
    pub(super) name: &'static str,
    /// Its fields, at most [`ROWS_MAX`].
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) times: Times,
    /// Whether it is one of an object's, which has no name that anybody wrote.
    pub(super) is_well_known: bool,
}

/// How a field is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Varint,
    Fixed32,
    Fixed64,
    Text,
    Message(&'static Message),
    /// `google.protobuf.Struct` with what it stands for.
    Object(Purpose),
}

/// What objects are for, which decides what they may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// No object.
    Nothing,
    /// Fields of a record: values, and lists of texts.
    Metadata,
    /// A filter, which is kept as JSON too.
    Filter,
}

/// How often a field comes, and where its values are kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// Once, in its message itself.
    Once,
    /// At most so often; values take so many bytes each.
    Listed { most: usize, bytes: usize },
    /// At most so many members, in a tree.
    Sorted { most: usize, bytes: usize },
    /// At most so many members, in a hash table.
    Hashed { most: usize, bytes: usize },
}

const fn once(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, times: Times::Once, is_well_known: false }
}

const fn listed(number: u32, name: &'static str, kind: Kind, most: usize, bytes: usize) -> Field {
    Field { number, name, kind, times: Times::Listed { most, bytes }, is_well_known: false }
}

/// A field of an object, a value or a list.
const fn part(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, times: Times::Once, is_well_known: true }
}

const NUMBER_BYTES: usize = size_of::<f32>();
const TEXT_BYTES: usize = size_of::<String>();
const METADATA: Kind = Kind::Object(Purpose::Metadata);
const FILTER: Kind = Kind::Object(Purpose::Filter);

/// A member of an object, in its tree.
const MEMBER_BYTES: usize = TEXT_BYTES + size_of::<prost_types::Value>();

pub(super) static STRUCT: Message = Message {
    name: "google.protobuf.Struct",
    fields: &[Field {
        number: 1,
        name: "fields",
        kind: Kind::Message(&MEMBER),
        times: Times::Sorted { most: FIELDS_MAX, bytes: MEMBER_BYTES },
        is_well_known: true,
    }],
};

pub(super) static MEMBER: Message = Message {
    name: "google.protobuf.Struct.FieldsEntry",
    fields: &[part(1, "key", Kind::Text), part(2, "value", Kind::Message(&VALUE))],
};

pub(super) static VALUE: Message = Message {
    name: "google.protobuf.Value",
    fields: &[
        part(1, "null_value", Kind::Varint),
        part(2, "number_value", Kind::Fixed64),
        part(3, "string_value", Kind::Text),
        part(4, "bool_value", Kind::Varint),
        part(5, "struct_value", Kind::Message(&STRUCT)),
        part(6, "list_value", Kind::Message(&LIST_VALUE)),
    ],
};

pub(super) static LIST_VALUE: Message = Message {
    name: "google.protobuf.ListValue",
    fields: &[Field {
        number: 1,
        name: "values",
        kind: Kind::Message(&VALUE),
        times: Times::Listed { most: TEXTS_MAX, bytes: size_of::<prost_types::Value>() },
        is_well_known: true,
    }],
};

static SPARSE: Message = Message {
    name: "SparseValues",
    fields: &[
        listed(1, "indices", Kind::Varint, SPARSE_MAX, NUMBER_BYTES),
        listed(2, "values", Kind::Fixed32, SPARSE_MAX, NUMBER_BYTES),
    ],
};

static VECTOR: Message = Message {
    name: "Vector",
    fields: &[
        once(1, "id", Kind::Text),
        listed(2, "values", Kind::Fixed32, COMPONENTS_MAX, NUMBER_BYTES),
        once(3, "metadata", METADATA),
        once(4, "sparse_values", Kind::Message(&SPARSE)),
    ],
};

static QUERY_VECTOR: Message = Message {
    name: "QueryVector",
    fields: &[
        listed(1, "values", Kind::Fixed32, COMPONENTS_MAX, NUMBER_BYTES),
        once(2, "top_k", Kind::Varint),
        once(3, "namespace", Kind::Text),
        once(4, "filter", FILTER),
        once(5, "sparse_values", Kind::Message(&SPARSE)),
    ],
};

static PROPERTIES: Message =
    Message { name: "MetadataFieldProperties", fields: &[once(1, "filterable", Kind::Varint)] };

static SCHEMA_MEMBER: Message = Message {
    name: "MetadataSchema.FieldsEntry",
    fields: &[once(1, "key", Kind::Text), once(2, "value", Kind::Message(&PROPERTIES))],
};

static SCHEMA: Message = Message {
    name: "MetadataSchema",
    fields: &[Field {
        number: 1,
        name: "fields",
        kind: Kind::Message(&SCHEMA_MEMBER),
        times: Times::Hashed {
            most: FIELDS_MAX,
            bytes: size_of::<(String, grpc::MetadataFieldProperties)>(),
        },
        is_well_known: false,
    }],
};

pub(crate) static UPSERT: Message = Message {
    name: "UpsertRequest",
    fields: &[
        listed(1, "vectors", Kind::Message(&VECTOR), RECORDS_MAX, size_of::<grpc::Vector>()),
        once(2, "namespace", Kind::Text),
    ],
};

pub(crate) static DELETE: Message = Message {
    name: "DeleteRequest",
    fields: &[
        listed(1, "ids", Kind::Text, RECORDS_MAX, TEXT_BYTES),
        once(2, "delete_all", Kind::Varint),
        once(3, "namespace", Kind::Text),
        once(4, "filter", FILTER),
    ],
};

pub(crate) static FETCH: Message = Message {
    name: "FetchRequest",
    fields: &[listed(1, "ids", Kind::Text, IDS_MAX, TEXT_BYTES), once(2, "namespace", Kind::Text)],
};

pub(crate) static FETCH_BY_METADATA: Message = Message {
    name: "FetchByMetadataRequest",
    fields: &[
        once(1, "namespace", Kind::Text),
        once(2, "filter", FILTER),
        once(3, "limit", Kind::Varint),
        once(4, "pagination_token", Kind::Text),
    ],
};

pub(crate) static LIST: Message = Message {
    name: "ListRequest",
    fields: &[
        once(1, "prefix", Kind::Text),
        once(2, "limit", Kind::Varint),
        once(3, "pagination_token", Kind::Text),
        once(4, "namespace", Kind::Text),
    ],
};

pub(crate) static QUERY: Message = Message {
    name: "QueryRequest",
    fields: &[
        once(1, "namespace", Kind::Text),
        once(2, "top_k", Kind::Varint),
        once(3, "filter", FILTER),
        once(4, "include_values", Kind::Varint),
        once(5, "include_metadata", Kind::Varint),
        listed(6, "queries", Kind::Message(&QUERY_VECTOR), QUERIES_MAX, size_of::<grpc::QueryVector>()),
        listed(7, "vector", Kind::Fixed32, COMPONENTS_MAX, NUMBER_BYTES),
        once(8, "id", Kind::Text),
        once(9, "sparse_vector", Kind::Message(&SPARSE)),
        once(10, "scan_factor", Kind::Fixed32),
        once(11, "max_candidates", Kind::Varint),
    ],
};

pub(crate) static UPDATE: Message = Message {
    name: "UpdateRequest",
    fields: &[
        once(1, "id", Kind::Text),
        listed(2, "values", Kind::Fixed32, COMPONENTS_MAX, NUMBER_BYTES),
        once(3, "set_metadata", METADATA),
        once(4, "namespace", Kind::Text),
        once(5, "sparse_values", Kind::Message(&SPARSE)),
        once(6, "filter", FILTER),
        once(7, "dry_run", Kind::Varint),
    ],
};

pub(crate) static DESCRIBE_INDEX_STATS: Message =
    Message { name: "DescribeIndexStatsRequest", fields: &[once(1, "filter", FILTER)] };

pub(crate) static CREATE_NAMESPACE: Message = Message {
    name: "CreateNamespaceRequest",
    fields: &[once(1, "name", Kind::Text), once(2, "schema", Kind::Message(&SCHEMA))],
};

pub(crate) static DESCRIBE_NAMESPACE: Message =
    Message { name: "DescribeNamespaceRequest", fields: &[once(1, "namespace", Kind::Text)] };

pub(crate) static DELETE_NAMESPACE: Message =
    Message { name: "DeleteNamespaceRequest", fields: &[once(1, "namespace", Kind::Text)] };

pub(crate) static LIST_NAMESPACES: Message = Message {
    name: "ListNamespacesRequest",
    fields: &[
        once(1, "pagination_token", Kind::Text),
        once(2, "limit", Kind::Varint),
        once(3, "prefix", Kind::Text),
    ],
};
