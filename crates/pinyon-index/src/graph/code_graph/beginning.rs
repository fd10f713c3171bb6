//! What a graph of a merged block begins with instead of nothing: the links of a graph that many of its rows were in.

use super::{CodeGraph, links::Links};
use crate::graph::{GraphError, GraphOptions};

/// One over the share of its links that a row may lose before it is put in again, which costs as much as a new row. Where a tenth
/// of 25,000 real embeddings died and as many came, three times over, recall at efforts of 64 and 96 stood to a graph from nothing,
/// in points, and the cost to that of one: a quarter -0.5, -0.3, 0.13; a fifth -0.2, -0.1, 0.20; a sixth 0.0, 0.0, 0.31.
const LOST_PART_MIN: usize = 5;

/// The links of a graph under the numbers that its rows have now.
#[derive(Debug)]
pub struct Beginning {
    pub(super) links: Links,
    /// Which rows have kept most of their links, or the row that stands for them. The others are put in as new ones are, and keep what
    /// they have.
    pub(super) is_sound: Vec<bool>,
    /// Which rows others may be linked to.
    pub(super) is_known: Vec<bool>,
}

impl Beginning {
    /// No links of no row.
    pub(super) fn nothing(rows: usize, options: GraphOptions) -> Self {
        Self {
            links: Links::new(rows, options.places()),
            is_sound: vec![false; rows],
            is_known: vec![false; rows],
        }
    }

    pub(super) fn checked(self, rows: usize, options: GraphOptions) -> Result<Self, GraphError> {
        if self.rows() == rows && self.links.stride() == options.places() {
            return Ok(self);
        }
        Err(GraphError::Parts { problem: "the beginning is one of other rows or options" })
    }

    /// The number of rows of the block.
    pub const fn rows(&self) -> usize {
        self.is_sound.len()
    }

    /// The rows that need not be put in.
    pub fn sound_rows(&self) -> usize {
        self.is_sound.iter().filter(|is_sound| **is_sound).count()
    }

    pub(super) fn of(old: &CodeGraph, rows: usize, number: &dyn Fn(u32) -> Option<u32>) -> Self {
        let links = Links::new(rows, old.links.stride());
        let (mut is_sound, mut is_known) = (vec![false; rows], vec![false; rows]);
        for row in 0..old.codes.len() as u32 {
            let Some(now) = number(row) else { continue };
            if let Some(owner) = old.links.owner(row) {
                // Without it the row is a new one.
                if let Some(owner) = number(owner) {
                    links.absorb(now, owner);
                    is_sound[now as usize] = true;
                }
                continue;
            }
            is_known[now as usize] = true;
            let kept: Vec<u32> = old.links.of(row).filter_map(number).collect();
            let lost = old.links.of(row).count() - kept.len();
            is_sound[now as usize] = lost * LOST_PART_MIN <= lost + kept.len() && !kept.is_empty();
            links.set(now, kept.into_iter());
        }
        Self { links, is_sound, is_known }
    }
}
