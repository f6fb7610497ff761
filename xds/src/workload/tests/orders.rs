//! That it does not matter in what order things come, go and come again.

use proptest::prelude::*;

use super::*;

/// A small mesh, in which everything may be another way.
fn any_workload() -> impl Strategy<Value = Workload> {
    let ports = prop::collection::vec((78..83_u32, 0..3_u32), 0..3);
    (
        1..6_u8,
        prop::collection::vec((0..3_u8, ports), 0..3),
        0..4_u8,
    )
        .prop_map(|(number, services, more)| {
            let services = services.into_iter().map(|(service, ports)| {
                let ports = ports
                    .into_iter()
                    .map(|(of, target)| port(of, target * 1000, AppProtocol::Unknown));
                (
                    key(service),
                    PortList {
                        ports: ports.collect(),
                    },
                )
            });
            let mut workload = Workload {
                services: services.collect(),
                ..pod(number)
            };
            match more {
                0 => workload.status = Health::Unhealthy.into(),
                1 => workload.addresses.clear(),
                2 => workload.hostname = "a.example".into(),
                _ => {}
            }
            workload
        })
}

fn key(service: u8) -> String {
    format!("shop/s{service}.example")
}

fn any_service() -> impl Strategy<Value = Service> {
    let ports = prop::collection::vec((78..83_u32, 0..2_u32), 0..4);
    (0..3_u8, ports, 0..4_i32).prop_map(|(number, ports, mode)| Service {
        hostname: format!("s{number}.example"),
        ports: ports
            .into_iter()
            .map(|(of, target)| port(of, target * 2000, AppProtocol::Http11))
            .collect(),
        load_balancing: Some(LoadBalancing {
            mode,
            ..LoadBalancing::default()
        }),
        ..cart()
    })
}

#[derive(Clone, Debug)]
enum Step {
    Is(Box<Resource>),
    Gone(usize),
    Reconnect,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_workload().prop_map(|workload| Step::Is(Box::new(of_workload(workload)))),
        3 => any_service().prop_map(|service| Step::Is(Box::new(of_service(service)))),
        2 => any::<prop::sample::Index>().prop_map(|at| Step::Gone(at.index(100))),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    /// Whatever comes, goes and comes again, be it in one response or in many, and however often the stream breaks: what comes of
    /// it is what a fresh start gives.
    #[test]
    fn what_comes_of_it_is_what_a_fresh_start_gives(
        steps in prop::collection::vec((any_step(), any::<bool>()), 0..40),
    ) {
        let mut mesh: BTreeMap<String, Resource> = BTreeMap::new();
        let mut both = Both::new();
        let (mut new, mut gone) = (BTreeMap::new(), Vec::new());
        for (step, is_told) in steps {
            match step {
                Step::Is(resource) => {
                    mesh.insert(resource.name.clone(), (*resource).clone());
                    gone.retain(|name| *name != resource.name);
                    new.insert(resource.name.clone(), *resource);
                }
                Step::Gone(at) => {
                    let name = mesh.keys().nth(at % mesh.len().max(1)).cloned();
                    if let Some(name) = name {
                        mesh.remove(&name);
                        new.remove(&name);
                        gone.push(name);
                    }
                }
                Step::Reconnect => {
                    // As a server does it that was lost: it compares what the client says to have.
                    let said = both.client.open(Node::default()).initial_resource_versions;
                    new = mesh.clone();
                    new.retain(|name, resource| said.get(name) != Some(&resource.version));
                    gone = said.into_keys().filter(|name| !mesh.contains_key(name)).collect();
                }
            }
            if is_told {
                let resources = std::mem::take(&mut new).into_values().collect();
                let answer = both.take(resources, std::mem::take(&mut gone));
                prop_assert_eq!(answer.error_detail, None);
            }
        }
        both.take(new.into_values().collect(), gone);
        let mut fresh = Both::new();
        fresh.take(mesh.values().cloned().collect(), Vec::new());
        prop_assert_eq!(both.documents(), fresh.documents());
        prop_assert_eq!(both.troubles(), fresh.troubles());
        let has: Vec<_> = both.client.open(Node::default()).initial_resource_versions.into_iter().collect();
        let wanted: Vec<_> = mesh.into_iter().map(|(name, resource)| (name, resource.version)).collect();
        prop_assert_eq!(has, wanted);
    }
}
