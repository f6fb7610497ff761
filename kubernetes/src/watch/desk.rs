//! Where what feeds tell comes together: pure, so that its order can be tested.
//!
//! Owns which secrets are followed: those that Gateways name, and no others. The first that is told of secrets is told when all that are
//! named have been looked for, so that nobody begins without the certificate that he is to show.

use std::collections::{BTreeMap, BTreeSet};

use outrigger_xds::{Change, Key, Kind, Object, secrets};

/// A secret by `namespace/name`.
pub(crate) type Name = String;

/// All of it.
#[derive(Debug)]
pub(crate) struct Desk {
    secret: &'static Kind,
    /// The kinds whose objects name secrets, and have not been told of.
    awaited: BTreeSet<&'static Kind>,
    /// What each object names.
    named: BTreeMap<Key, BTreeSet<Name>>,
    /// The secrets that are followed; none inside where one has not been looked for.
    followed: BTreeMap<Name, Option<Option<Object>>>,
    has_told: bool,
    most: usize,
}

/// What comes of a change.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) tell: Vec<Change>,
    /// Secrets to be followed from now on.
    pub(crate) follow: Vec<Name>,
    /// And those that are not to be any more.
    pub(crate) leave: Vec<Name>,
    /// So many are named beyond what is followed.
    pub(crate) beyond: usize,
}

impl Desk {
    /// One that follows at most so many secrets, named by objects of these kinds.
    pub(crate) fn new(secret: &'static Kind, naming: &[&'static Kind], most: usize) -> Self {
        Self {
            secret,
            awaited: naming.iter().copied().collect(),
            named: BTreeMap::new(),
            followed: BTreeMap::new(),
            has_told: false,
            most,
        }
    }

    /// Something of a kind.
    pub(crate) fn take(&mut self, change: Change) -> Outcome {
        match &change {
            Change::Is(object) => {
                self.named
                    .insert(object.key.clone(), secrets::named(object));
            }
            Change::Gone(key) => {
                self.named.remove(key);
            }
            Change::All(kind, objects) => {
                self.awaited.remove(kind);
                self.named.retain(|key, _| key.kind != *kind);
                let named = objects
                    .iter()
                    .map(|object| (object.key.clone(), secrets::named(object)));
                self.named.extend(named);
            }
        }
        self.named.retain(|_, names| !names.is_empty());
        let mut outcome = self.again();
        outcome.tell.insert(0, change);
        outcome
    }

    /// What has become of a secret that is followed.
    pub(crate) fn secret(&mut self, name: &str, change: Change) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(known) = self.followed.get_mut(name) else {
            return outcome;
        };
        let now = match change {
            Change::Is(object) => Some(object),
            Change::Gone(_) => None,
            Change::All(_, objects) => objects.into_iter().next(),
        };
        let before = known.replace(now.clone()).flatten();
        if !self.has_told {
            outcome.tell.extend(self.first());
        } else if before != now {
            outcome.tell.extend(match (now, before) {
                (Some(object), _) => Some(Change::Is(object)),
                (None, Some(object)) => Some(Change::Gone(object.key)),
                (None, None) => None,
            });
        }
        outcome
    }

    /// Finds out which are followed now.
    fn again(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let all: BTreeSet<&Name> = self.named.values().flatten().collect();
        outcome.beyond = all.len().saturating_sub(self.most);
        // Whoever is followed already stays so.
        let (kept, others): (Vec<&Name>, Vec<&Name>) = all
            .into_iter()
            .partition(|name| self.followed.contains_key(*name));
        let wanted: BTreeSet<&Name> = kept.into_iter().chain(others).take(self.most).collect();
        let gone = self.followed.keys().filter(|name| !wanted.contains(name));
        outcome.leave = gone.cloned().collect();
        let new = wanted
            .into_iter()
            .filter(|name| !self.followed.contains_key(*name));
        outcome.follow = new.cloned().collect();
        for name in &outcome.leave {
            if let Some(Some(Some(object))) = self.followed.remove(name)
                && self.has_told
            {
                outcome.tell.push(Change::Gone(object.key));
            }
        }
        for name in &outcome.follow {
            self.followed.insert(name.clone(), None);
        }
        if !self.has_told {
            outcome.tell.extend(self.first());
        }
        outcome
    }

    /// The first that is told of secrets, once all are there.
    fn first(&mut self) -> Option<Change> {
        if !self.awaited.is_empty() || self.followed.values().any(Option::is_none) {
            return None;
        }
        self.has_told = true;
        let all = self.followed.values().flatten().flatten();
        Some(Change::All(self.secret, all.cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(api_version: &str, kind: &str) -> &'static Kind {
        Kind::named(api_version, kind).unwrap()
    }

    fn object(kind: &'static Kind, name: &str, json: serde_json::Value) -> Object {
        let key = Key {
            kind,
            namespace: "a".into(),
            name: name.into(),
        };
        Object {
            key,
            version: "1".into(),
            json,
        }
    }

    #[test]
    fn secrets_are_followed_while_a_gateway_names_them() {
        let secret = kind("v1", "Secret");
        let gateways = kind("networking.istio.io/v1", "Gateway");
        let others = kind("gateway.networking.k8s.io/v1", "Gateway");
        let mut desk = Desk::new(secret, &[gateways, others], 2);
        let edge = object(
            gateways,
            "edge",
            json!({"spec": {"servers": [{"tls": {"credentialName": "x"}}]}}),
        );
        let told = desk.take(Change::All(gateways, vec![edge.clone()]));
        assert_eq!(told.follow, ["a/x", "a/x-cacert"]);
        assert_eq!(told.tell.len(), 1, "the other kind has not been told of");
        assert_eq!(
            desk.take(Change::All(others, Vec::new())).tell.len(),
            1,
            "no secret has come"
        );
        let x = object(secret, "x", json!({}));
        assert_eq!(
            desk.secret("a/x", Change::All(secret, vec![x.clone()]))
                .tell,
            []
        );
        let all = desk
            .secret("a/x-cacert", Change::All(secret, Vec::new()))
            .tell;
        assert_eq!(all, [Change::All(secret, vec![x.clone()])]);
        let told = desk.secret("a/x", Change::Is(x.clone()));
        assert_eq!(told.tell, [], "nothing is another");
        let many = json!({"spec": {"listeners": [{"tls": {"certificateRefs": [{"name": "b"}]}}]}});
        assert_eq!(desk.take(Change::Is(object(others, "b", many))).beyond, 1);
        let told = desk.take(Change::Gone(edge.key.clone()));
        assert_eq!(told.follow, ["a/b"], "now there is room for it");
        assert_eq!(told.leave, ["a/x", "a/x-cacert"]);
        assert_eq!(told.tell, [Change::Gone(edge.key), Change::Gone(x.key)]);
    }
}
