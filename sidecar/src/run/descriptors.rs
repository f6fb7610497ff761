//! How many descriptors this process may open: as many as the system grants it, not as many as programs get that never asked.
//!
//! The soft limit is 1,024 nearly everywhere for the sake of programs that use `select`, of which this is none; the hard one is the system's
//! answer. What becomes of work when there are none left is in `overload`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Raises the soft limit to the hard one.
pub(crate) fn allow_all() {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(&limit) else {
        return;
    };
    let told =
        |limit: Option<u64>| limit.map_or_else(|| "any number of".into(), |most| most.to_string());
    let (from, to) = (told(limit.current), told(raised.current));
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            debug!(target: "main", "this process may open {to} files and connections: the soft limit was {from}");
        }
        Err(error) => {
            warn!(target: "main", "this process may open {from} files and connections: the limit cannot be raised to {to}: {error}");
        }
    }
}

/// `None`: it is there already.
fn raised(limit: &Rlimit) -> Option<Rlimit> {
    let is_below = match (limit.current, limit.maximum) {
        (Some(soft), Some(hard)) => soft < hard,
        (Some(_), None) => true,
        (None, _) => false,
    };
    is_below.then_some(Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        for (current, maximum, want) in [
            (Some(1024), Some(4096), Some(Some(4096))),
            (Some(1024), None, Some(None)),
            (Some(4096), Some(4096), None),
            (None, None, None),
        ] {
            let told = raised(&Rlimit { current, maximum });
            assert_eq!(
                told.map(|limit| limit.current),
                want,
                "{current:?} {maximum:?}"
            );
        }
    }
}
