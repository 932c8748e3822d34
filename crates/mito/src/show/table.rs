//! A table for a terminal: titles, columns as wide as they must be, nothing drawn.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::look::{Look, Tone};

/// Between two columns.
const GAP: &str = "  ";
/// No column is cut below this.
const LEAST: usize = 6;

/// The lines of a table. Where the terminal is too narrow the widest columns are cut; the last one never
/// is, since it names the row.
pub(super) fn table(titles: &[&str], rows: &[Vec<(String, Tone)>], look: &Look) -> String {
    let widths = widths(titles, rows, look.width);
    let mut text = String::new();
    let heads = titles.iter().map(|title| (title.to_uppercase(), Tone::Title)).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (place, ((cell, tone), width)) in row.iter().zip(&widths).enumerate() {
            let cell = cut(cell, *width);
            let padding = match place + 1 == row.len() {
                true => 0,
                false => width - cell.width() + GAP.len(),
            };
            line.push_str(&look.paint(&cell, *tone));
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn widths(titles: &[&str], rows: &[Vec<(String, Tone)>], most: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = titles.iter().map(|title| title.width()).collect();
    for row in rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let Some(most) = most else { return widths };
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    loop {
        let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
        let last = widths.len().saturating_sub(1);
        let widest = (0..last).max_by_key(|place| widths[*place]).filter(|place| widths[*place] > LEAST);
        match widest {
            Some(place) if excess > 0 => {
                widths[place] = widths[place].saturating_sub(excess.min(8)).max(LEAST);
            }
            _ => return widths,
        }
    }
}

/// Text of at most that width; what was cut off leaves a mark.
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

    fn rows(rows: &[[&str; 3]]) -> Vec<Vec<(String, Tone)>> {
        rows.iter().map(|row| row.iter().map(|cell| ((*cell).to_owned(), Tone::Plain)).collect()).collect()
    }

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let rows = rows(&[["漢字", "b", "1"], ["a", "", "22"]]);
        let text = table(&["first", "b", "id"], &rows, &Look::still(true));
        assert_eq!(text, "FIRST  B  ID\n漢字   b  1\na         22\n");
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_and_never_what_names_the_row() {
        let rows = rows(&[["a long text that goes on and on", "short", "0123456789abcdef"]]);
        let look = Look { width: Some(40), ..Look::still(true) };
        let text = table(&["text", "b", "id"], &rows, &look);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.width() <= 40 && line.contains('…') && line.ends_with("short  0123456789abcdef"),
            "{text}"
        );
        let tiny = Look { width: Some(5), ..look };
        assert!(table(&["text", "b", "id"], &rows, &tiny).ends_with("0123456789abcdef\n"));
    }
}
