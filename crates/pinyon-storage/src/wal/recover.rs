//! Reading the logs back at start: in order, without a gap, with a torn tail cut for good (WAL-2). First everything is read and judged;
//! what is to be done is a plan, and is carried out when whoever asked agrees with all else that was found.

use super::{
    Frame, WalError,
    layout::{HEADER_BYTES, Header, VERSION, decode_header, log_file_name},
    reader::{LogEnd, LogReader, has_any_frame},
    removal::list_logs,
};
use crate::{
    Owner,
    io::{Io, aside_path, set_aside, write_file_atomically},
};
use pinyon_planted::is_planted;
use pinyon_types::SeqNo;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What to recover.
#[derive(Debug, Clone, Copy)]
pub struct RecoverRequest<'a> {
    /// Whose logs they are.
    pub owner: Owner,
    /// Entries up to this position are in segments already.
    pub floor: SeqNo,
    /// Log files that must be there.
    pub expected_logs: &'a [ExpectedLog],
    /// What is known to have been acknowledged: where less can be read, bytes are damaged, not torn.
    pub acknowledged: SeqNo,
}

/// A log file that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedLog {
    /// The position of its first entry.
    pub first_seq: SeqNo,
    /// Whose name stands in it.
    pub owner: Owner,
}

/// A log file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// The position of its first entry.
    pub first_seq: SeqNo,
    /// Whose name stands in it.
    pub owner: Owner,
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
    /// Whether the last of them was ended cleanly.
    pub is_closed: bool,
}

impl Recovered {
    /// The last log, if it was closed and never took an entry: it can be gone on with.
    pub fn unused(&self) -> Option<&LogFile> {
        self.logs.last().filter(|log| self.is_closed && log.first_seq == self.last_seq.next())
    }
}

/// What is to be done to the logs that were read, so that a new one may follow. Nothing of it was done yet.
#[derive(Debug)]
#[must_use = "the logs take no new one before this is carried out"]
pub struct Plan {
    recovered: Recovered,
    open_ends: Vec<OpenEnd>,
    /// Logs that a crash left without any entry.
    leftovers: Vec<PathBuf>,
}

/// A log that was in use.
#[derive(Debug)]
struct OpenEnd {
    path: PathBuf,
    /// The entries that nothing tells to have been synced, and where they begin.
    unsynced: Vec<u8>,
    begin: u64,
    /// What stands behind the last entry, other than zeros, and the length of the file.
    torn: Vec<u8>,
    length: u64,
}

/// Calls `visit` with every entry behind the floor, in order, and says what is to be done before a new log may follow. Changes nothing.
///
/// # Errors
/// Damage to acknowledged entries or their absence, a missing file or a gap, another shard's log, what `visit` returns, the system's.
pub fn examine<E: From<WalError>>(
    io: &dyn Io,
    dir: &Path,
    request: RecoverRequest<'_>,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Plan, E> {
    let mut logs = read_logs(io, dir, request)?;
    check_expected(dir, &logs, request.expected_logs)?;
    let leftovers = logs.extract_if(.., |log| log.is_unborn()).map(|log| log.path).collect();
    let after_floor = SeqNo::new(request.floor.get().saturating_add(1));
    skip_obsolete(&mut logs, after_floor);
    let recovered = Recovered { last_seq: request.floor, logs: Vec::new(), torn: None, is_closed: false };
    let mut plan = Plan { recovered, open_ends: Vec::new(), leftovers };
    // The first log may begin below the floor; from then on each begins where its predecessor ended.
    let mut expected = logs.first().map_or(after_floor, |log| log.first_seq.min(after_floor));
    for (at, log) in logs.iter().enumerate() {
        if log.is_leftover(expected) {
            plan.leftovers.push(log.path.clone());
            continue;
        }
        log.check_header(expected)?;
        let mut reader = LogReader::new(&log.bytes, log.first_seq);
        while let Some(frame) = reader.next_frame() {
            if frame.seq > request.floor {
                visit(frame)?;
                plan.recovered.last_seq = frame.seq;
            }
        }
        expected = reader.expected;
        let is_last = logs.iter().skip(at + 1).all(|later| later.is_empty() && later.first_seq <= expected);
        plan.end(log, &reader, is_last)?;
    }
    plan.check_acknowledged(dir, request.acknowledged)?;
    Ok(plan)
}

impl Plan {
    /// What was found.
    pub const fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Checks that nothing is missing at the end that somebody was told of.
    fn check_acknowledged(&self, dir: &Path, acknowledged: SeqNo) -> Result<(), WalError> {
        let last_seq = self.recovered.last_seq;
        if last_seq >= acknowledged || is_planted(10) {
            return Ok(());
        }
        let (path, offset) = self
            .recovered
            .logs
            .last()
            .map_or_else(|| (dir.to_owned(), 0), |log| (log.path.clone(), log.bytes));
        let what =
            format!("log entries {} to {acknowledged} were acknowledged and are not here", last_seq.next());
        Err(WalError::Damaged { path, offset, what })
    }

