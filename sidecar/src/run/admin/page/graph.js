// The graph: who calls this workload, and what it calls. Wide, it reads from left to right; narrow, from top to bottom.

const MOST_NODES = 12;
const BOX = 46;
// Room for a caller, this workload, a service, and words between them.
const WIDE = 1000;

function words(now) {
  return [rate(now.rate), share(now.failed), now.p99 === null ? "" : "p99 " + time(now.p99)].filter(Boolean).join(" · ");
}
const mood = (now) => (now.failed > 0 ? "hurt" : now.rate > 0 ? "well" : "idle");

function nodes(data) {
  const inbound = data.listeners.filter((l) => l.direction === "inbound").map((l) => ({ name: "to port " + l.addr.split(":").pop(), now: lately("l " + l.name), note: count(l.connections, "connection") }));
  const used = data.services.filter((s) => s.requests > 0 && !isInbound(s));
  const outbound = used.map((s) => ({ name: title(s), now: lately("s " + s.name), note: health(s), hurt: s.ejected > 0 }));
  outbound.sort((a, b) => (b.now.rate || 0) - (a.now.rate || 0) || (a.name < b.name ? -1 : 1));
  const shown = outbound.slice(0, MOST_NODES);
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { inbound, shown, left: outbound.length - shown.length };
}

function health(service) {
  const good = service.members - service.ejected;
  if (service.members === 0) return "no endpoints";
  return service.ejected > 0 ? "✕ " + service.ejected + " of " + service.members + " ejected" : "✓ " + good + " of " + service.members + " in use";
}

function box(x, y, width, lines, kind) {
  const cut = (text) => { const most = Math.floor((width - 16) / 7); return text.length > most ? text.slice(0, most - 1) + "…" : text; };
  return svg("g", {}, svg("title", {}, lines.join(", ")),
    svg("rect", { class: "box " + kind, x, y, width, height: BOX, rx: 8 }),
    svg("text", { x: x + 10, y: y + 19 }, cut(lines[0])),
    svg("text", { x: x + 10, y: y + 36, class: kind === "hurt" ? "hurt" : "small" }, cut(lines[1] || "")));
}
function label(x, y, now, anchor) {
  return svg("text", { x, y, class: mood(now) === "hurt" ? "hurt" : "small", "text-anchor": anchor }, (mood(now) === "hurt" ? "▲ " : "") + words(now));
}
function edge(path, now) {
  const width = now.rate > 0 ? Math.min(7, 2 + Math.log10(1 + now.rate) * 1.6) : 2;
  return svg("path", { class: "edge " + mood(now), d: path, "stroke-width": width.toFixed(1) });
}

function wide(data, { inbound, shown }, width) {
  const side = 200, step = BOX + 18;
  const height = Math.max(shown.length, inbound.length, 1) * step + 8;
  const self = 170, left = inbound.length ? side + 220 : 8, middle = height / 2, right = width - side - 2;
  const at = (count, index) => (height - count * step) / 2 + index * step + 9;
  const parts = [];
  inbound.forEach((node, index) => {
    const y = at(inbound.length, index) + BOX / 2;
    parts.push(edge(`M${side} ${y} C${side + 110} ${y} ${left - 110} ${middle} ${left} ${middle}`, node.now), label(side + 8, y - 7, node.now, "start"), box(2, y - BOX / 2, side - 2, ["callers " + node.name, node.note], ""));
  });
  shown.forEach((node, index) => {
    const y = at(shown.length, index) + BOX / 2, from = left + self, bend = from + 70;
    parts.push(edge(`M${from} ${middle} C${from + 35} ${middle} ${bend - 35} ${y} ${bend} ${y} L${right} ${y}`, node.now), label(right - 8, y - 8, node.now, "end"), box(right, y - BOX / 2, side, [node.name, node.note], node.hurt ? "hurt" : ""));
  });
  parts.push(box(left, middle - BOX / 2, self, [data.workload, data.namespace + ", " + data.state], "self"));
  return { height, parts };
}

function narrow(data, { inbound, shown }, width) {
  const step = BOX + 34, parts = [], trunk = 18, most = Math.min(width, 560);
  let y = 4;
  inbound.forEach((node) => {
    parts.push(box(2, y, most - 4, ["callers " + node.name, node.note], ""), edge(`M${trunk} ${y + BOX} L${trunk} ${y + step}`, node.now), label(trunk + 14, y + BOX + 21, node.now, "start"));
    y += step;
  });
  parts.push(box(2, y, most - 4, [data.workload, data.namespace + ", " + data.state], "self"));
  const top = y + BOX;
  y += step;
  shown.slice().reverse().forEach((node, back) => {
    const place = y + (shown.length - 1 - back) * step;
    parts.push(edge(`M${trunk} ${top} L${trunk} ${place + BOX / 2 - 12} Q${trunk} ${place + BOX / 2} ${trunk + 14} ${place + BOX / 2} L44 ${place + BOX / 2}`, node.now));
  });
  shown.forEach((node) => {
    parts.push(box(44, y, most - 46, [node.name, node.note], node.hurt ? "hurt" : ""), label(44, y - 8, node.now, "start"));
    y += step;
  });
  return { height: y - step + BOX + 6, parts };
}

function drawGraph(data) {
  const found = nodes(data), place = byId("picture"), width = Math.max(280, place.clientWidth);
  const told = found.inbound.map((n) => `callers ${n.name}: ${words(n.now)}`).concat(found.shown.map((n) => `to ${n.name}: ${words(n.now)}, ${n.note}`));
  const { height, parts } = (width < WIDE ? narrow : wide)(data, found, width);
  const text = `${data.workload}: ` + (told.join("; ") || "no traffic yet");
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text }, parts);
  const left = found.left > 0 ? el("p", { class: "quiet" }, `and ${found.left} more services with less traffic, in the list below`) : null;
  const none = found.shown.length ? null : el("p", { class: "quiet" }, "This workload has called nobody yet.");
  place.replaceChildren(picture, ...[left, none].filter(Boolean));
}
