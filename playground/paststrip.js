// The runs of one action over a time, small enough for a row of a table: a bar for each part of the time, failures at
// its foot.

import { h, inFrame } from "./dom.js";

const LEAST = 2; // px

export class PastStrip {
  /** `point` (index or null): called when the pointer is at another part; `choose` (index): at a press. */
  constructor(point, choose) {
    this.element = h("canvas.past-strip", { "aria-hidden": "true" });
    this.element.addEventListener("pointermove", ({ offsetX }) => point(this.#partAt(offsetX)));
    this.element.addEventListener("pointerleave", () => point(null));
    this.element.addEventListener("click", ({ offsetX }) => choose(this.#partAt(offsetX)));
    this.redraw = inFrame(() => this.#paint());
  }

  element;
  #parts = new Map(); // number -> RunStats
  #number = 1;
  #at = null;

  /** `parts`: those in which there were runs, by number; of `number` in all. */
  show(parts, number) {
    this.#parts = parts;
    this.#number = number;
    this.redraw();
  }

  /** Put the crosshair at a part, or nowhere. */
  point(at) {
    if (at === this.#at) return;
    this.#at = at;
    this.redraw();
  }

  #partAt(x) {
    return Math.max(0, Math.min(this.#number - 1, Math.floor((x / this.element.clientWidth) * this.#number)));
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    this.element.width = Math.round(width * scale);
    this.element.height = Math.round(height * scale);
    const pen = this.element.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const wide = width / this.#number;
    const most = Math.max(1, ...[...this.#parts.values()].map(({ runs }) => runs));
    pen.fillStyle = colour("line");
    pen.fillRect(0, height - 1, width, 1);
    if (this.#at !== null) {
      pen.fillStyle = colour("hover");
      pen.fillRect(this.#at * wide, 0, wide, height);
    }
    for (const [number, { runs, failed, lost, running }] of this.#parts) {
      const tall = (value) => (value ? Math.max(LEAST, (value / most) * (height - 1)) : 0);
      const bad = tall(failed + lost);
      const x = number * wide + 0.5;
      const bar = Math.max(1, wide - 1);
      pen.fillStyle = colour(running ? "running" : "done");
      pen.fillRect(x, height - Math.max(tall(runs), bad), bar, Math.max(tall(runs), bad));
      pen.fillStyle = colour("failed");
      pen.fillRect(x, height - bad, bar, bad);
    }
    if (this.#at !== null) {
      pen.fillStyle = colour("ink");
      pen.fillRect(Math.round((this.#at + 0.5) * wide), 0, 1, height);
    }
  }
}
