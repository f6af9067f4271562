// Lines of one run out of the server's log: a window of them, which grows at either end and is moved anywhere. It
// looks to a LineView as a TaskLog does; lines have a number here, and keep their seq.

import { carry } from "./ansi.js";
import { count, many } from "./format.js";
import { BEGIN, KIND } from "./tasklog.js";

const PAGE = 1000; // lines of one request
const MOST = 20_000; // lines that are held
const WIDEST = 200_000; // seqs looked through at once for lines of one stream

export class RunLines {
  /** `head`: the notes before the lines, `foot`: that behind them, or null, {text, ts, fine or begun}. */
  constructor(link, run, { head, foot }) {
    this.#link = link;
    this.run = run;
    this.#head = head;
    this.#foot = foot;
  }

  first = BEGIN;
  partials = [null, null];
  stream = ""; // lines of this one only
  #foot;
  #link;
  #head;
  #lines = [];
  #from = 0; // what is held is all that the log has from this seq on,
  #to = 0; // up to this one, not included
  #lowest = 0; // the first and the last seq that the log has of the run
  #highest = -1;
  #expired = 0; // lines at the beginning that the log has no more
  #busy = null; // what is being loaded

  get end() {
    return this.first + this.#lines.length;
  }

  get length() {
    return this.#lines.length;
  }

  /** {kind, text, ts, seq, style, truncated}; the notes at both ends have no finite seq. */
  line(number) {
    return this.#lines[number - this.first];
  }

  get hasEarlier() {
    return this.#from > this.#lowest;
  }

  get hasLater() {
    return this.#to <= this.#highest;
  }

  /** The seq of the first line that the log has of the run. */
  get lowest() {
    return this.#lowest;
  }

