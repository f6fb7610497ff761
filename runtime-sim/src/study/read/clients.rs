//! Who asks, how often, and for how long.

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::value::quoted;
use outrigger_core::time::{Duration, Instant};

use super::values;
use super::{named, service_named};
use crate::load::{Latency, RateWindow, Spacing};
use crate::study::scenario::{Clients, Load};

const SPACINGS: &[(&str, i32, Spacing)] = &[
    ("poisson", 0, Spacing::Poisson),
    ("steady", 1, Spacing::Steady),
];

const HELP: &str = "name who asks: `clients: {users: {asks: recommendation, rate: 100/s}}`";

/// More users at the same time are a slip of the pen.
const MOST_USERS: u32 = 1_000_000;

pub(super) fn read(o: &mut Object<'_, '_>, services: &[&str], duration: Duration) -> Vec<Clients> {
    named(o, "clients", HELP, |report, entry| {
        let name = &*entry.key.text;
        if services.contains(&name) {
            let message = format!("{} is a service, too", quoted(name));
            let help = "give clients a name of their own";
            report.raise_at(entry.at, Code::InvalidName, message, help);
        }
        object(report, &entry.value, |o| {
            clients(o, name, services, duration)
        })
    })
}

fn clients(o: &mut Object<'_, '_>, name: &str, services: &[&str], duration: Duration) -> Clients {
    let asks = o.string("asks");
    let ask = |report: &mut Report| service_named(report, services, &asks);
    let service = o.report().field("asks", ask).unwrap_or_default();
    let from = values::moment(o, "from").unwrap_or(Instant::ZERO);
    let end = Instant::ZERO + duration;
    let until = values::moment(o, "until").unwrap_or(end).min(end);
    if from >= until {
        let help = "`from` must be before `until` and within the duration";
        let message = "these clients never ask";
        o.report()
            .raise_in("from", Code::InvalidDuration, message, help);
    }
    Clients {
        name: name.to_owned(),
        service,
        ask: values::ask(o, &asks),
        load: load(o, from, until),
        patience: values::patience(o),
        until,
        locality: values::locality(o),
        labels: values::labels(o),
    }
}

fn load(o: &mut Object<'_, '_>, from: Instant, until: Instant) -> Load {
    const BOTH: &str = "write `users: 20` for a closed loop or `rate: 100/s` for an open one";
    o.one_of(&["users", "rate"]);
    let users = o.optional_integer::<u32>("users");
    let rate = o.read("rate", values::rate).flatten();
    let has_rate = o.node().field("rate").is_some();
    if let Some(count) = users {
        if count == 0 || count > MOST_USERS {
            let help = format!("write 1 to {MOST_USERS}");
            o.report()
                .raise_in("users", Code::InvalidNumber, format!("{count} users"), help);
        }
        if from > Instant::ZERO {
            let help = "leave it out, or use `rate`";
            let message = "users are there from the beginning";
            o.report().raise_in("from", Code::OneOf, message, help);
        }
        return Load::Users {
            count,
            requests: o.optional_integer("requests").unwrap_or(u64::MAX),
            think: o
                .read("think", values::latency)
                .flatten()
                .unwrap_or(Latency::ZERO),
        };
    }
    if !has_rate {
        o.report().raise(
            Code::RequiredField,
            "it is not said how often they ask",
            BOTH,
        );
    }
    let mut windows = vec![RateWindow {
        from,
        until,
        rate: rate.unwrap_or(1.0),
    }];
    windows.extend(o.messages("bursts", |o| burst(o, from, until)));
    Load::Rate {
        windows,
        spacing: o.symbol("arrivals", SPACINGS).unwrap_or(Spacing::Poisson),
    }
}

fn burst(o: &mut Object<'_, '_>, from: Instant, until: Instant) -> RateWindow {
    let window = RateWindow {
        from: values::moment(o, "from").unwrap_or(from).max(from),
        until: values::moment(o, "until").unwrap_or(until).min(until),
        rate: o.read("rate", values::rate).flatten().unwrap_or_default(),
    };
    if o.node().field("rate").is_none() || window.from >= window.until {
        let message = "this is no burst";
        let help =
            "write `{from: 10s, until: 20s, rate: 500/s}`, within the time these clients ask";
        o.report().raise(Code::RequiredField, message, help);
    }
    window
}
