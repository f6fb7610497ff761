//! Ejection against a timer that fires in every interval (Envoy reference §2.2 to §2.6): the model, and programs of bytes for both.
//! A fuzz target calls [`as_the_model`]; core's tests replay the corpus through it, and random worlds through the model.
//!
//! Core has no timer: whoever looks makes up for the ticks that have passed. The model has one, and ticks one by one, so
//! the property says too that it makes no difference how long nobody looks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use outrigger_core::cluster::ejection::{Outcome, report, sweep};
use outrigger_core::cluster::{
    ClusterState, Detector, FailurePercentage, HostKey, HostState, Origin, OutlierDetection,
    Reason, Registry, Results, SuccessRate,
};
use outrigger_core::entropy::Entropy;
use outrigger_core::time::{Duration, Instant};

use crate::draws::Draws;

/// Time is in milliseconds, and every number is as wide as it can be.
pub struct Model {
    settings: OutlierDetection,
    next_tick: Option<u64>,
    /// In the order of their names.
    pub hosts: Vec<Host>,
    mean_and_least: [Option<(f64, f64)>; 2],
    detected: BTreeMap<&'static str, u64>,
    enforced: BTreeMap<&'static str, u64>,
    overflow: u64,
}

#[derive(Clone, Default)]
pub struct Host {
    /// No endpoint of the newest configuration.
    gone: bool,
    /// 5xx, gateway errors, local failures.
    in_a_row: [u32; 3],
    /// Of answers and of reaching it: good ones and all.
    results: [(u32, u32); 2],
    shown: [Option<f64>; 2],
    pub out: Option<Out>,
    back_since: Option<u64>,
    multiplier: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Out {
    since: u64,
    pub until: u64,
    reason: Reason,
}

pub const ORIGINS: [Origin; 2] = [Origin::External, Origin::Local];

impl Model {
    pub fn new(settings: OutlierDetection, hosts: usize) -> Self {
        Self {
            settings,
            next_tick: None,
            hosts: vec![Host::default(); hosts],
            mean_and_least: [None; 2],
            detected: BTreeMap::new(),
            enforced: BTreeMap::new(),
            overflow: 0,
        }
    }

    fn advance(&mut self, now: u64) {
        let interval = self.settings.interval.as_millis() as u64;
        let mut tick = self.next_tick.unwrap_or(now + interval);
        while tick <= now {
            self.tick(tick, interval);
            tick += interval;
        }
        self.next_tick = Some(tick);
    }

    fn tick(&mut self, now: u64, interval: u64) {
        for host in self.hosts.iter_mut().filter(|host| !host.gone) {
            if host.out.is_some_and(|out| now >= out.until) {
                host.out = None;
                host.back_since = Some(now);
                host.in_a_row = [0; 3];
            }
        }
        if self.settings.success_rate.is_some() || self.settings.failure_percentage.is_some() {
            let kinds = if self.settings.split_local_origin {
                2
            } else {
                1
            };
            (0..kinds).for_each(|kind| self.look(kind, now));
        }
        for host in self.hosts.iter_mut().filter(|host| !host.gone) {
            let stayed = host.back_since.is_some_and(|since| now - since >= interval);
            if host.out.is_none() && stayed {
                host.multiplier = host.multiplier.saturating_sub(1);
            }
        }
    }

