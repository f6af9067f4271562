// Where errors and matches are, drawn beside the scroll bar: lines on stderr faintly, lines that say "error" or "fatal"
// and runs that ended badly clearly. A click goes there.

import { KIND } from "./tasklog.js";

const SAYS = /(?:error|exception)\b|\b(?:fatal|panic|critical|traceback)\b/i;
const WITHIN = 500; // characters of a line in which it would say so
const SLICE = 3; // ms of looking in one frame
const EVERY = 250; // ms between two drawings
const HIGH = 3; // px of a mark
const SVG = "http://www.w3.org/2000/svg";

export class Marks {
  /** `rowHeight`: px of a row; `go` (share of the height, 0 to 1): called at a click. */
  constructor(view, rowHeight, go) {
    this.#view = view;
    this.#rowHeight = rowHeight;
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "marks");
    this.element.setAttribute("aria-hidden", "true");
    for (const kind of ["quiet", "loud", "hit"]) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", `mark-${kind}`);
      this.#paths[kind] = path;
      this.element.append(path);
    }
    this.element.addEventListener("click", ({ offsetY }) => go(offsetY / this.element.clientHeight));
  }

  element;
  #view;
  #rowHeight;
  #paths = {};
  #quiet = []; // numbers of the lines on stderr that say nothing of an error
  #loud = []; // and of the others
  #first = -1;
  #scanned = 0;
  #drawnAt = 0;
  #later = 0;

  /** How many errors there are: where most is written to stderr, only lines that say so count. */
  get count() {
    return this.#loud.length + (this.#quietCounts ? this.#quiet.length : 0);
  }

  /** The next error after (or, backwards, before) a line, going round; -1 without any. */
  next(number, backwards) {
    const lists = this.#quietCounts ? [this.#loud, this.#quiet] : [this.#loud];
    const [beyond, ends] = [[], []];
    for (const list of lists) {
      const found = backwards ? list.findLast((each) => each < number) : list.find((each) => each > number);
      if (found !== undefined) beyond.push(found);
      if (list.length) ends.push(list.at(backwards ? -1 : 0));
    }
    const from = beyond.length ? beyond : ends;
    if (!from.length) return -1;
    return backwards ? Math.max(...from) : Math.min(...from);
  }

  /** Begin anew: other lines have these numbers now. */
  reset() {
    [this.#quiet, this.#loud] = [[], []];
    this.#first = -1;
  }

  /** Lines from this number on are others than they were. */
  rescan(from) {
    for (const list of [this.#quiet, this.#loud]) while (list.at(-1) >= from) list.pop();
    this.#scanned = Math.min(this.#scanned, from);
  }

  /** Take in what is new, for a few milliseconds; whether there is more. */
  update() {
    const { source } = this.#view;
    if (this.#first < 0 || source.first < this.#first) {
      this.reset();
      this.#scanned = source.first;
    } else if (source.first > this.#first) {
      for (const list of [this.#quiet, this.#loud]) {
        const kept = list.findIndex((number) => number >= source.first);
        if (kept) list.splice(0, kept < 0 ? list.length : kept);
      }
    }
    this.#first = source.first;
    this.#scanned = Math.max(this.#scanned, source.first);
    const until = performance.now() + SLICE;
    while (this.#scanned < source.end) {
      if (this.#scanned % 256 === 0 && performance.now() > until) return true;
      const { kind, text } = source.line(this.#scanned);
      if (kind === KIND.bad || kind === KIND.broke) this.#loud.push(this.#scanned);
      else if (kind <= KIND.err) {
        if (SAYS.test(text.length > WITHIN ? text.slice(0, WITHIN) : text)) this.#loud.push(this.#scanned);
        else if (kind === KIND.err) this.#quiet.push(this.#scanned);
      }
      this.#scanned += 1;
    }
    return false;
  }

  /** Draw them, `matches` too, a few times a second. */
  draw(matches) {
    const now = performance.now();
    clearTimeout(this.#later);
    if (now - this.#drawnAt < EVERY) {
      this.#later = setTimeout(() => this.draw(matches), EVERY);
      return;
    }
    this.#drawnAt = now;
    // Of lines that do not fill the box, each mark is beside its line.
    const high = Math.min(this.element.clientHeight, this.#view.count * this.#rowHeight);
    if (!high) return;
    const quiet = this.#quietCounts ? this.#quiet : [];
    for (const [kind, numbers] of [["quiet", quiet], ["loud", this.#loud], ["hit", matches]]) this.#path(kind, numbers, high);
  }

  destroy() {
    clearTimeout(this.#later);
  }

  get #quietCounts() {
    return this.#quiet.length * 2 < this.#view.source.length;
  }

  #path(kind, numbers, high) {
    const view = this.#view;
    const { count } = view;
    const places = new Set();
    const stride = Math.max(1, Math.floor(numbers.length / (4 * high))); // as many as can be told apart
    for (let at = 0; at < numbers.length; at += stride) {
      const index = view.indexOf(numbers[at]);
      if (index < count && view.row(index).number === numbers[at]) places.add(Math.round((index / count) * (high - HIGH)));
    }
    const drawn = [...places].map((y) => `M0 ${y}h10v${HIGH}h-10z`).join("");
    if (this.#paths[kind].getAttribute("d") !== drawn) this.#paths[kind].setAttribute("d", drawn);
  }
}
