//! ProxyConfig: how sidecars are started.

use super::selection;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    selection::labels(o);
    let threads = o.integer::<i32>("concurrency");
    checks::not_negative("concurrency", threads, Code::InvalidNumber, o.report());
    o.string_map("environmentVariables");
    o.message("image", |image| image.string("imageType"));
}
