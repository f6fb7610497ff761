//! The index against a scan, on rules and paths over a small alphabet so that they meet often.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::message::RequestHead;
use crate::policy::route;
use crate::snapshot::{Action, Forward, Regex, Rule, TextMatch};

fn rule(path: Option<PathMatch>, post_only: bool) -> Rule {
    Rule {
        name: "".into(),
        origin: None,
        fields: Default::default(),
        condition: Condition {
            path,
            method: post_only.then(|| TextMatch::Exact("POST".into())),
            ..Condition::default()
        },
        action: Arc::new(Action::Forward(Forward::default())),
    }
}

fn index_of(rules: &[Rule]) -> RuleIndex {
    RuleIndex::new(rules.iter().map(|rule| &rule.condition))
}

fn holds(rule: &Rule, request: &RequestHead) -> bool {
    route::holds(&rule.condition, request, "http", None)
}

fn find(index: &RuleIndex, rules: &[Rule], request: &RequestHead) -> Option<usize> {
    index.find(request.path_only(), |at| holds(&rules[at], request))
}

/// Regexes over the same alphabet, made once: to make one takes longer than all that is asked of it here.
static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let mut made = Vec::new();
    for start in ["/a", "/b"] {
        for middle in ["", "a", "b", ".", "ab", "a.", "b.", ".a", ".b", ".."] {
            for end in ["", "*", "+"] {
                made.push(Regex::whole(&format!("{start}{middle}{end}")).unwrap());
            }
        }
    }
    made
});

/// Text by a regex that is read once and not for every case.
fn text(pattern: &str) -> impl Strategy<Value = String> + use<> {
    prop::string::string_regex(pattern).unwrap()
}

fn any_path_match() -> impl Strategy<Value = Option<PathMatch>> {
    prop_oneof![
        1 => Just(None),
        4 => (text("/[abAB/]{0,5}"), any::<bool>()).prop_map(|(path, ignore_case)| {
            let path = if ignore_case { path.to_lowercase() } else { path };
            Some(PathMatch::Exact { path: path.into(), ignore_case })
        }),
        6 => (text("(/[abAB/]{0,4})?"), any::<bool>()).prop_map(|(path, ignore_case)| {
            let path = if ignore_case { path.to_lowercase() } else { path };
            Some(PathMatch::Prefix { path: path.into(), ignore_case })
        }),
        2 => (0..REGEXES.len()).prop_map(|at| Some(PathMatch::Regex(Box::new(REGEXES[at].clone())))),
    ]
}

fn request(method: &str, target: &str) -> RequestHead {
    RequestHead {
        method: method.parse().unwrap(),
        path: target.into(),
        ..RequestHead::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn finds_what_a_scan_finds(
        kinds in prop::collection::vec((any_path_match(), prop::bool::weighted(0.6)), 0..40),
        targets in prop::collection::vec((text("/[abAB/]{0,6}(\\?a)?"), any::<bool>()), 1..30),
    ) {
        let rules: Vec<Rule> = kinds.into_iter().map(|(path, post_only)| rule(path, post_only)).collect();
        let index = index_of(&rules);
        for (target, post) in targets {
            let request = request(if post { "POST" } else { "GET" }, &target);
            let scanned = rules.iter().position(|rule| holds(rule, &request));
            prop_assert_eq!(find(&index, &rules, &request), scanned, "{}", target);
        }
    }
}

fn regex(pattern: &str) -> Option<PathMatch> {
    Some(PathMatch::Regex(Box::new(Regex::whole(pattern).unwrap())))
}

#[test]
fn the_first_regex_is_found_in_one_pass() {
    let mut rules: Vec<Rule> = (0..150)
        .map(|i| rule(regex(&format!("/item/{i}/[a-z]+")), i % 2 == 0))
        .collect();
    rules.push(rule(regex("/item/.*"), false));
    rules.push(rule(None, false));
    let index = index_of(&rules);
    assert!(index.regex.all.is_some());
    // Path, where the candidates begin, the rule of a GET.
    for (path, from, found) in [
        ("/item/7/a", Some(7), 7),
        ("/item/8/a", Some(8), 150),
        ("/item/149/a", Some(149), 149),
        ("/item/149/A", Some(150), 150),
        ("/x/item/7/a", None, 151),
    ] {
        let candidates = index.regex.candidates(path.as_bytes());
        assert_eq!(candidates.first().copied(), from, "{path}");
        let got = find(&index, &rules, &request("GET", path));
        assert_eq!(got, Some(found), "{path}");
    }
}

#[test]
fn regexes_are_matched_without_allocation() {
    let rules: Vec<Rule> = (0..50)
        .map(|i| rule(regex(&format!("/(a|b){i}/.*")), false))
        .collect();
    let index = index_of(&rules);
    let request = request("GET", "/b42/x");
    let find = || assert_eq!(find(&index, &rules, &request), Some(42));
    find(); // the program's memory of states is made once for each thread
    let counted = allocation_counter::measure(find);
    assert_eq!(counted.count_total, 0);
}

#[test]
fn five_thousand_exact_paths_leave_few_candidates() {
    let rules: Vec<Rule> = (0..5000)
        .map(|i| {
            let path = format!("/service/{i:04}").into();
            let ignore_case = i % 2 == 0;
            rule(Some(PathMatch::Exact { path, ignore_case }), i % 3 == 0)
        })
        .collect();
    let index = index_of(&rules);
    for number in [4321, 4320, 4323] {
        let path = format!("/service/{number}");
        let tables = [&index.exact, &index.exact_any_case];
        let filed = tables.iter().filter_map(|t| t.find(path.as_bytes()));
        let candidates: usize = filed
            .map(|filed| filed.conditional.len() + usize::from(filed.certain != NONE))
            .sum();
        assert_eq!(candidates, 1, "{path}");
        let found = find(&index, &rules, &request("POST", &path));
        assert_eq!(found, Some(number));
    }
}

#[test]
fn five_thousand_prefixes_leave_few_candidates() {
    let prefix = |path: String| {
        Some(PathMatch::Prefix {
            path: path.into(),
            ignore_case: false,
        })
    };
    let rules: Vec<Rule> = (0..5000)
        .map(|i| rule(prefix(format!("/service/{i:04}/")), i % 2 == 0))
        .collect();
    let index = index_of(&rules);
    let request = request("POST", "/service/4321/x");
    let mut candidates = Candidates::new();
    index.prefix.collect(&request.path, &mut candidates);
    assert_eq!(candidates.certain, 4321);
    assert!(candidates.lists.is_empty());
    assert_eq!(find(&index, &rules, &request), Some(4321));
}

#[test]
fn nested_prefixes_are_walked_by_length_alone() {
    let rules: Vec<Rule> = (1..200)
        .rev()
        .map(|len| {
            let path = "/".repeat(len).into();
            rule(
                Some(PathMatch::Prefix {
                    path,
                    ignore_case: false,
                }),
                len % 3 == 0,
            )
        })
        .collect();
    let index = index_of(&rules);
    for len in [1, 5, 6, 7, 150, 199, 250] {
        let request = request("GET", &"/".repeat(len));
        let scanned = rules.iter().position(|rule| holds(rule, &request));
        assert_eq!(find(&index, &rules, &request), scanned, "{len}");
    }
}
