// The page of gateflow explore: sends what is asked, draws what comes back. Texts of users are only ever set as text;
// markup comes from gateflow's own writer of MathML.

const SVG = "http://www.w3.org/2000/svg";
const TICKS = 1000; // places of a slider
const TYPING = 200; // ms of rest before what is typed is asked
const WIDTH = 560, HEIGHT = 330, LEFT = 58, RIGHT = 14, TOP = 12, BOTTOM = 44;

const $ = (id) => document.getElementById(id);
const page = {
  patience: 250, // ms after which a newer request overtakes the one under way
  hello: null, values: {}, gates: [], optimizer: "sgd",
  seq: 0, sentAt: 0, waiting: false, ahead: false, // the number last sent; whether its picture is awaited; whether more was moved
  picture: null, steps: null, own: null, noise: null, theory: { about: new Map(), orders: new Map(), crossings: new Map() },
};
window.gateflow = page; // for a look from the console, and for tests

// --- elements ------------------------------------------------------------------------------------------------------

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function set(markup) { // MathML of gateflow's writer
  const made = document.createElement("span");
  made.innerHTML = markup;
  return made;
}

function number(x, digits = 5) {
  if (x === null || x === undefined) return "none";
  if (x !== 0 && (Math.abs(x) >= 1e6 || Math.abs(x) < 1e-4)) {
    return x.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e").replaceAll("-", "−");
  }
  return String(Number(x.toPrecision(digits))).replaceAll("-", "−");
}

function time(flow) {
  if (flow.tau !== null && flow.tau !== undefined && Number.isFinite(flow.tau)) return number(flow.tau, 6);
  return flow.log10_tau === null || flow.log10_tau === undefined ? flow.status : `10^${flow.log10_tau.toFixed(3)}`;
}

// --- asking --------------------------------------------------------------------------------------------------------

let socket = null;

function connect() {
  socket = new WebSocket(new URL("socket", location.href).href.replace(/^http/, "ws"));
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = (event) => {
    page.waiting = false;
    say(event.reason || "The server has ended; start gateflow explore again.", true);
  };
}

function say(text, busy = false) {
  $("state").textContent = text;
  $("picture").setAttribute("aria-busy", busy);
}

function asked() {
  const gates = page.gates.map((gate) => gate.text).filter((text) => text.trim());
  return { gates, optimizer: page.optimizer, ...page.values };
}

// One request is under way at a time, unless it takes long: then a newer one overtakes it. An answer is shown where no
// newer one was sent; while sliders are ahead of it, the picture says so.
function ask() {
  if (!socket || socket.readyState !== WebSocket.OPEN || !asked().gates.length) return;
  page.ahead = true;
  $("picture").setAttribute("aria-busy", true);
  if (page.waiting && performance.now() - page.sentAt < page.patience) {
    clearTimeout(page.later);
    page.later = setTimeout(ask, page.patience);
    return;
  }
  send();
}

function send() {
  clearTimeout(page.later);
  page.seq += 1;
  Object.assign(page, { waiting: true, ahead: false, sentAt: performance.now() });
  socket.send(JSON.stringify({ seq: page.seq, asked: asked() }));
}

function hear(part) {
  if (part.part === "hello") return begin(part);
  if (part.seq !== page.seq) return; // an answer to what was asked before
  if (part.part === "picture") {
    page.waiting = false;
    Object.assign(page, { picture: part, steps: null, own: null, noise: null, shown: part.seq });
    showPicture();
    page.first ??= performance.now(); // ms since the page was opened
    if (page.ahead) return send();
    say("", false);
  } else if (["steps", "own", "noise"].includes(part.part)) {
    page[part.part] = part.gates;
    showTimes();
  } else if (part.part === "refused") {
    page.waiting = false;
    say(part.error, false);
  } else if (["about", "order", "crossing", "proved"].includes(part.part)) {
    showTheory(part);
  }
}

// --- controls ------------------------------------------------------------------------------------------------------

const SCALES = {
  log: [(x) => Math.log10(x), (t) => 10 ** t],
  linear: [(x) => x, (t) => t],
  logit: [(x) => Math.log(x / (1 - x)), (t) => 1 / (1 + Math.exp(-t))],
};

