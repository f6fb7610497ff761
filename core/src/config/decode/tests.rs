//! Fields out of maps, as tables.

use super::*;
use crate::config::report::Report;
use crate::config::yaml::read;

/// Reads one map with `read_it`, and gives what it read with every finding as `path code`.
fn decode<T>(text: &str, read_it: impl FnOnce(&mut Object<'_, '_>) -> T) -> (T, Vec<String>) {
    let mut report = Report::new();
    let document = read(text.as_bytes(), &mut report).pop().unwrap_or_default();
    let value = object(&mut report, &document, read_it);
    let findings = report.into_findings();
    (
        value,
        findings
            .iter()
            .map(|finding| format!("{} {}", finding.path, finding.code))
            .collect(),
    )
}

#[test]
fn strings_are_not_numbers() {
    let cases: &[(&str, &str, bool)] = &[
        ("a: v1", "v1", true),
        ("a: '1'", "1", true),
        ("a: ''", "", true),
        ("a: null", "", true),
        ("{}", "", true),
        ("a: 1", "", false),
        ("a: 1.10", "", false),
        ("a: true", "", false),
        ("a: yes", "", false),
        ("a: [b]", "", false),
    ];
    for (text, expected, is_clean) in cases {
        let (value, findings) = decode(text, |o| o.string("a"));
        assert_eq!(
            (value.as_str(), findings.is_empty()),
            (*expected, *is_clean),
            "{text}"
        );
        assert!(
            findings.iter().all(|finding| finding == "a wrong-type"),
            "{findings:?}"
        );
    }
}

#[test]
fn integers_are_bare_or_quoted() {
    let cases: &[(&str, Option<u32>, bool)] = &[
        ("a: 5", Some(5), true),
        ("a: '5'", Some(5), true),
        ("a: 0", Some(0), true),
        ("{}", None, true),
        ("a: ~", None, true),
        ("a: -1", None, false),
        ("a: 5.5", None, false),
        ("a: 5e0", Some(5), true),
        ("a: 1e+06", Some(1_000_000), true),
        ("a: 80.0", Some(80), true),
        ("a: 5e9", None, false),
        ("a: -1e0", None, false),
        ("a: 1e300", None, false),
        ("a: '1e3'", None, false),
        ("a: '5.0'", None, false),
        ("a: '05'", None, false),
        ("a: 4294967296", None, false),
        ("a: 99999999999999999999999999", None, false),
        ("a: five", None, false),
        ("a: ''", None, false),
        ("a: true", None, false),
    ];
    for (text, expected, is_clean) in cases {
        let (value, findings) = decode(text, |o| o.optional_integer::<u32>("a"));
        assert_eq!(
            (value, findings.is_empty()),
            (*expected, *is_clean),
            "{text}: {findings:?}"
        );
    }
}

