//! `pinyon settings`.

use crate::{arguments::Settings, exit::Outcome, output};
use pinyon_server::config::{SETTINGS, Setting};
use std::fmt::Write;

/// Columns that a line may have.
const WIDTH: usize = 80;

/// Lists every setting with its names, its default and its meaning.
///
/// # Errors
/// Standard output's.
pub fn run(command: &Settings) -> anyhow::Result<Outcome> {
    let listed = SETTINGS.iter().map(|setting| Ok((setting, setting.default_text()?)));
    let listed = listed.collect::<anyhow::Result<Vec<_>>>()?;
    if command.json {
        output::json(&listed.iter().map(|(setting, default)| as_json(setting, default)).collect::<Vec<_>>())?;
    } else {
        println!("{}", as_text(&listed).trim_end());
    }
    Ok(Outcome::Good)
}

fn as_json(setting: &Setting, default: &str) -> serde_json::Value {
    serde_json::json!({
        "group": setting.group, "key": setting.name, "variable": setting.variable(), "flag": setting.flag(),
        "default": default, "meaning": setting.meaning(),
    })
}

fn as_text(listed: &[(&Setting, String)]) -> String {
    let mut text = String::new();
    let mut group = "";
    for (setting, default) in listed {
        if setting.group != group {
            group = setting.group;
            let _ = writeln!(text, "{group}");
        }
        let flag = setting.flag().map(|flag| format!(", {flag}")).unwrap_or_default();
        let _ = writeln!(text, "  {}{flag} [default: {default}]", setting.variable());
        for line in wrapped(setting.meaning(), WIDTH - 6) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text + "In the file of --config a name is in lower case, without PINYON_.\n"
}

/// Breaks a sentence between words, into lines of at most `width`.
fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    #[test]
    fn the_flags_that_are_listed_are_those_that_serve_takes() {
        let arguments = Arguments::command();
        let serve = arguments.find_subcommand("serve").unwrap();
        let taken = serve.get_arguments().filter_map(|one| one.get_long()).map(|long| format!("--{long}"));
        let others = ["--config", "--json", "--help"].map(str::to_owned);
        let taken: BTreeSet<String> = taken.filter(|flag| !others.contains(flag)).collect();
        let listed: BTreeSet<String> = SETTINGS.iter().filter_map(Setting::flag).collect();
        assert_eq!(listed, taken);
    }

    #[test]
    fn every_setting_is_listed_in_lines_that_fit() {
        let listed: Vec<_> =
            SETTINGS.iter().map(|setting| (setting, setting.default_text().unwrap())).collect();
        let text = as_text(&listed);
        assert!(SETTINGS.iter().all(|setting| text.contains(&setting.variable())));
        let long: Vec<&str> = text.lines().filter(|line| line.len() > WIDTH).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}
