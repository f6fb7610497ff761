//! Which filter chain a connection gets, against a reading of the rules that compares everything with everything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outrigger_core::peer::AddressRange;
use outrigger_core::policy::filter_chain::{Chosen, Seen, choose};
use outrigger_core::snapshot::{
    ChainRule, FilterChain, HttpSpoken, Listener, Listeners, ListensAt, VirtualHostId,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Names that services have and that clients ask for, chosen so that they overlap.
const NAMES: [&str; 8] = [
    "*",
    "*.a.test",
    "*.b.a.test",
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "*.test",
    "other",
];

/// Few addresses, so that most blocks have some of them in common.
fn address() -> impl Strategy<Value = IpAddr> {
    (0..4u8, 0..4u8).prop_map(|(third, last)| IpAddr::V4(Ipv4Addr::new(10, 0, third, last)))
}

fn block() -> impl Strategy<Value = AddressRange> {
    let bits = select(vec![8u8, 22, 23, 24, 31, 32]);
    (address(), bits)
        .prop_map(|(base, bits)| AddressRange::new(base, bits).expect("no more than 32 bits"))
}

/// A chain without its rule: names and blocks.
type Written = (Vec<&'static str>, Vec<AddressRange>);

fn chain() -> impl Strategy<Value = Written> {
    let names = prop::collection::vec(select(NAMES.to_vec()), 0..3);
    (names, prop::collection::vec(block(), 0..3))
}

fn http() -> impl Strategy<Value = HttpSpoken> {
    select(vec![
        HttpSpoken::Never,
        HttpSpoken::Always,
        HttpSpoken::Perhaps,
        HttpSpoken::Unsaid,
    ])
}

/// What its first bytes were, or that nobody looked.
#[derive(Clone, Copy, Debug)]
enum First {
    Nothing,
    Http,
    Tls(Option<&'static str>),
    Other,
}

fn first() -> impl Strategy<Value = First> {
    let names = [
        "a.test",
        "b.a.test",
        "c.b.a.test",
        "x.b.a.test",
        "y.test",
        "other",
        "z",
    ];
    prop_oneof![
        Just(First::Nothing),
        Just(First::Http),
        Just(First::Other),
        Just(First::Tls(None)),
        select(names.to_vec()).prop_map(|name| First::Tls(Some(name))),
    ]
}

/// How particular a name is that covers another; `None` where it does not.
fn covers(written: &str, asked: &str) -> Option<usize> {
    match written.strip_prefix('*') {
        None => (written == asked).then_some(usize::MAX),
        // At least one byte stands for the star.
        Some(rest) => (asked.len() > rest.len() && asked.ends_with(rest)).then_some(1 + rest.len()),
    }
}

/// The chain that the rules say: the one for the fewest addresses, of those the one by the most particular name, of those the
/// first.
fn chain_of(chains: &[Written], to: IpAddr, asked: Option<&str>) -> Option<usize> {
    let mut best: Option<((u8, usize), usize)> = None;
    for (at, (names, blocks)) in chains.iter().enumerate() {
        let prefixes = blocks.iter().filter(|block| block.has(to));
        let prefix = match blocks.is_empty() {
            true => Some(0),
            false => prefixes.map(AddressRange::prefix).max(),
        };
        let of_names = asked.and_then(|asked| names.iter().filter_map(|n| covers(n, asked)).max());
        let particular = match names.is_empty() {
            true => Some(0),
            false => of_names,
        };
        let Some(rank) = prefix.zip(particular) else {
            continue;
        };
        if best.is_none_or(|(before, _)| rank > before) {
            best = Some((rank, at));
        }
    }
    best.map(|(_, at)| at)
}

/// What becomes of a connection.
fn chosen(http: HttpSpoken, chains: &[Written], to: IpAddr, first: First) -> Chosen {
    let asks_for_names = chains.iter().any(|(names, _)| !names.is_empty());
    let looks = match http {
        HttpSpoken::Always => return Chosen::Http,
        HttpSpoken::Never => asks_for_names,
        HttpSpoken::Perhaps | HttpSpoken::Unsaid => true,
    };
    let asked = match first {
        First::Nothing if looks => return Chosen::Look,
        First::Http if http != HttpSpoken::Never => return Chosen::Http,
        First::Tls(name) => name,
        First::Nothing | First::Http | First::Other => None,
    };
    match chain_of(chains, to, asked) {
        Some(at) => Chosen::Rule(rule(at)),
        None => Chosen::Unknown,
    }
}

const fn rule(at: usize) -> ChainRule {
    ChainRule {
        virtual_host: VirtualHostId(3),
        rule: at as u32,
    }
}

fn listener(name: &str, http: HttpSpoken, chains: &[Written]) -> Listener {
    let chains = chains.iter().enumerate();
    let chains = chains.map(|(at, (names, blocks))| FilterChain {
        mesh_only: false,
        server_names: names.iter().map(|name| (*name).into()).collect(),
        destinations: blocks.clone().into(),
        rule: rule(at),
    });
    Listener::new(name.into(), http, chains.collect())
}

fn place() -> impl Strategy<Value = ListensAt> {
    prop_oneof![
        Just(ListensAt::Anywhere),
        address().prop_map(ListensAt::Address),
        block().prop_map(ListensAt::Block),
    ]
}

/// Which of several listeners somebody comes to: the one at his address, or at the smallest block with it, or anywhere; of
/// those the first.
fn listener_of(places: &[(u16, ListensAt)], to: SocketAddr) -> Option<usize> {
    let mut best: Option<(u16, usize)> = None;
    for (at, (port, place)) in places.iter().enumerate() {
        let rank = match place {
            ListensAt::Anywhere => Some(0),
            ListensAt::Block(block) => block.has(to.ip()).then(|| 1 + u16::from(block.prefix())),
            ListensAt::Address(address) => (*address == to.ip()).then_some(u16::MAX),
        };
        let rank = rank.filter(|_| *port == to.port());
        if let Some(rank) = rank
            && best.is_none_or(|(before, _)| rank > before)
        {
            best = Some((rank, at));
        }
    }
    best.map(|(_, at)| at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn chains_are_chosen_as_the_rules_say(
        http in http(),
        chains in prop::collection::vec(chain(), 0..6),
        to in address(),
        first in first(),
    ) {
        let listener = listener("l", http, &chains);
        let seen = match first {
            First::Nothing => Seen::Nothing,
            First::Http => Seen::Http,
            First::Tls(name) => Seen::Tls {
                name,
                of_mesh: false,
            },
            First::Other => Seen::Other,
        };
        prop_assert_eq!(choose(Some(&listener), to, seen), chosen(http, &chains, to, first));
    }

    #[test]
    fn listeners_are_found_as_the_rules_say(
        places in prop::collection::vec((1..3u16, place()), 0..8),
        to in (address(), 1..4u16).prop_map(|(ip, port)| SocketAddr::new(ip, port)),
    ) {
        let all = places.iter().enumerate();
        let all = all.map(|(at, (port, place))| {
            (*port, *place, listener(&at.to_string(), HttpSpoken::Never, &[]))
        });
        let found = Listeners::new(all.collect());
        let found = found.find(to).map(|listener| listener.name.to_string());
        prop_assert_eq!(found, listener_of(&places, to).map(|at| at.to_string()));
    }
}
