"use strict";
// The story: which station is shown, how one gets to the next, and the map of the chain.

/** Where the reader is; `step` is the number of a step, or "run" for the checkpoints. */
const HERE = { step: 0, station: 0, answer: null, flat: null };
let SHOWN = null; // {step, station, figures, answers} as drawn
const AUDITS = new Map(); // "step/station": what `audit` found

const stepNow = () => TRACE.steps[HERE.step];
const titleOf = (step, station) => {
  if (station.type === "loss") return "The loss";
  const layer = layerAt(step, station);
  return `${{ forward: "Forward", backward: "Backward", update: "Update" }[station.type]}: ${layer.name}`;
};

/** Go to a station, and to an entry there: by default the largest of the first answer that is not dx. */
function go(step, station, answer = null, flat = null, { replace = false } = {}) {
  Object.assign(HERE, { step, station, answer, flat });
  if (step !== "run") {
    const answers = answersAt(TRACE.steps[step], TRACE.steps[step].stations[station]);
    const found = answers.find((one) => one.answer === answer);
    const known = found && flat !== null && flat < found.array.size && (found.marks === null || found.marks.includes(flat));
    if (!known) {
      const first = found ?? answers.find((one) => one.marks === null || one.marks.length) ?? answers[0];
      HERE.answer = first ? first.answer : null;
      HERE.flat = first ? largestOf(first.array, first.marks) : null;
      if (HERE.flat < 0) HERE.flat = null;
    }
  }
  const address = step === "run" ? `#run/${station}` : `#${[step, station, HERE.answer, HERE.flat].filter((part) => part !== null).join("/")}`;
  if (location.hash !== address) history[replace ? "replaceState" : "pushState"](null, "", address);
  render();
}

/** An address may be anything that somebody typed. */
function decoded(address) {
  try {
    return decodeURIComponent(address);
  } catch {
    return "";
  }
}

/** What the address names; the first station worth seeing where it names nothing. */
function readAddress() {
  const [step, station, answer, flat] = decoded(location.hash.slice(1)).split("/");
  if (step === "run" && TRACE.history) return go("run", Math.max(0, Math.min(Number(station) || 0, TRACE.history.epochs.length - 1)), null, null, { replace: true });
  const at = [step, station].map((part) => (/^\d+$/.test(part ?? "") ? Number(part) : -1));
  if (at[0] in TRACE.steps && at[1] in TRACE.steps[at[0]].stations) {
    return go(at[0], at[1], answer ?? null, /^\d+$/.test(flat ?? "") ? Number(flat) : null, { replace: true });
  }
  return go(...worthSeeing(), null, null, { replace: true });
}

/** The first station at which parameters get their gradient, where the products of one number can be seen at once. */
function worthSeeing() {
  for (const [s, step] of TRACE.steps.entries()) {
    const found = step.stations.findIndex((station) => station.type === "backward"
      && answersAt(step, station).some(({ answer, marks }) => answer === "dW" && (marks === null || marks.length)));
    if (found >= 0) return [s, found];
  }
  return [0, 0];
}

function move(by) {
  if (HERE.step === "run") return go("run", Math.max(0, Math.min(HERE.station + by, TRACE.history.epochs.length - 1)));
  const next = HERE.station + by, steps = TRACE.steps;
  if (next in stepNow().stations) return go(HERE.step, next);
  const other = HERE.step + Math.sign(by);
  return other in steps ? go(other, by > 0 ? 0 : steps[other].stations.length - 1) : undefined;
}

function end(last) {
  const count = HERE.step === "run" ? TRACE.history.epochs.length : stepNow().stations.length;
  go(HERE.step, last ? count - 1 : 0);
}

// The map ------------------------------------------------------------------------------------------------------------

const ARROWS = { forward: ["→", "forward through"], backward: ["←", "back through"], update: ["Δ", "update of"] };

