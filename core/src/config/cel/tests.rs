//! Expressions, and what is said about those that are not understood.

use super::*;

#[test]
fn what_is_understood_has_a_type() {
    for (text, of) in [
        ("true", Type::Boolean),
        ("response.code >= 400", Type::Boolean),
        (
            "response.code >= 400 && request.method != 'GET' || !(request.path.startsWith('/a'))",
            Type::Boolean,
        ),
        ("request.headers['x-a'] == \"b\"", Type::Boolean),
        ("request.headers[\"x-a\"]", Type::Text),
        ("'x-a' in request.headers", Type::Boolean),
        ("has(request.headers['x-a'])", Type::Boolean),
        ("has(response.grpc_status)", Type::Boolean),
        ("response.code in [500, 502, -1]", Type::Boolean),
        ("request.path.matches('^/a[0-9]+$')", Type::Boolean),
        ("request.host.endsWith('.example') == true", Type::Boolean),
        (
            "size(request.path) > 100 && request.path.size() < 0x10",
            Type::Boolean,
        ),
        ("request.duration > duration('1.5s')", Type::Boolean),
        ("response.code == 200 ? 'good' : 'bad'", Type::Text),
        ("r'\\d' == '\\n'", Type::Boolean),
        (
            "xds.cluster_name == 'a' && source.port == 1u",
            Type::Boolean,
        ),
        ("connection.mtls", Type::Boolean),
        ("request.path + '/' == 'a' + 'b'", Type::Boolean),
        ("request.host + request.url_path", Type::Text),
        ("response.code / 100 == 4 - -1", Type::Boolean),
        ("response.size % 2 * 3 - 1 > -request.size", Type::Boolean),
        ("1.5e3 + 1e-1 * 2.0", Type::Real),
        ("double(response.size) / 1024.0 >= 1.5", Type::Boolean),
        ("response.code > 399.5", Type::Boolean),
        ("string(response.code) + '!'", Type::Text),
        ("int(request.headers['x-n']) + 1", Type::Number),
        (
            "request.duration - duration('1s') > duration('0s')",
            Type::Boolean,
        ),
    ] {
        assert_eq!(parse(text).map(|(_, of)| of), Ok(of), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_pointed_at() {
    for (text, part, words) in [
        ("", "", "too soon"),
        ("response.code", "response.code", "true or false"),
        (
            "response.code == '200'",
            "response.code == '200'",
            "a number is compared with text",
        ),
        (
            "response.cod == 200",
            "response.cod",
            "`response.cod` is not understood",
        ),
        ("request.method == GET", "GET", "`GET` is not understood"),
        (
            "response.code >= 400 and true",
            "and",
            "not understood here",
        ),
        (
            "request.path + 1 == 'b'",
            "request.path + 1",
            "`+` does not go with text and a number",
        ),
        (
            "response.code * 1.5 > 2.0",
            "response.code * 1.5",
            "`*` does not go with a number and a fraction",
        ),
        (
            "'a' - 'b' == 'c'",
            "'a' - 'b'",
            "`-` does not go with text and text",
        ),
        ("1.5 % 2.0 > 1.0", "1.5 % 2.0", "does not go with"),
        (
            "-request.path == 'a'",
            "request.path",
            "only a number can be negative",
        ),
        (
            "int(request.duration) > 1",
            "int(request.duration)",
            "`int` does not take a duration",
        ),
        ("1 ^ 2 > 1", "^", "`^` is not understood"),
        ("request.time > 0", "request.time", "not understood"),
        ("response.code > 399x", "399x", "no number"),
        ("response.code > 1e999", "1e999", "no number"),
        ("request.path.matches('(')", "'('", "the pattern"),
        ("request.path.lower() == 'a'", ")", "a value is missing"),
        (
            "response.code.startsWith('4')",
            "response.code",
            "this is a number; text is wanted",
        ),
        (
            "request.headers['a b'] == ''",
            "request.headers['a b']",
            "no name of a header",
        ),
        ("request.path == 'a", "'a", "has no end"),
        ("(true", "", "`)` is missing"),
        ("true ? true", "", "`:` is missing"),
        ("!response.code", "response.code", "a boolean is wanted"),
        ("true < false", "true < false", "no order"),
        ("duration('soon') > duration('1s')", "'soon'", "no duration"),
        (
            "source.labels['a'] == 'b'",
            "source.labels",
            "not understood",
        ),
    ] {
        let fault = condition(text).expect_err(text);
        assert_eq!(&text[fault.part.clone()], part, "{text}: {fault:?}");
        assert!(fault.message.contains(words), "{text}: {fault:?}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = |levels: usize| format!("{}true{}", "(".repeat(levels), ")".repeat(levels));
    assert!(condition(&deep(30)).is_ok());
    assert!(condition(&deep(1000)).is_err());
    assert!(condition(&format!("{}true", "!".repeat(1000))).is_err());
    assert!(condition(&format!("{}1 == 1", "-".repeat(1000))).is_err());
    assert!(condition(&format!("1{} == 31", " + 1".repeat(30))).is_ok());
    assert!(condition(&format!("1{} == 1001", " + 1".repeat(1000))).is_err());
    let long = format!("request.path == '{}'", "a".repeat(MAX_LENGTH));
    assert!(condition(&long).is_err());
}
