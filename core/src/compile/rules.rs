//! The rules of one VirtualService for one service port, in order (reference §2.4).
//!
//! Each match entry becomes a rule; entries that cannot concern this client or port are left out; nothing follows a
//! catch-all.

use std::sync::Arc;

use super::actions::{self, Targets};
use super::conditions;
use super::delegation::Expanded;
use super::resources::ResourceTable;
use super::side::Side;
use crate::config::node::Node;
use crate::config::virtual_service::HttpMatchRequest;
use crate::snapshot::{
    Action, Condition, Destination, DestinationCluster, FieldLine, Forward, HeaderOps, Origin,
    RetryPolicy, Rule, RuleIndex,
};

/// From this many rules on a virtual host gets an index.
const INDEX_FROM: usize = 16;

/// Rules and their index, shared by all virtual hosts that have them.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) list: Arc<[Rule]>,
    pub(super) index: Option<Arc<RuleIndex>>,
}

impl From<Vec<Rule>> for Rules {
    fn from(list: Vec<Rule>) -> Self {
        let conditions = list.iter().map(|rule| &rule.condition);
        let index = (list.len() >= INDEX_FROM).then(|| Arc::new(RuleIndex::new(conditions)));
        Self {
            list: list.into(),
            index,
        }
    }
}

/// A route with the conditions of its match entries, which are the same for every port.
#[derive(Clone, Debug)]
pub(super) struct Prepared<'a> {
    expanded: Expanded<'a>,
    /// One for each match entry; `None` where no request can meet it.
    conditions: Vec<Option<Condition>>,
    /// Where its fields stand.
    fields: Arc<[FieldLine]>,
}

impl<'a> Prepared<'a> {
    /// Compiles the conditions of a route.
    #[must_use]
    pub(super) fn new(expanded: Expanded<'a>) -> Self {
        let entries = expanded.matches.iter();
        let conditions = entries
            .map(|(_, entry)| conditions::compile(entry))
            .collect();
        let meta = &expanded.resource.meta;
        let route = meta.document.find(&expanded.path);
        let entries = route.map_or(&[][..], Node::entries).iter();
        let fields = entries.map(|entry| FieldLine {
            field: entry.key.text.clone(),
            line: entry.at.line,
        });
        Self {
            fields: fields.collect(),
            expanded,
            conditions,
        }
    }
}

/// The rules of a VirtualService for a port; `None` when nothing of it concerns that port, which is then as if there
/// were no VirtualService.
#[must_use]
pub(super) fn compile(
    routes: &[Prepared<'_>],
    targets: Targets<'_>,
    port: u16,
    resources: &mut ResourceTable,
) -> Option<Rules> {
    let mut list = Vec::new();
    for route in routes {
        if add_route(route, targets, port, resources, &mut list) == Reached::Everything {
            break;
        }
    }
    (!list.is_empty()).then(|| list.into())
}

/// What the rules so far hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Something,
    Everything,
}

fn add_route(
    route: &Prepared<'_>,
    targets: Targets<'_>,
    port: u16,
    resources: &mut ResourceTable,
    list: &mut Vec<Rule>,
) -> Reached {
    let expanded = &route.expanded;
    let meta = &expanded.resource.meta;
    let origin = |path: &str, resources: &mut ResourceTable| Origin {
        resource: resources.id_of(expanded.resource.kind(), meta),
        path: path.into(),
        line: meta.locate(path).line,
    };
    let name = &expanded.route.name;
    if expanded.matches.is_empty() {
        list.push(Rule {
            name: route_name(name, None),
            origin: Some(origin(&expanded.path, resources)),
            fields: Arc::clone(&route.fields),
            condition: Condition::default(),
            action: Arc::new(actions::compile(expanded, targets, port)),
        });
        return Reached::Everything;
    }
    let mut action: Option<Arc<Action>> = None;
    for ((path, entry), condition) in expanded.matches.iter().zip(&route.conditions) {
        let Some(condition) = condition else {
            continue;
        };
        // Sidecars know nothing of tokens that their application sends.
        if !condition.claims.is_empty() && matches!(targets.side, Side::Mesh) {
            continue;
        }
        if !conditions::concerns(entry, &meta.namespace, (targets.input, targets.side), port) {
            continue;
        }
        let action =
            action.get_or_insert_with(|| Arc::new(actions::compile(expanded, targets, port)));
        let is_catch_all = conditions::is_catch_all(condition);
        list.push(Rule {
            name: route_name(name, Some(entry)),
            origin: Some(origin(path, resources)),
            fields: Arc::clone(&route.fields),
            condition: condition.clone(),
            action: Arc::clone(action),
        });
        if is_catch_all {
            return Reached::Everything;
        }
    }
    Reached::Something
}

/// `<route>.<match>`, as far as they have names.
fn route_name(route: &str, entry: Option<&HttpMatchRequest>) -> Arc<str> {
    match entry.map(|entry| entry.name.as_str()) {
        Some(name) if !name.is_empty() => format!("{route}.{name}").into(),
        Some(_) | None if route.is_empty() => "default".into(),
        Some(_) | None => route.into(),
    }
}

/// The one rule of a service port that no VirtualService is for.
#[must_use]
pub(super) fn default_rules(cluster: DestinationCluster, retry: Option<Box<RetryPolicy>>) -> Rules {
    let destination = Destination {
        weight: 1,
        cluster,
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    Rules::from(vec![Rule {
        name: "default".into(),
        origin: None,
        fields: Arc::default(),
        condition: Condition::default(),
        action: Arc::new(Action::Forward(Forward {
            destinations: Box::new([destination]),
            total_weight: 1,
            retry,
            ..Forward::default()
        })),
    }])
}
