//! Cross-origin requests (VirtualService `corsPolicy`): preflights answered here, responses decorated.
//!
//! Applies to rules that forward. An actual request is never blocked: the browser does that when the response carries
//! no `access-control-allow-origin`.

use http::Method;

use super::route::text_matches;
use crate::message::{Headers, Known, RequestHead};
use crate::snapshot::{CorsPolicy, TextMatch};

/// What CORS asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorsDecision {
    /// Nothing: forward the request, leave the response as it is.
    Pass,
    /// Forward the request, and call [`decorate`] on its response.
    Decorate,
    /// Answer 200 without body, with the fields that [`answer_preflight`] writes. With `unmatchedPreflights: IGNORE` an
    /// origin that is not allowed is answered too, and misses only the field that would allow it.
    AnswerPreflight,
}

/// Decides for a request of a rule with this policy.
#[must_use]
pub fn decide(policy: &CorsPolicy, request: &RequestHead) -> CorsDecision {
    let value = |name| request.headers.get(name).filter(|value| !value.is_empty());
    let Some(origin) = value(Known::Origin) else {
        return CorsDecision::Pass;
    };
    let preflight =
        request.method == Method::OPTIONS && value(Known::AccessControlRequestMethod).is_some();
    match (is_allowed(policy, origin), preflight) {
        (true, true) => CorsDecision::AnswerPreflight,
        (true, false) => CorsDecision::Decorate,
        (false, true) if !policy.forward_unmatched_preflights => CorsDecision::AnswerPreflight,
        (false, _) => CorsDecision::Pass,
    }
}

fn is_allowed(policy: &CorsPolicy, origin: &[u8]) -> bool {
    policy.allow_origins.iter().any(|wanted| {
        matches!(wanted, TextMatch::Exact(any) if &**any == "*") || text_matches(wanted, origin)
    })
}

/// Writes the fields of a preflight's answer. `*` echoes what was asked for, an absent question as empty text.
pub fn answer_preflight(policy: &CorsPolicy, request: &RequestHead, response: &mut Headers) {
    let origin = request.headers.get(Known::Origin);
    let is_origin_allowed = origin.is_some_and(|origin| is_allowed(policy, origin));
    if is_origin_allowed {
        allow_origin(request, response);
    }
    allow_credentials(policy, response);
    let lists = [
        (
            Known::AccessControlAllowMethods,
            &policy.allow_methods,
            Known::AccessControlRequestMethod,
        ),
        (
            Known::AccessControlAllowHeaders,
            &policy.allow_headers,
            Known::AccessControlRequestHeaders,
        ),
    ];
    for (name, allowed, asked) in lists {
        match &**allowed {
            "" => {}
            "*" => response.set(name, request.headers.get(asked).unwrap_or_default()),
            list => response.set(name, list.as_bytes()),
        }
    }
    if let Some(seconds) = &policy.max_age {
        response.set(Known::AccessControlMaxAge, seconds.as_bytes());
    }
    // Envoy's own answer passes its filter once more on the way out, so it gets what an actual response gets.
    if is_origin_allowed {
        expose_headers(policy, response);
    }
}

/// Writes the fields of the response to an actual request whose origin is allowed; they replace the upstream's.
pub fn decorate(policy: &CorsPolicy, request: &RequestHead, response: &mut Headers) {
    allow_origin(request, response);
    allow_credentials(policy, response);
    expose_headers(policy, response);
}

fn expose_headers(policy: &CorsPolicy, response: &mut Headers) {
    if !policy.expose_headers.is_empty() {
        let names = policy.expose_headers.as_bytes();
        response.set(Known::AccessControlExposeHeaders, names);
    }
}

fn allow_origin(request: &RequestHead, response: &mut Headers) {
    if let Some(origin) = request.headers.get(Known::Origin) {
        response.set(Known::AccessControlAllowOrigin, origin);
    }
}

