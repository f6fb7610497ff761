//! Whether the machine is full: measured every now and then on a thread of its own, judged by core, done by the workers, and told once
//! when it begins and once when it is over.

mod measured;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::overload::{
    Action, Actions, Change, Level, Marks, Overload, Pressure, Resource, room,
};
use outrigger_core::worker::Shed;
use outrigger_runtime::Handle;
use tracing::{info, warn};

use crate::overload_args::OverloadArgs;
use measured::Memory;
pub(super) use measured::resident_bytes;

/// What was found last, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Found>);

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Each in the order of [`Resource::ALL`]; `None` where nothing is measured.
    pub(super) pressures: [Option<Pressure>; 4],
    /// At which level each is.
    pub(super) levels: [Level; 4],
    /// How often each has reached a mark when it was at none.
    pub(super) entered: [u64; 4],
    /// How often each could not be measured that could before.
    pub(super) failed: [u64; 4],
    /// What is done.
    pub(super) actions: Actions,
}

impl Shown {
    pub(super) fn found(&self) -> Found {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}

/// Who measures.
struct Overseer {
    handle: Handle,
    marks: [Marks; 4],
    max_connections: Option<u64>,
    max_buffered: Option<u64>,
    memory: Memory,
    overload: Overload,
    /// Since when each is at a mark, and what had been shed then.
    since: [Option<(Instant, Shed)>; 4],
    shown: Arc<Shown>,
}

/// Measures from now on, until the program ends.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(
    args: &OverloadArgs,
    max_buffered: u64,
    handle: &Handle,
) -> io::Result<Arc<Shown>> {
    let shown = Arc::<Shown>::default();
    let unless_zero = |most: u64| Some(most).filter(|most| *most > 0);
    let mut overseer = Overseer {
        handle: handle.clone(),
        marks: args.marks(),
        max_connections: unless_zero(args.max_connections),
        max_buffered: unless_zero(max_buffered),
        memory: Memory::of(args.memory_limit),
        overload: Overload::new(args.marks()),
        since: [None; 4],
        shown: Arc::clone(&shown),
    };
    let interval = args.overload_interval;
    overseer.look();
    let thread = thread::Builder::new().name("overload".into());
    thread.spawn(move || {
        loop {
            thread::sleep(interval);
            overseer.look();
        }
    })?;
    Ok(shown)
}

impl Overseer {
    fn look(&mut self) {
        let measured = self.measure();
        let changes = self.overload.look(measured);
        let actions = self.overload.actions();
        self.allow(measured[Resource::Descriptors as usize]);
        self.handle.relieve(actions);
        {
            let mut found = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
            for resource in Resource::ALL {
                let at = resource as usize;
                let had = found.pressures[at].is_some();
                found.failed[at] += u64::from(had && measured[at].is_none());
                found.pressures[at] = measured[at].or(found.pressures[at]);
                found.levels[at] = self.overload.level(resource);
            }
            for change in &changes {
                let begins = change.before == Level::Calm;
                found.entered[change.resource as usize] += u64::from(begins);
            }
            found.actions = actions;
        }
        for change in changes {
            self.tell(change);
        }
    }

    /// In the order of [`Resource::ALL`].
    fn measure(&self) -> [Option<Pressure>; 4] {
        let against = |used, limit: Option<u64>| limit.map(|limit| Pressure { used, limit });
        [
            measured::descriptors(),
            against(self.handle.connections(), self.max_connections),
            against(self.handle.buffered_bytes(), self.max_buffered),
            self.memory.pressure(),
        ]
    }

    /// Until the next look no more connections are taken than there are descriptors for.
    fn allow(&self, descriptors: Option<Pressure>) {
        let marks = self.marks[Resource::Descriptors as usize];
        let room = descriptors.map_or(u64::MAX, |pressure| room(pressure, marks));
        let by_descriptors = self.handle.connections().saturating_add(room);
        let most = self.max_connections.unwrap_or(u64::MAX);
        self.handle.allow_connections(most.min(by_descriptors));
    }

    /// Once when a mark is reached, once when it is left.
    fn tell(&mut self, change: Change) {
        let Change {
            resource,
            before,
            now,
            pressure: Pressure { used, limit },
        } = change;
        let shed = self.handle.stats().shed;
        let since = &mut self.since[resource as usize];
        let words = resource.words();
        if now == Level::Calm {
            let (at, had) = since.take().unwrap_or_else(|| (Instant::now(), shed));
            let lasted = at.elapsed();
            let requests = shed.requests - had.requests;
            info!(
                target: "overload",
                resource = resource.name(),
                used,
                limit,
                requests,
                seconds = lasted.as_secs_f64(),
                "{used} of {limit} {words}: there is room again after {}; {requests} requests were answered 503",
                seconds(lasted)
            );
            return;
        }
        let _ = since.get_or_insert((Instant::now(), shed));
        let done = done_about(resource, now);
        let mark = now.words();
        let verb = if now > before { "reach" } else { "are back at" };
        warn!(
            target: "overload",
            resource = resource.name(),
            used,
            limit,
            level = mark,
            "{used} of {limit} {words} {verb} {}: {done}",
            mark.replacen("its", "their", 1)
        );
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What is done about it, in words.
fn done_about(resource: Resource, level: Level) -> String {
    let actions = Actions::at(resource, level);
    let mut words = String::new();
    for action in Action::ALL
        .into_iter()
        .filter(|action| actions.has(*action))
    {
        let what = match action {
            Action::StopAcceptingRequests => "new requests are answered 503",
            Action::DisableKeepAlive => "connections of clients end with their response",
            Action::ReduceTimeouts => "those that idle end soon",
            Action::CloseIdleUpstream => "none to endpoints is kept",
            Action::StopAcceptingConnections if actions.has(Action::RejectConnections) => continue,
            Action::StopAcceptingConnections => "who connects waits",
            Action::RejectConnections => "who connects is turned away",
        };
        let comma = if words.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(words, "{comma}{what}");
    }
    words
}
