//! Which rule of which VirtualService a request gets, against a reading of Istio's words that tries all rules of all hosts: the host by
//! its name, else by the longest wildcard; then the first rule one of whose matches holds. A fuzz target calls [`as_the_model`];
//! core's tests replay the corpus through it.

use std::fmt::Write as _;

use outrigger_core::compile::from_yaml;
use outrigger_core::config::Finding;
use outrigger_core::message::RequestHead;
use outrigger_core::policy::{authority, route};
use outrigger_core::snapshot::Snapshot;

use crate::draws::Draws;

/// Chosen so that they cover each other.
const HOSTS: &[&str] = &[
    "a.test",
    "b.a.test",
    "*.a.test",
    "*.test",
    "*.b.a.test",
    "c.test",
    "*",
];
const ASKED: &[&str] = &[
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "x.a.test",
    "A.Test",
    "c.test:80",
    "x.test.",
    "other",
    "test",
];
const PATHS: &[&str] = &["/", "/a", "/A", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/aa"];
const REGEXES: &[&str] = &["/a.*", "/[ab]", "/a/[a-c]+", ".*b", "/a|/b"];
const VALUES: &[&str] = &["x", "xy", "y", ""];
const NAMES: &[&str] = &["x-a", "x-b"];
const METHODS: &[&str] = &["GET", "PUT", "G"];

/// A text as a match has it.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Exact(&'static str),
    Prefix(&'static str),
    Regex(&'static str),
    Present,
}

#[derive(Debug, Default)]
struct Match {
    path: Option<Wanted>,
    ignores_case: bool,
    method: Option<Wanted>,
    with: Vec<(&'static str, Wanted)>,
    without: Vec<(&'static str, Wanted)>,
    query: Vec<(&'static str, Wanted)>,
}

#[derive(Debug)]
struct Written {
    host: &'static str,
    /// Of each rule its matches; a rule without one holds for everything.
    rules: Vec<Vec<Match>>,
}

struct Asked {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    query: Vec<(&'static str, &'static str)>,
}

/// No longer text than one that every kind of match may have.
fn wanted(draws: &mut Draws<'_>, all: &[&'static str]) -> Wanted {
    match draws.below(5) {
        0 => Wanted::Prefix(draws.of(all)),
        1 => Wanted::Regex(draws.of(&["x.*", "y?", "G|PUT", ".+"])),
        _ => Wanted::Exact(draws.of(all)),
    }
}

fn field(draws: &mut Draws<'_>) -> (&'static str, Wanted) {
    let name = draws.of(NAMES);
    let wanted = match draws.is_one_in(4) {
        true => Wanted::Present,
        false => wanted(draws, &VALUES[..3]),
    };
    (name, wanted)
}

/// Each name once, as a map has it.
fn fields(draws: &mut Draws<'_>) -> Vec<(&'static str, Wanted)> {
    let mut fields = draws.several(2, field);
    fields.dedup_by_key(|(name, _)| *name);
    fields
}

fn a_match(draws: &mut Draws<'_>) -> Match {
    let path = match draws.below(8) {
        0 => None,
        1 => Some(Wanted::Regex(draws.of(REGEXES))),
        2..5 => Some(Wanted::Exact(draws.of(PATHS))),
        _ => Some(Wanted::Prefix(draws.of(PATHS))),
    };
    let method = draws.is_one_in(4).then(|| wanted(draws, METHODS));
    let is_plain = draws.is_one_in(2);
    let some = |draws: &mut Draws<'_>| if is_plain { Vec::new() } else { fields(draws) };
    let mut made = Match {
        path,
        ignores_case: !matches!(path, Some(Wanted::Regex(_)) | None) && draws.is_one_in(4),
        method,
        with: some(draws),
        without: some(draws),
        query: some(draws),
    };
    // A parameter is exact, a regex, or there.
    for (_, wanted) in &mut made.query {
        if let Wanted::Prefix(text) = *wanted {
            *wanted = Wanted::Exact(text);
        }
    }
    if made.path.is_none()
        && made.method.is_none()
        && made.with.is_empty()
        && made.without.is_empty()
        && made.query.is_empty()
    {
        made.method = Some(Wanted::Exact("GET"));
    }
    made
}

/// VirtualServices none of whose hosts is another's.
fn written(draws: &mut Draws<'_>) -> Vec<Written> {
    let mut left = HOSTS.to_vec();
    let count = 1 + draws.below(4);
    let mut all = Vec::new();
    for _ in 0..count {
        // Hosts of one that cover each other are refused.
        let host = left.remove(draws.below(left.len()));
        let rules = (0..1 + draws.below(12))
            .map(|_| draws.several(2, a_match))
            .collect();
        all.push(Written { host, rules });
    }
    all
}

fn of_text(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Exact(text) => format!("{{exact: '{text}'}}"),
        Wanted::Prefix(text) => format!("{{prefix: '{text}'}}"),
        Wanted::Regex(text) => format!("{{regex: '{text}'}}"),
        Wanted::Present => "{}".to_owned(),
    }
}

fn of_fields(name: &str, fields: &[(&'static str, Wanted)]) -> String {
    let each = fields
        .iter()
        .map(|(name, wanted)| format!("{name}: {}", of_text(wanted)));
    match fields {
        [] => String::new(),
        _ => format!("{name}: {{{}}}, ", each.collect::<Vec<_>>().join(", ")),
    }
}

fn yaml(all: &[Written]) -> String {
    let mut text = String::new();
    for (at, one) in all.iter().enumerate() {
        let _ = write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{at}}}\nspec:\n  hosts: ['{}']\n  http:\n",
            one.host
        );
        for (number, rule) in one.rules.iter().enumerate() {
            let matches = rule.iter().map(|of| {
                let mut parts = String::new();
                if let Some(path) = &of.path {
                    let _ = write!(parts, "uri: {}, ", of_text(path));
                }
                if of.ignores_case {
                    parts.push_str("ignoreUriCase: true, ");
                }
                if let Some(method) = &of.method {
                    let _ = write!(parts, "method: {}, ", of_text(method));
                }
                parts += &of_fields("headers", &of.with);
                parts += &of_fields("withoutHeaders", &of.without);
                parts += &of_fields("queryParams", &of.query);
                format!("{{{parts}}}")
            });
            let matches = matches.collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                text,
                "  - {{name: v{at}r{number}, match: [{matches}], directResponse: {{status: 200}}}}"
            );
        }
    }
    text
}

fn matches(wanted: &Wanted, text: &str) -> bool {
    match wanted {
        Wanted::Exact(exact) => text == *exact,
        Wanted::Prefix(prefix) => text.starts_with(prefix),
        Wanted::Regex(regex) => whole(regex, text),
        Wanted::Present => true,
    }
}

/// What the few regexes here mean.
fn whole(regex: &str, text: &str) -> bool {
    match regex {
        "x.*" => text.starts_with('x'),
        "y?" => text.is_empty() || text == "y",
        "G|PUT" => text == "G" || text == "PUT",
        ".+" => !text.is_empty(),
        "/a.*" => text.starts_with("/a"),
        "/[ab]" | "/a|/b" => text == "/a" || text == "/b",
        "/a/[a-c]+" => text.strip_prefix("/a/").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| (b'a'..=b'c').contains(&b))
        }),
        ".*b" => text.ends_with('b'),
        _ => panic!("{regex} has no meaning here"),
    }
}

