//! Values that Istio's grammar does not have: shares, rates, distributions, places.

use std::collections::BTreeMap;

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::scalar;
use outrigger_core::config::value::{parse_duration, quoted};
use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::{Duration, Instant};

use crate::load::{Ask, Latency};

/// More requests a second than this are a slip of the pen.
const MOST_RATE: f64 = 10_000_000.0;

/// A share of a hundred, `2.5%`, as a number from 0 to 1.
pub(super) fn parse_share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// A share: `30%`.
pub(super) fn share(o: &mut Object<'_, '_>, name: &'static str) -> Option<PerMillion> {
    o.read(name, |report, node| {
        let text = scalar::string(report, node)?;
        let share = parse_share(&text);
        if share.is_none() {
            let message = format!("{} is not a share", quoted(&text));
            report.raise(Code::InvalidPercent, message, "write `0%` to `100%`");
        }
        share.map(|share| PerMillion::from_percent(100.0 * share))
    })
    .flatten()
}

/// A rate: `100/s`, `90/m`, or a number a second.
pub(super) fn rate(report: &mut Report, node: &Node) -> Option<f64> {
    let text = node.text().unwrap_or_default();
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => ("", 1.0),
    };
    let rate = number.trim().parse::<f64>().map(|n| n / seconds).ok();
    let rate = rate.filter(|rate| (0.0..=MOST_RATE).contains(rate));
    if rate.is_none() {
        let message = format!("{} is not a rate", quoted(text));
        report.raise(
            Code::InvalidNumber,
            message,
            "write `100/s`, `90/m` or `10/h`",
        );
    }
    rate
}

/// A moment: a time since the beginning.
pub(super) fn moment(o: &mut Object<'_, '_>, name: &'static str) -> Option<Instant> {
    o.duration(name).map(|time| Instant::ZERO + time)
}

/// A time or a distribution of times: `5ms`, `{median: 5ms, p99: 40ms}`, `{mean: 5ms}` or `{from: 1ms, to: 9ms}`.
pub(super) fn latency(report: &mut Report, node: &Node) -> Option<Latency> {
    const HELP: &str =
        "write `5ms`, `{median: 5ms, p99: 40ms}`, `{mean: 5ms}` or `{from: 1ms, to: 9ms}`";
    let Value::Map(_) = node.value else {
        if let Some(time) = node.text().and_then(|text| parse_duration(text).ok()) {
            return Some(Latency::Fixed(time));
        }
        let message = format!("{} is no time", quoted(node.text().unwrap_or("a list")));
        report.raise(Code::InvalidDuration, message, HELP);
        return None;
    };
    object(report, node, |o| {
        let [median, p99, mean] = ["median", "p99", "mean"].map(|name| o.duration(name));
        let [from, to] = ["from", "to"].map(|name| o.duration(name));
        match (median, p99, mean, from, to) {
            (Some(median), Some(p99), None, None, None) if !median.is_zero() && median <= p99 => {
                Some(Latency::LogNormal { median, p99 })
            }
            (None, None, Some(mean), None, None) => Some(Latency::Exponential(mean)),
            (None, None, None, Some(from), Some(to)) if from <= to => {
                Some(Latency::Uniform(from, to))
            }
            _ => {
                let message = "this is no distribution of times";
                o.report().raise(Code::InvalidDuration, message, HELP);
                None
            }
        }
    })
}

/// How far apart: a time that must be there and above zero, told when it is not.
pub(super) fn patience(o: &mut Object<'_, '_>) -> Option<Duration> {
    let patience = o.duration("patience");
    if patience.is_some_and(|time| time.is_zero()) {
        let message = "nobody is that impatient";
        let help = "leave it out to wait for ever";
        o.report()
            .raise_in("patience", Code::InvalidDuration, message, help);
    }
    patience
}

/// `region/zone/subzone`, of which the last parts may be missing.
pub(super) fn locality(o: &mut Object<'_, '_>) -> String {
    let text = o.string("locality");
    let mut parts = text.split('/');
    let is_fine = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !text.is_empty() && (text.split('/').count() > 3 || !parts.all(is_fine)) {
        let message = format!("{} is not a locality", quoted(&text));
        let help = "write `region/zone` or `region/zone/subzone`";
        o.report()
            .raise_in("locality", Code::InvalidLocality, message, help);
        return String::new();
    }
    text
}

/// `labels`, and `version`, which is one of them.
pub(super) fn labels(o: &mut Object<'_, '_>) -> BTreeMap<String, String> {
    let mut labels = o.string_map("labels");
    if let Some(version) = o.optional_string("version") {
        labels.insert("version".to_owned(), version);
    }
    let is_fine = |text: &str, more: &[u8]| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b) || more.contains(&b);
        text.bytes().all(fine) && text.len() <= 253
    };
    for (key, value) in &labels {
        if key.is_empty() || !is_fine(key, b"/") || !is_fine(value, b"") {
            let message = format!("{} is not a label", quoted(&format!("{key}={value}")));
            let help = "use letters, digits, `-`, `_` and `.`";
            o.report().raise(Code::InvalidLabel, message, help);
        }
    }
    labels
}

/// What is asked for: `path`, `method`, `headers`.
pub(super) fn ask(o: &mut Object<'_, '_>, host: &str) -> Ask {
    let path = o.optional_string("path").unwrap_or_else(|| "/".to_owned());
    let method = o
        .optional_string("method")
        .unwrap_or_else(|| "GET".to_owned());
    let headers = o.string_map("headers");
    let body = o.integer::<u32>("body") as usize;
    let is_plain = |b: u8| (b' '..=b'~').contains(&b);
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| is_plain(b) && b != b' ');
    if !path.starts_with('/') || !is_word(&path) {
        let help = "a path begins with `/` and has no blanks";
        let message = format!("{} is not a path", quoted(&path));
        o.report()
            .raise_in("path", Code::InvalidMatch, message, help);
    }
    if !method.bytes().all(|b| b.is_ascii_alphabetic()) || method == "CONNECT" {
        let message = format!("{} is not a method that is asked by", quoted(&method));
        o.report()
            .raise_in("method", Code::InvalidEnum, message, "");
    }
    for (name, value) in &headers {
        let is_name = is_word(name) && !name.contains([':', '"', '(', ')', ',', '/']);
        if !is_name || !value.bytes().all(is_plain) {
            let message = format!("{} is not a header", quoted(&format!("{name}: {value}")));
            o.report()
                .raise_in("headers", Code::InvalidHeaderName, message, "");
        }
    }
    Ask {
        method,
        path,
        body,
        headers: headers.into_iter().collect(),
        ..Ask::get(host)
    }
}
