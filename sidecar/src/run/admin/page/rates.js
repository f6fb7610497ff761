// Rates: what was counted in the last ten seconds, by the proxy's own clock.

const WINDOW_MS = 10000;
const samples = [];

function remember(data) {
  const last = samples[samples.length - 1];
  // Another process answers at the same address, or counters began anew.
  if (last && data.now_ms < last.now) samples.length = 0;
  const counts = new Map();
  for (const s of data.services) counts.set("s " + s.name, [s.requests, s.failures, s.times]);
  for (const l of data.listeners) counts.set("l " + l.name, [l.requests, l.failures, l.times]);
  samples.push({ now: data.now_ms, counts, bounds: data.bounds_ms, isWhole: data.services_left_out === 0 });
  while (samples.length > 2 && samples[1].now <= data.now_ms - WINDOW_MS) samples.shift();
}

// What happened lately behind a key: requests a second, the share that failed, and the time that 99 of 100 took at most.
function lately(key) {
  // What was not there is not in use yet, unless there was no room for all.
  const first = samples.find((s) => s.isWhole || s.counts.has(key)), last = samples[samples.length - 1];
  const nothing = { rate: null, failed: null, p99: null };
  if (!first || last.now <= first.now) return nothing;
  const now = last.counts.get(key), before = first.counts.get(key) || [0, 0, null];
  if (!now) return nothing;
  const requests = now[0] - before[0], failures = now[1] - before[1];
  if (requests < 0 || failures < 0) return nothing;
  return {
    rate: (requests * 1000) / (last.now - first.now),
    failed: requests > 0 ? Math.min(1, failures / requests) : null,
    p99: quantile(last.bounds, before[2], now[2], 0.99),
  };
}

// Of counts between bounds, the last of which are beyond all; evenly within two.
function quantile(bounds, before, now, part) {
  if (!now) return null;
  const counts = now.map((count, at) => count - (before ? before[at] : 0));
  let left = counts.reduce((sum, count) => sum + count, 0) * part;
  if (left <= 0) return null;
  for (let at = 0; at < bounds.length; at++) {
    if (left <= counts[at]) {
      const low = at ? bounds[at - 1] : 0;
      return low + ((bounds[at] - low) * left) / counts[at];
    }
    left -= counts[at];
  }
  return bounds[bounds.length - 1];
}
