// A picture of the past on a canvas: bars of several colours on each other, or lines, one value for each part of the
// time, with a crosshair that all pictures of a page share.

import { h, inFrame, setText } from "./dom.js";
import { shortMoment } from "./format.js";

const FOOT = 18; // px below the zero line
const HEAD = 12; // px above the highest

export class PastChart {
  /**
   * `series`: [{name, colour (a CSS variable), of: (part) => number}]; `bars`: on each other, else lines; `text`:
   * a value in words; `point` (index or null): called when the pointer is at another part; `choose` (part): at a press.
   */
  constructor(title, series, { bars, text, point, choose }) {
    this.#series = series;
    this.#bars = bars;
    this.#text = text;
    this.#title = title;
    this.#canvas = h("canvas", { role: "img", tabindex: "0" });
    this.#values = series.map(() => h("b"));
    this.#draw = inFrame(() => this.#paint());
    const key = ({ name, colour }, at) => h("span.key", { "data-colour": colour }, this.#values[at], ` ${name}`);
    this.element = h("figure.chart", null, h("figcaption", null, h("h3", null, title), this.#when, h("span.legend", null, series.map(key))), this.#canvas);
    for (const key of this.element.querySelectorAll(".key")) key.style.setProperty("--this", `var(--${key.dataset.colour})`);
    this.#canvas.addEventListener("pointermove", ({ offsetX }) => point(this.#partAt(offsetX)));
    this.#canvas.addEventListener("pointerleave", () => point(null));
    this.#canvas.addEventListener("blur", () => point(null));
    this.#canvas.addEventListener("click", ({ offsetX }) => this.#parts.length && choose(this.#parts[this.#partAt(offsetX)]));
    this.#canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Enter" && this.#at !== null) choose(this.#parts[this.#at]);
      else if (by) point(Math.max(0, Math.min(this.#parts.length - 1, (this.#at ?? this.#parts.length) + by)));
      else return;
      event.preventDefault();
    });
  }

  element;
  #series;
  #bars;
  #text;
  #title;
  #canvas;
  #values;
  #when = h("span.when");
  #parts = [];
  #now = 0;
  #at = null; // the part that the crosshair is at
  #draw;

  /** `parts`: {from, to, …}, equally long; `now`: the server's time in ms. */
  show(parts, now) {
    this.#parts = parts;
    this.#now = now;
    this.#draw();
  }

  /** Put the crosshair at a part, or nowhere. */
  point(at) {
    this.#at = at;
    this.#draw();
  }

  /** Draw again, for its place has changed. */
  redraw() {
    this.#draw();
  }

  #partAt(x) {
    return Math.max(0, Math.min(this.#parts.length - 1, Math.floor((x / this.#canvas.clientWidth) * this.#parts.length)));
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !this.#parts.length) return;
    const scale = devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const sums = this.#parts.map((part) => {
      const values = this.#series.map(({ of }) => of(part));
      return this.#bars ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
    });
    const top = ceiling(Math.max(1, ...sums));
    const room = height - FOOT - HEAD;
    const y = (value) => height - FOOT - (value / top) * room;
    const wide = width / this.#parts.length;
    pen.font = `11px ${style.fontFamily}`;
    this.#grid(pen, colour, width, y, top);
    this.#times(pen, colour("muted"), width, height, wide);
    if (this.#at !== null) {
      pen.fillStyle = colour("hover");
      pen.fillRect(this.#at * wide, HEAD - 4, wide, room + 4);
    }
    if (this.#bars) this.#drawBars(pen, colour, wide, y);
    else this.#drawLines(pen, colour, wide, y);
    if (this.#at !== null) {
      pen.strokeStyle = colour("ink");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo((this.#at + 0.5) * wide, HEAD - 4);
      pen.lineTo((this.#at + 0.5) * wide, height - FOOT);
      pen.stroke();
    }
    this.#legend(sums);
  }

  #grid(pen, colour, width, y, top) {
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("muted");
    pen.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      const line = Math.round(y(top * share)) + 0.5;
      pen.beginPath();
      pen.moveTo(0, line);
      pen.lineTo(width, line);
      pen.stroke();
      if (share) pen.fillText(this.#text(top * share), 4, line + 11);
    }
  }

  #times(pen, ink, width, height, wide) {
    pen.fillStyle = ink;
    const every = Math.max(1, Math.ceil(this.#parts.length / Math.max(2, Math.floor(width / 150))));
    for (let at = 0; at < this.#parts.length; at += every) {
      if (at * wide > width - 90) break;
      pen.fillText(brief(this.#parts[at].from, this.#now), at * wide + 2, height - 4);
    }
  }

  #drawBars(pen, colour, wide, y) {
    const gap = wide > 5 ? 1.5 : 0.5;
    this.#parts.forEach((part, at) => {
      let below = 0;
      for (const { of, colour: name } of this.#series) {
        const value = of(part);
        if (!value) continue;
        pen.fillStyle = colour(name);
        const top = y(below + value);
        pen.fillRect(at * wide + gap / 2, top, wide - gap, Math.max(1.5, y(below) - top));
        below += value;
      }
    });
  }

  #drawLines(pen, colour, wide, y) {
    for (const { of, colour: name } of this.#series) {
      pen.strokeStyle = pen.fillStyle = colour(name);
      pen.lineWidth = 1.6;
      pen.beginPath();
      let before = false;
      this.#parts.forEach((part, at) => {
        const value = of(part);
        if (value) {
          if (before) pen.lineTo((at + 0.5) * wide, y(value));
          else pen.moveTo((at + 0.5) * wide, y(value));
          pen.fillRect((at + 0.5) * wide - 1.5, y(value) - 1.5, 3, 3);
        }
        before = value > 0;
      });
      pen.stroke();
    }
  }

  #legend(sums) {
    const part = this.#parts[this.#at];
    this.#series.forEach(({ of }, which) => {
      const value = part ? of(part) : this.#bars ? this.#parts.reduce((sum, each) => sum + of(each), 0) : Math.max(...this.#parts.map(of));
      setText(this.#values[which], this.#text(value));
    });
    const when = part ? `${brief(part.from, this.#now)} – ${brief(part.to, this.#now)}` : this.#bars ? "in all" : "at most";
    setText(this.#when, when);
    const said = this.#series.map(({ name }, which) => `${name} ${this.#values[which].textContent}`).join(", ");
    this.#canvas.setAttribute("aria-label", `${this.#title}, ${when}: ${said}; at most ${this.#text(Math.max(...sums))} at a time`);
  }
}

const brief = (ms, now) => shortMoment(new Date(ms).toISOString(), now).replace(/:00$/, "");

// The next round number.
function ceiling(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * unit).find((round) => round >= value);
}
