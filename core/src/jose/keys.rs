//! The keys of an issuer: a JSON Web Key Set (RFC 7517 §5), and which of them may have signed a token.

use core::fmt;

use super::algorithm::{Algorithm, Curve};
use super::base64url;
use super::claim::{self, Claim, Claims};
use super::fault::TokenFault;
use super::token::Token;

/// More keys than that are in no set.
pub const MAX_KEYS: usize = 100;

/// Whether a key made a signature of a message by an algorithm, which its material is of the kind for: the arguments are the
/// key's material, the algorithm, the message and the signature.
pub type CheckSignature = fn(&Material, Algorithm, &[u8], &[u8]) -> bool;

/// What a key is made of.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// `RSA`: modulus and exponent, big-endian, without leading zeros.
    Rsa {
        /// The modulus.
        n: Box<[u8]>,
        /// The exponent: 3 or 65537.
        e: Box<[u8]>,
    },
    /// `EC`: a point in uncompressed form (SEC 1 §2.3.3).
    Ec {
        /// On which curve.
        curve: Curve,
        /// `04`, x, y.
        point: Box<[u8]>,
    },
    /// `OKP` with the curve Ed25519 (RFC 8037 §2).
    Ed25519([u8; 32]),
    /// `oct`: a secret, for the HS family.
    Secret(Box<[u8]>),
}

/// Secrets are not shown.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { n, .. } => write!(f, "Rsa({} bits)", n.len() * 8),
            Self::Ec { curve, .. } => write!(f, "Ec({curve:?})"),
            Self::Ed25519(_) => f.write_str("Ed25519"),
            Self::Secret(_) => f.write_str("Secret"),
        }
    }
}

impl Material {
    /// Whether an algorithm takes a key of this kind, and of this curve or at least of this length.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.is_rsa(),
            Self::Ec { curve, .. } => algorithm.curve() == Some(*curve),
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
            Self::Secret(secret) => algorithm
                .shortest_secret()
                .is_some_and(|least| secret.len() >= least),
        }
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What tokens call it, if it has a name.
    pub kid: Option<Box<str>>,
    /// The only algorithm that it is for, if it says so.
    pub algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: Material,
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not an object, or has no `kty`.
    NoKey,
    /// Its `kty` or `crv` is none that is known.
    Unknown,
    /// It is not for checking signatures: `use` is not `sig`, or `key_ops` leave `verify` out.
    OtherUse,
    /// Its `alg` is none for a key of this kind.
    OtherAlgorithm,
    /// A part of it is missing or malformed, or it is too weak.
    Malformed,
}

impl KeyFault {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "it has no `kty`",
            Self::Unknown => "its `kty` or `crv` is not known",
            Self::OtherUse => "it is not for checking signatures",
            Self::OtherAlgorithm => "its `alg` is none for a key of its kind",
            Self::Malformed => "a part of it is missing, malformed or too weak",
        }
    }
}

/// Why a text is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetFault {
    /// It is not a JSON object, or has a name twice.
    NotJson,
    /// It has no list `keys`.
    NoKeys,
    /// It is names with certificates in PEM, as some issuers have them besides, and Envoy reads them.
    Certificates,
    /// It has more keys than [`MAX_KEYS`].
    TooMany,
    /// None of its keys can be used.
    NoValidKey,
}

impl KeySetFault {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "it is not a JSON object in which each name stands once",
            Self::NoKeys => "it has no list `keys`",
            Self::Certificates => {
                "it is names with certificates (X.509), which is not read: use the issuer's JSON Web Key Set"
            }
            Self::TooMany => "it has more than 100 keys",
            Self::NoValidKey => "none of its keys can be used",
        }
    }
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    /// Those that can be used, in the order of the set.
    pub keys: Box<[Key]>,
    /// Those that can not: their positions, and why.
    pub unusable: Box<[(usize, KeyFault)]>,
}

impl KeySet {
    /// Reads a set, or a single key. Keys that can not be used are left out, as RFC 7517 §5 wants.
    ///
    /// # Errors
    /// It is none, or has no key to use.
    pub fn read(json: &[u8]) -> Result<Self, KeySetFault> {
        let set = claim::read_object(json).ok_or(KeySetFault::NotJson)?;
        let single;
        let written = match set.get("keys") {
            Some(Claim::List(keys)) => &**keys,
            None if set.contains_key("kty") => {
                single = [Claim::Object(set)];
                &single
            }
            None if is_certificates(&set) => return Err(KeySetFault::Certificates),
            Some(_) | None => return Err(KeySetFault::NoKeys),
        };
        if written.len() > MAX_KEYS {
            return Err(KeySetFault::TooMany);
        }
        let (mut keys, mut unusable) = (Vec::new(), Vec::new());
        for (at, written) in written.iter().enumerate() {
            match read_key(written) {
                Ok(key) => keys.push(key),
                Err(fault) => unusable.push((at, fault)),
            }
        }
        match keys.is_empty() {
            true => Err(KeySetFault::NoValidKey),
            false => Ok(Self {
                keys: keys.into(),
                unusable: unusable.into(),
            }),
        }
    }

    /// Whether a set has a part in it that only the issuer should know.
    #[must_use]
    pub fn has_private_part(json: &[u8]) -> bool {
        let Some(set) = claim::read_object(json) else {
            return false;
        };
        let is_private = |key: &Claims| {
            key.contains_key("d") || key.get("kty").and_then(Claim::text) == Some("oct")
        };
        let of = |key: &Claim| matches!(key, Claim::Object(key) if is_private(key));
        match set.get("keys") {
            Some(Claim::List(keys)) => keys.iter().any(of),
            Some(_) | None => is_private(&set),
        }
    }

