//! Trailers (RFC 9113 §8.1): the block that ends a stream.

use super::fields;
use super::limits::HeadLimits;
use super::refusals::PSEUDO_UNKNOWN;
use crate::decision::Refused;
use crate::http1::may_be_trailer;
use crate::http2::hpack::{CompressionError, Decoder};
use crate::message::Headers;

/// Reads trailers into `into`, without the fields that must not stand there (RFC 9110 §6.5.1), as by HTTP/1.
///
/// # Errors
/// The block cannot be read, and with it the connection. The inner error is for this message alone: it is malformed or too
/// large.
pub fn read_trailers(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
    into: &mut Headers,
) -> Result<Result<(), Refused>, CompressionError> {
    into.clear();
    // RFC 9113 §8.1: none of the pseudo-header fields.
    let read = fields::read(decoder, block, limits, into, |_, _| Err(PSEUDO_UNKNOWN))?;
    into.remove_if(|field| !may_be_trailer(field));
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{block, lines};
    use super::super::refusals::{CONNECTION_FIELD, NAME, TOO_LARGE};
    use super::*;

    #[test]
    fn what_is_taken() {
        type Want = Result<&'static [&'static str], Refused>;
        let cases: &[(&[&str], Want)] = &[
            (
                &["grpc-status: 0", "x-sum: 1"],
                Ok(&["grpc-status: 0", "x-sum: 1"]),
            ),
            (
                &[
                    "content-length: 1",
                    "authorization: a",
                    "te: trailers",
                    "x: 1",
                ],
                Ok(&["x: 1"]),
            ),
            (
                &["host: h", "set-cookie: a", "cookie: a", "cookie: b"],
                Ok(&[]),
            ),
            (&[":status: 200"], Err(PSEUDO_UNKNOWN)),
            (&["connection: close"], Err(CONNECTION_FIELD)),
            (&["A: 1"], Err(NAME)),
        ];
        for (fields, want) in cases {
            let mut trailers = Headers::default();
            let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::TRAILERS);
            let read = read_trailers(&mut decoder, &block(fields), &limits, &mut trailers);
            let got = read.unwrap().map(|()| lines(&trailers));
            let want = want.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
            assert_eq!(got, want, "{fields:?}");
        }
        let long = format!("a: {}", "x".repeat(16 * 1024));
        let mut decoder = Decoder::new(4096);
        let read = read_trailers(
            &mut decoder,
            &block(&[&long]),
            &HeadLimits::TRAILERS,
            &mut Headers::default(),
        );
        assert_eq!(read, Ok(Err(TOO_LARGE)));
    }
}
