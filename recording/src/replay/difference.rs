//! Why a replay stopped: the recording cannot be read, or something is not as it was.

use std::fmt;

use outrigger_core::peer::{ClientId, ConnId};
use outrigger_core::time::Instant;
use outrigger_core::worker::Input;

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
    /// On which client's connection, counted from 0; `None` when it concerns none, or is not known to.
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
    /// So many bytes that went to a connection.
    Written(ConnId, usize),
    /// What happened on a connection then is not waited for now.
    NotAwaited(ConnId, Input),
    /// A client got this name then.
    Named {
        /// That one.
        recorded: ClientId,
        /// The one that it gets now.
        now: ClientId,
    },
    /// The configuration compiles to other clusters or endpoints, or these took over other state.
    Snapshot,
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
                    Some(Saying::Ended(_, decided)) => {
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
            Self::Written(connection, count) => {
                write!(f, "other bytes go to {}, {count} of them", end(*connection))
            }
            Self::NotAwaited(connection, input) => write!(
                f,
                "`{input:?}` happened on a connection to {}, and nothing waits for it now",
                end(*connection)
            ),
            Self::Named { recorded, now } => write!(
                f,
                "a client has another name\n  recorded {recorded:?}\n  now      {now:?}"
            ),
            Self::Snapshot => f.write_str(
                "the configuration compiles to other endpoints, or they took over other state",
            ),
        }
    }
}

/// Who is at the other end.
const fn end(connection: ConnId) -> &'static str {
    match connection {
        ConnId::Client(_) => "a client",
        ConnId::Upstream(_) => "an endpoint",
    }
}
