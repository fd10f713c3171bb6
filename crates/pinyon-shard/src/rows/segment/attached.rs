//! What is made of a segment's rows and attached to it while it is searched: codes and graphs of its parts.

use super::Segment;
use crate::{
    DerivedBytes,
    derived::{
        codes::Files,
        graphs::{GraphEntry, Inherited},
    },
    rows::part::Part,
};
use pinyon_distance::codes::Int8Rows;
use pinyon_index::CodedRows;
use pinyon_types::NamespaceId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

impl Segment {
    /// The codes of a byte a component of all rows, made now if nobody needed them before; `None` if they were not made. Only
    /// one thread at a time makes a segment's codes.
    pub(crate) fn bytes_codes(&self, make: impl FnOnce() -> Option<Int8Rows>) -> Option<Arc<Int8Rows>> {
        if self.bytes_codes.load().is_none() {
            self.bytes_codes.store(Some(Arc::new(make()?)));
        }
        self.bytes_codes.load_full()
    }

    /// Whether there are codes of a byte a component of all rows.
    pub(crate) fn has_bytes_codes(&self) -> bool {
        self.bytes_codes.load().is_some()
    }

    /// What is known of files of codes.
    pub(crate) fn kept_codes(&self) -> &Files {
        &self.kept_codes
    }

    /// The codes of a part, once they are made.
    pub(crate) fn codes(&self, part: Part) -> Option<Arc<CodedRows>> {
        self.codes.load().get(&part).cloned()
    }

    /// Bytes of codes of a byte a component, and of a bit.
    pub(crate) fn codes_bytes(&self) -> (usize, usize) {
        let codes = self.codes.load();
        let (of_parts, bits) = codes
            .values()
            .map(|codes| codes.memory_bytes())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        // Where all rows were coded at once the parts have a part of that.
        (self.bytes_codes.load().as_ref().map_or(of_parts, |all| all.bytes()), bits)
    }

    /// Adds codes; searches see them from their next look-up on.
    pub(crate) fn attach_codes(&self, built: &[(Part, Arc<CodedRows>)]) {
        self.codes.rcu(|codes| {
            let mut codes = HashMap::clone(codes);
            codes.extend(built.iter().cloned());
            codes
        });
    }

    /// The graph of a part, once it is built.
    pub(crate) fn graph(&self, part: Part) -> Option<GraphEntry> {
        self.graphs.load().get(&part).cloned()
    }

    pub(crate) fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    pub(crate) fn graph_count(&self) -> usize {
        self.graphs.load().values().filter(|graph| graph.built().is_some()).count()
    }

    pub(crate) fn graph_bytes(&self) -> usize {
        self.graphs.load().values().map(GraphEntry::bytes).sum()
    }

    /// Adds a graph; searches see it from their next look-up on.
    pub(crate) fn attach_graph(&self, part: Part, graph: &GraphEntry) {
        self.graphs.rcu(|graphs| {
            let mut graphs = HashMap::clone(graphs);
            graphs.insert(part, graph.clone());
            graphs
        });
    }

    pub(crate) fn derived_bytes(&self) -> DerivedBytes {
        {
            let (byte_codes, bit_codes) = self.codes_bytes();
            DerivedBytes {
                byte_codes: byte_codes as u64,
                bit_codes: bit_codes as u64,
                graphs: self.graph_bytes() as u64,
                filter_indexes: self.filter_index_bytes() as u64,
            }
        }
    }

    /// Namespaces that have codes or a graph, and the bytes of both.
    pub(crate) fn derived_of_namespaces(&self) -> BTreeMap<NamespaceId, u64> {
        let mut bytes: BTreeMap<NamespaceId, u64> = BTreeMap::new();
        for (part, codes) in self.codes.load().iter() {
            if let Part::Namespace(namespace) = part {
                let (byte_codes, bit_codes) = codes.memory_bytes();
                *bytes.entry(*namespace).or_default() += (byte_codes + bit_codes) as u64;
            }
        }
        for (part, graph) in self.graphs.load().iter().filter(|(_, graph)| graph.built().is_some()) {
            if let Part::Namespace(namespace) = part {
                *bytes.entry(*namespace).or_default() += graph.bytes() as u64;
            }
        }
        bytes
    }

    /// Drops codes and graphs of namespaces together: a graph holds on to the codes that it walks on.
    pub(crate) fn drop_derived(&self, namespaces: &BTreeSet<NamespaceId>) {
        self.graphs.rcu(|graphs| without(graphs, namespaces));
        self.codes.rcu(|codes| without(codes, namespaces));
        self.kept_codes.wait();
    }

    /// Drops all codes and graphs.
    pub(crate) fn drop_all_derived(&self) {
        self.graphs.store(Arc::default());
        self.codes.store(Arc::default());
        self.kept_codes.wait();
        self.bytes_codes.store(None);
    }
}

fn without<T: Clone>(map: &HashMap<Part, T>, gone: &BTreeSet<NamespaceId>) -> HashMap<Part, T> {
    let is_gone = |part: &Part| matches!(part, Part::Namespace(namespace) if gone.contains(namespace));
    map.iter().filter(|(part, _)| !is_gone(part)).map(|(part, value)| (*part, value.clone())).collect()
}
