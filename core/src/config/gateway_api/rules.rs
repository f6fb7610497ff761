//! Rules of routes as those of a VirtualService, but for whether what they name may be named.

use std::collections::BTreeMap;

use super::backends::{self, Backend};
use super::filters::{Filters, NewPath};
use super::not_in_effect;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::virtual_service::{
    ApiKind, ApiRule, Headers, HttpDirectResponse, HttpMatchRequest, HttpMirrorPolicy, HttpRetry,
    HttpRewrite, HttpRoute, HttpRouteDestination, PathRank, Precedence, RegexRewrite, StringMatch,
};
use crate::time::Duration;

/// How often is tried again where `retry` does not say: as often as without one.
const ATTEMPTS: i32 = 2;
/// What is tried again where nothing of the response has come (GEP-1731), besides the codes that are written.
const FAILURES: &str = "connect-failure,refused-stream,reset";

/// A rule.
#[derive(Debug, Default)]
pub(super) struct Rule {
    /// Its position in the route.
    at: usize,
    name: String,
    /// The ways to meet it.
    ways: Vec<Way>,
    pub(super) filters: Filters,
    pub(super) backends: Vec<Backend>,
    timeout: Option<Duration>,
    retries: Option<HttpRetry>,
    /// It says something that would change who gets where, and is not understood: it answers 500.
    is_refused: bool,
}

/// One way to meet a rule.
#[derive(Debug)]
struct Way {
    /// The position of its match; `None` where the rule has none.
    at: Option<usize>,
    precedence: Precedence,
    entry: HttpMatchRequest,
    /// The prefix that it has matched, with a slash behind it where one was matched.
    prefix: Option<String>,
}

/// Reads a rule.
pub(super) fn read(kind: ApiKind, rule: &mut Object<'_, '_>, meta: &Meta, at: usize) -> Rule {
    let mut read = Rule {
        at,
        name: rule.string("name"),
        backends: rule.messages("backendRefs", |backend| backends::read(backend, meta)),
        ..Rule::default()
    };
    if !matches!(kind, ApiKind::Http | ApiKind::Grpc) {
        return read;
    }
    read.filters = Filters::read(kind, rule, meta);
    read.is_refused = read.filters.is_refused;
    let message = "`sessionPersistence` is not in effect: requests are balanced one by one";
    not_in_effect(rule, "sessionPersistence", message);
    if kind == ApiKind::Http {
        read_resilience(rule, &mut read);
    }
    let (mut ways, mut number, mut is_known) = (Vec::new(), 0, true);
    rule.messages("matches", |entry| {
        let of = match kind {
            ApiKind::Grpc => of_call(entry),
            ApiKind::Http | ApiKind::Tls | ApiKind::Tcp => of_request(entry),
        };
        is_known &= of.is_some();
        let of = of.into_iter().flatten();
        ways.extend(of.map(|way| Way {
            at: Some(number),
            ..way
        }));
        number += 1;
    });
    read.is_refused |= !is_known;
    read.ways = match number {
        0 => vec![Way::everything(kind)],
        _ => ways,
    };
    tell_prefix(rule, &read);
    read
}

/// A prefix is replaced where one was matched.
fn tell_prefix(rule: &mut Object<'_, '_>, read: &Rule) {
    let is_prefix = |path: &Option<NewPath>| matches!(path, Some(NewPath::Prefix(_)));
    let redirect = read.filters.redirect.as_ref();
    let wants = is_prefix(&read.filters.path) || redirect.is_some_and(|(_, path)| is_prefix(path));
    if wants && read.ways.iter().any(|way| way.prefix.is_none()) {
        let message =
            "`ReplacePrefixMatch` in a rule that matches by something else than a `PathPrefix`";
        let help = "use `ReplaceFullPath`, or match a prefix";
        let report = rule.report();
        report.raise_in("filters", Code::InvalidRewrite, message, help);
    }
}

fn read_resilience(rule: &mut Object<'_, '_>, read: &mut Rule) {
    let mut per_try = None;
    rule.message("timeouts", |timeouts| {
        read.timeout = timeouts.duration("request").filter(|time| !time.is_zero());
        per_try = (timeouts.duration("backendRequest")).filter(|time| !time.is_zero());
    });
    read.retries = rule.message("retry", |retry| {
        let codes = retry.list("codes", crate::config::scalar::integer::<u32>);
        let codes: String = codes.iter().map(|code| format!(",{code}")).collect();
        HttpRetry {
            attempts: retry.optional_integer("attempts").unwrap_or(ATTEMPTS),
            backoff: retry.duration("backoff"),
            retry_on: format!("{FAILURES}{codes}"),
            ..HttpRetry::default()
        }
    });
    if per_try.is_some() {
        // As without retries of its own, but for how long each try may take.
        let of = read.retries.get_or_insert_with(|| HttpRetry {
            attempts: ATTEMPTS,
            ..HttpRetry::default()
        });
        of.per_try_timeout = per_try;
    }
}

