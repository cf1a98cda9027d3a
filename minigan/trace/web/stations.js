"use strict";
// The stations of a step: which arrays stand at each, which of them are answers, where an operand came from, and
// whether what a station hands on is what the next one takes.

const layerAt = (step, station) => step.passes[station.pass]?.layers[station.layer] ?? null;

/** [{answer, title, array, marks, worked(flat)}]: what can be clicked at a station. */
function answersAt(step, station) {
  if (station.type === "loss") return lossAnswers(step);
  const layer = layerAt(step, station);
  if (station.type === "update") return updateAnswers(step, station, layer);
  const names = station.type === "forward" ? ["y"] : [...Object.keys(layer.params).map((name) => `d${name}`), "dx"];
  return names.map((answer) => {
    const array = answered(layer, answer), mark = answer === "y" || answer === "dx" ? answer : answer.slice(1);
    const compared = formulaOf(layer, answer) ? null : layer.differences?.[mark]; // without a formula, what differences were taken of
    const marks = compared ? indices(compared.at) : marksOf(layer.marked[mark], array);
    if (step.passes[station.pass].from === "ones" && mark !== answer) return fineAnswer(layer, mark);
    return { answer, title: letter(answer), array, marks, worked: (flat) => workedNumber(layer, answer, flat) };
  }).filter(({ array }) => array);
}

/** What a penalty's second pass wrote for a parameter: not formed here, and compared with differences where there are any. */
function fineAnswer(layer, name) {
  const array = arrayOf(layer.params[name].penalty ?? layer.params[name].grad), taken = layer.differences?.[name];
  const missing = "the gradient of a penalty is made by a second pass, which is not formed here";
  const worked = (flat) => verdict({ sum: null, stored: array.at(flat), differences: difference(layer.differences ?? {}, `d${name}`, flat), largest: largestIn(array), missing });
  return { answer: `d${name}`, title: letter(`d${name}`), array, marks: taken ? indices(taken.at) : [], worked };
}

/** A number by itself, as an array of one. */
const lone = (value) => ({ id: null, shape: [1], size: 1, whole: Float64Array.of(value), part: new Map(), map: null, stats: null, at: () => value });

function lossAnswers(step) {
  return step.loss.parts.flatMap((part) => {
    const given = arrayOf(part.d_out), [from, to] = given ? rowsOf(part, given) : [0, 0];
    const every = given && to - from === given.size;
    const gradient = given && {
      answer: `d_out.${part.name}`, title: `d_out, ${part.name}`, name: "d_out", array: given, worked: (flat) => workedLossGradient(step, part, flat),
      marks: every ? null : Uint32Array.from({ length: to - from }, (_, i) => from + i),
    };
    const value = arrayOf(part.out) && { // null is what no JSON number can say: NaN
      answer: `loss.${part.name}`, title: `loss, ${part.name}`, name: "loss", array: lone(part.value ?? NaN), marks: null, worked: () => workedLossValue(step, part),
    };
    return [gradient, value].filter(Boolean);
  });
}

/** The passes of the player's network that somebody went back through, each with its layer here. */
function contributors(step, station) {
  return step.passes.filter((pass) => pass.network === step.player && pass.from !== null).map((pass) => ({ pass, layer: pass.layers[station.layer] }))
    .filter(({ layer }) => layer.dy !== null && layer.dy !== undefined);
}

function updateAnswers(step, station, layer) {
  const all = contributors(step, station);
  return Object.keys(layer.params).map((name) => {
    const total = arrayOf(layer.total?.[name]) ?? arrayOf(layer.params[name].grad), answer = `d${name}`;
    const given = all.map(({ pass, layer: own }) => ({ ...own, pass: pass.title }));
    const fined = all.some(({ pass }) => pass.from === "ones");
    const worked = (flat) => (fined
      ? verdict({ sum: null, stored: total.at(flat), differences: null, missing: "the penalty's own gradient is part of this sum, and it is not formed here" })
      : workedTotal(given, answer, flat, total));
    return { answer, title: `${letter(answer)} of the step`, array: total, marks: marksOf(layer.marked[name] ?? all.at(-1)?.layer.marked[name], total), worked };
  }).filter(({ array }) => array);
}

/** [[name, title, array]]: what the answers are made of. */
function operandsAt(step, station) {
  if (station.type === "loss") return step.loss.parts.map((part) => ["out", `out, ${part.name}`, arrayOf(part.out)]).filter(([, , array]) => array);
  const layer = layerAt(step, station), params = Object.keys(layer.params);
  if (station.type === "update") {
    return params.flatMap((name) => [[`Δ${name}`, `Δ${letter(name)}: how far it moved`, arrayOf(layer.params[name].update)],
      [name, `${letter(name)} before the step`, arrayOf(layer.params[name].value)]]).filter(([, , array]) => array);
  }
  const names = [...(station.type === "forward" ? [] : ["dy"]), "x", ...params, ...Object.keys(layer.cache)];
  return names.map((name) => [name, letter(name), optional(layer, name)]).filter(([, , array]) => array);
}

