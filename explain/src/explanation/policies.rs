//! What a rule does with a request besides choosing where it goes: times, retries, faults, rewrites, mirrors, limits.

use outrigger_core::decision::Record;
use outrigger_core::policy::fault::{Roll, abort_roll, delay_roll};
use outrigger_core::policy::{destination, route};
use outrigger_core::snapshot::{
    CorsPolicy, Destination, DestinationCluster, Forward, GlobalRateLimit, HeaderOps, HostLimits,
    Limit, Limiter, PathRewrite, PerMillion, RateLimit, RetryPolicy, Rule, Snapshot, StreamIdle,
    VirtualHost,
};
use outrigger_core::time::Duration;

use super::{Draw, Explanation, Goal, Place, Told, cluster, problems, words};

/// What a rule says, with the line of its field.
struct Says<'a> {
    rule: &'a Rule,
    snapshot: &'a Snapshot,
}

impl Says<'_> {
    /// The place of a field of the route; `None` where it is not written.
    fn place(&self, field: &str) -> Option<Place> {
        Place::new(&self.rule.field(field)?, self.snapshot)
    }

    fn tell(&self, what: &'static str, field: &str, value: String) -> Told {
        Told {
            what,
            value,
            origin: self.place(field),
            overrides: Vec::new(),
        }
    }
}

/// A rule that sends requests on.
pub(super) fn forward(
    told: &mut Explanation,
    rule: &Rule,
    forward: &Forward,
    record: &Record,
    snapshot: &Snapshot,
) {
    let says = Says { rule, snapshot };
    let chosen = destination::pick(forward, record.entropy);
    if forward.destinations.len() > 1 {
        told.draw = Some(Draw {
            number: destination::drawn(forward, record.entropy),
            below: forward.total_weight,
        });
    }
    told.destinations = (forward.destinations.iter().enumerate())
        .map(|(at, destination)| Goal {
            cluster: problems::cluster_name(&destination.cluster, snapshot),
            weight: u64::from(destination.weight),
            of: forward.total_weight,
            chosen: Some(at) == chosen,
            problem: problems::of_destination(&destination.cluster, snapshot),
        })
        .collect();
    let chosen = chosen.map(|at| &forward.destinations[at]);
    if let Some(DestinationCluster::Known(id)) = chosen.map(|destination| &destination.cluster) {
        told.cluster = Some(cluster::tell(snapshot.cluster(*id), snapshot));
    }
    told.policies.extend(faults(&says, forward, record));
    told.policies
        .extend(stated(rule, forward, chosen, snapshot));
    for mirror in &forward.mirrors {
        let problem = problems::of_destination(&mirror.cluster, snapshot);
        told.problems
            .extend(problem.map(|problem| format!("mirror: {problem}")));
    }
}

/// What a rule says whatever the request is: times, retries, changes of heads on the way to a destination, CORS, mirrors.
pub(crate) fn stated(
    rule: &Rule,
    forward: &Forward,
    chosen: Option<&Destination>,
    snapshot: &Snapshot,
) -> Vec<Told> {
    let says = Says { rule, snapshot };
    let mut told = times(&says, forward);
    told.push(match &forward.retry {
        Some(policy) => says.tell("retries", "retries", words::retries(policy)),
        None => says.tell("retries", "retries", "none".to_owned()),
    });
    told.extend(changes(&says, forward, chosen));
    if let Some(cors) = &forward.cors {
        told.push(says.tell("cors", "corsPolicy", self::cors(cors)));
    }
    for mirror in &forward.mirrors {
        let name = problems::cluster_name(&mirror.cluster, snapshot);
        told.push(Told {
            what: "mirror",
            value: format!("{} get a copy to {name}", words::share(mirror.share)),
            origin: says.place("mirrors").or_else(|| says.place("mirror")),
            overrides: Vec::new(),
        });
    }
    told
}

fn faults(says: &Says<'_>, forward: &Forward, record: &Record) -> Vec<Told> {
    let Some(policy) = &forward.fault else {
        return Vec::new();
    };
    let headers = &record.request.headers;
    let roll = |share, drawn: u64, text: &str| {
        let drawn = drawn % 1_000_000;
        let below = PerMillion::get(share);
        let hit = if drawn < u64::from(below) {
            "it gets it"
        } else {
            "it does not"
        };
        format!(
            "{} get {text}; {drawn} drawn below 1000000, {hit}",
            words::share(share)
        )
    };
    let delay = delay_roll(policy, headers, record.entropy).map(|Roll { what, share, drawn }| {
        let text = format!("a delay of {}", words::time(what));
        says.tell("fault delay", "fault", roll(share, drawn, &text))
    });
    let abort = abort_roll(policy, headers, record.entropy).map(|Roll { what, share, drawn }| {
        let text = format!("the answer {}", words::fault_answer(what));
        says.tell("fault abort", "fault", roll(share, drawn, &text))
    });
    delay.into_iter().chain(abort).collect()
}

