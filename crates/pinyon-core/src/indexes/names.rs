//! What customers may call an index.

use pinyon_types::Invalid;

/// Longest name of an index (Pinecone's limit).
pub const INDEX_NAME_BYTES_MAX: usize = 45;

/// Checks an index's name: lower-case letters, digits and hyphens, none at the ends.
///
/// # Errors
/// Says the rule.
pub fn check_index_name(name: &str) -> Result<(), Invalid> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = name.as_bytes();
    if !bytes.iter().copied().all(is_inner) || !is_end(bytes.first()) || !is_end(bytes.last()) {
        let rule = "Index name must contain only lowercase alphanumeric characters or hyphens, and must not begin or \
                    end with a hyphen.";
        return Err(Invalid::new("name", rule));
    }
    if bytes.len() > INDEX_NAME_BYTES_MAX {
        let rule =
            format!("Index name must have at most {INDEX_NAME_BYTES_MAX} characters, has {}", bytes.len());
        return Err(Invalid::new("name", rule));
    }
    Ok(())
}
