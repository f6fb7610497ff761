//! Options of `run` that say which requests are kept with their stories, and to whom decisions are told in responses.

use std::time::Duration;

use clap::Args;
use outrigger_core::peer::{AddressRange, ToldClients};
use outrigger_core::snapshot::PerMillion;

use crate::options::{parse_size, parse_time};

/// Which requests `/requests` of the admin endpoints shows.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Requests that are kept")]
pub(crate) struct RecentArgs {
    /// Keep so many of the last requests that failed, were slow or were sampled, with their stories (`/requests`); 0 keeps none
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) recent_requests: u32,

    /// A request that takes this long is slow, and kept; 0s calls none slow
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_time)]
    pub(crate) recent_slow: Duration,

    /// Of requests that are neither failed nor slow, the share that is kept, in percent
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = parse_share)]
    pub(crate) recent_sample: PerMillion,

    /// Bytes that requests which are kept may take together; those that are too many go first
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = parse_size)]
    pub(crate) recent_bytes: u64,

    /// Tell clients at these addresses in their responses what was decided, where a request asks for it by the field
    /// `x-outrigger-explain: 1`: an address, or a range such as 10.0.0.0/8. May be repeated, up to four times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) explain_to: Vec<AddressRange>,
}

impl RecentArgs {
    /// Who is told.
    ///
    /// # Errors
    /// There are too many ranges.
    pub(crate) fn told_clients(&self) -> Result<ToldClients, &'static str> {
        ToldClients::new(&self.explain_to).ok_or("--explain-to may be given four times")
    }
}

fn parse_share(text: &str) -> Result<PerMillion, String> {
    let percent = text.trim_end_matches('%').parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(PerMillion::from_percent)
        .ok_or_else(|| format!("`{text}` is not a percentage from 0 to 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        for (text, millionths) in [
            ("0", Some(0)),
            ("0.01", Some(100)),
            ("12.5%", Some(125_000)),
            ("100", Some(1_000_000)),
            ("101", None),
            ("-1", None),
            ("nan", None),
            ("x", None),
        ] {
            let share = parse_share(text).ok().map(PerMillion::get);
            assert_eq!(share, millionths, "{text}");
        }
    }
}
