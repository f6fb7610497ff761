//! One request: which timer fires first, what is tried again, which faults are injected, what the client sees and what the
//! endpoint is blamed for (Envoy reference §2.2, §4.2 to §4.6, §5.1, §6.1).
//!
//! The request is lived through in virtual time against a scripted endpoint, and computed by the model.

mod model;

use std::sync::Arc;

use outrigger_core::cluster::{Detector, Origin};
use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::snapshot::{Action, Snapshot};
use outrigger_core::time::{Duration, Instant};
use proptest::prelude::*;

use crate::house::{End, House};
use model::{MS, Model};

/// Times are milliseconds but for the first; zero is none.
#[derive(Clone, Debug)]
struct Settings {
    /// Nanoseconds, as back-offs are.
    timeout: u64,
    per_try: u64,
    connect: u64,
    retries: usize,
    retry_on: &'static str,
    /// When the body is complete; zero: with the head.
    upload: u64,
    /// How long, and the share in millionths.
    delay: Option<(u64, u64)>,
    /// The status, and the share in millionths.
    abort: Option<(u16, u64)>,
    /// Whether failures that no response tells of are counted apart.
    split: bool,
    /// Of a timer and something else at the same instant, which one comes first.
    timer_first: bool,
    entropy: u64,
}

/// What the endpoint does with one attempt, each after so many milliseconds.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    connects: Option<(u64, Connects)>,
    answers: Option<(u64, Answers)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Connects {
    Well,
    Refused,
}

/// The connection closes after each.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    /// A head, and the body so much later.
    Whole {
        status: u16,
        body: u64,
    },
    /// A head, and so much later the end.
    Breaks {
        status: u16,
        after: u64,
    },
    Closes,
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Seen {
    end: End,
    /// The client's response was cut.
    cut: bool,
    told: Told,
}

/// What was counted for the endpoint: the errors of each consecutive detector (5xx, gateway, local origin), and the success
/// rates of its answers and of reaching it.
#[derive(Debug, PartialEq)]
struct Told {
    in_a_row: [u64; 3],
    success_rates: [Option<f64>; 2],
}

/// The next sweep is far away, and nobody is ever ejected: each error is found and refused.
const SWEEP: u64 = 3_000_000;

