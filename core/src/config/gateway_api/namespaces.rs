//! Namespaces that a listener lets bind routes to it.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;

/// The label that every namespace has, with its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// The labels of namespaces that were read.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

impl Namespaces {
    /// Adds one.
    pub(super) fn add(&mut self, meta: Meta) {
        self.labels.insert(meta.name, meta.labels);
    }
}

/// Whose routes may bind to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum AllowedNamespaces {
    /// Those of the Gateway's namespace.
    #[default]
    Same,
    All,
    /// Those of namespaces with such labels.
    Selected(Vec<Demand>),
    None,
}

/// What a selector wants of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    key: String,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl AllowedNamespaces {
    /// Whether routes of a namespace may bind to a listener of a Gateway in `own`.
    pub(super) fn lets(&self, namespace: &str, own: &str, all: &Namespaces) -> bool {
        match self {
            Self::Same => namespace == own,
            Self::All => true,
            Self::None => false,
            Self::Selected(demands) => demands.iter().all(|demand| demand.holds(namespace, all)),
        }
    }
}

impl Demand {
    fn holds(&self, namespace: &str, all: &Namespaces) -> bool {
        let labels = all.labels.get(namespace);
        let value = match &*self.key {
            NAME => Some(namespace),
            key => labels
                .and_then(|labels| labels.get(key))
                .map(String::as_str),
        };
        let is_in =
            |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match &self.wanted {
            Wanted::In(values) => is_in(values),
            Wanted::NotIn(values) => !is_in(values),
            Wanted::Exists => value.is_some(),
            Wanted::DoesNotExist => value.is_none(),
        }
    }
}

/// Reads `allowedRoutes.namespaces`.
pub(super) fn read(namespaces: &mut Object<'_, '_>) -> AllowedNamespaces {
    let from = namespaces.symbol(
        "from",
        &[
            ("Same", 0, AllowedFrom::Same),
            ("All", 1, AllowedFrom::All),
            ("Selector", 2, AllowedFrom::Selector),
            ("None", 3, AllowedFrom::None),
        ],
    );
    let selector = namespaces.message("selector", selector);
    match from.unwrap_or(AllowedFrom::Same) {
        AllowedFrom::Same => AllowedNamespaces::Same,
        AllowedFrom::All => AllowedNamespaces::All,
        AllowedFrom::None => AllowedNamespaces::None,
        AllowedFrom::Selector => {
            if selector.is_none() {
                let message = "`from: Selector` without a `selector`: nobody's routes bind";
                let report = namespaces.report();
                report.raise_in("selector", Code::RequiredField, message, "add one");
            }
            selector.map_or(AllowedNamespaces::None, AllowedNamespaces::Selected)
        }
    }
}

#[derive(Clone, Copy)]
enum AllowedFrom {
    Same,
    All,
    Selector,
    None,
}

fn selector(selector: &mut Object<'_, '_>) -> Vec<Demand> {
    let labels = selector.string_map("matchLabels").into_iter();
    let mut demands: Vec<Demand> = labels
        .map(|(key, value)| Demand {
            key,
            wanted: Wanted::In(vec![value]),
        })
        .collect();
    demands.extend(selector.messages("matchExpressions", |expression| {
        let key = expression.string("key");
        let values = expression.strings("values");
        let operators = [
            ("In", 0, Wanted::In as fn(Vec<String>) -> Wanted),
            ("NotIn", 1, Wanted::NotIn),
            ("Exists", 2, |_| Wanted::Exists),
            ("DoesNotExist", 3, |_| Wanted::DoesNotExist),
        ];
        let wanted = expression.symbol("operator", &operators);
        Demand {
            key,
            // One that is misspelt was told, and selects nobody.
            wanted: wanted.map_or_else(|| Wanted::In(Vec::new()), |wanted| wanted(values)),
        }
    }));
    demands
}
