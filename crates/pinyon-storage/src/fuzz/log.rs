//! The log: two files, of which a shard of this directory would have to make sense.

use super::{DIR, OWNER, disk_of, mend, mend_header, number_at};
use crate::{
    io::{MemoryIo, SharedIo},
    wal::{self, ExpectedLog, RecoverRequest, Recovered, Wal, WalError, WalOptions},
};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_types::{SeededRng, SeqNo};
use std::{path::Path, sync::Arc};

const FIRST: [SeqNo; 2] = [SeqNo::new(1), SeqNo::new(8)];
const FRAME_MAGIC: u64 = 0x4652_4d31;

/// Two logs of seven and of five entries, closed and not.
fn seeds() -> Vec<[Vec<u8>; 2]> {
    let of = |preallocate_bytes, is_closed| {
        let io: SharedIo = Arc::new(MemoryIo::new());
        io.create_dir_all(Path::new(DIR)).unwrap();
        let mut seq = FIRST[0];
        FIRST.map(|first_seq| {
            let head = wal::LogHead { owner: OWNER, first_seq };
            let mut log =
                Wal::create(&io, Path::new(DIR), head, WalOptions { preallocate_bytes, is_busy: false })
                    .unwrap();
            let last = if first_seq == FIRST[0] { 7 } else { 12 };
            while seq.get() <= last {
                let payload = vec![seq.get() as u8; (seq.get() as usize * 37) % 200];
                log.append(1, &[&payload]).unwrap();
                if !seq.get().is_multiple_of(3) {
                    log.commit().unwrap();
                }
                seq = seq.next();
            }
            log.commit().unwrap();
            if is_closed || first_seq == FIRST[0] {
                log.close().unwrap();
            }
            io.read(&Path::new(DIR).join(wal::log_file_name(first_seq))).unwrap()
        })
    };
    vec![of(0, false), of(4_096, false), of(0, true)]
}

/// Makes checksums of frames fit, as far as their lengths lead from one to the next.
fn mend_frames(log: &mut [u8], rng: &mut SeededRng) {
    let mut at = 64;
    while at + 32 <= log.len() {
        let payload = number_at::<4>(log, at + 8).map_or(usize::MAX, |length| length as usize);
        let end = (at + 32).saturating_add(payload);
        if number_at::<4>(log, at) != Some(FRAME_MAGIC) || end > log.len() {
            at += 8;
            continue;
        }
        let padded = end.next_multiple_of(8).min(log.len());
        if bytes::happens(rng, 7, 8) {
            log[end..padded].fill(0);
        }
        mend(log, &[at..at + 12, at + 16..end], at + 12);
        at = padded;
    }
}

fn make(rng: &mut SeededRng, seeds: &[[Vec<u8>; 2]]) -> Vec<u8> {
    let others: Vec<Vec<u8>> = seeds.iter().flatten().cloned().collect();
    let mut logs = bytes::pick(rng, seeds).clone();
    for log in &mut logs {
        if bytes::happens(rng, 2, 3) {
            bytes::change(rng, log, &others);
            if bytes::happens(rng, 3, 4) {
                mend_header(log);
                mend_frames(log, rng);
            }
        }
    }
    [&(logs[0].len() as u32).to_le_bytes()[..], &logs[0], &logs[1]].concat()
}

type Entries = Vec<(u64, u8, Vec<u8>)>;

fn examine(io: &SharedIo, is_expected: bool) -> Result<(wal::Plan, Entries), WalError> {
    let expected: Vec<ExpectedLog> =
        FIRST.iter().map(|&first_seq| ExpectedLog { first_seq, owner: OWNER }).collect();
    let expected_logs = if is_expected { &expected[..] } else { &[] };
    let request =
        RecoverRequest { owner: OWNER, floor: SeqNo::new(3), expected_logs, acknowledged: SeqNo::new(5) };
    let mut entries = Vec::new();
    let mut visit = |frame: wal::Frame<'_>| {
        entries.push((frame.seq.get(), frame.kind, frame.payload.to_vec()));
        Ok::<(), WalError>(())
    };
    let plan = wal::examine(&**io, Path::new(DIR), request, &mut visit)?;
    Ok((plan, entries))
}

fn check_plan(io: &SharedIo, is_expected: bool) -> Result<(), WalError> {
    let before: Vec<_> = FIRST
        .iter()
        .map(|first| io.read(&Path::new(DIR).join(wal::log_file_name(*first))).unwrap())
        .collect();
    let (plan, entries) = examine(io, is_expected)?;
    let after: Vec<_> = FIRST
        .iter()
        .map(|first| io.read(&Path::new(DIR).join(wal::log_file_name(*first))).unwrap())
        .collect();
    assert!(before == after, "looking changes nothing");
    let last_seq = plan.recovered().last_seq.get();
    let positions: Vec<u64> = entries.iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(positions, (4..=last_seq).collect::<Vec<_>>(), "entries in order, without a gap");
    let recovered: Recovered = plan.carry_out(&**io)?;
    let (again, entries_again) = examine(io, false).expect("what was put in order reads back");
    assert!(entries == entries_again, "nothing is lost and nothing comes back");
    let again = again.recovered();
    assert_eq!((again.last_seq, &again.torn), (recovered.last_seq, &None), "what was cut stays cut");
    Ok(())
}

#[test]
fn fuzz_log() {
    let seeds = seeds();
    let target = Target { name: "log", cases: 40_000, bytes_per_byte: 12, bytes_besides: 16 << 10 };
    target.run(
        |rng| make(rng, &seeds),
        |input| {
            let (length, logs) = input.split_first_chunk::<4>().unwrap();
            let (first, second) = logs.split_at(u32::from_le_bytes(*length) as usize);
            let names = FIRST.map(wal::log_file_name);
            let io = disk_of(&[(&names[0], first), (&names[1], second)]);
            for name in &names {
                if let Err(error) = wal::inspect(&*io, &Path::new(DIR).join(name)) {
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
            let checked = check_plan(&io, input.len().is_multiple_of(2));
            if let Err(error) = &checked {
                assert!(error.to_string().contains(DIR), "it names the place: {error}");
            }
            Seen::of(&checked)
        },
    );
}
