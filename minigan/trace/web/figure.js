"use strict";
// A figure: one array as a heat map with its scale and statistics, in which an entry can be pointed at and chosen.

class Figure {
  /** `choose(flat)` is called with a clickable entry; marks: null where all are, else an ascending list. */
  constructor(name, array, { title, marks = [], choose = null, parameter = false, image = null, note = "" }) {
    Object.assign(this, { name, array, marks, choose, note });
    this.layout = layoutOf(array, { parameter, image });
    this.averages = this.layout.averages ?? null;
    this.scale = array.scale ??= scaleOf(this.averages ?? array.whole ?? [...array.part.values()]);
    this.chosen = null;
    this.operands = [];
    this.canvas = element("canvas", {
      role: this.clickable ? "application" : "img", tabindex: this.clickable ? 0 : null, "data-array": name,
      class: this.clickable ? "clickable" : null,
      onclick: (event) => this.click(event), onmousemove: (event) => this.point(event), onkeydown: (event) => this.key(event),
      onmouseleave: () => this.say(""),
    });
    this.readout = element("p", { class: "readout" });
    this.near = element("div", { class: "near" });
    this.how = element("button", { type: "button", class: "chosen", hidden: true, onclick: () => byId("worked").scrollIntoView() });
    this.box = element("figure", { class: `array ${this.clickable ? "answer" : "operand"}` },
      element("figcaption", {}, element("b", { text: title ?? letter(name) }), ` ${shapeText(array.shape)} `, array.size === 1 ? element("code", { text: `${numberText(array.at(0))} ` }) : null,
        element("span", { class: "kind", text: this.hint() })),
      element("div", { class: "scroll" }, this.canvas), this.bar(), this.readout, this.how, this.near, this.statistics());
    this.describe();
  }

  get clickable() {
    return this.choose !== null && (this.marks === null || this.marks.length > 0);
  }

  hint() {
    if (!this.clickable) return this.averages ? "averages: too large to stand here whole" : this.note;
    if (this.marks === null) return "click any square";
    return `${countText(this.marks.length)} marked entries can be clicked`;
  }

  bar() {
    const { limit, clipped } = this.scale, beyond = clipped ? " and beyond" : "";
    return element("div", { class: "scale" },
      element("span", { text: `−${numberText(limit, 3)}${beyond}` }), element("i", { class: "ramp" }), element("span", { text: "0" }),
      element("i", { class: "ramp up" }), element("span", { text: `${numberText(limit, 3)}${beyond}` }));
  }

  statistics() {
    const s = this.array.stats;
    if (!s || this.array.size < 2) return null;
    const percent = `${(100 * (s.zeros ?? 0)).toFixed(0)} %`;
    const parts = [["smallest", numberText(s.min, 3)], ["largest", numberText(s.max, 3)], ["mean", numberText(s.mean, 3)],
      ["spread", numberText(s.std, 3)], ["zeros", percent]];
    if (s.bad) parts.push(["not finite", countText(s.bad)]);
    return element("div", { class: "facts" }, element("p", {}, ...parts.flatMap(([name, value]) =>
      [element("span", { text: `${name} ` }), element("b", { text: value }), " "])), s.hist && this.array.size > 8 ? histogram(s.hist) : null);
  }

  draw() {
    const values = this.averages ? (flat) => this.averages[flat] : this.array.at;
    const room = Math.max(160, (this.box.clientWidth || 600) - 26);
    this.cell = drawHeat(this.canvas, this.layout, values, this.scale, Math.min(room, 18 * this.layout.columns));
    if (this.marks && this.marks.length) drawFrames(this.canvas, this.layout, this.cell, this.marks, false);
    drawFrames(this.canvas, this.layout, this.cell, this.operands, false);
    if (this.chosen !== null) drawFrames(this.canvas, this.layout, this.cell, [this.chosen], true);
  }

  /** Show which entry was chosen here, or which entries were multiplied; and the numbers around the first. */
  show(chosen, operands = []) {
    this.chosen = chosen;
    this.operands = [...new Set(operands)];
    this.draw();
    this.describe();
    this.closeUp(chosen ?? this.operands[0] ?? null);
  }

  describe() {
    this.how.hidden = this.chosen === null || !this.clickable; // seen on narrow screens alone, where what is below is far
    if (this.chosen !== null) this.how.textContent = `${entryText(letter(this.name), this.chosen, this.array.shape)} = ${numberText(this.array.at(this.chosen))}: how it was made ↓`;
    const at = this.chosen === null ? "" : `; chosen ${entryText(this.name, this.chosen, this.array.shape)} = ${numberText(this.array.at(this.chosen))}`;
    this.canvas.setAttribute("aria-label", `${this.name} ${shapeText(this.array.shape)}, a heat map${at}`
      + (this.clickable ? ". Arrow keys choose another entry." : ""));
  }

