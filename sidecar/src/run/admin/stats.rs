//! `/stats` and `/stats/prometheus`: what is counted, under Envoy's and Istio's names.
//!
//! Owns what may be asked and the order in which it is gathered. Adding up is the business of those who count; it happens on
//! the thread of the admin endpoints, and no worker waits for it.

mod balancing;
mod clusters;
mod control_plane;
mod identity;
mod listeners;
mod ourselves;
mod overload;
mod protocols;
mod requests;

use std::time::Instant;

use hyper::header::{ACCEPT, HeaderMap};
use outrigger_core::snapshot::Snapshot;
use outrigger_runtime::Handle;
use outrigger_telemetry::exposition::{Form, Keep, Page, Sheet};
use outrigger_telemetry::metrics::Collected;
use regex::Regex;

use super::answer::{self, Answer};
use super::clusters::sweep;
use super::parameters::Parameters;
use super::{Sources, connections};
use crate::run::discovery::Inbox;

/// The cluster of hosts that no service has.
const PASSTHROUGH: &str = "PassthroughCluster";

/// Longer expressions are refused.
const LONGEST_FILTER: usize = 1024;

/// Everything that is counted now, as far as it is asked for.
///
/// # Errors
/// What is wrong with a parameter.
pub(super) fn answer(
    sources: &Sources,
    admin: &connections::Counts,
    parameters: &Parameters,
    form: Form,
) -> Result<Answer, String> {
    let (form, sheet) = asked(parameters, form)?;
    Ok(answer::page(
        form.content_type(),
        page(sources, admin, sheet),
    ))
}

/// The form of a page, and what it is to hold.
fn asked(parameters: &Parameters, form: Form) -> Result<(Form, Sheet), String> {
    let form = parameters.get("format").map_or(Ok(form), self::form)?;
    let keep = parameters.get("filter").map(keep).transpose()?;
    let sheet = Sheet::new(form, keep, parameters.flag("usedonly")?);
    Ok((form, sheet))
}

/// Everything, as Prometheus reads text.
pub(super) fn prometheus(sources: &Sources, admin: &connections::Counts) -> Page {
    page(sources, admin, Sheet::new(Form::Prometheus, None, false))
}

/// What is counted before there is anything to serve by.
pub(super) struct Early<'a> {
    pub(super) started: Instant,
    /// A control plane that a first configuration is to come from.
    pub(super) discovered: Option<&'a Inbox>,
    pub(super) admin: &'a connections::Counts,
}

/// The same as [`answer()`] of that.
///
/// # Errors
/// What is wrong with a parameter.
pub(super) fn answer_early(
    early: &Early<'_>,
    parameters: &Parameters,
    form: Form,
) -> Result<Answer, String> {
    let (form, sheet) = asked(parameters, form)?;
    Ok(answer::page(form.content_type(), early_page(early, sheet)))
}

/// The same as [`prometheus()`] of that.
pub(super) fn prometheus_early(early: &Early<'_>) -> Page {
    early_page(early, Sheet::new(Form::Prometheus, None, false))
}

fn early_page(early: &Early<'_>, mut sheet: Sheet) -> Page {
    ourselves::add_early(&mut sheet, early.started);
    control_plane::add(&mut sheet, early.discovered);
    ourselves::add_admin(&mut sheet, early.admin);
    sheet.finish()
}

/// What Prometheus gets. It takes OpenMetrics too and likes that better, but then bounds of buckets are called `1000.0` and
/// not `1000`, as dashboards for Istio ask: who takes text by name gets text, however little he likes it.
pub(super) fn prometheus_form(headers: &HeaderMap) -> Form {
    let accepts = headers.get_all(ACCEPT).iter();
    let accepts: Vec<_> = accepts.filter_map(|value| value.to_str().ok()).collect();
    let takes = |kind: &str| accepts.iter().any(|accepts| takes(accepts, kind));
    match takes("application/openmetrics-text") && !takes("text/plain") {
        true => Form::OpenMetrics,
        false => Form::Prometheus,
    }
}

