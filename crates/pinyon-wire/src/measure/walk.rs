//! The walk over a message's bytes. It is linear in them, recurses no deeper than the decoder does, and allocates nothing
//! unless it refuses.

use super::{
    heap,
    table::{
        FILTER_DEPTH_MAX, Field, Kind, LIST_VALUE, MEMBER, Message, Purpose, ROWS_MAX, STRUCT, Times, VALUE,
    },
};
use crate::bounded::{FILTER_VALUES_MAX, TEXTS_MAX};
use pinyon_planted::is_planted;
use prost::{
    DecodeError,
    encoding::{DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field},
};
use std::{fmt, ptr};

/// Messages in messages that the decoder reads (`prost::RECURSION_LIMIT`, which it keeps to itself).
const DEPTH_MAX: usize = 100;

/// Objects, and lists in lists, in the metadata of a whole message: none can be kept, and the engine has better words for the
/// first; these are what keeps them from growing until then.
const NESTED_MAX: usize = 64;

/// Why a message is not decoded.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is no encoding of any message.
    Unreadable(DecodeError),
    /// Something in it is above a limit.
    TooMuch {
        /// Where, as far as it has a name.
        path: String,
        /// What is wrong, without the path.
        problem: String,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::TooMuch { path, problem } => write!(f, "{path}: {problem}"),
        }
    }
}

impl From<DecodeError> for Unfit {
    fn from(error: DecodeError) -> Self {
        Self::Unreadable(error)
    }
}

impl Unfit {
    fn too_much(problem: String) -> Self {
        Self::TooMuch { path: String::new(), problem }
    }

    /// Puts a field in front of the path, and which of its elements it was. Fields within objects are no names that anybody
    /// wrote.
    fn below(self, field: &Field, element: Option<usize>) -> Self {
        let Self::TooMuch { path, problem } = self else { return self };
        if field.is_well_known {
            return Self::TooMuch { path, problem };
        }
        let dot = if path.is_empty() { "" } else { "." };
        let path = match (field.times, element) {
            (Times::Listed { .. }, Some(number)) => format!("{}[{}]{dot}{path}", field.name, number - 1),
            _ => format!("{}{dot}{path}", field.name),
        };
        Self::TooMuch { path, problem }
    }
}

/// Bytes of memory, at most, that decoding makes of a message, and of filters in it their JSON.
///
/// # Errors
/// It cannot be read, or is above a limit.
pub(crate) fn measure(message: &'static Message, bytes: &[u8]) -> Result<usize, Unfit> {
    let mut walk = Walk { memory: 0, purpose: Purpose::Nothing, begin: 0, values: 0, nested: 0 };
    walk.message(message, bytes, 0)?;
    Ok(walk.memory)
}

struct Walk {
    memory: usize,
    /// Purpose of the object that the walk is in, and the depth at which that begins.
    purpose: Purpose,
    begin: usize,
    /// Values and keys in filters so far.
    values: usize,
    /// What cannot be metadata, so far.
    nested: usize,
}

/// What was seen of a field in one message.
#[derive(Clone, Copy, Default)]
struct Seen {
    times: usize,
    /// Memory for the first, of messages that come once.
    first_bytes: usize,
}

impl Seen {
    /// Counts elements before anything is made of them.
    fn add(&mut self, count: usize, field: &Field) -> Result<(), Unfit> {
        self.times = self.times.saturating_add(count);
        let (most, what) = match field.times {
            Times::Once => return Ok(()),
            Times::Listed { most: TEXTS_MAX, .. } => (TEXTS_MAX, "texts"),
            Times::Listed { most, .. } => (most, "elements"),
            Times::Sorted { most, .. } | Times::Hashed { most, .. } => (most, "fields"),
        };
        if self.times <= most {
            return Ok(());
        }
        Err(Unfit::too_much(format!("must have at most {most} {what}, has more")).below(field, None))
    }
}

