//! Kernels for codes. They compute in whole numbers, or in the same order: all sets give the same bits.

mod ahead;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod plain;
#[cfg(target_arch = "x86_64")]
mod sse;

use crate::codes::{Estimate, GROUP, GroupTerms, LINE_BYTES, LINE_WORDS, PLANES, TERM_WORDS};
use std::sync::OnceLock;

/// Rows of signs, of which each is a line or few, that are fetched while as many are computed.
const SIGNS_AHEAD: usize = 32;

/// A set of kernels for codes that the CPU was seen to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeKernels(Level);

/// Private, so that only the checks below can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With VNNI and VPOPCNTDQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "aarch64")]
    Dotprod,
}

impl CodeKernels {
    /// The fastest set that this CPU has.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<CodeKernels> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available().pop().unwrap_or(Self(Level::Plain)))
    }

    /// Every set that this CPU has, slowest first.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self(Level::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") {
                sets.push(Self(Level::Avx2));
            }
            if has!("avx512f")
                && has!("avx512bw")
                && has!("avx512vl")
                && has!("avx512vnni")
                && has!("avx512vpopcntdq")
            {
                sets.push(Self(Level::Avx512));
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            use std::arch::is_aarch64_feature_detected as has;
            if has!("neon") {
                sets.push(Self(Level::Neon));
            }
            if has!("neon") && has!("dotprod") {
                sets.push(Self(Level::Dotprod));
            }
        }
        sets
    }

    /// The set's name: `plain`, `avx2`, `avx512`, `neon` or `dotprod`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Level::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod => "dotprod",
        }
    }

    /// Sums of products of a query's signed bytes with each row's unsigned ones. Rows are whole lines.
    pub(crate) fn int8_dots(self, query: &[i8], rows: &[u8], out: &mut [i32]) {
        assert_eq!(rows.len(), query.len() * out.len(), "a block holds whole rows");
        assert!(query.len().is_multiple_of(LINE_BYTES), "rows are whole lines");
        match self.0 {
            Level::Plain => plain::int8_dots(query, rows, out),
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX2; lengths were checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::int8_dots(query, rows, out) },
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX-512 with VNNI; lengths were checked.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::int8_dots(query, rows, out) },
            // SAFETY: a value of this level exists only where the CPU was seen to have NEON; lengths were checked.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::int8_dots::<false>(query, rows, out) },
            // SAFETY: a value of this level exists only where the CPU was seen to have dotprod, too; lengths were checked.
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod => unsafe { neon::int8_dots::<true>(query, rows, out) },
        }
    }

    /// The same of some of the rows of `codes`, in any order; they are fetched ahead.
    pub(crate) fn int8_dots_at(self, query: &[i8], codes: &[u8], at: &[u32], out: &mut [i32]) {
        assert_eq!(at.len(), out.len(), "a product for each row");
        assert!(query.len().is_multiple_of(LINE_BYTES), "rows are whole lines");
        let rows = codes.len() / query.len().max(1);
        assert!(at.iter().all(|row| (*row as usize) < rows), "rows that there are");
        match self.0 {
            Level::Plain => plain::int8_dots_at(query, codes, at, out),
            // SAFETY: as in `int8_dots`; every row was seen to lie in the codes.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::int8_dots_at(query, codes, at, out) },
            // SAFETY: as in `int8_dots`; every row was seen to lie in the codes.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::int8_dots_at(query, codes, at, out) },
            // SAFETY: as in `int8_dots`; every row was seen to lie in the codes.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { neon::int8_dots_at::<false>(query, codes, at, out) },
            // SAFETY: as in `int8_dots`; every row was seen to lie in the codes.
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod => unsafe { neon::int8_dots_at::<true>(query, codes, at, out) },
        }
    }

    /// Distances that the signs of groups of rows tell of, one for each of `out`.
    pub(crate) fn sign_distances(
        self,
        planes: &[u64],
        bits: &[u64],
        terms: &[GroupTerms],
        estimate: Estimate,
        out: &mut [f32],
    ) {
        let words = planes.len() / PLANES;
        assert_eq!(planes.len(), words * PLANES, "planes have one length");
        assert_eq!(bits.len(), terms.len() * words * GROUP, "groups are whole");
        assert!(out.len() <= terms.len() * GROUP, "a row for each distance");
        for (at, (terms, out)) in terms.iter().zip(out.chunks_mut(GROUP)).enumerate() {
            let bits = &bits[at * words * GROUP..(at + 1) * words * GROUP];
            let eight = match self.0 {
                Level::Plain => plain::sign_distances(planes, bits, terms, estimate),
                // SAFETY: a value of this level exists only where the CPU was seen to have AVX2; lengths were checked.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2::sign_distances(planes, bits, terms, estimate) },
                // SAFETY: a value of this level exists only where the CPU was seen to have AVX-512 with VPOPCNTDQ; lengths
                // were checked.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512::sign_distances(planes, bits, terms, estimate) },
                // SAFETY: a value of this level exists only where the CPU was seen to have NEON; lengths were checked.
                #[cfg(target_arch = "aarch64")]
                Level::Neon | Level::Dotprod => unsafe {
                    neon::sign_distances(planes, bits, terms, estimate)
                },
            };
            out.copy_from_slice(&eight[..out.len()]);
        }
    }

    /// The same of some of the rows that lie apart, each in `stride` of the words, in any order; they are fetched ahead.
    pub(crate) fn sign_distances_at(
        self,
        planes: &[u64],
        (words, stride): (&[u64], usize),
        at: &[u32],
        estimate: Estimate,
        out: &mut [f32],
    ) {
        let read = planes.len() / PLANES;
        assert_eq!(at.len(), out.len(), "a distance for each row");
        assert!(stride > TERM_WORDS && read.is_multiple_of(LINE_WORDS), "planes are whole lines");
        let last = at.iter().fold(0, |last, row| last.max(*row)) as usize;
        assert!(at.is_empty() || last * stride + read.max(stride) <= words.len(), "rows that there are");
        // Rows in their order are fetched without being asked for.
        let ahead = if at.is_sorted_by(|row, next| *next == row + 1) { 0 } else { SIGNS_AHEAD };
        let fetch = |row: &u32| {
            let first = *row as usize * stride;
            (first..first + stride).step_by(LINE_WORDS).for_each(|word| self.prefetch(&words[word]));
        };
        at.iter().take(ahead).for_each(fetch);
        for (chunk, out) in out.chunks_mut(SIGNS_AHEAD).enumerate() {
            let (_, rest) = at.split_at(chunk * SIGNS_AHEAD);
            let (at, next) = rest.split_at(out.len());
            next.iter().take(ahead).for_each(fetch);
            // SAFETY: every row was seen to lie in the words, with as many as are read of it.
            unsafe { self.sign_distances_of(planes, (words, stride), at, estimate, out) };
        }
    }

    /// The same without looking whether there are such rows.
    ///
    /// # Safety
    /// From the first word of every row on there are as many as a plane has, which are whole lines, and at least `stride`.
    unsafe fn sign_distances_of(
        self,
        planes: &[u64],
        rows: (&[u64], usize),
        at: &[u32],
        estimate: Estimate,
        out: &mut [f32],
    ) {
        match self.0 {
            Level::Plain => plain::sign_distances_at(planes, rows, at, estimate, out),
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX2; the rest is the caller's promise.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::sign_distances_at(planes, rows, at, estimate, out) },
            // SAFETY: a value of this level exists only where the CPU was seen to have AVX-512 with VPOPCNTDQ; the rest is the
            // caller's promise.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::sign_distances_at(planes, rows, at, estimate, out) },
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::Dotprod => plain::sign_distances_at(planes, rows, at, estimate, out),
        }
    }

    /// Asks for the line that a value lies in.
    #[inline]
    pub(crate) fn prefetch<T>(self, value: &T) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: SSE is part of every x86-64 CPU, and a prefetch does not fault.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
        }
        #[cfg(target_arch = "aarch64")]
        neon::prefetch(std::ptr::from_ref(value).cast());
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = value;
    }
}
