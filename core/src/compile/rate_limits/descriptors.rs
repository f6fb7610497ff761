//! Which descriptors of a limit a request may have: what routes make of requests, held against what the limit has buckets
//! for. Only what depends on the request is left to be looked at later.

use core::net::IpAddr;

use crate::snapshot::{
    DescribedBy, Describes, Descriptor, DescriptorAction, EntryMatch, REMOTE_ADDRESS,
};

/// The descriptors that a request with these lists of actions may have, slow buckets first, as in Envoy.
pub(super) fn described(descriptors: &[Descriptor], lists: &[&Describes]) -> Box<[DescribedBy]> {
    let mut described: Vec<_> = descriptors
        .iter()
        .zip(0..)
        .filter_map(|(descriptor, at)| {
            let any: Box<[_]> = lists
                .iter()
                .flat_map(|by| ways(&by.actions, &descriptor.entries))
                .map(Vec::into_boxed_slice)
                .collect();
            let by = DescribedBy {
                descriptor: at,
                any,
            };
            (!by.any.is_empty()).then_some(by)
        })
        .collect();
    let period = |by: &DescribedBy| descriptors[by.descriptor as usize].sized.size.period();
    described.sort_by_key(|by| core::cmp::Reverse(period(by))); // stable: as written within
    described.into()
}

/// The ways in which actions come to these entries. A list whose request lacks something that is not to be skipped makes
/// no descriptor at all.
fn ways(actions: &[DescriptorAction], entries: &[(Box<str>, Box<str>)]) -> Vec<Vec<EntryMatch>> {
    let Some((action, rest)) = actions.split_first() else {
        return if entries.is_empty() {
            vec![Vec::new()]
        } else {
            Vec::new()
        };
    };
    let entry = entries.first();
    let with = |entry: Option<EntryMatch>| {
        let rest = ways(rest, entries.get(1..).unwrap_or_default());
        rest.into_iter()
            .map(move |way| entry.iter().cloned().chain(way).collect())
    };
    let is = |key: &str, value: &str| entry.is_some_and(|(k, v)| **k == *key && **v == *value);
    match action {
        DescriptorAction::GenericKey(key, value) if is(key, value) => with(None).collect(),
        DescriptorAction::HeaderValueMatch {
            key,
            value,
            expect_match,
            headers,
        } if is(key, value) => {
            let headers = EntryMatch::Headers {
                all: headers.clone(),
                expect: *expect_match,
            };
            with(Some(headers)).collect()
        }
        DescriptorAction::RemoteAddress => {
            let address = entry.filter(|(key, _)| &**key == REMOTE_ADDRESS);
            let address = address.and_then(|(_, value)| value.parse::<IpAddr>().ok());
            let remote = address.map(EntryMatch::RemoteAddress);
            remote.map_or_else(Vec::new, |remote| with(Some(remote)).collect())
        }
        DescriptorAction::RequestHeader {
            name,
            key,
            skip_if_absent,
        } => {
            let mut all = Vec::new();
            if let Some((_, value)) = entry.filter(|(k, _)| **k == **key) {
                let field = EntryMatch::Field(name.clone(), value.clone());
                all.extend(with(Some(field)));
            }
            if *skip_if_absent {
                let absent = EntryMatch::Absent(name.clone());
                let skipped = ways(rest, entries).into_iter();
                all.extend(skipped.map(|way| {
                    core::iter::once(absent.clone())
                        .chain(way)
                        .collect::<Vec<_>>()
                }));
            }
            all
        }
        DescriptorAction::GenericKey(..) | DescriptorAction::HeaderValueMatch { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::MatchedField;

    fn field(name: &str) -> MatchedField {
        MatchedField::new(name).unwrap()
    }

    fn user(skip_if_absent: bool) -> DescriptorAction {
        DescriptorAction::RequestHeader {
            name: field("x-user"),
            key: "user".into(),
            skip_if_absent,
        }
    }

    fn entries(text: &str) -> Vec<(Box<str>, Box<str>)> {
        let pairs = text
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }

    #[test]
    fn actions_must_come_to_all_entries_in_order() {
        let generic =
            |key: &str, value: &str| DescriptorAction::GenericKey(key.into(), value.into());
        let jo = || EntryMatch::Field(field("x-user"), "jo".into());
        let home = || EntryMatch::RemoteAddress("10.0.0.1".parse().unwrap());
        for (actions, wanted, want) in [
            (vec![user(false)], "user=jo", vec![vec![jo()]]),
            (vec![user(false)], "who=jo", vec![]),
            (vec![user(false)], "user=jo a=b", vec![]),
            (vec![generic("a", "b")], "a=b", vec![vec![]]),
            (vec![generic("a", "b")], "a=c", vec![]),
            (
                vec![generic("a", "b"), user(false)],
                "a=b user=jo",
                vec![vec![jo()]],
            ),
            (vec![user(false), generic("a", "b")], "a=b user=jo", vec![]),
            (
                vec![user(true), generic("a", "b")],
                "a=b",
                vec![vec![EntryMatch::Absent(field("x-user"))]],
            ),
            (
                vec![user(true), generic("a", "b")],
                "user=jo a=b",
                vec![vec![jo()]],
            ),
            (
                vec![DescriptorAction::RemoteAddress],
                "remote_address=10.0.0.1",
                vec![vec![home()]],
            ),
            (
                vec![DescriptorAction::RemoteAddress],
                "remote_address=home",
                vec![],
            ),
        ] {
            assert_eq!(
                ways(&actions, &entries(wanted)),
                want,
                "{actions:?} {wanted}"
            );
        }
    }
}
