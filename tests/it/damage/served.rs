//! Damage met by the real binary. The data directory is one that an earlier version wrote (`golden/data`), or that and one run of this
//! version, which was killed.
//!
//! A run takes cases by a seed: `PINYON_TEST_SEED=7 PINYON_TEST_DAMAGE_SERVED=2000 cargo test --release -p pinyon-tests served -- --nocapture`.

use super::{
    files::{Manifests, below, copy, files, gone, kind, number},
    kinds::Damage,
};
use crate::{
    older::{golden, name_of, unpacked},
    server::{Server, Starting, scratch},
};
use pinyon_types::SeededRng;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

const DAMAGES: [Damage; 8] = [
    Damage::Bit,
    Damage::Byte,
    Damage::Zeros,
    Damage::Shortened,
    Damage::Longer,
    Damage::Emptied,
    Damage::Missing,
    Damage::Swapped,
];

/// One case: the file and what happens to it.
struct Case {
    file: PathBuf,
    damage: Damage,
    found: Found,
}

/// In which state damage finds the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// As an earlier version left them: no witness knows what was acknowledged.
    Older,
    /// This version ran, and was killed.
    Killed,
    /// This version serves them.
    Running,
}

const STATES: [Found; 3] = [Found::Older, Found::Killed, Found::Running];

/// A run of this version over what an earlier one wrote.
fn upgrade(dir: &Path) {
    let mut server = Server::start(dir, &[]);
    // Its answer says that all is open.
    assert_eq!(server.get("/livez").unwrap().0, 200);
    server.kill();
}

impl Case {
    fn choose(rng: &mut SeededRng, dir: &Path, found: Found) -> Self {
        let every = files(dir);
        // `catalog.json` is for people, `LOCK` for whoever wants to know the holder.
        let is_read =
            |file: &&PathBuf| !["catalog.json", "LOCK", "held"].iter().any(|name| file.ends_with(name));
        let read: Vec<&PathBuf> = every.iter().filter(is_read).collect();
        let kinds: Vec<String> =
            read.iter().map(|file| kind(file)).collect::<BTreeSet<_>>().into_iter().collect();
        let chosen = &kinds[below(rng, kinds.len())];
        let of_kind: Vec<&&PathBuf> = read.iter().filter(|file| kind(file) == *chosen).collect();
        let file = of_kind[below(rng, of_kind.len())].to_path_buf();
        Self { file, damage: DAMAGES[below(rng, DAMAGES.len())], found }
    }

    /// Whether anything is different now.
    fn carry_out(&self, rng: &mut SeededRng, dir: &Path) -> bool {
        let before = fs::read(&self.file).unwrap();
        let mut bytes = before.clone();
        match self.damage {
            Damage::Missing => {
                fs::remove_file(&self.file).unwrap();
                return true;
            }
            Damage::Swapped => {
                let others = files(dir).into_iter().filter(|file| kind(file) == kind(&self.file));
                let others: Vec<PathBuf> = others.collect();
                bytes = fs::read(&others[below(rng, others.len())]).unwrap();
            }
            damage => damage.hit(rng, &mut bytes),
        }
        fs::write(&self.file, &bytes).unwrap();
        bytes != before
    }

    /// The directory of the index that the file is of, below the data directory; nothing for what all indexes lean on.
    fn index(&self, dir: &Path) -> Option<String> {
        let relative = self.file.strip_prefix(dir).unwrap();
        let mut parts = relative.iter().map(|part| part.to_str().unwrap());
        match (parts.next(), parts.next()) {
            (Some("indexes"), Some(index)) if index.starts_with("index-") => Some(index.to_owned()),
            (Some("shards"), _) => Some(String::new()),
            _ => None,
        }
    }
}

struct Checked {
    right: usize,
    refused: usize,
}

/// Asks for some records of a namespace: they are as they were written, or an error says which shard or file is to blame.
fn check_namespace(
    server: &Server,
    case: &Case,
    index: &str,
    namespace: &str,
    held: &Value,
) -> Result<Checked, String> {
    let records = held["records"].as_object().unwrap();
    let some = records.iter().step_by((records.len() / 5).max(1));
    let mut checked = Checked { right: 0, refused: 0 };
    for (id, expected) in some {
        let query = [("namespace", name_of(namespace)), ("ids", id)];
        let path = format!("/indexes/{index}/vectors/fetch");
        let (status, found) = server.connection().get(&path, &query).ok_or("the connection broke")?;
        match status {
            200 => {
                let mut record = found["vectors"][id.as_str()].clone();
                if index == "tenants"
                    && let Some(record) = record.as_object_mut()
                {
                    record.remove("values");
                }
                // Not told from a write that was never known to be synced (FORMAT.md): the end of a log that no witness knows.
                let is_of_log = case.file.extension().is_some_and(|extension| extension == "log");
                if record.is_null() && is_of_log && case.found == Found::Older {
                    continue;
                }
                if record != *expected {
                    return Err(format!("{index}/{namespace}/{id}: {found}"));
                }
                checked.right += 1;
            }
            503 if found["message"].as_str().is_some_and(|message| message.contains("quarantined")) => {
                checked.refused += 1;
            }
            _ => return Err(format!("{index}/{namespace}/{id}: {status} {found}")),
        }
    }
    Ok(checked)
}

/// Where an index's files lie: the golden directory's were made in this order.
fn directory_of(index: &str) -> String {
    let made = ["dense", "hybrid", "sparse", "far", "empty"];
    made.iter().position(|name| *name == index).map_or_else(String::new, |at| format!("index-{:08}", at + 1))
}

