//! The index against the filter's plain meaning, on random metadata and random filters.

use super::*;
use pinyon_types::{FieldTest, Fields, Metadata, MetadataMap, MetadataValue, Scalar, SeededRng};
use roaring::RoaringBitmap;

struct Rows(Vec<Metadata>);

impl MetadataRows for Rows {
    fn rows(&self) -> u32 {
        self.0.len() as u32
    }

    fn visit(&self, row: u32, each: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let metadata = &self.0[row as usize];
        for (name, _) in metadata.iter() {
            each(name, metadata.field(name).unwrap());
        }
    }

    fn matches(&self, row: u32, filter: &Filter) -> bool {
        filter.matches(&self.0[row as usize])
    }
}

const NAMES: [&str; 4] = ["a", "b", "prose", "absent"];

fn text(rng: &mut SeededRng) -> String {
    ["", "x", "y", "z", "x y"][rng.below(5) as usize].to_owned()
}

fn number(rng: &mut SeededRng) -> f64 {
    [-0.0, 0.0, 1.0, 1.5, -7.0, 1e300][rng.below(6) as usize]
}

fn value(rng: &mut SeededRng) -> MetadataValue {
    match rng.below(4) {
        0 => MetadataValue::String(text(rng)),
        1 => MetadataValue::Number(number(rng)),
        2 => MetadataValue::Bool(rng.below(2) == 0),
        _ => MetadataValue::Strings((0..rng.below(3)).map(|_| text(rng)).collect()),
    }
}

fn metadata(rng: &mut SeededRng) -> Metadata {
    let mut fields = MetadataMap::new_vec();
    for name in ["a", "b"] {
        if rng.below(4) > 0 {
            fields.insert(name.to_owned(), value(rng));
        }
    }
    if rng.below(2) == 0 {
        let long = if rng.below(3) == 0 { "w".repeat(200) } else { text(rng) };
        fields.insert("prose".to_owned(), MetadataValue::String(long));
    }
    Metadata::new(fields).unwrap()
}

fn scalar(rng: &mut SeededRng) -> Scalar {
    match rng.below(3) {
        0 => Scalar::String(if rng.below(6) == 0 { "w".repeat(200) } else { text(rng) }),
        1 => Scalar::Number(number(rng)),
        _ => Scalar::Bool(rng.below(2) == 0),
    }
}

fn test(rng: &mut SeededRng) -> FieldTest {
    let scalars = |rng: &mut SeededRng| (0..rng.below(4)).map(|_| scalar(rng)).collect();
    match rng.below(10) {
        0 => FieldTest::Eq(scalar(rng)),
        1 => FieldTest::Ne(scalar(rng)),
        2 => FieldTest::Gt(number(rng)),
        3 => FieldTest::Gte(number(rng)),
        4 => FieldTest::Lt(number(rng)),
        5 => FieldTest::Lte(number(rng)),
        6 => FieldTest::In(scalars(rng)),
        7 => FieldTest::NotIn(scalars(rng)),
        8 => FieldTest::Exists(true),
        _ => FieldTest::Exists(false),
    }
}

fn filter(rng: &mut SeededRng, depth: u32) -> Filter {
    let parts = |rng: &mut SeededRng| (0..=rng.below(3)).map(|_| filter(rng, depth - 1)).collect();
    match rng.below(if depth == 0 { 1 } else { 4 }) {
        1 => Filter::And(parts(rng)),
        2 => Filter::Or(parts(rng)),
        3 => Filter::Not(Box::new(filter(rng, depth - 1))),
        _ => Filter::field(NAMES[rng.below(4) as usize], test(rng)),
    }
}

#[test]
fn the_index_passes_exactly_the_rows_that_the_filter_matches() {
    let mut rng = SeededRng::new(77);
    for _ in 0..40 {
        let rows = Rows((0..rng.below(120)).map(|_| metadata(&mut rng)).collect());
        let index = FilterIndex::build(&rows);
        for _ in 0..100 {
            let filter = filter(&mut rng, 3);
            let expected: RoaringBitmap =
                (0..rows.rows()).filter(|row| rows.matches(*row, &filter)).collect();
            assert_eq!(index.evaluate(&filter, &rows), expected, "{filter:?}");
        }
    }
}

#[test]
fn a_field_of_unique_texts_costs_no_postings() {
    let unique = |row: u32| MetadataValue::String(format!("document number {row}"));
    let row = |row| Metadata::new([("text".to_owned(), unique(row))].into_iter().collect()).unwrap();
    let rows = Rows((0..20_000).map(row).collect());
    let index = FilterIndex::build(&rows);
    assert!(index.bytes() < 20_000 * 4, "{} bytes", index.bytes());
    let filter = Filter::field("text", FieldTest::Eq(Scalar::String("document number 7".into())));
    assert_eq!(index.evaluate(&filter, &rows), RoaringBitmap::from_iter([7]));
}
