//! Reads which modules a file declares, what it defines, what it imports and which paths it names.

use super::tokens::{is_word, product_tokens};
use std::collections::BTreeSet;

/// One module's text: a file's, or that between the braces of `mod name { … }`.
#[derive(Debug, Default)]
pub struct ModuleText {
    /// Names of the modules that have files of their own.
    pub children: Vec<String>,
    /// Modules between braces.
    pub inline: Vec<(String, ModuleText)>,
    /// Names of items that the module itself defines.
    pub items: BTreeSet<String>,
    /// Every `use`, one a name.
    pub imports: Vec<Import>,
    /// Paths of two names and more that code speaks of.
    pub paths: BTreeSet<Vec<String>>,
    /// Every word that begins a path, by which imports are seen to be used.
    pub words: BTreeSet<String>,
}

/// One name that `use` brings into a module.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// Where it comes from; without the star if it ends with one.
    pub path: Vec<String>,
    /// What it is called here; `*` for everything that the path holds.
    pub name: String,
    /// Whether others may name it from here (`pub use`).
    pub is_re_export: bool,
}

/// Words that precede the name of an item.
const DEFINING: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

/// Reads a file's text.
pub fn read_module(text: &str) -> ModuleText {
    let mut reader = Reader { tokens: product_tokens(text), at: 0 };
    reader.module()
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

impl Reader {
    /// Reads up to the end, or up to the brace that closes the module.
    fn module(&mut self) -> ModuleText {
        let mut module = ModuleText::default();
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "mod" => self.declared(&mut module),
                "use" => self.imports(&mut module),
                word if is_word(word) => self.word(token, depth, &mut module),
                _ => {}
            }
        }
        module
    }

    fn declared(&mut self, module: &mut ModuleText) {
        let Some(name) = self.next() else { return };
        match self.peek() {
            "{" => {
                self.at += 1;
                let inner = self.module();
                module.inline.push((name, inner));
            }
            _ => module.children.push(name),
        }
    }

    /// Takes the rest of a path that begins with a word, and notes the item that a word defines.
    fn word(&mut self, first: String, depth: usize, module: &mut ModuleText) {
        let is_start = self.at < 2 || !matches!(self.tokens[self.at - 2].as_str(), "::" | ".");
        if depth == 0 && DEFINING.contains(&first.as_str()) && is_word(self.peek()) {
            module.items.insert(self.peek().to_owned());
        }
        if depth == 0 && first == "macro_rules" {
            module.items.extend(self.tokens.get(self.at + 1).cloned());
        }
        let mut path = vec![first];
        while self.peek() == "::" && self.tokens.get(self.at + 1).is_some_and(|token| is_word(token)) {
            path.push(self.tokens[self.at + 1].clone());
            self.at += 2;
        }
        if is_start {
            module.words.extend(path.first().cloned());
            module.paths.extend((path.len() > 1).then_some(path));
        }
    }

    fn imports(&mut self, module: &mut ModuleText) {
        let before = &self.tokens[..self.at - 1];
        let of_group =
            before.iter().rposition(|token| token == "(").filter(|_| before.ends_with(&[")".to_owned()]));
        let is_re_export =
            before[..of_group.unwrap_or(before.len())].last().is_some_and(|token| token == "pub");
        let first = module.imports.len();
        self.import_tree(&[], &mut module.imports);
        module.imports[first..].iter_mut().for_each(|import| import.is_re_export = is_re_export);
    }

    /// Reads `a::b`, `a::{b, c::*}`, `a::{self, b as c}`: one import a name, in the order of the text.
    fn import_tree(&mut self, prefix: &[String], imports: &mut Vec<Import>) {
        let mut path = prefix.to_vec();
        while let Some(token) = self.next() {
            match token.as_str() {
                "{" => return self.import_list(&path, imports),
                "*" => return imports.push(Import { path, name: "*".into(), is_re_export: false }),
                "::" if path.is_empty() => path.push(String::new()),
                "::" => {}
                word if is_word(word) => {
                    path.push(token);
                    if self.peek() != "::" {
                        return imports.push(self.named(path));
                    }
                }
                _ => return,
            }
        }
    }

    fn import_list(&mut self, prefix: &[String], imports: &mut Vec<Import>) {
        loop {
            match self.peek() {
                "" => return,
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                _ => self.import_tree(prefix, imports),
            }
        }
    }

    fn named(&mut self, mut path: Vec<String>) -> Import {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if self.peek() == "as" {
            self.at += 1;
            name = self.next().unwrap_or_default();
        }
        Import { path, name, is_re_export: false }
    }

    fn next(&mut self) -> Option<String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let import = |import: Import| format!("{} = {}", import.name, import.path.join("::"));
        read_module(text).imports.into_iter().map(import).collect()
    }

    #[test]
    fn nested_lists_become_one_import_a_name() {
        let text = "pub(crate) use crate::{a::{self, B, c::{D as E, *}}, f};\nuse super::G;";
        assert_eq!(
            imports(text),
            [
                "a = crate::a",
                "B = crate::a::B",
                "E = crate::a::c::D",
                "* = crate::a::c",
                "f = crate::f",
                "G = super::G"
            ]
        );
        assert_eq!(imports("use ::a::b; fn f() { use c::d as _; }"), ["b = ::a::b", "_ = c::d"]);
    }

    #[test]
    fn comments_and_strings_import_nothing() {
        let text = "// use a::b;\n/* use c::d; */\nconst X: &str = \"use e::f; g::h\";\nconst Y: &str = r#\"mod i;\"#;";
        let read = read_module(text);
        assert!(read.imports.is_empty() && read.paths.is_empty() && read.children.is_empty());
        assert_eq!(read.items.into_iter().collect::<Vec<_>>(), ["X", "Y"]);
    }

    #[test]
    fn items_modules_and_paths_are_told_apart() {
        let text = "mod file;\npub mod inline { pub struct Inner; }\npub const fn made() {}\nimpl A { fn method() { \
                    super::b::c(x.d::<E>(), <F as G>::h()); } }";
        let read = read_module(text);
        assert_eq!(read.children, ["file"]);
        assert!(read.inline[0].0 == "inline" && read.inline[0].1.items.contains("Inner"));
        assert!(read.items.contains("made") && !read.items.contains("method"));
        assert_eq!(read.paths.into_iter().collect::<Vec<_>>(), [["super", "b", "c"]]);
    }
}
