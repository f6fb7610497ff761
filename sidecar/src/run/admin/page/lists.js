// What happened: failed requests with their stories, findings, configurations. A list is made anew only when it has changed.

const made = new Map();

function list(id, value, make) {
  const text = JSON.stringify(value);
  if (made.get(id) === text) return;
  made.set(id, text);
  byId(id).replaceChildren(...[make(value)].flat());
}
const nothing = (words) => el("p", { class: "quiet" }, words);

const stories = new Map();
function story(request) {
  const key = [request.began, request.random].join(" ");
  if (!stories.has(key)) {
    const flags = request.flags && request.flags !== "-" ? " " + request.flags : "";
    const summary = el("summary", {}, el("strong", {}, `${request.method} ${request.host}${request.path}`),
      el("span", { class: "hurt-text" }, `✕ ${request.status || "no response"}${flags}`),
      el("span", {}, time(request.duration_ms)), el("span", {}, el("time", { datetime: request.began }, request.began.slice(11, 23))));
    const near = request.nearest ? el("p", {}, "Nearest known name: ", el("strong", {}, request.nearest)) : null;
    const again = el("button", { type: "button" }, "Explain it as of now");
    again.addEventListener("click", () => explainAgain(request));
    stories.set(key, el("details", {}, summary, near, el("pre", { tabindex: 0, "aria-label": "Story" }, request.story), again));
  }
  return stories.get(key);
}

function drawFailed(answer) {
  list("failed-list", answer, ({ off, requests }) => {
    if (off) return nothing(off);
    if (!requests.length) return nothing("✓ None is remembered.");
    const kept = requests.map(story);
    if (stories.size > 500) { stories.clear(); requests.forEach(story); }
    return kept;
  });
}

function drawFindings(data) {
  list("finding-list", [data.findings, data.found], ([findings, found]) => {
    if (!findings.length) return nothing("✓ Nothing was found in the configuration that was read last.");
    const signs = { error: "✕ error", warning: "▲ warning", info: "· info" };
    const items = findings.map((f) => el("li", {}, el("span", { class: f.severity === "info" ? "quiet" : "hurt-text" }, signs[f.severity] || f.severity), " ",
      el("code", {}, f.code), " ", f.message, f.help ? el("div", { class: "quiet" }, f.help) : null,
      el("div", { class: "quiet" }, [f.place, f.resource, f.path].filter(Boolean).join(", "))));
    const rest = found > findings.length ? nothing(`and ${found - findings.length} more: outrigger check tells all`) : [];
    return [el("ul", { class: "events" }, items), rest].flat();
  });
}

function drawReloads(data) {
  list("reload-list", data.reloads, (events) => {
    if (!events.length) return nothing("Nothing is remembered.");
    return el("ol", { class: "events" }, events.map((event) => el("li", {},
      el("time", { datetime: event.at, class: "quiet" }, event.at.replace("T", " ").slice(0, 19)), " ",
      el("span", { class: event.taken ? "" : "hurt-text" }, event.taken ? "✓ taken" : "✕ refused"), " ", event.text,
      event.changes ? el("div", {}, "For users: ", event.changes) : null)));
  });
}
