//! Reading a log file: frame after frame, and what is wrong where there is none.

use super::layout::{FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, KIND_END, decode_frame, decode_frame_head};
use pinyon_types::SeqNo;

/// One entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its position.
    pub seq: SeqNo,
    /// What its writer called it.
    pub kind: u8,
    /// Its bytes, as their writer gave them.
    pub payload: &'a [u8],
}

/// How a log file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// With the end of the file, or zeros up to it: the log was in use.
    Open,
    /// With a closing frame.
    Closed,
    /// With bytes that are no frame, and nothing tells that they were ever acknowledged.
    Torn,
    /// With bytes that are no frame, although they had been acknowledged.
    Damaged,
}

/// Walks the frames of one file.
#[derive(Debug)]
pub(crate) struct LogReader<'a> {
    bytes: &'a [u8],
    pub(crate) offset: usize,
    pub(crate) expected: SeqNo,
    /// The highest position that any entry so far tells to have been durable when it was written.
    synced: SeqNo,
    is_closed: bool,
}

impl<'a> LogReader<'a> {
    /// A reader behind the header.
    pub(crate) const fn new(bytes: &'a [u8], first_seq: SeqNo) -> Self {
        let (offset, synced) = (HEADER_BYTES as usize, SeqNo::ZERO);
        Self { bytes, offset, expected: first_seq, synced, is_closed: false }
    }

    /// The next entry, if a valid one with the expected position stands here.
    pub(crate) fn next_frame(&mut self) -> Option<Frame<'a>> {
        let (head, payload, length) = decode_frame(self.rest())?;
        if self.is_closed || head.seq != self.expected {
            return None;
        }
        self.offset += length;
        self.synced = self.synced.max(head.synced_seq);
        if head.kind == KIND_END {
            self.is_closed = true;
            return None;
        }
        self.expected = head.seq.next();
        Some(Frame { seq: head.seq, kind: head.kind, payload })
    }

    /// Where the entries begin that none of those read so far tells to have been durable.
    pub(crate) fn unsynced_offset(&self) -> usize {
        let mut offset = HEADER_BYTES as usize;
        // Their checksums were right.
        while let Some(head) = self.bytes.get(offset..self.offset).and_then(decode_frame_head) {
            if head.seq > self.synced {
                break;
            }
            offset += FRAME_HEAD_BYTES + head.payload_bytes.next_multiple_of(8);
        }
        offset
    }

    /// What stands where [`Self::next_frame`] found no entry.
    pub(crate) fn end(&self) -> LogEnd {
        let rest = self.rest();
        if rest.iter().all(|&byte| byte == 0) {
            return if self.is_closed { LogEnd::Closed } else { LogEnd::Open };
        }
        // Nothing is ever written behind a closing frame, and a whole frame is never out of its turn.
        let is_damaged = self.is_closed || decode_frame(rest).is_some() || self.has_witness();
        if is_damaged { LogEnd::Damaged } else { LogEnd::Torn }
    }

    /// Whether a later frame claims the expected entry as durable. Positions that no writer of this file could have
    /// given are not believed: they are frames inside a payload.
    fn has_witness(&self) -> bool {
        let expected = self.expected.get();
        let frames_max = (self.rest().len() / FRAME_HEAD_BYTES) as u64;
        has_frame(self.rest(), |head| {
            let (seq, synced) = (head.seq.get(), head.synced_seq.get());
            synced >= expected && seq > synced && seq - expected <= frames_max
        })
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }
}

/// Whether a file without a valid header holds any frame.
pub(crate) fn has_any_frame(file: &[u8]) -> bool {
    has_frame(file.get(HEADER_BYTES as usize..).unwrap_or_default(), |_| true)
}

/// Whether a file holds any entry, with a valid header or without.
pub(crate) fn has_any_entry(file: &[u8]) -> bool {
    has_frame(file.get(HEADER_BYTES as usize..).unwrap_or_default(), |head| head.kind != KIND_END)
}

/// Whether a valid frame that `is_wanted` stands anywhere. Heads are looked at first, so that checksums are computed
/// for few of them.
fn has_frame(bytes: &[u8], is_wanted: impl Fn(FrameHead) -> bool) -> bool {
    let places = (0..bytes.len()).step_by(8).filter_map(|offset| bytes.get(offset..));
    let mut promising = places.filter(|place| decode_frame_head(place).is_some_and(&is_wanted));
    promising.any(|place| decode_frame(place).is_some())
}
