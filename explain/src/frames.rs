//! The few frames of HTTP/2 by which an assumed endpoint answers (RFC 9113 §6, RFC 7541 §6).
//!
//! Owns no state of streams and no header compression: what is answered is a status without a body, and which stream it is
//! for stands in front of each frame.

/// What a client begins with (§3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The length of what stands in front of each frame.
const FRONT: usize = 9;

/// Takes whole frames from what was heard, and gives what is said to them. `is_new`: nothing was said before. Without a
/// status heads are not answered.
pub(crate) fn answer(heard: &mut Vec<u8>, is_new: bool, status: Option<u16>) -> Vec<u8> {
    let mut said = Vec::new();
    if is_new {
        heard.drain(..PREFACE.len());
        frame(&mut said, SETTINGS, 0, 0, &[]);
    }
    while let Some(front) = heard.first_chunk::<FRONT>() {
        let [a, b, c, kind, flags, stream @ ..] = *front;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        if heard.len() < FRONT + length {
            break;
        }
        let frame_heard: Vec<u8> = heard.drain(..FRONT + length).skip(FRONT).collect();
        match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(&mut said, SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(&mut said, PING, ACK, 0, &frame_heard),
            (HEADERS, _) => {
                if let Some(status) = status {
                    let block = status_field(status);
                    frame(&mut said, HEADERS, END_STREAM | END_HEADERS, stream, &block);
                }
            }
            (_, _) => {}
        }
    }
    said
}

fn frame(said: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    // Payloads here are a few bytes.
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    said.extend_from_slice(&[a, b, c, kind, flags]);
    said.extend_from_slice(&stream.to_be_bytes());
    said.extend_from_slice(payload);
}

/// `:status` as a literal that no table keeps, by the name that stands at 8 of the static table (RFC 7541 §6.2.2).
fn status_field(status: u16) -> Vec<u8> {
    let digits = status.to_string();
    let mut block = vec![0x08, digits.len() as u8];
    block.extend_from_slice(digits.as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_answered_on_their_streams_and_halves_are_waited_for() {
        let mut heard = PREFACE.to_vec();
        frame(&mut heard, SETTINGS, 0, 0, &[]);
        frame(&mut heard, HEADERS, END_STREAM | END_HEADERS, 3, &[0x82]);
        frame(&mut heard, PING, 0, 0, b"12345678");
        let rest = heard.split_off(heard.len() - 1);
        let mut want = Vec::new();
        frame(&mut want, SETTINGS, 0, 0, &[]);
        frame(&mut want, SETTINGS, ACK, 0, &[]);
        frame(
            &mut want,
            HEADERS,
            END_STREAM | END_HEADERS,
            3,
            b"\x08\x03503",
        );
        assert_eq!(answer(&mut heard, true, Some(503)), want);
        heard.extend(rest);
        let mut want = Vec::new();
        frame(&mut want, PING, ACK, 0, b"12345678");
        assert_eq!(answer(&mut heard, false, Some(503)), want);
        assert!(heard.is_empty());
    }
}
