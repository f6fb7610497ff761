//! What is moved and quoted, what is left, and where it came from.

use super::*;

#[test]
fn only_what_may_stand_anywhere_is_indented() {
    let cases: &[(&str, Option<&str>)] = &[
        ("a: 1\n", None),
        ("a: 'x\n  y'\n", None),
        ("a: 'x\ny'\n", Some("a: 'x\n y'\n")),
        (
            "a:\n  b: 'x\n\t\n\n  y'\n",
            Some("a:\n  b: 'x\n\n\n   y'\n"),
        ),
        ("a: |-#\n 'x\n", Some("a: |- #\n 'x\n")),
        ("- a: 'it''s\n\n y'\n", Some("- a: 'it''s\n\n   y'\n")),
        ("a: \"x\\\n\\\"y\"\n", Some("a: \"x\\\n \\\"y\"\n")),
        ("a:\n  b: [\n  c\n]\n", Some("a:\n  b: [\n   c\n   ]\n")),
        ("---\n{\n\t\"a\": 1\n}\n", Some("---\n{\n \"a\": 1\n}\n")),
        ("é: - \"x\r\n\ty\"\r\n", Some("é: - \"x\r\n    y\"\r\n")),
        ("a: |\n  'x\nb: 'x\ny'\n", Some("a: |\n  'x\nb: 'x\n y'\n")),
        ("- |\n '\n- 'x\ny'\n", Some("- |\n '\n- 'x\n y'\n")),
        (
            "a: it's\n  'x\nb: [\n]\n",
            Some("a: it's\n  'x\nb: [\n ]\n"),
        ),
        ("a: b # it's\nb: [\n]\n", Some("a: b # it's\nb: [\n ]\n")),
        ("a: [ # it's\n]\n", Some("a: [ # it's\n ]\n")),
        ("a: [b'\n, 'c]'\n]\n", Some("a: [b'\n , 'c]'\n ]\n")),
        ("a: {b:c'd: 'x\ny'}\n", Some("a: {b:c'd: 'x\n y'}\n")),
        ("&x a: !t {\n}\n", Some("&x a: !t {\n }\n")),
        (
            "a: 'x'#y\nb: [ 'z'#,\n ]\n",
            Some("a: 'x' #y\nb: [ 'z' #,\n ]\n"),
        ),
        (
            "a:\t'b'\n'b':\t{'c':\tx}\n",
            Some("a: 'b'\n'b': {'c': x}\n"),
        ),
        (
            "a: [fd00::, b, ::1, é::]\nb: {c: d::}\n",
            Some("a: ['fd00::', b, ::1, 'é::']\nb: {c: 'd::'}\n"),
        ),
        ("a: [\nb:]\n", Some("a: [\n 'b:']\n")),
        ("a: [it's:, 'b:', \"c:\", d: ,e\n f:]\n", None),
        ("a: [b:, {c:[d]}]\n", Some("a: ['b:', {c:[d]}]\n")),
        ("a: b:, c\nd: e:]\n", None),
        ("'a': {\n}\nb: '\n", None),
        ("a: [\nb: c\n", None),
        ("a:\n\tb: 1\n", None),
    ];
    for (text, expected) in cases {
        let relaxed = relax(text).map(|relaxed| relaxed.text);
        assert_eq!(relaxed.as_deref(), *expected, "{text:?}");
    }
}

#[test]
fn columns_are_those_of_the_original() {
    let quoted = relax("a: [\nb::, éc:, d]\n").unwrap();
    assert_eq!(quoted.text, "a: [\n 'b::', 'éc:', d]\n");
    // The indentation, the words, and what stands behind them.
    let cases = [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 1),
        (5, 3),
        (6, 3),
        (8, 5),
        (9, 5),
        (12, 8),
        (13, 8),
        (15, 10),
    ];
    for (column, original) in cases {
        assert_eq!(quoted.column(2, column), original, "{column}");
    }

    let relaxed = relax("a:\n  b: [\nc,\n\t\t\t\td\n]\n").unwrap();
    assert_eq!(relaxed.text, "a:\n  b: [\n   c,\n    d\n   ]\n");
    let cases = [
        (1, 0, 0),
        (2, 5, 5),
        (3, 0, 0),
        (3, 3, 0),
        (3, 4, 1),
        (4, 4, 4),
        (5, 3, 0),
        (6, 0, 0),
    ];
    for (line, column, original) in cases {
        assert_eq!(relaxed.column(line, column), original, "{line}:{column}");
    }
}
