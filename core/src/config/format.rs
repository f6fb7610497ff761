//! Envoy format strings in header values: `%REQ(name)%` and its like, cut into parts.
//!
//! Owns the syntax; `policy::header_ops` fills the parts in. Which operators exist is the list in `snapshot::ValuePart`.

use crate::message::FieldName;
use crate::snapshot::{FieldText, ValuePart};

/// What is wrong with a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A percent sign begins nothing; a literal one is written `%%`.
    LonePercent,
    /// There is no such operator, or we do not know it.
    UnknownOperator(String),
}

impl core::fmt::Display for FormatError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::LonePercent => f.write_str("a lone `%`: a literal percent sign is written `%%`"),
            Self::UnknownOperator(name) => write!(f, "`%{name}%` is not a known format operator"),
        }
    }
}

/// Cuts a value into parts.
///
/// # Errors
/// The first thing that is no literal and no operator we know.
pub fn parse(value: &str) -> Result<Vec<ValuePart>, FormatError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut pieces = Pieces::of(value);
    while let Some(piece) = pieces.next()? {
        match piece {
            Piece::Text(text) => literal.push_str(text),
            Piece::Operator(operator) => {
                flush(&mut literal, &mut parts);
                parts.push(parse_operator(operator)?);
            }
        }
    }
    flush(&mut literal, &mut parts);
    Ok(parts)
}

/// Whether a percent sign begins nothing, whatever the operators are.
#[must_use]
pub fn has_lone_percent(value: &str) -> bool {
    let mut pieces = Pieces::of(value);
    loop {
        match pieces.next() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// What a value is made of, in order.
pub(super) enum Piece<'v> {
    /// As it stands.
    Text(&'v str),
    /// What stands between two percent signs.
    Operator(&'v str),
}

/// A value being cut.
pub(super) struct Pieces<'v> {
    rest: &'v str,
}

impl<'v> Pieces<'v> {
    /// Nothing is cut yet.
    pub(super) const fn of(value: &'v str) -> Self {
        Self { rest: value }
    }

    /// The next piece, `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Piece<'v>>, FormatError> {
        let Some(after) = self.rest.strip_prefix('%') else {
            let (text, rest) = self
                .rest
                .split_at(self.rest.find('%').unwrap_or(self.rest.len()));
            self.rest = rest;
            return Ok((!text.is_empty()).then_some(Piece::Text(text)));
        };
        if let Some(rest) = after.strip_prefix('%') {
            self.rest = rest;
            return Ok(Some(Piece::Text("%")));
        }
        let end = operator_end(after).ok_or(FormatError::LonePercent)?;
        self.rest = &after[end + 1..];
        Ok(Some(Piece::Operator(&after[..end])))
    }
}

/// Where the percent sign stands that ends an operator. Arguments may hold percent signs: `%START_TIME(%s)%`.
fn operator_end(text: &str) -> Option<usize> {
    let end = text.find('%')?;
    let Some(open) = text[..end].find('(') else {
        return Some(end);
    };
    let closed = text[open..].match_indices(')').find_map(|(close, _)| {
        let after = &text[open + close + 1..];
        let length = after.strip_prefix(':').map_or(after, |length| {
            length.trim_start_matches(|c: char| c.is_ascii_digit())
        });
        length.starts_with('%').then(|| text.len() - length.len())
    });
    Some(closed.unwrap_or(end))
}

/// A value that is taken as it stands.
#[must_use]
pub fn literal(value: &str) -> Vec<ValuePart> {
    vec![ValuePart::Literal(value.into())]
}

fn flush(literal: &mut String, parts: &mut Vec<ValuePart>) {
    if !literal.is_empty() {
        parts.push(ValuePart::Literal(core::mem::take(literal).into()));
    }
}

fn parse_operator(operator: &str) -> Result<ValuePart, FormatError> {
    let unknown = || FormatError::UnknownOperator(operator.to_owned());
    if let Some((name, rest)) = operator.split_once('(') {
        let field = || field_text(rest).ok_or_else(unknown);
        return match name {
            "REQ" => Ok(ValuePart::Request(field()?)),
            "RESP" => Ok(ValuePart::Response(field()?)),
            _ => Err(unknown()),
        };
    }
    // `DIRECT` is the connection's own address, which no field of the request can change: the only one we know.
    Ok(match operator {
        "DOWNSTREAM_REMOTE_ADDRESS" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => {
            ValuePart::DownstreamRemoteAddress {
                without_port: false,
            }
        }
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
        | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
            ValuePart::DownstreamRemoteAddress { without_port: true }
        }
        "DOWNSTREAM_LOCAL_ADDRESS" => ValuePart::DownstreamLocalAddress {
            without_port: false,
        },
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => {
            ValuePart::DownstreamLocalAddress { without_port: true }
        }
        "PROTOCOL" => ValuePart::Protocol,
        "UPSTREAM_HOST" => ValuePart::UpstreamHost,
        "ROUTE_NAME" => ValuePart::RouteName,
        "RESPONSE_CODE" => ValuePart::ResponseCode,
        _ => return Err(unknown()),
    })
}

