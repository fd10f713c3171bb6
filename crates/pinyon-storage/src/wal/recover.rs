//! Reading the logs back at start: in order, without a gap, with a torn tail cut for good (WAL-2).

use super::{
    Frame, WalError,
    layout::{HEADER_BYTES, Header, VERSION, decode_header, log_file_name},
    reader::{LogEnd, LogReader, has_any_frame},
    removal::list_logs,
};
use crate::io::Io;
use pinyon_types::SeqNo;
use std::path::{Path, PathBuf};

/// What to recover.
#[derive(Debug, Clone, Copy)]
pub struct RecoverRequest<'a> {
    /// Whose logs they are.
    pub shard: u32,
    /// Entries up to this position are in segments already.
    pub floor: SeqNo,
    /// First positions of log files that must be there.
    pub expected_logs: &'a [SeqNo],
}

/// A log file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// The position of its first entry.
    pub first_seq: SeqNo,
    /// Bytes up to the end of its last entry.
    pub bytes: u64,
}

/// The end of a write that was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The log file.
    pub path: PathBuf,
    /// Where the tail began.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// What was recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The last valid position, or the floor.
    pub last_seq: SeqNo,
    /// The log files that were read, in order; those wholly below the floor are not.
    pub logs: Vec<LogFile>,
    /// What was cut, if anything.
    pub torn: Option<TornTail>,
}

/// Calls `visit` with every entry behind the floor, in order. Removes logs that a crash left without any entry, cuts a
/// torn tail, and makes durable what a killed process wrote and did not sync. Afterwards a new log may follow.
///
/// # Errors
/// Damage to acknowledged entries, a missing file or a gap, another shard's log, what `visit` returns, the system's.
pub fn recover<E: From<WalError>>(
    io: &dyn Io,
    dir: &Path,
    request: RecoverRequest<'_>,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Recovered, E> {
    let mut logs = read_logs(io, dir, request.expected_logs)?;
    check_expected(dir, &logs, request.expected_logs)?;
    remove_unborn(io, dir, &mut logs)?;
    let after_floor = SeqNo::new(request.floor.get().saturating_add(1));
    skip_obsolete(&mut logs, after_floor);
    let mut recovered = Recovered { last_seq: request.floor, logs: Vec::new(), torn: None };
    // The first log may begin below the floor; from then on each begins where its predecessor ended.
    let mut expected = logs.first().map_or(after_floor, |log| log.first_seq.min(after_floor));
    for (at, log) in logs.iter().enumerate() {
        if log.is_leftover(expected) {
            remove_durably(io, dir, &log.path)?;
            continue;
        }
        log.check_header(request.shard, expected)?;
        let mut reader = LogReader::new(&log.bytes, log.first_seq);
        while let Some(frame) = reader.next_frame() {
            if frame.seq > request.floor {
                visit(frame)?;
                recovered.last_seq = frame.seq;
            }
        }
        expected = reader.expected;
        let is_last = logs.iter().skip(at + 1).all(|later| later.is_empty() && later.first_seq <= expected);
        let offset = reader.offset as u64;
        match reader.end() {
            LogEnd::Closed => {}
            LogEnd::Open => settle(io, log, offset)?,
            LogEnd::Torn if is_last => recovered.torn = Some(cut(io, log, offset)?),
            LogEnd::Torn | LogEnd::Damaged => {
                let what = format!("log entry {expected} does not read back");
                return Err(WalError::Damaged { path: log.path.clone(), offset, what }.into());
            }
        }
        recovered.logs.push(LogFile { path: log.path.clone(), first_seq: log.first_seq, bytes: offset });
    }
    Ok(recovered)
}

struct LogBytes {
    path: PathBuf,
    first_seq: SeqNo,
    bytes: Vec<u8>,
    header: Option<Header>,
    is_expected: bool,
}

impl LogBytes {
    /// Whether nothing was ever written behind the header.
    fn is_empty(&self) -> bool {
        self.bytes.get(HEADER_BYTES as usize..).unwrap_or_default().iter().all(|&byte| byte == 0)
    }

