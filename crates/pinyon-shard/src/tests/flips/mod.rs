//! One byte of one file is not what was written. Whatever byte of a golden directory it is and whatever it became, the
//! shard is the same in every answer, or does not open and names the file, or lacks the end of the last batch of a log
//! that was not closed, and nothing else: that much FORMAT.md says it cannot tell from a torn tail. Which of the three
//! it is, is known for every byte beforehand.
//!
//! Every byte is damaged in one way that a seed picks. `PINYON_TEST_FLIPS=all cargo test --release -p pinyon-shard flips
//! -- --nocapture` damages every byte in every way: each of its bits, all of them set, none of them set.

pub(super) mod answers;
mod golden;
mod world;

use super::DIR;
use crate::{Prices, Shard, ShardOptions, ShardShape, Step};
use golden::{Golden, GoldenFile, Outcome};
use pinyon_storage::{
    SystemClock,
    io::{MemoryIo, SharedIo},
};
use pinyon_types::{Clock, SeededRng};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

const PROBLEMS_SHOWN: usize = 20;
/// Answers cost more than refusals, so what a flip led to is looked at again for one byte in so many.
const LOOKED_AT_AGAIN_EVERY: usize = 8;

/// One byte of a file with another value.
#[derive(Debug, Clone, Copy)]
struct Flip<'a> {
    file: &'a GoldenFile,
    offset: usize,
    value: u8,
}

fn is_every_flip_wanted() -> bool {
    let wanted = std::env::var("PINYON_TEST_FLIPS").ok();
    assert!(wanted.as_deref().is_none_or(|wanted| wanted == "all"), "PINYON_TEST_FLIPS can only be all");
    wanted.is_some()
}

/// What a byte can turn into: one bit is another, all of them are set, none is.
fn values(byte: u8) -> Vec<u8> {
    let mut values: Vec<u8> = (0..8).map(|bit| byte ^ (1 << bit)).collect();
    values.extend([0x00, 0xff].into_iter().filter(|value| (byte ^ value).count_ones() > 1));
    values
}

fn flips(golden: &Golden) -> Vec<Flip<'_>> {
    let is_every = is_every_flip_wanted();
    let mut rng = SeededRng::new(7);
    let mut flips = Vec::new();
    for file in &golden.files {
        for (offset, byte) in file.bytes.iter().enumerate() {
            let values = values(*byte);
            let one = values[rng.below(values.len() as u64) as usize];
            let values = if is_every { values } else { vec![one] };
            flips.extend(values.into_iter().map(|value| Flip { file, offset, value }));
        }
    }
    flips
}

/// Reserves less for logs than others do: of the zeros behind a log a few are as good as many. Graphs are made for few rows
/// and walked whenever there is one, if anybody derives them.
fn open(io: &SharedIo, shape: ShardShape) -> Result<Shard, String> {
    let options = ShardOptions { log_preallocate_bytes: 256, ..super::options() };
    let rows_min = golden::GRAPH_ROWS;
    let options = ShardOptions { coded_rows_min: rows_min, graph_rows_min: rows_min, ..options };
    let options = ShardOptions { prices: Prices::Fixed(0), ..options };
    Shard::open(io, Path::new(DIR), shape, options).map_err(|error| error.to_string())
}

/// Derives on one thread, which builds the same graph again; what was done.
fn derive(shard: &Shard) -> Vec<Step> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    std::iter::repeat_with(|| shard.derive(&pool, &|| false)).take_while(|step| *step != Step::Idle).collect()
}

fn put(io: &SharedIo, name: &str, bytes: &[u8]) {
    let path = Path::new(DIR).join(name);
    if io.exists(&path).unwrap() {
        io.remove(&path).unwrap();
    }
    io.create(&path).unwrap().write_at(bytes, 0).unwrap();
}

fn disk(files: &[GoldenFile]) -> SharedIo {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new(DIR)).unwrap();
    files.iter().for_each(|file| put(&io, &file.name, &file.bytes));
    io
}