/** {station, answer}: where an operand of this station was an answer; null for parameters and for what came from outside. */
function originOf(step, station, name) {
  const find = (type, pass, layer) => step.stations.findIndex((s) => s.type === type && (type === "loss" || (s.pass === pass && s.layer === layer)));
  const at = (place, answer) => (place < 0 ? null : { station: place, answer });
  if (station.type === "loss") {
    const part = step.loss.parts[0];
    return name === "out" && part ? at(find("forward", part.pass, step.passes[part.pass].layers.length - 1), "y") : null;
  }
  const pass = step.passes[station.pass];
  if (station.type === "update") return null;
  if (name === "x" && station.layer > 0) return at(find("forward", station.pass, station.layer - 1), "y");
  if (name !== "dy") return null;
  if (station.layer + 1 < pass.layers.length) return at(find("backward", station.pass, station.layer + 1), "dx");
  if (pass.network === "D" && pass.from === "loss") {
    const part = step.loss.parts.find((p) => p.pass === station.pass);
    return part ? at(find("loss"), `d_out.${part.name}`) : null;
  }
  const critic = criticOf(step);
  return pass.network === "G" && critic >= 0 ? at(find("backward", critic, 0), "dx") : null;
}

/** The pass through D that hands G its gradient. */
const criticOf = (step) => step.passes.findIndex((pass) => pass.network === "D" && pass.layers[0].dx !== null && pass.layers[0].dx !== undefined);

// Seams --------------------------------------------------------------------------------------------------------------

/** What is wrong with where this station's dy comes from, or with what should have come from the loss, or "". */
function seamAt(step, station) {
  if (station.type === "loss") return uncollected(step);
  if (station.type !== "backward") return "";
  const pass = step.passes[station.pass], layer = pass.layers[station.layer], dy = arrayOf(layer.dy);
  if (!dy) return "";
  if (station.layer + 1 < pass.layers.length) {
    const next = pass.layers[station.layer + 1];
    return next.dx === layer.dy || same(dy, arrayOf(next.dx), (flat) => flat) ? "" : `This dy is not the dx that ${next.name} handed down.`;
  }
  if (pass.from !== "loss") return "";
  if (pass.network === "D") {
    const parts = step.loss.parts.filter((part) => part.pass === station.pass && part.d_out !== layer.dy);
    return parts.every((part) => sameRows(part, dy, arrayOf(part.d_out))) ? "" : "This dy is not the loss's d_out.";
  }
  const critic = criticOf(step);
  if (critic < 0) return "Does not agree. This dy comes from nowhere: nobody went back through D, so G has not been told what D thinks of its pixels.";
  const dx = arrayOf(step.passes[critic].layers[0].dx), m = dy.shape[0] / dx.shape[0], C = lastOf(dy);
  const packed = (flat) => {
    const index = unravel(flat, dy.shape);
    return ravel([Math.floor(index[0] / m), ...index.slice(1, -1), (index[0] % m) * C + index.at(-1)], dx.shape);
  };
  return layer.dy === step.passes[critic].layers[0].dx || same(dy, dx, packed) ? "" : "Does not agree. This dy is not the dx that D handed down: G is told something else than what D thinks of its pixels.";
}

/** Of a penalty that is in the loss, and whose gradient no pass wrote. */
function uncollected(step) {
  const { penalty } = step.loss, writes = ({ grad, penalty: own }) => grad || own;
  if (penalty === null || penalty === undefined) return "";
  const written = step.passes.some((pass) => pass.from === "ones" && pass.layers.some((layer) => Object.values(layer.params).some(writes)));
  return written ? "" : `Does not agree. The penalty of ${numberText(penalty)} is in the loss, but no pass wrote its gradient: nothing is learned from it.`;
}

function same(a, b, place) {
  if (!b || a.size !== b.size) return false;
  const flats = a.whole ? a.whole.keys() : a.part.keys();
  for (const flat of flats) {
    const x = a.at(flat), y = b.at(place(flat));
    if (x !== undefined && y !== undefined && !alike(x, y, 1e-6 * Math.abs(x) + 1e-30)) return false;
  }
  return true;
}

function sameRows(part, dy, given) {
  const [from, to] = rowsOf(part, given), shift = rowsOf(part, dy)[0] - from;
  for (let flat = from; flat < to; flat++) {
    const x = given.at(flat), y = dy.at(flat + shift);
    if (x !== undefined && y !== undefined && !alike(x, y, 1e-6 * Math.abs(x) + 1e-30)) return false;
  }
  return true;
}

// The audit: some numbers of every station, formed anew --------------------------------------------------------------

const SAMPLE = 24;

/** {checked, wrong: [{answer, flat}], seam}: of the largest entries of each answer, and of some in between. */
function audit(step, station) {
  const found = { checked: 0, wrong: [], seam: seamAt(step, station) };
  for (const { answer, array, marks, worked } of answersAt(step, station)) {
    for (const flat of sampled(array, marks)) {
      const { agrees } = worked(flat);
      if (agrees !== null) found.checked += 1;
      if (agrees === false) found.wrong.push({ answer, flat });
    }
  }
  return found;
}

function sampled(array, marks) {
  const count = marks === null ? array.size : marks.length, flat = (i) => (marks === null ? i : marks[i]);
  const spread = Array.from({ length: Math.min(SAMPLE, count) }, (_, i) => flat(Math.floor(i * count / Math.min(SAMPLE, count))));
  return [...new Set([largestOf(array, marks), ...spread])].filter((at) => at >= 0);
}

/** The clickable entry of the largest size, or the first that is no number; -1 if there is none. */
function largestOf(array, marks) {
  const count = marks === null ? array.size : marks.length;
  let best = -1, most = -1;
  for (let i = 0; i < count; i++) {
    const flat = marks === null ? i : marks[i], size = Math.abs(array.at(flat));
    if (size > most) [best, most] = [flat, size];
    if (Number.isNaN(size)) return flat;
  }
  return best < 0 && count ? (marks === null ? 0 : marks[0]) : best;
}
