//! What patches about rate limits hold: the filter that is inserted, and what routes say to filters.

use super::global_rate_limit::{self, GlobalPerRoute};
use super::local_rate_limit;
use super::typed_config::Message;
use super::{InsertedLimit, Level, LocalRateLimit, PerRoute, RouteLimits, descriptors};
use crate::config::code::Code;
use crate::config::decode::{Object, object, part};
use crate::config::node::Node;
use crate::config::report::Report;
use crate::config::spelling::snake_case;
use crate::config::value::quoted;

/// Tells a part of a patch that does nothing.
pub(super) fn unused(report: &mut Report, message: impl Into<String>, help: impl Into<String>) {
    report.raise(Code::PatchNotUsed, message, help);
}

/// What the filter that a patch inserts is.
pub(super) fn inserted(value: &Node) -> Option<Message> {
    let config = value.field("typedConfig")?;
    Message::of(&config.value)
}

/// What a route says for filters, by their names.
pub(super) fn per_filter(value: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let configs = value.field("typedPerFilterConfig");
    let entries = configs.map(|configs| configs.value.entries());
    let entries = entries.unwrap_or_default().iter();
    entries.map(|entry| (&*entry.key.text, &entry.value))
}

/// The filter that is inserted, with its name.
pub(super) fn filter(report: &mut Report, value: &Node) -> (String, InsertedLimit) {
    object(report, value, |o| {
        for field in ["disabled", "isOptional"] {
            if o.boolean(field) {
                let message = format!("`{field}` is not in effect");
                o.report().raise_in(field, Code::NotInEffect, message, "");
            }
        }
        let name = o.string("name");
        let limit = o.read("typedConfig", |report, config| match Message::of(config) {
            Some(Message::Global) => {
                let limit = Message::Global.read(report, config, global_rate_limit::read);
                global_rate_limit::check(&limit, report);
                InsertedLimit::Global(Box::new(limit))
            }
            Some(Message::Local | Message::GlobalPerRoute) | None => {
                let holder = local_rate_limit::Holder::Listener;
                InsertedLimit::Local(local(report, config, holder))
            }
        });
        let nothing = || InsertedLimit::Local(LocalRateLimit::default());
        (name, limit.unwrap_or_else(nothing))
    })
}

fn local(report: &mut Report, config: &Node, holder: local_rate_limit::Holder) -> LocalRateLimit {
    let limit = Message::Local.read(report, config, local_rate_limit::read);
    local_rate_limit::check(&limit, holder, report);
    limit
}

/// What a patch merges into routes: what they say to filters, by their names, and what their requests are described by.
/// Everything else is told.
pub(super) fn overrides(report: &mut Report, level: Level, value: &Node) -> RouteLimits {
    let mut said = RouteLimits::default();
    part(report, value, |o| {
        o.read("typedPerFilterConfig", |report, configs| {
            for entry in configs.entries() {
                let name = &*entry.key.text;
                report.key(name, |report| {
                    if let Some(limit) = per_route(report, &entry.value) {
                        said.filters.push((name.to_owned(), limit));
                    }
                });
            }
        });
        let read: &[&str] = match level {
            Level::Configuration => &["typedPerFilterConfig"],
            Level::VirtualHost => {
                said.rate_limits = descriptors::rate_limits(o);
                &["typedPerFilterConfig", "rateLimits"]
            }
            Level::Route => {
                o.read("route", |report, route| {
                    part(report, route, |o| {
                        said.rate_limits = descriptors::rate_limits(o);
                        said.includes_host = o.boolean("includeVhRateLimits");
                        tell_others(o, &["rateLimits", "includeVhRateLimits"]);
                    });
                });
                &["typedPerFilterConfig", "route"]
            }
        };
        tell_others(o, read);
    });
    said
}

/// What a route says to one filter; `None` for what is not used, which is told.
fn per_route(report: &mut Report, config: &Node) -> Option<PerRoute> {
    match Message::of(config) {
        Some(Message::Local) => {
            let limit = local(report, config, local_rate_limit::Holder::Route);
            Some(PerRoute::Local(limit))
        }
        Some(Message::GlobalPerRoute) => {
            let read = global_rate_limit::read_per_route;
            let said: GlobalPerRoute = Message::GlobalPerRoute.read(report, config, read);
            Some(PerRoute::Global(said))
        }
        Some(Message::Global) | None => {
            unused(report, "this part of the patch is not used", "");
            None
        }
    }
}

/// What a patch changes besides.
fn tell_others(o: &mut Object<'_, '_>, read: &[&str]) {
    let is_read = |key: &str| {
        read.iter()
            .any(|name| *name == key || snake_case(name) == key)
    };
    let node = o.node();
    for entry in node.entries().iter().filter(|e| !is_read(&e.key.text)) {
        let key = &*entry.key.text;
        o.report().key_or_field(key, |report| {
            let message = format!("of this patch {} is not used", quoted(key));
            unused(report, message, "");
        });
    }
}
