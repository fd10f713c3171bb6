//! Power cuts on real file systems: an image with ext4 or XFS in a loop device, which is shut down as its own tests do it (no write reaches
//! it any more, not even of its log), after the process was stopped: whatever the kernel held back is lost, and the next mount recovers.
//!
//! Needs a superuser and loop devices; a machine without them says so and proves nothing.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const IMAGE_BYTES: u64 = 400 << 20;
/// Writes a file that nobody syncs, and at once shuts the file system down without writing its log: `EXT4_IOC_SHUTDOWN` and
/// `XFS_IOC_GOINGDOWN` are one number. In one go: a sync of somebody else's in between would take the file along.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys\n\
     place = os.open(sys.argv[1], os.O_RDONLY)\n\
     os.write(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), b'unsynced')\n\
     fcntl.ioctl(place, 0x8004587D, struct.pack('I', 2))";

/// A file system of its own.
#[derive(Debug)]
pub struct Disk {
    /// Which file system.
    pub kind: String,
    image: PathBuf,
    /// Where it is mounted.
    pub mount: PathBuf,
}

impl Disk {
    /// Makes and mounts one; nothing on a machine that cannot.
    pub fn new(kind: &str, dir: &Path) -> Option<Self> {
        let (image, mount) = (dir.join("image"), dir.join("disk"));
        fs::create_dir_all(&mount).unwrap();
        File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        let make = format!("mkfs.{kind}");
        if !is_superuser() || !Path::new("/dev/loop-control").exists() || !runs(&make, &["-q", text(&image)])
        {
            println!("no power is cut on {kind}: it needs a superuser, loop devices and {make}");
            return None;
        }
        let disk = Self { kind: kind.to_owned(), image, mount };
        disk.mount();
        Some(disk)
    }

    fn mount(&self) {
        let mounted = runs("mount", &["-o", "loop", text(&self.image), text(&self.mount)]);
        assert!(mounted, "{} does not mount", self.image.display());
    }

    /// Cuts the power while a process is stopped, which dies of it, and switches it on again. A file that was synced is there then; one
    /// that was not is lost, or the cut would prove nothing.
    pub fn cut(&self, number: u64, end_process: impl FnOnce()) {
        let (synced, unsynced) = (self.mount.join("synced"), self.mount.join("unsynced"));
        let mut file = File::create(&synced).unwrap();
        file.write_all(&number.to_le_bytes()).unwrap();
        file.sync_all().unwrap();
        File::open(&self.mount).unwrap().sync_all().unwrap();
        let shut_down = ["-c", SHUT_DOWN, text(&self.mount), text(&unsynced)];
        assert!(runs("python3", &shut_down), "the file system does not shut down");
        end_process();
        drop(file);
        assert!(runs("umount", &[text(&self.mount)]), "something holds the file system");
        self.mount();
        assert_eq!(fs::read(&synced).unwrap(), number.to_le_bytes(), "what was synced is there");
        assert!(!unsynced.exists(), "what was not is lost");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        runs("umount", &["-l", text(&self.mount)]);
        let _ = fs::remove_file(&self.image);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn is_superuser() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t0\t"))
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
