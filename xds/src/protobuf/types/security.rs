//! The policies of `security/v1beta1`, and what selects workloads (`type/v1beta1/selector.proto`).

use crate::protobuf::table::{
    Kind, Message, Symbols, duration, flag, map, message, numbered, symbol, text,
};

pub(super) static AUTHORIZATION_POLICY: Message = Message::new(
    "AuthorizationPolicy",
    &[
        message(1, "selector", &WORKLOAD_SELECTOR),
        message(2, "rules", &RULE).list(),
        symbol(3, "action", AUTHORIZATION_POLICY_ACTION),
        message(4, "provider", &AUTHORIZATION_POLICY_EXTENSION_PROVIDER),
        message(5, "targetRef", &POLICY_TARGET_REFERENCE),
        message(6, "targetRefs", &POLICY_TARGET_REFERENCE).list(),
    ],
);

static RULE: Message = Message::new(
    "Rule",
    &[
        message(1, "from", &FROM).list(),
        message(2, "to", &TO).list(),
        message(3, "when", &CONDITION).list(),
    ],
);

static FROM: Message = Message::new("Rule.From", &[message(1, "source", &SOURCE)]);

static SOURCE: Message = Message::new(
    "Source",
    &[
        text(1, "principals").list(),
        text(2, "requestPrincipals").list(),
        text(3, "namespaces").list(),
        text(4, "ipBlocks").list(),
        text(5, "notPrincipals").list(),
        text(6, "notRequestPrincipals").list(),
        text(7, "notNamespaces").list(),
        text(8, "notIpBlocks").list(),
        text(9, "remoteIpBlocks").list(),
        text(10, "notRemoteIpBlocks").list(),
        text(11, "serviceAccounts").list(),
        text(12, "notServiceAccounts").list(),
        text(13, "trustDomains").list(),
        text(14, "notTrustDomains").list(),
    ],
);

static TO: Message = Message::new("Rule.To", &[message(1, "operation", &OPERATION)]);

static OPERATION: Message = Message::new(
    "Operation",
    &[
        text(1, "hosts").list(),
        text(2, "ports").list(),
        text(3, "methods").list(),
        text(4, "paths").list(),
        text(5, "notHosts").list(),
        text(6, "notPorts").list(),
        text(7, "notMethods").list(),
        text(8, "notPaths").list(),
    ],
);

static CONDITION: Message = Message::new(
    "Condition",
    &[
        text(1, "key"),
        text(2, "values").list(),
        text(3, "notValues").list(),
    ],
);

static AUTHORIZATION_POLICY_EXTENSION_PROVIDER: Message =
    Message::new("AuthorizationPolicy.ExtensionProvider", &[text(1, "name")]);

pub(super) static PEER_AUTHENTICATION: Message = Message::new(
    "PeerAuthentication",
    &[
        message(1, "selector", &WORKLOAD_SELECTOR),
        message(2, "mtls", &MUTUAL_TLS),
        numbered(3, "portLevelMtls", &Kind::Message(&MUTUAL_TLS)),
    ],
);

static MUTUAL_TLS: Message = Message::new(
    "PeerAuthentication.MutualTLS",
    &[symbol(1, "mode", MUTUAL_TLS_MODE)],
);

pub(super) static REQUEST_AUTHENTICATION: Message = Message::new(
    "RequestAuthentication",
    &[
        message(1, "selector", &WORKLOAD_SELECTOR),
        message(2, "jwtRules", &JWT_RULE).list(),
        message(3, "targetRef", &POLICY_TARGET_REFERENCE),
        message(4, "targetRefs", &POLICY_TARGET_REFERENCE).list(),
    ],
);

static JWT_RULE: Message = Message::new(
    "JWTRule",
    &[
        text(1, "issuer"),
        text(2, "audiences").list(),
        text(3, "jwksUri"),
        message(6, "fromHeaders", &JWT_HEADER).list(),
        text(7, "fromParams").list(),
        text(8, "outputPayloadToHeader"),
        flag(9, "forwardOriginalToken"),
        text(10, "jwks"),
        message(11, "outputClaimToHeaders", &CLAIM_TO_HEADER).list(),
        text(12, "fromCookies").list(),
        duration(13, "timeout"),
        text(14, "spaceDelimitedClaims").list(),
    ],
);

static JWT_HEADER: Message = Message::new("JWTHeader", &[text(1, "name"), text(2, "prefix")]);

static CLAIM_TO_HEADER: Message =
    Message::new("ClaimToHeader", &[text(1, "header"), text(2, "claim")]);

pub(super) static WORKLOAD_SELECTOR: Message =
    Message::new("WorkloadSelector", &[map(1, "matchLabels", &Kind::Text)]);

pub(super) static POLICY_TARGET_REFERENCE: Message = Message::new(
    "PolicyTargetReference",
    &[
        text(1, "group"),
        text(2, "kind"),
        text(3, "name"),
        text(4, "namespace"),
    ],
);

const AUTHORIZATION_POLICY_ACTION: Symbols =
    &[(0, "ALLOW"), (1, "DENY"), (2, "AUDIT"), (3, "CUSTOM")];

const MUTUAL_TLS_MODE: Symbols = &[
    (0, "UNSET"),
    (1, "DISABLE"),
    (2, "PERMISSIVE"),
    (3, "STRICT"),
];
