//! Whether this process may open as many files and connections at a time as the demo does.
//!
//! A mesh that runs out of them does not fail, it waits: connections that nobody can accept look like slow services. So it
//! is looked at before the demo starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many are opened at most, and some to spare: the crowd of visitors with nine connections each, two descriptors a
/// connection, and what listens.
const NEEDED: u64 = 1000;

/// Lets this process open as many as the system grants it.
///
/// # Errors
///
/// It is too few: how many it takes, and how to have more.
pub(super) fn allow() -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let raised = raised(limit.current, limit.maximum)?;
    let Some(current) = raised else { return Ok(()) };
    let raised = Rlimit {
        current,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        let allowed = limit.current.unwrap_or(u64::MAX);
        format!(
            "the demo opens up to {NEEDED} files and connections at a time, {allowed} are allowed, and that can not be \
             raised ({error}): run `ulimit -n {NEEDED}` before it"
        )
    })
}

/// What the limit is to be raised to; `None` when it is enough as it is. A limit that is `None` is none.
fn raised(soft: Option<u64>, hard: Option<u64>) -> Result<Option<Option<u64>>, String> {
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= NEEDED);
    if is_enough(soft) {
        return Ok(None);
    }
    if is_enough(hard) {
        return Ok(Some(hard));
    }
    Err(format!(
        "the demo opens up to {NEEDED} files and connections at a time, and the hard limit here is {}: raise it as root \
         (`ulimit -Hn {NEEDED} && ulimit -n {NEEDED}`), in a container with `--ulimit nofile={NEEDED}`, in a unit of \
         systemd with `LimitNOFILE={NEEDED}`, and start the demo again",
        hard.unwrap_or(u64::MAX)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let few = Some(64);
        for (soft, hard, want) in [
            (few, Some(4096), Some(Some(Some(4096)))),
            (few, Some(NEEDED), Some(Some(Some(NEEDED)))),
            (few, None, Some(Some(None))),
            (few, Some(NEEDED - 1), None),
            (few, few, None),
            (Some(NEEDED), Some(4096), Some(None)),
            (None, None, Some(None)),
        ] {
            assert_eq!(raised(soft, hard).ok(), want, "{soft:?} {hard:?}");
        }
    }
}