/// Times as they are written; what holds for the request in the end, with `grpc-timeout`, the outcomes show.
fn times(says: &Says<'_>, forward: &Forward) -> Vec<Told> {
    let never = || "none, it may take for ever".to_owned();
    let whole = forward.timeout.map_or_else(never, words::time);
    let mut told = vec![says.tell("timeout", "timeout", whole)];
    let per_try = |retry: &RetryPolicy| retry.per_try_timeout;
    if let Some(time) = forward.retry.as_deref().and_then(per_try) {
        let counts = forward.timeout.is_none_or(|whole| time < whole);
        let note = if counts {
            ""
        } else {
            ", which the timeout makes useless"
        };
        let text = format!("{}{note}", words::time(time));
        told.push(says.tell("time per try", "retries", text));
    }
    let idle = match forward.stream_idle {
        StreamIdle::Unsaid => None,
        StreamIdle::Never => Some(Duration::ZERO),
        StreamIdle::After(time) => Some(time),
    };
    if let Some(time) = idle {
        let text = match time.is_zero() {
            true => never(),
            false => words::time(time),
        };
        told.push(says.tell("idle timeout", "idleTimeout", text));
    }
    told
}

fn changes(says: &Says<'_>, forward: &Forward, chosen: Option<&Destination>) -> Vec<Told> {
    let mut told = Vec::new();
    let rewrite = &forward.rewrite;
    let path = rewrite.path.as_ref().map(|path| match path {
        PathRewrite::Prefix(prefix) => format!("the matched path becomes `{prefix}`"),
        PathRewrite::Regex {
            pattern,
            replacement,
        } => format!("`{}` becomes `{replacement}`", pattern.pattern),
    });
    let authority = rewrite.authority.as_ref();
    let authority = authority.map(|authority| format!("the authority becomes `{authority}`"));
    let texts: Vec<String> = path.into_iter().chain(authority).collect();
    if !texts.is_empty() {
        told.push(says.tell("rewrite", "rewrite", texts.join(", ")));
    }
    let ops = chosen.map(|chosen| [("request", &chosen.request), ("response", &chosen.response)]);
    for (of, ops) in ops.into_iter().flatten().filter(|(_, ops)| !ops.is_empty()) {
        let what = if of == "request" {
            "request headers"
        } else {
            "response headers"
        };
        let place = says.place("headers").or_else(|| says.place("route"));
        told.push(Told {
            what,
            value: operations(ops),
            origin: place,
            overrides: Vec::new(),
        });
    }
    told
}

fn operations(ops: &HeaderOps) -> String {
    let removed = ops
        .remove
        .iter()
        .map(|name| format!("remove `{}`", name.as_str()));
    let written = ops.write.iter().map(|(name, value)| {
        let verb = if value.overwrite { "set" } else { "add" };
        format!("{verb} `{}` to `{}`", name.as_str(), words::value(value))
    });
    let authority = ops.authority.iter();
    let authority =
        authority.map(|value| format!("set the authority to `{}`", words::value(value)));
    let all: Vec<String> = removed.chain(written).chain(authority).collect();
    all.join(", ")
}

fn cors(cors: &CorsPolicy) -> String {
    let origins: Vec<String> = cors.allow_origins.iter().map(route::words::text).collect();
    format!("origins {}", origins.join(" or "))
}

/// The rate limits that look at requests of a rule.
pub(super) fn limits(told: &mut Explanation, of: &VirtualHost, rule: usize, snapshot: &Snapshot) {
    let limits = of.limits.as_deref();
    let limiters = limits.and_then(|limits: &HostLimits| limits.rules.get(rule));
    let limiters = limiters.map(|list| &**list).unwrap_or_default();
    told.policies
        .extend(limiters.iter().map(|limiter| limit(limiter, snapshot)));
}

pub(crate) fn limit(limiter: &Limiter, snapshot: &Snapshot) -> Told {
    match &limiter.limit {
        Limit::Local { id, .. } => local_limit(snapshot.rate_limit(*id), snapshot),
        Limit::Global { id, .. } => global_limit(snapshot.global_rate_limit(*id), snapshot),
    }
}

/// A limit that a service keeps.
fn global_limit(limit: &GlobalRateLimit, snapshot: &Snapshot) -> Told {
    let service = problems::cluster_name(&limit.cluster, snapshot);
    let within = limit.timeout.map_or_else(String::new, |time| {
        format!(" and answers within {}", words::time(time))
    });
    let failure = match limit.denied_on_failure {
        share if share == PerMillion::ALL => {
            format!("refused with {} without an answer", limit.status_on_error)
        }
        share if share == PerMillion::default() => "passed without an answer".to_owned(),
        share => format!("{} refused without an answer", words::share(share)),
    };
    let (domain, status) = (&limit.domain, limit.status);
    Told {
        what: "rate limit",
        value: format!(
            "of `{domain}`, for which {service} is asked{within}; refused with {status}, {failure}"
        ),
        origin: Place::new(&limit.origin, snapshot),
        overrides: Vec::new(),
    }
}

fn local_limit(limit: &RateLimit, snapshot: &Snapshot) -> Told {
    let bucket = limit.bucket.as_ref().map_or_else(
        || "no bucket".to_owned(),
        |sized| {
            let (most, period) = (sized.size.max_tokens(), sized.size.period());
            format!("{most} tokens, one more every {}", words::time(period))
        },
    );
    let descriptors = match limit.descriptors.len() {
        0 => String::new(),
        count => format!(", {count} descriptors with buckets of their own"),
    };
    let holds_for = &limit.holds_for;
    Told {
        what: "rate limit",
        value: format!(
            "{bucket} for {holds_for}{descriptors}; refused with {}",
            limit.status
        ),
        origin: Place::new(&limit.origin, snapshot),
        overrides: Vec::new(),
    }
}
