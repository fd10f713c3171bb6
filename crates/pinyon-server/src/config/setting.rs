//! A setting as people meet it, and README's table of all of them.

use super::{settings::Settings, variables::MODULE_NAMES};

/// Settings that `pinyon serve` takes as flags too, in the order of its help.
const FLAGS: [&str; 11] = [
    "data_dir",
    "listen",
    "ops_listen",
    "single_index",
    "tls",
    "num_shards",
    "vector_dimension",
    "metric",
    "placement",
    "catalog",
    "embedder",
];

/// A setting as people meet it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Key in the TOML file.
    pub name: &'static str,
    /// Heading that it stands below.
    pub group: &'static str,
    /// Doc comment: one sentence.
    pub(super) meaning: &'static str,
    /// Writes its default out of settings that no layer touched.
    pub(super) default: fn(&Settings) -> String,
}

impl Setting {
    /// Name in the environment. All of them are read with the prefix `PINYON_` too.
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase();
        if MODULE_NAMES.contains(&name.as_str()) { name } else { format!("PINYON_{name}") }
    }

    /// Flag of `pinyon serve`, if it has one.
    pub fn flag(&self) -> Option<String> {
        FLAGS.contains(&self.name).then(|| format!("--{}", self.name.replace('_', "-")))
    }

    /// What it means, in one sentence.
    pub const fn meaning(&self) -> &'static str {
        self.meaning.trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Partial, SETTINGS};
    use pinyon_core::{Readers, read_side_file, write_side_file};
    use std::path::Path;

    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    const BEGIN: &str = "<!-- settings: written by `cargo xtask readme` -->\n";
    const END: &str = "<!-- /settings -->\n";

    fn row(cells: [String; 5]) -> String {
        format!("| {} |\n", cells.join(" | "))
    }

    /// The table as README has it.
    fn table() -> String {
        let mut text = String::from("| key in the file | environment | flag | default | meaning |\n");
        text += "|---|---|---|---|---|\n";
        let mut group = "";
        for setting in SETTINGS {
            if setting.group != group {
                group = setting.group;
                text += &row([format!("**{group}**"), "".into(), "".into(), "".into(), "".into()]);
            }
            let code = |text: String| format!("`{text}`");
            let flag = setting.flag().map(code).unwrap_or_default();
            let default = setting.default_text().unwrap();
            let cells = [setting.name.into(), setting.variable()].map(code);
            let [name, variable] = cells;
            text += &row([name, variable, flag, default, setting.meaning().into()]);
        }
        text
    }

    #[test]
    fn readme_has_the_table_of_settings() {
        let readme = read_side_file(Path::new(README)).unwrap().expect("README is there");
        let readme = String::from_utf8(readme).unwrap();
        let (before, rest) = readme.split_once(BEGIN).expect("README says where the table begins");
        let (found, after) = rest.split_once(END).expect("README says where the table ends");
        if std::env::var_os("PINYON_TEST_BLESS").is_some() {
            let text = [before, BEGIN, &table(), END, after].concat();
            write_side_file(Path::new(README), text.as_bytes(), Readers::All).unwrap();
            return;
        }
        assert!(found == table(), "README's settings are not those of the code: run `cargo xtask readme`");
    }

    #[test]
    fn every_setting_is_read_from_the_file_and_from_both_of_its_variables() {
        for setting in SETTINGS {
            let texts = ["\"x\"", "1", "true", "[\"x\"]"];
            let read = |text: &&str| Partial::from_toml(&format!("{} = {text}", setting.name), "t");
            let in_file =
                texts.iter().filter_map(|text| read(text).ok()).find(|one| *one != Partial::default());
            assert!(in_file.is_some(), "{} in the file", setting.name);
            for variable in [setting.variable(), format!("PINYON_{}", setting.name.to_ascii_uppercase())] {
                let read = |text: &str| Environment::new([(variable.clone(), text.into())]).into_partial();
                assert!(["1", "true"].iter().any(|text| read(text).is_ok()), "{variable}");
            }
        }
    }

    #[test]
    fn meanings_are_one_sentence_that_fits_a_table() {
        for setting in SETTINGS {
            let meaning = setting.meaning();
            let is_sentence =
                meaning.ends_with('.') && meaning.starts_with(|first: char| !first.is_lowercase());
            assert!(
                is_sentence && meaning.len() <= 120 && !meaning.contains('|'),
                "{}: {meaning}",
                setting.name
            );
        }
        assert!(FLAGS.iter().all(|flag| SETTINGS.iter().any(|setting| setting.name == *flag)));
        assert!(MODULE_NAMES.iter().all(|name| SETTINGS.iter().any(|setting| setting.variable() == *name)));
    }
}
