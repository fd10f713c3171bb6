//! The rows that a walk holds: the nearest so far in order, each with a mark once its links were followed. One sorted array
//! instead of two heaps: most rows are too far, and those that are not move little.

/// The highest bit of a row says that it was expanded: graphs have fewer than 2^31 rows.
const EXPANDED: u32 = 1 << 31;

/// At most so many rows, nearest first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    capacity: usize,
    distances: Vec<f32>,
    rows: Vec<u32>,
    /// Before this place everything was expanded.
    cursor: usize,
}

impl Pool {
    pub(super) fn begin(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.cursor = 0;
        self.distances.clear();
        self.rows.clear();
    }

    /// Takes a row if it is among the nearest; says at which place.
    pub(super) fn push(&mut self, distance: f32, row: u32) -> Option<usize> {
        if self.rows.len() == self.capacity {
            // Codes give no NaN; if one did, it would be the farthest.
            if self.distances.last().is_none_or(|last| distance.total_cmp(last).is_ge()) {
                return None;
            }
            self.rows.pop();
            self.distances.pop();
        }
        let at = self.distances.partition_point(|one| one.total_cmp(&distance).is_le());
        self.distances.insert(at, distance);
        self.rows.insert(at, row);
        self.cursor = self.cursor.min(at);
        Some(at)
    }

    /// The nearest row that was not expanded; it is marked.
    pub(super) fn next_to_expand(&mut self) -> Option<u32> {
        let at = self.place_to_expand()?;
        let row = self.rows[at];
        self.rows[at] = row | EXPANDED;
        self.cursor = at + 1;
        Some(row)
    }

    /// The one that comes after it, as things stand.
    pub(super) fn peek_to_expand(&self) -> Option<u32> {
        self.place_to_expand().map(|at| self.rows[at])
    }

    fn place_to_expand(&self) -> Option<usize> {
        let rest = self.rows.get(self.cursor..)?;
        rest.iter().position(|row| row & EXPANDED == 0).map(|at| self.cursor + at)
    }

    /// All rows, nearest first.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().map(|row| row & !EXPANDED)
    }

    /// All rows with their distances, nearest first.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (f32, u32)> {
        self.distances.iter().copied().zip(self.rows())
    }
}
