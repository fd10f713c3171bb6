//! Appending to a log: frames are buffered, and one write with one sync makes all of them durable.

use super::{
    WalError,
    layout::{
        FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, KIND_END, PAYLOAD_BYTES_MAX, encode_frame, encode_header,
        log_file_name,
    },
};
use crate::io::{File, Io, SharedIo};
use pinyon_types::SeqNo;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What a new log file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Whose log it is.
    pub shard: u32,
    /// The position of its first entry.
    pub first_seq: SeqNo,
}

/// How a log file grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalOptions {
    /// Space is reserved in steps of this many bytes, so that most syncs need not write the file's length.
    pub preallocate_bytes: u64,
}

/// A log file that is being written.
#[derive(Debug)]
pub struct Wal {
    file: Box<dyn File>,
    path: PathBuf,
    options: WalOptions,
    buffer: Vec<u8>,
    buffered_from: SeqNo,
    next_seq: SeqNo,
    end: u64,
    allocated: u64,
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
        let allocated = options.preallocate_bytes.max(HEADER_BYTES);
        if let Err(source) = begin(&**io, dir, &*file, head, allocated) {
            // If this fails too, recovery knows a log without entries when it sees one.
            let _ = io.remove(&path);
            return Err(failed(source));
        }
        Ok(Self {
            file,
            path,
            options,
            buffer: Vec::new(),
            buffered_from: head.first_seq,
            next_seq: head.first_seq,
            end: HEADER_BYTES,
            allocated,
            state: State::Writing,
        })
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
        let written = self.file.write_at(&self.buffer, self.end).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.state = State::Poisoned;
            return Err(self.error(source));
        }
        self.end += self.buffer.len() as u64;
        self.buffered_from = self.next_seq;
        self.buffer.clear();
        Ok(())
    }

    /// Drops what is buffered; its positions will be given again.
    pub fn discard(&mut self) {
        self.buffer.clear();
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
        let head =
            FrameHead { kind: KIND_END, payload_bytes: 0, seq: self.next_seq, synced_seq: self.synced_seq() };
        encode_frame(&mut self.buffer, head, &[]);
        self.commit()?;
        self.state = State::Closed;
        let shrunk = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
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

    /// The last durable position.
    fn synced_seq(&self) -> SeqNo {
        SeqNo::new(self.buffered_from.get().saturating_sub(1))
    }

    fn reserve(&mut self) -> io::Result<()> {
        let needed = self.end + self.buffer.len() as u64;
        if needed > self.allocated {
            let allocated = needed.next_multiple_of(self.options.preallocate_bytes.max(1));
            self.file.allocate(allocated)?;
            self.allocated = allocated;
        }
        Ok(())
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

fn begin(io: &dyn Io, dir: &Path, file: &dyn File, head: LogHead, allocated: u64) -> io::Result<()> {
    file.allocate(allocated)?;
    file.write_at(&encode_header(head.shard, head.first_seq), 0)?;
    file.sync_data()?;
    io.sync_dir(dir)
}
