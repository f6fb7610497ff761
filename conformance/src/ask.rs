//! The short form of a case: one line, one request and its answer.
//!
//! ```text
//! GET shop/cart?x=1 [x-user: jason; x-b: 2] => v2
//! GET shop/none => 404 - [x-a: 1] {flags: NR}
//! 1000 x GET shop/ => v1 700..800, v2 200..300
//! 10 x GET shop/ => any v1, any v2, HTTP/1.1 503 Service Unavailable 1
//! 100 x GET shop/ => a 100 or b 100
//! 6 x GET shop/ => in turn a, b, c
//! ```

use crate::Problem;
use crate::decision::Expected;
use crate::escape::unescape;
use crate::script::{Action, Awaited, Step};
use crate::tally::tally;

/// Parses a block into the steps of one connection, and a decision (or none) for each request.
///
/// # Errors
/// A line that means nothing.
pub fn parse(
    file: &str,
    first_line: usize,
    text: &str,
) -> Result<(Vec<Step>, Vec<Option<Expected>>), Problem> {
    let (mut steps, mut decisions) = (Vec::new(), Vec::new());
    for (line, text) in (first_line..).zip(text.lines()) {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let (actions, decided) = ask(text, line).map_err(|what| Problem::new(file, line, what))?;
        steps.extend(actions.into_iter().map(|action| Step { line, action }));
        decisions.extend(decided);
    }
    Ok((steps, decisions))
}

type Asked = (Vec<Action>, Vec<Option<Expected>>);

fn ask(text: &str, line: usize) -> Result<Asked, String> {
    let (left, right) = text
        .split_once(" => ")
        .ok_or_else(|| format!("`{text}` has no ` => `"))?;
    let (count, left) = match left.split_once(" x ") {
        Some((count, rest)) => (
            Some(
                count
                    .trim()
                    .parse::<usize>()
                    .map_err(|_| format!("`{count}` is no count"))?,
            ),
            rest,
        ),
        None => (None, left),
    };
    let (request, decision_free) = (request(left)?, right);
    let Some(count) = count else {
        let (awaited, decision) = answer(decision_free, line)?;
        return Ok((
            vec![Action::Send(request), Action::Await(awaited)],
            vec![decision],
        ));
    };
    let mut actions = Vec::new();
    for _ in 0..count {
        actions.push(Action::Send(request.clone()));
        actions.push(Action::Collect);
    }
    if count == 0 {
        return Err("0 requests are none to expect anything of: ask one or more".to_owned());
    }
    actions.push(Action::Judge(tally(right, count)?));
    Ok((actions, vec![None; count]))
}

/// `METHOD host/path [name: value; name: value]`
fn request(text: &str) -> Result<Vec<u8>, String> {
    let (line, fields) = bracketed(text, '[', ']')?;
    let (method, target) = line
        .trim()
        .split_once(' ')
        .ok_or_else(|| format!("`{line}` is no `METHOD host/path`"))?;
    let slash = target.find('/').unwrap_or(target.len());
    let (host, path) = target.split_at(slash);
    let path = if path.is_empty() { "/" } else { path };
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in list(fields)? {
        head += &format!("{name}: {value}\r\n");
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        head += "content-length: 0\r\n";
    }
    unescape(&(head + "\r\n"))
}

