//! The index over all fields, and the evaluation of a filter tree on it.

use super::{MetadataRows, column::Column};
use pinyon_types::{FieldTest, Filter};
use roaring::RoaringBitmap;
use std::collections::HashMap;

/// A filter index in memory over rows that do not change.
#[derive(Debug)]
pub struct FilterIndex {
    rows: u32,
    columns: HashMap<Box<str>, Column>,
}

impl FilterIndex {
    /// Reads every row's metadata once.
    pub fn build(source: &impl MetadataRows) -> Self {
        let mut columns: HashMap<Box<str>, Column> = HashMap::new();
        for row in 0..source.rows() {
            source.visit(row, &mut |name, value| match columns.get_mut(name) {
                Some(column) => column.add(row, &value),
                None => columns.entry(Box::from(name)).or_default().add(row, &value),
            });
        }
        columns.values_mut().for_each(Column::finish);
        Self { rows: source.rows(), columns }
    }

    /// The rows that pass a filter: exactly those that [`Filter::matches`]. `source` is what the index was built from;
    /// it is asked about fields whose values are not posted.
    pub fn evaluate(&self, filter: &Filter, source: &impl MetadataRows) -> RoaringBitmap {
        match filter {
            Filter::And(parts) => {
                let mut rows = self.all();
                for part in parts {
                    if rows.is_empty() {
                        break;
                    }
                    rows &= self.evaluate_within(part, source, &rows);
                }
                rows
            }
            Filter::Or(parts) => {
                parts.iter().fold(RoaringBitmap::new(), |rows, part| rows | self.evaluate(part, source))
            }
            Filter::Not(part) => self.all() - self.evaluate(part, source),
            Filter::Field { .. } => self.evaluate_within(filter, source, &self.all()),
        }
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|(name, column)| name.len() + column.bytes()).sum()
    }

    /// As `evaluate`, but right only for `candidates`: rows are not asked that some other part has ruled out already.
    fn evaluate_within(
        &self,
        filter: &Filter,
        source: &impl MetadataRows,
        candidates: &RoaringBitmap,
    ) -> RoaringBitmap {
        let Filter::Field { name, test } = filter else { return self.evaluate(filter, source) };
        let Some(column) = self.columns.get(name.as_str()) else {
            return if *test == FieldTest::Exists(false) { self.all() } else { RoaringBitmap::new() };
        };
        if *test == FieldTest::Exists(false) {
            return self.all() - column.evaluate(&FieldTest::Exists(true)).unwrap_or_default();
        }
        let posted = column.evaluate(test);
        posted.unwrap_or_else(|| candidates.iter().filter(|row| source.matches(*row, filter)).collect())
    }

    fn all(&self) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        rows.insert_range(0..self.rows);
        rows
    }
}
