"use strict";
// The start: head and notes, keys and buttons, the two banners, light and dark, and the audit in idle moments.

function showHead() {
  document.title = TRACE.title;
  byId("title").textContent = TRACE.title;
  byId("facts").replaceChildren(...(TRACE.facts ?? []).map(([name, value]) => element("li", {}, element("span", { text: `${name} ` }), element("b", { text: value }))));
  byId("notes").replaceChildren(...(TRACE.notes ?? []).map((note) => element("li", { text: note })));
  byId("notes-box").hidden = !(TRACE.notes ?? []).length;
  const tabs = TRACE.steps.map((step, s) => element("button", { type: "button", text: step.title, title: step.text, "data-step": s, onclick: () => go(s, 0) }));
  if (TRACE.history) tabs.push(element("button", { type: "button", text: "The run", "data-step": "run", onclick: () => go("run", TRACE.history.epochs.length - 1) }));
  byId("tabs").replaceChildren(...tabs);
  if (TRACE.first_bad) showBad(TRACE.first_bad);
}

/** The banner of what is no number. */
function showBad({ step, pass, layer, what }) {
  const type = what === "y" || what === "x" ? "forward" : "backward", stations = TRACE.steps[step].stations;
  const at = layer === null ? stations.findIndex((s) => s.type === "loss") : stations.findIndex((s) => s.type === type && s.pass === pass && s.layer === layer);
  const where = layer === null ? "the loss" : TRACE.steps[step].passes[pass].layers[layer].name;
  byId("bad").hidden = false;
  byId("bad").replaceChildren(`Not every number here is one: NaN or infinity appears first in ${what} of ${where}, in ${TRACE.steps[step].title}. `,
    element("button", { type: "button", text: "Go there", onclick: () => go(step, Math.max(0, at), type === "forward" ? "y" : what.length > 1 ? what : null, null) }));
}

// The audit in idle moments: a few numbers of every station, so that a wrong one is seen on the map -------------------

function auditAll() {
  const left = TRACE.steps.flatMap((step, s) => step.stations.map((_, k) => [s, k]));
  const next = () => {
    const until = performance.now() + 12;
    while (left.length && performance.now() < until) auditOne(...left.shift());
    if (left.length) setTimeout(next, 4);
    else document.documentElement.dataset.audited = "yes";
  };
  setTimeout(next, 50);
}

function auditOne(s, k) {
  const key = `${s}/${k}`;
  if (!AUDITS.has(key)) {
    AUDITS.set(key, audit(TRACE.steps[s], TRACE.steps[s].stations[k]));
    if (AUDITS.get(key).wrong.length || AUDITS.get(key).seam) showWrong();
  }
  if (HERE.step === s && HERE.station === k) showAudit();
  return AUDITS.get(key);
}

/** The banner of what does not agree. */
function showWrong() {
  const wrong = [...AUDITS].filter(([, found]) => found.wrong.length || found.seam).map(([key]) => key.split("/").map(Number)).sort(([a, b], [c, d]) => a - c || b - d);
  const [s, k] = wrong[0], first = AUDITS.get(`${s}/${k}`).wrong[0];
  byId("wrong").hidden = false;
  byId("wrong").replaceChildren(`At ${wrong.length === 1 ? "one station" : `${wrong.length} stations`} the code's answer is not what its products give. `,
    element("button", { type: "button", text: `Show the first: ${titleOf(TRACE.steps[s], TRACE.steps[s].stations[k])}`, onclick: () => go(s, k, first?.answer ?? null, first?.flat ?? null) }));
  if (HERE.step !== "run") markMap();
}

function showAudit() {
  const found = AUDITS.get(`${HERE.step}/${HERE.station}`), box = byId("audit");
  box.className = "audit";
  if (!found) return void (box.textContent = "");
  if (found.seam || found.wrong.length) {
    box.classList.add("wrong");
    const first = found.wrong[0];
    box.replaceChildren(found.seam ? `${found.seam} ` : "", found.wrong.length ? `${found.wrong.length} of ${found.checked} numbers formed anew here do not agree. ` : "",
      first ? element("button", { type: "button", text: "Show one", onclick: () => go(HERE.step, HERE.station, first.answer, first.flat) }) : "");
  } else box.textContent = found.checked ? `${countText(found.checked)} numbers of this station were formed anew: all agree.` : "";
  return undefined;
}

// Keys, buttons, theme ------------------------------------------------------------------------------------------------

function onKey(event) {
  const tag = event.target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || tag === "INPUT" || tag === "SELECT") return;
  const actions = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), Home: () => end(false), End: () => end(true) };
  if (!Object.hasOwn(actions, event.key) || event.target.closest(".scroll, pre")) return;
  event.preventDefault();
  actions[event.key]();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  PALETTE = null;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  redraw();
}

function redraw() {
  if (SHOWN) [...SHOWN.figures, ...SHOWN.operands].forEach((figure) => figure.draw());
}

/** "[3, 5]", "3 5" or a flat index typed in: go to that entry of the answer that is chosen. */
function onFind(event) {
  event.preventDefault();
  const own = SHOWN?.answers.find(({ answer }) => answer === HERE.answer), numbers = byId("find").value.match(/\d+/g)?.map(Number) ?? [];
  if (!own) return;
  const { shape, size } = own.array, fits = numbers.length === shape.length && numbers.every((n, axis) => n < shape[axis]);
  const flat = fits ? ravel(numbers, shape) : numbers.length === 1 ? numbers[0] : -1;
  const can = flat >= 0 && flat < size && (own.marks === null || own.marks.includes(flat));
  byId("found").textContent = can ? "" : flat < 0 || flat >= size ? `Type ${shape.length} numbers, within ${shapeText(shape)}.` : "This entry is not among the marked ones.";
  if (can) go(HERE.step, HERE.station, HERE.answer, flat, { replace: true });
}

byId("back").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("first").addEventListener("click", () => end(false));
byId("last").addEventListener("click", () => end(true));
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says where in the story one is
  byId("worked").focus();
});
byId("finder").addEventListener("submit", onFind);
document.addEventListener("keydown", onKey);
window.addEventListener("popstate", readAddress);
let resizing = 0;
window.addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
});
const DARK = matchMedia("(prefers-color-scheme: dark)");
DARK.addEventListener("change", () => setTheme(DARK.matches ? "dark" : "light"));
setTheme(DARK.matches ? "dark" : "light");
showHead();
readAddress();
auditAll();
