//! Changes to protobuf messages, field by field, so that lengths fit again; and bytes.

use crate::bytes::{self, below, happens, pick};
use pinyon_types::SeededRng;

/// Messages inside messages that are looked into.
const DEPTH_MAX: usize = 8;

/// A field of a message: its number with the kind, and its value as it stands in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    key: u64,
    /// Without the length that stands before the third kind.
    value: Vec<u8>,
}

/// Kind of values with a length.
const LENGTH: u64 = 2;

/// A changed copy of one of some messages.
///
/// # Panics
/// There are none.
pub fn changed(rng: &mut SeededRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let seed = pick(rng, seeds);
    let mut bytes = match split(seed) {
        Some(mut fields) if happens(rng, 4, 5) => {
            for _ in 0..=rng.below(3) {
                change(rng, &mut fields, seeds, 0);
            }
            join(&fields)
        }
        _ => seed.clone(),
    };
    if happens(rng, 1, 3) {
        bytes::change(rng, &mut bytes, seeds);
    }
    bytes
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at).min(63);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn split(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (key, read) = varint(bytes)?;
        bytes = &bytes[read..];
        let length = match key & 7 {
            0 => varint(bytes)?.1,
            1 => 8,
            LENGTH => {
                let (length, read) = varint(bytes)?;
                bytes = &bytes[read..];
                usize::try_from(length).ok()?
            }
            5 => 4,
            _ => return None,
        };
        let (value, rest) = bytes.split_at_checked(length)?;
        fields.push(Field { key, value: value.to_vec() });
        bytes = rest;
    }
    Some(fields)
}

fn join(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { key, value } in fields {
        put_varint(&mut bytes, *key);
        if key & 7 == LENGTH {
            put_varint(&mut bytes, value.len() as u64);
        }
        bytes.extend_from_slice(value);
    }
    bytes
}

fn change(rng: &mut SeededRng, fields: &mut Vec<Field>, seeds: &[Vec<u8>], depth: usize) {
    let place = below(rng, fields.len());
    let Some(field) = fields.get_mut(place) else {
        fields.push(made_up(rng));
        return;
    };
    let inner = split(&field.value).filter(|inner| !inner.is_empty() && field.key & 7 == LENGTH);
    if let Some(mut inner) = inner.filter(|_| depth < DEPTH_MAX && happens(rng, 2, 3)) {
        change(rng, &mut inner, seeds, depth + 1);
        field.value = join(&inner);
        return;
    }
    match rng.below(8) {
        0 => drop(fields.remove(place)),
        1 => field.key = (field.key & !7) | rng.below(8),
        2 => field.key = rng.below(24) << 3 | (field.key & 7),
        3 => field.value = pick(rng, seeds).clone(),
        4 => nest(rng, field),
        5 => fields.insert(place, made_up(rng)),
        6 => {
            let field = field.clone();
            let times = *pick(rng, &[1, 2, 60, 1_100]);
            fields.splice(
                place..place,
                std::iter::repeat_n(field, times.min(60_000 / (1 + fields[place].value.len()))),
            );
        }
        _ => bytes::change(rng, &mut field.value, seeds),
    }
}

fn made_up(rng: &mut SeededRng) -> Field {
    let key = rng.below(20) << 3 | rng.below(6);
    let value = rng.next_u64().to_le_bytes()[..below(rng, 9)].to_vec();
    Field { key, value }
}

/// Puts the field into itself many times: messages that may hold themselves have to end somewhere.
fn nest(rng: &mut SeededRng, field: &mut Field) {
    for _ in 0..*pick(rng, &[1, 20, 150]) {
        field.value = join(std::slice::from_ref(field));
        if field.key & 7 != LENGTH {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were() {
        let inner = Field { key: 1 << 3 | LENGTH, value: b"abc".to_vec() };
        let fields = [
            Field { key: 300 << 3, value: vec![0xac, 0x02] },
            Field { key: 7 << 3 | LENGTH, value: join(&[inner.clone(), inner]) },
            Field { key: 2 << 3 | 5, value: vec![1, 2, 3, 4] },
            Field { key: 2 << 3 | 1, value: vec![9; 8] },
        ];
        assert_eq!(split(&join(&fields)).unwrap(), fields);
        assert!(split(&[0x0a, 0x05, 0]).is_none() && split(&[0xff; 20]).is_none());
        let seeds = [join(&fields)];
        let made = |seed| changed(&mut SeededRng::new(seed), &seeds);
        let whole = (0..2_000).filter(|seed| split(&made(*seed)).is_some()).count();
        assert!((700..1_990).contains(&whole), "{whole}");
        assert!((0..100).all(|seed| made(seed) == made(seed)));
    }
}
