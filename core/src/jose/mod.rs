//! Signed tokens and the keys they are checked with, as plain values (JOSE: RFC 7515, 7517, 7518, 7519, 8037).
//!
//! Reads tokens and sets of keys, within bounds, and says what is wrong with one in Envoy's words. Whether a signature holds
//! is asked of a function that is handed in ([`CheckSignature`]): core has no cryptography. Who accepts which token is
//! decided by `policy`.

mod algorithm;
mod base64url;
mod claim;
mod fault;
mod keys;
mod token;

pub use algorithm::{Algorithm, Curve};
pub use claim::{Claim, Claims, MAX_DEPTH};
pub use fault::TokenFault;
pub use keys::{CheckSignature, Key, KeyFault, KeySet, KeySetFault, MAX_KEYS, Material};
pub use token::{MAX_TOKEN, Token};
