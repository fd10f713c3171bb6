//! The file of a graph, as FORMAT.md tells it: its name, its sections, and what it says it was made for.

use crate::part::Part;
use pinyon_types::SegmentId;

/// Tags of the sections; none is a segment's, so that neither file can pass for the other.
pub(super) mod tag {
    /// What the graph was made for and what came of it, numbers of eight bytes.
    pub(in crate::graphs) const PURPOSE: u32 = 101;
    /// Rows among which a walk begins, u32.
    pub(in crate::graphs) const ENTRIES: u32 = 102;
    /// Links, u32, a fixed number of places a row.
    pub(in crate::graphs) const LINKS: u32 = 103;
}

/// What is written; a reader knows no other. 2: walks end when the nearest are settled, and need another effort.
const VERSION: u64 = 2;
const ENDING: &str = ".graph";

/// The name of the file of a part's graph.
pub(super) fn file_name(part: Part, segment: SegmentId) -> String {
    let part = match part {
        Part::Namespace(id) => format!("namespace-{:016}", id.get()),
        Part::Whole => "all".into(),
    };
    format!("segment-{:016}.{part}{ENDING}", segment.get())
}

/// A part as two numbers.
const fn numbers(part: Part) -> (u64, u64) {
    match part {
        Part::Namespace(id) => (1, id.get()),
        Part::Whole => (2, 0),
    }
}

/// Whether a file is a graph's.
pub(crate) fn is_graph_file_name(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// The segment to which a file belongs, if it is a graph's.
pub(crate) fn segment_of(name: &str) -> Option<SegmentId> {
    let (digits, _) = name.strip_suffix(ENDING)?.strip_prefix("segment-")?.split_once('.')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(SegmentId::new)
}

/// Everything on which a graph and its effort depend. Another purpose, another graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Purpose {
    pub(super) part: Part,
    pub(super) segment_bytes: u64,
    /// Covers every byte of the segment.
    pub(super) segment_checksum: u32,
    pub(super) rows: u32,
    pub(super) components: u32,
    pub(super) codes_fingerprint: u64,
    pub(super) m: u32,
    pub(super) ef_construction: u32,
    pub(super) recall_min: f64,
}

/// How many numbers tell a purpose.
const PROPERTIES: usize = 11;

impl Purpose {
    fn properties(&self) -> [(&'static str, u64); PROPERTIES] {
        let (kind, namespace) = numbers(self.part);
        [
            ("version", VERSION),
            ("part", kind),
            ("namespace", namespace),
            ("segment's length", self.segment_bytes),
            ("segment's checksum", u64::from(self.segment_checksum)),
            ("number of rows", u64::from(self.rows)),
            ("number of components", u64::from(self.components)),
            ("codes", self.codes_fingerprint),
            ("m", u64::from(self.m)),
            ("ef_construction", u64::from(self.ef_construction)),
            ("demanded recall", self.recall_min.to_bits()),
        ]
    }

    /// The first section; an effort of 0 says that no graph was fit.
    pub(super) fn encode(&self, effort: u64) -> Vec<u8> {
        let numbers = self.properties().map(|(_, number)| number);
        numbers.into_iter().chain([effort]).flat_map(u64::to_le_bytes).collect()
    }

    /// The effort that a first section tells, if it was written for this purpose.
    pub(super) fn effort(&self, section: &[u64]) -> Result<u64, String> {
        let (effort, found) =
            section.split_last().ok_or_else(|| "it does not say what it is for".to_owned())?;
        let mut pairs = self.properties().into_iter().zip(found);
        if let Some(((what, expected), found)) = pairs.find(|((_, expected), found)| expected != *found) {
            return Err(format!("its {what} is {found}, expected {expected}"));
        }
        let count = found.len();
        (count == PROPERTIES)
            .then_some(*effort)
            .ok_or_else(|| format!("{count} numbers say what it is for, not {PROPERTIES}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::NamespaceId;

    #[test]
    fn names_tell_whose_graph_it_is() {
        let segment = SegmentId::new(7);
        for part in [Part::Namespace(NamespaceId::new(12)), Part::Whole] {
            let name = file_name(part, segment);
            assert!(is_graph_file_name(&name), "{name}");
            assert_eq!(segment_of(&name), Some(segment), "{name}");
        }
        assert_eq!(file_name(Part::Whole, segment), "segment-0000000000000007.all.graph");
        for other in ["segment-0000000000000007.seg", "segment-.all.graph", "segment-+7.all.graph", "x.graph"]
        {
            assert_eq!(segment_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_purpose_knows_itself_and_names_what_differs() {
        let purpose = Purpose {
            part: Part::Whole,
            segment_bytes: 1,
            segment_checksum: 2,
            rows: 3,
            components: 4,
            codes_fingerprint: 5,
            m: 6,
            ef_construction: 7,
            recall_min: 0.5,
        };
        let numbers = |bytes: Vec<u8>| -> Vec<u64> {
            bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
        };
        let good = numbers(purpose.encode(96));
        assert_eq!(purpose.effort(&good), Ok(96));
        for (at, (what, expected)) in purpose.properties().into_iter().enumerate() {
            let mut other = good.clone();
            other[at] += 1;
            let found = expected + 1;
            assert_eq!(purpose.effort(&other), Err(format!("its {what} is {found}, expected {expected}")));
        }
        for bad in [&good[1..], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[]] {
            assert!(purpose.effort(bad).is_err(), "{bad:?}");
        }
    }
}
