//! How much an answer may hold: one question must not take the memory that all others need.

use super::{Engine, Inner};
use crate::{EngineError, ErrorCode};
use pinyon_shard::Located;

/// Records that are asked for by their ids, or page by page, may be so many times larger than answers to questions: whoever names them
/// knows how many there are.
const FETCHED_TIMES: usize = 16;

impl Engine {
    /// Checks that an answer to a question may hold so many bytes of records.
    ///
    /// # Errors
    /// [`ErrorCode::AnswerTooLarge`], in the words of Pinecone's cloud.
    pub fn check_answer(&self, bytes: usize) -> Result<(), EngineError> {
        self.inner.check_answer(bytes)
    }

    /// The same of records that were asked for by their ids; returns how many bytes they take.
    ///
    /// # Errors
    /// As [`Self::check_answer`].
    pub fn check_fetched(&self, found: &[Located]) -> Result<usize, EngineError> {
        let bytes = found.iter().map(Located::bytes).sum();
        check(bytes, self.inner.fetched_bytes_max(), "fewer ids at once").map(|()| bytes)
    }

    /// How many of these fit on a page for which there is so much room: at least one.
    pub fn fitting(&self, found: &[Located], room: usize) -> usize {
        self.inner.fitting(found, room)
    }
}

impl Inner {
    pub(super) fn check_answer(&self, bytes: usize) -> Result<(), EngineError> {
        check(bytes, self.settings.answer_bytes_max, "fewer results, or leave out values or metadata")
    }

    pub(super) fn fitting(&self, found: &[Located], room: usize) -> usize {
        let mut left = self.fetched_bytes_max().min(room);
        let fits = |one: &&Located| {
            let bytes = one.bytes();
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        found.iter().take_while(fits).count().max(1).min(found.len())
    }

    const fn fetched_bytes_max(&self) -> usize {
        self.settings.answer_bytes_max.saturating_mul(FETCHED_TIMES)
    }
}

fn check(bytes: usize, bytes_max: usize, remedy: &str) -> Result<(), EngineError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "Error, message length too large: found {bytes} bytes, the limit is: {bytes_max} bytes. Ask for {remedy}, or raise \
         PINYON_ANSWER_MIB"
    );
    Err(EngineError::new(ErrorCode::AnswerTooLarge, message))
}
