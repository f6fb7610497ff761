//! What a large configuration comes to. Counts, not times: the machine is shared.

use super::*;

#[test]
fn a_thousand_services_share_what_they_can() {
    let services: String = (0..1000)
        .map(|i| {
            service(
                &format!("s{i}"),
                "default",
                &format!("10.{}.{}.1", i / 256, i % 256),
            )
        })
        .collect();
    let rules: Vec<String> = (0..50)
        .map(|i| format!("{{match: [{{uri: {{exact: /{i}}}}}], directResponse: {{status: 200}}}}"))
        .collect();
    let wildcard = virtual_service(
        "all",
        &format!(
            "{{hosts: ['*.svc.cluster.local'], http: [{}]}}",
            rules.join(", ")
        ),
    );
    let snapshot = compiled(&format!("{services}{wildcard}"));
    assert_eq!(snapshot.clusters.len(), 1000);
    assert_eq!(snapshot.virtual_hosts.len(), 1000);
    let first = &snapshot.virtual_hosts[0].rules;
    let shared = |vh: &crate::snapshot::VirtualHost| Arc::ptr_eq(&vh.rules, first);
    assert!(snapshot.virtual_hosts.iter().all(shared));
    assert_eq!(outcome(&snapshot, "GET s999/7", 0), "200 ");
    assert_eq!(outcome(&snapshot, "GET s999/x", 0), "404 NR");
}
