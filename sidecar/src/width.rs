//! How wide what people read may be, and prose that keeps to it.
//!
//! Owns where the width comes from and how text is broken. What is left out where there is little room is up to whoever
//! writes.

use std::io;

/// Where nobody says how wide it is: a file, or a pipe.
const USUAL: usize = 80;

/// Narrower than this, what is broken is worse to read than what the terminal breaks by itself.
const LEAST: usize = 40;

/// Columns that standard output has.
pub(crate) fn of_output() -> usize {
    known().unwrap_or(USUAL)
}

/// The same for what is searched line by line once it is in a file or a pipe: there a line is as long as it is.
pub(crate) fn of_terminal() -> usize {
    known().unwrap_or(usize::MAX)
}

/// `COLUMNS` where it is set, else the terminal's.
fn known() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|text| text.trim().parse().ok());
    let seen = || rustix::termios::tcgetwinsize(io::stdout()).map(|size| size.ws_col.into());
    let columns = told.or_else(|| seen().ok()).filter(|columns| *columns > 0);
    columns.map(|columns: usize| columns.max(LEAST))
}

/// Breaks text between words into lines of at most `columns`. The first begins with `first`, the others with as many
/// blanks as `hanging`. A word that is longer than a line is broken where the line ends.
pub(crate) fn wrapped(text: &str, columns: usize, first: &str, hanging: usize) -> Vec<String> {
    // What fits stays as it is, with every blank.
    if first.chars().count() + text.chars().count() <= columns {
        return vec![format!("{first}{text}")];
    }
    let mut lines = Vec::new();
    let (mut line, mut is_empty) = (first.to_owned(), true);
    let mut length = first.chars().count();
    for mut word in text.split(' ') {
        let wide = word.chars().count();
        if !is_empty && length + 1 + wide > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(hanging)));
            (length, is_empty) = (hanging, true);
        }
        if !is_empty {
            line.push(' ');
            length += 1;
        }
        while let Some((cut, _)) = word
            .char_indices()
            .nth(columns.saturating_sub(length).max(1))
        {
            line.push_str(&word[..cut]);
            lines.push(std::mem::replace(&mut line, " ".repeat(hanging)));
            (word, length) = (&word[cut..], hanging);
        }
        line.push_str(word);
        length += word.chars().count();
        is_empty = false;
    }
    lines.push(line);
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// A line of a story, after so many blanks: what it is about stands before what it says, and keeps its place.
pub(crate) fn story_line(line: &str, columns: usize, indent: usize) -> Vec<String> {
    /// What a line is about has so many columns.
    const ABOUT: usize = 15;
    let (about, said) = match line.strip_prefix("  ") {
        Some(_) => line.split_at_checked(ABOUT).unwrap_or((line, "")),
        None => ("", line),
    };
    let first = format!("{:indent$}{about}", "");
    wrapped(said, columns, &first, first.chars().count())
}

/// A name of at most so many letters, its end left out.
pub(crate) fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let kept = name.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        for (text, columns, first, hanging, lines) in [
            ("", 40, "- ", 2, &["- "][..]),
            ("one two", 40, "- ", 2, &["- one two"]),
            ("a  b c d", 7, "", 0, &["a  b c", "d"]),
            ("one two three", 9, "- ", 2, &["- one two", "  three"]),
            ("one two three", 8, "", 1, &["one two", " three"]),
            ("überaus größer", 8, "", 0, &["überaus", "größer"]),
            (
                "an abcdefghijkl is",
                6,
                "",
                1,
                &["an", " abcde", " fghij", " kl is"],
            ),
        ] {
            assert_eq!(wrapped(text, columns, first, hanging), lines, "{text}");
        }
    }

    #[test]
    fn what_a_line_is_about_keeps_its_place() {
        for (line, indent, lines) in [
            ("GET shop/cart", 0, &["GET shop/cart"][..]),
            (
                "  rule         one two three four five",
                0,
                &[
                    "  rule         one two",
                    "               three four",
                    "               five",
                ],
            ),
            (
                "               ended with 503; no",
                2,
                &[
                    "                 ended",
                    "                 with",
                    "                 503; no",
                ],
            ),
        ] {
            assert_eq!(story_line(line, 25, indent), lines, "{line}");
        }
    }

    #[test]
    fn names_lose_their_end() {
        for (name, most, shown) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("äöüß", 3, "äö…")]
        {
            assert_eq!(shortened(name, most), shown);
        }
    }
}