    /// Whether one of these keys signed a token. A key that says a name or an algorithm is only tried for that; what a key is
    /// made of decides which algorithms it is for in any case.
    ///
    /// # Errors
    /// None did.
    pub fn check(
        &self,
        token: &Token,
        text: &[u8],
        check: CheckSignature,
    ) -> Result<(), TokenFault> {
        let mut may_have = self.keys.iter().filter(|key| {
            let is_called = |(kid, wanted)| kid == wanted;
            let named = key.kid.as_deref().zip(token.kid.as_deref());
            named.is_none_or(is_called) && key.algorithm.is_none_or(|one| one == token.algorithm)
        });
        if self.keys.is_empty() {
            return Err(TokenFault::NoValidKeys);
        }
        let mut fault = TokenFault::NoKeyMatches;
        let signed = &text[..token.signed];
        let did = may_have.any(|key| {
            fault = TokenFault::SignatureWrong;
            key.material.fits(token.algorithm)
                && check(&key.material, token.algorithm, signed, &token.signature)
        });
        if did { Ok(()) } else { Err(fault) }
    }
}

/// Whether an object has nothing but certificates in PEM (RFC 7468 §5).
fn is_certificates(set: &Claims) -> bool {
    let mut texts = set.values().map(Claim::text);
    !set.is_empty()
        && texts
            .all(|text| text.is_some_and(|text| text.starts_with("-----BEGIN CERTIFICATE-----")))
}

fn read_key(written: &Claim) -> Result<Key, KeyFault> {
    let Claim::Object(key) = written else {
        return Err(KeyFault::NoKey);
    };
    let text = |name| key.get(name).and_then(Claim::text);
    let kind = text("kty").ok_or(KeyFault::NoKey)?;
    let is_for_signatures = text("use").is_none_or(|use_| use_ == "sig")
        && key
            .get("key_ops")
            .is_none_or(|ops| ops.texts().any(|op| op == "verify"));
    if !is_for_signatures {
        return Err(KeyFault::OtherUse);
    }
    let algorithm = match key.get("alg") {
        None => None,
        Some(named) => {
            let known = named.text().and_then(Algorithm::of);
            Some(known.ok_or(KeyFault::OtherAlgorithm)?)
        }
    };
    let material = match kind {
        "RSA" => rsa(key),
        "EC" => ec(key, algorithm),
        "OKP" => ed25519(key),
        "oct" => secret(key),
        _ => Err(KeyFault::Unknown),
    }?;
    if algorithm.is_some_and(|algorithm| !material.fits(algorithm)) {
        return Err(KeyFault::OtherAlgorithm);
    }
    let kid = text("kid").filter(|kid| !kid.is_empty()).map(Box::from);
    Ok(Key {
        kid,
        algorithm,
        material,
    })
}

fn bytes(key: &Claims, name: &str) -> Result<Vec<u8>, KeyFault> {
    let text = key.get(name).and_then(Claim::text);
    let bytes = text.and_then(base64url::decode);
    bytes.ok_or(KeyFault::Malformed)
}

/// A number without leading zeros.
fn number(key: &Claims, name: &str) -> Result<Box<[u8]>, KeyFault> {
    let bytes = bytes(key, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes[zeros..].into())
}

fn rsa(key: &Claims) -> Result<Material, KeyFault> {
    /// In bytes: 2048 and 8192 bits.
    const SIZES: core::ops::RangeInclusive<usize> = 256..=1024;
    let (n, e) = (number(key, "n")?, number(key, "e")?);
    let is_usual = matches!(&*e, [3] | [1, 0, 1]);
    if !is_usual || !SIZES.contains(&n.len()) {
        return Err(KeyFault::Malformed);
    }
    Ok(Material::Rsa { n, e })
}

/// A key that names no curve is on that of its algorithm, or on P-256, as in Envoy.
fn ec(key: &Claims, algorithm: Option<Algorithm>) -> Result<Material, KeyFault> {
    let curve = match key.get("crv") {
        Some(named) => named.text().and_then(Curve::of).ok_or(KeyFault::Unknown)?,
        None => match algorithm {
            None => Curve::P256,
            Some(algorithm) => algorithm.curve().ok_or(KeyFault::OtherAlgorithm)?,
        },
    };
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = bytes(key, name)?;
        let missing = curve.coordinate().checked_sub(coordinate.len());
        let missing = missing.ok_or(KeyFault::Malformed)?;
        point.resize(point.len() + missing, 0);
        point.extend_from_slice(&coordinate);
    }
    let point = point.into();
    Ok(Material::Ec { curve, point })
}

fn ed25519(key: &Claims) -> Result<Material, KeyFault> {
    if key.get("crv").and_then(Claim::text) != Some("Ed25519") {
        return Err(KeyFault::Unknown);
    }
    let x = bytes(key, "x")?;
    x.try_into()
        .map(Material::Ed25519)
        .map_err(|_| KeyFault::Malformed)
}

fn secret(key: &Claims) -> Result<Material, KeyFault> {
    let material = Material::Secret(bytes(key, "k")?.into());
    // One that is too short for all of them can be guessed.
    match material.fits(Algorithm::Hs256) {
        true => Ok(material),
        false => Err(KeyFault::Malformed),
    }
}

#[cfg(test)]
mod tests;
