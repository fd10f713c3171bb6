//! Reader of NumPy's array files, the part that data sets need: little-endian numbers, rows one after the other.
//! Must not know what the numbers mean.

use crate::DataError;
use std::{fs, path::Path};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Numbers of one type, the last dimension running fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Length of every dimension.
    pub shape: Vec<usize>,
    /// All numbers.
    pub values: Vec<T>,
}

/// How one number is read, and its bytes.
type Decoder<T> = (usize, fn(&[u8]) -> T);

/// A type that numbers are read as.
pub trait Element: Sized {
    /// The stored types that are read as this one, for messages.
    const STORED: &'static str;

    /// How a number of this stored type is read; `None` if it is not.
    fn decoder(dtype: &str) -> Option<Decoder<Self>>;
}

impl Element for f32 {
    const STORED: &'static str = "<f2, <f4 or <f8";

    fn decoder(dtype: &str) -> Option<Decoder<Self>> {
        Some(match dtype {
            "<f2" => (2, |bytes| from_half(u16::from_le_bytes(word(bytes)))),
            "<f4" => (4, |bytes| Self::from_le_bytes(word(bytes))),
            "<f8" => (8, |bytes| f64::from_le_bytes(word(bytes)) as Self),
            _ => return None,
        })
    }
}

impl Element for i64 {
    const STORED: &'static str = "|i1, |u1, <i2, <u2, <i4, <u4 or <i8";

    fn decoder(dtype: &str) -> Option<Decoder<Self>> {
        Some(match dtype {
            "|i1" => (1, |bytes| i8::from_le_bytes(word(bytes)).into()),
            "|u1" => (1, |bytes| u8::from_le_bytes(word(bytes)).into()),
            "<i2" => (2, |bytes| i16::from_le_bytes(word(bytes)).into()),
            "<u2" => (2, |bytes| u16::from_le_bytes(word(bytes)).into()),
            "<i4" => (4, |bytes| i32::from_le_bytes(word(bytes)).into()),
            "<u4" => (4, |bytes| u32::from_le_bytes(word(bytes)).into()),
            "<i8" => (8, |bytes| Self::from_le_bytes(word(bytes))),
            _ => return None,
        })
    }
}

impl Element for bool {
    const STORED: &'static str = "|b1";

    fn decoder(dtype: &str) -> Option<Decoder<Self>> {
        (dtype == "|b1").then_some((1, |bytes| bytes != [0]))
    }
}

fn word<const WIDTH: usize>(bytes: &[u8]) -> [u8; WIDTH] {
    bytes.try_into().expect("numbers are cut to the width of their type")
}

/// Reads the file `path`.
///
/// # Errors
/// A file that cannot be read, is no array, holds another type, is in Fortran's order, or ends too early.
pub fn read<T: Element>(path: &Path) -> Result<Array<T>, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read { path: path.into(), source })?;
    let not_an_array = |problem| DataError::NotAnArray { path: path.into(), problem };
    let (header, data) = split(&bytes).map_err(not_an_array)?;
    let Header { dtype, is_fortran, shape } = Header::parse(header).map_err(not_an_array)?;
    let (width, decode) = T::decoder(dtype).ok_or_else(|| DataError::Dtype {
        path: path.into(),
        dtype: dtype.into(),
        wanted: T::STORED,
    })?;
    // One dimension is the same in both orders, and NumPy writes True for it now and then.
    if is_fortran && shape.len() > 1 {
        return Err(DataError::FortranOrder { path: path.into() });
    }
    let expected = shape.iter().try_fold(width, |product, length| product.checked_mul(*length));
    let expected = expected.ok_or_else(|| not_an_array("its shape has no size"))?;
    let Some(data) = data.get(..expected) else {
        return Err(DataError::Truncated { path: path.into(), expected, got: data.len() });
    };
    Ok(Array { shape, values: data.chunks_exact(width).map(decode).collect() })
}

/// The header's text and the numbers' bytes.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    const SHORT: &str = "it ends within its header";
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin as one")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        (u16::from_le_bytes(*length) as usize, rest)
    } else {
        let (length, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length).ok_or(SHORT)?;
    Ok((std::str::from_utf8(header).map_err(|_| "its header is no text")?, data))
}

/// What a header says.
struct Header<'a> {
    dtype: &'a str,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        let after = |key: &str| text.split_once(key).map(|(_, rest)| rest.trim_start());
        let dtype = after("'descr':").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
        let order = after("'fortran_order':").ok_or("its header names no order")?;
        let shape = after("'shape':").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
        let shape = shape.ok_or("its header names no shape")?;
        let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
        Ok(Self {
            dtype: dtype.ok_or("its header names no single type")?,
            is_fortran: order.starts_with("True"),
            shape: lengths.map(str::parse).collect::<Result<_, _>>().map_err(|_| "its shape is no list")?,
        })
    }
}

/// IEEE 754 half precision to single.
fn from_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 => f32::INFINITY,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
pub mod tests;