function drawMap() {
  const step = stepNow(), box = byId("map");
  byId("step-text").textContent = step.text;
  const rows = step.passes.map((pass, p) => {
    const layers = pass.layers.map((layer, l) => element("div", { class: "stop" }, element("span", { text: layer.name.replace(".", " ") }),
      element("div", {}, ...Object.keys(ARROWS).map((type) => stationButton(step, type, p, l, layer)))));
    return element("section", { "aria-label": pass.title }, element("h3", { text: pass.title }), element("div", { class: "chain" }, ...layers));
  });
  const loss = step.stations.findIndex((station) => station.type === "loss");
  if (loss >= 0) {
    const last = rows.at(-1)?.querySelector(".chain");
    last?.append(element("div", { class: "stop" }, element("span", { text: "loss" }),
      element("div", {}, element("button", { type: "button", text: "L", "aria-label": "the loss", "data-station": loss, onclick: () => go(HERE.step, loss) }))));
  }
  box.replaceChildren(...rows);
  markMap();
}

function stationButton(step, type, pass, layer, { name }) {
  const at = step.stations.findIndex((station) => station.type === type && station.pass === pass && station.layer === layer);
  if (at < 0) return null;
  const [arrow, words] = ARROWS[type];
  return element("button", { type: "button", text: arrow, class: type, title: `${words} ${name}`, "aria-label": `${words} ${name}`, "data-station": at, onclick: () => go(HERE.step, at) });
}

/** Which station is shown, and at which something does not agree. */
function markMap() {
  for (const button of byId("map").querySelectorAll("button")) {
    const at = Number(button.dataset.station), found = AUDITS.get(`${HERE.step}/${at}`), now = at === HERE.station;
    button.toggleAttribute("aria-current", now);
    if (now) button.setAttribute("aria-current", "step");
    button.classList.toggle("wrong", Boolean(found && (found.wrong.length || found.seam)));
    if (now) {
      const chain = button.closest(".chain"), stop = button.closest(".stop");
      chain.scrollLeft = stop.offsetLeft - chain.offsetLeft - (chain.clientWidth - stop.clientWidth) / 2;
    }
  }
}

// What is on the page ------------------------------------------------------------------------------------------------

function render() {
  const running = HERE.step === "run";
  byId("station").hidden = byId("map").hidden = byId("step-text").hidden = running;
  byId("run").hidden = !running;
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.step === String(HERE.step)));
  const count = running ? TRACE.history.epochs.length : stepNow().stations.length;
  byId("place").textContent = `${running ? "Checkpoint" : "Station"} ${HERE.station + 1} of ${count}`;
  byId("back").disabled = HERE.station === 0 && (running || HERE.step === 0);
  byId("next").disabled = HERE.station === count - 1 && (running || HERE.step === TRACE.steps.length - 1);
  if (running) {
    SHOWN = null;
    return showRun(HERE.station);
  }
  if (!SHOWN || SHOWN.step !== HERE.step || SHOWN.station !== HERE.station) showStation();
  return showEntry();
}

function showStation() {
  const step = stepNow(), station = step.stations[HERE.station], layer = layerAt(step, station);
  const again = SHOWN && SHOWN.step === HERE.step;
  byId("station-title").textContent = titleOf(step, station);
  byId("station-pass").textContent = [step.title, station.type === "loss" ? "" : step.passes[station.pass].title].filter(Boolean).join(" · ");
  byId("station-text").textContent = sentenceOf(step, station);
  byId("pass-text").textContent = step.passes[station.pass]?.text ?? "";
  showRules(station.type === "loss" || station.type === "update" ? [] : rulesOf(layer, station.type));
  const answers = answersAt(step, station), image = step.passes[station.pass]?.image_shape ?? null;
  const figures = answers.map(({ answer, title, name, array, marks }) => new Figure(name ?? answer, array, {
    title, marks, image, parameter: Boolean(layer && answer.slice(1) in layer.params), choose: (flat) => go(HERE.step, HERE.station, answer, flat, { replace: true }),
  }));
  const operands = operandsAt(step, station).map(([name, title, array]) => new Figure(name, array, { title, image, parameter: Boolean(layer && name.replace("Δ", "") in layer.params) }));
  byId("answers").replaceChildren(...figures.map(({ box }) => box));
  byId("operands").replaceChildren(...operands.map(({ box }) => box));
  byId("operands-head").hidden = !operands.length;
  byId("hint").textContent = figures.some((figure) => figure.clickable)
    ? `Click a square of ${letter(figures.find((figure) => figure.clickable).name)}: beside it stand the numbers that made it.` : "";
  SHOWN = { step: HERE.step, station: HERE.station, answers, figures, operands };
  showCode(layer, station);
  if (again) markMap();
  else drawMap();
  showAudit();
}

