// A picture of the past on a canvas: bars of several colours on each other, or lines, one value for each part of the
// time, with a crosshair that all pictures of a page share.

import { h, inFrame, setText } from "./dom.js";
import { roundUp, shortMoment } from "./format.js";

const FOOT = 20; // px below the zero line
const HEAD = 8; // px above the highest
const APART = 70; // px between two times, at least
const MINUTE = 60_000;
const DAY = 86_400_000;
const STEPS = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720].map((minutes) => minutes * MINUTE).concat([1, 2, 5, 10].map((days) => days * DAY));
// Of scales for lengths of time: each, and half of it, is one that people say.
const LENGTHS = [0.1, 0.2, 0.4, 1, 2, 4, 10, 20, 60, 120, 240, 600, 1200, 2400, 3600, 7200, 14_400, 28_800, 43_200, 86_400].map((seconds) => seconds * 1000);

export class PastChart {
  /**
   * `series`: [{name, colour (a CSS variable), of: (part) => number}]; `bars`: on each other, else lines; `time`: values
   * are lengths of time, in ms; `text`: a value in words; `point` (index or null): called when the pointer is at another
   * part; `choose` (part): at a press.
   */
  constructor(title, series, { bars, time = false, text, point, choose }) {
    this.#series = series;
    this.#bars = bars;
    this.#time = time;
    this.#text = text;
    this.#title = title;
    this.#canvas = h("canvas", { role: "img", tabindex: "0" });
    this.#values = series.map(() => h("b"));
    this.#draw = inFrame(() => this.#paint());
    this.#keys = series.map(({ name }, at) => h("span.key", null, this.#values[at], ` ${name}`));
    series.forEach(({ colour }, at) => this.#keys[at].style.setProperty("--this", `var(--${colour})`));
    this.element = h("figure.chart", null, h("figcaption", null, h("h3", null, title), this.#when, h("span.legend", null, this.#keys)), this.#canvas);
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
  #time;
  #text;
  #title;
  #canvas;
  #values;
  #keys;
  #when = h("span.when");
  #parts = [];
  #now = 0;
  #at = null; // the part that the crosshair is at
  #left = 0; // px left of the first part, for the scale
  #draw;

  /** `parts`: {from, to, …}, equally long; `now`: the server's time in ms. */
  show(parts, now) {
    this.#parts = parts;
    this.#now = now;
    this.#draw();
  }

  /** Put the crosshair at a part, or nowhere. */
  point(at) {
    if (at === this.#at) return;
    this.#at = at;
    this.#draw();
  }

  /** Draw again, for its place has changed. */
  redraw() {
    this.#draw();
  }

  #partAt(x) {
    const share = (x - this.#left) / (this.#canvas.clientWidth - this.#left);
    return Math.max(0, Math.min(this.#parts.length - 1, Math.floor(share * this.#parts.length)));
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
    const most = Math.max(1, ...sums);
    const top = this.#time ? (LENGTHS.find((length) => length >= most) ?? Math.ceil(most / (2 * DAY)) * 2 * DAY) : roundUp(most, [1, 2, 4, 5, 10]);
    const foot = height - FOOT;
    const y = (value) => foot - (value / top) * (foot - HEAD);
    pen.font = `11px ${style.fontFamily}`;
    this.#left = Math.ceil(Math.max(...[top / 2, top].map((value) => pen.measureText(this.#round(value)).width))) + 10;
    const wide = (width - this.#left) / this.#parts.length;
    const x = (part) => this.#left + part * wide;
    this.#grid(pen, colour, width, y, top);
    this.#times(pen, colour, width, foot);
    if (this.#at !== null) {
      pen.fillStyle = colour("hover");
      pen.fillRect(x(this.#at), HEAD, wide, foot - HEAD);
    }
    if (this.#bars) this.#drawBars(pen, colour, x, wide, y);
    else this.#drawLines(pen, colour, x, y);
    if (this.#at !== null) {
      pen.fillStyle = colour("ink");
      pen.fillRect(Math.round(x(this.#at + 0.5)), HEAD, 1, foot - HEAD);
    }
    this.#legend(sums);
  }

  #grid(pen, colour, width, y, top) {
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const line = Math.round(y(top * share));
      pen.fillStyle = colour("line");
      pen.fillRect(this.#left, line, width - this.#left, 1);
      pen.fillStyle = colour("muted");
      if (share) pen.fillText(this.#round(top * share), this.#left - 8, Math.max(6, line));
    }
  }

  // A value of the scale: "20m", for it is exact.
  #round(value) {
    return this.#text(value).replace(/ 00[ms]$| 0h$/, "");
  }

  // Round times below it.
  #times(pen, colour, width, foot) {
    const [first, last] = [this.#parts[0].from, this.#parts.at(-1).to];
    const step = STEPS.find((each) => (last - first) / each <= (width - this.#left) / APART) ?? STEPS.at(-1);
    const zone = new Date(last).getTimezoneOffset() * MINUTE;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    for (let at = Math.ceil((first - zone) / step) * step + zone; at < last; at += step) {
      const place = this.#left + ((at - first) / (last - first)) * (width - this.#left);
      pen.fillStyle = colour("edge");
      pen.fillRect(Math.round(place), foot, 1, 4);
      pen.fillStyle = colour("muted");
      if (place > this.#left + 20 && place < width - 24) pen.fillText(tickText(at, step), place, foot + 16);
    }
  }

  #drawBars(pen, colour, x, wide, y) {
    const gap = wide > 5 ? 1.5 : 0.5;
    this.#parts.forEach((part, at) => {
      let below = 0;
      for (const { of, colour: name } of this.#series) {
        const value = of(part);
        if (!value) continue;
        pen.fillStyle = colour(name);
        const top = y(below + value);
        pen.fillRect(x(at) + gap / 2, top, wide - gap, Math.max(1.5, y(below) - top));
        below += value;
      }
    });
  }

  #drawLines(pen, colour, x, y) {
    for (const { of, colour: name } of this.#series) {
      pen.strokeStyle = pen.fillStyle = colour(name);
      pen.lineWidth = 1.6;
      pen.lineJoin = "round";
      const points = this.#parts.map((part, at) => [x(at + 0.5), of(part)]).filter(([, value]) => value);
      pen.beginPath();
      for (const [place, value] of points) pen.lineTo(place, y(value));
      pen.stroke();
      for (const [place, value] of points) {
        pen.beginPath();
        pen.arc(place, y(value), 2.2, 0, 7);
        pen.fill();
      }
    }
  }

  #legend(sums) {
    const part = this.#parts[this.#at];
    this.#series.forEach(({ of }, which) => {
      const value = part ? of(part) : this.#bars ? this.#parts.reduce((sum, each) => sum + of(each), 0) : Math.max(...this.#parts.map(of));
      setText(this.#values[which], this.#text(value));
      this.#keys[which].classList.toggle("none", this.#series.length > 2 && !this.#parts.some((each) => of(each)));
    });
    const when = part ? between(part, this.#now) : this.#bars ? "in all" : "at most";
    setText(this.#when, when);
    const said = this.#series.map(({ name }, which) => `${name} ${this.#values[which].textContent}`).join(", ");
    this.#canvas.setAttribute("aria-label", `${this.#title}, ${when}: ${said}; at most ${this.#text(Math.max(...sums))} at a time`);
  }
}

// "Nov 26, 06:00 – 08:00".
function between({ from, to }, now) {
  const [begin, end] = [from, to].map((ms) => shortMoment(new Date(ms).toISOString(), now).replace(/(:\d\d):00$/, "$1"));
  const day = begin.slice(0, begin.lastIndexOf(" ") + 1);
  return `${begin} – ${day && end.startsWith(day) ? end.slice(day.length) : end}`;
}

function tickText(ms, step) {
  const at = new Date(ms);
  const midnight = !at.getHours() && !at.getMinutes();
  if (step >= DAY * 5) return at.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  if (step >= DAY || midnight) return `${at.toLocaleDateString(undefined, { weekday: "short" })} ${at.getDate()}`;
  return at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
