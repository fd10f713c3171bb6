//! Tests of the log: what survives a crash, what is told apart, and what happens when the disk fails.

use super::*;
use crate::io::{Fault, FaultDisk, FaultKind, Io, Keep, SharedIo};
use pinyon_types::UniqueId;
use std::{path::Path, sync::Arc};

mod room;

const DIR: &str = "/shard";
const OPTIONS: WalOptions = WalOptions { preallocate_bytes: 4096, is_busy: false };

const OWNER: Owner = Owner { number: 1, index: UniqueId::new([7; 16]), shard: UniqueId::new([8; 16]) };

type Entries = Vec<(u64, Vec<u8>)>;

fn shared(disk: &FaultDisk) -> SharedIo {
    Arc::new(disk.clone())
}

fn create(disk: &FaultDisk, first_seq: u64) -> Result<Wal, WalError> {
    let head = LogHead { owner: OWNER, first_seq: SeqNo::new(first_seq) };
    Wal::create(&shared(disk), Path::new(DIR), head, OPTIONS)
}

fn read_back(disk: &FaultDisk, floor: u64) -> Result<(Entries, Recovered), WalError> {
    let mut entries = Entries::new();
    let mut visit = |frame: Frame<'_>| {
        entries.push((frame.seq.get(), frame.payload.to_vec()));
        Ok::<(), WalError>(())
    };
    let recovered = recover(disk, Path::new(DIR), request(floor, &[]), &mut visit)?;
    Ok((entries, recovered))
}

fn request(floor: u64, expected_logs: &[ExpectedLog]) -> RecoverRequest<'_> {
    RecoverRequest { owner: OWNER, floor: SeqNo::new(floor), expected_logs, acknowledged: SeqNo::ZERO }
}

fn expected_log(first_seq: u64) -> ExpectedLog {
    ExpectedLog { first_seq: SeqNo::new(first_seq), owner: OWNER }
}

/// Reads the logs and does what is to be done.
fn recover(
    disk: &FaultDisk,
    dir: &Path,
    request: RecoverRequest<'_>,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), WalError>,
) -> Result<Recovered, WalError> {
    examine(disk, dir, request, visit)?.carry_out(disk)
}

fn payload(seq: u64) -> Vec<u8> {
    vec![seq as u8; 3 + 37 * seq as usize % 700]
}

/// Writes batches of entries; returns the log and, after each commit, the operation count and last position.
fn write_batches(disk: &FaultDisk, batches: &[u64]) -> (Wal, Vec<(usize, u64)>) {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let mut wal = create(disk, 1).unwrap();
    let mut acknowledged = vec![(disk.op_count(), 0)];
    let mut last = 0;
    for entries in batches {
        for _ in 0..*entries {
            last = wal.append(1, &[&payload(last + 1)]).unwrap().get();
        }
        wal.commit().unwrap();
        acknowledged.push((disk.op_count(), last));
    }
    (wal, acknowledged)
}

fn log_path() -> std::path::PathBuf {
    Path::new(DIR).join(log_file_name(SeqNo::new(1)))
}

fn expected(last: u64) -> Entries {
    (1..=last).map(|seq| (seq, payload(seq))).collect()
}

/// A disk that holds just this log file.
fn disk_with(bytes: Vec<u8>) -> FaultDisk {
    let disk = FaultDisk::new();
    disk.put(&log_path(), bytes);
    disk
}

#[test]
fn entries_read_back_in_order_and_from_a_floor_on() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[1, 5, 20]);
    assert_eq!(wal.next_seq(), SeqNo::new(27));
    let (entries, recovered) = read_back(&disk, 0).unwrap();
    assert_eq!(entries, expected(26));
    assert_eq!((recovered.last_seq, recovered.torn), (SeqNo::new(26), None));
    let (entries, _) = read_back(&disk, 20).unwrap();
    assert_eq!(entries.first().map(|entry| entry.0), Some(21));
}

