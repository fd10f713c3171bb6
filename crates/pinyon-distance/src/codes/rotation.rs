//! A random rotation that costs little: signs are flipped and a Hadamard transform mixes components, four times. Lengths
//! that are no power of two are covered by two overlapping transforms, of the first components and of the last.

use pinyon_types::SeededRng;

const ROUNDS: usize = 4;

/// An orthogonal map of vectors of one length: inner products and distances stay what they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    dim: usize,
    /// The transform's length: the greatest power of two that is not more than `dim`.
    block: usize,
    /// Signs of every round, scaled so that a transform does not change lengths.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation of a seed.
    pub fn new(dim: usize, seed: u64) -> Self {
        let block = if dim == 0 { 0 } else { 1 << dim.ilog2() };
        let mut rng = SeededRng::new(seed);
        let scale = 1.0 / (block.max(1) as f32).sqrt();
        let signs = (0..ROUNDS * block).map(|_| if rng.below(2) == 0 { scale } else { -scale }).collect();
        Self { dim, block, signs }
    }

    /// Components of a vector.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// Rotates a vector in place. Cost: about `4 d log2 d` additions.
    ///
    /// # Panics
    /// The vector has another length.
    pub fn apply(&self, vector: &mut [f32]) {
        assert_eq!(vector.len(), self.dim, "a rotation is for vectors of one length");
        if self.block == 0 {
            return;
        }
        for (round, signs) in self.signs.chunks_exact(self.block).enumerate() {
            let from = if round % 2 == 0 { 0 } else { self.dim - self.block };
            let part = &mut vector[from..from + self.block];
            for (component, sign) in part.iter_mut().zip(signs) {
                *component *= sign;
            }
            hadamard(part);
        }
    }
}

/// Sums and differences of pairs ever farther apart; the length is a power of two.
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (first, second) = pair.split_at_mut(half);
            for (a, b) in first.iter_mut().zip(second) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}
