//! How a log takes room and gives it back.

use super::*;

#[test]
fn a_full_disk_costs_the_write_and_not_the_log() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2]);
    let big = vec![5; 9000];
    wal.append(1, &[&big]).unwrap();
    disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Full, lasting: true }));
    assert!(wal.commit().unwrap_err().to_string().contains("no space left"));
    assert!(!wal.is_poisoned());
    disk.fail(None);
    assert_eq!(wal.append(1, &[&payload(3)]).unwrap(), SeqNo::new(3));
    wal.commit().unwrap();
    assert_eq!(read_back(&disk, 0).unwrap().0, expected(3));
}

#[test]
fn where_a_whole_step_does_not_fit_what_is_needed_may() {
    let disk = FaultDisk::new();
    let (mut wal, _) = write_batches(&disk, &[2]);
    wal.append(1, &[&vec![5; 9000]]).unwrap();
    disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Full, lasting: false }));
    wal.commit().unwrap();
    assert_eq!(read_back(&disk, 2).unwrap().0, [(3, vec![5; 9000])]);
}

#[test]
fn space_is_reserved_in_small_steps_that_grow_and_then_in_whole_ones() {
    let reserved = |allocated, needed| super::writer::length_to_reserve(allocated, needed, 8 << 20);
    let (mut length, mut steps) = (64, Vec::new());
    for _ in 0..8 {
        length = reserved(length, length + 1);
        steps.push(length >> 10);
    }
    assert_eq!(steps, [64, 128, 256, 512, 1_024, 8_192, 16_384, 24_576]);
    assert_eq!(reserved(64, 20 << 20), 24 << 20, "as many steps as are needed");
    assert_eq!(reserved(64 << 10, 64 << 10), 64 << 10, "nothing before it is needed");
    assert_eq!(super::writer::length_to_reserve(64, 65, 4096), 4096, "whole steps may be smaller");
}

const STEP: u64 = 256 << 10;

fn create_with_steps(disk: &FaultDisk, is_busy: bool) -> Wal {
    create_with(disk, WalOptions { preallocate_bytes: STEP, is_busy })
}

fn create_with(disk: &FaultDisk, options: WalOptions) -> Wal {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let head = LogHead { owner: OWNER, first_seq: SeqNo::new(1) };
    Wal::create(&shared(disk), Path::new(DIR), head, options).unwrap()
}

/// Writes an entry of 70,000 bytes a commit, as many as are told, and does something after each; returns the count of operations when
/// the log was made and after each commit.
fn write_large(disk: &FaultDisk, log: &mut Wal, entries: usize, then: impl Fn(&mut Wal)) -> Vec<usize> {
    let mut acknowledged = vec![disk.op_count()];
    for _ in 0..entries {
        log.append(1, &[&[7; 70_000]]).unwrap();
        log.commit().unwrap();
        acknowledged.push(disk.op_count());
        then(log);
    }
    acknowledged
}

fn every_crash_keeps_what_was_acknowledged(disk: &FaultDisk, acknowledged: &[usize]) {
    for at_op in acknowledged[0]..=disk.op_count() {
        let entries = acknowledged.iter().filter(|op| **op <= at_op).count() - 1;
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed: at_op as u64 }] {
            let found = read_back(&disk.crash_image(at_op, keep), 0).unwrap().0.len();
            assert!(found == entries || found == entries + 1, "{found} after operation {at_op}, {keep:?}");
        }
    }
}

#[test]
fn a_busy_log_is_reserved_at_once_and_one_that_rests_gives_it_back() {
    let disk = FaultDisk::new();
    let mut log = create_with_steps(&disk, true);
    let length = || disk.len(&log_path()).unwrap();
    assert_eq!(length(), STEP);
    let acknowledged = write_large(&disk, &mut log, 3, |log| {
        assert_eq!((length(), log.is_busy()), (STEP, true));
        log.rest();
        assert_eq!((length() % (64 << 10), log.is_busy()), (0, length() == STEP));
        assert!(length() < STEP + 1 && length() >= 70_000);
    });
    every_crash_keeps_what_was_acknowledged(&disk, &acknowledged);
}

#[test]
fn a_log_that_grows_moves_into_one_piece_and_loses_nothing_in_a_crash_or_on_a_full_disk() {
    let disk = FaultDisk::new();
    let mut log = create_with_steps(&disk, false);
    let lengths = std::cell::RefCell::new(Vec::new());
    let acknowledged =
        write_large(&disk, &mut log, 5, |_| lengths.borrow_mut().push(disk.len(&log_path()).unwrap()));
    assert_eq!(*lengths.borrow(), [STEP / 2, STEP, STEP, 2 * STEP, 2 * STEP]);
    every_crash_keeps_what_was_acknowledged(&disk, &acknowledged);
    // Every call that the growth makes, failed once.
    let calls = disk.calls();
    for kind in [FaultKind::Broken, FaultKind::Full] {
        (0..calls).for_each(|call| fails_once(Fault { call, kind, lasting: false }));
    }
}