/// Says what is wrong with what a flip led to.
fn check(golden: &Golden, flip: Flip<'_>) -> Result<(), String> {
    let io = disk(&golden.files);
    let mut damaged = flip.file.bytes.clone();
    damaged[flip.offset] = flip.value;
    put(&io, &flip.file.name, &damaged);
    match flip.file.outcome(flip.offset) {
        Outcome::Refused => check_refused(golden, flip, &io),
        Outcome::Same => check_served(golden, flip, &io, golden.last_seq),
        Outcome::CutTo(seq) => check_served(golden, flip, &io, seq),
    }
}

fn check_served(golden: &Golden, flip: Flip<'_>, io: &SharedIo, seq: u64) -> Result<(), String> {
    check_answers(golden, io, seq)?;
    if !flip.offset.is_multiple_of(LOOKED_AT_AGAIN_EVERY) {
        return Ok(());
    }
    // What the first time made of the directory must be as good.
    check_answers(golden, io, seq).map_err(|problem| format!("when opened again: {problem}"))
}

fn check_answers(golden: &Golden, io: &SharedIo, seq: u64) -> Result<(), String> {
    let shard = open(io, golden.shape).map_err(|error| format!("refused: {error}"))?;
    if golden.has_graph() {
        derive(&shard);
        golden.check_graph(io)?;
    }
    let answers = answers::of(&shard);
    if answers == golden.answers[&seq] {
        return Ok(());
    }
    let known = golden.answers.iter().find(|(_, known)| **known == answers);
    let found = known.map_or("of no time".into(), |(found, _)| format!("of log entry {found}"));
    Err(format!("answers {found}, not those of log entry {seq}"))
}

/// What is refused stays refused, and has lost nothing: with the file as it was, everything is there.
fn check_refused(golden: &Golden, flip: Flip<'_>, io: &SharedIo) -> Result<(), String> {
    for time in ["at first", "when opened again"] {
        match open(io, golden.shape) {
            Ok(_) => return Err(format!("not noticed {time}")),
            Err(error) if !error.contains(&flip.file.name) => {
                return Err(format!("refused {time} without a word on the file: {error}"));
            }
            Err(_) => {}
        }
    }
    if !flip.offset.is_multiple_of(LOOKED_AT_AGAIN_EVERY) {
        return Ok(());
    }
    put(io, &flip.file.name, &flip.file.bytes);
    check_answers(golden, io, golden.last_seq)
        .map_err(|problem| format!("after the file came back: {problem}"))
}

/// How many flips led to what, by file.
type Counts = BTreeMap<String, BTreeMap<&'static str, usize>>;

fn sweep(golden: &Golden) {
    let (clock, mut counts) = (SystemClock::new(), Counts::new());
    let started_us = clock.now_us();
    let mut problems = Vec::new();
    let flips = flips(golden);
    for flip in &flips {
        let checked = catch_unwind(AssertUnwindSafe(|| check(golden, *flip)));
        if let Err(problem) = checked.unwrap_or_else(|_| Err("panicked".into())) {
            let (name, was) = (&flip.file.name, flip.file.bytes[flip.offset]);
            problems
                .push(format!("{name}, byte {}, {was:#04x} to {:#04x}: {problem}", flip.offset, flip.value));
        }
        let by_outcome = counts.entry(flip.file.name.clone()).or_default();
        *by_outcome.entry(flip.file.outcome(flip.offset).name()).or_default() += 1;
    }
    let elapsed_ms = (clock.now_us() - started_us) / 1000;
    println!("{}: {} flips in {elapsed_ms} ms: {counts:#?}", golden.name, flips.len());
    let shown = problems.iter().take(PROBLEMS_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(problems.is_empty(), "{}: {} problems\n{shown}", golden.name, problems.len());
}

#[test]
fn no_flip_in_a_killed_shard_gives_a_wrong_answer() {
    sweep(&golden::killed());
}

#[test]
fn no_flip_after_a_kill_between_two_logs_gives_a_wrong_answer() {
    sweep(&golden::killed_while_sealing());
}

#[test]
fn no_flip_after_a_row_of_kills_gives_a_wrong_answer() {
    sweep(&golden::killed_again_and_again());
}

#[test]
fn no_flip_in_a_closed_shard_gives_a_wrong_answer() {
    sweep(&golden::closed());
}

#[test]
fn no_flip_beside_a_kept_graph_or_in_it_gives_a_wrong_answer() {
    sweep(&golden::with_graph());
}
