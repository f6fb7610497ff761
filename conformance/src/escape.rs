//! Bytes in the text of a case: `\r \n \t \0 \\ \xNN`, and `\(text*N)` for text repeated N times.

/// Turns the text of a case into bytes. Other characters stand for their UTF-8.
///
/// # Errors
/// An escape that is not known.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let code = rest.chars().next();
        let unknown = || format!("`\\{}` is no escape", &rest[..rest.len().min(4)]);
        let used = match code {
            Some('r') => push(&mut bytes, b'\r'),
            Some('n') => push(&mut bytes, b'\n'),
            Some('t') => push(&mut bytes, b'\t'),
            Some('0') => push(&mut bytes, 0),
            Some('\\') => push(&mut bytes, b'\\'),
            Some('x') => {
                let hex = rest.get(1..3).ok_or_else(unknown)?;
                bytes.push(u8::from_str_radix(hex, 16).map_err(|_| unknown())?);
                3
            }
            Some('(') => {
                let end = rest.find(')').ok_or_else(unknown)?;
                let (piece, count) = rest[1..end].rsplit_once('*').ok_or_else(unknown)?;
                let count: usize = count.parse().map_err(|_| unknown())?;
                for _ in 0..count {
                    bytes.extend(unescape(piece)?);
                }
                end + 1
            }
            _ => return Err(unknown()),
        };
        rest = &rest[used..];
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

fn push(bytes: &mut Vec<u8>, byte: u8) -> usize {
    bytes.push(byte);
    1
}

/// Bytes as people can read them.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    const MOST: usize = 400;
    let text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    if bytes.len() > MOST {
        return format!("{text}… ({} bytes)", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (text, want) in [
            (r"a\r\n\t\0\\b", Ok(&b"a\r\n\t\0\\b"[..])),
            (r"\x7f\(ab*3)c", Ok(b"\x7fabababc")),
            (r"\(\x00*2)", Ok(b"\0\0")),
            (r"\q", Err(())),
            (r"\x1", Err(())),
            (r"\(a)", Err(())),
        ] {
            assert_eq!(unescape(text).as_deref().map_err(|_| ()), want, "{text}");
        }
    }
}
