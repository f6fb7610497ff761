//! What a connection waits for, and what happens when it was in vain.

use super::code::{Broken, Code, Fatal, broken_rule, flood};
use super::controls::{ALIVE_PING, Control};
use super::endings::{die, fail};
use super::parts::{Asking, OurSettings, Parts, Stage};
use crate::stream::Reset;
use crate::time::Instant;

const BLOCK: Fatal = flood("http2.headers.too.slow", "a header block takes too long");
const SETTINGS: Fatal = broken_rule(
    Code::SettingsTimeout,
    "SETTINGS were not acknowledged in time",
);
const GONE: Fatal = Fatal {
    code: Code::NoError,
    details: "http2.keepalive_timeout",
    explain: "a PING was not answered in time",
};

/// The next moment at which [`on_time`] does something.
pub(super) fn deadline<T>(parts: &Parts<T>) -> Option<Instant> {
    if matches!(parts.stage, Stage::Dead(_)) {
        return None;
    }
    let asking = match parts.life.asking {
        Asking::Never => None,
        Asking::At(at) | Asking::Until(at) => Some(at),
    };
    let all = [
        block_deadline(parts),
        settings_deadline(parts),
        asking,
        parts.life.stall_check,
    ];
    all.into_iter().flatten().min()
}

fn block_deadline<T>(parts: &Parts<T>) -> Option<Instant> {
    let block = parts.block.as_ref()?;
    Some(block.since + parts.limits.block_time)
}

fn settings_deadline<T>(parts: &Parts<T>) -> Option<Instant> {
    match parts.life.settings {
        OurSettings::Sent(at) => Some(at + parts.limits.settings_time),
        OurSettings::Unsent | OurSettings::Put | OurSettings::Acknowledged => None,
    }
}

/// The time is now.
pub(super) fn on_time<T: Copy>(parts: &mut Parts<T>, now: Instant) -> Result<(), Fatal> {
    if let Stage::Dead(fatal) = parts.stage {
        return Err(fatal);
    }
    let done = look(parts, now);
    if let Err(fatal) = done {
        die(parts, fatal, Reset::Cut);
    }
    done
}

fn look<T: Copy>(parts: &mut Parts<T>, now: Instant) -> Result<(), Fatal> {
    let is_over = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
    if is_over(block_deadline(parts)) {
        parts.guard.counts.block_time += 1;
        return Err(BLOCK);
    }
    if is_over(settings_deadline(parts)) {
        parts.guard.counts.settings_time += 1;
        return Err(SETTINGS);
    }
    match (parts.life.asking, parts.limits.keepalive) {
        (Asking::Until(at), _) if at <= now => {
            parts.guard.counts.keepalive += 1;
            return Err(GONE);
        }
        (Asking::At(at), Some(keepalive)) if at <= now => {
            parts.controls.say(Control::Ping(ALIVE_PING));
            parts.life.asking = Asking::Until(now + keepalive.timeout);
        }
        (Asking::Never | Asking::At(_) | Asking::Until(_), _) => {}
    }
    if is_over(parts.life.stall_check) {
        reset_stalled(parts, now)?;
    }
    Ok(())
}

/// Resets streams that had something to send and no credit for too long, and finds out when to look again.
fn reset_stalled<T: Copy>(parts: &mut Parts<T>, now: Instant) -> Result<(), Fatal> {
    parts.life.stall_check = None;
    let mut at = None;
    while let Some(id) = parts.streams.table().after(at) {
        let since = parts.streams.get(id).and_then(|stream| stream.stalled);
        let until = since.map(|since| since + parts.limits.stalled);
        match until {
            Some(until) if until <= now => {
                parts.guard.counts.stalled += 1;
                let broken = Broken::Reset(Reset::Stalled);
                fail(parts, id, Code::telling(Reset::Stalled), broken, now)?;
            }
            Some(until) => {
                let check = parts
                    .life
                    .stall_check
                    .map_or(until, |check| check.min(until));
                parts.life.stall_check = Some(check);
            }
            None => {}
        }
        at = Some(id);
    }
    Ok(())
}
