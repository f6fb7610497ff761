//! What goes wrong, where, and when.

use outrigger_core::config::code::Code;
use outrigger_core::config::decode::Object;
use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};

use super::values;
use super::{names, service_named};
use crate::load::Fault;
use crate::study::scenario::{PlannedFault, PlannedService};

const KINDS: [&str; 5] = ["slow", "fail", "crash", "cut", "hang"];

pub(super) fn read(
    o: &mut Object<'_, '_>,
    services: &[PlannedService],
    duration: Duration,
) -> Vec<PlannedFault> {
    o.messages("faults", |o| fault(o, services, Instant::ZERO + duration))
}

fn fault(o: &mut Object<'_, '_>, services: &[PlannedService], end: Instant) -> PlannedFault {
    let known = names(services);
    let service = o.optional_string("service").map(|name| {
        o.report()
            .field("service", |report| service_named(report, &known, &name))
    });
    let replica = o.optional_integer::<u32>("replica");
    let planned = PlannedFault {
        from: values::moment(o, "from").unwrap_or(Instant::ZERO),
        // One without an end lasts for what is under way at the end, too.
        until: values::moment(o, "until").unwrap_or(Instant::from_nanos(u64::MAX)),
        fault: kind(o),
        share: values::share(o, "share").unwrap_or(PerMillion::ALL),
        service: service.flatten(),
        labels: values::labels(o),
        replica: replica.map(|replica| replica as usize),
        locality: values::locality(o),
    };
    if planned.from >= planned.until || planned.from >= end {
        let help = "`from` must be before `until` and within the duration";
        let message = "this never happens";
        o.report()
            .raise_in("from", Code::InvalidDuration, message, help);
    }
    if service.is_none() && planned.locality.is_empty() {
        let help = "name a `service`, a `locality`, or both";
        let message = "it is not said where this happens";
        o.report().raise(Code::RequiredField, message, help);
    } else if service != Some(None) {
        tell_nobody(o, &planned, services);
    }
    planned
}

fn kind(o: &mut Object<'_, '_>) -> Fault {
    o.one_of(&KINDS);
    let slow = o.read("slow", values::latency).flatten();
    let fail = o.optional_integer::<u32>("fail");
    let [crash, cut, hang] = ["crash", "cut", "hang"].map(|name| o.boolean(name));
    if let Some(more) = slow {
        return Fault::Slow(more);
    }
    if let Some(status) = fail {
        if !(200..=599).contains(&status) {
            let message = format!("{status} is not the status of an answer");
            o.report()
                .raise_in("fail", Code::InvalidStatus, message, "write 200 to 599");
        }
        return Fault::Status(u16::try_from(status).unwrap_or(503));
    }
    if crash {
        return Fault::Refuse;
    }
    if cut {
        return Fault::Unreachable;
    }
    if !hang && !KINDS.iter().any(|kind| o.node().field(kind).is_some()) {
        let help = "write `slow: 3s`, `fail: 503`, `crash: true`, `cut: true` or `hang: true`";
        o.report()
            .raise(Code::RequiredField, "it is not said what goes wrong", help);
    }
    Fault::NeverAnswer
}

/// A fault that is nobody's would make a good day of a bad one.
fn tell_nobody(o: &mut Object<'_, '_>, planned: &PlannedFault, services: &[PlannedService]) {
    let hit = services.iter().enumerate().map(|(at, service)| {
        let groups = service
            .groups
            .iter()
            .filter(|group| planned.hits(at, group));
        groups.map(|group| group.count).sum::<usize>()
    });
    let most = hit.max().unwrap_or(0);
    if most == 0
        || planned
            .replica
            .is_some_and(|replica| replica == 0 || replica > most)
    {
        let message = "no replica is meant by this";
        let help =
            "compare `version`, `labels`, `locality` and `replica` (from 1) with the services";
        o.report().raise(Code::InvalidName, message, help);
    }
}