function showRules(rules) {
  byId("rules").replaceChildren(...rules.map(([[name, shape], words]) => element("li", {}, shaped(name, shape), " = ",
    ...words.flatMap(([word, own]) => [own ? shaped(word, own) : element("span", { class: "operator", text: word }), " "]))));
}

const shaped = (word, shape) => element("span", { class: "shaped" }, element("b", { text: word }), element("small", { text: shapeText(shape) }));

function showEntry() {
  const { answers, figures, operands } = SHOWN, step = stepNow(), station = step.stations[HERE.station];
  const at = answers.findIndex(({ answer }) => answer === HERE.answer), own = answers[at], box = byId("worked");
  if (!own || HERE.flat === null) {
    box.replaceChildren(element("p", { class: "missing", text: "Nothing here can be worked: see the notes at the end." }));
    [...figures, ...operands].forEach((figure) => figure.show(null));
    return;
  }
  const worked = own.worked(HERE.flat);
  const factors = worked.sum ? worked.sum.terms.flatMap((term) => term.factors.filter(({ array }) => array)) : [];
  const origins = new Map();
  figures.forEach((figure, i) => figure.show(i === at ? HERE.flat : null));
  for (const figure of operands) figure.show(null, factors.filter(({ array }) => array === figure.array).map(({ flat }) => flat));
  showWorked(box, entryText(letter(own.name ?? own.answer), HERE.flat, own.array.shape), worked, (factor) => follow(step, station, origins, factor));
}

/** A function that goes to where a factor was made, or null where it came from outside, or cannot be clicked there. */
function follow(step, station, origins, factor) {
  if (!origins.has(factor.name)) {
    const origin = originOf(step, station, factor.name);
    const answer = origin && answersAt(step, step.stations[origin.station]).find((one) => one.answer === origin.answer);
    origins.set(factor.name, answer ? { ...origin, marks: answer.marks && new Set(answer.marks) } : null);
  }
  const origin = origins.get(factor.name);
  if (!origin || (origin.marks && !origin.marks.has(factor.flat))) return null;
  return () => go(HERE.step, origin.station, origin.answer, factor.flat);
}

function showCode(layer, station) {
  const box = byId("code");
  if (!layer) return box.replaceChildren(...lossCode(stepNow().loss.source));
  const wanted = { forward: ["forward"], backward: ["param_grads", "input_grad", "backward"], update: ["param_grads"] }[station.type];
  const parts = wanted.filter((name) => layer.source[name]).map((name) => element("pre", { tabindex: 0, "aria-label": `the source of ${name}` }, element("code", { text: layer.source[name] })));
  const none = element("p", { class: "missing", text: "This class has none of its own: it is the one that it inherits." });
  box.replaceChildren(element("h3", { text: `The code: ${layer.repr}` }), ...(parts.length ? parts : [none]),
    element("details", {}, element("summary", { text: `What ${layer.class} says of itself` }), element("pre", {}, element("code", { text: layer.doc ?? "" }))), costs(layer));
  return undefined;
}

/** The loss's own code, where the document has it. */
function lossCode(source) {
  return source ? [element("h3", { text: "The code" }), element("pre", { tabindex: 0, "aria-label": "the source of the loss" }, element("code", { text: source }))] : [];
}

function costs({ operations, bytes, ms }) {
  const parts = [];
  if (operations && operations.forward !== null) parts.push(`${countText(operations.forward)} operations forward, ${countText(operations.backward ?? 0)} back`);
  if (bytes) parts.push(`${countText(bytes)} bytes`);
  if (ms && ms.forward !== null) parts.push(`${numberText(ms.forward, 2)} ms forward${ms.backward === null || ms.backward === undefined ? "" : `, ${numberText(ms.backward, 2)} ms back`}`);
  return element("p", { class: "costs", text: parts.join(" · ") });
}
