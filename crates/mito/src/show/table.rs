//! Formats tables for a terminal: titles and aligned columns, without lines.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::record::Cell;
use super::style::{TerminalStyle, Tone};

/// The separator of columns.
const GAP: &str = "  ";
/// The least width of a truncated column.
const MIN_WIDTH: usize = 6;
/// The width at which a truncated column is still readable.
const READABLE: usize = 24;

/// The title of a column, and its priority for truncation: the largest first.
pub(super) type Title<'a> = (&'a str, u8);

/// Formats a table. On a narrow terminal, times lose their dates first, then the shrinkable columns are truncated,
/// then the widest. The last column identifies the row and is never truncated.
pub(super) fn table(titles: &[Title<'_>], rows: &[Vec<Cell>], style: &TerminalStyle) -> String {
    let shown = |style: &TerminalStyle| -> Vec<Vec<(String, Tone)>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.shown(style)).collect()).collect()
    };
    let mut rows = shown(style);
    if style.width.is_some_and(|width| comfortable(titles, &rows) > width) {
        rows = shown(&TerminalStyle { brief: true, ..style.clone() });
    }
    let widths = widths(titles, &rows, style.width);
    let mut text = String::new();
    let heads = titles.iter().map(|(title, _)| (title.to_uppercase(), Tone::Title)).collect();
    for row in std::iter::once(&heads).chain(&rows) {
        let mut line = String::new();
        for (place, ((cell, tone), width)) in row.iter().zip(&widths).enumerate() {
            let cell = cut(cell, *width);
            let padding = match place + 1 == row.len() {
                true => 0,
                false => width - cell.width() + GAP.len(),
            };
            line.push_str(&style.paint(&cell, *tone));
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The width of the widest cell.
fn natural(titles: &[Title<'_>], rows: &[Vec<(String, Tone)>]) -> Vec<usize> {
    let mut widths: Vec<usize> = titles.iter().map(|(title, _)| title.width()).collect();
    for row in rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    widths
}

/// The width of the table with all shrinkable columns truncated to a readable width.
fn comfortable(titles: &[Title<'_>], rows: &[Vec<(String, Tone)>]) -> usize {
    let widths = natural(titles, rows);
    let needed = widths.iter().zip(titles).map(|(width, (_, shrink_priority))| match shrink_priority {
        0 => *width,
        _ => (*width).min(READABLE),
    });
    needed.sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

fn widths(titles: &[Title<'_>], rows: &[Vec<(String, Tone)>], most: Option<usize>) -> Vec<usize> {
    let mut widths = natural(titles, rows);
    let Some(most) = most else { return widths };
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let last = widths.len().saturating_sub(1);
    loop {
        let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
        let next = (0..last)
            .filter(|place| widths[*place] > MIN_WIDTH)
            .max_by_key(|place| (titles[*place].1, widths[*place]));
        match next {
            Some(place) if excess > 0 => {
                widths[place] = widths[place].saturating_sub(excess.min(8)).max(MIN_WIDTH);
            }
            _ => return widths,
        }
    }
}

/// Truncates a text to a width, with a mark at the cut.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[&str; 3]]) -> Vec<Vec<Cell>> {
        rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect()
    }

    fn plain<'a>(titles: &[&'a str]) -> Vec<Title<'a>> {
        titles.iter().map(|title| (*title, 0)).collect()
    }

    #[test]
    fn columns_are_aligned() {
        let rows = rows(&[["漢字", "b", "1"], ["a", "", "22"]]);
        let text = table(&plain(&["first", "b", "id"]), &rows, &TerminalStyle::fixed(true));
        assert_eq!(text, "FIRST  B  ID\n漢字   b  1\na         22\n");
    }

    #[test]
    fn narrow_terminal_truncates_the_widest_but_not_the_id() {
        let rows = rows(&[["a long text of several words...", "short", "0123456789abcdef"]]);
        let style = TerminalStyle { width: Some(40), ..TerminalStyle::fixed(true) };
        let text = table(&plain(&["text", "b", "id"]), &rows, &style);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.width() <= 40 && line.contains('…') && line.ends_with("short  0123456789abcdef"),
            "{text}"
        );
        let tiny = TerminalStyle { width: Some(5), ..style };
        assert!(table(&plain(&["text", "b", "id"]), &rows, &tiny).ends_with("0123456789abcdef\n"));
    }

    #[test]
    fn command_is_truncated_before_the_time() {
        let style = TerminalStyle::fixed(true);
        let created = Cell::Time(style.now - std::time::Duration::from_secs(240));
        let command = Cell::Command(vec!["python3".to_owned(), "x".repeat(80)]);
        let row = vec![Cell::text("a-group-of-people-17"), created, command, Cell::text("u".repeat(36))];
        let titles = [("task", 0), ("created", 0), ("command", 2), ("uuid", 0)];
        let line = |width| {
            let text = table(
                &titles,
                std::slice::from_ref(&row),
                &TerminalStyle { width: Some(width), ..style.clone() },
            );
            text.lines().nth(1).unwrap().to_owned()
        };
        for (width, time) in [(130, "2031-02-09 17:00:05, 4m ago"), (100, "  4m ago "), (76, "  4m ago ")] {
            let line = line(width);
            assert!(line.width() <= width && line.contains(time) && line.contains("…"), "{width}: {line}");
            assert!(line.starts_with("a-group-of-people-17 ") && line.ends_with(&"u".repeat(36)), "{line}");
        }
    }
}
