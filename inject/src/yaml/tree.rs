//! A document whose maps have an order.

use outrigger_core::config::node::{Node, Scalar, Value as Written};
use outrigger_core::config::value::{Plain, resolve};
use serde_json::{Map, Number, Value};

use crate::patch::{Operation, steps};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Null, a boolean, a number or text.
    Plain(Value),
    /// A list.
    List(Vec<Self>),
    /// A map in the order in which it was written.
    Map(Vec<(String, Self)>),
}

/// An operation of a patch that does not fit the document: its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

impl Tree {
    pub(super) fn of_node(node: &Node) -> Self {
        match &node.value {
            Written::Null => Self::Plain(Value::Null),
            Written::Scalar(scalar) => Self::Plain(meaning(scalar)),
            Written::Seq(items) => Self::List(items.iter().map(Self::of_node).collect()),
            Written::Map(entries) => {
                let entry = |entry: &outrigger_core::config::node::Entry| {
                    (entry.key.text.to_string(), Self::of_node(&entry.value))
                };
                Self::Map(entries.iter().map(entry).collect())
            }
        }
    }

    /// From JSON, whose maps have no order of their own: what names a thing comes first.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            Value::Object(map) => {
                let mut entries: Vec<_> = map
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::of_json(value)))
                    .collect();
                let rank = |key: &str| FIRST.iter().position(|first| *first == key);
                entries.sort_by_key(|(key, _)| rank(key).unwrap_or(FIRST.len()));
                Self::Map(entries)
            }
            plain => Self::Plain(plain.clone()),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let entries = entries.iter();
                let map: Map<String, Value> = entries
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect();
                Value::Object(map)
            }
        }
    }

    /// Does what a patch says (RFC 6902).
    ///
    /// # Errors
    /// It is a patch of something else; what came before the operation that does not fit is done.
    pub fn apply(&mut self, patch: &[Operation]) -> Result<(), Misfit> {
        for operation in patch {
            self.apply_one(operation)
                .ok_or_else(|| Misfit(operation.path().to_owned()))?;
        }
        Ok(())
    }

    fn apply_one(&mut self, operation: &Operation) -> Option<()> {
        let mut steps: Vec<String> = steps(operation.path()).collect();
        let Some(last) = steps.pop() else {
            let (Operation::Add { value, .. } | Operation::Replace { value, .. }) = operation
            else {
                return None;
            };
            *self = Self::of_json(value);
            return Some(());
        };
        let mut place = self;
        for step in &steps {
            place = place.child(step)?;
        }
        match place {
            Self::Map(entries) => change_map(entries, last, operation),
            Self::List(items) => change_list(items, &last, operation),
            Self::Plain(_) => None,
        }
    }

    fn child(&mut self, step: &str) -> Option<&mut Self> {
        match self {
            Self::Map(entries) => entries
                .iter_mut()
                .find(|(key, _)| key == step)
                .map(|e| &mut e.1),
            Self::List(items) => items.get_mut(step.parse::<usize>().ok()?),
            Self::Plain(_) => None,
        }
    }
}

/// What readers of Kubernetes' YAML expect before all else.
const FIRST: &[&str] = &["apiVersion", "kind", "name", "metadata", "image"];

fn change_map(entries: &mut Vec<(String, Tree)>, key: String, operation: &Operation) -> Option<()> {
    let at = entries.iter().position(|(known, _)| *known == key);
    match (operation, at) {
        (Operation::Add { value, .. }, None) => entries.push((key, Tree::of_json(value))),
        (Operation::Add { value, .. } | Operation::Replace { value, .. }, Some(at)) => {
            entries[at].1 = Tree::of_json(value);
        }
        (Operation::Remove { .. }, Some(at)) => drop(entries.remove(at)),
        (Operation::Remove { .. } | Operation::Replace { .. }, None) => return None,
    }
    Some(())
}

fn change_list(items: &mut Vec<Tree>, step: &str, operation: &Operation) -> Option<()> {
    let at = match step {
        "-" => items.len(),
        number => number.parse().ok()?,
    };
    match operation {
        Operation::Add { value, .. } if at <= items.len() => items.insert(at, Tree::of_json(value)),
        Operation::Replace { value, .. } => *items.get_mut(at)? = Tree::of_json(value),
        Operation::Remove { .. } if at < items.len() => drop(items.remove(at)),
        Operation::Add { .. } | Operation::Remove { .. } => return None,
    }
    Some(())
}

fn meaning(scalar: &Scalar) -> Value {
    let text = || Value::String(scalar.text.to_string());
    if !scalar.plain {
        return text();
    }
    match resolve(&scalar.text) {
        Plain::Null => Value::Null,
        Plain::Bool(value) => Value::Bool(value),
        Plain::Int(Some(value)) => Number::from_i128(value).map_or_else(text, Value::Number),
        Plain::Float(value) => Number::from_f64(value).map_or_else(text, Value::Number),
        Plain::Int(None) | Plain::Text => text(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_of_something_else_does_not_fit() {
        for patch in [
            json!({"op": "remove", "path": ""}),
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "replace", "path": "/none", "value": 1}),
            json!({"op": "add", "path": "/list/3", "value": 1}),
            json!({"op": "add", "path": "/list/x", "value": 1}),
            json!({"op": "remove", "path": "/list/2"}),
            json!({"op": "replace", "path": "/list/2", "value": 1}),
            json!({"op": "add", "path": "/text/a", "value": 1}),
            json!({"op": "add", "path": "/list/9/a", "value": 1}),
        ] {
            let text = |name: &str| patch[name].as_str().unwrap_or_default().to_owned();
            let (path, value) = (text("path"), json!(1));
            let operation = match text("op").as_str() {
                "add" => Operation::Add {
                    path: path.clone(),
                    value,
                },
                "remove" => Operation::Remove { path: path.clone() },
                _ => Operation::Replace {
                    path: path.clone(),
                    value,
                },
            };
            let mut tree = Tree::of_json(&json!({"list": [1, 2], "text": "a"}));
            assert_eq!(tree.apply(&[operation]), Err(Misfit(path)));
        }
        let mut tree = Tree::of_json(&json!({"list": [1, 2]}));
        let end = |path: &str| Operation::Add {
            path: path.to_owned(),
            value: json!(3),
        };
        tree.apply(&[end("/list/-"), end("/list/3")]).unwrap();
        assert_eq!(tree.to_json(), json!({"list": [1, 2, 3, 3]}));
    }
}
