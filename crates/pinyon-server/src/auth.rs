//! API keys: kept as hashes, compared in constant time.

use subtle::ConstantTimeEq;

/// Shortest key that is taken: shorter ones can be guessed.
const KEY_BYTES_MIN: usize = 8;

/// The keys that are let in. Empty: everybody is, which only loopback listeners allow.
#[derive(Clone, Default)]
pub struct KeyRing {
    hashes: Vec<[u8; 32]>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.hashes.len())
    }
}

impl KeyRing {
    /// Takes keys and forgets their text.
    ///
    /// # Errors
    /// A key shorter than eight bytes.
    pub fn new<'a>(keys: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let hash = |key: &str| {
            if key.len() < KEY_BYTES_MIN {
                return Err(format!(
                    "API keys must have at least {KEY_BYTES_MIN} bytes, one has {}",
                    key.len()
                ));
            }
            Ok(*blake3::hash(key.as_bytes()).as_bytes())
        };
        Ok(Self { hashes: keys.map(hash).collect::<Result<_, _>>()? })
    }

    /// Whether nobody needs a key.
    pub fn is_open(&self) -> bool {
        self.hashes.is_empty()
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
            self.hashes.iter().fold(0_u8, |found, hash| found | hash.ct_eq(given.as_bytes()).unwrap_u8());
        found == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_are_let_in() {
        let ring = KeyRing::new(["secret-one", "secret-two"].into_iter()).unwrap();
        assert!(ring.admits(Some("secret-one")) && ring.admits(Some("secret-two")));
        for wrong in [None, Some(""), Some("secret-on"), Some("secret-one "), Some("SECRET-ONE")] {
            assert!(!ring.admits(wrong), "{wrong:?}");
        }
        assert!(KeyRing::default().admits(None));
        assert!(KeyRing::new(["short"].into_iter()).is_err());
        assert!(!format!("{ring:?}").contains("secret"));
    }
}