function begin(hello) {
  page.hello = hello;
  for (const name of hello.catalogue) $("catalogue").append(element("option", { value: name }));
  for (const decay of hello.decays) $("decays").append(element("option", { value: decay.name, title: decay.about }, decay.name));
  hello.controls.forEach(addControl);
  const select = element("select", { id: "optimizer", onchange: (e) => { page.optimizer = e.target.value; ask(); } });
  for (const name of hello.optimizers) select.append(element("option", { value: name }, name));
  $("controls").append(element("div", { class: "control" }, element("label", { for: "optimizer" }, "Optimiser"), select,
    element("small", {}, "of the steps; the flow is its limit of small ones")));
  hello.gates.forEach((text) => addGate(text));
  if (hello.audit) showAudit(hello.audit);
  send();
}

function addControl(control) {
  const [there, back] = SCALES[control.scale];
  const [low, high] = control.slid.map(there);
  page.values[control.name] = control.first;
  const slider = element("input", { type: "range", id: `${control.name}-slider`, min: 0, max: TICKS, step: 1, "aria-label": `${control.label}, slider` });
  const field = element("input", { type: "text", id: control.name, inputmode: "decimal", autocomplete: "off", spellcheck: "false", "aria-describedby": `${control.name}-about` });
  const place = (x) => Math.round((TICKS * (there(x) - low)) / (high - low));
  const show = (x) => { field.value = x !== 0 && x < 1e-3 ? x.toExponential().replace("e+", "e") : String(Number(x.toPrecision(6))); field.removeAttribute("aria-invalid"); };
  const tell = (x) => slider.setAttribute("aria-valuetext", String(Number(x.toPrecision(4))));
  slider.addEventListener("input", () => {
    const x = back(low + ((high - low) * slider.value) / TICKS);
    page.values[control.name] = Number(x.toPrecision(4));
    show(page.values[control.name]);
    tell(x);
    ask();
  });
  field.addEventListener("input", () => {
    const x = field.value.trim() === "" ? NaN : Number(field.value);
    const right = x >= control.low && x <= control.high;
    field.setAttribute("aria-invalid", !right);
    if (!right) return say(`${control.label} must be from ${control.low} to ${control.high}`, true);
    page.values[control.name] = x;
    slider.value = Math.max(0, Math.min(TICKS, place(x)));
    tell(x);
    ask();
  });
  slider.value = place(control.first);
  show(control.first);
  tell(control.first);
  $("controls").append(element("div", { class: "control" }, element("label", { for: control.name }, control.label), field, slider,
    element("small", { id: `${control.name}-about` }, control.about)));
}

function addGate(text = "") {
  const gate = { text, typing: 0 };
  const id = `gate-${(page.count = (page.count || 0) + 1)}`;
  const input = element("input", {
    type: "text", id, value: text, list: "catalogue", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    "aria-label": `Gate ${page.gates.length + 1}: a name or a formula in z`, placeholder: "a name, or a formula in z", "aria-describedby": `${id}-fault`,
    oninput: (event) => {
      gate.text = event.target.value;
      clearTimeout(gate.typing);
      gate.typing = setTimeout(ask, TYPING);
    },
  });
  gate.swatch = drawn("svg", { width: 40, height: 14, "aria-hidden": "true" });
  gate.formula = element("div", { class: "formula" });
  gate.fault = element("div", { class: "fault", id: `${id}-fault`, role: "alert" });
  gate.input = input;
  const remove = element("button", { type: "button", "aria-label": "Remove this gate", onclick: () => removeGate(gate) }, "×");
  gate.row = element("div", { class: "gate" }, gate.swatch, input, remove, gate.formula, gate.fault);
  page.gates.push(gate);
  $("gates").append(gate.row);
  $("add").disabled = page.gates.length >= page.hello.most;
  return gate;
}

function removeGate(gate) {
  if (page.gates.length === 1) return;
  page.gates.splice(page.gates.indexOf(gate), 1);
  gate.row.remove();
  $("add").disabled = false;
  page.gates[0].input.focus();
  ask();
}

$("add").addEventListener("click", () => { addGate().input.focus(); });
$("decays").addEventListener("change", (event) => {
  if (event.target.value && page.gates.length < page.hello.most) { addGate(event.target.value); ask(); }
  event.target.value = "";
});

// --- charts --------------------------------------------------------------------------------------------------------

