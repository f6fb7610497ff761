//! How much of a certificate's time is left.
//!
//! Owns the stages that are told: certificates of a mesh live for hours or for months, so all but the last are parts of a
//! lifetime. Whoever hands them out renews them at half; later is late.

use std::time::{Duration, SystemTime};

use crate::certificate::Certificate;

/// How far a certificate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// More than half is left.
    Fresh,
    /// Less than half: it should be renewed by now.
    Due,
    /// Less than a fifth.
    Late,
    /// Less than a twentieth.
    Urgent,
    /// It is over.
    Over,
}

impl Stage {
    /// What is told of it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Fresh => "is fresh",
            Self::Due => "has less than half of its life left",
            Self::Late => "has less than a fifth of its life left, and nobody has renewed it",
            Self::Urgent => "has less than a twentieth of its life left, and nobody has renewed it",
            Self::Over => "is over",
        }
    }
}

/// Authorities say that a certificate began before it was given, for whoever's clock is behind: Istio's does so by two minutes, as ours
/// does. Of one that is good for minutes that is a large part of a life which it never had.
const DATED_BACK: Duration = Duration::from_secs(120);

/// What is left of a certificate at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How long it is good yet; zero once it is over.
    pub left: Duration,
    /// See [`Stage`].
    pub stage: Stage,
}

impl Remaining {
    /// What is left of it.
    #[must_use]
    pub fn of(certificate: &Certificate, now: SystemTime) -> Self {
        let Certificate {
            not_before,
            not_after,
            ..
        } = certificate;
        let life = not_after.duration_since(*not_before).unwrap_or_default();
        let life = life.saturating_sub(DATED_BACK);
        let left = not_after.duration_since(now).unwrap_or_default();
        let stage = match left {
            Duration::ZERO => Stage::Over,
            left if left * 20 < life => Stage::Urgent,
            left if left * 5 < life => Stage::Late,
            left if left * 2 < life => Stage::Due,
            _ => Stage::Fresh,
        };
        Self { left, stage }
    }
}

/// A length of time as people say it.
pub(crate) fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_parts_of_a_life() {
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let certificate = Certificate {
            uri_names: Vec::new(),
            dns_names: Vec::new(),
            subject: String::new(),
            serial: String::new(),
            not_before: begun,
            not_after: begun + DATED_BACK + Duration::from_secs(100),
        };
        for (after, stage, left) in [
            (0, Stage::Fresh, 100),
            (50, Stage::Fresh, 50),
            (51, Stage::Due, 49),
            (81, Stage::Late, 19),
            (96, Stage::Urgent, 4),
            (100, Stage::Over, 0),
            (999, Stage::Over, 0),
        ] {
            let at = begun + DATED_BACK + Duration::from_secs(after);
            let remaining = Remaining::of(&certificate, at);
            let left = Duration::from_secs(left);
            assert_eq!(remaining, Remaining { left, stage }, "after {after} s");
        }
    }
}
