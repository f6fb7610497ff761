//! Rules that no request reaches, and matches that can not decide, because something earlier takes all they take.
//!
//! Owns the warnings about order inside one VirtualService. It claims only what is certain: an earlier entry covers a
//! later one when each of its conditions follows from the other's. What delegates hold is not known here, so a rule
//! that delegates covers nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{HttpMatchRequest, HttpRoute, StringMatch, VirtualService};
use crate::config::code::Code;
use crate::config::report::Report;

/// Entries with the same path that are compared at most; beyond it nothing is claimed.
const MAX_COMPARED: usize = 256;

/// Longer beginnings of a path are not looked up.
const MAX_PREFIX: usize = 1024;

/// Tells what is out of reach; the report stands at the `spec`.
pub(super) fn check(service: &VirtualService, report: &mut Report) {
    // Of a rule that could not be read nobody knows what it takes.
    if ["http", "tls", "tcp"]
        .iter()
        .any(|list| report.is_unread(list))
    {
        return;
    }
    check_http(&service.http, report);
    let tls: Vec<_> = service
        .tls
        .iter()
        .map(|rule| rule.matches.as_slice())
        .collect();
    check_connections("tls", &tls, report);
    let tcp: Vec<_> = service
        .tcp
        .iter()
        .map(|rule| rule.matches.as_slice())
        .collect();
    check_connections("tcp", &tcp, report);
}

fn check_http(rules: &[HttpRoute], report: &mut Report) {
    let mut earlier = Earlier::default();
    let mut catch_all = None;
    for (index, rule) in rules.iter().enumerate() {
        if let Some(first) = catch_all {
            tell_unreachable("http", index, first, report);
            continue;
        }
        let covers = rule.delegate.is_none();
        let mut covered = 0;
        for (at, entry) in rule.matches.iter().enumerate() {
            match earlier.covering(entry) {
                Some(first) => {
                    covered += 1;
                    tell_ineffective(index, at, first, report);
                }
                None if covers => earlier.add(
                    entry,
                    MatchAt {
                        rule: index,
                        entry: at,
                    },
                ),
                None => {}
            }
        }
        if rule.matches.is_empty() {
            catch_all = covers.then_some(index);
        } else if covered == rule.matches.len() {
            report.field("http", |report| {
                report.index(index, |report| {
                    report.raise(
                        Code::UnreachableRule,
                        "earlier rules take every request that this rule matches",
                        "move the rule up, or remove it",
                    );
                });
            });
        }
    }
}

fn tell_unreachable(list: &str, index: usize, first: usize, report: &mut Report) {
    report.field(list, |report| {
        report.index(index, |report| {
            report.raise(
                Code::UnreachableRule,
                format!("`{list}[{first}]` matches everything, so this rule is never reached"),
                "move the rule that matches everything to the end",
            );
        });
    });
}

fn tell_ineffective(rule: usize, entry: usize, first: MatchAt, report: &mut Report) {
    report.field("http", |report| {
        report.index(rule, |report| {
            report.field("match", |report| {
                report.index(entry, |report| {
                    let MatchAt { rule, entry } = first;
                    report.raise(
                        Code::IneffectiveMatch,
                        format!(
                            "`http[{rule}].match[{entry}]` takes every request that this matches"
                        ),
                        "put the more specific match first, or remove it",
                    );
                });
            });
        });
    });
}

/// Rules for connections: only equal matches and match-less rules are told.
fn check_connections<T: PartialEq>(list: &str, rules: &[&[T]], report: &mut Report) {
    let mut catch_all = None;
    let mut seen: Vec<&T> = Vec::new();
    for (index, matches) in rules.iter().enumerate() {
        if let Some(first) = catch_all {
            tell_unreachable(list, index, first, report);
        } else if matches.is_empty() {
            // A TLS rule without match is an error of its own, and matches nothing.
            catch_all = (list == "tcp").then_some(index);
        } else if matches.iter().all(|entry| seen.contains(&entry)) {
            report.field(list, |report| {
                report.index(index, |report| {
                    let message =
                        "earlier rules have the same matches, so this rule is never reached";
                    report.raise(Code::UnreachableRule, message, "remove it");
                });
            });
        }
        let room = MAX_COMPARED.saturating_sub(seen.len());
        seen.extend(matches.iter().take(room));
    }
}

/// Which match entry.
#[derive(Clone, Copy)]
struct MatchAt {
    rule: usize,
    entry: usize,
}

