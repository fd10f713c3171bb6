//! Durable upserts into one tenant, so into one log: rows a second by number of clients and size of a request, and what the
//! same disk does in the same run with nothing but a write of the same bytes and a sync.

use crate::{
    fixture::{Fixture, Scratch},
    measure::{Cpu, Stopwatch, quantile},
};
use pinyon_benches::{Dataset, report};
use rustix::fs::{FallocateFlags, fallocate};
use serde_json::json;
use std::{
    fs::File,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

const SECONDS: f64 = 4.0;
const BARE_SECONDS: f64 = 2.0;
const TENANT: &str = "writes";
/// Rows whose bytes in the log are measured.
const SAMPLE: usize = 1000;

struct Case {
    clients: usize,
    /// Rows in a request.
    batch: usize,
    must: f64,
    aim: f64,
}

const CASES: [Case; 3] = [
    Case { clients: 1, batch: 1, must: 1_000.0, aim: 3_000.0 },
    Case { clients: 16, batch: 1, must: 6_000.0, aim: 15_000.0 },
    Case { clients: 1, batch: 100, must: 15_000.0, aim: 40_000.0 },
];

pub fn run(set: &Dataset) {
    for case in CASES {
        let row_bytes = log_bytes(set, case.batch) / SAMPLE as f64;
        measure(set, &case, row_bytes);
    }
}

/// Bytes that a log of the sample takes, written in requests of a size.
fn log_bytes(set: &Dataset, batch: usize) -> f64 {
    let fixture = Fixture::new("log", 1, set.base.dim);
    for from in (0..SAMPLE).step_by(batch) {
        let records = (from..from + batch).map(|number| fixture.record(set, number)).collect();
        fixture.upsert(TENANT, records);
    }
    // A log gives its reserved space back when it is closed.
    let closed = fixture.close();
    let shard = closed.path().join("shards/shard-0000");
    let logs = std::fs::read_dir(shard).expect("the shard's directory").filter_map(Result::ok);
    let logs = logs.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    logs.map(|file| file.metadata().expect("a file").len() as f64).sum()
}

fn measure(set: &Dataset, case: &Case, row_bytes: f64) {
    // At best one sync carries one request of every client.
    let per_sync = case.clients * case.batch;
    let bare = || bare_syncs(row_bytes * per_sync as f64) * per_sync as f64;
    let bare_before = bare();
    let fixture = Fixture::new("durable", 1, set.base.dim);
    let (next, watch) = (AtomicUsize::new(0), Stopwatch::start(Cpu::Process));
    let took: Vec<f64> = std::thread::scope(|scope| {
        let client = || write_until(&fixture, set, case.batch, &next);
        let clients: Vec<_> = (0..case.clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect()
    });
    let (wall, cpu, rows) = (watch.wall(), watch.cpu(), (took.len() * case.batch) as f64);
    // The better of before and after: others may use the disk for a moment.
    let bare = bare().max(bare_before);
    report::say(json!({
        "bench": "durable", "data": set.name, "dim": set.base.dim, "clients": case.clients, "batch": case.batch,
        "rows_per_s": rows / wall, "p50_us": quantile(&took, 0.5), "p99_us": quantile(&took, 0.99),
        "cpu_us_per_row": 1e6 * cpu / rows, "log_bytes_per_row": row_bytes, "bare_rows_per_s": bare,
        "share_of_bare": rows / wall / bare, "must": case.must, "aim": case.aim,
    }));
}

/// One client: microseconds of every request.
fn write_until(fixture: &Fixture, set: &Dataset, batch: usize, next: &AtomicUsize) -> Vec<f64> {
    let (watch, mut took) = (Stopwatch::start(Cpu::Thread), Vec::new());
    while watch.wall() < SECONDS {
        let first = next.fetch_add(batch, Ordering::Relaxed);
        let records = (first..first + batch).map(|number| fixture.record(set, number)).collect();
        let call = Stopwatch::start(Cpu::Thread);
        fixture.upsert(TENANT, records);
        took.push(call.wall() * 1e6);
    }
    took
}

/// Writes of so many bytes a second, each synced, into a file that grows as a log does.
fn bare_syncs(bytes: f64) -> f64 {
    // The step of `ShardOptions::server`.
    const STEP: u64 = 16 << 20;
    let scratch = Scratch::new("bare");
    let mut file = File::create(scratch.path().join("log")).expect("a file");
    let buffer = vec![0x5a; bytes as usize];
    let (mut written, mut allocated, mut syncs) = (0, 0, 0_u32);
    let watch = Stopwatch::start(Cpu::Thread);
    while watch.wall() < BARE_SECONDS {
        if written + buffer.len() as u64 > allocated {
            allocated += STEP;
            fallocate(&file, FallocateFlags::empty(), 0, allocated).expect("there is room");
            file.sync_all().expect("a sync");
        }
        file.write_all(&buffer).expect("a write");
        file.sync_data().expect("a sync");
        (written, syncs) = (written + buffer.len() as u64, syncs + 1);
    }
    f64::from(syncs) / watch.wall()
}
