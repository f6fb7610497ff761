//! Plays the vectors of Project Wycheproof for JSON Web Signatures (`testvectors_v1/json_web_*_test.json`, which are not here) to the
//! code that decides about tokens.
//!
//! ```sh
//! cargo run -p outrigger-jwt --example wycheproof -- json_web_signature_test.json json_web_crypto_test.json json_web_key_test.json
//! ```
//!
//! Their payloads are no claims, so only what stands around the payload is asked: form, header, key and signature. Ends with 1 when
//! something is accepted that must not be. What should be accepted and is not is named, with the reason.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that tells"
)]

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outrigger_core::jose::{KeySet, Token};
use outrigger_jwt::check_signature;
use serde_json::Value;

/// An object as payload, which says nothing.
const NO_CLAIMS: &str = "e30";

fn main() -> ExitCode {
    let mut accepted_wrongly = 0;
    for path in std::env::args().skip(1) {
        match play(&path) {
            Ok(wrong) => accepted_wrongly += wrong,
            Err(why) => {
                eprintln!("{path}: {why}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(accepted_wrongly > 0))
}

/// How many of a file's vectors are accepted that must not be.
fn play(path: &str) -> Result<usize, String> {
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    let file: Value = serde_json::from_str(&text).map_err(|why| why.to_string())?;
    let (mut alike, mut wrong, mut refused) = (0, 0, 0);
    for group in file["testGroups"].as_array().into_iter().flatten() {
        let keys = group.get("public").or_else(|| group.get("private"));
        let keys = keys.map(Value::to_string).unwrap_or_default();
        for vector in group["tests"].as_array().into_iter().flatten() {
            // Those in another serialisation than the compact one are objects.
            let jws = match &vector["jws"] {
                Value::String(jws) => jws.clone(),
                other => other.to_string(),
            };
            let verdict = judge(&keys, &jws);
            let is_valid = vector["result"] == "valid";
            let what = format!(
                "{} {} ({})",
                vector["tcId"], vector["comment"], group["comment"]
            );
            match (is_valid, verdict) {
                (true, Ok(())) | (false, Err(_)) => alike += 1,
                (true, Err(why)) => {
                    refused += 1;
                    println!("refused: {what}: {why}");
                }
                (false, Ok(())) => {
                    wrong += 1;
                    println!("ACCEPTED: {what}");
                }
            }
        }
    }
    println!(
        "{path}: {alike} as the vectors say, {refused} refused that are valid, {wrong} accepted that are not"
    );
    Ok(wrong)
}

/// Whether one of these keys signed what stands there.
fn judge(keys: &str, jws: &str) -> Result<(), String> {
    let keys = KeySet::read(keys.as_bytes()).map_err(|why| why.as_str().to_owned())?;
    let read = |text: &str| Token::read(text.as_bytes()).map_err(|why| why.to_string());
    let token = match jws.split('.').collect::<Vec<_>>()[..] {
        // What is signed ends with the payload that is really there.
        [header, payload, signature] => {
            let read_as_it_is = URL_SAFE_NO_PAD.decode(payload);
            read_as_it_is.map_err(|_| "the payload is no base64url".to_owned())?;
            let mut token = read(&format!("{header}.{NO_CLAIMS}.{signature}"))?;
            token.signed = header.len() + 1 + payload.len();
            token
        }
        _ => read(jws)?,
    };
    keys.check(&token, jws.as_bytes(), check_signature)
        .map_err(|why| why.to_string())
}