  /** How many lines of output the log has of the run. */
  get total() {
    return Math.max(0, this.#highest - this.#lowest + 1);
  }

  /** Which one of them a line is, from 1. */
  place(seq) {
    return Math.max(1, Math.min(this.total, seq - this.#lowest + 1));
  }

  /** How many lines the log has behind those that are held. */
  get left() {
    return Math.max(0, this.#highest - this.#to + 1);
  }

  /** Whether a line is held, or would be. */
  holds(seq) {
    return this.#from <= seq && seq < this.#to;
  }

  /** The number of the line with this seq, or of the next one. */
  numberOf(seq) {
    let low = 0;
    let high = this.#lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return this.first + Math.min(low, Math.max(0, this.#lines.length - 1));
  }

  /** Learn what the log has; to be called first, and again to learn of more. Throws what the link does. */
  async look() {
    const { run } = this;
    if (run.last_seq !== undefined && run.last_seq < run.first_seq) return;
    const { lines, first_seq: first } = await this.#ask({ tail: 1 }, "");
    if (!lines.length) {
      this.#expired = run.last_seq === undefined ? 0 : run.last_seq - run.first_seq + 1;
      return;
    }
    this.#lowest = Math.max(run.first_seq, first);
    this.#expired = this.#lowest - run.first_seq;
    this.#highest = lines[0].seq;
  }

  /** Hold the last lines. */
  loadEnd() {
    return this.loadAround(this.#highest + 1);
  }

  /** Hold a line and those around it. */
  loadAround(seq) {
    return this.#once(async () => {
      const middle = Math.max(this.#lowest, Math.min(seq, this.#highest) - PAGE / 2);
      this.first = this.end; // numbers are never used again
      this.#lines = [];
      this.#from = middle;
      this.#to = middle;
      if (this.#highest >= this.#lowest) await this.#forward(PAGE);
      if (this.stream && this.#lines.length < PAGE / 2) await this.#backward();
      this.#frame();
    });
  }

  /** Hold more lines at the top; whether any came. */
  loadEarlier() {
    if (this.#busy || !this.hasEarlier) return false;
    return this.#once(async () => {
      this.#unframe();
      await this.#backward();
      if (this.#lines.length > MOST) {
        this.#to = this.#lines[MOST].seq;
        this.#lines.length = MOST;
      }
      this.#frame();
      return true;
    });
  }

  /** Hold more lines at the bottom; whether any came. */
  loadLater() {
    if (this.#busy || !this.hasLater) return false;
    return this.#once(async () => {
      this.#unframe();
      await this.#forward(PAGE);
      const gone = this.#lines.length - MOST;
      if (gone > 0) {
        this.#from = this.#lines[gone].seq;
        this.#lines = this.#lines.slice(gone);
        this.first += gone;
      }
      this.#frame();
      return true;
    });
  }

  /** The run is this now, and its lines have this note behind them. */
  update(run, foot) {
    this.run = run;
    this.#unframe();
    this.#foot = foot;
    this.#frame();
  }

  /** The seq of the first line from a time on, or 0. */
  async seqAt(since) {
    const { lines } = await this.#ask({ since, limit: 1 });
    return lines[0]?.seq ?? 0;
  }

  async #forward(limit) {
    const page = await this.#ask({ from_seq: this.#to, limit });
    this.#add(page.lines);
    this.#to = Math.max(this.#to, page.next_seq);
  }

  // Those before: of one stream they may be far away.
  async #backward() {
    const until = this.#from;
    let found = [];
    for (let span = PAGE; !found.length && this.hasEarlier; span = Math.min(span * 8, WIDEST)) {
      const from = Math.max(this.#lowest, this.#from - span);
      for (let at = from; at < this.#from; ) {
        const page = await this.#ask({ from_seq: at, limit: PAGE });
        found = found.concat(page.lines.filter(({ seq }) => seq < this.#from));
        if (page.next_seq <= at) break;
        at = page.next_seq;
      }
      this.#from = from;
    }
    const made = this.#made(found, this.#from, [null, null]);
    const after = (found.at(-1)?.seq ?? until - 1) + 1;
    if (!this.stream && after < until) made.push(hole(after, until - 1));
    this.#lines = [...made, ...this.#lines];
    this.first -= made.length;
  }

  #ask(fields, stream = this.stream) {
    const { task_id: taskId, run_id: runId } = this.run;
    const request = { type: "logs", task_id: taskId, run_id: runId, ...fields };
    if (stream) request.stream = stream;
    return this.#link.request(request, { own: true });
  }

  // One thing after the other.
  async #once(act) {
    while (this.#busy) await this.#busy.catch(() => undefined);
    const mine = act();
    this.#busy = mine;
    try {
      return await mine;
    } finally {
      this.#busy = null;
    }
  }

  #add(lines) {
    const styles = [null, null];
    for (const { kind, style, text } of this.#lines.slice(-200)) if (kind <= KIND.err) styles[kind] = carry(text, style);
    this.#lines.push(...this.#made(lines, this.#to, styles));
  }

  // As they are held, and what is missing between them, from this seq on.
  #made(lines, from, styles) {
    const made = [];
    for (const { seq, ts, stream, data: text, truncated } of lines) {
      if (!this.stream && seq > from) made.push(hole(from, seq - 1));
      from = seq + 1;
      const kind = stream === "stderr" ? KIND.err : KIND.out;
      const style = styles[kind];
      if (style !== null || text.includes("\x1b")) styles[kind] = carry(text, style);
      made.push({ kind, text, ts, seq, style, truncated: truncated === true });
    }
    return made;
  }

  // The notes at the ends, where these are held.
  #frame() {
    const before = [];
    if (!this.hasEarlier) {
      for (const { text, ts, fine, begun } of this.#head) before.push(note(kindOf(fine, begun), text, ts, -Infinity));
      if (this.#expired) {
        const text = `${many(this.#expired, "line")} of this run expired: storage in the server's configuration says how much is kept`;
        before.push(note(KIND.gap, text, "", -Infinity));
      }
    }
    this.#lines.unshift(...before);
    this.first -= before.length;
    if (!this.hasLater && this.#foot) {
      this.#lines.push(note(kindOf(this.#foot.fine), this.#foot.text, this.#foot.ts, Infinity));
    }
  }

  #unframe() {
    while (this.#lines[0]?.seq === -Infinity) {
      this.#lines.shift();
      this.first += 1;
    }
    while (this.#lines.at(-1)?.seq === Infinity) this.#lines.pop();
  }
}

const kindOf = (fine, begun = false) => (begun ? KIND.begun : fine ? KIND.ended : KIND.broke);

const note = (kind, text, ts, seq) => ({ kind, text, ts, seq, style: null, truncated: false });

function hole(from, to) {
  const which = from === to ? `line ${count(from)}` : `lines ${count(from)} to ${count(to)}`;
  return note(KIND.gap, `${many(to - from + 1, "line")} not in the log (${which}): the disk was full, slow or failed`, "", from);
}
