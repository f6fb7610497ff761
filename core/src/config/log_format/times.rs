//! Dates in formats: the argument of `%START_TIME(…)%`, as strftime has it.

use crate::snapshot::telemetry::TimePart;

/// RFC 3339 with milliseconds.
const DEFAULT: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";

/// Cuts a date's format into parts; nothing is the default.
pub(super) fn parse(format: Option<&str>) -> Result<Box<[TimePart]>, String> {
    let format = format.filter(|format| !format.is_empty());
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = format.unwrap_or(DEFAULT).chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            literal.push(c);
            continue;
        }
        let (of, separator): (&[TimePart], &str) = match rest.next() {
            Some('%') => {
                literal.push('%');
                continue;
            }
            Some('Z') => {
                literal.push_str("UTC");
                continue;
            }
            Some('z') => {
                literal.push_str("+0000");
                continue;
            }
            Some(digit @ '1'..='9') => {
                let count = digit as u8 - b'0';
                if rest.next() != Some('f') {
                    return Err(format!("`%{digit}` is followed by `f` in a date"));
                }
                fraction(&mut literal, &mut parts, count);
                continue;
            }
            Some(letter) => match of_letter(letter) {
                Some(of) => of,
                None => return Err(format!("`%{letter}` is not known in a date")),
            },
            None => return Err("a lone `%` in a date".to_owned()),
        };
        flush(&mut literal, &mut parts);
        for (at, part) in of.iter().enumerate() {
            if at > 0 {
                parts.push(TimePart::Literal(separator.into()));
            }
            parts.push(part.clone());
        }
    }
    flush(&mut literal, &mut parts);
    Ok(parts.into())
}

fn flush(literal: &mut String, parts: &mut Vec<TimePart>) {
    if !literal.is_empty() {
        parts.push(TimePart::Literal(core::mem::take(literal).into()));
    }
}

fn fraction(literal: &mut String, parts: &mut Vec<TimePart>, count: u8) {
    flush(literal, parts);
    parts.push(TimePart::Fraction(count));
}

/// The parts that a letter stands for, and what is between them.
const fn of_letter(letter: char) -> Option<(&'static [TimePart], &'static str)> {
    let of: &[TimePart] = match letter {
        'Y' => &[TimePart::Year],
        'y' => &[TimePart::YearOfCentury],
        'm' => &[TimePart::Month],
        'b' | 'h' => &[TimePart::MonthName],
        'd' => &[TimePart::Day],
        'e' => &[TimePart::DayWithBlank],
        'j' => &[TimePart::DayOfYear],
        'a' => &[TimePart::Weekday],
        'H' => &[TimePart::Hour],
        'M' => &[TimePart::Minute],
        'S' => &[TimePart::Second],
        'f' => &[TimePart::Fraction(9)],
        's' => &[TimePart::Epoch],
        'F' => return Some((&[TimePart::Year, TimePart::Month, TimePart::Day], "-")),
        'T' => return Some((&[TimePart::Hour, TimePart::Minute, TimePart::Second], ":")),
        'R' => return Some((&[TimePart::Hour, TimePart::Minute], ":")),
        _ => return None,
    };
    Some((of, ""))
}
