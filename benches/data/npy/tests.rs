//! Arrays as NumPy writes them, and broken ones.

use super::{Array, Element, from_half, read};
use crate::DataError;
use std::path::{Path, PathBuf};

/// A directory of one test, gone with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("pinyon-bench-data-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file as NumPy writes it.
pub fn file(dtype: &str, is_fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if is_fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("headers are short").to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

fn read_bytes<T: Element>(name: &str, bytes: &[u8]) -> Result<Array<T>, DataError> {
    let scratch = Scratch::new(name);
    read(&scratch.write("a.npy", bytes))
}

fn check<T: Element + PartialEq + std::fmt::Debug>(dtype: &str, data: &[u8], expected: &[T]) {
    let shape = format!("({},)", expected.len());
    let name = format!("type-{}", dtype.trim_start_matches(['<', '|']));
    let array = read_bytes::<T>(&name, &file(dtype, false, &shape, data)).expect("it is read");
    assert_eq!((array.shape.as_slice(), array.values.as_slice()), ([expected.len()].as_slice(), expected));
}

#[test]
fn every_float_type_is_read() {
    check("<f2", &[0, 0x3c, 0, 0xc0], &[1.0_f32, -2.0]);
    check("<f4", &[1.5_f32.to_le_bytes(), (-0.25_f32).to_le_bytes()].concat(), &[1.5_f32, -0.25]);
    check("<f8", &[1.5_f64.to_le_bytes(), (-0.25_f64).to_le_bytes()].concat(), &[1.5_f32, -0.25]);
}

#[test]
fn every_integer_type_is_read() {
    check("|i1", &[1, 255], &[1_i64, -1]);
    check("|u1", &[1, 255], &[1_i64, 255]);
    check("<i2", &[1, 0, 255, 255], &[1_i64, -1]);
    check("<u2", &[1, 0, 255, 255], &[1_i64, 65_535]);
    check("<i4", &[7_i32.to_le_bytes(), (-1_i32).to_le_bytes()].concat(), &[7_i64, -1]);
    check("<u4", &[7_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat(), &[7_i64, 4_294_967_295]);
    check("<i8", &[7_i64.to_le_bytes(), i64::MIN.to_le_bytes()].concat(), &[7_i64, i64::MIN]);
}

#[test]
fn flags_are_read() {
    check("|b1", &[0, 1, 1], &[false, true, true]);
}

#[test]
fn two_dimensions_are_row_after_row() {
    let array = read_bytes::<i64>("two", &file("|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 6])).expect("read");
    assert_eq!(array, Array { shape: vec![2, 3], values: vec![1, 2, 3, 4, 5, 6] });
}

#[test]
fn version_two_has_a_longer_length() {
    let one = file("|u1", false, "(1,)", &[9]);
    let two = [b"\x93NUMPY\x02\x00".as_slice(), &one[8..10], &[0, 0], &one[10..]].concat();
    assert_eq!(read_bytes::<i64>("version", &two).expect("read").values, [9]);
}

#[test]
fn fortran_order_is_refused_where_it_matters() {
    let error = read_bytes::<i64>("fortran", &file("|u1", true, "(1, 2)", &[1, 2])).expect_err("refused");
    assert!(matches!(error, DataError::FortranOrder { .. }), "{error}");
    let column = read_bytes::<i64>("column", &file("|u1", true, "(2,)", &[1, 2])).expect("one dimension");
    assert_eq!(column.values, [1, 2]);
}

#[test]
fn a_file_cut_short_is_refused_with_both_sizes() {
    let error = read_bytes::<f32>("short", &file("<f4", false, "(2, 3)", &[0; 23])).expect_err("refused");
    assert!(matches!(error, DataError::Truncated { expected: 24, got: 23, .. }), "{error}");
    assert!(error.to_string().ends_with("a.npy is cut short: 24 bytes of numbers expected, 23 found"));
}

#[test]
fn other_types_are_refused_by_name() {
    for (dtype, error) in [
        (">f4", read_bytes::<f32>("big-endian", &file(">f4", false, "(1,)", &[0; 4])).err()),
        ("<i4", read_bytes::<f32>("integers", &file("<i4", false, "(1,)", &[0; 4])).err()),
    ] {
        let error = error.expect("refused");
        assert!(error.to_string().ends_with(&format!("holds {dtype}, wanted <f2, <f4 or <f8")), "{error}");
    }
}

#[test]
fn what_is_no_array_is_refused() {
    let whole = file("|u1", false, "(1,)", &[1]);
    let endless = file("<i8", false, "(9999999999999, 9999999999999)", &[]);
    let nameless = file("|u1", false, "[1]", &[1]);
    for (number, bytes) in
        [b"PK".as_slice(), &whole[..9], &whole[..30], &endless, &nameless].iter().enumerate()
    {
        let error = read_bytes::<i64>(&format!("broken-{number}"), bytes).expect_err("refused");
        assert!(matches!(error, DataError::NotAnArray { .. }), "{number}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let scratch = Scratch::new("missing");
    let error = read::<f32>(&scratch.path().join("none.npy")).expect_err("missing");
    assert!(error.to_string().ends_with("none.npy cannot be read"), "{error}");
}

#[test]
fn halves_are_read() {
    for (bits, value) in
        [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
    {
        assert_eq!(from_half(bits), value);
    }
}
