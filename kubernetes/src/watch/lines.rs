//! The events of a watch: one JSON document a line.

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use crate::request::{MAX_ANSWER, Trouble};

/// A stream of them.
pub(crate) struct Lines {
    body: Body,
    /// What has come and is not read.
    buffer: Vec<u8>,
    /// Up to here there is no end of a line in it.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// The next one; none when the stream has ended. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Trouble> {
        loop {
            if let Some(line) = take(&mut self.buffer, &mut self.searched) {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let json = serde_json::from_slice(&line);
                let json = json.map_err(|error| {
                    Trouble::other(format!("a watch says what is no JSON: {error}"))
                })?;
                return Ok(Some(json));
            }
            if self.buffer.len() > MAX_ANSWER {
                return Err(Trouble::other("an event of a watch has no end"));
            }
            // A line without its end is none.
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame =
                frame.map_err(|error| Trouble::other(format!("a watch breaks off: {error}")))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// Takes the first line out of a buffer.
fn take(buffer: &mut Vec<u8>, searched: &mut usize) -> Option<Vec<u8>> {
    let Some(at) = buffer[*searched..].iter().position(|byte| *byte == b'\n') else {
        *searched = buffer.len();
        return None;
    };
    let rest = buffer.split_off(*searched + at + 1);
    *searched = 0;
    Some(std::mem::replace(buffer, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_they_come() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\n{\"c\"";
        for size in 1..=text.len() {
            let (mut buffer, mut searched, mut lines) = (Vec::new(), 0, Vec::new());
            for piece in text.chunks(size) {
                buffer.extend_from_slice(piece);
                while let Some(line) = take(&mut buffer, &mut searched) {
                    lines.push(String::from_utf8(line).unwrap());
                }
            }
            assert_eq!(
                lines,
                ["{\"a\":1}\n", "\n", "{\"b\":2}\n"],
                "in pieces of {size}"
            );
            assert_eq!(buffer, b"{\"c\"");
        }
    }
}
