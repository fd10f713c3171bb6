//! Metadata as bytes: u16 count, then per field, ordered by name: u32 length and name, u8 kind, value. Kinds: 1 text
//! (u32 length, bytes), 2 number (f64), 3 false, 4 true, 5 texts (u32 count, then texts as kind 1).

use crate::bytes::{BytesError, Reader};
use pinyon_types::{Fields, Metadata, MetadataMap, MetadataValue, ValueRef, limits};

const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const FALSE: u8 = 3;
const TRUE: u8 = 4;
const TEXTS: u8 = 5;

/// Appends the encoding of `metadata` to `out`. The limits of `Metadata` keep every count in its width.
pub fn encode(metadata: &Metadata, out: &mut Vec<u8>) {
    out.extend_from_slice(&(metadata.len() as u16).to_le_bytes());
    for (name, value) in metadata.iter() {
        put_length(out, name.len());
        out.extend_from_slice(name.as_bytes());
        match value {
            MetadataValue::String(text) => {
                out.push(TEXT);
                put_text(out, text);
            }
            MetadataValue::Number(number) => {
                out.push(NUMBER);
                out.extend_from_slice(&number.to_le_bytes());
            }
            MetadataValue::Bool(flag) => out.push(if *flag { TRUE } else { FALSE }),
            MetadataValue::Strings(texts) => {
                out.push(TEXTS);
                put_length(out, texts.len());
                texts.iter().for_each(|text| put_text(out, text));
            }
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

/// Encoded metadata, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct MetadataView<'a>(&'a [u8]);

impl<'a> MetadataView<'a> {
    /// Checks bytes whole: counts, texts, kinds, order of names, finite numbers, the limits of [`Metadata::new`],
    /// nothing left over. So [`Self::to_metadata`] cannot lose anything afterwards.
    ///
    /// # Errors
    /// Names the first byte that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BytesError> {
        let mut reader = Reader::new(bytes);
        let mut last: Option<&str> = None;
        let mut size_bytes = 0;
        let fields = reader.u16()?;
        if usize::from(fields) > limits::METADATA_FIELDS_MAX {
            return Err(BytesError { offset: 0, expected: "a count of fields within the limit" });
        }
        for _ in 0..fields {
            let offset = reader.offset();
            let name = get_text(&mut reader)?;
            if name.is_empty() || name.starts_with('$') || last.is_some_and(|last| last >= name) {
                return Err(BytesError { offset, expected: "a field name greater than the one before" });
            }
            last = Some(name);
            let offset = reader.offset();
            let value = get_value(&mut reader)?;
            if matches!(value, ValueRef::Number(number) if !number.is_finite()) {
                return Err(BytesError { offset, expected: "a finite number" });
            }
            // Counted as `Metadata::size_bytes` does: 8 for the field, and the value without its kind.
            let value_bytes =
                if matches!(value, ValueRef::Bool(_)) { 1 } else { reader.offset() - offset - 1 };
            size_bytes += name.len() + 8 + value_bytes;
            if size_bytes > limits::METADATA_BYTES_MAX {
                return Err(BytesError { offset, expected: "an end within the limit of bytes" });
            }
        }
        reader.finish()?;
        Ok(Self(bytes))
    }

    /// Takes bytes that [`Self::parse`] accepted before. On others no method panics; fields are then missing.
    pub const fn over_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Calls `each` with every field in order.
    pub fn visit(&self, mut each: impl FnMut(&'a str, ValueRef<'a>)) {
        let mut reader = Reader::new(self.0);
        for _ in 0..reader.u16().unwrap_or(0) {
            let Ok(name) = get_text(&mut reader) else { return };
            let Ok(value) = get_value(&mut reader) else { return };
            each(name, value);
        }
    }

    /// The metadata, to keep. Of bytes that [`Self::parse`] would refuse, it may be empty.
    pub fn to_metadata(&self) -> Metadata {
        let mut fields = MetadataMap::new_vec();
        self.visit(|name, value| {
            fields.insert(name.to_owned(), value.to_value());
        });
        Metadata::new(fields).unwrap_or_default()
    }

    fn find(&self, wanted: &str) -> Result<Option<ValueRef<'a>>, BytesError> {
        let mut reader = Reader::new(self.0);
        for _ in 0..reader.u16()? {
            let length = reader.u32()? as usize;
            let name = reader.take(length)?;
            if name == wanted.as_bytes() {
                return get_value(&mut reader).map(Some);
            }
            if name > wanted.as_bytes() {
                return Ok(None);
            }
            skip_value(&mut reader)?;
        }
        Ok(None)
    }
}

impl Fields for MetadataView<'_> {
    fn field(&self, name: &str) -> Option<ValueRef<'_>> {
        self.find(name).ok().flatten()
    }
}

