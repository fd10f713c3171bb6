//! Whose file it is. All indexes have shards 0 to n, so that a number does not tell two of them apart: a file that came from elsewhere
//! would be served in another's place. So every header carries random names.
//!
//! Header of logs and segments, 64 bytes: 0 magic, 8 version u32, 12 shard u32, 16 a number of the file's own u64, 24 index's name,
//! 40 shard's name, 56 zeros u32, 60 CRC-32C u32 of bytes 0..60. Version 1 has no names: 24 CRC-32C u32 of bytes 0..24, zeros.

use crate::bytes::{BytesError, Reader};
use pinyon_types::UniqueId;
use std::fmt;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 64;
/// The version that is written.
pub const VERSION: u32 = 2;
/// Where version 1 has its checksum.
const CHECKSUM_AT_OF_1: usize = 24;
const CHECKSUM_AT: usize = 60;

/// Whose file it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The shard's number within its index.
    pub number: u32,
    /// The index's name; none in files of version 1.
    pub index: UniqueId,
    /// The shard's name, which a shard that is put in its place does not get; none in files of version 1.
    pub shard: UniqueId,
}

impl Owner {
    /// The owner of files of version 1, which tell no more than the number.
    pub const fn numbered(number: u32) -> Self {
        Self { number, index: UniqueId::NONE, shard: UniqueId::NONE }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, index, shard } = self;
        if index.is_none() && shard.is_none() {
            return write!(f, "shard {number} of an index without a name");
        }
        write!(f, "shard {number} ({shard}) of index {index}")
    }
}

/// What stands in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) owner: Owner,
    /// The file's own number: its first position, or that of the segment.
    pub(crate) number: u64,
}

/// The header of a file, of the version that is written.
pub(crate) fn encode_header(magic: &[u8; 8], owner: Owner, number: u64) -> Vec<u8> {
    let mut header = magic.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&owner.number.to_le_bytes());
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&owner.index.to_bytes());
    header.extend_from_slice(&owner.shard.to_bytes());
    header.resize(CHECKSUM_AT, 0);
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// Reads a header. One of a later version is known by the front that all have in common and by nothing else.
pub(crate) fn decode_header(magic: &[u8; 8], bytes: &[u8]) -> Result<Header, BytesError> {
    let mut reader = Reader::new(bytes);
    expect(reader.take(8)? == magic, 0, "the magic of the file's kind")?;
    let version = reader.u32()?;
    let owner = Owner::numbered(reader.u32()?);
    let number = reader.u64()?;
    match version {
        0 => Err(BytesError { offset: 8, expected: "a version" }),
        1 => {
            check_sum(&mut reader, bytes, CHECKSUM_AT_OF_1)?;
            let reserved = reader.take(HEADER_BYTES - CHECKSUM_AT_OF_1 - 4)?;
            expect(reserved.iter().all(|&byte| byte == 0), CHECKSUM_AT_OF_1 + 4, "zeros")?;
            Ok(Header { version, owner, number })
        }
        _ => {
            let (index, shard) = (name(&mut reader)?, name(&mut reader)?);
            let reserved = reader.u32()?;
            check_sum(&mut reader, bytes, CHECKSUM_AT)?;
            expect(version != VERSION || reserved == 0, CHECKSUM_AT - 4, "zeros")?;
            Ok(Header { version, owner: Owner { index, shard, ..owner }, number })
        }
    }
}

fn name(reader: &mut Reader<'_>) -> Result<UniqueId, BytesError> {
    let mut name = [0; UniqueId::BYTES];
    name.copy_from_slice(reader.take(UniqueId::BYTES)?);
    Ok(UniqueId::new(name))
}

fn check_sum(reader: &mut Reader<'_>, bytes: &[u8], at: usize) -> Result<(), BytesError> {
    let covered = bytes.get(..at).unwrap_or_default();
    expect(reader.u32()? == crc32c::crc32c(covered), at, "the header's checksum")
}

const fn expect(holds: bool, offset: usize, expected: &'static str) -> Result<(), BytesError> {
    if holds { Ok(()) } else { Err(BytesError { offset, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; 8] = b"PNYTEST\0";
    const OWNER: Owner = Owner { number: 3, index: UniqueId::new([7; 16]), shard: UniqueId::new([9; 16]) };

    #[test]
    fn a_header_says_whose_file_it_is_and_every_byte_of_it_counts() {
        let whole = encode_header(MAGIC, OWNER, 41);
        assert_eq!(whole.len(), HEADER_BYTES);
        assert_eq!(decode_header(MAGIC, &whole).unwrap(), Header { version: 2, owner: OWNER, number: 41 });
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(decode_header(MAGIC, &damaged).is_err(), "byte {at}");
            assert!(decode_header(MAGIC, &whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn there_is_no_version_0() {
        let mut header = encode_header(MAGIC, OWNER, 41);
        header[8] = 0;
        let checksum = crc32c::crc32c(&header[..CHECKSUM_AT]);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode_header(MAGIC, &header).unwrap_err().expected, "a version");
    }

    #[test]
    fn a_header_of_version_1_tells_a_number_only() {
        let mut old = MAGIC.to_vec();
        old.extend_from_slice(&1_u32.to_le_bytes());
        old.extend_from_slice(&3_u32.to_le_bytes());
        old.extend_from_slice(&41_u64.to_le_bytes());
        old.extend_from_slice(&crc32c::crc32c(&old).to_le_bytes());
        old.resize(HEADER_BYTES, 0);
        let read = decode_header(MAGIC, &old).unwrap();
        assert_eq!(read, Header { version: 1, owner: Owner::numbered(3), number: 41 });
        for at in 0..old.len() {
            let mut damaged = old.clone();
            damaged[at] ^= 1;
            assert!(decode_header(MAGIC, &damaged).is_err(), "byte {at}");
        }
    }
}
