//! Load balancer settings.

use std::collections::BTreeSet;

use super::locality;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::destination_rule::{
    ConsistentHash, HashKey, HashRing, HttpCookie, LoadBalancerPolicy, LoadBalancerSettings,
    SimpleLb, WarmupConfiguration,
};
use crate::config::header_name;
use crate::config::report::Report;
use crate::config::value::quoted;
use crate::message::is_token_byte;
use crate::snapshot::{MAX_RING_SIZE, MatchedField};

/// Maglev tables are smaller than this.
const MAX_MAGLEV: u64 = 5_000_011;

/// Checks `loadBalancer`; the report stands at it.
pub(super) fn check(balancer: &LoadBalancerSettings, ejects: bool, report: &mut Report) {
    if let Some(LoadBalancerPolicy::ConsistentHash(hash)) = &balancer.policy {
        report.field("consistentHash", |report| check_hash(hash, report));
    }
    if let Some(setting) = &balancer.locality_lb_setting {
        report.field("localityLbSetting", |report| {
            locality::check(setting, ejects, report);
        });
    }
    if let Some(setting) = &balancer.zone_aware_lb_setting {
        report.field("zoneAwareLbSetting", |report| {
            locality::check_zone_aware(setting, report);
        });
        if balancer.locality_lb_setting.is_some() {
            report.raise(
                Code::InvalidLocality,
                "`localityLbSetting` and `zoneAwareLbSetting` exclude each other",
                "keep one of them",
            );
        }
    }
    checks::duration_in("warmupDurationSecs", balancer.warmup_duration_secs, report);
    if let Some(warmup) = &balancer.warmup {
        report.field("warmup", |report| check_warmup(warmup, report));
    }
    check_warmup_works(balancer, report);
}

/// Slow start is a matter of weights (Envoy has it for these two).
fn check_warmup_works(balancer: &LoadBalancerSettings, report: &mut Report) {
    let field = match (&balancer.warmup, balancer.warmup_duration_secs) {
        (Some(_), _) => "warmup",
        (None, Some(_)) => "warmupDurationSecs",
        (None, None) => return,
    };
    let goes_by_weight = match &balancer.policy {
        None => true,
        Some(LoadBalancerPolicy::ConsistentHash(_)) => false,
        Some(LoadBalancerPolicy::Simple(simple)) => match simple {
            SimpleLb::Random | SimpleLb::Passthrough => false,
            SimpleLb::Unspecified
            | SimpleLb::LeastConn
            | SimpleLb::RoundRobin
            | SimpleLb::LeastRequest => true,
        },
    };
    if !goes_by_weight {
        report.raise_in(
            field,
            Code::WarmupWithoutEffect,
            "endpoints warm up with ROUND_ROBIN and LEAST_REQUEST only",
            "use one of them, or remove the warm-up",
        );
    }
}

fn check_warmup(warmup: &WarmupConfiguration, report: &mut Report) {
    if warmup.duration.is_none() {
        report.raise(Code::RequiredField, "`duration` is missing", "");
    }
    checks::duration_in("duration", warmup.duration, report);
    if let Some(percent) = warmup.minimum_percent
        && !(0.0..=100.0).contains(&percent)
    {
        let message = format!("`{percent}` percent is not between 0 and 100");
        report.raise_in("minimumPercent", Code::InvalidLoadBalancer, message, "");
    }
    if let Some(aggression) = warmup.aggression
        && aggression <= 0.0
    {
        let message = format!("aggression `{aggression}` is not above 0");
        report.raise_in(
            "aggression",
            Code::InvalidLoadBalancer,
            message,
            "1 is linear",
        );
    }
}

