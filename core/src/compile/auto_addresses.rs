//! Addresses for services that have none, so that connections to them can be told apart once an application has asked for
//! their names (Istio's automatic allocation).
//!
//! Owns which services get some and which ones: `240.240.x.y` and `2001:2::f0f0:xy`, blocks that nobody routes (RFC 1112 §4,
//! RFC 5180 §8), chosen by a hash of the host. A host keeps its address for as long as it is there; another process chooses
//! the same unless two hosts want the same one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use super::services::{Definition, RegistryService, Services};
use crate::cluster::Registry;
use crate::config::mesh::MeshConfig;
use crate::config::names::is_wildcard;
use crate::config::service_entry::Resolution;
use crate::xxhash::xxh64;

/// The label by which a ServiceEntry wants none.
const LABEL: &str = "networking.istio.io/enable-autoallocate-ip";

/// Last bytes of an address: neither 0 nor 255, which some take for a network and for everybody in it.
const LAST_BYTES: u16 = 254;

/// How many addresses there are. Hosts beyond that get none.
const ADDRESSES: u16 = LAST_BYTES << 8;

/// Gives services addresses that need some, where applications ask us for names: those that the mesh's controller has given to
/// them (`status.addresses`), else some of ours.
pub(super) fn allocate(services: &mut Services<'_>, mesh: &MeshConfig, registry: &mut Registry) {
    let settings = &mesh.default_config;
    let is_on = settings.dns_capture && settings.dns_auto_allocate != Some(false);
    if is_on {
        for service in services.iter_mut() {
            service.allocated = assigned(service);
        }
    }
    let wanting =
        (services.iter()).filter(|service| is_on && service.allocated.is_empty() && wants(service));
    let hosts: Vec<Box<str>> = wanting
        .map(|service| service.host.as_str().into())
        .collect();
    let written = services.iter().flat_map(|service| &service.addresses);
    let assigned = services.iter().flat_map(|service| &service.allocated);
    let taken = written.filter_map(|text| number_of(text.parse().ok()?));
    let taken = taken.chain(assigned.copied().filter_map(number_of));
    let given = choose(&hosts, &taken.collect(), &registry.auto_addresses);
    for service in services.iter_mut() {
        if let Some(number) = given.get(service.host.as_str()) {
            service.allocated = addresses(*number).into();
        }
    }
    registry.auto_addresses = given;
}

/// What Istio gives addresses to: external or internal services that somebody defines without any, and whose connections do
/// not go where they were to go.
fn wants(service: &RegistryService<'_>) -> bool {
    match service.definition {
        Definition::Kubernetes => false,
        Definition::Entry(entry) => {
            let is_told_apart = match entry.resolution {
                Resolution::None => false,
                Resolution::DynamicDns => true,
                Resolution::Static | Resolution::Dns | Resolution::DnsRoundRobin => {
                    !is_wildcard(&service.host)
                }
            };
            entry.addresses.is_empty()
                && is_told_apart
                && entry
                    .meta
                    .labels
                    .get(LABEL)
                    .is_none_or(|value| value != "false")
        }
    }
}

/// What the mesh's controller has given to a service that needs some.
fn assigned(service: &RegistryService<'_>) -> Vec<IpAddr> {
    match service.definition {
        Definition::Entry(entry) if wants(service) => {
            let assigned = entry.assigned.iter();
            let own = assigned.filter(|(host, _)| *host == service.host);
            own.map(|(_, address)| *address).collect()
        }
        Definition::Entry(_) | Definition::Kubernetes => Vec::new(),
    }
}

/// Chooses a number for each host: the one that it has, else the first free one from where its hash points.
fn choose(
    hosts: &[Box<str>],
    taken: &BTreeSet<u16>,
    before: &BTreeMap<Box<str>, u16>,
) -> BTreeMap<Box<str>, u16> {
    let mut taken = taken.clone();
    let mut given = BTreeMap::new();
    for host in hosts {
        if let Some(number) = before.get(host)
            && taken.insert(*number)
        {
            given.insert(host.clone(), *number);
        }
    }
    for host in hosts {
        if given.contains_key(host) || taken.len() >= ADDRESSES.into() {
            continue;
        }
        let mut number = (xxh64(host.as_bytes(), 0) % u64::from(ADDRESSES)) as u16;
        // Ends, because one is free.
        while !taken.insert(number) {
            number = (number + 1) % ADDRESSES;
        }
        given.insert(host.clone(), number);
    }
    given
}

