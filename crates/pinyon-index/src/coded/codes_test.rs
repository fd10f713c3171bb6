//! What a self-test of codes found: how far bounds lie below estimates, the recall with that, and what it costs.

use crate::sequential::{Asked, K, Recall};

/// How many standard deviations below their estimates rows are bounded, as tried one after the other. On 100,000 to 3,000,000
/// embeddings of texts 2.5 missed at most 2 of 10,000 results; small steps, because a step reads half as many rows more.
pub(super) const LADDER: [f32; 5] = [2.5, 2.75, 3.0, 3.5, 5.0];
/// What reading a row costs beside [`BYTES_PER_SIGNS`], in rows read by their bits one after the other, about, by how many bytes it has:
/// by its vector in no order, and by vectors one after the other.
const VECTOR_COST: u64 = 60;
const SCANNED_VECTOR_COST: u64 = 30;

/// What the self-test of codes found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodesTest {
    /// Standard deviations by which bounds lie below estimates.
    pub deviations: f32,
    /// The recall that was found.
    pub recall: Recall,
    /// Rows whose bytes a query reads after their bits, on average, or whose vectors where there are no bytes.
    pub bytes_read: u64,
    /// Rows whose vectors a query reads, on average.
    pub vectors_read: u64,
    /// Whether a scan of the vectors costs less.
    pub is_dear: bool,
}

impl CodesTest {
    /// Before it was done.
    pub(super) const NONE: Self = Self {
        deviations: LADDER[0],
        recall: Recall { mean: 1.0, lower: 0.0, upper: 1.0, queries: 0, asked: Asked::Probes },
        bytes_read: 0,
        vectors_read: 0,
        is_dear: false,
    };

    /// What it is where the same bits of so many rows are alone.
    pub(super) fn of_bits_alone(self, rows: usize) -> Self {
        let vectors_read = self.vectors_read.max(self.bytes_read);
        Self { vectors_read, is_dear: is_dear(rows as u64, rows as u64, vectors_read), ..self }
    }
}

/// Whether a search that costs as many rows' bits before it reads vectors costs more than a scan of the vectors.
pub(super) const fn is_dear(rows: u64, before: u64, vectors_read: u64) -> bool {
    before + VECTOR_COST * vectors_read > SCANNED_VECTOR_COST * rows + VECTOR_COST * K as u64 * 2
}