    /// §2.4: success rate and failure percentage over the results of the interval that ends now.
    fn look(&mut self, kind: usize, now: u64) {
        let (sr, fp) = (self.settings.success_rate, self.settings.failure_percentage);
        self.mean_and_least[kind] = None;
        let mut candidates = Vec::new();
        for (at, host) in self.hosts.iter_mut().enumerate().filter(|(_, h)| !h.gone) {
            let (good, all) = std::mem::take(&mut host.results[kind]);
            host.shown[kind] = None;
            if host.out.is_none() && all > 0 {
                let rate = f64::from(good) * 100.0 / f64::from(all);
                candidates.push((at, rate, good, all));
            }
        }
        let hosts = self.hosts.iter().filter(|host| !host.gone).count();
        let is_worth_it = sr.is_some_and(|s| hosts >= s.minimum_hosts as usize)
            || fp.is_some_and(|f| hosts >= f.minimum_hosts as usize);
        if !is_worth_it {
            return;
        }
        for (at, rate, _, all) in &candidates {
            if sr.is_some_and(|s| *all >= s.request_volume)
                || fp.is_some_and(|f| *all >= f.request_volume)
            {
                self.hosts[*at].shown[kind] = Some(*rate);
            }
        }
        let origin = ORIGINS[kind];
        if let Some(sr) = sr {
            let mut compared = candidates.clone();
            compared.retain(|(_, _, _, all)| *all >= sr.request_volume);
            if !compared.is_empty() && compared.len() >= sr.minimum_hosts as usize {
                let count = compared.len() as f64;
                let mean = compared.iter().map(|(_, rate, ..)| rate).sum::<f64>() / count;
                let squares = compared
                    .iter()
                    .map(|(_, rate, ..)| (rate - mean) * (rate - mean));
                let deviation = (squares.sum::<f64>() / count).sqrt();
                let least = mean - f64::from(sr.stdev_factor) / 1000.0 * deviation;
                self.mean_and_least[kind] = Some((mean, least));
                for (at, rate, successes, total) in compared {
                    if rate < least {
                        let results = Results { successes, total };
                        let reason = Reason::SuccessRate {
                            origin,
                            results,
                            least,
                        };
                        self.eject(at, reason, sr.enforcing > 0, now);
                    }
                }
            }
        }
        if let Some(fp) = fp {
            let mut measured = candidates;
            measured.retain(|(_, _, _, all)| *all >= fp.request_volume);
            if !measured.is_empty() && measured.len() >= fp.minimum_hosts as usize {
                for (at, rate, successes, total) in measured {
                    if 100.0 - rate >= f64::from(fp.threshold) {
                        let results = Results { successes, total };
                        let threshold = fp.threshold;
                        let reason = Reason::FailurePercentage {
                            origin,
                            results,
                            threshold,
                        };
                        self.eject(at, reason, fp.enforcing > 0, now);
                    }
                }
            }
        }
    }

    /// §2.2: what an outcome counts as, and §2.3.
    pub fn report(&mut self, at: usize, outcome: Outcome, now: u64) {
        self.advance(now);
        let split = self.settings.split_local_origin;
        let codes = &self.settings.error_codes;
        let status = match outcome {
            Outcome::Connected | Outcome::ConnectedFinally if split => {
                self.result(at, 1, true);
                self.hosts[at].in_a_row[2] = 0;
                return;
            }
            Outcome::Connected => return,
            Outcome::ConnectedFinally => 200,
            Outcome::Timeout | Outcome::Failed if split => {
                self.result(at, 1, false);
                return self.one_more(at, 2, self.settings.consecutive_local_origin, now);
            }
            Outcome::Timeout => 504,
            Outcome::Failed => 503,
            Outcome::Grpc(status) => status,
            Outcome::Response(status) if codes.is_empty() => status,
            Outcome::Response(status) if codes.contains(&status) => status.max(500),
            Outcome::Response(_) => 200,
        };
        if !(500..600).contains(&status) {
            self.result(at, 0, true);
            self.hosts[at].in_a_row[0] = 0;
            self.hosts[at].in_a_row[1] = 0;
            return;
        }
        self.result(at, 0, false);
        if (502..=504).contains(&status) {
            self.one_more(at, 1, self.settings.consecutive_gateway, now);
        } else {
            self.hosts[at].in_a_row[1] = 0;
        }
        self.one_more(at, 0, self.settings.consecutive_5xx, now);
    }

    fn result(&mut self, at: usize, kind: usize, good: bool) {
        let (successes, total) = &mut self.hosts[at].results[kind];
        *successes += u32::from(good);
        *total += 1;
    }

    fn one_more(&mut self, at: usize, counter: usize, threshold: Option<NonZeroU32>, now: u64) {
        let host = &mut self.hosts[at];
        host.in_a_row[counter] += 1;
        let count = host.in_a_row[counter];
        let is_reached = threshold.is_some_and(|threshold| threshold.get() == count);
        if is_reached && host.out.is_none() && !host.gone {
            host.in_a_row[counter] = 0;
            let reason = match counter {
                0 => Reason::Consecutive5xx(count),
                1 => Reason::ConsecutiveGateway(count),
                _ => Reason::ConsecutiveLocalOrigin(count),
            };
            self.eject(at, reason, true, now);
        }
    }

