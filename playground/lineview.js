// Which rows a viewer shows: the lines of a log (or of a frozen copy of it) that pass the filter, and below
// an unfolded line the rows of what is in it. No DOM in here.

import { KIND } from "./tasklog.js";
import { plain } from "./ansi.js";
import { count } from "./format.js";
import { jsonOf, jsonRows } from "./json.js";
import { drawn } from "./linerow.js";
import { literal } from "./logsearch.js";

const SLICE = 6; // ms of looking through lines in one frame
const UNFOLDED = 2000; // rows of one unfolded line
const STRIDE = 30_000; // characters between two looks at the clock

export class LineView {
  constructor(log, columns) {
    this.#log = log;
    this.#source = log;
    this.#first = log.first;
    this.#columns = columns; // tells how many characters fit in a row
    this.setFilter({ text: "", only: true, out: true, err: true });
  }

  #log;
  #source;
  #columns;
  #filter;
  #pattern = null;
  #shown = null; // numbers of the lines shown, or null when all are
  #matches = []; // numbers of the lines that match
  #scanned = 0; // lines from this number on were not looked at yet
  #first; // of the source, when it was last looked at
  #unfolded = new Map(); // number -> {rows, closed, value}
  version = 0; // changes whenever rows must be drawn again

  get pattern() {
    return this.#pattern;
  }

  get paused() {
    return this.#source !== this.#log;
  }

  /** How many lines came since the pause. */
  get behind() {
    return this.#log.end - this.#source.end;
  }

  get matchCount() {
    return this.#matches.length;
  }

  pause(on) {
    this.#source = on ? this.#log.freeze() : this.#log;
  }

  /**
   * `text`: what to look for, /between slashes/ a regular expression, or as one in `mark`; `only`: hide other
   * lines; `out`, `err`: which streams. Throws SyntaxError for a bad expression.
   */
  setFilter(filter) {
    const { text, mark = null } = filter;
    const { text: source, regex } = wantedOf(text);
    this.#pattern = text ? new RegExp(regex ? source : literal(source), "gi") : mark;
    this.#filter = filter;
    this.#shown = (this.#pattern && filter.only) || !filter.out || !filter.err ? [] : null;
    this.#matches = [];
    this.#scanned = this.#source.first;
    for (const number of this.#unfolded.keys()) if (number >= this.#source.end) this.#unfolded.delete(number);
    this.version += 1;
  }

  /** Take in what is new, for a few milliseconds. Returns {more, removed}: whether to go on in the next
   * frame, and how many rows went away at the top. */
  update() {
    const source = this.#source;
    const removed = this.#forget(source.first);
    const scanning = this.#pattern !== null || this.#shown !== null;
    if (!scanning) {
      this.#scanned = source.end;
      return { more: false, removed };
    }
    const until = performance.now() + SLICE;
    this.#scanned = Math.max(this.#scanned, source.first);
    let chars = 0;
    while (this.#scanned < source.end) {
      if (chars > STRIDE) {
        if (performance.now() > until) return { more: true, removed };
        chars = 0;
      }
      const line = source.line(this.#scanned);
      chars += 100 + line.text.length;
      this.#look(this.#scanned, line);
      this.#scanned += 1;
    }
    return { more: false, removed };
  }

  /** The unfinished lines that pass the filter. */
  get partials() {
    const { out, err, only } = this.#filter;
    return this.#source.partials.filter((line) => {
      if (!line || !(line.kind === KIND.out ? out : err)) return false;
      return !this.#pattern || !only || plain(line.text).search(this.#pattern) >= 0;
    });
  }

