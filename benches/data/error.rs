//! Why a data set cannot be used.

use std::{io, path::PathBuf};
use thiserror::Error;

/// A file of a data set that cannot be used; every variant names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file is missing or unreadable.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The header is not NumPy's.
    #[error("{} is no NumPy array: {problem}", path.display())]
    NotAnArray {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        problem: &'static str,
    },
    /// Numbers of another type.
    #[error("{} holds {dtype}, wanted {wanted}", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Its type, as the header writes it.
        dtype: String,
        /// The types that are read.
        wanted: &'static str,
    },
    /// Columns are stored one after the other; rows are wanted.
    #[error("{} is in Fortran's order, save it with numpy.ascontiguousarray", path.display())]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before its last number.
    #[error("{} is cut short: {expected} bytes of numbers expected, {got} found", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes that there are.
        got: usize,
    },
    /// The shape does not fit the other files.
    #[error("{} has the shape {got:?}, wanted {wanted}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        got: Vec<usize>,
        /// The shape that fits, in words.
        wanted: String,
    },
    /// A number beyond what it counts.
    #[error("{} holds the number {got}, wanted one below {limit}", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The number.
        got: i64,
        /// The first number that is too large.
        limit: usize,
    },
    /// The names of categories are not a JSON list of texts.
    #[error("{} is no JSON list of names", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// Where the list is wrong.
        source: serde_json::Error,
    },
}
