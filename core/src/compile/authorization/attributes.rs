//! Values of a policy to tests of attributes.

use super::identities;
use crate::compile::Input;
use crate::config::address;
use crate::config::authorization_policy::{Condition, Operation, Source, Values};
use crate::peer::AddressRange;
use crate::snapshot::{
    Check, HostPattern, MatchedField, PathPattern, Test, TextPattern, TokenPrincipal,
};

/// What kind of traffic rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Requests.
    Http,
    /// Connections of which nothing but addresses and identities is known.
    Tcp,
}

/// What happens to values that say nothing here: they are HTTP's on a connection without, or cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// They make the rule useless: it allows.
    Refuses,
    /// They are left out, which makes the rule wider: it refuses.
    IsLeftOut,
}

/// How rules are translated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) traffic: Traffic,
}

/// Tests that must hold together; `None` where a doubt refuses.
type Tests = Option<Vec<Test>>;

impl Translation<'_> {
    pub(super) fn source(
        &self,
        source: &Source,
        namespace: &str,
        doubt: Doubt,
    ) -> Option<Box<[Test]>> {
        let Source {
            principals,
            request_principals,
            namespaces,
            service_accounts,
            trust_domains,
            ip_blocks,
            remote_ip_blocks,
        } = source;
        let all = [
            self.principals(principals, doubt),
            self.of_http(request_principals, doubt, token_principals),
            each(namespaces, doubt, namespaces_of),
            each(service_accounts, doubt, |list| accounts(list, namespace)),
            each(trust_domains, doubt, |list| {
                Some(Check::TrustDomain(texts(list)))
            }),
            each(ip_blocks, doubt, |list| {
                Some(Check::SourceIp(ranges(list)?))
            }),
            each(remote_ip_blocks, doubt, |list| {
                Some(Check::RemoteIp(ranges(list)?))
            }),
        ];
        Some(all.into_iter().collect::<Option<Vec<_>>>()?.concat().into())
    }

    pub(super) fn operation(&self, operation: &Operation, doubt: Doubt) -> Option<Box<[Test]>> {
        let Operation {
            hosts,
            ports,
            methods,
            paths,
        } = operation;
        let all = [
            each(ports, doubt, ports_of),
            self.of_http(methods, doubt, |list| Some(Check::Method(texts(list)))),
            self.of_http(paths, doubt, |list| {
                Some(Check::Path(
                    list.iter().map(|path| PathPattern::new(path)).collect(),
                ))
            }),
            self.of_http(hosts, doubt, |list| {
                Some(Check::Host(
                    list.iter().map(|host| HostPattern::new(host)).collect(),
                ))
            }),
        ];
        Some(all.into_iter().collect::<Option<Vec<_>>>()?.concat().into())
    }

    pub(super) fn condition(&self, condition: &Condition, namespace: &str, doubt: Doubt) -> Tests {
        let Condition { key, values } = condition;
        let claim = |name: &str| {
            let path: Box<[Box<str>]> = Box::new([name.into()]);
            self.of_http(values, doubt, |list| {
                Some(Check::Claim(path.clone(), texts(list)))
            })
        };
        match key.as_str() {
            "source.ip" => each(values, doubt, |list| Some(Check::SourceIp(ranges(list)?))),
            "remote.ip" => each(values, doubt, |list| Some(Check::RemoteIp(ranges(list)?))),
            "destination.ip" => each(values, doubt, |list| {
                Some(Check::DestinationIp(ranges(list)?))
            }),
            "destination.port" => each(values, doubt, ports_of),
            "connection.sni" => each(values, doubt, |list| Some(Check::Sni(texts(list)))),
            "source.namespace" => each(values, doubt, namespaces_of),
            "source.serviceAccount" => each(values, doubt, |list| accounts(list, namespace)),
            "source.trustDomain" => {
                each(values, doubt, |list| Some(Check::TrustDomain(texts(list))))
            }
            "source.principal" => self.principals(values, doubt),
            "request.auth.principal" => self.of_http(values, doubt, token_principals),
            "request.auth.audiences" => claim("aud"),
            "request.auth.presenter" => claim("azp"),
            key => self.named(key, values, doubt),
        }
    }

    /// Conditions whose key has a name in brackets.
    fn named(&self, key: &str, values: &Values, doubt: Doubt) -> Tests {
        if let Some(name) = key.strip_prefix("request.headers") {
            let name = in_brackets(name).as_deref().and_then(|names| match names {
                [only] => MatchedField::new(only),
                _ => None,
            });
            return self.of_http(values, doubt, |list| {
                Some(Check::Field(name.clone()?, texts(list)))
            });
        }
        let path = key
            .strip_prefix("request.auth.claims")
            .and_then(in_brackets);
        self.of_http(values, doubt, |list| {
            let path = path.as_ref()?.iter().map(|name| (*name).into());
            Some(Check::Claim(path.collect(), texts(list)))
        })
    }

    /// Values that only HTTP has.
    fn of_http(
        &self,
        values: &Values,
        doubt: Doubt,
        check: impl Fn(&[String]) -> Option<Check>,
    ) -> Tests {
        each(values, doubt, |list| match self.traffic {
            Traffic::Http => check(list),
            Traffic::Tcp => None,
        })
    }

    fn principals(&self, values: &Values, doubt: Doubt) -> Tests {
        let mesh = self.input.mesh;
        each(values, doubt, |list| {
            let list = identities::with_aliases(list, mesh);
            Some(Check::Principal(texts(&list)))
        })
    }
}

/// The tests of values and of those that must not match; `check` gives `None` where they say nothing.
fn each(values: &Values, doubt: Doubt, check: impl Fn(&[String]) -> Option<Check>) -> Tests {
    let mut tests = Vec::new();
    for (list, negated) in [(&values.any, false), (&values.none, true)] {
        if list.is_empty() {
            continue;
        }
        match (check(list), doubt) {
            (Some(check), _) => tests.push(Test { check, negated }),
            (None, Doubt::Refuses) => return None,
            (None, Doubt::IsLeftOut) => {}
        }
    }
    Some(tests)
}

fn texts(list: &[String]) -> Box<[TextPattern]> {
    list.iter().map(|text| TextPattern::new(text)).collect()
}

fn ranges(list: &[String]) -> Option<Box<[AddressRange]>> {
    let range = |text: &String| {
        let block = address::parse_block(text).ok()?;
        AddressRange::new(block.address, block.bits)
    };
    list.iter().map(range).collect()
}

fn ports_of(list: &[String]) -> Option<Check> {
    let ports: Option<_> = list.iter().map(|port| port.parse().ok()).collect();
    ports.map(Check::DestinationPort)
}

fn namespaces_of(list: &[String]) -> Option<Check> {
    let patterns = list.iter();
    let patterns = patterns.map(|namespace| TextPattern::with_wildcards(namespace));
    Some(Check::Namespace(patterns.collect()))
}

fn accounts(list: &[String], namespace: &str) -> Option<Check> {
    let account = |text: &String| match text.split_once('/') {
        Some((namespace, account)) => (namespace.into(), account.into()),
        None => (namespace.into(), text.as_str().into()),
    };
    Some(Check::ServiceAccount(list.iter().map(account).collect()))
}

fn token_principals(list: &[String]) -> Option<Check> {
    let principals = list.iter().map(|text| TokenPrincipal::new(text));
    Some(Check::TokenPrincipal(principals.collect()))
}

/// The names of `[a][b]`.
fn in_brackets(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<&str> = inner.split("][").collect();
    let is_plain = |name: &&str| !name.is_empty() && !name.contains(['[', ']']);
    names.iter().all(is_plain).then_some(names)
}
