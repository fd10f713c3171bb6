//! Rows in groups of copies among others, and questions about them.

#![allow(dead_code)] // each test uses some of it

use pinyon_distance::{inverse_norm, reference};
use pinyon_index::RowBlock;
use pinyon_types::{Metric, SeededRng, SlotId};
use std::{fmt, time::SystemTime};

const ROWS: [usize; 7] = [200, 1_000, 3_000, 5_200, 9_000, 20_000, 25_000];
const COPIED: [f64; 5] = [0.0, 0.5, 0.96, 0.992, 0.999];
const GROUPS: [usize; 5] = [1, 3, 10, 200, 1_000];
const NOISES: [f32; 6] = [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3];
const DIMS: [usize; 6] = [1, 2, 32, 128, 384, 768];
const MEANS: [f32; 4] = [0.0, 0.5, 2.0, 10.0];
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];
/// A question, and what kind of.
pub struct Question {
    pub class: &'static str,
    pub vector: Vec<f32>,
    /// Whether it is a row, so that none can be nearer.
    pub is_row: bool,
}

/// Rows of one kind.
pub struct Mix {
    pub seed: u64,
    pub metric: Metric,
    dim: usize,
    copied: f64,
    groups: usize,
    noise: f32,
    mean: f32,
    has_zeros: bool,
    vectors: Vec<f32>,
    norms: Vec<f32>,
    centres: Vec<Vec<f32>>,
    common: Vec<f32>,
    longest_squared: f64,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, metric, dim, copied, groups, noise, mean, has_zeros, .. } = self;
        let rows = self.rows();
        write!(
            f,
            "PINYON_TEST_SEED={seed} ({rows} rows of {dim}, {metric}, {copied} copied in {groups} groups, noise {noise}, \
             mean {mean}, zeros {has_zeros})"
        )
    }
}

/// Which mixes are tried: `PINYON_TEST_SEED` says with which one it begins, else the day.
pub fn first_seed() -> u64 {
    let given = std::env::var("PINYON_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    given
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400 * 1_000))
}

fn normal(rng: &mut SeededRng) -> f32 {
    ((0..12).map(|_| rng.unit()).sum::<f64>() - 6.0) as f32
}

impl Mix {
    /// The mix of a seed, of so many components at most.
    pub fn of(seed: u64, components_max: usize) -> Self {
        let mut rng = SeededRng::new(seed);
        let dim = DIMS[rng.below(6) as usize];
        let rows = ROWS[rng.below(7) as usize].min(components_max / dim);
        let metric = METRICS[rng.below(3) as usize];
        let (copied, groups) = (COPIED[rng.below(5) as usize], GROUPS[rng.below(5) as usize].min(rows / 2));
        let (noise, mean) = (NOISES[rng.below(6) as usize], MEANS[rng.below(4) as usize]);
        // A row of zeros has no direction, so that cosine has none.
        let has_zeros = rng.below(4) == 0 && metric != Metric::Cosine;
        let (vectors, norms, centres, common) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let longest_squared = 0.0;
        let mut mix = Self {
            seed,
            metric,
            dim,
            copied,
            groups,
            noise,
            mean,
            has_zeros,
            vectors,
            norms,
            centres,
            common,
            longest_squared,
        };
        mix.fill(rows, &mut rng);
        mix
    }

    fn fill(&mut self, rows: usize, rng: &mut SeededRng) {
        let Self { dim, groups, noise, has_zeros, .. } = *self;
        let mut vector = |length: f32| (0..dim).map(|_| length * normal(rng)).collect::<Vec<f32>>();
        let common = vector(self.mean);
        let around = |vector: Vec<f32>| vector.iter().zip(&common).map(|(a, b)| a + b).collect::<Vec<f32>>();
        self.centres = (0..groups).map(|_| around(vector(1.0))).collect();
        if has_zeros {
            self.centres[0] = vec![0.0; dim];
        }
        let copies = (rows as f64 * self.copied) as usize;
        for row in 0..rows {
            // Copies and others lie among each other.
            let is_copy = (row + 1) * copies / rows > row * copies / rows;
            let length = if has_zeros && row % groups == 0 { 0.0 } else { noise };
            let one = if is_copy {
                self.centres[row % groups].iter().zip(vector(length)).map(|(a, b)| a + b).collect()
            } else {
                around(vector(1.0))
            };
            self.vectors.extend(one);
        }
        self.norms = self.vectors.chunks(dim).map(inverse_norm).collect();
        let lengths = self.vectors.chunks(dim).map(|row| reference::dot_f64(row, row));
        self.longest_squared = lengths.fold(0.0, f64::max);
        self.common = common;
    }

