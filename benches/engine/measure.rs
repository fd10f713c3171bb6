//! Rounds of the same work, timed by the clock and by CPU time, of this thread or of all: other programs on the machine cost
//! the one and not the other. And what single calls took.

#![allow(dead_code)] // every bench uses some of it

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Rounds, unless `PINYON_BENCH_PASSES` says how many.
const ROUNDS: usize = 5;

/// Whose CPU time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpu {
    /// The calling thread's.
    Thread,
    /// Every thread's of this process, background work included.
    Process,
}

impl Cpu {
    /// Seconds so far.
    pub fn seconds(self) -> f64 {
        let clock = match self {
            Self::Thread => ClockId::ThreadCPUTime,
            Self::Process => ClockId::ProcessCPUTime,
        };
        let now = clock_gettime(clock);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    }
}

/// Time since a moment.
pub struct Stopwatch {
    of: Cpu,
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    /// Starts now.
    pub fn start(of: Cpu) -> Self {
        Self { of, wall: Instant::now(), cpu: of.seconds() }
    }

    /// Seconds by the clock.
    pub fn wall(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    /// Seconds of CPU time.
    pub fn cpu(&self) -> f64 {
        self.of.seconds() - self.cpu
    }
}

/// Seconds of every round.
pub struct Round {
    of: Cpu,
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Round {
    const fn new(of: Cpu) -> Self {
        Self { of, wall: Vec::new(), cpu: Vec::new() }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let watch = Stopwatch::start(self.of);
        let result = work();
        self.wall.push(watch.wall());
        self.cpu.push(watch.cpu());
        result
    }

    /// Pieces of work a second, by the clock.
    pub fn median(&self, work: usize) -> f64 {
        work as f64 / middle(&self.wall)
    }

    /// Pieces of work a second of CPU time.
    pub fn median_cpu(&self, work: usize) -> f64 {
        work as f64 / middle(&self.cpu)
    }
}

/// Does the work once to warm up, then as often as it is measured, by this thread's CPU time.
pub fn rounds(work: impl FnMut()) -> Round {
    rounds_of(Cpu::Thread, work)
}

/// Does the work once to warm up, then as often as it is measured.
pub fn rounds_of(cpu: Cpu, mut work: impl FnMut()) -> Round {
    let passes = std::env::var("PINYON_BENCH_PASSES").ok().and_then(|passes| passes.parse().ok());
    work();
    let mut round = Round::new(cpu);
    for _ in 0..passes.unwrap_or(ROUNDS).max(1) {
        round.time(&mut work);
    }
    round
}

/// Does the work once and times it, by this thread's CPU time.
pub fn once<T>(work: impl FnOnce() -> T) -> (Round, T) {
    let mut round = Round::new(Cpu::Thread);
    let result = round.time(work);
    (round, result)
}

fn middle(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that this share of them does not exceed.
///
/// # Panics
/// There are none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// The average; 0 of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
