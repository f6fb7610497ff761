//! Who sees a resource (`exportTo`).

/// Whether a resource of `owner` that is exported to these namespaces is seen by workloads of `client`.
///
/// An empty list is the mesh default `default`; an empty default is everybody.
#[must_use]
pub fn is_visible(export_to: &[String], default: &[String], owner: &str, client: &str) -> bool {
    reach(export_to, default, owner, client).is_some()
}

/// How narrowly a resource is exported; the narrower comes first where two compete (Istio's order of VirtualServices).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Only to its own namespace.
    Private,
    /// To namespaces by name.
    Named,
    /// To everybody.
    Public,
}

/// How narrowly a resource is exported, when `client` sees it.
#[must_use]
pub(super) fn reach(
    export_to: &[String],
    default: &[String],
    owner: &str,
    client: &str,
) -> Option<Reach> {
    let list = if export_to.is_empty() {
        default
    } else {
        export_to
    };
    if list.is_empty() || list.iter().any(|to| to == "*") {
        return Some(Reach::Public);
    }
    let reaches = list.iter().any(|to| match to.as_str() {
        "." => owner == client,
        "~" => false,
        namespace => namespace == client,
    });
    let is_private = list.iter().all(|to| to == "." || to == owner);
    reaches.then_some(if is_private {
        Reach::Private
    } else {
        Reach::Named
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_to_decides() {
        let list = |items: &[&str]| items.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>();
        for (to, default, client, want) in [
            (&[][..], &[][..], "b", Some(Reach::Public)),
            (&[], &["."], "b", None),
            (&[], &["."], "a", Some(Reach::Private)),
            (&["*"], &["."], "b", Some(Reach::Public)),
            (&["."], &[], "a", Some(Reach::Private)),
            (&["a"], &[], "a", Some(Reach::Private)),
            (&["."], &[], "b", None),
            (&[".", "b"], &[], "b", Some(Reach::Named)),
            (&["b"], &[], "a", None),
            (&["~"], &[], "a", None),
        ] {
            let got = reach(&list(to), &list(default), "a", client);
            assert_eq!(got, want, "{to:?} {default:?} {client}");
        }
    }
}
