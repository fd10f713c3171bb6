//! How deep JSON is nested, told without a reader: one that passes over what it does not keep holds a byte for every level.

use crate::floats::string_end;

/// The member of the outermost object in which brackets stand deeper than `most`, if that is so anywhere; its name as it is
/// written, empty where there is none. Text that is no JSON may be told to be deep.
pub fn too_deep(bytes: &[u8], most: usize) -> Option<&str> {
    let (mut depth, mut at, mut member) = (0_usize, 0, &bytes[..0]);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = string_end(bytes, at)?;
                // A name comes before its value, so inside of that it was the last text of the outermost object.
                member = if depth == 1 { &bytes[at..end] } else { member };
                at = end + 1;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return Some(std::str::from_utf8(member).unwrap_or_default());
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn brackets_count_outside_of_texts_and_the_outermost_member_is_named() {
        for (json, most, member) in [
            ("", 0, None),
            ("{}", 0, Some("")),
            ("{}", 1, None),
            (r#"{"a": "x", "b": [[[1]], {}]}"#, 3, Some("b")),
            (r#"{"a": "x", "b": [[[1]], {}]}"#, 4, None),
            (r#"{"a": {"c": [1]}, "b": [[[[1]]]]}"#, 3, Some("b")),
            (r#"{"a": "[[[[\"[[[", "b": 1}"#, 1, None),
            (r#"[[["a"]]]"#, 2, Some("")),
            (r#"{"a": "\"#, 1, None),
            ("]]]][[", 1, Some("")),
        ] {
            assert_eq!(too_deep(json.as_bytes(), most), member, "{json} {most}");
        }
        assert_eq!(too_deep(b"{\"\xff\": [[", 2), Some(""));
    }
}
