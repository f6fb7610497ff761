//! Texts that a condition takes in, and texts just outside of it.

use outrigger_core::snapshot::{PathMatch, Regex, TextMatch};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Longer examples are none: nobody sends them, and repetitions could ask for any length.
const MOST_BYTES: usize = 256;

/// A text that a match takes in.
pub(super) fn text(wanted: &TextMatch) -> Option<String> {
    match wanted {
        TextMatch::Exact(text) | TextMatch::Prefix(text) => Some(text.to_string()),
        TextMatch::Regex(regex) => of_regex(regex),
        TextMatch::Present => Some("x".to_owned()),
    }
}

/// Texts that it does not take in, near one that it does.
pub(super) fn outside(wanted: &TextMatch) -> Vec<String> {
    match wanted {
        TextMatch::Exact(text) => vec![format!("{text}-other")],
        TextMatch::Prefix(text) => shorter(text).into_iter().collect(),
        TextMatch::Regex(regex) => {
            let near = of_regex(regex).map(|text| format!("{text}-other"));
            let others = near.into_iter().chain(["other".to_owned()]);
            others
                .filter(|text| !regex.program.is_match(text.as_bytes()))
                .take(1)
                .collect()
        }
        TextMatch::Present => Vec::new(),
    }
}

/// Paths that a match takes in, its first and its last ones.
pub(super) fn paths(wanted: &PathMatch) -> Vec<String> {
    let all = match wanted {
        PathMatch::Exact { path, .. } => vec![path.to_string()],
        // A prefix is plain text: what begins with it is meant, whether a segment ends there or not.
        PathMatch::Prefix { path, .. } => vec![
            path.to_string(),
            format!("{path}x"),
            format!("{}/x", path.trim_end_matches('/')),
        ],
        PathMatch::Regex(regex) => of_regex(regex).into_iter().collect(),
    };
    all.into_iter().filter(|path| is_path(path)).collect()
}

/// Paths just outside.
pub(super) fn paths_outside(wanted: &PathMatch) -> Vec<String> {
    let all = match wanted {
        PathMatch::Exact { path, .. } => vec![format!("{path}x"), format!("{path}/")],
        PathMatch::Prefix { path, .. } => shorter(path).into_iter().collect(),
        PathMatch::Regex(regex) => of_regex(regex)
            .map(|path| format!("{path}/x"))
            .into_iter()
            .filter(|path| !regex.program.is_match(path.as_bytes()))
            .collect(),
    };
    all.into_iter().filter(|path| is_path(path)).collect()
}

fn shorter(text: &str) -> Option<String> {
    let mut shorter = text.to_owned();
    shorter.pop()?;
    (!shorter.is_empty()).then_some(shorter)
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A text that a regular expression takes in as a whole.
fn of_regex(regex: &Regex) -> Option<String> {
    let program = &regex.program;
    let mut parser = regex_syntax::ParserBuilder::new().utf8(false).build();
    let hir = parser.parse(program.as_str()).ok()?;
    // What repeats is there once if it may, which looks more like what people send; else as often as it must be.
    [1, 0].into_iter().find_map(|wish| {
        let mut bytes = Vec::new();
        write(&hir, wish, &mut bytes)?;
        let text = String::from_utf8(bytes).ok()?;
        program.is_match(text.as_bytes()).then_some(text)
    })
}

/// Appends what a pattern takes in; `None` when it takes in nothing, or nothing so short.
fn write(hir: &Hir, wish: u32, bytes: &mut Vec<u8>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => bytes.extend_from_slice(&literal.0),
        HirKind::Class(class) => bytes.push(of_class(class)?),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX);
            let times = repetition.min.max(wish.min(most));
            for _ in 0..times {
                write(&repetition.sub, wish, bytes)?;
                if bytes.len() > MOST_BYTES {
                    return None;
                }
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, wish, bytes)?,
        HirKind::Concat(all) => {
            for one in all {
                write(one, wish, bytes)?;
            }
        }
        HirKind::Alternation(all) => write(all.first()?, wish, bytes)?,
    }
    (bytes.len() <= MOST_BYTES).then_some(())
}

/// A byte of a class, one that people type if it has any.
fn of_class(class: &Class) -> Option<u8> {
    let has = |byte: u8| match class {
        Class::Unicode(class) => {
            let c = char::from(byte);
            class
                .iter()
                .any(|range| (range.start()..=range.end()).contains(&c))
        }
        Class::Bytes(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&byte)),
    };
    let typed = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z');
    typed
        .chain(b'!'..=b'~')
        .chain([b' '])
        .find(|byte| has(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_have_examples() {
        for (pattern, want) in [
            (".*Safari.*", Some("aSafaria")),
            ("/v[0-9]+/cart", Some("/v0/cart")),
            ("/(cart|basket)/?", Some("/cart/")),
            ("^/exact$", Some("/exact")),
            ("(?i)/Cart", Some("/Cart")),
            (r"\d{3}-[^a-z]", Some("000-0")),
            ("[^\\x00-\\x7f]", None),
            ("a{1000}", None),
        ] {
            let regex = Regex::whole(pattern).unwrap();
            let text = of_regex(&regex);
            if let Some(text) = &text {
                assert!(regex.program.is_match(text.as_bytes()), "{pattern}");
            }
            assert_eq!(
                text.map(|text| text.to_lowercase()),
                want.map(str::to_lowercase),
                "{pattern}"
            );
        }
    }

    #[test]
    fn paths_lie_within_and_just_outside() {
        let exact = |path: &str| PathMatch::Exact {
            path: path.into(),
            ignore_case: false,
        };
        let prefix = |path: &str| PathMatch::Prefix {
            path: path.into(),
            ignore_case: false,
        };
        let regex = |pattern| PathMatch::Regex(Box::new(Regex::whole(pattern).unwrap()));
        for (wanted, within, outside) in [
            (exact("/a"), &["/a"][..], &["/ax", "/a/"][..]),
            (prefix("/a"), &["/a", "/ax", "/a/x"], &["/"]),
            (prefix("/"), &["/", "/x", "/x"], &[]),
            (prefix("/a/"), &["/a/", "/a/x", "/a/x"], &["/a"]),
            (regex("/a[0-9]"), &["/a0"], &["/a0/x"]),
            (regex("/.*"), &["/a"], &[]),
            (regex("a"), &[], &[]),
        ] {
            assert_eq!(paths(&wanted), within, "{wanted:?}");
            assert_eq!(paths_outside(&wanted), outside, "{wanted:?}");
        }
    }
}
