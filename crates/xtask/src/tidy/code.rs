//! Words that must not stand where they stand.

use super::{
    lexer::code_only,
    source::{Findings, Source},
};

/// A word that code may use only in certain places.
struct Confined {
    word: &'static str,
    places: &'static [&'static str],
    remedy: &'static str,
}

/// Where shards are reached from: the fleet's view, which looks tenants up (TEN-2), and what asks a shard without an engine.
const HANDLES: [&str; 6] = [
    "crates/pinyon-backend/",
    "crates/pinyon-shard/",
    "crates/pinyon-core/src/engine/fleet_view.rs",
    "crates/pinyon-core/src/moves/",
    "benches/",
    "tests/",
];

const CONFINED: [Confined; 12] = [
    Confined {
        word: "std::fs",
        places: &[
            "crates/pinyon-storage/src/io/",
            "crates/pinyon-core/src/catalog/",
            "crates/pinyon-core/src/engine/tests.rs",
            "crates/pinyon-core/src/engine/tests/",
            "crates/pinyon-core/src/fan_out/tests.rs",
            "crates/pinyon-core/src/indexes/rollback_tests.rs",
            "crates/pinyon-core/src/indexes/tenants_tests.rs",
            "crates/pinyon-core/examples/",
            "crates/pinyon-server/src/auth/tests.rs",
            "crates/pinyon-server/src/http/accept/tests.rs",
            "crates/pinyon-server/src/http/gate/served_tests.rs",
            "crates/pinyon-server/src/http/gate/waiting_tests.rs",
            "crates/pinyon-server/src/pinecone/position/tests.rs",
            "crates/pinyon-server/src/tls/tests.rs",
            "crates/pinyon-cli/",
            "crates/xtask/",
            "benches/",
            "tests/",
        ],
        remedy: "open files through pinyon_storage::io",
    },
    Confined {
        word: "RealIo",
        places: &[
            "crates/pinyon-storage/",
            "crates/pinyon-shard/src/tests/",
            "crates/pinyon-core/src/environment.rs",
            "crates/pinyon-cli/",
            "benches/",
            "tests/",
        ],
        remedy: "take the environment's file system",
    },
    Confined {
        word: "sled::",
        places: &["crates/pinyon-core/src/catalog/sled_store.rs"],
        remedy: "the catalog's trait stands for it",
    },
    Confined {
        word: "redb::",
        places: &["crates/pinyon-core/src/catalog/redb_store.rs"],
        remedy: "the catalog's trait stands for it",
    },
    Confined {
        word: "hnsw_rs::",
        places: &["crates/pinyon-index/src/graph/", "benches/"],
        remedy: "the graph's trait stands for it",
    },
    Confined {
        word: "bincode::",
        places: &["crates/pinyon-storage/src/manifest/codec.rs", "crates/pinyon-core/src/catalog/codec.rs"],
        remedy: "only the two codecs know it",
    },
    Confined {
        word: "unsafe {",
        places: &[
            "crates/pinyon-distance/src/kernels/",
            "crates/pinyon-distance/src/memory.rs",
            "crates/pinyon-storage/src/io/sealed.rs",
            "crates/pinyon-storage/src/io/shortened.rs",
            "crates/pinyon-storage/src/trim.rs",
            "crates/pinyon-fuzz/src/counting.rs",
        ],
        remedy: "only kernels and what speaks to the system of memory may",
    },
    Confined {
        word: "Namespace::routed",
        places: &HANDLES,
        remedy: "ask the fleet's view for a tenant's home",
    },
    Confined { word: "Scope::", places: &HANDLES, remedy: "ask the fleet's view for targets" },
    Confined {
        word: "SystemTime::now",
        places: &["crates/pinyon-storage/src/clock.rs", "tests/", "benches/"],
        remedy: "take a Clock",
    },
    Confined {
        word: "Instant::now",
        places: &[
            "crates/pinyon-storage/src/clock.rs",
            // Sockets live by the runtime's clock, as its timers do.
            "crates/pinyon-server/src/http/accept/",
            "crates/pinyon-cli/",
            "crates/pinyon-fuzz/src/run.rs",
            "crates/xtask/",
            "tests/",
            "benches/",
        ],
        remedy: "take a Clock",
    },
    Confined {
        word: "thread::sleep",
        places: &["crates/pinyon-embed/src/openai/pause.rs", "tests/"],
        remedy: "wait for what you wait for, or take a Pause",
    },
];

/// Words that must stand nowhere in code; split so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 4] = [
    (concat!("to", "do!("), "finish it"),
    (concat!("unimple", "mented!("), "finish it"),
    (concat!("#[ig", "nore"), "a test that does not run tests nothing"),
    (concat!("db", "g!("), "take it out"),
];

const FORBIDDEN_NAMES: [&str; 6] = ["utils.rs", "common.rs", "helpers.rs", "misc.rs", "types.rs", "v2.rs"];
const MACHINE_PATHS: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Checks every file.
pub fn check(sources: &[Source]) -> Findings {
    let mut findings = Findings::new();
    for source in sources {
        findings.extend(check_paths(source));
        if source.path.ends_with(".rs") {
            findings.extend(check_rust(source));
        }
    }
    findings
}