type Entries<'a> = Vec<(&'a HttpMatchRequest, MatchAt)>;

/// Entries of earlier rules by the kind of path they match, so that each entry is compared with few.
#[derive(Default)]
struct Earlier<'a> {
    any_path: Entries<'a>,
    /// Those whose case matters, and those in lower case whose case does not.
    by_path: [ByPath<'a>; 2],
    regex: BTreeMap<&'a str, Entries<'a>>,
}

#[derive(Default)]
struct ByPath<'a> {
    exact: BTreeMap<String, Entries<'a>>,
    prefix: BTreeMap<String, Entries<'a>>,
}

impl<'a> Earlier<'a> {
    fn add(&mut self, entry: &'a HttpMatchRequest, place: MatchAt) {
        let ignores_case = entry.ignore_uri_case;
        let by_path = &mut self.by_path[usize::from(ignores_case)];
        let key = |path: &str| folded(path, ignores_case).into_owned();
        let entries = match &entry.uri {
            None | Some(StringMatch::Present) => &mut self.any_path,
            Some(StringMatch::Prefix(path)) if path.is_empty() => &mut self.any_path,
            Some(StringMatch::Prefix(path)) => by_path.prefix.entry(key(path)).or_default(),
            Some(StringMatch::Exact(path)) => by_path.exact.entry(key(path)).or_default(),
            Some(StringMatch::Regex(pattern)) => self.regex.entry(pattern).or_default(),
        };
        if entries.len() < MAX_COMPARED {
            entries.push((entry, place));
        }
    }

    /// The first earlier entry that takes all that `entry` takes.
    fn covering(&self, entry: &HttpMatchRequest) -> Option<MatchAt> {
        let mut lists = vec![&self.any_path];
        match &entry.uri {
            None | Some(StringMatch::Present) => {}
            Some(StringMatch::Regex(pattern)) => lists.extend(self.regex.get(pattern.as_str())),
            Some(StringMatch::Exact(path)) => {
                for ignores_case in ways(entry) {
                    let path = folded(path, ignores_case);
                    let by_path = &self.by_path[usize::from(ignores_case)];
                    lists.extend(prefixes_of(&path, &by_path.prefix));
                    lists.extend(by_path.exact.get(&*path));
                }
            }
            Some(StringMatch::Prefix(path)) => {
                for ignores_case in ways(entry) {
                    let path = folded(path, ignores_case);
                    let by_path = &self.by_path[usize::from(ignores_case)];
                    lists.extend(prefixes_of(&path, &by_path.prefix));
                }
            }
        }
        let covering = lists
            .into_iter()
            .flatten()
            .filter(|(earlier, _)| implies(entry, earlier));
        covering
            .map(|(_, place)| *place)
            .min_by_key(|place| (place.rule, place.entry))
    }
}

/// The entries of every beginning of `path`.
fn prefixes_of<'s, 'a>(
    path: &str,
    prefixes: &'s BTreeMap<String, Entries<'a>>,
) -> Vec<&'s Entries<'a>> {
    if prefixes.is_empty() {
        return Vec::new();
    }
    (1..=path.len().min(MAX_PREFIX))
        .filter(|end| path.is_char_boundary(*end))
        .filter_map(|end| prefixes.get(&path[..end]))
        .collect()
}

/// Whose paths may cover the entry's: those that ignore case always, the others only when it minds case itself.
fn ways(entry: &HttpMatchRequest) -> impl Iterator<Item = bool> + use<> {
    [false, true]
        .into_iter()
        .skip(usize::from(entry.ignore_uri_case))
}

fn folded(path: &str, ignores_case: bool) -> Cow<'_, str> {
    if ignores_case {
        Cow::Owned(path.to_ascii_lowercase())
    } else {
        Cow::Borrowed(path)
    }
}

/// Whether all conditions of `earlier` but the one on the path follow from those of `entry`.
fn implies(entry: &HttpMatchRequest, earlier: &HttpMatchRequest) -> bool {
    let texts = [
        (&entry.scheme, &earlier.scheme),
        (&entry.method, &earlier.method),
        (&entry.authority, &earlier.authority),
    ];
    texts
        .into_iter()
        .all(|(entry, earlier)| match (entry, earlier) {
            // These are always present.
            (_, None | Some(StringMatch::Present)) => true,
            (Some(entry), Some(earlier)) => text_implies(entry, earlier),
            (None, Some(_)) => false,
        })
        && map_implies(&entry.headers, &earlier.headers)
        && map_implies(&entry.query_params, &earlier.query_params)
        && earlier
            .without_headers
            .iter()
            .all(|(name, text)| entry.without_headers.get(name) == Some(text))
        && (earlier.port == 0 || earlier.port == entry.port)
        && earlier
            .source_labels
            .iter()
            .all(|(key, value)| entry.source_labels.get(key) == Some(value))
        && (earlier.source_namespace.is_empty()
            || earlier.source_namespace == entry.source_namespace)
        && earlier.gateways == entry.gateways
}

