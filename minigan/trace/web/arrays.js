"use strict";
// The arrays of the document: base64 to numbers, indices, and how numbers and shapes are written.
// All scripts of the page share one scope, in the order in which page.html names them.

const TRACE = JSON.parse(document.getElementById("trace").textContent);
const DECODED = new Map();

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

const floats = (base64) => new Float32Array(bytesOf(base64));
const doubles = (base64) => new Float64Array(bytesOf(base64));
const indices = (base64) => new Uint32Array(bytesOf(base64));

/** The array with this id: {id, shape, size, whole, part, map, stats, at(flat)}; null for no id. */
function arrayOf(id) {
  if (id === null || id === undefined || !(id in TRACE.arrays)) return null;
  if (!DECODED.has(id)) DECODED.set(id, unpacked(id, TRACE.arrays[id]));
  return DECODED.get(id);
}

function unpacked(id, stored) {
  const whole = stored.data ? floats(stored.data) : stored.shape.includes(0) ? new Float32Array(0) : null;
  const part = new Map();
  if (stored.part) {
    const at = indices(stored.part.at), values = floats(stored.part.data);
    at.forEach((flat, i) => part.set(flat, values[i]));
  }
  const map = stored.map ? { shape: stored.map.shape, data: floats(stored.map.data) } : null;
  return {
    id, whole, part, map,
    shape: stored.shape,
    size: sizeOf(stored.shape),
    stats: stored.stats,
    at: (flat) => (whole ? whole[flat] : part.get(flat)), // undefined: not in the file
  };
}

/** Which entries can be clicked, ascending: a list of flat indices, or null for all of them. */
function marksOf(marked, array) {
  if (!array || !marked) return [];
  return marked === "all" ? null : indices(marked);
}

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

function unravel(flat, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

function ravel(index, shape) {
  return index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);
}

// As text ------------------------------------------------------------------------------------------------------------

const shapeText = (shape) => (shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`);
const entryText = (name, flat, shape) => (shape.length ? `${name}[${unravel(flat, shape).join(", ")}]` : name);
const countText = (n) => Number(n).toLocaleString("en-US");

/** A number with so many digits, always with a sign that lines up; what is not finite by its name. */
function numberText(x, digits = 5) {
  if (x === null || x === undefined) return "–";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  let text = size >= 1e6 || size < 1e-4 ? x.toExponential(digits - 1) : x.toPrecision(digits);
  if (text.includes("e")) {
    const [head, tail] = text.split("e");
    text = `${head}·10${[...String(Number(tail))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`;
  }
  return text.replaceAll("-", "−");
}

// Elements -----------------------------------------------------------------------------------------------------------

/** An element; texts are set as text, never as markup: what stands in the document is data. */
function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const byId = (id) => document.getElementById(id);
