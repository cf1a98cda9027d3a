"use strict";
// The run: a scrubber over its checkpoints, with the fixed latents' pictures, the losses and the gradients' norms.

const NAMES = {
  d_loss: "D's loss", g_loss: "G's loss", acc_real: "D right about real", acc_fake: "D right about fakes",
  d_real: "D's probability, real", d_fake: "D's probability, fakes",
};

function showRun(at) {
  const { epochs, metrics, norms, pictures } = TRACE.history, box = byId("run");
  if (!box.hasChildNodes()) buildRun(box);
  const slider = byId("scrubber");
  slider.value = at;
  slider.setAttribute("aria-valuetext", `epoch ${epochs[at]}`);
  byId("epoch").textContent = `Epoch ${epochs[at]}`;
  const picture = byId("picture"), source = pictures?.[at];
  picture.hidden = !source;
  if (source && /^data:image\/(png|gif|jpeg);base64,/.test(source)) picture.src = source;
  picture.alt = `what G draws of the fixed latents after epoch ${epochs[at]}`;
  for (const line of box.querySelectorAll(".now")) {
    const x = placeOf(at, epochs.length);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }
  byId("values").replaceChildren(...Object.entries(metrics).map(([name, values]) => element("tr", {},
    element("th", { scope: "row", text: NAMES[name] ?? name }), element("td", { class: "number", text: numberText(values[at], 4) }))));
  byId("bars").replaceChildren(...Object.entries(norms ?? {}).map(([network, layers]) => barsOf(network, layers, at)));
}

function buildRun(box) {
  const { epochs, metrics, norms } = TRACE.history;
  const pair = (title, names) => {
    const found = names.filter((name) => metrics[name]);
    return found.length ? chart(title, Object.fromEntries(found.map((name) => [NAMES[name], metrics[name]])), false) : null;
  };
  box.replaceChildren(
    element("h2", { text: "The run, checkpoint by checkpoint" }),
    element("p", { text: "Drag the slider (arrow keys work too): the same latents each time, and what the two players' numbers were. Where the bars of the first layers are far shorter than those of the last, gradients vanish on their way back; where they are far longer, they explode." }),
    element("div", { class: "scrub" }, element("label", { for: "scrubber", id: "epoch" }),
      element("input", { type: "range", id: "scrubber", min: 0, max: epochs.length - 1, step: 1, oninput: (event) => go("run", Number(event.target.value), null, null, { replace: true }), onkeydown: (event) => event.stopPropagation() })),
    element("div", { class: "panels" },
      element("section", {}, element("h3", { text: "Fixed latents" }), element("img", { id: "picture" }), element("table", { class: "given", id: "values" })),
      element("section", { id: "bars" })),
    element("div", { class: "panels" }, pair("Losses", ["d_loss", "g_loss"]), pair("Accuracies of D", ["acc_real", "acc_fake"]), pair("D's probabilities of real", ["d_real", "d_fake"]),
      ...Object.entries(norms ?? {}).map(([network, layers]) => chart(`Gradient norms of ${network}, layer by layer`, layers, true))),
  );
}

const finite = (values) => values.filter((v) => v !== null && Number.isFinite(v));
const placeOf = (at, count) => 46 + (count > 1 ? (344 * at) / (count - 1) : 172);

/** Lines over the epochs; norms on a logarithmic scale. */
function chart(title, lines, logarithmic) {
  const { epochs } = TRACE.history, all = finite(Object.values(lines).flat()).filter((v) => !logarithmic || v > 0);
  const scale = logarithmic ? Math.log10 : (v) => v;
  let [low, high] = all.length ? [Math.min(...all), Math.max(...all)].map(scale) : [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const y = (v) => 132 - (120 * (scale(v) - low)) / (high - low);
  const marks = [low, (low + high) / 2, high].map((at) => drawn("text", { x: 42, y: 136 - (120 * (at - low)) / (high - low), "text-anchor": "end" }, numberText(logarithmic ? 10 ** at : at, 2)));
  const ends = [0, epochs.length - 1].map((at, i) => drawn("text", { x: placeOf(at, epochs.length), y: 150, "text-anchor": i ? "end" : "start" }, `epoch ${epochs[at]}`));
  const paths = Object.values(lines).map((values, i) => {
    const points = values.map((v, at) => (v === null || !Number.isFinite(v) || (logarithmic && v <= 0) ? null : `${placeOf(at, epochs.length)},${y(v)}`)).filter(Boolean);
    return drawn("polyline", { points: points.join(" "), class: `line hue${i % 6}` });
  });
  const picture = drawn("svg", { viewBox: "0 0 400 156", role: "img", "aria-label": `${title}, over the epochs` }, ...marks, ...ends, ...paths,
    drawn("line", { class: "now", x1: 46, x2: 46, y1: 8, y2: 134 }));
  const legend = element("p", { class: "legend" }, ...Object.keys(lines).flatMap((name, i) => [element("span", { class: `key hue${i % 6}`, text: name }), " "]));
  return element("section", {}, element("h3", { text: title }), picture, legend);
}

/** One bar for each layer, at one checkpoint, on a logarithmic scale common to the whole run. */
function barsOf(network, layers, at) {
  const all = finite(Object.values(layers).flat()).filter((v) => v > 0).map(Math.log10);
  const low = (all.length ? Math.floor(Math.min(...all)) : -1) - 0.2, high = all.length ? Math.max(...all, low + 1) : 1;
  const rows = Object.entries(layers).map(([name, values]) => {
    const value = values[at], share = value > 0 ? Math.max(1, (100 * (Math.log10(value) - low)) / (high - low)) : 0;
    const bar = element("i", { class: "bar" });
    bar.style.width = `${share}%`;
    return element("tr", {}, element("th", { scope: "row", text: name }), element("td", { class: "track" }, bar), element("td", { class: "number", text: numberText(value, 3) }));
  });
  return element("div", {}, element("h3", { text: `Gradient norms of ${network} (logarithmic)` }), element("table", { class: "bars" }, ...rows));
}
