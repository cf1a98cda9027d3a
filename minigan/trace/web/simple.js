"use strict";
// Formulas of layers that look at one entry, or one row, at a time: Dense, activations, dropout, shapes, maxima.
// Each tells the products of one entry of an answer. `flat` counts in C order; C and K are last axes.

const FORMULAS = {};
const lastOf = (array) => array.shape[array.shape.length - 1];

// y = x W + b ---------------------------------------------------------------------------------------------------------

FORMULAS.Dense = {
  y(layer, flat, sum) {
    denseProducts(layer, flat, sum);
    const b = optional(layer, "b");
    if (b) sum.add(sum.of("b", b, flat % lastOf(b)));
    sum.formula = `y[n, k] = Σ over c of x[n, c] · W[c, k]${b ? " + b[k]" : ""}`;
  },
  dx(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy"), W = operand(layer, "W");
    const C = lastOf(x), K = lastOf(dy), n = Math.floor(flat / C), c = flat % C;
    sum.formula = "dx[n, c] = Σ over k of dy[n, k] · W[c, k]";
    for (let k = 0; k < K; k++) sum.add(sum.of("dy", dy, n * K + k), sum.of("W", W, c * K + k));
  },
  dW(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy");
    const C = lastOf(x), K = lastOf(dy), c = Math.floor(flat / K), k = flat % K;
    sum.formula = "dW[c, k] = Σ over n of x[n, c] · dy[n, k]";
    for (let n = 0; n < x.size / C; n++) sum.add(sum.of("x", x, n * C + c), sum.of("dy", dy, n * K + k));
  },
  db: summedOverBatch,
};

function denseProducts(layer, flat, sum) {
  const x = operand(layer, "x"), W = operand(layer, "W"), C = lastOf(x), K = lastOf(W);
  const n = Math.floor(flat / K), k = flat % K;
  for (let c = 0; c < C; c++) sum.add(sum.of("x", x, n * C + c), sum.of("W", W, c * K + k));
}

function summedOverBatch(layer, flat, sum) {
  const dy = operand(layer, "dy"), K = lastOf(dy);
  sum.formula = "db[k] = Σ of dy[…, k] over everything but the last axis";
  for (let at = flat; at < dy.size; at += K) sum.add(sum.of("dy", dy, at));
}

// Activations: entry by entry ------------------------------------------------------------------------------------------

/** Of y = f(x): the value of f, and its slope as a sum of terms. */
function activation(formula, slopeFormula, value, slope) {
  return {
    y(layer, flat, sum) {
      const x = sum.of("x", operand(layer, "x"), flat);
      sum.formula = formula;
      value(x, sum, layer.options);
    },
    dx(layer, flat, sum) {
      const x = sum.of("x", operand(layer, "x"), flat), dy = sum.of("dy", operand(layer, "dy"), flat);
      sum.formula = slopeFormula;
      slope(x, dy, sum, layer.options);
    },
  };
}

const isPositive = (x) => (Number.isNaN(x) ? NaN : x > 0);

function leaky(slopeOf, name) {
  const factor = (x, sum, options) => {
    const positive = isPositive(x.value);
    return sum.plain(Number.isNaN(positive) ? "?" : positive ? "1, for x > 0" : `${name}, for x ≤ 0`,
      Number.isNaN(positive) ? NaN : positive ? 1 : slopeOf(options));
  };
  return activation(
    `y = x where x > 0, else ${name} · x`,
    `dx = dy · 1 where x > 0, else dy · ${name}`,
    (x, sum, options) => sum.add(x, factor(x, sum, options)),
    (x, dy, sum, options) => sum.add(dy, factor(x, sum, options)),
  );
}

FORMULAS.ReLU = leaky(() => 0, "0");
FORMULAS.LeakyReLU = leaky((options) => options.slope, "slope");

FORMULAS.Tanh = activation(
  "y = tanh(x)",
  "dx = dy · (1 − y²) with y = tanh(x)",
  (x, sum) => {
    sum.note("x", x.value, "");
    sum.add(sum.plain("tanh(x)", Math.tanh(x.value)));
  },
  (x, dy, sum) => {
    const y = sum.note("y = tanh(x)", Math.tanh(x.value), `x = ${numberText(x.value)}`);
    sum.add(dy, sum.plain("1", 1));
    sum.add(dy, sum.plain("−y", -y), sum.plain("y", y));
  },
);

const logistic = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

