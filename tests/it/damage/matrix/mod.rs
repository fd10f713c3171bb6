//! Every kind of file and directory × every damage × closed, killed, running, in this process. Cells are taken in turn, so that each day
//! has others; one case alone runs again by the seed and the number that its failure prints:
//! `PINYON_TEST_SEED=7 PINYON_TEST_DAMAGE_CASE=3501 cargo test -p pinyon-tests matrix -- --nocapture`.

mod act;
mod blame;
mod cells;
mod check;
mod made;
mod panics;

use super::files::{Manifests, copy, files, gone, manifests, number, seed_of_day};
use crate::server::scratch;
use act::Act;
use blame::Blame;
use cells::{Cell, State, cells};
use check::{Seen, check, write_late};
use made::{Made, open};
use pinyon_core::{CatalogKind, Indexes, SystemClock};
use pinyon_types::{Clock, SeededRng};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Cases of a run, if nobody says otherwise.
const CASES: u64 = 500;
/// Cases at once: most of those that run wait.
const AT_ONCE: usize = 32;
/// Looks of every engine for files that were changed: the first may have begun before one was.
const LOOKS: u64 = 2;
/// Longer than they take on any machine.
const LOOKS_TIME_MAX: Duration = Duration::from_secs(120);

/// What came of a case.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    cases: usize,
    /// Nothing was different: there is no other file of the kind, or it has the same bytes.
    without_damage: usize,
    right: usize,
    refused: usize,
    refused_starts: usize,
}

/// One case on its own copy of the data.
struct Case<'a> {
    made: &'a Made,
    cell: &'a Cell,
    dir: PathBuf,
    rng: SeededRng,
    damaged: Vec<PathBuf>,
    tally: Tally,
}

impl<'a> Case<'a> {
    fn new(made: &'a [Made], cell: &'a Cell, rng: SeededRng) -> Self {
        let made = &made[cell.made];
        let dir = scratch("matrix-case");
        copy(if cell.state == State::Closed { &made.closed } else { &made.killed }, &dir);
        Self { made, cell, dir, rng, damaged: Vec::new(), tally: Tally { cases: 1, ..Tally::default() } }
    }

    fn damage(&mut self) -> bool {
        let Self { made, cell, dir, rng, .. } = self;
        self.damaged = Act { made, cell, dir, rng }.carry_out();
        self.tally.without_damage = usize::from(self.damaged.is_empty());
        !self.damaged.is_empty()
    }

    fn run(&mut self) -> Result<(), String> {
        let mut namespaces = self.made.namespaces.clone();
        if self.cell.state == State::Running {
            let indexes = open(&self.dir, self.made.catalog)
                .map_err(|error| format!("not damaged, refused: {error}"))?;
            // A merge that was stored just now removes what it merged when the manifest that says so may be damaged.
            let earlier = manifests(&self.dir);
            if !self.damage() {
                return Ok(());
            }
            let before = files(&self.dir);
            await_looks(&indexes);
            self.visit(&indexes, &mut namespaces)?;
            drop(indexes);
            not_gone(&before, &earlier)?;
        } else if self.damage() {
            let before = files(&self.dir);
            let opened = self.open()?;
            not_gone(&before, &Manifests::new())?;
            let Some(indexes) = opened else { return self.put_back() };
            self.visit(&indexes, &mut namespaces)?;
        } else {
            return Ok(());
        }
        let before = files(&self.dir);
        let opened = self.open()?;
        not_gone(&before, &Manifests::new())?;
        if let Some(indexes) = opened {
            let again = check(&indexes, &namespaces, &self.blame());
            self.count(again.map_err(|problem| format!("opened again: {problem}"))?);
        }
        Ok(())
    }

    fn blame(&self) -> Blame {
        Blame::of(self.cell, &self.damaged)
    }

    /// Opens the data; nothing if they are refused as they may be.
    fn open(&mut self) -> Result<Option<Indexes>, String> {
        match open(&self.dir, self.made.catalog) {
            Ok(indexes) => Ok(Some(indexes)),
            Err(error) if self.blame().explains(&error) => {
                self.tally.refused_starts += 1;
                Ok(None)
            }
            Err(error) => Err(format!("the start is refused: {:?} {error}", error.code)),
        }
    }

    fn visit(&mut self, indexes: &Indexes, namespaces: &mut Vec<made::Namespace>) -> Result<(), String> {
        let blame = self.blame();
        self.count(check(indexes, namespaces, &blame)?);
        write_late(indexes, namespaces, &blame)
    }

