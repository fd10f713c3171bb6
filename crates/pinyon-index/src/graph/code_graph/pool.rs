//! The rows that a walk holds: the nearest so far in order, each with a mark once its links were followed. One sorted array
//! instead of two heaps: most rows are too far, and those that are not move little.

/// The highest bit of a row says that it was expanded: graphs have fewer than 2^31 rows.
const EXPANDED: u32 = 1 << 31;

/// At most so many rows, nearest first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    capacity: usize,
    rows: Vec<(f32, u32)>,
    /// Before this place everything was expanded.
    cursor: usize,
}

impl Pool {
    pub(super) fn begin(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.cursor = 0;
        self.rows.clear();
    }

    /// Takes a row if it is among the nearest; says at which place.
    pub(super) fn push(&mut self, distance: f32, row: u32) -> Option<usize> {
        if self.rows.len() == self.capacity {
            // Codes give no NaN; if one did, it would be the farthest.
            if self.rows.last().is_none_or(|last| distance.total_cmp(&last.0).is_ge()) {
                return None;
            }
            self.rows.pop();
        }
        let at = self.rows.partition_point(|one| one.0.total_cmp(&distance).is_le());
        self.rows.insert(at, (distance, row));
        self.cursor = self.cursor.min(at);
        Some(at)
    }

    /// The nearest row that was not expanded; it is marked.
    pub(super) fn next_to_expand(&mut self) -> Option<u32> {
        let at = self.place_to_expand()?;
        let row = self.rows[at].1;
        self.rows[at].1 = row | EXPANDED;
        self.cursor = at + 1;
        Some(row)
    }

    /// The one that comes after it, as things stand.
    pub(super) fn peek_to_expand(&self) -> Option<u32> {
        self.place_to_expand().map(|at| self.rows[at].1)
    }

    fn place_to_expand(&self) -> Option<usize> {
        let rest = self.rows.get(self.cursor..)?;
        rest.iter().position(|(_, row)| row & EXPANDED == 0).map(|at| self.cursor + at)
    }

    /// All rows with their distances, nearest first.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (f32, u32)> {
        self.rows.iter().map(|(distance, row)| (*distance, row & !EXPANDED))
    }
}
