//! Rewriting of path and authority before a request is forwarded (VirtualService `rewrite`).
//!
//! Runs after header operations (Istio reference: match, destination, header operations, rewrite). What was there
//! before is kept for the upstream in `x-envoy-original-path` and `x-envoy-original-host`, as Envoy does.

use std::borrow::Cow;

use crate::message::{Known, RequestHead};
use crate::snapshot::{Condition, PathMatch, PathRewrite, Rewrite};

/// Rewrites a head for the rule with this condition. The query always stays.
pub fn apply(rewrite: &Rewrite, condition: &Condition, head: &mut RequestHead) {
    if let Some(authority) = &rewrite.authority {
        set_authority(head, authority.as_bytes());
    }
    if let Some(path) = &rewrite.path {
        head.headers.set(Known::XEnvoyOriginalPath, &head.path);
        rewrite_path(path, condition, head);
    }
}

fn rewrite_path(rewrite: &PathRewrite, condition: &Condition, head: &mut RequestHead) {
    let query_at = head.path_only().len();
    match rewrite {
        PathRewrite::Prefix(text) => {
            let matched = matched_len(condition, &head.path[..query_at]);
            head.path.splice(..matched, text.bytes());
        }
        PathRewrite::Regex {
            pattern,
            replacement,
        } => {
            let path = &head.path[..query_at];
            let new = pattern.program.replace_all(path, replacement.as_bytes());
            if let Cow::Owned(new) = new {
                head.path.splice(..query_at, new);
            }
        }
    }
}

/// Replaces the authority and keeps the old one in `x-envoy-original-host`.
pub(super) fn set_authority(head: &mut RequestHead, authority: &[u8]) {
    head.headers.set(Known::XEnvoyOriginalHost, &head.authority);
    head.authority.clear();
    head.authority.extend_from_slice(authority);
}

/// How much of a path a rewrite replaces: the prefix that matched, or all of it after an exact or regex match.
#[must_use]
pub(super) fn matched_len(condition: &Condition, path: &[u8]) -> usize {
    match &condition.path {
        Some(PathMatch::Prefix { path: prefix, .. }) => prefix.len().min(path.len()),
        Some(PathMatch::Exact { .. } | PathMatch::Regex(_)) => path.len(),
        // Istio gives Envoy the prefix `/` where a rule does not match by uri.
        None => usize::from(path.first() == Some(&b'/')),
    }
}
