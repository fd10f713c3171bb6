//! `cargo xtask neon`: the tests of kernels and of what searches with them, for aarch64. On another processor a compiler that
//! has aarch64's standard library, libc and an emulator are fetched from Debian, below `target/neon` and nowhere else, and
//! linked with the linker that rustup brings along.

use crate::gate::run_cargo;
use anyhow::{Context, ensure};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What rustc is taken from: the first of Debian's suites whose rustc is not older than the workspace demands.
const SUITE: &str = "trixie-backports";
/// What aarch64 needs; libraries that this processor's rustc needs are looked up.
const PACKAGES: [&str; 6] =
    ["rustc", "qemu-user", "libstd-rust-dev:arm64", "libc6:arm64", "libc6-dev:arm64", "libgcc-s1:arm64"];
/// What rustc needs, without the linker and the headers that its package asks for.
const LIBRARIES: &str = "libstd-rust-dev:amd64";

/// Started with its own libraries, whatever the machine's are.
const RUSTC: &str = r#"#!/bin/sh
usr="$(dirname "$0")/usr"
libraries="$usr/lib/x86_64-linux-gnu"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$usr/bin/rustc" --sysroot "$usr" "$@"
"#;

/// Runs the tests of packages, or those of the kernels.
pub fn run(root: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let packages = if packages.is_empty() { &["pinyon-distance"] } else { packages };
    let mut test = vec!["test", "--locked", "--lib"];
    test.extend(packages.iter().flat_map(|package| ["--package", package]));
    if cfg!(target_arch = "aarch64") {
        return run_cargo(root, &test, &[("PINYON_REQUIRE_CPU", "neon".to_owned())]);
    }
    let (linker, debian) = (linker()?, root.join("target/neon/debian"));
    prepare(&debian).context(
        "neon needs an x86-64 Linux with apt-get, dpkg-deb, Debian's keyring (package debian-archive-keyring) and \
         deb.debian.org; an aarch64 machine needs nothing",
    )?;
    test.extend(["--target", "aarch64-unknown-linux-gnu", "--target-dir", "target/neon/build"]);
    run_cargo(root, &test, &variables(&debian, &linker))
}

/// What makes cargo compile, link and start programs with what was fetched.
fn variables(debian: &Path, linker: &Path) -> [(&'static str, String); 6] {
    let libraries = debian.join("usr/lib/aarch64-linux-gnu").display().to_string();
    let for_linker = [
        format!("--sysroot={}", debian.display()),
        "--dynamic-linker=/lib/ld-linux-aarch64.so.1".to_owned(),
        format!("-L{libraries}"),
        format!("{libraries}/Scrt1.o"),
        format!("{libraries}/crti.o"),
        format!("{libraries}/crtn.o"),
    ];
    // Nobody else sees warnings of what is compiled for aarch64 alone.
    let flags = ["-Dwarnings", "-Clinker-flavor=ld.lld"].map(str::to_owned).into_iter();
    let flags: Vec<String> = flags.chain(for_linker.map(|one| format!("-Clink-arg={one}"))).collect();
    // Relative, because it is cut at spaces.
    let emulator = "target/neon/debian/usr/bin/qemu-aarch64".to_owned();
    [
        ("RUSTC", debian.join("rustc").display().to_string()),
        ("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker.display().to_string()),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", emulator),
        ("QEMU_LD_PREFIX", debian.display().to_string()),
        // The emulated CPU has both.
        ("PINYON_REQUIRE_CPU", "dotprod".to_owned()),
    ]
}

/// The linker that lies beside rustup's compiler.
fn linker() -> anyhow::Result<PathBuf> {
    let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    ensure!(linker.exists(), "neon needs rust-lld, which a toolchain of rustup has: no {}", linker.display());
    Ok(linker)
}

/// Fetches and unpacks packages, once: what was fetched is named in a file that is written last.
fn prepare(debian: &Path) -> anyhow::Result<()> {
    let done = debian.join(".done");
    let wanted = format!("{SUITE} {}", PACKAGES.join(" "));
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("== fetching a compiler and an emulator from Debian: about 250 MB, which take 1.2 GB");
    let (apt, debs) = (debian.with_file_name("apt"), debian.with_file_name("debs"));
    for dir in [debian, &apt, &debs] {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
    }
    fs::create_dir_all(&debs)?;
    fetch(&apt_options(&apt)?, &debs)?;
    unpack(&debs, debian)?;
    fs::remove_dir_all(debs)?;
    Ok(fs::write(done, wanted)?)
}

/// Downloads packages with the libraries that rustc needs.
fn fetch(options: &[String], debs: &Path) -> anyhow::Result<()> {
    let apt = |program| {
        let mut command = Command::new(program);
        command.args(options).current_dir(debs);
        command
    };
    run_to_end(apt("apt-get").args(["-qq", "update"]))?;
    let libraries = said(
        apt("apt-cache")
            .args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts"])
            .args(["--no-breaks", "--no-replaces", "--no-enhances", LIBRARIES]),
    )?;
    // A package's dependencies are indented; a name in brackets is one that others provide.
    let libraries = libraries.lines().filter(|line| !line.starts_with([' ', '<']));
    run_to_end(apt("apt-get").args(["-qq", "download"]).args(PACKAGES).args(libraries))
}

/// Settings that keep apt to a folder and to Debian, whatever the machine's are.
fn apt_options(apt: &Path) -> anyhow::Result<Vec<String>> {
    for dir in ["etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"] {
        fs::create_dir_all(apt.join(dir))?;
    }
    let sources = ["trixie", SUITE]
        .map(|suite| format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"));
    fs::write(apt.join("etc/apt/sources.list"), sources.concat())?;
    fs::write(apt.join("status"), "")?;
    let settings = [
        format!("Dir={}", apt.display()),
        format!("Dir::State::status={}", apt.join("status").display()),
        "Dir::Etc::SourceParts=-".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Architectures=amd64,arm64".to_owned(),
        format!("APT::Default-Release={SUITE}"),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ];
    Ok(settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect())
}

/// Lays out packages as a system has them, and makes what their scripts would have made.
fn unpack(debs: &Path, debian: &Path) -> anyhow::Result<()> {
    for deb in fs::read_dir(debs)? {
        run_to_end(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(debian))?;
    }
    symlink("usr/lib", debian.join("lib"))?;
    // The name that a linker looks for is in a package of gcc's, with much that is not needed.
    symlink("libgcc_s.so.1", debian.join("usr/lib/aarch64-linux-gnu/libgcc_s.so"))?;
    let rustc = debian.join("rustc");
    fs::write(&rustc, RUSTC)?;
    Ok(fs::set_permissions(rustc, fs::Permissions::from_mode(0o755))?)
}

fn run_to_end(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status();
    let program = command.get_program().display();
    ensure!(status.with_context(|| format!("no {program}"))?.success(), "{program} failed");
    Ok(())
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let program = command.get_program().display();
    let output = output.with_context(|| format!("no {program}"))?;
    ensure!(output.status.success(), "{program} failed");
    Ok(String::from_utf8(output.stdout)?)
}
