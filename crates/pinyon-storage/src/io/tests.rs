//! Tests of the file systems: the real one and the one in memory behave alike, and the fault disk really loses things.

use super::*;
use std::path::PathBuf;

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-io-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// Everything that callers rely on, whatever the file system.
fn behaves(io: &dyn Io, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    assert!(io.create(&a).is_err(), "a file needs its directory");
    io.create_dir_all(dir).unwrap();
    io.create_dir_all(dir).unwrap();
    let file = io.create(&a).unwrap();
    assert_eq!(io.create(&a).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    file.write_at(b"hello", 3).unwrap();
    file.allocate(6).unwrap();
    assert_eq!(file.len().unwrap(), 8, "allocating never shrinks");
    file.allocate(100).unwrap();
    assert_eq!(file.len().unwrap(), 100);
    let mut buffer = [9; 10];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 10);
    assert_eq!(&buffer, b"\0\0\0hello\0\0");
    assert_eq!(file.read_at(&mut buffer, 95).unwrap(), 5);
    assert_eq!(file.read_at(&mut buffer, 1000).unwrap(), 0);
    file.set_len(8).unwrap();
    file.sync_data().unwrap();
    assert_eq!(io.read(&a).unwrap(), b"\0\0\0hello");
    assert_eq!(io.len(&a).unwrap(), 8);
    assert_eq!(&*io.map(&a).unwrap(), b"\0\0\0hello");
    assert_eq!(io.map(&a).unwrap().as_ptr() as usize % 64, 0);
    io.rename(&a, &b).unwrap();
    assert!(!io.exists(&a).unwrap() && io.exists(&b).unwrap());
    assert_eq!(io.list(dir).unwrap(), ["b"]);
    replaces_refuses_and_locks(io, dir);
}

