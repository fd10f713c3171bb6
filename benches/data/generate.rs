//! Rows that lie as embeddings of real texts do, with everything else that a data set has. The answers are computed in
//! double precision. Must not know of files.

use crate::{Attributes, Condition, Dataset, FilterTruth, Neighbours, Pairs, Rows};
use pinyon_distance::reference::dot_f64;
use pinyon_types::SeededRng;

const CENTRES: usize = 400;
const CATEGORIES: usize = 12;
/// How far a row that comes again lies from the first, about: far enough to be another neighbour.
const REPEAT_NOISE: f64 = 0.3;

/// How large a generated set is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Rows to search.
    pub rows: usize,
    /// Queries.
    pub queries: usize,
    /// Components of a row.
    pub dim: usize,
    /// Tenants that rows are spread over.
    pub tenants: usize,
}

impl Size {
    /// Enough for a graph and for tenants of several sizes; made in about a second.
    pub const SMALL: Self = Self { rows: 10_000, queries: 200, dim: 384, tenants: 100 };
}

impl Dataset {
    /// A set made from nothing, the same one every time.
    ///
    /// # Panics
    /// A size is zero.
    pub fn generate(size: Size) -> Self {
        assert!(size.rows > 0 && size.queries > 0 && size.dim > 0 && size.tenants > 0, "nothing to make");
        let (base, queries) = rows(size.rows, size.queries, size.dim);
        let (base, queries) = (base.normalised(), queries.normalised());
        let mut rng = SeededRng::new(7);
        let tenants: Vec<u32> = (0..size.rows).map(|_| zipf(&mut rng, size.tenants)).collect();
        let attributes = attributes(&mut rng, size.rows);
        let scores = scores(&base, &queries);
        let random_row = |rng: &mut SeededRng| rng.below(size.rows as u64) as usize;
        let by_size = (0..size.queries).map(|_| tenants[random_row(&mut rng)]).collect();
        let mut present = tenants.clone();
        present.sort_unstable();
        present.dedup();
        let evenly = (0..size.queries).map(|_| present[rng.below(present.len() as u64) as usize]).collect();
        Self {
            name: "generated".into(),
            truth: answers(&scores, 100, |_, _| true),
            proportional: pairs(&scores, &tenants, by_size),
            uniform: pairs(&scores, &tenants, evenly),
            filters: filters(&scores, &attributes),
            base,
            queries,
            tenants,
            attributes,
        }
    }
}

impl Dataset {
    /// The same with this many rows: where there are fewer, they come again with a little noise, each in the tenant and with
    /// the fields of the row it is made from. It has no answers.
    #[must_use]
    pub fn repeated(&self, rows: usize) -> Self {
        let (had, dim) = (self.base.len(), self.base.dim);
        let mut rng = SeededRng::new(41);
        let mut values = Vec::with_capacity(rows * dim);
        for row in 0..rows {
            let length = if row < had { 0.0 } else { REPEAT_NOISE / (dim as f64).sqrt() };
            let noisy = |x: &f32| x + (length * gauss(&mut rng)) as f32;
            values.extend(self.base.row(row % had).iter().map(noisy));
        }
        let attributes = Attributes {
            num: repeated(&self.attributes.num, rows),
            flag: repeated(&self.attributes.flag, rows),
            category: repeated(&self.attributes.category, rows),
            category_names: self.attributes.category_names.clone(),
        };
        let none = || Pairs { tenants: Vec::new(), truth: Neighbours(Vec::new()) };
        Self {
            name: self.name.clone(),
            base: Rows { dim, values }.normalised(),
            queries: self.queries.clone(),
            truth: none().truth,
            tenants: repeated(&self.tenants, rows),
            proportional: none(),
            uniform: none(),
            attributes,
            filters: Vec::new(),
        }
    }
}

fn repeated<T: Clone>(values: &[T], count: usize) -> Vec<T> {
    values.iter().cycle().take(count).cloned().collect()
}

/// About normal, with a variance of a half.
fn gauss(rng: &mut SeededRng) -> f64 {
    (0..6).map(|_| rng.unit()).sum::<f64>() - 3.0
}

/// Base rows and queries drawn around the same centres.
pub fn rows(base: usize, queries: usize, dim: usize) -> (Rows, Rows) {
    let mut rng = SeededRng::new(384);
    let mut gauss = || gauss(&mut rng) as f32;
    let centres: Vec<f32> = (0..CENTRES * dim).map(|_| gauss()).collect();
    let mut draw = |row: usize| {
        let centre = &centres[centre_of(row) * dim..][..dim];
        centre.iter().map(|x| x + 0.8 * gauss()).collect::<Vec<f32>>()
    };
    let mut values: Vec<f32> = (0..base + queries).flat_map(&mut draw).collect();
    let rest = values.split_off(base * dim);
    (Rows { dim, values }, Rows { dim, values: rest })
}

