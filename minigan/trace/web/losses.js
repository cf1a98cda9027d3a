"use strict";
// The loss: its value, and its gradient with respect to what D says. A part is the real or the fake half of it.

/** Which rows of an array of the whole pass a part has, as flat indices from, to. */
function rowsOf(part, array) {
  const [from, to] = part.rows, width = array.size / array.shape[0];
  return array.shape[0] === to - from ? [0, array.size] : [from * width, to * width];
}

/** The sign of a plain mean: D wants the real ones up and the fakes down, G its fakes up. */
const wants = (step, part) => (step.player === "D" && part.name === "fake" ? 1 : -1);

/** d loss / d out of one entry; `flat` counts in the pass's d_out. */
const LOSS_GRADIENTS = {
  probability(step, part, out, n, sum) {
    const p = out.value, t = part.label, rest = Math.max(p * (1 - p), 1e-12);
    sum.formula = "d_out = (p − t) / (p · (1 − p)) / N, of D's probability p and the label t";
    sum.note("t, the label", t, part.name);
    const slope = sum.plain("1 / (p (1 − p))", 1 / sum.note("p (1 − p)", rest, "at least 10⁻¹²"));
    sum.add(out, slope, ...n);
    sum.add(sum.plain("−t", -t), slope, ...n);
  },
  logit(step, part, out, n, sum) {
    sum.formula = "d_out = (σ(out) − t) / N, of D's logit and the label t";
    sum.note("t, the label", part.label, part.name);
    sum.add(sum.plain("σ(out)", sum.note("σ(out)", logistic(out.value), `out = ${numberText(out.value)}`)), ...n);
    sum.add(sum.plain("−t", -part.label), ...n);
  },
  hinge(step, part, out, n, sum) {
    const sign = wants(step, part);
    if (step.player === "G") return LOSS_GRADIENTS.wasserstein(step, part, out, n, sum);
    const short = 1 + sign * out.value;
    sum.formula = `d_out = ${sign < 0 ? "−" : ""}1 / N where 1 ${sign < 0 ? "−" : "+"} out > 0, else 0: no more from what D is sure of`;
    sum.note(`1 ${sign < 0 ? "−" : "+"} out`, short, `out = ${numberText(out.value)}`);
    sum.add(sum.plain(short > 0 ? "short of the margin" : "beyond the margin", short > 0 ? sign : Number.isNaN(short) ? NaN : 0), ...n);
  },
  wasserstein(step, part, out, n, sum) {
    const sign = wants(step, part);
    sum.formula = `d_out = ${sign < 0 ? "−" : ""}1 / N: the loss is ${sign < 0 ? "minus " : ""}the mean of out`;
    sum.add(sum.plain("sign", sign), ...n);
  },
};

function workedLossGradient(step, part, flat) {
  const out = arrayOf(part.out), given = arrayOf(part.d_out), sum = new Products("");
  const [from, to] = rowsOf(part, given), shift = rowsOf(part, out)[0] - from;
  const kind = step.loss.kind === "bce" ? step.loss.output : step.loss.kind;
  const differences = difference(part.differences ?? {}, "d_out", flat);
  if (!Object.hasOwn(LOSS_GRADIENTS, kind)) return verdict({ sum: null, stored: given.at(flat), differences, missing: `no formula for the loss ${kind}` });
  const n = [sum.plain("1 / N", 1 / (to - from))];
  if (part.share !== 1) n.push(sum.plain("share", part.share));
  LOSS_GRADIENTS[kind](step, part, sum.of("out", out, flat + shift), n, sum);
  return verdict({ sum, stored: given.at(flat), differences, who: "the loss" });
}

/** The part's own mean, which is formed of all its outputs. */
function workedLossValue(step, part) {
  const out = arrayOf(part.out), sum = new Products(""), [from, to] = rowsOf(part, out), t = part.label;
  const n = sum.plain("1 / N", 1 / (to - from)), kind = step.loss.kind, sign = wants(step, part);
  const clamped = (p) => Math.max(Math.log(p), -100);
  for (let at = from; at < to; at++) {
    const o = sum.of("out", out, at), x = o.value, name = entryText("out", at, out.shape);
    if (kind === "bce" && step.loss.output === "probability") {
      sum.formula = "the mean of −[t · log p + (1 − t) · log(1 − p)], both logarithms at least −100";
      sum.add(sum.plain(`loss of ${name}`, -(t * clamped(x) + (1 - t) * clamped(1 - x))), n);
    } else if (kind === "bce") {
      sum.formula = "the mean of max(out, 0) − t · out + log(1 + e^(−|out|))";
      sum.add(sum.plain(`loss of ${name}`, Math.max(x, 0) - t * x + Math.log1p(Math.exp(-Math.abs(x)))), n);
    } else if (kind === "hinge" && step.player === "D") {
      sum.formula = `the mean of max(0, 1 ${sign < 0 ? "−" : "+"} out)`;
      sum.add(sum.plain(`loss of ${name}`, Math.max(0, 1 + sign * x)), n);
    } else {
      sum.formula = `${sign < 0 ? "minus " : ""}the mean of out`;
      sum.add(o, sum.plain("sign", sign), n);
    }
  }
  return verdict({ sum, stored: part.value ?? NaN, differences: null, who: "the loss" });
}
