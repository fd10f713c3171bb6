//! Lays tables out within a width. The first column, which names what a row is about, is cut where it has to be; the others are
//! never cut, and go below in a block of their own where they find no room.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells of a terminal between two columns.
const GAP: usize = 2;

/// Cells that names keep: what is cut further tells nothing.
const NAME_CELLS_MIN: usize = 24;

/// Returns the lines of a table; columns are as wide as their widest cell, numbers stand right.
pub fn layout(headings: &[&str], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let all: Vec<&[String]> =
        std::iter::once(headings.as_slice()).chain(rows.iter().map(Vec::as_slice)).collect();
    let cells_of = |at: usize| all.iter().filter_map(move |row| row.get(at)).map(|cell| cell.width());
    let mut widths: Vec<usize> = (0..headings.len()).map(|at| cells_of(at).max().unwrap_or(0)).collect();
    let Some((name, others)) = widths.split_first_mut() else { return Vec::new() };
    let room = width.saturating_sub(others.iter().map(|other| other + GAP).sum());
    *name = (*name).min(room.max(NAME_CELLS_MIN));
    let mut lines = Vec::new();
    for block in blocks(&widths, width) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(all.iter().map(|row| line(row, &block, &widths)));
    }
    lines
}

/// Deals columns out to blocks that are not wider than `width`; the first column stands in each of them.
fn blocks(widths: &[usize], width: usize) -> Vec<Vec<usize>> {
    let name = widths.first().copied().unwrap_or(0);
    let mut blocks = vec![vec![0]];
    let mut used = name;
    for (at, cells) in widths.iter().enumerate().skip(1) {
        if used + GAP + cells > width && blocks.last().is_some_and(|block| block.len() > 1) {
            blocks.push(vec![0]);
            used = name;
        }
        used += GAP + cells;
        blocks.last_mut().into_iter().for_each(|block| block.push(at));
    }
    blocks
}

fn line(row: &[String], columns: &[usize], widths: &[usize]) -> String {
    let cell = |at: &usize| Some(align(&cut(row.get(*at)?, *widths.get(*at)?), *widths.get(*at)?));
    let cells: Vec<String> = columns.iter().filter_map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

/// Returns a text of at most `width` cells of a terminal, with an ellipsis in place of what does not fit.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    let kept: String = text.chars().take_while(fits).collect();
    kept + "…"
}

fn align(cell: &str, width: usize) -> String {
    let is_number = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(char::is_alphabetic);
    // By the cells that a terminal gives a text: Chinese, Japanese and Korean letters take two each.
    let space = " ".repeat(width.saturating_sub(cell.width()));
    if is_number { space + cell } else { format!("{cell}{space}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
    }

    #[test]
    fn cells_are_aligned_by_what_a_terminal_shows() {
        assert_eq!([align("12.5", 6), align("abc", 5)], ["  12.5", "abc  "]);
        assert_eq!(align("日本語", 8), "日本語  ", "six cells of a terminal");
        assert_eq!(
            [cut("abcdef", 4), cut("日本語", 5), cut("日本語", 4), cut("abc", 3)],
            ["abc…", "日本…", "日…", "abc"]
        );
    }

    #[test]
    fn names_are_cut_and_columns_without_room_go_below() {
        let long = "テナント".repeat(20);
        let narrow = layout(&["tenant", "vectors"], &rows(&[&[long.as_str(), "7"], &["b", "12"]]), 40);
        assert_eq!(
            narrow[1],
            format!("{}…        7", "テナント".repeat(4).chars().take(15).collect::<String>())
        );
        assert!(narrow.iter().all(|line| line.width() <= 40), "{narrow:?}");
        let wide = vec!["123456789012345"; 7];
        let table = layout(&["shard", "a", "b", "c", "d", "e", "f"], &rows(&[&wide, &wide]), 80);
        assert!(table.iter().all(|line| line.width() <= 80), "{table:?}");
        assert_eq!(table.len(), 7, "two blocks of three lines and one between: {table:?}");
        assert!(table[4].starts_with("shard            d"), "{table:?}");
    }
}
