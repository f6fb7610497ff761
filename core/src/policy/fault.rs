//! Fault injection (VirtualService `fault`, Envoy's fault filter): delay, then abort, each by its own roll.
//!
//! Faults come before the router, so an aborted request is never retried and a delay counts against no timeout. Where
//! requests may ask for faults, what they ask for takes the place of what the rule has (Envoy reference §6.1).

use http::StatusCode;

use crate::entropy::{Draw, Entropy};
use crate::message::Headers;
use crate::snapshot::{FaultAnswer, FaultPolicy, FaultsOnRequest, PerMillion};
use crate::time::Duration;

/// A fault that a request may get, and the number that was drawn for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll<T> {
    /// What it may get.
    pub what: T,
    /// Which share of requests gets it.
    pub share: PerMillion,
    /// The number drawn; it gets the fault when the share takes it in.
    pub drawn: u64,
}

impl<T> Roll<T> {
    /// What the request gets, if it gets it.
    fn hit(self) -> Option<T> {
        self.share.takes(self.drawn).then_some(self.what)
    }
}

/// How long the request waits first, if it does.
#[must_use]
pub fn delay(policy: &FaultPolicy, request: &Headers, entropy: Entropy) -> Option<Duration> {
    delay_roll(policy, request, entropy).and_then(Roll::hit)
}

/// The roll that decides it; `None` where there is no delay to get.
#[must_use]
pub fn delay_roll(
    policy: &FaultPolicy,
    request: &Headers,
    entropy: Entropy,
) -> Option<Roll<Duration>> {
    let asked = policy.on_request.and_then(|may| asked_delay(may, request));
    let (what, share) = match asked {
        Some(asked) => asked,
        None => policy.delay.map(|delay| (delay.duration, delay.share))?,
    };
    let drawn = entropy.draw(Draw::FaultDelay, 0);
    Some(Roll { what, share, drawn })
}

/// What the request is answered with instead of being forwarded, if it is.
#[must_use]
pub fn abort(policy: &FaultPolicy, request: &Headers, entropy: Entropy) -> Option<FaultAnswer> {
    abort_roll(policy, request, entropy).and_then(Roll::hit)
}

/// The roll that decides it; `None` where there is no abort to get.
#[must_use]
pub fn abort_roll(
    policy: &FaultPolicy,
    request: &Headers,
    entropy: Entropy,
) -> Option<Roll<FaultAnswer>> {
    let asked = policy.on_request.and_then(|may| asked_abort(may, request));
    let (what, share) = match asked {
        Some(asked) => asked,
        None => policy.abort.map(|abort| (abort.answer, abort.share))?,
    };
    let drawn = entropy.draw(Draw::FaultAbort, 0);
    Some(Roll { what, share, drawn })
}

/// A delay of at least a millisecond that a request asks for, and its share of such requests.
fn asked_delay(may: FaultsOnRequest, request: &Headers) -> Option<(Duration, PerMillion)> {
    let millis = number(request, b"x-envoy-fault-delay-request").filter(|millis| *millis > 0)?;
    let share = asked_share(
        request,
        b"x-envoy-fault-delay-request-percentage",
        may.delay,
    );
    Some((Duration::from_millis(millis), share))
}

/// A status that a request asks for; one of HTTP comes before one of gRPC.
fn asked_abort(may: FaultsOnRequest, request: &Headers) -> Option<(FaultAnswer, PerMillion)> {
    let http = || {
        let status = number(request, b"x-envoy-fault-abort-request")?;
        let status = u16::try_from(status)
            .ok()
            .filter(|s| (200..600).contains(s))?;
        StatusCode::from_u16(status).ok().map(FaultAnswer::Http)
    };
    let grpc = || {
        let code = number(request, b"x-envoy-fault-abort-grpc-request")?;
        u8::try_from(code).ok().map(FaultAnswer::Grpc)
    };
    let answer = http().or_else(grpc)?;
    let share = asked_share(
        request,
        b"x-envoy-fault-abort-request-percentage",
        may.abort,
    );
    Some((answer, share))
}

/// The percentage that a request asks for, within bounds.
fn asked_share(request: &Headers, name: &[u8], most: PerMillion) -> PerMillion {
    let percent = number(request, name).map(|percent| u32::try_from(percent).unwrap_or(u32::MAX));
    percent.map_or(most, |percent| {
        PerMillion::from_fraction(percent, 100).min(most)
    })
}

