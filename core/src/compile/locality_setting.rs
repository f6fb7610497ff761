//! Which locality setting holds for a cluster: the DestinationRule's, else what the service asks for
//! (`trafficDistribution`), else the mesh's. On one level zone-aware goes before locality.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::locality::{HOSTNAME, NETWORK, REGION, SUBZONE, ZONE};
use super::peers::Source;
use crate::config::destination_rule::{
    DestinationRule, LoadBalancerSettings, LocalityLbSetting, ZoneAwareLbSetting,
};
use crate::config::kubernetes::TrafficDistribution;
use crate::config::mesh::MeshConfig;
use crate::config::{Code, Finding};

/// The setting that holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Setting<'a> {
    /// Localities do not matter.
    Off,
    /// Failover or distribution.
    Locality {
        /// As it was written, or as the service's wish comes to.
        setting: Cow<'a, LocalityLbSetting>,
        /// Failover also without outlier detection.
        force: bool,
    },
    /// Zone-aware routing, enabled.
    ZoneAware(&'a ZoneAwareLbSetting),
}

/// The setting for a cluster.
#[must_use]
pub(super) fn setting<'a>(
    rule: Option<&'a LoadBalancerSettings>,
    wish: TrafficDistribution,
    mesh: &'a MeshConfig,
) -> Setting<'a> {
    let written = |zones, locality| of_level(zones, locality);
    if let Some(rule) = rule {
        let zones = rule.zone_aware_lb_setting.as_ref();
        if let Some(setting) = written(zones, rule.locality_lb_setting.as_ref()) {
            return setting;
        }
    }
    let labels: &[&str] = match wish {
        TrafficDistribution::Any => {
            let zones = mesh.zone_aware_lb_setting.as_ref();
            let setting = written(zones, Some(&mesh.locality_lb_setting));
            return setting.unwrap_or(Setting::Off);
        }
        TrafficDistribution::PreferSameZone => &[NETWORK, REGION, ZONE],
        TrafficDistribution::PreferSameNode => &[NETWORK, REGION, ZONE, SUBZONE, HOSTNAME],
    };
    Setting::Locality {
        setting: Cow::Owned(LocalityLbSetting {
            failover_priority: labels.iter().map(|label| (*label).to_owned()).collect(),
            ..LocalityLbSetting::default()
        }),
        force: true,
    }
}

/// What a DestinationRule or the mesh says; `None` when it says nothing.
fn of_level<'a>(
    zones: Option<&'a ZoneAwareLbSetting>,
    locality: Option<&'a LocalityLbSetting>,
) -> Option<Setting<'a>> {
    if let Some(zones) = zones {
        let is_on = zones.enabled != Some(false);
        return Some(if is_on {
            Setting::ZoneAware(zones)
        } else {
            Setting::Off
        });
    }
    let locality = locality?;
    Some(match locality.enabled {
        Some(false) => Setting::Off,
        Some(true) | None => Setting::Locality {
            setting: Cow::Borrowed(locality),
            force: false,
        },
    })
}

/// Tells settings that cannot do what they say, because nobody knows where the workload is, or where others like it are.
pub(super) fn tell_unknown_places(
    rule: &DestinationRule,
    source: &Source,
    findings: &mut Vec<Finding>,
) {
    let mut tell = |code, path: &str, message: &str, help: &str| {
        let about = Finding::about(code, "DestinationRule", &rule.meta, path, message, help);
        findings.push(about);
    };
    let is_unknown = source.locality.is_unknown();
    for (path, settings) in load_balancers(rule) {
        let zones = settings.zone_aware_lb_setting.as_ref();
        let is_peer = |peers: &BTreeMap<_, _>| peers.contains_key(&source.locality);
        if zones.is_some_and(|zones| zones.enabled != Some(false)) {
            let path = format!("{path}.loadBalancer.zoneAwareLbSetting");
            if is_unknown {
                tell(Code::NoLocality, &path, WHERE, WHERE_HELP);
            } else if !source.peers.as_ref().is_some_and(is_peer) {
                tell(Code::NoPeers, &path, PEERS, PEERS_HELP);
            }
        }
        let locality = settings.locality_lb_setting.as_ref();
        let goes_by_place = |setting: &LocalityLbSetting| {
            let is_on = setting.enabled != Some(false);
            let from_somewhere = setting.distribute.iter().any(|rule| rule.from != "*");
            is_on && (from_somewhere || !setting.failover.is_empty())
        };
        if is_unknown && locality.is_some_and(goes_by_place) {
            let path = format!("{path}.loadBalancer.localityLbSetting");
            tell(Code::NoLocality, &path, WHERE, WHERE_HELP);
        }
    }
}

