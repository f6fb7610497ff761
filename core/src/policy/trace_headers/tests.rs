//! Both grammars, by the examples of their specifications and by what breaks them.

use super::*;
use crate::decision::Sampled;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn head(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

fn told(caller: Caller) -> String {
    let context = caller
        .context
        .map_or_else(|| "-".to_owned(), |(trace, span)| format!("{trace} {span}"));
    let sampled = caller
        .sampled
        .map_or("?", |yes| if yes { "yes" } else { "no" });
    let debug = if caller.is_debug { " debug" } else { "" };
    format!("{context} {sampled}{debug}")
}

#[test]
fn traceparent_is_read() {
    let is = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}");
    let both = format!("{TRACE} {SPAN}");
    for (value, want) in [
        (is("01"), format!("{both} yes")),
        (is("00"), format!("{both} no")),
        // Other flags say nothing of sampling (§3.2.2.5).
        (is("03"), format!("{both} yes")),
        (is("fe"), format!("{both} no")),
        // A later version is read as far as it is known, and may say more (§4.3).
        (format!("cc-{TRACE}-{SPAN}-01"), format!("{both} yes")),
        (format!("cc-{TRACE}-{SPAN}-01-more"), format!("{both} yes")),
        (format!("cc-{TRACE}-{SPAN}-01more"), "- ?".into()),
        (format!("00-{TRACE}-{SPAN}-01-more"), "- ?".into()),
        (format!("ff-{TRACE}-{SPAN}-01"), "- ?".into()),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), "- ?".into()),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), "- ?".into()),
        (
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            "- ?".into(),
        ),
        (format!("00-{TRACE}_{SPAN}-01"), "- ?".into()),
        (format!("00-{TRACE}-{SPAN}-0g"), "- ?".into()),
        (format!("00-{TRACE}-{SPAN}"), "- ?".into()),
        (String::new(), "- ?".into()),
    ] {
        let caller = read(&head(&[("traceparent", &value)]), true);
        assert_eq!(told(caller), want, "{value}");
    }
    let one = is("01");
    let two = head(&[("traceparent", &one), ("traceparent", &one)]);
    assert_eq!(told(read(&two, true)), "- ?", "two are none");
}

#[test]
fn b3_is_read() {
    let both = format!("{TRACE} {SPAN}");
    let (short, parent) = ("a3ce929d0e0e4736", "05e3ac9a4f6e3b90");
    for (lines, want) in [
        (
            &[("b3", format!("{TRACE}-{SPAN}-1-{parent}"))][..],
            format!("{both} yes"),
        ),
        (
            &[("b3", format!("{TRACE}-{SPAN}-1"))],
            format!("{both} yes"),
        ),
        (
            &[("b3", format!("{TRACE}-{SPAN}-d"))],
            format!("{both} yes debug"),
        ),
        (&[("b3", format!("{TRACE}-{SPAN}-0"))], format!("{both} no")),
        (&[("b3", format!("{TRACE}-{SPAN}"))], format!("{both} ?")),
        (
            &[("b3", format!("{short}-{SPAN}"))],
            format!("{short} {SPAN} ?"),
        ),
        (&[("b3", "0".into())], "- no".into()),
        (&[("b3", "1".into())], "- yes".into()),
        (&[("b3", "d".into())], "- yes debug".into()),
        (&[("b3", "maybe".into())], "- ?".into()),
        (&[("b3", format!("{TRACE}-{SPAN}-2"))], "- ?".into()),
        (&[("b3", format!("{TRACE}-{parent}0-1"))], "- ?".into()),
        (
            &[
                ("x-b3-traceid", TRACE.into()),
                ("x-b3-spanid", SPAN.into()),
                ("x-b3-sampled", "1".into()),
            ],
            format!("{both} yes"),
        ),
        (
            &[
                ("x-b3-traceid", short.into()),
                ("x-b3-spanid", SPAN.into()),
                ("x-b3-sampled", "false".into()),
            ],
            format!("{short} {SPAN} no"),
        ),
        (
            &[
                ("x-b3-traceid", TRACE.into()),
                ("x-b3-spanid", SPAN.into()),
                ("x-b3-flags", "1".into()),
            ],
            format!("{both} yes debug"),
        ),
        (&[("x-b3-sampled", "0".into())], "- no".into()),
        (&[("x-b3-traceid", TRACE.into())], "- ?".into()),
        (
            &[
                ("x-b3-traceid", "0".repeat(32)),
                ("x-b3-spanid", SPAN.into()),
            ],
            "- ?".into(),
        ),
    ] {
        let lines: Vec<_> = lines
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        assert_eq!(told(read(&head(&lines), false)), want, "{lines:?}");
    }
}

