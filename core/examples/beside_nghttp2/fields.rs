//! Heads that nobody chose: mostly right, and each mistake that a rule of RFC 9113 §8 names now and then.

use crate::draws::Draws;

const NAMES: &[&str] = &[
    "accept",
    "cookie",
    "te",
    "content-length",
    "host",
    "x-a",
    "x-b",
    "trailer",
    "date",
    "expect",
    "priority",
    "content-type",
    "connection",
    "transfer-encoding",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
    "Upper",
    "a b",
    "",
    "x:y",
    "\u{7f}",
    ":status",
    ":path",
    ":method",
    ":protocol",
    ":unknown",
    "set-cookie",
    "x_c",
];
const VALUES: &[&str] = &[
    "",
    "1",
    "0",
    "10",
    "+1",
    "-1",
    "1, 1",
    "99999999999999999999",
    "trailers",
    "Trailers",
    "gzip",
    "a.test",
    "a=b",
    "a=b; c=d",
    " lead",
    "trail ",
    "\ttab",
    "in\tside",
    "nul\0",
    "line\n",
    "\r",
    "\u{7f}",
    "\u{e9}",
    "websocket",
    "100-continue",
];
const METHODS: &[&str] = &[
    "GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get", "", "G T", "G\tT", "TRACE",
    "M-SEARCH", "\"",
];
const PATHS: &[&str] = &[
    "/",
    "/a?b=c",
    "*",
    "",
    "a",
    "/#f",
    "/ b",
    "/\u{e9}",
    "http://a/",
    "//",
    "/%zz",
    "/\\",
    "/\x7f",
];
const AUTHORITIES: &[&str] = &[
    "a.test",
    "a.test:80",
    "",
    "a b",
    "u@a.test",
    "[::1]:80",
    "a.test:",
    "a.test:x",
    "A.test",
    "a_b",
    "a,b",
    "a/b",
    "\u{e9}",
    "[::1",
];
const SCHEMES: &[&str] = &["http", "https", "HTTP", "ws", "", "1x", "h\0"];
const STATUSES: &[&str] = &[
    "200", "204", "304", "100", "103", "101", "404", "999", "099", "20", "2000", "abc", "", "600",
    "199", "000",
];

/// Names and values, in order.
pub(crate) type Fields = Vec<(String, String)>;

/// What is usual, or now and then something of a list.
fn or(draws: &mut Draws, usual: &str, list: &[&str]) -> String {
    if draws.once_in(6) {
        (*draws.pick(list)).into()
    } else {
        usual.into()
    }
}

/// The head of a request, without regular fields but Host.
pub(crate) fn request(draws: &mut Draws) -> Fields {
    let method = or(draws, "GET", METHODS);
    let mut fields: Fields = vec![(":method".into(), method.clone())];
    let is_tunnel = method == "CONNECT" && draws.once_in(2);
    if !is_tunnel {
        fields.push((":scheme".into(), or(draws, "http", SCHEMES)));
        fields.push((":path".into(), or(draws, "/", PATHS)));
    }
    let authority = if is_tunnel { "a.test:80" } else { "a.test" };
    fields.push((":authority".into(), or(draws, authority, AUTHORITIES)));
    if method == "CONNECT" && !is_tunnel || draws.once_in(40) {
        fields.push((":protocol".into(), or(draws, "websocket", VALUES)));
    }
    if draws.once_in(12) {
        let doomed = draws.below(fields.len());
        fields.remove(doomed);
    }
    if draws.once_in(20) {
        let again = draws.pick(&fields).clone();
        fields.push(again);
    }
    if draws.once_in(8) {
        fields.push(("host".into(), or(draws, "a.test", AUTHORITIES)));
    }
    fields
}

/// The head of a response, without regular fields.
pub(crate) fn response(draws: &mut Draws) -> Fields {
    let mut fields: Fields = vec![(":status".into(), or(draws, "200", STATUSES))];
    if draws.once_in(20) {
        fields.push((":status".into(), "200".into()));
    }
    if draws.once_in(20) {
        fields.remove(0);
    }
    fields
}

/// A few regular fields more, and sometimes one that is not, mostly at the end.
pub(crate) fn garnish(fields: &mut Fields, draws: &mut Draws) {
    for _ in 0..draws.below(4) {
        let names = if draws.once_in(4) {
            NAMES
        } else {
            &NAMES[..12]
        };
        let values = if draws.once_in(4) {
            VALUES
        } else {
            &VALUES[1..4]
        };
        let (name, value) = (*draws.pick(names), *draws.pick(values));
        let is_last = !draws.once_in(6);
        let at = if is_last {
            fields.len()
        } else {
            draws.below(fields.len() + 1)
        };
        fields.insert(at, (name.into(), value.into()));
    }
}

/// Trailers.
pub(crate) fn trailers(draws: &mut Draws) -> Fields {
    let names = [
        "x-sum",
        "grpc-status",
        "te",
        "content-length",
        "cookie",
        "Upper",
        ":status",
        "connection",
    ];
    let most = *draws.pick(&[2, 2, 2, 8]);
    let (name, value) = (*draws.pick(&names[..most]), *draws.pick(&VALUES[1..4]));
    vec![(name.into(), value.into())]
}