    pub fn rows(&self) -> usize {
        self.norms.len()
    }

    pub fn block(&self) -> RowBlock<'_> {
        RowBlock { vectors: &self.vectors, inverse_norms: &self.norms, first_slot: SlotId::new(0) }
    }

    /// How many results are asked for: one, ten, a hundred, and more than there are distinct rows.
    pub fn counts(&self) -> impl Iterator<Item = usize> {
        let distinct = (self.rows() as f64 * (1.0 - self.copied)) as usize + self.groups;
        [1, 10, 100]
            .into_iter()
            .chain((distinct < 1_000).then_some(distinct + 5))
            .filter(|k| *k <= self.rows())
    }

    /// So many questions of every class.
    pub fn questions(&self, of_each: usize) -> Vec<Question> {
        let mut rng = SeededRng::new(self.seed ^ 0xa5a5);
        let mut questions = Vec::new();
        for _ in 0..of_each {
            let row = rng.below(self.rows() as u64) as usize;
            let centre = self.centres[rng.below(self.groups as u64) as usize].clone();
            let mut moved = |from: &[f32], length: f32| {
                from.iter().map(|one| one + length * normal(&mut rng)).collect::<Vec<f32>>()
            };
            let random = moved(&self.common, 1.0);
            let near_centre = moved(&centre, 0.1);
            questions.push(Question {
                class: "rows",
                vector: self.block().vector(row).to_vec(),
                is_row: true,
            });
            questions.push(Question { class: "random", vector: random, is_row: false });
            questions.push(Question { class: "near centres", vector: near_centre, is_row: false });
            questions.push(Question { class: "centres", vector: centre, is_row: false });
        }
        // Nobody may ask for what is near to nothing by its angle.
        questions.retain(|question| {
            self.metric != Metric::Cosine || question.vector.iter().any(|one| *one != 0.0)
        });
        questions
    }

    /// A row's distance in double precision.
    pub fn distance(&self, query: &[f32], row: usize) -> f64 {
        self.between(query, self.block().vector(row))
    }

    /// How far a vector is.
    pub fn between(&self, query: &[f32], vector: &[f32]) -> f64 {
        let dot = reference::dot_f64(query, vector);
        match self.metric {
            Metric::DotProduct => -dot,
            Metric::Euclidean => reference::l2_squared_f64(query, vector),
            Metric::Cosine => {
                let lengths = reference::dot_f64(query, query) * reference::dot_f64(vector, vector);
                if lengths > 0.0 { 1.0 - dot / lengths.sqrt() } else { 1.0 }
            }
        }
    }

    /// What single precision cannot tell apart: a few units in the last place of what is added up.
    pub fn tolerance(&self, query: &[f32], distance: f64) -> f64 {
        let longest = self.longest_squared;
        let size = match self.metric {
            Metric::Cosine => 1.0,
            Metric::DotProduct => (longest * reference::dot_f64(query, query)).sqrt(),
            Metric::Euclidean => distance,
        };
        4.0 * f64::from(f32::EPSILON) * size
    }

    /// How many of the exact results, nearest first, rows at these distances are not. Nobody can order what f32 cannot tell apart; what is
    /// nearer than that must be found.
    pub fn missed(&self, query: &[f32], exact: &[f64], found: impl Iterator<Item = f64>) -> usize {
        let Some(farthest) = exact.last() else { return 0 };
        let tolerance = self.tolerance(query, *farthest);
        let is_nearer = |distance: &f64| *distance < farthest - tolerance;
        let nearer = exact.iter().filter(|distance| is_nearer(distance)).count();
        let (found_nearer, others): (Vec<f64>, Vec<f64>) = found.partition(is_nearer);
        let as_far = others.into_iter().filter(|distance| *distance <= farthest + tolerance).count();
        exact.len() - found_nearer.len().min(nearer) - as_far.min(exact.len() - nearer)
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The distances of all rows, nearest first.
    pub fn nearest(&self, query: &[f32]) -> Vec<f64> {
        let mut distances: Vec<f64> = (0..self.rows()).map(|row| self.distance(query, row)).collect();
        distances.sort_unstable_by(f64::total_cmp);
        distances
    }
}
