//! Which endpoints a service asks its clients to prefer: Kubernetes `trafficDistribution`, and the annotation by which a
//! ServiceEntry or an older Service says the same.

use super::code::Code;
use super::meta::Meta;
use super::report::Report;
use super::value::quoted;

/// The annotation, on a Service or a ServiceEntry.
const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

/// Which endpoints are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficDistribution {
    /// None.
    #[default]
    Any,
    /// Those of the client's zone, then of its region (`PreferSameZone`, and `PreferClose` as it was called).
    PreferSameZone,
    /// Those on the client's node, then of its subzone, zone and region.
    PreferSameNode,
}

const NAMES: [(&str, TrafficDistribution); 3] = [
    ("PreferClose", TrafficDistribution::PreferSameZone),
    ("PreferSameZone", TrafficDistribution::PreferSameZone),
    ("PreferSameNode", TrafficDistribution::PreferSameNode),
];

/// What the annotation of a resource says, in any case; the report stands at the resource.
pub(super) fn of_annotation(report: &mut Report, meta: &Meta) -> TrafficDistribution {
    let Some(text) = meta.annotations.get(ANNOTATION) else {
        return TrafficDistribution::Any;
    };
    let mut names = NAMES.iter();
    let known = names.find(|(name, _)| name.eq_ignore_ascii_case(text));
    if known.is_none() && !text.is_empty() && !text.eq_ignore_ascii_case("any") {
        report.field("metadata", |report| {
            report.field("annotations", |report| {
                report.key(ANNOTATION, |report| tell_unknown(report, text));
            });
        });
    }
    known.map_or(TrafficDistribution::Any, |(_, known)| *known)
}

/// What `trafficDistribution` says; `None` when nothing that is known. The report stands at the field.
pub(super) fn of_field(report: &mut Report, text: &str) -> Option<TrafficDistribution> {
    let known = NAMES.iter().find(|(name, _)| *name == text);
    if known.is_none() {
        tell_unknown(report, text);
    }
    known.map(|(_, known)| *known)
}

fn tell_unknown(report: &mut Report, text: &str) {
    let message = format!(
        "traffic distribution {} is not known, so any endpoint will do",
        quoted(text)
    );
    let help = "write PreferSameZone, PreferClose or PreferSameNode";
    report.raise(Code::UnknownTrafficDistribution, message, help);
}
