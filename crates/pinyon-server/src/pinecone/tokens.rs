//! Page tokens: where the next page begins and what was asked for, so that a token does not serve another question.

use pinyon_types::Invalid;

/// Makes the token for the page after `last`. `question` is what must be the same on every page.
pub(super) fn token(question: &str, last: &str) -> String {
    let check = hex(&blake3::hash(question.as_bytes()).as_bytes()[..8]);
    format!("{check}{}", hex(last.as_bytes()))
}

/// What a token says: the last item of the page before.
///
/// # Errors
/// A token that was made for another question, or that nobody made.
pub(super) fn read(question: &str, token: &str) -> Result<String, Invalid> {
    let refused = || Invalid::new("paginationToken", "Invalid pagination token");
    let last = token.strip_prefix(&self::token(question, "")).ok_or_else(refused)?;
    let digits = last.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = digits.collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|last| !last.is_empty()).ok_or_else(refused)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_its_own_question_only() {
        let made = token("list\0ns\0pre", "weird \u{1} id/%");
        assert_eq!(read("list\0ns\0pre", &made).unwrap(), "weird \u{1} id/%");
        assert!(read("list\0ns\0other", &made).is_err());
        let end = made.len() - 1;
        for bad in ["", "x", "日本", &made[..16], &made[..end], &made.replace('7', "é")] {
            assert!(read("list\0ns\0pre", bad).is_err(), "{bad}");
        }
    }
}