FORMULAS.Sigmoid = activation(
  "y = σ(x) = 1 / (1 + e⁻ˣ)",
  "dx = dy · y · (1 − y) with y = σ(x)",
  (x, sum) => {
    sum.note("x", x.value, "");
    sum.add(sum.plain("σ(x)", logistic(x.value)));
  },
  (x, dy, sum) => {
    const y = sum.note("y = σ(x)", logistic(x.value), `x = ${numberText(x.value)}`);
    sum.add(dy, sum.plain("y", y));
    sum.add(dy, sum.plain("−y", -y), sum.plain("y", y));
  },
);

// Dropout: the mask holds 0 for what is silenced, 1 / (1 - drop) for the rest ------------------------------------------

FORMULAS.Dropout = {
  y: masked("x", "y = x · mask"),
  dx: masked("dy", "dx = dy · mask"),
};

function masked(name, formula) {
  return (layer, flat, sum) => {
    const mask = optional(layer, "mask");
    sum.formula = mask ? `${formula}, with the mask that forward drew` : `${formula.split(" ·")[0]}: nothing was silenced`;
    const value = sum.of(name, operand(layer, name), flat);
    if (mask) sum.add(value, sum.of("mask", mask, flat));
    else sum.add(value);
  };
}

// The same numbers under another shape ---------------------------------------------------------------------------------

FORMULAS.Flatten = FORMULAS.Reshape = {
  y: (layer, flat, sum) => moved(layer, "x", "y", flat, sum),
  dx: (layer, flat, sum) => moved(layer, "dy", "dx", flat, sum),
};

function moved(layer, from, to, flat, sum) {
  sum.formula = `${to} is ${from}, in the same order under another shape`;
  sum.add(sum.of(from, operand(layer, from), flat));
}

// Maxima ---------------------------------------------------------------------------------------------------------------

/** The places in x, of the entry `flat` of y, among which the largest is taken; of equals the first wins. */
const CANDIDATES = {
  Maxout(layer, flat) {
    const x = operand(layer, "x"), m = layer.options.pieces, K = lastOf(x) / m;
    const start = Math.floor(flat / K) * K * m + (flat % K) * m;
    return Array.from({ length: m }, (_, j) => start + j);
  },
  MaxPool2d(layer, flat) {
    const x = operand(layer, "x"), y = operand(layer, "y"), windows = windowsOf(layer.options, x.shape);
    const [n, p, q, c] = unravel(flat, y.shape);
    const found = [];
    for (const h of windows.rows.seen(p)) {
      for (const w of windows.columns.seen(q)) found.push(ravel([n, h.at, w.at, c], x.shape));
    }
    return found;
  },
};

/** The outputs whose group, or window, holds the entry `flat` of x. */
const JUDGES = {
  Maxout: (layer, flat) => [Math.floor(flat / layer.options.pieces)],
  MaxPool2d(layer, flat) {
    const x = operand(layer, "x"), y = operand(layer, "y"), windows = windowsOf(layer.options, x.shape);
    const [n, h, w, c] = unravel(flat, x.shape);
    const found = [];
    for (const p of windows.rows.seeing(h)) {
      for (const q of windows.columns.seeing(w)) found.push(ravel([n, p.window, q.window, c], y.shape));
    }
    return found;
  },
};

function winnerOf(layer, flat, sum) {
  const candidates = CANDIDATES[layer.kind](layer, flat).map((at) => sum.of("x", operand(layer, "x"), at));
  return { candidates, winner: candidates.reduce((best, next) => (next.value > best.value ? next : best)) };
}

FORMULAS.Maxout = FORMULAS.MaxPool2d = {
  y(layer, flat, sum) {
    const group = layer.kind === "Maxout" ? `its group of ${layer.options.pieces} features` : "its window";
    sum.formula = `y = the largest x of ${group}; of equals the first`;
    const { candidates, winner } = winnerOf(layer, flat, sum);
    for (const x of candidates) sum.add(x, sum.plain(x === winner ? "1, the largest" : "0", x === winner ? 1 : 0));
  },
  dx(layer, flat, sum) {
    sum.formula = "dx = dy of every group that this x has won";
    const dy = operand(layer, "dy");
    for (const judge of JUDGES[layer.kind](layer, flat)) {
      const { winner } = winnerOf(layer, judge, sum);
      const won = winner.flat === flat;
      sum.add(sum.of("dy", dy, judge), sum.plain(won ? "1, it has won" : `0, ${entryText("x", winner.flat, winner.array.shape)} has`, won ? 1 : 0));
    }
  },
};