    /// Adds what is to be done to a log that was read to its end.
    fn end(&mut self, log: &LogBytes, reader: &LogReader<'_>, is_last: bool) -> Result<(), WalError> {
        let (path, offset, end) = (log.path.clone(), reader.offset as u64, reader.end());
        self.recovered.is_closed = end == LogEnd::Closed || (is_planted(6) && self.recovered.is_closed);
        match end {
            LogEnd::Closed => {}
            LogEnd::Open => self.open_ends.push(OpenEnd::of(log, reader)),
            LogEnd::Torn if is_last => {
                let open_end = OpenEnd::of(log, reader);
                self.recovered.torn = Some(TornTail { path, offset, bytes: open_end.length - offset });
                self.open_ends.push(open_end);
            }
            LogEnd::Torn | LogEnd::Damaged => {
                let what = format!("log entry {} does not read back", reader.expected);
                return Err(WalError::Damaged { path, offset, what });
            }
        }
        let log =
            LogFile { path: log.path.clone(), first_seq: log.first_seq, owner: log.owner, bytes: offset };
        self.recovered.logs.push(log);
        Ok(())
    }

    /// Sets aside logs that a crash left without any entry, cuts a torn tail, of which a copy is set aside, and makes durable what a
    /// killed process wrote and did not sync. Afterwards a new log may follow. Can be cut off anywhere and done again from the start.
    ///
    /// # Errors
    /// The system's.
    pub fn carry_out(self, io: &dyn Io) -> Result<Recovered, WalError> {
        for leftover in &self.leftovers {
            set_aside(io, leftover).map_err(|source| WalError::io(leftover, source))?;
        }
        for end in &self.open_ends {
            end.settle(io).map_err(|source| WalError::io(&end.path, source))?;
        }
        Ok(self.recovered)
    }
}

impl OpenEnd {
    fn of(log: &LogBytes, reader: &LogReader<'_>) -> Self {
        let begin = reader.unsynced_offset();
        let (entries, rest) = log.bytes.split_at(reader.offset);
        let torn = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Self {
            path: log.path.clone(),
            unsynced: entries.get(begin..).unwrap_or_default().to_vec(),
            begin: begin as u64,
            torn: rest.get(..torn).unwrap_or_default().to_vec(),
            length: log.bytes.len() as u64,
        }
    }

    /// Makes what was read durable, before anything goes behind it. It is written again, the same bytes: after a sync that failed the
    /// system may take pages for clean that never reached the disk, and another sync would not write them (Rebello et al., "Can
    /// Applications Recover from fsync Failures?", ATC 2020). Gives back what was reserved: the file takes no more entries, and each
    /// crash would leave another.
    fn settle(&self, io: &dyn Io) -> io::Result<()> {
        let end = self.begin + self.unsynced.len() as u64;
        if !self.torn.is_empty() {
            match write_file_atomically(io, &aside_path(io, &self.torn_path(end))?, &self.torn) {
                // Nobody was told that it was written; a full disk is no reason not to start.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                copied => copied?,
            }
        }
        let file = io.open(&self.path)?;
        if self.length > end {
            file.set_len(end)?;
        }
        if !self.unsynced.is_empty() && !is_planted(31) {
            file.write_at(&self.unsynced, self.begin)?;
        }
        file.sync_data()
    }

    /// The name under which a torn tail is kept.
    fn torn_path(&self, offset: u64) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".from-{offset}"));
        path.into()
    }
}

struct LogBytes {
    path: PathBuf,
    first_seq: SeqNo,
    bytes: Vec<u8>,
    header: Option<Header>,
    owner: Owner,
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

    fn check_header(&self, expected: SeqNo) -> Result<(), WalError> {
        let what = match self.header {
            None => "its header does not read back".to_owned(),
            Some(header) if header.version > VERSION => {
                format!("its format version is {}, this program reads up to {VERSION}", header.version)
            }
            Some(header) if header.owner != self.owner && !is_planted(2) => {
                let (found, expected) = (header.owner, self.owner);
                return Err(WalError::Foreign { path: self.path.clone(), found, expected });
            }
            Some(header) if header.first_seq != expected => {
                format!("it begins with log entry {}, expected {expected}", header.first_seq)
            }
            Some(_) => return Ok(()),
        };
        Err(WalError::Damaged { path: self.path.clone(), offset: 0, what })
    }
}

fn read_logs(io: &dyn Io, dir: &Path, request: RecoverRequest<'_>) -> Result<Vec<LogBytes>, WalError> {
    let read = |first_seq: SeqNo| {
        let path = dir.join(log_file_name(first_seq));
        let bytes = io.read(&path).map_err(|source| WalError::io(&path, source))?;
        // A file under another log's name is as good as one without a header.
        let header = decode_header(&bytes).filter(|header| header.first_seq == first_seq);
        let expected = request.expected_logs.iter().find(|expected| expected.first_seq == first_seq);
        let owner = expected.map_or(request.owner, |expected| expected.owner);
        Ok(LogBytes { path, first_seq, bytes, header, owner, is_expected: expected.is_some() })
    };
    list_logs(io, dir)?.into_iter().map(read).collect()
}

fn check_expected(dir: &Path, logs: &[LogBytes], expected_logs: &[ExpectedLog]) -> Result<(), WalError> {
    let is_missing = |expected: &&ExpectedLog| !logs.iter().any(|log| log.first_seq == expected.first_seq);
    match expected_logs.iter().find(is_missing) {
        Some(&ExpectedLog { first_seq, .. }) => {
            Err(WalError::Missing { path: dir.join(log_file_name(first_seq)), first_seq })
        }
        None => Ok(()),
    }
}

/// Leaves out logs that end at or below the floor: nobody needs them, so damage in them is no reason to stop.
fn skip_obsolete(logs: &mut Vec<LogBytes>, after_floor: SeqNo) {
    let reaches = |log: &LogBytes| log.first_seq <= after_floor && (log.is_expected || !log.is_empty());
    if let Some(first_needed) = logs.iter().rposition(reaches) {
        logs.drain(..first_needed);
    }
}