/// The second half, on a directory with the one file `b`.
fn replaces_refuses_and_locks(io: &dyn Io, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    write_file_atomically(io, &b, b"new").unwrap();
    write_file_atomically(io, &b, b"").unwrap();
    assert_eq!(io.map(&b).unwrap().len(), 0);
    assert_eq!(io.list(dir).unwrap(), ["b"]);
    write_private_file_atomically(io, &b, b"secret").unwrap();
    assert_eq!(io.read(&b).unwrap(), b"secret");
    io.remove(&b).unwrap();
    assert!(io.remove(&b).is_err() && io.open(&b).is_err() && io.read(&b).is_err());
    assert!(io.len(&b).is_err() && io.map(&b).is_err() && io.rename(&b, &a).is_err());
    assert!(io.list(&dir.join("none")).is_err() && io.sync_dir(&dir.join("none")).is_err());
    assert!(io.lock(&dir.join("none/LOCK")).is_err());
    let held = io.lock(&dir.join("LOCK")).unwrap();
    assert_eq!(io.lock(&dir.join("LOCK")).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(held);
    drop(io.lock(&dir.join("LOCK")).unwrap());
    assert_eq!(io.list(dir).unwrap(), ["LOCK"]);
    assert!(io.lock_to_look(&b).is_err() && !io.exists(&b).unwrap(), "a look makes nothing");
    let held = io.lock_to_look(&dir.join("LOCK")).unwrap();
    assert_eq!(io.lock(&dir.join("LOCK")).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(held);
    io.sync_dir(dir).unwrap();
    has_directories(io, dir);
}

/// Directories are listed, renamed and removed with all that is in them.
fn has_directories(io: &dyn Io, dir: &Path) {
    let (old, new) = (dir.join("old"), dir.join("new"));
    io.create_dir_all(&old.join("inner")).unwrap();
    write_file_atomically(io, &old.join("inner/f"), b"kept").unwrap();
    assert!(io.is_dir(&old).unwrap() && !io.is_dir(&new).unwrap());
    assert!(!io.is_dir(&old.join("inner/f")).unwrap() && !io.is_dir(&old.join("inner/f/below")).unwrap());
    assert_eq!(io.list_dirs(dir).unwrap(), ["old"]);
    assert!(io.list_dirs(&new).is_err());
    io.create_dir_all(&new.join("other")).unwrap();
    assert!(io.rename(&old, &new).is_err(), "a directory in which something is stays");
    io.remove_tree(&new).unwrap();
    io.rename(&old, &new).unwrap();
    assert_eq!((io.list_dirs(dir).unwrap(), io.exists(&old).unwrap()), (vec!["new".into()], false));
    assert_eq!(io.read(&new.join("inner/f")).unwrap(), b"kept");
    assert!(io.remove_tree(&new.join("inner/f")).is_err(), "a file is no tree");
    io.remove_tree(&new).unwrap();
    io.remove_tree(&new).unwrap();
    assert!(io.list_dirs(dir).unwrap().is_empty() && !io.exists(&new.join("inner/f")).unwrap());
}

#[test]
fn every_file_system_behaves_alike() {
    let dir = scratch("alike");
    behaves(&RealIo, &dir.join("deep/er"));
    std::fs::remove_dir_all(&dir).unwrap();
    behaves(&MemoryIo::new(), Path::new("/deep/er"));
    behaves(&FaultDisk::new(), Path::new("/deep/er"));
}

#[test]
fn a_secret_is_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch("secret");
    RealIo.create_dir_all(&dir).unwrap();
    let path = dir.join("key");
    write_file_atomically(&RealIo, &path, b"for everybody").unwrap();
    write_private_file_atomically(&RealIo, &path, b"secret").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_dir_all(&dir).unwrap();
}

mod fault_disk {
    use super::*;

    fn disk_with_unsynced_tail() -> FaultDisk {
        let disk = FaultDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = disk.create(Path::new("/d/f")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(&[2; 4096], 1024).unwrap();
        disk.create(Path::new("/d/unsynced")).unwrap();
        disk
    }

    /// A harness that could not lose anything would let every durability test pass.
    #[test]
    fn a_crash_loses_what_was_not_synced_and_keeps_what_was() {
        let disk = disk_with_unsynced_tail();
        let end = disk.op_count();
        let image = disk.crash_image(end, Keep::Nothing);
        assert_eq!(image.read(Path::new("/d/f")).unwrap(), [1; 1024]);
        assert!(!image.exists(Path::new("/d/unsynced")).unwrap());
        let image = disk.crash_image(end, Keep::Everything);
        assert_eq!(image.read(Path::new("/d/f")).unwrap().len(), 5120);
        assert!(image.exists(Path::new("/d/unsynced")).unwrap());
        let image = disk.crash_image(1, Keep::Everything);
        assert!(!image.exists(Path::new("/d/f")).unwrap());
    }

    #[test]
    fn torn_images_keep_some_sectors_and_lose_others() {
        let disk = disk_with_unsynced_tail();
        let torn = (0..20).map(|seed| disk.crash_image(disk.op_count(), Keep::Torn { seed }));
        let torn: Vec<Vec<u8>> = torn.map(|image| image.read(Path::new("/d/f")).unwrap()).collect();
        assert!(torn.iter().all(|bytes| bytes[..1024] == [1; 1024]));
        let mixed = |bytes: &&Vec<u8>| bytes[1024..].contains(&0) && bytes[1024..].contains(&2);
        assert!(torn.iter().filter(mixed).count() > 5, "sectors tear independently");
    }

    #[test]
    fn bytes_before_a_failed_sync_are_not_saved_by_the_next_one() {
        let disk = FaultDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = disk.create(Path::new("/d/f")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(b"lost", 0).unwrap();
        disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Broken, lasting: false }));
        assert!(file.sync_data().is_err());
        file.write_at(b"kept", 4).unwrap();
        file.sync_data().unwrap();
        let image = disk.crash_image(disk.op_count(), Keep::Nothing);
        assert_eq!(image.read(Path::new("/d/f")).unwrap(), b"\0\0\0\0kept");
    }

    #[test]
    fn faults_hit_the_call_they_name() {
        let disk = FaultDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let file = disk.create(Path::new("/d/f")).unwrap();
        disk.fail(Some(Fault { call: disk.calls() + 1, kind: FaultKind::Short, lasting: false }));
        file.write_at(b"whole", 0).unwrap();
        assert!(file.write_at(b"halved", 5).is_err());
        file.write_at(b"!", 20).unwrap();
        assert_eq!(&disk.read(Path::new("/d/f")).unwrap()[..10], b"wholehal\0\0");
        disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Full, lasting: true }));
        assert_eq!(file.allocate(99).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        assert!(disk.list(Path::new("/d")).is_err());
    }

    /// Making sure that a directory is there must not pass for a sync of what is in it.
    #[test]
    fn making_a_directory_again_does_not_save_its_names() {
        let disk = disk_with_unsynced_tail();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let image = disk.crash_image(disk.op_count(), Keep::Nothing);
        assert_eq!(image.list(Path::new("/d")).unwrap(), ["f"]);
    }

    #[test]
    fn directory_changes_survive_in_their_order() {
        let disk = FaultDisk::new();
        let dir = Path::new("/d");
        disk.create_dir_all(dir).unwrap();
        for name in ["0", "1", "2", "3"] {
            disk.create(&dir.join(name)).unwrap();
        }
        let lists = (0..40).map(|seed| {
            let image = disk.crash_image(disk.op_count(), Keep::Random { seed });
            image.list(dir).unwrap()
        });
        let lists: std::collections::BTreeSet<Vec<String>> = lists.collect();
        assert_eq!(lists.len(), 5, "every first part comes up: {lists:?}");
        assert!(lists.iter().all(|list| list.iter().enumerate().all(|(at, name)| *name == at.to_string())));
    }

    #[test]
    fn a_directory_goes_by_its_new_name_once_that_is_durable_with_what_came_into_it_since() {
        let (disk, from, to) = (FaultDisk::new(), Path::new("/d/from"), Path::new("/e/to"));
        disk.put(&from.join("old"), b"old".to_vec());
        disk.create_dir_all(Path::new("/e")).unwrap();
        disk.rename(from, to).unwrap();
        write_file_atomically(&disk, &to.join("later"), b"later").unwrap();
        let whole = |image: &FaultDisk, dir: &Path| {
            image.read(&dir.join("old")).unwrap() == b"old"
                && image.read(&dir.join("later")).unwrap() == b"later"
        };
        let image = disk.crash_image(disk.op_count(), Keep::Nothing);
        assert!(whole(&image, from) && !image.exists(to).unwrap());
        let image = disk.crash_image(disk.op_count(), Keep::Everything);
        assert!(whole(&image, to) && !image.exists(from).unwrap());
        disk.sync_dir(Path::new("/e")).unwrap();
        let image = disk.crash_image(disk.op_count(), Keep::Nothing);
        assert!(whole(&image, to) && !image.exists(from).unwrap());
        // What was left is a disk like any other.
        image.rename(to, from).unwrap();
        image.sync_dir(Path::new("/d")).unwrap();
        assert!(whole(&image.crash_image(image.op_count(), Keep::Nothing), from));
    }

    #[test]
    fn a_tree_that_is_removed_goes_in_part_or_as_a_whole() {
        let disk = FaultDisk::new();
        let (top, files) = (Path::new("/d/top"), ["/d/top/a", "/d/top/b", "/d/top/in/c"].map(Path::new));
        files.iter().for_each(|file| disk.put(file, vec![1]));
        disk.remove_tree(top).unwrap();
        let left = |keep| {
            let image = disk.crash_image(disk.op_count(), keep);
            files.iter().filter(|file| image.exists(file).unwrap()).count()
        };
        assert_eq!([left(Keep::Nothing), left(Keep::Everything)], [3, 0]);
        let seen: std::collections::BTreeSet<usize> =
            (0..40).map(|seed| left(Keep::Random { seed })).collect();
        assert!(seen.len() > 2, "{seen:?}");
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(left(Keep::Nothing), 0);
        // A call that fails half way.
        let disk = disk.crash_image(0, Keep::Nothing);
        disk.fail(Some(Fault { call: disk.calls(), kind: FaultKind::Short, lasting: false }));
        assert!(disk.remove_tree(top).is_err());
        assert_eq!(files.iter().filter(|file| disk.exists(file).unwrap()).count(), 2);
    }

    /// Every crash during an atomic replacement leaves the old bytes or the new ones, and the new ones once it returned.
    #[test]
    fn replaced_files_are_old_or_new_after_any_crash() {
        let (disk, path) = (FaultDisk::new(), Path::new("/d/f"));
        disk.put(path, vec![1; 2000]);
        write_file_atomically(&disk, path, &[2; 3000]).unwrap();
        let end = disk.op_count();
        let mut seen = [0; 2];
        for at in 0..=end {
            for seed in 0..20 {
                for keep in [Keep::Nothing, Keep::Everything, Keep::Random { seed }, Keep::Torn { seed }] {
                    let bytes = disk.crash_image(at, keep).read(path).unwrap();
                    let is_new = bytes == [2; 3000];
                    assert!(is_new || bytes == [1; 2000], "crash at {at}, {keep:?}");
                    assert!(is_new || at < end);
                    seen[usize::from(is_new)] += 1;
                }
            }
        }
        assert!(seen[0] > 0 && seen[1] > 0);
    }

    /// Whatever call fails, the old bytes or the new ones are there; a reported success means the new ones.
    #[test]
    fn replaced_files_are_old_or_new_after_any_fault() {
        let path = Path::new("/d/f");
        for call in 0.. {
            let disk = FaultDisk::new();
            disk.put(path, b"old".to_vec());
            disk.fail(Some(Fault { call, kind: FaultKind::Short, lasting: false }));
            let replaced = write_file_atomically(&disk, path, b"newer").is_ok();
            let bytes = disk.crash_image(disk.op_count(), Keep::Nothing).read(path).unwrap();
            assert!(if replaced { bytes == b"newer" } else { bytes == b"old" }, "call {call}");
            disk.fail(None);
            write_file_atomically(&disk, path, b"again").unwrap();
            if replaced {
                assert!(call > 3, "the sweep reached the end without trying anything");
                break;
            }
        }
    }
}