#[test]
fn every_crash_image_holds_all_acknowledged_entries_and_nothing_else() {
    let disk = FaultDisk::new();
    let (mut wal, acknowledged) = write_batches(&disk, &[1, 3, 2, 8, 1]);
    wal.close().unwrap();
    for at in acknowledged[0].0..=disk.op_count() {
        let durable =
            acknowledged.iter().filter(|(operations, _)| *operations <= at).map(|one| one.1).max().unwrap();
        let keeps = [Keep::Nothing, Keep::Everything].into_iter();
        let keeps = keeps.chain((0..20).flat_map(|seed| [Keep::Random { seed }, Keep::Torn { seed }]));
        for keep in keeps {
            let image = disk.crash_image(at, keep);
            let (entries, first) =
                read_back(&image, 0).unwrap_or_else(|error| panic!("{at} {keep:?}: {error}"));
            assert!(entries.len() as u64 >= durable, "{at} {keep:?}: {} of {durable}", entries.len());
            assert_eq!(entries, expected(entries.len() as u64), "{at} {keep:?}");
            // The cut is durable: what a second crash leaves reads the same, with nothing left to cut.
            let again = image.crash_image(image.op_count(), Keep::Nothing);
            let (entries_again, second) = read_back(&again, 0).unwrap();
            assert_eq!((entries_again, second.last_seq), (entries, first.last_seq));
            assert_eq!(second.torn, None);
        }
    }
}

#[test]
fn a_changed_byte_in_an_acknowledged_batch_is_damage_unless_it_is_the_last() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[2, 2]);
    let two_batches = wal.file_bytes() as usize;
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[2, 2, 1]);
    let whole = disk.read(&log_path()).unwrap();
    for at in 0..wal.file_bytes() as usize {
        for flip in [0xff, 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            match read_back(&disk_with(damaged), 0) {
                Ok((entries, _)) => {
                    assert!(at >= two_batches, "byte {at} of an earlier batch went unnoticed");
                    assert_eq!(entries, expected(4));
                }
                Err(WalError::Damaged { offset, .. }) => assert!(offset as usize <= at),
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn any_changed_byte_of_a_closed_log_is_noticed() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2, 1]);
    let entries_end = wal.file_bytes() as usize;
    wal.close().unwrap();
    let whole = disk.read(&log_path()).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        let result = read_back(&disk_with(damaged), 0);
        // Damage to the closing frame itself loses nothing, and is reported as a cut.
        let is_harmless = at >= entries_end
            && result
                .as_ref()
                .is_ok_and(|(entries, recovered)| *entries == expected(3) && recovered.torn.is_some());
        assert!(result.is_err() || is_harmless, "byte {at}");
    }
}

#[test]
fn a_log_cut_anywhere_gives_a_prefix() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[3, 4]);
    let whole = disk.read(&log_path()).unwrap();
    for cut in 64..wal.file_bytes() as usize {
        let (entries, _) = read_back(&disk_with(whole[..cut].to_vec()), 0).unwrap();
        assert_eq!(entries, expected(entries.len() as u64));
    }
}

/// A killed process leaves entries that nobody synced, and they read back. When the power fails later, what went behind
/// them must not hang in the air.
#[test]
fn what_a_killed_process_left_is_durable_before_anything_goes_behind_it() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[2]);
    let mut frame = Vec::new();
    let head = layout::FrameHead {
        kind: 1,
        payload_bytes: payload(3).len(),
        seq: SeqNo::new(3),
        synced_seq: SeqNo::new(2),
    };
    layout::encode_frame(&mut frame, head, &[&payload(3)]);
    disk.open(&log_path()).unwrap().write_at(&frame, wal.file_bytes()).unwrap();
    assert_nothing_hangs_in_the_air(&disk);
}

/// Reads three entries back, writes a fourth into a new log, and loses what is not durable.
fn assert_nothing_hangs_in_the_air(disk: &FaultDisk) {
    for _ in 0..2 {
        assert_eq!(read_back(disk, 0).unwrap().0, expected(3));
    }
    let mut next = create(disk, 4).unwrap();
    next.append(1, &[&payload(4)]).unwrap();
    next.commit().unwrap();
    let image = disk.crash_image(disk.op_count(), Keep::Nothing);
    assert_eq!(read_back(&image, 0).unwrap().0, expected(4));
}

