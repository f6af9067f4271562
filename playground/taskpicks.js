// Doing one thing to many tasks: those that are marked are stopped or forgotten together. What is forgotten can be
// taken back for a few seconds, for the server is told only then.

import { fill, h, icon } from "./dom.js";
import { count, many } from "./format.js";
import { allowed } from "./auth.js";
import { attempt, confirm, say } from "./notices.js";
import { isOver } from "./states.js";

const AT_ONCE = 50; // requests that wait for an answer
const GRACE = 7000; // ms for taking it back

export class TaskPicks {
  /**
   * `changed`: called when others are marked, and with {others: true} when others are to be shown; `shown`: the tasks
   * that the table shows.
   */
  constructor(app, changed, shown) {
    this.#app = app;
    this.#changed = changed;
    this.#shown = shown;
    this.element = h("div.picks", { role: "group", "aria-label": "Marked tasks", hidden: true });
  }

  element;
  #app;
  #changed;
  #shown;
  #ids = new Set();
  #gone = new Set(); // forgotten, as far as one can see
  #last = -1; // the index marked last
  #drawn = "";

  has(taskId) {
    return this.#ids.has(taskId);
  }

  /** Whether a task is on its way out, and so not to be shown. */
  isGone(taskId) {
    return this.#gone.has(taskId);
  }

  /** Mark the task at an index, or unmark it; `through`: all from the one that was marked last. */
  toggle(at, { through = false } = {}) {
    const rows = this.#shown();
    const on = !this.#ids.has(rows[at].task_id);
    const from = through && this.#last >= 0 ? Math.min(at, this.#last) : at;
    const to = through && this.#last >= 0 ? Math.max(at, this.#last) : at;
    for (const { task_id: id } of rows.slice(from, to + 1)) {
      if (on) this.#ids.add(id);
      else this.#ids.delete(id);
    }
    this.#last = at;
    this.#changed();
  }

  /** Mark all that are shown, or none when all are. */
  toggleAll() {
    const rows = this.#shown();
    if (rows.every(({ task_id: id }) => this.#ids.has(id))) this.#ids.clear();
    else for (const { task_id: id } of rows) this.#ids.add(id);
    this.#changed();
  }

  clear() {
    if (!this.#ids.size) return false;
    this.#ids.clear();
    this.#changed();
    return true;
  }

  /** "true", "false" or "mixed": of the rows that are shown. */
  get state() {
    if (!this.#ids.size) return "false";
    return this.#shown().every(({ task_id: id }) => this.#ids.has(id)) ? "true" : "mixed";
  }

  /** Show what can be done. */
  show() {
    const { tasks } = this.#app.store;
    for (const id of this.#ids) if (!tasks.has(id) || this.#gone.has(id)) this.#ids.delete(id);
    const marked = [...this.#ids].map((id) => tasks.get(id));
    const over = marked.filter(({ status }) => isOver(status) || status === "errored");
    const going = marked.length - over.length;
    const shown = this.#shown().length;
    const { connected } = this.#app.link;
    const key = JSON.stringify([marked.length, over.length, shown, connected]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.element.hidden = marked.length === 0;
    if (!marked.length) return;
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.act : "";
    const forget = this.#app.can("forget") && allowed("forget");
    fill(
      this.element,
      h("b", null, `${count(marked.length)} marked`),
      marked.length < shown ? button("all", null, `All ${count(shown)} shown`, () => this.toggleAll()) : null,
      allowed("stop") && going ? button("stop", "stop", `Stop ${count(going)}`, () => this.#stop(), "harm", !connected) : null,
      forget && over.length ? button("forget", "purge", `Forget ${count(over.length)}`, () => this.#forget(), "harm", !connected) : null,
      button("none", "close", "Unmark", () => this.clear(), "quiet"),
    );
    if (focused) this.element.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  async #stop() {
    const { link, store } = this.#app;
    const ids = [...this.#ids].filter((id) => !isOver(store.tasks.get(id)?.status) && store.tasks.get(id)?.status !== "errored");
    const text = `${many(ids.length, "task")} and every process they started get SIGTERM, and SIGKILL if they do not exit; those that wait do not start.`;
    if (!(await confirm(`Stop ${many(ids.length, "task")}?`, text, `Stop ${count(ids.length)}`))) return;
    const failed = await each(ids, (id) => link.command({ type: "stop", task_id: id }));
    if (!failed) say(`Stopping ${many(ids.length, "task")}`);
    this.clear();
  }

  #forget() {
    const { tasks } = this.#app.store;
    const ids = [...this.#ids].filter((id) => isOver(tasks.get(id)?.status) || tasks.get(id)?.status === "errored");
    this.#ids.clear();
    this.forget(ids);
  }

  /** Take tasks that are over off the list, unless that is taken back in time. */
  forget(ids) {
    const { link } = this.#app;
    for (const id of ids) this.#gone.add(id);
    this.#changed({ others: true });
    const timer = setTimeout(async () => {
      await each(ids, (id) => link.request({ type: "forget", task_id: id }));
      for (const id of ids) this.#gone.delete(id);
      this.#changed({ others: true });
    }, GRACE);
    const back = () => {
      clearTimeout(timer);
      for (const id of ids) this.#gone.delete(id);
      this.#changed({ others: true });
    };
    say(`Forgot ${many(ids.length, "task")}`, { act: ["Undo", back], lasts: GRACE });
  }
}

function button(act, sign, text, onclick, kind = "plain", disabled = false) {
  return h(`button.${kind}`, { type: "button", "data-act": act, onclick, disabled }, sign ? icon(sign) : null, text);
}

// Do something for each, a few at once; how many failed, which is told once.
async function each(ids, act) {
  let failed = 0;
  let why = null;
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const outcomes = await Promise.allSettled(ids.slice(at, at + AT_ONCE).map(act));
    for (const { status, reason } of outcomes) {
      if (status !== "rejected") continue;
      failed += 1;
      why = reason;
    }
  }
  if (failed) await attempt(() => Promise.reject(new Error(`${many(failed, "task")}: ${why.message}`)));
  return failed;
}