fn snapshot(settings: &Settings) -> Arc<Snapshot> {
    let Settings {
        connect,
        retry_on,
        split,
        ..
    } = settings;
    let timeout = match settings.timeout {
        0 => String::new(),
        ns => format!("timeout: {}ms, ", ns.div_ceil(MS)),
    };
    let per_try = match settings.per_try {
        0 => String::new(),
        ms => format!(", perTryTimeout: {ms}ms"),
    };
    let retries = match settings.retries {
        0 => "{attempts: 0}".to_owned(),
        n => format!("{{attempts: {n}, retryOn: {retry_on}{per_try}}}"),
    };
    let percent = |millionths: u64| millionths as f64 / 10_000.0;
    let delay = settings.delay.map(|(ms, share)| {
        format!(
            "delay: {{fixedDelay: {ms}ms, percentage: {{value: {}}}}}",
            percent(share)
        )
    });
    let abort = settings.abort.map(|(status, share)| {
        format!(
            "abort: {{httpStatus: {status}, percentage: {{value: {}}}}}",
            percent(share)
        )
    });
    let faults: Vec<_> = delay.into_iter().chain(abort).collect();
    let fault = if faults.is_empty() {
        String::new()
    } else {
        format!("fault: {{{}}}, ", faults.join(", "))
    };
    let local = if *split {
        "consecutiveLocalOriginFailures: 1"
    } else {
        ""
    };
    let mut snapshot = from_yaml(&format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec:
  hosts: [h.test]
  http: [{{{fault}{timeout}retries: {retries}, route: [{{destination: {{host: h.test}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: h
  annotations:
    outrigger.dev/failure-percentage-ejection: minimum_hosts=1, request_volume=1, enforcing=0
spec:
  host: h.test
  trafficPolicy:
    connectionPool: {{tcp: {{connectTimeout: {connect}ms}}}}
    outlierDetection:
      consecutive5xxErrors: 1
      consecutiveGatewayErrors: 1
      splitExternalLocalOriginErrors: {split}
      interval: {SWEEP}ms
      maxEjectionPercent: 1
      {local}
"
    ))
    .snapshot;
    // Only whole milliseconds can be written.
    if !settings.timeout.is_multiple_of(MS) {
        time_out_after(Duration::from_nanos(settings.timeout), &mut snapshot);
    }
    Arc::new(snapshot)
}

fn time_out_after(timeout: Duration, snapshot: &mut Snapshot) {
    let hosts = Arc::get_mut(&mut snapshot.virtual_hosts).expect("nobody else has it yet");
    for host in hosts {
        let mut rules = host.rules.to_vec();
        for rule in &mut rules {
            if let Action::Forward(forward) = Arc::make_mut(&mut rule.action) {
                forward.timeout = Some(timeout);
            }
        }
        host.rules = rules.into();
    }
}

/// What is still to come from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coming {
    Upload,
    Connected,
    Refused,
    Answer(Answers),
    Body,
    End,
}

/// A request on its way, and what is still to come, by the time.
struct Life<'a> {
    settings: &'a Settings,
    attempts: &'a [Attempt],
    house: House,
    coming: Vec<(u64, Coming)>,
    /// Attempts whose connection has been begun.
    begun: usize,
    complete: bool,
    was_attached: bool,
}

impl<'a> Life<'a> {
    fn begin(settings: &'a Settings, attempts: &'a [Attempt]) -> Self {
        let house = House::new(snapshot(settings), 1, Entropy(settings.entropy));
        let mut life = Self {
            settings,
            attempts,
            house,
            coming: Vec::new(),
            begun: 0,
            complete: settings.upload == 0,
            was_attached: false,
        };
        let head: &[u8] = if life.complete {
            b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"
        } else {
            life.coming.push((settings.upload * MS, Coming::Upload));
            b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\n"
        };
        life.house.client_sends(0, head);
        life
    }

    fn run(mut self) -> Seen {
        while self.house.clients[0].end.is_none() {
            self.follow();
            self.coming.sort_by_key(|(at, _)| *at);
            // Perhaps it is only a look, and nothing is due: that is nothing.
            let timer = self.house.worker.next_deadline().map(Instant::as_nanos);
            let timer_first = self.settings.timer_first;
            let is_timer = match (self.coming.first(), timer) {
                (Some((at, _)), Some(timer)) => timer < *at || (timer == *at && timer_first),
                (coming, _) => coming.is_none(),
            };
            if is_timer {
                let at = timer.expect("somebody loses patience");
                self.house.now = Instant::from_nanos(at);
                self.house.time();
            } else {
                let (at, what) = self.coming.remove(0);
                self.house.now = Instant::from_nanos(at);
                self.comes(what);
            }
        }
        self.seen()
    }

    /// What the endpoint will do, because of what has happened.
    fn follow(&mut self) {
        let client = &self.house.clients[0];
        let number = client.attempts;
        if !client.connecting && !client.attached {
            // What it would have done on a connection that is closed.
            self.coming.retain(|(_, what)| *what == Coming::Upload);
        }
        let Some(at) = number.checked_sub(1) else {
            return;
        };
        let attempt = self.attempts[at % self.attempts.len()];
        let now = self.house.now.as_nanos();
        if client.connecting && self.begun < number {
            self.begun = number;
            if let Some((after, connects)) = attempt.connects {
                let what = match connects {
                    Connects::Well => Coming::Connected,
                    Connects::Refused => Coming::Refused,
                };
                self.coming.push((now + after * MS, what));
            }
        }
        let is_attached = client.attached && self.complete;
        if is_attached
            && !self.was_attached
            && let Some((after, answers)) = attempt.answers
        {
            self.coming
                .push((now + after * MS, Coming::Answer(answers)));
        }
        self.was_attached = is_attached;
    }

    fn comes(&mut self, what: Coming) {
        let now = self.house.now.as_nanos();
        let house = &mut self.house;
        match what {
            Coming::Upload => {
                self.complete = true;
                house.client_sends(0, b"body");
            }
            Coming::Connected => house.connected(0),
            Coming::Refused => house.refused(0),
            Coming::Body => house.endpoint_sends(0, b"body"),
            Coming::End | Coming::Answer(Answers::Closes) => house.endpoint_closes(0),
            Coming::Answer(Answers::Whole { status, body }) => {
                let rest = if body == 0 { "body" } else { "" };
                if body > 0 {
                    self.coming.push((now + body * MS, Coming::Body));
                }
                house.endpoint_sends(0, &head(status, rest));
            }
            Coming::Answer(Answers::Breaks { status, after }) => {
                house.endpoint_sends(0, &head(status, "bo"));
                if after > 0 {
                    self.coming.push((now + after * MS, Coming::End));
                } else if self.house.clients[0].attached {
                    self.house.endpoint_closes(0);
                }
            }
        }
    }

    fn seen(&self) -> Seen {
        let client = &self.house.clients[0];
        let cluster = self.house.cluster();
        // One sweep is due: the first look at the cluster was a little after the beginning.
        cluster.sweep(Instant::from_millis(SWEEP + SWEEP / 2), Entropy(0));
        let host = &cluster.endpoints[0].state;
        let tally = cluster.state.tally();
        let in_a_row = [
            Detector::Consecutive5xx,
            Detector::ConsecutiveGateway,
            Detector::ConsecutiveLocalOrigin,
        ];
        Seen {
            end: client.end.clone().expect("it has ended"),
            cut: client.is_cut_short(),
            told: Told {
                in_a_row: in_a_row.map(|detector| tally.detected(detector)),
                success_rates: [Origin::External, Origin::Local].map(|of| host.success_rate(of)),
            },
        }
    }
}

fn head(status: u16, rest: &str) -> Vec<u8> {
    let head = "Connection: close\r\nContent-Length: 4\r\n\r\n";
    format!("HTTP/1.1 {status} X\r\n{head}{rest}").into_bytes()
}

/// Few enough numbers that things often happen at the same instant.
fn any_time(most: u64) -> impl Strategy<Value = u64> {
    (0..=most / 6).prop_map(|sixes| sixes * 6)
}

/// Never, always, or something between; in millionths.
fn any_share() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1_000_000), 1u64..1_000_000]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let upload = prop_oneof![2 => Just(0u64), 1 => any_time(30)];
    let timeout = prop_oneof![4 => any_time(60), 1 => Just(2000)];
    let times = (timeout, any_time(40), any_time(30), upload);
    let retry_on = prop::sample::select(vec!["5xx", "gateway-error", "connect-failure", "reset"]);
    let retries = prop_oneof![4 => 0usize..4, 1 => 4usize..9];
    let limits = (retries, retry_on);
    let delay = prop::option::weighted(0.2, (any_time(30).prop_map(|ms| ms + 6), any_share()));
    let abort = prop::option::weighted(0.2, (prop::sample::select(vec![400u16, 503]), any_share()));
    let dice = (any::<bool>(), any::<bool>(), any::<u64>());
    (times, limits, (delay, abort), dice).prop_map(|(times, limits, faults, dice)| Settings {
        timeout: times.0 * MS,
        per_try: times.1,
        connect: times.2 + 6,
        upload: times.3,
        retries: limits.0,
        retry_on: limits.1,
        delay: faults.0,
        abort: faults.1,
        split: dice.0,
        timer_first: dice.1,
        entropy: dice.2,
    })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let connects = prop_oneof![4 => Just(Connects::Well), 1 => Just(Connects::Refused)];
    let status = || prop::sample::select(vec![200u16, 404, 500, 503, 504]);
    let answers = prop_oneof![
        6 => (status(), any_time(20)).prop_map(|(status, body)| Answers::Whole { status, body }),
        1 => (status(), any_time(20)).prop_map(|(status, after)| Answers::Breaks { status, after }),
        1 => Just(Answers::Closes),
    ];
    let connects = prop::option::weighted(0.9, (any_time(30), connects));
    let answers = prop::option::weighted(0.8, (any_time(40), answers));
    (connects, answers).prop_map(|(connects, answers)| Attempt { connects, answers })
}

/// An endpoint that never answers needs somebody who loses patience.
fn ends(settings: &Settings, attempts: &[Attempt]) -> bool {
    settings.timeout > 0
        || settings.per_try > 0 && settings.retries > 0
        || attempts.iter().all(|attempt| attempt.answers.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn ends_as_the_model_says(
        settings in any_settings(),
        attempts in prop::collection::vec(any_attempt(), 1..4),
    ) {
        prop_assume!(ends(&settings, &attempts));
        let want = Model::new(&settings, &attempts).run();
        prop_assert_eq!(Life::begin(&settings, &attempts).run(), want);
    }

    /// The whole request's time runs out at the very instant of another timer, be it the end of a back-off.
    #[test]
    fn of_timers_of_one_instant_the_models_first_counts(
        mut settings in any_settings(),
        attempts in prop::collection::vec(any_attempt(), 1..4),
        which in any::<prop::sample::Index>(),
    ) {
        settings.timeout = 0;
        if !ends(&settings, &attempts) {
            settings.timeout = 2000 * MS;
        }
        let timeouts = Model::new(&settings, &attempts).timeouts_that_tie();
        prop_assume!(!timeouts.is_empty());
        settings.timeout = timeouts[which.index(timeouts.len())];
        let want = Model::new(&settings, &attempts).run();
        prop_assert_eq!(Life::begin(&settings, &attempts).run(), want);
    }
}
