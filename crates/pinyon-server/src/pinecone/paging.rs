//! Sizes of pages.

use super::envelope::RpcError;

/// Records on a page when nobody says, and most ids on a page of a listing.
pub(super) const PAGE_DEFAULT: i64 = 100;

/// The records on a page of at most `most`.
///
/// # Errors
/// A limit that is no such number.
pub(super) fn page_size(limit: Option<i64>, most: i64) -> Result<usize, RpcError> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=most).contains(&limit) {
        return Err(RpcError::invalid(format!("limit must be 1 to {most}, is {limit}")));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}
