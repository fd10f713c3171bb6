//! Documents that must not fall behind the code.

use super::{
    settings::Settings,
    source::{Findings, Source},
};

const ARCHITECTURE: &str = "crates/ARCHITECTURE.md";
const FORMAT: &str = "crates/pinyon-storage/FORMAT.md";
/// Files that lay out bytes on disk.
const LAYOUTS: [&str; 15] = [
    "crates/pinyon-storage/src/wal/layout.rs",
    "crates/pinyon-storage/src/segment/layout.rs",
    "crates/pinyon-storage/src/manifest/codec.rs",
    "crates/pinyon-storage/src/metadata_bytes.rs",
    "crates/pinyon-shard/src/rows/segment/layout.rs",
    "crates/pinyon-shard/src/rows/segment/kills.rs",
    "crates/pinyon-shard/src/rows/segment/sparse.rs",
    "crates/pinyon-shard/src/writing/log_entry.rs",
    "crates/pinyon-shard/src/derived/graphs/layout.rs",
    "crates/pinyon-core/src/catalog/codec.rs",
    "crates/pinyon-core/src/catalog/declared.rs",
    "crates/pinyon-core/src/catalog/layout.rs",
    "crates/pinyon-core/src/catalog/packing.rs",
    "crates/pinyon-core/src/catalog/sealing.rs",
    "crates/pinyon-core/src/indexes/registry.rs",
];
/// Endings of files that documents name in full.
const NAMED_ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".py", ".jsonl", ".ipynb"];

/// Checks the architecture's headings, the format's fingerprint, that README and CI name the same command, and that the files
/// that documents name are there.
pub fn check(sources: &[Source], settings: &Settings) -> Findings {
    let mut findings = check_headings(sources);
    if format_fingerprint(sources) != settings.format {
        findings.push(format!(
            "{FORMAT}: a file that lays out bytes on disk changed, or it did: bring both together, then run `cargo xtask \
             tidy --bless`"
        ));
    }
    let command = "cargo xtask ci";
    for path in ["README.md", ".ci/run"] {
        if !text_of(sources, path).contains(command) {
            findings.push(format!("{path}: name the one test command, `{command}`"));
        }
    }
    findings.extend(documents(sources).flat_map(|source| check_names(source, sources)));
    findings
}

/// The changelog may name what is gone.
fn documents(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".md") && source.path != "CHANGELOG.md")
}

/// Checks relative links and the paths of files in backticks: from the document's folder, from the root or from `crates`.
fn check_names(document: &Source, sources: &[Source]) -> Findings {
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_there = |name: &str| {
        [folder, "", "crates"].into_iter().map(|from| joined(from, name)).any(|path| {
            let inside = format!("{path}/");
            sources.iter().any(|source| source.path == path || source.path.starts_with(&inside))
        })
    };
    let links = document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links = links.filter_map(|link| link.split('#').next()).filter(|link| !link.contains(':'));
    let in_code = document.text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let files = in_code.filter(|word| {
        let is_plain = !word.contains([' ', '<', '*', '{']) && word.contains('/') && !word.starts_with('/');
        is_plain && NAMED_ENDINGS.iter().any(|ending| word.ends_with(ending))
    });
    let names = links.filter(|link| !link.is_empty()).chain(files);
    let missing = names.filter(|name| !is_there(name));
    missing.map(|name| format!("{}: names {name}, which is not there", document.path)).collect()
}

/// A path below a folder, with `..` resolved.
fn joined(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

fn text_of<'a>(sources: &'a [Source], path: &str) -> &'a str {
    sources.iter().find(|source| source.path == path).map_or("", |source| source.text.as_str())
}

fn check_headings(sources: &[Source]) -> Findings {
    let manifests = sources.iter().filter(|source| source.is_member());
    let mut members: Vec<&str> = manifests
        .filter_map(|source| source.path.strip_suffix("/Cargo.toml"))
        .map(|path| path.trim_start_matches("crates/"))
        .collect();
    members.sort_unstable();
    let text = text_of(sources, ARCHITECTURE);
    let mut headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    headings.sort_unstable();
    if headings == members {
        return Findings::new();
    }
    vec![format!("{ARCHITECTURE}: the third-level headings are {headings:?}, the members are {members:?}")]
}

/// FNV-1a over the layout files and FORMAT.md, as hexadecimal.
pub fn format_fingerprint(sources: &[Source]) -> String {
    let texts = LAYOUTS.iter().chain([&FORMAT]).map(|path| text_of(sources, path));
    let hash = texts.flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    #[test]
    fn headings_must_be_the_members() {
        let manifest = source("crates/pinyon-types/Cargo.toml", "");
        assert!(check_headings(&[manifest, source(ARCHITECTURE, "### pinyon-types\n")]).is_empty());
        let manifest = source("crates/pinyon-types/Cargo.toml", "");
        assert_eq!(check_headings(&[manifest, source(ARCHITECTURE, "### gone\n")]).len(), 1);
    }

    #[test]
    fn the_fingerprint_changes_with_either_side() {
        let before = format_fingerprint(&[source(FORMAT, "a"), source(LAYOUTS[0], "b")]);
        assert_ne!(before, format_fingerprint(&[source(FORMAT, "A"), source(LAYOUTS[0], "b")]));
        assert_ne!(before, format_fingerprint(&[source(FORMAT, "a"), source(LAYOUTS[0], "B")]));
    }

    #[test]
    fn documents_name_files_that_are_there() {
        let sources = |text: &str| [source("crates/a/N.md", text), source("crates/a/src/x.rs", "")];
        let missing =
            |text: &str| documents(&sources(text)).flat_map(|one| check_names(one, &sources(text))).count();
        for good in [
            "[x](src/x.rs#l)",
            "[a](../a)",
            "`a/src/x.rs`",
            "`src/x.rs`",
            "[w](https://w.org)",
            "`x.rs`",
            "[h](#h)",
        ] {
            assert_eq!(missing(good), 0, "{good}");
        }
        for bad in ["[y](y.rs)", "see `a/src/y.rs` and", "[up](../../b/)"] {
            assert_eq!(missing(bad), 1, "{bad}");
        }
    }
}