/// Whether an `accept` names a kind, in whatever version, and not to say that it is not taken (`q=0`, RFC 9110 §12.4.2).
fn takes(accepts: &str, kind: &str) -> bool {
    accepts.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(kind));
        let quality =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let is_none = |quality: &str| quality.parse::<f64>().is_ok_and(|quality| quality <= 0.0);
        is_named && !quality.is_some_and(is_none)
    })
}

fn form(name: &str) -> Result<Form, String> {
    Ok(match name {
        "text" => Form::Text,
        "json" => Form::Json,
        "prometheus" => Form::Prometheus,
        "openmetrics" => Form::OpenMetrics,
        _ => {
            let name = name.escape_debug();
            return Err(format!(
                "no format `{name}`; there are text, json, prometheus, openmetrics"
            ));
        }
    })
}

/// Names in which the expression matches somewhere, as in Envoy.
fn keep(expression: &str) -> Result<Keep, String> {
    if expression.len() > LONGEST_FILTER {
        return Err(format!("`filter` is longer than {LONGEST_FILTER} bytes"));
    }
    let regex = Regex::new(expression).map_err(|error| format!("`filter`: {error}"))?;
    Ok(Box::new(move |name| regex.is_match(name)))
}

fn page(sources: &Sources, admin: &connections::Counts, mut sheet: Sheet) -> Page {
    let handle = &sources.handle;
    let (stats, snapshot) = (handle.stats(), handle.snapshot());
    sources.telemetry.end_idle_series(handle.now());
    let collected = sources.telemetry.collect(&snapshot);
    for listener in &stats.listeners {
        let prefix = super::about::direction(listener.kind);
        let requests = collected.listeners.get(listener.at);
        listeners::add(&mut sheet, prefix, listener, requests);
    }
    listeners::add_all(&mut sheet, &stats.listeners, &sources.listeners);
    add_clusters(&mut sheet, handle, &snapshot, &collected);
    for (name, requests) in &collected.routes {
        listeners::add_route(&mut sheet, name, requests);
    }
    listeners::add_rate_limits(&mut sheet, &snapshot.rate_limits);
    if let Some(auth) = &snapshot.request_authentication {
        listeners::add_tokens(&mut sheet, auth);
    }
    ourselves::add(&mut sheet, sources, &stats, &collected);
    protocols::add(&mut sheet, &stats);
    overload::add(&mut sheet, &sources.overload.found(), &stats);
    ourselves::add_admin(&mut sheet, admin);
    requests::add(&mut sheet, &collected);
    sheet.finish()
}

fn add_clusters(sheet: &mut Sheet, handle: &Handle, snapshot: &Snapshot, collected: &Collected) {
    for cluster in snapshot.clusters.iter() {
        sweep(cluster, handle.now());
        clusters::add(sheet, cluster, collected.clusters.get(&*cluster.name));
    }
    if let Some(requests) = collected.clusters.get(PASSTHROUGH) {
        clusters::add_passthrough(sheet, PASSTHROUGH, requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_text_by_name_gets_text() {
        for (accept, want) in [
            ("", Form::Prometheus),
            ("*/*", Form::Prometheus),
            // Prometheus 2.42, and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Form::Prometheus,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Form::Prometheus,
            ),
            (
                "application/openmetrics-text; version=1.0.0",
                Form::OpenMetrics,
            ),
            ("Application/OpenMetrics-Text, */*;q=0.1", Form::OpenMetrics),
            (
                "application/openmetrics-text, text/plain; q=0",
                Form::OpenMetrics,
            ),
            (
                "application/openmetrics-text;q=0.0, text/html",
                Form::Prometheus,
            ),
            ("application/openmetrics-text-not", Form::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prometheus_form(&headers), want, "{accept}");
        }
    }

    #[test]
    fn what_may_be_asked_is_known() {
        for (name, want) in [("text", Form::Text), ("prometheus", Form::Prometheus)] {
            assert_eq!(form(name), Ok(want));
        }
        assert!(form("html").unwrap_err().contains("no format `html`"));
        let error = keep("(").err().unwrap();
        assert!(error.contains("`filter`: regex parse error"), "{error}");
        let keep = keep("rq_(timeout|5xx)$").unwrap();
        let wanted = [
            "cluster.a.upstream_rq_timeout",
            "cluster.a.upstream_rq_time",
        ];
        assert_eq!(wanted.map(keep), [true, false]);
    }
}
