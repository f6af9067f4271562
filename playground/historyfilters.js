// The bar above the history: of which task, action, status and time runs, or lines, are wanted.

import { fill, h, icon, newId } from "./dom.js";
import { fieldTime } from "./format.js";
import { RUN_STATES, STATES } from "./states.js";

const REASONS = ["exited", "signal", "timeout", "stopped", "oom", "unhealthy", "start_failed", "lost", "shutdown"];
const BETWEEN = "between";
const SINCE = [
  ["", "any time"],
  [3600, "the last hour"],
  [86400, "the last day"],
  [7 * 86400, "the last week"],
  [30 * 86400, "the last month"],
  [BETWEEN, "from … until …"],
];

export class Filters {
  /** `changed`: called when something else is wanted. */
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
    const list = newId("tasks");
    this.task = h("input", { type: "search", placeholder: "All tasks", "aria-label": "Task", list, spellcheck: "false" });
    // Chromium tells of a cleared field by "search" alone; "change" comes with Enter and when it is left.
    for (const event of ["change", "search"]) this.task.addEventListener(event, () => this.#tell());
    this.#tasks.id = list;
    this.task.addEventListener("focus", () => this.#suggest());
    this.#action = this.#select("Action", []);
    this.status = this.#select("Status", [["", "any status"], ...RUN_STATES.map((name) => [name, STATES[name].label.toLowerCase()])]);
    this.reason = this.#select("Why it ended", [["", "any reason"], ...REASONS.map((name) => [name, name.replaceAll("_", " ")])]);
    this.#time = this.#select("Time", SINCE);
    this.#from = this.#moment("From");
    this.#until = this.#moment("Until");
    this.#between = h("span.between", { hidden: true }, this.#from, "–", this.#until);
    this.#clear = h("button.quiet", { type: "button", title: "Show all again", onclick: () => this.clear() }, icon("close"), "Clear");
    this.#fold = h("button.fold-filters", { type: "button", "aria-expanded": "false", onclick: () => this.#unfold() }, "Filters");
    this.#more = h("div.filters", null, this.#action, this.status, this.reason, this.#time, this.#between, this.#clear);
    this.elements = [this.task, this.#tasks, this.#fold, this.#more];
    app.store.on("actions", () => this.#fillActions());
    this.#fillActions();
    this.#show();
    this.#told = this.#wanted;
  }

  elements;
  task;
  status;
  reason;
  seen = new Set(); // ids of tasks that the history has shown
  #app;
  #changed;
  #tasks = h("datalist");
  #action;
  #time;
  #from;
  #until;
  #between;
  #clear;
  #fold;
  #more;
  #told = "";

  /** What a request says of it; `now`: the server's time in ms. */
  fields(now) {
    const fields = {};
    const taskId = this.task.value.trim();
    if (taskId) fields.task_id = taskId;
    if (this.#action.value) fields.action = this.#action.value;
    if (this.#time.value === BETWEEN) {
      for (const [name, { value }] of [["since", this.#from], ["until", this.#until]]) {
        if (value) fields[name] = new Date(value).toISOString();
      }
    } else if (this.#time.value) fields.since = new Date(now - Number(this.#time.value) * 1000).toISOString();
    return fields;
  }

  /** The same as fields of an address. */
  get query() {
    const between = this.#time.value === BETWEEN;
    return {
      task: this.task.value.trim(),
      action: this.#action.value,
      status: this.status.value,
      reason: this.reason.value,
      within: between ? "" : this.#time.value,
      from: between ? this.#from.value : "",
      until: between ? this.#until.value : "",
    };
  }

  /** Want what the fields of an address say; nothing is told of it. */
  take({ task = "", action = "", status = "", reason = "", within = "", from = "", until = "" }) {
    this.task.value = task;
    this.#offer(action);
    for (const [select, value] of [[this.#action, action], [this.status, status], [this.reason, reason]]) select.value = value;
    [this.#from.value, this.#until.value] = [from, until];
    this.#time.value = from || until ? BETWEEN : within;
    this.#told = this.#wanted;
    this.#show();
  }

  /** Whether anything is left out. */
  get any() {
    return [this.task, this.#action, this.status, this.reason, this.#time].some(({ value }) => value.trim());
  }

  /** Want all, or all of one task; false: that is what was wanted. */
  clear(taskId = "") {
    for (const each of [this.#action, this.status, this.reason, this.#time]) each.value = "";
    this.task.value = taskId;
    return this.#tell();
  }

  /** The fields of an address with what began from `from` until `until`, in the server's ms, of what is wanted. */
  between(from, until) {
    const { skew } = this.#app.link;
    return { ...this.query, within: "", from: fieldTime(from + skew), until: fieldTime(until + skew + 999) };
  }

  /** Tasks whose ids are like what was asked for. */
  get near() {
    const wanted = this.task.value.trim().toLowerCase();
    const ids = [...new Set([...this.#app.store.tasks.keys(), ...this.seen])];
    return wanted ? ids.filter((id) => id.toLowerCase().includes(wanted) && id !== this.task.value.trim()).slice(0, 8) : [];
  }

  #tell() {
    this.#show();
    if (this.#wanted === this.#told) return false; // both events have come
    this.#told = this.#wanted;
    this.#changed();
    return true;
  }

  get #wanted() {
    return JSON.stringify([this.query, this.#time.value]);
  }

  #show() {
    const between = this.#time.value === BETWEEN;
    if (between && this.#between.hidden && !this.#from.value) {
      this.#from.value = fieldTime(this.#app.link.now - 86_400_000).slice(0, 16);
    }
    this.#between.hidden = !between;
    this.#clear.hidden = !this.any;
    const number = [this.#action, this.status, this.reason, this.#time].filter(({ value }) => value).length;
    fill(this.#fold, "Filters", number ? h("b", null, ` ${number}`) : null);
  }

  #unfold() {
    const open = !this.#more.classList.contains("open");
    this.#more.classList.toggle("open", open);
    this.#fold.setAttribute("aria-expanded", String(open));
  }

  #suggest() {
    const ids = [...new Set([...this.#app.store.tasks.keys(), ...this.seen])].sort().slice(0, 200);
    fill(this.#tasks, ids.map((value) => h("option", { value })));
  }

  #fillActions() {
    const chosen = this.#action.value;
    const named = this.#app.store.actions.map(({ name, title }) => h("option", { value: name }, title || name));
    fill(this.#action, h("option", { value: "" }, "any action"), named);
    this.#offer(chosen);
    this.#action.value = chosen;
  }

  // Also an action that the configuration no longer has.
  #offer(action) {
    if (![...this.#action.options].some(({ value }) => value === action)) this.#action.append(h("option", { value: action }, action));
  }

  #select(label, options) {
    return h(
      "select",
      { "aria-label": label, onchange: () => this.#tell() },
      options.map(([value, text]) => h("option", { value: String(value) }, text)),
    );
  }

  #moment(label) {
    return h("input", { type: "datetime-local", "aria-label": label, onchange: () => this.#tell() });
  }
}