/// Asks for records of every namespace of every index.
fn check_records(
    server: &Server,
    case: &Case,
    dir: &Path,
    expected: &Value,
    seen: &mut Checked,
) -> Result<(), String> {
    for (index, namespaces) in expected.as_object().unwrap() {
        let is_damaged = case.index(dir).is_none_or(|damaged| damaged == directory_of(index));
        for (namespace, held) in namespaces.as_object().unwrap() {
            let Checked { right, refused } = check_namespace(server, case, index, namespace, held)?;
            if refused > 0 && !is_damaged {
                return Err(format!("{index}/{namespace} is not served, {right} records right"));
            }
            seen.right += right;
            seen.refused += refused;
        }
    }
    Ok(())
}

/// Damages a file of a server that runs, and asks once the look has come that comes each second.
fn damage_running(
    case: &mut Case,
    rng: &mut SeededRng,
    dir: &Path,
    expected: &Value,
    seen: &mut Checked,
) -> Result<bool, String> {
    let log = scratch("damage-running-log");
    let errors = fs::File::create(&log).map_err(|error| error.to_string())?;
    let mut server =
        Starting::new(dir, &[], &[], Stdio::from(errors)).try_wait().ok_or("it did not start")?;
    *case = Case::choose(rng, dir, Found::Running);
    let is_changed = case.carry_out(rng, dir);
    std::thread::park_timeout(Duration::from_millis(2_500));
    let checked = check_records(&server, case, dir, expected, seen);
    let ended = server.exit_code(Duration::from_millis(300));
    drop(server);
    let said = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let name = case.file.file_name().unwrap().to_str().unwrap();
    match ended {
        // It was read behind its end before anybody looked.
        Some(74) if said.lines().last().is_some_and(|line| line.contains(name)) => Ok(is_changed),
        Some(code) => Err(format!("it ended with {code}: {said}")),
        None if said.contains("panicked") => Err(said),
        None => checked.map(|()| is_changed),
    }
}

/// Starts on what is there and asks for everything.
fn check(dir: &Path, case: &Case, expected: &Value, seen: &mut Checked) -> Result<(), String> {
    let before = files(dir);
    let log = scratch("damage-log");
    let errors = fs::File::create(&log).map_err(|error| error.to_string())?;
    let Some(server) = Starting::new(dir, &[], &[], Stdio::from(errors)).try_wait() else {
        let said = fs::read_to_string(&log).unwrap();
        let name = case.file.file_name().unwrap().to_str().unwrap();
        let is_shared = case.index(dir).is_none();
        let names_it = said.contains(name) || said.contains("catalog") || said.contains("registry");
        return if is_shared && names_it && gone(&before, &Manifests::new()).is_empty() {
            Ok(())
        } else {
            Err(format!("refused: {said}"))
        };
    };
    check_records(&server, case, dir, expected, seen)?;
    for path in ["/health", "/admin/v1/shards"] {
        let (_, found) = server.get(path).ok_or("no answer")?;
        if found.to_string().contains(dir.to_str().unwrap()) {
            return Err(format!("{path} says where the data lie: {found}"));
        }
    }
    let (status, _) = server.get("/livez").ok_or("no answer")?;
    let gone = gone(&before, &Manifests::new());
    if status != 200 || !gone.is_empty() {
        return Err(format!("livez {status}, deleted: {gone:?}"));
    }
    let said = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    if said.contains("panicked") { Err(said) } else { Ok(()) }
}

#[test]
fn damage_stays_where_it_is_and_is_named() {
    let expected: Value = serde_json::from_reader(golden("v1.json.gz")).unwrap();
    let (seed, cases) =
        (number("PINYON_TEST_SEED", u64::from(std::process::id())), number("PINYON_TEST_DAMAGE_SERVED", 12));
    let mut rng = SeededRng::new(seed);
    let mut failures = Vec::new();
    let mut seen = Checked { right: 0, refused: 0 };
    let upgraded = ["sled", "redb"].map(|catalog| unpacked("v1", catalog));
    upgraded.iter().for_each(|dir| upgrade(dir));
    for at in 0..cases {
        let (catalog, found) = ((at % 2) as usize, STATES[(at % 3) as usize]);
        let dir = scratch("damaged");
        match found {
            Found::Older => fs::rename(unpacked("v1", ["sled", "redb"][catalog]), &dir).unwrap(),
            Found::Killed | Found::Running => copy(&upgraded[catalog], &dir),
        }
        let mut case = Case::choose(&mut rng, &dir, found);
        let changed = match found {
            Found::Running => damage_running(&mut case, &mut rng, &dir, &expected, &mut seen),
            _ => Ok(case.carry_out(&mut rng, &dir)),
        };
        let checked = changed
            .and_then(|changed| if changed { check(&dir, &case, &expected, &mut seen) } else { Ok(()) });
        if let Err(problem) = checked {
            let file = case.file.strip_prefix(&dir).unwrap();
            failures.push(format!(
                "seed {seed}, case {at}, {:?}: {:?} of {}: {problem}",
                case.found,
                case.damage,
                file.display()
            ));
        }
        fs::remove_dir_all(&dir).unwrap();
    }
    upgraded.iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
    println!("{cases} cases: {} records right, {} refused by name", seen.right, seen.refused);
    assert!(seen.right > 0, "nothing was asked for");
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
}
