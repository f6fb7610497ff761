//! A list of tokens, by their digests: the file gives nobody in.
//!
//! A line is `SHA256 NAMESPACE/ACCOUNT [UNTIL]`: the digest of a token in hexadecimal digits, whose it is, and until when it is
//! good, in seconds since 1970. Empty lines and those that begin with `#` say nothing. A token is made and entered so:
//!
//! ```text
//! openssl rand -hex 32 | tr -d '\n' > token
//! echo "$(sha256sum < token | cut -d' ' -f1) shop/cart" >> tokens
//! ```

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use super::{read, time_of};
use crate::caller::{Caller, Proof, Refused, Reviewer, Reviewing};

/// Shorter tokens could be guessed.
const MIN_TOKEN_BYTES: usize = 16;

/// Tokens whose digests stand in a file.
#[derive(Clone, Debug)]
pub struct KnownTokens {
    path: PathBuf,
}

impl KnownTokens {
    /// Those of this file.
    #[must_use]
    pub const fn of_file(path: PathBuf) -> Self {
        Self { path }
    }

    /// Looks at every line of the file.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn check(&self) -> Result<(), String> {
        let text = read(&self.path).map_err(|why| why.to_string())?;
        lines(&text).try_for_each(|(at, line)| {
            let read = entry(line).map_err(str::to_owned).and_then(|entry| {
                Caller::new(entry.namespace, entry.account, Proof::Token)
                    .map_err(|why| why.to_string())
            });
            let path = self.path.display();
            read.map(drop).map_err(|why| format!("{path}:{at}: {why}"))
        })
    }
}

impl Reviewer for KnownTokens {
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
        Box::pin(async move { find(&read(&self.path)?, token, SystemTime::now()) })
    }
}

struct Entry<'a> {
    digest: [u8; 32],
    namespace: &'a str,
    account: &'a str,
    until: Option<u64>,
}

/// The lines that say something, with their numbers. What is no text is an entry that is none.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .map(|(at, line)| (at + 1, std::str::from_utf8(line).map_or("?", str::trim)))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn entry(line: &str) -> Result<Entry<'_>, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let digest = words.next().and_then(hexadecimal);
    let digest = digest.ok_or("a line begins with a digest of SHA-256: 64 hexadecimal digits")?;
    let whose = words.next().and_then(|whose| whose.split_once('/'));
    let (namespace, account) = whose.ok_or("behind the digest stands NAMESPACE/ACCOUNT")?;
    let until = words.next().map(str::parse).transpose();
    let until = until.map_err(|_| "the time is seconds since 1970")?;
    match words.next() {
        Some(_) => Err("a line has no more than a digest, NAMESPACE/ACCOUNT and a time"),
        None => Ok(Entry {
            digest,
            namespace,
            account,
            until,
        }),
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let is_one = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (at, byte) in digest.iter_mut().enumerate().filter(|_| is_one) {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    is_one.then_some(digest)
}

/// Whose a token is by a file.
fn find(text: &[u8], token: &str, now: SystemTime) -> Result<Caller, Refused> {
    let no = |why: &str| Refused::NotProved(why.to_owned());
    if token.len() < MIN_TOKEN_BYTES {
        return Err(no("nobody has such a token"));
    }
    let own = digest(&SHA256, token.as_bytes());
    // A line that is wrong is nobody's, and keeps nobody else out.
    let mut entries = lines(text).filter_map(|(_, line)| entry(line).ok());
    let found = entries.find(|entry| verify_slices_are_equal(&entry.digest, own.as_ref()).is_ok());
    let found = found.ok_or_else(|| no("nobody has such a token"))?;
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if found.until.is_some_and(|until| until < seconds) {
        return Err(no("the token is over"));
    }
    let caller = Caller::new(found.namespace, found.account, Proof::Token)?;
    // That second included.
    let until = found
        .until
        .and_then(|until| time_of(until.saturating_add(1)));
    Ok(Caller { until, ..caller })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_is_whose_line_has_its_digest() {
        let token = "0123456789abcdef0123456789abcdef";
        let own = digest(&SHA256, token.as_bytes());
        let hex: String = own
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let other = "00".repeat(32);
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (file, whose) in [
            (format!("{hex} shop/cart\n"), Ok("shop/cart")),
            (
                format!("# ours\n\n{other} a/b\n  {hex}\tshop/cart  \n"),
                Ok("shop/cart"),
            ),
            (
                format!("{} shop/cart 1000", hex.to_uppercase()),
                Ok("shop/cart"),
            ),
            (format!("{hex} shop/cart 999"), Err("the token is over")),
            (format!("{other} shop/cart"), Err("nobody has such a token")),
            (String::new(), Err("nobody has such a token")),
            (format!("{hex} shop"), Err("nobody has such a token")),
            (
                format!("{hex} shop/cart soon"),
                Err("nobody has such a token"),
            ),
            (
                format!("{hex} shop/cart 2000 x"),
                Err("nobody has such a token"),
            ),
            (
                format!("{hex} shop/../cart"),
                Err("`../cart` of `shop` is no name of a workload"),
            ),
        ] {
            let found = find(file.as_bytes(), token, now);
            if let Ok(caller) = &found {
                let until = file
                    .ends_with(" 1000")
                    .then(|| now + Duration::from_secs(1));
                assert_eq!(caller.until, until, "{file}");
            }
            let found =
                found.map(|caller| format!("{}/{}", caller.namespace, caller.service_account));
            let found = found.map_err(|why| why.to_string());
            assert_eq!(
                found,
                whose.map(str::to_owned).map_err(str::to_owned),
                "{file}"
            );
        }
        // The digest itself is no token.
        assert!(find(format!("{hex} shop/cart").as_bytes(), &hex, now).is_err());
        assert!(find(b"", "short", now).is_err());
    }

    #[tokio::test]
    async fn the_file_is_read_each_time_and_nobody_is_let_in_without_it() {
        let path = std::env::temp_dir().join(format!("outrigger-tokens-{}", std::process::id()));
        let token = "a token of some length";
        let own = digest(&SHA256, token.as_bytes());
        let hex: String = own
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let known = KnownTokens::of_file(path.clone());
        assert!(matches!(
            known.review(token).await,
            Err(Refused::Unknown(_))
        ));
        std::fs::write(&path, format!("{hex} shop/cart\n")).unwrap();
        assert_eq!(known.review(token).await.unwrap().service_account, "cart");
        known.check().unwrap();
        std::fs::write(&path, "# nobody\nrubbish\n").unwrap();
        assert!(matches!(
            known.review(token).await,
            Err(Refused::NotProved(_))
        ));
        assert!(
            known
                .check()
                .unwrap_err()
                .contains(":2: a line begins with a digest")
        );
        std::fs::remove_file(&path).unwrap();
    }
}
