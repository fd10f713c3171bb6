//! Appending to a log: frames are buffered, and one write with one sync makes all of them durable.

use super::{
    WalError,
    layout::{
        FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, KIND_END, PAYLOAD_BYTES_MAX, encode_frame, encode_header,
        log_file_name,
    },
};
use crate::{
    Owner,
    io::{File, Io, SharedIo, free_unfinished_path, is_full, put_in_place},
};
use pinyon_types::SeqNo;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a new log file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Whose log it is.
    pub owner: Owner,
    /// The position of its first entry.
    pub first_seq: SeqNo,
}

/// How a log file grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalOptions {
    /// Space is reserved in steps of this many bytes, so that most syncs need not write the file's length; smaller ones at first,
    /// so that a log with little in it takes little.
    pub preallocate_bytes: u64,
    /// Whether a whole step is reserved before the header is written, because many entries are coming.
    pub is_busy: bool,
}

/// The first step in which space is reserved, unless the log is a busy one.
const FIRST_STEP_BYTES: u64 = 64 << 10;
/// Small steps grow up to this; what is longer is not copied either, so that no commit waits for more.
const SMALL_STEPS_BYTES_MAX: u64 = 1 << 20;
/// In so small steps a log grows on a disk that is nearly full.
const LEAST_STEP_BYTES: u64 = 4 << 10;
/// Memory for entries that is kept between groups when the last of them needed much less.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// A log file that is being written.
#[derive(Debug)]
pub struct Wal {
    io: SharedIo,
    /// Open while entries come.
    file: Option<Box<dyn File>>,
    path: PathBuf,
    options: WalOptions,
    buffer: Vec<u8>,
    buffered_from: SeqNo,
    next_seq: SeqNo,
    end: u64,
    allocated: u64,
    is_sparing: bool,
    /// Whether the file still holds the closing frame of a run in which it took no entry.
    is_ended: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Writing,
    Closed,
    Poisoned,
}

impl Wal {
    /// Begins a log file; it is durable, its name included, when this returns.
    ///
    /// # Errors
    /// The file exists, or the system's.
    pub fn create(io: &SharedIo, dir: &Path, head: LogHead, options: WalOptions) -> Result<Self, WalError> {
        let path = dir.join(log_file_name(head.first_seq));
        let failed = |source| WalError::io(&path, source);
        let file = io.create(&path).map_err(failed)?;
        let begun = begin(&**io, dir, &*file, (head, options));
        let allocated = begun.map_err(|source| {
            // If this fails too, recovery knows a log without entries when it sees one.
            let _ = io.remove(&path);
            failed(source)
        })?;
        Ok(Self { file: Some(file), allocated, is_ended: false, ..Self::reopen(io, dir, head, options) })
    }

    /// Goes on with a log that was closed and never took an entry, so that what nobody writes to costs no write at a start. Touches
    /// nothing: its closing frame goes with the first entry.
    pub fn reopen(io: &SharedIo, dir: &Path, head: LogHead, options: WalOptions) -> Self {
        Self {
            io: Arc::clone(io),
            file: None,
            path: dir.join(log_file_name(head.first_seq)),
            options,
            buffer: Vec::new(),
            buffered_from: head.first_seq,
            next_seq: head.first_seq,
            end: HEADER_BYTES,
            allocated: HEADER_BYTES,
            is_sparing: false,
            is_ended: true,
            state: State::Writing,
        }
    }

    /// Whether it never took an entry.
    pub const fn is_empty(&self) -> bool {
        self.end == HEADER_BYTES && self.buffer.is_empty()
    }

