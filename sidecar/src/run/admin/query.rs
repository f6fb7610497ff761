//! The parameters of a page: taken apart, decoded, and refused where nobody asks for them.

/// Parameters in the order given, decoded. One without `=` has no value.
pub(super) fn parse(query: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| match parameter.split_once('=') {
            Some((name, value)) => Ok((decode(name)?, Some(decode(value)?))),
            None => Ok((decode(parameter)?, None)),
        })
        .collect()
}

/// Undoes percent-encoding. A plus is a space, as forms write it.
fn decode(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is not percent-encoded text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let both = digit().zip(digit()).ok_or_else(bad)?;
                (both.0 * 16 + both.1) as u8 // two digits
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let some = |text: &str| Some(text.to_owned());
        let all = parse("a=1&b&&c=%2Fx%3d+y&d=").unwrap();
        let want = [
            ("a", some("1")),
            ("b", None),
            ("c", some("/x= y")),
            ("d", some("")),
        ];
        assert_eq!(all, want.map(|(name, value)| (name.to_owned(), value)));
        for bad in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
