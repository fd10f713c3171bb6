//! A text's features: hashed stems and n-grams with their weights and how often they occur.

use super::stem::stem;

const STOP_WEIGHT: f64 = 0.15;
const STEM_WEIGHT: f64 = 1.0;
const TRIGRAM_WEIGHT: f64 = 0.25;
const LONG_GRAM_WEIGHT: f64 = 0.35;

/// Words so common that sharing them says nothing.
const STOP_WORDS: [&str; 56] = [
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by",
    "can", "do", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "my", "not", "of", "on", "or", "our", "she", "so", "that", "the", "their", "they",
    "this", "to", "was", "we", "were", "what", "when", "which", "with", "you", "your",
];

/// Kinds of features, so that the stem "art" and the 3-gram "art" are different ones.
#[derive(Clone, Copy)]
enum Kind {
    Stop = 1,
    Stem = 2,
    Gram = 3,
}

/// The words of a text in lower case.
pub(super) fn lowered_words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word.chars().flat_map(char::to_lowercase).collect())
}

pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

pub(super) fn stem_hash(stem: &str) -> u64 {
    hash(Kind::Stem, stem.as_bytes())
}

/// Collects features; keeps its memory from text to text.
#[derive(Debug, Default)]
pub(super) struct Features {
    found: Vec<(u64, f64)>,
    framed: String,
    bounds: Vec<usize>,
}

impl Features {
    /// Replaces what was collected by the features of `text`.
    pub(super) fn collect(&mut self, text: &str) {
        self.found.clear();
        for word in lowered_words(text) {
            self.add_word(&word);
        }
        // Equal features stand together, in an order that does not depend on the text's.
        self.found.sort_unstable_by_key(|one| one.0);
    }

    /// Each feature once: its hash, its weight, how often it occurs.
    pub(super) fn counted(&self) -> impl Iterator<Item = (u64, f64, u32)> {
        self.found.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same[0].1, same.len() as u32))
    }

    fn add_word(&mut self, word: &str) {
        if is_stop_word(word) {
            self.found.push((hash(Kind::Stop, word.as_bytes()), STOP_WEIGHT));
            return;
        }
        self.found.push((stem_hash(&stem(word)), STEM_WEIGHT));
        self.framed.clear();
        self.framed.push('^');
        self.framed.push_str(word);
        self.framed.push('$');
        self.bounds.clear();
        self.bounds.extend(self.framed.char_indices().map(|(at, _)| at));
        self.bounds.push(self.framed.len());
        for (length, weight) in [(3, TRIGRAM_WEIGHT), (4, LONG_GRAM_WEIGHT), (5, LONG_GRAM_WEIGHT)] {
            for span in self.bounds.windows(length + 1) {
                let gram = &self.framed.as_bytes()[span[0]..span[length]];
                self.found.push((hash(Kind::Gram, gram), weight));
            }
        }
    }
}

/// FNV-1a over kind and bytes, finished with the mixer of SplitMix64 so that its top bit and its low bits are good.
fn hash(kind: Kind, bytes: &[u8]) -> u64 {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let state = step(0xcbf2_9ce4_8422_2325, kind as u8);
    let mut mixed = bytes.iter().fold(state, |state, byte| step(state, *byte));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_for_the_search() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn the_hash_is_frozen() {
        let values = [(Kind::Stop, "the"), (Kind::Stem, "beer"), (Kind::Gram, "^be"), (Kind::Gram, "ü日")];
        let hashes = values.map(|(kind, text)| hash(kind, text.as_bytes()));
        assert_eq!(
            hashes,
            [
                6_183_116_220_871_278_491,
                8_515_651_349_168_385_711,
                3_002_190_354_229_138_524,
                578_755_128_245_045_520
            ]
        );
    }
}