    /// Buffers an entry, its payload given in pieces, and returns its position. Nothing is durable before [`Self::commit`].
    ///
    /// # Errors
    /// A payload over the limit, or a poisoned or closed log; nothing was buffered.
    ///
    /// # Panics
    /// On kind 0xFF, which ends a log.
    pub fn append(&mut self, kind: u8, payload: &[&[u8]]) -> Result<SeqNo, WalError> {
        self.check_writing()?;
        assert!(kind != KIND_END, "kind 0xff is the format's own");
        let payload_bytes = payload.iter().map(|piece| piece.len()).sum();
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(WalError::TooLarge { bytes: payload_bytes, bytes_max: PAYLOAD_BYTES_MAX });
        }
        let seq = self.next_seq;
        let head = FrameHead { kind, payload_bytes, seq, synced_seq: self.synced_seq() };
        self.buffer.reserve(FRAME_HEAD_BYTES + payload_bytes + 8);
        encode_frame(&mut self.buffer, head, payload);
        self.next_seq = seq.next();
        Ok(seq)
    }

    /// Makes every buffered entry durable (WAL-1).
    ///
    /// # Errors
    /// When space cannot be reserved, the buffered entries are dropped and the log goes on. When the write or the sync
    /// fails, nobody knows what the disk holds: the log is poisoned (WAL-3).
    pub fn commit(&mut self) -> Result<(), WalError> {
        self.check_writing()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.reserve() {
            self.discard();
            return Err(self.error(source));
        }
        if let Err(source) = self.write() {
            self.state = State::Poisoned;
            return Err(self.error(source));
        }
        self.end += self.buffer.len() as u64;
        self.buffered_from = self.next_seq;
        self.clear_buffer();
        Ok(())
    }

    /// Lets go of the file, of memory and of what is reserved beyond a first step until the next entry comes. Everything committed is
    /// durable already.
    pub fn rest(&mut self) {
        if !self.buffer.is_empty() || self.state == State::Poisoned {
            return;
        }
        let kept = self.end.next_multiple_of(FIRST_STEP_BYTES);
        // Where it cannot be given back it stays reserved.
        if kept < self.allocated && self.open().is_ok_and(|file| file.set_len(kept).is_ok()) {
            self.allocated = kept;
        }
        self.file = None;
        self.buffer = Vec::new();
    }

    /// Whether only small steps are reserved from now on, because room is scarce.
    pub const fn spare_room(&mut self, is_sparing: bool) {
        self.is_sparing = is_sparing;
    }

    /// Whether so many entries came that whole steps are reserved.
    pub const fn is_busy(&self) -> bool {
        self.options.preallocate_bytes > FIRST_STEP_BYTES && self.allocated >= self.options.preallocate_bytes
    }

    /// Drops what is buffered; its positions will be given again.
    pub fn discard(&mut self) {
        self.clear_buffer();
        self.next_seq = self.buffered_from;
    }

    /// Ends the log: a closing frame lets later damage of its last entries be told from a torn tail. Shrinks the file
    /// to what it holds. Nothing may be appended afterwards.
    ///
    /// # Errors
    /// The system's; every committed entry is still durable.
    pub fn close(&mut self) -> Result<(), WalError> {
        self.check_writing()?;
        self.discard();
        if self.is_ended {
            self.state = State::Closed;
            return Ok(());
        }
        self.is_sparing = true;
        let head =
            FrameHead { kind: KIND_END, payload_bytes: 0, seq: self.next_seq, synced_seq: self.synced_seq() };
        encode_frame(&mut self.buffer, head, &[]);
        self.commit()?;
        self.state = State::Closed;
        let end = self.end;
        let shrunk = self.open().and_then(|file| file.set_len(end).and_then(|()| file.sync_data()));
        self.file = None;
        shrunk.map_err(|source| self.error(source))
    }

    /// Whether a write or sync failed (WAL-3).
    pub fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// The position that the next entry gets.
    pub const fn next_seq(&self) -> SeqNo {
        self.next_seq
    }

    /// Bytes of committed entries and header.
    pub const fn file_bytes(&self) -> u64 {
        self.end
    }

    /// The log file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) const fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    #[cfg(test)]
    pub(super) const fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The last durable position.
    fn synced_seq(&self) -> SeqNo {
        SeqNo::new(self.buffered_from.get().saturating_sub(1))
    }

    fn reserve(&mut self) -> io::Result<()> {
        let needed = self.end + self.buffer.len() as u64;
        let step = if self.is_sparing { FIRST_STEP_BYTES } else { self.options.preallocate_bytes };
        let length = length_to_reserve(self.allocated, needed, step);
        if self.is_ended {
            self.open()?.set_len(HEADER_BYTES)?;
            self.is_ended = false;
        }
        if length == self.allocated {
            return self.open().map(drop);
        }
        let moves =
            !self.is_sparing && self.allocated < step && step <= length && self.end <= SMALL_STEPS_BYTES_MAX;
        let grown = if moves { self.move_to_one_piece(length) } else { self.open()?.allocate(length) };
        self.allocated = match grown {
            // Where a whole step does not fit any more, what is needed may.
            Err(error) if is_full(&error) && self.state == State::Writing => {
                let least = needed.next_multiple_of(LEAST_STEP_BYTES).min(length);
                self.open()?.allocate(least)?;
                least
            }
            grown => grown.map(|()| length)?,
        };
        Ok(())
    }

    /// Puts what there is into a new file of the same name that is reserved in one piece, because many entries are coming: ext4 has room
    /// for four pieces beside the file's length, and with more every sync writes one block more (16 writers were 20 % slower).
    fn move_to_one_piece(&mut self, length: u64) -> io::Result<()> {
        let unfinished = free_unfinished_path(&*self.io, &self.path)?;
        let copied = self.copy_to(&unfinished, length);
        if copied.is_err() {
            let _ = self.io.remove(&unfinished);
        }
        copied?;
        // From here on nobody knows which of the two files a power cut leaves, and what follows is in the new one only.
        self.file = None;
        let placed = put_in_place(&*self.io, &unfinished, &self.path);
        if placed.is_err() {
            self.state = State::Poisoned;
        }
        placed
    }

    fn copy_to(&mut self, path: &Path, length: u64) -> io::Result<()> {
        let mut bytes = vec![0; self.end as usize];
        if self.open()?.read_at(&mut bytes, 0)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let copy = self.io.create(path)?;
        copy.allocate(length)?;
        copy.write_at(&bytes, 0)?;
        copy.sync_data()
    }

    fn write(&mut self) -> io::Result<()> {
        let file = Self::opened(&*self.io, &self.path, &mut self.file)?;
        file.write_at(&self.buffer, self.end)?;
        file.sync_data()
    }

    fn open(&mut self) -> io::Result<&dyn File> {
        Self::opened(&*self.io, &self.path, &mut self.file)
    }

    fn opened<'a>(io: &dyn Io, path: &Path, file: &'a mut Option<Box<dyn File>>) -> io::Result<&'a dyn File> {
        if file.is_none() {
            *file = Some(io.open(path)?);
        }
        file.as_deref().ok_or_else(|| io::Error::other("the log is not open"))
    }

    /// Gives back what a large group needed when the groups that follow do not: those that are as large again find it.
    fn clear_buffer(&mut self) {
        let is_too_large = self.buffer.capacity() > BUFFER_KEPT_BYTES.max(self.buffer.len() * 4);
        self.buffer.clear();
        if is_too_large {
            self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        }
    }

    const fn check_writing(&self) -> Result<(), WalError> {
        match self.state {
            State::Writing => Ok(()),
            State::Closed => Err(WalError::Closed),
            State::Poisoned => Err(WalError::Poisoned),
        }
    }

    fn error(&self, source: io::Error) -> WalError {
        WalError::io(&self.path, source)
    }
}

/// How long a file is to be of which `allocated` bytes are reserved and `needed` are needed.
pub(super) fn length_to_reserve(allocated: u64, needed: u64, step: u64) -> u64 {
    let step = step.max(1);
    if needed <= allocated {
        return allocated;
    }
    let small = needed.div_ceil(FIRST_STEP_BYTES).next_power_of_two() * FIRST_STEP_BYTES;
    if small <= SMALL_STEPS_BYTES_MAX.min(step) { small } else { needed.next_multiple_of(step) }
}

/// Returns how many bytes are reserved.
fn begin(
    io: &dyn Io,
    dir: &Path,
    file: &dyn File,
    (head, options): (LogHead, WalOptions),
) -> io::Result<u64> {
    let allocated = match options.is_busy.then(|| file.allocate(options.preallocate_bytes)) {
        None => HEADER_BYTES,
        // Entries that find no room are refused; that there is a log must not need more than its header.
        Some(Err(error)) if is_full(&error) => HEADER_BYTES,
        Some(reserved) => reserved.map(|()| options.preallocate_bytes)?,
    };
    file.write_at(&encode_header(head.owner, head.first_seq), 0)?;
    file.sync_data()?;
    io.sync_dir(dir)?;
    Ok(allocated)
}
