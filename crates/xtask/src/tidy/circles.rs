//! Circles of modules: files of one crate that name each other's items, directly or through others, so that none of them can
//! be read without the rest. Cargo refuses circles of crates; how large those inside a crate are may only fall.
//!
//! Paths are followed by name. Methods and fields name no path, and a path in a string is none, so a circle that is closed by a call
//! alone, or by what serde's attributes quote, is not seen.

mod components;
mod modules;
mod reader;
#[cfg(test)]
mod tests;
mod tokens;

use super::{
    settings::Settings,
    source::{Findings, Source},
};
use modules::Modules;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// One circle: every file with those of the same circle that it names.
type Circle = BTreeMap<String, Vec<String>>;

/// Checks every crate's largest circle against what is remembered.
pub fn check(sources: &[Source], settings: &Settings) -> Findings {
    let crates = circles(sources).into_iter();
    let judged = crates.filter_map(|(name, circles)| {
        let remembered = settings.circles.get(&name).copied().unwrap_or(0);
        judge(&name, circles.first().unwrap_or(&Circle::new()), remembered)
    });
    judged.collect()
}

/// The size of each crate's largest circle, in files; crates without a circle are left out.
pub fn largest(sources: &[Source]) -> BTreeMap<String, usize> {
    let sizes = circles(sources).into_iter().filter_map(|(name, found)| Some((name, found.first()?.len())));
    sizes.collect()
}

/// Describes every circle of every crate: its files, and which of the others each names.
pub fn describe(sources: &[Source]) -> String {
    let mut text = String::new();
    for (name, circles) in circles(sources) {
        let sizes: Vec<String> = circles.iter().map(|circle| circle.len().to_string()).collect();
        let sizes = if sizes.is_empty() {
            "no circle".to_owned()
        } else {
            format!("circles of {}", sizes.join(", "))
        };
        let _ = writeln!(text, "{name}: {sizes}");
        for circle in circles {
            for (file, named) in &circle {
                let _ = writeln!(text, "  {file} names {}", named.join(", "));
            }
            text.push('\n');
        }
    }
    text
}

fn judge(name: &str, largest: &Circle, remembered: usize) -> Option<String> {
    let files = || largest.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match largest.len().cmp(&remembered) {
        std::cmp::Ordering::Greater => Some(format!(
            "crates/{name}: {} files name each other in a circle, {remembered} were remembered; `cargo xtask circles` \
             shows who names whom: {}",
            largest.len(),
            files()
        )),
        std::cmp::Ordering::Less => Some(format!(
            "crates/{name}: {} files in the largest circle, {remembered} were remembered: well done, run `cargo xtask \
             tidy --bless`",
            largest.len()
        )),
        std::cmp::Ordering::Equal => None,
    }
}

/// Every crate's circles, the largest first.
fn circles(sources: &[Source]) -> BTreeMap<String, Vec<Circle>> {
    let names = sources.iter().filter_map(|source| {
        let name = source.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        source.is_member().then(|| name.to_owned())
    });
    names.map(|name| (name.clone(), of_crate(&name, sources))).collect()
}

fn of_crate(name: &str, sources: &[Source]) -> Vec<Circle> {
    let roots = ["lib.rs", "main.rs"].map(|root| format!("crates/{name}/src/{root}"));
    let mut found: Vec<Circle> = roots.iter().flat_map(|root| below(root, sources)).collect();
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

fn below(root: &str, sources: &[Source]) -> Vec<Circle> {
    let modules = Modules::below(root, sources);
    let uses = modules.uses();
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let short =
        |file: usize| modules.files[file].trim_start_matches(folder).trim_start_matches('/').to_owned();
    let circle = |files: Vec<usize>| {
        let inside: BTreeSet<usize> = files.iter().copied().collect();
        let named = |file: usize| uses[file].intersection(&inside).map(|other| short(*other)).collect();
        files.iter().map(|file| (short(*file), named(*file))).collect()
    };
    components::circles(&uses).into_iter().map(circle).collect()
}
