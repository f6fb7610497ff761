//! Whether a message is the one that was awaited, and if not, how it differs.

use outrigger_sim::Head;
use regex::Regex;

use crate::escape::readable;
use crate::script::Awaited;

/// What differs in a head; `None` when nothing does.
#[must_use]
pub fn head(wanted: &Awaited, got: &Head) -> Option<String> {
    let mut lines = Vec::new();
    if !first_line(&wanted.first, &got.line) {
        lines.push(format!("expected: {}", wanted.first));
        lines.push(format!("     got: {}", got.line));
    }
    lines.extend(fields(&wanted.fields, got));
    for name in &wanted.absent {
        for value in got.values(name) {
            lines.push(format!("expected: no `{name}`"));
            lines.push(format!("     got: {name}: {value}"));
        }
    }
    if wanted.only {
        for (name, value) in &got.fields {
            let named = wanted
                .fields
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name));
            if !named {
                lines.push(format!(
                    "     got: {name}: {value}, which is not expected at all"
                ));
            }
        }
    }
    if lines.is_empty() {
        return None;
    }
    lines.push("the head was:".to_owned());
    lines.push(format!("  {}", got.line));
    lines.extend(got.fields.iter().map(|(n, v)| format!("  {n}: {v}")));
    Some(lines.join("\n"))
}

/// A status line that ends in ` *` has any reason phrase, or none.
fn first_line(wanted: &str, got: &str) -> bool {
    match wanted.strip_suffix(" *") {
        Some(status) => got
            .strip_prefix(status)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        None => wanted == got,
    }
}

fn fields(wanted: &[(String, String)], got: &Head) -> Vec<String> {
    let mut lines = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (name, _) in wanted {
        if done.iter().any(|d| d.eq_ignore_ascii_case(name)) {
            continue;
        }
        done.push(name);
        let want: Vec<&str> = wanted
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        let have: Vec<&str> = got.values(name).collect();
        let equal = want.len() == have.len() && want.iter().zip(&have).all(|(w, h)| value(w, h));
        if !equal {
            lines.push(format!(
                "expected: {name}: {}",
                want.join(&format!(" / {name}: "))
            ));
            lines.push(match &*have {
                [] => format!("     got: no `{name}`"),
                have => format!("     got: {name}: {}", have.join(&format!(" / {name}: "))),
            });
        }
    }
    lines
}

/// `*` is any value, `~regex` one that matches as a whole.
fn value(wanted: &str, got: &str) -> bool {
    match wanted.strip_prefix('~') {
        _ if wanted == "*" => true,
        Some(pattern) => {
            Regex::new(&format!("^(?:{})$", pattern.trim())).is_ok_and(|r| r.is_match(got))
        }
        None => wanted == got,
    }
}

/// What differs in a body and its trailers.
#[must_use]
pub fn body(wanted: &Awaited, got: &[u8], trailers: &[(String, String)]) -> Option<String> {
    let mut lines = Vec::new();
    if let Some(body) = &wanted.body
        && body != got
    {
        lines.push(format!("expected body: {}", readable(body)));
        lines.push(format!("     got body: {}", readable(got)));
    }
    let lower = |list: &[(String, String)]| -> Vec<(String, String)> {
        let low = |(n, v): &(String, String)| (n.to_ascii_lowercase(), v.clone());
        list.iter().map(low).collect()
    };
    if lower(&wanted.trailers) != lower(trailers) {
        lines.push(format!("expected trailers: {:?}", wanted.trailers));
        lines.push(format!("     got trailers: {trailers:?}"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(fields: &[(&str, &str)]) -> Awaited {
        Awaited {
            first: "HTTP/1.1 200 OK".to_owned(),
            fields: fields
                .iter()
                .map(|(n, v)| ((*n).into(), (*v).into()))
                .collect(),
            ..Awaited::default()
        }
    }

    #[test]
    fn fields_are_a_subset_with_all_values_of_a_name() {
        let got = Head {
            line: "HTTP/1.1 200 OK".to_owned(),
            fields: [("A", "1"), ("b", "x7"), ("a", "2")]
                .map(|(n, v)| (n.into(), v.into()))
                .into(),
        };
        for (fields, equal) in [
            (&[][..], true),
            (&[("a", "1"), ("a", "2")], true),
            (&[("a", "1")], false),
            (&[("B", "~x[0-9]")], true),
            (&[("b", "~x")], false),
            (&[("b", "*"), ("c", "*")], false),
        ] {
            assert_eq!(head(&wanted(fields), &got).is_none(), equal, "{fields:?}");
        }
        let mut none = wanted(&[("a", "1"), ("a", "2")]);
        none.only = true;
        assert!(
            head(&none, &got)
                .unwrap()
                .contains("b: x7, which is not expected")
        );
        for (first, equal) in [
            ("HTTP/1.1 200 *", true),
            ("HTTP/1.1 20 *", false),
            ("HTTP/1.1 200 Fine", false),
        ] {
            let mut any = wanted(&[]);
            any.first = first.to_owned();
            assert_eq!(head(&any, &got).is_none(), equal, "{first}");
        }
        none.absent = vec!["B".to_owned()];
        assert!(head(&none, &got).unwrap().contains("no `B`"));
    }
}
