//! Finds the strongly connected components of a graph by Tarjan's algorithm (1972).

use std::collections::BTreeSet;

/// Returns the components of more than one node, the largest first; the nodes of each ascend.
pub fn circles(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let mut search =
        Search { edges, order: vec![None; edges.len()], stack: Vec::new(), next: 0, found: Vec::new() };
    for node in 0..edges.len() {
        if search.order[node].is_none() {
            search.visit(node);
        }
    }
    let mut found = search.found;
    found.iter_mut().for_each(|circle| circle.sort_unstable());
    found.sort_by_key(|circle| (std::cmp::Reverse(circle.len()), circle[0]));
    found
}

struct Search<'a> {
    edges: &'a [BTreeSet<usize>],
    /// When a node was met; `DONE` once its component is known.
    order: Vec<Option<usize>>,
    stack: Vec<usize>,
    next: usize,
    found: Vec<Vec<usize>>,
}

const DONE: usize = usize::MAX;

impl Search<'_> {
    /// Visits what can be reached from a node; returns the earliest node on the stack that can.
    fn visit(&mut self, node: usize) -> usize {
        let own = self.next;
        self.next += 1;
        self.order[node] = Some(own);
        self.stack.push(node);
        let mut earliest = own;
        for &neighbour in &self.edges[node] {
            let reached = match self.order[neighbour] {
                Some(order) => order,
                None => self.visit(neighbour),
            };
            earliest = earliest.min(reached);
        }
        if earliest == own {
            self.close(node);
        }
        earliest
    }

    /// Takes the component of which `root` was met first off the stack.
    fn close(&mut self, root: usize) {
        let from = self
            .stack
            .iter()
            .rposition(|node| *node == root)
            .expect("invariant: an open node is on the stack");
        let component = self.stack.split_off(from);
        component.iter().for_each(|node| self.order[*node] = Some(DONE));
        if component.len() > 1 {
            self.found.push(component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(count: usize, pairs: &[(usize, usize)]) -> Vec<BTreeSet<usize>> {
        let mut edges = vec![BTreeSet::new(); count];
        pairs.iter().for_each(|(from, to)| edges[*from].extend([*to]));
        edges
    }

    #[test]
    fn components_of_small_graphs() {
        assert!(circles(&edges(3, &[(0, 1), (1, 2), (0, 2)])).is_empty());
        assert_eq!(circles(&edges(2, &[(0, 1), (1, 0)])), [[0, 1]]);
        let two = edges(6, &[(5, 0), (0, 1), (1, 0), (1, 2), (2, 3), (3, 4), (4, 2)]);
        assert_eq!(circles(&two), [vec![2, 3, 4], vec![0, 1]]);
    }

    #[test]
    fn components_are_those_that_reach_each_other_in_random_graphs() {
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..300 {
            let count = 2 + random(8);
            let pairs: Vec<(usize, usize)> =
                (0..random(2 * count)).map(|_| (random(count), random(count))).collect();
            let edges = edges(count, &pairs);
            let found = circles(&edges);
            for one in 0..count {
                let circle = found.iter().find(|circle| circle.contains(&one));
                for other in (0..count).filter(|other| *other != one) {
                    let both = reaches(&edges, one, other) && reaches(&edges, other, one);
                    assert_eq!(circle.is_some_and(|circle| circle.contains(&other)), both, "{pairs:?}");
                }
            }
        }
    }

    fn reaches(edges: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(node) = open.pop() {
            open.extend(edges[node].iter().filter(|next| seen.insert(**next)));
        }
        seen.contains(&to)
    }
}
