// Which rows a viewer shows: the lines of a log (or of a frozen copy of it) that pass the filter, each in one row or
// broken into several, and below an unfolded line the rows of what is in it. No DOM in here.

import { KIND } from "./tasklog.js";
import { plain } from "./ansi.js";
import { jsonOf, jsonRows } from "./json.js";
import { drawn } from "./linerow.js";
import { patternOf } from "./logsearch.js";
import { rowsOf, wrapped } from "./wrap.js";

const SLICE = 6; // ms of looking through lines in one frame
const STRIDE = 30_000; // characters between two looks at the clock

export class LineView {
  constructor(log, columns) {
    this.#log = log;
    this.#source = log;
    this.#first = log.first;
    this.#columns = columns; // tells how many characters fit in a row
    this.setFilter({});
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
  #ends = []; // of the lines that are shown, while they are broken into rows: how many rows there are up to each's end
  #gone = 0; // how many of these rows are gone at the top
  columns = 0; // characters of a row that lines are broken into; 0: they are not
  version = 0; // changes whenever rows must be drawn again

  get pattern() {
    return this.#pattern;
  }

  /** Whether it is known which lines match: something is looked for. */
  get counts() {
    return this.#filter.counts;
  }

  get frozen() {
    return this.#source !== this.#log;
  }

  /** How many lines came since the view was frozen. */
  get behind() {
    return this.#log.end - this.#source.end;
  }

  /** The numbers of the lines that match, as far as they were looked at. */
  get matches() {
    return this.#matches;
  }

  /** Show what there is now, whatever comes, or, with `on` false, what comes too. */
  freeze(on) {
    this.#source = on ? this.#log.freeze() : this.#log;
  }

  /** The lines that are looked at, as the log has them. */
  get source() {
    return this.#source;
  }

  /**
   * `wanted`: what to look for, {text, regex, exact}; `only`: hide other lines; `mark`: a pattern to mark instead;
   * `out`, `err`: false for a stream that is hidden; `wrap`: break lines into rows. Throws SyntaxError for a bad
   * expression.
   */
  setFilter(filter) {
    const { wanted = { text: "" }, mark = null, only = false, out = true, err = true, wrap = false } = filter;
    const pattern = wanted.text ? patternOf(wanted) : mark;
    if (wanted.text && !pattern) throw new SyntaxError("no valid expression");
    this.#pattern = pattern;
    this.#filter = { only: only && Boolean(wanted.text), counts: Boolean(wanted.text), out, err };
    this.#shown = this.#filter.only || !out || !err ? [] : null;
    this.columns = wrap ? Math.max(10, this.#columns()) : 0;
    this.#ends = [];
    this.#gone = 0;
    this.#matches = [];
    this.#scanned = this.#first = this.#source.first;
    for (const number of this.#unfolded.keys()) if (this.#shown || number >= this.#source.end) this.#unfolded.delete(number);
    this.version += 1;
  }

  /** Lines from this number on are others than they were. */
  rescan(from) {
    const place = this.#place(from);
    if (this.columns) this.#ends.length = Math.min(this.#ends.length, place);
    if (this.#shown) this.#shown.length = Math.min(this.#shown.length, place);
    this.#matches.length = lowerBound(this.#matches, from);
    this.#scanned = Math.min(this.#scanned, from);
    for (const number of this.#unfolded.keys()) if (number >= from) this.#unfolded.delete(number);
    this.version += 1;
  }

  /** Take in what is new, for a few milliseconds. Returns {more, removed}: whether to go on in the next
   * frame, and how many rows went away at the top. */
  update() {
    const source = this.#source;
    const removed = this.#forget(source.first);
    if (!this.#filter.counts && this.#shown === null && !this.columns) {
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
      return !only || plain(line.text).search(this.#pattern) >= 0;
    });
  }

  get count() {
    let rows = this.#rowsUpTo(this.#lineCount - 1);
    for (const { rows: more } of this.#unfolded.values()) rows += more.length;
    return rows;
  }

  /** What row `index` shows: {number, line, part, sub}: a row of those that a line takes, or of what is in it. */
  row(index) {
    let row = index;
    for (const [number, { rows }] of this.#unfolded) {
      const end = this.#rowsUpTo(this.#place(number));
      if (end > row) break;
      if (row < end + rows.length) return { number, line: this.#source.line(number), part: 0, sub: rows[row - end] };
      row -= rows.length;
    }
    const place = this.columns ? lowerBound(this.#ends, row + this.#gone + 1) : row;
    const number = this.#number(place);
    return { number, line: this.#source.line(number), part: row - this.#rowsUpTo(place - 1), sub: null };
  }

  /** The first row of a line, or of the next one that is shown. */
  indexOf(number) {
    let index = this.#rowsUpTo(this.#place(number) - 1);
    for (const [each, { rows }] of this.#unfolded) if (each < number) index += rows.length;
    return index;
  }

  /** The next line that matches, after (or, backwards, before) this one, going round; -1 without any. */
  find(number, backwards) {
    if (!this.#matches.length) return -1;
    const at = lowerBound(this.#matches, backwards ? number : number + 1);
    return this.#matches.at(backwards ? at - 1 : at % this.#matches.length);
  }

  /** Which of the matches a line is, from 1; 0: none. */
  placeOf(number) {
    const at = lowerBound(this.#matches, number);
    return this.#matches[at] === number ? at + 1 : 0;
  }

  isUnfolded(number) {
    return this.#unfolded.has(number);
  }

  /** Whether there is more in a line than its rows show. */
  canUnfold(line) {
    if (line.kind > KIND.err) return false;
    return (!this.columns && drawn(line).length > this.#columns()) || jsonOf(line.text) !== undefined;
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

  /** The lines shown, or those from one to another, as text. `raw`: as the child wrote them, escape sequences and all. */
  text({ raw = false, stamp = null, from = -Infinity, to = Infinity } = {}) {
    const parts = [];
    const add = ({ kind, text, ts }) => {
      const body = kind > KIND.err ? `--- ${text} ---` : raw ? text : plain(text);
      parts.push(stamp ? `${stamp(ts)} ${body}` : body);
    };
    for (let place = Math.max(0, this.#place(from)); place < this.#lineCount; place += 1) {
      const number = this.#number(place);
      if (number > to) break;
      add(this.#source.line(number));
    }
    if (to === Infinity) this.partials.forEach(add);
    return parts.length ? `${parts.join("\n")}\n` : "";
  }

  get #lineCount() {
    if (this.#shown) return this.#shown.length;
    return this.columns ? this.#ends.length : this.#source.length;
  }

  #number(place) {
    return this.#shown ? this.#shown[place] : this.#source.first + place;
  }

  #place(number) {
    return this.#shown ? lowerBound(this.#shown, number) : Math.max(0, number - this.#source.first);
  }

  // How many rows the lines take up to this one, included.
  #rowsUpTo(place) {
    if (place < 0) return 0;
    if (!this.columns) return place + 1;
    return (this.#ends[Math.min(place, this.#ends.length - 1)] ?? this.#gone) - this.#gone;
  }

  #look(number, line) {
    const { out, err, only, counts } = this.#filter;
    const isOutput = line.kind <= KIND.err;
    const wanted = !isOutput || (line.kind === KIND.out ? out : err);
    let matches = false;
    if (counts && wanted && isOutput) {
      this.#pattern.lastIndex = 0;
      matches = this.#pattern.test(plain(line.text));
    }
    if (matches) this.#matches.push(number);
    if (this.#shown) {
      if (!wanted || (only && !matches && line.kind !== KIND.gap)) return;
      this.#shown.push(number);
    }
    if (this.columns) this.#ends.push((this.#ends.at(-1) ?? this.#gone) + (isOutput ? rowsOf(line, this.columns) : 1));
  }

  // Lines before `first` are gone; returns how many rows that were.
  #forget(first) {
    const gone = this.#shown ? lowerBound(this.#shown, first) : Math.max(0, first - this.#first);
    this.#first = first;
    if (!gone && !this.#matches.length) return 0;
    let removed = this.#rowsUpTo(gone - 1);
    if (gone && this.columns) {
      this.#gone += removed;
      this.#ends = this.#ends.slice(gone);
    }
    if (gone && this.#shown) this.#shown = this.#shown.slice(gone);
    const past = lowerBound(this.#matches, first);
    if (past) this.#matches = this.#matches.slice(past);
    for (const [number, { rows }] of this.#unfolded) {
      if (number >= first) break;
      removed += rows.length;
      this.#unfolded.delete(number);
    }
    return removed;
  }
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
