//! Encoded metadata: what parses is encoded again as the same bytes.

use crate::metadata_bytes::{self, MetadataView};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_types::{Fields, Metadata, MetadataValue};

fn seeds() -> Vec<Vec<u8>> {
    let encoded = |fields: &[(&str, MetadataValue)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut out = Vec::new();
        metadata_bytes::encode(&Metadata::new(fields.collect()).unwrap(), &mut out);
        out
    };
    let text = |text: &str| MetadataValue::String(text.into());
    let texts = MetadataValue::Strings(["a", "", "ü"].into());
    vec![
        encoded(&[]),
        encoded(&[("genre", text("drama")), ("n", MetadataValue::Number(-0.5)), ("tags", texts)]),
        encoded(&[("a", MetadataValue::Bool(true)), ("b", MetadataValue::Bool(false)), ("日", text(""))]),
    ]
}

#[test]
fn fuzz_metadata() {
    let seeds = seeds();
    // An empty text takes four bytes there, and 24 in memory, which double as a list grows.
    let target = Target { name: "metadata", cases: 400_000, bytes_per_byte: 60, bytes_besides: 16 << 10 };
    target.run(
        |rng| bytes::changed(rng, &seeds),
        |input| {
            let parsed = MetadataView::parse(input);
            let unchecked = MetadataView::over_checked(input);
            for name in ["genre", "tags", "", "zz", "日"] {
                let _ = unchecked.field(name);
            }
            unchecked.visit(|_, _| ());
            if let Ok(view) = &parsed {
                let metadata = view.to_metadata();
                let mut again = Vec::new();
                metadata_bytes::encode(&metadata, &mut again);
                assert!(again == input, "what parses is what is written");
                for (name, value) in metadata.iter() {
                    assert_eq!(view.field(name).map(|field| field.to_value()).as_ref(), Some(value));
                }
            }
            Seen::of(&parsed)
        },
    );
}
