//! Bugs that are planted on purpose, one at a time, to see that the test that should catch them does: `cargo xtask planted`.
//!
//! Each stands where it would have been made, behind [`is_planted`]. Without the feature `testing` that is the constant `false`, so
//! that the compiler leaves nothing of it; with it the variable `PINYON_TEST_PLANTED` names one.

/// The variable that plants a bug.
#[cfg(feature = "testing")]
const VARIABLE: &str = "PINYON_TEST_PLANTED";

/// Whether the bug of this number is planted.
#[cfg(feature = "testing")]
pub fn is_planted(number: u8) -> bool {
    use std::sync::LazyLock;
    static PLANTED: LazyLock<Option<u8>> =
        LazyLock::new(|| std::env::var(VARIABLE).ok().and_then(|number| number.parse().ok()));
    *PLANTED == Some(number)
}

/// Whether the bug of this number is planted: never.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub const fn is_planted(_: u8) -> bool {
    false
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_planted_unless_somebody_asks() {
        let asked: Option<u8> = std::env::var(VARIABLE).ok().and_then(|number| number.parse().ok());
        assert!((0..=u8::MAX).all(|number| is_planted(number) == (asked == Some(number))));
    }
}
