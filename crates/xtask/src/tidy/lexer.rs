//! Takes comments and literals out of Rust text, so that what is left can be searched and its braces counted.

/// The text with comments, strings and characters replaced by spaces; line breaks stay.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_comment(&bytes[at..]),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment(&bytes[at..]),
            b'"' => string(&bytes[at..]),
            b'r' | b'b' if !follows_word(bytes, at) => raw_string(&bytes[at..]),
            b'\'' => character(&bytes[at..]),
            _ => 0,
        };
        if length == 0 {
            out.push(if bytes[at].is_ascii() { char::from(bytes[at]) } else { ' ' });
            at += 1;
            continue;
        }
        let skipped = &bytes[at..(at + length).min(bytes.len())];
        out.extend(skipped.iter().map(|byte| if *byte == b'\n' { '\n' } else { ' ' }));
        at += length;
    }
    out
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`; 0 if it is none.
fn raw_string(rest: &[u8]) -> usize {
    let prefix = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b')).count();
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if prefix > 2 || rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    if !rest[..prefix].contains(&b'r') {
        return prefix + string(&rest[prefix..]);
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let from = prefix + hashes + 1;
    let found = rest[from..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |found| from + found + end.len())
}

/// A character, not a lifetime; 0 if it is none.
fn character(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'\\') => rest.iter().skip(3).position(|byte| *byte == b'\'').map_or(0, |end| end + 4),
        Some(first) => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::code_only;

    #[test]
    fn literals_and_comments_go_and_code_stays() {
        for (text, expected) in [
            ("a // {\nb", "a     \nb"),
            ("a /* { /* } */ */ b", "a                   b"),
            (r#"f("{\"}") + 1"#, "f(       ) + 1"),
            (r##"r#"{"# x"##, "       x"),
            ("b'{' 'é' '\\'' x", "b              x"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ] {
            assert_eq!(
                code_only(text).split_whitespace().collect::<Vec<_>>(),
                expected.split_whitespace().collect::<Vec<_>>()
            );
        }
    }
}