impl Walk {
    fn message(&mut self, message: &'static Message, mut bytes: &[u8], depth: usize) -> Result<(), Unfit> {
        self.count(message, depth)?;
        let mut seen = [Seen::default(); ROWS_MAX];
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes)?;
            let mut rows = message.fields.iter().zip(&mut seen);
            match rows.find(|(field, _)| field.number == number) {
                Some((field, seen)) => self.field(field, wire, &mut bytes, seen, depth)?,
                None if is_planted(21) => break,
                None => skip_field(wire, number, &mut bytes, DecodeContext::default())?,
            }
        }
        for (field, seen) in message.fields.iter().zip(&seen) {
            self.make(field.times.heap_bytes(seen.times));
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field,
        wire: WireType,
        bytes: &mut &[u8],
        seen: &mut Seen,
        depth: usize,
    ) -> Result<(), Unfit> {
        let inner = match field.kind {
            Kind::Varint => return seen.add(numbers(field, (WireType::Varint, wire), bytes)?, field),
            Kind::Fixed32 => return seen.add(numbers(field, (WireType::ThirtyTwoBit, wire), bytes)?, field),
            Kind::Fixed64 => return seen.add(numbers(field, (WireType::SixtyFourBit, wire), bytes)?, field),
            Kind::Text => {
                let text = delimited(field, wire, bytes)?;
                self.make(heap::text(text.len()));
                return seen.add(1, field);
            }
            Kind::Message(message) => (message, self.purpose),
            Kind::Object(purpose) => (&STRUCT, purpose),
        };
        let value = delimited(field, wire, bytes)?;
        seen.add(1, field)?;
        let before = self.memory;
        self.inner(field, inner, value, depth + 1).map_err(|unfit| unfit.below(field, Some(seen.times)))?;
        self.merge(field, seen, self.memory - before);
        Ok(())
    }

    /// A message in a message.
    fn inner(
        &mut self,
        field: &Field,
        (message, purpose): (&'static Message, Purpose),
        value: &[u8],
        depth: usize,
    ) -> Result<(), Unfit> {
        if !matches!(field.kind, Kind::Object(_)) {
            return self.message(message, value, depth);
        }
        let before = self.memory;
        (self.purpose, self.begin) = (purpose, depth);
        let walked = self.message(message, value, depth);
        self.purpose = Purpose::Nothing;
        if purpose == Purpose::Filter {
            // Its JSON takes as much again.
            self.make(self.memory - before);
        }
        walked
    }

    /// A message that comes again, where there is one, is read into the first: what grows for both may have twice the room.
    fn merge(&mut self, field: &Field, seen: &mut Seen, made: usize) {
        match (field.times, seen.times) {
            (Times::Once, 1) => seen.first_bytes = made,
            (Times::Once, 2) => self.make(made.saturating_add(seen.first_bytes)),
            (Times::Once, _) => self.make(made),
            _ => {}
        }
    }

    fn make(&mut self, bytes: usize) {
        self.memory = self.memory.saturating_add(bytes);
    }

    /// Counts a message before it is walked over.
    fn count(&mut self, message: &'static Message, depth: usize) -> Result<(), Unfit> {
        match self.purpose {
            Purpose::Nothing => {}
            Purpose::Filter => self.count_in_filter(message, depth)?,
            Purpose::Metadata => self.count_in_metadata(message, depth)?,
        }
        if depth > DEPTH_MAX {
            let problem = format!("{} must be nested at most {DEPTH_MAX} messages deep", message.name);
            return Err(Unfit::too_much(problem));
        }
        Ok(())
    }

    /// A filter's own limits have words of the engine; these are what keeps one from growing until then.
    fn count_in_filter(&mut self, message: &'static Message, depth: usize) -> Result<(), Unfit> {
        if depth > DEPTH_MAX {
            return Err(Unfit::too_much(format!("must be nested at most {FILTER_DEPTH_MAX} deep")));
        }
        // Values, the filter itself, and keys.
        let counts = ptr::eq(message, &VALUE) || depth == self.begin || ptr::eq(message, &MEMBER);
        self.values += usize::from(counts);
        if self.values > FILTER_VALUES_MAX {
            return Err(Unfit::too_much(format!("must have at most {FILTER_VALUES_MAX} values, has more")));
        }
        Ok(())
    }

    fn count_in_metadata(&mut self, message: &'static Message, depth: usize) -> Result<(), Unfit> {
        let is_object = ptr::eq(message, &STRUCT) && depth > self.begin;
        // A list of texts stands right in a field's value.
        let is_list = ptr::eq(message, &LIST_VALUE) && depth > self.begin + 3;
        self.nested += usize::from(is_object || is_list);
        if self.nested > NESTED_MAX {
            let problem = "must hold texts, numbers, true or false, and lists of texts; holds many objects or lists of lists";
            return Err(Unfit::too_much(problem.into()));
        }
        Ok(())
    }
}

/// Counts the numbers in a field, packed or alone, and goes on behind them.
fn numbers(field: &Field, (expected, wire): (WireType, WireType), bytes: &mut &[u8]) -> Result<usize, Unfit> {
    if wire == WireType::LengthDelimited && !matches!(field.times, Times::Once) {
        let packed = delimited(field, wire, bytes)?;
        return Ok(match expected {
            WireType::ThirtyTwoBit => packed.len() / 4,
            WireType::SixtyFourBit => packed.len() / 8,
            // As many as there are last bytes.
            _ => packed.iter().filter(|byte| **byte < 0x80).count(),
        });
    }
    check_wire_type(expected, wire)?;
    skip_field(wire, field.number, bytes, DecodeContext::default())?;
    Ok(1)
}

/// The bytes of a text or a message, and goes on behind them.
fn delimited<'a>(field: &Field, wire: WireType, bytes: &mut &'a [u8]) -> Result<&'a [u8], Unfit> {
    check_wire_type(WireType::LengthDelimited, wire)?;
    let mut value = *bytes;
    // Says what is wrong with the length, if anything is.
    skip_field(wire, field.number, bytes, DecodeContext::default())?;
    decode_varint(&mut value)?;
    let length = value.len().saturating_sub(bytes.len());
    Ok(value.get(..length).unwrap_or_default())
}
