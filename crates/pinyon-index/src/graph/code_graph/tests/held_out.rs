//! Graphs that are tested with rows that they lack.

use super::*;
use crate::{HeldOut, SelfTest, calibrate};

const ROWS: usize = 4_000;

/// Rows with crowds of five among them.
fn rows() -> (Vec<f32>, Vec<f32>) {
    let (mut vectors, _) = clustered(ROWS - 400, 61);
    for row in 0..100 {
        let copy = vectors[row * DIM..(row + 1) * DIM].to_vec();
        (0..4).for_each(|_| vectors.extend(&copy));
    }
    let norms = vectors.chunks(DIM).map(inverse_norm).collect();
    (vectors, norms)
}

fn codes(vectors: &[f32], norms: &[f32]) -> Arc<Int8Rows> {
    Arc::new(Int8Rows::encode(PointSpace::Unit, vectors, norms, 3))
}

const fn test(held_out: HeldOut<'_>) -> SelfTest<'_> {
    SelfTest { metric: Metric::Cosine, recall_min: 0.99, seed: 2, questions: &[], held_out, before: None }
}

#[test]
fn what_is_held_out_is_not_there_for_the_test_and_all_there_afterwards() {
    let (vectors, norms) = rows();
    let block = RowBlock { vectors: &vectors, inverse_norms: &norms, first_slot: SlotId::new(0) };
    let pool = pool(1);
    let building =
        Building::start(None, codes(&vectors, &norms), OPTIONS, (9, 128), &|| false, &pool).unwrap();
    let (held, rows) = (building.held_out(), building.held_out().rows.to_vec());
    assert!(held.asked.len() >= 100 && rows.len() > held.asked.len() && rows.len() <= ROWS / 16, "{held:?}");
    let finds = |graph: &CodeGraph, row: u32| {
        let (query, codes) = (block.vector(row as usize), OnceLock::new());
        let request = GraphRequest { k: 50, ef: 200, settled: 200 };
        let found = graph.search(DenseQuery::new(query, &codes), request, &mut Work::default());
        found.close(graph, 10, |_| true).rows.contains(&SlotId::new(row))
    };
    assert!(rows.iter().all(|row| !finds(building.graph(), *row)), "they are not in");
    // A copy of one that is in would be too easy a question.
    let copies = |row: u32| {
        (0..ROWS as u32).filter(move |other| block.vector(*other as usize) == block.vector(row as usize))
    };
    assert!(
        held.asked.iter().all(|row| copies(*row).all(|copy| rows.contains(&copy))),
        "whole crowds are held out"
    );
    let found = calibrate(building.graph(), (block, None), test(held), &|| false).unwrap();
    assert!(found.is_enough && found.recall.mean > 0.99, "{found:?}");
    let (graph, _) = building.finish(&|| false, &pool).unwrap();
    assert!(rows.iter().all(|row| finds(&graph, *row)), "they are in");
}

#[test]
fn a_graph_that_leads_nowhere_is_not_called_enough() {
    let (vectors, norms) = rows();
    let block = RowBlock { vectors: &vectors, inverse_norms: &norms, first_slot: SlotId::new(0) };
    let poor = GraphOptions { m: 2, ef_construction: 2 };
    let graph = CodeGraph::build(codes(&vectors, &norms), poor, 9, &|| false, &pool(1)).unwrap();
    let found = calibrate(&graph, (block, None), test(HeldOut::default()), &|| false).unwrap();
    assert!(!found.is_enough && found.ef == 768 && found.recall.upper < 1.0, "{found:?}");
    let good = build(&vectors, &norms, Metric::Cosine, 1);
    let found = calibrate(&good, (block, None), test(HeldOut::default()), &|| false).unwrap();
    assert!(found.is_enough && found.ef < 768, "{found:?}");
    // Questions decide, whatever probes would say, and where they are too few to be sure, probes may be.
    let questions: Vec<Vec<f32>> = (0..80).map(|row| block.vector(row * 7).to_vec()).collect();
    let asked = SelfTest { questions: &questions, recall_min: 0.995, ..test(HeldOut::default()) };
    let found = calibrate(&good, (block, None), asked, &|| false).unwrap();
    assert_eq!((found.recall.asked, found.recall.queries), (crate::Asked::Questions, 80));
    assert!(found.is_enough && found.recall.lower < 0.995, "{found:?}");
    assert!(!calibrate(&graph, (block, None), asked, &|| false).unwrap().is_enough);
}
