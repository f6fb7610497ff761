//! Copies of a request for the mirrors of its rule: who is to get one, and how the story of a copy begins.

use http::Method;

use super::{Context, Target, Verdict, endpoint, plan, trace};
use crate::decision::{MirrorFate, Mirrored, Record, RouteDecision, Timeouts};
use crate::entropy::{Draw, Entropy};
use crate::message::ResponseHead;
use crate::policy::mirror;
use crate::snapshot::{DestinationCluster, Forward, Snapshot};

/// Whether the rule that applied has mirrors, so that the request's body is worth keeping.
#[must_use]
pub fn has_mirrors(record: &Record, snapshot: &Snapshot) -> bool {
    plan::of(record, snapshot).is_some_and(|plan| !plan.forward.mirrors.is_empty())
}

/// Writes down who is to get a copy. A tunnel cannot be copied: what passes through it depends on the answers.
pub(super) fn choose(context: &Context<'_>, plan: &Forward, record: &mut Record) {
    if plan.mirrors.is_empty()
        || record.request.method == Method::CONNECT
        || context.upgrade.is_some()
    {
        return;
    }
    let chosen = mirror::chosen(&plan.mirrors, record.entropy);
    record.mirrors.extend(chosen.map(|at| {
        let fate = match plan.mirrors[at as usize].cluster {
            DestinationCluster::Missing(_) => MirrorFate::NoCluster,
            DestinationCluster::Known(_) | DestinationCluster::Passthrough => {
                MirrorFate::Incomplete
            }
        };
        Mirrored { mirror: at, fate }
    }));
}

/// Begins the story of the copy for a mirror, with the head as it was forwarded, and picks an endpoint.
///
/// # Errors
/// Why there is no copy.
pub fn begin_mirror(
    mirror: u32,
    context: &Context<'_>,
    original: &Record,
) -> Result<(Record, Target), MirrorFate> {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = original.route
    else {
        return Err(MirrorFate::NoCluster);
    };
    let snapshot = &context.view.snapshot;
    let plan = plan::of(original, snapshot).ok_or(MirrorFate::NoCluster)?;
    let to = &plan.forward.mirrors[mirror as usize].cluster;
    let draw = original
        .entropy
        .draw(Draw::MirroredRequest, u64::from(mirror));
    let mut record = Record {
        revision: original.revision,
        entropy: Entropy(draw),
        request: original.request.clone(),
        route: RouteDecision::Mirror {
            virtual_host,
            rule,
            mirror,
        },
        timeouts: Timeouts {
            whole: original.timeouts.whole,
            ..Timeouts::default()
        },
        bytes_received: original.bytes_received,
        began: context.now,
        ..Record::default()
    };
    trace::copy(original, &mut record);
    let nobodys = &mut ResponseHead::default();
    // The head tells of the attempt already, unless the rule did not want it to.
    match endpoint::pick(context, to, &mut record, nobodys) {
        Verdict::Attempt(target) => Ok((record, target)),
        Verdict::Reply(_)
        | Verdict::Close
        | Verdict::Delay(_)
        | Verdict::Retry(_)
        | Verdict::Ask(_) => Err(MirrorFate::NoEndpoint),
    }
}
