//! What workers go by, as the command line has it.

use std::time::Duration;

use outrigger_core::worker::{Signatures, WorkerSettings};
use outrigger_jwt::check_signature;

use super::{Failure, workers};
use crate::cli::RunArgs;

/// What `--max-proxy-header-bytes` may be, in bytes.
const MOST_PROXY_HEADER: usize = 16 * 1024;

/// The settings of each worker.
///
/// # Errors
/// Options contradict each other.
pub(super) fn of(args: &RunArgs) -> Result<WorkerSettings, Failure> {
    let unless_zero = |time: Duration| Some(time).filter(|time| !time.is_zero());
    let (client_streams, endpoint_streams) = args.http2.limits().map_err(Failure::usage)?;
    let defaults = WorkerSettings::default();
    let protocol_detection_timeout = unless_zero(args.protocol_detection_timeout);
    let max_sniffed_bytes = usize::try_from(args.max_sniffed_bytes).unwrap_or(usize::MAX);
    let max_proxy_header_bytes = usize::try_from(args.max_proxy_header_bytes).unwrap_or(usize::MAX);
    if max_proxy_header_bytes > MOST_PROXY_HEADER {
        return Err(Failure::usage(
            "`--max-proxy-header-bytes` is 16KiB at most: what proxies say in a header takes a few hundred bytes",
        ));
    }
    let (requests, responses) = args.limits.http1();
    let is_other = (requests, responses) != (*defaults.requests, *defaults.responses)
        || args.limits.max_interim_responses != defaults.max_interim_responses
        || args.limits.tokens() != defaults.token_limits
        || unless_zero(args.limits.request_body_timeout) != defaults.request_body_timeout
        || unless_zero(args.limits.unread_timeout) != defaults.unread_timeout
        || protocol_detection_timeout != defaults.protocol_detection_timeout
        || max_sniffed_bytes != defaults.max_sniffed_bytes
        || max_proxy_header_bytes != defaults.max_proxy_header_bytes
        || args.overload.overloaded_idle_timeout != defaults.overloaded_idle_timeout;
    if args.record.is_some() && is_other {
        return Err(Failure::usage(
            "a recording does not hold limits and times of HTTP/1 and of tokens, `--protocol-detection-timeout`, `--max-sniffed-bytes`, \
             `--max-proxy-header-bytes` and `--overloaded-idle-timeout`: leave them out, or say `protocolDetectionTimeout` in the \
             mesh configuration",
        ));
    }
    Ok(WorkerSettings {
        request_head_timeout: unless_zero(args.request_head_timeout),
        tls_handshake_timeout: unless_zero(args.tls_handshake_timeout),
        protocol_detection_timeout,
        max_sniffed_bytes,
        max_proxy_header_bytes,
        idle_timeout: unless_zero(args.idle_timeout),
        overloaded_idle_timeout: args.overload.overloaded_idle_timeout,
        stream_idle_timeout: unless_zero(args.stream_idle_timeout),
        request_body_timeout: unless_zero(args.limits.request_body_timeout),
        unread_timeout: unless_zero(args.limits.unread_timeout),
        max_request_body: args.max_request_body,
        max_buffered_bytes: Some(args.max_buffered_bytes)
            .filter(|bytes| *bytes > 0)
            .map(|bytes| bytes.div_ceil(workers(args).get() as u64)),
        // Once a process: connections look there as long as it lives.
        requests: Box::leak(Box::new(requests)),
        responses: Box::leak(Box::new(responses)),
        max_interim_responses: args.limits.max_interim_responses,
        token_limits: args.limits.tokens(),
        client_streams,
        endpoint_streams,
        max_cached_tokens: args.max_cached_tokens,
        signatures: Signatures(Some(check_signature)),
        tells_bodies: args.record_without_bodies,
        told_clients: args.recent.told_clients().map_err(Failure::usage)?,
        ..defaults
    })
}
