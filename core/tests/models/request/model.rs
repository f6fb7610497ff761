//! The model: computes how a request ends instead of living it, from the tables of the Envoy reference.

use outrigger_core::entropy::{Draw, Entropy};
use outrigger_core::time::Instant;

use super::{Answers, Attempt, Connects, Seen, Settings, Told};
use crate::house::End;

pub(super) const MS: u64 = 1_000_000;
const NEVER: u64 = u64::MAX;

pub(super) struct Model<'a> {
    settings: &'a Settings,
    attempts: &'a [Attempt],
    retries: usize,
    /// Nanoseconds.
    now: u64,
    /// When the whole request's time begins.
    complete: u64,
    /// When the whole request is out of time.
    route: u64,
    /// When other timers fired.
    fired: Vec<u64>,
    delayed: bool,
    in_a_row: [u64; 3],
    /// Of answers and of reaching it: good ones and all.
    results: [(u64, u64); 2],
}

/// What happens next. Of timers of one instant the one that stands first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    ConnectTimeout,
    RouteTimeout,
    PerTryTimeout,
    BackedOff,
    Endpoint,
}

/// How an attempt went wrong.
#[derive(Clone, Copy)]
enum Fault {
    Status(u16),
    Refused,
    ConnectTimeout,
    PerTryTimeout,
    Closed,
}

/// What an attempt came to.
enum Outcome {
    Fault(Fault),
    /// The whole request is out of time.
    RouteTimeout,
    Head {
        status: u16,
        rest: Rest,
    },
}

/// What follows a head, after so many milliseconds.
#[derive(Clone, Copy)]
enum Rest {
    Whole(u64),
    Breaks(u64),
}

enum Again {
    After(u64),
    No { exhausted: bool },
}

impl<'a> Model<'a> {
    pub(super) fn new(settings: &'a Settings, attempts: &'a [Attempt]) -> Self {
        Self {
            settings,
            attempts,
            retries: 0,
            now: 0,
            complete: 0,
            route: NEVER,
            fired: Vec::new(),
            delayed: false,
            in_a_row: [0; 3],
            results: [(0, 0); 2],
        }
    }

    pub(super) fn run(mut self) -> Seen {
        self.go_on()
    }

    /// The timeouts, in nanoseconds, that would run out when another timer fires.
    pub(super) fn timeouts_that_tie(mut self) -> Vec<u64> {
        self.go_on();
        let began = self.complete;
        let later = self.fired.iter().filter(|at| **at > began);
        later.map(|at| at - began).collect()
    }

    fn go_on(&mut self) -> Seen {
        if let Some(status) = self.faults() {
            return self.ends(status, "fault_filter_abort", false, false);
        }
        loop {
            let fault = match self.attempt() {
                Outcome::RouteTimeout => return self.out_of_time(),
                Outcome::Fault(fault) => fault,
                Outcome::Head { status, rest } => match self.again(Fault::Status(status)) {
                    Again::No { exhausted } => return self.responds(status, rest, exhausted),
                    Again::After(_) => Fault::Status(status),
                },
            };
            match self.again(fault) {
                Again::No { exhausted } => return self.fails(fault, exhausted),
                Again::After(wait) => {
                    let backed_off = self.now + wait;
                    if self.first(&[
                        (backed_off, Next::BackedOff),
                        (self.route, Next::RouteTimeout),
                    ]) == Next::RouteTimeout
                    {
                        return self.out_of_time();
                    }
                    self.retries += 1;
                }
            }
        }
    }

    /// §6.1: a delay, then an abort, each by its own roll; after the delay the router sees the request, and its time begins.
    fn faults(&mut self) -> Option<u16> {
        let entropy = Entropy(self.settings.entropy).of_request(0);
        let rolls = |draw, millionths| entropy.draw(draw, 0) % 1_000_000 < millionths;
        if let Some((delay, share)) = self.settings.delay
            && rolls(Draw::FaultDelay, share)
        {
            self.now = delay * MS;
            self.delayed = true;
        }
        if let Some((status, share)) = self.settings.abort
            && rolls(Draw::FaultAbort, share)
        {
            return Some(status);
        }
        self.complete = self.now.max(self.settings.upload * MS);
        if self.settings.timeout > 0 {
            self.route = self.complete + self.settings.timeout;
        }
        None
    }

