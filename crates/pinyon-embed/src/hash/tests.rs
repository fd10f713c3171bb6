//! Tests of the hashing embedder: it repeats itself, it takes any text, and it finds what shares words.

use super::*;

fn embed(texts: &[&str], dim: u32) -> Vec<Vec<f32>> {
    HashEmbedder::new(Dim::new(dim).unwrap()).embed(texts, InputKind::Passage).unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn every_text_becomes_a_unit_vector() {
    let long = "word ".repeat(20_000);
    let texts = ["", " \t\n", "!?… 🦀", "a", "the", "日本語のテキスト", "ÄÖÜ straße", "x\0y", &long];
    for dim in [1, 2, 7, 384, 1536] {
        for (text, vector) in texts.iter().zip(embed(&texts, dim)) {
            let length = dot(&vector, &vector);
            assert!((length - 1.0).abs() < 1e-5, "{text:.20} in {dim}: {length}");
        }
    }
}

#[test]
fn order_and_case_do_not_matter_and_batches_change_nothing() {
    let vectors = embed(&["Brewing Beer, slowly", "slowly beer brewing"], 128);
    assert_eq!(vectors[0], vectors[1]);
    assert_eq!(embed(&["slowly beer brewing"], 128)[0], vectors[0]);
}

/// Another value means that stored vectors no longer fit: make it a new version of the recipe.
#[test]
fn the_recipe_is_frozen() {
    let vector = &embed(&["The quick brown fox, jumping over lazy dogs; straße 日本語"], 64)[0];
    let quantised: Vec<i8> = vector.iter().map(|one| (one * 100.0).round() as i8).collect();
    let checksum = quantised
        .iter()
        .fold(0_u32, |sum, one| sum.wrapping_mul(31).wrapping_add(u32::from(one.cast_unsigned())));
    assert_eq!(checksum, 548939136);
}

const PASSAGES: [&str; 30] = [
    "The dentist cleans teeth every six months and polishes away plaque.",
    "Invoices are due within thirty days of delivery, after which interest is charged.",
    "A bicycle chain must be oiled regularly or it will rust and squeak.",
    "Hops give beer its bitterness and are added while the wort boils.",
    "Tenants may withhold rent if the landlord does not repair the heating.",
    "Library books can be renewed twice unless another reader has reserved them.",
    "The regional train to the coast departs hourly from platform four.",
    "Solar panels lose a little efficiency each year as the cells age.",
    "Dogs should be vaccinated against rabies before they travel abroad.",
    "Sourdough starters are fed with flour and water to keep the yeast alive.",
    "Ships wait at anchor until the pilot comes aboard to guide them in.",
    "Fountain pens leak in aeroplanes because the air in the reservoir expands.",
    "Wheel spokes are tightened evenly so that the rim runs true.",
    "An inverter turns direct current from the roof into alternating current.",
    "Kittens are neutered at about five months of age.",
    "The reading room is closed on public holidays and for stocktaking.",
    "A crown protects a tooth that has been weakened by a large filling.",
    "Deposits are returned within eight weeks when the flat is left clean.",
    "Fermentation of lager takes place at low temperature for several weeks.",
    "Season tickets are valid on buses and trams within two zones.",
    "Containers are lifted from the vessel by gantry cranes.",
    "Rye bread keeps fresh for longer than white rolls.",
    "Washi paper is made by hand from the bark of the mulberry tree.",
    "Brake pads wear down and are replaced when less than a millimetre is left.",
    "Complaints are answered by the customer service team within two working days.",
    "Night shifts are planned so that nobody works more than four in a row.",
    "Fire drills take place twice a year and everybody leaves the building.",
    "Gift vouchers can be redeemed in every branch for three years.",
    "The annual report lists revenue, costs and the number of employees.",
    "Passwords are changed when a member of staff leaves the company.",
];

const QUERIES: [(&str, usize); 22] = [
    ("how often should teeth be cleaned", 0),
    ("when is an invoice due", 1),
    ("oiling a rusty bicycle chain", 2),
    ("why is beer bitter", 3),
    ("landlord refuses repair of heating, rent", 4),
    ("renewing a book from the library", 5),
    ("platform of the coast train", 6),
    ("efficiency of ageing solar cells", 7),
    ("vaccinating a dog against rabies", 8),
    ("feeding a sourdough starter", 9),
    ("pilots and ships at anchor", 10),
    ("leaking fountain pen in an aeroplane", 11),
    ("tighten the spokes of a wheel", 12),
    ("alternating current inverters", 13),
    ("reading room closed on holidays", 15),
    ("crown for a weak tooth", 16),
    ("return of the deposit for a flat", 17),
    ("temperature for fermenting lager", 18),
    ("season ticket for trams", 19),
    ("crane lifting a container from a ship", 20),
    ("replacing worn brake pads", 23),
    ("redeeming vouchers", 27),
];

#[test]
fn passages_are_found_by_what_they_share_with_the_query() {
    let passages = embed(&PASSAGES, 512);
    let (mut first, mut among_five) = (0, 0);
    for (query, expected) in QUERIES {
        let query = &embed(&[query], 512)[0];
        let mut order: Vec<usize> = (0..passages.len()).collect();
        order.sort_by(|a, b| dot(query, &passages[*b]).total_cmp(&dot(query, &passages[*a])));
        first += usize::from(order[0] == expected);
        among_five += usize::from(order[..5].contains(&expected));
    }
    assert!(first >= 19 && among_five >= 21, "{first} first, {among_five} among five, of {}", QUERIES.len());
}
