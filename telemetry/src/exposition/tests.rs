//! What a page says does not depend on how it is cut into pieces.

use super::*;

fn distribution() -> Distribution {
    Distribution::default()
}

fn page(form: Form, services: usize) -> Vec<String> {
    let mut sheet = Sheet::new(form, None, false);
    let (global, none) = ("", distribution());
    for at in 0..services {
        let labels = label_text(&[("cluster_name", &format!("c{at}"))]);
        let of = |labels| Scope {
            text: "c",
            family: "envoy_cluster",
            labels,
        };
        sheet.add(&of(&labels), Stat::new("a.b", "A"), Value::Counter(7));
        let by_code = Stat {
            text: "code",
            family: "code",
            label: Some(("code", "2\"0")),
            help: "By code",
        };
        sheet.add(&of(&labels), by_code, Value::Counter(1));
        sheet.add(&of(&labels), Stat::new("g", "G"), Value::Gauge(0.25));
        sheet.add(&of(global), by_code, Value::Counter(u64::MAX));
        sheet.add(&of(&labels), Stat::new("time", "T"), Value::Micros(&none));
        sheet.add(&of(global), Stat::new("n_total", "N"), Value::Gauge(3.0));
    }
    sheet.finish().collect()
}

#[test]
fn lines_are_made_of_name_labels_and_value() {
    let page = page(Form::Prometheus, 1).concat();
    let lines: Vec<_> = page.lines().collect();
    assert_eq!(
        lines[..8],
        [
            "# HELP envoy_cluster_a_b A",
            "# TYPE envoy_cluster_a_b counter",
            "envoy_cluster_a_b{cluster_name=\"c0\"} 7",
            "# HELP envoy_cluster_code By code",
            "# TYPE envoy_cluster_code counter",
            "envoy_cluster_code{cluster_name=\"c0\",code=\"2\\\"0\"} 1",
            "envoy_cluster_code{code=\"2\\\"0\"} 18446744073709551615",
            "# HELP envoy_cluster_g G",
        ]
    );
    assert!(page.contains("\nenvoy_cluster_g{cluster_name=\"c0\"} 0.25\n"));
    assert!(page.contains("\nenvoy_cluster_n_total 3\n"), "{page}");
    assert!(page.contains("\nenvoy_cluster_time_bucket{cluster_name=\"c0\",le=\"1000\"} 0\n"));
}

#[test]
fn pieces_are_short_and_end_with_a_line() {
    for (form, end) in [(Form::Prometheus, "\n"), (Form::OpenMetrics, "\n# EOF\n")] {
        let pieces = page(form, 1000);
        assert!(pieces.len() > 2);
        for piece in &pieces {
            assert!(piece.len() <= 80 * 1024 && piece.ends_with('\n'));
        }
        let page = pieces.concat();
        assert!(page.ends_with(end));
        let count = |what: &str| page.lines().filter(|line| line.starts_with(what)).count();
        assert_eq!(count("# TYPE"), 5);
        assert_eq!(count("envoy_cluster_time_bucket{"), 20 * 1000);
        assert_eq!(count("# EOF"), usize::from(form == Form::OpenMetrics));
    }
    assert_eq!(page(Form::Prometheus, 0).concat(), "");
    assert_eq!(page(Form::OpenMetrics, 0).concat(), "# EOF\n");
}