/// What follows the parenthesis: `name)`, `name?other)`, either with `:length`.
fn field_text(text: &str) -> Option<FieldText> {
    let (names, length) = text.rsplit_once(')')?;
    let (name, otherwise) = match names.split_once('?') {
        Some((name, other)) => (name, Some(field_of(other)?)),
        None => (names, None),
    };
    let length = match length.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if length.is_empty() => None,
        Some(_) | None => return None,
    };
    Some(FieldText {
        name: field_of(name)?,
        otherwise,
        length,
    })
}

/// The field that `%REQ(…)%` names: a pseudo header field or an ordinary one, in lower case.
fn field_of(name: &str) -> Option<Box<str>> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        ":method" | ":path" | ":authority" | ":scheme" => Some(lower.into()),
        _ => FieldName::new(name).map(|name| name.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_into_parts() {
        let text = |text: &str| ValuePart::Literal(text.into());
        for (value, want) in [
            ("", vec![]),
            ("plain", vec![text("plain")]),
            ("100%%", vec![text("100%")]),
            ("%%%%", vec![text("%%")]),
            ("%REQ(:path)%", vec![ValuePart::Request(":path".into())]),
            (
                "a%REQ(X-B)%c%%",
                vec![text("a"), ValuePart::Request("x-b".into()), text("c%")],
            ),
            (
                "%REQ(X-B?:path):12%",
                vec![ValuePart::Request(FieldText {
                    name: "x-b".into(),
                    otherwise: Some(":path".into()),
                    length: Some(12),
                })],
            ),
            (
                "%RESP(x-b):0%",
                vec![ValuePart::Response(FieldText {
                    length: Some(0),
                    ..FieldText::from("x-b")
                })],
            ),
            (
                "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
                vec![ValuePart::DownstreamRemoteAddress { without_port: true }],
            ),
            (
                "%REQ(x%y)%%REQ(x)%",
                vec![
                    ValuePart::Request("x%y".into()),
                    ValuePart::Request("x".into()),
                ],
            ),
            (
                "%PROTOCOL%%ROUTE_NAME%",
                vec![ValuePart::Protocol, ValuePart::RouteName],
            ),
        ] {
            assert_eq!(parse(value), Ok(want), "{value}");
        }
        assert_eq!(parse("100%"), Err(FormatError::LonePercent));
        for operator in [
            "FOO",
            "REQ()",
            "RES(a)",
            "REQ(a?b?c)",
            "REQ(a):",
            "REQ(a):-1",
            "REQ(a):99999999999999999999999",
            "REQ(a)b",
            "REQ(a?)",
            "REQ(a",
        ] {
            let want = FormatError::UnknownOperator(operator.into());
            assert_eq!(parse(&format!("%{operator}%")), Err(want), "{operator}");
        }
    }
}
