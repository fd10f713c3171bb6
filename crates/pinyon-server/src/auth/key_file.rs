//! The file of keys: a line for each, `NAME KEY`, or `NAME blake3:HASH` where the text is not to lie on the disk. `#` begins a
//! comment.

use super::key_ring::{Key, KeyRing};
use std::collections::BTreeSet;

/// Marks a key that is given by its hash.
const HASHED: &str = "blake3:";
/// Longest name.
const NAME_BYTES_MAX: usize = 64;

/// Reads a file's text.
///
/// # Errors
/// Names the line and what is wrong with it, never a key. A file without any key: the server would be open to everybody.
pub(super) fn read(text: &str) -> Result<KeyRing, String> {
    let mut keys = Vec::new();
    let mut names = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let of_line = |problem: String| format!("line {number}: {problem}");
        let key = read_line(line).map_err(of_line)?;
        if !names.insert(key.name.clone()) {
            return Err(of_line(format!("the name {} is there twice", key.name)));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err("it holds no key; write a line `NAME KEY`".into());
    }
    Ok(KeyRing::of_keys(keys))
}

fn read_line(line: &str) -> Result<Key, String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(key), None) = (words.next(), words.next(), words.next()) else {
        return Err("expected `NAME KEY`, two words; a name says whose key it is".into());
    };
    check_name(name)?;
    match key.strip_prefix(HASHED) {
        Some(hash) => {
            let hash = blake3::Hash::from_hex(hash).map_err(|_| {
                format!("key {name}: {HASHED} must be followed by 64 hexadecimal digits; `pinyon keys hash {name}` makes them")
            })?;
            Ok(Key { name: name.to_owned(), hash: *hash.as_bytes(), is_short: false })
        }
        None => Key::of_text(name, key),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        // The first word may be a key by mistake: it is not repeated.
        return Err(format!("a name has at most {NAME_BYTES_MAX} letters, digits and any of - _ . @"));
    }
    Ok(())
}

/// Makes the line of a key by its hash, for the file.
///
/// # Errors
/// A name that the file does not take, or a key that is too short.
pub fn hashed_line(name: &str, key: &str) -> Result<String, String> {
    check_name(name)?;
    if name.is_empty() || key.contains(char::is_whitespace) {
        return Err("a name must be given, and a key must have no spaces".into());
    }
    let key = Key::of_text(name, key)?;
    Ok(format!("{name} {HASHED}{}", blake3::Hash::from_bytes(key.hash).to_hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_by_text_and_by_hash() {
        let line = hashed_line("ci", "a-key-of-twenty-bytes").unwrap();
        assert!(!line.contains("twenty"), "{line}");
        let ring = read(&format!("# ours\n\n{line}\r\n  laptop\tanother-good-key-1  \n")).unwrap();
        assert!(ring.admits(Some("a-key-of-twenty-bytes")) && ring.admits(Some("another-good-key-1")));
        assert!(!ring.admits(Some(line.split_once(' ').unwrap().1)), "a hash is no key");
        assert!(ring.warnings().is_empty());
    }

    #[test]
    fn broken_files_are_refused_by_line_and_without_telling_a_key() {
        for (text, problem) in [
            ("", "no key"),
            ("# nothing\n\n", "no key"),
            ("a-key-of-twenty-bytes", "line 1: expected `NAME KEY`"),
            ("ci a-key-of-twenty-bytes extra", "line 1: expected `NAME KEY`"),
            ("ci a-key-of-twenty-bytes\nci another-good-key-1", "line 2: the name ci is there twice"),
            ("ci short", "line 1: key ci has 5 bytes"),
            ("ci blake3:12", "64 hexadecimal digits"),
            ("a-key/of-twenty-bytes ci-ci-ci-ci", "line 1: a name has"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(problem) && !refused.contains("twenty"), "{text:?}: {refused}");
        }
        assert!(
            hashed_line("a b", "a-key-of-twenty-bytes").is_err()
                && hashed_line("ci", "a key of bytes").is_err()
        );
        assert!(hashed_line("", "a-key-of-twenty-bytes").is_err());
    }
}
