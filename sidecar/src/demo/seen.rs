//! What a visitor sees of an answer, and how often.

use std::collections::BTreeMap;

use http::Response;

use super::short::in_short;
use super::steps::Look;

/// How often each thing was seen.
pub(super) type Tally = BTreeMap<String, u32>;

/// What counts of an answer, in words.
pub(super) fn seen(look: Look, answer: &Response<impl AsRef<[u8]>>) -> String {
    let status = answer.status().as_u16();
    match look {
        Look::Answer => in_short(status, &String::from_utf8_lossy(answer.body().as_ref())),
        Look::Field(name) => match answer.headers().get(name) {
            Some(value) => format!(
                "{status}, {name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ),
            None => format!("{status}, no {name}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_by_their_version() {
        let body = "customer => preference => recommendation v1 from 'x': 3\n";
        let answer = Response::builder().body(body).unwrap();
        assert_eq!(seen(Look::Answer, &answer), "v1");
        let answer = Response::builder().header("x-a", "b").body("").unwrap();
        assert_eq!(seen(Look::Field("x-a"), &answer), "200, x-a: b");
        assert_eq!(seen(Look::Field("x-b"), &answer), "200, no x-b");
    }
}