fn value<'a>(name: &str, given: &[(&str, &'a str)]) -> Option<&'a str> {
    // Of a parameter that is there twice the first one counts, as in Envoy.
    given
        .iter()
        .find(|(of, _)| *of == name)
        .map(|(_, value)| *value)
}

fn has(wanted: &(&str, Wanted), given: &[(&str, &str)]) -> bool {
    value(wanted.0, given).is_some_and(|value| matches(&wanted.1, value))
}

/// Istio has Envoy take a field that is not there for an empty one, where a value is named that it must not have.
fn lacks(wanted: &(&str, Wanted), given: &[(&str, &str)]) -> bool {
    match (wanted.1, value(wanted.0, given)) {
        (Wanted::Present, value) => value.is_none(),
        (wanted, value) => !matches(&wanted, value.unwrap_or_default()),
    }
}

fn holds(of: &Match, asked: &Asked) -> bool {
    let lower = asked.path.to_ascii_lowercase();
    let path = of
        .path
        .as_ref()
        .is_none_or(|path| match (path, of.ignores_case) {
            (Wanted::Exact(text), true) => lower == text.to_ascii_lowercase(),
            (Wanted::Prefix(text), true) => lower.starts_with(&text.to_ascii_lowercase()),
            (path, _) => matches(path, asked.path),
        });
    let method = of
        .method
        .as_ref()
        .is_none_or(|method| matches(method, asked.method));
    path && method
        && of.with.iter().all(|one| has(one, &asked.fields))
        && of.without.iter().all(|one| lacks(one, &asked.fields))
        && of.query.iter().all(|one| has(one, &asked.query))
}

