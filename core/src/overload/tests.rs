//! Marks, tables and levels; a slow model says what levels are to be.

use proptest::prelude::*;

use super::*;

const MARKS: Marks = Marks { soft: 80, hard: 90 };

#[test]
fn a_mark_is_entered_at_it_and_left_below_it() {
    use Level::{Calm, Hard, Soft};
    // What is used of 1000, and the level then.
    for steps in [
        &[(799, Calm), (800, Soft), (750, Soft), (749, Calm)][..],
        &[
            (0, Calm),
            (899, Soft),
            (900, Hard),
            (850, Hard),
            (849, Soft),
        ],
        &[
            (5000, Hard),
            (751, Soft),
            (799, Soft),
            (0, Calm),
            (799, Calm),
        ],
    ] {
        let mut before = Calm;
        for (used, want) in steps {
            let pressure = Pressure {
                used: *used,
                limit: 1000,
            };
            let now = level(before, pressure, MARKS);
            assert_eq!(now, *want, "{used} after {before:?} in {steps:?}");
            before = now;
        }
    }
}

#[test]
fn small_numbers_and_small_marks_can_be_left() {
    for (limit, marks, full, room) in [
        (
            1,
            Marks {
                soft: 90,
                hard: 100,
            },
            1,
            0,
        ),
        (
            10,
            Marks {
                soft: 90,
                hard: 100,
            },
            10,
            8,
        ),
        (1000, Marks { soft: 1, hard: 2 }, 20, 0),
        (u64::MAX, MARKS, u64::MAX, 0),
        (
            1000,
            Marks {
                soft: 120,
                hard: 150,
            },
            1500,
            1149,
        ),
    ] {
        let at = |before, used| level(before, Pressure { used, limit }, marks);
        assert_eq!(at(Level::Calm, full), Level::Hard, "{full} of {limit}");
        assert_eq!(at(Level::Hard, room), Level::Calm, "{room} of {limit}");
    }
    let nothing = Pressure::default();
    assert_eq!(level(Level::Calm, nothing, MARKS), Level::Hard);
}

#[test]
fn each_resource_has_its_actions() {
    use Action::*;
    let all = |resource, level| {
        let actions = Actions::at(resource, level);
        let has = move |action: &Action| actions.has(*action);
        Action::ALL.into_iter().filter(has).collect::<Vec<_>>()
    };
    for resource in Resource::ALL {
        assert_eq!(all(resource, Level::Calm), []);
        let mut hard = all(resource, Level::Soft);
        hard.push(RejectConnections);
        assert_eq!(all(resource, Level::Hard), hard, "{resource:?}");
    }
    let everything = [
        StopAcceptingRequests,
        DisableKeepAlive,
        ReduceTimeouts,
        CloseIdleUpstream,
        StopAcceptingConnections,
    ];
    for (resource, want) in [
        (Resource::Descriptors, &everything[..]),
        (Resource::Memory, &everything),
        (Resource::Connections, &[DisableKeepAlive, ReduceTimeouts]),
        (
            Resource::BufferedBytes,
            &[
                StopAcceptingRequests,
                DisableKeepAlive,
                StopAcceptingConnections,
            ],
        ),
    ] {
        assert_eq!(all(resource, Level::Soft), want, "{resource:?}");
    }
}

#[test]
fn there_is_room_up_to_the_hard_mark() {
    for (used, limit, hard, want) in [
        (0, 100, 95, 95),
        (90, 100, 95, 5),
        (95, 100, 95, 0),
        (200, 100, 95, 0),
        (0, u64::MAX, 1000, u64::MAX),
    ] {
        let marks = Marks { soft: 1, hard };
        assert_eq!(
            room(Pressure { used, limit }, marks),
            want,
            "{used} of {limit}"
        );
    }
}

#[test]
fn tables_stand_in_the_order_of_their_variants() {
    for (at, resource) in Resource::ALL.into_iter().enumerate() {
        assert_eq!(resource as usize, at);
        let Marks { soft, hard } = resource.marks();
        assert!(soft < hard, "{resource:?}");
    }
    for (at, action) in Action::ALL.into_iter().enumerate() {
        assert_eq!(action as usize, at);
    }
}

#[test]
fn what_is_not_measured_stays_where_it_was() {
    let mut overload = Overload::new([MARKS; 4]);
    let full = Pressure { used: 9, limit: 10 };
    let change = |before, now, pressure| Change {
        resource: Resource::Memory,
        before,
        now,
        pressure,
    };
    let news = overload.look([None, None, None, Some(full)]);
    assert_eq!(news, [change(Level::Calm, Level::Hard, full)]);
    assert_eq!(overload.look([None; 4]), []);
    assert_eq!(overload.level(Resource::Memory), Level::Hard);
    assert!(overload.actions().has(Action::RejectConnections));
    let empty = Pressure { used: 0, limit: 10 };
    let news = overload.look([Some(empty), None, None, Some(empty)]);
    assert_eq!(news, [change(Level::Hard, Level::Calm, empty)]);
    assert_eq!(overload.actions(), Actions::default());
}

/// The slow model: a resource is at the highest level whose mark it has reached since it was last clearly below it.
fn model(history: &[u64], limit: u64, marks: Marks) -> Level {
    let entered = |mark: u32| {
        let slack = f64::from(CALM_BELOW.min(mark / 2));
        let share = |used: &u64| *used as f64 * 100.0 / limit as f64;
        let last_in = history
            .iter()
            .rposition(|used| share(used) >= f64::from(mark));
        let last_out = history
            .iter()
            .rposition(|used| share(used) < f64::from(mark) - slack);
        last_in.is_some() && last_in > last_out
    };
    match (entered(marks.hard), entered(marks.soft)) {
        (true, _) => Level::Hard,
        (false, true) => Level::Soft,
        (false, false) => Level::Calm,
    }
}

proptest! {
    #[test]
    fn levels_are_those_of_the_model(
        history in proptest::collection::vec(0_u64..300, 1..60),
        soft in 1_u32..150,
        more in 1_u32..50,
    ) {
        let marks = Marks { soft, hard: soft + more };
        let mut before = Level::Calm;
        for end in 1..=history.len() {
            let used = history[end - 1];
            before = level(before, Pressure { used, limit: 100 }, marks);
            prop_assert_eq!(before, model(&history[..end], 100, marks));
        }
    }
}
