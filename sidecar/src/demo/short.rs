//! An answer in a few letters: who served it, or its status and what is behind it.
//!
//! A failure is passed on from service to service, and each adds its words. What counts is the first of them: the status,
//! and Envoy's response flag when a sidecar gave it, or the version when a service did.

/// What sidecars answer by themselves, and the flag that they log with it.
const FLAGS: [(&str, &str); 8] = [
    ("no healthy upstream", "UH"),
    ("upstream request timeout", "UT"),
    ("fault filter abort", "FI"),
    ("local_rate_limited", "RL"),
    ("reached concurrency limit", "UO"),
    (
        "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        "UO",
    ),
    (
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        "UF",
    ),
    (
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "UC",
    ),
];

/// Between what a service says of itself and the failure that it passes on.
const PASSED_ON: &str = " => Error: ";

/// `v2`, `503 UH`, or `503 (504 UT)` where the 504 became a 503 on its way. What is not known stands there as it came.
pub(super) fn in_short(status: u16, body: &str) -> String {
    let line = body.lines().next().unwrap_or_default();
    let served = ["v1", "v2"]
        .into_iter()
        .find(|version| line.contains(&format!("recommendation {version} from")));
    if let (Some(version), 200) = (served, status) {
        return version.to_owned();
    }
    let passed_on = line
        .rsplit_once(PASSED_ON)
        .and_then(|(_, failure)| failure.split_once(" - "));
    match passed_on {
        Some((first, text)) => match cause(text) {
            Some(cause) => format!("{status} ({first} {cause})"),
            None => format!("{status} ({first} {text})"),
        },
        None => {
            let text = cause(line).unwrap_or(line);
            format!("{status} {text}").trim_end().to_owned()
        }
    }
}

fn cause(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let flag = FLAGS.iter().find(|(reply, _)| *reply == text);
    let by = || {
        let service = text.strip_suffix(" is out of order")?;
        service.strip_prefix("recommendation ")
    };
    flag.map(|(_, flag)| *flag).or_else(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_a_few_letters() {
        let overflow = FLAGS[5].0;
        let passed_on =
            |failure: &str| format!("customer => Error: 503 - preference => Error: {failure}\n");
        for (status, body, short) in [
            (
                200,
                "customer => preference => recommendation v1 from 'x': 3\n",
                "v1",
            ),
            (200, "recommendation v2 from 'x': 3\n", "v2"),
            (200, "hello\n", "200 hello"),
            (502, "", "502"),
            (503, "no healthy upstream", "503 UH"),
            (
                404,
                "customer has no GET /goodbye\n",
                "404 customer has no GET /goodbye",
            ),
            (
                503,
                &passed_on("504 - upstream request timeout"),
                "503 (504 UT)",
            ),
            (
                503,
                &passed_on(&format!("503 - {overflow}")),
                "503 (503 UO)",
            ),
            (
                503,
                &passed_on("503 - recommendation v2 is out of order"),
                "503 (503 v2)",
            ),
            (503, "customer => Error: 418 - x - y\nz", "503 (418 x - y)"),
            (
                503,
                "customer => Error: broken\n",
                "503 customer => Error: broken",
            ),
        ] {
            assert_eq!(in_short(status, body), short, "{body}");
        }
    }
}
