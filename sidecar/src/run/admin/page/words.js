// Elements and words. Whatever comes from configuration or traffic becomes a text node, or an attribute that means no code.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

// Writes only what has changed, so that nothing is laid out again and no reader is interrupted for nothing.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e6) return (value / 1e6).toFixed(1) + " M";
  if (value >= 1e4) return (value / 1e3).toFixed(1) + " k";
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}
const count = (value, one) => `${number(value)} ${one}${value === 1 ? "" : "s"}`;
const rate = (value) => (value === null ? "measuring" : number(value) + "/s");
function share(value) {
  if (value === null) return "";
  if (value === 0) return "0 % failed";
  return (value < 0.0995 ? (value * 100).toFixed(1) : Math.round(value * 100)) + " % failed";
}
function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return (ms < 10 ? ms.toFixed(1) : Math.round(ms)) + " ms";
  const s = ms / 1000;
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  return s < 129600 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " d";
}
const isInbound = (service) => service.name.startsWith("inbound|");
// `reviews.default.svc.cluster.local` is `reviews` to those who live there.
function title(service) {
  if (isInbound(service)) return "application at port " + service.port;
  const short = service.host.replace(/\.svc\.cluster\.local$/, "").replace(/\.default$/, "");
  return (short || service.name) + (service.subset ? " " + service.subset : "");
}
