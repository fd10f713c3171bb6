//! The files of a data directory, as they are damaged and looked for.

use pinyon_storage::{
    io::RealIo,
    manifest::{self, Manifest},
};
use pinyon_types::SeededRng;
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The environment's number, or another one.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The environment's seed, or that of the day.
pub fn seed_of_day() -> u64 {
    let day = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    number("PINYON_TEST_SEED", day)
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn below(rng: &mut SeededRng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap()
}

/// What stands before the number in a file's name.
pub fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let extension = path.extension().map_or("", |extension| extension.to_str().unwrap());
    format!("{}.{extension}", name.split(['-', '.']).next().unwrap())
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            copy_file(&path, &to);
        }
    }
}

/// Copies a file; whether it was there. Where somebody works with the data, a merge may have removed it just now.
pub fn copy_file(from: &Path, to: &Path) -> bool {
    is_there(fs::copy(from, to)).is_some()
}

/// What was asked of a file, unless it is not there.
pub fn is_there<T>(asked: io::Result<T>) -> Option<T> {
    match asked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        asked => Some(asked.unwrap()),
    }
}

/// Manifests, by the directory that they lie in.
pub type Manifests = HashMap<PathBuf, Manifest>;

/// Those that are there.
pub fn manifests(dir: &Path) -> Manifests {
    let files = files(dir);
    let dirs = files.iter().filter(|path| path.ends_with("MANIFEST")).filter_map(|path| path.parent());
    dirs.filter_map(|dir| Some((dir.to_owned(), manifest::load(&RealIo, dir).ok()??))).collect()
}

/// Data files that were there and are there no longer, under their own name or set aside, though something may still need them.
/// Where a manifest cannot be read any more, an earlier one may say so.
pub fn gone<'a>(before: &'a [PathBuf], earlier: &Manifests) -> Vec<&'a PathBuf> {
    let is_data = |path: &&PathBuf| {
        let extension = path.extension().unwrap_or_default();
        (extension == "seg" || extension == "log" || path.ends_with("MANIFEST"))
            && fs::metadata(path).is_err()
    };
    let set_aside = |path: &&PathBuf| {
        let mut name = (*path).clone().into_os_string();
        name.push(".aside");
        fs::metadata(name).is_ok()
    };
    before.iter().filter(is_data).filter(|path| !set_aside(path) && !is_done_with(path, earlier)).collect()
}

/// Whether a manifest that was stored after a segment or a log was written names it no longer: it was merged, or sealed.
fn is_done_with(path: &Path, earlier: &Manifests) -> bool {
    let dir = path.parent().unwrap();
    let (now, earlier) = (manifest::load(&RealIo, dir).ok().flatten(), earlier.get(dir));
    // What is being written at this moment has a number that no manifest has come to, and is given up where what it is made of is
    // damaged. A manifest that cannot be read, or went back, does not tell.
    let reached = now.as_ref().zip(earlier).filter(|(now, earlier)| now.next_segment >= earlier.next_segment);
    let is_begun = |number| reached.is_some_and(|(now, _)| number >= now.next_segment);
    let Some(manifest) = now.as_ref().or(earlier) else { return false };
    let name = path.file_stem().unwrap().to_str().unwrap();
    let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<u64>().ok();
    match (number("segment-"), number("wal-")) {
        (Some(number), _) => {
            (number < manifest.next_segment || is_begun(number))
                && manifest.segments.iter().all(|entry| entry.id != number)
        }
        (_, Some(first)) => {
            first <= manifest.log_floor && manifest.logs.iter().all(|entry| entry.first_seq != first)
        }
        _ => false,
    }
}