/// `STATUS BODY [fields] {decision}`; without a status it is 200, without a body none is compared, `-` is an empty one.
fn answer(text: &str, line: usize) -> Result<(Awaited, Option<Expected>), String> {
    let has_decision = text.trim_end().ends_with('}');
    let (text, decision) = bracketed(text, '{', '}')?;
    let (text, fields) = bracketed(text, '[', ']')?;
    let text = text.trim();
    let (status, body) = match text.split_once(' ') {
        _ if !text.starts_with(|c: char| c.is_ascii_digit()) => ("200", Some(text)),
        Some((status, body)) => (status, Some(body)),
        None => (text, None),
    };
    let code: u16 = status
        .parse()
        .map_err(|_| format!("`{status}` is no status"))?;
    let reason = http::StatusCode::from_u16(code)
        .ok()
        .and_then(|s| s.canonical_reason())
        .unwrap_or_default();
    let mut awaited = Awaited {
        first: format!("HTTP/1.1 {code} {reason}"),
        // Without a body to compare, the rest of the message is skipped before the next request is sent.
        body: body
            .map(|b| unescape(if b == "-" { "" } else { b }))
            .transpose()?,
        ..Awaited::default()
    };
    for (name, value) in list(fields)? {
        match name.strip_prefix('!') {
            Some(name) => awaited.absent.push(name.to_owned()),
            None => awaited.fields.push((name, value)),
        }
    }
    let decision = match decision {
        _ if !has_decision => None,
        text => Some(Expected::parse(&format!("{{{text}}}"), line)?),
    };
    Ok((awaited, decision))
}

/// Splits `text [inside]` at the end of a text.
fn bracketed(text: &str, open: char, close: char) -> Result<(&str, &str), String> {
    let text = text.trim_end();
    let Some(inside) = text.strip_suffix(close) else {
        return Ok((text, ""));
    };
    let at = inside
        .find(&format!(" {open}"))
        .ok_or_else(|| format!("`{text}` has no `{open}`"))?;
    Ok((&text[..at], &inside[at + 2..]))
}

fn list(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(';').map(str::trim).filter(|p| !p.is_empty());
    parts
        .map(|part| match part.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None if part.starts_with('!') => Ok((part.to_owned(), String::new())),
            None => Err(format!("`{part}` is no `name: value`")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_and_its_answer() {
        let (steps, decisions) = parse(
            "f",
            3,
            "GET shop/a?b [x-a: 1; x-b:] => 404 - [x-c: *; !x-d] {flags: NR}\n\nPOST shop => v2\n",
        )
        .unwrap();
        let Action::Send(bytes) = &steps[0].action else {
            panic!()
        };
        assert_eq!(
            bytes.escape_ascii().to_string(),
            r"GET /a?b HTTP/1.1\r\nhost: shop\r\nx-a: 1\r\nx-b: \r\n\r\n"
        );
        let Action::Await(awaited) = &steps[1].action else {
            panic!()
        };
        assert_eq!(awaited.first, "HTTP/1.1 404 Not Found");
        assert_eq!(
            (awaited.body.as_deref(), &awaited.absent[..]),
            (Some(&b""[..]), &["x-d".to_owned()][..])
        );
        assert_eq!(
            (
                steps[2].line,
                decisions[0].is_some(),
                decisions[1].is_some()
            ),
            (5, true, false)
        );
    }

    #[test]
    fn many_requests_are_tallied() {
        let (steps, decisions) = parse("f", 1, "3 x GET a/ => in turn a, b\n").unwrap();
        assert_eq!((steps.len(), decisions.len()), (7, 3));
    }

    #[test]
    fn what_cannot_fail_or_hold_is_refused() {
        for (line, told) in [
            (
                "20 x GET a/ => a 0..20, b 0..5",
                "`a 0..20` holds whatever happens",
            ),
            (
                "20 x GET a/ => a 20 or b 0..21",
                "`b 0..21` holds whatever happens",
            ),
            ("20 x GET a/ => a 9..3, any b", "`a 9..3` never holds"),
            (
                "20 x GET a/ => a 11..12, b 10",
                "never holds: these are not 20 together",
            ),
            (
                "20 x GET a/ => a 0..12, b 0..7",
                "never holds: these are not 20 together",
            ),
            ("0 x GET a/ => a 0", "0 requests are none"),
            ("GET a/ => a {}", "a decision that names nothing"),
            ("GET a/ => a {flags: []}", "`flags` is one of none"),
        ] {
            let problem = parse("f", 4, line).expect_err(line);
            assert!(problem.to_string().starts_with("f:4: "), "{problem}");
            assert!(problem.what.contains(told), "{problem}");
        }
        let good = "20 x GET a/ => a 0..13, b 7..20\n20 x GET a/ => any a, b 1..20\n";
        assert!(parse("f", 1, good).is_ok());
    }
}