const WHERE: &str = "it is not known where this workload is, so nothing is near or far";
const WHERE_HELP: &str = "say it with `--label topology.kubernetes.io/region=…` and `--label topology.kubernetes.io/zone=…`";
const PEERS: &str = "it is not known where other instances of this workload are, so traffic does not stay in its zone";
const PEERS_HELP: &str = "give the configuration the workload's own service with its endpoints, and `--label` what its selector asks for";

/// Load balancer settings of a rule, with the path of the policy they stand in.
fn load_balancers(rule: &DestinationRule) -> Vec<(String, &LoadBalancerSettings)> {
    let mut policies = Vec::new();
    let top = rule.traffic_policy.iter();
    policies.extend(top.map(|policy| ("spec.trafficPolicy".to_owned(), policy)));
    for (at, subset) in rule.subsets.iter().enumerate() {
        let own = subset.traffic_policy.iter();
        policies.extend(own.map(|policy| (format!("spec.subsets[{at}].trafficPolicy"), policy)));
    }
    let mut found = Vec::new();
    for (path, policy) in policies {
        for (at, port) in policy.port_level_settings.iter().enumerate() {
            let path = format!("{path}.portLevelSettings[{at}]");
            found.extend(
                port.load_balancer
                    .iter()
                    .map(|settings| (path.clone(), settings)),
            );
        }
        found.extend(
            policy
                .load_balancer
                .iter()
                .map(|settings| (path.clone(), settings)),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locality(enabled: Option<bool>) -> LocalityLbSetting {
        LocalityLbSetting {
            enabled,
            ..LocalityLbSetting::default()
        }
    }

    fn zones(enabled: Option<bool>) -> ZoneAwareLbSetting {
        ZoneAwareLbSetting {
            enabled,
            ..ZoneAwareLbSetting::default()
        }
    }

    /// `rule` and `mesh` as (zone-aware, locality), each absent, without `enabled`, on or off.
    #[test]
    fn the_nearest_level_that_says_something_decides() {
        use TrafficDistribution::{Any, PreferSameNode, PreferSameZone};
        type Written = Option<Option<bool>>;
        const ABSENT: Written = None;
        const BARE: Written = Some(None);
        const ON: Written = Some(Some(true));
        const OFF: Written = Some(Some(false));
        for (rule, wish, mesh_zones, mesh_locality, want) in [
            ((ABSENT, ABSENT), Any, ABSENT, Some(true), "locality"),
            ((ABSENT, ABSENT), Any, ABSENT, None, "locality"),
            ((ABSENT, ABSENT), Any, ABSENT, Some(false), "off"),
            ((ABSENT, ABSENT), Any, BARE, Some(true), "zones"),
            ((ABSENT, ABSENT), Any, OFF, Some(true), "off"),
            ((ABSENT, ABSENT), PreferSameZone, ON, Some(true), "forced 3"),
            (
                (ABSENT, ABSENT),
                PreferSameNode,
                ABSENT,
                Some(false),
                "forced 5",
            ),
            ((ABSENT, BARE), PreferSameZone, ON, Some(false), "locality"),
            ((ABSENT, ON), Any, ABSENT, Some(false), "locality"),
            ((ABSENT, OFF), PreferSameZone, ON, Some(true), "off"),
            ((BARE, ABSENT), PreferSameZone, ABSENT, Some(true), "zones"),
            ((OFF, ON), PreferSameZone, ON, Some(true), "off"),
        ] {
            let rule_settings = LoadBalancerSettings {
                zone_aware_lb_setting: rule.0.map(zones),
                locality_lb_setting: rule.1.map(locality),
                ..LoadBalancerSettings::default()
            };
            let mesh = MeshConfig {
                zone_aware_lb_setting: mesh_zones.map(zones),
                locality_lb_setting: locality(mesh_locality),
                ..MeshConfig::default()
            };
            let got = match setting(Some(&rule_settings), wish, &mesh) {
                Setting::Off => "off".to_owned(),
                Setting::Locality { force: false, .. } => "locality".to_owned(),
                Setting::Locality {
                    setting,
                    force: true,
                } => {
                    format!("forced {}", setting.failover_priority.len())
                }
                Setting::ZoneAware(_) => "zones".to_owned(),
            };
            assert_eq!(
                got, want,
                "{rule:?} {wish:?} {mesh_zones:?} {mesh_locality:?}"
            );
        }
    }
}