fn get_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, BytesError> {
    let length = reader.u32()? as usize;
    reader.str(length)
}

fn get_value<'a>(reader: &mut Reader<'a>) -> Result<ValueRef<'a>, BytesError> {
    let offset = reader.offset();
    Ok(match reader.u8()? {
        TEXT => ValueRef::String(get_text(reader)?),
        NUMBER => ValueRef::Number(reader.f64()?),
        FALSE => ValueRef::Bool(false),
        TRUE => ValueRef::Bool(true),
        TEXTS => {
            let mut texts = Vec::new();
            for _ in 0..reader.u32()? {
                texts.push(get_text(reader)?);
            }
            ValueRef::Strings(texts)
        }
        _ => return Err(BytesError { offset, expected: "a kind of value" }),
    })
}

fn skip_value(reader: &mut Reader<'_>) -> Result<(), BytesError> {
    let offset = reader.offset();
    let skip_text = |reader: &mut Reader<'_>| {
        let length = reader.u32()? as usize;
        reader.take(length).map(|_| ())
    };
    match reader.u8()? {
        TEXT => skip_text(reader),
        NUMBER => reader.take(8).map(|_| ()),
        FALSE | TRUE => Ok(()),
        TEXTS => {
            let count = reader.u32()?;
            (0..count).try_for_each(|_| skip_text(reader))
        }
        _ => Err(BytesError { offset, expected: "a kind of value" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Metadata, Vec<u8>) {
        let fields = [
            ("flag", MetadataValue::Bool(true)),
            ("list", MetadataValue::Strings(["a", "", "ü"].into())),
            ("n", MetadataValue::Number(-0.5)),
            ("off", MetadataValue::Bool(false)),
            ("text", MetadataValue::String("日本".into())),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        let metadata = Metadata::new(fields.collect()).unwrap();
        let mut bytes = Vec::new();
        encode(&metadata, &mut bytes);
        (metadata, bytes)
    }

    #[test]
    fn views_read_what_was_encoded() {
        let (metadata, bytes) = sample();
        let view = MetadataView::parse(&bytes).unwrap();
        assert_eq!(view.to_metadata(), metadata);
        for name in ["flag", "list", "n", "off", "text", "a", "zz", ""] {
            assert_eq!(view.field(name), metadata.field(name), "{name}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused_and_never_panic() {
        let (metadata, bytes) = sample();
        for cut in 0..bytes.len() {
            assert!(MetadataView::parse(&bytes[..cut]).is_err(), "cut at {cut}");
            let _ = MetadataView::over_checked(&bytes[..cut]).field("text");
        }
        for at in 0..bytes.len() {
            for flip in 1..=255_u8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = MetadataView::over_checked(&damaged).field("text");
                if let Ok(view) = MetadataView::parse(&damaged) {
                    assert_ne!(view.to_metadata(), metadata, "byte {at} ^ {flip} means nothing");
                }
            }
        }
    }

    /// Bytes at the limit are taken and come back whole; one byte more is refused, not emptied.
    #[test]
    fn the_limits_of_metadata_are_those_of_its_bytes() {
        let text_of = |bytes: usize| MetadataValue::String("x".repeat(bytes));
        let others = [
            ("b".to_owned(), MetadataValue::Bool(true)),
            ("l".to_owned(), MetadataValue::Strings(["y", ""].into())),
            ("n".to_owned(), MetadataValue::Number(1.0)),
        ];
        let with_text = |bytes| {
            let text = [("t".to_owned(), text_of(bytes))];
            Metadata::new(others.clone().into_iter().chain(text).collect())
        };
        let room = limits::METADATA_BYTES_MAX - with_text(0).unwrap().size_bytes();
        let largest = with_text(room).unwrap();
        assert!(with_text(room + 1).is_err());
        let mut bytes = Vec::new();
        encode(&largest, &mut bytes);
        assert_eq!(MetadataView::parse(&bytes).unwrap().to_metadata(), largest);
        let length_at = bytes.len() - room - 4;
        bytes[length_at..length_at + 4].copy_from_slice(&(room as u32 + 1).to_le_bytes());
        bytes.push(b'x');
        assert!(MetadataView::parse(&bytes).is_err());
        let many = |count: usize| {
            let mut bytes = (count as u16).to_le_bytes().to_vec();
            for at in 0..count {
                bytes.extend_from_slice(&5_u32.to_le_bytes());
                bytes.extend_from_slice(format!("{at:05}").as_bytes());
                bytes.push(TRUE);
            }
            bytes
        };
        assert!(MetadataView::parse(&many(limits::METADATA_FIELDS_MAX)).is_ok());
        assert!(MetadataView::parse(&many(limits::METADATA_FIELDS_MAX + 1)).is_err());
    }
}
