// The last runs of each action that is looked at, out of the history; of tasks that the server still knows where it
// has none. Asked for once, and again when something of the action has begun or ended. Until they are known, they are
// undefined.

import { Refused } from "./link.js";

const KEPT = 24; // runs of each action
const SOON = 700; // ms in which several events are asked about as one
const AT_ONCE = 6; // questions that wait for an answer
const ENOUGH = 2; // successes from which on there is a usual duration

export class LastRuns {
  constructor(app) {
    this.#app = app;
    this.#history = app.can("runs");
    app.link.on("*", ({ message }) => message.cursor && message.task && this.#happened(message));
    app.link.on("status", ({ state }) => state === "open" && this.#doubt());
    app.store.on("tasks", () => this.#history || this.#tell());
  }

  #app;
  #history; // the server has one, as far as is known
  #runs = new Map(); // action -> its runs, the newest first
  #wanted = new Set(); // actions
  #stale = new Set(); // those to be asked about
  #asking = 0;
  #timer = 0;
  #listeners = [];

  get hasHistory() {
    return this.#history;
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** Look at these actions, and no others. */
  want(actions) {
    const fresh = actions.filter((name) => !this.#wanted.has(name) && !this.#runs.has(name));
    this.#wanted = new Set(actions);
    for (const name of fresh) this.#stale.add(name);
    if (this.#stale.size) this.#ask();
  }

  /** Take note of why a question about runs failed: perhaps the server has no history. */
  failed(error) {
    if (!this.#history || !(error instanceof Refused) || !/data_dir/.test(error.message)) return;
    this.#history = false;
    this.#tell();
  }

  /**
   * The last runs of an action, the newest first: run_id, task_id, params, status, started, duration_ms, …; undefined:
   * not known yet.
   */
  of(action) {
    return this.#history ? this.#runs.get(action) : this.#known(action);
  }

  /** How long a run of it usually takes, in ms; 0: unknown, or it runs until it is stopped. */
  usual(action) {
    const took = (this.of(action) ?? [])
      .filter(({ status, duration_ms: ms }) => status === "succeeded" && ms !== undefined)
      .map(({ duration_ms: ms }) => ms)
      .sort((one, other) => one - other);
    return took.length < ENOUGH ? 0 : took[took.length >> 1];
  }

  #known(action) {
    if (!this.#app.store.listed) return undefined;
    return [...this.#app.store.tasks.values()]
      .filter((task) => task.action === action && task.last_started_at)
      .sort((one, other) => (one.last_started_at < other.last_started_at ? 1 : -1))
      .slice(0, KEPT)
      .map(runOf);
  }

  #happened({ type, task }) {
    // "changed" comes where this page was sent the event itself as a subscriber.
    if (!this.#history || !["started", "exited", "changed"].includes(type)) return;
    this.#stale.add(task.action);
    this.#timer ||= setTimeout(() => this.#ask(), SOON);
  }

  #doubt() {
    this.#history = this.#app.can("runs"); // it may be another server
    this.#asking = 0;
    for (const name of this.#runs.keys()) this.#stale.add(name);
    for (const name of this.#wanted) this.#stale.add(name);
    this.#ask();
  }

  #ask() {
    this.#timer = 0;
    if (!this.#history || !this.#app.link.connected) return;
    for (const name of this.#stale) {
      if (this.#asking >= AT_ONCE) return; // an answer goes on
      if (!this.#wanted.has(name)) {
        this.#runs.delete(name); // asked for when it is looked at again
        this.#stale.delete(name);
        continue;
      }
      this.#stale.delete(name);
      this.#askOne(name);
    }
  }

  async #askOne(action) {
    this.#asking += 1;
    try {
      const { runs } = await this.#app.link.request({ type: "runs", action, limit: KEPT }, { own: true });
      this.#runs.set(action, runs);
    } catch (error) {
      this.failed(error);
    }
    this.#asking = Math.max(0, this.#asking - 1);
    this.#tell();
    if (this.#stale.size) this.#ask();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

/** The latest run of a task that the server knows, as the history has runs. */
export function runOf(task) {
  const status = task.status === "errored" || task.status === "restarting" ? "failed" : task.status;
  return {
    run_id: "",
    task_id: task.task_id,
    action: task.action,
    params: task.params,
    status,
    reason: task.reason,
    exit_code: task.last_exit_code,
    signal: task.last_signal,
    error: task.error_message,
    started: task.last_started_at,
    ended: task.last_exited_at,
    duration_ms: status === "running" ? undefined : task.duration_ms,
  };
}