fn check_rust(source: &Source) -> Findings {
    let mut findings = Findings::new();
    let Source { path, text } = source;
    let name = path.rsplit('/').next().unwrap_or(path);
    if FORBIDDEN_NAMES.contains(&name) {
        findings.push(format!("{path}: a file's name says its job; {name} says none"));
    }
    if !text.starts_with("//!") {
        findings.push(format!("{path}:1: begin with `//!`: the file's job and what it must not know"));
    }
    for (number, line) in (1..).zip(code_only(text).lines()) {
        for Confined { word, places, remedy } in &CONFINED {
            if line.contains(word) && !places.iter().any(|place| path.starts_with(place)) {
                findings.push(format!("{path}:{number}: `{word}` does not belong here; {remedy}"));
            }
        }
        for (word, remedy) in FORBIDDEN {
            if line.contains(word) {
                findings.push(format!("{path}:{number}: `{word}`: {remedy}"));
            }
        }
    }
    findings.extend(check_comments(source));
    findings.extend(check_kept_json(source));
    findings
}

/// JSON that is kept as it came has a limit that its reader counts to: one file names the type, everybody else that limit.
fn check_kept_json(source: &Source) -> Findings {
    let is_wire = source.path.starts_with("crates/pinyon-wire/src/") && !source.path.ends_with("tests.rs");
    if !is_wire || source.path == "crates/pinyon-wire/src/bounded.rs" {
        return Findings::new();
    }
    let code = code_only(&source.text);
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let names_it = |line: &str| {
        let (_, names) = line.split_once("serde_json::")?;
        names.split(|letter: char| !letter.is_alphanumeric()).any(|name| name == "Value").then_some(())
    };
    let lines = (1..).zip(code.lines()).filter(|(_, line)| names_it(line).is_some());
    let found = |(number, _)| {
        format!("{}:{number}: JSON of any size; use bounded::Small and a reader that counts", source.path)
    };
    lines.map(found).collect()
}

fn check_comments(source: &Source) -> Findings {
    let comments = (1..).zip(source.text.lines()).filter_map(|(number, line)| {
        let comment = line.trim_start().strip_prefix("// ")?;
        let is_code = ["let ", "fn ", "use ", "pub ", "impl "].iter().any(|start| comment.starts_with(start))
            && comment.ends_with([';', '{']);
        let is_open = (comment.contains(concat!("TO", "DO")) || comment.contains(concat!("FIX", "ME")))
            && !comment.contains('#');
        let problem = match (is_code, is_open) {
            (true, _) => "commented-out code: take it out",
            (_, true) => "an open end without an issue's number",
            _ => return None,
        };
        Some(format!("{}:{number}: {problem}", source.path))
    });
    comments.collect()
}

fn check_paths(source: &Source) -> Findings {
    let is_text = !source.path.ends_with("Cargo.lock");
    let lines = (1..)
        .zip(source.text.lines())
        .filter(|(_, line)| is_text && MACHINE_PATHS.iter().any(|path| line.contains(path)));
    lines.map(|(number, _)| format!("{}:{number}: a path of one machine", source.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&[Source { path: path.into(), text: text.into() }]).len()
    }

    #[test]
    fn each_rule_finds_its_violation_and_nothing_else() {
        let lib = "crates/pinyon-shard/src/x.rs";
        assert_eq!(findings(lib, "//! Job.\nfn f() {}\n"), 0);
        assert_eq!(findings(lib, "fn f() {}\n"), 1);
        assert_eq!(findings("crates/pinyon-shard/src/utils.rs", "//! Job.\n"), 1);
        assert_eq!(findings(lib, "//! Job.\nuse std::fs;\n"), 1);
        assert_eq!(findings(lib, "//! Job about std::fs.\n// std::fs would be wrong here\n"), 0);
        assert_eq!(findings("crates/pinyon-storage/src/io/real.rs", "//! Job.\nuse std::fs;\n"), 0);
        let code = "//! Job.\nuse pinyon_storage::io::RealIo;\n";
        let core = ["engine/open.rs", "catalog/rewrite.rs", "environment.rs"];
        let found = core.map(|file| findings(&format!("crates/pinyon-core/src/{file}"), code));
        assert_eq!(found, [1, 1, 0]);
        assert_eq!(findings(lib, concat!("//! Job.\nfn f() { to", "do!() }\n")), 1);
        assert_eq!(findings(lib, "//! Job.\n// let x = 1;\n"), 1);
        assert_eq!(findings(lib, "//! Job.\n// let it be known that this is prose\n"), 0);
        assert_eq!(findings(lib, concat!("//! Job.\n// TO", "DO later\n")), 1);
        let view = "crates/pinyon-core/src/engine/fleet_view.rs";
        for handle in ["Scope::All", "Namespace::routed(id, name, epoch)"] {
            let code = format!("//! Job.\nfn f() {{ g({handle}) }}\n");
            assert_eq!(
                (findings("crates/pinyon-core/src/engine/query.rs", &code), findings(view, &code)),
                (1, 0)
            );
        }
        let wire = "crates/pinyon-wire/src/x.rs";
        assert_eq!(findings(wire, "//! Job.\nuse serde_json::{Map, Value};\n"), 1);
        assert_eq!(findings(wire, "//! Job.\nfn f(given: &serde_json::Value) {}\n"), 1);
        assert_eq!(findings(wire, "//! Job.\nuse serde_json::value::RawValue;\n"), 0);
        assert_eq!(findings(wire, "//! Job.\n#[cfg(test)]\nmod tests { use serde_json::Value; }\n"), 0);
        assert_eq!(findings("crates/pinyon-wire/src/bounded.rs", "//! Job.\nuse serde_json::Value;\n"), 0);
        assert_eq!(findings("README.md", concat!("see /wo", "rk/x\n")), 1);
    }
}
