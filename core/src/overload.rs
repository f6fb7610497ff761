//! How full the machine is, and what is shed for that (Envoy's overload manager).
//!
//! Functions over numbers that somebody has measured. Each resource has two marks: from the soft one on no new work is taken, from
//! the hard one on whoever connects is turned away, and what is under way goes on at both. A mark that was reached is left a little
//! below it, so that nothing flaps.

use serde::{Deserialize, Serialize};

/// What may run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// File descriptors of the process, against `RLIMIT_NOFILE`.
    Descriptors,
    /// Connections of clients, against the most that there may be.
    Connections,
    /// Bytes that wait in memory, against the most that there should be.
    BufferedBytes,
    /// Memory, against the limit of the control group or one that was given.
    Memory,
}

impl Resource {
    /// All of them, each at the place that it has in tables.
    pub const ALL: [Self; 4] = [
        Self::Descriptors,
        Self::Connections,
        Self::BufferedBytes,
        Self::Memory,
    ];

    /// As it is called in counters: Envoy's name of the monitor, where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "outrigger.resource_monitors.file_descriptors",
            Self::Connections => "envoy.resource_monitors.global_downstream_max_connections",
            Self::BufferedBytes => "outrigger.resource_monitors.buffered_bytes",
            Self::Memory => "envoy.resource_monitors.cgroup_memory",
        }
    }

    /// In a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Descriptors => "file descriptors",
            Self::Connections => "connections of clients",
            Self::BufferedBytes => "buffered bytes",
            Self::Memory => "bytes of memory",
        }
    }

    /// Its marks where nobody says otherwise. Buffered bytes go beyond their limit before anything is shed: from the limit on those who
    /// hold most are not read, which is enough against readers that are slow, and nobody else notices.
    #[must_use]
    pub const fn marks(self) -> Marks {
        let (soft, hard) = match self {
            Self::Descriptors => (85, 95),
            Self::Connections => (90, 100),
            Self::BufferedBytes => (120, 150),
            Self::Memory => (95, 98),
        };
        Marks { soft, hard }
    }
}

/// How full something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is room.
    #[default]
    Calm,
    /// The soft mark was reached.
    Soft,
    /// The hard mark was reached.
    Hard,
}

impl Level {
    /// In a sentence, behind "is at".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Calm => "no mark",
            Self::Soft => "its soft mark",
            Self::Hard => "its hard mark",
        }
    }
}

/// From where on a resource is at a level, in percent of its limit. Zero is reached by everything, and a mark above what can be used by
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// New work is shed.
    pub soft: u32,
    /// Whoever connects is turned away.
    pub hard: u32,
}

/// A mark is left when what is used falls this far below it, in percent of the limit; half of the mark at most.
pub const CALM_BELOW: u32 = 5;

/// What is used of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Now.
    pub used: u64,
    /// At most. Zero is always full.
    pub limit: u64,
}

impl Pressure {
    /// In percent, rounded down.
    #[must_use]
    pub fn percent(self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    fn reaches(self, percent: u32) -> bool {
        u128::from(self.used) * 100 >= u128::from(self.limit) * u128::from(percent)
    }
}

/// At which level a resource is that was at another one before.
#[must_use]
pub fn level(before: Level, pressure: Pressure, marks: Marks) -> Level {
    let is_at = |level, mark: u32| {
        let slack = CALM_BELOW.min(mark / 2);
        let mark = if before >= level { mark - slack } else { mark };
        pressure.reaches(mark)
    };
    if is_at(Level::Hard, marks.hard) {
        Level::Hard
    } else if is_at(Level::Soft, marks.soft) {
        Level::Soft
    } else {
        Level::Calm
    }
}

/// How many more may be opened before the hard mark is reached. Between two looks at what is used nobody opens more.
#[must_use]
pub fn room(pressure: Pressure, marks: Marks) -> u64 {
    let hard = u128::from(pressure.limit) * u128::from(marks.hard) / 100;
    let room = hard.saturating_sub(u128::from(pressure.used));
    u64::try_from(room).unwrap_or(u64::MAX)
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// New requests are answered 503.
    StopAcceptingRequests,
    /// Connections of clients end with the response that is under way: `connection: close`, GOAWAY.
    DisableKeepAlive,
    /// Connections of clients that are between requests end much sooner.
    ReduceTimeouts,
    /// Connections to endpoints are not kept.
    CloseIdleUpstream,
    /// Whoever connects waits.
    StopAcceptingConnections,
    /// Whoever connects is turned away.
    RejectConnections,
}

impl Action {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::StopAcceptingRequests,
        Self::DisableKeepAlive,
        Self::ReduceTimeouts,
        Self::CloseIdleUpstream,
        Self::StopAcceptingConnections,
        Self::RejectConnections,
    ];

