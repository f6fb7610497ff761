//! What a page says of certificates, files and TLS.

use super::{Certificate, Flaw, Held, MESH, Tls, Trust};
use crate::escape::unescape;

impl Trust {
    /// Reads a line of a `certificates` block: `NAME WORDS…`, where a word is a URI or a host that the certificate says, or
    /// `called NAME`, `by AUTHORITY`, `expired`, `early`, `revoked`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn certificate(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else {
            return Ok(());
        };
        let mut certificate = Certificate {
            uri_names: Vec::new(),
            dns_names: Vec::new(),
            common_name: String::new(),
            authority: MESH.to_owned(),
            flaw: None,
        };
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or_else(|| format!("`{word}` lacks a name"));
            match word {
                "called" => certificate.common_name = next()?.to_owned(),
                "by" => certificate.authority = next()?.to_owned(),
                "expired" => certificate.flaw = Some(Flaw::Expired),
                "early" => certificate.flaw = Some(Flaw::Early),
                "revoked" => certificate.flaw = Some(Flaw::Revoked),
                uri if uri.contains("://") => certificate.uri_names.push(bytes(uri)?),
                host if host.contains('.') => certificate.dns_names.push(bytes(host)?),
                other => return Err(format!("`{other}` is no name of a certificate")),
            }
        }
        match self.certificates.insert(name.to_owned(), certificate) {
            None => Ok(()),
            Some(_) => Err(format!("there are two certificates `{name}`")),
        }
    }

    /// Reads a line of a `files` block: a path or `secret NAMESPACE/NAME`, and then `certificate NAME`, `key NAME`,
    /// `authority NAME`, `revoked AUTHORITY`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn file(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let (holders, name) = match words.next() {
            None => return Ok(()),
            Some("secret") => (&mut self.secrets, words.next().unwrap_or_default()),
            Some(path) => (&mut self.files, path),
        };
        let mut held = Vec::new();
        while let Some(word) = words.next() {
            let of = words
                .next()
                .ok_or_else(|| format!("`{word}` lacks a name"))?;
            held.push(match word {
                "certificate" => Held::Certificate(of.to_owned()),
                "key" => Held::Key(of.to_owned()),
                "authority" => Held::Authority(of.to_owned()),
                "revoked" => Held::Revoked(of.to_owned()),
                _ => return Err(format!("a file can not hold `{word}`")),
            });
        }
        holders.insert(name.to_owned(), held);
        Ok(())
    }
}

/// A name, which may hold `\0` and other bytes that no name does.
fn bytes(text: &str) -> Result<String, String> {
    let bytes = unescape(text)?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

impl Tls {
    /// Reads what stands behind `tls`: `as CERTIFICATE`, `sni NAME`, `alpn A,B` or `alpn none`, `demands AUTHORITY`,
    /// `version 1.2`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut tls = Self::default();
        let (pairs, rest) = words.as_chunks::<2>();
        for [word, value] in pairs {
            match (*word, *value) {
                ("as", name) => tls.certificate = Some(name.to_owned()),
                ("sni", name) => tls.sni = Some(name.to_owned()),
                ("alpn", "none") => tls.alpn = Some(Vec::new()),
                ("alpn", names) => tls.alpn = Some(names.split(',').map(str::to_owned).collect()),
                ("demands", name) => tls.demands = Some(name.to_owned()),
                ("version", "1.2") => tls.is_old = true,
                (word, value) => return Err(format!("`{word} {value}` says nothing of TLS")),
            }
        }
        match rest {
            [] => Ok(tls),
            [word, ..] => Err(format!("`{word}` says nothing of TLS")),
        }
    }

    /// Splits the words of a block at `tls`.
    ///
    /// # Errors
    /// What is wrong with those behind it.
    pub(crate) fn split<'a, 'b>(
        words: &'a [&'b str],
    ) -> Result<(&'a [&'b str], Option<Self>), String> {
        match words.iter().position(|word| *word == "tls") {
            None => Ok((words, None)),
            Some(at) => Ok((&words[..at], Some(Self::parse(&words[at + 1..])?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_described_in_words() {
        let mut trust = Trust::default();
        let line = "old spiffe://td/ns/a/sa/b a.example called box by elsewhere expired";
        trust.certificate(line).unwrap();
        let got = &trust.certificates["old"];
        assert_eq!(got.uri_names, ["spiffe://td/ns/a/sa/b"]);
        assert_eq!(got.dns_names, ["a.example"]);
        assert_eq!((&*got.common_name, &*got.authority), ("box", "elsewhere"));
        assert_eq!(got.flaw, Some(Flaw::Expired));
        for line in ["old", "new by", "new what"] {
            assert!(trust.certificate(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_file_holds_what_is_named() {
        let mut trust = Trust::default();
        trust.file("/a.pem certificate x key x").unwrap();
        trust.file("secret shop/bank authority public").unwrap();
        let [x, of] = ["x", "public"].map(str::to_owned);
        assert_eq!(
            trust.files["/a.pem"],
            [Held::Certificate(x.clone()), Held::Key(x)]
        );
        assert_eq!(trust.secrets["shop/bank"], [Held::Authority(of)]);
        for line in ["/a.pem certificate", "/a.pem picture x"] {
            assert!(trust.file(line).is_err(), "{line}");
        }
    }

    #[test]
    fn how_a_peer_speaks_stands_behind_its_block() {
        let (before, tls) = Tls::split(&["inbound", "tls", "as", "web", "alpn", "a,b"]).unwrap();
        assert_eq!(before, ["inbound"]);
        let tls = tls.unwrap();
        assert_eq!(tls.certificate.as_deref(), Some("web"));
        assert_eq!(tls.alpn, Some(vec!["a".to_owned(), "b".to_owned()]));
        for words in [
            &["tls", "as"][..],
            &["tls", "of", "x"],
            &["tls", "version", "1.1"],
        ] {
            assert!(Tls::split(words).is_err(), "{words:?}");
        }
    }
}
