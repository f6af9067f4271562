// Where runs begin among the lines of a task, as the history has it: for lines that come out of the log, of which nobody
// was told when a run began or ended.

import { notesOf } from "./runwords.js";
import { KIND } from "./tasklog.js";

const RUNS = 100; // the latest ones

export class RunBounds {
  #notes = new Map(); // the seq of a run's first line -> the notes before it

  /** Learn of the runs of a task up to now. Throws what the link does. */
  async load(link, taskId) {
    const { runs } = await link.request({ type: "runs", task_id: taskId, limit: RUNS }, { own: true });
    this.#notes = new Map(runs.map((run, at) => [run.first_seq, notesBefore(run, runs[at + 1])]));
  }

  /** The notes before the line with this seq, once. */
  take(seq) {
    const notes = this.#notes.get(seq) ?? [];
    this.#notes.delete(seq);
    return notes;
  }

  /** Add a chunk of output to a log, from its line `skip` on; where a run begins among its lines, that is said. */
  addTo(log, chunk, skip) {
    const end = chunk.seq + chunk.lines.length;
    for (let from = chunk.seq + skip; from < end; ) {
      for (const { kind, text, ts } of this.take(from)) {
        const said = kind !== KIND.begun && (log.lastKind === KIND.ended || log.lastKind === KIND.broke);
        if (!said) log.addNote(kind, text, ts);
      }
      const to = this.#next(from, end);
      log.addChunk(chunk, from - chunk.seq, to - chunk.seq);
      from = to;
    }
  }

  // The first seq after this one, up to `end`, that a run begins at.
  #next(seq, end) {
    let first = end;
    for (const each of this.#notes.keys()) if (each > seq && each < first) first = each;
    return first;
  }
}

function notesBefore(run, before) {
  return notesOf(run, before ?? null).head.map(({ text, ts, begun, fine }) => ({
    kind: begun ? KIND.begun : fine ? KIND.ended : KIND.broke,
    text,
    ts,
  }));
}