    fn count(&mut self, Seen { right, refused }: Seen) {
        self.tally.right += right;
        self.tally.refused += refused;
    }

    /// A start that was refused has changed nothing that matters: with what was damaged in its place again all is served.
    fn put_back(&mut self) -> Result<(), String> {
        let from = if self.cell.state == State::Closed { &self.made.closed } else { &self.made.killed };
        for path in &self.damaged {
            let (from, to) = (from.join(path), self.dir.join(path));
            remove(&to);
            match from.is_dir() {
                true => copy(&from, &to),
                false if from.exists() => drop(fs::copy(from, to).unwrap()),
                false => {}
            }
        }
        let indexes =
            open(&self.dir, self.made.catalog).map_err(|error| format!("put back, and refused: {error}"))?;
        let seen = check(&indexes, &self.made.namespaces, &Blame::default());
        self.count(seen.map_err(|problem| format!("put back: {problem}"))?);
        Ok(())
    }
}

/// Waits until what was done to files has been noticed.
fn await_looks(indexes: &Indexes) {
    let (looks, clock) = (|| indexes.scrubbed().looks, SystemClock::new());
    let (enough, until_us) = (looks() + LOOKS, clock.now_us() + LOOKS_TIME_MAX.as_micros() as u64);
    while looks() < enough {
        assert!(clock.now_us() < until_us, "nobody looks at files any more");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn not_gone(before: &[PathBuf], earlier: &Manifests) -> Result<(), String> {
    let gone = gone(before, earlier);
    if gone.is_empty() { Ok(()) } else { Err(format!("deleted: {gone:?}")) }
}

/// Cases that are taken one after the other by many threads.
struct Run<'a> {
    made: &'a [Made],
    cells: &'a [Cell],
    seed: u64,
    next: AtomicU64,
    end: u64,
    found: Mutex<(Tally, Vec<String>)>,
}

impl Run<'_> {
    fn work(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end {
                return;
            }
            self.run(number);
        }
    }

    fn run(&self, number: u64) {
        let cell = &self.cells[usize::try_from(number).unwrap() % self.cells.len()];
        let rng = SeededRng::new(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(number));
        let mut case = Case::new(self.made, cell, rng);
        let ended = catch_unwind(AssertUnwindSafe(|| case.run()))
            .unwrap_or_else(|_| Err("a panic, see above".to_owned()));
        let mut found = self.found.lock().unwrap();
        if let Err(problem) = ended {
            let damaged: Vec<_> = case.damaged.iter().map(|path| path.display().to_string()).collect();
            let failure =
                format!("seed {}, case {number}, {cell}: {}: {problem}", self.seed, damaged.join(" and "));
            println!("{failure}");
            found.1.push(failure);
        }
        found.0.add(case.tally);
        drop(found);
        for path in [case.dir.clone(), case.dir.with_extension("away"), case.dir.with_extension("new")] {
            remove(&path);
        }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.without_damage += other.without_damage;
        self.right += other.right;
        self.refused += other.refused;
        self.refused_starts += other.refused_starts;
    }
}

#[test]
fn damage_of_every_kind_to_every_kind_of_file_stays_where_it_is() {
    panics::note();
    let clock = SystemClock::new();
    let began_us = clock.now_us();
    let made = [CatalogKind::Sled, CatalogKind::Redb].map(Made::new);
    let cells = cells(&made);
    let (seed, cases) = (seed_of_day(), number("PINYON_TEST_DAMAGE", CASES));
    let first = number("PINYON_TEST_DAMAGE_CASE", seed.wrapping_mul(cases));
    let is_alone = std::env::var_os("PINYON_TEST_DAMAGE_CASE").is_some();
    let end = first + if is_alone { 1 } else { cases };
    let run = Run { made: &made, cells: &cells, seed, next: first.into(), end, found: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| run.work());
        }
    });
    let (tally, mut failures) = run.found.into_inner().unwrap();
    made.into_iter().for_each(Made::remove);
    let seconds = (clock.now_us() - began_us) / 1_000_000;
    println!("{tally:?} of {} cells, from case {first} on, seed {seed}, in {seconds} s", cells.len());
    assert!(is_alone || tally.right > 0, "nothing was read");
    failures.extend(panics::seen().into_iter().map(|panic| format!("a panic of {panic}")));
    assert!(failures.is_empty(), "{} in {} cases:\n{}", failures.len(), tally.cases, failures.join("\n"));
}
