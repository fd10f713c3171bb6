//! Writing results: as a table for people, as JSON for programs. The standard library's `println!` and `eprintln!` panic
//! when nobody reads; those of this crate have the same names, so that no verb can take the wrong ones by mistake.

mod table;

pub use table::cut;

use anyhow::Context;
use serde::Serialize;
use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::OnceLock,
};

/// Prints a line to standard output, as the standard library's macro, and never panics.
macro_rules! println {
    () => { $crate::output::say(format_args!("")) };
    ($($part:tt)*) => { $crate::output::say(format_args!($($part)*)) };
}

/// Prints a line to standard error, as the standard library's macro, and never panics.
macro_rules! eprintln {
    ($($part:tt)*) => { $crate::output::warn(format_args!($($part)*)) };
}

/// The standard library's macro would panic where nobody reads.
#[allow(unused_macros)]
macro_rules! print {
    ($($part:tt)*) => {
        compile_error!("print lines, with println!: it does not panic where nobody reads")
    };
}

/// As [`print`].
#[allow(unused_macros)]
macro_rules! eprint {
    ($($part:tt)*) => {
        compile_error!("print lines, with eprintln!: it does not panic where nobody reads")
    };
}

/// Columns of a terminal that nobody knows.
const WIDTH_DEFAULT: usize = 80;

/// The first failure of standard output.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line for people. A failure is kept for [`failure`]: a verb's work goes on, whoever reads what it says.
pub fn say(text: Arguments<'_>) {
    if FAILED.get().is_none()
        && let Err(error) = writeln!(io::stdout().lock(), "{text}")
    {
        let _ = FAILED.set(error);
    }
}

/// Prints a line to standard error. There is no other place to say that it failed.
pub fn warn(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Returns the failure of standard output, if what was said got lost for another reason than that its reader has seen
/// enough (`pinyon query … | head -1`).
pub fn failure() -> Option<&'static io::Error> {
    FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}

/// Prints a value as JSON on one line.
///
/// # Errors
/// Standard output is closed.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints a line.
///
/// # Errors
/// Standard output is closed.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("cannot write to standard output")
}

/// Prints rows under headings, within the width of the terminal.
///
/// # Errors
/// Standard output is closed.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    line(&table::layout(headings, rows, width()).join("\n"))
}

/// Returns the columns that there are: those of the terminal, or of `COLUMNS`, or 80.
pub fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    set.or_else(terminal).filter(|width| *width > 0).unwrap_or(WIDTH_DEFAULT)
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        assert_eq!([bytes(7), bytes(1536), bytes(5 << 30)], ["7 B", "1.5 KiB", "5.0 GiB"]);
    }
}