    /// The first of several things, and moves time there.
    fn first(&mut self, all: &[(u64, Next)]) -> Next {
        let timer_first = self.settings.timer_first;
        let rank = |next: Next| ((next == Next::Endpoint) == timer_first, next);
        let first = all.iter().min_by_key(|(at, next)| (*at, rank(*next)));
        let (at, next) = first.expect("there is at least one");
        assert_ne!(*at, NEVER, "nothing would ever happen");
        self.now = *at;
        match next {
            Next::ConnectTimeout | Next::PerTryTimeout | Next::BackedOff => self.fired.push(*at),
            Next::RouteTimeout | Next::Endpoint => {}
        }
        *next
    }

    fn attempt(&mut self) -> Outcome {
        let attempt = self.attempts[self.retries % self.attempts.len()];
        let (connects, how) = match attempt.connects {
            Some((after, connects)) => (self.now + after * MS, connects),
            None => (NEVER, Connects::Well),
        };
        let patience = self.now + self.settings.connect * MS;
        let next = self.first(&[
            (connects, Next::Endpoint),
            (patience, Next::ConnectTimeout),
            (self.route, Next::RouteTimeout),
        ]);
        match (next, how) {
            // Before there is a connection, nobody is to blame.
            (Next::RouteTimeout, _) => Outcome::RouteTimeout,
            (Next::ConnectTimeout, _) => self.local_fault(Fault::ConnectTimeout, 503),
            (_, Connects::Refused) => self.local_fault(Fault::Refused, 503),
            (_, Connects::Well) => {
                if self.settings.split {
                    self.results[1].0 += 1;
                    self.results[1].1 += 1;
                }
                self.answer(attempt)
            }
        }
    }

    /// §5.1: an attempt's own time begins when it has a connection and the request is complete.
    fn answer(&mut self, attempt: Attempt) -> Outcome {
        let Settings {
            per_try,
            timeout,
            retries,
            upload,
            ..
        } = *self.settings;
        let complete = self.now.max(upload * MS);
        let (answers, what) = match attempt.answers {
            Some((after, answers)) => (complete + after * MS, answers),
            None => (NEVER, Answers::Closes),
        };
        // Without retries there is no policy that could limit an attempt.
        let is_limited = retries > 0 && per_try > 0 && (timeout == 0 || per_try * MS < timeout);
        let limit = if is_limited {
            complete + per_try * MS
        } else {
            NEVER
        };
        let next = self.first(&[
            (answers, Next::Endpoint),
            (limit, Next::PerTryTimeout),
            (self.route, Next::RouteTimeout),
        ]);
        match (next, what) {
            (Next::RouteTimeout, _) => {
                self.local_failure(504);
                Outcome::RouteTimeout
            }
            (Next::PerTryTimeout, _) => self.local_fault(Fault::PerTryTimeout, 504),
            (_, Answers::Closes) => self.local_fault(Fault::Closed, 503),
            (_, Answers::Whole { status, body }) => self.head(status, Rest::Whole(body)),
            (_, Answers::Breaks { status, after }) => self.head(status, Rest::Breaks(after)),
        }
    }

    fn head(&mut self, status: u16, rest: Rest) -> Outcome {
        self.external(status);
        Outcome::Head { status, rest }
    }

    fn responds(&mut self, status: u16, rest: Rest, exhausted: bool) -> Seen {
        let (Rest::Whole(after) | Rest::Breaks(after)) = rest;
        let done = self.now + after * MS;
        // What comes together with the head is there before any timer is looked at.
        let next = if after == 0 {
            Next::Endpoint
        } else {
            self.first(&[(done, Next::Endpoint), (self.route, Next::RouteTimeout)])
        };
        match (next, rest) {
            (Next::RouteTimeout, _) => self.ends(status, "response_timeout", exhausted, true),
            (_, Rest::Whole(_)) => self.ends(status, "via_upstream", exhausted, false),
            (_, Rest::Breaks(_)) => {
                self.local_failure(503);
                // Less than the head promised breaks the protocol.
                let details = "upstream_reset_after_response_started{protocol_error}";
                self.ends(status, details, exhausted, true)
            }
        }
    }