    /// §2.5. A host that the other detector of the same sweep has ejected is found again, and that is all.
    fn eject(&mut self, at: usize, reason: Reason, enforced: bool, now: u64) {
        let name = reason.detector().name();
        *self.detected.entry(name).or_default() += 1;
        if self.hosts[at].out.is_some() {
            return;
        }
        let active = self.active();
        let endpoints = self.hosts.iter().filter(|host| !host.gone).count();
        let percent = 100.0 * (active as f64 + 1.0) / endpoints as f64;
        let is_allowed = percent <= f64::from(self.settings.max_ejection_percent)
            || self.settings.always_eject_one && active == 0;
        if !is_allowed {
            self.overflow += 1;
        } else if enforced {
            *self.enforced.entry(name).or_default() += 1;
            let base = self.settings.base_ejection_time.as_millis() as u64;
            let most = self.settings.max_ejection_time.as_millis() as u64;
            let host = &mut self.hosts[at];
            if host.multiplier * base < most + base {
                host.multiplier += 1;
            }
            host.out = Some(Out {
                since: now,
                until: now + (base * host.multiplier).min(most),
                reason,
            });
        }
    }

    fn active(&self) -> usize {
        self.hosts.iter().filter(|host| host.out.is_some()).count()
    }

    /// A configuration that names these hosts and no others.
    pub fn reload(&mut self, named: &[bool]) {
        for (host, named) in self.hosts.iter_mut().zip(named) {
            if !named {
                host.gone = true;
                host.out = None;
            } else if host.gone {
                *host = Host::default();
            }
        }
    }
}

/// The real thing, as a snapshot and its workers use it.
pub struct Pool {
    registry: Registry,
    cluster: Arc<ClusterState>,
    hosts: Vec<Arc<HostState>>,
    named: Vec<bool>,
}

impl Pool {
    pub fn new(count: usize) -> Self {
        let mut registry = Registry::default();
        let cluster = registry.cluster("c");
        let mut pool = Self {
            hosts: (0..count).map(|at| registry.host(key(at))).collect(),
            registry,
            cluster,
            named: Vec::new(),
        };
        pool.reload(&vec![true; count]);
        pool
    }

    pub fn reload(&mut self, named: &[bool]) {
        for (at, _) in named.iter().enumerate().filter(|(_, named)| **named) {
            self.registry.host(key(at));
        }
        let count = named.iter().filter(|named| **named).count();
        self.cluster.set_endpoints(count as u32);
        self.registry.sweep();
        self.named = named.to_vec();
    }

