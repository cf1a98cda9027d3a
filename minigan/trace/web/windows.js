"use strict";
// Formulas of convolutions and of upsampling: where a kernel stands on an image, and the products at each place.
// x (N, H, W, C), y (N, OH, OW, K); the kernel is (KH, KW, C, K), of a transposed convolution (KH, KW, K, C).

const pairOf = (value) => (Array.isArray(value) ? value : [value, value]);

/** Along one axis: which places of the kernel fall on which pixels of an image of `size`, and in which windows. */
function axisOf(size, kernel, stride, before, count) {
  return {
    /** What window p sees: [{place in the kernel, at}] inside the image. */
    seen(p) {
      const found = [];
      for (let place = 0; place < kernel; place++) {
        const at = p * stride + place - before;
        if (at >= 0 && at < size) found.push({ place, at });
      }
      return found;
    },
    /** Who sees pixel `at`: [{place in the kernel, window}]. */
    seeing(at) {
      const found = [];
      for (let place = 0; place < kernel; place++) {
        const shifted = at + before - place;
        if (shifted >= 0 && shifted % stride === 0 && shifted / stride < count) found.push({ place, window: shifted / stride });
      }
      return found;
    },
    /** Where a place of the kernel falls: [{window, at}]. */
    under(place) {
      const found = [];
      for (let window = 0; window < count; window++) {
        const at = window * stride + place - before;
        if (at >= 0 && at < size) found.push({ window, at });
      }
      return found;
    },
    count,
  };
}

/** The windows on an image of this shape, (N, H, W, …); "same" is TensorFlow's rule. */
function windowsOf(options, shape) {
  const kernel = pairOf(options.kernel), stride = pairOf(options.stride ?? 1);
  const axes = [0, 1].map((axis) => {
    const size = shape[1 + axis], k = kernel[axis], s = stride[axis];
    const total = Math.max((Math.ceil(size / s) - 1) * s + k - size, 0);
    const [before, after] = options.pad === "same"
      ? [Math.floor(total / 2), total - Math.floor(total / 2)]
      : pairOf(pairOf(options.pad ?? 0)[axis]);
    return axisOf(size, k, s, before, Math.floor((size + before + after - k) / s) + 1);
  });
  return { rows: axes[0], columns: axes[1] };
}

/** Of UpsampleConv2d: the same, of a kernel that looks at the image enlarged; `at` counts in the small image. */
function enlarged(options, shape) {
  const kernel = pairOf(options.kernel), scale = pairOf(options.scale);
  const axes = [0, 1].map((axis) => {
    const k = kernel[axis], S = scale[axis], size = S * shape[1 + axis];
    const large = axisOf(size, k, 1, Math.floor((k - 1) / 2), size);
    const small = ({ at, ...rest }) => ({ ...rest, at: Math.floor(at / S) });
    return {
      seen: (p) => large.seen(p).map(small),
      seeing: (at) => Array.from({ length: S }, (_, a) => large.seeing(S * at + a)).flat(),
      under: (place) => large.under(place).map(small),
    };
  });
  return { rows: axes[0], columns: axes[1] };
}

/** The five answers of a layer that correlates: `smaller` image from `larger` one through the windows. */
function correlating(windowsFor, xAt) {
  return {
    y(layer, flat, sum) {
      correlated(layer, flat, sum, windowsFor(layer));
      const b = optional(layer, "b");
      if (b) sum.add(sum.of("b", b, flat % lastOf(b)));
      sum.formula = `y[n, p, q, k] = Σ over i, j, c of x[n, ${xAt}, c] · W[i, j, c, k]${b ? " + b[k]" : ""}`;
    },
    dx(layer, flat, sum) {
      const x = operand(layer, "x"), dy = operand(layer, "dy"), W = operand(layer, "W"), windows = windowsFor(layer);
      const [n, h, w, c] = unravel(flat, x.shape), K = lastOf(dy);
      sum.formula = "dx[n, h, w, c] = Σ over every window (p, q) that sees this pixel, at its place (i, j) in the kernel, "
        + "and over k, of dy[n, p, q, k] · W[i, j, c, k]";
      for (const p of windows.rows.seeing(h)) {
        for (const q of windows.columns.seeing(w)) {
          const at = ravel([n, p.window, q.window, 0], dy.shape), place = ravel([p.place, q.place, c, 0], W.shape);
          for (let k = 0; k < K; k++) sum.add(sum.of("dy", dy, at + k), sum.of("W", W, place + k));
        }
      }
    },
    dW(layer, flat, sum) {
      const x = operand(layer, "x"), dy = operand(layer, "dy"), windows = windowsFor(layer);
      const shape = operand(layer, "W").shape, [i, j, c, k] = unravel(flat, shape);
      sum.formula = `dW[i, j, c, k] = Σ over n, p, q of x[n, ${xAt}, c] · dy[n, p, q, k]`;
      const rows = windows.rows.under(i), columns = windows.columns.under(j);
      for (let n = 0; n < x.shape[0]; n++) {
        for (const p of rows) {
          for (const q of columns) {
            sum.add(sum.of("x", x, ravel([n, p.at, q.at, c], x.shape)),
              sum.of("dy", dy, ravel([n, p.window, q.window, k], dy.shape)));
          }
        }
      }
    },
    db: summedOverBatch,
  };
}