/// The value of the first field of a name, if it is a whole number.
fn number(request: &Headers, name: &[u8]) -> Option<u64> {
    let mut fields = request.iter();
    let value = fields.find(|field| field.name == name)?.value;
    let is_plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(value)
        .ok()
        .filter(|_| is_plain)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{FaultAbort, FaultDelay};

    fn policy(delay: f64, abort: f64) -> FaultPolicy {
        FaultPolicy {
            delay: Some(FaultDelay {
                duration: Duration::from_secs(1),
                share: PerMillion::from_percent(delay),
            }),
            abort: Some(FaultAbort {
                answer: FaultAnswer::Http(StatusCode::IM_A_TEAPOT),
                share: PerMillion::from_percent(abort),
            }),
            on_request: None,
        }
    }

    #[test]
    fn shares_hold_and_rolls_are_independent() {
        for (delayed, aborted) in [(0.0, 100.0), (100.0, 0.0), (50.0, 50.0), (30.0, 0.0001)] {
            let policy = policy(delayed, aborted);
            let all: Vec<_> = (0..20_000)
                .map(|n| {
                    let e = Entropy(n);
                    let none = Headers::default();
                    (
                        delay(&policy, &none, e).is_some(),
                        abort(&policy, &none, e).is_some(),
                    )
                })
                .collect();
            let share = |test: fn(&(bool, bool)) -> bool| {
                all.iter().filter(|both| test(both)).count() as f64 / all.len() as f64
            };
            let close = |got: f64, want: f64| (got - want).abs() < 0.02;
            assert!(close(share(|b| b.0), delayed / 100.0), "{delayed}");
            assert!(close(share(|b| b.1), aborted / 100.0), "{aborted}");
            let both = delayed * aborted / 10_000.0;
            assert!(close(share(|b| b.0 && b.1), both), "{delayed} {aborted}");
        }
        let none = Headers::default();
        assert_eq!(abort(&policy(0.0, 0.0), &none, Entropy(1)), None);
        assert_eq!(abort(&FaultPolicy::default(), &none, Entropy(1)), None);
    }

    #[test]
    fn percentages_keep_four_decimals() {
        for (percent, millionths) in [
            (0.0001, 1),
            (12.3456, 123_456),
            (100.0, 1_000_000),
            (150.0, 1_000_000),
        ] {
            assert_eq!(PerMillion::from_percent(percent).get(), millionths);
        }
    }

    fn asking(fields: &str) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields
            .split("; ")
            .filter_map(|field| field.split_once(": "))
        {
            let name = format!("x-envoy-fault-{name}");
            headers.append(name.as_bytes(), value.as_bytes()).unwrap();
        }
        headers
    }

    #[test]
    fn requests_ask_for_faults_where_they_may() {
        let may = FaultPolicy {
            on_request: Some(FaultsOnRequest {
                delay: PerMillion::ALL,
                abort: PerMillion::ALL,
            }),
            ..FaultPolicy::default()
        };
        let ms = |millis| Some(Duration::from_millis(millis));
        let http = |status| Some(FaultAnswer::Http(StatusCode::from_u16(status).unwrap()));
        for (fields, delayed, aborted) in [
            ("", None, None),
            ("delay-request: 200", ms(200), None),
            ("delay-request: 0", None, None),
            ("delay-request: -1", None, None),
            ("delay-request: +1", None, None),
            ("delay-request: 1s", None, None),
            ("delay-request: ", None, None),
            ("delay-request: 200; delay-request: 300", ms(200), None),
            ("delay-request: 9; delay-request-percentage: 0", None, None),
            (
                "delay-request: 9; delay-request-percentage: 100",
                ms(9),
                None,
            ),
            (
                "delay-request: 9; delay-request-percentage: 101",
                ms(9),
                None,
            ),
            ("delay-request: 9; delay-request-percentage: x", ms(9), None),
            ("delay-request-percentage: 100", None, None),
            ("abort-request: 200", None, http(200)),
            ("abort-request: 599", None, http(599)),
            ("abort-request: 199", None, None),
            ("abort-request: 600", None, None),
            ("abort-request: 65736", None, None),
            (
                "abort-request: 418; abort-request-percentage: 0",
                None,
                None,
            ),
            ("abort-grpc-request: 5", None, Some(FaultAnswer::Grpc(5))),
            ("abort-grpc-request: 50", None, Some(FaultAnswer::Grpc(50))),
            ("abort-grpc-request: 256", None, None),
            ("abort-grpc-request: 5; abort-request: 418", None, http(418)),
            (
                "abort-grpc-request: 5; abort-request: 0",
                None,
                Some(FaultAnswer::Grpc(5)),
            ),
            ("delay-request: 1; abort-request: 418", ms(1), http(418)),
        ] {
            let request = asking(fields);
            let entropy = Entropy(7);
            assert_eq!(delay(&may, &request, entropy), delayed, "{fields}");
            assert_eq!(abort(&may, &request, entropy), aborted, "{fields}");
            let never = FaultPolicy::default();
            assert_eq!(delay(&never, &request, entropy), None, "{fields}");
            assert_eq!(abort(&never, &request, entropy), None, "{fields}");
        }
    }

    #[test]
    fn what_is_asked_for_is_bounded_and_takes_the_place_of_the_rule() {
        let bounded = FaultPolicy {
            on_request: Some(FaultsOnRequest {
                delay: PerMillion::from_percent(30.0),
                abort: PerMillion::from_percent(0.0),
            }),
            ..policy(100.0, 100.0)
        };
        let request = asking("delay-request: 5; delay-request-percentage: 90; abort-request: 503");
        let fired = |n| delay(&bounded, &request, Entropy(n)) == Some(Duration::from_millis(5));
        let count = (0..10_000).filter(|n| fired(*n)).count();
        assert!(count.abs_diff(3_000) < 200, "{count}");
        assert_eq!(abort(&bounded, &request, Entropy(1)), None);
        let silent = Headers::default();
        let own = delay(&bounded, &silent, Entropy(1));
        assert_eq!(own, Some(Duration::from_secs(1)), "nothing asked for");
        assert!(abort(&bounded, &silent, Entropy(1)).is_some());
    }
}