#[test]
fn other_scalars() {
    fn boolean(text: &str) -> (Option<bool>, Vec<String>) {
        decode(text, |o| o.optional_boolean("a"))
    }
    for (texts, expected) in [
        ("true True TRUE y Y yes Yes YES on On ON", true),
        ("false False FALSE n N no No NO off Off OFF", false),
    ] {
        for text in texts.split(' ') {
            let read = boolean(&format!("a: {text}"));
            assert_eq!(read, (Some(expected), vec![]), "{text}");
        }
    }
    for text in ["a: 'true'", "a: 'yes'", "a: 1", "a: 0", "a: tRUE", "a: yEs"] {
        assert_eq!(
            boolean(text),
            (None, vec!["a wrong-type".to_owned()]),
            "{text}"
        );
    }

    let number = |text| decode(text, |o| o.number("a"));
    assert_eq!(number("a: 1").0, Some(1.0));
    assert_eq!(number("a: 0.1").0, Some(0.1));
    assert_eq!(number("a: '0.1'").0, Some(0.1));
    assert_eq!(number("a: .nan").1, ["a invalid-number"]);
    assert_eq!(number("a: .inf").1, ["a invalid-number"]);
    assert_eq!(number("a: x").1, ["a wrong-type"]);

    let duration = |text| decode(text, |o| o.duration("a"));
    assert_eq!(duration("a: 1.5s").0, Some(Duration::from_millis(1500)));
    assert_eq!(duration("a: '0'").0, Some(Duration::ZERO));
    for text in ["a: 5", "a: 0", "a: 1d", "a: '5'", "a: [1s]", "a: -1s"] {
        let (value, findings) = duration(text);
        assert_eq!((value, findings.len()), (None, 1), "{text}");
    }

    let bytes = |text| decode(text, |o| o.bytes("a"));
    assert_eq!(bytes("a: aGk=").0, Some(b"hi".to_vec()));
    assert_eq!(bytes("a: aGk").1, ["a invalid-bytes"]);

    let symbol = |text| decode(text, |o| o.symbol("a", &[("ONE", 1, 'x'), ("TWO", 2, 'z')]));
    assert_eq!(symbol("a: TWO").0, Some('z'));
    assert_eq!(symbol("a: 1").0, Some('x'));
    assert_eq!(symbol("a: 2.0").0, Some('z'));
    for text in ["a: two", "a: 3", "a: '1'", "a: true", "a: 1.5"] {
        assert_eq!(
            symbol(text),
            (None, vec!["a invalid-enum".to_owned()]),
            "{text}"
        );
    }
}

#[test]
fn both_spellings_are_read_and_camel_case_wins() {
    let read = |text| decode(text, |o| o.string("perTryTimeout"));
    assert_eq!(read("perTryTimeout: a"), ("a".to_owned(), vec![]));
    assert_eq!(read("per_try_timeout: a"), ("a".to_owned(), vec![]));
    assert_eq!(
        read("{per_try_timeout: a, perTryTimeout: b}"),
        ("b".to_owned(), vec![" field-spelled-twice".to_owned()])
    );
    assert_eq!(read("PerTryTimeout: a").1, ["PerTryTimeout unknown-field"]);
}

#[test]
fn unknown_fields_are_told_with_what_was_meant() {
    let (_, findings) = decode("{b: {hots: 1}, c: 1, 'd.e': 2}", |o| {
        o.message("b", |o| o.strings("hosts"));
    });
    assert_eq!(
        findings,
        [
            "b.hots unknown-field",
            "c unknown-field",
            "[\"d.e\"] unknown-field"
        ]
    );
}

#[test]
fn alternatives_exclude_each_other() {
    let read = |text| {
        decode(text, |o| {
            o.one_of(&["exact", "prefix"]);
            (o.string("exact"), o.string("prefix"))
        })
    };
    assert!(read("exact: a").1.is_empty());
    assert!(read("{exact: a, prefix: null}").1.is_empty());
    assert_eq!(read("{exact: a, prefix: b}").1, [" one-of"]);
}

#[test]
fn collections_keep_going_after_a_fault() {
    let (list, findings) = decode("a: [x, 1, z, null]", |o| o.strings("a"));
    assert_eq!(list, ["x", "z"]);
    assert_eq!(findings, ["a[1] wrong-type", "a[3] wrong-type"]);
    let (map, findings) = decode("a: {k: v, true: w, x-n: 1}", |o| o.string_map("a"));
    assert_eq!(map.len(), 2);
    assert_eq!(
        findings,
        ["a[\"true\"] yaml-key-not-text", "a[\"x-n\"] wrong-type"]
    );
    let (list, findings) = decode("a:\n- fd00::\n", |o| o.strings("a"));
    assert_eq!(
        (list.len(), findings),
        (0, vec!["a[0] wrong-type".to_owned()])
    );
    assert_eq!(decode("a: {}", |o| o.strings("a")).1, ["a wrong-type"]);
    assert_eq!(decode("a: []", |o| o.string_map("a")).1, ["a wrong-type"]);
    assert_eq!(decode("[]", |o| o.string("a")).1, [" wrong-type"]);
}
