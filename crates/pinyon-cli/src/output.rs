//! Writing results: as a table for people, as JSON for programs.

use serde::Serialize;
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// Prints a value as JSON on one line.
///
/// # Errors
/// Standard output is closed.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints a line.
///
/// # Errors
/// Standard output is closed.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints rows under headings; columns are as wide as their widest cell, numbers stand right.
///
/// # Errors
/// Standard output is closed.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
        cells.chain([headings[at].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut out = std::io::stdout().lock();
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| align(cell, width)).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn align(cell: &str, width: usize) -> String {
    let is_number = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(char::is_alphabetic);
    // By the cells that a terminal gives a text: Chinese, Japanese and Korean letters take two each.
    let space = " ".repeat(width.saturating_sub(cell.width()));
    if is_number { space + cell } else { format!("{cell}{space}") }
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
        assert_eq!([align("12.5", 6), align("abc", 5)], ["  12.5", "abc  "]);
        assert_eq!(align("日本語", 8), "日本語  ", "six cells of a terminal");
    }
}
