//! The requests that the rules of two configurations speak of.
//!
//! For each name and port that either of them knows: a request for the root, and for each rule that either has there one for
//! which it holds (if none before it does), and ones for which exactly one of its conditions does not. Names that stand for the
//! same rules are asked under one of them. What a method, a header or a query parameter must be is tried from both sides.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use outrigger_core::message::{FieldName, RequestHead};
use outrigger_core::snapshot::{
    Condition, FieldMatch, HostEntry, MatchedField, Rule, Snapshot, TextMatch,
};

use super::example;

/// Makes the requests one after the other, until `ask` says that it is enough.
pub(super) fn each(before: &Snapshot, after: &Snapshot, ask: &mut dyn FnMut(RequestHead) -> bool) {
    let mut names: Vec<String> = [before, after]
        .into_iter()
        .flat_map(|snapshot| snapshot.hosts.iter().map(|(name, _)| name))
        .collect();
    // The shortest names first: those are what people write.
    names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    names.dedup();
    let mut seen = BTreeSet::new();
    for name in names {
        let host = match name.strip_prefix('*') {
            Some("") => "any.example".to_owned(),
            Some(suffix) => format!("any{suffix}"),
            None => name,
        };
        let entries = [before, after].map(|of| of.hosts.find(host.as_bytes()));
        if !seen.insert(key(&[before, after], &entries)) {
            continue;
        }
        let mut ports: Vec<u16> = (entries.iter().flatten())
            .flat_map(|entry| entry.ports.iter().map(|port| port.port))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        let authority = bracketed(&host);
        // Without a port the only one is meant.
        let select = |port| entries.map(|entry| entry.and_then(|entry| entry.select(port)));
        let by_itself = select(None);
        let others = ports.into_iter().map(Some);
        let others = others.filter(|port| select(*port) != by_itself);
        for port in [None].into_iter().chain(others) {
            let authority =
                port.map_or_else(|| authority.clone(), |port| format!("{authority}:{port}"));
            let [of_before, of_after] = select(port);
            let rules = [(before, of_before), (after, of_after)].map(|(of, entry)| {
                let rules = &of.virtual_host(entry?.virtual_host).rules;
                Some(Arc::clone(rules))
            });
            if !of_rules(&authority, &rules, ask) {
                return;
            }
        }
    }
}

/// What names have in common that lead to the same: by port, the rules and whom they stand for.
type HostKey = Vec<(usize, u16, usize, bool)>;

fn key(snapshots: &[&Snapshot; 2], entries: &[Option<&HostEntry>; 2]) -> HostKey {
    let sides = snapshots.iter().zip(entries).enumerate();
    sides
        .filter_map(|(side, (snapshot, entry))| Some((side, snapshot, entry.as_ref()?)))
        .flat_map(|(side, snapshot, entry)| {
            entry.ports.iter().map(move |port| {
                let of = snapshot.virtual_host(port.virtual_host);
                // Rules are shared by the names of one VirtualService; those that are not written are each service's own.
                let rules = Arc::as_ptr(&of.rules).cast::<()>() as usize;
                (side, port.port, rules, of.pod.is_some())
            })
        })
        .collect()
}

/// An IPv6 address as authorities have it.
fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

fn of_rules(
    authority: &str,
    rules: &[Option<Arc<[Rule]>>; 2],
    ask: &mut dyn FnMut(RequestHead) -> bool,
) -> bool {
    let root = RequestHead {
        authority: authority.into(),
        path: b"/".to_vec(),
        ..RequestHead::default()
    };
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut ask_once = |request: RequestHead| {
        let is_new = told.insert(super::told(&request));
        !is_new || ask(request)
    };
    if !ask_once(root.clone()) {
        return false;
    }
    // Each is asked as it is made: rules may be many, and what may be asked is bounded.
    let rules = rules.iter().flatten().flat_map(|rules| rules.iter());
    for rule in rules {
        let mut asked = Vec::new();
        of_condition(&rule.condition, &root, &mut asked);
        if !asked.into_iter().all(&mut ask_once) {
            return false;
        }
    }
    true
}