impl Rule {
    /// A rule that holds for everything and sends nowhere.
    pub(super) fn everything() -> Self {
        Self {
            ways: vec![Way::everything(ApiKind::Http)],
            ..Self::default()
        }
    }

    /// What becomes of it with destinations and mirrors: a rule for each way to meet it.
    pub(super) fn routes<'r>(
        &'r self,
        destinations: &'r [HttpRouteDestination],
        mirrors: &'r [HttpMirrorPolicy],
    ) -> impl Iterator<Item = HttpRoute> + 'r {
        self.ways.iter().map(move |way| {
            let path = format!("spec.rules[{}]", self.at);
            let route = HttpRoute {
                name: self.name.clone(),
                matches: match way.entry == HttpMatchRequest::default() {
                    true => Vec::new(),
                    false => vec![way.entry.clone()],
                },
                api: Some(Box::new(ApiRule {
                    entry: match way.at {
                        None => path.clone(),
                        Some(at) => format!("{path}.matches[{at}]"),
                    },
                    path,
                    precedence: way.precedence,
                })),
                ..HttpRoute::default()
            };
            let has_share = destinations.iter().any(|to| to.weight > 0);
            if self.is_refused || self.filters.redirect.is_none() && !has_share {
                return HttpRoute {
                    direct_response: Some(HttpDirectResponse {
                        status: 500,
                        body: None,
                    }),
                    ..route
                };
            }
            self.sending(way, route, destinations, mirrors)
        })
    }

    fn sending(
        &self,
        way: &Way,
        route: HttpRoute,
        destinations: &[HttpRouteDestination],
        mirrors: &[HttpMirrorPolicy],
    ) -> HttpRoute {
        let filters = &self.filters;
        let redirect = filters.redirect.as_ref().map(|(redirect, path)| {
            let mut redirect = redirect.clone();
            match path {
                Some(path @ NewPath::Prefix(_)) => redirect.prefix_rewrite = way.new_path(path),
                Some(path) => redirect.uri = way.new_path(path),
                None => {}
            }
            redirect
        });
        let sends = redirect.is_none();
        let to = destinations.iter().filter(|to| sends && to.weight > 0);
        let headers = (filters.headers != Headers::default()).then(|| filters.headers.clone());
        HttpRoute {
            route: to.cloned().collect(),
            mirrors: if sends { mirrors.to_vec() } else { Vec::new() },
            rewrite: if sends { way.rewrite(filters) } else { None },
            cors_policy: filters.cors.clone().filter(|_| sends),
            timeout: self.timeout.filter(|_| sends),
            retries: self.retries.clone().filter(|_| sends),
            redirect,
            headers,
            ..route
        }
    }
}

impl Way {
    /// The one way to meet a rule without matches.
    fn everything(kind: ApiKind) -> Self {
        // As if the prefix `/` was written.
        let is_http = kind == ApiKind::Http;
        Self {
            at: None,
            precedence: Precedence {
                path: match is_http {
                    true => PathRank::Prefix,
                    false => PathRank::Nothing,
                },
                ..Precedence::default()
            },
            entry: HttpMatchRequest::default(),
            prefix: is_http.then(|| "/".to_owned()),
        }
    }

