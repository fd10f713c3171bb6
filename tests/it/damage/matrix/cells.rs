//! The matrix: kinds of files and directories, what is done to one, and the state that it finds the data in.

use super::{
    super::{
        files::{files, kind},
        kinds::Damage,
    },
    made::Made,
};
use pinyon_types::SeededRng;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// In which state damage finds the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ended cleanly.
    Closed,
    /// Copied while they were open, as a kill leaves them.
    Killed,
    /// Open.
    Running,
}

const STATES: [State; 3] = [State::Closed, State::Killed, State::Running];

/// How kinds end that are directories.
const DIRECTORY: &str = "directory";

const OF_FILES: [Damage; 12] = [
    Damage::Bit,
    Damage::Byte,
    Damage::Zeros,
    Damage::Shortened,
    Damage::Longer,
    Damage::Emptied,
    Damage::Missing,
    Damage::Swapped,
    Damage::Stale,
    Damage::Doubled,
    Damage::Foreign,
    Damage::Directory,
];

/// Whole directories have no bytes of their own.
const OF_DIRECTORIES: [Damage; 5] =
    [Damage::Missing, Damage::Swapped, Damage::Stale, Damage::Doubled, Damage::Foreign];

/// One cell of the matrix.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Which of the data directories.
    pub made: usize,
    pub kind: String,
    pub damage: Damage,
    pub state: State,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made, kind, damage, state } = self;
        write!(f, "{} {state:?}: {damage:?} of a {kind}", ["sled", "redb"][*made])
    }
}

/// What a file or a directory of a data directory is; nothing for what is not looked at by itself.
pub fn kind_of(relative: &Path) -> String {
    let text = relative.to_str().unwrap();
    let name = relative.file_name().unwrap().to_str().unwrap();
    let within = |part: &str| text.split('/').any(|one| one == part);
    let place = match () {
        () if within("registry") || text == "indexes/WITNESS" => "registry ",
        () if within("catalog") => "catalog ",
        () => "",
    };
    match name {
        _ if name.starts_with("shard-") && !name.contains('.') => "shard's directory".into(),
        _ if name.starts_with("index-") => "index's directory".into(),
        "catalog" => "catalog's directory".into(),
        "registry" => "registry's directory".into(),
        _ if name.starts_with("snap.") => format!("{place}snap"),
        _ => format!("{place}{}", kind(relative).trim_end_matches('.')),
    }
}

/// Every file and directory below a directory that is damaged, by what it is.
pub fn by_kind(dir: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files(dir).into_iter().chain(directories(dir)) {
        let path = path.strip_prefix(dir).unwrap().to_owned();
        kinds.entry(kind_of(&path)).or_default().push(path);
    }
    kinds
}

/// Directories that are damaged as a whole.
fn directories(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(directories(&path));
            if kind_of(&path).ends_with(DIRECTORY) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every cell there is, in an order in which neighbours differ in all of their parts.
pub fn cells(made: &[Made]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (number, made) in made.iter().enumerate() {
        for (kind, candidates) in by_kind(&made.killed) {
            let is_directory = kind.ends_with(DIRECTORY);
            let damages = if is_directory { OF_DIRECTORIES.as_slice() } else { OF_FILES.as_slice() };
            let can_be = |damage: &&Damage| **damage != Damage::Swapped || candidates.len() > 1;
            for &damage in damages.iter().filter(can_be) {
                let cell = |state| Cell { made: number, kind: kind.clone(), damage, state };
                cells.extend(STATES.map(cell));
            }
        }
    }
    cells.retain(Cell::is_told);
    shuffle(&mut cells);
    cells
}

impl Cell {
    /// Whether anybody could tell it from data that are as they should be.
    fn is_told(&self) -> bool {
        // An older index with its own WITNESS is what a restore from a backup is (FORMAT.md).
        !(self.kind == "index's directory" && self.damage == Damage::Stale)
    }
}

/// The same way every time, so that a case is known by its number.
fn shuffle(cells: &mut [Cell]) {
    let mut rng = SeededRng::new(1);
    for end in (1..cells.len()).rev() {
        cells.swap(end, usize::try_from(rng.below(end as u64 + 1)).unwrap());
    }
}
