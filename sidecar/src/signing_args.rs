//! What the command line allows those who come to the authority.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use outrigger_authority::Limits;

use crate::options::parse_some_time;

/// Limits of the authority of `control`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct SigningArgs {
    /// How long a certificate is good for who asks for no time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_CERTIFICATE_LIFETIME")]
    certificate_lifetime: Duration,

    /// How long a certificate is good at most, whatever is asked for; never longer than the authority's own
    #[arg(long, value_name = "TIME", default_value = "2160h", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_MAX_CERTIFICATE_LIFETIME")]
    max_certificate_lifetime: Duration,

    /// Bytes of a request for a certificate
    #[arg(
        long,
        value_name = "N",
        default_value = "16384",
        env = "OUTRIGGER_CONTROL_MAX_CSR_BYTES"
    )]
    max_csr_bytes: NonZeroUsize,

    /// Handshakes of TLS at a time; more connections wait for one of them to end
    #[arg(
        long,
        value_name = "N",
        default_value = "256",
        env = "OUTRIGGER_CONTROL_MAX_HANDSHAKES"
    )]
    max_handshakes: NonZeroUsize,

    /// How long a handshake may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_HANDSHAKE_TIMEOUT")]
    handshake_timeout: Duration,

    /// Connections to --listen at a time, those that shake hands among them; more are closed at once. Each takes a descriptor
    #[arg(
        long,
        value_name = "N",
        default_value = "30000",
        env = "OUTRIGGER_CONTROL_MAX_CONNECTIONS"
    )]
    max_connections: NonZeroUsize,

    /// How long it is waited for a proof on a connection to --listen after its handshake, before it is closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_PROOF_TIMEOUT")]
    proof_timeout: Duration,

    /// Reviews of tokens at a time; more wait
    #[arg(
        long,
        value_name = "N",
        default_value = "64",
        env = "OUTRIGGER_CONTROL_MAX_TOKEN_REVIEWS"
    )]
    max_token_reviews: NonZeroUsize,

    /// How long a review may take, the wait for its turn included
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_TOKEN_REVIEW_TIMEOUT")]
    token_review_timeout: Duration,

    /// How long a token that was found good is believed without another review: one that is taken out may be used that much longer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_TOKEN_GOOD_FOR")]
    token_good_for: Duration,

    /// How long one that was found bad is refused without another review
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_TOKEN_BAD_FOR")]
    token_bad_for: Duration,

    /// Answers of reviews that are kept, of good tokens and of bad ones
    #[arg(
        long,
        value_name = "N",
        default_value = "16384",
        env = "OUTRIGGER_CONTROL_MAX_TOKENS_KEPT"
    )]
    max_tokens_kept: NonZeroUsize,

    /// How long a sidecar that came by a token is told of changes before it has to show one again; sooner when the token is over
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_some_time, env = "OUTRIGGER_CONTROL_TOKEN_RECHECK")]
    token_recheck: Duration,
}

impl SigningArgs {
    /// What is allowed.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            lifetime: self.certificate_lifetime,
            max_lifetime: self.max_certificate_lifetime,
            max_csr_bytes: self.max_csr_bytes.get(),
            max_handshakes: self.max_handshakes.get(),
            handshake_timeout: self.handshake_timeout,
            max_reviews: self.max_token_reviews.get(),
            review_timeout: self.token_review_timeout,
            max_connections: self.max_connections.get(),
            proof_timeout: self.proof_timeout,
            good_for: self.token_good_for,
            bad_for: self.token_bad_for,
            max_kept: self.max_tokens_kept.get(),
            token_recheck: self.token_recheck,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn limits(args: &[&str]) -> Result<Limits, clap::Error> {
        let words = ["outrigger", "control", "--config", "a"];
        match Cli::try_parse_from(words.iter().chain(args))?.command {
            Command::Control(args) => Ok(args.secure.signing.limits()),
            other => unreachable!("the words say `control`: {other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_authority_and_every_limit_has_an_option() {
        assert_eq!(limits(&[]).unwrap(), Limits::default());
        let (second, one) = (Duration::from_secs(1), 1);
        let all = [
            "--certificate-lifetime",
            "1s",
            "--max-certificate-lifetime",
            "1s",
            "--max-csr-bytes",
            "1",
            "--max-handshakes",
            "1",
            "--handshake-timeout",
            "1s",
            "--max-token-reviews",
            "1",
            "--token-review-timeout",
            "1s",
            "--max-connections",
            "1",
            "--proof-timeout",
            "1s",
            "--token-good-for",
            "1s",
            "--token-bad-for",
            "1s",
            "--max-tokens-kept",
            "1",
            "--token-recheck",
            "1s",
        ];
        let least = Limits {
            lifetime: second,
            max_lifetime: second,
            max_csr_bytes: one,
            max_handshakes: one,
            handshake_timeout: second,
            max_reviews: one,
            review_timeout: second,
            max_connections: one,
            proof_timeout: second,
            good_for: second,
            bad_for: second,
            max_kept: one,
            token_recheck: second,
        };
        assert_eq!(limits(&all).unwrap(), least);
        for option in all.iter().step_by(2) {
            assert!(limits(&[option, "0"]).is_err(), "{option}");
        }
    }
}
