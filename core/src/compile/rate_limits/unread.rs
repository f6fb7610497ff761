//! What patches say of rate limits that does nothing: to filters that nobody inserts, and filters that ask about nothing.

use super::{Builder, global};
use crate::config::code::Code;
use crate::config::envoy_filter::{
    Change, Context, EnvoyFilter, InsertedLimit, LimitPatch, PerRoute,
};
use crate::config::finding::Finding;

impl Builder<'_, '_> {
    /// What of the patches does nothing.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = self.unread();
        for (filter, patch) in &self.patches {
            let Change::Insert {
                limit: InsertedLimit::Global(limit),
                ..
            } = &patch.change
            else {
                continue;
            };
            findings.extend(global::tell_missing(filter, patch, limit, self.clusters));
            let describes = |(_, other): &(&EnvoyFilter, &LimitPatch)| match &other.change {
                Change::Insert { .. } => false,
                Change::Override { said, .. } => {
                    let of_filters = said.filters.iter();
                    other.context.meets(patch.context)
                        && (!said.rate_limits.is_empty()
                            || of_filters.clone().any(|(_, said)| is_described(said)))
                }
            };
            if limit.rate_limits.is_empty() && !self.patches.iter().any(describes) {
                findings.push(Finding::about(
                    Code::RateLimitWithoutEffect,
                    "EnvoyFilter",
                    &filter.meta,
                    &patch.path,
                    "no route says `rate_limits`, so the service is asked about no request",
                    "add them to routes or virtual hosts by another patch",
                ));
            }
        }
        findings
    }

    /// Tells what routes say to filters that nobody inserts.
    fn unread(&self) -> Vec<Finding> {
        let inserted = |context: Context| {
            self.patches.iter().filter_map(move |(_, patch)| {
                let Change::Insert { name, limit, .. } = &patch.change else {
                    return None;
                };
                context.meets(patch.context).then_some((name, limit))
            })
        };
        let mut findings = Vec::new();
        for (filter, patch) in &self.patches {
            let Change::Override { said, .. } = &patch.change else {
                continue;
            };
            let mut tell = |code, message: String, help| {
                let meta = &filter.meta;
                findings.push(Finding::about(
                    code,
                    "EnvoyFilter",
                    meta,
                    &patch.path,
                    message,
                    help,
                ));
            };
            let is_read =
                |name: &str| inserted(patch.context).any(|(inserted, _)| inserted == name);
            for (name, _) in said.filters.iter().filter(|(name, _)| !is_read(name)) {
                let message =
                    format!("no `HTTP_FILTER` patch inserts `{name}`, so nothing reads this");
                tell(
                    Code::RateLimitWithoutEffect,
                    message,
                    "insert the filter as well",
                );
            }
            if said.rate_limits.is_empty() {
                continue;
            }
            let mut limits = inserted(patch.context).map(|(_, limit)| limit);
            if limits.clone().next().is_none() {
                let message = "no `HTTP_FILTER` patch inserts a rate limit, so nothing reads this";
                let help = "insert a filter as well";
                tell(Code::RateLimitWithoutEffect, message.to_owned(), help);
                continue;
            }
            for by in &said.rate_limits {
                if !limits.clone().any(|limit| limit.stage() == by.stage) {
                    let message = format!(
                        "no rate limit has the stage {}, so nothing reads this",
                        by.stage
                    );
                    tell(
                        Code::RateLimitWithoutEffect,
                        message,
                        "insert a filter with this `stage`",
                    );
                }
            }
            if said.rate_limits.iter().any(|by| by.hits.is_some())
                && limits.all(|limit| matches!(limit, InsertedLimit::Local(_)))
            {
                let message = "`hits_addend` is not in effect: a request takes one token";
                tell(Code::NotInEffect, message.to_owned(), "");
            }
        }
        findings
    }
}

fn is_described(said: &PerRoute) -> bool {
    match said {
        PerRoute::Local(_) => false,
        PerRoute::Global(said) => !said.rate_limits.is_empty(),
    }
}
