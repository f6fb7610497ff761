//! The last steps: who speaks to whom. Sidecars prove whom they stand beside, and the one that is asked says who may come in.

use super::{Certificates, Effort, Expect, STEP, Step, Teller, Through, VISIT, Visit, rules};

/// What a policy refuses.
const DENIED: &str = "403 RBAC: access denied";

/// Where nothing but the identity differs, a few requests are as good as many.
const A_FEW: Effort = Effort::Times(40);

/// A request with a token. Those of the examples have no end, or came to it long ago.
macro_rules! bearer {
    ($token:literal) => {
        &[(
            "authorization",
            concat!(
                "Bearer ",
                include_str!(concat!(
                    "../../../../examples/tutorial/tokens/",
                    $token,
                    ".jwt"
                ))
            ),
        )]
    };
}

/// Anybody with an identity.
const KNOWN: Visit = Visit {
    who: "a visitor",
    effort: A_FEW,
    ..VISIT
};

/// Somebody with another one.
const TESTER: Visit = Visit {
    who: "the tester",
    through: Through::Tester,
    ..KNOWN
};

/// Somebody without.
const STRANGER: Visit = Visit {
    who: "a stranger",
    through: Through::Stranger,
    ..KNOWN
};

/// In the order they are played.
pub(super) const TRUST: &[Step] = &[
    Step {
        name: "37-strict",
        title: "mutual TLS: who has no identity of the mesh is cut off",
        rules: rules!("37-strict"),
        visits: &[
            KNOWN,
            TESTER,
            Visit {
                expect: Expect::Always("503 UC"),
                ..STRANGER
            },
        ],
        tells: "ended without a response: connection termination",
        certificates: Certificates::Issued,
        ..STEP
    },
    Step {
        name: "38-deny-list",
        title: "customer is for everybody but one",
        rules: rules!("38-deny-list"),
        visits: &[
            KNOWN,
            Visit {
                expect: Expect::Always(DENIED),
                ..TESTER
            },
        ],
        tells: "denied by AuthorizationPolicy default/no-testers spec.rules[0]",
        teller: Teller::Asked,
        certificates: Certificates::Issued,
        ..STEP
    },
    Step {
        name: "39-allow-list",
        title: "recommendation is for preference alone, whoever else asks",
        rules: rules!("39-allow-list"),
        visits: &[
            KNOWN,
            Visit {
                who: "a visitor, directly",
                host: "recommendation",
                expect: Expect::Always(DENIED),
                ..KNOWN
            },
            Visit {
                who: "a stranger, directly",
                host: "recommendation",
                expect: Expect::Always(DENIED),
                ..STRANGER
            },
        ],
        tells: "denied: no policy allows it",
        teller: Teller::Asked,
        certificates: Certificates::Issued,
        ..STEP
    },
    Step {
        name: "40-tokens",
        title: "customer is for users with a token (JWT)",
        rules: rules!("40-tokens"),
        visits: &[
            Visit {
                who: "with a token",
                headers: bearer!("valid"),
                ..KNOWN
            },
            Visit {
                who: "without one",
                expect: Expect::Always(DENIED),
                ..KNOWN
            },
            Visit {
                who: "of another issuer",
                headers: bearer!("of-another-issuer"),
                expect: Expect::Always("401 Jwt issuer is not configured"),
                ..KNOWN
            },
            Visit {
                who: "with an old one",
                headers: bearer!("expired"),
                expect: Expect::Always("401 Jwt is expired"),
                ..KNOWN
            },
        ],
        tells: "refused: Jwt is expired",
        teller: Teller::Asked,
        certificates: Certificates::Issued,
        ..STEP
    },
];
