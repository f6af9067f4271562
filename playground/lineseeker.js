// The way to a line of a task, by its seq or by a time: among the lines that are held, in the log a little before them,
// or on the page of the run that it belongs to.

import { count } from "./format.js";
import { say } from "./notices.js";
import { go } from "./router.js";
import { runAddress } from "./runwords.js";
import { findRun } from "./runfetch.js";
import { KIND } from "./tasklog.js";

const NEAR = 5000; // lines before those that are held, which are loaded up to the one that is wanted
const PATIENCE = 3000; // ms in which a line may come
const SETTLED = 1000; // ms in which what comes with it was there before

export class LineSeeker {
  constructor(app, taskId, log, box) {
    this.#app = app;
    this.#taskId = taskId;
    this.#log = log;
    this.#box = box;
  }

  #app;
  #taskId;
  #log;
  #box;
  #wanted = 0;
  #until = 0;
  #time = ""; // the one that is wanted
  #fresh = -Infinity; // when the line was found

  /** Go to a line, once it is there. */
  goTo(seq) {
    this.#wanted = seq;
    this.#until = setTimeout(() => this.#giveUp(), PATIENCE);
    this.look();
  }

  /** Go to the first line from a time on, once there are lines. */
  async goToTime(time) {
    const log = this.#log;
    if (Number.isNaN(Date.parse(time))) return say(`${time} is not a time`);
    if (!log.firstSeq) {
      this.#time = time;
      return undefined;
    }
    if (this.#app.watch.logged && log.firstSeq > 1 && !(Date.parse(log.firstTime) < Date.parse(time))) {
      const { lines } = await this.#app.link.request({ type: "logs", task_id: this.#taskId, since: time, limit: 1 }, { own: true });
      if (lines.length) return this.goTo(lines[0].seq);
    }
    const at = Date.parse(time);
    for (let number = log.first; number < log.end; number += 1) {
      const { kind, ts } = log.line(number);
      if (kind <= KIND.err && Date.parse(ts) >= at) return this.#box.goTo(number);
    }
    say("All lines are from before that time: this is the end");
    return this.#box.toEnd();
  }

  /** Lines have come: the one that is wanted may be there. */
  look() {
    if (this.#time && this.#log.firstSeq) {
      const time = this.#time;
      this.#time = "";
      setTimeout(() => this.goToTime(time), SETTLED); // all that was there before
    }
    const seq = this.#wanted;
    if (!seq) {
      if (performance.now() < this.#fresh + SETTLED) this.#box.reload();
      return;
    }
    const number = this.#log.numberOf(seq);
    const { firstSeq } = this.#log;
    if (number >= 0) {
      this.#done();
      this.#box.goTo(number);
      this.#fresh = performance.now();
    } else if (firstSeq > seq) {
      this.#done();
      this.#load(seq);
    }
  }

  #done() {
    clearTimeout(this.#until);
    this.#wanted = 0;
  }

  async #giveUp() {
    const seq = this.#wanted;
    this.#done();
    if (!seq) return;
    if (!this.#log.firstSeq && (await this.#openRun(seq))) return;
    say(`Line ${count(seq)} is not there: it has not been written, or is no longer kept`);
  }

  async #load(seq) {
    const { watch } = this.#app;
    try {
      if (watch.logged) {
        if (this.#log.firstSeq - seq > NEAR && (await this.#openRun(seq))) return;
        while (this.#log.firstSeq > seq && (await watch.loadEarlier(this.#taskId)));
      }
      this.#box.reload();
      const number = this.#log.numberOf(seq);
      if (number >= 0) this.#box.goTo(number);
      else say(`Line ${count(seq)} is no longer kept`);
    } catch (error) {
      say(`The log cannot be read: ${error.message}`);
    }
  }

  async #openRun(seq) {
    if (!this.#app.watch.logged) return false;
    const run = await findRun(this.#app.link, this.#taskId, ({ first_seq: first, last_seq: last = Infinity }) => first <= seq && seq <= last).catch(() => undefined);
    if (run) go(runAddress(run, seq));
    return run !== undefined;
  }
}
