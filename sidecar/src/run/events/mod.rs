//! The event log: what happens to the proxy, on standard error, by way of the crate `tracing`.
//!
//! Owns where events go from there: those of a level that is on become lines ([`mod@line`]), which wait in a bounded queue for the
//! thread that writes them ([`queue`]) and that folds lines that repeat ([`fold`]). Which levels are on is said by [`Levels`]. What is told, and
//! when, is decided where it happens: `info!(target: "config", …)`.

mod fold;
mod line;
mod queue;

pub(crate) use queue::{dropped, flush, panics};

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use crate::event_levels::Levels;
use crate::options::LogFormat;
use line::Line;

/// Where levels are changed while the program runs, and what they are now.
static FILTER: OnceLock<Filter> = OnceLock::new();

struct Filter {
    handle: reload::Handle<Targets, Registry>,
    levels: Mutex<Levels>,
}

/// From now on events of these levels are written so. Only the first call counts.
pub(crate) fn start(levels: &Levels, format: LogFormat) {
    queue::write_as(format);
    let (filter, handle) = reload::Layer::new(levels.targets());
    let subscriber = tracing_subscriber::registry().with(Lines.with_filter(filter));
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let levels = Mutex::new(levels.clone());
        let _ = FILTER.set(Filter { handle, levels });
    }
}

/// Changes which events are written from now on, and says what that has become.
///
/// # Errors
/// Those of `change`; then nothing is changed.
pub(crate) fn change_levels(
    change: impl FnOnce(&mut Levels) -> Result<(), String>,
) -> Result<Levels, String> {
    let Some(Filter { handle, levels }) = FILTER.get() else {
        return Err("events are not written".to_owned());
    };
    let mut current = levels.lock().unwrap_or_else(PoisonError::into_inner);
    let mut changed = current.clone();
    change(&mut changed)?;
    // It fails where the subscriber is gone, and it never goes.
    let _ = handle.reload(changed.targets());
    current.clone_from(&changed);
    Ok(changed)
}

/// Makes lines of events.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        queue::put(Line::of(event, now.unwrap_or_default()));
    }
}
