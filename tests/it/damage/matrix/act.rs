//! Doing it: a file or directory of the cell's kind is chosen, and damaged.

use super::{
    super::{
        files::{below, copy, copy_file, is_there},
        kinds::Damage,
    },
    cells::{Cell, State, by_kind},
    made::Made,
};
use pinyon_types::SeededRng;
use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Damage that is to be done to a data directory.
pub struct Act<'a> {
    pub made: &'a Made,
    pub cell: &'a Cell,
    pub dir: &'a Path,
    pub rng: &'a mut SeededRng,
}

impl Act<'_> {
    /// Does it. Returns what is damaged, below the data directory, the first one first; nothing where nothing is different, or where a
    /// merge has just removed what was chosen.
    pub fn carry_out(&mut self) -> Vec<PathBuf> {
        let mut kinds = by_kind(self.dir);
        let Some(all) = kinds.remove(&self.cell.kind) else { return Vec::new() };
        let chosen = self.one_of(&all).unwrap();
        let path = self.dir.join(&chosen);
        match self.cell.damage {
            damage if damage.is_of_bytes() => {
                let Some(mut bytes) = is_there(fs::read(&path)) else { return Vec::new() };
                damage.hit(self.rng, &mut bytes);
                self.put(&path, &bytes).then_some(chosen).into_iter().collect()
            }
            Damage::Swapped => {
                let others: Vec<PathBuf> = all.iter().filter(|one| **one != chosen).cloned().collect();
                let Some(other) = self.one_of(&others) else { return Vec::new() };
                if self.swap(&path, &self.dir.join(&other)) { vec![chosen, other] } else { Vec::new() }
            }
            Damage::Stale => self.replace_from(&self.made.earlier, chosen),
            Damage::Foreign => self.replace_from(std::slice::from_ref(&self.made.foreign), chosen),
            Damage::Doubled => self.double(&chosen).into_iter().collect(),
            _ => {
                if !self.put_away(&path) {
                    return Vec::new();
                }
                if self.cell.damage == Damage::Directory {
                    fs::create_dir(&path).unwrap();
                }
                vec![chosen]
            }
        }
    }

    fn one_of(&mut self, all: &[PathBuf]) -> Option<PathBuf> {
        (!all.is_empty()).then(|| all[below(self.rng, all.len())].clone())
    }

    /// Moves something out of the data directory, if it is there: somebody may have it open.
    fn put_away(&self, path: &Path) -> bool {
        let away = self.beside("away");
        fs::create_dir_all(&away).unwrap();
        let number = fs::read_dir(&away).unwrap().count();
        is_there(fs::rename(path, away.join(number.to_string()))).is_some()
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.dir.with_extension(what)
    }

    /// Gives a file other bytes; whether they are others. What is mapped is never cut: the system would end the process, which
    /// `served` sees to.
    fn put(&self, path: &Path, bytes: &[u8]) -> bool {
        let Some(before) = is_there(fs::read(path)) else { return false };
        let extension = path.extension().unwrap_or_default();
        let is_mapped = ["seg", "graph", "sample"].iter().any(|one| extension == *one);
        if self.cell.state == State::Running && is_mapped && before.len() != bytes.len() {
            let new = self.beside("new");
            fs::write(&new, bytes).unwrap();
            fs::rename(new, path).unwrap();
        } else {
            let opened = fs::OpenOptions::new().write(true).open(path);
            let Some(file) = is_there(opened) else { return false };
            if bytes.len() != before.len() {
                file.set_len(bytes.len() as u64).unwrap();
            }
            file.write_all_at(bytes, 0).unwrap();
        }
        before != bytes
    }

    fn swap(&self, one: &Path, other: &Path) -> bool {
        if one.is_dir() {
            let between = self.beside("between");
            fs::rename(one, &between).unwrap();
            fs::rename(other, one).unwrap();
            fs::rename(between, other).unwrap();
            return true;
        }
        let read = |path| is_there(fs::read(path));
        let (Some(first), Some(second)) = (read(one), read(other)) else { return false };
        self.put(one, &second) | self.put(other, &first)
    }

    /// Takes the file of the same name out of another data directory, or one of its kind.
    fn replace_from(&mut self, others: &[PathBuf], chosen: PathBuf) -> Vec<PathBuf> {
        let path = self.dir.join(&chosen);
        let other = &others[below(self.rng, others.len())];
        let of_kind = by_kind(other).remove(&self.cell.kind).unwrap_or_default();
        let beside =
            of_kind.iter().filter(|one| one.parent() == chosen.parent()).cloned().collect::<Vec<_>>();
        let same = of_kind.iter().find(|one| **one == chosen).cloned();
        let beside = self.one_of(&beside);
        let Some(from) = same.or(beside).or_else(|| self.one_of(&of_kind)) else { return Vec::new() };
        let from = other.join(from);
        let is_changed = if path.is_dir() {
            let is_away = self.put_away(&path);
            copy(&from, &path);
            is_away
        } else {
            self.put(&path, &fs::read(from).unwrap())
        };
        is_changed.then_some(chosen).into_iter().collect()
    }

    /// Copies it to a name that another of its kind could have; none if it is not there.
    fn double(&mut self, chosen: &Path) -> Option<PathBuf> {
        let name = chosen.file_name().unwrap().to_str().unwrap();
        let most = [2, 200][below(self.rng, 2)];
        let more = 1 + self.rng.below(most);
        let mut names = (more..).map(|more| chosen.with_file_name(other_name(name, more)));
        let other = names.find(|other| !self.dir.join(other).exists()).unwrap();
        let (from, to) = (self.dir.join(chosen), self.dir.join(&other));
        if from.is_dir() {
            copy(&from, &to);
            return Some(other);
        }
        copy_file(&from, &to).then_some(other)
    }
}

/// A name whose number is larger by so much; of names without one what people and programs make of them.
fn other_name(name: &str, more: u64) -> String {
    let digits = name.find('-').map(|dash| &name[dash + 1..]);
    let digits = digits.map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]);
    match digits.filter(|digits| !digits.is_empty()) {
        Some(digits) => {
            let number = digits.parse::<u64>().unwrap() + more;
            name.replacen(digits, &format!("{number:0width$}", width = digits.len()), 1)
        }
        None => format!("{name}{}", [".copy", ".old", ".tmp", "~", "-damaged-1"][(more % 5) as usize]),
    }
}
