"use strict";
// The worked number as it is shown: operands, products, their sum, and whether the layer's own answer is the same.

const FIRST = 3, LARGEST = 5; // of many products these are shown

/** Fill `box` with the worked number of `name`; `follow(factor)` gives a function that goes to where it was made, or null. */
function showWorked(box, name, worked, follow) {
  const answer = worked.sum ? [" = ", element("code", { text: numberText(worked.formed) })] : [];
  const short = worked.agrees === null ? null : element("span", { class: worked.agrees ? "short right" : "short wrong", text: worked.agrees ? "agrees" : "does not agree" });
  box.replaceChildren(element("h3", {}, "The worked number ", element("code", { text: name }), ...answer, " ", short));
  if (worked.sum) {
    box.append(element("p", { class: "formula", text: worked.sum.formula }));
    if (worked.sum.given.length) box.append(givenTable(worked.sum.given));
    box.append(inWords(worked.sum, name), productTable(worked.sum, follow), sumLine(worked.sum, name));
  } else box.append(element("p", { class: "missing", text: `Not worked here: ${worked.missing}.` }));
  box.append(comparison(worked));
}

function givenTable(given) {
  return element("table", { class: "given" }, ...given.map(({ name, value, how }) =>
    element("tr", {}, element("th", { scope: "row", text: name }), element("td", { class: "number", text: numberText(value) }), element("td", { text: how }))));
}

/** All products of a short sum; of a long one the first, the largest, and the rest as one line that opens. */
function productTable(sum, follow) {
  const { terms } = sum, few = terms.length <= FIRST + LARGEST + 2;
  const body = element("tbody"), box = element("div", { class: "scroll products" });
  const line = (i, label = "") => termRow(terms[i], i, label, follow);
  const head = element("tr", {}, element("th", { scope: "col", text: "product" }), element("th", { scope: "col", text: "of" }), element("th", { scope: "col", class: "number", text: "is" }));
  const everything = () => {
    body.replaceChildren(...terms.map((_, i) => line(i)));
    box.classList.add("long");
    box.setAttribute("tabindex", "0");
    box.focus();
    box.setAttribute("aria-label", `all ${countText(terms.length)} products`);
  };
  if (few) body.append(...terms.map((_, i) => line(i)));
  else {
    const order = terms.map((_, i) => i).slice(FIRST).sort((a, b) => Math.abs(terms[b].product) - Math.abs(terms[a].product));
    const largest = order.slice(0, LARGEST).sort((a, b) => a - b);
    const shown = [...terms.keys()].slice(0, FIRST).concat(largest);
    const rest = sum.total - shown.reduce((total, i) => total + terms[i].product, 0);
    for (let i = 0; i < FIRST; i++) body.append(line(i, i ? "" : `the first ${FIRST}`));
    largest.forEach((i, at) => body.append(line(i, at ? "" : `the ${LARGEST} largest of the rest`)));
    const open = element("button", { type: "button", class: "open", text: `Show all ${countText(terms.length)}`, onclick: everything });
    body.append(element("tr", { class: "rest" }, element("td"), element("td", {}, `… and ${countText(terms.length - shown.length)} more, together `, open),
      element("td", { class: "number", text: numberText(rest) })));
  }
  box.append(element("table", {}, element("thead", {}, head), body));
  return box;
}

function termRow(term, i, label, follow) {
  const cell = element("td", { class: "factors" });
  term.factors.forEach((factor, at) => {
    if (at) cell.append(element("span", { class: "times", text: " · " }));
    cell.append(factorOf(factor, follow));
  });
  return element("tr", {}, element("td", { class: "count" }, countText(i + 1), label || term.pass ? element("small", { text: [term.pass, label].filter(Boolean).join(", ") }) : null),
    cell, element("td", { class: "number", text: numberText(term.product) }));
}

function factorOf(factor, follow) {
  const name = factor.array ? entryText(letter(factor.name), factor.flat, factor.array.shape) : factor.name;
  const go = factor.array ? follow(factor) : null;
  const parts = [element("span", { class: "name", text: name }), element("b", { text: numberText(factor.value) })];
  return go
    ? element("button", { type: "button", class: "factor", title: `${name}: go to where it was made`, onclick: go }, ...parts)
    : element("span", { class: "factor" }, ...parts);
}