  say(text) {
    this.readout.textContent = text;
  }

  /** The entry under the pointer, or -1. */
  under(event) {
    const frame = this.canvas.getBoundingClientRect();
    const c = Math.floor((event.clientX - frame.left) / this.cell), r = Math.floor((event.clientY - frame.top) / this.cell);
    if (r < 0 || c < 0 || r >= this.layout.rows || c >= this.layout.columns) return null;
    return { r, c, flat: this.layout.flat(r, c) };
  }

  point(event) {
    const at = this.under(event);
    if (!at || at.flat < 0) return this.say("");
    if (this.averages) return this.say(`average of a block: ${numberText(this.averages[at.flat])}`);
    const value = this.array.at(at.flat);
    return this.say(`${entryText(letter(this.name), at.flat, this.array.shape)} = ${value === undefined ? "not in this file" : numberText(value)}`);
  }

  click(event) {
    const at = this.under(event);
    if (!this.clickable || !at) return;
    const flat = this.marks === null ? at.flat : this.nearest(at.r, at.c, () => true);
    if (flat >= 0) this.choose(flat);
  }

  /** The clickable entry nearest to a cell, of those that pass; -1 if there is none. */
  nearest(r, c, passes) {
    let best = -1, least = Infinity;
    for (const flat of this.marks) {
      const [y, x] = this.layout.cell(flat), far = (y - r) ** 2 + (x - c) ** 2;
      if (far < least && passes(y, x)) [best, least] = [flat, far];
    }
    return best;
  }

  /** Arrow keys: the next entry that way. */
  key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!Object.hasOwn(steps, event.key) || !this.clickable) return;
    event.preventDefault();
    event.stopPropagation();
    const [dr, dc] = steps[event.key];
    if (this.chosen === null) return void this.choose(this.marks === null ? 0 : this.marks[0]);
    const [r, c] = this.layout.cell(this.chosen);
    let next = -1;
    if (this.marks !== null) next = this.nearest(r, c, (y, x) => (dr ? (y - r) * dr > 0 : (x - c) * dc > 0));
    else {
      for (let k = 1; next < 0 && k <= 2; k++) { // over the gap between two tiles
        const y = r + k * dr, x = c + k * dc;
        if (y >= 0 && x >= 0 && y < this.layout.rows && x < this.layout.columns) next = this.layout.flat(y, x);
      }
    }
    if (next >= 0) this.choose(next);
  }

  /** The numbers around an entry, as buttons where they can be chosen. */
  closeUp(flat) {
    const held = this.near.contains(document.activeElement); // the keys stay where they were
    this.near.replaceChildren();
    if (flat === null || this.averages || this.array.size < 2) return;
    const [r, c] = this.layout.cell(flat), R = 2, C = 2;
    const from = (at, reach, count) => Math.max(0, Math.min(at - reach, count - 2 * reach - 1));
    const [top, left] = [from(r, R, this.layout.rows), from(c, C, this.layout.columns)];
    const table = element("table", { "aria-label": `the numbers around ${entryText(this.name, flat, this.array.shape)}` });
    for (let y = top; y < Math.min(top + 2 * R + 1, this.layout.rows); y++) {
      const row = element("tr");
      for (let x = left; x < Math.min(left + 2 * C + 1, this.layout.columns); x++) row.append(element("td", {}, this.number(this.layout.flat(y, x), flat)));
      table.append(row);
    }
    this.near.append(table);
    if (held) this.near.querySelector("[aria-pressed=true]")?.focus();
  }

  number(flat, chosen) {
    const value = flat < 0 ? undefined : this.array.at(flat);
    if (value === undefined) return element("span", { text: flat < 0 ? "" : "·" });
    const name = entryText(letter(this.name), flat, this.array.shape), used = flat === chosen || this.operands.includes(flat);
    const can = this.choose && (this.marks === null || this.marks.includes(flat));
    const own = { text: numberText(value, 3), title: name, class: used ? "used" : null };
    if (!can) return element("span", own);
    return element("button", { ...own, type: "button", "aria-label": `${name} = ${numberText(value, 3)}`, "aria-pressed": String(flat === chosen), onclick: () => this.choose(flat) });
  }
}

const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, options, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(options)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function histogram({ lo, hi, counts }) {
  const most = Math.max(1, ...counts), n = counts.length;
  const bars = counts.map((count, i) => drawn("rect", { x: 4 * i, y: 20 - 20 * count / most, width: 3, height: 20 * count / most }));
  const label = `how often values between ${numberText(lo, 3)} and ${numberText(hi, 3)} occur`;
  return drawn("svg", { viewBox: `0 0 ${4 * n} 20`, class: "histogram", role: "img", "aria-label": label }, ...bars);
}
