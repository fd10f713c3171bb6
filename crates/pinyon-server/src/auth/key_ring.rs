//! Keys as hashes with names, compared in constant time.

use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

/// Shortest key that is taken.
const KEY_BYTES_MIN: usize = 8;
/// Keys below this length are warned of: they can be guessed, from their hashes above all.
const KEY_BYTES_GOOD: usize = 16;

/// A key that is let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// What people call it.
    pub(super) name: String,
    /// BLAKE3 of its text.
    pub(super) hash: [u8; 32],
    /// Whether its text is shorter than one would like; of a hash nobody can tell.
    pub(super) is_short: bool,
}

impl Key {
    /// Takes a key and forgets its text.
    ///
    /// # Errors
    /// A text that is empty or too short.
    pub(super) fn of_text(name: &str, text: &str) -> Result<Self, String> {
        let length = text.len();
        if text.trim().is_empty() {
            return Err(format!(
                "key {name} is empty; an empty key, also one between two commas, lets nobody in"
            ));
        }
        if length < KEY_BYTES_MIN {
            return Err(format!(
                "key {name} has {length} bytes, at least {KEY_BYTES_MIN} are needed; `openssl rand -hex 32` makes a good one"
            ));
        }
        let hash = *blake3::hash(text.as_bytes()).as_bytes();
        Ok(Self { name: name.to_owned(), hash, is_short: length < KEY_BYTES_GOOD })
    }
}

/// The keys that are let in. Empty: everybody is, which only loopback listeners allow.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

impl KeyRing {
    /// Takes the keys of the setting `api_keys`; they are named by their place, from 1 on.
    ///
    /// # Errors
    /// A key that is empty or shorter than eight bytes.
    pub fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let key = |(number, text): (usize, &str)| Key::of_text(&number.to_string(), text);
        Ok(Self { keys: (1..).zip(texts).map(key).collect::<Result<_, _>>()? })
    }

    pub(super) const fn of_keys(keys: Vec<Key>) -> Self {
        Self { keys }
    }

    /// Both rings' keys.
    #[must_use]
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Whether nobody needs a key.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// The number of keys, those that come twice included.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether a request with this key is let in.
    pub fn admits(&self, key: Option<&str>) -> bool {
        if self.is_open() {
            return true;
        }
        let Some(key) = key else { return false };
        let given = blake3::hash(key.as_bytes());
        // Every key is compared, so that the time does not tell which one was nearly right.
        let found =
            self.keys.iter().fold(0_u8, |found, key| found | key.hash.ct_eq(given.as_bytes()).unwrap_u8());
        found == 1
    }

    /// What is wrong with the keys, though they are taken.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut warnings = Vec::new();
        for Key { name, hash, is_short } in &self.keys {
            if *is_short {
                warnings.push(format!("key {name} has fewer than {KEY_BYTES_GOOD} bytes and may be guessed"));
            }
            if !seen.insert(hash) {
                warnings.push(format!("key {name} is there twice; taking one away changes nothing"));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(texts: &[&str]) -> Result<KeyRing, String> {
        KeyRing::of_texts(texts.iter().copied())
    }

    #[test]
    fn only_whole_keys_are_let_in() {
        let ring = ring(&["secret-one", "secret-two"]).unwrap();
        assert!(ring.admits(Some("secret-one")) && ring.admits(Some("secret-two")));
        for wrong in [None, Some(""), Some("secret-on"), Some("secret-one "), Some("SECRET-ONE")] {
            assert!(!ring.admits(wrong), "{wrong:?}");
        }
        assert!(KeyRing::default().admits(None));
        assert!(!format!("{ring:?}").contains("secret"));
    }

    #[test]
    fn empty_and_short_keys_are_refused_by_their_place() {
        for (texts, problem) in [
            (vec![""], "key 1 is empty"),
            (vec!["", ""], "key 1 is empty"),
            (vec!["long-enough-key-1", " "], "key 2 is empty"),
            (vec!["seven77"], "key 1 has 7 bytes, at least 8"),
        ] {
            assert!(ring(&texts).unwrap_err().contains(problem), "{texts:?}");
        }
    }

    #[test]
    fn guessable_and_double_keys_are_warned_of() {
        let warnings = |texts: &[&str]| ring(texts).unwrap().warnings();
        assert!(warnings(&["sixteen-bytes-ok", "another-good-key-1"]).is_empty());
        let [one] = &warnings(&["fifteen-bytes-x"])[..] else { panic!("one warning") };
        assert!(one.contains("key 1") && one.contains("fewer than 16"), "{one}");
        let [one] = &warnings(&["sixteen-bytes-ok", "sixteen-bytes-ok"])[..] else { panic!("one warning") };
        assert!(one.contains("key 2") && one.contains("twice"), "{one}");
    }
}
