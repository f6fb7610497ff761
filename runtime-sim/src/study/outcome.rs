//! What came of a run, in numbers: a row for each kind of client and each service, and how they changed over time.

use std::collections::BTreeMap;

use outrigger_core::time::Duration;

use super::histogram::Histogram;
use crate::load::Outcome as Ending;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct StudyOutcome {
    /// The seed that was played.
    pub seed: u64,
    /// The time that went by in the simulation.
    pub simulated: Duration,
    /// The length of one step of the timelines.
    pub step: Duration,
    /// Requests of clients.
    pub requests: u64,
    /// Requests through outbound sidecars, those between services included.
    pub calls: u64,
    /// A number that stands for everything that happened.
    pub digest: u64,
    /// First clients, then services.
    pub rows: Vec<RowOutcome>,
}

/// Whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// What these clients saw.
    Clients,
    /// What all who called this service saw.
    Service,
}

/// A row.
#[derive(Clone, Debug)]
pub struct RowOutcome {
    /// The clients' or the service's name.
    pub name: String,
    /// Which of both.
    pub kind: RowKind,
    /// Requests that were made.
    pub requests: u64,
    /// Those of them that were not there because of a retry.
    pub firsts: u64,
    /// How they ended.
    pub endings: BTreeMap<Ending, u64>,
    /// How long they took.
    pub times: Histogram,
    /// The sum of these times.
    pub total_time: Duration,
    /// Retries by the sidecars of those who asked.
    pub retries: u64,
    /// Requests refused by a circuit limit (flag UO).
    pub overflows: u64,
    /// Which limits refused requests, or ejections ([`super::EJECTIONS`]), by the name under which they are set, and how
    /// many each of them. Here are the limits that callers have for the service; what it turned away itself is in
    /// `turned_away`.
    pub limits: BTreeMap<&'static str, u64>,
    /// Endpoints taken out of rotation, counted at each caller; 0 for clients.
    pub ejections: u64,
    /// Requests that reached the replicas; 0 for clients.
    pub reached: u64,
    /// Of those, the ones they were too busy for.
    pub turned_away: u64,
    /// Why requests failed: Envoy's response flags, or the status that the service gave; most frequent first.
    pub reasons: Vec<(String, u64)>,
    /// Step by step.
    pub steps: Vec<Step>,
    /// The requests that were made in each step, and how they fared; none for services.
    pub cohorts: Vec<Cohort>,
    /// The replicas of a service.
    pub replicas: Vec<ReplicaOutcome>,
}

/// What happened in one step of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Requests that ended.
    pub ended: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of a hundred took no longer.
    pub p99: Duration,
    /// Retries.
    pub retries: u32,
    /// Requests refused by a circuit limit.
    pub overflows: u32,
    /// Requests under way at its end.
    pub under_way: u32,
    /// Endpoints that are out of rotation at its end, as callers see it on average.
    pub out: f32,
    /// The share of callers one of whose circuit limits is reached at its end, 0 to 1.
    pub at_limit: f32,
}

/// The requests that were made in one step of time, whenever they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// How many.
    pub made: u32,
    /// Those of them that failed, or were never answered.
    pub failed: u32,
    /// Of those that ended, all but the slowest took no longer: one in a hundred is left out, and where there are enough at
    /// least two, because of a few requests the slowest is slow by chance.
    pub tail: Duration,
}

/// A replica.
#[derive(Clone, Debug)]
pub struct ReplicaOutcome {
    /// Its name.
    pub name: String,
    /// Requests that reached it.
    pub reached: u64,
    /// For each step the share of callers that had it out of rotation at its end, 0 to 1.
    pub out: Vec<f32>,
}

impl RowOutcome {
    /// Requests that got what they came for: a whole answer from 200 to 499, and not 429.
    #[must_use]
    pub fn good(&self) -> u64 {
        let good = self.endings.iter().filter(|(ending, _)| ending.is_good());
        good.map(|(_, count)| count).sum()
    }

    /// Their share, 0 to 1; 1 when there were none.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.requests == 0 {
            return 1.0;
        }
        self.good() as f64 / self.requests as f64
    }

    /// The time that this share of requests, 0 to 1, did not exceed, good or bad.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        self.times.percentile(share)
    }

    /// Requests that reached the service for each that would have been made to it if nobody retried; of clients, the
    /// attempts made for each request. 1 when there were none.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        if self.firsts == 0 {
            return 1.0;
        }
        let made = match self.kind {
            RowKind::Clients => self.requests + self.retries,
            RowKind::Service => self.reached,
        };
        made as f64 / self.firsts as f64
    }
}

impl StudyOutcome {
    /// The row of a name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&RowOutcome> {
        self.rows.iter().find(|row| row.name == name)
    }
}
