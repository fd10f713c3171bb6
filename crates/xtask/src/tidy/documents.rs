//! Documents that must not fall behind the code.

use super::{Findings, Settings, Source};

const ARCHITECTURE: &str = "crates/ARCHITECTURE.md";
const FORMAT: &str = "crates/pinyon-storage/FORMAT.md";
/// Files that lay out bytes on disk.
const LAYOUTS: [&str; 9] = [
    "crates/pinyon-storage/src/wal/layout.rs",
    "crates/pinyon-storage/src/segment/layout.rs",
    "crates/pinyon-storage/src/manifest/codec.rs",
    "crates/pinyon-storage/src/metadata_bytes.rs",
    "crates/pinyon-shard/src/segment/layout.rs",
    "crates/pinyon-shard/src/segment/kills.rs",
    "crates/pinyon-shard/src/segment/sparse.rs",
    "crates/pinyon-shard/src/log_entry.rs",
    "crates/pinyon-shard/src/graphs/layout.rs",
];

/// Checks the architecture's headings, the format's fingerprint, and that README and CI name the same command.
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
    findings
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
}
