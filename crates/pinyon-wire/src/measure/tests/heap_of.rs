//! Memory that a decoded request really has, by the capacities of what it holds.

use crate::grpc;
use prost_types::{ListValue, Struct, Value, value::Kind};

/// Bytes on the heap, without what its own struct takes.
pub(super) trait Heap {
    fn heap(&self) -> usize;
}

impl Heap for String {
    fn heap(&self) -> usize {
        self.capacity()
    }
}

impl Heap for f32 {
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for u32 {
    fn heap(&self) -> usize {
        0
    }
}

impl<T: Heap> Heap for Vec<T> {
    fn heap(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Heap::heap).sum::<usize>()
    }
}

impl<T: Heap> Heap for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, Heap::heap)
    }
}

impl Heap for Struct {
    /// A tree says nothing of its nodes; each but the first has five of eleven members at least, and one more for each six.
    fn heap(&self) -> usize {
        let member = size_of::<(String, Value)>();
        let nodes = match self.fields.len() {
            0 => 0,
            count @ 1..=11 => count.min(1),
            count => count.div_ceil(11) + 1,
        };
        let members = self.fields.iter().map(|(name, value)| name.heap() + value.heap());
        nodes * 11 * member + members.sum::<usize>()
    }
}

impl Heap for Value {
    fn heap(&self) -> usize {
        match &self.kind {
            Some(Kind::StringValue(text)) => text.heap(),
            Some(Kind::StructValue(fields)) => fields.heap(),
            Some(Kind::ListValue(ListValue { values })) => values.heap(),
            _ => 0,
        }
    }
}

impl Heap for grpc::SparseValues {
    fn heap(&self) -> usize {
        self.indices.heap() + self.values.heap()
    }
}

impl Heap for grpc::Vector {
    fn heap(&self) -> usize {
        self.id.heap() + self.values.heap() + self.metadata.heap() + self.sparse_values.heap()
    }
}

impl Heap for grpc::UpsertRequest {
    fn heap(&self) -> usize {
        self.vectors.heap() + self.namespace.heap()
    }
}

impl Heap for grpc::QueryRequest {
    fn heap(&self) -> usize {
        self.namespace.heap()
            + self.filter.heap()
            + self.vector.heap()
            + self.id.heap()
            + self.sparse_vector.heap()
    }
}

impl Heap for grpc::DeleteRequest {
    fn heap(&self) -> usize {
        self.ids.heap() + self.namespace.heap() + self.filter.heap()
    }
}

impl Heap for grpc::UpdateRequest {
    fn heap(&self) -> usize {
        self.id.heap()
            + self.values.heap()
            + self.set_metadata.heap()
            + self.namespace.heap()
            + self.sparse_values.heap()
            + self.filter.heap()
    }
}

impl Heap for grpc::CreateNamespaceRequest {
    fn heap(&self) -> usize {
        let fields = self.schema.as_ref().map(|schema| &schema.fields);
        let bytes = size_of::<(String, grpc::MetadataFieldProperties)>() + 1;
        let table = fields.map_or(0, |fields| fields.capacity() * bytes);
        let names = fields.into_iter().flatten().map(|(name, _)| name.heap());
        self.name.heap() + table + names.sum::<usize>()
    }
}
