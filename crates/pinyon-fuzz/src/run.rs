//! Runs a target: case after case, each from its own number, each held to bounds of time and memory.

use crate::counting::peak_bytes;
use pinyon_types::SeededRng;
use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

/// A case that takes longer hangs. It must be far above what a busy machine needs for any.
const CASE_SECONDS_MAX: u64 = 60;
/// Longest input that a failure repeats.
const SHOWN_BYTES_MAX: usize = 2_000;

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was read.
    Read,
    /// It was refused by an error.
    Refused,
}

impl Seen {
    /// From what a reader returned.
    pub fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Read } else { Self::Refused }
    }
}

/// Something that reads bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs in a run without a time.
    pub cases: u64,
    /// Bytes of memory that reading may take for each byte of input.
    pub bytes_per_byte: usize,
    /// And beside them.
    pub bytes_besides: usize,
}

/// What a run saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Inputs that were tried.
    pub cases: u64,
    /// Those that were read.
    pub read: u64,
}

impl Target {
    /// Makes inputs and has each read. `read` panics where something is wrong beyond what is checked here: that it panics
    /// nowhere, ends, and takes no more memory than it may.
    ///
    /// # Panics
    /// One of them is wrong; or none was read, or none refused, so that the run would have shown nothing.
    pub fn run(self, make: impl Fn(&mut SeededRng) -> Vec<u8>, read: impl Fn(&[u8]) -> Seen) -> Report {
        let plan = Plan::of_environment(self.cases);
        let watch = Watch::begin(self.name, plan.seed);
        let mut report = Report { cases: 0, read: 0 };
        let mut largest = 0.0_f64;
        let started = Instant::now();
        while plan.goes_on(report.cases, started.elapsed()) {
            let case = plan.case.unwrap_or(report.cases);
            watch.case.store(case, Ordering::Relaxed);
            let input = make(&mut rng_of(plan.seed, case));
            let (seen, peak) = self.try_one((plan.seed, case), &input, &read);
            largest = largest.max(peak.saturating_sub(self.bytes_besides) as f64 / input.len().max(1) as f64);
            report.cases += 1;
            report.read += u64::from(seen == Seen::Read);
        }
        let Report { cases, read } = report;
        println!(
            "fuzz {}: PINYON_TEST_SEED={}, {cases} cases in {:.1} s, {read} of them read, at most {largest:.1} bytes a byte",
            self.name,
            plan.seed,
            started.elapsed().as_secs_f64()
        );
        let shows = plan.case.is_some() || (read > 0 && read < cases);
        assert!(shows, "fuzz {}: {read} of {cases} inputs were read: that shows nothing", self.name);
        report
    }

    fn try_one(self, (seed, case): (u64, u64), input: &[u8], read: &impl Fn(&[u8]) -> Seen) -> (Seen, usize) {
        let mut seen = Seen::Refused;
        let mut failed = None;
        let peak = peak_bytes(|| match catch_unwind(AssertUnwindSafe(|| read(input))) {
            Ok(read) => seen = read,
            Err(panic) => failed = Some(panic),
        });
        let where_it_is = || {
            let again = format!("PINYON_TEST_SEED={seed} PINYON_TEST_FUZZ_CASE={case}");
            format!("fuzz {}: {again} runs it again; {} bytes: {}", self.name, input.len(), shown(input))
        };
        if let Some(panic) = failed {
            println!("{}", where_it_is());
            resume_unwind(panic);
        }
        let allowed = self.bytes_besides + self.bytes_per_byte * input.len();
        assert!(peak <= allowed, "{peak} bytes of memory, {allowed} allowed: {}", where_it_is());
        (seen, peak)
    }
}

/// The generator of a case.
fn rng_of(seed: u64, case: u64) -> SeededRng {
    SeededRng::new(SeededRng::new(seed).next_u64() ^ case)
}

/// As a Rust byte string.
fn shown(input: &[u8]) -> String {
    let mut text = String::from("b\"");
    for byte in input.iter().take(SHOWN_BYTES_MAX) {
        let _ = write!(text, "{}", std::ascii::escape_default(*byte));
    }
    text + if input.len() > SHOWN_BYTES_MAX { "\"…" } else { "\"" }
}

/// What is to be run.
struct Plan {
    seed: u64,
    /// One case alone.
    case: Option<u64>,
    cases: u64,
    /// A time instead of a count.
    time: Option<Duration>,
}

impl Plan {
    fn of_environment(cases: u64) -> Self {
        let number = |name: &str| {
            std::env::var(name)
                .ok()
                .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        let today = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
        Self {
            seed: number("PINYON_TEST_SEED").unwrap_or_else(today),
            case: number("PINYON_TEST_FUZZ_CASE"),
            cases,
            time: number("PINYON_TEST_FUZZ_SECONDS").map(Duration::from_secs),
        }
    }

    fn goes_on(&self, done: u64, elapsed: Duration) -> bool {
        match (self.case, self.time) {
            (Some(_), _) => done == 0,
            (None, Some(time)) => elapsed < time,
            (None, None) => done < self.cases,
        }
    }
}

/// Ends the process when a case does not end.
struct Watch {
    case: Arc<AtomicU64>,
    /// Dropped when the run ends.
    _running: Sender<()>,
}

impl Watch {
    fn begin(name: &'static str, seed: u64) -> Self {
        let case = Arc::new(AtomicU64::new(0));
        let (running, ended) = mpsc::channel::<()>();
        let seen = Arc::clone(&case);
        let watch = move || {
            let mut last = u64::MAX;
            while ended.recv_timeout(Duration::from_secs(CASE_SECONDS_MAX)) == Err(RecvTimeoutError::Timeout)
            {
                let now = seen.load(Ordering::Relaxed);
                if now == last {
                    eprintln!(
                        "fuzz {name}: PINYON_TEST_SEED={seed} PINYON_TEST_FUZZ_CASE={now} does not end"
                    );
                    std::process::abort();
                }
                last = now;
            }
        };
        std::thread::Builder::new().name("fuzz-watch".into()).spawn(watch).expect("a thread");
        Self { case, _running: running }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target { name: "itself", cases: 300, bytes_per_byte: 10, bytes_besides: 1_000 };

    fn ends_well(read: impl Fn(&[u8]) -> Seen) -> bool {
        let make = |rng: &mut SeededRng| vec![rng.next_u64().to_le_bytes()[0]; 10];
        catch_unwind(AssertUnwindSafe(|| TARGET.run(make, read))).is_ok()
    }

    fn half(input: &[u8]) -> Seen {
        if input[0] < 128 { Seen::Read } else { Seen::Refused }
    }

    #[test]
    fn panics_memory_and_runs_that_show_nothing_are_failures() {
        assert!(ends_well(half));
        assert!(!ends_well(|input| {
            assert_ne!(input[0], 77);
            half(input)
        }));
        assert!(!ends_well(|input| {
            std::hint::black_box(vec![0_u8; 1_200]);
            half(input)
        }));
        assert!(!ends_well(|_| Seen::Read) && !ends_well(|_| Seen::Refused));
    }

    #[test]
    fn a_case_is_the_same_whenever_it_runs() {
        let first: Vec<u64> = (0..100).map(|case| rng_of(9, case).next_u64()).collect();
        assert_eq!(first, (0..100).map(|case| rng_of(9, case).next_u64()).collect::<Vec<_>>());
        assert!(first.iter().collect::<std::collections::BTreeSet<_>>().len() == 100);
        assert_eq!(shown(b"a\"\xff"), r#"b"a\"\xff""#);
    }
}
