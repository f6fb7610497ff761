//! Tables of names and what they mean.

use super::*;

#[test]
fn hosts() {
    let label63 = "a".repeat(63);
    let long = [label63.as_str(); 4].join(".");
    for (host, as_host, as_fqdn) in [
        ("reviews", true, true),
        ("Reviews.Default.svc", true, true),
        ("reviews.default.svc.cluster.local.", true, true),
        ("*.foo.com", true, false),
        ("*", true, false),
        ("*bar.com", true, false),
        ("*-bar.com", true, false),
        ("foo.*.com", false, false),
        ("foo*.com", false, false),
        ("**.com", false, false),
        ("-foo.com", false, false),
        ("foo-.com", false, false),
        ("foo..com", false, false),
        (".foo.com", false, false),
        ("foo_bar.com", false, false),
        ("foo.com/bar", false, false),
        ("foo.123", false, false),
        ("10.0.0.1", false, false),
        ("123", true, false),
        ("", false, false),
        (&label63, true, true),
        (&format!("{label63}a.com"), false, false),
        (&format!("{long}.b"), false, false),
    ] {
        assert_eq!(check_host(host).is_ok(), as_host, "host {host}");
        assert_eq!(check_fqdn(host).is_ok(), as_fqdn, "fqdn {host}");
    }
}

#[test]
fn short_names_are_expanded_only_without_a_dot() {
    for (host, want) in [
        ("reviews", "reviews.ns.svc.cluster.local"),
        ("Reviews", "reviews.ns.svc.cluster.local"),
        ("reviews.prod", "reviews.prod"),
        ("example.com.", "example.com"),
        ("*", "*"),
        ("*.a", "*.a"),
        ("::1", "::1"),
        ("", ""),
    ] {
        assert_eq!(resolve(host, "ns", CLUSTER_DOMAIN), want, "{host}");
    }
}

#[test]
fn names_a_service_answers_to() {
    for (host, client, want) in [
        (
            "a.b.svc.cluster.local",
            "b",
            "a.b.svc.cluster.local a a.b a.b.svc",
        ),
        (
            "a.b.svc.cluster.local",
            "c",
            "a.b.svc.cluster.local a.b a.b.svc",
        ),
        ("a.b.c.svc.cluster.local", "b", "a.b.c.svc.cluster.local"),
        ("api.example.com", "b", "api.example.com"),
    ] {
        assert_eq!(
            aliases(host, client, CLUSTER_DOMAIN).join(" "),
            want,
            "{host} from {client}"
        );
    }
}

#[test]
fn wildcards_cover() {
    for (pattern, inner, want) in [
        ("*", "a", true),
        ("*", "*.a", true),
        ("*.a", "*", false),
        ("*.foo.com", "x.foo.com", true),
        ("*.foo.com", "x.y.foo.com", true),
        ("*.foo.com", "foo.com", false),
        ("*.foo.com", ".foo.com", false),
        ("*.foo.com", "*.foo.com", true),
        ("*.foo.com", "*.x.foo.com", true),
        ("*.x.foo.com", "*.foo.com", false),
        ("foo.com", "FOO.com.", true),
        ("foo.com", "*.com", false),
    ] {
        assert_eq!(covers(pattern, inner), want, "{pattern} over {inner}");
    }
}

#[test]
fn labels() {
    for (key, good) in [
        ("app", true),
        ("app.kubernetes.io/name", true),
        ("a_b.c-d", true),
        ("", false),
        ("a/", false),
        ("/a", false),
        ("a/b/c", false),
        ("-a", false),
        ("a b", false),
        (&"a".repeat(64), false),
    ] {
        assert_eq!(check_label_key(key).is_ok(), good, "key {key}");
    }
    for (value, good) in [
        ("", true),
        ("v1", true),
        ("*", false),
        ("bar*", false),
        ("a b", false),
    ] {
        assert_eq!(check_label_value(value).is_ok(), good, "value {value}");
    }
}

#[test]
fn export_lists() {
    for (list, none, want) in [
        (&[][..], false, 0),
        (&["*"], false, 0),
        (&[".", "other"], false, 0),
        (&["."], false, 0),
        (&["~"], true, 0),
        (&["~"], false, 1),
        (&["*", "other"], false, 1),
        (&["~", "other"], true, 1),
        (&["a", "a"], false, 1),
        (&[".", "ns"], false, 1),
        (&["a/b"], false, 1),
    ] {
        let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(check_export_to(&list, "ns", none).len(), want, "{list:?}");
    }
}

#[test]
fn visibility_from_a_namespace() {
    for (list, own, client, want) in [
        (&[][..], "a", "b", Visibility::Public),
        (&["*"], "a", "b", Visibility::Public),
        (&["."], "a", "a", Visibility::Namespace),
        (&["."], "a", "b", Visibility::Hidden),
        (&["b"], "a", "b", Visibility::Namespace),
        (&["b"], "a", "a", Visibility::Hidden),
        (&["~"], "a", "a", Visibility::Hidden),
    ] {
        let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(
            visibility(&list, own, client),
            want,
            "{list:?} of {own} from {client}"
        );
    }
}