function stroke(one, more = {}) {
  const { index, colour, dashes } = one.stroke;
  const about = { class: `line-${index}`, stroke: colour, "stroke-width": 2, fill: "none", ...more };
  return dashes ? { ...about, "stroke-dasharray": dashes.split(" ").map((x) => 2 * x).join(" ") } : about;
}

function ticks(low, high, most, whole) {
  const rough = (high - low) / most;
  const base = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((x) => x * base).find((x) => x >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9 * step; x += step) found.push(Number(x.toPrecision(12)));
  return found;
}

function power(exponent) { // 10^k with a raised exponent, as spans of a text
  const text = drawn("tspan", {}, "10");
  return [text, drawn("tspan", { "font-size": 9.5, dy: -5 }, String(exponent).replace("-", "−"))];
}

// A chart: axes {label, low, high, log}, lines {xs, ys, one}, points {x, y, one}.
function chart(title, description, x, y, lines, points) {
  const svg = drawn("svg", { xmlns: SVG, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${description}`, "font-family": "system-ui, sans-serif", "font-size": 13 });
  const right = WIDTH - RIGHT, bottom = HEIGHT - BOTTOM;
  const px = (v) => LEFT + ((v - x.low) / (x.high - x.low)) * (right - LEFT);
  const py = (v) => bottom - ((v - y.low) / (y.high - y.low)) * (bottom - TOP);
  const words = (tx, ty, anchor, axis, value) => {
    const made = drawn("text", { x: tx, y: ty, "text-anchor": anchor, fill: "#1b1c1e", class: "words" });
    if (axis.log) made.append(...power(value)); else made.textContent = String(value).replace("-", "−");
    svg.append(made);
  };
  for (const v of ticks(x.low, x.high, 6, x.log)) {
    svg.append(drawn("line", { x1: px(v), x2: px(v), y1: TOP, y2: bottom, stroke: "#d9d6d1", class: "grid" }));
    words(px(v), bottom + 17, "middle", x, v);
  }
  for (const v of ticks(y.low, y.high, 5, y.log)) {
    svg.append(drawn("line", { x1: LEFT, x2: right, y1: py(v), y2: py(v), stroke: "#d9d6d1", class: "grid" }));
    words(LEFT - 6, py(v) + 4, "end", y, v);
  }
  svg.append(drawn("rect", { x: LEFT, y: TOP, width: right - LEFT, height: bottom - TOP, fill: "none", stroke: "#1b1c1e", "stroke-width": 0.8, class: "ink" }));
  svg.append(drawn("text", { x: (LEFT + right) / 2, y: HEIGHT - 6, "text-anchor": "middle", fill: "#1b1c1e", class: "words" }, x.label));
  svg.append(drawn("text", { transform: `translate(13 ${(TOP + bottom) / 2}) rotate(-90)`, "text-anchor": "middle", fill: "#1b1c1e", class: "words" }, y.label));
  for (const { xs, ys, one } of lines) {
    let path = "", pen = "M";
    xs.forEach((value, i) => {
      if (value === null || ys[i] === null || value < x.low) { pen = "M"; return; }
      const height = Math.max(y.low, Math.min(y.high, ys[i]));
      path += `${pen}${px(value).toFixed(1)} ${py(height).toFixed(1)}`;
      pen = "L";
    });
    svg.append(drawn("path", stroke(one, { d: path || "M0 0", "data-gate": one.gate })));
  }
  for (const point of points) {
    if (point.x >= x.low && point.x <= x.high && point.y >= y.low && point.y <= y.high) {
      const { index, colour } = point.one.stroke;
      svg.append(drawn("circle", { cx: px(point.x), cy: py(point.y), r: 4, stroke: colour, class: `line-${index} mark`, "stroke-width": 1.6, fill: point.full ? colour : "#fdfcfb" }));
    }
  }
  return svg;
}

function charts() {
  const gates = page.picture.gates.filter((one) => one.phi);
  const grid = page.hello.grid;
  const flows = gates.filter((one) => one.flow.log_tau);
  const at = (one, key, z) => {
    const place = ((z - grid[0]) / (grid[grid.length - 1] - grid[0])) * (grid.length - 1);
    const k = Math.floor(place);
    if (!(k >= 0 && k < grid.length - 1)) return NaN;
    return one[key][k] + (place - k) * (one[key][k + 1] - one[key][k]);
  };
  const marks = (key) => flows.flatMap((one) => [
    { x: one.flow.z0, y: at(one, key, one.flow.z0), one }, { x: one.flow.z_star, y: at(one, key, one.flow.z_star), one, full: true }]);
  const z = { label: "pre-activation z", low: grid[0], high: grid[grid.length - 1] };
  const steepest = Math.max(0.05, ...gates.flatMap((one) => one.dphi.filter((x) => x !== null && x < 1e3)));
  const names = gates.map((one) => one.gate).join(", ");
  const made = [
    ["Gate φ(z)", chart("Gates", `${names}; open marks: start, full marks: target`, z, { label: "φ", low: 0, high: 1 },
      gates.map((one) => ({ xs: grid, ys: one.phi, one })), marks("phi"))],
    ["Slope φ′(z)", chart("Slopes", names, z, { label: "φ′", low: 0, high: 1.05 * steepest },
      gates.map((one) => ({ xs: grid, ys: one.dphi, one })), marks("dphi"))],
  ];
  const ends = flows.map((one) => one.flow.log_tau.at(-1)).filter((x) => x !== null);
  if (ends.length) {
    const first = Math.min(...flows.map((one) => one.flow.log_tau.find((x) => x !== null)));
    const low = Math.max(first, Math.min(...ends) - 5), high = Math.max(...ends) + 0.3;
    const { gap, horizon } = page.picture.asked;
    const floor = Math.log10(gap) - 1.5, top = Math.max(...flows.map((one) => Math.log10(one.flow.loss_at_start))) + 0.3;
    const arrivals = flows.filter((one) => one.flow.log10_tau !== null).map((one) => ({ x: one.flow.log10_tau, y: floor, one, full: true }));
    const words = flows.map((one) => `${one.gate}: ${one.flow.log10_tau === null ? one.flow.status : `tau ${time(one.flow)}`}`).join("; ");
    made.unshift([`Loss along the gradient flow, T = ${number(horizon)}, gap ${number(gap)}; the end of a line is its arrival`,
      chart("Loss along the gradient flow", words, { label: "learning time τ", low, high, log: true },
        { label: "loss |φᵀ − λ*|", low: Math.min(floor, top - 1), high: top, log: true }, flows.map((one) => ({ xs: one.flow.log_tau, ys: one.flow.log_loss, one })), arrivals)]);
  }
  return made;
}

// --- what was found ------------------------------------------------------------------------------------------------

function showPicture() {
  const { gates, lines } = page.picture;
  const typed = page.gates.filter((gate) => gate.text.trim());
  typed.forEach((gate, k) => {
    const found = gates[k];
    if (!found) return;
    const fault = found.error ? found : found.flow.error ? found.flow : null;
    gate.input.setAttribute("aria-invalid", Boolean(found.error));
    gate.swatch.replaceChildren(drawn("line", stroke(found, { x1: 1, x2: 39, y1: 7, y2: 7 })));
    if (gate.markup !== found.markup) gate.formula.replaceChildren(...(found.markup ? [set(found.markup)] : []));
    gate.formula.tabIndex = gate.formula.scrollWidth > gate.formula.clientWidth ? 0 : -1;  // what scrolls takes the keyboard
    gate.markup = found.markup;
    const said = fault ? `${fault.error}\n${fault.pointed}` : "";
    if (gate.said !== said) {
      gate.fault.replaceChildren(...(fault ? [document.createTextNode(fault.error), ...(fault.pointed ? [element("pre", { tabindex: "0" }, fault.pointed)] : [])] : []));
    }
    gate.said = said;
  });
  $("charts").replaceChildren(...charts().map(([caption, svg]) => element("figure", {}, svg, element("figcaption", {}, caption))));
  page.lines = lines;
  showLines();
  showTimes();
}

function row(kind, cells) {
  return element("tr", {}, ...cells.map((cell, k) => element(k ? kind : "th", k ? {} : { scope: kind === "th" ? "col" : "row" }, cell)));
}

function showTimes() {
  const { gates, asked } = page.picture;
  const head = ["gate", "learning time τ", "error of τ", "start z₀", "target z*", `steps, ${asked.optimizer}, η = ${number(asked.lr)}`, "own largest η", "steps at it"];
  const body = gates.map((one, k) => {
    if (one.error) return row("td", [one.gate, "refused", "", "", "", "", "", ""]);
    if (!("z0" in one.flow)) return row("td", [one.gate, one.flow.error, "", "", "", "", "", ""]);
    const { flow } = one;
    const cell = (part, show) => (!page[part] ? "…" : page[part][k].error ? page[part][k].error : show(page[part][k]));
    const count = (x) => (x === null ? "past the floats" : number(x));
    return row("td", [one.gate, time(flow), number(flow.relative_error, 2), number(flow.z0), number(flow.z_star),
      cell("steps", (found) => count(found.steps) + (found.steps === null || found.holds ? "" : " (not valid)")),
      cell("own", (found) => number(found.lr)), cell("own", (found) => count(found.steps))]);
  });
  $("times").replaceChildren(element("caption", {}, "Steps are predicted in the limit that each optimiser’s theory allows; “own” is the largest step size that keeps the time scale within 5 %. Fewer steps are sooner."),
    element("thead", {}, row("th", head)), element("tbody", {}, ...body));
  const noisy = (page.noise || []).map((found, k) => found && [gates[k].gate, found]).filter(Boolean);
  const share = (values) => values.map((x) => number(x, 4)).join(" / ");
  $("noisy").replaceChildren(...(noisy.length ? [element("div", { class: "box", tabindex: 0, role: "region", "aria-label": "With gradient noise" }, element("table", {},
    element("caption", {}, "With gradient noise: at 10 % / 50 % / 90 % of the runs"),
    element("thead", {}, row("th", ["gate", "steps to arrive", "time constant it settles to"])),
    element("tbody", {}, ...noisy.map(([name, found]) => row("td", found.error ? [name, found.error, ""] :
      [name, found.steps ? share(found.steps) : found.no_steps, found.timescale ? share(found.timescale) : found.no_timescale])))))] : []));
}

function proof(steps) {
  if (!steps || !steps.length) return null;
  return element("details", {}, element("summary", {}, "Proof: the limits"),
    element("ul", {}, ...steps.map((step) => element("li", { tabindex: "0" }, `${step.statement}: `, set(step.markup), ` → ${step.limit}`))));
}

function showTheory(part) {
  const key = (names) => JSON.stringify(names);
  const { about, orders, crossings } = page.theory;
  if (part.part === "about") about.set(part.gate, part);
  if (part.part === "order") orders.set(key(part.gates), part);
  if (part.part === "crossing") crossings.set(key(part.gates), { ...part, seq: part.seq });
  const names = asked().gates.map((text) => text.trim());
  const here = (pair) => pair.every((name) => names.includes(name));
  $("theory-state").textContent = part.part === "proved" ? "" : "Proving …";
  $("about").replaceChildren(element("ul", { class: "verdict-list" }, ...[...about.values()].filter((one) => names.includes(one.gate)).map((one) => element("li", {},
    element("b", {}, one.gate), one.error ? `: ${one.error}` : `: ${one.verdict}; `,
    one.law ? set(one.law.markup) : one.error ? null : `law of learning: ${one.law_reason}`,
    one.clauses ? element("details", {}, element("summary", {}, "Clauses of class F"), element("ul", {}, ...one.clauses.map((c) => element("li", {}, `${c.statement}: ${c.verdict} (${c.reason})`)), ...one.warnings.map((w) => element("li", {}, w)))) : null,
    proof(one.steps)))));
  $("orders").replaceChildren(element("ul", { class: "verdict-list" }, ...[...orders.values()].filter((one) => here(one.gates)).map((one) => element("li", {},
    element("b", {}, `${one.gates[0]} against ${one.gates[1]}`), one.error ? `: ${one.error}` : `: ${one.verdict}; ${one.reason}`, proof(one.steps)))));
  $("crossings").replaceChildren(element("ul", { class: "verdict-list" }, ...[...crossings.values()].filter((one) => here(one.gates) && one.seq === page.seq).map((one) => element("li", {},
    element("b", {}, `Crossing of ${one.gates[0]} and ${one.gates[1]}`), ...(one.error ? [`: ${one.error}`] : one.lines.map(([head, text]) => element("div", {}, `${head}: ${text}`)))))));
}

function showAudit(audit) {
  $("audit").hidden = false;
  $("audit-file").textContent = `${audit.path}, step size ${audit.lr}`;
  if (!audit.layers.length) { $("audit-file").textContent += ": no decays are known by the names of these tensors"; return; }
  const share = (x) => (typeof x === "number" ? `${Math.round(100 * x)} %` : "none");
  const value = (x) => (typeof x === "number" ? number(x, 4) : x);
  $("layers").replaceChildren(element("caption", {}, "Time constants in steps, at quantiles of the units. Unmoved: what a step does not change; beyond: what the format does not hold."),
    element("thead", {}, row("th", ["layer", "model", "units", "2 %", "50 %", "98 %", "slope", "unmoved", "beyond", "flagged"])),
    element("tbody", {}, ...audit.layers.map((one) => row("td", [one.name, one.model, String(one.units), ...one.times.map(value), value(one.slope), share(one.unmoved), share(one.beyond), one.flags.join("; ")]))));
}

// --- what can be taken away ----------------------------------------------------------------------------------------

function showLines() {
  $("lines").textContent = page.lines ? page.lines[document.querySelector("[name=language]:checked").value] : "";
}

function save(name, kind, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function figure() { // all charts, one under the other, with a legend
  const parts = [...document.querySelectorAll("#charts svg")];
  const gates = page.picture.gates.filter((one) => one.phi);
  const head = 24 + 18 * gates.length;
  const whole = drawn("svg", { xmlns: SVG, width: WIDTH, height: head + HEIGHT * parts.length, viewBox: `0 0 ${WIDTH} ${head + HEIGHT * parts.length}`, "font-family": "system-ui, sans-serif", "font-size": 13 });
  whole.append(drawn("rect", { width: "100%", height: "100%", fill: "#fdfcfb" }));
  gates.forEach((one, k) => {
    whole.append(drawn("line", stroke(one, { x1: LEFT, x2: LEFT + 40, y1: 18 + 18 * k, y2: 18 + 18 * k })));
    whole.append(drawn("text", { x: LEFT + 50, y: 22 + 18 * k, fill: "#1b1c1e" }, one.gate));
  });
  parts.forEach((part, k) => {
    const copy = part.cloneNode(true);
    for (const [key, value] of Object.entries({ x: 0, y: head + k * HEIGHT, width: WIDTH, height: HEIGHT })) copy.setAttribute(key, value);
    whole.append(copy);
  });
  return new XMLSerializer().serializeToString(whole);
}

function table() {
  const cell = (x) => (typeof x === "string" && /[",\n]/.test(x) ? `"${x.replaceAll('"', '""')}"` : x ?? "");
  const rows = [["curve", "gate", "x", "y"]];
  for (const one of page.picture.gates) {
    if (!one.phi) continue;
    page.hello.grid.forEach((z, i) => { rows.push(["phi of z", one.gate, z, one.phi[i]], ["dphi of z", one.gate, z, one.dphi[i]]); });
    (one.flow.log_tau || []).forEach((x, i) => rows.push(["log10 loss of log10 tau", one.gate, x, one.flow.log_loss[i]]));
  }
  return rows.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

function numbers() {
  const { asked, gates, lines } = page.picture;
  const { about, orders, crossings } = page.theory;
  const names = gates.map((one) => one.gate);
  const here = (map) => [...map.values()].filter((one) => (one.gates || [one.gate]).every((name) => names.includes(name)));
  return JSON.stringify({ asked, grid: page.hello.grid, gates, steps: page.steps, own: page.own, noise: page.noise, about: here(about), orders: here(orders),
    crossings: here(crossings).filter((one) => one.seq === page.shown), lines }, null, 2);
}

Object.assign(page, { figure, table, numbers, hear });
$("save-svg").addEventListener("click", () => page.picture && save("gateflow.svg", "image/svg+xml", figure()));
$("save-csv").addEventListener("click", () => page.picture && save("gateflow.csv", "text/csv", table()));
$("save-json").addEventListener("click", () => page.picture && save("gateflow.json", "application/json", numbers()));
$("copy").addEventListener("click", () => navigator.clipboard.writeText($("lines").textContent));
for (const radio of document.querySelectorAll("[name=language]")) radio.addEventListener("change", showLines);

connect();
