//! Where endpoints are placed, written in a line each.

mod model;
mod tables;

use std::borrow::Cow;

use super::*;
use crate::compile::locality::augment;
use crate::snapshot::Address;

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// `r/z/s` and labels after a space.
fn source(text: &str) -> Source {
    let (locality, own) = text.split_once(' ').unwrap_or((text, ""));
    let locality = Locality::parse(locality);
    Source {
        labels: augment(&labels(own), &locality, "", ""),
        locality,
        peers: None,
    }
}

/// The same with a weight after `*`.
fn candidates(all: &[&str]) -> Vec<Candidate> {
    let one = |(at, text): (usize, &&str)| {
        let (text, weight) = text.split_once('*').unwrap_or((text, "1"));
        let Source {
            labels, locality, ..
        } = source(text);
        Candidate {
            labels,
            weight: weight.parse().unwrap(),
            locality: locality.text(),
            ..Candidate::new(Address::Name(format!("e{at}").into(), 80))
        }
    };
    all.iter().enumerate().map(one).collect()
}

fn locality(setting: LocalityLbSetting) -> Setting<'static> {
    Setting::Locality {
        setting: Cow::Owned(setting),
        force: false,
    }
}
