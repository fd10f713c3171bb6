//! Which crate may use which: the table of the architecture, held against every manifest.

use super::source::{Findings, Source};

/// A crate and those of ours that it may depend on.
const ARROWS: [(&str, &[&str]); 17] = [
    ("pinyon-types", &[]),
    ("pinyon-distance", &["pinyon-types"]),
    ("pinyon-index", &["pinyon-distance", "pinyon-types"]),
    ("pinyon-storage", &["pinyon-types"]),
    ("pinyon-backend", &["pinyon-index", "pinyon-distance", "pinyon-types"]),
    (
        "pinyon-shard",
        &["pinyon-backend", "pinyon-index", "pinyon-storage", "pinyon-distance", "pinyon-types"],
    ),
    ("pinyon-embed", &["pinyon-types"]),
    ("pinyon-core", &["pinyon-shard", "pinyon-backend", "pinyon-embed", "pinyon-types", "pinyon-storage"]),
    ("pinyon-wire", &["pinyon-types"]),
    ("pinyon-server", &["pinyon-core", "pinyon-wire", "pinyon-embed", "pinyon-types"]),
    (
        "pinyon-cli",
        &[
            "pinyon-server",
            "pinyon-core",
            "pinyon-wire",
            "pinyon-types",
            "pinyon-storage",
            "pinyon-allocator",
        ],
    ),
    ("pinyon-fuzz", &["pinyon-types"]),
    ("pinyon-allocator", &[]),
    ("pinyon-planted", &[]),
    ("xtask", &[]),
    ("pinyon-benches", ANY),
    ("pinyon-tests", ANY),
];
const ANY: &[&str] = &["*"];
/// Every crate may use it, for its tests: it has an allocator that must not get into the product.
const FOR_TESTS: &str = "pinyon-fuzz";
/// Every crate may use it: it is nothing in the product.
const NOTHING: &str = "pinyon-planted";

/// Checks every manifest but the root's.
pub fn check(sources: &[Source]) -> Findings {
    sources.iter().filter(|source| source.is_member()).flat_map(check_manifest).collect()
}

fn check_manifest(source: &Source) -> Findings {
    let table: toml::Table = match source.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{}: {error}", source.path)],
    };
    let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    let Some((name, allowed)) = ARROWS.iter().find(|(crate_name, _)| Some(*crate_name) == name) else {
        return vec![format!(
            "{}: package {name:?} is not in the table of arrows; add it with a reason",
            source.path
        )];
    };
    let mut findings = Findings::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let dependencies = table.get(kind).and_then(toml::Value::as_table);
        for (dependency, value) in dependencies.into_iter().flatten() {
            let is_ours = dependency.starts_with("pinyon-");
            let is_for_tests =
                dependency == NOTHING || (dependency == FOR_TESTS && kind == "dev-dependencies");
            if is_ours && !is_for_tests && *allowed != ANY && !allowed.contains(&dependency.as_str()) {
                findings.push(format!("{}: {name} must not use {dependency}", source.path));
            }
            if dependency == NOTHING && value.get("features").is_some() {
                findings.push(format!("{}: planted bugs must not get into the product", source.path));
            }
            if !value.get("workspace").and_then(toml::Value::as_bool).unwrap_or(false) {
                findings.push(format!("{}: give {dependency} its version in the root manifest", source.path));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependency: &str) -> usize {
        findings_of(name, "dependencies", dependency)
    }

    fn findings_of(name: &str, kind: &str, dependency: &str) -> usize {
        let text = format!("[package]\nname = \"{name}\"\n[{kind}]\n{dependency}\n");
        check(&[Source { path: format!("crates/{name}/Cargo.toml"), text }]).len()
    }

    #[test]
    fn arrows_that_run_up_and_versions_in_members_are_found() {
        assert_eq!(findings("pinyon-index", "pinyon-types.workspace = true"), 0);
        assert_eq!(findings("pinyon-index", "pinyon-storage.workspace = true"), 1);
        assert_eq!(findings("pinyon-index", "roaring = \"0.12\""), 1);
        assert_eq!(findings("pinyon-tests", "pinyon-shard.workspace = true"), 0);
        assert_eq!(findings("pinyon-new", ""), 1);
        let fuzz = "pinyon-fuzz.workspace = true";
        assert_eq!(findings("pinyon-shard", fuzz), 1);
        assert_eq!(findings_of("pinyon-shard", "dev-dependencies", fuzz), 0);
        assert_eq!(findings("pinyon-wire", "pinyon-planted.workspace = true"), 0);
        let on = "pinyon-planted = { workspace = true, features = [\"testing\"] }";
        assert_eq!(findings("pinyon-wire", on), 1);
    }
}
