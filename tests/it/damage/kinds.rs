//! What is done to files.

use super::files::below;
use pinyon_types::SeededRng;

/// What is done to a file, or to a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Bit,
    Byte,
    Zeros,
    Shortened,
    Longer,
    Emptied,
    Missing,
    /// Its content is that of another file of its kind.
    Swapped,
    /// It is as it was earlier.
    Stale,
    /// A copy of it lies beside it, under a name that another of its kind could have.
    Doubled,
    /// It is that of another data directory.
    Foreign,
    /// A directory has its name.
    Directory,
}

impl Damage {
    /// Whether it takes nothing but the bytes that are there.
    pub const fn is_of_bytes(self) -> bool {
        matches!(self, Self::Bit | Self::Byte | Self::Zeros | Self::Shortened | Self::Longer | Self::Emptied)
    }

    /// Does it to the bytes of a file. Most hits are where something was written.
    pub fn hit(self, rng: &mut SeededRng, bytes: &mut Vec<u8>) {
        let written = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let within = if below(rng, 8) == 0 { bytes.len() } else { written };
        let at = below(rng, within.max(1));
        match self {
            Self::Emptied => bytes.clear(),
            Self::Longer => bytes.extend([0x5a; 100]),
            Self::Shortened => bytes.truncate(at),
            _ if bytes.is_empty() => {}
            Self::Bit => bytes[at] ^= 1 << below(rng, 8),
            Self::Byte => bytes[at] = bytes[at].wrapping_add(1 + u8::try_from(below(rng, 255)).unwrap()),
            Self::Zeros => {
                let end = (at + 512).min(bytes.len());
                bytes[at..end].fill(0);
            }
            _ => unreachable!("not of bytes: {self:?}"),
        }
    }
}