fn map_implies(
    entry: &BTreeMap<String, StringMatch>,
    earlier: &BTreeMap<String, StringMatch>,
) -> bool {
    earlier.iter().all(|(name, earlier)| {
        entry
            .get(name)
            .is_some_and(|entry| text_implies(entry, earlier))
    })
}

fn text_implies(entry: &StringMatch, earlier: &StringMatch) -> bool {
    match (earlier, entry) {
        (StringMatch::Present, _) => true,
        (StringMatch::Prefix(prefix), StringMatch::Exact(text) | StringMatch::Prefix(text)) => {
            text.starts_with(prefix.as_str())
        }
        (earlier, entry) => earlier == entry,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    /// Loads a VirtualService with these HTTP rules, in flow style, and gives the code and path of what is told.
    fn told(rules: &str) -> Vec<(String, &'static str)> {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
             spec: {{hosts: [a], http: {rules}}}"
        );
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let findings = load(&[source], "default").findings;
        findings
            .into_iter()
            .map(|finding| (finding.path, finding.code.as_str()))
            .collect()
    }

    #[test]
    fn rules_out_of_reach() {
        let to = "route: [{destination: {host: b}}]";
        let rule = |matches: &str| format!("{{match: [{matches}], {to}}}");
        let last = format!("{{{to}}}");
        let cases: &[(Vec<String>, &[&str])] = &[
            (vec![rule("{uri: {exact: /a}}"), last.clone()], &[]),
            (vec![last.clone(), last.clone()], &["spec.http[1]"]),
            (
                vec![last.clone(), rule("{uri: {exact: /a}}")],
                &["spec.http[1]"],
            ),
            (
                vec![rule("{uri: {prefix: /a}}"), rule("{uri: {exact: /ab}}")],
                &["spec.http[1].match[0]", "spec.http[1]"],
            ),
            (
                vec![rule(
                    "{uri: {prefix: /a}}, {uri: {prefix: /ab}, method: {exact: GET}}",
                )],
                &["spec.http[0].match[1]"],
            ),
            (
                vec![rule(
                    "{uri: {prefix: /a}, method: {exact: GET}}, {uri: {prefix: /ab}}",
                )],
                &[],
            ),
            (vec![rule("{uri: {exact: /a}}, {uri: {prefix: /a}}")], &[]),
            (
                vec![rule("{uri: {regex: /a.*}}, {uri: {regex: /a.*}}")],
                &["spec.http[0].match[1]"],
            ),
            (
                vec![rule(
                    "{uri: {prefix: /A}, ignoreUriCase: true}, {uri: {exact: /ab}}",
                )],
                &["spec.http[0].match[1]"],
            ),
            (
                vec![rule(
                    "{uri: {prefix: /a}}, {uri: {exact: /ab}, ignoreUriCase: true}",
                )],
                &[],
            ),
            (
                vec![rule(
                    "{headers: {x: {}}}, {headers: {x: {exact: a}, z: {}}}",
                )],
                &["spec.http[0].match[1]"],
            ),
            (
                vec![rule(
                    "{headers: {x: {exact: a}}}, {headers: {x: {exact: b}}}",
                )],
                &[],
            ),
            (
                vec![rule("{port: 80}, {port: 80, uri: {prefix: /}}")],
                &["spec.http[0].match[1]"],
            ),
            (
                vec![rule("{withoutHeaders: {x: {}}}, {uri: {prefix: /}}")],
                &[],
            ),
            (
                vec![rule("{sourceLabels: {a: b}}, {uri: {prefix: /}}")],
                &[],
            ),
            (vec!["{delegate: {name: d}}".to_owned(), last], &[]),
        ];
        for (rules, expected) in cases {
            let rules = format!("[{}]", rules.join(", "));
            let mut paths: Vec<_> = told(&rules)
                .into_iter()
                .filter(|(_, code)| *code != "not-in-effect")
                .map(|(path, _)| path)
                .collect();
            paths.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(paths, expected, "{rules}");
        }
    }
}
