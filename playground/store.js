// What the page knows of the server: actions, tasks, pools, counters. Asked for once a second while the page
// is seen; tasks by `since`, so that a table of thousands costs only what changed.

import { stateOf } from "./states.js";

const TICK = 1000; // ms
const WHOLE = 20_000; // ms after which all tasks are listed, to learn which ones were forgotten
const OVERLAP = 2000; // ms before the newest known moment, from where the next list begins
const SAMPLES = 600; // ten minutes of counters

export class Store {
  constructor(link) {
    this.#link = link;
    this.actions = [];
    this.tasks = new Map(); // id -> TaskInfo, with `status` from stateOf and `place` in the queue from 1
    this.pools = new Map(); // action, "" for the global one -> PoolInfo
    this.samples = []; // {at, ...metrics, running, queued}, oldest first
    this.counts = {}; // state -> how many tasks
    link.on("status", ({ state }) => state === "open" && this.#opened());
    for (const type of ["queued", "dequeued", "pool_updated"]) link.on(type, () => this.refresh(true));
    const news = ["started", "exited", "restarting", "errored", "ready", "health"];
    for (const type of news) link.on(type, () => this.refresh());
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh(true));
    setInterval(() => this.#tick(), TICK);
  }

  #link;
  #newest = ""; // the latest moment in any task
  #listeners = new Map();
  #wholeAt = 0; // when all tasks were last listed
  #busy = false;
  #again = ""; // "", "changes" or "whole": what to ask for once the present round is over
  #soon = 0;

  on(what, listener) {
    if (!this.#listeners.has(what)) this.#listeners.set(what, []);
    this.#listeners.get(what).push(listener);
  }

  /** Ask soon instead of at the next tick; `whole`: list all tasks. */
  refresh(whole = false) {
    if (whole || !this.#again) this.#again = whole ? "whole" : "changes";
    if (!this.#soon) this.#soon = setTimeout(() => this.#round(), 60);
  }

  /** What is running and waiting, over all actions. */
  get total() {
    return this.pools.get("") ?? { limit: 0, running: 0, queue_depth: 0 };
  }

  action(name) {
    return this.actions.find((action) => action.name === name);
  }

  async #opened() {
    this.#newest = "";
    this.samples = [];
    this.#busy = false;
    try {
      this.actions = (await this.#ask({ type: "describe" })).actions;
      this.#tell("actions");
    } catch {
      return; // gone again
    }
    this.refresh(true);
  }

  #tick() {
    if (document.hidden || !this.#link.connected) return;
    this.refresh();
  }

  async #round() {
    this.#soon = 0;
    if (this.#busy || !this.#link.connected) return;
    this.#busy = true;
    // Also where nobody looks and only events ask: else what was forgotten would pile up here.
    const whole = this.#again === "whole" || !this.#newest || performance.now() - this.#wholeAt > WHOLE;
    if (whole) this.#wholeAt = performance.now();
    this.#again = "";
    try {
      await Promise.all([this.#list(whole), this.#askPools(), this.#askMetrics()]);
    } catch {
      // The connection went away; the next one begins with a whole round.
    }
    this.#busy = false;
    if (this.#again) this.refresh(this.#again === "whole");
  }

  async #list(whole) {
    const request = { type: "list" };
    if (!whole) request.since = new Date(Date.parse(this.#newest) - OVERLAP).toISOString();
    const { tasks } = await this.#ask(request);
    const known = whole ? new Map() : this.tasks;
    for (const task of tasks) {
      task.status = stateOf(task);
      for (const moment of [task.created_at, task.last_started_at, task.last_exited_at]) {
        if (moment && moment > this.#newest) this.#newest = moment;
      }
      known.set(task.task_id, task);
    }
    this.tasks = known;
    const counts = {};
    for (const { status } of known.values()) counts[status] = (counts[status] ?? 0) + 1;
    this.counts = counts;
    this.#tell("tasks");
  }

  async #askPools() {
    const names = ["", ...this.actions.map(({ name }) => name)];
    const answers = await Promise.all(names.map((action) => this.#ask({ type: "pool_info", action })));
    this.pools = new Map(answers.map(({ pool }, index) => [names[index], pool]));
    this.#tell("pools");
  }

  async #askMetrics() {
    const metrics = (await this.#ask({ type: "metrics" })).global;
    const { running, queue_depth: queued } = this.total;
    const at = performance.now();
    const last = this.samples.at(-1);
    // Rounds between ticks would make rates of a few milliseconds.
    if (last && at - last.at < TICK * 0.8) return;
    this.samples.push({ at, ...metrics, running, queued });
    if (this.samples.length > SAMPLES) this.samples.shift();
    this.#tell("metrics");
  }

  #ask(message) {
    return this.#link.request(message, { own: true });
  }

  #tell(what) {
    for (const listener of this.#listeners.get(what) ?? []) listener();
  }
}
