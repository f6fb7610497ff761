//! Steps 35 and 36: gRPC over HTTP/2, by clients and services that speak nothing else to each other.

use super::super::AT_ONCE;
use super::{Also, Effort, Expect, STEP, Speaks, Step, Trouble, VISIT, Visit, rules, share_of_v2};

/// A call of recommendation's method, straight from the visitor.
const CALL: Visit = Visit {
    speaks: Speaks::Grpc,
    method: "POST",
    host: "recommendation-grpc:9090",
    path: "/demo.Recommendation/Get",
    ..VISIT
};

/// In the order they are played.
pub(super) const CALLS: &[Step] = &[
    Step {
        name: "35-grpc-canary",
        title: "gRPC: the calls of one connection are shared by two versions",
        rules: rules!("35-grpc-canary"),
        visits: &[
            Visit {
                who: "anybody who calls",
                effort: Effort::Full,
                expect: share_of_v2(0.10),
                also: Also::OneConnection { at_once: AT_ONCE },
                ..CALL
            },
            Visit {
                who: "testers who call",
                headers: &[("x-tester", "yes")],
                expect: Expect::Always("v2"),
                ..CALL
            },
        ],
        tells: "drawn with weight 10 of 100",
        ..STEP
    },
    Step {
        name: "36-grpc-retry",
        title: "gRPC: version 1 answers UNAVAILABLE, and its calls are tried again",
        rules: rules!("36-grpc-retry"),
        trouble: Trouble::V1Fails,
        visits: &[Visit {
            who: "anybody who calls",
            effort: Effort::Times(200),
            expect: Expect::Always("v2"),
            also: Also::Retried,
            ..CALL
        }],
        tells: "grpc-status 14; retried after",
        ..STEP
    },
];