    fn out_of_time(&self) -> Seen {
        self.ends(504, "response_timeout", false, false)
    }

    fn fails(&self, fault: Fault, exhausted: bool) -> Seen {
        let (status, reason) = match fault {
            Fault::Status(status) => return self.ends(status, "via_upstream", exhausted, false),
            Fault::PerTryTimeout => {
                return self.ends(504, "upstream_per_try_timeout", exhausted, false);
            }
            Fault::Refused => (503, "remote_connection_failure"),
            Fault::ConnectTimeout => (503, "connection_timeout"),
            Fault::Closed => (503, "connection_termination"),
        };
        let details = format!("upstream_reset_before_response_started{{{reason}}}");
        self.ends(status, &details, exhausted, false)
    }

    /// Whether a fault is one to try again, by the tables of §4.2 and §4.3, and after how long (§4.6).
    fn again(&self, fault: Fault) -> Again {
        let wanted = match (self.settings.retry_on, fault) {
            ("5xx", Fault::Status(status)) => (500..600).contains(&status),
            ("gateway-error", Fault::Status(status)) => (502..505).contains(&status),
            (_, Fault::Status(_)) => false,
            ("5xx" | "gateway-error" | "reset", _) => true,
            ("connect-failure", Fault::Refused | Fault::ConnectTimeout) => true,
            _ => false,
        };
        if !wanted || self.settings.retries == 0 {
            return Again::No { exhausted: false };
        }
        if self.retries == self.settings.retries {
            return Again::No { exhausted: true };
        }
        let nth = self.retries as u64 + 1;
        let window = (25 << (nth - 1)).min(250) * MS;
        let entropy = Entropy(self.settings.entropy).of_request(0);
        Again::After(entropy.draw(Draw::Backoff, nth) % window)
    }

    fn local_fault(&mut self, fault: Fault, status: u16) -> Outcome {
        self.local_failure(status);
        Outcome::Fault(fault)
    }

    /// §2.2: a failure that no response tells of.
    fn local_failure(&mut self, status: u16) {
        if self.settings.split {
            self.results[1].1 += 1;
            self.in_a_row[2] += 1;
        } else {
            self.external(status);
        }
    }

    fn external(&mut self, status: u16) {
        self.results[0].1 += 1;
        match status {
            502..=504 => {
                self.in_a_row[0] += 1;
                self.in_a_row[1] += 1;
            }
            500..=599 => self.in_a_row[0] += 1,
            _ => self.results[0].0 += 1,
        }
    }

    /// §8.1: flags in Envoy's order.
    fn ends(&self, status: u16, details: &str, exhausted: bool, cut: bool) -> Seen {
        let all = [
            (
                "UT",
                details == "response_timeout" || details == "upstream_per_try_timeout",
            ),
            (
                "UF",
                details.contains("connection_failure") || details.contains("connection_timeout"),
            ),
            ("UC", details.contains("connection_termination")),
            ("DI", self.delayed),
            ("FI", details == "fault_filter_abort"),
            ("URX", exhausted),
            ("UPE", details.contains("protocol_error")),
        ];
        let set: Vec<_> = all
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(flag, _)| flag)
            .collect();
        let is_aborted = details == "fault_filter_abort";
        Seen {
            end: End {
                status,
                flags: if set.is_empty() {
                    "-".to_owned()
                } else {
                    set.join(",")
                },
                details: details.to_owned(),
                attempts: if is_aborted { 0 } else { self.retries + 1 },
                at: Instant::from_nanos(self.now),
            },
            cut,
            told: Told {
                in_a_row: self.in_a_row,
                success_rates: self
                    .results
                    .map(|(good, all)| (all > 0).then(|| good as f64 * 100.0 / all as f64)),
            },
        }
    }
}
