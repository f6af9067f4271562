// The lines of several logs in the order of their times, for one view of all of them. It keeps no text of its own; it
// looks to a LineView as a TaskLog does.

import { BEGIN, KIND } from "./tasklog.js";

const MOST = 150_000; // lines

export class MergedLog {
  /** `sources`: [{log, who: {name, hue}}]. */
  constructor(sources) {
    this.#sources = sources.map((source) => ({ ...source, taken: source.log.first, first: source.log.first }));
    this.take();
  }

  first = BEGIN;
  #sources;
  #lines = []; // {line, source}

  get end() {
    return this.first + this.#lines.length;
  }

  get length() {
    return this.#lines.length;
  }

  get outputs() {
    return this.#sources.reduce((sum, { log }) => sum + log.outputs, 0);
  }

  line(number) {
    return this.#lines[number - this.first]?.line;
  }

  /** {log, who} of a line. */
  sourceOf(number) {
    return this.#lines[number - this.first]?.source;
  }

  get partials() {
    return partialsOf(this.#sources);
  }

  /** Take in what the logs have. Returns the number from which on other lines are than were there. */
  take() {
    let moved = Infinity;
    if (this.#sources.some(({ log, first }) => log.first < first)) {
      // One was given earlier lines: all is put in order again.
      this.first = this.end; // numbers are never used again
      this.#lines = [];
      for (const source of this.#sources) source.taken = source.log.first;
      moved = this.first;
    }
    let fresh = [];
    for (const source of this.#sources) {
      const { log } = source;
      for (let number = Math.max(source.taken, log.first); number < log.end; number += 1) fresh.push({ line: log.line(number), source });
      source.taken = log.end;
      source.first = log.first;
    }
    if (!fresh.length) return moved;
    fresh.sort(byTime);
    // What came later than others from a later time goes before these.
    let kept = this.#lines.length;
    while (kept && this.#lines[kept - 1].line.ts > fresh[0].line.ts) kept -= 1;
    if (kept < this.#lines.length) {
      fresh = [...this.#lines.slice(kept), ...fresh].sort(byTime);
      this.#lines.length = kept;
      moved = Math.min(moved, this.first + kept);
    }
    for (const each of fresh) this.#lines.push(each);
    const gone = this.#lines.length - MOST;
    if (gone > MOST / 8) {
      this.#lines = this.#lines.slice(gone);
      this.first += gone;
    }
    return moved;
  }

  freeze() {
    const lines = [...this.#lines];
    const { first } = this;
    const partials = this.partials;
    return {
      partials,
      first,
      end: first + lines.length,
      length: lines.length,
      line: (number) => lines[number - first]?.line,
      sourceOf: (number) => lines[number - first]?.source,
    };
  }

  /** The number of the first line of output from a time (ms) on, or -1. */
  numberAt(time) {
    const at = this.#lines.findIndex(({ line: { kind, ts } }) => kind <= KIND.err && Date.parse(ts) >= time);
    return at < 0 ? -1 : this.first + at;
  }
}

const byTime = ({ line: { ts: a } }, { line: { ts: b } }) => (a < b ? -1 : a > b ? 1 : 0);

const partialsOf = (sources) =>
  sources.flatMap(({ log, who }) => log.partials.filter((line) => line !== null).map((line) => ({ ...line, who })));
