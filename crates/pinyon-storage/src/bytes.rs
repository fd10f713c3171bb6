//! A cursor over bytes from disk: every read is bounded by what is there, and nothing panics.

/// Bytes that end too early, go on too long, or are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: expected {expected}")]
pub struct BytesError {
    /// Where in the bytes.
    pub offset: usize,
    /// What should have been there.
    pub expected: &'static str,
}

/// Reads little-endian values from the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.offset == self.bytes.len()
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], BytesError> {
        let taken = self.offset.checked_add(length).and_then(|end| self.bytes.get(self.offset..end));
        let taken = taken.ok_or_else(|| self.error("more bytes"))?;
        self.offset += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BytesError> {
        let offset = self.offset;
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| BytesError { offset, expected: "more bytes" })
    }

    /// The next byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, BytesError> {
        self.array().map(u8::from_le_bytes)
    }

    /// The next two bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, BytesError> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, BytesError> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u64(&mut self) -> Result<u64, BytesError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn f64(&mut self) -> Result<f64, BytesError> {
        self.array().map(f64::from_le_bytes)
    }

    /// The next `count` numbers of four bytes. Allocates no more than is there.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn f32s(&mut self, count: usize) -> Result<Vec<f32>, BytesError> {
        let length = count.checked_mul(4).ok_or_else(|| self.error("fewer numbers"))?;
        let (numbers, _) = self.take(length)?.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The next `count` whole numbers of four bytes. Allocates no more than is there.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32s(&mut self, count: usize) -> Result<Vec<u32>, BytesError> {
        let length = count.checked_mul(4).ok_or_else(|| self.error("fewer numbers"))?;
        let (numbers, _) = self.take(length)?.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    /// The next `length` bytes as a text.
    ///
    /// # Errors
    /// Fewer are left, or they are not UTF-8.
    pub fn str(&mut self, length: usize) -> Result<&'a str, BytesError> {
        let offset = self.offset;
        let taken = self.take(length)?;
        std::str::from_utf8(taken).map_err(|_| BytesError { offset, expected: "UTF-8 text" })
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// Something is left.
    pub const fn finish(&self) -> Result<(), BytesError> {
        if self.is_empty() { Ok(()) } else { Err(self.error("the end")) }
    }

    const fn error(&self, expected: &'static str) -> BytesError {
        BytesError { offset: self.offset, expected }
    }
}

/// Appends four bytes, little-endian.
pub fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends eight bytes, little-endian.
pub fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends numbers of four bytes each, little-endian.
pub fn put_f32s(out: &mut Vec<u8>, numbers: &[f32]) {
    out.extend_from_slice(bytemuck::cast_slice(numbers));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_back_and_every_cut_is_an_error() {
        let numbers = [1.5, f32::NAN, -0.0, f32::MIN_POSITIVE];
        let mut bytes = vec![7, 0x34, 0x12];
        put_u32(&mut bytes, u32::MAX - 1);
        put_u64(&mut bytes, 1 << 60);
        bytes.extend_from_slice(&0.25_f64.to_le_bytes());
        put_f32s(&mut bytes, &numbers);
        bytes.extend_from_slice("né".as_bytes());
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let head = (reader.u8()?, reader.u16()?, reader.u32()?, reader.u64()?, reader.f64()?);
            assert_eq!(head, (7, 0x1234, u32::MAX - 1, 1 << 60, 0.25));
            let floats = reader.f32s(4)?.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            let text = reader.str(3)?.to_owned();
            reader.finish().map(|()| (floats, text))
        };
        let (floats, text) = read(&bytes).unwrap();
        assert_eq!(floats, numbers.map(f32::to_bits));
        assert_eq!(text, "né");
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes).unwrap_err().expected, "the end");
    }

    #[test]
    fn lengths_beyond_memory_are_errors_and_take_nothing() {
        let mut reader = Reader::new(&[0xff, 1, 2, 3]);
        for length in [5, usize::MAX, usize::MAX - 1] {
            assert!(reader.clone().take(length).is_err() && reader.clone().str(length).is_err());
            assert!(reader.clone().f32s(length).is_err() && reader.clone().u32s(length).is_err());
        }
        assert!(reader.str(2).is_err(), "0xff is not UTF-8");
    }
}
