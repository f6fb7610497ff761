//! Options of `run` that bound what peers may send in HTTP/1, in tokens, and before TLS is agreed on: each limit of core's has
//! one. `docs/limits.md` says what each stops, and what counts it.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use outrigger_core::http1::{Limits, MAX_FIELDS};
use outrigger_core::jose::MAX_TOKEN;
use outrigger_core::worker::TokenLimits;

use crate::options::{parse_size, parse_time};

/// What may be asked for at most: more would be memory for whoever wants it.
const MIB: u64 = 1 << 20;

/// Whatever comes first has a few bytes at least: an empty head is no head, and a chunk has its size.
const LEAST: u64 = 64;

/// The longest ClientHello that is ever read (a message of TLS may be longer, RFC 8446 §4, and no client's is).
const MOST_HELLO: u64 = 64 << 10;

/// What peers may send in HTTP/1 besides bodies, in tokens, and first of all in TLS.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits of HTTP/1, tokens and TLS")]
pub(crate) struct LimitArgs {
    /// The head of a request, from its first line to its empty line, 1MiB at most; a longer one is answered 431
    #[arg(long, value_name = "SIZE", default_value = "60KiB", value_parser = |text: &str| parse_in(text, LEAST..=MIB))]
    pub(crate) max_request_head_bytes: usize,

    /// The head of a response, likewise; a longer one is answered 502 in its place
    #[arg(long, value_name = "SIZE", default_value = "80KiB", value_parser = |text: &str| parse_in(text, LEAST..=MIB))]
    pub(crate) max_response_head_bytes: usize,

    /// Fields of a head or of trailers, 256 at most; more are answered 431, or 502 where an endpoint sends them
    #[arg(long, value_name = "N", default_value = "100", value_parser = |text: &str| parse_in(text, 1..=MAX_FIELDS as u64))]
    pub(crate) max_head_fields: usize,

    /// The line before a chunk: its size and its extensions, 1MiB at most; a longer one is answered 400
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = |text: &str| parse_in(text, LEAST..=MIB))]
    pub(crate) max_chunk_line_bytes: usize,

    /// All extensions of the chunks of a message, which nobody reads, 1MiB at most; 0 takes none. More are answered 400
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = |text: &str| parse_in(text, 0..=MIB))]
    pub(crate) max_chunk_extension_bytes: usize,

    /// Trailers with their empty line, 1MiB at most; longer ones are answered 431
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = |text: &str| parse_in(text, LEAST..=MIB))]
    pub(crate) max_trailer_bytes: usize,

    /// For how long nothing of a request or its response may move while its client still owes some of its body; then 408. Not for
    /// streams of HTTP/2 without a `content-length`, which may be calls that say nothing for hours. 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_time)]
    pub(crate) request_body_timeout: Duration,

    /// For how long a client of HTTP/1 may take nothing of a response that waits for it; then its connection is reset. 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_time)]
    pub(crate) unread_timeout: Duration,

    /// Interim responses (1xx) to a request, of all its attempts; an endpoint that sends more never means to answer: 502
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) max_interim_responses: u32,

    /// Tokens (JWT) of a request, 100 at most; one with more is answered 401
    #[arg(long, value_name = "N", default_value = "8", value_parser = |text: &str| parse_in(text, 1..=100))]
    pub(crate) max_tokens: usize,

    /// A token, 60KiB at most; a longer one is answered 401
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = |text: &str| parse_in(text, LEAST..=MAX_TOKEN as u64))]
    pub(crate) max_token_bytes: usize,

    /// What a client of TLS says first (ClientHello), with the heads of its records, 64KiB at most; who says more is closed
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = |text: &str| parse_in(text, LEAST..=MOST_HELLO))]
    pub(crate) max_client_hello_bytes: usize,
}

impl LimitArgs {
    /// What clients may send, and what endpoints may.
    pub(crate) const fn http1(&self) -> (Limits, Limits) {
        let requests = Limits {
            head_bytes: self.max_request_head_bytes,
            fields: self.max_head_fields,
            chunk_line: self.max_chunk_line_bytes,
            extension_bytes: self.max_chunk_extension_bytes,
            trailer_bytes: self.max_trailer_bytes,
        };
        let responses = Limits {
            head_bytes: self.max_response_head_bytes,
            ..requests
        };
        (requests, responses)
    }

    /// How many tokens are looked at, and how long.
    pub(crate) const fn tokens(&self) -> TokenLimits {
        TokenLimits {
            tokens: self.max_tokens,
            bytes: self.max_token_bytes,
        }
    }
}