    /// Whether a crash came while the log was being made: nothing durable mentions it, and it never took an entry.
    fn is_unborn(&self) -> bool {
        self.header.is_none() && !self.is_expected && !has_any_frame(&self.bytes)
    }

    /// Whether making the log failed after its header, and the log before it went on in its place.
    fn is_leftover(&self, expected: SeqNo) -> bool {
        !self.is_expected && self.first_seq < expected && self.is_empty()
    }

    fn check_header(&self, shard: u32, expected: SeqNo) -> Result<(), WalError> {
        let what = match self.header {
            None => "its header does not read back".to_owned(),
            Some(header) if header.version != VERSION => {
                format!("its format version is {}, this program reads {VERSION}", header.version)
            }
            Some(header) if header.shard != shard => {
                format!("it belongs to shard {}, not to shard {shard}", header.shard)
            }
            Some(header) if header.first_seq != expected => {
                format!("it begins with log entry {}, expected {expected}", header.first_seq)
            }
            Some(_) => return Ok(()),
        };
        Err(WalError::Damaged { path: self.path.clone(), offset: 0, what })
    }
}

fn read_logs(io: &dyn Io, dir: &Path, expected_logs: &[SeqNo]) -> Result<Vec<LogBytes>, WalError> {
    let read = |first_seq: SeqNo| {
        let path = dir.join(log_file_name(first_seq));
        let bytes = io.read(&path).map_err(|source| WalError::io(&path, source))?;
        // A file under another log's name is as good as one without a header.
        let header = decode_header(&bytes).filter(|header| header.first_seq == first_seq);
        Ok(LogBytes { path, first_seq, bytes, header, is_expected: expected_logs.contains(&first_seq) })
    };
    list_logs(io, dir)?.into_iter().map(read).collect()
}

fn check_expected(dir: &Path, logs: &[LogBytes], expected_logs: &[SeqNo]) -> Result<(), WalError> {
    let is_missing = |seq: &&SeqNo| !logs.iter().any(|log| log.first_seq == **seq);
    match expected_logs.iter().find(is_missing) {
        Some(&first_seq) => Err(WalError::Missing { path: dir.join(log_file_name(first_seq)), first_seq }),
        None => Ok(()),
    }
}

fn remove_unborn(io: &dyn Io, dir: &Path, logs: &mut Vec<LogBytes>) -> Result<(), WalError> {
    for unborn in logs.extract_if(.., |log| log.is_unborn()) {
        remove_durably(io, dir, &unborn.path)?;
    }
    Ok(())
}

/// Leaves out logs that end at or below the floor: nobody needs them, so damage in them is no reason to stop.
fn skip_obsolete(logs: &mut Vec<LogBytes>, after_floor: SeqNo) {
    let reaches = |log: &LogBytes| log.first_seq <= after_floor && (log.is_expected || !log.is_empty());
    if let Some(first_needed) = logs.iter().rposition(reaches) {
        logs.drain(..first_needed);
    }
}

fn remove_durably(io: &dyn Io, dir: &Path, path: &Path) -> Result<(), WalError> {
    let removed = io.remove(path).and_then(|()| io.sync_dir(dir));
    removed.map_err(|source| WalError::io(path, source))
}

fn cut(io: &dyn Io, log: &LogBytes, offset: u64) -> Result<TornTail, WalError> {
    settle(io, log, offset)?;
    Ok(TornTail { path: log.path.clone(), offset, bytes: log.bytes.len() as u64 - offset })
}

/// Makes what was read durable, before anything goes behind it: a killed process may have written entries that were
/// never synced. Gives back what was reserved: the file takes no more entries, and each crash would leave another.
fn settle(io: &dyn Io, log: &LogBytes, offset: u64) -> Result<(), WalError> {
    let settle = || {
        let file = io.open(&log.path)?;
        if log.bytes.len() as u64 > offset {
            file.set_len(offset)?;
        }
        file.sync_data()
    };
    settle().map_err(|source| WalError::io(&log.path, source))
}
