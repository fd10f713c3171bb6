//! Rounds of the same work, timed by the clock and by the CPU time of this thread: other programs on the machine cost the
//! one and not the other.

#![allow(dead_code)] // every bench uses some of it

use std::time::Instant;

/// Rounds, unless `PINYON_BENCH_PASSES` says how many.
const ROUNDS: usize = 5;

/// Seconds of every round.
#[derive(Default)]
pub struct Round {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Round {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        let result = work();
        self.wall.push(wall.elapsed().as_secs_f64());
        self.cpu.push(cpu_seconds() - cpu);
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

/// Does the work once to warm up, then as often as it is measured.
pub fn rounds(mut work: impl FnMut()) -> Round {
    let passes = std::env::var("PINYON_BENCH_PASSES").ok().and_then(|passes| passes.parse().ok());
    work();
    let mut round = Round::default();
    for _ in 0..passes.unwrap_or(ROUNDS).max(1) {
        round.time(&mut work);
    }
    round
}

/// Does the work once and times it.
pub fn once<T>(work: impl FnOnce() -> T) -> (Round, T) {
    let mut round = Round::default();
    let result = round.time(work);
    (round, result)
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
