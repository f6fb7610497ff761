//! What was decided for a request, in fields of its response, for clients that are allowed to see it and ask for it.
//!
//! Owns how much is told and what it looks like. It is the story of the record, a line in a field; an answer from another
//! proxy behind us keeps what that one has told.

use crate::decision::Record;
use crate::message::ResponseHead;
use crate::snapshot::Snapshot;

/// The field by which a request asks, with the value 1, and by which a response tells.
const FIELD: &[u8] = b"x-outrigger-explain";

/// Fields that are added.
const MOST_LINES: usize = 24;

/// Bytes of their values together. Clients and proxies in front of us bound heads, usually by 8 KiB.
const MOST_BYTES: usize = 4096;

/// Adds what was decided, if the request asks for it. Who may ask is the caller's to know.
pub fn tell_decision(record: &Record, snapshot: &Snapshot, response: &mut ResponseHead) {
    let mut fields = record.request.headers.iter();
    let asks = fields.any(|field| field.name == FIELD && field.value == b"1");
    if !asks || record.is_mirror() {
        return;
    }
    let story = record.story(snapshot).to_string();
    let random = format!("random number {}", record.entropy.0);
    // How it ended for the client, which the last line says, is not known before it has.
    let lines = story.lines().filter(|line| !line.starts_with("  client "));
    let mut left = MOST_BYTES;
    for line in lines.chain([&*random]).take(MOST_LINES) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut value: Vec<u8> = (words.join(" ").chars())
            .map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c as u8
                } else {
                    b'?'
                }
            })
            .collect();
        value.truncate(left);
        left -= value.len();
        if value.is_empty() || response.headers.append(FIELD, &value).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    fn told(path: &str, asks: &[&str]) -> Vec<String> {
        let mut record = Record {
            entropy: Entropy(7),
            ..Record::default()
        };
        record.request.path = path.into();
        for value in asks {
            let headers = &mut record.request.headers;
            headers.append(FIELD, value.as_bytes()).unwrap();
        }
        let mut response = ResponseHead::default();
        tell_decision(&record, &Snapshot::default(), &mut response);
        let fields = response.headers.iter();
        fields
            .map(|field| String::from_utf8(field.value.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn who_asks_is_told_within_bounds() {
        assert_eq!(told("/a", &[]), Vec::<String>::new());
        assert_eq!(told("/a", &["0", "true"]), Vec::<String>::new());
        assert_eq!(told("/a", &["1"]), ["GET /a", "random number 7"]);
        assert_eq!(told("/\u{e9}\u{1}", &["1"])[0], "GET /??");
        let long = told(&format!("/{}", "a".repeat(9999)), &["1"]);
        assert_eq!(long.len(), 1, "nothing is left for a second one");
        assert_eq!(long[0].len(), MOST_BYTES);
    }
}