const fn centre_of(row: usize) -> usize {
    row * 7919 % CENTRES
}

/// A number below `count`; the n-th has a share of about 1 / n.
fn zipf(rng: &mut SeededRng, count: usize) -> u32 {
    let rank = ((count + 1) as f64).powf(rng.unit()) as usize - 1;
    u32::try_from(rank.min(count - 1)).expect("there are fewer tenants than that")
}

fn attributes(rng: &mut SeededRng, rows: usize) -> Attributes {
    // Categories follow the centres, so that filters by category and vectors are correlated; the first is the largest.
    let category = |row| (centre_of(row) as f64 / CENTRES as f64).powi(2) * CATEGORIES as f64;
    Attributes {
        num: (0..rows).map(|_| rng.unit() as f32).collect(),
        flag: (0..rows).map(|_| rng.below(2) == 1).collect(),
        category: (0..rows).map(|row| category(row) as u16).collect(),
        category_names: (0..CATEGORIES).map(|number| format!("category-{number}")).collect(),
    }
}

/// For every query its score with every row.
fn scores(base: &Rows, queries: &Rows) -> Vec<Vec<f64>> {
    let of = |query| (0..base.len()).map(|row| dot_f64(queries.row(query), base.row(row))).collect();
    (0..queries.len()).map(of).collect()
}

/// The `k` rows of greatest score that pass, for every query.
fn answers(scores: &[Vec<f64>], k: usize, passes: impl Fn(usize, usize) -> bool) -> Neighbours {
    let one = |(query, scores): (usize, &Vec<f64>)| {
        let mut rows: Vec<usize> = (0..scores.len()).filter(|row| passes(query, *row)).collect();
        rows.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let number = |row| u32::try_from(row).expect("there are fewer rows than that");
        rows.into_iter().take(k).map(number).collect()
    };
    Neighbours(scores.iter().enumerate().map(one).collect())
}

fn pairs(scores: &[Vec<f64>], tenants: &[u32], of_queries: Vec<u32>) -> Pairs {
    let truth = answers(scores, 10, |query, row| tenants[row] == of_queries[query]);
    Pairs { tenants: of_queries, truth }
}

fn filters(scores: &[Vec<f64>], attributes: &Attributes) -> Vec<FilterTruth> {
    let named = |at: usize| Condition::Category(attributes.category_names[at].clone());
    let below = [0.1, 0.01, 0.001].map(Condition::NumBelow);
    let conditions = [Condition::Flag].into_iter().chain(below).chain([named(1), named(CATEGORIES - 1)]);
    let truth = |condition: &Condition| answers(scores, 10, |_, row| attributes.passes(condition, row));
    conditions.map(|condition| FilterTruth { truth: truth(&condition), condition }).collect()
}

#[cfg(test)]
mod tests {
    use super::Size;
    use crate::Dataset;

    #[test]
    fn a_generated_set_fits_together() {
        let size = Size { rows: 2_000, queries: 20, dim: 16, tenants: 30 };
        let set = Dataset::generate(size);
        assert_eq!((set.base.len(), set.queries.len(), set.tenants.len()), (2_000, 20, 2_000));
        let tenant_of = |pairs: &crate::Pairs, query: usize| {
            let mut rows = pairs.truth.nearest(query, 10).iter();
            rows.all(|row| set.tenants[*row as usize] == pairs.tenants[query])
        };
        for query in 0..20 {
            assert_eq!(set.truth.nearest(query, 100).len(), 100);
            assert!(tenant_of(&set.proportional, query) && tenant_of(&set.uniform, query));
            for filter in &set.filters {
                let mut rows = filter.truth.nearest(query, 10).iter();
                assert!(rows.all(|row| set.attributes.passes(&filter.condition, *row as usize)));
            }
        }
        assert_eq!(set.filters.len(), 6);
        assert_eq!(set.truth, Dataset::generate(size).truth, "it is the same one every time");
    }

    #[test]
    fn rows_that_come_again_are_near_and_not_the_same() {
        let set = Dataset::generate(Size { rows: 50, queries: 1, dim: 64, tenants: 5 }).repeated(120);
        assert_eq!((set.base.len(), set.tenants.len(), set.tenants[70]), (120, 120, set.tenants[20]));
        let product = pinyon_distance::reference::dot_f64(set.base.row(20), set.base.row(70));
        assert!(product > 0.9 && product < 0.999, "{product}");
        assert_eq!(
            Dataset::generate(Size { rows: 50, queries: 1, dim: 64, tenants: 5 }).repeated(20).base.len(),
            20
        );
    }

    #[test]
    fn tenants_differ_in_size() {
        let set = Dataset::generate(Size { rows: 5_000, queries: 1, dim: 2, tenants: 100 });
        let rows_of = |tenant| set.tenants.iter().filter(|one| **one == tenant).count();
        assert!(rows_of(0) > 500 && rows_of(99) < 50, "{} and {}", rows_of(0), rows_of(99));
    }
}
