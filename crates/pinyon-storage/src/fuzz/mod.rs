//! Files that somebody changed, with checksums that may fit again: readers refuse them by an error that names the file, or read what
//! they say. None panics, hangs, or takes memory out of proportion.

mod log;
mod manifest_file;
mod metadata;
mod segment_file;
mod witness_file;

use crate::{
    Owner,
    io::{MemoryIo, SharedIo},
};
use pinyon_types::UniqueId;
use std::{path::Path, sync::Arc};

const DIR: &str = "/fuzz";
const OWNER: Owner = Owner { number: 2, index: UniqueId::new([0xa1; 16]), shard: UniqueId::new([0xb2; 16]) };

/// A file system with one directory and these files in it.
fn disk_of(files: &[(&str, &[u8])]) -> SharedIo {
    let io: SharedIo = Arc::new(MemoryIo::new());
    io.create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files {
        let file = io.create(&Path::new(DIR).join(name)).unwrap();
        file.write_at(bytes, 0).unwrap();
    }
    io
}

/// Puts the sum over some pieces of the bytes where it belongs, if all of that is there.
fn mend(bytes: &mut [u8], pieces: &[std::ops::Range<usize>], at: usize) {
    let sum =
        pieces.iter().try_fold(0, |sum, piece| Some(crc32c::crc32c_append(sum, bytes.get(piece.clone())?)));
    if let (Some(sum), Some(place)) = (sum, bytes.get_mut(at..at.saturating_add(4))) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

fn number_at<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    Some(u64::from_le_bytes(number))
}

/// Mends a header of [`crate::owner`].
fn mend_header(bytes: &mut [u8]) {
    let at = if number_at::<4>(bytes, 8) == Some(1) { 24 } else { 60 };
    mend(bytes, std::slice::from_ref(&(0..at)), at);
}
