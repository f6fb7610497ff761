//! Every kind of match against requests, by table.

use std::sync::Arc;

use super::*;
use crate::message::Headers;
use crate::snapshot::{Action, Forward, Regex, Rule, VirtualHost};

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn prefix(text: &str) -> TextMatch {
    TextMatch::Prefix(text.into())
}

fn regex(text: &str) -> TextMatch {
    TextMatch::Regex(Box::new(Regex::whole(text).unwrap()))
}

fn exact_path(path: &str, ignore_case: bool) -> PathMatch {
    PathMatch::Exact {
        path: path.into(),
        ignore_case,
    }
}

fn prefix_path(path: &str, ignore_case: bool) -> PathMatch {
    PathMatch::Prefix {
        path: path.into(),
        ignore_case,
    }
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    RequestHead {
        method: method.parse().unwrap(),
        authority: b"web.test:80".to_vec(),
        path: target.into(),
        headers,
        ..RequestHead::default()
    }
}

#[test]
fn paths() {
    let of_regex = |text| PathMatch::Regex(Box::new(Regex::whole(text).unwrap()));
    for (wanted, target, want) in [
        (exact_path("/exact", false), "/exact", true),
        (exact_path("/exact", false), "/exact?x=1", true),
        (exact_path("/exact", false), "/exact/", false),
        (exact_path("/exact", false), "/Exact", false),
        (exact_path("/exact", true), "/eXACT", true),
        (prefix_path("/pre", false), "/prefixed", true),
        (prefix_path("/pre", false), "/pr", false),
        (prefix_path("/pre", false), "/PRE", false),
        (prefix_path("/case", true), "/CaSe1", true),
        (prefix_path("/pre", false), "/x?/pre", false),
        (prefix_path("", false), "", true),
        (of_regex("/r/[0-9]+"), "/r/12", true),
        (of_regex("/r/[0-9]+"), "/r/12a", false),
        (of_regex("/r/[0-9]+"), "/r/1?x=/r/2", true),
        (of_regex("/r/[0-9]+"), "/x/r/1", false),
        (of_regex("/a|/b"), "/ab", false),
        (of_regex("/a"), "/a\n", false),
    ] {
        let condition = Condition {
            path: Some(wanted),
            ..Condition::default()
        };
        let got = holds(&condition, &request("GET", target, &[]), "http", None);
        assert_eq!(got, want, "{condition:?} {target}");
    }
}

#[test]
fn header_fields() {
    use TextMatch::Present;
    let absent: &[(&str, &str)] = &[];
    let empty: &[(&str, &str)] = &[("x-a", "")];
    let b: &[(&str, &str)] = &[("X-A", "b")];
    let twice: &[(&str, &str)] = &[("x-a", "b"), ("x-z", "z"), ("x-a", "c")];
    let thrice: &[(&str, &str)] = &[("x-a", "b"), ("x-a", ""), ("x-a", "c")];
    for (name, value, negated, fields, want) in [
        ("x-a", Present, false, absent, false),
        ("x-a", Present, false, empty, true),
        ("x-a", exact("b"), false, b, true),
        ("X-A", exact("b"), false, b, true),
        ("x-a", exact("b"), false, absent, false),
        ("x-a", exact(""), false, absent, false),
        // one of several
        ("x-a", exact("b"), false, twice, true),
        ("x-a", exact("c"), false, twice, true),
        ("x-a", exact("b,c"), false, twice, false),
        ("x-a", exact(""), false, thrice, true),
        ("x-a", prefix("c"), false, thrice, true),
        ("x-a", regex("b.*c"), false, twice, false),
        ("x-a", regex("z"), false, twice, false),
        // withoutHeaders
        ("x-a", exact("b"), true, absent, true),
        ("x-a", exact("b"), true, b, false),
        ("x-a", exact("b"), true, twice, false),
        ("x-a", exact("z"), true, twice, true),
        ("x-a", regex(".*"), true, absent, false),
        ("x-a", regex(".+"), true, absent, true),
        ("x-a", prefix("b"), true, twice, false),
        ("x-a", Present, true, absent, true),
        ("x-a", Present, true, empty, false),
        // pseudo header fields
        (":method", exact("POST"), false, absent, true),
        (":path", exact("/p?q=1"), false, absent, true),
        (":authority", prefix("web.test"), false, absent, true),
        ("Host", exact("web.test:80"), false, absent, true),
        (":scheme", exact("http"), true, absent, false),
    ] {
        let wanted = FieldMatch {
            name: MatchedField::new(name).unwrap(),
            value,
            negated,
        };
        let request = request("POST", "/p?q=1", fields);
        let got = field_matches(&wanted, &request, "http");
        assert_eq!(got, want, "{wanted:?} {fields:?}");
    }
}

#[test]
fn query_parameters() {
    use TextMatch::Present;
    for (name, value, target, want) in [
        ("q", exact("1"), "/?q=1&z=abc", true),
        ("z", regex("[a-c]+"), "/?q=1&z=abc", true),
        ("z", regex("[a-c]+"), "/?q=1&z=abd", false),
        ("q", exact("1"), "/?q=%31", false),
        ("q", exact("1"), "/?q=2&q=1", false),
        ("q", exact("1"), "/?Q=1", false),
        ("q", exact("1"), "/?qq=1", false),
        ("q", exact(""), "/?q", true),
        ("q", Present, "/?x=1&q", true),
        ("q", Present, "/?x=q", false),
        ("q", Present, "/q", false),
        ("q", exact("1=2"), "/?q=1=2", true),
    ] {
        let wanted = QueryMatch {
            name: name.into(),
            value,
        };
        let got = query_matches(&wanted, request("GET", target, &[]).query());
        assert_eq!(got, want, "{wanted:?} {target}");
    }
}

#[test]
fn every_part_of_a_condition_must_hold() {
    let condition = Condition {
        path: Some(prefix_path("/a", false)),
        method: Some(exact("POST")),
        authority: Some(prefix("web")),
        fields: Box::from([FieldMatch {
            name: MatchedField::new("x-a").unwrap(),
            value: TextMatch::Present,
            negated: false,
        }]),
        query: Box::from([QueryMatch {
            name: "q".into(),
            value: exact("1"),
        }]),
        ..Condition::default()
    };
    let rule = Rule {
        name: "r".into(),
        origin: None,
        fields: Default::default(),
        condition,
        action: Arc::new(Action::Forward(Forward::default())),
    };
    for (method, target, fields, want) in [
        ("POST", "/a?q=1", &[("x-a", "")][..], true),
        ("POST", "/b?q=1", &[("x-a", "")], false),
        ("GET", "/a?q=1", &[("x-a", "")], false),
        ("POST", "/a?q=1", &[], false),
        ("POST", "/a?q=2", &[("x-a", "")], false),
    ] {
        let request = request(method, target, fields);
        let got = holds(&rule.condition, &request, "http", None);
        assert_eq!(got, want, "{method} {target}");
        let other = RequestHead {
            authority: b"other".to_vec(),
            ..request
        };
        assert!(!holds(&rule.condition, &other, "http", None));
    }
    let virtual_host = VirtualHost {
        rules: Arc::from([rule.clone(), rule]),
        ..VirtualHost::default()
    };
    let hit = request("POST", "/a?q=1", &[("x-a", "")]);
    assert_eq!(find(&virtual_host, &hit, "http", None), Some(0));
    assert_eq!(
        find(&virtual_host, &request("GET", "/a", &[]), "http", None),
        None
    );
}
