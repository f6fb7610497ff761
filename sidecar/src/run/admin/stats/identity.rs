//! What `/stats` tells of the workload's certificate: until when it is good, and whether a newer one was refused.

use std::time::{SystemTime, UNIX_EPOCH};

use outrigger_identity::Remaining;
use outrigger_identity::csr::Held;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};

use super::super::Sources;

const OURS: Scope<'static> = Scope {
    text: "outrigger",
    family: "outrigger",
    labels: "",
};

const SERVER: Scope<'static> = Scope {
    text: "server",
    family: "envoy_server",
    labels: "",
};

/// The certificate of this workload, and how it fares.
pub(super) fn add(sheet: &mut Sheet, of: &Sources) {
    let Some(known) = of.identity.as_ref().map(|shared| shared.known()) else {
        return;
    };
    let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(identity) = &known.identity {
        let left = Remaining::of(&identity.leaf, SystemTime::now()).left;
        for (name, help, value) in [
            (
                "identity_expiration_unix_time_seconds",
                "When the certificate of this workload is over, since 1970",
                since(identity.leaf.not_after).as_secs_f64(),
            ),
            (
                "identity_roots",
                "Authorities of the mesh that are trusted",
                identity.roots.len() as f64,
            ),
        ] {
            sheet.add(&OURS, Stat::new(name, help), Value::Gauge(value));
        }
        let days = Stat::new(
            "days_until_first_cert_expiring",
            "Whole days until the certificate of this workload is over",
        );
        let whole = left.as_secs() / 86_400;
        sheet.add(&SERVER, days, Value::Gauge(whole as f64));
    }
    let refused = Stat::new(
        "identity_refused",
        "1 if the identity that came last was refused, so that an older one is in use",
    );
    let is_refused = f64::from(u8::from(known.refused.is_some()));
    sheet.add(&OURS, refused, Value::Gauge(is_refused));
    for (text, family, help, count) in [
        (
            "identity_taken",
            "identity_taken_total",
            "Identities that were put into use",
            known.taken,
        ),
        (
            "identity_refusals",
            "identity_refusals_total",
            "Identities that were refused",
            known.refusals,
        ),
    ]
    .into_iter()
    .chain(of_authority(of))
    {
        let stat = Stat {
            text,
            family,
            label: None,
            help,
        };
        sheet.add(&OURS, stat, Value::Counter(count));
    }
}

/// What has come of asking an authority, if one is asked.
fn of_authority(
    of: &Sources,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
    let counts = of.given.iter().map(Held::counts);
    counts.flat_map(|counts| {
        [
            (
                "identity_given",
                "identity_given_total",
                "Certificates that the authority gave",
                counts.given(),
            ),
            (
                "identity_not_given",
                "identity_not_given_total",
                "Requests to the authority that came to nothing",
                counts.failed(),
            ),
        ]
    })
}
