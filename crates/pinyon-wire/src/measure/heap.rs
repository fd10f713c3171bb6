//! Memory that decoding takes for what a field holds, beside the message itself. Never less than it really is: rounded up to
//! what allocators hand out.

use super::table::Times;

/// Members in a node of a tree, and how many there are at least in each but the first.
const NODE_MEMBERS: usize = 11;
const NODE_MEMBERS_MIN: usize = 4;
/// What a node has besides: links to twelve others, and counts.
const NODE_BYTES: usize = 12 * 8 + 16;

/// Smallest part that an allocator hands out, with its head.
const PART_BYTES_MIN: usize = 32;

impl Times {
    /// Memory, in bytes, for so many elements.
    pub(super) fn heap_bytes(self, count: usize) -> usize {
        match self {
            _ if count == 0 => 0,
            Self::Once => 0,
            // Vectors begin with four and double.
            Self::Listed { bytes, .. } => part(count.max(4).next_power_of_two().saturating_mul(bytes)),
            Self::Sorted { bytes, .. } => {
                let nodes = 1 + count.div_ceil(NODE_MEMBERS_MIN);
                nodes.saturating_mul(part(NODE_MEMBERS * bytes + NODE_BYTES))
            }
            // At most seven eighths of the table are filled. While it doubles there is the old one too.
            Self::Hashed { bytes, .. } => {
                let places = (count + count.div_ceil(7) + 1).max(4).next_power_of_two();
                part(places.saturating_mul(bytes + 1)).saturating_mul(3) / 2 + PART_BYTES_MIN
            }
        }
    }
}

/// Memory for a text.
pub(super) fn text(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { part(bytes) }
}

fn part(bytes: usize) -> usize {
    bytes.saturating_add(8 + 15).max(PART_BYTES_MIN) & !15
}