/// After a sync that failed the system takes the pages for clean: syncing them again writes nothing, though they read back.
#[test]
fn what_a_failed_sync_left_is_written_again_before_anything_goes_behind_it() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2]);
    wal.append(1, &[&payload(3)]).unwrap();
    disk.fail(Some(Fault { call: disk.calls() + 1, kind: FaultKind::Broken, lasting: false }));
    assert!(wal.commit().is_err());
    drop(wal);
    assert_nothing_hangs_in_the_air(&disk);
}

#[test]
fn reading_changes_nothing_and_a_torn_tail_is_cut_with_a_copy_set_aside() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[2]);
    let torn_at = wal.file_bytes();
    disk.open(&log_path()).unwrap().write_at(b"torn", torn_at).unwrap();
    let before = disk.op_count();
    let plan = examine(&disk, Path::new(DIR), request(0, &[]), &mut |_| Ok::<(), WalError>(())).unwrap();
    assert_eq!(disk.op_count(), before);
    let torn = plan.recovered().torn.clone().unwrap();
    assert_eq!((torn.offset, torn.bytes), (torn_at, OPTIONS.preallocate_bytes - torn_at));
    plan.carry_out(&disk).unwrap();
    assert_eq!(disk.len(&log_path()).unwrap(), torn_at);
    let copy = format!("{}.from-{torn_at}.aside", log_path().display());
    assert_eq!(disk.read(Path::new(&copy)).unwrap(), b"torn");
}

#[test]
fn a_recovered_log_gives_back_what_was_reserved() {
    let disk = FaultDisk::new();
    let (wal, _) = write_batches(&disk, &[2]);
    assert_eq!(disk.len(&log_path()).unwrap(), OPTIONS.preallocate_bytes);
    for _ in 0..2 {
        assert_eq!(read_back(&disk, 0).unwrap().0, expected(2));
        assert_eq!(disk.len(&log_path()).unwrap(), wal.file_bytes());
    }
}

#[test]
fn gaps_missing_files_and_foreign_logs_are_refused() {
    let disk = FaultDisk::new();
    let (_, _) = write_batches(&disk, &[3]);
    let mut late = create(&disk, 5).unwrap();
    late.append(1, &[b"x"]).unwrap();
    late.commit().unwrap();
    let refused = read_back(&disk, 0).unwrap_err().to_string();
    assert!(refused.contains("it begins with log entry 5, expected 4"), "{refused}");
    let missing = [expected_log(9)];
    let refused =
        recover(&disk, Path::new(DIR), request(0, &missing), &mut |_| Ok::<(), WalError>(())).unwrap_err();
    assert!(matches!(refused, WalError::Missing { first_seq, .. } if first_seq == SeqNo::new(9)));
    let disk = FaultDisk::new();
    write_batches(&disk, &[1]);
    let others = [
        Owner { number: 2, ..OWNER },
        Owner { index: UniqueId::new([9; 16]), ..OWNER },
        Owner { shard: UniqueId::new([9; 16]), ..OWNER },
        Owner::numbered(1),
    ];
    for owner in others {
        let request = RecoverRequest { owner, ..request(0, &[]) };
        let refused = recover(&disk, Path::new(DIR), request, &mut |_| Ok::<(), WalError>(())).unwrap_err();
        let WalError::Foreign { found, expected, .. } = refused else { panic!("{refused}") };
        assert_eq!((found, expected), (OWNER, owner));
    }
}

/// The end of a log is damaged or torn: which, those know who heard of the entries.
#[test]
fn a_log_in_use_behind_one_that_was_closed_was_not_ended_cleanly() {
    let disk = FaultDisk::new();
    write_batches(&disk, &[3]).0.close().unwrap();
    assert!(read_back(&disk, 0).unwrap().1.is_closed);
    let mut next = create(&disk, 4).unwrap();
    next.append(1, &[&payload(4)]).unwrap();
    next.commit().unwrap();
    assert!(!read_back(&disk, 0).unwrap().1.is_closed);
}

