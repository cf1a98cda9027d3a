"use strict";
// Worked numbers: an entry of an answer formed anew, in float64, from the numbers that went into it.
//
// A formula is a function (layer, flat index, sum) that tells the sum its products one after the other; a product is
// a list of factors, each a number of an array or a plain one. The formulas by kind of layer are in the files beside.

const TOLERANCE = 1e-5; // of the sum of the products' sizes: what float32 may lose
const SMALLEST = 1e-37; // float32 holds nothing smaller in full

/** An operand that this file does not hold. */
class Missing extends Error {}

/** A sum of products in the making. */
class Products {
  constructor(formula) {
    this.formula = formula;
    this.given = []; // [{name, value, how}]: what was formed before
    this.terms = []; // [{factors, product}]
    this.chosen = null; // of a maximum: {candidates, winner}
    this.total = 0;
    this.size = 0;
  }

  /** A factor: entry `flat` of the array that is called `name` here. */
  of(name, array, flat) {
    if (!array) throw new Missing(`${name} is not in this file`);
    const value = array.at(flat);
    if (value === undefined) throw new Missing(`${entryText(name, flat, array.shape)} is not in this file`);
    return { name, array, flat, value };
  }

  /** A factor that is not an entry: a quantity formed before, or a constant. */
  plain(name, value) {
    return { name, array: null, flat: 0, value };
  }

  add(...factors) {
    const product = factors.reduce((p, factor) => p * factor.value, 1);
    this.terms.push({ factors, product });
    this.total += product;
    this.size += Math.abs(product);
  }

  /** A quantity on the way, to be shown before the products. */
  note(name, value, how) {
    this.given.push({ name, value, how });
    return value;
  }

  /** More room for rounding than the products show, where a factor is itself a difference of larger numbers. */
  allow(size) {
    this.size += size;
  }
}

/** What an answer is called, and the formula for it: "y", "dx", "dW", …; null where the page knows none. */
function formulaOf(layer, answer) {
  const own = layer.kind && Object.hasOwn(FORMULAS, layer.kind) ? FORMULAS[layer.kind] : null;
  return own && Object.hasOwn(own, answer) ? own[answer] : null;
}

/** A layer's array by the name that it has in the formulas. */
function operand(layer, name) {
  const array = optional(layer, name);
  if (!array) throw new Missing(`${name} was not recorded here`);
  return array;
}

/** The same, or null: a layer may have no bias, and no mask. */
function optional(layer, name) {
  if (["x", "y", "dy", "dx"].includes(name)) return arrayOf(layer[name]);
  if (name in layer.params) return arrayOf(layer.params[name].value);
  return name in layer.cache ? arrayOf(layer.cache[name]) : null;
}

/** The array that holds an answer as the layer gave it. */
function answered(layer, answer) {
  if (answer === "y" || answer === "dx") return arrayOf(layer[answer]);
  const own = layer.params[answer.slice(1)];
  return own ? arrayOf(own.grad) : null;
}

/** Form entry `flat` of `answer`: {sum, formed, stored, differences, …}, or {missing: why}. */
function workedNumber(layer, answer, flat) {
  const array = answered(layer, answer);
  const stored = array ? array.at(flat) : undefined;
  const differences = difference(layer.differences ?? {}, answer, flat);
  const formula = formulaOf(layer, answer);
  if (!formula) return verdict({ sum: null, stored, differences, largest: largestIn(array), missing: `no formula for ${layer.class} here` });
  const sum = new Products("");
  try {
    formula(layer, flat, sum);
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    return verdict({ sum: null, stored, differences, missing: error.message });
  }
  return verdict({ sum, stored, differences });
}

/** The same of a gradient summed over several passes, as the optimiser found it. */
function workedTotal(layers, answer, flat, total) {
  const sum = new Products("");
  const given = [];
  try {
    for (const layer of layers) {
      const own = new Products(""), formula = formulaOf(layer, answer);
      if (!formula) throw new Missing(`no formula for ${layer.class} here`);
      formula(layer, flat, own);
      sum.formula = own.formula;
      if (layers.length > 1) given.push({ name: layer.pass, value: own.total, how: `${countText(own.terms.length)} products` });
      sum.terms.push(...own.terms.map((term) => ({ ...term, pass: layers.length > 1 ? layer.pass : "" })));
      sum.total += own.total;
      sum.size += own.size;
    }
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    return verdict({ sum: null, stored: total.at(flat), differences: null, missing: error.message });
  }
  sum.given = given;
  const worked = verdict({ sum, stored: total.at(flat), differences: null, who: "the step" });
  const alone = given.find(({ value }) => alike(value, worked.stored, TOLERANCE * sum.size + SMALLEST));
  worked.alone = worked.agrees === false && alone ? alone.name : "";
  return worked;
}

/** The central difference that was taken of this entry, or null. */
function difference(all, answer, flat) {
  const name = answer in all ? answer : answer.slice(1);
  if (!Object.hasOwn(all, name) || !all[name]) return null;
  const { at, data } = all[name];
  const place = indices(at).indexOf(flat);
  return place < 0 ? null : doubles(data)[place];
}

/** The largest size in an array: where no products are known, what rounding is measured by. */
const largestIn = (array) => (array?.stats ? Math.max(Math.abs(array.stats.min), Math.abs(array.stats.max)) : 0);

/** Whether the two numbers are one, but for rounding in float32. */
function verdict(worked) {
  const { sum, stored, differences } = worked;
  worked.who ??= "the layer";
  worked.largest ??= 0;
  worked.formed = sum ? sum.total : null;
  if (stored === undefined) worked.agrees = null;
  else if (sum) worked.agrees = alike(sum.total, stored, TOLERANCE * sum.size + SMALLEST);
  else if (differences !== null) {
    const own = 1e-3 * Math.max(Math.abs(differences), Math.abs(stored));
    worked.agrees = alike(differences, stored, own + 1e-4 * worked.largest + SMALLEST);
  } else worked.agrees = null;
  return worked;
}

function alike(a, b, room) {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (!Number.isFinite(a) || !Number.isFinite(b)) return a === b;
  return Math.abs(a - b) <= room;
}
