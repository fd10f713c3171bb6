//! Sizes: files and functions stay small; how many are large may only fall.

use super::{
    lexer::code_only,
    settings::Settings,
    source::{Findings, Source},
};

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_QUESTIONED: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const FUNCTION_LINES_QUESTIONED: usize = 40;

/// Checks limits and counts.
pub fn check(sources: &[Source], settings: &Settings) -> Findings {
    let mut findings = Findings::new();
    for source in rust(sources) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            findings
                .push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}; split it by job", source.path));
        }
        for (line, length) in functions(&source.text) {
            if length > FUNCTION_LINES_MAX {
                findings.push(format!(
                    "{}:{line}: a function of {length} lines, at most {FUNCTION_LINES_MAX}",
                    source.path
                ));
            }
        }
    }
    let (files, functions) = counts(sources);
    findings.extend(ratchet("files over 400 lines", files, settings.long_files));
    findings.extend(ratchet("functions over 40 lines", functions, settings.long_functions));
    findings
}

/// How many files and functions are larger than one would like.
pub fn counts(sources: &[Source]) -> (usize, usize) {
    let files = rust(sources).filter(|source| source.text.lines().count() > FILE_LINES_QUESTIONED).count();
    let long = |source: &Source| {
        functions(&source.text).into_iter().filter(|(_, length)| *length > FUNCTION_LINES_QUESTIONED).count()
    };
    (files, rust(sources).map(long).sum())
}

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".rs"))
}

fn ratchet(what: &str, found: usize, remembered: usize) -> Option<String> {
    match found.cmp(&remembered) {
        std::cmp::Ordering::Greater => {
            Some(format!("{found} {what}, {remembered} were remembered: make the new ones smaller"))
        }
        std::cmp::Ordering::Less => Some(format!(
            "{found} {what}, {remembered} were remembered: well done, run `cargo xtask tidy --bless`"
        )),
        std::cmp::Ordering::Equal => None,
    }
}

/// Line and length of every function with a body.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let code = code_only(text);
    let lines: Vec<&str> = code.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.iter().take(5).any(|word| *word == "fn") && !line.trim_start().starts_with('|')
    });
    starts.filter_map(|(at, _)| Some((at + 1, body_lines(&lines[at..])?))).collect()
}

/// Lines up to the brace that closes the first one; `None` for a declaration without a body.
fn body_lines(lines: &[&str]) -> Option<usize> {
    let mut depth = 0_i32;
    let mut is_open = false;
    for (at, line) in lines.iter().enumerate() {
        for character in line.chars() {
            match character {
                '{' => (depth, is_open) = (depth + 1, true),
                '}' => depth -= 1,
                ';' if !is_open && depth == 0 => return None,
                _ => {}
            }
            if is_open && depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_head_to_closing_brace() {
        let text = "pub fn a(\n    x: u32,\n) -> u32 {\n    if x == 0 { 1 } else { 2 }\n}\n\ntrait T {\n    fn b(&self);\n    fn c() {}\n}\n";
        assert_eq!(functions(text), [(1, 5), (9, 1)]);
    }

    #[test]
    fn counts_may_only_fall() {
        assert!(ratchet("x", 3, 2).unwrap().contains("smaller"));
        assert!(ratchet("x", 1, 2).unwrap().contains("bless"));
        assert!(ratchet("x", 2, 2).is_none());
    }
}
