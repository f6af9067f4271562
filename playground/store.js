// What the page knows of the server: tasks, which it watches, and actions, pools and counters. Pools and counters
// are asked for once a second while the page is seen. What it does not know yet is undefined, here and in all that is
// made of it: then nothing is said of it, instead of that there is none.

import { stateOf } from "./states.js";

const TICK = 1000; // ms
const SOON = 60; // ms in which several events are told as one
const SAMPLES = 600; // ten minutes of counters

export class Store {
  constructor(link) {
    this.#link = link;
    this.actions = [];
    this.described = false; // whether the actions are known
    this.tasks = new Map(); // id -> TaskInfo, with `status` from stateOf and `place` in the queue from 1
    this.pools = new Map(); // action, "" for the global one -> PoolInfo
    this.samples = []; // {at, ...metrics, running, queued}, oldest first
    this.counts = undefined; // state -> how many tasks, once they are listed
    link.on("status", ({ state }) => state === "open" && this.#opened());
    link.on("*", ({ message }) => message.cursor && this.#happened(message));
    link.on("unwatched", () => this.#watch()); // sent by hand in the console
    for (const type of ["queued", "dequeued", "moved", "pool_updated"]) link.on(type, () => this.refresh());
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    setInterval(() => this.#tick(), TICK);
  }

  #link;
  #cursor = ""; // how far the page has heard
  #listeners = new Map();
  #busy = false;
  #again = false; // ask once more when the present round is over
  #soon = 0;
  #tasksSoon = 0;

  /** Whether the tasks are known. */
  get listed() {
    return this.counts !== undefined;
  }

  on(what, listener) {
    if (!this.#listeners.has(what)) this.#listeners.set(what, []);
    this.#listeners.get(what).push(listener);
  }

  /** Ask soon instead of at the next tick. */
  refresh() {
    this.#again = true;
    this.#soon ||= setTimeout(() => this.#round(), SOON);
  }

  /** What is running and waiting, over all actions, a PoolInfo; undefined: not known yet. */
  get total() {
    return this.pools.get("");
  }

  action(name) {
    return this.actions.find((action) => action.name === name);
  }

  async #opened() {
    this.samples = [];
    this.#busy = false;
    this.#watch();
    await this.describe();
    this.refresh();
  }

  /** Ask what there is to start. */
  async describe() {
    try {
      this.actions = (await this.#ask({ type: "describe" })).actions;
      this.described = true;
      this.#tell("actions");
    } catch {
      // The connection is gone again, and the next one starts over.
    }
  }

  // All tasks, or only what has happened since the connection was lost.
  #watch() {
    this.#ask({ type: "watch", ...(this.#cursor && { after: this.#cursor }) }).catch(() => {});
  }

  #happened(message) {
    this.#cursor = message.cursor;
    if (message.type === "watching") {
      if (message.tasks) this.tasks = new Map(message.tasks.map((task) => [task.task_id, known(task)]));
    } else if (message.task) {
      this.tasks.set(message.task.task_id, known(message.task));
    } else {
      this.tasks.delete(message.task_id);
    }
    this.#tasksSoon ||= setTimeout(() => this.#tellTasks(), SOON);
  }

  #tellTasks() {
    this.#tasksSoon = 0;
    this.counts = {};
    for (const { status } of this.tasks.values()) this.counts[status] = (this.counts[status] ?? 0) + 1;
    this.#tell("tasks");
  }

  #tick() {
    if (document.hidden || !this.#link.connected) return;
    this.refresh();
  }

  async #round() {
    this.#soon = 0;
    if (this.#busy || !this.#link.connected) return;
    this.#busy = true;
    this.#again = false;
    try {
      const [metrics] = await Promise.all([this.#ask({ type: "metrics" }), this.#askPools()]);
      this.#sample(metrics.global);
    } catch {
      // The connection went away; the next one starts over.
    }
    this.#busy = false;
    if (this.#again) this.refresh();
  }

  async #askPools() {
    const names = ["", ...this.actions.map(({ name }) => name)];
    const answers = await Promise.all(names.map((action) => this.#ask({ type: "pool_info", action })));
    this.pools = new Map(answers.map(({ pool }, index) => [names[index], pool]));
    this.#tell("pools");
  }

  #sample(metrics) {
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

function known(task) {
  task.status = stateOf(task);
  return task;
}
