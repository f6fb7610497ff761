//! Why a replay stopped: the recording cannot be read, or something is not as it was.

use std::fmt;

use outrigger_core::exchange::{Input, Side};
use outrigger_core::time::Instant;

use crate::decided::Difference;
use crate::file::Fault;
use crate::said::Saying;

/// Why a replay stopped before the end.
#[derive(Debug)]
pub enum Stop {
    /// The file cannot be read, or not further.
    Fault(Fault),
    /// Something is not as it was.
    Changed(Box<Changed>),
}

/// The first thing that is not as it was.
#[derive(Debug)]
pub struct Changed {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// On which connection, counted from 0; `None` when it concerns none.
    pub connection: Option<u64>,
    /// When, by the time of the run.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What is not as it was.
#[derive(Debug)]
pub enum What {
    /// A decision.
    Decision {
        /// Where it differs.
        fields: Vec<Difference>,
        /// What is decided now, for people.
        story: String,
    },
    /// Another output, or one more or less.
    Said {
        /// What was said then.
        recorded: Option<Saying>,
        /// What is said now.
        now: Option<Saying>,
    },
    /// What was said then cannot be read.
    Unreadable,
    /// The bytes that went to a side.
    Written {
        /// To whom.
        side: Side,
        /// How many they were.
        count: usize,
    },
    /// What happened then is not waited for now.
    NotAwaited(Input),
    /// There was a copy for a mirror then, and there is none now.
    NoCopy,
    /// The configuration compiles to other clusters or endpoints, or these took over other state.
    Snapshot,
    /// What a worker said about connections that it keeps.
    Worker {
        /// When it `adopted` a snapshot, others `announced`, or time `expired`.
        did: &'static str,
        /// What it said then.
        recorded: String,
        /// What it says now.
        now: String,
    },
}

impl Stop {
    pub(super) const fn damaged(offset: u64, what: &'static str) -> Self {
        Self::Fault(Fault::Damaged { offset, what })
    }

    pub(super) fn changed(
        offset: u64,
        connection: impl Into<Option<u64>>,
        at: Instant,
        what: What,
    ) -> Self {
        Self::Changed(Box::new(Changed {
            offset,
            connection: connection.into(),
            at,
            what,
        }))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision { fields, story } => {
                f.write_str("a request is decided otherwise")?;
                for Difference {
                    field,
                    recorded,
                    now,
                } in fields
                {
                    write!(
                        f,
                        "\n  {field}\n    recorded {recorded}\n    now      {now}"
                    )?;
                }
                write!(f, "\nwhat is decided now:\n{story}")
            }
            Self::Said { recorded, now } => {
                let told = |saying: &Option<Saying>| match saying {
                    None => "nothing more".to_owned(),
                    Some(Saying::Output(output)) => format!("{output:?}"),
                    Some(Saying::Ended(decided)) => {
                        format!(
                            "a request ended, status {}: {}",
                            decided.status, decided.details
                        )
                    }
                };
                let (recorded, now) = (told(recorded), told(now));
                write!(
                    f,
                    "core says something else\n  recorded {recorded}\n  now      {now}"
                )
            }
            Self::Unreadable => f.write_str("what core said cannot be read"),
            Self::Written { side, count } => {
                write!(f, "other bytes go to {side:?}, {count} of them")
            }
            Self::NotAwaited(input) => {
                write!(f, "`{input:?}` happened, and nothing waits for it now")
            }
            Self::NoCopy => f.write_str("a copy for a mirror was made, and none is made now"),
            Self::Snapshot => f.write_str(
                "the configuration compiles to other endpoints, or they took over other state",
            ),
            Self::Worker { did, recorded, now } => {
                write!(
                    f,
                    "a worker {did}, and says something else\n  recorded {recorded}\n  now      {now}"
                )
            }
        }
    }
}
