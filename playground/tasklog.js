// The lines of one task that the page holds: the newest 100,000, or fewer when they are long. Lines have
// numbers of their own (`first` up to, not including, `end`) that never change, whatever is let go in front.

import { carry } from "./ansi.js";

const LINES = 100_000;
const CHARS = 48_000_000;

/** The number of a log's first line: others may be put in front of it. */
export const BEGIN = 1_000_000_000;

/** What a line is: output, or a note: of what happened, of lines that are missing, of what went wrong; that a run began,
 * and that it ended, well or badly. */
export const KIND = { out: 0, err: 1, note: 2, gap: 3, bad: 4, begun: 5, ended: 6, broke: 7 };

export class TaskLog {
  constructor(taskId) {
    this.taskId = taskId;
    this.first = BEGIN;
    this.chars = 0;
    this.partials = [null, null]; // the unfinished lines of stdout and stderr, as lines without a seq
    this.outputs = 0; // how many lines are output
    this.missed = 0; // lines that the server or the page skipped
    this.#lines = [];
    this.#head = 0;
  }

  #lines;
  #head; // where in #lines the first one is; what is before was let go
  #styles = [null, null]; // the colours that stdout and stderr are in at the end

  get end() {
    return this.first + this.#lines.length - this.#head;
  }

  get length() {
    return this.#lines.length - this.#head;
  }

  /** The line with this number: {kind, text, ts, seq, style, truncated, overwritten}. */
  line(number) {
    return this.#lines[this.#head + number - this.first];
  }

  /** Add a chunk of output as socket.js makes them, from its line `skip` up to `end`, not included. */
  addChunk(chunk, skip, end = chunk.lines.length) {
    const kind = chunk.stream === "stderr" ? KIND.err : KIND.out;
    const { lines, ts, seq, truncated, overwritten } = chunk;
    this.partials[kind] = null;
    for (let index = skip; index < end; index += 1) {
      const text = lines[index];
      const style = this.#styles[kind];
      if (style !== null || text.includes("\x1b")) this.#styles[kind] = carry(text, style);
      this.#lines.push({ kind, text, ts, seq: seq + index, style, truncated: truncated === true, overwritten });
      this.chars += text.length;
    }
    this.outputs += end - skip;
    this.#trim();
  }

  /** The line that a stream is at, which its next line takes the place of. */
  setPartial({ stream, data: text, ts }) {
    const kind = stream === "stderr" ? KIND.err : KIND.out;
    this.partials[kind] = text ? { kind, text, ts, style: this.#styles[kind] } : null;
  }

  /** Clear the unfinished lines. */
  endPartials() {
    this.partials = [null, null];
  }

  /** Add a line of the page's own: what happened to the task, or that lines are missing. */
  addNote(kind, text, ts, seq = 0) {
    if (kind !== KIND.gap) this.#styles = [null, null];
    this.#lines.push({ kind, text, ts, seq, style: null, truncated: false });
    this.#trim();
  }

  /** The seq of the first line of output that is held; 0: none is. */
  get firstSeq() {
    return this.#firstOutput?.seq ?? 0;
  }

  get #firstOutput() {
    for (let at = this.#head; at < this.#lines.length; at += 1) if (this.#lines[at].kind <= KIND.err) return this.#lines[at];
    return undefined;
  }

  /** The time of that line, or "". */
  get firstTime() {
    return this.#firstOutput?.ts ?? "";
  }

  /** The number of the line of output with this seq, the latest of a task that began anew; -1: it is not held. */
  numberOf(seq) {
    for (let at = this.#lines.length - 1; at >= this.#head; at -= 1) {
      const line = this.#lines[at];
      if (line.kind <= KIND.err && line.seq === seq) return this.first + at - this.#head;
    }
    return -1;
  }

  /** All of it as the child wrote it. */
  text() {
    const lines = this.#lines.slice(this.#head).filter(({ kind }) => kind <= KIND.err);
    return lines.map(({ text }) => `${text}\n`).join("");
  }

  /** What its last line is, a KIND, or -1. */
  get lastKind() {
    return this.#lines.at(-1)?.kind ?? -1;
  }

  /** Put lines of the server's log in front: {seq, ts, stream, data, truncated}; `notesAt` (seq): notes before a line,
   * {kind, text, ts}. */
  addEarlier(lines, notesAt) {
    const { end } = this;
    if (this.#lines[this.#head]?.kind === KIND.gap) this.#head += 1; // the note that they are not shown
    this.outputs += lines.length;
    const earlier = lines.flatMap(({ seq, ts, stream, data: text, truncated }) => {
      this.chars += text.length;
      const kind = stream === "stderr" ? KIND.err : KIND.out;
      const notes = notesAt(seq).map((note) => ({ ...note, seq: 0, style: null, truncated: false }));
      return [...notes, { kind, text, ts, seq, style: null, truncated: truncated === true }];
    });
    this.#lines = [...earlier, ...this.#lines.slice(this.#head)];
    this.#head = 0;
    this.first = end - this.#lines.length;
  }

  /** What is held now, for a view that is not to change; costs one reference a line. */
  freeze() {
    const lines = this.#lines.slice(this.#head);
    const { first } = this;
    const partials = [...this.partials];
    return { partials, first, end: first + lines.length, length: lines.length, line: (number) => lines[number - first] };
  }

  #trim() {
    while (this.length > LINES || (this.chars > CHARS && this.length > 1)) {
      const gone = this.#lines[this.#head];
      if (gone.kind <= KIND.err) {
        this.chars -= gone.text.length;
        this.outputs -= 1;
      }
      this.#lines[this.#head] = undefined;
      this.#head += 1;
      this.first += 1;
    }
    if (this.#head > LINES / 4) {
      this.#lines = this.#lines.slice(this.#head);
      this.#head = 0;
    }
  }
}
