//! A light stemmer for English: takes endings off that rarely change what a word is about. Better too little than too
//! much; the n-grams catch the rest.

/// Endings and what stands in their place, tried in order; the first that fits and leaves enough is taken.
const ENDINGS: [(&str, &str); 20] = [
    ("ations", "ate"),
    ("ation", "ate"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ments", "ment"),
    ("nesses", ""),
    ("ness", ""),
    ("ingly", ""),
    ("edly", ""),
    ("ies", "y"),
    ("ied", "y"),
    ("sses", "ss"),
    ("ings", ""),
    ("ing", ""),
    ("ers", "er"),
    ("ed", ""),
    ("ly", ""),
    ("es", ""),
    ("s", ""),
    ("e", ""),
];

/// What must be left of a word.
const STEM_CHARS_MIN: usize = 3;

/// The stem of a lower-case word.
pub(super) fn stem(word: &str) -> std::borrow::Cow<'_, str> {
    let is_whole =
        word.ends_with("ss") && !word.ends_with("ness") || word.ends_with("us") || word.ends_with("is");
    if !word.is_ascii() || is_whole {
        return word.into();
    }
    for (ending, replacement) in ENDINGS {
        let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.len() >= STEM_CHARS_MIN) else {
            continue;
        };
        return undouble(rest, replacement);
    }
    word.into()
}

/// "running" leaves "runn", "brewed" leaves "brew", "making" and "make" both leave "mak".
fn undouble<'a>(rest: &'a str, replacement: &str) -> std::borrow::Cow<'a, str> {
    if !replacement.is_empty() {
        let whole = format!("{rest}{replacement}");
        return whole.strip_suffix('e').map(str::to_owned).unwrap_or(whole).into();
    }
    let bytes = rest.as_bytes();
    let doubled = bytes.len() > STEM_CHARS_MIN && bytes[bytes.len() - 1] == bytes[bytes.len() - 2];
    let keeps = matches!(bytes[bytes.len() - 1], b'l' | b's' | b'z' | b'e' | b'o');
    if doubled && !keeps { rest[..rest.len() - 1].into() } else { rest.into() }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for forms in [
            vec!["brew", "brews", "brewed", "brewing"],
            vec!["make", "makes", "making"],
            vec!["run", "runs", "running"],
            vec!["company", "companies"],
            vec!["invoice", "invoices", "invoiced", "invoicing"],
            vec!["install", "installs", "installed", "installing"],
            vec!["operate", "operation", "operations", "operated"],
            vec!["quick", "quickly", "quickness"],
        ] {
            let stems: std::collections::BTreeSet<_> = forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{forms:?}: {stems:?}");
        }
    }

    #[test]
    fn short_words_and_other_scripts_stay_whole() {
        for word in ["bus", "gas", "boss", "analysis", "ring", "über", "日本語", "は", "se"] {
            assert_eq!(stem(word), word);
        }
    }
}
