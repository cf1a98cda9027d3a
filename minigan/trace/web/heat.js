"use strict";
// Heat maps: an array laid out in cells, and drawn on a diverging scale around 0.

/** Where each entry lies: {rows, columns, flat(r, c) or -1, cell(flat)}; of a reduced array, that of its averages. */
function layoutOf(array, { parameter = false, image = null } = {}) {
  if (!array.whole && array.map) return reduced(array);
  const shape = array.shape, last = lastOf(array) ?? 1;
  if (shape.length === 4 && parameter) {
    return tiles(shape[0], shape[1], shape[2], shape[3], (i, j, r, c) => ravel([i, j, r, c], shape), (flat) => unravel(flat, shape));
  }
  if (shape.length === 4) return images(shape[0], shape.slice(1));
  if (shape.length === 2 && image && last === sizeOf(image) && last > 1) return images(shape[0], image);
  const R = Math.max(array.size / last, array.size ? 1 : 0);
  if (shape.length < 2 || last === 1 || R === 1) return line(array.size);
  return { rows: R, columns: last, flat: (r, c) => r * last + c, cell: (flat) => [Math.floor(flat / last), flat % last] };
}

/** Numbers one after the other, 32 in a row. */
function line(size) {
  const columns = Math.max(1, Math.min(size, 32));
  return {
    rows: Math.ceil(size / columns), columns,
    flat: (r, c) => (r * columns + c < size ? r * columns + c : -1),
    cell: (flat) => [Math.floor(flat / columns), flat % columns],
  };
}

/** Tiles of h × w in a grid, with a gap between. `unpack(flat)` gives [i, j, row of tiles, column of tiles]. */
function tiles(h, w, down, across, pack, unpack) {
  const H = h + 1, W = w + 1;
  return {
    rows: down * H - 1, columns: across * W - 1,
    flat: (r, c) => (r % H === h || c % W === w ? -1 : pack(r % H, c % W, Math.floor(r / H), Math.floor(c / W))),
    cell(flat) {
      const [i, j, r, c] = unpack(flat);
      return [r * H + i, c * W + j];
    },
  };
}

/** A batch of images (H, W, C): each channel a tile; of one channel 8 images side by side, of more 16 channels. */
function images(N, [H, W, C]) {
  const across = C === 1 ? Math.min(N, 8) : Math.min(C, 16), each = Math.ceil(C / across);
  const down = C === 1 ? Math.ceil(N / across) : N * each;
  const pack = (i, j, r, c) => {
    const n = C === 1 ? r * across + c : Math.floor(r / each), k = C === 1 ? 0 : (r % each) * across + c;
    return n < N && k < C ? ((n * H + i) * W + j) * C + k : -1;
  };
  const unpack = (flat) => {
    const [n, i, j, k] = unravel(flat, [N, H, W, C]);
    return C === 1 ? [i, j, Math.floor(n / across), n % across] : [i, j, n * each + Math.floor(k / across), k % across];
  };
  return tiles(H, W, down, across, pack, unpack);
}

/** An array that is here as averages over blocks of it, as a matrix: a cell stands for many entries. */
function reduced(array) {
  const [h, w] = array.map.shape, C = lastOf(array), R = array.size / C;
  return {
    rows: h, columns: w, averages: array.map.data,
    flat: (r, c) => r * w + c,
    cell: (flat) => [Math.floor(Math.floor(flat / C) * h / R), Math.floor((flat % C) * w / C)],
  };
}

/** What colours mean: ±limit, and whether larger ones are drawn like it. */
function scaleOf(values) {
  const every = Math.ceil(values.length / 20000), sizes = []; // of very many values some tell enough
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (!Number.isFinite(size)) continue;
    if (size > largest) largest = size;
    if (i % every === 0) sizes.push(size);
  }
  const sorted = Float64Array.from(sizes).sort(), most = sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 0;
  const clipped = most > 0 && largest > 3 * most;
  return { limit: (clipped ? most : largest) || 1, clipped };
}

let PALETTE = null; // of the theme of now

function palette() {
  return (PALETTE ??= readPalette());
}

function readPalette() {
  const read = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/\w\w/g).map((hex) => parseInt(hex, 16));
  return { below: read("--below"), zero: read("--zero"), above: read("--above"), gap: read("--panel"), bad: read("--bad") };
}

/** A pixel between two colours. */
function paint(pixels, at, from, to, share) {
  for (let i = 0; i < 3; i++) pixels[at + i] = from[i] + (to[i] - from[i]) * share;
  pixels[at + 3] = 255;
}

/** Draw the array; returns the size of a cell in pixels. */
function drawHeat(canvas, layout, values, scale, width) {
  const cell = Math.max(2, Math.min(18, Math.floor(width / layout.columns)));
  const colours = palette(), small = new ImageData(Math.max(1, layout.columns), Math.max(1, layout.rows)), bad = [];
  for (let r = 0; r < layout.rows; r++) {
    for (let c = 0; c < layout.columns; c++) {
      const flat = layout.flat(r, c), value = flat < 0 ? 0 : values(flat);
      const at = 4 * (r * layout.columns + c), none = flat < 0 || value === undefined, good = none || Number.isFinite(value);
      if (!good) bad.push([r, c]);
      paint(small.data, at, none ? colours.gap : good ? colours.zero : colours.bad, value < 0 ? colours.below : colours.above,
        none || !good ? 0 : Math.min(1, Math.abs(value) / scale.limit));
    }
  }
  const from = element("canvas", { width: small.width, height: small.height });
  from.getContext("2d").putImageData(small, 0, 0);
  canvas.width = small.width * cell;
  canvas.height = small.height * cell;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(from, 0, 0, canvas.width, canvas.height);
  hatch(pen, bad, cell, colours);
  return cell;
}

/** What is no number is hatched. */
function hatch(pen, cells, size, colours) {
  pen.strokeStyle = `rgb(${colours.gap.join(" ")})`;
  pen.lineWidth = Math.max(1, size / 8);
  pen.beginPath();
  for (const [r, c] of cells.slice(0, 20000)) {
    pen.moveTo(c * size, (r + 1) * size);
    pen.lineTo((c + 1) * size, r * size);
  }
  pen.stroke();
}

/** Frames around entries: those that were multiplied, or the one that was chosen. */
function drawFrames(canvas, layout, cell, flats, chosen) {
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  pen.strokeStyle = pen.fillStyle = style.getPropertyValue(chosen ? "--ink" : "--mark").trim();
  pen.lineWidth = chosen ? 2 : 1;
  for (const flat of flats) {
    const [r, c] = layout.cell(flat), grow = chosen ? Math.max(0, 5 - cell / 2) : 0;
    if (!chosen && cell < 4) pen.fillRect(c * cell, r * cell, cell, cell);
    else pen.strokeRect(c * cell + 0.5 - grow, r * cell + 0.5 - grow, cell - 1 + 2 * grow, cell - 1 + 2 * grow);
  }
}
