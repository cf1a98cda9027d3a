"use strict";
// Formulas of the two layers that divide: BatchNorm by the batch's spread, SpectralNorm by the weights' largest stretch.

// BatchNorm: x (N, …, C); every feature c has n values, one for each example (and place) ------------------------------

/** Mean, variance and 1 / √(var + eps) of a feature, in float64 from x; kept, since all n entries need them. */
function statistics(layer, c) {
  const kept = (layer.statistics ??= new Map());
  if (kept.has(c)) return kept.get(c);
  const x = operand(layer, "x"), C = lastOf(x), n = x.size / C, reading = new Products("");
  let total = 0, squares = 0;
  for (let at = c; at < x.size; at += C) total += reading.of("x", x, at).value;
  let mean = total / n;
  for (let at = c; at < x.size; at += C) squares += (x.at(at) - mean) ** 2;
  let variance = squares / n;
  if (layer.options.train === false) {
    mean = operand(layer, "running_mean").at(c);
    variance = operand(layer, "running_var").at(c);
  }
  const found = { n, C, mean, variance, inverse: 1 / Math.sqrt(variance + layer.options.eps) };
  kept.set(c, found);
  return found;
}

function told(layer, c, sum) {
  const found = statistics(layer, c);
  const from = layer.options.train === false ? "the running mean" : `the mean of the ${countText(found.n)} values x[…, ${c}]`;
  sum.note("m, mean", found.mean, from);
  sum.note("v, variance", found.variance, layer.options.train === false ? "the running variance" : "the mean of (x − m)²");
  sum.note("1 / s", found.inverse, `1 / √(v + eps), eps = ${layer.options.eps}`);
  return found;
}

FORMULAS.BatchNorm = {
  y(layer, flat, sum) {
    const x = operand(layer, "x"), c = flat % lastOf(x), { mean, inverse } = told(layer, c, sum);
    sum.formula = "y = γ · x̂ + β with x̂ = (x − m) / s, m and s of this feature over the batch";
    const gamma = sum.of("gamma", operand(layer, "gamma"), c);
    sum.add(gamma, sum.of("x", x, flat), sum.plain("1 / s", inverse));
    sum.add(gamma, sum.plain("−m", -mean), sum.plain("1 / s", inverse));
    sum.add(sum.of("beta", operand(layer, "beta"), c));
  },
  dx(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy"), c = flat % lastOf(x);
    const { n, C, mean, inverse } = told(layer, c, sum);
    const scale = sum.plain("γ / s", operand(layer, "gamma").at(c) * inverse);
    sum.note("γ / s", scale.value, `γ = ${numberText(operand(layer, "gamma").at(c))}`);
    sum.add(sum.of("dy", dy, flat), scale);
    if (layer.options.train === false) {
      sum.formula = "dx = dy · γ / s: the running statistics do not move with x";
      return;
    }
    sum.formula = "dx = γ / s · (dy − mean of dy − x̂ · mean of dy · x̂): what reaches x directly, and by way of m and s";
    const own = (x.at(flat) - mean) * inverse;
    sum.note("x̂", own, `(x − m) / s, x = ${numberText(x.at(flat))}`);
    const byMean = sum.plain("−1/n", -1 / n), bySpread = sum.plain("−x̂/n", -own / n);
    for (let at = c; at < x.size; at += C) {
      const other = sum.of("dy", dy, at);
      sum.add(other, byMean, scale);
      sum.add(other, sum.plain(entryText("x̂", at, x.shape), (x.at(at) - mean) * inverse), bySpread, scale);
    }
  },
  dgamma(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy"), { C, mean, inverse } = told(layer, flat, sum);
    sum.formula = "dγ[c] = Σ over the batch of dy[…, c] · x̂[…, c], x̂ = (x − m) / s";
    for (let at = flat; at < x.size; at += C) {
      sum.add(sum.of("dy", dy, at), sum.plain(entryText("x̂", at, x.shape), (x.at(at) - mean) * inverse));
    }
  },
  dbeta(layer, flat, sum) {
    summedOverBatch(layer, flat, sum);
    sum.formula = "dβ[c] = Σ over the batch of dy[…, c]";
  },
};

