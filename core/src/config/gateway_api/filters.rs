//! Filters of rules and backends: what changes on the way, and what is answered instead.

use super::backends::{self, Backend};
use super::headers;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::virtual_service::{
    ApiKind, CorsPolicy, DerivePort, Headers, HttpRedirect, Percent, RedirectPort, StringMatch,
    UnmatchedPreflights,
};
use crate::time::Duration;

/// What the filters of a rule say.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) headers: Headers,
    pub(super) redirect: Option<(HttpRedirect, Option<NewPath>)>,
    pub(super) authority: String,
    pub(super) path: Option<NewPath>,
    pub(super) mirrors: Vec<(Backend, Percent)>,
    pub(super) cors: Option<CorsPolicy>,
    /// One is not understood: what it would do must not be left out.
    pub(super) is_refused: bool,
}

/// What a path becomes.
#[derive(Clone, Debug)]
pub(super) enum NewPath {
    Full(String),
    Prefix(String),
}

impl Filters {
    /// Reads `filters` of a rule.
    pub(super) fn read(kind: ApiKind, rule: &mut Object<'_, '_>, meta: &Meta) -> Self {
        let mut filters = Self::default();
        rule.messages("filters", |filter| filters.add(kind, filter, meta));
        if filters.redirect.is_some() && (filters.path.is_some() || !filters.authority.is_empty()) {
            let message = "RequestRedirect and URLRewrite exclude each other";
            let report = rule.report();
            report.raise_in("filters", Code::OneOf, message, "keep one of them");
        }
        filters
    }

    fn add(&mut self, kind: ApiKind, filter: &mut Object<'_, '_>, meta: &Meta) {
        let name = filter.string("type");
        if headers::read(&mut self.headers, &name, filter) {
            return;
        }
        match (&*name, kind) {
            ("RequestMirror", _) => {
                let read = filter.message("requestMirror", |mirror| mirrored(mirror, meta));
                self.mirrors.extend(read.flatten());
            }
            ("RequestRedirect", ApiKind::Http) => {
                self.redirect = filter.message("requestRedirect", redirect);
            }
            ("URLRewrite", ApiKind::Http) => {
                filter.message("urlRewrite", |rewrite| {
                    self.authority = rewrite.string("hostname");
                    self.path = rewrite.message("path", new_path).flatten();
                });
            }
            ("CORS", ApiKind::Http) => self.cors = filter.message("cors", cors),
            _ => {
                self.is_refused = true;
                let of = match &*name {
                    "ExtensionRef" => filter.message("extensionRef", |to| {
                        let (group, kind) = (to.string("group"), to.string("kind"));
                        format!(" ({kind} {} of {group})", to.string("name"))
                    }),
                    _ => None,
                };
                let of = of.unwrap_or_default();
                let message = format!("`{name}`{of} is not in effect: the rule answers 500");
                let report = filter.report();
                report.raise_in("type", Code::NotInEffect, message, "remove the filter");
                headers::take_settings(filter);
            }
        }
    }
}

fn mirrored(mirror: &mut Object<'_, '_>, meta: &Meta) -> Option<(Backend, Percent)> {
    let percent = mirror.number("percent");
    let fraction = mirror.message("fraction", |fraction| {
        let whole = fraction.number("denominator").unwrap_or(100.0);
        100.0 * fraction.number("numerator").unwrap_or_default() / whole
    });
    mirror.one_of(&["percent", "fraction"]);
    let to = mirror.message("backendRef", |to| backends::read(to, meta));
    let share = percent.or(fraction).unwrap_or(100.0);
    if !(0.0..=100.0).contains(&share) {
        let message = format!("{share} % is no share of requests");
        let report = mirror.report();
        report.raise(Code::InvalidPercent, message, "use 0 to 100");
        return None;
    }
    Some((to?, Percent { value: share }))
}

fn redirect(redirect: &mut Object<'_, '_>) -> (HttpRedirect, Option<NewPath>) {
    let scheme = redirect.string("scheme");
    let port = redirect.optional_integer::<u32>("port");
    let code = redirect.optional_integer("statusCode").unwrap_or(302);
    if !matches!(code, 301 | 302 | 303 | 307 | 308) {
        let message = format!("{code} redirects nobody");
        let help = "use 301, 302, 303, 307 or 308";
        let report = redirect.report();
        report.raise_in("statusCode", Code::InvalidRedirect, message, help);
    }
    let written = HttpRedirect {
        authority: redirect.string("hostname"),
        // Without a port it is that of the scheme; without a scheme that of the listener.
        port: Some(match port {
            Some(port) => RedirectPort::Number(port),
            None if scheme.is_empty() => RedirectPort::Derive(DerivePort::FromRequestPort),
            None => RedirectPort::Derive(DerivePort::FromProtocolDefault),
        }),
        scheme,
        redirect_code: code,
        ..HttpRedirect::default()
    };
    (written, redirect.message("path", new_path).flatten())
}

fn new_path(path: &mut Object<'_, '_>) -> Option<NewPath> {
    let is_prefix = path.symbol(
        "type",
        &[
            ("ReplaceFullPath", 0, false),
            ("ReplacePrefixMatch", 1, true),
        ],
    );
    let full = path.string("replaceFullPath");
    let prefix = path.string("replacePrefixMatch");
    Some(match is_prefix? {
        true => NewPath::Prefix(prefix),
        false => NewPath::Full(full),
    })
}

fn cors(cors: &mut Object<'_, '_>) -> CorsPolicy {
    let origins = cors.strings("allowOrigins").into_iter();
    let max_age = cors.optional_integer::<u32>("maxAge").unwrap_or(5);
    CorsPolicy {
        allow_origins: origins.map(origin).collect(),
        allow_methods: cors.strings("allowMethods"),
        allow_headers: cors.strings("allowHeaders"),
        expose_headers: cors.strings("exposeHeaders"),
        max_age: Some(Duration::from_secs(u64::from(max_age))),
        allow_credentials: cors.optional_boolean("allowCredentials"),
        unmatched_preflights: UnmatchedPreflights::Ignore,
        ..CorsPolicy::default()
    }
}

/// `*` is any origin; within a host it is any number of labels.
fn origin(origin: String) -> StringMatch {
    match origin.split_once('*') {
        None | Some(("", "")) => StringMatch::Exact(origin),
        Some((before, after)) => {
            let (before, after) = (escaped(before), escaped(after));
            StringMatch::Regex(format!("{before}[^/:]+{after}"))
        }
    }
}

/// A pattern that is met by this text alone.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_alphanumeric() && c.is_ascii() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
