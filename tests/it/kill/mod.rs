//! The real binary killed at random moments under mixed load. Clients remember what was acknowledged; after each kill,
//! the binary is started again on the same data and every answer is held against that: counts, records whole, searches.
//! A write that was not answered must be there as a whole or not at all. Memtables are so small that the server seals
//! and merges all the time, so kills meet that too; now and then it is killed while it opens.
//!
//! All the while tenants move from shard to shard, and kills meet them too.
//!
//! The same with the power cut under the process, on ext4 and XFS, where a kill loses nothing that the kernel holds.
//!
//! `PINYON_TEST_KILL_CYCLES=500 cargo test -p pinyon-tests --release kill -- --nocapture` runs more cycles, and
//! `PINYON_TEST_POWER_CUTS=500` more cuts on each file system; `PINYON_TEST_SEED` other ones;
//! `PINYON_TEST_KILL_DATA=FILE.jsonl` takes documents from a file.

mod check;
mod corpus;
mod load;
mod moving;
mod oracle;
mod power;

use crate::server::{Connection, Server, Starting, scratch};
use corpus::Corpus;
use oracle::{Client, Counts};
use pinyon_types::SeededRng;
use power::Disk;
use serde_json::json;
use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

const CLIENTS: usize = 4;
/// Every so many lives one is long enough for merges of merged segments, and after one everything is compared.
const LONG_LIFE_EVERY: u64 = 10;
const ALL_CHECKED_EVERY: u64 = 25;
const KILLED_OPENING_EVERY: u64 = 4;
const PROGRESS: Duration = Duration::from_secs(10);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let corpus = Corpus::load();
    let dir = scratch("kill");
    run_through(Run::new(&corpus, number("PINYON_TEST_KILL_CYCLES", 60), (dir, None)));
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    let corpus = Corpus::load();
    for kind in ["ext4", "xfs"] {
        let dir = scratch(&format!("power-{kind}"));
        let Some(disk) = Disk::new(kind, &dir) else { continue };
        run_through(Run::new(&corpus, number("PINYON_TEST_POWER_CUTS", 20), (dir, Some(disk))));
    }
}

fn run_through(mut run: Run<'_>) {
    let mut server = run.start();
    for cycle in 0..run.cycles {
        run.live_and_die(server, cycle);
        server = run.start();
        let is_last = cycle + 1 == run.cycles;
        run.check(server.connection(), cycle, is_last || cycle.is_multiple_of(ALL_CHECKED_EVERY));
        if is_last {
            moving::end(server.connection());
            run.check(server.connection(), cycle, true);
        }
        run.report_progress(cycle);
    }
    drop(server);
    run.conclude();
}

/// A run: the clients with all that they know, and what was seen.
struct Run<'a> {
    corpus: &'a Corpus,
    cycles: u64,
    /// Where the power is cut, if it is.
    disk: Option<Disk>,
    cuts: u64,
    data_dir: PathBuf,
    /// What the server says, of all lives.
    log: PathBuf,
    clients: Vec<Client<'a>>,
    rng: SeededRng,
    seen: Seen,
    began: Instant,
    reported: Instant,
}

#[derive(Default)]
struct Seen {
    in_flight: u64,
    /// Moves that were begun.
    moves: u64,
    killed_opening: u64,
    /// Kills that left a segment or a manifest half written.
    killed_sealing: u64,
    slowest_start: Duration,
    last_start: Duration,
}

impl<'a> Run<'a> {
    fn new(corpus: &'a Corpus, cycles: u64, (dir, disk): (PathBuf, Option<Disk>)) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        // The binary is built before the first start is measured.
        crate::server::binary();
        Self {
            corpus,
            cycles,
            data_dir: disk.as_ref().map_or(&dir, |disk| &disk.mount).join("data"),
            disk,
            cuts: 0,
            log: dir.join("server.log"),
            clients: (0..CLIENTS).map(|number| Client::new(corpus, number, CLIENTS)).collect(),
            rng: SeededRng::new(number("PINYON_TEST_SEED", cycles)),
            seen: Seen::default(),
            began: Instant::now(),
            reported: Instant::now(),
        }
    }

    fn spawn(&self) -> Starting {
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let dimension = self.corpus.dimension.to_string();
        let seal_kib = self.corpus.seal_kib.to_string();
        let environment =
            [("PINYON_LOG", "pinyon_shard=info,pinyon_core=info"), ("PINYON_SEAL_KIB", &seal_kib)];
        Starting::new(&self.data_dir, &["--vector-dimension", &dimension], &environment, log.into())
    }

    fn start(&mut self) -> Server {
        let began = Instant::now();
        let server = self.spawn().wait();
        self.seen.last_start = began.elapsed();
        self.seen.slowest_start = self.seen.slowest_start.max(self.seen.last_start);
        server
    }

