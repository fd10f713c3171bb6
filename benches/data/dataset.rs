//! What a data set holds. Must not know how it is stored: `directory` reads one, `generate` makes one.

use crate::Rows;

/// Rows, queries, and for every kind of query the exact answers.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name, for reports.
    pub name: String,
    /// Rows, each 1 long.
    pub base: Rows,
    /// Queries, each 1 long.
    pub queries: Rows,
    /// Nearest of all rows, 100 a query where there are as many.
    pub truth: Neighbours,
    /// Tenant of every row.
    pub tenants: Vec<u32>,
    /// A tenant for every query, drawn in proportion to the tenants' sizes.
    pub proportional: Pairs,
    /// A tenant for every query, every tenant as likely as the next.
    pub uniform: Pairs,
    /// Fields of every row.
    pub attributes: Attributes,
    /// Nearest of the rows that a condition lets through, 10 a query.
    pub filters: Vec<FilterTruth>,
}

/// A tenant for every query, and the nearest of that tenant's rows, 10 a query.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Tenant of every query.
    pub tenants: Vec<u32>,
    /// Nearest rows of that tenant.
    pub truth: Neighbours,
}

/// Fields of rows, by row.
#[derive(Debug, Clone)]
pub struct Attributes {
    /// Uniform in [0, 1).
    pub num: Vec<f32>,
    /// True for every second row or so, at random.
    pub flag: Vec<bool>,
    /// Category, a place in `category_names`; rows of one category lie near each other.
    pub category: Vec<u16>,
    /// Names of categories.
    pub category_names: Vec<String>,
}

/// A condition, and the nearest of the rows that it lets through.
#[derive(Debug, Clone)]
pub struct FilterTruth {
    /// The condition.
    pub condition: Condition,
    /// Nearest rows that pass.
    pub truth: Neighbours,
}

/// A condition on a row's fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `num` is below a bound: `num<0.1`.
    NumBelow(f32),
    /// `flag` is true: `flag`.
    Flag,
    /// The category has this name: `cat=man`.
    Category(String),
}

impl std::fmt::Display for Condition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NumBelow(bound) => write!(out, "num<{bound}"),
            Self::Flag => out.write_str("flag"),
            Self::Category(name) => write!(out, "cat={name}"),
        }
    }
}

impl Attributes {
    /// Whether row `at` meets a condition.
    ///
    /// # Panics
    /// There is no such row.
    pub fn passes(&self, condition: &Condition, at: usize) -> bool {
        match condition {
            Condition::NumBelow(bound) => self.num[at] < *bound,
            Condition::Flag => self.flag[at],
            Condition::Category(name) => &self.category_names[usize::from(self.category[at])] == name,
        }
    }
}

/// Exact nearest rows of every query, nearest first; fewer than asked for where no more rows pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours(pub(crate) Vec<Vec<u32>>);

impl Neighbours {
    /// Number of queries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `k` nearest rows of a query, or as many as there are.
    ///
    /// # Panics
    /// There is no such query.
    pub fn nearest(&self, query: usize, k: usize) -> &[u32] {
        let row = &self.0[query];
        &row[..k.min(row.len())]
    }

    /// The part of a query's `k` nearest rows that was found; 1 where there is nothing to find.
    ///
    /// # Panics
    /// There is no such query.
    pub fn recall(&self, query: usize, k: usize, found: &[u32]) -> f64 {
        let wanted = self.nearest(query, k);
        let hits = wanted.iter().filter(|row| found.contains(row)).count();
        if wanted.is_empty() { 1.0 } else { hits as f64 / wanted.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Neighbours};

    #[test]
    fn recall_counts_only_the_k_nearest() {
        let truth = Neighbours(vec![vec![4, 2, 9], vec![]]);
        assert_eq!(truth.recall(0, 2, &[9, 4]), 0.5);
        assert_eq!(truth.recall(0, 10, &[9, 4, 2]), 1.0);
        assert_eq!(truth.recall(1, 10, &[]), 1.0);
    }

    #[test]
    fn conditions_are_written_as_in_reports() {
        let texts = [Condition::NumBelow(0.001), Condition::Flag, Condition::Category("man".into())];
        assert_eq!(texts.map(|one| one.to_string()), ["num<0.001", "flag", "cat=man"]);
    }
}
