//! Building: rows are put in one after the other in a random order; each is linked to rows near to it that are not nearer to
//! each other, and they to it.

use super::{
    Beginning, CodeGraph, ENTRIES, Length,
    links::Edges,
    scratch::{Scratch, Scratches},
};
use crate::{
    Work,
    graph::{GraphError, GraphOptions},
};
use pinyon_distance::codes::{Int8Query, Int8Rows};
use pinyon_types::SeededRng;
use rayon::{ThreadPool, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Rows put in by one thread before others join: who puts a row in finds only what is in already.
const ALONE: usize = 1024;
/// Rows put in between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 2048;

/// A graph under construction.
struct Builder {
    graph: CodeGraph,
    edges: Edges,
    options: GraphOptions,
    /// Distances computed so far.
    distances: AtomicU64,
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
    work: Work,
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
        Self::build_from(None, codes, options, seed, stop, pool).map(|(graph, _)| graph)
    }

    /// The same from the links that some rows have already; and what it cost.
    ///
    /// # Errors
    /// As [`Self::build`], and a beginning of another number of rows or links.
    pub fn build_from(
        beginning: Option<Beginning>,
        codes: Arc<Int8Rows>,
        options: GraphOptions,
        seed: u64,
        stop: &dyn Fn() -> bool,
        pool: &ThreadPool,
    ) -> Result<(Self, Work), GraphError> {
        let options = options.checked()?;
        let beginning = match beginning {
            Some(beginning) => beginning.checked(codes.len(), options)?,
            None => Beginning::nothing(codes.len(), options),
        };
        let order = Order::new(&beginning, seed);
        let builder = Builder::new(codes, options, &order, beginning);
        builder.each(&order.all, stop, pool, |row, hands| builder.measure(row, hands))?;
        let (first, rest) = order.new.split_at(ALONE.min(order.new.len()));
        let mut hands = builder.hands();
        for (at, row) in first.iter().enumerate() {
            builder.insert(*row, order.entries_in + at, &mut hands);
        }
        builder.each(rest, stop, pool, |row, hands| builder.insert(row, ENTRIES, hands))?;
        let work = Work { code_distances: builder.distances.into_inner(), ..Work::default() };
        Ok((builder.graph, work))
    }
}

/// The order of a block's rows: a random one.
struct Order {
    all: Vec<u32>,
    /// Those that are not in from the beginning.
    new: Vec<u32>,
    /// The first of all, which are a sample: those that are in, then the others in the order in which they come in.
    entries: Vec<u32>,
    entries_in: usize,
}

impl Order {
    fn new(beginning: &Beginning, seed: u64) -> Self {
        let all = shuffled(beginning.rows(), seed);
        let is_new = |row: u32| !beginning.is_sound[row as usize];
        let new: Vec<u32> = all.iter().copied().filter(|row| is_new(*row)).collect();
        let mut entries = all[..ENTRIES.min(all.len())].to_vec();
        entries.sort_by_key(|row| is_new(*row));
        let entries_in = entries.partition_point(|row| !is_new(*row));
        Self { all, new, entries, entries_in }
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
    fn new(codes: Arc<Int8Rows>, options: GraphOptions, order: &Order, beginning: Beginning) -> Self {
        let edges = Edges::new(codes.len(), options.places());
        let entries = order.entries.clone();
        let entry_codes = codes.pick(&entries);
        let (links, scratches) = (beginning.links, Scratches::default());
        let graph = CodeGraph { codes, links, entries, entry_codes, scratches };
        Self { graph, edges, options, distances: AtomicU64::new(0) }
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
            work: Work::default(),
        }
    }

    /// Does the same with each of some rows, on all threads.
    fn each(
        &self,
        rows: &[u32],
        stop: &dyn Fn() -> bool,
        pool: &ThreadPool,
        work: impl Fn(u32, &mut Hands) + Sync,
    ) -> Result<(), GraphError> {
        for rows in rows.chunks(ROWS_PER_CHECK) {
            if stop() {
                return Err(GraphError::Stopped);
            }
            if pool.current_num_threads() < 2 {
                let mut hands = self.hands();
                rows.iter().for_each(|row| work(*row, &mut hands));
            } else {
                let each = |hands: &mut Hands, row: &u32| work(*row, hands);
                pool.install(|| rows.par_iter().for_each_init(|| self.hands(), each));
            }
        }
        Ok(())
    }