    /// Lets the clients work until the server is killed under them; then perhaps kills one that has just begun to open.
    fn live_and_die(&mut self, mut server: Server, cycle: u64) {
        let is_long = cycle % LONG_LIFE_EVERY == LONG_LIFE_EVERY - 1;
        let life = Duration::from_millis(if is_long { 1000 } else { 20 + self.rng.below(300) });
        let connection = server.connection().clone();
        let is_ending = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for client in &mut self.clients {
                let (connection, is_ending) = (&connection, &is_ending);
                scope.spawn(move || {
                    load::work_until_dead(client, connection);
                    assert!(
                        is_ending.load(Ordering::SeqCst),
                        "the server did not answer before it was killed"
                    );
                });
            }
            let names: Vec<&str> = self.corpus.tenants.iter().map(|one| &*one.name).collect();
            let (connection, seed) = (&connection, self.rng.below(u64::MAX));
            let moving = scope.spawn(move || moving::move_until_dead(&names, connection, seed));
            std::thread::sleep(life);
            is_ending.store(true, Ordering::SeqCst);
            end(&mut server, self.disk.as_ref(), self.cuts);
            self.seen.moves += moving.join().unwrap();
        });
        self.cuts += 1;
        self.seen.in_flight += self.clients.iter().filter(|client| client.in_flight.is_some()).count() as u64;
        self.seen.killed_sealing += u64::from(self.has_unfinished_files());
        if cycle % KILLED_OPENING_EVERY == KILLED_OPENING_EVERY - 1 {
            self.open_and_die();
        }
    }

    fn open_and_die(&mut self) {
        let opening = self.spawn();
        let wait = self.rng.below(self.seen.last_start.as_micros() as u64);
        std::thread::sleep(Duration::from_micros(wait));
        let has_said_nothing = match &self.disk {
            None => opening.kill(),
            Some(disk) => {
                let mut has_said_nothing = false;
                opening.stop();
                disk.cut(self.cuts, || has_said_nothing = opening.kill());
                self.cuts += 1;
                has_said_nothing
            }
        };
        self.seen.killed_opening += u64::from(has_said_nothing);
    }

    fn has_unfinished_files(&self) -> bool {
        let shards = std::fs::read_dir(self.data_dir.join("shards")).unwrap();
        let names = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
        names.into_iter().any(|file| file.unwrap().path().extension().is_some_and(|kind| kind == "tmp"))
    }

    fn check(&mut self, server: &Connection, cycle: u64, checks_all: bool) {
        let diagnosis = server.get("/admin/v1/doctor", &[]).expect("an answer");
        assert_eq!((diagnosis.0, &diagnosis.1["findings"]), (200, &json!([])), "cycle {cycle}");
        let counts = server.ask(&format!("{}/describe_index_stats", load::VECTORS), &json!({}));
        let counts = counts.expect("an answer");
        std::thread::scope(|scope| {
            let check = |client| scope.spawn(|| check::after_kill(client, server, &counts, checks_all));
            let checks: Vec<_> = self.clients.iter_mut().map(check).collect();
            let failed = checks.into_iter().filter_map(|check| check.join().err()).count();
            assert!(
                failed == 0,
                "cycle {cycle}: {failed} clients found what must not be; see {}",
                self.log.display()
            );
        });
    }

    fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.clients.iter().for_each(|client| all += client.counts);
        all
    }

    fn living(&self) -> u64 {
        self.clients.iter().flat_map(|client| &client.tenants).map(|tenant| tenant.living).sum()
    }

    fn report_progress(&mut self, cycle: u64) {
        if self.reported.elapsed() >= PROGRESS {
            self.reported = Instant::now();
            let (elapsed, counts, living) = (self.began.elapsed().as_secs(), self.counts(), self.living());
            let (done, cycles) = (cycle + 1, self.cycles);
            println!(
                "{elapsed} s: {done} of {cycles} kills, {} writes acknowledged, {living} documents there, 0 lost",
                counts.writes
            );
        }
    }

    /// How often the server said something.
    fn said(&self, what: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap().matches(what).count()
    }

    fn conclude(self) {
        let (seals, merges) = (self.said("memtable sealed"), self.said("segments merged"));
        let switches = self.said("tenant switched to another shard");
        let (counts, seen, cycles) = (self.counts(), &self.seen, self.cycles);
        let how = self.disk.as_ref().map_or("kills".into(), |disk| format!("power cuts on {}", disk.kind));
        println!(
            "{cycles} {how} in {:.0?}: {} writes of {} documents acknowledged, {} reads, {} in flight at kills, 0 lost; {} of \
             {} documents there at the end, {} compared whole; {seals} seals and {merges} merges in the killed lives, {} kills \
             in the midst of one, {} while opening; {switches} of {} moves switched; slowest start {:.0?}",
            self.began.elapsed(),
            counts.writes,
            counts.documents,
            counts.reads,
            seen.in_flight,
            self.living(),
            self.corpus.documents(),
            counts.checked,
            seen.killed_sealing,
            seen.killed_opening,
            seen.moves,
            seen.slowest_start,
        );
        // Kills that never met a write, a seal or a merge would prove nothing.
        assert!(seen.in_flight >= cycles / 2, "only {} writes were in flight", seen.in_flight);
        assert!(seals as u64 >= cycles && merges as u64 >= cycles / 4, "{seals} seals, {merges} merges");
        assert!(
            switches as u64 >= cycles && seen.moves > cycles,
            "{switches} of {} moves switched",
            seen.moves
        );
        assert!(cycles < 20 || seen.killed_opening > 0, "no kill met a start");
        let dir = self.log.parent().unwrap().to_owned();
        drop(self.disk);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// Kills the server, or cuts the power under it.
fn end(server: &mut Server, disk: Option<&Disk>, cuts: u64) {
    match disk {
        None => server.kill(),
        Some(disk) => {
            // Stopped first: a process that goes on would be told that what fails now was written.
            server.stop();
            disk.cut(cuts, || server.kill());
        }
    }
}
