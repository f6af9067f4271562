// Searching the server's logs: what is asked, answer by answer, and what is found in one run.

import { count } from "./format.js";

const PAGE = 1000; // matches of one request
const LONGER = 30_000; // ms; a search has ten seconds, and may have to wait for others
const TRIES = 20; // while the server is busy with other searches
const WAIT = 500; // ms between them

/** An expression that finds a text as it is. */
export const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** What to ask for: `text` is {text, regex, exact}; not `exact`: capitals are small letters. */
export function queryOf({ text, regex, exact }) {
  if (exact || text.toLowerCase() === text.toUpperCase()) return { query: text, regex };
  return { query: `(?i)${regex ? text : literal(text)}`, regex: true };
}

/** The same for marking what was found; null where it cannot be said here. */
export function patternOf({ text, regex, exact }) {
  try {
    return new RegExp(regex ? text : literal(text), exact ? "g" : "gi");
  } catch {
    return null; // Python's syntax has more than ours
  }
}

/**
 * One answer of a search after the other: {matches, next}; `request` may hold the `after` of an earlier one.
 * Throws what the link does.
 */
export async function* answers(link, request, limit = PAGE) {
  let { after = "" } = request;
  do {
    const reply = await ask(link, { type: "search", limit, ...request, ...(after ? { after } : {}) });
    after = reply.next ?? "";
    yield { matches: reply.matches, next: after };
  } while (after);
}

async function ask(link, request) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await link.request(request, { own: true, within: LONGER });
    } catch (error) {
      if (!left || !/other searches/.test(error.message)) throw error;
      await new Promise((resolve) => setTimeout(resolve, WAIT));
    }
  }
}

const MOST = 10_000; // matches in one run
const MARGIN = 60_000; // ms around a run, in which lines may be its own

/** What is found in one run: the seqs of its lines, as they come in. */
export class Finder {
  constructor(link, run, changed) {
    this.#link = link;
    this.#run = run;
    this.#changed = changed;
  }

  seqs = []; // in order
  busy = false;
  more = false; // there are more than are counted
  problem = "";
  #link;
  #run;
  #changed;
  #held = new Set();
  #number = 0; // of the latest search, so that an older one ends

  /** Look for something, {text, regex, exact}; "": for nothing. */
  async find(wanted) {
    this.#number += 1;
    const mine = this.#number;
    Object.assign(this, { seqs: [], busy: Boolean(wanted.text), more: false, problem: "" });
    this.#held = new Set();
    this.#changed();
    if (!wanted.text) return;
    const { task_id: taskId, run_id: runId, started, ended } = this.#run;
    const request = { ...queryOf(wanted), task_id: taskId, since: shifted(started, -MARGIN) };
    if (ended) request.until = shifted(ended, MARGIN);
    try {
      for await (const { matches, next } of answers(this.#link, request)) {
        if (mine !== this.#number) return;
        for (const { run_id: of, seq } of matches) if (of === runId) this.#held.add(seq);
        this.seqs = [...this.#held].sort((a, b) => a - b);
        this.more = Boolean(next) && this.seqs.length >= MOST;
        if (this.more) break;
        this.#changed();
      }
    } catch (error) {
      if (mine !== this.#number) return;
      this.problem = error.message;
    }
    this.busy = false;
    this.#changed();
  }

  has(seq) {
    return this.#held.has(seq);
  }

  /** What is to be said of it to who is at this seq. */
  words(seq) {
    const { seqs, busy, more, problem } = this;
    if (problem) return problem;
    if (!seqs.length && !busy) return "not found";
    const at = this.has(seq) ? `${count(seqs.indexOf(seq) + 1)} of ` : "";
    return `${at}${more ? "the last " : ""}${count(seqs.length)}${busy ? "…" : ""}`;
  }

  /** The next one after (or, backwards, before) a seq, going round; 0 without any. */
  next(seq, backwards) {
    const { seqs } = this;
    if (!seqs.length) return 0;
    if (backwards) return seqs.findLast((each) => each < seq) ?? seqs.at(-1);
    return seqs.find((each) => each > seq) ?? seqs[0];
  }
}

const shifted = (timestamp, ms) => new Date(Date.parse(timestamp) + ms).toISOString();