#[test]
fn where_room_is_scarce_nothing_is_reserved_ahead_of_its_need() {
    let disk = FaultDisk::new();
    let mut log = create_with_steps(&disk, false);
    log.spare_room(true);
    let before = disk.op_count();
    write_large(&disk, &mut log, 5, |_| ());
    assert_eq!(disk.len(&log_path()).unwrap(), 384 << 10);
    assert_eq!(
        disk.op_count(),
        before + 5 * IN_PLACE,
        "nothing is copied on the way past a whole step either"
    );
}

/// Operations of a commit that reserves more where the log lies: reserve, write, sync.
const IN_PLACE: usize = 3;

#[test]
fn a_log_that_is_large_already_is_not_copied_when_it_was_at_rest() {
    let disk = FaultDisk::new();
    let step = 4 << 20;
    let mut log = create_with(&disk, WalOptions { preallocate_bytes: step, is_busy: false });
    write_large(&disk, &mut log, 16, |_| ());
    assert_eq!(disk.len(&log_path()).unwrap(), step);
    log.rest();
    assert_eq!(disk.len(&log_path()).unwrap(), 1_152 << 10);
    let before = disk.op_count();
    write_large(&disk, &mut log, 1, |_| ());
    assert_eq!((disk.len(&log_path()).unwrap(), disk.op_count()), (step, before + IN_PLACE));
}

fn fails_once(fault: Fault) {
    let disk = FaultDisk::new();
    let mut log = create_with_steps(&disk, false);
    disk.fail(Some(Fault { call: disk.calls() + fault.call, ..fault }));
    let mut acknowledged = 0;
    for _ in 0..5 {
        let written = log.append(1, &[&[7; 70_000]]).and_then(|_| log.commit());
        acknowledged += usize::from(written.is_ok());
    }
    disk.fail(None);
    let is_poisoned = log.is_poisoned();
    drop(log);
    assert!(acknowledged >= 4 || is_poisoned, "{fault:?}: one refused entry, or none after it");
    for keep in [Keep::Nothing, Keep::Everything] {
        let (found, _) = read_back(&disk.crash_image(usize::MAX, keep), 0).unwrap();
        let (least, most) = (acknowledged, acknowledged + usize::from(is_poisoned));
        assert!(
            (least..=most).contains(&found.len()),
            "{fault:?}, {keep:?}: {} of {acknowledged}",
            found.len()
        );
    }
}

#[test]
fn a_log_that_rests_keeps_nothing_open_and_takes_the_next_entry() {
    let (mut log, _) = write_batches(&FaultDisk::new(), &[1]);
    let large = vec![7; 3 << 20];
    log.append(1, &[&large]).unwrap();
    log.commit().unwrap();
    assert!(log.buffer_bytes() > 3 << 20, "the next group may be as large");
    log.append(1, &[b"small"]).unwrap();
    log.commit().unwrap();
    assert!(log.buffer_bytes() <= 1 << 20, "{}", log.buffer_bytes());
    log.rest();
    assert_eq!((log.buffer_bytes(), log.is_open()), (0, false));
    log.append(1, &[b"next"]).unwrap();
    log.rest();
    assert!(log.buffer_bytes() > 0, "what is not durable yet stays");
    log.commit().unwrap();
    log.rest();
    log.close().unwrap();
    assert!(!log.is_open());
}

#[test]
fn a_log_that_nobody_wrote_to_is_opened_and_closed_without_a_write() {
    let disk = FaultDisk::new();
    create_with_steps(&disk, false).close().unwrap();
    let before = disk.op_count();
    let options = WalOptions { preallocate_bytes: STEP, is_busy: false };
    let reopen = || {
        let (_, recovered) = read_back(&disk, 0).unwrap();
        let unused = recovered.unused().expect("it took no entry");
        let head = LogHead { owner: unused.owner, first_seq: unused.first_seq };
        Wal::reopen(&shared(&disk), Path::new(DIR), head, options)
    };
    reopen().close().unwrap();
    reopen().rest();
    assert_eq!(disk.op_count(), before);
    let mut log = reopen();
    let acknowledged = write_large(&disk, &mut log, 3, |_| ());
    every_crash_keeps_what_was_acknowledged(&disk, &acknowledged);
    log.close().unwrap();
    let (entries, recovered) = read_back(&disk, 0).unwrap();
    assert_eq!((entries.len(), recovered.is_closed, recovered.unused()), (3, true, None));
}
