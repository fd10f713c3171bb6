//! One field over all rows: which rows have it, and which rows have which value.

use pinyon_types::{FieldTest, Scalar, ValueRef};
use roaring::RoaringBitmap;
use std::collections::HashMap;

/// Postings are kept for texts up to this many bytes: longer ones are prose, which nobody tests for equality.
const POSTED_TEXT_BYTES_MAX: usize = 128;
/// Once a field has this many different texts, they must come up this often on average, or postings cost more memory
/// than a look at the rows costs time.
const DISTINCT_TEXTS_FREE: usize = 4096;
const DISTINCT_TEXTS_SHARE: usize = 2;

/// One field's values.
#[derive(Debug, Default)]
pub(super) struct Column {
    present: RoaringBitmap,
    /// `None` once texts are too long or too many to post.
    texts: Texts,
    text_count: usize,
    numbers: Vec<(f64, u32)>,
    flags: [RoaringBitmap; 2],
}

#[derive(Debug)]
enum Texts {
    Posted(HashMap<Box<str>, RoaringBitmap>),
    TooMany,
}

impl Default for Texts {
    fn default() -> Self {
        Self::Posted(HashMap::new())
    }
}

impl Column {
    pub(super) fn add(&mut self, row: u32, value: &ValueRef<'_>) {
        self.present.insert(row);
        match value {
            ValueRef::String(text) => self.add_text(row, text),
            ValueRef::Strings(texts) => texts.iter().for_each(|text| self.add_text(row, text)),
            ValueRef::Number(number) => self.numbers.push((*number, row)),
            ValueRef::Bool(flag) => {
                self.flags[usize::from(*flag)].insert(row);
            }
        }
    }

    fn add_text(&mut self, row: u32, text: &str) {
        let Texts::Posted(postings) = &mut self.texts else { return };
        self.text_count += 1;
        let is_sparse =
            postings.len() >= DISTINCT_TEXTS_FREE && postings.len() * DISTINCT_TEXTS_SHARE > self.text_count;
        if text.len() > POSTED_TEXT_BYTES_MAX || is_sparse {
            self.texts = Texts::TooMany;
            return;
        }
        match postings.get_mut(text) {
            Some(rows) => {
                rows.insert(row);
            }
            None => {
                postings.insert(Box::from(text), RoaringBitmap::from_iter([row]));
            }
        }
    }

    /// To be called after the last `add`: range tests search in sorted numbers.
    pub(super) fn finish(&mut self) {
        self.numbers.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }

    /// The rows that pass a test; `None` where only the rows themselves can tell.
    pub(super) fn evaluate(&self, test: &FieldTest) -> Option<RoaringBitmap> {
        Some(match test {
            FieldTest::Exists(true) => self.present.clone(),
            // The complement is the caller's: it knows how many rows there are.
            FieldTest::Exists(false) => return None,
            FieldTest::Eq(value) => self.equal(value)?,
            FieldTest::Ne(value) => &self.present - self.equal(value)?,
            FieldTest::In(values) => self.any(values)?,
            FieldTest::NotIn(values) => &self.present - self.any(values)?,
            FieldTest::Gt(bound) => self.numbers_from(|number| number > *bound),
            FieldTest::Gte(bound) => self.numbers_from(|number| number >= *bound),
            FieldTest::Lt(bound) => self.numbers_to(|number| number < *bound),
            FieldTest::Lte(bound) => self.numbers_to(|number| number <= *bound),
        })
    }

    fn any(&self, values: &[Scalar]) -> Option<RoaringBitmap> {
        values.iter().try_fold(RoaringBitmap::new(), |rows, value| Some(rows | self.equal(value)?))
    }

    fn equal(&self, value: &Scalar) -> Option<RoaringBitmap> {
        match value {
            Scalar::String(text) => match &self.texts {
                Texts::Posted(postings) => Some(postings.get(text.as_str()).cloned().unwrap_or_default()),
                Texts::TooMany => None,
            },
            Scalar::Bool(flag) => Some(self.flags[usize::from(*flag)].clone()),
            Scalar::Number(number) => Some(self.equal_number(*number)),
        }
    }

    /// Plain comparisons are used on purpose: -0 equals 0, although it is sorted before it.
    fn equal_number(&self, number: f64) -> RoaringBitmap {
        let from = self.numbers.partition_point(|(other, _)| *other < number);
        let count = self.numbers[from..].iter().take_while(|(other, _)| *other == number).count();
        rows_of(&self.numbers[from..from + count])
    }

    fn numbers_from(&self, passes: impl Fn(f64) -> bool) -> RoaringBitmap {
        let from = self.numbers.partition_point(|(number, _)| !passes(*number));
        rows_of(&self.numbers[from..])
    }

    fn numbers_to(&self, passes: impl Fn(f64) -> bool) -> RoaringBitmap {
        let to = self.numbers.partition_point(|(number, _)| passes(*number));
        rows_of(&self.numbers[..to])
    }

    /// Memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = match &self.texts {
            Texts::Posted(postings) => {
                postings.iter().map(|(text, rows)| text.len() + 64 + rows.serialized_size()).sum()
            }
            Texts::TooMany => 0,
        };
        let flags: usize = self.flags.iter().map(RoaringBitmap::serialized_size).sum();
        texts + self.present.serialized_size() + self.numbers.len() * 16 + flags
    }
}

/// Few rows among many are sorted: what is made of bits takes as long as all of these are.
const SORTED_BITS_MIN: usize = 256;

/// The rows of some numbers. A bitmap is made of bits that were set in any order: put in one by one, rows that do not ascend
/// cost a search each.
fn rows_of(numbers: &[(f64, u32)]) -> RoaringBitmap {
    let (mut first, mut last) = (u32::MAX, 0);
    for (_, row) in numbers {
        (first, last) = (first.min(*row), last.max(*row));
    }
    if numbers.is_empty() {
        return RoaringBitmap::new();
    }
    if (last - first) as usize / numbers.len() >= SORTED_BITS_MIN {
        let mut rows: Vec<u32> = numbers.iter().map(|(_, row)| *row).collect();
        rows.sort_unstable();
        rows.dedup();
        return RoaringBitmap::from_sorted_iter(rows).unwrap_or_default();
    }
    let first = first / 8 * 8;
    let mut bits = vec![0_u8; (last - first) as usize / 8 + 1];
    for (_, row) in numbers {
        bits[(row - first) as usize / 8] |= 1 << (row % 8);
    }
    RoaringBitmap::from_lsb0_bytes(first, &bits)
}