/** How to read the table, said with its largest product. */
function inWords(sum, name) {
  const terms = sum.terms.filter(({ product, factors }) => product && factors.length > 1);
  if (!terms.length || sum.terms.length < 2) return "";
  const largest = terms.reduce((best, next) => (Math.abs(next.product) > Math.abs(best.product) ? next : best));
  const factors = largest.factors.map(({ name: own, array, flat }) => (array ? entryText(letter(own), flat, array.shape) : own));
  return element("p", { class: "words" }, `${factors.join(" times ")} is `, element("b", { text: numberText(largest.product) }), `: the largest of ${countText(sum.terms.length)} such products. Added up they are ${name}.`);
}

function sumLine(sum, name) {
  const n = sum.terms.length;
  if (n === 1 && sum.terms[0].factors.length === 1) return element("p", { class: "sum" }, `So ${name} is `, element("b", { text: numberText(sum.total, 8) }), ".");
  return element("p", { class: "sum" }, n === 1 ? "This one product is " : `The sum of these ${countText(n)} products is `, element("b", { text: numberText(sum.total, 8) }), `: that is ${name}.`);
}

/** Stored, formed and by differences, one under the other, and what follows from it. */
function comparison(worked) {
  const { formed, stored, differences, sum } = worked;
  const rows = [["formed here of the products, in float64", formed], [`${worked.who}'s own answer, in float32`, stored ?? null],
    ["finite differences of forward, in float64", differences]].filter(([, value]) => value !== null);
  const table = element("table", { class: "given" }, ...rows.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row", text: name }), element("td", { class: "number", text: numberText(value, 8) }))));
  return element("div", { class: "comparison" }, table, element("p", { class: verdictClass(worked), role: "status", text: verdictText(worked, sum) }));
}

function verdictClass({ agrees }) {
  return agrees === null ? "verdict open" : agrees ? "verdict right" : "verdict wrong";
}

function verdictText({ formed, stored, differences, agrees, who, alone }, sum) {
  if (agrees === null) return stored === undefined ? "The answer is not in this file." : "There is nothing here to compare it with.";
  if (agrees && sum && !Number.isFinite(formed)) return "They agree: neither is a finite number.";
  if (agrees && sum) {
    const off = Math.abs(formed - stored), share = sum.size ? off / sum.size : 0;
    return `They agree: ${off ? `they differ by ${numberText(off, 2)}, ${numberText(share, 2)} of the products' sizes, as float32 rounds` : "to the last digit"}.`;
  }
  if (agrees) return "They agree: the answer is what finite differences give.";
  const near = differences !== null && formed !== null && alike(differences, formed, 1e-3 * Math.abs(formed) + 1e-7);
  const parts = [`Does not agree. ${who.replace("the", "The")}'s own answer is ${numberText(stored)};`];
  if (formed !== null) parts.push(`the products say ${numberText(formed)};`);
  if (differences !== null) parts.push(`finite differences say ${numberText(differences)}.`);
  if (near) parts.push(`Two against one: ${who}'s gradient is wrong.`);
  else if (differences !== null && formed !== null) parts.push("No two are alike: look at forward too, it may not compute the formula that this page knows.");
  else if (formed === null) parts.push(`${who.replace("the", "The")}'s backward is not the derivative of its forward.`);
  if (alone) parts.push(`That is what one pass alone gives (${alone}): the rest was overwritten, or never added.`);
  return `${parts.join(" ").replace(/;$/, ".").replace("; That", ". That")}${ratioText(formed ?? differences, stored)}`;
}

/** A likely reading of the quotient. */
function ratioText(right, stored) {
  const ratio = stored / right;
  if (!Number.isFinite(ratio)) return "";
  if (stored === 0) return " It is 0 where there is something.";
  if (Math.abs(ratio + 1) < 1e-3) return " The sign is turned.";
  for (let n = 2; n <= 4096; n++) {
    if (Math.abs(ratio * n - 1) < 1e-4) return ` It is 1/${countText(n)} of it: an average too many?`;
    if (Math.abs(ratio / n - 1) < 1e-4) return ` It is ${countText(n)} times as large: a sum for a mean?`;
  }
  return "";
}
