//! Follows paths through the modules of one crate to the files that define what they name.

use super::reader::{Import, ModuleText, read_module};
use crate::tidy::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The modules of a crate. Each belongs to a file; those between braces to the file around them.
#[derive(Debug, Default)]
pub struct Modules {
    all: Vec<Module>,
    /// Paths of the files, relative to the project's root.
    pub files: Vec<String>,
}

#[derive(Debug)]
struct Module {
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    text: ModuleText,
}

/// What a path leads to.
enum Target {
    Module(usize),
    /// An item, by the module that defines it.
    Item(usize),
}

/// Names that were looked up on the way, so that imports in a circle come to an end.
type Seen = BTreeSet<(usize, String)>;

impl Modules {
    /// Reads the modules that a crate's root file declares, and those that they declare.
    pub fn below(root: &str, sources: &[Source]) -> Self {
        let mut modules = Self::default();
        if let Some(source) = find(sources, root) {
            let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
            modules.add_file(source, folder, None, sources);
        }
        modules
    }

    /// Adds a file's module and all below it; `folder` is where its children's files are.
    fn add_file(
        &mut self,
        source: &Source,
        folder: &str,
        parent: Option<usize>,
        sources: &[Source],
    ) -> usize {
        self.files.push(source.path.clone());
        let file = self.files.len() - 1;
        self.add(read_module(&source.text), &Place { file, folder, parent }, sources)
    }

    fn add(&mut self, mut text: ModuleText, place: &Place<'_>, sources: &[Source]) -> usize {
        let Place { file, folder, parent } = *place;
        let (names, inline) = (std::mem::take(&mut text.children), std::mem::take(&mut text.inline));
        let own = self.all.len();
        self.all.push(Module { file, parent, children: BTreeMap::new(), text });
        for name in names {
            let inside = format!("{folder}/{name}");
            let beside = find(sources, &format!("{inside}.rs"));
            if let Some(source) = beside.or_else(|| find(sources, &format!("{inside}/mod.rs"))) {
                let child = self.add_file(source, &inside, Some(own), sources);
                self.all[own].children.insert(name, child);
            }
        }
        for (name, text) in inline {
            let inside = format!("{folder}/{name}");
            let child = self.add(text, &Place { file, folder: &inside, parent: Some(own) }, sources);
            self.all[own].children.insert(name, child);
        }
        own
    }

    /// Returns for every file the files whose items it names. A module that only stands on the way of a path counts for
    /// nothing: the path counts for the file that defines the item, or, where no file is seen to, for the last module. What a
    /// file re-exports counts if the file's own code uses it: else it is a signpost, and the file is understood without it.
    pub fn uses(&self) -> Vec<BTreeSet<usize>> {
        let mut uses = vec![BTreeSet::new(); self.files.len()];
        for (at, module) in self.all.iter().enumerate() {
            let text = &module.text;
            let is_used = |import: &Import| !import.is_re_export || text.words.contains(&import.name);
            let named = text.imports.iter().filter(|import| import.name != "*" && is_used(import));
            let paths = named.map(|import| &import.path).chain(&text.paths);
            let targets = paths.filter_map(|path| self.resolve(at, path, &mut Seen::new()));
            let targets = targets.chain(text.words.iter().filter_map(|word| self.through_stars(at, word)));
            uses[module.file].extend(targets.filter_map(|target| match target {
                Target::Item(definer) => Some(self.all[definer].file),
                Target::Module(_) => None,
            }));
            uses[module.file].remove(&module.file);
        }
        uses
    }

    fn resolve(&self, from: usize, path: &[String], seen: &mut Seen) -> Option<Target> {
        let (last, way) = path.split_last()?;
        let mut module = from;
        for (at, name) in way.iter().enumerate() {
            module = match (name.as_str(), self.all[module].children.get(name)) {
                ("crate", _) => 0,
                ("self", _) => module,
                ("super", _) => self.all[module].parent?,
                (_, Some(child)) => *child,
                (_, None) => match self.look_up(module, name, seen) {
                    Some(Target::Module(imported)) => imported,
                    Some(item) => return Some(item),
                    None if at == 0 => return None,
                    None => return Some(Target::Item(module)),
                },
            };
        }
        match last.as_str() {
            "crate" => Some(Target::Module(0)),
            "self" => Some(Target::Module(module)),
            "super" => self.all[module].parent.map(Target::Module),
            _ if way.is_empty() => self.look_up(module, last, seen),
            _ => Some(self.look_up(module, last, seen).unwrap_or(Target::Item(module))),
        }
    }

    /// What a name means in a module: an item of its own, one that it imports, or a module.
    fn look_up(&self, module: usize, name: &str, seen: &mut Seen) -> Option<Target> {
        let Module { text, children, .. } = &self.all[module];
        if text.items.contains(name) {
            return Some(Target::Item(module));
        }
        let is_new = seen.insert((module, name.to_owned()));
        let named = text.imports.iter().filter(|import| is_new && import.name == name);
        let named = named.filter_map(|import| self.resolve(module, &import.path, seen)).next();
        let own = named.or_else(|| children.get(name).map(|child| Target::Module(*child)));
        own.or_else(|| if is_new { self.look_through_stars(module, name, seen) } else { None })
    }

    /// What a name means that a module has from importing everything of another.
    fn through_stars(&self, module: usize, name: &str) -> Option<Target> {
        let Module { text, children, .. } = &self.all[module];
        let is_own = text.items.contains(name) || children.contains_key(name);
        if is_own || text.imports.iter().any(|import| import.name == name) {
            return None;
        }
        self.look_through_stars(module, name, &mut Seen::from([(module, name.to_owned())]))
    }

    fn look_through_stars(&self, module: usize, name: &str, seen: &mut Seen) -> Option<Target> {
        let stars = self.all[module].text.imports.iter().filter(|import| import.name == "*");
        let mut found = stars.filter_map(|Import { path, .. }| {
            let first = path.first()?;
            // What a name of the same letters means is being looked up: a star cannot hang on itself.
            if first == name {
                return None;
            }
            match self.resolve(module, path, seen)? {
                Target::Module(inner) => self.look_up(inner, name, seen),
                Target::Item(_) => None,
            }
        });
        found.next()
    }
}

/// Where a module belongs.
struct Place<'a> {
    file: usize,
    /// Where the files of its children are.
    folder: &'a str,
    parent: Option<usize>,
}

fn find<'a>(sources: &'a [Source], path: &str) -> Option<&'a Source> {
    let found = sources.binary_search_by(|source| source.path.as_str().cmp(path));
    found.ok().map(|at| &sources[at])
}
