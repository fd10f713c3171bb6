//! Which kernels this CPU can run, and the safe way to call them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod codes;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;

pub use codes::CodeKernels;

use crate::reference;
use std::sync::OnceLock;

/// A set of kernels that the CPU was seen to have. Chosen once per query, not per pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels(Level);

/// Private, so that only the checks below can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernels {
    /// The fastest set that this CPU has.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Kernels> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available().pop().unwrap_or(Self(Level::Plain)))
    }

    /// The plain reference, which every CPU has.
    pub const fn plain() -> Self {
        Self(Level::Plain)
    }

    /// Every set that this CPU has, slowest first.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self(Level::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                sets.push(Self(Level::Avx2));
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                sets.push(Self(Level::Avx512));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(Self(Level::Neon));
        }
        sets
    }

    /// The set's name: `plain`, `avx2`, `avx512` or `neon`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Level::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
        }
    }

    /// Inner product.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of one index have one length");
        match self.0 {
            Level::Plain => reference::dot(a, b),
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX2 and FMA; lengths are equal.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::dot(a, b) },
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX-512F; lengths are equal.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::dot(a, b) },
            // SAFETY: a value of this level exists only where the CPU was seen to have NEON; lengths are equal.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::dot(a, b) },
        }
    }

    /// Squared Euclidean distance.
    ///
    /// # Panics
    /// The lengths differ.
    pub fn l2_squared(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of one index have one length");
        match self.0 {
            Level::Plain => reference::l2_squared(a, b),
            // SAFETY: as in `dot`.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::l2_squared(a, b) },
            // SAFETY: as in `dot`.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::l2_squared(a, b) },
            // SAFETY: as in `dot`.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::l2_squared(a, b) },
        }
    }

    /// Inner products of `query` with consecutive rows: `out[i]` with row `i`.
    ///
    /// # Panics
    /// `rows` does not hold `out.len()` rows of the query's length.
    pub fn dots(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        assert_eq!(rows.len(), query.len() * out.len(), "a block holds whole rows");
        match self.0 {
            Level::Plain => each_row(query, rows, out, reference::dot),
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::dots(query, rows, out) },
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::dots(query, rows, out) },
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::dots(query, rows, out) },
        }
    }

    /// Squared Euclidean distances of `query` to consecutive rows: `out[i]` to row `i`.
    ///
    /// # Panics
    /// `rows` does not hold `out.len()` rows of the query's length.
    pub fn l2_squareds(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        assert_eq!(rows.len(), query.len() * out.len(), "a block holds whole rows");
        match self.0 {
            Level::Plain => each_row(query, rows, out, reference::l2_squared),
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::l2_squareds(query, rows, out) },
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::l2_squareds(query, rows, out) },
            // SAFETY: as in `dot`; the block's length was checked above.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::l2_squareds(query, rows, out) },
        }
    }
}

fn each_row(query: &[f32], rows: &[f32], out: &mut [f32], one: impl Fn(&[f32], &[f32]) -> f32) {
    if query.is_empty() {
        return out.fill(0.0);
    }
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *out = one(query, row);
    }
}