// SpectralNorm: a Dense or Conv2d with W / σ in W's place -------------------------------------------------------------

/** The wrapped layer's own formulas, asked of this layer's arrays. */
const inner = (layer) => ({ ...layer, kind: layer.options.layer.kind, options: layer.options.layer.options });

/** u, v = W u / ‖W u‖ and σ = ‖W u‖: formed here where W is in the file as a whole, else as forward had them. */
function stretch(layer) {
  if (layer.stretch) return layer.stretch;
  const W = operand(layer, "W"), u = operand(layer, "u"), K = lastOf(W);
  if (!W.whole) {
    const v = operand(layer, "v"), sigma = operand(layer, "sigma");
    layer.stretch = { u: u.at, v: v.at, sigma: sigma.at(0), how: "as forward had it: W is too large to stand here as a whole" };
  } else {
    const along = new Float64Array(W.size / K);
    for (let at = 0; at < W.size; at++) along[Math.floor(at / K)] += W.at(at) * u.at(at % K);
    const sigma = Math.max(Math.hypot(...along), 1e-12);
    layer.stretch = { u: u.at, v: (r) => along[r] / sigma, sigma, how: "‖W u‖, of all of W and the u of forward" };
  }
  return layer.stretch;
}

/** ⟨dW̄, W̄⟩ = ⟨dy, y − b⟩, which needs no dW: how much of the gradient goes into W's length. */
function along(layer, sum) {
  if (layer.along) return layer.along;
  const y = operand(layer, "y"), dy = operand(layer, "dy"), b = optional(layer, "b"), K = lastOf(y);
  let value = 0, size = 0;
  for (let at = 0; at < y.size; at++) {
    const product = sum.of("dy", dy, at).value * (sum.of("y", y, at).value - (b ? b.at(at % K) : 0));
    value += product;
    size += Math.abs(product);
  }
  layer.along = { value, size };
  return layer.along;
}

/** What the inner layer would have answered, with each of its products divided by σ. */
function divided(layer, answer, flat, sum) {
  const { sigma, how } = stretch(layer), own = new Products("");
  FORMULAS[layer.options.layer.kind][answer](inner(layer), flat, own);
  sum.note("σ", sigma, how);
  const share = sum.plain("1 / σ", 1 / sigma);
  for (const { factors } of own.terms) {
    if (factors.length === 1) sum.add(...factors); // the bias
    else sum.add(...factors, share);
  }
  return own.formula;
}

FORMULAS.SpectralNorm = {
  y(layer, flat, sum) {
    sum.formula = `${divided(layer, "y", flat, sum)}, with W / σ in W's place`;
  },
  dx(layer, flat, sum) {
    sum.formula = `${divided(layer, "dx", flat, sum)}, with W / σ in W's place`;
  },
  dW(layer, flat, sum) {
    const own = divided(layer, "dW", flat, sum), { u, v, sigma } = stretch(layer), { value, size } = along(layer, sum);
    const K = lastOf(operand(layer, "W")), row = Math.floor(flat / K);
    sum.formula = `${own.replace("dW", "dW̄")}; then dW = (dW̄ − ⟨dW̄, W̄⟩ · v · u) / σ, since σ moves with W`;
    sum.note("⟨dW̄, W̄⟩", value, "= ⟨dy, y − b⟩, over all entries of y");
    sum.note("v", v(row), `entry ${row} of W u / ‖W u‖`);
    sum.note("u", u(flat % K), `entry ${flat % K}`);
    sum.add(sum.plain("−⟨dW̄, W̄⟩", -value), sum.plain("v", v(row)), sum.plain("u", u(flat % K)), sum.plain("1 / σ", 1 / sigma));
    sum.allow((size - Math.abs(value)) * Math.abs(v(row) * u(flat % K)) / sigma);
  },
  db: summedOverBatch,
};
