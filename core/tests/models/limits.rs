//! Circuit limits and the waiting line against the plain model of them (`fuzz/src/limits.rs`): random events.

use outrigger_core::entropy::Entropy;
use proptest::prelude::*;

use crate::house::House;
use crate::limits_model::{Allowed, CLIENTS, Event, Model, same, snapshot, step};

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Asks),
        4 => Just(Event::Connected),
        1 => Just(Event::Refused),
        5 => Just(Event::Answers),
        1 => Just(Event::EndpointCloses),
        1 => Just(Event::ClientLeaves),
        1 => Just(Event::IdleEnds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn admits_and_serves_as_the_model_does(
        connections in 1usize..5,
        pending in 1usize..5,
        requests in 1usize..6,
        events in prop::collection::vec((any_event(), any::<usize>()), 1..120),
    ) {
        let allowed = Allowed { connections, pending, requests };
        let mut house = House::new(snapshot(allowed), CLIENTS, Entropy(7));
        let mut model = Model::new(allowed);
        for (event, choice) in events {
            step(&mut house, &mut model, event, choice);
            model.serve();
            same(&house, &model);
        }
        (0..CLIENTS).for_each(|at| house.client_leaves(at));
        let kept: usize = house.idle.values().map(Vec::len).sum();
        prop_assert_eq!(house.worker.counts().idle, kept);
    }
}
