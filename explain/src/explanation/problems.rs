//! What keeps a request from being served as somebody meant: destinations that do not exist or have no endpoints, hosts
//! that nobody knows, rules of which none holds.

use outrigger_core::config::spelling::nearest;
use outrigger_core::snapshot::{Balancing, DestinationCluster, Snapshot, UnknownHosts};

use super::{Explanation, Goal};

/// The name of a destination's cluster, or the one that it would have.
pub(crate) fn cluster_name(cluster: &DestinationCluster, snapshot: &Snapshot) -> String {
    match cluster {
        DestinationCluster::Known(id) => snapshot.cluster(*id).name.to_string(),
        DestinationCluster::Missing(name) => name.to_string(),
        DestinationCluster::Passthrough => "PassthroughCluster".to_owned(),
    }
}

/// What is wrong with a destination.
pub(super) fn of_destination(cluster: &DestinationCluster, snapshot: &Snapshot) -> Option<String> {
    match cluster {
        DestinationCluster::Passthrough => None,
        DestinationCluster::Missing(name) => Some(missing(name, snapshot)),
        DestinationCluster::Known(id) => {
            let cluster = snapshot.cluster(*id);
            if cluster.balancing == Balancing::Passthrough {
                return None;
            }
            let (name, count) = (&cluster.name, cluster.endpoints.len());
            let ejected = cluster.endpoints.iter().filter(|e| e.state.is_ejected());
            match (count, ejected.count()) {
                (0, _) => Some(format!("{name} has no endpoints")),
                (all, out) if out == all => {
                    Some(format!("all {all} endpoints of {name} are ejected"))
                }
                (_, _) => None,
            }
        }
    }
}

/// Which part of `outbound|port|subset|host` is not there, and what may have been meant.
fn missing(name: &str, snapshot: &Snapshot) -> String {
    let mut parts = name.split('|').skip(1);
    let (Some(port), Some(subset), Some(host)) = (parts.next(), parts.next(), parts.next()) else {
        return format!("{name} does not exist");
    };
    let all = || {
        snapshot
            .clusters
            .iter()
            .filter(|cluster| *cluster.host == *host)
    };
    let meant = |near: Option<&str>| {
        near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
    };
    if all().next().is_none() {
        // A VirtualService may have the very name, and be for nothing.
        let known = snapshot.clusters.iter().map(|cluster| &*cluster.host);
        return format!(
            "there is no service {host}{}",
            meant(nearest(host, known.filter(|known| !known.is_empty())))
        );
    }
    if !all().any(|cluster| cluster.port.to_string() == port) {
        let mut ports: Vec<String> = all().map(|cluster| cluster.port.to_string()).collect();
        ports.dedup();
        return format!("{host} has no port {port}; it has {}", ports.join(", "));
    }
    let subsets: Vec<&str> = all()
        .map(|c| &*c.subset)
        .filter(|s| !s.is_empty())
        .collect();
    let near = nearest(subset, subsets.iter().copied());
    let mut known = subsets.clone();
    known.sort_unstable();
    known.dedup();
    let known = match (near, known.is_empty()) {
        (Some(_), _) => meant(near),
        (None, true) => "; no DestinationRule that holds here defines any".to_owned(),
        (None, false) => format!("; there are {}", known.join(", ")),
    };
    format!("{host} has no subset `{subset}`{known}")
}

/// Puts what is wrong in front.
pub(super) fn add(told: &mut Explanation, snapshot: &Snapshot) {
    let mut problems: Vec<String> = told.destinations.iter().filter_map(told_goal).collect();
    match (told.action, &told.host) {
        ("no_rule", Some(host)) => {
            let (count, name) = (told.rules.len(), host.virtual_host.as_deref());
            problems.push(format!(
                "none of the {count} rules of {} holds for it: 404, flag NR",
                name.unwrap_or_default()
            ));
        }
        ("unknown_host", Some(host)) if host.nearest.is_some() || is_refused(snapshot) => {
            let asked = &host.asked;
            let mut text = match asked.is_empty() {
                true => "no host is named".to_owned(),
                false => format!("no service has the host `{asked}`"),
            };
            if let Some(near) = &host.nearest {
                text += &format!("; did you mean `{near}`?");
            }
            problems.push(text);
        }
        (_, _) => {}
    }
    problems.append(&mut told.problems);
    told.problems = problems;
}

/// Whether hosts that nobody knows are refused; otherwise it may be meant so.
fn is_refused(snapshot: &Snapshot) -> bool {
    match snapshot.settings.unknown_hosts {
        UnknownHosts::RegistryOnly => true,
        UnknownHosts::AllowAny | UnknownHosts::EgressProxy(_) => false,
    }
}

fn told_goal(goal: &Goal) -> Option<String> {
    let problem = goal.problem.as_ref()?;
    Some(match (goal.chosen, goal.weight == goal.of) {
        (_, true) => problem.clone(),
        (true, false) => format!(
            "{problem}; this request goes there, as {} of {} do",
            goal.weight, goal.of
        ),
        (false, false) => format!(
            "{problem}; {} of {} requests go there, this one does not",
            goal.weight, goal.of
        ),
    })
}
