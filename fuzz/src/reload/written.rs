//! Configurations as somebody writes them, one after the other.

use super::HOSTS;
use crate::draws::Draws;

/// Two services that share endpoints, each with limits, retries and ejection, or without.
pub fn configuration(draws: &mut Draws<'_>) -> (String, Vec<String>) {
    let (mut text, mut addresses) = (String::new(), Vec::new());
    for host in HOSTS {
        let name = &host[..1];
        let all: Vec<String> = (1..5)
            .filter(|_| draws.is_one_in(2))
            .map(|at| format!("10.0.0.{at}"))
            .collect();
        let listed: Vec<_> = all
            .iter()
            .map(|address| format!("{{address: {address}}}"))
            .collect();
        if !draws.is_one_in(8) {
            text += &format!(
                "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {{hosts: [{host}], resolution: STATIC, \
                 ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{}]}}\n",
                listed.join(", ")
            );
            addresses.extend(all.iter().map(|address| format!("{address}:80")));
        } else {
            // Nobody knows it: whoever asks for it is passed on to where it is.
            addresses.push(format!("{host}:80"));
        }
        if draws.is_one_in(2) {
            text += &format!(
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}}}\nspec: {{host: {host}, trafficPolicy: \
                 {{connectionPool: {{tcp: {{maxConnections: {}}}, http: {{http1MaxPendingRequests: {}, http2MaxRequests: {}, maxRequestsPerConnection: {}}}}}, \
                 outlierDetection: {{consecutive5xxErrors: {}, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100}}}}}}\n",
                1 + draws.below(3),
                1 + draws.below(3),
                1 + draws.below(4),
                draws.below(4),
                1 + draws.below(3)
            );
        }
        if draws.is_one_in(2) {
            let attempts = draws.below(4);
            let on = match attempts {
                0 => "",
                _ => ", retryOn: '5xx,reset,connect-failure'",
            };
            let to = draws.of(HOSTS);
            text += &format!(
                "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec: {{hosts: [{host}], http: [{{timeout: {}s, \
                 retries: {{attempts: {attempts}{on}}}, route: [{{destination: {{host: {to}}}}}]}}]}}\n",
                1 + draws.below(9)
            );
        }
    }
    (text, addresses)
}
