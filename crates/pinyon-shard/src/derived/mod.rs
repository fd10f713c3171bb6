//! What is made of sealed rows and could be made again: codes, graphs, and what they are tested by.

pub(crate) mod bytes;
pub(crate) mod codes;
pub(crate) mod files;
pub(crate) mod graphs;
pub(crate) mod memory;
pub(crate) mod price;
pub(crate) mod questions;
pub(crate) mod recall;
