//! Rounds of the same work, timed by the clock and by the CPU time of this thread: other programs on the machine cost the
//! one and not the other.

use std::time::Instant;

const ROUNDS: usize = 5;

/// Seconds of every round.
pub struct Round {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Round {
    /// Pieces of work a second, by the clock.
    pub fn median(&self, work: usize) -> f64 {
        work as f64 / middle(&self.wall)
    }

    /// Pieces of work a second of CPU time.
    pub fn median_cpu(&self, work: usize) -> f64 {
        work as f64 / middle(&self.cpu)
    }
}

/// Does the work once to warm up, then five times.
pub fn rounds(mut work: impl FnMut()) -> Round {
    work();
    let mut round = Round { wall: Vec::new(), cpu: Vec::new() };
    for _ in 0..ROUNDS {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        work();
        round.wall.push(wall.elapsed().as_secs_f64());
        round.cpu.push(cpu_seconds() - cpu);
    }
    round
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
