//! The file of a graph, as FORMAT.md tells it: its name, its sections, and what it says it was made for.

use crate::part::Part;
use pinyon_index::{Asked, GraphTest, Recall};
use pinyon_storage::segment::SegmentFile;
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

/// What is written; a reader knows no other. 2: walks end when the nearest are settled, and need another effort. 3: rows may stand for
/// others, and what a test found is told with its bounds.
const VERSION: u64 = 3;
const ENDING: &str = ".graph";

/// The name of the file of a part's graph.
pub(super) fn file_name(part: Part, segment: SegmentId) -> String {
    let part = match part {
        Part::Namespace(id) => format!("namespace-{:016}", id.get()),
        Part::Whole => "all".into(),
    };
    format!("segment-{:016}.{part}{ENDING}", segment.get())
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
        let (kind, namespace) = self.part.numbers();
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

    /// The first section.
    pub(super) fn encode(&self, test: GraphTest, since_us: u64) -> Vec<u8> {
        let numbers = self.properties().map(|(_, number)| number);
        numbers.into_iter().chain(encoded(test, since_us)).flat_map(u64::to_le_bytes).collect()
    }

    /// What a first section tells came of it, if it was written for this purpose.
    pub(super) fn outcome(&self, section: &[u64]) -> Result<(GraphTest, u64), String> {
        let pairs = self.properties().into_iter().zip(section);
        if let Some(((what, expected), found)) =
            pairs.into_iter().find(|((_, expected), found)| expected != *found)
        {
            return Err(format!("its {what} is {found}, expected {expected}"));
        }
        let outcome = section.get(PROPERTIES..).unwrap_or_default();
        decoded(outcome).ok_or_else(|| "it does not say what came of its test".to_owned())
    }
}

/// How many numbers tell what came of a test.
const OUTCOME: usize = 8;

/// What a test found and when, as numbers.
fn encoded(test: GraphTest, since_us: u64) -> [u64; OUTCOME] {
    let GraphTest { ef, recall, is_enough } = test;
    let asked = match recall.asked {
        Asked::Probes => 0,
        Asked::Questions => 1,
    };
    let Recall { mean, lower, upper, queries, .. } = recall;
    let bits = f64::to_bits;
    [ef as u64, is_enough.into(), bits(mean), bits(lower), bits(upper), queries as u64, asked, since_us]
}

/// The same from numbers that nobody vouches for.
fn decoded(numbers: &[u64]) -> Option<(GraphTest, u64)> {
    let [ef, is_enough, mean, lower, upper, queries, asked, since_us] =
        <[u64; OUTCOME]>::try_from(numbers).ok()?;
    let asked = match asked {
        0 => Asked::Probes,
        1 => Asked::Questions,
        _ => return None,
    };
    let share = |bits: u64| Some(f64::from_bits(bits)).filter(|share| (0.0..=1.0).contains(share));
    let queries = usize::try_from(queries).ok()?;
    let recall = Recall { mean: share(mean)?, lower: share(lower)?, upper: share(upper)?, queries, asked };
    let ef = usize::try_from(ef).ok().filter(|ef| (1..=EF_MAX).contains(ef))?;
    Some((GraphTest { ef, recall, is_enough: is_enough == 1 }, since_us))
}

/// What the file of a graph says of its test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptTest {
    /// The number of the namespace whose rows they are; `None` of all rows of a segment.
    pub namespace: Option<u64>,
    /// Rows.
    pub rows: u64,
    /// The recall that was demanded.
    pub target: f64,
    /// What was found.
    pub test: GraphTest,
    /// When, in microseconds since 1970; 0 if nobody told the time.
    pub since_us: u64,
}

impl KeptTest {
    /// Reads it.
    ///
    /// # Errors
    /// A file that is none of a graph, or of another version.
    pub fn of(file: &SegmentFile) -> Result<Self, String> {
        let section = file.u64s(tag::PURPOSE).map_err(|error| error.to_string())?;
        let [version, kind, namespace, _, _, rows, _, _, _, _, target, outcome @ ..] = section else {
            return Err("it does not say what it is for".into());
        };
        let found = decoded(outcome).filter(|_| *version == VERSION);
        let (test, since_us) =
            found.ok_or_else(|| format!("its version is {version}, expected {VERSION}"))?;
        let namespace = (*kind == 1).then_some(*namespace);
        Ok(Self { namespace, rows: *rows, target: f64::from_bits(*target), test, since_us })
    }
}

/// No self-test asks for more.
const EF_MAX: usize = 1 << 16;

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
        let recall = Recall { mean: 0.995, lower: 0.99, upper: 1.0, queries: 512, asked: Asked::Questions };
        let test = GraphTest { ef: 96, recall, is_enough: true };
        let good = numbers(purpose.encode(test, 12));
        assert_eq!(purpose.outcome(&good), Ok((test, 12)));
        for (at, (what, expected)) in purpose.properties().into_iter().enumerate() {
            let mut other = good.clone();
            other[at] += 1;
            let found = expected + 1;
            assert_eq!(purpose.outcome(&other), Err(format!("its {what} is {found}, expected {expected}")));
        }
        for bad in [&good[1..], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[]] {
            assert!(purpose.outcome(bad).is_err(), "{bad:?}");
        }
        for (place, number) in [(0, 0), (0, u64::MAX), (2, 2.0f64.to_bits()), (3, f64::NAN.to_bits()), (6, 2)]
        {
            let mut other = good.clone();
            other[PROPERTIES + place] = number;
            assert!(purpose.outcome(&other).is_err(), "{place}");
        }
    }
}
