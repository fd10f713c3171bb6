//! The file of a graph, as FORMAT.md tells it: its sections, and what it says it was made for.

use crate::derived::files::{Property, decode_recall, encode_recall, outcome_of};
use pinyon_index::GraphTest;
use pinyon_storage::segment::SegmentFile;

/// Tags of the sections; none is a segment's, so that neither file can pass for the other.
pub(super) mod tag {
    /// What the graph was made for and what came of it, numbers of eight bytes.
    pub(in crate::derived::graphs) const PURPOSE: u32 = 101;
    /// Rows among which a walk begins, u32.
    pub(in crate::derived::graphs) const ENTRIES: u32 = 102;
    /// Links, u32, a fixed number of places a row.
    pub(in crate::derived::graphs) const LINKS: u32 = 103;
}

/// What is written; a reader knows no other. 2: walks end when the nearest are settled, and need another effort. 3: rows may stand for
/// others, and what a test found is told with its bounds.
const VERSION: u64 = 3;
/// Everything on which a graph and its effort depend. Another purpose, another graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Purpose {
    pub(super) rows: [Property; 6],
    pub(super) codes_fingerprint: u64,
    pub(super) m: u32,
    pub(super) ef_construction: u32,
    pub(super) recall_min: f64,
}

impl Purpose {
    fn properties(&self) -> Vec<Property> {
        let settings = [
            ("codes", self.codes_fingerprint),
            ("m", u64::from(self.m)),
            ("ef_construction", u64::from(self.ef_construction)),
            ("demanded recall", self.recall_min.to_bits()),
        ];
        [("version", VERSION)].into_iter().chain(self.rows).chain(settings).collect()
    }

    /// The first section.
    pub(super) fn encode(&self, test: GraphTest, since_us: u64) -> Vec<u8> {
        let numbers = self.properties().into_iter().map(|(_, number)| number);
        numbers.chain(encoded(test, since_us)).flat_map(u64::to_le_bytes).collect()
    }

    /// What a first section tells came of it, if it was written for this purpose.
    pub(super) fn outcome(&self, section: &[u64]) -> Result<(GraphTest, u64), String> {
        let outcome = outcome_of(&self.properties(), section)?;
        decoded(outcome).ok_or_else(|| "it does not say what came of its test".to_owned())
    }
}

/// How many numbers tell what came of a test.
const OUTCOME: usize = 8;

/// What a test found and when, as numbers.
fn encoded(test: GraphTest, since_us: u64) -> [u64; OUTCOME] {
    let GraphTest { ef, recall, is_enough } = test;
    let [mean, lower, upper, queries, asked] = encode_recall(recall);
    [ef as u64, is_enough.into(), mean, lower, upper, queries, asked, since_us]
}

/// The same from numbers that nobody vouches for.
fn decoded(numbers: &[u64]) -> Option<(GraphTest, u64)> {
    let [ef, is_enough, mean, lower, upper, queries, asked, since_us] =
        <[u64; OUTCOME]>::try_from(numbers).ok()?;
    let recall = decode_recall([mean, lower, upper, queries, asked])?;
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
    use pinyon_index::{Asked, Recall};

    #[test]
    fn a_purpose_knows_itself_and_names_what_differs() {
        let purpose = Purpose {
            rows: [("part", 2), ("namespace", 0), ("a", 1), ("b", 2), ("c", 3), ("d", 4)],
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
            other[purpose.properties().len() + place] = number;
            assert!(purpose.outcome(&other).is_err(), "{place}");
        }
    }
}
