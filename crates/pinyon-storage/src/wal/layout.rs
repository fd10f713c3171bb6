//! The bytes of a log file: a header of 64 bytes, then frames that start at multiples of 8.
//!
//! Header: that of [`crate::owner`], magic "PNYLOG\0\0", its number the first seq.
//! Frame: 0 magic u32, 4 kind u8 and three zeros, 8 payload length u32, 12 CRC-32C u32 over bytes 0..12, 16..32 and the
//! payload, 16 seq u64, 24 synced seq u64, 32 payload, zeros to a multiple of 8.

use crate::{
    bytes::Reader,
    owner::{self, Owner},
};
use pinyon_types::{SeqNo, limits};

pub(crate) use owner::VERSION;

pub(crate) const HEADER_BYTES: u64 = owner::HEADER_BYTES as u64;
pub(crate) const FRAME_HEAD_BYTES: usize = 32;
pub(crate) const PAYLOAD_BYTES_MAX: usize = limits::BATCH_BYTES_MAX;
/// Kind of the frame that ends a log cleanly; it has no payload and takes no position.
pub(crate) const KIND_END: u8 = 0xff;

/// Positions beyond this one are not believed, so that counting on from any other cannot overflow.
pub(crate) const SEQ_MAX: SeqNo = SeqNo::new(u64::MAX / 2);

const FILE_MAGIC: &[u8; 8] = b"PNYLOG\0\0";
const FRAME_MAGIC: u32 = 0x4652_4d31;

/// The name of the log file whose first entry is `first_seq`.
pub fn log_file_name(first_seq: SeqNo) -> String {
    format!("wal-{:020}.log", first_seq.get())
}

/// The first position in the name of a log file.
pub(crate) fn first_seq_of_name(name: &str) -> Option<SeqNo> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let first_seq = SeqNo::new(digits.parse().ok().filter(|_| is_number)?);
    (first_seq <= SEQ_MAX).then_some(first_seq)
}

pub(crate) fn encode_header(owner: Owner, first_seq: SeqNo) -> Vec<u8> {
    owner::encode_header(FILE_MAGIC, owner, first_seq.get())
}

/// What a valid header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) owner: Owner,
    pub(crate) first_seq: SeqNo,
}

pub(crate) fn decode_header(bytes: &[u8]) -> Option<Header> {
    let owner::Header { version, owner, number } = owner::decode_header(FILE_MAGIC, bytes).ok()?;
    let first_seq = SeqNo::new(number);
    (first_seq <= SEQ_MAX).then_some(Header { version, owner, first_seq })
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: u8,
    pub(crate) payload_bytes: usize,
    pub(crate) seq: SeqNo,
    pub(crate) synced_seq: SeqNo,
}

/// Appends a frame to `out`. The payload comes in pieces, so that nobody has to join them first.
pub(crate) fn encode_frame(out: &mut Vec<u8>, head: FrameHead, payload: &[&[u8]]) {
    let before = [FRAME_MAGIC.to_le_bytes(), [head.kind, 0, 0, 0], (head.payload_bytes as u32).to_le_bytes()];
    let after = [head.seq.get().to_le_bytes(), head.synced_seq.get().to_le_bytes()];
    let (before, after) = (before.as_flattened(), after.as_flattened());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(before), after);
    let checksum = payload.iter().fold(checksum, |checksum, piece| crc32c::crc32c_append(checksum, piece));
    out.extend_from_slice(before);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(after);
    payload.iter().for_each(|piece| out.extend_from_slice(piece));
    out.resize(out.len().next_multiple_of(8), 0);
}

/// Reads what a frame's head at the front of `bytes` says, without knowing whether it is valid.
pub(crate) fn decode_frame_head(bytes: &[u8]) -> Option<FrameHead> {
    let mut reader = Reader::new(bytes);
    let (magic, kind) = (reader.u32().ok()?, reader.u8().ok()?);
    let reserved = reader.take(3).ok()?;
    let payload_bytes = reader.u32().ok()? as usize;
    if magic != FRAME_MAGIC || reserved != [0; 3] || payload_bytes > PAYLOAD_BYTES_MAX {
        return None;
    }
    reader.u32().ok()?;
    let (seq, synced_seq) = (SeqNo::new(reader.u64().ok()?), SeqNo::new(reader.u64().ok()?));
    (seq <= SEQ_MAX).then_some(FrameHead { kind, payload_bytes, seq, synced_seq })
}

/// Reads the valid frame at the front of `bytes`: its head, its payload, and its length with padding.
pub(crate) fn decode_frame(bytes: &[u8]) -> Option<(FrameHead, &[u8], usize)> {
    let head = decode_frame_head(bytes)?;
    let mut reader = Reader::new(bytes);
    let before = reader.take(12).ok()?;
    let checksum = reader.u32().ok()?;
    let after = reader.take(16).ok()?;
    let payload = reader.take(head.payload_bytes).ok()?;
    let padding = reader.take(head.payload_bytes.next_multiple_of(8) - head.payload_bytes).ok()?;
    let computed = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), after), payload);
    let is_whole = computed == checksum && padding.iter().all(|&byte| byte == 0);
    is_whole.then_some((head, payload, reader.offset()))
}