  get count() {
    let rows = this.#lineCount;
    for (const { rows: more } of this.#unfolded.values()) rows += more.length;
    return rows;
  }

  /** What row `index` shows: {number, line, sub}, where `sub` is null for the line itself. */
  row(index) {
    let place = index;
    for (const [number, { rows }] of this.#unfolded) {
      const at = this.#place(number);
      if (at >= place) break;
      if (place <= at + rows.length) return { number, line: this.#source.line(number), sub: rows[place - at - 1] };
      place -= rows.length;
    }
    const number = this.#number(place);
    return { number, line: this.#source.line(number), sub: null };
  }

  /** The row of a line, or of the next one that is shown. */
  indexOf(number) {
    let index = this.#place(number);
    for (const [each, { rows }] of this.#unfolded) if (each < number) index += rows.length;
    return index;
  }

  /** The next line that matches, after (or, backwards, before) this one, going round; -1 without any. */
  find(number, backwards) {
    if (!this.#matches.length) return -1;
    const at = lowerBound(this.#matches, backwards ? number : number + 1);
    return this.#matches.at(backwards ? at - 1 : at % this.#matches.length);
  }

  isUnfolded(number) {
    return this.#unfolded.has(number);
  }

  /** Whether there is more in a line than its row shows. */
  canUnfold(line) {
    return line.kind <= KIND.err && (drawn(line).length > this.#columns() || jsonOf(line.text) !== undefined);
  }

  /** Fold or unfold a line, or with `path` a part of its JSON. */
  toggle(number, path = "") {
    const open = this.#unfolded.get(number);
    if (open && path) {
      if (!open.closed.delete(path)) open.closed.add(path);
      open.rows = jsonRows(open.value, open.closed);
    } else if (open) {
      this.#unfolded.delete(number);
    } else {
      const line = this.#source.line(number);
      if (!line || !this.canUnfold(line)) return;
      const value = jsonOf(line.text);
      const closed = new Set();
      const rows = value === undefined ? wrapped(plain(line.text), this.#columns()) : jsonRows(value, closed);
      this.#unfolded.set(number, { value, closed, rows });
      this.#unfolded = new Map([...this.#unfolded].sort(([a], [b]) => a - b));
    }
    this.version += 1;
  }

  /** The lines shown, as text. `raw`: as the child wrote them, escape sequences and all. */
  text({ raw = false, stamp = null } = {}) {
    const parts = [];
    const add = ({ kind, text, ts }) => {
      const body = kind > KIND.err ? `--- ${text} ---` : raw ? text : plain(text);
      parts.push(stamp ? `${stamp(ts)} ${body}` : body);
    };
    for (let place = 0; place < this.#lineCount; place += 1) {
      add(this.#source.line(this.#number(place)));
    }
    this.partials.forEach(add);
    return parts.length ? `${parts.join("\n")}\n` : "";
  }

  get #lineCount() {
    return this.#shown ? this.#shown.length : this.#source.length;
  }

  #number(place) {
    return this.#shown ? this.#shown[place] : this.#source.first + place;
  }

  #place(number) {
    return this.#shown ? lowerBound(this.#shown, number) : Math.max(0, number - this.#source.first);
  }

  #look(number, line) {
    const isOutput = line.kind <= KIND.err;
    const wanted = !isOutput || (line.kind === KIND.out ? this.#filter.out : this.#filter.err);
    let matches = false;
    if (this.#pattern && wanted) {
      this.#pattern.lastIndex = 0;
      matches = this.#pattern.test(isOutput ? plain(line.text) : line.text);
    }
    if (matches) this.#matches.push(number);
    if (this.#shown && wanted && (matches || !this.#pattern || !this.#filter.only || line.kind === KIND.gap)) {
      this.#shown.push(number);
    }
  }

  // Lines before `first` are gone; returns how many rows that were.
  #forget(first) {
    let removed = this.#shown ? lowerBound(this.#shown, first) : Math.max(0, first - this.#first);
    this.#first = first;
    if (!removed && !this.#matches.length) return 0;
    if (this.#shown && removed) this.#shown = this.#shown.slice(removed);
    const gone = lowerBound(this.#matches, first);
    if (gone) this.#matches = this.#matches.slice(gone);
    for (const [number, { rows }] of this.#unfolded) {
      if (number >= first) break;
      removed += rows.length;
      this.#unfolded.delete(number);
    }
    return removed;
  }
}

/** A search: /between slashes/ a regular expression. Case is ignored. */
export function wantedOf(text) {
  const regex = text.length > 2 && text.startsWith("/") && text.endsWith("/");
  return { text: regex ? text.slice(1, -1) : text, regex, exact: false };
}

function wrapped(text, columns) {
  const rows = [];
  const width = Math.max(20, columns - 4);
  const add = (part) => rows.push({ depth: 0, key: "", text: part, kind: "wrap", path: "" });
  let at = 0;
  while (at < text.length && rows.length < UNFOLDED) {
    // Not between the two halves of one character.
    const end = at + width + (/[\ud800-\udbff]/.test(text[at + width - 1] ?? "") ? 1 : 0);
    add(text.slice(at, end));
    at = end;
  }
  if (at < text.length) add(`… ${count(text.length - at)} more characters: download the output to see them`);
  return rows;
}

function lowerBound(numbers, wanted) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
