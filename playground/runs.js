// The history: runs of all tasks or of one, the newest first, also those from before a restart of the server.

import { fill, h, icon, iconButton, inFrame, named, setText } from "./dom.js";
import { exactly, many, moment, paramsText } from "./format.js";
import { STATES } from "./states.js";
import { timeline } from "./timeline.js";

const PAGE = 50;
const AGAIN = 1500; // ms between two looks while something happens
const LOOKS = { running: "running", succeeded: "finished", failed: "failed", stopped: "stopped", lost: "errored" };
const LABELS = { running: "Running", succeeded: "Succeeded", failed: "Failed", stopped: "Stopped", lost: "Lost" };
const SINCE = [
  ["", "any time"],
  [3600, "the last hour"],
  [86400, "the last day"],
  [7 * 86400, "the last week"],
  [30 * 86400, "the last month"],
];

export class Runs {
  constructor(app, place) {
    this.#app = app;
    this.#place = place;
    const change = () => this.#load();
    this.#task = h("input", { type: "search", placeholder: "All tasks", "aria-label": "Runs of task", spellcheck: "false" });
    this.#task.addEventListener("change", change);
    this.#task.addEventListener("search", change);
    this.#action = h("select", { "aria-label": "Action", onchange: change });
    this.#state = h(
      "select",
      { "aria-label": "Status", onchange: change },
      h("option", { value: "" }, "any status"),
      Object.entries(LABELS).map(([value, text]) => h("option", { value }, text.toLowerCase())),
    );
    this.#since = h(
      "select",
      { "aria-label": "Started in", onchange: change },
      SINCE.map(([value, text]) => h("option", { value: String(value) }, text)),
    );
    this.#clear = iconButton("close", "Show all runs", () => this.showTask(""), { text: "All" });
    this.#older = h("button", { type: "button", hidden: true, onclick: () => this.#loadOlder() }, "Older runs");
    fill(
      place,
      h("div.bar", null, this.#task, this.#action, this.#state, this.#since, this.#clear),
      h("div.runs", null, this.#summary, this.#timeline, this.#list, this.#older),
    );
    app.store.on("actions", () => this.#fillActions());
    app.store.on("tasks", () => this.#happened());
    app.link.on("status", ({ state }) => state === "open" && !place.hidden && this.#load());
    this.#fillActions();
  }

  #app;
  #place;
  #task;
  #action;
  #state;
  #since;
  #clear;
  #older;
  #summary = h("p.hint", { role: "status" });
  #timeline = h("div.timeline");
  #list = h("ol.run-list", { "aria-label": "Runs" });
  #runs = [];
  #next = "";
  #problem = ""; // why there is nothing to be shown
  #asked = 0; // number of the latest question, so that an old one's answer is not shown
  #timer = 0;
  #draw = inFrame(() => this.#show());

  /** Called when the view is shown. */
  shown() {
    this.#load();
  }

  focusSearch() {
    this.#task.focus();
    this.#task.select();
  }

  /** Show one task's runs, or all. */
  showTask(taskId) {
    this.#task.value = taskId;
    if (!taskId) for (const each of [this.#action, this.#state, this.#since]) each.value = "";
    if (this.#app.view === "history") this.#load();
    else this.#app.show("history");
  }

  #fillActions() {
    const chosen = this.#action.value;
    const names = this.#app.store.actions.map(({ name }) => name);
    fill(
      this.#action,
      h("option", { value: "" }, "any action"),
      names.map((name) => h("option", { value: name }, name)),
    );
    this.#action.value = names.includes(chosen) ? chosen : "";
  }

  // Something has: look again, soon, unless somebody has turned pages.
  #happened() {
    if (this.#place.hidden || this.#timer || this.#runs.length > PAGE) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (!this.#place.hidden && this.#runs.length <= PAGE) this.#load();
    }, AGAIN);
  }

  #request(before) {
    const request = { type: "runs", limit: PAGE };
    const seconds = Number(this.#since.value);
    if (this.#task.value.trim()) request.task_id = this.#task.value.trim();
    if (this.#action.value) request.action = this.#action.value;
    if (this.#state.value) request.state = this.#state.value;
    if (seconds) request.since = new Date(this.#app.link.now - seconds * 1000).toISOString();
    if (before) request.before = before;
    return request;
  }

  async #load(before = "") {
    if (!this.#app.link.connected) return;
    this.#asked += 1;
    const mine = this.#asked;
    this.#clear.disabled = !(this.#task.value || this.#action.value || this.#state.value || this.#since.value);
    try {
      const { runs, next = "" } = await this.#app.link.request(this.#request(before), { own: true });
      if (mine !== this.#asked) return;
      this.#runs = before ? [...this.#runs, ...runs] : runs;
      this.#next = next;
      this.#problem = "";
      this.#draw();
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#runs = [];
      this.#next = "";
      this.#problem = error.message;
      this.#draw();
    }
  }

  #loadOlder() {
    if (this.#next) this.#load(this.#next);
  }

  #show() {
    const runs = this.#runs;
    const failed = runs.filter(({ status }) => status === "failed" || status === "lost").length;
    const of = failed ? `, ${many(failed, "of them failed or lost", "of them failed or lost")}` : "";
    const text = `${this.#next ? "The latest " : ""}${many(runs.length, "run")}${of}.`;
    setText(this.#summary, this.#problem || (runs.length ? text : "No runs."));
    fill(this.#timeline, runs.length ? timeline(runs, LOOKS, this.#app.link.now) : null);
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.run : "";
    fill(
      this.#list,
      runs.map((run) => this.#row(run)),
    );
    if (focused) this.#list.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
    this.#older.hidden = !this.#next;
  }

  #row(run) {
    const look = LOOKS[run.status] ?? "stopped";
    const ran = run.duration_ms ?? this.#app.link.now - Date.parse(run.started);
    const lasted = run.status === "lost" ? "" : exactly(Math.max(0, ran));
    const params = paramsText(run.params);
    return h(
      "li.run",
      { id: `run-${run.run_id}` },
      h(`span.state.s-${look}`, null, icon(STATES[look].icon), LABELS[run.status] ?? run.status),
      h(
        "button.run-task",
        { type: "button", title: "Only this task's runs", "data-run": run.run_id, onclick: () => this.showTask(run.task_id) },
        named(run.task_id),
        h("span.number", null, ` #${run.number}`),
      ),
      h("span.run-action", null, run.action),
      h("span.run-exit", null, exitOf(run)),
      h("span.run-lasted", null, lasted),
      h("time.run-when", { datetime: run.started, title: `Started ${run.started}` }, moment(run.started)),
      h("span.run-by", null, byOf(run.trigger)),
      run.error ? h("span.run-more.problem", null, run.error) : params ? h("code.run-more", { title: params }, params) : null,
    );
  }
}

/** How a run ended, in a word or two. */
function exitOf(run) {
  if (run.exit_code === undefined) return "";
  if (!["exited", "signal", "stopped"].includes(run.reason)) return run.reason.replaceAll("_", " ");
  return run.exit_code === -1 ? run.signal || "signal" : `exit ${run.exit_code}`;
}

/** Who or what started a run. */
function byOf({ type, by = "" }) {
  if (type === "client") return by ? ["by ", named(by)] : "";
  return by && by !== type ? [`${type}: `, named(by)] : { restart: "restart", boot: "boot", service: "service" }[type] ?? type;
}
