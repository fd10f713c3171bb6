//! Building: rows are put in one after the other in a random order; each is linked to rows near to it that are not nearer to
//! each other, and they to it. A row that codes cannot tell from one that is in already is absorbed by that instead.

use super::{
    Beginning, CodeGraph, ENTRIES, Length,
    links::Edges,
    members::Members,
    scratch::{Scratch, Scratches},
};
use crate::{
    Work,
    graph::{GraphError, GraphOptions, HeldOut},
    probes::distinct_rows,
};
use pinyon_distance::codes::{Int8Query, Int8Rows};
use pinyon_types::SeededRng;
use rayon::{ThreadPool, prelude::*};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Rows put in by one thread before others join: who puts a row in finds only what is in already.
const ALONE: usize = 1024;
/// Rows put in between two looks at whether to stop.
const ROWS_PER_CHECK: usize = 2048;

/// Rows among which one is looked for that is the same as the one which is put in.
const SAME_AMONG: usize = 8;

/// A graph under construction.
struct Builder {
    graph: CodeGraph,
    edges: Edges,
    options: GraphOptions,
    /// Rows that others may be linked to, so that they must have links.
    is_known: Vec<bool>,
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
        let building = Building::start(None, codes, options, (seed, 0), stop, pool)?;
        building.finish(stop, pool).map(|(graph, _)| graph)
    }
}

/// A graph that lacks some rows, with which it can be tested: they are as people's questions are where these are like what is stored.
pub struct Building {
    builder: Builder,
    order: Order,
}

impl std::fmt::Debug for Building {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Building").field("held_out", &self.order.held_out.len()).finish_non_exhaustive()
    }
}

impl Building {
    /// Builds a graph, from the links that some rows have already if there are any, of all rows but up to so many, which may be held
    /// out: one of each of some crowds, and few of each crowd.
    ///
    /// # Errors
    /// As [`CodeGraph::build`], and a beginning of another number of rows or links.
    pub fn start(
        beginning: Option<Beginning>,
        codes: Arc<Int8Rows>,
        options: GraphOptions,
        (seed, held_out): (u64, usize),
        stop: &dyn Fn() -> bool,
        pool: &ThreadPool,
    ) -> Result<Self, GraphError> {
        let options = options.checked()?;
        let beginning = match beginning {
            Some(beginning) => beginning.checked(codes.len(), options)?,
            None => Beginning::nothing(codes.len(), options),
        };
        let order = Order::new(&beginning, seed).holding_out(&codes, held_out, seed);
        let mut builder = Builder::new(codes, options, &order, beginning);
        builder.each(&order.all, stop, pool, |row, hands| builder.measure(row, hands))?;
        let (first, rest) = order.new.split_at(ALONE.min(order.new.len()));
        let mut hands = builder.hands();
        for (at, row) in first.iter().enumerate() {
            builder.insert(*row, order.entries_in + at, &mut hands);
        }
        builder.each(rest, stop, pool, |row, hands| builder.insert(row, ENTRIES, hands))?;
        builder.know_members();
        Ok(Self { builder, order })
    }

    /// The graph as far as it is.
    pub const fn graph(&self) -> &CodeGraph {
        &self.builder.graph
    }

    /// The rows that it lacks.
    pub fn held_out(&self) -> HeldOut<'_> {
        HeldOut { asked: &self.order.asked, rows: &self.order.held_out }
    }

    /// Puts in what was held out; also says what all of it cost.
    ///
    /// # Errors
    /// `stop`.
    pub fn finish(self, stop: &dyn Fn() -> bool, pool: &ThreadPool) -> Result<(CodeGraph, Work), GraphError> {
        let Self { mut builder, order } = self;
        builder.each(&order.held_out, stop, pool, |row, hands| builder.insert(row, ENTRIES, hands))?;
        builder.know_members();
        Ok(builder.finish(&order))
    }
}

