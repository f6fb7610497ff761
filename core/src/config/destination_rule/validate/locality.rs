//! Where traffic goes by locality.

use crate::config::code::Code;
use crate::config::destination_rule::{
    LocalityDistribute, LocalityFailover, LocalityLbSetting, ZoneAwareLbSetting,
};
use crate::config::report::Report;
use crate::config::value::quoted;

/// Checks `localityLbSetting`; the report stands at it. `ejects`: the policy has outlier detection.
pub(in crate::config) fn check(setting: &LocalityLbSetting, ejects: bool, report: &mut Report) {
    let has_failover = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        report.raise(
            Code::InvalidLocality,
            "`distribute` and `failover` exclude each other",
            "keep one of them",
        );
    }
    if has_failover && !ejects {
        report.raise(
            Code::FailoverWithoutEjection,
            "without `outlierDetection` no endpoint fails, and nothing fails over",
            "add `outlierDetection` to this traffic policy",
        );
    }
    let sources: Vec<_> = setting
        .distribute
        .iter()
        .map(|entry| entry.from.as_str())
        .collect();
    report.each("distribute", &setting.distribute, |report, entry| {
        check_distribute(entry, report);
    });
    check_overlap(&sources, "distribute", report);
    report.each("failover", &setting.failover, |report, entry| {
        check_failover(entry, report);
    });
}

/// Checks `zoneAwareLbSetting`; the report stands at it.
pub(in crate::config) fn check_zone_aware(setting: &ZoneAwareLbSetting, report: &mut Report) {
    report.each("failover", &setting.failover, |report, failover| {
        check_failover(failover, report);
    });
}

fn check_distribute(entry: &LocalityDistribute, report: &mut Report) {
    check_locality(&entry.from, "from", report);
    let mut total = 0u64;
    report.field("to", |report| {
        for (locality, weight) in &entry.to {
            report.key(locality, |report| {
                check_shape(locality, report);
                if !(1..=100).contains(weight) {
                    let message = format!("weight `{weight}` is not between 1 and 100");
                    report.raise(Code::InvalidLocality, message, "");
                }
            });
            total += u64::from(*weight);
        }
        if total != 100 {
            let message = format!("the weights total {total}, not 100");
            report.raise(Code::InvalidLocality, message, "");
        }
    });
    let targets: Vec<_> = entry.to.keys().map(String::as_str).collect();
    check_overlap(&targets, "to", report);
}

fn check_locality(locality: &str, field: &str, report: &mut Report) {
    report.field(field, |report| check_shape(locality, report));
}

/// `region`, `region/zone` or `region/zone/subzone`, with `*` only at the end.
fn check_shape(locality: &str, report: &mut Report) {
    let parts: Vec<_> = locality.split('/').collect();
    let why = if locality.is_empty() {
        "is empty"
    } else if parts.len() > 3 {
        "has more than region, zone and subzone"
    } else if parts.iter().any(|part| part.is_empty()) {
        "has an empty part"
    } else if locality.matches('*').count() > usize::from(locality.ends_with('*')) {
        "may have one `*`, at its end"
    } else {
        return;
    };
    let message = format!("locality {} {why}", quoted(locality));
    report.raise(
        Code::InvalidLocality,
        message,
        "write `region/zone/subzone`",
    );
}

/// Tells localities of which one is part of another.
fn check_overlap(localities: &[&str], field: &str, report: &mut Report) {
    /// Comparing all with all must have a bound.
    const MAX_COMPARED: usize = 500;
    let base = |locality: &str| {
        locality
            .trim_end_matches('*')
            .trim_end_matches('/')
            .to_owned()
    };
    let bases: Vec<_> = localities
        .iter()
        .take(MAX_COMPARED)
        .map(|locality| base(locality))
        .collect();
    for (index, inner) in bases.iter().enumerate() {
        let contains = |outer: &str| {
            outer.is_empty()
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let other = bases.iter().enumerate().find(|(other, outer)| {
            *other != index && contains(outer) && (*outer != inner || *other < index)
        });
        if let Some((other, _)) = other {
            let message = format!(
                "locality {} overlaps {}",
                quoted(localities[index]),
                quoted(localities[other])
            );
            report.raise_in(field, Code::InvalidLocality, message, "");
        }
    }
}

/// Checks one entry of `failover`: from one region to another.
fn check_failover(failover: &LocalityFailover, report: &mut Report) {
    if failover.from == failover.to {
        let message = format!(
            "region {} can not fail over to itself",
            quoted(&failover.from)
        );
        report.raise(Code::InvalidLocality, message, "name another region");
    }
    for (field, region) in [("from", &failover.from), ("to", &failover.to)] {
        if region.contains('*') || region.contains('/') {
            let message = format!("{} is not a region", quoted(region));
            report.raise_in(
                field,
                Code::InvalidLocality,
                message,
                "name a region, without zone or `*`",
            );
        }
    }
}
