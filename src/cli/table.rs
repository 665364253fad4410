//! Tables for people: columns aligned, numbers to the right.

use std::fmt::Write;

/// The rows under their headers; `None` is an empty cell.
pub(super) fn render(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let cell = |row: &Vec<Option<String>>, index: usize| -> String {
        row.get(index).cloned().flatten().unwrap_or_default()
    };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let widest = rows.iter().map(|row| cell(row, index).chars().count()).max();
            widest.unwrap_or(0).max(name.chars().count())
        })
        .collect();
    let numeric: Vec<bool> = (0..columns.len())
        .map(|index| rows.iter().all(|row| is_number(&cell(row, index))))
        .collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        let mut out = String::new();
        for ((cell, width), numeric) in cells.iter().zip(&widths).zip(&numeric) {
            let padding = " ".repeat(width - cell.chars().count());
            let gap = if out.is_empty() { "" } else { "  " };
            let _ = if *numeric {
                write!(out, "{gap}{padding}{cell}")
            } else {
                write!(out, "{gap}{cell}{padding}")
            };
        }
        text.push_str(out.trim_end());
        text.push('\n');
    };
    line(columns);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    for row in rows {
        line(&(0..columns.len()).map(|index| cell(row, index)).collect::<Vec<_>>());
    }
    text
}

fn is_number(text: &str) -> bool {
    text.is_empty() || text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_right_and_text_left() {
        let columns = ["id".to_owned(), "name".to_owned()];
        let rows =
            [vec![Some("7".to_owned()), Some("a".to_owned())], vec![Some("1234".to_owned()), None]];
        assert_eq!(render(&columns, &rows), "  id  name\n----  ----\n   7  a\n1234\n");
    }
}
