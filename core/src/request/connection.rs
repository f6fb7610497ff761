//! A connection that is not HTTP, on its way through the policies: where it goes, for how long, and what follows where it can
//! not.
//!
//! The twin of what stands in `request` itself: the same rules, endpoints and records, without heads.

use super::external::{self, Asks, Question};
use super::{Context, StreamTimeout, Verdict, authorization, endpoint, plan};
use crate::decision::{Connection, Details, Record, ResetReason, RouteDecision};
use crate::message::ResponseHead;
use crate::peer::ListenerKind;
use crate::snapshot::{Action, ChainRule, DestinationCluster, Snapshot, UnknownHosts};
use crate::time::Duration;

/// For how long nothing may pass on a connection to where its client wanted to go (Envoy's default).
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// A connection begins that this rule is for, or none: decide what becomes of it.
pub fn begin_connection(
    connection: Connection,
    rule: Option<ChainRule>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    record.connection = Some(Box::new(connection));
    go_on((0, rule), context, record, response)
}

/// It goes on: the providers of AuthorizationPolicies from this one on are asked, then the policies, and then it goes by its rule, if
/// there is one for it.
pub(super) fn go_on(
    (from, rule): (u32, Option<ChainRule>),
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let snapshot = &context.view.snapshot;
    if context.peer.listener != ListenerKind::Outbound {
        if let Some(check) = external::next_provider(context, from, record) {
            let asks = Asks::OfConnection { check, rule };
            return Verdict::Ask(Question::new(asks, context));
        }
        if let Some(refused) = authorization::check_connection(context, record) {
            return refused;
        }
    }
    let verdict = match rule {
        Some(ChainRule { virtual_host, rule }) => {
            record.route = RouteDecision::Rule {
                virtual_host,
                rule,
                destination: None,
            };
            let rule = &snapshot.virtual_host(virtual_host).rules[rule as usize];
            match &*rule.action {
                Action::Forward(forward) => {
                    let plan = plan::draw(rule, forward, record);
                    plan.map(|plan| {
                        endpoint::pick(context, &plan.destination.cluster, record, response)
                    })
                }
                // There is nobody to answer.
                Action::Redirect(_) | Action::Respond(_) => None,
            }
        }
        None => {
            record.route = RouteDecision::UnknownHost;
            match &snapshot.settings.unknown_hosts {
                UnknownHosts::AllowAny => {
                    let cluster = &DestinationCluster::Passthrough;
                    Some(endpoint::pick(context, cluster, record, response))
                }
                // What Istio's black hole is: a cluster without endpoints.
                UnknownHosts::RegistryOnly => None,
                UnknownHosts::EgressProxy(cluster) => {
                    Some(endpoint::pick(context, cluster, record, response))
                }
            }
        }
    };
    match verdict {
        Some(verdict @ Verdict::Attempt(_)) => verdict,
        Some(
            Verdict::Reply(_)
            | Verdict::Close
            | Verdict::Delay(_)
            | Verdict::Ask(_)
            | Verdict::Retry(_),
        )
        | None => {
            // Whom nobody knows has no endpoint, and so has one who would come back here.
            if matches!(record.details, Details::None | Details::DirectResponse) {
                record.details = Details::NoHealthyUpstream;
            }
            Verdict::Close
        }
    }
}

/// Its attempt failed. As many are made as Envoy makes where nobody says: one.
pub(super) fn on_attempt_failed(reason: ResetReason, record: &mut Record) -> Verdict {
    record.details = Details::ResetBeforeResponse(reason);
    Verdict::Close
}

/// Why it ends whose time is up.
#[must_use]
pub const fn connection_timed_out(of: StreamTimeout) -> Details {
    match of {
        StreamTimeout::Idle => Details::ConnectionIdleTimeout,
        StreamTimeout::Duration => Details::MaxConnectionDuration,
    }
}

/// For how long nothing may pass on it (DestinationRule `tcp.idleTimeout`), and how long it may last
/// (`tcp.maxConnectionDuration`).
#[must_use]
pub fn connection_times(
    record: &Record,
    snapshot: &Snapshot,
) -> (Option<Duration>, Option<Duration>) {
    let cluster = record.attempt().and_then(|attempt| attempt.cluster);
    cluster.map_or((Some(IDLE_TIMEOUT), None), |id| {
        let cluster = snapshot.cluster(id);
        (cluster.tcp_idle_timeout, cluster.max_connection_duration)
    })
}