/// Requests for which a condition holds, and for which one part of it does not.
fn of_condition(condition: &Condition, root: &RequestHead, asked: &mut Vec<RequestHead>) {
    let Some(meets) = meeting(condition, root) else {
        return;
    };
    let paths = condition.path.as_ref();
    for path in paths.map(example::paths).unwrap_or_default() {
        asked.push(with_path(&meets, &path));
    }
    asked.push(meets.clone());
    for path in paths.map(example::paths_outside).unwrap_or_default() {
        asked.push(with_path(&meets, &path));
    }
    if let Some(wanted) = &condition.method {
        let other = match example::text(wanted).as_deref() {
            Some("GET") => Method::POST,
            Some(_) | None => Method::GET,
        };
        asked.push(RequestHead {
            method: other,
            ..meets.clone()
        });
    }
    for field in &condition.fields {
        asked.extend(missing(field, &meets));
    }
    for query in &condition.query {
        let mut other = meets.clone();
        other.path = other.path_only().to_vec();
        asked.push(other.clone());
        for value in example::outside(&query.value) {
            asked.push(with_query(&other, &query.name, &value));
        }
    }
}

/// A request that meets all parts of a condition; `None` where none is found.
fn meeting(condition: &Condition, root: &RequestHead) -> Option<RequestHead> {
    let mut request = root.clone();
    if let Some(path) = &condition.path {
        request = with_path(&request, example::paths(path).first()?);
    }
    if let Some(method) = &condition.method {
        request.method = Method::from_bytes(example::text(method)?.as_bytes()).ok()?;
    }
    if let Some(scheme) = &condition.scheme {
        let scheme = example::text(scheme)?;
        set(&mut request, "x-forwarded-proto", &scheme)?;
    }
    if let Some(authority) = &condition.authority {
        let wanted = example::text(authority)?;
        // It must lead to the same host.
        if wanted.as_bytes() != root.authority {
            request.authority = wanted.into_bytes();
        }
    }
    for field in condition.fields.iter().filter(|field| !field.negated) {
        let value = example::text(&field.value)?;
        match &field.name {
            MatchedField::Field(name) => set(&mut request, name.as_str(), &value)?,
            MatchedField::Method => request.method = Method::from_bytes(value.as_bytes()).ok()?,
            MatchedField::Path => request.path = value.into_bytes(),
            MatchedField::Authority => request.authority = value.into_bytes(),
            MatchedField::Scheme => set(&mut request, "x-forwarded-proto", &value)?,
        }
    }
    for query in &condition.query {
        request = with_query(&request, &query.name, &example::text(&query.value)?);
    }
    Some(request)
}

/// Requests that miss one match on a field, or have what must not be there.
fn missing(field: &FieldMatch, meets: &RequestHead) -> Vec<RequestHead> {
    let MatchedField::Field(name) = &field.name else {
        return Vec::new();
    };
    let mut without = meets.clone();
    without.headers.remove_named(name);
    let with = |value: &str| {
        let mut with = without.clone();
        set(&mut with, name.as_str(), value).map(|()| with)
    };
    let within = example::text(&field.value);
    let mut all: Vec<RequestHead> = match field.negated {
        true => within.iter().filter_map(|value| with(value)).collect(),
        false => vec![without.clone()],
    };
    if field.value != TextMatch::Present {
        all.extend(
            example::outside(&field.value)
                .iter()
                .filter_map(|value| with(value)),
        );
    }
    all
}

fn with_path(request: &RequestHead, path: &str) -> RequestHead {
    let mut changed = request.clone();
    let query = request.query().map(<[u8]>::to_vec);
    changed.path = path.into();
    if let Some(query) = query {
        changed.path.push(b'?');
        changed.path.extend(query);
    }
    changed
}

fn with_query(request: &RequestHead, name: &str, value: &str) -> RequestHead {
    let mut changed = request.clone();
    let separator = if request.query().is_some() { '&' } else { '?' };
    let parameter = format!("{separator}{name}={value}");
    changed
        .path
        .extend(parameter.bytes().filter(u8::is_ascii_graphic));
    changed
}

/// Sets a field; `None` when no request can have it.
fn set(request: &mut RequestHead, name: &str, value: &str) -> Option<()> {
    let name = FieldName::new(name)?;
    let is_text = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_text.then(|| request.headers.set_named(&name, value.as_bytes()))
}