/// A size or a number within bounds, which are told.
fn parse_in(text: &str, range: RangeInclusive<u64>) -> Result<usize, String> {
    let size = Some(parse_size(text)?).filter(|size| range.contains(size));
    size.and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| format!("it may be {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};
    use outrigger_core::worker::WorkerSettings;

    #[derive(Debug, Parser)]
    struct Whole {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn limits(args: &[&str]) -> Result<LimitArgs, String> {
        let words = ["run"].iter().chain(args);
        let whole = Whole::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(whole.limits)
    }

    #[test]
    fn the_defaults_are_those_of_core() {
        let args = limits(&[]).unwrap();
        assert_eq!(args.http1(), (Limits::REQUEST, Limits::RESPONSE));
        assert_eq!(args.tokens(), TokenLimits::default());
        let settings = WorkerSettings::default();
        assert_eq!(args.max_interim_responses, settings.max_interim_responses);
        assert_eq!(
            settings.request_body_timeout,
            Some(args.request_body_timeout)
        );
        assert_eq!(settings.unread_timeout, Some(args.unread_timeout));
        assert_eq!(args.max_client_hello_bytes, outrigger_tls::LONGEST_HELLO);
    }

    #[test]
    fn every_limit_has_an_option() {
        let set = |change: fn(&mut Limits)| {
            let mut both = (Limits::REQUEST, Limits::RESPONSE);
            change(&mut both.0);
            change(&mut both.1);
            both
        };
        for (option, value, want) in [
            ("head-fields", "7", set(|l| l.fields = 7)),
            ("chunk-line-bytes", "1KiB", set(|l| l.chunk_line = 1 << 10)),
            ("chunk-extension-bytes", "0", set(|l| l.extension_bytes = 0)),
            ("trailer-bytes", "1MiB", set(|l| l.trailer_bytes = 1 << 20)),
        ] {
            let args = limits(&[&format!("--max-{option}"), value]).unwrap();
            assert_eq!(args.http1(), want, "{option}");
        }
        let args = limits(&["--max-request-head-bytes", "1KiB"]).unwrap();
        assert_eq!(args.http1().0.head_bytes, 1 << 10);
        assert_eq!(args.http1().1, Limits::RESPONSE);
        let args = limits(&["--max-response-head-bytes", "1KiB"]).unwrap();
        assert_eq!(args.http1().1.head_bytes, 1 << 10);
        assert_eq!(args.http1().0, Limits::REQUEST);
        let args = limits(&["--max-tokens", "1", "--max-token-bytes", "1KiB"]).unwrap();
        let (tokens, bytes) = (1, 1 << 10);
        assert_eq!(args.tokens(), TokenLimits { tokens, bytes });
    }

    #[test]
    fn the_page_of_limits_has_every_option_with_its_default() {
        let page = include_str!("../../docs/limits.md");
        let command = Whole::command();
        for option in command.get_arguments() {
            let Some(name) = option.get_long().filter(|name| *name != "help") else {
                continue;
            };
            let default = option.get_default_values()[0].to_str().unwrap();
            let spaced = default.replace("KiB", " KiB").replace("5m", "5 min");
            let row = page
                .lines()
                .find(|line| line.contains(&format!("`--{name}`")));
            let row = row.unwrap_or_else(|| panic!("--{name} stands in docs/limits.md"));
            let cell = row.split('|').nth(2).unwrap_or_default();
            let digits = cell.replace(',', "");
            assert!(digits.contains(&spaced), "{name}: {default} in {cell:?}");
        }
    }

    #[test]
    fn what_is_no_limit_is_refused_with_what_may_be() {
        for (option, value, told) in [
            ("max-request-head-bytes", "0", "64 to 1048576"),
            ("max-request-head-bytes", "2MiB", "64 to 1048576"),
            ("max-response-head-bytes", "63", "64 to 1048576"),
            ("max-head-fields", "0", "1 to 256"),
            ("max-head-fields", "257", "1 to 256"),
            ("max-chunk-line-bytes", "1", "64 to 1048576"),
            ("max-chunk-extension-bytes", "1GiB", "0 to 1048576"),
            ("max-trailer-bytes", "x", "not a size"),
            ("max-interim-responses", "-1", "invalid"),
            ("max-tokens", "0", "1 to 100"),
            ("max-token-bytes", "61KiB", "64 to 61440"),
            ("max-client-hello-bytes", "65KiB", "64 to 65536"),
        ] {
            let option = format!("--{option}={value}");
            let error = limits(&[&option]).unwrap_err();
            assert!(error.contains(told), "{option}: {error}");
        }
    }
}