    pub fn report(&self, settings: &OutlierDetection, at: usize, outcome: Outcome, now: Instant) {
        let named = self.hosts.iter().zip(&self.named);
        let hosts = named.filter(|(_, named)| **named).map(|(host, _)| &**host);
        sweep(settings, &self.cluster, hosts, now, Entropy(0));
        report(settings, &self.hosts[at], outcome, now);
    }
}

pub fn key(at: usize) -> HostKey {
    HostKey {
        cluster: "c".into(),
        address: at.to_string().into(),
    }
}

/// Everything that can be seen of the two is the same.
pub fn same(pool: &Pool, model: &Model, now: u64) {
    let millis = |instant: Instant| instant.as_nanos() / 1_000_000;
    for (at, (host, want)) in pool.hosts.iter().zip(&model.hosts).enumerate() {
        let out = host.ejected().map(|ejected| Out {
            since: millis(ejected.since),
            until: millis(ejected.until),
            reason: ejected.reason,
        });
        assert_eq!(out, want.out, "host {} at {} ms", at, now);
        assert_eq!(host.is_ejected(), want.out.is_some());
        for (origin, shown) in ORIGINS.into_iter().zip(want.shown).filter(|_| !want.gone) {
            assert_eq!(
                host.success_rate(origin),
                shown,
                "host {} at {} ms",
                at,
                now
            );
        }
    }
    assert_eq!(pool.cluster.ejections_active() as usize, model.active());
    for (origin, want) in ORIGINS.into_iter().zip(model.mean_and_least) {
        let got = pool.cluster.success_rate(origin);
        assert_eq!(got, (want.map(|w| w.0), want.map(|w| w.1)));
    }
    let tally = pool.cluster.tally();
    for detector in Detector::ALL {
        let of = |counts: &BTreeMap<_, u64>| counts.get(detector.name()).copied().unwrap_or(0);
        assert_eq!(
            tally.detected(detector),
            of(&model.detected),
            "{:?}",
            detector
        );
        assert_eq!(
            tally.enforced(detector),
            of(&model.enforced),
            "{:?}",
            detector
        );
    }
    assert_eq!(tally.overflow(), model.overflow);
}

const STATUSES: &[u16] = &[200, 404, 500, 501, 502, 503, 504, 599];

fn settings(draws: &mut Draws<'_>) -> OutlierDetection {
    let threshold = |draws: &mut Draws<'_>| NonZeroU32::new(draws.below(4) as u32);
    let thresholds = [threshold(draws), threshold(draws), threshold(draws)];
    let split = draws.is_one_in(2);
    let interval = 1 + draws.below(250) as u64 * 12;
    let base = match draws.below(4) {
        0 => 90_000 + draws.below(256) as u64 * 1000,
        few => 1 + few as u64 * draws.below(256) as u64 * 5,
    };
    let enforcing = |draws: &mut Draws<'_>| if draws.is_one_in(4) { 0 } else { 100 };
    OutlierDetection {
        consecutive_5xx: thresholds[0],
        consecutive_gateway: thresholds[1],
        split_local_origin: split,
        consecutive_local_origin: thresholds[2].filter(|_| split),
        error_codes: if draws.is_one_in(2) {
            [404, 500, 503].into()
        } else {
            [].into()
        },
        interval: Duration::from_millis(interval),
        base_ejection_time: Duration::from_millis(base),
        max_ejection_time: Duration::from_millis(base + base * draws.below(256) as u64 / 64),
        max_ejection_percent: 1 + draws.below(100) as u8,
        always_eject_one: draws.is_one_in(2),
        min_health_percent: 0,
        success_rate: draws.is_one_in(2).then(|| SuccessRate {
            minimum_hosts: draws.below(6) as u32,
            request_volume: draws.below(6) as u32,
            stdev_factor: draws.below(256) as u32 * 12,
            enforcing: enforcing(draws),
        }),
        failure_percentage: draws.is_one_in(2).then(|| FailurePercentage {
            threshold: draws.below(101) as u8,
            minimum_hosts: draws.below(6) as u32,
            request_volume: draws.below(6) as u32,
            enforcing: enforcing(draws),
        }),
    }
}

/// Settings, hosts and what happens to them, as the bytes say: core and the model are the same after each step.
pub fn as_the_model(bytes: &[u8]) {
    let mut draws = Draws(bytes);
    let settings = settings(&mut draws);
    let hosts = 1 + draws.below(11);
    let (mut pool, mut model) = (Pool::new(hosts), Model::new(settings.clone(), hosts));
    let mut now = 0;
    while !draws.0.is_empty() {
        now += match draws.below(10) {
            0..6 => draws.below(20) as u64,
            6..9 => draws.below(256) as u64 * 6,
            _ => draws.below(256) as u64 * 120,
        };
        if draws.is_one_in(32) {
            let named: Vec<bool> = (0..hosts).map(|_| draws.is_one_in(2)).collect();
            pool.reload(&named);
            model.reload(&named);
        } else {
            let at = draws.below(hosts.min(6));
            let outcome = match draws.below(18) {
                0..8 => Outcome::Response(draws.of(STATUSES)),
                8 => Outcome::Grpc(draws.of(STATUSES)),
                9..14 => Outcome::Failed,
                14 => Outcome::Timeout,
                15 => Outcome::ConnectedFinally,
                _ => Outcome::Connected,
            };
            pool.report(&settings, at, outcome, Instant::from_millis(now));
            model.report(at, outcome, now);
        }
        same(&pool, &model, now);
    }
}
