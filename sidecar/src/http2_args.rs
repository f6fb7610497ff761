//! Options of `run` that bound what peers may do with HTTP/2: each limit of core's has one. `docs/limits.md` says which attack
//! each stops.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use outrigger_core::http2::{Limits, Rate};

use crate::options::{parse_size, parse_some_time};

/// The largest window there is (RFC 9113 §6.9.1).
const MAX_WINDOW: u64 = (1 << 31) - 1;

/// What a connection's window is before anybody makes it larger; it cannot be made smaller (RFC 9113 §6.9.2).
const FIRST_WINDOW: u64 = (1 << 16) - 1;

/// What peers may do with HTTP/2. All but the number of streams holds for clients and for endpoints.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits of HTTP/2")]
pub(crate) struct Http2Args {
    /// Streams at a time on a connection of a client; more are refused, and may be tried again
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.concurrent_streams, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) http2_max_concurrent_streams: u32,

    /// Names and values of one head, and 32 bytes for each field; a larger head costs its stream
    #[arg(long, value_name = "SIZE", default_value = "60KiB", value_parser = parse_some)]
    pub(crate) http2_max_header_list_bytes: usize,

    /// Fields of one head, each crumb of a cookie counted; more cost the stream
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_some)]
    pub(crate) http2_max_header_fields: usize,

    /// One header block as it is sent; a larger one costs the connection. More than the header list may have
    #[arg(long, value_name = "SIZE", default_value = "128KiB", value_parser = parse_some)]
    pub(crate) http2_max_header_block_bytes: usize,

    /// CONTINUATION frames of one header block; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.continuation_frames)]
    pub(crate) http2_max_continuation_frames: u32,

    /// How long a header block may take from its first frame to its last; longer costs the connection
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_some_time)]
    pub(crate) http2_header_block_timeout: Duration,

    /// Interim responses (1xx) of an endpoint that wait to be passed on; more cost the stream
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_some)]
    pub(crate) http2_max_interim_responses: usize,

    /// Streams that a peer may reset at once before they end; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.resets.burst)]
    pub(crate) http2_max_resets: u32,

    /// Streams that a peer may reset a second in the long run
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.resets.per_second, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) http2_max_resets_a_second: u32,

    /// Streams that a peer may make us reset at once, by breaking rules or opening too many; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.made_resets.burst)]
    pub(crate) http2_max_made_resets: u32,

    /// Streams that a peer may make us reset a second in the long run
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.made_resets.per_second, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) http2_max_made_resets_a_second: u32,

    /// Answers to a peer (acknowledgements of SETTINGS and PING, resets) that wait because it does not read; more cost the
    /// connection
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse_some)]
    pub(crate) http2_max_control_frames: usize,

    /// Frames in a row that carry nothing and end nothing; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.empty_frames)]
    pub(crate) http2_max_empty_frames: u32,

    /// PRIORITY frames for each stream that was opened, and one more; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.priority_frames)]
    pub(crate) http2_max_priority_frames: u32,

    /// WINDOW_UPDATE frames for each DATA frame that was sent, and a few for each stream; more cost the connection
    #[arg(long, value_name = "N", default_value_t = Limits::SERVER.window_updates, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) http2_max_window_updates: u32,

    /// For how long a stream may have something to send while its peer gives no credit; then it is reset
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_some_time)]
    pub(crate) http2_stalled_timeout: Duration,

    /// How long a peer may take to acknowledge SETTINGS; longer costs the connection
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_some_time)]
    pub(crate) http2_settings_timeout: Duration,

    /// Bytes that a peer may send on a stream before they are passed on, 2 GiB - 1 at most
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = |text: &str| parse_window(text, 1..=MAX_WINDOW))]
    pub(crate) http2_stream_window: u32,

    /// Bytes on all streams of a connection that may be on their way, 64 KiB - 1 at least and 2 GiB - 1 at most
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = |text: &str| parse_window(text, FIRST_WINDOW..=MAX_WINDOW))]
    pub(crate) http2_connection_window: u32,
}

impl Http2Args {
    /// What clients may do, and what endpoints may.
    ///
    /// # Errors
    /// Two limits contradict each other, in words for the user.
    pub(crate) fn limits(&self) -> Result<(Limits, Limits), &'static str> {
        if self.http2_max_header_block_bytes <= self.http2_max_header_list_bytes {
            return Err(
                "--http2-max-header-block-bytes must be more than --http2-max-header-list-bytes, or a head that is too large \
                 costs the connection and not only its stream",
            );
        }
        let rate = |burst, per_second| Rate { burst, per_second };
        let mut heads = Limits::SERVER.heads;
        heads.list_bytes = self.http2_max_header_list_bytes;
        heads.fields = self.http2_max_header_fields;
        let clients = Limits {
            concurrent_streams: self.http2_max_concurrent_streams,
            heads,
            block_bytes: self.http2_max_header_block_bytes,
            continuation_frames: self.http2_max_continuation_frames,
            block_time: self.http2_header_block_timeout,
            interim_heads: self.http2_max_interim_responses,
            resets: rate(self.http2_max_resets, self.http2_max_resets_a_second),
            made_resets: rate(
                self.http2_max_made_resets,
                self.http2_max_made_resets_a_second,
            ),
            control_frames: self.http2_max_control_frames,
            empty_frames: self.http2_max_empty_frames,
            priority_frames: self.http2_max_priority_frames,
            window_updates: self.http2_max_window_updates,
            stalled: self.http2_stalled_timeout,
            settings_time: self.http2_settings_timeout,
            stream_window: self.http2_stream_window,
            connection_window: self.http2_connection_window,
            ..Limits::SERVER
        };
        let endpoints = Limits {
            concurrent_streams: Limits::CLIENT.concurrent_streams,
            ..clients
        };
        Ok((clients, endpoints))
    }
}