function correlated(layer, flat, sum, windows) {
  const x = operand(layer, "x"), W = operand(layer, "W"), y = arrayOf(layer.y);
  const [n, p, q, k] = unravel(flat, y.shape), C = lastOf(x);
  for (const h of windows.rows.seen(p)) {
    for (const w of windows.columns.seen(q)) {
      const at = ravel([n, h.at, w.at, 0], x.shape), place = ravel([h.place, w.place, 0, k], W.shape), K = lastOf(W);
      for (let c = 0; c < C; c++) sum.add(sum.of("x", x, at + c), sum.of("W", W, place + c * K));
    }
  }
}

FORMULAS.Conv2d = correlating(
  (layer) => windowsOf(layer.options, operand(layer, "x").shape),
  "p·stride + i − above, q·stride + j − left",
);
FORMULAS.UpsampleConv2d = correlating(
  (layer) => enlarged(layer.options, operand(layer, "x").shape),
  "⌊(p + i − above) / scale⌋, ⌊(q + j − left) / scale⌋",
);

/** The windows of a transposed convolution stand on what it draws. "same": the larger image is stride times the small. */
const windowsDrawn = (layer) => windowsOf(layer.options, arrayOf(layer.y).shape);

FORMULAS.ConvTranspose2d = {
  y(layer, flat, sum) {
    const x = operand(layer, "x"), y = arrayOf(layer.y), W = operand(layer, "W"), b = optional(layer, "b");
    const windows = windowsDrawn(layer), [n, h, w, k] = unravel(flat, y.shape), C = lastOf(x);
    sum.formula = "y[n, h, w, k] = Σ over every stamp (p, q) that falls on this pixel, with its place (i, j), and over c, "
      + `of x[n, p, q, c] · W[i, j, k, c]${b ? ", + b[k]" : ""}`;
    for (const p of windows.rows.seeing(h)) {
      for (const q of windows.columns.seeing(w)) {
        const at = ravel([n, p.window, q.window, 0], x.shape), place = ravel([p.place, q.place, k, 0], W.shape);
        for (let c = 0; c < C; c++) sum.add(sum.of("x", x, at + c), sum.of("W", W, place + c));
      }
    }
    if (b) sum.add(sum.of("b", b, k));
  },
  dx(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy"), W = operand(layer, "W"), windows = windowsDrawn(layer);
    const [n, p, q, c] = unravel(flat, x.shape), K = lastOf(dy), C = lastOf(W);
    sum.formula = "dx[n, p, q, c] = Σ over i, j, k of dy[n, p·stride + i − above, q·stride + j − left, k] · W[i, j, k, c]";
    for (const h of windows.rows.seen(p)) {
      for (const w of windows.columns.seen(q)) {
        const at = ravel([n, h.at, w.at, 0], dy.shape), place = ravel([h.place, w.place, 0, c], W.shape);
        for (let k = 0; k < K; k++) sum.add(sum.of("dy", dy, at + k), sum.of("W", W, place + k * C));
      }
    }
  },
  dW(layer, flat, sum) {
    const x = operand(layer, "x"), dy = operand(layer, "dy"), windows = windowsDrawn(layer);
    const [i, j, k, c] = unravel(flat, operand(layer, "W").shape);
    sum.formula = "dW[i, j, k, c] = Σ over n, p, q of x[n, p, q, c] · dy[n, p·stride + i − above, q·stride + j − left, k]";
    const rows = windows.rows.under(i), columns = windows.columns.under(j);
    for (let n = 0; n < x.shape[0]; n++) {
      for (const p of rows) {
        for (const q of columns) {
          sum.add(sum.of("x", x, ravel([n, p.window, q.window, c], x.shape)),
            sum.of("dy", dy, ravel([n, p.at, q.at, k], dy.shape)));
        }
      }
    }
  },
  db: summedOverBatch,
};

FORMULAS.Upsample2d = {
  y(layer, flat, sum) {
    const x = operand(layer, "x"), [a, b] = pairOf(layer.options.scale);
    const [n, p, q, c] = unravel(flat, arrayOf(layer.y).shape);
    sum.formula = "y[n, p, q, c] = x[n, ⌊p / scale⌋, ⌊q / scale⌋, c]";
    sum.add(sum.of("x", x, ravel([n, Math.floor(p / a), Math.floor(q / b), c], x.shape)));
  },
  dx(layer, flat, sum) {
    const dy = operand(layer, "dy"), [a, b] = pairOf(layer.options.scale);
    const [n, h, w, c] = unravel(flat, operand(layer, "x").shape);
    sum.formula = "dx[n, h, w, c] = Σ of dy over the block of pixels that were copied from this one";
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) sum.add(sum.of("dy", dy, ravel([n, h * a + i, w * b + j, c], dy.shape)));
    }
  },
};
