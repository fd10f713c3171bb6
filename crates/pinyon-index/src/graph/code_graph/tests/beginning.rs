//! Graphs that begin with the links of another: how good they are, what they cost, and that nothing depends on luck.

use super::*;

/// Rows of a larger set, which die and come.
struct Block {
    vectors: Vec<f32>,
    norms: Vec<f32>,
    /// The numbers of the rows in the set.
    numbers: Vec<u32>,
}

impl Block {
    /// The rows of these numbers in a random order, so that no row keeps its place.
    fn of(set: &[f32], mut numbers: Vec<u32>, rng: &mut SeededRng) -> Self {
        for at in (1..numbers.len()).rev() {
            numbers.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let vector = |number: &u32| &set[*number as usize * DIM..(*number as usize + 1) * DIM];
        let vectors: Vec<f32> = numbers.iter().flat_map(vector).copied().collect();
        let norms = vectors.chunks(DIM).map(inverse_norm).collect();
        Self { vectors, norms, numbers }
    }

    /// About that share of the rows, and the new ones.
    fn next(&self, set: &[f32], kept_share: f64, new: Range<u32>, rng: &mut SeededRng) -> Self {
        let kept = self.numbers.iter().copied().filter(|_| rng.unit() < kept_share);
        let numbers = kept.chain(new).collect();
        Self::of(set, numbers, rng)
    }

    fn codes(&self, metric: Metric) -> Arc<Int8Rows> {
        let space = PointSpace::of(metric, &self.vectors, DIM);
        Arc::new(Int8Rows::encode(space, &self.vectors, &self.norms, 3))
    }

    fn build(&self, beginning: Option<Beginning>, metric: Metric, threads: usize) -> (CodeGraph, u64) {
        let codes = self.codes(metric);
        let pool = pool(threads);
        let building = Building::start(beginning, codes, OPTIONS, (9, 0), &|| false, &pool).unwrap();
        let (graph, work) = building.finish(&|| false, &pool).unwrap();
        (graph, work.code_distances)
    }

    /// What a graph of this block may have from one of an older block.
    fn beginning(&self, old: &CodeGraph, of: &Self) -> Beginning {
        let place = |number: u32| self.numbers.iter().position(|one| *one == number).map(|at| at as u32);
        let places: Vec<Option<u32>> = of.numbers.iter().map(|number| place(*number)).collect();
        old.beginning(self.numbers.len(), &|row| places[row as usize]).unwrap()
    }

    fn recall(&self, graph: &CodeGraph, queries: &[f32], metric: Metric, ef: usize) -> f64 {
        recall_at(graph, &self.vectors, &self.norms, queries, metric, ef)
    }
}

fn links(graph: &CodeGraph) -> Vec<u32> {
    graph.links().collect()
}

#[test]
fn it_is_as_good_as_one_from_nothing_and_costs_a_fraction() {
    let (set, _) = clustered(6_100, 51);
    let queries = &set[6_000 * DIM..];
    for (metric, threads, new, cost_max) in [
        (Metric::Cosine, 1, 3_000..3_600, 0.45),
        (Metric::DotProduct, 3, 3_000..3_600, 0.45),
        (Metric::Euclidean, 1, 3_000..3_600, 0.45),
        // Two thirds are new.
        (Metric::Cosine, 3, 3_000..6_000, 0.8),
    ] {
        let mut rng = SeededRng::new(52);
        let before = Block::of(&set, (0..3_000).collect(), &mut rng);
        let (old, _) = before.build(None, metric, threads);
        let block = before.next(&set, 0.87, new, &mut rng);
        let beginning = block.beginning(&old, &before);
        let (graph, distances) = block.build(Some(beginning), metric, threads);
        let (fresh, all_distances) = block.build(None, metric, threads);
        let cost = distances as f64 / all_distances as f64;
        assert!(cost < cost_max, "{metric}, {threads} threads: {cost}");
        for ef in [24, 48] {
            let [found, expected] = [&graph, &fresh].map(|one| block.recall(one, queries, metric, ef));
            assert!(found > expected - 0.005, "{metric}, {threads} threads, {ef}: {found}, {expected}");
        }
        check_links(&graph, block.numbers.len());
    }
}

#[test]
fn it_stays_good_over_generations_because_rows_that_lost_many_links_are_put_in_again() {
    let (set, _) = clustered(5_400, 53);
    let (metric, queries) = (Metric::Cosine, &set[5_000 * DIM..]);
    let mut rng = SeededRng::new(54);
    let mut block = Block::of(&set, (0..2_000).collect(), &mut rng);
    let [mut graph, mut neglected] = [1, 1].map(|threads| block.build(None, metric, threads).0);
    for generation in 0..6 {
        let new = 2_000 + generation * 500..2_000 + (generation + 1) * 500;
        let next = block.next(&set, 0.75, new, &mut rng);
        let mut nobody_again = next.beginning(&neglected, &block);
        nobody_again.is_sound =
            (0..next.numbers.len() as u32).map(|row| nobody_again.links.of(row).next().is_some()).collect();
        neglected = next.build(Some(nobody_again), metric, 1).0;
        graph = next.build(Some(next.beginning(&graph, &block)), metric, 1).0;
        block = next;
    }
    let fresh = block.build(None, metric, 1).0;
    let recalls = [&graph, &neglected, &fresh].map(|graph| block.recall(graph, queries, metric, 12));
    let [again, neglected, fresh] = recalls;
    assert!(again > fresh - 0.01 && again > neglected + 0.005, "{again}, {neglected}, {fresh}");
}

#[test]
fn one_thread_makes_the_same_of_the_same_beginning() {
    let (set, _) = clustered(1_500, 55);
    let mut rng = SeededRng::new(56);
    let before = Block::of(&set, (0..1_200).collect(), &mut rng);
    let (old, _) = before.build(None, Metric::DotProduct, 1);
    let block = before.next(&set, 0.85, 1_200..1_500, &mut rng);
    let build = || block.build(Some(block.beginning(&old, &before)), Metric::DotProduct, 1).0;
    assert_eq!(links(&build()), links(&build()));
}

#[test]
fn nothing_and_everything_are_beginnings() {
    let (set, _) = clustered(900, 57);
    let mut rng = SeededRng::new(58);
    let before = Block::of(&set, (0..600).collect(), &mut rng);
    let (old, _) = before.build(None, Metric::Cosine, 1);
    // Nobody lives: as from nothing.
    let block = Block::of(&set, (600..900).collect(), &mut rng);
    let (graph, _) = block.build(Some(block.beginning(&old, &before)), Metric::Cosine, 1);
    assert_eq!(links(&graph), links(&block.build(None, Metric::Cosine, 1).0));
    // All live and nobody is new: as it was, once the lengths of links are known.
    let same = before.beginning(&old, &before);
    assert_eq!(same.sound_rows(), 600);
    let (graph, distances) = before.build(Some(same), Metric::Cosine, 1);
    assert_eq!(links(&graph), links(&old));
    assert!(distances <= 600 * 32, "{distances}");
    // None at all.
    let empty = Block::of(&set, Vec::new(), &mut rng);
    assert_eq!(empty.build(Some(empty.beginning(&old, &before)), Metric::Cosine, 1).0.rows(), 0);
    assert_eq!(
        before
            .build(Some(before.beginning(&empty.build(None, Metric::Cosine, 1).0, &empty)), Metric::Cosine, 1)
            .0
            .rows(),
        600
    );
}

#[test]
fn a_beginning_of_other_rows_is_refused() {
    let (set, _) = clustered(300, 59);
    let block = Block::of(&set, (0..300).collect(), &mut SeededRng::new(60));
    let (graph, _) = block.build(None, Metric::Cosine, 1);
    let beginning = graph.beginning(299, &|row| (row < 299).then_some(row));
    let refused =
        Building::start(beginning, block.codes(Metric::Cosine), OPTIONS, (9, 0), &|| false, &pool(1));
    assert!(refused.unwrap_err().to_string().contains("other rows"));
}