#[test]
fn entries_that_somebody_was_told_of_are_not_a_torn_tail() {
    for is_closed in [false, true] {
        let disk = FaultDisk::new();
        let (mut wal, _) = write_batches(&disk, &[2, 3]);
        if is_closed {
            wal.close().unwrap();
        }
        let whole = disk.read(&log_path()).unwrap();
        let recover = |acknowledged| {
            let request = RecoverRequest { acknowledged: SeqNo::new(acknowledged), ..request(0, &[]) };
            recover(&disk, Path::new(DIR), request, &mut |_| Ok::<(), WalError>(()))
        };
        assert_eq!(recover(5).unwrap().last_seq, SeqNo::new(5));
        let refused = recover(6).unwrap_err().to_string();
        assert!(refused.contains("log entries 6 to 6 were acknowledged and are not here"), "{refused}");
        let end = usize::try_from(wal.file_bytes()).unwrap();
        // What is only padding may go: zeros are read as well as written.
        for cut in (64..end).step_by(37).filter(|cut| whole[*cut..end].iter().any(|byte| *byte != 0)) {
            for (bytes, what) in
                [(whole[..cut].to_vec(), "cut"), ([&whole[..cut], &[0; 999]].concat(), "zeros")]
            {
                disk.put(&log_path(), bytes);
                let before = disk.op_count();
                let found = recover(5);
                assert!(found.is_ok() || disk.op_count() == before, "what is refused is left alone");
                let is_whole = is_closed && found.as_ref().is_ok_and(|found| found.last_seq == SeqNo::new(5));
                assert!(is_whole || found.is_err(), "{what} at {cut}");
            }
        }
    }
}

#[test]
fn logs_below_the_floor_are_removed_and_the_rest_joins() {
    let disk = FaultDisk::new();
    let (_, _) = write_batches(&disk, &[3]);
    let mut second = create(&disk, 4).unwrap();
    second.append(1, &[&payload(4)]).unwrap();
    second.commit().unwrap();
    let third = create(&disk, 5).unwrap();
    assert_eq!(read_back(&disk, 0).unwrap().0, expected(4));
    assert_eq!(remove_logs_below(&disk, Path::new(DIR), SeqNo::new(3), third.path()).unwrap(), 1);
    assert_eq!(read_back(&disk, 3).unwrap().0, [(4, payload(4))]);
}

#[test]
fn a_failed_write_or_sync_poisons_the_log_for_good() {
    for (call, kind) in [(0, FaultKind::Broken), (0, FaultKind::Short), (1, FaultKind::Broken)] {
        let disk = FaultDisk::new();
        let (mut wal, _) = write_batches(&disk, &[2]);
        wal.append(1, &[&payload(3)]).unwrap();
        disk.fail(Some(Fault { call: disk.calls() + call, kind, lasting: false }));
        assert!(wal.commit().is_err());
        assert!(wal.is_poisoned());
        assert!(matches!(wal.append(1, &[b"x"]), Err(WalError::Poisoned)));
        assert!(matches!(wal.commit(), Err(WalError::Poisoned)));
        assert!(matches!(wal.close(), Err(WalError::Poisoned)));
        let (entries, _) = read_back(&disk, 0).unwrap();
        assert!(entries == expected(2) || entries == expected(3));
    }
}