/// A size or a number that is not zero.
fn parse_some(text: &str) -> Result<usize, String> {
    let size = usize::try_from(parse_size(text)?).ok();
    size.filter(|size| *size > 0)
        .ok_or_else(|| format!("`{text}` is not a number above zero that this machine can count"))
}

fn parse_window(text: &str, range: RangeInclusive<u64>) -> Result<u32, String> {
    let size = Some(parse_size(text)?).filter(|size| range.contains(size));
    size.and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| format!("{} to {} bytes", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Whole {
        #[command(flatten)]
        http2: Http2Args,
    }

    fn limits(args: &[&str]) -> Result<(Limits, Limits), String> {
        let words = ["run"].iter().chain(args);
        let whole = Whole::try_parse_from(words).map_err(|error| error.to_string())?;
        whole.http2.limits().map_err(str::to_owned)
    }

    #[test]
    fn the_defaults_are_those_of_core() {
        assert_eq!(limits(&[]), Ok((Limits::SERVER, Limits::CLIENT)));
    }

    #[test]
    fn every_limit_has_an_option() {
        let set = |change: fn(&mut Limits)| {
            let mut limits = Limits::SERVER;
            change(&mut limits);
            limits
        };
        for (option, value, want) in [
            (
                "max-concurrent-streams",
                "7",
                set(|l| l.concurrent_streams = 7),
            ),
            (
                "max-header-list-bytes",
                "7KiB",
                set(|l| l.heads.list_bytes = 7 << 10),
            ),
            ("max-header-fields", "7", set(|l| l.heads.fields = 7)),
            (
                "max-header-block-bytes",
                "1MiB",
                set(|l| l.block_bytes = 1 << 20),
            ),
            (
                "max-continuation-frames",
                "7",
                set(|l| l.continuation_frames = 7),
            ),
            (
                "header-block-timeout",
                "7s",
                set(|l| l.block_time = Duration::from_secs(7)),
            ),
            ("max-interim-responses", "7", set(|l| l.interim_heads = 7)),
            ("max-resets", "7", set(|l| l.resets.burst = 7)),
            ("max-resets-a-second", "7", set(|l| l.resets.per_second = 7)),
            ("max-made-resets", "7", set(|l| l.made_resets.burst = 7)),
            (
                "max-made-resets-a-second",
                "7",
                set(|l| l.made_resets.per_second = 7),
            ),
            ("max-control-frames", "7", set(|l| l.control_frames = 7)),
            ("max-empty-frames", "7", set(|l| l.empty_frames = 7)),
            ("max-priority-frames", "7", set(|l| l.priority_frames = 7)),
            ("max-window-updates", "7", set(|l| l.window_updates = 7)),
            (
                "stalled-timeout",
                "7s",
                set(|l| l.stalled = Duration::from_secs(7)),
            ),
            (
                "settings-timeout",
                "7s",
                set(|l| l.settings_time = Duration::from_secs(7)),
            ),
            ("stream-window", "7KiB", set(|l| l.stream_window = 7 << 10)),
            (
                "connection-window",
                "65535",
                set(|l| l.connection_window = 65535),
            ),
        ] {
            let option = format!("--http2-{option}");
            let endpoints = Limits {
                concurrent_streams: Limits::CLIENT.concurrent_streams,
                ..want
            };
            assert_eq!(limits(&[&option, value]), Ok((want, endpoints)), "{option}");
        }
    }

    #[test]
    fn the_page_of_limits_has_every_option_with_its_default() {
        use clap::CommandFactory as _;
        let page = include_str!("../../docs/limits.md");
        let rows = page.lines().filter(|line| line.contains("`--http2-"));
        let told: Vec<String> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                format!("{} {}", cells[3].trim_matches('`'), cells[2])
            })
            .collect();
        let command = Whole::command();
        let options = command.get_arguments().filter_map(|option| {
            let default = option.get_default_values().first()?.to_str()?;
            Some(format!("--{} {default}", option.get_long()?))
        });
        assert_eq!(told, options.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (option, value) in [
            ("max-concurrent-streams", "0"),
            ("max-header-list-bytes", "0"),
            ("max-header-list-bytes", "128KiB"),
            ("max-header-fields", "0"),
            ("max-header-block-bytes", "60KiB"),
            ("header-block-timeout", "0s"),
            ("max-resets-a-second", "0"),
            ("max-window-updates", "0"),
            ("stalled-timeout", "0s"),
            ("stream-window", "0"),
            ("stream-window", "2GiB"),
            ("connection-window", "65534"),
            ("connection-window", "2GiB"),
        ] {
            let option = format!("--http2-{option}");
            assert!(limits(&[&option, value]).is_err(), "{option} {value}");
        }
    }
}