/// The order of a block's rows: a random one.
struct Order {
    all: Vec<u32>,
    /// Those that are not in from the beginning.
    new: Vec<u32>,
    /// Those that come last, so that the graph can be tested with them before.
    held_out: Vec<u32>,
    /// One of each crowd of these.
    asked: Vec<u32>,
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
        Self { all, new, entries, entries_in, held_out: Vec::new(), asked: Vec::new() }
    }

    /// The same with the crowds of up to so many of the new rows at the end, unless they are large or have an entry.
    fn holding_out(mut self, codes: &Int8Rows, count: usize, seed: u64) -> Self {
        let is_fixed: BTreeSet<u32> = self.entries.iter().copied().collect();
        let is_new: BTreeSet<u32> = self.new.iter().copied().collect();
        let rows_max = codes.len() / HELD_OUT_ROWS_PART;
        let mut is_held = BTreeSet::new();
        for row in distinct_rows(codes, HELD_OUT_PART * count, seed).into_iter().step_by(HELD_OUT_PART) {
            let crowd = crowd_of(codes, row, rows_max / 4);
            let may_be = |row: &u32| is_new.contains(row) && !is_fixed.contains(row);
            if !crowd.is_empty() && crowd.iter().all(may_be) && is_held.len() + crowd.len() <= rows_max {
                self.asked.push(row);
                is_held.extend(crowd);
            }
        }
        self.new.retain(|row| !is_held.contains(row));
        self.held_out = is_held.into_iter().collect();
        self
    }
}

/// One over the share of distinct rows that is held out, so that what lies around them stays as it is.
const HELD_OUT_PART: usize = 4;
/// One over the share of all rows that is held out at most.
const HELD_OUT_ROWS_PART: usize = 16;
/// Rows whose distances are computed at once.
const CROWD_CHUNK: usize = 1024;

/// All rows that codes can hardly tell from one, itself among them; none if they are more than so many.
fn crowd_of(codes: &Int8Rows, row: u32, most: usize) -> Vec<u32> {
    let query = codes.row_query(row as usize);
    let (near, mut crowd, mut distances) = (query.errors().of(codes, row), Vec::new(), [0.0; CROWD_CHUNK]);
    for first in (0..codes.len()).step_by(CROWD_CHUNK) {
        let distances = &mut distances[..CROWD_CHUNK.min(codes.len() - first)];
        query.distances(codes, first, distances);
        let same = distances.iter().enumerate().filter(|(_, distance)| **distance <= near);
        crowd.extend(same.map(|(at, _)| (first + at) as u32));
        if crowd.len() > most {
            return Vec::new();
        }
    }
    crowd
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
        let Beginning { links, is_known, .. } = beginning;
        let (members, scratches) = (Members::default(), Scratches::default());
        let graph = CodeGraph { codes, links, entries, entry_codes, members, scratches };
        Self { graph, edges, options, is_known, distances: AtomicU64::new(0) }
    }

    fn know_members(&mut self) {
        self.graph.members = Members::of(&self.graph.links, self.graph.codes.len());
    }

    /// The graph with all of its entries: first those that were so while it was built.
    fn finish(self, order: &Order) -> (CodeGraph, Work) {
        let Self { mut graph, distances, .. } = self;
        let of_entries = order.entries.iter().chain(&order.all[order.entries.len()..]);
        let linked = of_entries.copied().filter(|row| graph.links.owner(*row).is_none());
        graph.entries = linked.take(ENTRIES).collect();
        graph.entry_codes = graph.codes.pick(&graph.entries);
        (graph, Work { code_distances: distances.into_inner(), ..Work::default() })
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
        match self.same_as(row, hands) {
            Some(owner) => self.graph.links.absorb(row, owner),
            None => self.link_with_others(row, hands),
        }
        self.distances.fetch_add(std::mem::take(&mut hands.work).code_distances, Relaxed);
    }

    /// A row with links that codes cannot tell from this one, which nobody knows yet: the difference of two roundings of one vector is
    /// as long as this, on average, and any two vectors that are as near are one for a graph on codes.
    fn same_as(&self, row: u32, hands: &Hands) -> Option<u32> {
        if self.is_known[row as usize] {
            return None;
        }
        let codes = &self.graph.codes;
        let near = hands.row.errors().of(codes, row);
        let nearest = hands.scratch.near.pairs().take(SAME_AMONG).take_while(|(length, _)| *length <= near);
        nearest.map(|(_, other)| other).find(|other| codes.are_same(row, *other))
    }

    fn link_with_others(&self, row: u32, hands: &mut Hands) {
        self.link(row, hands);
        let chosen = std::mem::take(&mut hands.chosen);
        for (length, link) in &chosen {
            self.link_back(*link, row, *length, hands);
        }
        hands.chosen = chosen;
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
