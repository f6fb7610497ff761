// The services that this workload calls: a line each, and behind it limits and endpoints. Elements stay from one look to the
// next, so that what is open stays open and what has the focus keeps it; what is closed is not filled.

const MOST_LINES = 100;
const MOST_ROWS = 100;
const lines = new Map();

function serviceLine(service) {
  const line = { all: false };
  line.name = el("strong", {});
  line.facts = [el("span", {}), el("span", {}), el("span", {}), el("span", {})];
  line.body = el("div", {});
  line.node = el("details", {}, el("summary", {}, line.name, line.facts), line.body);
  line.node.addEventListener("toggle", () => { if (line.service) fillLine(line); if (line.node.open) lookSoon(); });
  return line;
}

function updateLine(line, service) {
  line.service = service;
  const now = lately("s " + service.name);
  say(line.name, title(service) + (service.port && !isInbound(service) ? ":" + service.port : ""));
  const facts = [rate(now.rate), share(now.failed), now.p99 === null ? "" : "p99 " + time(now.p99), health(service)];
  facts.forEach((text, at) => say(line.facts[at], text));
  line.facts[1].className = now.failed > 0 ? "hurt-text" : "";
  line.facts[3].className = service.ejected > 0 || service.members === 0 ? "hurt-text" : "";
  if (line.node.open) fillLine(line);
}

function gauge(limit) {
  const isFull = limit.now >= limit.most;
  const bar = el("i", {});
  bar.style.width = Math.min(100, (100 * limit.now) / Math.max(1, limit.most)) + "%";
  const text = `${number(limit.now)} of ${number(limit.most)}` + (isFull ? " – full" : "");
  return el("div", { class: "gauge", role: "meter", "aria-label": limit.name, "aria-valuenow": limit.now, "aria-valuemin": 0, "aria-valuemax": Math.max(limit.most, limit.now), "aria-valuetext": text },
    el("span", {}, limit.name), el("span", { class: isFull ? "hurt-text" : "" }, text), el("div", { class: isFull ? "bar full" : "bar" }, bar));
}

const COLUMNS = [
  ["endpoint", (e) => e.address],
  ["health", (e) => (e.ejected ? `✕ ejected, back in ${time(e.ejected.left_ms)} (${e.ejected.reason})` : "✓ in use")],
  ["load", (e) => number(e.active)],
  ["connections", (e) => number(e.connections)],
  ["weight", (e) => number(e.weight)],
  ["requests", (e) => number(e.requests)],
  ["failures", (e) => number(e.failures)],
  ["ejections", (e) => number(e.ejections)],
  ["where", (e) => [e.locality, e.priority ? "priority " + e.priority : ""].filter(Boolean).join(", ") || "–"],
];
const isWords = (name) => name === "health" || name === "where";

function fillLine(line) {
  const service = line.service;
  if (!line.table) {
    const heads = COLUMNS.map(([name]) => el("th", { scope: "col", class: isWords(name) ? "words" : null }, name));
    line.about = el("p", { class: "quiet" });
    line.gauges = el("div", { class: "gauges" });
    line.rows = el("tbody", {});
    line.table = el("table", {}, el("thead", {}, el("tr", {}, heads)), line.rows);
    line.more = el("button", { type: "button", hidden: true });
    line.more.addEventListener("click", () => { line.all = true; fillLine(line); });
    line.body.append(line.about, line.gauges, line.table, line.more);
  }
  const { circuit, concurrency, retries } = service.refused;
  const refused = [[circuit, "requests by circuit limits"], [concurrency, "requests by the limit that follows response times"], [retries, "retries"]];
  const told = refused.filter(([n]) => n > 0).map(([n, what]) => `${number(n)} ${what}`);
  say(line.about, `${service.name}, ${service.balancing}, ${count(service.requests, "request")} and ${number(service.retries)} retries so far` + (told.length ? `; refused: ${told.join(", ")}` : ""));
  line.gauges.replaceChildren(...service.limits.map(gauge));
  // Who is out comes first.
  if (!service.endpoints) return;
  const endpoints = service.endpoints.slice().sort((a, b) => Boolean(b.ejected) - Boolean(a.ejected));
  const shown = line.all ? endpoints : endpoints.slice(0, MOST_ROWS);
  while (line.rows.rows.length > shown.length) line.rows.lastChild.remove();
  shown.forEach((endpoint, at) => {
    const row = line.rows.rows[at] || line.rows.appendChild(el("tr", {}, COLUMNS.map(([name]) => el("td", { "data-name": name, class: isWords(name) ? "words" : null }))));
    COLUMNS.forEach(([, text], column) => say(row.cells[column], text(endpoint)));
    row.cells[1].className = endpoint.ejected ? "words hurt-text" : "words";
  });
  line.table.hidden = shown.length === 0;
  line.more.hidden = shown.length === endpoints.length;
  say(line.more, `show all ${endpoints.length} endpoints`);
}

function drawServices(data) {
  const wanted = byId("find").value.trim().toLowerCase(), quietToo = byId("quiet-too").checked;
  // Until an answer is here that knows what is wanted, names are all that can be looked at.
  const has = (s) => (data.find === wanted && s.found) || (s.name + " " + title(s)).toLowerCase().includes(wanted);
  const found = data.services.filter((s) => (quietToo || wanted || s.requests > 0 || s.ejected > 0) && (!wanted || has(s)));
  const busy = new Map(found.map((s) => [s, (s.ejected > 0 ? 1e12 : 0) + (lately("s " + s.name).rate || 0)]));
  found.sort((a, b) => (found.length > MOST_LINES ? busy.get(b) - busy.get(a) : 0) || (a.name < b.name ? -1 : 1));
  const shown = found.slice(0, MOST_LINES), list = byId("service-list"), kept = new Set(shown.map((s) => s.name));
  for (const [name, line] of lines) if (!kept.has(name)) { line.node.remove(); lines.delete(name); }
  shown.forEach((service, at) => {
    if (!lines.has(service.name)) lines.set(service.name, serviceLine(service));
    const line = lines.get(service.name);
    if (list.children[at] !== line.node) list.insertBefore(line.node, list.children[at] || null);
    updateLine(line, service);
  });
  say(byId("shown"), `${shown.length} of ${data.services_known} shown`);
  drawMirrors(data.mirrors);
}

function drawMirrors(mirrors) {
  const told = Object.entries(mirrors).filter(([, n]) => n > 0).map(([what, n]) => `${number(n)} ${what}`);
  byId("mirrors").hidden = !told.length;
  say(byId("mirrors"), "Copies for mirrors: " + told.join(", "));
}
