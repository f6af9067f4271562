// A small chart over time on a canvas: one or more lines, a scale, and a mark where the pointer is.

import { h, setText } from "./dom.js";
import { rate, roundUp } from "./format.js";

const STEP = 1000; // ms a sample
const FADE = 0.14;
const SHORTEST = 60; // samples
const LEFT = 44; // px for the scale

export class Chart {
  /** `series`: [{name, colour (a CSS variable), of: (sample, before) => number}]; `longest`: samples shown at most. */
  constructor(title, series, { longest = 300 } = {}) {
    this.#series = series;
    this.#longest = longest;
    this.#canvas = h("canvas", { role: "img", tabindex: "0" });
    this.#title = title;
    this.#values = series.map(() => h("b"));
    this.#when = h("span.when");
    this.element = h(
      "figure.chart",
      null,
      h(
        "figcaption",
        null,
        h("h3", null, title),
        this.#when,
        h(
          "span.legend",
          null,
          series.map(({ name, colour }, at) => h(`span.key.${colour}`, null, this.#values[at], ` ${name}`)),
        ),
      ),
      this.#canvas,
    );
    this.#canvas.addEventListener("pointermove", ({ offsetX }) => this.pointed(Math.max(0, (offsetX - LEFT) / (this.#canvas.clientWidth - LEFT))));
    this.#canvas.addEventListener("pointerleave", () => this.pointed(null));
    this.#canvas.addEventListener("blur", () => this.pointed(null));
    this.#canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.pointed(Math.min(1, Math.max(0, (this.#at ?? 1) + by / this.#span)));
    });
  }

  #series;
  #longest;
  #span = SHORTEST; // samples from one edge to the other
  #title;
  #canvas;
  #values;
  #when;
  #samples = [];
  #at = null; // where the pointer is, from 0 to 1

  /** Draw samples; from within an animation frame. */
  draw(samples) {
    this.#span = Math.min(this.#longest, Math.max(SHORTEST, samples.length));
    this.#samples = samples.slice(-this.#span);
    this.#paint();
  }

  /** Called when the pointer is elsewhere: a share of the width, or null. */
  pointed = (at) => this.point(at);

  /** Put the crosshair somewhere, or nowhere. */
  point(at) {
    this.#at = at;
    requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    const canvas = this.#canvas;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const lines = this.#series.map(({ of }) =>
      this.#samples.slice(1).map((sample, at) => of(sample, this.#samples[at])),
    );
    const top = roundUp(Math.max(1, ...lines.flat()));
    this.#grid(pen, style, width, height, top);
    const x = (at, length) => width - ((length - 1 - at) / (this.#span - 2)) * (width - LEFT);
    const y = (value) => height - 16 - (value / top) * (height - 26);
    lines.forEach((values, which) =>
      this.#line(pen, style.getPropertyValue(`--${this.#series[which].colour}`), values, x, y, height),
    );
    this.#legend(pen, style, lines, x, height);
  }

  #grid(pen, style, width, height, top) {
    const ink = style.getPropertyValue("--muted");
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.fillStyle = ink;
    pen.font = `11px ${style.fontFamily}`;
    pen.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      const line = Math.round(height - 16 - share * (height - 26)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT, line);
      pen.lineTo(width, line);
      pen.stroke();
      pen.textAlign = "right";
      if (share) pen.fillText(rate(top * share), LEFT - 8, line + 4);
    }
    pen.fillText("now", width, height - 3);
    pen.textAlign = "left";
    pen.fillText(`${spanText(this.#span)} ago`, LEFT, height - 3);
  }

  #line(pen, colour, values, x, y, height) {
    if (!values.length) return;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.beginPath();
    values.forEach((value, at) => pen.lineTo(x(at, values.length), y(value)));
    pen.stroke();
    pen.lineTo(x(values.length - 1, values.length), height - 16);
    pen.lineTo(x(0, values.length), height - 16);
    pen.globalAlpha = FADE;
    pen.fill();
    pen.globalAlpha = 1;
  }

  #legend(pen, style, lines, x, height) {
    const length = lines[0].length;
    const back = this.#at === null ? 0 : Math.round((1 - this.#at) * (this.#span - 2));
    const at = length - 1 - back;
    lines.forEach((values, which) => setText(this.#values[which], at >= 0 ? rate(values[at]) : "–"));
    setText(this.#when, this.#at === null ? "" : `${back} s ago`);
    if (this.#at !== null && at >= 0) {
      pen.strokeStyle = style.getPropertyValue("--muted");
      pen.beginPath();
      pen.moveTo(x(at, length), 4);
      pen.lineTo(x(at, length), height - 16);
      pen.stroke();
    }
    const now = this.#series.map(
      ({ name }, which) => `${name} ${rate(lines[which].at(-1) ?? 0)}, at most ${rate(Math.max(0, ...lines[which]))}`,
    );
    this.#canvas.setAttribute("aria-label", `${this.#title} over ${spanText(this.#span)}: ${now.join("; ")}`);
  }
}

// So many samples, in words.
function spanText(samples) {
  const seconds = Math.round((samples * STEP) / 1000);
  return seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
}