/// WAL-2 where positions restart with a new file: what a crash during the making of a log leaves is no gap.
#[test]
fn logs_that_never_took_an_entry_do_not_stop_recovery() {
    let at = |seq| Path::new(DIR).join(log_file_name(SeqNo::new(seq)));
    let header = |seq| layout::encode_header(OWNER, SeqNo::new(seq));
    let leftovers =
        [Vec::new(), vec![0; 4096], header(4)[..30].to_vec(), header(4), [header(4), vec![0; 4096]].concat()];
    for leftover in leftovers {
        // The log went on behind the try, and then another was made.
        let disk = FaultDisk::new();
        write_batches(&disk, &[3, 4]);
        disk.put(&at(4), leftover.clone());
        assert_eq!(read_back(&disk, 0).unwrap().0, expected(7));
        assert!(!disk.exists(&at(4)).unwrap(), "it is out of the way");
        disk.put(&at(4), leftover.clone());
        disk.put(&at(6), leftover);
        let mut next = create(&disk, 8).unwrap();
        next.append(1, &[&payload(8)]).unwrap();
        next.commit().unwrap();
        let (entries, recovered) = read_back(&disk, 0).unwrap();
        assert_eq!((entries, recovered.logs.len()), (expected(8), 2));
    }
    // One that the manifest names must be whole.
    let disk = FaultDisk::new();
    disk.put(&at(4), vec![0; 4096]);
    let named = [expected_log(4)];
    let refused =
        recover(&disk, Path::new(DIR), request(3, &named), &mut |_| Ok::<(), WalError>(())).unwrap_err();
    assert!(matches!(refused, WalError::Damaged { offset: 0, .. }), "{refused}");
}

#[test]
fn damage_in_logs_that_nobody_needs_does_not_stop_recovery() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[3]);
    wal.close().unwrap();
    let mut second = create(&disk, 4).unwrap();
    second.append(1, &[&payload(4)]).unwrap();
    second.commit().unwrap();
    let mut damaged = disk.read(&log_path()).unwrap();
    damaged[70] ^= 1;
    disk.put(&log_path(), damaged);
    assert!(matches!(read_back(&disk, 2), Err(WalError::Damaged { .. })));
    assert_eq!(read_back(&disk, 3).unwrap().0, [(4, payload(4))]);
}

/// Whoever can store bytes could store the image of a frame that claims anything; it must not turn a torn tail into
/// damage that stops the shard.
#[test]
fn a_frame_inside_a_payload_is_no_witness() {
    let mut forged = Vec::new();
    let (seq, synced_seq) = (SeqNo::new(1 << 40), SeqNo::new(1 << 39));
    layout::encode_frame(&mut forged, layout::FrameHead { kind: 1, payload_bytes: 0, seq, synced_seq }, &[]);
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2]);
    wal.append(1, &[&forged.repeat(20)]).unwrap();
    let torn_at = wal.file_bytes() as usize;
    wal.commit().unwrap();
    let mut bytes = disk.read(&log_path()).unwrap();
    bytes[torn_at + 16] ^= 1;
    let (entries, recovered) = read_back(&disk_with(bytes), 0).unwrap();
    assert_eq!(entries, expected(2));
    assert_eq!(recovered.torn.map(|torn| torn.offset), Some(torn_at as u64));
}

#[test]
fn names_and_numbers_beyond_belief_are_not_counted_on() {
    let disk = FaultDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.put(
        &Path::new(DIR).join("wal-18446744073709551615.log"),
        layout::encode_header(OWNER, SeqNo::new(u64::MAX)),
    );
    disk.put(&Path::new(DIR).join("wal-+0000000000000000001.log"), vec![1; 100]);
    assert_eq!(read_back(&disk, u64::MAX).unwrap().0, []);
}

#[test]
fn dropped_and_refused_entries_leave_no_trace() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[1]);
    wal.append(1, &[b"dropped"]).unwrap();
    wal.discard();
    let megabyte = vec![0; 1 << 20];
    let too_large = vec![&megabyte[..]; 257];
    assert!(matches!(wal.append(1, &too_large), Err(WalError::TooLarge { .. })));
    assert_eq!(wal.append(1, &[&payload(2)[..3], &[], &payload(2)[3..]]).unwrap(), SeqNo::new(2));
    wal.commit().unwrap();
    wal.append(1, &[b"not committed"]).unwrap();
    wal.close().unwrap();
    assert!(!wal.is_poisoned());
    assert!(matches!(wal.append(1, &[b"x"]), Err(WalError::Closed)));
    assert_eq!(read_back(&disk, 0).unwrap().0, expected(2));
}