/// The name of the rule.
fn chosen(all: &[Written], asked: &Asked) -> Option<String> {
    let host = asked.host.to_ascii_lowercase();
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let rank = |written: &str| match written.strip_prefix('*') {
        None => (written == host).then_some(usize::MAX),
        // At least one byte stands for the star.
        Some(rest) => (host.len() > rest.len() && host.ends_with(rest)).then_some(rest.len()),
    };
    let names = all.iter().enumerate().map(|(at, one)| (at, one.host));
    let (_, at) = names
        .filter_map(|(at, written)| Some((rank(written)?, at)))
        .max()?;
    let rules = &all[at].rules;
    let number = rules
        .iter()
        .position(|rule| rule.is_empty() || rule.iter().any(|of| holds(of, asked)))?;
    Some(format!("v{at}r{number}"))
}

fn found(snapshot: &Snapshot, asked: &Asked) -> Option<String> {
    let query: Vec<_> = asked
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut request = RequestHead {
        method: asked.method.parse().expect("a method"),
        authority: asked.host.into(),
        path: match query.is_empty() {
            true => asked.path.into(),
            false => format!("{}?{}", asked.path, query.join("&")).into(),
        },
        ..RequestHead::default()
    };
    for (name, value) in &asked.fields {
        assert!(
            request
                .headers
                .append(name.as_bytes(), value.as_bytes())
                .is_ok()
        );
    }
    let host = snapshot.virtual_host(authority::select_in(
        &snapshot.hosts,
        asked.host.as_bytes(),
    )?);
    let at = route::find(host, &request, "http", None)?;
    Some(host.rules[at].name.to_string())
}

/// Rules and requests, as the bytes say. Gives back how many requests found a rule.
pub fn as_the_model(bytes: &[u8]) -> usize {
    let mut draws = Draws(bytes);
    let all = written(&mut draws);
    let text = yaml(&all);
    let compiled = from_yaml(&text);
    if compiled.findings.iter().any(Finding::blocks) {
        return 0;
    }
    let mut count = 0;
    for _ in 0..=draws.below(16) {
        let given = |draws: &mut Draws<'_>| (draws.of(NAMES), draws.of(VALUES));
        let asked = Asked {
            method: draws.of(METHODS),
            host: draws.of(ASKED),
            path: draws.of(PATHS),
            fields: {
                // Lists of several values are a question of their own.
                let mut fields = draws.several(2, given);
                fields.dedup_by_key(|(name, _)| *name);
                fields
            },
            query: draws.several(3, given),
        };
        let want = chosen(&all, &asked);
        count += usize::from(want.is_some());
        let got = found(&compiled.snapshot, &asked);
        assert_eq!(
            got, want,
            "{} {} {} {:?} {:?}\n{text}{:?}",
            asked.method, asked.host, asked.path, asked.fields, asked.query, compiled.findings
        );
    }
    count
}
