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
    let last = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|last| !last.is_empty());
    // Digits have other spellings, which nobody was given.
    last.filter(|last| self::token(question, last) == token).ok_or_else(refused)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_fuzz::{Seen, Target, bytes};

    #[test]
    fn a_token_serves_its_own_question_only() {
        let made = token("list\0ns\0pre", "weird \u{1} id/%");
        assert_eq!(read("list\0ns\0pre", &made).unwrap(), "weird \u{1} id/%");
        assert!(read("list\0ns\0other", &made).is_err());
        let end = made.len() - 1;
        let capital = made.replacen("ea", "EA", 1).replacen('f', "F", 1);
        assert_ne!(capital, made);
        for bad in [
            "",
            "x",
            "日本",
            &made[..16],
            &made[..end],
            &made.replace('7', "é"),
            &capital,
            &(made.clone() + "+a"),
        ] {
            assert!(read("list\0ns\0pre", bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn fuzz_page_token() {
        let seeds = ["a", "weird \u{1} id/%", "é\u{10ffff}"].map(|last| token("question", last).into_bytes());
        let target =
            Target { name: "page token", cases: 400_000, bytes_per_byte: 40, bytes_besides: 8 << 10 };
        target.run(
            |rng| bytes::changed(rng, &seeds),
            |input| {
                let given = String::from_utf8_lossy(input);
                let last = read("question", &given);
                if let Ok(last) = &last {
                    assert_eq!(token("question", last), given, "there is one token for a place");
                }
                Seen::of(&last)
            },
        );
    }
}