fn check_hash(hash: &ConsistentHash, report: &mut Report) {
    match &hash.key {
        Some(HashKey::HeaderName(name)) => {
            report.field("httpHeaderName", |report| check_header(name, report));
        }
        Some(HashKey::Cookie(cookie)) => {
            report.field("httpCookie", |report| check_cookie(cookie, report));
        }
        Some(HashKey::QueryParameterName(name)) if name.is_empty() => {
            let message = "the name of the query parameter is empty";
            report.raise_in(
                "httpQueryParameterName",
                Code::InvalidLoadBalancer,
                message,
                "",
            );
        }
        Some(HashKey::SourceIp(true) | HashKey::QueryParameterName(_)) => {}
        Some(HashKey::SourceIp(false)) | None => report.raise(
            Code::HashOfNothing,
            "nothing is hashed, so every request goes to a random endpoint",
            "set `httpHeaderName`, `httpCookie`, `useSourceIp` or `httpQueryParameterName`",
        ),
    }
    if hash.ring.is_some() && hash.minimum_ring_size != 0 {
        report.raise_in(
            "minimumRingSize",
            Code::InvalidLoadBalancer,
            "`minimumRingSize` excludes `ringHash` and `maglev`",
            "set it in `ringHash`",
        );
    }
    match hash.ring {
        Some(HashRing::Maglev(Some(size))) => {
            report.field("maglev.tableSize", |report| check_maglev(size, report));
        }
        Some(HashRing::Ring(size)) => {
            report.field("ringHash.minimumRingSize", |report| {
                check_ring(size, report);
            });
        }
        Some(HashRing::Maglev(None)) | None => {
            let size = hash.minimum_ring_size;
            report.field("minimumRingSize", |report| check_ring(size, report));
        }
    }
}

fn check_header(name: &str, report: &mut Report) {
    header_name::matched(name, report);
    // What may be matched and is no field: the claims of a token, and the status of a response.
    let is_known = header_name::check_field_name(name).is_ok() || MatchedField::new(name).is_some();
    if !is_known && (header_name::is_claim(name) || name.starts_with(':')) {
        let message = format!("no request has a header {}", quoted(name));
        let help = "every request goes to a random endpoint: name a header field";
        report.raise(Code::HashOfNothing, message, help);
    }
}

fn check_ring(size: u64, report: &mut Report) {
    if size > MAX_RING_SIZE {
        let message = format!("ring size `{size}` is above {MAX_RING_SIZE}");
        report.raise(Code::InvalidLoadBalancer, message, "1024 is the default");
    }
}

fn check_maglev(size: u64, report: &mut Report) {
    let why = if size == 0 {
        "is zero"
    } else if size >= MAX_MAGLEV {
        "is not below 5000011"
    } else if !is_prime(size) {
        "is not a prime number"
    } else {
        return;
    };
    let message = format!("table size `{size}` {why}");
    report.raise(Code::InvalidLoadBalancer, message, "65537 is the default");
}

/// Trial division: `n` is below [`MAX_MAGLEV`].
fn is_prime(n: u64) -> bool {
    n > 1
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}

fn check_cookie(cookie: &HttpCookie, report: &mut Report) {
    if cookie.name.is_empty() {
        report.raise(Code::RequiredField, "`name` of the cookie is missing", "");
    } else if !cookie.name.bytes().all(is_token_byte) {
        let message = format!("{} is not the name of a cookie", quoted(&cookie.name));
        report.raise_in("name", Code::InvalidLoadBalancer, message, COOKIE_NAMES);
    }
    check_cookie_text("path", &cookie.path, report);
    let mut seen = BTreeSet::new();
    report.each("attributes", &cookie.attributes, |report, attribute| {
        if attribute.name.is_empty() {
            report.raise(
                Code::RequiredField,
                "`name` of the attribute is missing",
                "",
            );
        } else if !seen.insert(attribute.name.to_ascii_lowercase()) {
            let message = format!("cookie attribute {} stands twice", quoted(&attribute.name));
            report.raise_in("name", Code::InvalidLoadBalancer, message, "");
        } else if !attribute.name.bytes().all(is_token_byte) {
            let message = format!(
                "{} is not the name of an attribute",
                quoted(&attribute.name)
            );
            report.raise_in("name", Code::InvalidLoadBalancer, message, COOKIE_NAMES);
        }
        check_cookie_text("value", &attribute.value, report);
    });
    checks::duration_or_zero_in("ttl", cookie.ttl, report);
}

/// RFC 6265 §4.1.1; anything else would end the attribute or the field it is written into.
const COOKIE_NAMES: &str = "use letters, digits, `-`, `_` and `.`";

fn check_cookie_text(field: &str, text: &str, report: &mut Report) {
    if text
        .bytes()
        .any(|byte| !matches!(byte, b' '..=b'~') || byte == b';')
    {
        let message = format!(
            "{} has a semicolon or a character that no cookie has",
            quoted(text)
        );
        report.raise_in(field, Code::InvalidLoadBalancer, message, "");
    }
}