#[test]
fn inspecting_lists_entries_and_changes_nothing() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2, 1]);
    let used_bytes = wal.file_bytes();
    let report = inspect(&disk, &log_path()).unwrap();
    assert_eq!((report.owner, report.first_seq, report.end), (OWNER, SeqNo::new(1), LogEnd::Open));
    assert_eq!((report.bytes, report.used_bytes), (4096, used_bytes));
    let seen: Vec<(u64, usize)> =
        report.frames.iter().map(|one| (one.seq.get(), one.payload_bytes)).collect();
    assert_eq!(seen, [(1, payload(1).len()), (2, payload(2).len()), (3, payload(3).len())]);
    assert_eq!(report.frames[0].offset, 64);
    wal.close().unwrap();
    assert_eq!(inspect(&disk, &log_path()).unwrap().end, LogEnd::Closed);
    let whole = disk.read(&log_path()).unwrap();
    for (at, end) in [(report.frames[1].offset, LogEnd::Damaged), (used_bytes, LogEnd::Torn)] {
        let mut damaged = whole.clone();
        damaged[at as usize + 8] ^= 1;
        let disk = disk_with(damaged.clone());
        assert_eq!(inspect(&disk, &log_path()).unwrap().end, end);
        assert_eq!(disk.read(&log_path()).unwrap(), damaged);
    }
}

/// Writes until the disk fails for good; returns what was acknowledged and what was ever tried, by position.
fn run_until_fault(disk: &FaultDisk) -> (u64, Entries) {
    let (mut acknowledged, mut tried) = (0, Entries::new());
    let Ok(mut wal) = create(disk, 1) else { return (0, tried) };
    for batch in [1, 3, 1, 2] {
        let first = wal.next_seq().get();
        tried.truncate(first as usize - 1);
        for seq in first..first + batch {
            if wal.append(1, &[&payload(seq), &[batch as u8]]).is_ok() {
                tried.push((seq, [payload(seq), vec![batch as u8]].concat()));
            }
        }
        if wal.commit().is_ok() {
            acknowledged = wal.next_seq().get() - 1;
        }
    }
    let _ = wal.close();
    (acknowledged, tried)
}

/// Whatever call fails, and whatever crash follows: what was acknowledged is there, what is there was written, and the
/// shard can go on.
#[test]
fn fault_sweep_keeps_acknowledged_entries_and_a_working_log() {
    for kind in [FaultKind::Broken, FaultKind::Full, FaultKind::Short] {
        for lasting in [false, true] {
            for call in 1.. {
                let disk = FaultDisk::new();
                disk.create_dir_all(Path::new(DIR)).unwrap();
                disk.fail(Some(Fault { call, kind, lasting }));
                let (acknowledged, tried) = run_until_fault(&disk);
                let is_over = disk.calls() <= call;
                let seeds = (0..6).flat_map(|seed| [Keep::Random { seed }, Keep::Torn { seed }]);
                for keep in seeds.chain([Keep::Nothing, Keep::Everything]) {
                    let image = disk.crash_image(disk.op_count(), keep);
                    let context = format!("{kind:?} lasting {lasting} at call {call}, {keep:?}");
                    check_after_fault(&image, acknowledged, &tried, &context);
                }
                if is_over {
                    assert!(call > 12, "the sweep tried every call");
                    break;
                }
            }
        }
    }
}

fn check_after_fault(image: &FaultDisk, acknowledged: u64, tried: &Entries, context: &str) {
    let (entries, recovered) = read_back(image, 0).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(entries.len() as u64 >= acknowledged, "{context}: {} of {acknowledged}", entries.len());
    assert!(tried.starts_with(&entries), "{context}: something that was never written");
    let next = recovered.last_seq.next();
    if recovered.logs.iter().any(|log| log.first_seq == next) {
        image.remove(&Path::new(DIR).join(log_file_name(next))).unwrap();
    }
    let mut wal = create(image, next.get()).unwrap();
    wal.append(1, &[b"on"]).unwrap();
    wal.commit().unwrap();
    let again = image.crash_image(image.op_count(), Keep::Nothing);
    let (after, _) = read_back(&again, 0).unwrap_or_else(|error| panic!("{context}, again: {error}"));
    assert_eq!(after.split_last(), Some((&(next.get(), b"on".to_vec()), &entries[..])), "{context}");
}
