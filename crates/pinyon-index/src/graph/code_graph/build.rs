//! Building: rows are put in one after the other in a random order; each is linked to rows near to it that are not nearer to
//! each other, and they to it.

use super::{
    CodeGraph, ENTRIES,
    links::{Edges, Links},
    scratch::{Scratch, Scratches},
};
use crate::{
    Work,
    graph::{GraphError, GraphOptions},
};
use pinyon_distance::codes::{Int8Query, Int8Rows};
use pinyon_types::SeededRng;
use rayon::{ThreadPool, prelude::*};
use std::sync::Arc;

/// Rows put in by one thread before others join: who puts a row in finds only what is in already.
const ALONE: usize = 1024;
/// Rows put in between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 2048;

/// A graph under construction.
struct Builder {
    graph: CodeGraph,
    edges: Edges,
    options: GraphOptions,
}

/// What a thread needs to put rows in.
struct Hands {
    scratch: Scratch,
    /// The row that is put in.
    row: Int8Query,
    /// A row that is held against those already chosen.
    other: Int8Query,
    between: Vec<f32>,
    candidates: Vec<(f32, u32)>,
    chosen: Vec<(f32, u32)>,
}

impl CodeGraph {
    /// Builds a graph on `pool`. On one thread the same codes and seed give the same graph.
    ///
    /// # Errors
    /// Options that make no graph, or `stop`.
    pub fn build(
        codes: Arc<Int8Rows>,
        options: GraphOptions,
        seed: u64,
        stop: &dyn Fn() -> bool,
        pool: &ThreadPool,
    ) -> Result<Self, GraphError> {
        let options = options.checked()?;
        let order = shuffled(codes.len(), seed);
        let builder = Builder::new(codes, options, &order);
        let alone = ALONE.min(order.len());
        builder.insert_in_order(&order[..alone], 0);
        for (chunk, rows) in order[alone..].chunks(ROWS_PER_CHECK).enumerate() {
            if stop() {
                return Err(GraphError::Stopped);
            }
            if pool.current_num_threads() < 2 {
                builder.insert_in_order(rows, alone + chunk * ROWS_PER_CHECK);
            } else {
                pool.install(|| builder.insert_together(rows));
            }
        }
        Ok(builder.graph)
    }
}

fn shuffled(rows: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let mut rng = SeededRng::new(seed);
    for at in (1..rows).rev() {
        order.swap(at, rng.below(at as u64 + 1) as usize);
    }
    order
}

impl Builder {
    fn new(codes: Arc<Int8Rows>, options: GraphOptions, order: &[u32]) -> Self {
        let (rows, stride) = (codes.len(), options.places());
        // The first ones put in: a sample, because the order is random.
        let entries = order[..ENTRIES.min(rows)].to_vec();
        let entry_codes = codes.pick(&entries);
        let graph = CodeGraph {
            codes,
            links: Links::new(rows, stride),
            entries,
            entry_codes,
            scratches: Scratches::default(),
        };
        Self { graph, edges: Edges::new(rows, stride), options }
    }

    fn hands(&self) -> Hands {
        let blank = self.graph.codes.blank_query();
        Hands {
            scratch: Scratch::default(),
            row: blank.clone(),
            other: blank,
            between: Vec::new(),
            candidates: Vec::new(),
            chosen: Vec::new(),
        }
    }

    fn insert_in_order(&self, rows: &[u32], first: usize) {
        let mut hands = self.hands();
        for (at, row) in rows.iter().enumerate() {
            self.insert(*row, first + at, &mut hands);
        }
    }

    fn insert_together(&self, rows: &[u32]) {
        rows.par_iter().for_each_init(|| self.hands(), |hands, row| self.insert(*row, ALONE, hands));
    }

    /// Puts a row in, before which `count` rows were put in at least.
    fn insert(&self, row: u32, count: usize, hands: &mut Hands) {
        hands.row.be_row(&self.graph.codes, row as usize);
        let ef = self.options.ef_construction;
        self.graph.walk(&hands.row, ef, count, &mut hands.scratch, &mut Work::default());
        hands.candidates.clear();
        hands.candidates.extend(hands.scratch.near.pairs());
        self.choose(self.options.m, hands);
        self.graph.links.set(row, hands.chosen.iter().map(|(_, link)| *link));
        self.edges.set(row, hands.chosen.iter().map(|(length, _)| *length));
        let chosen = std::mem::take(&mut hands.chosen);
        for (length, link) in &chosen {
            self.link_back(*link, row, *length, hands);
        }
        hands.chosen = chosen;
    }

    /// Links `from` to `to` as well; where there is no place left, all links of `from` are chosen anew.
    fn link_back(&self, from: u32, to: u32, length: f32, hands: &mut Hands) {
        let _lock = self.edges.lock(from);
        hands.candidates.clear();
        hands.candidates.extend(self.edges.of(from).zip(self.graph.links.of(from)));
        hands.candidates.push((length, to));
        if hands.candidates.len() <= self.options.places() {
            std::mem::swap(&mut hands.candidates, &mut hands.chosen);
        } else {
            hands.candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.choose(self.options.places(), hands);
        }
        self.graph.links.set(from, hands.chosen.iter().map(|(_, link)| *link));
        self.edges.set(from, hands.chosen.iter().map(|(length, _)| *length));
    }

    /// Chooses up to `most` of the candidates, which are in order: each that is nearer to the row than to all chosen before
    /// it. So links lead into different directions instead of all into the nearest crowd.
    fn choose(&self, most: usize, hands: &mut Hands) {
        let Hands { other, between, candidates, chosen, .. } = hands;
        chosen.clear();
        let mut rows: Vec<u32> = Vec::with_capacity(most);
        for (length, row) in candidates.iter().copied() {
            if chosen.len() == most {
                return;
            }
            between.resize(rows.len(), 0.0);
            if !rows.is_empty() {
                other.be_row(&self.graph.codes, row as usize);
                other.distances_at(&self.graph.codes, &rows, between);
            }
            if between.iter().all(|between| *between > length) {
                chosen.push((length, row));
                rows.push(row);
            }
        }
    }
}
