// When is asked and how often, and the form. Asks once a second while somebody looks; less often when an answer takes long or
// does not come, and not at all in a tab that nobody sees.

const EVERY_MS = 1000;
const LONGEST_MS = 30000;
let data = null, failures = 0, timer = null, isPaused = false;

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok && answer.status !== 404) throw new Error(`${answer.status}`);
  return answer;
}

async function look() {
  const began = performance.now();
  try {
    data = await (await ask("/page.json" + looks())).json();
    const failed = await ask("/requests?failed&format=json");
    const requests = failed.ok ? { requests: (await failed.json()).requests.slice(0, 50) } : { off: (await failed.text()).trim() };
    failures = 0;
    remember(data);
    draw();
    drawFailed(requests);
  } catch (error) {
    failures += 1;
    say(byId("state"), "no answer");
    byId("state").className = "badge hurt";
  }
  const took = performance.now() - began;
  const wait = failures ? EVERY_MS * 2 ** Math.min(failures, 5) : Math.max(EVERY_MS, took * 5);
  plan(Math.min(LONGEST_MS, wait));
}
// What is looked at, so that no more is asked for.
function looks() {
  const wanted = byId("find").value.trim(), open = [...lines].filter(([, line]) => line.node.open).map(([name]) => name);
  const parameters = new URLSearchParams();
  if (wanted) parameters.set("find", wanted);
  if (byId("quiet-too").checked) parameters.set("all", "");
  if (open.length) parameters.set("open", open.slice(0, 50).join(","));
  return parameters.size ? "?" + parameters : "";
}
// Something else is looked at: it is asked for once nobody types any more.
function lookSoon() { if (timer !== null) plan(150); }

function plan(wait) {
  clearTimeout(timer);
  timer = isPaused || document.hidden ? null : setTimeout(look, wait);
}

function draw() {
  if (!data) return;
  const isLive = data.state === "LIVE";
  document.title = `${data.workload} – Outrigger`;
  say(byId("workload"), data.workload);
  say(byId("state"), isPaused ? "paused" : isLive ? "✓ live" : "▲ draining");
  byId("state").className = isLive ? "badge" : "badge hurt";
  const labels = Object.entries(data.labels).map(([key, value]) => `${key}=${value}`).join(", ");
  say(byId("about"), [`namespace ${data.namespace}`, labels, `outrigger ${data.version} on ${data.runtime}`, count(data.workers, "worker"), `up ${time(data.uptime_s * 1000)}`, `revision ${data.revision}`].filter(Boolean).join(" · "));
  const last = data.reloads[0], refused = last && !last.taken;
  byId("alert").hidden = !refused;
  say(byId("alert"), refused ? `▲ The last configuration was refused, and revision ${data.revision} is still in use: ${last.text}` : "");
  drawSides(data);
  drawGraph(data);
  drawServices(data);
  drawFindings(data);
  drawReloads(data);
}

// Where an explained request comes from: the application, or the mesh by one of the listeners.
function drawSides(data) {
  const inbound = data.listeners.filter((l) => l.direction === "inbound").map((l) => l.addr.split(":").pop());
  list("ask-side", inbound, (ports) => [el("option", { value: "" }, "the application"), ports.map((port) => el("option", { value: port }, `the mesh, to port ${port}`))]);
}

async function explain() {
  const told = byId("told"), parameters = new URLSearchParams({ request: byId("ask-line").value.trim() });
  if (byId("ask-side").value) parameters.set("inbound", byId("ask-side").value);
  for (const field of byId("ask-fields").value.split("\n")) if (field.trim()) parameters.append("header", field.trim());
  try {
    const answer = await fetch("/explain?" + parameters, { cache: "no-store" });
    told.textContent = (await answer.text()).trim();
  } catch (error) {
    told.textContent = "no answer";
  }
  told.hidden = false;
}
function explainAgain(request) {
  byId("ask-line").value = `${request.method} http://${request.host}${request.path}`;
  byId("ask-fields").value = "";
  const sides = byId("ask-side").options;
  byId("ask-side").value = request.inbound && sides.length > 1 ? sides[1].value : "";
  byId("ask-line").focus();
  explain();
}

byId("ask").addEventListener("submit", (event) => { event.preventDefault(); explain(); });
byId("find").addEventListener("input", () => { draw(); lookSoon(); });
byId("quiet-too").addEventListener("change", () => { draw(); lookSoon(); });
byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  draw();
  plan(0);
});
document.addEventListener("visibilitychange", () => plan(0));
new ResizeObserver(() => { if (data) drawGraph(data); }).observe(byId("picture"));
look();