    fn new_path(&self, path: &NewPath) -> String {
        match (path, &self.prefix) {
            (NewPath::Full(path), _) => path.clone(),
            // What was matched with a slash behind it is replaced with one behind it.
            (NewPath::Prefix(path), Some(matched)) if matched.ends_with('/') => {
                format!("{}/", path.trim_end_matches('/'))
            }
            (NewPath::Prefix(path), _) => match path.trim_end_matches('/') {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
        }
    }

    fn rewrite(&self, filters: &Filters) -> Option<HttpRewrite> {
        let authority = filters.authority.clone();
        let rewrite = match (&filters.path, &self.prefix) {
            // A whole path takes the place of all, not of the prefix. Backslashes mean something in replacements.
            (Some(NewPath::Full(path)), Some(_)) => HttpRewrite {
                authority,
                uri_regex_rewrite: Some(RegexRewrite {
                    pattern: "^/.*".to_owned(),
                    rewrite: path.replace('\\', "\\\\"),
                }),
                ..HttpRewrite::default()
            },
            (path, _) => HttpRewrite {
                authority,
                uri: (path.as_ref().map(|path| self.new_path(path))).unwrap_or_default(),
                uri_regex_rewrite: None,
            },
        };
        (rewrite != HttpRewrite::default()).then_some(rewrite)
    }
}

/// How the path of a request is matched.
#[derive(Clone, Copy)]
enum PathKind {
    Prefix,
    Exact,
    Regex,
}

/// The ways to meet a match of an HTTPRoute. A prefix is one of whole segments.
fn of_request(node: &mut Object<'_, '_>) -> Option<Vec<Way>> {
    let mut is_known = true;
    let base = HttpMatchRequest {
        method: node.optional_string("method").map(StringMatch::Exact),
        headers: texts(node, "headers", &mut is_known),
        query_params: texts(node, "queryParams", &mut is_known),
        ..HttpMatchRequest::default()
    };
    let kinds = [
        ("PathPrefix", 0, PathKind::Prefix),
        ("Exact", 1, PathKind::Exact),
        ("RegularExpression", 2, PathKind::Regex),
    ];
    let path = node.message("path", |path| {
        let is_written = path.node().entry("type").is_some();
        let kind = path.symbol("type", &kinds);
        is_known &= kind.is_some() || !is_written;
        let value = path.optional_string("value");
        let value = value.unwrap_or_else(|| "/".to_owned());
        (kind.unwrap_or(PathKind::Prefix), value)
    });
    let (kind, value) = path.unwrap_or_else(|| (PathKind::Prefix, "/".to_owned()));
    let precedence = |path, length| Precedence {
        path,
        length,
        method: usize::from(base.method.is_some()),
        headers: base.headers.len(),
        parameters: base.query_params.len(),
    };
    let way = |path, length, uri: Option<StringMatch>, prefix: Option<String>| Way {
        at: None,
        precedence: precedence(path, length),
        entry: HttpMatchRequest {
            uri,
            ..base.clone()
        },
        prefix,
    };
    let length = value.len();
    let ways = match kind {
        PathKind::Exact => {
            let uri = Some(StringMatch::Exact(value));
            vec![way(PathRank::Exact, length, uri, None)]
        }
        PathKind::Regex => {
            let uri = Some(StringMatch::Regex(value));
            vec![way(PathRank::Regex, length, uri, None)]
        }
        PathKind::Prefix => match value.trim_end_matches('/') {
            // Everything begins so.
            "" => vec![way(PathRank::Prefix, 0, None, Some("/".to_owned()))],
            path => [(false, path.to_owned()), (true, format!("{path}/"))]
                .map(|(has_more, prefix)| {
                    let uri = match has_more {
                        true => StringMatch::Prefix(prefix.clone()),
                        false => StringMatch::Exact(prefix.clone()),
                    };
                    way(PathRank::Prefix, path.len(), Some(uri), Some(prefix))
                })
                .into(),
        },
    };
    is_known.then_some(ways)
}

/// The ways to meet a match of a GRPCRoute: the path of a call is `/SERVICE/METHOD`.
fn of_call(node: &mut Object<'_, '_>) -> Option<Vec<Way>> {
    let mut is_known = true;
    let headers = texts(node, "headers", &mut is_known);
    let call = node.message("method", |method| {
        let kinds = [("Exact", 0, false), ("RegularExpression", 1, true)];
        let is_regex = method.symbol("type", &kinds).unwrap_or(false);
        let (service, name) = (method.string("service"), method.string("method"));
        (is_regex, service, name)
    });
    let (is_regex, service, method) = call.unwrap_or_default();
    let any = |text: &str| match text {
        "" => "[^/]+".to_owned(),
        text => text.to_owned(),
    };
    let uri = match (&*service, &*method, is_regex) {
        ("", "", _) => None,
        (service, method, true) => Some(StringMatch::Regex(format!(
            "/{}/{}",
            any(service),
            any(method)
        ))),
        // Names of methods hold nothing that means something in a pattern: others are told as patterns that are none.
        ("", method, false) => Some(StringMatch::Regex(format!("/[^/]+/{method}"))),
        (service, "", false) => Some(StringMatch::Prefix(format!("/{service}/"))),
        (service, method, false) => Some(StringMatch::Exact(format!("/{service}/{method}"))),
    };
    let way = Way {
        at: None,
        precedence: Precedence {
            path: match uri {
                None => PathRank::Nothing,
                Some(_) => PathRank::Call,
            },
            length: service.len(),
            method: method.len(),
            headers: headers.len(),
            parameters: 0,
        },
        entry: HttpMatchRequest {
            uri,
            headers,
            ..HttpMatchRequest::default()
        },
        prefix: None,
    };
    is_known.then(|| vec![way])
}

/// Of several of one name the first counts.
fn texts(
    node: &mut Object<'_, '_>,
    field: &'static str,
    is_known: &mut bool,
) -> BTreeMap<String, StringMatch> {
    let mut found = BTreeMap::new();
    let kinds = [("Exact", 0, false), ("RegularExpression", 1, true)];
    node.messages(field, |one| {
        let is_written = one.node().entry("type").is_some();
        let is_regex = one.symbol("type", &kinds);
        *is_known &= is_regex.is_some() || !is_written;
        let (name, value) = (one.string("name"), one.string("value"));
        let name = match field {
            "headers" => name.to_ascii_lowercase(),
            _ => name,
        };
        found.entry(name).or_insert(match is_regex {
            Some(true) => StringMatch::Regex(value),
            Some(false) | None => StringMatch::Exact(value),
        });
    });
    found
}