fn addresses(number: u16) -> [IpAddr; 2] {
    let (third, last) = (number / LAST_BYTES, number % LAST_BYTES + 1);
    let v4 = Ipv4Addr::new(240, 240, third as u8, last as u8);
    let v6 = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0xf0f0, third << 8 | last);
    [v4.into(), v6.into()]
}

/// The number that an address has here, if it is one of these.
fn number_of(address: IpAddr) -> Option<u16> {
    let (third, last) = match address {
        IpAddr::V4(ip) => match ip.octets() {
            [240, 240, third, last] => (third, last),
            _ => return None,
        },
        IpAddr::V6(ip) => match ip.segments() {
            [0x2001, 2, 0, 0, 0, 0, 0xf0f0, low] => ((low >> 8) as u8, low as u8),
            _ => return None,
        },
    };
    let last = u16::from(last);
    matches!(last, 1..=LAST_BYTES).then(|| u16::from(third) * LAST_BYTES + last - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_addresses_and_back() {
        for (number, want) in [
            (0, "240.240.0.1 2001:2::f0f0:1"),
            (253, "240.240.0.254 2001:2::f0f0:fe"),
            (254, "240.240.1.1 2001:2::f0f0:101"),
            (ADDRESSES - 1, "240.240.255.254 2001:2::f0f0:fffe"),
        ] {
            let both = addresses(number);
            assert_eq!(both.map(|ip| ip.to_string()).join(" "), want);
            assert_eq!(both.map(number_of), [Some(number); 2], "{want}");
        }
        for none in [
            "240.240.0.0",
            "240.240.9.255",
            "240.241.0.1",
            "2001:2::1",
            "::1",
        ] {
            assert_eq!(number_of(none.parse().unwrap()), None, "{none}");
        }
    }

    fn boxed(hosts: &[&str]) -> Vec<Box<str>> {
        hosts.iter().map(|host| (*host).into()).collect()
    }

    #[test]
    fn a_host_keeps_its_number_whoever_comes_and_goes() {
        let none = BTreeSet::new();
        let first = choose(&boxed(&["b"]), &none, &BTreeMap::new());
        // Somebody who wants the same one has written it down, and comes first.
        let taken = BTreeSet::from([first["b"]]);
        let moved = choose(&boxed(&["b"]), &taken, &first);
        assert_eq!(moved["b"], (first["b"] + 1) % ADDRESSES);
        let stays = choose(&boxed(&["a", "b"]), &none, &moved);
        assert_eq!(
            stays["b"], moved["b"],
            "although the other one is free again"
        );
        let alone = choose(&boxed(&["b"]), &none, &BTreeMap::new());
        assert_eq!(alone, first, "another process chooses the same");
    }

    #[test]
    fn when_none_is_left_nobody_waits_for_one() {
        let all: BTreeSet<u16> = (0..ADDRESSES - 1).collect();
        let given = choose(&boxed(&["a", "b"]), &all, &BTreeMap::new());
        assert_eq!(
            given.into_iter().collect::<Vec<_>>(),
            [("a".into(), ADDRESSES - 1)]
        );
    }

    proptest! {
        #[test]
        fn everybody_has_one_alone_and_keeps_it(
            before in proptest::collection::btree_set("[a-z]{1,3}", 0..40),
            after in proptest::collection::btree_set("[a-z]{1,3}", 0..40),
            taken in proptest::collection::btree_set(0..ADDRESSES, 0..40),
        ) {
            let list = |hosts: &BTreeSet<String>| -> Vec<Box<str>> {
                hosts.iter().map(|host| host.as_str().into()).collect()
            };
            let first = choose(&list(&before), &taken, &BTreeMap::new());
            let then = choose(&list(&after), &taken, &first);
            for given in [&first, &then] {
                let numbers: BTreeSet<u16> = given.values().copied().collect();
                prop_assert_eq!(numbers.len(), given.len());
                prop_assert!(numbers.is_disjoint(&taken));
                prop_assert!(numbers.iter().all(|number| *number < ADDRESSES));
            }
            prop_assert_eq!(then.len(), after.len());
            for host in before.intersection(&after) {
                prop_assert_eq!(first[host.as_str()], then[host.as_str()]);
            }
        }
    }
}
