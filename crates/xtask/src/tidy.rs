//! The project's own rules, checked on the text of its files. Each check is a function over a file (or all of them)
//! that returns findings: where, what is wrong, what to do.

mod arrows;
mod circles;
mod code;
mod documents;
mod lexer;
mod settings;
mod sizes;
mod source;

use anyhow::bail;
use settings::{Settings, settings_path};
use source::read;
use std::{fmt::Write as _, fs, path::Path};

/// Checks everything.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let sources = read(root)?;
    let settings = Settings::load(root)?;
    let mut findings = arrows::check(&sources);
    findings.extend(circles::check(&sources, &settings));
    findings.extend(code::check(&sources));
    findings.extend(documents::check(&sources, &settings));
    findings.extend(sizes::check(&sources, &settings));
    if findings.is_empty() {
        println!("tidy: {} files are as they should be", sources.len());
        return Ok(());
    }
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    bail!("{} findings", findings.len())
}

/// Remembers counts and the format's fingerprint as they are now.
///
/// # Errors
/// A count rose: whoever means it writes it into the file by hand, where it shows.
pub fn bless(root: &Path) -> anyhow::Result<()> {
    let sources = read(root)?;
    let settings = Settings::load(root)?;
    let (files, functions) = sizes::counts(&sources);
    let circles = circles::largest(&sources);
    if let Some(risen) = settings.risen(files, functions, &circles).first() {
        bail!("{risen} rose; the counts may only fall");
    }
    let mut text = format!(
        "# Written by `cargo xtask tidy --bless`. The counts may only fall.\nlong_files = {files}\nlong_functions = \
         {functions}\n# Fingerprint of the files that lay out bytes on disk together with FORMAT.md.\nformat = \"{}\"\n\n\
         # Files in each crate's largest circle of modules.\n[circles]\n",
        documents::format_fingerprint(&sources)
    );
    for (name, size) in circles {
        writeln!(text, "{name} = {size}")?;
    }
    Ok(fs::write(settings_path(root), text)?)
}

/// Prints every crate's circles of modules.
pub fn print_circles(root: &Path) -> anyhow::Result<()> {
    print!("{}", circles::describe(&read(root)?));
    Ok(())
}