    /// As it is called in counters: Envoy's name, where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StopAcceptingRequests => "envoy.overload_actions.stop_accepting_requests",
            Self::DisableKeepAlive => "envoy.overload_actions.disable_http_keepalive",
            Self::ReduceTimeouts => "envoy.overload_actions.reduce_timeouts",
            Self::CloseIdleUpstream => "outrigger.overload_actions.close_idle_upstream",
            Self::StopAcceptingConnections => "envoy.overload_actions.stop_accepting_connections",
            Self::RejectConnections => "envoy.overload_actions.reject_incoming_connections",
        }
    }

    /// From which level of a resource on it is done; `None` where it would be no help.
    #[must_use]
    pub const fn begins_at(self, resource: Resource) -> Option<Level> {
        use Resource::{BufferedBytes, Connections, Descriptors, Memory};
        match (self, resource) {
            // A request on a connection that is there costs no connection, and pausing would keep the hard mark from being reached by
            // anybody, while who connects waits and does not know why.
            (Self::StopAcceptingRequests | Self::StopAcceptingConnections, Connections) => None,
            (Self::StopAcceptingRequests | Self::StopAcceptingConnections, _)
            | (Self::DisableKeepAlive, _)
            | (Self::ReduceTimeouts, Descriptors | Connections | Memory)
            | (Self::CloseIdleUpstream, Descriptors | Memory) => Some(Level::Soft),
            // Who idles has no bytes that wait, and connections to endpoints are not those of clients.
            (Self::ReduceTimeouts, BufferedBytes)
            | (Self::CloseIdleUpstream, Connections | BufferedBytes) => None,
            (Self::RejectConnections, _) => Some(Level::Hard),
        }
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actions(u8);

impl Actions {
    /// What is done about one resource at a level.
    #[must_use]
    pub fn at(resource: Resource, level: Level) -> Self {
        let is_done = |action: &Action| {
            let begins = action.begins_at(resource);
            begins.is_some_and(|begins| level >= begins)
        };
        let done = Action::ALL.into_iter().filter(is_done);
        Self(done.fold(0, |set, action| set | 1 << action as u8))
    }

    /// What is in either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As a number: a bit for each.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether this is done.
    #[must_use]
    pub const fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }
}

/// A resource came to another level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub resource: Resource,
    /// From.
    pub before: Level,
    /// To.
    pub now: Level,
    /// What was measured.
    pub pressure: Pressure,
}

/// The levels of all resources.
#[derive(Clone, Debug)]
pub struct Overload {
    marks: [Marks; 4],
    levels: [Level; 4],
}

impl Overload {
    /// There is room of everything. Marks stand in the order of [`Resource::ALL`].
    #[must_use]
    pub const fn new(marks: [Marks; 4]) -> Self {
        Self {
            marks,
            levels: [Level::Calm; 4],
        }
    }

    /// Takes what was measured, in the order of [`Resource::ALL`], and says what has changed. What could not be measured stays where it
    /// was, and what is never measured is never full.
    pub fn look(&mut self, measured: [Option<Pressure>; 4]) -> Vec<Change> {
        let mut changes = Vec::new();
        for resource in Resource::ALL {
            let at = resource as usize;
            let Some(pressure) = measured[at] else {
                continue;
            };
            let now = level(self.levels[at], pressure, self.marks[at]);
            let before = core::mem::replace(&mut self.levels[at], now);
            if before != now {
                changes.push(Change {
                    resource,
                    before,
                    now,
                    pressure,
                });
            }
        }
        changes
    }

    /// At which level a resource is.
    #[must_use]
    pub const fn level(&self, resource: Resource) -> Level {
        self.levels[resource as usize]
    }

    /// What is done about all of them.
    #[must_use]
    pub fn actions(&self) -> Actions {
        let all = Resource::ALL.into_iter();
        all.fold(Actions::default(), |actions, resource| {
            actions.and(Actions::at(resource, self.level(resource)))
        })
    }
}

#[cfg(test)]
mod tests;