#[test]
fn where_forms_disagree_the_preferred_one_counts() {
    let other = "0000000000000000000000000000000a";
    let both = head(&[
        ("traceparent", &format!("00-{TRACE}-{SPAN}-00")),
        ("b3", &format!("{other}-{SPAN}-1")),
    ]);
    assert_eq!(told(read(&both, true)), format!("{TRACE} {SPAN} no"));
    assert_eq!(told(read(&both, false)), format!("{other} {SPAN} yes"));
}

fn trace(forms: TraceForms, is_short: bool, is_debug: bool) -> Trace {
    Trace {
        id: TraceId {
            number: if is_short { 0xab } else { 0xab << 64 | 0xcd },
            is_short,
        },
        parent: None,
        span: SpanId(0x11),
        sampled: Sampled::ByCaller(true),
        is_debug,
        forms,
    }
}

fn lines(headers: &Headers) -> Vec<String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let fields = headers.iter();
    fields
        .map(|f| format!("{}: {}", text(f.name), text(f.value)))
        .collect()
}

#[test]
fn every_form_is_written_and_read_as_it_was_meant() {
    let all = TraceForms {
        w3c: true,
        b3_multi: true,
        b3_single: true,
    };
    let mut headers = head(&[("x-b3-traceid", "old"), ("tracestate", "kept=1")]);
    write(&mut headers, &trace(all, false, false), SpanId(0x22));
    assert_eq!(
        lines(&headers),
        [
            "x-b3-traceid: 00000000000000ab00000000000000cd",
            "tracestate: kept=1",
            "traceparent: 00-00000000000000ab00000000000000cd-0000000000000022-01",
            "b3: 00000000000000ab00000000000000cd-0000000000000022-1-0000000000000011",
            "x-b3-spanid: 0000000000000022",
            "x-b3-parentspanid: 0000000000000011",
            "x-b3-sampled: 1",
        ]
    );
    for at in 0..3 {
        for (is_short, is_debug) in [(false, false), (true, true)] {
            let forms = TraceForms {
                w3c: at == 0,
                b3_multi: at == 1,
                b3_single: at == 2,
            };
            let mut headers = Headers::default();
            let written = trace(forms, is_short, is_debug);
            write(&mut headers, &written, SpanId(0x22));
            let caller = read(&headers, true);
            let (id, span) = caller.context.unwrap();
            assert_eq!((id.number, span), (written.id.number, SpanId(0x22)));
            assert_eq!(id.is_short, is_short && at > 0, "W3C has one length");
            assert_eq!(caller.is_debug, is_debug && at > 0, "W3C has no debug");
            assert_eq!((caller.sampled, caller.forms), (Some(true), forms));
        }
    }
}

#[test]
fn who_declines_says_so_in_every_form() {
    let all = TraceForms {
        w3c: true,
        b3_multi: true,
        b3_single: true,
    };
    let mut headers = Headers::default();
    decline(&mut headers, &trace(all, false, false));
    assert_eq!(
        lines(&headers),
        [
            "traceparent: 00-00000000000000ab00000000000000cd-0000000000000011-00",
            "b3: 0",
            "x-b3-sampled: 0",
        ]
    );
    assert_eq!(read(&headers, false).sampled, Some(false));
}

#[test]
fn nothing_is_left_of_a_trace_that_is_not_continued() {
    let mut headers = head(&[
        ("traceparent", "broken"),
        ("tracestate", "a=1"),
        ("baggage", "b=2"),
        ("x-b3-parentspanid", SPAN),
    ]);
    forget(&mut headers);
    assert_eq!(lines(&headers), ["baggage: b=2"]);
}
