//! Splits Rust text into words and signs, without comments, literals and code that is compiled for tests only.

use crate::tidy::lexer::code_only;

/// The words after which an item follows, rather than a field, a variant or an arm of a match.
const ITEM_WORDS: [&str; 17] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "union",
    "unsafe",
    "use",
];

/// Returns the words, the `::` and every other sign of the code that belongs to the product.
pub fn product_tokens(text: &str) -> Vec<String> {
    let tokens = tokens(&code_only(text));
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(&tokens[at..]) {
            Some(length) => at += length + item_length(&tokens[at + length..]),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Whether it is an identifier or a keyword.
pub fn is_word(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = match first {
            _ if is_part(first) => rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        found.push(token.to_owned());
        rest = after.trim_start();
    }
    found
}

/// The length of an attribute that leaves the item after it out of the product: `cfg` with `test`, but not with `not`.
fn test_attribute(tokens: &[String]) -> Option<usize> {
    let is_cfg = ["#", "[", "cfg", "("].iter().zip(tokens).all(|(sign, token)| sign == token);
    if !is_cfg || tokens.len() < 4 {
        return None;
    }
    let length = group_length(&tokens[1..]) + 1;
    let names = |word: &str| tokens[..length].iter().any(|token| token == word);
    (names("test") && !names("not")).then_some(length)
}

/// The length of what one attribute stands on: up to the closing brace or the semicolon; up to the comma for fields and arms.
fn item_length(tokens: &[String]) -> usize {
    let mut at = 0;
    while tokens.get(at).is_some_and(|token| token == "#") {
        at += 1 + group_length(&tokens[at + 1..]);
    }
    let has_commas = tokens[at..].first().is_some_and(|first| ITEM_WORDS.contains(&first.as_str()))
        && !is_field(&tokens[at..]);
    let is_import = tokens[at..].iter().take_while(|token| *token != "{").any(|token| token == "use");
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            ";" => return at + 1,
            "," if !has_commas => return at + 1,
            "}" | ")" | "]" => return at,
            "{" | "(" | "[" => {
                at += group_length(&tokens[at..]);
                if token == "{" && !is_import {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    tokens.len()
}

/// Whether it is a public field, which begins as a public item does.
fn is_field(tokens: &[String]) -> bool {
    let after = match tokens.get(1).map(String::as_str) {
        Some("(") => 1 + group_length(&tokens[1..]),
        _ => 1,
    };
    tokens.get(after + 1).is_some_and(|token| token == ":")
}

/// The length of a group in brackets of any kind, from the opening to the closing one; 0 if none opens here.
fn group_length(tokens: &[String]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::product_tokens;

    #[test]
    fn what_only_tests_compile_goes_and_the_rest_stays() {
        for (text, expected) in [
            ("use a::b; // use c::d;", "use a :: b ;"),
            ("#[cfg(test)] mod tests { use a::b; fn f() {} } fn g() {}", "fn g ( ) { }"),
            ("#[cfg(test)] mod tests; mod kept;", "mod kept ;"),
            ("#[cfg(test)] use a::{b, c}; use d;", "use d ;"),
            ("#[cfg(any(test, feature = \"testing\"))] pub(crate) fn f(a: A, b: B) {} x", "x"),
            ("#[cfg(not(test))] use a;", "# [ cfg ( not ( test ) ) ] use a ;"),
            ("#[cfg(test)] #[allow(dead_code)] struct S { a: A, b: B } T", "T"),
            ("struct S { #[cfg(test)] pub(crate) a: A, b: B }", "struct S { b : B }"),
            ("match x { #[cfg(test)] A => f(), B => g() }", "match x { B = > g ( ) }"),
            ("#[derive(Debug)] struct S;", "# [ derive ( Debug ) ] struct S ;"),
        ] {
            assert_eq!(product_tokens(text).join(" "), expected, "{text}");
        }
    }
}
