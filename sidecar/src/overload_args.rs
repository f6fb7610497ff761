//! Options of `run` for a machine that is full: what counts as full. What is done about it is in core; `docs/limits.md` says it in words.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use outrigger_core::overload::{Marks, Resource};

use crate::options::{parse_size, parse_some_time};

/// From where on nothing is shed for a resource: more than 64 bits can hold of any limit there is.
const NEVER: Marks = Marks {
    soft: u32::MAX - 1,
    hard: u32::MAX,
};

/// When the machine is full. Marks are in percent of a limit: from the first on new requests are answered 503, connections end with
/// their response, and whoever connects waits; from the second on whoever connects is turned away.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Overload")]
pub(crate) struct OverloadArgs {
    /// Connections of clients at a time, of all workers together; whoever comes beyond them is turned away. 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) max_connections: u64,

    /// How much memory there is: what the control group of the process may have (`auto`; nothing is measured where that has no limit),
    /// a SIZE that the process itself may have, or `off`
    #[arg(long, value_name = "SIZE", default_value = "auto")]
    pub(crate) memory_limit: MemoryLimit,

    /// Marks of file descriptors, in percent of what the process may open (`ulimit -n`): SOFT,HARD or `off`
    #[arg(long, value_name = "SOFT,HARD", default_value_t = MarksArg(Resource::Descriptors.marks()))]
    pub(crate) overload_descriptors: MarksArg,

    /// Marks of connections of clients, in percent of --max-connections; at the soft one no request is refused, and nobody waits
    #[arg(long, value_name = "SOFT,HARD", default_value_t = MarksArg(Resource::Connections.marks()))]
    pub(crate) overload_connections: MarksArg,

    /// Marks of bytes that wait in memory, in percent of --max-buffered-bytes; from 100 on those that hold most are not read, which
    /// is enough against readers that are slow
    #[arg(long, value_name = "SOFT,HARD", default_value_t = MarksArg(Resource::BufferedBytes.marks()))]
    pub(crate) overload_buffered_bytes: MarksArg,

    /// Marks of memory, in percent of --memory-limit
    #[arg(long, value_name = "SOFT,HARD", default_value_t = MarksArg(Resource::Memory.marks()))]
    pub(crate) overload_memory: MarksArg,

    /// How often all of that is measured
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = parse_some_time)]
    pub(crate) overload_interval: Duration,

    /// For how long a client's connection may be without a request while the machine is full, where that is less than --idle-timeout
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_some_time)]
    pub(crate) overloaded_idle_timeout: Duration,
}

impl OverloadArgs {
    /// In the order of [`Resource::ALL`].
    pub(crate) const fn marks(&self) -> [Marks; 4] {
        [
            self.overload_descriptors.0,
            self.overload_connections.0,
            self.overload_buffered_bytes.0,
            self.overload_memory.0,
        ]
    }
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryLimit {
    /// As the control group says.
    Auto,
    /// So many bytes of this process.
    Given(u64),
    /// Nobody measures it.
    Off,
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => match parse_size(text) {
                Ok(0) => Err("it must be more than nothing; `off` measures nothing".into()),
                Ok(size) => Ok(Self::Given(size)),
                Err(_) => Err(format!(
                    "`{text}` is not `auto`, `off` or a size such as `512MiB`"
                )),
            },
        }
    }
}

/// `SOFT,HARD` in percent, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarksArg(pub(crate) Marks);

impl std::fmt::Display for MarksArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.0.soft, self.0.hard)
    }
}

impl FromStr for MarksArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(NEVER));
        }
        let percent = |text: &str| {
            let percent = text.trim_end_matches('%').parse().ok();
            percent.filter(|percent| (1..=1000).contains(percent))
        };
        let marks = text.split_once(',');
        let marks = marks.and_then(|(soft, hard)| percent(soft).zip(percent(hard)));
        match marks {
            Some((soft, hard)) if soft <= hard => Ok(Self(Marks { soft, hard })),
            Some(_) => Err(format!("the soft mark of `{text}` is above the hard one")),
            None => Err(format!(
                "`{text}` is not `off` or two shares in percent, 1 to 1000, such as `85,95`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_two_shares() {
        let marks = |soft, hard| Some(Marks { soft, hard });
        for (text, want) in [
            ("85,95", marks(85, 95)),
            ("85%,95%", marks(85, 95)),
            ("100,100", marks(100, 100)),
            ("120,1000", marks(120, 1000)),
            ("off", Some(NEVER)),
            ("95,85", None),
            ("0,5", None),
            ("5,1001", None),
            ("5", None),
            ("5,", None),
            ("-1,5", None),
        ] {
            let read = text.parse::<MarksArg>().ok();
            assert_eq!(read.map(|MarksArg(marks)| marks), want, "{text}");
        }
    }

    #[test]
    fn memory_has_a_size() {
        for (text, want) in [
            ("auto", Some(MemoryLimit::Auto)),
            ("off", Some(MemoryLimit::Off)),
            ("1GiB", Some(MemoryLimit::Given(1 << 30))),
            ("0", None),
            ("much", None),
        ] {
            assert_eq!(text.parse::<MemoryLimit>().ok(), want, "{text}");
        }
    }
}