fn allow_credentials(policy: &CorsPolicy, response: &mut Headers) {
    if policy.allow_credentials {
        response.set(Known::AccessControlAllowCredentials, b"true");
    }
}

#[cfg(test)]
mod tests {
    use super::CorsDecision::{AnswerPreflight, Decorate, Pass};
    use super::*;
    use crate::snapshot::Regex;

    fn request(method: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead {
            method: method.parse().unwrap(),
            ..RequestHead::default()
        };
        for (name, value) in fields {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            head.headers.append(name, value).unwrap();
        }
        head
    }

    fn policy(origins: &[TextMatch]) -> CorsPolicy {
        CorsPolicy {
            allow_origins: origins.into(),
            allow_methods: "GET,POST".into(),
            allow_headers: "*".into(),
            expose_headers: "x-e".into(),
            max_age: Some("60".into()),
            allow_credentials: true,
            forward_unmatched_preflights: true,
        }
    }

    const PREFLIGHT: [(&str, &str); 3] = [
        ("origin", "http://a.test"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-q"),
    ];

    #[test]
    fn who_is_origin_allowed_and_who_is_forwarded() {
        let a = [TextMatch::Exact("http://a.test".into())];
        let any = [TextMatch::Exact("*".into())];
        let regex = Regex::whole("http://[ab].test").unwrap();
        let regex = [TextMatch::Regex(Box::new(regex))];
        let b = [TextMatch::Prefix("http://b".into())];
        for (origins, method, fields, want) in [
            (&a, "OPTIONS", &PREFLIGHT[..], AnswerPreflight),
            (&any, "OPTIONS", &PREFLIGHT, AnswerPreflight),
            (&regex, "OPTIONS", &PREFLIGHT, AnswerPreflight),
            (&b, "OPTIONS", &PREFLIGHT, Pass),
            (&a, "OPTIONS", &PREFLIGHT[..1], Decorate),
            (&a, "GET", &PREFLIGHT, Decorate),
            (&a, "GET", &PREFLIGHT[1..], Pass),
            (&b, "GET", &PREFLIGHT[..1], Pass),
            (&any, "GET", &[("origin", "")], Pass),
        ] {
            let got = decide(&policy(origins), &request(method, fields));
            assert_eq!(got, want, "{origins:?} {method} {fields:?}");
        }
        let ignoring = CorsPolicy {
            forward_unmatched_preflights: false,
            ..policy(&b)
        };
        let of = |method| decide(&ignoring, &request(method, &PREFLIGHT));
        assert_eq!((of("OPTIONS"), of("GET")), (AnswerPreflight, Pass));
    }

    #[test]
    fn fields_of_answers() {
        let policy = policy(&[TextMatch::Exact("*".into())]);
        let request = request("OPTIONS", &PREFLIGHT);
        let mut answer = Headers::default();
        answer_preflight(&policy, &request, &mut answer);
        let mut decorated = Headers::default();
        decorated.append_known(Known::AccessControlAllowOrigin, b"theirs");
        decorate(&policy, &request, &mut decorated);
        let text = |headers: &Headers| -> String {
            let line = |f: crate::message::Field<'_>| {
                let name = String::from_utf8_lossy(f.name).replace("access-control-", "");
                format!("{name}={}", String::from_utf8_lossy(f.value))
            };
            headers.iter().map(line).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            text(&answer),
            "allow-origin=http://a.test allow-credentials=true allow-methods=GET,POST allow-headers=x-q max-age=60 \
             expose-headers=x-e"
        );
        let stranger = CorsPolicy {
            allow_origins: Box::default(),
            ..policy.clone()
        };
        let mut ignored = Headers::default();
        answer_preflight(&stranger, &request, &mut ignored);
        assert_eq!(
            text(&ignored),
            "allow-credentials=true allow-methods=GET,POST allow-headers=x-q max-age=60"
        );
        assert_eq!(
            text(&decorated),
            "allow-origin=http://a.test allow-credentials=true expose-headers=x-e"
        );
    }
}