    /// Computes the lengths of the links that a row begins with.
    fn measure(&self, row: u32, hands: &mut Hands) {
        let links: Vec<u32> = self.graph.links.of(row).collect();
        if links.is_empty() {
            return;
        }
        hands.row.be_row(&self.graph.codes, row as usize);
        hands.between.resize(links.len(), 0.0);
        hands.row.distances_at(&self.graph.codes, &links, &mut hands.between);
        self.edges.set(row, hands.between.iter().copied());
        self.distances.fetch_add(links.len() as u64, Relaxed);
    }

    /// Puts a row in, or in again with the links that it has; only the first `entries` of the entries are in.
    fn insert(&self, row: u32, entries: usize, hands: &mut Hands) {
        hands.row.be_row(&self.graph.codes, row as usize);
        let ef = self.options.ef_construction;
        self.graph.walk(&hands.row, Length::full(ef), entries, &mut hands.scratch, &mut hands.work);
        self.link(row, hands);
        let chosen = std::mem::take(&mut hands.chosen);
        for (length, link) in &chosen {
            self.link_back(*link, row, *length, hands);
        }
        hands.chosen = chosen;
        self.distances.fetch_add(std::mem::take(&mut hands.work).code_distances, Relaxed);
    }

    /// Chooses a row's links among what a walk found and what it has.
    fn link(&self, row: u32, hands: &mut Hands) {
        // One that is put in again is known to others, who may be linking back to it.
        let _lock = self.edges.lock(row);
        hands.candidates.clear();
        hands.candidates.extend(hands.scratch.near.pairs().filter(|(_, near)| *near != row));
        let own = self.edges.of(row).zip(self.graph.links.of(row));
        let is_unknown = |(_, link): &(f32, u32)| hands.candidates.iter().all(|(_, known)| known != link);
        let own: Vec<(f32, u32)> = own.filter(is_unknown).collect();
        hands.candidates.extend(&own);
        in_order(&mut hands.candidates);
        let has_links = self.graph.links.of(row).next().is_some();
        let most = if has_links { self.options.places() } else { self.options.m };
        self.choose(most, hands);
        self.set(row, &hands.chosen);
    }

    fn set(&self, row: u32, chosen: &[(f32, u32)]) {
        self.graph.links.set(row, chosen.iter().map(|(_, link)| *link));
        self.edges.set(row, chosen.iter().map(|(length, _)| *length));
    }

    /// Links `from` to `to` as well; where there is no place left, all links of `from` are chosen anew.
    fn link_back(&self, from: u32, to: u32, length: f32, hands: &mut Hands) {
        let _lock = self.edges.lock(from);
        if self.graph.links.of(from).any(|link| link == to) {
            return;
        }
        hands.candidates.clear();
        hands.candidates.extend(self.edges.of(from).zip(self.graph.links.of(from)));
        hands.candidates.push((length, to));
        if hands.candidates.len() <= self.options.places() {
            std::mem::swap(&mut hands.candidates, &mut hands.chosen);
        } else {
            in_order(&mut hands.candidates);
            self.choose(self.options.places(), hands);
        }
        self.set(from, &hands.chosen);
    }

    /// Chooses up to `most` of the candidates, which are in order: each that is nearer to the row than to all chosen before
    /// it. So links lead into different directions instead of all into the nearest crowd.
    fn choose(&self, most: usize, hands: &mut Hands) {
        let Hands { other, between, candidates, chosen, work, .. } = hands;
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
                work.code_distances += rows.len() as u64;
            }
            if between.iter().all(|between| *between > length) {
                chosen.push((length, row));
                rows.push(row);
            }
        }
    }
}

fn in_order(candidates: &mut [(f32, u32)]) {
    candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}
