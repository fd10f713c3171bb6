//! What people ask, for the tests of graphs: a sample of the latest questions about each large part, in memory, and in files where that
//! is wanted. Only vectors are kept, not the filters they came with; they go when their namespace does. A question's vector can reveal
//! its text, so that nothing of it is logged, counted by what it says or handed out.

mod files;
mod note;
mod sample;

pub(crate) use files::{forget, is_sample_file_name, keep_all, keep_next, restore};
pub(crate) use sample::Questions;
